//! Parameter sets that came so far: sources may send them once, viewers may come at any keyframe.

use crate::h264::nal::{Nal, NalKind};
use crate::h264::params::{ParamsError, Pps, Sps};
use std::collections::BTreeMap;

/// Largest parameter set that is kept, in bytes; one with every scaling list has some 800.
const MAX_SET: usize = 4096;

const START_CODE: [u8; 4] = [0, 0, 0, 1];

/// Appends `nal` to a byte stream.
pub(super) fn write(nal: &Nal<'_>, to: &mut Vec<u8>) {
    to.extend_from_slice(&START_CODE);
    to.push(nal.header());
    to.extend_from_slice(nal.payload());
}

/// The newest parameter set of each id: at most 32 and 256 of them.
#[derive(Debug, Default)]
pub(super) struct Sets {
    sps: BTreeMap<u8, (Sps, Vec<u8>)>,
    pps: BTreeMap<u8, PictureSet>,
}

#[derive(Debug)]
struct PictureSet {
    pps: Pps,
    bytes: Vec<u8>,
    /// Whether it went out as it is.
    sent: bool,
}

impl Sets {
    /// Keeps a parameter set, instead of the one that had its id.
    ///
    /// # Errors
    /// If it cannot be parsed, or is none.
    pub(super) fn take(&mut self, nal: &Nal<'_>) -> Result<(), ParamsError> {
        if nal.payload().len() > MAX_SET {
            return Err(ParamsError::Range("length"));
        }
        let mut bytes = Vec::new();
        write(nal, &mut bytes);
        match nal.kind() {
            NalKind::Sps => {
                let sps = Sps::parse(nal.payload())?;
                self.sps.insert(sps.id, (sps, bytes));
            }
            NalKind::Pps => {
                let pps = Pps::parse(nal.payload())?;
                if self.pps.get(&pps.id).is_none_or(|known| known.bytes != bytes) {
                    self.pps.insert(pps.id, PictureSet { pps, bytes, sent: false });
                }
            }
            _ => return Err(ParamsError::Range("kind")),
        }
        Ok(())
    }

    /// The sequence parameter set that picture parameter set `pps` belongs to, and its bytes.
    pub(super) fn sequence(&self, pps: u8) -> Option<(&Sps, &[u8])> {
        let sps = self.pps.get(&pps)?.pps.sps;
        self.sps.get(&sps).map(|(sps, bytes)| (sps, &bytes[..]))
    }

    /// Appends a sequence parameter set and every picture parameter set that belongs to it.
    pub(super) fn write_all(&mut self, sps: u8, to: &mut Vec<u8>) {
        if let Some((_, bytes)) = self.sps.get(&sps) {
            to.extend_from_slice(bytes);
        }
        for set in self.pps.values_mut().filter(|set| set.pps.sps == sps) {
            to.extend_from_slice(&set.bytes);
            set.sent = true;
        }
    }

    /// Appends the picture parameter sets of this sequence that changed since they went out.
    pub(super) fn write_changed(&mut self, sps: u8, to: &mut Vec<u8>) {
        for set in self.pps.values_mut().filter(|set| set.pps.sps == sps && !set.sent) {
            to.extend_from_slice(&set.bytes);
            set.sent = true;
        }
    }
}
