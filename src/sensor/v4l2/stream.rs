//! Filled buffers of one open device, in order.

use super::ioctl::{
    self, Buffers, CAP_TIMEPERFRAME, FLAG_ERROR, FLAG_TIMESTAMP_MASK, FLAG_TIMESTAMP_MONOTONIC, Failed, Fraction,
    PRIV_MAGIC, PROGRESSIVE, PixFormat, StreamParameters,
};
use super::modes::Mode;
use super::stamp::{Stamp, Stamps};
use super::{capability, card, check_capability, open_node, trouble};
use crate::sensor::{Clock, Losses, SensorError};
use doorframe_codec::units::FrameRate;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A device that streams into mapped buffers. Stops when dropped.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) device: File,
    path: PathBuf,
    /// What it is, for a person.
    pub(super) name: String,
    buffers: Buffers,
    stamps: Stamps,
    clock: Clock,
    pub(super) losses: Losses,
}

/// A filled buffer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Taken {
    pub(super) index: u32,
    used: u32,
    pub(super) stamp: Stamp,
}

/// Buffers to ask for: one with the consumer, one being filled, and two for a late consumer.
pub(super) const BUFFERS: u32 = 4;
/// No camera takes longer to its first frame, nor between two in the dark.
const PATIENCE: Duration = Duration::from_secs(3);
/// A stream that gave a damaged frame and then nothing for so long has stalled.
const PATIENCE_AFTER_DAMAGE: Duration = Duration::from_secs(1);
/// How long udev may take to hand a fresh node to the group video.
const UDEV: Duration = Duration::from_millis(500);

/// Opens the node at `path` and gives it with its name, if it is a camera.
pub(super) fn open(path: &Path, clock: Clock) -> Result<(File, String), SensorError> {
    let deadline = clock.now() + UDEV;
    let device = loop {
        match open_node(path) {
            Err(SensorError::Permission(_)) if clock.now() < deadline => {
                clock.sleep_until(clock.now() + Duration::from_millis(50));
            }
            opened => break opened?,
        }
    };
    let capability = capability(&device, path)?;
    check_capability(&capability, path)?;
    let name = format!("{} at {}", card(&capability.card), path.display());
    Ok((device, name))
}

/// Sets format and size; what the driver made of it.
pub(super) fn set_format(device: &File, mode: &Mode) -> Result<PixFormat, Failed> {
    let mut format = ioctl::Format::capture(PixFormat {
        width: mode.size.width(),
        height: mode.size.height(),
        fourcc: u32::from_le_bytes(mode.fourcc.0),
        field: PROGRESSIVE,
        magic: PRIV_MAGIC,
        ..PixFormat::default()
    });
    ioctl::call(device, ioctl::S_FMT, &mut format)?;
    Ok(format.pix)
}

/// Asks for `rate`; what the driver will do, or `rate` itself if it does not tell.
pub(super) fn set_rate(device: &File, rate: FrameRate) -> FrameRate {
    let mut parameters = StreamParameters::capture(Fraction { num: rate.den(), den: rate.num() });
    let set = ioctl::call(device, ioctl::S_PARM, &mut parameters);
    let Fraction { num, den } = parameters.interval;
    match set {
        Ok(()) if parameters.capability & CAP_TIMEPERFRAME != 0 => FrameRate::new(den, num).unwrap_or(rate),
        _ => rate,
    }
}

impl Stream {
    /// Maps buffers of `device`, whose format is set, and starts it.
    pub(super) fn start(device: File, path: &Path, name: String, clock: Clock) -> Result<Self, SensorError> {
        let buffers = Buffers::new(&device, BUFFERS).map_err(|failed| trouble(&name, path, failed))?;
        let stamps = Stamps::new(ioctl::monotonic(), clock.now());
        let mut stream =
            Self { device, path: path.to_owned(), name, buffers, stamps, clock, losses: Losses::default() };
        stream.buffers.start(&stream.device).map_err(|failed| stream.trouble(failed))?;
        Ok(stream)
    }

    fn trouble(&self, failed: Failed) -> SensorError {
        trouble(&self.name, &self.path, failed)
    }

