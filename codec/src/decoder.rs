//! Access unit to picture: the trait every decoder has, and the limits it keeps.

use crate::access_unit::{AccessUnit, Codec};
use crate::picture::Picture;
use crate::units::Size;
use std::time::Duration;
use std::{fmt, io};
use thiserror::Error;

/// What a decoder may spend on one access unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Largest picture, in luma samples; a larger one is refused before memory is taken for it.
    pub pixels: usize,
    /// Largest access unit, in bytes.
    pub unit_bytes: usize,
}

impl Default for Limits {
    /// Pictures to 3840x2160 and units to 8 MiB.
    fn default() -> Self {
        Self { pixels: 3840 * 2160, unit_bytes: 8 << 20 }
    }
}

/// What a decoder does about damage it notices.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum OnDamage {
    /// Shows nothing more until a keyframe comes: what is shown is what the camera saw.
    #[default]
    Wait,
    /// Puts what was there before in the place of what is missing, and says so with every picture that has some of it
    /// ([`Shown::Concealed`]), where the decoder can: openh264 can. AV1's decoder waits all the same.
    Conceal,
}

/// What a unit brought to see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use]
pub enum Shown {
    /// The unit was taken but shows nothing (yet).
    Nothing,
    /// A picture as it was coded, as far as the decoder can tell.
    Picture,
    /// A picture of which some is guessed: part of it, or of one it is predicted from, was damaged or missing.
    Concealed,
}

impl Shown {
    /// Whether there is a picture, guessed or not.
    pub const fn is_picture(self) -> bool {
        !matches!(self, Self::Nothing)
    }
}

/// How a decoder's process came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fall {
    /// By this signal: 31 (`SIGSYS`) is a system call that it may not make, 6 and 11 are a fault of the library or the
    /// limit of memory.
    Signal(i32),
    /// By its own exit with this status.
    Exit(i32),
}

impl fmt::Display for Fall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Signal(31) => f.write_str("signal 31, a system call that it may not make"),
            Self::Signal(signal) => write!(f, "signal {signal}"),
            Self::Exit(status) => write!(f, "exit status {status}"),
        }
    }
}

/// Why an access unit could not be decoded. The decoder goes on at the next keyframe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// Coded for another decoder.
    #[error("access unit is {given:?}, this decoder takes {wanted:?}")]
    Codec {
        /// Codec of the unit.
        given: Codec,
        /// Codec of the decoder.
        wanted: Codec,
    },
    /// More bytes than [`Limits::unit_bytes`].
    #[error("access unit of {0} bytes is over the limit")]
    UnitTooLarge(usize),
    /// More samples than [`Limits::pixels`].
    #[error("picture of {0} is over the limit")]
    PictureTooLarge(Size),
    /// A delta came before any keyframe, or after a loss.
    #[error("no keyframe to decode from")]
    NeedsKeyframe,
    /// The library found the bytes bad.
    #[error("bitstream is damaged (decoder's status {0})")]
    Damaged(i64),
    /// A form of picture that is not 8-bit 4:2:0.
    #[error("picture is not 8-bit 4:2:0")]
    Layout,
    /// More than one sequence parameter set in one access unit, each of which would be a stream of its own.
    #[error("access unit has {0} different sequence parameter sets, one can be followed")]
    ParameterSets(usize),
    /// The decoder's process took longer than it may, and was ended.
    #[error("decoder took longer than {} ms for one access unit and was ended", .0.as_millis())]
    TimedOut(Duration),
    /// The decoder's process came to its end over this unit.
    #[error("decoder's process fell: {0}")]
    Fell(Fall),
    /// The decoder's process answered what no decoder answers, and was ended.
    #[error("decoder's process answered out of turn or out of range and was ended")]
    Lied,
    /// The decoder's process could not be started.
    #[error("decoder's process does not start: {0}")]
    NotStarted(io::ErrorKind),
}

/// Turns access units into pictures, in order.
///
/// The libraries behind it are large and, for H.264, written in C++: feed them only what was authenticated. What others
/// made goes through `sandbox::Sandboxed`, which is a decoder too.
pub trait Decoder: Send {
    /// Decodes one access unit into `picture`, which it reshapes as needed.
    ///
    /// # Errors
    /// If the unit is too large, damaged, or needs a keyframe that never came. `picture` may then have changed.
    fn decode(&mut self, unit: &AccessUnit, picture: &mut Picture) -> Result<Shown, DecodeError>;

    /// The next picture still inside, at the end of a clip; [`Shown::Nothing`] when there is none.
    ///
    /// # Errors
    /// If the library fails; what was inside is then lost.
    fn flush(&mut self, picture: &mut Picture) -> Result<Shown, DecodeError> {
        let _ = picture;
        Ok(Shown::Nothing)
    }

    /// Forgets everything; waits for a keyframe.
    fn reset(&mut self);

    /// What it is, for a person.
    fn name(&self) -> String;
}
