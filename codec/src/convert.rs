//! Sensor frame to picture: every layout a sensor gives becomes I420.

mod demosaic;
mod jpeg;
mod packed;
pub mod raw;

use crate::frame::{Format, Frame, Pattern, Plane};
use crate::picture::Picture;
use crate::units::{Color, Matrix, Range, Size};
use demosaic::{Demosaic, Depth};
use jpeg::Jpegs;
use packed::{Order, copy_rows, split_rows, unpack};
use thiserror::Error;

pub use jpeg::JpegOrigin;
#[cfg(feature = "turbojpeg")]
pub(crate) use jpeg::TURBO_VERSION;
pub(crate) use jpeg::ZUNE_VERSION;

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
    /// The JPEG inside has its chroma where no camera has it.
    #[error("JPEG has other chroma than 4:4:4, 4:4:0, 4:2:2, 4:2:0 or 4:1:1")]
    JpegSampling,
    /// A layout that cannot be converted.
    #[error("frame of format {0:?} cannot be converted")]
    Format(Format),
}

/// Turns frames of any [`Format`] into pictures. Keeps its memory from frame to frame.
#[derive(Clone, Debug, Default)]
pub struct Converter {
    /// The chroma of two packed rows.
    samples: Vec<u8>,
    jpegs: Jpegs,
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

    /// With no memory yet, for JPEGs from there. Other formats do not look at it.
    pub fn with_jpegs(origin: JpegOrigin) -> Self {
        Self { jpegs: Jpegs::new(origin), ..Self::default() }
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
            (Format::Mjpeg, [jpeg]) => self.jpegs.decode(jpeg.data, given, size, picture),
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
}

#[cfg(test)]
mod tests;
