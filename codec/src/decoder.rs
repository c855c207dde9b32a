//! Access unit to picture: the trait every decoder has, and the limits it keeps.

use crate::access_unit::{AccessUnit, Codec};
use crate::picture::Picture;
use crate::units::Size;
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
}

/// Turns access units into pictures, in order. Feed it only what was authenticated.
pub trait Decoder: Send {
    /// Decodes one access unit into `picture`, which it reshapes as needed. Whether there was one:
    /// `Ok(false)` means the unit was taken but shows nothing.
    ///
    /// # Errors
    /// If the unit is too large, damaged, or needs a keyframe that never came.
    fn decode(&mut self, unit: &AccessUnit, picture: &mut Picture) -> Result<bool, DecodeError>;

    /// What it is, for a person.
    fn name(&self) -> String;
}
