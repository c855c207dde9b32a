//! Access unit to picture by rav1d.

use crate::access_unit::{AccessUnit, Codec};
use crate::av1::obu::Sequence;
use crate::av1::{Facts, facts};
use crate::decoder::{DecodeError, Decoder, Limits, Shown};
use crate::picture::Picture;
use crate::units::{Color, Size};
use ::rav1d::include::dav1d::data::Dav1dData;
use ::rav1d::include::dav1d::dav1d::{Dav1dContext, Dav1dLogger, Dav1dSettings};
use ::rav1d::include::dav1d::headers::DAV1D_PIXEL_LAYOUT_I420;
use ::rav1d::include::dav1d::picture::Dav1dPicture;
use ::rav1d::src::lib as sys;
use std::mem::MaybeUninit;
use std::ptr::NonNull;

/// What the library says when it wants more data, or more of its pictures taken.
const AGAIN: i32 = -libc::EAGAIN;

/// Most calls for the pictures of one unit. AV1 shows one, or with spatial layers one each.
const MAX_CALLS: usize = 16;

/// Decodes AV1 Main profile, 8-bit 4:2:0: one unit in, at most one picture out, no delay.
///
/// rav1d is dav1d in Rust; version 1.1.0 can only be reached through its C interface, where a panic of its own ends the
/// process instead of unwinding. With a single frame in flight every damaged frame did (memorysafety/rav1d #1497): two
/// may be in flight here, on two threads at least, and each is waited for. Feed it only what was authenticated, or run
/// it in a process that may fall.
///
/// AV1 frames carry no number that would show a gap: after a loss it is for the caller to wait for a keyframe, with
/// [`reset`](Decoder::reset). For the same reason nothing is concealed.
pub struct Rav1dDecoder {
    raw: Option<Raw>,
    limits: Limits,
    threads: u8,
    sequence: Option<Sequence>,
    waits: bool,
}

impl Rav1dDecoder {
    /// A decoder with two threads, the fewest it can have.
    pub fn new(limits: Limits) -> Self {
        Self::with_threads(limits, 2)
    }

    /// A decoder with as many threads as given, 2 to 16. They share the work on one picture: no delay comes of them.
    pub fn with_threads(limits: Limits, threads: u8) -> Self {
        Self { raw: None, limits, threads: threads.clamp(2, 16), sequence: None, waits: true }
    }

    /// Refuses what is over the limits or cannot be decoded, before the library sees it.
    fn admit(&mut self, facts: &Facts) -> Result<(), DecodeError> {
        if facts.damage.is_some() {
            return Err(DecodeError::Damaged((-libc::EINVAL).into()));
        }
        if let Some(sequence) = facts.sequence {
            if sequence.size.pixels() > self.limits.pixels {
                return Err(DecodeError::PictureTooLarge(sequence.size));
            }
            if !sequence.is_8_bit_420() {
                return Err(DecodeError::Layout);
            }
            self.sequence = Some(sequence);
        }
        if facts.is_keyframe() {
            self.waits = false;
        }
        if self.waits && facts.frames > 0 { Err(DecodeError::NeedsKeyframe) } else { Ok(()) }
    }

    fn decode_admitted(&mut self, data: &[u8], picture: &mut Picture) -> Result<Shown, DecodeError> {
        if data.is_empty() {
            return Ok(Shown::Nothing);
        }
        let damaged = |status: i32| DecodeError::Damaged(status.into());
        let raw = match &mut self.raw {
            Some(raw) => raw,
            none => none.insert(Raw::new(self.limits, self.threads).map_err(damaged)?),
        };
        let color = self.sequence.map(|sequence| sequence.color_or_usual()).unwrap_or_default();
        let mut input = Input::new(data).ok_or(damaged(-libc::ENOMEM))?;
        let mut shown = Shown::Nothing;
        let mut idle = false;
        for _ in 0..MAX_CALLS {
            let sent = raw.send(&mut input);
            if sent != 0 && sent != AGAIN {
                return Err(damaged(sent));
            }
            match raw.receive() {
                Ok(image) => {
                    image.copy_to(color, self.limits, picture)?;
                    (shown, idle) = (Shown::Picture, false);
                }
                // Asked once it gives what is finished; asked again it waits for what is in flight.
                Err(AGAIN) if !idle || !input.is_used_up() => idle = true,
                Err(AGAIN) => break,
                Err(status) => return Err(damaged(status)),
            }
        }
        Ok(shown)
    }
}

impl Decoder for Rav1dDecoder {
    fn decode(&mut self, unit: &AccessUnit, picture: &mut Picture) -> Result<Shown, DecodeError> {
        if unit.codec != Codec::Av1 {
            return Err(DecodeError::Codec { given: unit.codec, wanted: Codec::Av1 });
        }
        if unit.data.len() > self.limits.unit_bytes {
            return Err(DecodeError::UnitTooLarge(unit.data.len()));
        }
        let facts = facts(&unit.data);
        self.admit(&facts)?;
        let shown = self.decode_admitted(&unit.data, picture);
        if shown.is_err() {
            self.reset();
        }
        shown
    }

