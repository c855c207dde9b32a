//! H.264 from outside.

use super::facts::{Facts, Missing, Refused, Reorder};
use super::joiner::Joiner;
use super::order::{Order, SliceStart, is_recovery_point};
use super::outlet::Outlet;
use super::sets::{self, Sets};
use super::{Framing, MAX_UNIT};
use crate::access_unit::Codec;
use crate::clip::annexb::Boundary;
use crate::h264::nal::{Nal, NalKind, nals, start_code};
use crate::h264::params::{ParamsError, Sps};
use crate::units::{MediaTime, TemporalLayer};

/// An H.264 source.
#[derive(Debug)]
pub(super) struct H264 {
    /// Bytes of a NAL unit's length; `None` in a byte stream.
    length_bytes: Option<u8>,
    /// Where units may be cut anywhere.
    joiner: Option<Joiner>,
    coded: Coded,
}

/// What is known of the stream, however it is framed.
#[derive(Debug, Default)]
struct Coded {
    sets: Sets,
    /// The sequence parameter set that the pictures since the last keyframe are coded with.
    active: Option<Vec<u8>>,
    order: Order,
    bad_set: Option<ParamsError>,
    /// Whether an IDR picture came.
    idr: bool,
}

/// `profile_idc` of Baseline, Main and High: what every viewer decodes.
const PROFILES: [u8; 3] = [66, 77, 100];

impl H264 {
    pub(super) fn new(framing: Framing) -> Self {
        let length_bytes = match framing {
            Framing::LengthPrefixed { bytes } => Some(bytes),
            _ => None,
        };
        let joiner = (framing == Framing::AnnexBAnywhere).then(Joiner::default);
        Self { length_bytes, joiner, coded: Coded::default() }
    }

    /// Keeps a parameter set; whether it is one.
    pub(super) fn take_set(&mut self, unit: &[u8]) -> bool {
        Nal::of(unit).is_some_and(|nal| self.coded.sets.take(&nal).is_ok())
    }

    pub(super) fn handle_buffer(&mut self, buffer: &[u8], at: MediaTime, out: &mut Outlet) -> Result<(), Refused> {
        let coded = &mut self.coded;
        if let Some(joiner) = &mut self.joiner {
            let pushed = joiner.push(buffer, at, |unit, at| coded.units(nals(unit), at, out));
            return match pushed {
                Ok(()) => Ok(()),
                Err(Some(refused)) => Err(refused),
                Err(None) => {
                    out.oversize();
                    Ok(())
                }
            };
        }
        if buffer.len() > MAX_UNIT {
            out.oversize();
            return Ok(());
        }
        let Some(length_bytes) = self.length_bytes else { return coded.units(nals(buffer), at, out) };
        let mut split = Prefixed { rest: buffer, length_bytes, damaged: false };
        let found: Vec<_> = split.by_ref().collect();
        if split.damaged {
            out.damage();
            return Ok(());
        }
        coded.units(found.into_iter(), at, out)
    }

    pub(super) fn handle_end(&mut self, out: &mut Outlet) -> Result<(), Refused> {
        let coded = &mut self.coded;
        self.joiner.as_mut().map_or(Ok(()), |joiner| joiner.finish(|unit, at| coded.units(nals(unit), at, out)))
    }
}

/// NAL units each behind its length.
struct Prefixed<'a> {
    rest: &'a [u8],
    length_bytes: u8,
    /// Whether a length leads past the end, or a NAL unit could not be told from two in a byte stream.
    damaged: bool,
}

impl<'a> Iterator for Prefixed<'a> {
    type Item = Nal<'a>;

    fn next(&mut self) -> Option<Nal<'a>> {
        while !self.rest.is_empty() && !self.damaged {
            let split = match self.length_bytes {
                1 => self.rest.split_first().map(|(len, rest)| (u32::from(*len), rest)),
                2 => self.rest.split_first_chunk().map(|(len, rest)| (u32::from(u16::from_be_bytes(*len)), rest)),
                _ => self.rest.split_first_chunk().map(|(len, rest)| (u32::from_be_bytes(*len), rest)),
            };
            let unit = split.and_then(|(len, rest)| rest.split_at_checked(usize::try_from(len).ok()?));
            let Some((unit, rest)) = unit.filter(|(unit, _)| start_code(unit, 0).is_none()) else {
                self.damaged = true;
                return None;
            };
            self.rest = rest;
            if let Some(nal) = Nal::of(unit) {
                return Some(nal);
            }
        }
        None
    }
}

