//! A camera that has an encoder of its own.

use super::ioctl::{self, Control};
use super::stream::{self, Stream};
use super::{FourCc, modes, no_coded_format, trouble};
use crate::sensor::coded::{Coded, CodedSensor};
use crate::sensor::{Clock, Losses, SensorError, Wanted, even};
use doorframe_codec::ingest::{Framing, Ingest};
use doorframe_codec::units::{Bitrate, FrameRate, MediaTime, Size, Uptime};
use std::path::Path;

/// A V4L2 camera that gives H.264, such as UVC cameras with the fourcc `H264`. Its access units come in order and none is
/// left out for a late consumer: those after it could not be decoded.
#[derive(Debug)]
pub struct CodedCamera {
    stream: Stream,
    size: Size,
    rate: FrameRate,
    ingest: Ingest,
    /// Buffers lost up to the unit handed out last.
    lost: u64,
}

impl CodedCamera {
    /// Opens the camera at `path` and starts its stream. Asks it for keyframes every two seconds, and for none of the
    /// pictures between that come in another order than they are shown in.
    ///
    /// # Errors
    /// What is wrong with it and what to do about it.
    pub fn open(path: &Path, wanted: Wanted, clock: Clock) -> Result<Self, SensorError> {
        let (device, name) = stream::open(path, clock)?;
        let modes = super::modes(&device, wanted);
        let (mode, rate) = modes::choose_coded(&modes, wanted).ok_or_else(|| no_coded_format(path, &modes))?;
        let pix = stream::set_format(&device, mode).map_err(|failed| trouble(&name, path, failed))?;
        let fourcc = FourCc(pix.fourcc.to_le_bytes());
        let size = Size::new(pix.width, pix.height).and_then(even).filter(|_| fourcc.is_h264());
        let size = size.ok_or_else(|| no_coded_format(path, &modes))?;
        let rate = stream::set_rate(&device, rate);
        let group = i32::try_from(rate.num() * 2 / rate.den()).unwrap_or(i32::MAX).max(1);
        for (control, value) in [(Control::B_FRAMES, 0), (Control::GROUP, group), (Control::REPEAT_SETS, 1)] {
            // Few cameras have all of them; what one does instead shows in its units.
            if let Err(failed) = ioctl::set(&device, control, value) {
                tracing::debug!(?control, error = %failed.error, "camera without this control");
            }
        }
        let name = format!("{name}, {fourcc} {size} at {rate}");
        let stream = Stream::start(device, path, name, clock)?;
        Ok(Self { stream, size, rate, ingest: Ingest::new(Framing::AnnexB), lost: 0 })
    }

    /// Takes the next buffer in.
    fn fill(&mut self) -> Result<(), SensorError> {
        let taken = self.stream.wait(|stream| stream.take(|data| !data.is_empty()))?;
        let losses = self.stream.losses;
        let lost = losses.damaged + losses.missing + losses.restarts;
        if lost > self.lost {
            self.lost = lost;
            self.ingest.handle_loss();
        }
        let at = MediaTime::from_duration(taken.stamp.captured.since(Uptime::default()));
        let handled = self.ingest.handle_buffer(self.stream.bytes(&taken), at);
        // A refusal shows again, with its reason, when the next buffer is taken.
        let _ = self.stream.give(taken.index);
        handled.map_err(|refused| SensorError::Coded { from: self.stream.name.clone(), refused })
    }
}

impl CodedSensor for CodedCamera {
    fn next(&mut self) -> Result<Coded, SensorError> {
        loop {
            if let Some(unit) = self.ingest.poll_unit() {
                return Ok(Coded::of(unit));
            }
            self.fill()?;
        }
    }

    fn size(&self) -> Size {
        self.ingest.facts().map_or(self.size, |facts| facts.size)
    }

    fn rate(&self) -> FrameRate {
        self.rate
    }

    fn name(&self) -> &str {
        &self.stream.name
    }

    fn losses(&self) -> Losses {
        let drops = self.ingest.drops();
        let damaged = self.stream.losses.damaged + drops.damaged + drops.oversized;
        Losses { damaged, skipped: drops.early, ..self.stream.losses }
    }

    fn want_keyframe(&mut self) -> bool {
        ioctl::set(&self.stream.device, Control::FORCE_KEYFRAME, 1).is_ok()
    }

    fn set_bitrate(&mut self, bitrate: Bitrate) -> bool {
        let bps = i32::try_from(bitrate.bps()).unwrap_or(i32::MAX);
        ioctl::set(&self.stream.device, Control::BITRATE, bps).is_ok()
    }
}