    fn reset(&mut self) {
        self.raw = None;
        self.sequence = None;
        self.waits = true;
    }

    fn name(&self) -> String {
        "rav1d".to_owned()
    }
}

/// The library's context, closed on drop. Each method is one call.
struct Raw(Dav1dContext);

// SAFETY: the context is an `Arc` inside whose state is behind locks; `&mut self` on every method keeps its calls apart.
unsafe impl Send for Raw {}

impl Raw {
    fn new(limits: Limits, threads: u8) -> Result<Self, i32> {
        let mut settings = MaybeUninit::<Dav1dSettings>::uninit();
        // SAFETY: writes the whole structure to where the pointer points.
        unsafe { sys::dav1d_default_settings(NonNull::from(&mut settings).cast()) };
        // SAFETY: written by the call above.
        let mut settings = unsafe { settings.assume_init() };
        settings.n_threads = threads.into();
        settings.max_frame_delay = 2;
        settings.frame_size_limit = u32::try_from(limits.pixels).unwrap_or(u32::MAX);
        // SAFETY: without a callback nothing is ever called.
        settings.logger = unsafe { Dav1dLogger::new(None, None) };
        let mut context = None;
        // SAFETY: both pointers are to live values of their types; the settings are copied.
        let status = unsafe { sys::dav1d_open(Some(NonNull::from(&mut context)), Some(NonNull::from(&mut settings))) };
        match context {
            Some(context) if status.0 == 0 => Ok(Self(context)),
            _ => Err(status.0),
        }
    }

    fn send(&mut self, input: &mut Input) -> i32 {
        if input.is_used_up() {
            return 0;
        }
        // SAFETY: the context is open, and the data was made by the library.
        unsafe { sys::dav1d_send_data(Some(self.0), Some(NonNull::from(&mut input.0))) }.0
    }

    fn receive(&mut self) -> Result<Image, i32> {
        let mut image = Image(Dav1dPicture::default());
        // SAFETY: the context is open, and the picture may be overwritten: an empty one owns nothing.
        let status = unsafe { sys::dav1d_get_picture(Some(self.0), Some(NonNull::from(&mut image.0))) };
        if status.0 == 0 { Ok(image) } else { Err(status.0) }
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        let mut context = Some(self.0);
        // SAFETY: opened once, closed once, not used after.
        unsafe { sys::dav1d_close(Some(NonNull::from(&mut context))) };
    }
}

/// Bytes in the library's own memory.
struct Input(Dav1dData);

impl Input {
    fn new(bytes: &[u8]) -> Option<Self> {
        let mut data = Dav1dData::default();
        // SAFETY: the structure may be overwritten: an empty one owns nothing.
        let start = unsafe { sys::dav1d_data_create(Some(NonNull::from(&mut data)), bytes.len()) };
        let input = Self(data);
        if start.is_null() {
            return None;
        }
        // SAFETY: the library just took this many bytes of memory there, for nobody else.
        unsafe { start.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
        Some(input)
    }

    fn is_used_up(&self) -> bool {
        self.0.sz == 0
    }
}

impl Drop for Input {
    fn drop(&mut self) {
        // SAFETY: made by the library, which leaves it empty when it has taken it.
        unsafe { sys::dav1d_data_unref(Some(NonNull::from(&mut self.0))) };
    }
}

/// A picture in the library's memory, given back on drop.
struct Image(Dav1dPicture);

impl Image {
    fn copy_to(&self, color: Color, limits: Limits, picture: &mut Picture) -> Result<(), DecodeError> {
        let Dav1dPicture { p, data, stride, .. } = &self.0;
        if p.bpc != 8 || p.layout != DAV1D_PIXEL_LAYOUT_I420 {
            return Err(DecodeError::Layout);
        }
        let size = u32::try_from(p.w).ok().zip(u32::try_from(p.h).ok());
        let size = size.and_then(|(width, height)| Size::new(width, height)).ok_or(DecodeError::Layout)?;
        if size.pixels() > limits.pixels {
            return Err(DecodeError::PictureTooLarge(size));
        }
        picture.reshape(size, color);
        let (width, chroma) = (size.width() as usize, size.chroma_width() as usize);
        let ([luma_stride, chroma_stride], rows) = (*stride, [width, chroma, chroma]);
        let strides = [luma_stride, chroma_stride, chroma_stride];
        for (((to, from), stride), row) in picture.planes_mut().into_iter().zip(data).zip(strides).zip(rows) {
            let from = from.ok_or(DecodeError::Layout)?.cast::<u8>().as_ptr().cast_const();
            for (index, to) in to.chunks_exact_mut(row).enumerate() {
                // SAFETY: an 8-bit 4:2:0 plane has a row at each multiple of its stride, as many as its height says.
                let start = unsafe { from.offset(index as isize * stride) };
                // SAFETY: each row has at least as many samples as the picture is wide, and nobody writes to them.
                to.copy_from_slice(unsafe { std::slice::from_raw_parts(start, row) });
            }
        }
        Ok(())
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        // SAFETY: filled by the library, or empty; given back once.
        unsafe { sys::dav1d_picture_unref(Some(NonNull::from(&mut self.0))) };
    }
}
