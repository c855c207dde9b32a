//! A JPEG to a picture.
//!
//! Its markers are looked at before a decoder sees it, and its size again before anything is decoded. A decoder gives its
//! planes as they are coded; after that its chroma is brought to half of both sides, if it is not so already.

#[cfg(feature = "turbojpeg")]
mod turbo;
mod zune;

use super::ConvertError;
use super::packed::{copy_rows, halve};
use crate::clip::mjpeg;
use crate::frame::Plane;
use crate::picture::Picture;
use crate::units::{Color, Matrix, Range, Size};

#[cfg(feature = "turbojpeg")]
pub(crate) use turbo::VERSION as TURBO_VERSION;
pub(crate) use zune::VERSION as ZUNE_VERSION;

/// Whose JPEGs they are, which decides what decodes them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum JpegOrigin {
    /// Anybody's: zune-jpeg, which is Rust, decodes them.
    #[default]
    Anywhere,
    /// The owner's own camera's: with feature `turbojpeg` libjpeg-turbo decodes them, which is C and takes three quarters of
    /// the time. What no camera gives (progressive, in several scans, arithmetic-coded) goes to zune-jpeg here too.
    OwnCamera,
}

/// Block padding that a JPEG may show beyond the frame, in samples a side: encoders that know no cropping give
/// 1920x1088 for 1920x1080.
const PADDING: usize = 15;

/// The segment by which an AVI's JPEGs say that they use the standard Huffman tables and carry none.
const AVI1: [u8; 18] = [0xff, 0xe0, 0, 16, b'A', b'V', b'I', b'1', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// Decodes JPEGs one after the other. None has anything to do with the one before.
#[derive(Clone, Debug, Default)]
pub(super) struct Jpegs {
    #[cfg_attr(not(feature = "turbojpeg"), expect(dead_code, reason = "there is one decoder for all of them"))]
    origin: JpegOrigin,
    /// Planes as they are coded, where they are not those of the picture.
    planes: Vec<u8>,
    /// A JPEG with the segment it lacked.
    patched: Vec<u8>,
}

impl Jpegs {
    pub(super) fn new(origin: JpegOrigin) -> Self {
        Self { origin, ..Self::default() }
    }

    /// Makes `picture` what `jpeg` shows, cropped to `size`, which is that of the frame made even.
    pub(super) fn decode(
        &mut self,
        jpeg: &[u8],
        frame: Size,
        size: Size,
        picture: &mut Picture,
    ) -> Result<(), ConvertError> {
        let damaged = ConvertError::Jpeg { bytes: jpeg.len() };
        let scanned = mjpeg::scan(jpeg).filter(|scanned| scanned.complete).ok_or(damaged)?;
        // What comes after its end is the driver's buffer, not the picture's.
        let jpeg = jpeg.get(..scanned.len).ok_or(damaged)?;
        #[cfg(feature = "turbojpeg")]
        if self.origin == JpegOrigin::OwnCamera
            && scanned.plain
            && let Some(coded) = turbo::Turbo::open(jpeg, damaged)
        {
            return paint(coded, frame, size, &mut self.planes, picture);
        }
        let jpeg = if scanned.huffman_tables { jpeg } else { with_standard_tables(jpeg, &mut self.patched) };
        paint(zune::Zune::open(jpeg, damaged)?, frame, size, &mut self.planes, picture)
    }
}

/// A JPEG whose header was read, and nothing else.
trait Coded {
    fn layout(&self) -> Layout;

    /// Decodes to `planes`, of [`Layout::bytes`]: one after the other, rows without padding.
    fn decode(self, planes: &mut [u8]) -> Result<(), ConvertError>;
}

/// The planes that a decoder gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Layout {
    /// Sides of what the JPEG shows.
    shown: Sides,
    /// Of luma: of what is shown or more.
    luma: Sides,
    /// `None` if it is grey.
    chroma: Option<Chroma>,
}

/// Width and height in samples.
type Sides = (usize, usize);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Chroma {
    /// Of each of the two planes.
    sides: Sides,
    /// Samples of luma for one of chroma, across and down: 1, 2 or 4.
    ratio: (usize, usize),
}

impl Layout {
    /// Bytes of all planes.
    fn bytes(&self) -> usize {
        self.luma.0 * self.luma.1 + self.chroma_bytes() * 2
    }

    /// Of one of the two.
    fn chroma_bytes(&self) -> usize {
        self.chroma.map_or(0, |chroma| chroma.sides.0 * chroma.sides.1)
    }

    /// Whether its planes are those of an I420 picture of `size`.
    fn is(&self, size: Size) -> bool {
        let (width, height) = (size.width() as usize, size.height() as usize);
        let half = (size.chroma_width() as usize, size.chroma_height() as usize);
        self.luma == (width, height) && self.chroma.is_some_and(|chroma| chroma.sides == half && chroma.ratio == (2, 2))
    }
}

fn paint(
    coded: impl Coded,
    frame: Size,
    size: Size,
    planes: &mut Vec<u8>,
    picture: &mut Picture,
) -> Result<(), ConvertError> {
    let layout = coded.layout();
    let (width, height) = layout.shown;
    let fits = |inside: usize, frame: u32| inside.wrapping_sub(frame as usize) <= PADDING;
    if !fits(width, frame.width()) || !fits(height, frame.height()) {
        return Err(ConvertError::JpegSize { width, height, frame });
    }
    picture.reshape(size, Color { range: Range::Full, matrix: Matrix::Bt601 });
    if layout.is(size) {
        return coded.decode(picture.samples_mut());
    }
    // No more than the frame has and its padding: the sizes were compared above.
    planes.resize(layout.bytes(), 0);
    coded.decode(planes)?;
    let (luma, chroma) = planes.split_at(layout.luma.0 * layout.luma.1);
    let (blue, red) = chroma.split_at(layout.chroma_bytes());
    let [y, u, v] = picture.planes_mut();
    copy_rows(&Plane { data: luma, stride: layout.luma.0 }, size.width() as usize, y);
    let Some(Chroma { sides: (stride, _), ratio }) = layout.chroma else {
        u.fill(128);
        v.fill(128);
        return Ok(());
    };
    for (data, to) in [(blue, u), (red, v)] {
        halve(&Plane { data, stride }, ratio, size.chroma_width() as usize, to);
    }
    Ok(())
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
