//! AV1 from outside.

use super::MAX_UNIT;
use super::facts::{Facts, Missing, Refused, Reorder};
use super::outlet::Outlet;
use crate::access_unit::Codec;
use crate::av1::obu::{self, Obu, ObuKind, Sequence, leb128};
use crate::bits::BitReader;
use crate::units::{MediaTime, TemporalLayer};

/// An AV1 source.
#[derive(Debug, Default)]
pub(super) struct Av1 {
    /// The newest sequence header, and its OBU.
    sequence: Option<(Sequence, Vec<u8>)>,
    /// The one that the frames since the last key frame are coded with.
    active: Option<Vec<u8>>,
    key_frame: bool,
}

/// `has_size_field` in the header of an OBU.
const HAS_SIZE: u8 = 2;
/// Largest sequence header that is kept, in bytes; the longest there can be has some 300.
const MAX_SEQUENCE: usize = 1024;

/// One OBU with the bytes it was parsed from.
type Sized<'a> = (Obu<'a>, &'a [u8]);

impl Av1 {
    /// Keeps a sequence header; whether it is one.
    pub(super) fn take_set(&mut self, unit: &[u8]) -> bool {
        match sized(unit).as_deref() {
            Some([(obu, bytes)]) if obu.kind == ObuKind::Sequence => self.take_sequence(obu, bytes),
            _ => false,
        }
    }

    fn take_sequence(&mut self, obu: &Obu<'_>, bytes: &[u8]) -> bool {
        let parsed = Sequence::parse(obu.payload).ok().filter(|_| bytes.len() <= MAX_SEQUENCE);
        let taken = parsed.is_some();
        self.sequence = parsed.map(|sequence| (sequence, bytes.to_vec())).or(self.sequence.take());
        taken
    }

    pub(super) fn handle_buffer(&mut self, buffer: &[u8], at: MediaTime, out: &mut Outlet) -> Result<(), Refused> {
        if buffer.len() > MAX_UNIT {
            out.oversize();
            return Ok(());
        }
        let Some(found) = sized(buffer) else {
            if is_length_delimited(buffer) {
                return Err(Refused::LengthDelimited);
            }
            out.damage();
            return Ok(());
        };
        found.chunk_by(|_, (next, _)| next.kind != ObuKind::Delimiter).try_for_each(|unit| self.unit(unit, at, out))
    }

    /// Takes the OBUs of one temporal unit.
    fn unit(&mut self, unit: &[Sized<'_>], at: MediaTime, out: &mut Outlet) -> Result<(), Refused> {
        let mut first = None;
        let mut body = Vec::new();
        for (obu, bytes) in unit {
            match obu.kind {
                ObuKind::Sequence => out.drops.damaged += u64::from(!self.take_sequence(obu, bytes)),
                ObuKind::Frame | ObuKind::FrameHeader | ObuKind::TileGroup | ObuKind::RedundantFrameHeader => {
                    if obu.spatial_id != 0 {
                        return Err(Refused::SpatialLayers);
                    }
                    if matches!(obu.kind, ObuKind::Frame | ObuKind::FrameHeader) {
                        first.get_or_insert(obu);
                    }
                    body.extend_from_slice(bytes);
                }
                _ => out.drops.unshown += 1,
            }
        }
        let Some(first) = first else {
            if !body.is_empty() {
                out.damage();
            }
            return Ok(());
        };
        let reduced = self.sequence.as_ref().is_some_and(|(sequence, _)| sequence.reduced);
        let is_key = reduced || is_shown_key_frame(first.payload);
        self.key_frame |= is_key;
        let Some((sequence, bytes)) = self.sequence.as_ref().filter(|_| is_key || out.is_whole()) else {
            out.wait_for_keyframe();
            return out.early(if self.key_frame { Missing::Parameters } else { Missing::Keyframe });
        };
        if is_key {
            let facts = check(sequence)?;
            self.active = Some(bytes.clone());
            out.keyframe(facts, [&bytes[..], &body].concat(), at);
        } else if self.active.as_ref() == Some(bytes) {
            let layer = TemporalLayer::new(first.temporal_id.min(TemporalLayer::MAX));
            out.delta(layer.unwrap_or(TemporalLayer::BASE), body, at);
        } else {
            // A sequence changes at a key frame alone (AV1 specification §7.5).
            out.damage();
        }
        Ok(())
    }
}

/// The OBUs of a buffer; `None` if one is damaged or has no size, which low-overhead format demands.
fn sized(buffer: &[u8]) -> Option<Vec<Sized<'_>>> {
    let mut rest = buffer;
    let mut found = Vec::new();
    while let Some(header) = rest.first() {
        if header & HAS_SIZE == 0 {
            return None;
        }
        let (obu, after) = obu::parse(rest).ok()?;
        let (bytes, after) = rest.split_at_checked(rest.len() - after.len())?;
        found.push((obu, bytes));
        rest = after;
    }
    Some(found)
}

/// Whether a buffer begins like a temporal unit of annex B: sizes of the unit, of the frame unit and of the first OBU,
/// which is a temporal delimiter.
fn is_length_delimited(buffer: &[u8]) -> bool {
    let first_obu = || {
        let (unit, rest) = leb128(buffer).ok()?;
        let (frame, inner) = leb128(rest).ok()?;
        let (len, obus) = leb128(inner).ok()?;
        let fits = usize::try_from(unit).ok()? <= rest.len() && frame < unit && len < frame;
        obus.get(..usize::try_from(len).ok()?).filter(|_| fits)
    };
    first_obu()
        .and_then(|obu| obu::parse(obu).ok())
        .is_some_and(|(obu, _)| obu.kind == ObuKind::Delimiter && obu.payload.is_empty())
}

/// Whether a frame header is that of a key frame that is shown (AV1 specification §5.9.2): one that is shown later is
/// no beginning.
fn is_shown_key_frame(header: &[u8]) -> bool {
    const KEY_FRAME: u32 = 0;
    let mut bits = BitReader::new(header);
    let shows_existing = bits.bit().unwrap_or(true);
    !shows_existing && bits.bits(2) == Ok(KEY_FRAME) && bits.bit() == Ok(true)
}

/// What a sequence header says, if it can be shown here.
fn check(sequence: &Sequence) -> Result<Facts, Refused> {
    if !sequence.is_8_bit_420() {
        return Err(Refused::Layout);
    }
    Ok(Facts {
        codec: Codec::Av1,
        size: sequence.size,
        profile: sequence.profile,
        level: sequence.level,
        color: sequence.color,
        rate: None,
        // What is sent in another order is hidden inside temporal units, each of which shows one frame (§7.5).
        reorder: Reorder::Never,
    })
}
