//! What a person writes to say where frames come from.

use super::{Pattern, Wanted};
use doorframe_codec::units::{FrameRate, Size};
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use thiserror::Error;

/// Where frames come from.
///
/// | text | source |
/// |---|---|
/// | `v4l2` | the first camera that can be used |
/// | `v4l2:/dev/video0` | that camera; a name under `/dev/v4l/by-id` keeps to one camera however they are plugged in |
/// | `clip` | the built-in clip |
/// | `clip:FILE` | an H.264 Annex B, AV1 IVF, y4m or Motion JPEG file, again and again |
/// | `pattern` | the test pattern, as large and fast as is wanted |
/// | `pattern:1280x720@30` | the test pattern of this size and rate; `30000/1001` is a rate too |
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A camera of Linux, or the first that can be used.
    V4l2(Option<PathBuf>),
    /// A clip, or the built-in one.
    Clip(Option<PathBuf>),
    /// The test pattern, with a size and rate of its own or with those that are wanted.
    Pattern(Option<Wanted>),
}

/// Why a text is no source. Says what would have been one.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SourceError {
    /// An unknown kind.
    #[error("'{0}' is not a source: write v4l2, v4l2:DEVICE, clip, clip:FILE, pattern or pattern:WIDTHxHEIGHT@FPS")]
    Kind(String),
    /// The name of a device without the kind.
    #[error("'{0}' is not a source: did you mean v4l2:{0}?")]
    BareDevice(String),
    /// The name of a file without the kind.
    #[error("'{0}' is not a source: did you mean clip:{0}?")]
    BareFile(String),
    /// A colon with nothing after it.
    #[error("'{0}:' names nothing: leave the colon out or write something after it")]
    Nothing(&'static str),
    /// A pattern that is not WIDTHxHEIGHT@FPS.
    #[error("pattern '{0}' is not WIDTHxHEIGHT@FPS, such as 1280x720@30")]
    Pattern(String),
    /// A size that cannot be.
    #[error(
        "pattern size {width}x{height} is not from {least} to {most}x{most}",
        least = Pattern::SMALLEST,
        most = Size::MAX_SIDE
    )]
    Size {
        /// Width given.
        width: u32,
        /// Height given.
        height: u32,
    },
    /// A rate that cannot be.
    #[error("pattern rate {0} is not from 1 to 60 frames a second")]
    Rate(String),
}

impl Source {
    /// The first camera that can be used, or the built-in clip on a machine that has none.
    pub fn default_for_this_machine() -> Self {
        #[cfg(target_os = "linux")]
        if let Some(device) = super::v4l2::list().into_iter().find(|device| device.trouble.is_none()) {
            return Self::V4l2(Some(device.path));
        }
        Self::Clip(None)
    }
}

impl FromStr for Source {
    type Err = SourceError;

    fn from_str(text: &str) -> Result<Self, SourceError> {
        let (kind, rest) = match text.split_once(':') {
            Some((kind, rest)) => (kind, Some(rest)),
            None => (text, None),
        };
        match (kind, rest) {
            ("v4l2", Some("")) => Err(SourceError::Nothing("v4l2")),
            ("clip", Some("")) => Err(SourceError::Nothing("clip")),
            ("pattern", Some("")) => Err(SourceError::Nothing("pattern")),
            ("v4l2", path) => Ok(Self::V4l2(path.map(PathBuf::from))),
            ("clip", path) => Ok(Self::Clip(path.map(PathBuf::from))),
            ("pattern", None) => Ok(Self::Pattern(None)),
            ("pattern", Some(own)) => parse_pattern(own).map(|own| Self::Pattern(Some(own))),
            _ if text.starts_with("/dev/video") || text.starts_with("/dev/v4l/") => {
                Err(SourceError::BareDevice(text.to_owned()))
            }
            _ if text.contains(['/', '.']) => Err(SourceError::BareFile(text.to_owned())),
            _ => Err(SourceError::Kind(text.to_owned())),
        }
    }
}

