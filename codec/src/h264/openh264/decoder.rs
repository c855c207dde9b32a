//! Access unit to picture.

use super::library::Library;
use crate::access_unit::{AccessUnit, Codec};
use crate::decoder::{DecodeError, Decoder, Limits, OnDamage, Shown};
use crate::h264::nal::{Nal, NalKind, nals};
use crate::h264::params::Sps;
use crate::h264::{Facts, facts};
use crate::picture::Picture;
use crate::units::{Color, Size};
use ::openh264::decoder::Flush;
use openh264_sys2 as sys;
use openh264_sys2::API as _;
use std::borrow::Cow;
use std::collections::VecDeque;

/// Decodes H.264 Baseline, Main and High: 8-bit 4:2:0, progressive.
///
/// One unit in, one picture out for what [`Openh264Encoder`](super::Openh264Encoder) and other live encoders make.
/// A file may have B-frames, whose pictures come later than their units: decode those with
/// [`for_clips`](Self::for_clips) and [`flush`](Self::flush) it at the end.
///
/// A new sequence parameter set starts a new decoder inside, and a unit with two different ones is refused: where the size
/// changes under a decoder that runs, the library counts the macroblocks of the new size in the memory of the old one
/// (cisco/openh264 #3925, an over-read that is still open, and that turning concealment off does not avoid: they are
/// counted before it is asked). Feed it only what was authenticated all the same, or run it in a process that may fall.
///
/// After damage nothing is shown until the next keyframe, which must have its parameter sets in its own unit; or what
/// is missing is [concealed](Self::on_damage).
pub struct Openh264Decoder {
    inner: Option<Library>,
    limits: Limits,
    flush: Flush,
    on_damage: OnDamage,
    sps: Option<Sps>,
    /// Bytes of the sequence parameter set that `inner` was started with.
    set: Vec<u8>,
    waits: bool,
    /// Whether some of what was shown last was guessed.
    guesses: bool,
    ended: VecDeque<(Picture, Shown)>,
}

impl Openh264Decoder {
    /// For a live stream: each unit's picture comes at once.
    pub fn new(limits: Limits) -> Self {
        Self {
            inner: None,
            limits,
            flush: Flush::Flush,
            on_damage: OnDamage::Wait,
            sps: None,
            set: Vec::new(),
            waits: true,
            guesses: false,
            ended: VecDeque::new(),
        }
    }

    /// For a file, whose pictures may come in another order than their units: [`flush`](Decoder::flush) it at the end.
    pub fn for_clips(limits: Limits) -> Self {
        Self { flush: Flush::NoFlush, ..Self::new(limits) }
    }

    /// The same decoder, before its first unit, doing something else about damage.
    ///
    /// Concealing puts the same place of the picture before where slices are missing or damaged; all pictures up to the
    /// next keyframe then are [`Shown::Concealed`]. It is more C++ on bad bytes: for streams that lose units, not for
    /// units that a stranger may have made.
    pub fn on_damage(self, on_damage: OnDamage) -> Self {
        Self { on_damage, ..self }
    }

    /// Moves what the library still holds into `ended`.
    fn drain(&mut self) -> Result<(), DecodeError> {
        let Some(inner) = &mut self.inner else { return Ok(()) };
        let (color, shown) = (color(self.sps), shown(self.guesses));
        for _ in 0..inner.held()? {
            let Some(image) = inner.flush()? else { break };
            let mut picture = Picture::black(NO_SIZE, color);
            image.copy_to(color, self.limits, &mut picture)?;
            self.ended.push_back((picture, shown));
        }
        Ok(())
    }

    /// Drains what a file still has to show before it goes on anew. That this fails must not keep the rest from showing.
    fn drain_clip(&mut self) {
        if self.flush == Flush::NoFlush {
            let _ = self.drain();
        }
    }

    /// Refuses what is over the limits or cannot be decoded, before the library sees it.
    fn admit(&mut self, facts: &Facts, data: &[u8]) -> Result<(), DecodeError> {
        if facts.bad_sps.is_some() {
            return Err(DecodeError::Damaged(sys::dsNoParamSets.into()));
        }
        if let Some(sps) = facts.sps {
            if sps.coded.pixels() > self.limits.pixels {
                return Err(DecodeError::PictureTooLarge(sps.coded));
            }
            if !sps.is_8_bit_420() {
                return Err(DecodeError::Layout);
            }
            let is_set = |nal: &Nal<'_>| nal.kind() == NalKind::Sps;
            let mut sets: Vec<&[u8]> = nals(data).filter(is_set).map(|nal| nal.payload()).collect();
            sets.sort_unstable();
            sets.dedup();
            if sets.len() > 1 {
                return Err(DecodeError::ParameterSets(sets.len()));
            }
            let set = sets.first().copied().unwrap_or_default();
            if self.inner.is_none() || self.set != set {
                self.drain_clip();
                self.inner = None;
                self.waits = true;
                self.guesses = false;
                self.set = set.to_vec();
            }
            self.sps = Some(sps);
        }
        if facts.is_keyframe() {
            if self.guesses {
                // What is still inside was guessed too; what comes after the keyframe is not.
                self.drain_clip();
                self.guesses = false;
            }
            self.waits = false;
        }
        if self.waits && facts.slices > 0 {
            return Err(DecodeError::NeedsKeyframe);
        }
        Ok(())
    }