impl Coded {
    /// Takes the NAL units of one or more access units.
    fn units<'a>(
        &mut self,
        nals: impl Iterator<Item = Nal<'a>>,
        at: MediaTime,
        out: &mut Outlet,
    ) -> Result<(), Refused> {
        let mut boundary = Boundary::default();
        let mut unit = Vec::new();
        for nal in nals {
            if boundary.begins(&nal) {
                self.unit(&unit, at, out)?;
                unit.clear();
            }
            unit.push(nal);
        }
        self.unit(&unit, at, out)
    }

    /// Takes the NAL units of one access unit.
    fn unit(&mut self, unit: &[Nal<'_>], at: MediaTime, out: &mut Outlet) -> Result<(), Refused> {
        let mut slices = Vec::new();
        let mut whole = true;
        for nal in unit {
            match nal.kind() {
                _ if nal.is_marked_damaged() => whole = false,
                NalKind::Sps | NalKind::Pps => {
                    if let Err(error) = self.sets.take(nal) {
                        self.bad_set = Some(error);
                        out.drops.damaged += 1;
                    }
                }
                NalKind::Slice | NalKind::IdrSlice => slices.push(nal),
                // Only the Extended profile has them, which is refused.
                NalKind::Partition => whole = false,
                kind => {
                    out.drops.unshown += 1;
                    let recovers = kind == NalKind::Sei && is_recovery_point(nal);
                    out.drops.recovery_points += u64::from(recovers);
                }
            }
        }
        match slices.first() {
            Some(first) if whole && is_one_picture(&slices) => self.picture(first, &slices, at, out),
            None if whole => Ok(()),
            _ => {
                out.damage();
                Ok(())
            }
        }
    }

    /// Takes the slices of one picture.
    fn picture(
        &mut self,
        first: &Nal<'_>,
        slices: &[&Nal<'_>],
        at: MediaTime,
        out: &mut Outlet,
    ) -> Result<(), Refused> {
        let is_idr = first.kind() == NalKind::IdrSlice;
        self.idr |= is_idr;
        if !is_idr && !out.is_whole() {
            return out.early(self.missing(out));
        }
        let Some((sps, bytes)) = self.sequence(slices) else {
            if is_idr {
                out.wait_for_keyframe();
                return out.early(self.missing(out));
            }
            out.damage();
            return Ok(());
        };
        let sps = *sps;
        // A sequence changes at an IDR picture alone (ITU-T H.264 §7.4.1.2.1).
        let changed = self.active.as_ref().is_none_or(|active| active != bytes);
        if is_idr && changed {
            self.active = Some(bytes.to_vec());
        } else if changed {
            out.damage();
            return Ok(());
        }
        let facts = check(&sps)?;
        match self.order.follows(first, &sps) {
            Ok(true) => {}
            Ok(false) => return Err(Refused::Reorders { depth: sps.reorder }),
            Err(_) => {
                out.damage();
                return Ok(());
            }
        }
        let mut data = Vec::new();
        if is_idr {
            self.sets.write_all(sps.id, &mut data)
        } else {
            self.sets.write_changed(sps.id, &mut data)
        }
        slices.iter().for_each(|slice| sets::write(slice, &mut data));
        if is_idr {
            out.keyframe(facts, data, at);
        } else {
            // What no other picture refers to can be left out by itself.
            let is_needed = slices.iter().any(|slice| slice.ref_idc() != 0);
            let layer = if is_needed { None } else { TemporalLayer::new(1) };
            out.delta(layer.unwrap_or(TemporalLayer::BASE), data, at);
        }
        Ok(())
    }

    /// The one sequence parameter set that all slices of a picture belong to.
    fn sequence(&self, slices: &[&Nal<'_>]) -> Option<(&Sps, &[u8])> {
        let mut of_slices = slices.iter().map(|slice| self.sets.sequence(SliceStart::parse(slice).ok()?.pps));
        let first = of_slices.next()??;
        of_slices.all(|other| other.is_some_and(|(sps, _)| sps.id == first.0.id)).then_some(first)
    }

    /// Why there was no keyframe so far.
    fn missing(&self, out: &Outlet) -> Missing {
        match self.bad_set {
            Some(error) => Missing::Understanding(error),
            None if self.idr => Missing::Parameters,
            None if out.drops.recovery_points > 0 => Missing::IntraRefresh,
            None => Missing::Keyframe,
        }
    }
}

/// Whether slices begin with the first of a picture, and are of one kind.
fn is_one_picture(slices: &[&Nal<'_>]) -> bool {
    slices.first().is_some_and(|first| {
        first.first_macroblock() == Some(0) && slices.iter().all(|slice| slice.kind() == first.kind())
    })
}

/// What a sequence parameter set says, if it can be shown here.
fn check(sps: &Sps) -> Result<Facts, Refused> {
    if !PROFILES.contains(&sps.profile) {
        return Err(Refused::H264Profile(sps.profile));
    }
    if !sps.is_8_bit_420() {
        return Err(Refused::Layout);
    }
    if sps.interlaced {
        return Err(Refused::Interlaced);
    }
    Ok(Facts {
        codec: Codec::H264,
        size: sps.size,
        profile: sps.profile,
        level: sps.level,
        color: sps.color,
        rate: sps.rate,
        reorder: Reorder::of(sps),
    })
}
