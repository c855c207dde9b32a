//! Cameras on a network, by RTSP (RFC 2326): H.264 as they have coded it.
//!
//! The first input that comes over a network: every byte is a peer's. `retina` reads RTSP and RTP, `codec::ingest` makes
//! access units of what it gives, and nothing is decoded.

mod address;
mod client;
mod error;
mod stamp;

pub use address::{AddressError, RtspAddress};
pub use error::{RtspError, Step};

use super::coded::{Coded, CodedSensor};
use super::{Clock, Losses, SensorError, Wanted};
use client::{Arrived, LENGTH_BYTES, PATIENCE};
use doorframe_codec::ingest::{Framing, Ingest};
use doorframe_codec::units::{Bitrate, FrameRate, MediaTime, Size, Uptime};
use stamp::Stamps;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::oneshot;

/// A camera on a network that gives H.264 by RTSP, over TCP. Its access units come in order, and none is left out for a
/// late consumer: those after it could not be decoded.
///
/// It can be asked for nothing, neither for a keyframe nor for another bitrate: RTSP knows no such thing.
#[derive(Debug)]
pub struct RtspCamera {
    units: Units,
    name: String,
    size: Size,
    rate: FrameRate,
    /// The unit that told size and rate, until it is handed out.
    first: Option<Coded>,
}

/// What comes from the camera, as units.
#[derive(Debug)]
struct Units {
    link: Link,
    /// Where it is, without what is secret.
    address: String,
    ingest: Ingest,
    stamps: Stamps,
    clock: Clock,
    losses: Losses,
}

/// The thread that talks to the camera. Ends when dropped.
#[derive(Debug)]
struct Link {
    /// What came; `None` while it is dropped.
    arrived: Option<Receiver<Result<Arrived, RtspError>>>,
    /// Dropped to end the thread.
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    /// Why nothing comes any more.
    ended: Option<RtspError>,
}

/// Pictures that wait for a late consumer; more than that wait at the camera.
const WAITING: usize = 8;
/// The thread says itself that a camera is silent. Longer than it may take for that: three questions, and then silence.
const STUCK: Duration = Duration::from_secs(4 * PATIENCE.as_secs() + 5);
impl RtspCamera {
    /// Connects to the camera at `address` and waits for its first keyframe.
    ///
    /// # Errors
    /// What is wrong with it and what to do about it, after some seconds at most.
    pub fn open(address: &RtspAddress, clock: Clock) -> Result<Self, SensorError> {
        let mut units = Units::open(address, clock)?;
        let first = units.next()?;
        let size = first.unit.size;
        // What cameras usually do, for one that does not tell.
        let rate = units.ingest.facts().and_then(|facts| facts.rate).unwrap_or(Wanted::HD.rate);
        let name = format!("{}, H.264 {size} at {rate}", units.address);
        Ok(Self { units, name, size, rate, first: Some(first) })
    }
}

impl Units {
    fn open(address: &RtspAddress, clock: Clock) -> Result<Self, SensorError> {
        let link = Link::open(address.clone());
        let address = address.to_string();
        Ok(Self {
            link: link.map_err(|error| SensorError::Rtsp { camera: address.clone(), error })?,
            address,
            ingest: Ingest::new(Framing::LengthPrefixed { bytes: LENGTH_BYTES }),
            stamps: Stamps::default(),
            clock,
            losses: Losses::default(),
        })
    }

    fn next(&mut self) -> Result<Coded, SensorError> {
        loop {
            if let Some(unit) = self.ingest.poll_unit() {
                return Ok(Coded::of(unit));
            }
            self.fill()?;
        }
    }

    /// Takes in what comes next.
    fn fill(&mut self) -> Result<(), SensorError> {
        let arrived = self.link.wait().map_err(|error| SensorError::Rtsp { camera: self.address.clone(), error })?;
        let Arrived::Picture { data, lost, ticks, at } = arrived else {
            self.losses.damaged += 1;
            self.ingest.handle_loss();
            return Ok(());
        };
        if lost > 0 {
            self.losses.missing += u64::from(lost);
            self.ingest.handle_loss();
        }
        let stamp = self.stamps.judge(ticks, self.clock.at(at));
        self.losses.mistimed += u64::from(stamp.corrected);
        let at = MediaTime::from_duration(stamp.captured.since(Uptime::default()));
        let handled = self.ingest.handle_buffer(&data, at);
        handled.map_err(|refused| SensorError::Coded { from: self.address.clone(), refused })
    }
}

impl CodedSensor for RtspCamera {
    fn next(&mut self) -> Result<Coded, SensorError> {
        self.first.take().map_or_else(|| self.units.next(), Ok)
    }

    fn size(&self) -> Size {
        self.units.ingest.facts().map_or(self.size, |facts| facts.size)
    }

    fn rate(&self) -> FrameRate {
        self.rate
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn losses(&self) -> Losses {
        let (drops, losses) = (self.units.ingest.drops(), self.units.losses);
        let damaged = losses.damaged + drops.damaged + drops.oversized;
        Losses { damaged, skipped: drops.early, ..losses }
    }

    fn want_keyframe(&mut self) -> bool {
        false
    }

    fn set_bitrate(&mut self, _bitrate: Bitrate) -> bool {
        false
    }
}

impl Link {
    fn open(address: RtspAddress) -> Result<Self, RtspError> {
        let (send, arrived) = sync_channel(WAITING);
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::Builder::new()
            .name("rtsp".into())
            .spawn(move || client::run(&address, &send, stopped))
            .map_err(|error| RtspError::System(error.to_string()))?;
        Ok(Self { arrived: Some(arrived), stop: Some(stop), thread: Some(thread), ended: None })
    }

    /// Waits for what comes next; not for ever, whatever the camera and the thread do.
    fn wait(&mut self) -> Result<Arrived, RtspError> {
        if let Some(error) = &self.ended {
            return Err(error.clone());
        }
        let arrived = match self.arrived.as_ref().map(|arrived| arrived.recv_timeout(STUCK)) {
            Some(Ok(arrived)) => arrived,
            Some(Err(RecvTimeoutError::Timeout)) => Err(RtspError::Silent(STUCK)),
            Some(Err(RecvTimeoutError::Disconnected)) | None => Err(RtspError::Panicked),
        };
        arrived.inspect_err(|error| self.ended = Some(error.clone()))
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        drop(self.arrived.take());
        drop(self.stop.take());
        // Half a second at most, for the last word to the camera. A panic was told by the channel.
        let _panicked = self.thread.take().map(JoinHandle::join);
    }
}
