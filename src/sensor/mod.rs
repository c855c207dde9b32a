//! Where frames come from: a V4L2 camera, a camera on a network, a clip, or a test pattern.
//!
//! A [`Source`] is what a person writes (`v4l2:/dev/video0`, `rtsp://HOST/PATH`, `clip:FILE`, `pattern:1280x720@30`);
//! [`open()`] makes a [`Sensor`] of it, which gives frames, or [`open_coded()`] a [`CodedSensor`], which gives access units
//! that the source itself has coded. Every sensor behaves like a camera: it has its own rate, it never waits for a slow consumer,
//! and it never hands out old frames in a burst.

mod clip;
mod clock;
mod coded;
mod counter;
mod error;
mod pace;
mod pattern;
#[cfg(feature = "rtsp")]
pub mod rtsp;
mod source;
#[cfg(target_os = "linux")]
pub mod v4l2;

pub use clip::{BUILT_IN, Clip, CodedClip};
pub use clock::Clock;
pub use coded::{Coded, CodedSensor, open_coded};
pub use counter::{draw_counter, read_counter};
pub use error::SensorError;
pub use pattern::Pattern;
pub use source::{Source, SourceError};

use doorframe_codec::Frame;
use doorframe_codec::frame::{Format, FrameError, Plane};
use doorframe_codec::units::{Color, FrameRate, Size, Uptime};

/// A source of frames that lends them one at a time, so that nothing needs to be copied.
pub trait Sensor: Send {
    /// Waits for the next frame and lends it. Its buffer goes back to the sensor at the next call.
    ///
    /// A consumer that is late gets the newest frame; those in between are counted in [`Sensor::losses`].
    /// Capture times grow from frame to frame.
    ///
    /// # Errors
    /// What went wrong, in a sentence for a person. [`SensorError::is_final`] says whether to open it again.
    fn next(&mut self) -> Result<Frame<'_>, SensorError>;

    /// Size of the frames it lends; both sides even.
    fn size(&self) -> Size;

    /// Rate it was opened with. The true rate of a camera may be lower, in the dark for instance.
    fn rate(&self) -> FrameRate;

    /// What it is, for a person.
    fn name(&self) -> &str;

    /// Frames that were lost so far, by reason.
    fn losses(&self) -> Losses;
}

/// Frames lost on the way from a sensor, by reason. Counts only ever go up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Losses {
    /// Passed over because the consumer came late.
    pub skipped: u64,
    /// Marked bad by the driver, cut short, or not decodable.
    pub damaged: u64,
    /// Missing in the count of the driver, or of the packets of a camera on a network: lost on the cable or in the
    /// camera.
    pub missing: u64,
    /// Handed out with a corrected capture time, because the driver's, or the camera's, did not grow or could not be.
    pub mistimed: u64,
    /// Times the stream stood still and was started again.
    pub restarts: u64,
}

/// The size and rate to ask a source for. A source that has them not comes as near as it can.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Size of the frames.
    pub size: Size,
    /// Frames a second.
    pub rate: FrameRate,
}

impl Wanted {
    /// 1280x720 at 30 frames a second.
    pub const HD: Self = {
        let (Some(size), Some(rate)) = (Size::new(1280, 720), FrameRate::whole(30)) else { unreachable!() };
        Self { size, rate }
    };
}

impl Default for Wanted {
    fn default() -> Self {
        Self::HD
    }
}

/// Where a clip that somebody else made is decoded.
#[derive(Clone, Debug, Default)]
pub enum Decoding {
    /// In this process: for clips that are known.
    #[default]
    Here,
    /// In a process of its own that can do nothing else. The program must know the part
    /// ([`sandbox::serve`](doorframe_codec::sandbox::serve)), as `doorframe` does.
    #[cfg(target_os = "linux")]
    Apart(doorframe_codec::sandbox::Program),
}

/// Opens `source` for frames. A clip has its own size and rate; a pattern that names its own keeps them.
///
/// Capture times of its frames are on `clock`. A clip from a file is decoded where `decoding` says.
///
/// # Errors
/// What is wrong with the source and what to do about it.
pub fn open(
    source: &Source,
    wanted: Wanted,
    clock: Clock,
    decoding: &Decoding,
) -> Result<Box<dyn Sensor>, SensorError> {
    Ok(match source {
        #[cfg(target_os = "linux")]
        Source::V4l2(Some(path)) => Box::new(v4l2::Camera::open(path, wanted, clock)?),
        #[cfg(target_os = "linux")]
        Source::V4l2(None) => Box::new(v4l2::Camera::open_first(wanted, clock)?),
        #[cfg(not(target_os = "linux"))]
        Source::V4l2(_) => return Err(SensorError::NotThisSystem),
        #[cfg(feature = "rtsp")]
        Source::Rtsp(_) => return Err(SensorError::NoFrames(source.to_string())),
        Source::Clip(Some(path)) => Box::new(Clip::open(path, clock, decoding)?),
        Source::Clip(None) => Box::new(Clip::built_in(clock)?),
        Source::Pattern(own) => Box::new(Pattern::new(own.unwrap_or(wanted), clock)?),
    })
}

/// The largest size within `size` whose sides are even, as 4:2:0 encoders need; `None` if a side is 1.
const fn even(size: Size) -> Option<Size> {
    Size::new(size.width() & !1, size.height() & !1)
}

/// I420 samples without padding as a frame, without its last column or row where a side is odd.
fn lend(size: Size, color: Color, samples: &[u8], captured: Uptime) -> Result<Frame<'_>, FrameError> {
    let (stride, chroma_stride) = (size.width() as usize, size.chroma_width() as usize);
    let (y, chroma) = samples.split_at_checked(size.pixels()).unwrap_or_default();
    let (u, v) = chroma.split_at(chroma.len() / 2);
    let planes =
        [Plane { data: y, stride }, Plane { data: u, stride: chroma_stride }, Plane { data: v, stride: chroma_stride }];
    Frame::new(Format::I420, even(size).unwrap_or(size), color, captured, &planes)
}
