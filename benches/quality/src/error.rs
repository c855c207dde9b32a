//! What can go wrong, each in one sentence for a person.

use doorframe_codec::clip::ClipError;
use doorframe_codec::decoder::DecodeError;
use doorframe_codec::encoder::{ConfigError, EncodeError};
use doorframe_codec::units::Size;
use std::io;
use std::path::PathBuf;
use thiserror::Error;

/// Why there is no result.
#[derive(Debug, Error)]
pub(crate) enum Error {
    /// A clip that is not there or cannot be read.
    #[error("clip {} cannot be read: {error}", path.display())]
    Read { path: PathBuf, error: io::Error },
    /// A clip of a kind that only ffmpeg could read, and there is no ffmpeg.
    #[error("{}: {error}; with ffmpeg on this machine other files could be read too", path.display())]
    NeedsFfmpeg { path: PathBuf, error: ClipError },
    /// A clip with a header or of a codec that cannot be read.
    #[error("{}: {error}", path.display())]
    Clip { path: PathBuf, error: ClipError },
    /// A clip whose pictures could not be decoded.
    #[error("{}: not one picture of it could be decoded ({why})", path.display())]
    NoPicture { path: PathBuf, why: String },
    /// A clip of a size that H.264 and AV1 in 4:2:0 do not have.
    #[error("{} is {size}: the encoders take even sides from 16 to 8192 only", path.display())]
    Size { path: PathBuf, size: Size },
    /// A clip too short to say anything.
    #[error("{} has one picture only: 2 or more are needed", path.display())]
    Short { path: PathBuf },
    /// Settings that no encoder here can take.
    #[error("{clip}: {error}")]
    Config { clip: String, error: ConfigError },
    /// One of our encoders failed.
    #[error("{encoder} failed on {clip}: {error}")]
    Encode { encoder: String, clip: String, error: EncodeError },
    /// A stream that cannot be decoded.
    #[error("what {encoder} made of {clip} cannot be decoded: {error} at unit {at}")]
    Decode { encoder: String, clip: String, at: usize, error: DecodeError },
    /// A stream with pictures left out or shown late.
    #[error("{encoder} made {units} units that show {shown} pictures of the {pictures} of {clip}")]
    Missing { encoder: String, clip: String, units: usize, shown: usize, pictures: usize },
    /// A program that could not be started, or did not do what it was asked for.
    #[error("{} {what}", program.display())]
    Program { program: PathBuf, what: String },
    /// An encoder of another make that did not do what it was asked for.
    #[error("{peer} {what}")]
    Peer { peer: &'static str, what: String },
    /// A file that could not be written.
    #[error("{} cannot be written: {error}", path.display())]
    Write { path: PathBuf, error: io::Error },
    /// A name of no encoder.
    #[error("there is no encoder {name:?}: choose from {known}")]
    Unknown { name: String, known: String },
    /// Encoders that were asked for, of which none can run.
    #[error("none of the encoders asked for can run here: {why}")]
    Nothing { why: String },
}
