//! AV1 (AV1 Bitstream & Decoding Process Specification): its bytes, encoded by libaom or rav1e and decoded by rav1d.

#[cfg(feature = "aom")]
pub mod aom;
#[cfg(feature = "av1")]
pub mod avif;
pub mod obu;
#[cfg(feature = "av1")]
pub mod rav1d;
#[cfg(feature = "av1")]
pub mod rav1e;

use crate::bits::BitReader;
use obu::{ObuError, ObuKind, Sequence, obus};

/// What a temporal unit says about itself, without decoding it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Facts {
    /// The sequence header in it with the largest pictures.
    pub sequence: Option<Sequence>,
    /// Whether its first frame is a key frame.
    pub key_frame: bool,
    /// Frames in it, shown or not.
    pub frames: usize,
    /// The first damage in it.
    pub damage: Option<ObuError>,
}

impl Facts {
    /// Whether decoding can start here: a key frame with its sequence header.
    pub fn is_keyframe(&self) -> bool {
        self.key_frame && self.sequence.is_some()
    }
}

/// Reads what a temporal unit in low-overhead format says about itself.
pub fn facts(unit: &[u8]) -> Facts {
    let mut facts = Facts::default();
    for obu in obus(unit) {
        let obu = match obu {
            Ok(obu) => obu,
            Err(error) => {
                facts.damage = facts.damage.or(Some(error));
                break;
            }
        };
        match obu.kind {
            ObuKind::Sequence => match Sequence::parse(obu.payload) {
                Ok(sequence) if facts.sequence.is_none_or(|known| known.size.pixels() < sequence.size.pixels()) => {
                    facts.sequence = Some(sequence);
                }
                Ok(_) => {}
                Err(error) => facts.damage = facts.damage.or(Some(error)),
            },
            ObuKind::Frame | ObuKind::FrameHeader => {
                if facts.frames == 0 {
                    let reduced = facts.sequence.is_some_and(|sequence| sequence.reduced);
                    facts.key_frame = reduced || begins_key_frame(obu.payload);
                }
                facts.frames += 1;
            }
            _ => {}
        }
    }
    facts
}

/// Whether a frame header is that of a key frame (AV1 specification §5.9.2).
fn begins_key_frame(header: &[u8]) -> bool {
    const KEY_FRAME: u32 = 0;
    let mut bits = BitReader::new(header);
    let shows_existing = bits.bit().unwrap_or(true);
    !shows_existing && bits.bits(2) == Ok(KEY_FRAME)
}

#[cfg(test)]
#[cfg(feature = "av1")]
mod tests;
