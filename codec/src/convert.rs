//! Sensor frame to picture: every layout a sensor gives becomes I420.

use crate::clip::mjpeg;
use crate::frame::{Format, Frame, Plane};
use crate::picture::Picture;
use crate::units::{Color, Matrix, Range, Size};
use thiserror::Error;
use yuv::{BufferStoreMut, YuvPackedImage, YuvPlanarImageMut, yuyv422_to_yuv422};
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

/// Why a frame could not be converted. The frame is lost, the next one may be well: count it and go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ConvertError {
    /// Cropped to even sides, nothing is left.
    #[error("frame of {0} is too small: both sides must be 2 or more")]
    TooSmall(Size),
    /// The JPEG inside is cut short or damaged.
    #[error("JPEG of {bytes} bytes is damaged")]
    Jpeg {
        /// Its length.
        bytes: usize,
    },
    /// The JPEG inside has another size than the frame.
    #[error("JPEG is {width}x{height}, the frame is {frame}")]
    JpegSize {
        /// Width in the JPEG.
        width: usize,
        /// Height in the JPEG.
        height: usize,
        /// Size of the frame.
        frame: Size,
    },
    /// The JPEG inside is neither YCbCr nor grey.
    #[error("JPEG is neither YCbCr nor grey")]
    JpegColor,
    /// The library that converts packed layouts refused.
    #[error("packed frame of {0} could not be converted")]
    Packed(Size),
}

/// Block padding that a JPEG may show beyond the frame, in samples a side: encoders that know no cropping give
/// 1920x1088 for 1920x1080.
const JPEG_PADDING: usize = 15;

