//! Coded form of one frame.

use crate::units::{MediaTime, Size, TemporalLayer};
use bytes::Bytes;

/// How an access unit is coded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Codec {
    /// H.264 (ITU-T H.264) as an Annex B byte stream, parameter sets in band before each keyframe.
    H264,
    /// AV1 as the OBUs of one temporal unit in low-overhead format (AV1 specification §5), sequence header in band.
    Av1,
}

/// Whether decoding can start here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Needs nothing before it: an H.264 IDR with its parameter sets, an AV1 key frame with its sequence header.
    Keyframe,
    /// Needs the units before it.
    Delta,
}

/// Coded form of one frame; AV1 calls it a temporal unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessUnit {
    /// How it is coded.
    pub codec: Codec,
    /// Whether decoding can start here.
    pub kind: Kind,
    /// Which receivers need it.
    pub layer: TemporalLayer,
    /// Size of the picture it decodes to.
    pub size: Size,
    /// When the frame was captured, on the session's clock.
    pub at: MediaTime,
    /// The coded bytes.
    pub data: Bytes,
}

impl AccessUnit {
    /// Whether decoding can start here.
    pub fn is_keyframe(&self) -> bool {
        self.kind == Kind::Keyframe
    }
}
