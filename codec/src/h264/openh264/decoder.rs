//! Access unit to picture.

use crate::access_unit::{AccessUnit, Codec};
use crate::decoder::{DecodeError, Decoder, Limits};
use crate::h264::nal::{Nal, NalKind, nals};
use crate::h264::params::Sps;
use crate::h264::{Facts, facts};
use crate::picture::Picture;
use crate::units::{Color, Size};
use ::openh264::decoder::{DecodedYUV, DecoderConfig, Flush};
use ::openh264::formats::YUVSource as _;
use openh264_sys2 as sys;
use openh264_sys2::API as _;
use std::collections::VecDeque;

/// Decodes H.264 Baseline, Main and High: 8-bit 4:2:0, progressive.
///
/// One unit in, one picture out for what [`Openh264Encoder`](super::Openh264Encoder) and other live encoders make.
/// A file may have B-frames, whose pictures come later than their units: decode those with
/// [`for_clips`](Self::for_clips) and [`flush`](Self::flush) it at the end.
///
/// A new parameter set starts a new decoder inside: the library's handling of a change has an open heap over-read
/// (cisco/openh264 #3925). Error concealment, where that lies, is off: after damage nothing is shown until the next
/// keyframe, which must have its parameter sets in its own unit. Feed it only what was authenticated, or run it in a
/// process that may fall.
pub struct Openh264Decoder {
    inner: Option<::openh264::decoder::Decoder>,
    limits: Limits,
    flush: Flush,
    sps: Option<Sps>,
    /// Bytes of the sequence parameter sets that `inner` was started with.
    sets: Vec<u8>,
    waits: bool,
    ended: VecDeque<Picture>,
}

impl Openh264Decoder {
    /// For a live stream: each unit's picture comes at once.
    pub fn new(limits: Limits) -> Self {
        Self {
            inner: None,
            limits,
            flush: Flush::Flush,
            sps: None,
            sets: Vec::new(),
            waits: true,
            ended: VecDeque::new(),
        }
    }

    /// For a file, whose pictures may come in another order than their units.
    pub fn for_clips(limits: Limits) -> Self {
        Self { flush: Flush::NoFlush, ..Self::new(limits) }
    }

    /// The next picture still inside, at the end of a file. `Ok(false)` when there is none.
    ///
    /// # Errors
    /// If the library fails; what was inside is then lost.
    pub fn flush(&mut self, picture: &mut Picture) -> Result<bool, DecodeError> {
        self.drain()?;
        let Some(next) = self.ended.pop_front() else { return Ok(false) };
        *picture = next;
        Ok(true)
    }

    /// Forgets everything; waits for a keyframe.
    pub fn reset(&mut self) {
        self.inner = None;
        self.sps = None;
        self.waits = true;
        self.ended.clear();
    }

    /// Moves what the library still holds into `ended`.
    fn drain(&mut self) -> Result<(), DecodeError> {
        let Some(inner) = &mut self.inner else { return Ok(()) };
        let color = self.sps.map(|sps| sps.color_or_usual()).unwrap_or_default();
        for image in inner.flush_remaining().map_err(|error| DecodeError::Damaged(error.native_code()))? {
            let size = shown(&image, self.limits)?;
            let mut picture = Picture::black(size, color);
            copy(&image, size, color, &mut picture)?;
            self.ended.push_back(picture);
        }
        Ok(())
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
            let is_set = |nal: &Nal<'_>| matches!(nal.kind(), NalKind::Sps | NalKind::SubsetSps);
            let sets: Vec<u8> = nals(data).filter(is_set).flat_map(|nal| nal.payload()).copied().collect();
            if self.inner.is_none() || self.sets != sets {
                if self.flush == Flush::NoFlush {
                    // A failure to give its last pictures must not keep the next part of the file from showing.
                    let _ = self.drain();
                }
                self.inner = None;
                self.waits = true;
                self.sets = sets;
            }
            self.sps = Some(sps);
        }
        if facts.is_keyframe() {
            self.waits = false;
        }
        if self.waits && facts.slices > 0 {
            return Err(DecodeError::NeedsKeyframe);
        }
        Ok(())
    }

    fn decode_admitted(&mut self, data: &[u8], picture: &mut Picture) -> Result<bool, DecodeError> {
        let inner = match &mut self.inner {
            Some(inner) => inner,
            none => none.insert(start(self.flush)?),
        };
        let color = self.sps.map(|sps| sps.color_or_usual()).unwrap_or_default();
        match inner.decode(data).map_err(|error| DecodeError::Damaged(error.native_code()))? {
            Some(image) => {
                let size = shown(&image, self.limits)?;
                if self.ended.is_empty() {
                    copy(&image, size, color, picture)?;
                } else {
                    let mut later = Picture::black(size, color);
                    copy(&image, size, color, &mut later)?;
                    self.ended.push_back(later);
                }
            }
            None if self.ended.is_empty() => return Ok(false),
            None => {}
        }
        if let Some(next) = self.ended.pop_front() {
            *picture = next;
        }
        Ok(true)
    }
}

