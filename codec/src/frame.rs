//! Raw image as a sensor gives it.

use crate::units::{Color, Size, Uptime};
use thiserror::Error;

/// Layout of a sensor's samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// Planar 4:2:0: planes Y, U, V.
    I420,
    /// Planes Y and interleaved UV, 4:2:0.
    Nv12,
    /// Planes Y and interleaved VU, 4:2:0.
    Nv21,
    /// Packed 4:2:2: Y0 U Y1 V in one plane.
    Yuyv,
    /// Packed 4:2:2: U Y0 V Y1 in one plane.
    Uyvy,
    /// Luma alone, 8 bits a sample.
    Grey,
    /// One colour a pixel, 8 bits a sample.
    Bayer8(Pattern),
    /// One colour a pixel, 10 bits a sample, packed as MIPI CSI-2 RAW10 and V4L2's `pRAA` family have it: four
    /// samples in five bytes, the last of which holds their low bits. A row ends with a whole group of five.
    Bayer10(Pattern),
    /// One baseline JPEG picture in one plane; its stride is 0.
    Mjpeg,
}

impl Format {
    /// Planes of this layout.
    pub const fn planes(self) -> usize {
        match self {
            Self::I420 => 3,
            Self::Nv12 | Self::Nv21 => 2,
            Self::Yuyv | Self::Uyvy | Self::Grey | Self::Bayer8(_) | Self::Bayer10(_) | Self::Mjpeg => 1,
        }
    }
}

/// Colours of the first two samples of the first two rows of a mosaic (Bayer, US patent 3971065); the rest repeats
/// them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Pattern {
    /// Red, green; green, blue.
    Rggb,
    /// Green, red; blue, green.
    Grbg,
    /// Green, blue; red, green.
    Gbrg,
    /// Blue, green; green, red.
    Bggr,
}

/// One plane of samples.
#[derive(Clone, Copy, Debug, Default)]
pub struct Plane<'a> {
    /// Rows one after the other, top first.
    pub data: &'a [u8],
    /// Bytes from the start of one row to the start of the next.
    pub stride: usize,
}

/// Why planes do not make a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FrameError {
    /// Fewer or more planes than the format has.
    #[error("{given} planes given, {wanted} wanted")]
    Planes {
        /// Planes given.
        given: usize,
        /// Planes the format has.
        wanted: usize,
    },
    /// A row does not fit its stride.
    #[error("plane {plane} has rows of {row} bytes but a stride of {stride}")]
    Stride {
        /// Which plane.
        plane: usize,
        /// Bytes a row needs.
        row: usize,
        /// Stride given.
        stride: usize,
    },
    /// A plane ends before its last row does.
    #[error("plane {plane} has {len} bytes, its rows need {wanted}")]
    Short {
        /// Which plane.
        plane: usize,
        /// Bytes given.
        len: usize,
        /// Bytes needed.
        wanted: usize,
    },
    /// A compressed frame of no bytes.
    #[error("frame is empty")]
    Empty,
}

/// Raw image from a sensor, borrowed from the sensor's own buffer: nothing is copied to make one.
///
/// Its planes are checked once, here: whatever is reached through a `Frame` is inside its slices.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    format: Format,
    size: Size,
    color: Color,
    captured: Uptime,
    planes: [Plane<'a>; 3],
}