fn parse_pattern(text: &str) -> Result<Wanted, SourceError> {
    let wrong = || SourceError::Pattern(text.to_owned());
    let (size, rate) = text.split_once('@').ok_or_else(wrong)?;
    let (width, height) = size.split_once('x').ok_or_else(wrong)?;
    let (num, den) = rate.split_once('/').unwrap_or((rate, "1"));
    let [width, height, num, den] = [width, height, num, den].map(parse_number);
    let (Some(width), Some(height), Some(num), Some(den)) = (width, height, num, den) else { return Err(wrong()) };
    let size = Size::new(width, height)
        .filter(|size| size.width() >= Pattern::SMALLEST.width() && size.height() >= Pattern::SMALLEST.height())
        .ok_or(SourceError::Size { width, height })?;
    let rate = FrameRate::new(num, den)
        .filter(|rate| (1.0..=60.0).contains(&rate.as_f32()))
        .ok_or_else(|| SourceError::Rate(rate.to_owned()))?;
    Ok(Wanted { size, rate })
}

/// Digits only: `u32::from_str` would take a plus sign.
fn parse_number(text: &str) -> Option<u32> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::V4l2(None) => f.write_str("v4l2"),
            Self::V4l2(Some(path)) => write!(f, "v4l2:{}", path.display()),
            Self::Clip(None) => f.write_str("clip"),
            Self::Clip(Some(path)) => write!(f, "clip:{}", path.display()),
            Self::Pattern(None) => f.write_str("pattern"),
            Self::Pattern(Some(Wanted { size, rate })) if rate.den() == 1 => write!(f, "pattern:{size}@{}", rate.num()),
            Self::Pattern(Some(Wanted { size, rate })) => write!(f, "pattern:{size}@{}/{}", rate.num(), rate.den()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_reads_and_writes_the_same() {
        for text in [
            "v4l2",
            "v4l2:/dev/video2",
            "v4l2:/dev/v4l/by-path/pci-0000:00:14.0-usb-0:1:1.0-video-index0",
            "clip",
            "clip:door.264",
            "clip:a:b.y4m",
            "pattern",
            "pattern:1280x720@30",
            "pattern:640x360@30000/1001",
        ] {
            let source: Source = text.parse().unwrap();
            assert_eq!(source.to_string(), text);
        }
    }

    #[test]
    fn what_is_no_source_is_told_what_would_be_one() {
        let all = "write v4l2, v4l2:DEVICE, clip, clip:FILE, pattern or pattern:WIDTHxHEIGHT@FPS";
        for (text, message) in [
            ("", format!("'' is not a source: {all}")),
            ("webcam", format!("'webcam' is not a source: {all}")),
            ("V4L2", format!("'V4L2' is not a source: {all}")),
            ("/dev/video0", "'/dev/video0' is not a source: did you mean v4l2:/dev/video0?".into()),
            ("door.264", "'door.264' is not a source: did you mean clip:door.264?".into()),
            ("v4l2:", "'v4l2:' names nothing: leave the colon out or write something after it".into()),
            ("clip:", "'clip:' names nothing: leave the colon out or write something after it".into()),
            ("pattern:", "'pattern:' names nothing: leave the colon out or write something after it".into()),
            ("pattern:720p", "pattern '720p' is not WIDTHxHEIGHT@FPS, such as 1280x720@30".into()),
            ("pattern:1280x720", "pattern '1280x720' is not WIDTHxHEIGHT@FPS, such as 1280x720@30".into()),
            ("pattern:-1x720@30", "pattern '-1x720@30' is not WIDTHxHEIGHT@FPS, such as 1280x720@30".into()),
            ("pattern:+640x480@30", "pattern '+640x480@30' is not WIDTHxHEIGHT@FPS, such as 1280x720@30".into()),
            ("pattern:x@", "pattern 'x@' is not WIDTHxHEIGHT@FPS, such as 1280x720@30".into()),
            ("pattern:0x720@30", "pattern size 0x720 is not from 128x96 to 8192x8192".into()),
            ("pattern:64x64@30", "pattern size 64x64 is not from 128x96 to 8192x8192".into()),
            ("pattern:9000x720@30", "pattern size 9000x720 is not from 128x96 to 8192x8192".into()),
            ("pattern:640x480@0", "pattern rate 0 is not from 1 to 60 frames a second".into()),
            ("pattern:640x480@61", "pattern rate 61 is not from 1 to 60 frames a second".into()),
            ("pattern:640x480@30/0", "pattern rate 30/0 is not from 1 to 60 frames a second".into()),
        ] {
            let error = text.parse::<Source>().unwrap_err();
            assert_eq!(error.to_string(), message, "for '{text}'");
        }
    }
}
