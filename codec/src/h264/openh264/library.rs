//! The library's decoder behind its C interface: the crate's own call drops a concealed picture, because its status
//! is not zero.

use crate::decoder::{DecodeError, Limits, OnDamage};
use crate::picture::Picture;
use crate::units::{Color, Size};
use ::openh264::decoder::{DecoderConfig, DecoderRawAPI, Flush};
use openh264_sys2 as sys;
use std::ptr::{NonNull, from_mut, null_mut};

/// One decoder of the library. Each method is one step of it.
pub(super) struct Library {
    inner: ::openh264::decoder::Decoder,
    flush: Flush,
    conceals: bool,
}

impl Library {
    pub(super) fn start(flush: Flush, on_damage: OnDamage) -> Result<Self, DecodeError> {
        let config = DecoderConfig::new().flush_after_decode(flush);
        let inner = ::openh264::decoder::Decoder::with_api_config(::openh264::OpenH264API::from_source(), config)
            .map_err(|error| DecodeError::Damaged(error.native_code()))?;
        let mut library = Self { inner, flush, conceals: on_damage == OnDamage::Conceal };
        if library.conceals {
            // A door stands still: the same place of the picture before is the best guess, over a keyframe's edge too.
            let mut method = sys::ERROR_CON_SLICE_COPY_CROSS_IDR;
            // SAFETY: the option takes a pointer to an `int`, which it copies.
            let status =
                unsafe { library.raw().set_option(sys::DECODER_OPTION_ERROR_CON_IDC, from_mut(&mut method).cast()) };
            if status != 0 {
                return Err(DecodeError::Damaged(sys::dsInvalidArgument.into()));
            }
        }
        Ok(library)
    }

    fn raw(&mut self) -> &mut DecoderRawAPI {
        // SAFETY: of the options only the method of concealment is set, which the crate does not look at.
        unsafe { self.inner.raw_api() }
    }

    /// Decodes one access unit, `slices` of which make up its picture. Whether some of a picture was guessed comes with it.
    pub(super) fn decode(&mut self, data: &[u8], slices: usize) -> Result<(Option<Image<'_>>, bool), DecodeError> {
        let length = i32::try_from(data.len()).map_err(|_| DecodeError::UnitTooLarge(data.len()))?;
        let (mut planes, mut info) = ([null_mut(); 3], sys::SBufferInfo::default());
        let to = from_mut(&mut planes).cast();
        // SAFETY: the bytes are read during the call only; it writes three pointers and one structure.
        let mut state = unsafe { self.raw().decode_frame_no_delay(data.as_ptr(), length, to, &raw mut info) };
        let at_once = self.flush == Flush::Flush;
        if at_once && slices > 0 && info.iBufferStatus == 0 && self.held()? == 0 && self.can_go_on(state) {
            // Some of the picture is missing, and the library waits for it. It need not: what comes is another picture.
            if !self.conceals {
                return Err(DecodeError::Damaged((state | sys::dsBitstreamError).into()));
            }
            const DELIMITER: [u8; 6] = [0, 0, 0, 1, 9, 0xf0];
            let length = DELIMITER.len() as i32;
            // SAFETY: as above.
            state |= unsafe { self.raw().decode_frame2(DELIMITER.as_ptr(), length, to, &raw mut info) };
        }
        if !self.can_go_on(state) {
            return Err(DecodeError::Damaged(state.into()));
        }
        let guessed = state != 0;
        if info.iBufferStatus == 0 && at_once && self.held()? > 0 {
            return Ok((self.flush()?, guessed));
        }
        Ok((Image::new(planes, &info), guessed))
    }

    /// Whether all is well, or was mended.
    fn can_go_on(&self, state: i32) -> bool {
        state == 0 || self.conceals && state & sys::dsDataErrorConcealed != 0
    }

    /// Pictures inside that wait for their turn.
    pub(super) fn held(&mut self) -> Result<usize, DecodeError> {
        let mut count: i32 = 0;
        let option = sys::DECODER_OPTION_NUM_OF_FRAMES_REMAINING_IN_BUFFER;
        // SAFETY: the option writes an `int`.
        let status = unsafe { self.raw().get_option(option, from_mut(&mut count).cast()) };
        if status == 0 {
            Ok(usize::try_from(count).unwrap_or(0))
        } else {
            Err(DecodeError::Damaged(sys::dsInvalidArgument.into()))
        }
    }

    /// The next picture inside.
    pub(super) fn flush(&mut self) -> Result<Option<Image<'_>>, DecodeError> {
        let (mut planes, mut info) = ([null_mut(); 3], sys::SBufferInfo::default());
        // SAFETY: writes three pointers and one structure.
        let state = unsafe { self.raw().flush_frame(from_mut(&mut planes).cast(), &raw mut info) };
        if state == 0 { Ok(Image::new(planes, &info)) } else { Err(DecodeError::Damaged(state.into())) }
    }
}

/// A picture in the library's memory, until its next call.
pub(super) struct Image<'a> {
    planes: [NonNull<u8>; 3],
    info: sys::SSysMEMBuffer,
    library: std::marker::PhantomData<&'a Library>,
}

impl Image<'_> {
    /// `None` if the library gave none: the pointers may then be those of a picture that waits inside, or null.
    fn new([y, u, v]: [*mut u8; 3], info: &sys::SBufferInfo) -> Option<Self> {
        if info.iBufferStatus == 0 {
            return None;
        }
        let planes = [NonNull::new(y)?, NonNull::new(u)?, NonNull::new(v)?];
        // SAFETY: the union has this one member, plain numbers; the structure was zero before the library wrote to it.
        let info = unsafe { info.UsrData.sSystemBuffer };
        Some(Self { planes, info, library: std::marker::PhantomData })
    }

    /// Copies it, if it keeps the limits.
    pub(super) fn copy_to(&self, color: Color, limits: Limits, picture: &mut Picture) -> Result<(), DecodeError> {
        let side = |samples: i32| u32::try_from(samples).ok();
        let size = side(self.info.iWidth).zip(side(self.info.iHeight));
        let size = size.and_then(|(width, height)| Size::new(width, height)).ok_or(DecodeError::Layout)?;
        if size.pixels() > limits.pixels {
            return Err(DecodeError::PictureTooLarge(size));
        }
        picture.reshape(size, color);
        let [luma, chroma] = self.info.iStride.map(|stride| usize::try_from(stride).unwrap_or(0));
        let rows = [size.width(), size.chroma_width(), size.chroma_width()].map(|row| row as usize);
        for (((to, from), stride), row) in
            picture.planes_mut().into_iter().zip(self.planes).zip([luma, chroma, chroma]).zip(rows)
        {
            if stride < row {
                return Err(DecodeError::Layout);
            }
            for (index, to) in to.chunks_exact_mut(row).enumerate() {
                // SAFETY: a plane has a row at each multiple of its stride, as many as its height says.
                let start = unsafe { from.add(index * stride) };
                // SAFETY: a row has at least as many samples as the picture is wide, written before the library returned
                // it; it writes there again only in a call, and the borrow keeps calls away.
                to.copy_from_slice(unsafe { std::slice::from_raw_parts(start.as_ptr(), row) });
            }
        }
        Ok(())
    }
}
