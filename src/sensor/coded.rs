//! Sources whose pictures come coded.

use super::{Clock, Losses, SensorError, Source, Wanted, clip};
use doorframe_codec::AccessUnit;
use doorframe_codec::units::{Bitrate, FrameRate, Size, Uptime};

/// An access unit as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coded {
    /// The unit; its time is not yet on a session's clock.
    pub unit: AccessUnit,
    /// When its picture was captured.
    pub captured: Uptime,
}

impl Coded {
    /// A unit whose time counts from the zero of our clock.
    pub(super) fn of(unit: AccessUnit) -> Self {
        let micros = unit.at.as_duration().as_micros();
        Self { captured: Uptime::from_micros(u64::try_from(micros).unwrap_or(u64::MAX)), unit }
    }
}

/// A source of access units that somebody else coded: a camera with an encoder of its own, or a clip as it is.
///
/// The first unit is a keyframe, and whatever comes can be decoded from what came before it.
pub trait CodedSensor: Send {
    /// Waits for the next unit. Capture times grow from unit to unit. None is left out for a consumer that is late:
    /// those after it could not be decoded.
    ///
    /// # Errors
    /// What went wrong, in a sentence for a person. [`SensorError::is_final`] says whether to open it again.
    fn next(&mut self) -> Result<Coded, SensorError>;

    /// Size of the pictures.
    fn size(&self) -> Size;

    /// Rate it was opened with, or that the stream states.
    fn rate(&self) -> FrameRate;

    /// What it is, for a person.
    fn name(&self) -> &str;

    /// What was lost so far, by reason. Units in front of the first keyframe are `skipped`.
    fn losses(&self) -> Losses;

    /// Asks for a keyframe soon. Whether the source can be asked.
    fn want_keyframe(&mut self) -> bool;

    /// Asks for another bitrate. Whether the source can be asked.
    fn set_bitrate(&mut self, bitrate: Bitrate) -> bool;
}

/// Opens `source` for what is coded in it: a camera's own H.264, or a clip of H.264 or AV1. A camera on a network is
/// waited for until its first keyframe.
///
/// # Errors
/// What is wrong with the source and what to do about it; [`SensorError::NotCoded`] if it gives frames alone.
pub fn open_coded(source: &Source, wanted: Wanted, clock: Clock) -> Result<Box<dyn CodedSensor>, SensorError> {
    Ok(match source {
        #[cfg(target_os = "linux")]
        Source::V4l2(Some(path)) => Box::new(super::v4l2::CodedCamera::open(path, wanted, clock)?),
        #[cfg(target_os = "linux")]
        Source::V4l2(None) => {
            let devices = super::v4l2::list();
            let coded = devices.iter().find(|device| device.modes.iter().any(|mode| mode.fourcc.is_h264()));
            let none = || SensorError::NoCamera("none has an encoder of its own".to_owned());
            Box::new(super::v4l2::CodedCamera::open(&coded.ok_or_else(none)?.path, wanted, clock)?)
        }
        #[cfg(not(target_os = "linux"))]
        Source::V4l2(_) => return Err(SensorError::NotThisSystem),
        #[cfg(feature = "rtsp")]
        Source::Rtsp(address) => Box::new(super::rtsp::RtspCamera::open(address, clock)?),
        Source::Clip(path) => Box::new(clip::CodedClip::open(path.as_deref(), clock)?),
        Source::Pattern(_) => {
            let (from, gives) = (source.to_string(), "frames".to_owned());
            return Err(SensorError::NotCoded { from, gives });
        }
    })
}
