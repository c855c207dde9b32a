//! Who codes the pictures: openh264, an encoder of the machine, or the source itself.

use doorframe_codec::Encoder;
use doorframe_codec::encoder::{Checked, ConfigError};
use doorframe_codec::h264::openh264::Openh264Encoder;
use std::fmt;
use std::str::FromStr;
use thiserror::Error;

/// Who codes the pictures.
///
/// | text | encoder |
/// |---|---|
/// | `auto` | openh264; of a camera that gives nothing but H.264, its own |
/// | `openh264` | openh264 |
/// | `as-is` | the source's own: its access units are sealed as they are, no mask can be painted |
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum EncoderChoice {
    /// openh264, or the source's own where it gives nothing else.
    #[default]
    Auto,
    /// openh264.
    Openh264,
    /// The source's own.
    AsIs,
}

/// Why a text is no encoder. Says what would have been one.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ChoiceError {
    /// An unknown name.
    #[error("'{0}' is not an encoder: write auto, openh264 or as-is")]
    Unknown(String),
}

impl FromStr for EncoderChoice {
    type Err = ChoiceError;

    fn from_str(text: &str) -> Result<Self, ChoiceError> {
        match text {
            "auto" => Ok(Self::Auto),
            "openh264" => Ok(Self::Openh264),
            "as-is" => Ok(Self::AsIs),
            _ => Err(ChoiceError::Unknown(text.to_owned())),
        }
    }
}

impl fmt::Display for EncoderChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Openh264 => f.write_str("openh264"),
            Self::AsIs => f.write_str("as-is"),
        }
    }
}

/// Why an encoder cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum EncoderError {
    /// It does not take these settings.
    #[error("cannot encode: {0}")]
    Config(#[from] ConfigError),
}

/// Makes the encoder of a choice; openh264 where the source might have coded but gave frames.
pub(crate) fn make(choice: &EncoderChoice, config: Checked) -> Result<Box<dyn Encoder>, EncoderError> {
    match choice {
        EncoderChoice::Auto | EncoderChoice::Openh264 | EncoderChoice::AsIs => {
            Ok(Box::new(Openh264Encoder::new(config)?))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_choice_reads_and_writes_the_same() {
        for text in ["auto", "openh264", "as-is"] {
            assert_eq!(text.parse::<EncoderChoice>().unwrap().to_string(), text);
        }
        let error = "x264".parse::<EncoderChoice>().unwrap_err();
        assert_eq!(error.to_string(), "'x264' is not an encoder: write auto, openh264 or as-is");
    }
}
