//! What can go wrong with a sensor, in words for the person who can put it right.

use super::Pattern;
#[cfg(feature = "rtsp")]
use super::rtsp::RtspError;
use doorframe_codec::clip::ClipError;
use doorframe_codec::frame::FrameError;
use doorframe_codec::ingest::Refused;
use doorframe_codec::units::Size;
use std::io;
use std::path::PathBuf;
use std::time::Duration;
use thiserror::Error;

/// Why there is no frame. Names the thing, and what to do about it.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SensorError {
    /// There is no such device.
    #[error("no camera at {}: {found}", path.display())]
    NoDevice {
        /// What was asked for.
        path: PathBuf,
        /// What this machine has instead.
        found: String,
    },
    /// No device of this machine can be used.
    #[error("no usable camera: {0}; `clip` and `pattern` need none")]
    NoCamera(String),
    /// The user may not open the device.
    #[error("no permission to open {}: add yourself to the group video (`sudo usermod -aG video $USER`) and log in again", .0.display())]
    Permission(PathBuf),
    /// Another program has the camera.
    #[error("{} is in use by another program: close that one, then try again", .0.display())]
    Busy(PathBuf),
    /// A device that is no camera, or not one that can be used.
    #[error("{} is not a usable camera: {why}", path.display())]
    NotACamera {
        /// Which device.
        path: PathBuf,
        /// What it is or lacks.
        why: &'static str,
    },
    /// The device has no format that is understood here.
    #[error("{} offers {offers}; understood are NV12, NV21, YU12 (I420), YUYV, UYVY, MJPG, GREY and 8-bit or packed 10-bit Bayer", path.display())]
    Format {
        /// Which device.
        path: PathBuf,
        /// Its formats.
        offers: String,
        /// Whether H.264 is among them, which can be used as it is.
        coded: bool,
    },
    /// The source does not give coded video.
    #[error("{from} gives {gives}, nothing that is coded already: leave `--encoder as-is` out")]
    NotCoded {
        /// Which source.
        from: String,
        /// What it gives instead.
        gives: String,
    },
    /// The source gives nothing but coded video.
    #[error("{0} gives video that is coded already, and no frames: use `--encoder as-is` or leave --encoder out")]
    NoFrames(String),
    /// Coded video that cannot be used as it is.
    #[error("the video of {from} cannot be used as it is: {refused}")]
    Coded {
        /// Which source.
        from: String,
        /// What is wrong with it, and what would do.
        refused: Refused,
    },
    /// The camera is gone.
    #[error("{0} was unplugged")]
    Unplugged(String),
    /// The camera is there but sends nothing.
    #[error("{camera} sent no frame for {} s, not even after it was started again: unplug it and plug it in again", after.as_secs())]
    Silent {
        /// Which camera.
        camera: String,
        /// How long it was waited for.
        after: Duration,
    },
    /// A camera on a network does not do what it should.
    #[cfg(feature = "rtsp")]
    #[error("{camera} {error}")]
    Rtsp {
        /// Which camera, without user name and password.
        camera: String,
        /// What it does instead.
        error: RtspError,
    },
    /// The USB bus is full.
    #[error("{0} gets no room on its USB bus: unplug another camera, or use another port or a lower size or rate")]
    Bandwidth(String),
    /// The kernel refused something that should have worked.
    #[error("{camera}: {what} failed: {error}")]
    Device {
        /// Which camera.
        camera: String,
        /// What was tried.
        what: &'static str,
        /// What the kernel said.
        error: io::Error,
    },
    /// V4L2 exists on Linux only.
    #[error("v4l2 cameras work on Linux only: use a clip or the pattern here")]
    NotThisSystem,
    /// The clip cannot be read.
    #[error("cannot read the clip {}: {error}", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The clip is larger than is sensible to hold in memory.
    #[error("the clip {clip} has more than {most} bytes: cut it shorter")]
    TooLarge {
        /// Which clip.
        clip: String,
        /// Largest size.
        most: u64,
    },
    /// The clip has no bytes.
    #[error("the clip {0} is empty")]
    Empty(String),
    /// The file is no clip, or of a kind that is not read here.
    #[error("{clip} is not a clip: it is neither an H.264 Annex B stream, AV1 in IVF, y4m nor Motion JPEG{hint}")]
    NotAClip {
        /// Which file.
        clip: String,
        /// What to do about it, if that can be told.
        hint: &'static str,
    },
    /// The clip begins like one, but its header is bad.
    #[error("the clip {clip} is damaged: {error}")]
    Clip {
        /// Which clip.
        clip: String,
        /// What is wrong with it.
        error: ClipError,
    },
    /// The clip can be told to be one, but nothing in it can be shown.
    #[error("no picture of the clip {clip} can be decoded: {why}")]
    NoPicture {
        /// Which clip.
        clip: String,
        /// What the decoder or the reader said about the first of them.
        why: String,
    },
    /// The process that decodes the clip does not start.
    #[error("the clip {clip} cannot be decoded: {why}")]
    Decoder {
        /// Which clip.
        clip: String,
        /// What went wrong.
        why: String,
    },
    /// A pattern that has no room for its frame counter.
    #[error("a test pattern of {0} is too small: the least is {least}", least = Pattern::SMALLEST)]
    PatternSize(Size),
    /// A frame that does not fit its own description.
    #[error("frame does not fit its description: {0}")]
    Frame(#[from] FrameError),
    /// A thread did not start or came to an end of its own.
    #[error("the clip {clip}: its decoder stopped: {why}")]
    Thread {
        /// Which clip.
        clip: String,
        /// What the system said.
        why: String,
    },
}

impl SensorError {
    /// Whether to give up. `false` means that opening the source again later may work: the camera may come back.
    pub fn is_final(&self) -> bool {
        match self {
            Self::NoDevice { .. }
            | Self::NoCamera(_)
            | Self::Busy(_)
            | Self::Unplugged(_)
            | Self::Silent { .. }
            | Self::Bandwidth(_)
            | Self::Device { .. } => false,
            #[cfg(feature = "rtsp")]
            Self::Rtsp { error, .. } => error.is_final(),
            Self::Permission(_)
            | Self::NotACamera { .. }
            | Self::Format { .. }
            | Self::NotCoded { .. }
            | Self::NoFrames(_)
            | Self::Coded { .. }
            | Self::NotThisSystem
            | Self::Read { .. }
            | Self::TooLarge { .. }
            | Self::Empty(_)
            | Self::NotAClip { .. }
            | Self::Clip { .. }
            | Self::NoPicture { .. }
            | Self::Decoder { .. }
            | Self::PatternSize(_)
            | Self::Frame(_)
            | Self::Thread { .. } => true,
        }
    }
}
