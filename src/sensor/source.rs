//! What a person writes to say where frames come from.

#[cfg(feature = "rtsp")]
use super::rtsp::{AddressError, RtspAddress};
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
/// | `rtsp://USER:PASSWORD@HOST:PORT/PATH` | a camera on a network, for the H.264 that it has coded (feature `rtsp`); user, password and port may be left out |
/// | `clip` | the built-in clip |
/// | `clip:FILE` | an H.264 Annex B, AV1 IVF, y4m or Motion JPEG file, again and again |
/// | `pattern` | the test pattern, as large and fast as is wanted |
/// | `pattern:1280x720@30` | the test pattern of this size and rate; `30000/1001` is a rate too |
///
/// It is shown without user names and passwords.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A camera of Linux, or the first that can be used.
    V4l2(Option<PathBuf>),
    /// A camera on a network.
    #[cfg(feature = "rtsp")]
    Rtsp(RtspAddress),
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
    #[error(
        "'{0}' is not a source: write v4l2, v4l2:DEVICE, rtsp://HOST/PATH, clip, clip:FILE, pattern or pattern:WIDTHxHEIGHT@FPS"
    )]
    Kind(String),
    /// Something like a URL, which may have a password in it, that is not one of RTSP.
    #[error("this is not a source: a camera on a network is written rtsp://USER:PASSWORD@HOST/PATH")]
    Url,
    /// An RTSP URL that is none.
    #[cfg(feature = "rtsp")]
    #[error("this is not a source: {0}; a camera on a network is written rtsp://USER:PASSWORD@HOST/PATH")]
    Address(#[from] AddressError),
    /// A kind that this program was built without.
    #[error(
        "a program built without the feature `{feature}` cannot use {kind}: build it with that, as it is by default"
    )]
    Feature {
        /// Which kind.
        kind: &'static str,
        /// What is missing.
        feature: &'static str,
    },
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

    /// Whether it gives nothing but coded video.
    pub fn is_coded(&self) -> bool {
        match self {
            #[cfg(feature = "rtsp")]
            Self::Rtsp(_) => true,
            Self::V4l2(_) | Self::Clip(_) | Self::Pattern(_) => false,
        }
    }
}

impl FromStr for Source {
    type Err = SourceError;

    /// An error has nothing in it of what may be a user name or a password.
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
            (kind, Some(_)) if kind.eq_ignore_ascii_case("rtsp") => parse_rtsp(text),
            (_, Some(rest)) if rest.starts_with("//") || rest.contains('@') => Err(SourceError::Url),
            _ if text.starts_with("/dev/video") || text.starts_with("/dev/v4l/") => {
                Err(SourceError::BareDevice(text.to_owned()))
            }
            _ if text.contains(['/', '.']) => Err(SourceError::BareFile(text.to_owned())),
            _ => Err(SourceError::Kind(text.to_owned())),
        }
    }
}

#[cfg(feature = "rtsp")]
fn parse_rtsp(text: &str) -> Result<Source, SourceError> {
    Ok(Source::Rtsp(text.parse()?))
}

#[cfg(not(feature = "rtsp"))]
fn parse_rtsp(_text: &str) -> Result<Source, SourceError> {
    Err(SourceError::Feature { kind: "rtsp://", feature: "rtsp" })
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
            #[cfg(feature = "rtsp")]
            Self::Rtsp(address) => write!(f, "{address}"),
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
        let all = "write v4l2, v4l2:DEVICE, rtsp://HOST/PATH, clip, clip:FILE, pattern or pattern:WIDTHxHEIGHT@FPS";
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
    #[test]
    fn a_password_is_in_no_word_about_a_source() {
        for text in [
            "rtsp:gate:hunter2@host/a",
            "rtsp:/gate:hunter2@host/a",
            "rtsp://gate:hunter2@host:port/a",
            "rtsps://gate:hunter2@host/a",
            "http://gate:hunter2@host/a",
            "gate:hunter2@host/a",
            "rtps://host/a?password=hunter2",
        ] {
            let error = text.parse::<Source>().unwrap_err();
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{text}: {error}");
            let way = if cfg!(feature = "rtsp") { "rtsp://USER:PASSWORD@HOST/PATH" } else { "rtsp" };
            assert!(error.to_string().contains(way), "{text}: {error}");
        }
    }

    #[test]
    #[cfg(feature = "rtsp")]
    fn a_camera_on_a_network_is_shown_without_its_password() {
        let source: Source = "rtsp://gate:hunter2@10.0.0.9:8554/stream1".parse().unwrap();
        assert_eq!(source.to_string(), "rtsp://10.0.0.9:8554/stream1");
        assert_eq!(format!("{source:?}"), "Rtsp(RtspAddress(rtsp://10.0.0.9:8554/stream1))");
        assert!(source.is_coded());
    }

    #[test]
    fn a_program_without_rtsp_says_which_feature_is_missing() {
        let error = SourceError::Feature { kind: "rtsp://", feature: "rtsp" };
        #[cfg(not(feature = "rtsp"))]
        assert_eq!("rtsp://gate:hunter2@host/a".parse::<Source>(), Err(error.clone()));
        let words =
            "a program built without the feature `rtsp` cannot use rtsp://: build it with that, as it is by default";
        assert_eq!(error.to_string(), words);
    }
}