    /// Stops and starts the stream: what brings back a camera whose USB endpoint stalled.
    fn restart(&mut self) -> Result<(), SensorError> {
        self.losses.restarts += 1;
        self.buffers.stop(&self.device).map_err(|failed| self.trouble(failed))?;
        self.stamps.restart();
        self.buffers.start(&self.device).map_err(|failed| self.trouble(failed))
    }

    /// Waits until `take` finds something among the filled buffers. A stream that stalls is started again, once.
    pub(super) fn wait<T>(
        &mut self,
        mut take: impl FnMut(&mut Self) -> Result<Option<T>, Failed>,
    ) -> Result<T, SensorError> {
        let start = self.clock.now();
        let mut restarted = false;
        let mut deadline = start + PATIENCE;
        loop {
            let damaged = self.losses.damaged;
            let taken = take(self);
            if self.losses.damaged > damaged {
                deadline = deadline.min(self.clock.now() + PATIENCE_AFTER_DAMAGE);
            }
            match taken {
                Ok(Some(taken)) => return Ok(taken),
                Ok(None) => {
                    let left = deadline.since(self.clock.now());
                    if left > Duration::ZERO {
                        ioctl::wait(&self.device, left).map_err(|failed| self.trouble(failed))?;
                        continue;
                    }
                }
                // The driver gave up on the stream, not on the camera.
                Err(failed) if matches!(failed.code(), libc::EIO | libc::EINVAL | libc::EPIPE) => {}
                Err(failed) => return Err(self.trouble(failed)),
            }
            if restarted {
                return Err(SensorError::Silent { camera: self.name.clone(), after: self.clock.now().since(start) });
            }
            self.restart()?;
            restarted = true;
            deadline = self.clock.now() + PATIENCE;
        }
    }

    /// The oldest filled buffer whose bytes are good; `None` if there is none yet. Bad ones are counted and go back.
    pub(super) fn take(&mut self, is_good: impl Fn(&[u8]) -> bool) -> Result<Option<Taken>, Failed> {
        for _ in 0..BUFFERS {
            let Some(buffer) = self.buffers.take(&self.device)? else { break };
            let monotonic = buffer.flags & FLAG_TIMESTAMP_MASK == FLAG_TIMESTAMP_MONOTONIC;
            let stamped = since_boot(buffer.timestamp).filter(|_| monotonic);
            if buffer.flags & FLAG_ERROR != 0 || !is_good(self.buffers.bytes(buffer.index, buffer.used)) {
                self.losses.damaged += 1;
                self.buffers.give(&self.device, buffer.index)?;
                continue;
            }
            let stamp = self.stamps.judge(stamped, buffer.sequence, self.clock.now());
            self.losses.missing += u64::from(stamp.missing);
            self.losses.mistimed += u64::from(stamp.corrected);
            return Ok(Some(Taken { index: buffer.index, used: buffer.used, stamp }));
        }
        Ok(None)
    }

    /// Gives a buffer back to be filled.
    pub(super) fn give(&mut self, index: u32) -> Result<(), Failed> {
        self.buffers.give(&self.device, index)
    }

    /// What is in a buffer that was taken and not given back.
    pub(super) fn bytes(&self, taken: &Taken) -> &[u8] {
        self.buffers.bytes(taken.index, taken.used)
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        // Closing the device stops it as well; a camera that is gone cannot be stopped.
        let _ = self.buffers.stop(&self.device);
    }
}

fn since_boot(time: libc::timeval) -> Option<Duration> {
    let seconds = u64::try_from(time.tv_sec).ok()?;
    let micros = u32::try_from(time.tv_usec).ok().filter(|&micros| micros < 1_000_000)?;
    Some(Duration::new(seconds, micros * 1000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_that_cannot_be_is_none() {
        let time = |tv_sec, tv_usec| since_boot(libc::timeval { tv_sec, tv_usec });
        assert_eq!(time(1, 500_000), Some(Duration::from_millis(1500)));
        assert_eq!(time(-1, 0), None);
        assert_eq!(time(0, 1_000_000), None);
        assert_eq!(time(0, -1), None);
    }
}