/// The segment by which an AVI's JPEGs say that they use the standard Huffman tables and carry none.
const AVI1: [u8; 18] = [0xff, 0xe0, 0, 16, b'A', b'V', b'I', b'1', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// Turns frames of any [`Format`] into pictures. Keeps its memory from frame to frame.
#[derive(Clone, Debug, Default)]
pub struct Converter {
    /// A JPEG's samples, interleaved; or the chroma of two packed rows.
    samples: Vec<u8>,
    /// A JPEG with the segment it lacked.
    patched: Vec<u8>,
}

impl Converter {
    /// With no memory yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Converts `frame` into `picture`, which is reshaped: encoders need even sides, so an odd last column or row
    /// is cropped.
    ///
    /// The samples keep the meaning the frame says they have, except a JPEG's, which are always full-range BT.601
    /// (ITU-T T.871 §7). 4:2:2 loses every other chroma row by averaging two.
    ///
    /// # Errors
    /// If the frame is a damaged JPEG, or one of another size; `picture` is then undefined, but initialised.
    pub fn convert(&mut self, frame: &Frame<'_>, picture: &mut Picture) -> Result<(), ConvertError> {
        let given = frame.size();
        let size = Size::new(given.width() & !1, given.height() & !1).ok_or(ConvertError::TooSmall(given))?;
        match (frame.format(), frame.planes()) {
            (Format::I420, [y, u, v]) => {
                picture.reshape(size, frame.color());
                let (width, half) = (size.width() as usize, size.width() as usize / 2);
                for (to, (from, row)) in picture.planes_mut().into_iter().zip([(y, width), (u, half), (v, half)]) {
                    copy_rows(from, row, to);
                }
                Ok(())
            }
            (Format::Nv12, [y, uv]) => {
                picture.reshape(size, frame.color());
                let [to_y, to_u, to_v] = picture.planes_mut();
                copy_rows(y, size.width() as usize, to_y);
                split_rows(uv, size.width() as usize / 2, to_u, to_v);
                Ok(())
            }
            (Format::Yuyv, [packed]) => {
                picture.reshape(size, frame.color());
                self.unpack(packed, size.width(), picture).ok_or(ConvertError::Packed(given))
            }
            (Format::Mjpeg, [jpeg]) => self.decode_jpeg(jpeg.data, given, size, picture),
            // A frame has as many planes as its format: this is never reached.
            _ => Err(ConvertError::Packed(given)),
        }
    }

    /// Row by row, because the library's own way from YUYV to 4:2:0 takes the chroma of the even row where it runs
    /// vector code and of the odd row where it does not, and wants every row to fill its stride.
    fn unpack(&mut self, packed: &Plane<'_>, width: u32, picture: &mut Picture) -> Option<()> {
        let half = width as usize / 2;
        self.samples.resize(4 * half, 0);
        let (upper, lower) = self.samples.split_at_mut(2 * half);
        let ((upper_u, upper_v), (lower_u, lower_v)) = (upper.split_at_mut(half), lower.split_at_mut(half));
        let [y, u, v] = picture.planes_mut();
        let mut rows = packed.data.chunks(packed.stride);
        let chroma = u.chunks_exact_mut(half).zip(v.chunks_exact_mut(half));
        for (luma, (u, v)) in y.chunks_exact_mut(4 * half).zip(chroma) {
            let (luma_upper, luma_lower) = luma.split_at_mut(2 * half);
            unpack_row(rows.next()?, width, [luma_upper, upper_u, upper_v])?;
            unpack_row(rows.next()?, width, [luma_lower, lower_u, lower_v])?;
            average(upper_u, lower_u, u);
            average(upper_v, lower_v, v);
        }
        Some(())
    }

    fn decode_jpeg(&mut self, jpeg: &[u8], frame: Size, size: Size, picture: &mut Picture) -> Result<(), ConvertError> {
        let Self { samples, patched } = self;
        let damaged = ConvertError::Jpeg { bytes: jpeg.len() };
        let scanned = mjpeg::scan(jpeg).filter(|scanned| scanned.complete).ok_or(damaged)?;
        // What comes after its end is the driver's buffer, not the picture's.
        let jpeg = jpeg.get(..scanned.len).ok_or(damaged)?;
        let jpeg = if scanned.huffman_tables { jpeg } else { with_standard_tables(jpeg, patched) };
        let side = Size::MAX_SIDE as usize + JPEG_PADDING;
        let options = DecoderOptions::new_fast()
            .set_strict_mode(true)
            .set_max_width(side)
            .set_max_height(side)
            .jpeg_set_out_colorspace(ColorSpace::YCbCr);
        let mut decoder = JpegDecoder::new_with_options(ZCursor::new(jpeg), options);
        decoder.decode_headers().map_err(|_| damaged)?;
        let info = decoder.info().ok_or(damaged)?;
        let (width, height) = (usize::from(info.width), usize::from(info.height));
        let fits = |inside: usize, frame: u32| inside.wrapping_sub(frame as usize) <= JPEG_PADDING;
        if !fits(width, frame.width()) || !fits(height, frame.height()) {
            return Err(ConvertError::JpegSize { width, height, frame });
        }
        let channels = match decoder.input_colorspace() {
            Some(ColorSpace::YCbCr) => 3,
            Some(ColorSpace::Luma) => {
                decoder.set_options(options.jpeg_set_out_colorspace(ColorSpace::Luma));
                1
            }
            _ => return Err(ConvertError::JpegColor),
        };
        // No more than the frame has and its padding: the sizes were compared above.
        samples.resize(width * height * channels, 0);
        decoder.decode_into(samples).map_err(|_| damaged)?;
        picture.reshape(size, Color { range: Range::Full, matrix: Matrix::Bt601 });
        let stride = width * channels;
        let to = picture.planes_mut();
        if channels == 1 {
            let [y, u, v] = to;
            copy_rows(&Plane { data: samples, stride }, size.width() as usize, y);
            u.fill(128);
            v.fill(128);
        } else {
            subsample(samples, stride, size.width() as usize, to);
        }
        Ok(())
    }
}

/// The JPEG with the mark of standard Huffman tables after its first marker: many cameras leave the tables out.
fn with_standard_tables<'a>(jpeg: &[u8], patched: &'a mut Vec<u8>) -> &'a [u8] {
    let (start, rest) = jpeg.split_at(jpeg.len().min(2));
    patched.clear();
    patched.extend_from_slice(start);
    patched.extend_from_slice(&AVI1);
    patched.extend_from_slice(rest);
    patched
}

