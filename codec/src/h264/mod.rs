//! H.264 (ITU-T H.264, ISO/IEC 14496-10): its bytes, and the encoder and decoder of openh264.

pub mod nal;
#[cfg(feature = "h264")]
pub mod openh264;
pub mod params;

use nal::{NalKind, nals};
use params::{ParamsError, Sps};

/// What an access unit says about itself, without decoding it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Facts {
    /// The sequence parameter set in it that codes the most samples.
    pub sps: Option<Sps>,
    /// Whether there is a picture parameter set in it.
    pub pps: bool,
    /// Whether a slice of an IDR picture is in it.
    pub idr: bool,
    /// Slices, data partitions counted each.
    pub slices: usize,
    /// The first sequence parameter set in it that could not be parsed.
    pub bad_sps: Option<ParamsError>,
}

impl Facts {
    /// Whether decoding can start here: an IDR picture with its parameter sets.
    pub fn is_keyframe(&self) -> bool {
        self.idr && self.pps && self.sps.is_some()
    }
}

/// Reads what an Annex B access unit says about itself. Bytes that mean nothing are passed over.
pub fn facts(unit: &[u8]) -> Facts {
    let mut facts = Facts::default();
    for nal in nals(unit) {
        match nal.kind() {
            NalKind::Sps | NalKind::SubsetSps => match Sps::parse(nal.payload()) {
                Ok(sps) if facts.sps.is_none_or(|known| known.coded.pixels() < sps.coded.pixels()) => {
                    facts.sps = Some(sps);
                }
                Ok(_) => {}
                Err(error) => facts.bad_sps = facts.bad_sps.or(Some(error)),
            },
            NalKind::Pps => facts.pps = true,
            NalKind::IdrSlice => {
                facts.idr = true;
                facts.slices += 1;
            }
            NalKind::Slice | NalKind::Partition => facts.slices += 1,
            _ => {}
        }
    }
    facts
}