impl Decoder for Openh264Decoder {
    fn decode(&mut self, unit: &AccessUnit, picture: &mut Picture) -> Result<bool, DecodeError> {
        if unit.codec != Codec::H264 {
            return Err(DecodeError::Codec { given: unit.codec, wanted: Codec::H264 });
        }
        if unit.data.len() > self.limits.unit_bytes || i32::try_from(unit.data.len()).is_err() {
            return Err(DecodeError::UnitTooLarge(unit.data.len()));
        }
        let facts = facts(&unit.data);
        self.admit(&facts, &unit.data)?;
        let shown = self.decode_admitted(&unit.data, picture);
        if shown.is_err() {
            // What the library keeps after an error is no ground to stand on.
            self.inner = None;
            self.sps = None;
            self.waits = true;
        }
        shown
    }

    fn name(&self) -> String {
        format!("openh264 {}", version())
    }
}

fn start(flush: Flush) -> Result<::openh264::decoder::Decoder, DecodeError> {
    let config = DecoderConfig::new().flush_after_decode(flush);
    let api = ::openh264::OpenH264API::from_source();
    ::openh264::decoder::Decoder::with_api_config(api, config)
        .map_err(|error| DecodeError::Damaged(error.native_code()))
}

/// Size of a decoded image, if it keeps the limits.
fn shown(image: &DecodedYUV<'_>, limits: Limits) -> Result<Size, DecodeError> {
    let (width, height) = image.dimensions_i32();
    let size = u32::try_from(width)
        .ok()
        .zip(u32::try_from(height).ok())
        .and_then(|(width, height)| Size::new(width, height))
        .ok_or(DecodeError::Layout)?;
    if size.pixels() > limits.pixels { Err(DecodeError::PictureTooLarge(size)) } else { Ok(size) }
}

fn copy(image: &DecodedYUV<'_>, size: Size, color: Color, picture: &mut Picture) -> Result<(), DecodeError> {
    picture.reshape(size, color);
    let (width, chroma_width) = (size.width() as usize, size.chroma_width() as usize);
    let (luma_stride, chroma_stride, _) = image.strides();
    let from = [(image.y(), luma_stride), (image.u(), chroma_stride), (image.v(), chroma_stride)];
    let rows = [width, chroma_width, chroma_width];
    for ((to, (samples, stride)), row) in picture.planes_mut().into_iter().zip(from).zip(rows) {
        if stride < row {
            return Err(DecodeError::Layout);
        }
        for (to, from) in to.chunks_exact_mut(row).zip(samples.chunks(stride)) {
            to.copy_from_slice(from.get(..row).ok_or(DecodeError::Layout)?);
        }
    }
    Ok(())
}

/// Version of the library that is linked in.
pub(crate) fn version() -> String {
    // SAFETY: takes nothing and returns a plain structure.
    let version = unsafe { ::openh264::OpenH264API::from_source().WelsGetCodecVersion() };
    format!("{}.{}.{}", version.uMajor, version.uMinor, version.uRevision)
}