/// Copies the first `row` bytes of each row, as many rows as `to` has.
fn copy_rows(from: &Plane<'_>, row: usize, to: &mut [u8]) {
    for (to, from) in to.chunks_exact_mut(row).zip(from.data.chunks(from.stride.max(row))) {
        if let Some(from) = from.get(..row) {
            to.copy_from_slice(from);
        }
    }
}

/// Parts interleaved chroma, `pairs` of each row.
fn split_rows(from: &Plane<'_>, pairs: usize, to_u: &mut [u8], to_v: &mut [u8]) {
    let rows = from.data.chunks(from.stride.max(pairs * 2));
    for ((u, v), from) in to_u.chunks_exact_mut(pairs).zip(to_v.chunks_exact_mut(pairs)).zip(rows) {
        for ((u, v), &[from_u, from_v]) in u.iter_mut().zip(v).zip(from.as_chunks().0) {
            *u = from_u;
            *v = from_v;
        }
    }
}

/// One row of YUYV to luma and chroma of half its width.
fn unpack_row(row: &[u8], width: u32, [y, u, v]: [&mut [u8]; 3]) -> Option<()> {
    let mut planar = YuvPlanarImageMut {
        y_plane: BufferStoreMut::Borrowed(y),
        y_stride: width,
        u_plane: BufferStoreMut::Borrowed(u),
        u_stride: width / 2,
        v_plane: BufferStoreMut::Borrowed(v),
        v_stride: width / 2,
        width,
        height: 1,
    };
    let yuy = row.get(..width as usize * 2)?;
    yuyv422_to_yuv422(&mut planar, &YuvPackedImage { yuy, yuy_stride: width * 2, width, height: 1 }).ok()
}

/// The mean of each two samples, rounded up.
fn average(a: &[u8], b: &[u8], to: &mut [u8]) {
    for ((&a, &b), to) in a.iter().zip(b).zip(to) {
        *to = u16::from(a).midpoint(u16::from(b) + 1) as u8;
    }
}

/// Interleaved Y, Cb, Cr at full resolution to planes: luma as it is, chroma as the mean of two by two.
fn subsample(from: &[u8], stride: usize, width: usize, [y, u, v]: [&mut [u8]; 3]) {
    let luma = y.chunks_exact_mut(width * 2);
    let chroma = u.chunks_exact_mut(width / 2).zip(v.chunks_exact_mut(width / 2));
    for ((luma, (u, v)), rows) in luma.zip(chroma).zip(from.chunks_exact(stride * 2)) {
        let (upper, lower) = rows.split_at(stride);
        let (luma_upper, luma_lower) = luma.split_at_mut(width);
        let sources = upper.as_chunks().0.iter().zip(lower.as_chunks().0);
        let lumas = luma_upper.as_chunks_mut().0.iter_mut().zip(luma_lower.as_chunks_mut().0);
        let mean =
            |a: u8, b: u8, c: u8, d: u8| ((u16::from(a) + u16::from(b) + u16::from(c) + u16::from(d) + 2) / 4) as u8;
        for (((a, b), (to_a, to_b)), (u, v)) in sources.zip(lumas).zip(u.iter_mut().zip(v)) {
            let (&[y0, u0, v0, y1, u1, v1], &[y2, u2, v2, y3, u3, v3]) = (a, b);
            *to_a = [y0, y1];
            *to_b = [y2, y3];
            *u = mean(u0, u1, u2, u3);
            *v = mean(v0, v1, v2, v3);
        }
    }
}

#[cfg(test)]
mod tests;
