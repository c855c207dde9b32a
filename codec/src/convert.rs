//! Sensor frame to picture: every layout a sensor gives becomes I420.

mod demosaic;
mod packed;
pub mod raw;

use crate::clip::mjpeg;
use crate::frame::{Format, Frame, Pattern, Plane};
use crate::picture::Picture;
use crate::units::{Color, Matrix, Range, Size};
use demosaic::{Demosaic, Depth};
use packed::{Order, copy_rows, split_rows, subsample, unpack};
use thiserror::Error;
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
    /// A layout that cannot be converted.
    #[error("frame of format {0:?} cannot be converted")]
    Format(Format),
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
    settings: raw::Checked,
    /// Made with the first mosaic.
    demosaic: Option<Demosaic>,
}

impl Converter {
    /// With no memory yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// With no memory yet, for a raw sensor with these settings. Other formats do not look at them.
    pub fn with_raw(settings: raw::Checked) -> Self {
        Self { settings, ..Self::default() }
    }

    /// Changes a raw sensor's settings from the next frame on; a balance that follows the light begins anew.
    pub fn set_raw(&mut self, settings: raw::Checked) {
        self.settings = settings;
        self.demosaic = None;
    }

    /// Gains of red and blue against green that the last mosaic was shown with; `None` before the first.
    pub fn white_balance(&self) -> Option<(f32, f32)> {
        self.demosaic.as_ref().and_then(Demosaic::balance)
    }

    /// Converts `frame` into `picture`, which is reshaped: encoders need even sides, so an odd last column or row
    /// is cropped.
    ///
    /// The samples keep the meaning the frame says they have, except a JPEG's, which are always full-range BT.601
    /// (ITU-T T.871 §7), and a mosaic's, which become limited-range BT.709. 4:2:2 loses every other chroma row by
    /// averaging two.
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
            (format @ (Format::Nv12 | Format::Nv21), [y, chroma]) => {
                picture.reshape(size, frame.color());
                let [to_y, to_u, to_v] = picture.planes_mut();
                copy_rows(y, size.width() as usize, to_y);
                let (first, second) = if format == Format::Nv12 { (to_u, to_v) } else { (to_v, to_u) };
                split_rows(chroma, size.width() as usize / 2, first, second);
                Ok(())
            }
            (format @ (Format::Yuyv | Format::Uyvy), [packed]) => {
                picture.reshape(size, frame.color());
                let order = if format == Format::Yuyv { Order::Yuyv } else { Order::Uyvy };
                unpack(order, packed, size.width() as usize, &mut self.samples, picture.planes_mut());
                Ok(())
            }
            (Format::Grey, [grey]) => {
                picture.reshape(size, frame.color());
                let [y, u, v] = picture.planes_mut();
                copy_rows(grey, size.width() as usize, y);
                u.fill(128);
                v.fill(128);
                Ok(())
            }
            (Format::Bayer8(pattern), [mosaic]) => self.demosaic(Depth::Eight, pattern, mosaic, size, picture),
            (Format::Bayer10(pattern), [mosaic]) => self.demosaic(Depth::Ten, pattern, mosaic, size, picture),
            (Format::Mjpeg, [jpeg]) => self.decode_jpeg(jpeg.data, given, size, picture),
            // A frame has as many planes as its format: this is never reached.
            (format, _) => Err(ConvertError::Format(format)),
        }
    }

    fn demosaic(
        &mut self,
        depth: Depth,
        pattern: Pattern,
        mosaic: &Plane<'_>,
        size: Size,
        picture: &mut Picture,
    ) -> Result<(), ConvertError> {
        picture.reshape(size, Color { range: Range::Limited, matrix: Matrix::Bt709 });
        let settings = self.settings;
        self.demosaic.get_or_insert_with(|| Demosaic::new(settings)).paint(depth, pattern, mosaic, picture);
        Ok(())
    }

    fn decode_jpeg(&mut self, jpeg: &[u8], frame: Size, size: Size, picture: &mut Picture) -> Result<(), ConvertError> {
        let Self { samples, patched, .. } = self;
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

#[cfg(test)]
mod tests;