impl<'a> Frame<'a> {
    /// A frame of `size` luma samples, captured at `captured`.
    ///
    /// # Errors
    /// If there are not as many planes as `format` has, or a plane is shorter than its rows.
    pub fn new(
        format: Format,
        size: Size,
        color: Color,
        captured: Uptime,
        planes: &[Plane<'a>],
    ) -> Result<Self, FrameError> {
        let wanted = format.planes();
        if planes.len() != wanted {
            return Err(FrameError::Planes { given: planes.len(), wanted });
        }
        let mut kept = [Plane::default(); 3];
        for (plane, (slot, given)) in kept.iter_mut().zip(planes).enumerate() {
            match Self::row_and_rows(format, size, plane) {
                Some((row, rows)) => {
                    if given.stride < row {
                        return Err(FrameError::Stride { plane, row, stride: given.stride });
                    }
                    // The last row need not fill its stride: some drivers end the buffer right there.
                    let wanted = given.stride.saturating_mul(rows - 1).saturating_add(row);
                    if given.data.len() < wanted {
                        return Err(FrameError::Short { plane, len: given.data.len(), wanted });
                    }
                }
                None if given.data.is_empty() => return Err(FrameError::Empty),
                None => {}
            }
            *slot = *given;
        }
        Ok(Self { format, size, color, captured, planes: kept })
    }

    /// Bytes a row of `plane` has and how many rows; `None` for a compressed format.
    fn row_and_rows(format: Format, size: Size, plane: usize) -> Option<(usize, usize)> {
        let (w, h) = (size.width() as usize, size.height() as usize);
        let (cw, ch) = (size.chroma_width() as usize, size.chroma_height() as usize);
        match (format, plane) {
            (Format::I420 | Format::Nv12 | Format::Nv21, 0) | (Format::Grey | Format::Bayer8(_), _) => Some((w, h)),
            (Format::I420, _) => Some((cw, ch)),
            (Format::Nv12 | Format::Nv21, _) => Some((cw * 2, ch)),
            (Format::Yuyv | Format::Uyvy, _) => Some((cw * 4, h)),
            (Format::Bayer10(_), _) => Some((w.div_ceil(4) * 5, h)),
            (Format::Mjpeg, _) => None,
        }
    }

    /// Layout of the samples.
    pub fn format(&self) -> Format {
        self.format
    }

    /// Luma samples. A compressed frame may turn out to say otherwise inside.
    pub fn size(&self) -> Size {
        self.size
    }

    /// What the samples mean.
    pub fn color(&self) -> Color {
        self.color
    }

    /// When the sensor took it.
    pub fn captured(&self) -> Uptime {
        self.captured
    }

    /// The planes, as many as the format has.
    pub fn planes(&self) -> &[Plane<'a>] {
        self.planes.get(..self.format.planes()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn yuyv(len: usize, stride: usize) -> Result<(), FrameError> {
        let data = vec![0; len];
        let size = Size::new(6, 2).unwrap();
        Frame::new(Format::Yuyv, size, Color::default(), Uptime::default(), &[Plane { data: &data, stride }]).map(drop)
    }

    #[test]
    fn the_last_row_need_not_fill_its_stride() {
        assert_eq!(yuyv(16 + 12, 16), Ok(()));
        assert_eq!(yuyv(16 + 11, 16), Err(FrameError::Short { plane: 0, len: 27, wanted: 28 }));
    }

    #[test]
    fn a_stride_below_a_row_is_refused() {
        assert_eq!(yuyv(1000, 11), Err(FrameError::Stride { plane: 0, row: 12, stride: 11 }));
    }

    #[test]
    fn each_format_wants_its_own_bytes_a_row() {
        let size = Size::new(6, 3).unwrap();
        let rows = |format: Format| {
            let data = [0; 64];
            let fits = |strides: &[usize]| {
                let planes: Vec<_> = strides.iter().map(|&stride| Plane { data: &data, stride }).collect();
                Frame::new(format, size, Color::default(), Uptime::default(), &planes).is_ok()
            };
            let least = |plane: usize| {
                let with =
                    |stride| (0..format.planes()).map(|at| if at == plane { stride } else { 20 }).collect::<Vec<_>>();
                (1..=20).find(|&stride| fits(&with(stride)))
            };
            (0..format.planes()).map(least).collect::<Option<Vec<_>>>().unwrap()
        };
        assert_eq!(rows(Format::I420), [6, 3, 3]);
        assert_eq!(rows(Format::Nv21), [6, 6]);
        assert_eq!(rows(Format::Uyvy), [12]);
        assert_eq!(rows(Format::Grey), [6]);
        assert_eq!(rows(Format::Bayer8(Pattern::Gbrg)), [6]);
        assert_eq!(rows(Format::Bayer10(Pattern::Gbrg)), [10]);
    }
}
