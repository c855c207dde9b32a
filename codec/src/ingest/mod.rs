//! Access units that somebody else coded: from the bytes of a device, a network or a file to [`AccessUnit`]s.
//!
//! A camera with an encoder of its own, a hardware encoder, an RTSP server or an MP4 file gives coded video in one of a
//! few [`Framing`]s. An [`Ingest`] makes units of it that keep what [`AccessUnit`] promises: H.264 as Annex B with its
//! parameter sets in front of each keyframe, also where the source sends them once; AV1 as low-overhead OBUs with the
//! sequence header in front of each keyframe; nothing before the first keyframe, nothing after damage up to the next.
//!
//! Only what shows a picture is kept. Delimiters and filler say nothing, and supplemental messages (SEI, metadata) go
//! because some devices write serial numbers or places into them and no viewer here needs one.
//!
//! The bytes are not trusted: what is damaged is counted in [`Drops`], what can never be shown here is [`Refused`].

mod av1;
mod avcc;
mod facts;
mod h264;
mod joiner;
mod order;
mod outlet;
mod sets;
#[cfg(test)]
mod tests;

pub use avcc::{AvcConfig, AvcConfigError};
pub use facts::{Drops, Facts, Missing, Refused, Reorder};

use crate::access_unit::AccessUnit;
use crate::units::MediaTime;
use av1::Av1;
use h264::H264;
use outlet::Outlet;

/// Largest access unit, in bytes: what one sealed object has room for.
pub const MAX_UNIT: usize = (8 << 20) - 1024;

/// Pictures without a keyframe after which a source is believed to have none.
pub const PATIENCE: u64 = 600;

/// How coded bytes come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Framing {
    /// H.264 byte stream (ITU-T H.264 annex B); each buffer holds whole access units, as V4L2 and UVC cameras and V4L2
    /// encoders give them.
    AnnexB,
    /// H.264 byte stream cut anywhere, as a pipe or a socket gives it. A unit comes out when the next one begins.
    AnnexBAnywhere,
    /// H.264 NAL units each behind its length (ISO/IEC 14496-15), whole access units in a buffer, as MP4 files and RTSP
    /// clients have them.
    LengthPrefixed {
        /// Bytes of a length: 1, 2 or 4; anything else is taken for 4.
        bytes: u8,
    },
    /// AV1 OBUs with their sizes (AV1 specification §5, "low-overhead"); each buffer holds whole temporal units.
    LowOverhead,
}

/// Makes access units of coded bytes from outside.
///
/// [`handle_buffer`](Ingest::handle_buffer) with each buffer, then [`poll_unit`](Ingest::poll_unit) until it is empty.
#[derive(Debug)]
pub struct Ingest {
    stream: Stream,
    out: Outlet,
    refused: Option<Refused>,
}

#[derive(Debug)]
enum Stream {
    H264(Box<H264>),
    Av1(Av1),
}

impl Ingest {
    /// For bytes that come in this framing.
    pub fn new(framing: Framing) -> Self {
        let stream = match framing {
            Framing::LowOverhead => Stream::Av1(Av1::default()),
            framing => Stream::H264(Box::new(H264::new(framing))),
        };
        Self { stream, out: Outlet::default(), refused: None }
    }

    /// For the samples of an MP4 file or an RTSP client whose `avcC` record this is.
    pub fn of_avcc(config: &AvcConfig<'_>) -> Self {
        let mut ingest = Self::new(config.framing());
        for set in config.parameter_sets() {
            ingest.handle_parameter_set(set);
        }
        ingest
    }

    /// Takes a parameter set that comes beside the stream: an H.264 NAL unit without a start code, as the
    /// `sprop-parameter-sets` of SDP give once they are decoded (RFC 6184 §8.1), or an AV1 sequence header OBU with its
    /// size. Anything else is counted as damaged.
    pub fn handle_parameter_set(&mut self, unit: &[u8]) {
        let taken = match &mut self.stream {
            Stream::H264(h264) => h264.take_set(unit),
            Stream::Av1(av1) => av1.take_set(unit),
        };
        self.out.drops.damaged += u64::from(!taken);
    }

    /// Takes the next bytes, captured at `at`. Units that would not be later than the one before are moved on by a tick.
    ///
    /// # Errors
    /// If the source cannot be used; the units before are still there, and every later call says the same.
    pub fn handle_buffer(&mut self, buffer: &[u8], at: MediaTime) -> Result<(), Refused> {
        self.step(|stream, out| match stream {
            Stream::H264(h264) => h264.handle_buffer(buffer, at, out),
            Stream::Av1(av1) => av1.handle_buffer(buffer, at, out),
        })
    }

    /// The source is at its end: what was waiting for the beginning of a next unit comes out.
    ///
    /// # Errors
    /// As [`handle_buffer`](Ingest::handle_buffer).
    pub fn handle_end(&mut self) -> Result<(), Refused> {
        self.step(|stream, out| match stream {
            Stream::H264(h264) => h264.handle_end(out),
            Stream::Av1(_) => Ok(()),
        })
    }

    fn step(&mut self, step: impl FnOnce(&mut Stream, &mut Outlet) -> Result<(), Refused>) -> Result<(), Refused> {
        if let Some(refused) = self.refused {
            return Err(refused);
        }
        step(&mut self.stream, &mut self.out).inspect_err(|&refused| self.refused = Some(refused))
    }

    /// Something was lost before the next buffer: no unit comes out before the next keyframe.
    pub fn handle_loss(&mut self) {
        self.out.wait_for_keyframe();
    }

    /// Units that wait to be polled.
    pub fn units(&self) -> usize {
        self.out.units.len()
    }

    /// The next unit.
    pub fn poll_unit(&mut self) -> Option<AccessUnit> {
        self.out.units.pop_front()
    }

    /// What the last keyframe said of the pictures from it on; `None` before the first.
    pub fn facts(&self) -> Option<Facts> {
        self.out.facts
    }

    /// What was left out so far.
    pub fn drops(&self) -> Drops {
        self.out.drops
    }
}
