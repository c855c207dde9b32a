//! Who codes the pictures: openh264, an encoder of the machine, or the source itself.

#[cfg(all(feature = "v4l2-m2m", target_os = "linux"))]
mod m2m;

#[cfg(all(feature = "v4l2-m2m", target_os = "linux"))]
pub use m2m::M2mEncoder;

use doorframe_codec::Encoder;
use doorframe_codec::encoder::{Checked, ConfigError};
use doorframe_codec::h264::openh264::Openh264Encoder;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::str::FromStr;
use thiserror::Error;

/// Who codes the pictures.
///
/// | text | encoder |
/// |---|---|
/// | `auto` | openh264; of a camera that gives nothing but H.264, its own |
/// | `openh264` | openh264 |
/// | `m2m` | the first encoder of this machine that V4L2 knows (feature `v4l2-m2m`) |
/// | `m2m:/dev/video11` | that one |
/// | `as-is` | the source's own: its access units are sealed as they are, no mask can be painted |
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum EncoderChoice {
    /// openh264, or the source's own where it gives nothing else.
    #[default]
    Auto,
    /// openh264.
    Openh264,
    /// An encoder of the machine that V4L2 knows, or the first that can be used.
    M2m(Option<PathBuf>),
    /// The source's own.
    AsIs,
}

/// Why a text is no encoder. Says what would have been one.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ChoiceError {
    /// An unknown name.
    #[error("'{0}' is not an encoder: write auto, openh264, m2m, m2m:DEVICE or as-is")]
    Unknown(String),
    /// A colon with nothing after it.
    #[error("'m2m:' names nothing: leave the colon out or write something after it")]
    Nothing,
}

impl FromStr for EncoderChoice {
    type Err = ChoiceError;

    fn from_str(text: &str) -> Result<Self, ChoiceError> {
        match text {
            "auto" => Ok(Self::Auto),
            "openh264" => Ok(Self::Openh264),
            "as-is" => Ok(Self::AsIs),
            "m2m" => Ok(Self::M2m(None)),
            "m2m:" => Err(ChoiceError::Nothing),
            _ => match text.strip_prefix("m2m:") {
                Some(path) => Ok(Self::M2m(Some(path.into()))),
                None => Err(ChoiceError::Unknown(text.to_owned())),
            },
        }
    }
}

impl fmt::Display for EncoderChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Openh264 => f.write_str("openh264"),
            Self::AsIs => f.write_str("as-is"),
            Self::M2m(None) => f.write_str("m2m"),
            Self::M2m(Some(path)) => write!(f, "m2m:{}", path.display()),
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
    /// The node is no encoder, or none that can be used.
    #[error("{} cannot be used as an encoder: {why}", path.display())]
    Unfit {
        /// Which node.
        path: PathBuf,
        /// What it is or lacks.
        why: &'static str,
    },
    /// The kernel refused something that an encoder must be able to do.
    #[error("the encoder at {}: {what} failed: {error}", path.display())]
    Device {
        /// Which node.
        path: PathBuf,
        /// What was tried.
        what: &'static str,
        /// What the kernel said.
        error: io::Error,
    },
    /// No node of this machine can be used.
    #[error("no usable encoder: {0}; `--encoder openh264` needs none")]
    None(String),
    /// This program was built without it, or for another system.
    #[error("this build has no V4L2 encoders: build it on Linux with the feature v4l2-m2m")]
    NotBuilt,
}

/// Makes the encoder of a choice; openh264 where the source might have coded but gave frames.
pub(crate) fn make(choice: &EncoderChoice, config: Checked) -> Result<Box<dyn Encoder>, EncoderError> {
    match choice {
        EncoderChoice::Auto | EncoderChoice::Openh264 | EncoderChoice::AsIs => {
            Ok(Box::new(Openh264Encoder::new(config)?))
        }
        #[cfg(all(feature = "v4l2-m2m", target_os = "linux"))]
        EncoderChoice::M2m(path) => Ok(Box::new(match path {
            Some(path) => M2mEncoder::open(path, config)?,
            None => M2mEncoder::open_first(&config)?,
        })),
        #[cfg(not(all(feature = "v4l2-m2m", target_os = "linux")))]
        EncoderChoice::M2m(_) => Err(EncoderError::NotBuilt),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_choice_reads_and_writes_the_same() {
        for text in ["auto", "openh264", "m2m", "m2m:/dev/video11", "as-is"] {
            assert_eq!(text.parse::<EncoderChoice>().unwrap().to_string(), text);
        }
        let error = "x264".parse::<EncoderChoice>().unwrap_err();
        assert_eq!(error.to_string(), "'x264' is not an encoder: write auto, openh264, m2m, m2m:DEVICE or as-is");
        assert_eq!("m2m:".parse::<EncoderChoice>(), Err(ChoiceError::Nothing));
    }
}
