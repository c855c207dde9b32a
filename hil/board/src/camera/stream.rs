//! A stream that runs: frames when they are due, cut into payloads (UVC 1.1 §2.4.3.3).

use super::descriptors::CLOCK_HZ;
use crate::coder::{Coder, Light};
use crate::config::{Frames, Mode};
use crate::fault::What;
use std::time::Duration;

/// Bytes of a payload header with both time stamps.
pub(super) const HEADER: usize = 12;
/// How late a frame may be before those in between are skipped.
const LATE: Duration = Duration::from_millis(200);

#[derive(Debug)]
pub(super) struct Stream {
    coder: Coder,
    interval: Duration,
    /// When the next frame begins.
    due: Duration,
    /// Changes with each frame.
    frame_id: u8,
    /// What is wrong with the next frame, once that is known.
    prepared: bool,
    spoilt: Spoilt,
    sending: Option<Sending>,
    /// What is added to the device clock.
    jump: i64,
}

/// A frame on its way.
#[derive(Debug)]
struct Sending {
    bytes: Vec<u8>,
    sent: usize,
    payloads: u32,
    began: Duration,
    spoilt: Spoilt,
}

/// What is wrong with a frame.
#[derive(Debug, Default)]
struct Spoilt {
    error_bit: Option<()>,
    header: Option<u8>,
    short: Option<()>,
    eof_missing: Option<()>,
    lossy: Option<()>,
    cut: Option<(Cut, usize)>,
    /// Where these faults were noted.
    places: Vec<usize>,
}

/// What ends a frame before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// The endpoint halts.
    Stall,
    /// The board leaves the bus.
    Unplug(What),
}

/// What comes next.
#[derive(Debug)]
pub(super) enum Next {
    /// A payload.
    Payload {
        /// Header and data.
        bytes: Vec<u8>,
        /// Whether the bus loses it.
        lost: bool,
    },
    /// Nothing until then.
    Wait(Option<Duration>),
    /// The frame is cut; where that fault was noted.
    Cut(Cut, usize),
}

impl Stream {
    pub(super) fn new(mode: &Mode, frames: &Frames, now: Duration, interval: Duration) -> Self {
        Self {
            coder: Coder::new(mode, frames),
            interval,
            due: now,
            frame_id: 0,
            prepared: false,
            spoilt: Spoilt::default(),
            sending: None,
            jump: 0,
        }
    }

    pub(super) fn due(&self) -> Duration {
        self.due
    }

    pub(super) fn is_sending(&self) -> bool {
        self.sending.is_some()
    }

    pub(super) fn is_prepared(&self) -> bool {
        self.prepared
    }

    /// Leaves out the frames that are too late; how many.
    pub(super) fn skip(&mut self, now: Duration) -> u32 {
        let late = now.saturating_sub(self.due);
        if late < LATE {
            return 0;
        }
        let skipped = u32::try_from(late.as_nanos() / self.interval.as_nanos().max(1)).unwrap_or(u32::MAX);
        self.due += self.interval.saturating_mul(skipped);
        skipped
    }

    /// Does `what` to the next frame. `byte` decides what it leaves open.
    pub(super) fn spoil(&mut self, what: What, place: usize, byte: u8) {
        let spoilt = &mut self.spoilt;
        match what {
            What::Unplug | What::BrownOut { .. } => {
                spoilt.cut = Some((Cut::Unplug(what), place));
                return;
            }
            What::Stall => {
                spoilt.cut = Some((Cut::Stall, place));
                return;
            }
            What::ErrorBit => spoilt.error_bit = Some(()),
            What::BadHeader => spoilt.header = [0, 1, 200].get(usize::from(byte % 3)).copied(),
            What::ShortFrame => spoilt.short = Some(()),
            What::MissingEof => spoilt.eof_missing = Some(()),
            What::IsoErrors => spoilt.lossy = Some(()),
            What::Freeze { ms } | What::SlowStart { ms } => self.due += Duration::from_millis(ms.into()),
            What::ClockJump { ms } => self.jump += i64::from(ms) * i64::from(CLOCK_HZ / 1000),
        }
        spoilt.places.push(place);
    }

    /// All that is wrong with the next frame is known.
    pub(super) fn handle_prepared(&mut self) {
        self.prepared = true;
    }

    /// Frame `number` begins.
    pub(super) fn begin(&mut self, now: Duration, number: u32, light: Light, brightness: i16) {
        let mut bytes = self.coder.frame(number, light, brightness);
        let spoilt = std::mem::take(&mut self.spoilt);
        if spoilt.short.is_some() || spoilt.cut.is_some() {
            bytes.truncate(bytes.len() / 2);
        }
        self.prepared = false;
        self.frame_id ^= 1;
        self.due += self.interval;
        self.sending = Some(Sending { bytes, sent: 0, payloads: 0, began: now, spoilt });
    }

    /// The next payload of the frame that is on its way, and the faults of it if it was the last.
    pub(super) fn poll_payload(&mut self, now: Duration, room: usize) -> (Next, Option<Vec<usize>>) {
        let clock = |at| self.clock(at);
        let Some(sending) = &self.sending else { return (Next::Wait(Some(self.due)), None) };
        let left = sending.bytes.get(sending.sent..).unwrap_or_default();
        if let Some((cut, place)) = sending.spoilt.cut.filter(|_| left.is_empty()) {
            self.sending = None;
            return (Next::Cut(cut, place), None);
        }
        let data = left.get(..room.saturating_sub(HEADER)).unwrap_or(left);
        let spoilt = &sending.spoilt;
        let last = data.len() == left.len() && spoilt.cut.is_none();
        let mut flags = 0x80 | 0x08 | 0x04 | self.frame_id;
        flags |= if last && spoilt.eof_missing.is_none() { 0x02 } else { 0 };
        flags |= if spoilt.error_bit.is_some() { 0x40 } else { 0 };
        // One start of frame a millisecond.
        let tick = (now.as_millis() & 0x7ff) as u16;
        let mut bytes = Vec::with_capacity(HEADER + data.len());
        bytes.extend([spoilt.header.unwrap_or(HEADER as u8), flags]);
        bytes.extend(clock(sending.began).to_le_bytes());
        bytes.extend(clock(now).to_le_bytes());
        bytes.extend(tick.to_le_bytes());
        bytes.extend_from_slice(data);
        let lost = spoilt.lossy.is_some() && sending.payloads % 2 == 1;
        let sent = data.len();
        let ended = self.sending.as_mut().and_then(|sending| {
            sending.sent += sent;
            sending.payloads += 1;
            last.then(|| std::mem::take(&mut sending.spoilt.places))
        });
        if last {
            self.sending = None;
        }
        (Next::Payload { bytes, lost }, ended)
    }

    /// The device clock, which wraps.
    fn clock(&self, at: Duration) -> u32 {
        let ticks = at.as_nanos() * u128::from(CLOCK_HZ) / 1_000_000_000;
        (ticks as i64).wrapping_add(self.jump) as u32
    }
}
