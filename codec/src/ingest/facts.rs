//! What is known of a source: its facts, what was left out, and why it is refused.

use crate::access_unit::Codec;
use crate::h264::params::{ParamsError, PictureOrder, Sps};
use crate::units::{Color, FrameRate, Size};
use thiserror::Error;

/// What a source says of its pictures in front of a keyframe. Pictures are progressive and 8-bit 4:2:0, or refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Facts {
    /// How they are coded.
    pub codec: Codec,
    /// Their size, after cropping.
    pub size: Size,
    /// H.264 `profile_idc` (66 Baseline, 77 Main, 100 High), AV1 `seq_profile` (0 Main).
    pub profile: u8,
    /// H.264 `level_idc` (31 is level 3.1), AV1 `seq_level_idx` (8 is level 4.0).
    pub level: u8,
    /// What samples mean, if the source says.
    pub color: Option<Color>,
    /// Frames a second, if the source says.
    pub rate: Option<FrameRate>,
    /// Whether pictures may come in another order than they are shown in.
    pub reorder: Reorder,
}

/// Whether pictures may come in another order than they are shown in. Those that do are refused when they come; a
/// decoder that cannot be sure of it may hold pictures back all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reorder {
    /// Never, by what the source says or by its profile.
    Never,
    /// By so many at most (`max_num_reorder_frames`, ITU-T H.264 §E.2.1).
    UpTo(u8),
    /// The source does not say.
    Unsaid,
}

/// `profile_idc` of the Baseline profile, which has no B slices.
const BASELINE: u8 = 66;
/// `constraint_set3_flag`: with profiles from High up, nothing but intra pictures.
const INTRA_ONLY: u8 = 0x10;
/// `profile_idc` of the High profile.
const HIGH: u8 = 100;

impl Reorder {
    /// Of a sequence parameter set; where it says nothing, by what its profile and picture order leave possible.
    pub(super) fn of(sps: &Sps) -> Self {
        match sps.reorder {
            Some(0) => Self::Never,
            Some(depth) => Self::UpTo(depth),
            None if sps.profile == BASELINE || sps.order == PictureOrder::AsSent => Self::Never,
            None if sps.profile == HIGH && sps.constraints & INTRA_ONLY != 0 => Self::Never,
            None => Self::Unsaid,
        }
    }
}

/// What was left out, by reason. Counts only ever go up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Drops {
    /// Units before the first keyframe, or after damage and before the next one.
    pub early: u64,
    /// Units, parameter sets or buffers that were damaged.
    pub damaged: u64,
    /// Units of more than [`MAX_UNIT`](super::MAX_UNIT) bytes.
    pub oversized: u64,
    /// NAL units or OBUs that show nothing: delimiters, filler, messages, layers of scalable streams.
    pub unshown: u64,
    /// Of these, messages that decoding can recover from here without a keyframe (intra refresh, open GOP).
    pub recovery_points: u64,
}

/// Why no unit of a source can be a keyframe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Missing {
    /// No picture stands alone.
    #[error("it sends none: set its keyframe interval to 2 s or less")]
    Keyframe,
    /// Pictures recover bit by bit (recovery point SEI, ITU-T H.264 §D.2.8).
    #[error(
        "it refreshes its pictures bit by bit: turn intra refresh off, and set its keyframe interval to 2 s or less"
    )]
    IntraRefresh,
    /// Keyframes come without what is needed to decode them.
    #[error("its keyframes come without parameter sets, and none came beside them")]
    Parameters,
    /// Parameter sets come, but are not understood.
    #[error("{0}")]
    Understanding(ParamsError),
}

/// Why a source cannot be used as it is. Says what would do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Refused {
    /// A profile that viewers cannot decode.
    #[error("H.264 profile {0} is not Baseline (66), Main (77) or High (100)")]
    H264Profile(u8),
    /// Other samples than 8-bit 4:2:0.
    #[error("pictures are not 8-bit 4:2:0")]
    Layout,
    /// Pictures made of two fields.
    #[error("pictures are interlaced: set the source to progressive")]
    Interlaced,
    /// A picture came that is shown before one that came earlier.
    #[error("pictures come in another order than they are shown in: turn B-frames off at the source")]
    Reorders {
        /// How many may be out of order, if the source says.
        depth: Option<u8>,
    },
    /// AV1 with more than one spatial layer.
    #[error("AV1 has spatial layers: one alone can be shown")]
    SpatialLayers,
    /// AV1 in the other framing (AV1 specification annex B).
    #[error("AV1 comes in length-delimited format (annex B): wants low-overhead OBUs (section 5)")]
    LengthDelimited,
    /// Many pictures and not one to begin with.
    #[error("no keyframe among {units} pictures: {why}")]
    NoKeyframe {
        /// Pictures that came.
        units: u64,
        /// What is missing.
        why: Missing,
    },
}
