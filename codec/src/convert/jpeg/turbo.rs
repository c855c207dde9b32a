//! libjpeg-turbo, compiled from source.

use super::{Chroma, Coded, Layout};
use crate::convert::ConvertError;
use turbojpeg::{Colorspace, Decompressor, Error, Subsamp, YuvImage};

/// By the word of its headers, which `build.rs` asks.
pub(crate) const VERSION: &str = env!("DOORFRAME_LIBJPEG_TURBO");

/// A JPEG that libjpeg-turbo has read the header of.
///
/// Each has a handle of its own. One that is kept would know the tables of the JPEGs before, and decode one that has none
/// by those of another.
pub(super) struct Turbo<'a> {
    decompressor: Decompressor,
    jpeg: &'a [u8],
    subsampling: Subsamp,
    layout: Layout,
    damaged: ConvertError,
}

impl<'a> Turbo<'a> {
    /// `None` for one that is not for it, or whose header it cannot read: what that is the other decoder says.
    /// `damaged` is the error of one whose picture is.
    pub(super) fn open(jpeg: &'a [u8], damaged: ConvertError) -> Option<Self> {
        let mut decompressor = Decompressor::new().ok()?;
        let header = decompressor.read_header(jpeg).ok()?;
        if header.is_progressive || header.is_arithmetic || header.is_lossless {
            return None;
        }
        let shown = (header.width, header.height);
        let ratio = match (header.colorspace, header.subsamp) {
            (Colorspace::Gray, Subsamp::Gray) => None,
            (Colorspace::YCbCr, Subsamp::None) => Some((1, 1)),
            (Colorspace::YCbCr, Subsamp::Sub2x1) => Some((2, 1)),
            (Colorspace::YCbCr, Subsamp::Sub2x2) => Some((2, 2)),
            (Colorspace::YCbCr, Subsamp::Sub1x2) => Some((1, 2)),
            (Colorspace::YCbCr, Subsamp::Sub4x1) => Some((4, 1)),
            _ => return None,
        };
        // It rounds luma up to whole samples of chroma.
        let (across, down) = ratio.unwrap_or((1, 1));
        let luma = (shown.0.next_multiple_of(across), shown.1.next_multiple_of(down));
        let chroma = ratio.map(|ratio| Chroma { sides: (luma.0 / across, luma.1 / down), ratio });
        let layout = Layout { shown, luma, chroma };
        Some(Self { decompressor, jpeg, subsampling: header.subsamp, layout, damaged })
    }
}

impl Coded for Turbo<'_> {
    fn layout(&self) -> Layout {
        self.layout
    }

    fn decode(mut self, planes: &mut [u8]) -> Result<(), ConvertError> {
        let (width, height) = self.layout.shown;
        // The sampling is the header's: by it and the sides the library knows how much it writes.
        let wanted = turbojpeg::yuv_pixels_len(width, 1, height, self.subsampling).map_err(|_| self.damaged)?;
        if wanted != planes.len() {
            return Err(self.damaged);
        }
        let image = YuvImage { pixels: planes, width, align: 1, height, subsamp: self.subsampling };
        match self.decompressor.decompress_to_yuv(self.jpeg, image) {
            Err(error) if !is_harmless(&error) => Err(self.damaged),
            _ => Ok(()),
        }
    }
}

/// Whether all that it found wrong is bytes between the picture's last and the end marker, which some cameras leave there.
fn is_harmless(error: &Error) -> bool {
    matches!(error, Error::TurboJpegError(said) if said.contains("extraneous bytes before marker 0xd9"))
}