    fn decode_admitted(&mut self, data: &[u8], slices: usize, picture: &mut Picture) -> Result<Shown, DecodeError> {
        let inner = match &mut self.inner {
            Some(inner) => inner,
            none => none.insert(Library::start(self.flush, self.on_damage)?),
        };
        let color = color(self.sps);
        let (image, guessed) = inner.decode(&plain(data), slices)?;
        self.guesses |= guessed;
        let seen = shown(self.guesses);
        match image {
            Some(image) if self.ended.is_empty() => {
                image.copy_to(color, self.limits, picture)?;
                return Ok(seen);
            }
            Some(image) => {
                let mut later = Picture::black(NO_SIZE, color);
                image.copy_to(color, self.limits, &mut later)?;
                self.ended.push_back((later, seen));
            }
            None => {}
        }
        Ok(self.next_ended(picture))
    }

    fn next_ended(&mut self, picture: &mut Picture) -> Shown {
        let Some((next, shown)) = self.ended.pop_front() else { return Shown::Nothing };
        *picture = next;
        shown
    }
}

impl Decoder for Openh264Decoder {
    fn decode(&mut self, unit: &AccessUnit, picture: &mut Picture) -> Result<Shown, DecodeError> {
        if unit.codec != Codec::H264 {
            return Err(DecodeError::Codec { given: unit.codec, wanted: Codec::H264 });
        }
        if unit.data.len() > self.limits.unit_bytes {
            return Err(DecodeError::UnitTooLarge(unit.data.len()));
        }
        let facts = facts(&unit.data);
        self.admit(&facts, &unit.data)?;
        let shown = self.decode_admitted(&unit.data, facts.slices, picture);
        if shown.is_err() {
            // What the library keeps after an error is no ground to stand on.
            self.inner = None;
            self.sps = None;
            self.waits = true;
            self.guesses = false;
        }
        shown
    }

    fn flush(&mut self, picture: &mut Picture) -> Result<Shown, DecodeError> {
        self.drain()?;
        Ok(self.next_ended(picture))
    }

    fn reset(&mut self) {
        self.inner = None;
        self.sps = None;
        self.waits = true;
        self.guesses = false;
        self.ended.clear();
    }

    fn name(&self) -> String {
        format!("openh264 {}", version())
    }
}

/// The unit without the NAL units of scalable and multiview streams, which a decoder of their base need not read (ITU-T
/// H.264 §7.4.1): the library would, and each brings a parameter set of its own.
fn plain(data: &[u8]) -> Cow<'_, [u8]> {
    let is_extension = |nal: &Nal<'_>| matches!(nal.kind(), NalKind::SubsetSps | NalKind::Other(14 | 20 | 21));
    if !nals(data).any(|nal| is_extension(&nal)) {
        return Cow::Borrowed(data);
    }
    let ends = nals(data).skip(1).map(|nal| nal.start()).chain([data.len()]);
    let kept = nals(data).zip(ends).filter(|(nal, _)| !is_extension(nal));
    let kept: Vec<&[u8]> = kept.filter_map(|(nal, end)| data.get(nal.start()..end)).collect();
    Cow::Owned(kept.concat())
}

/// For a picture that its image gives a size.
const NO_SIZE: Size = {
    let Some(size) = Size::new(1, 1) else { unreachable!() };
    size
};

fn color(sps: Option<Sps>) -> Color {
    sps.map(|sps| sps.color_or_usual()).unwrap_or_default()
}

fn shown(guessed: bool) -> Shown {
    if guessed { Shown::Concealed } else { Shown::Picture }
}

/// Version of the library that is linked in.
pub(crate) fn version() -> String {
    // SAFETY: takes nothing and returns a plain structure.
    let version = unsafe { ::openh264::OpenH264API::from_source().WelsGetCodecVersion() };
    format!("{}.{}.{}", version.uMajor, version.uMinor, version.uRevision)
}
