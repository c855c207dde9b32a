//! zune-jpeg, which is Rust, with processor instructions for its transform.

use super::{Chroma, Coded, Layout};
use crate::convert::ConvertError;
use crate::units::Size;

use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;
use zune_jpeg::{JpegDecoder, PlaneInfo};

/// The one that `Cargo.toml` asks for: the library does not say it. It is the first with planes as they are coded.
pub(crate) const VERSION: &str = "0.5.16-rc3";

/// A JPEG that zune-jpeg has read the header of.
pub(super) struct Zune<'a> {
    decoder: JpegDecoder<ZCursor<&'a [u8]>>,
    layout: Layout,
    damaged: ConvertError,
}

impl<'a> Zune<'a> {
    /// `damaged` is the error of one that is.
    pub(super) fn open(jpeg: &'a [u8], damaged: ConvertError) -> Result<Self, ConvertError> {
        let side = Size::MAX_SIDE as usize + super::PADDING;
        let options = DecoderOptions::new_fast().set_strict_mode(true).set_max_width(side).set_max_height(side);
        let mut decoder = JpegDecoder::new_with_options(ZCursor::new(jpeg), options);
        decoder.decode_headers().map_err(|_| damaged)?;
        if !matches!(decoder.input_colorspace(), Some(ColorSpace::YCbCr | ColorSpace::Luma)) {
            return Err(ConvertError::JpegColor);
        }
        let layout = layout(&mut decoder)?;
        Ok(Self { decoder, layout, damaged })
    }
}

fn layout(decoder: &mut JpegDecoder<ZCursor<&[u8]>>) -> Result<Layout, ConvertError> {
    let raw = decoder.raw_output();
    let Some(([luma, blue, red, _], planes)) = raw.layout().zip(raw.num_components()) else {
        return Err(ConvertError::JpegSampling);
    };
    let shown = (luma.width, luma.height);
    if planes == 1 {
        return Ok(Layout { shown, luma: shown, chroma: None });
    }
    let factors = |plane: PlaneInfo| (plane.horizontal_sampling_factor, plane.vertical_sampling_factor);
    let ratio = |luma: usize, chroma: usize| [1, 2, 4].into_iter().find(|ratio| chroma * ratio == luma);
    let across = ratio(factors(luma).0, factors(blue).0);
    let down = ratio(factors(luma).1, factors(blue).1);
    let sides = (blue.width, blue.height);
    match across.zip(down) {
        Some(ratio) if factors(blue) == factors(red) && sides == (red.width, red.height) => {
            Ok(Layout { shown, luma: shown, chroma: Some(Chroma { sides, ratio }) })
        }
        _ => Err(ConvertError::JpegSampling),
    }
}

impl Coded for Zune<'_> {
    fn layout(&self) -> Layout {
        self.layout
    }

    fn decode(mut self, planes: &mut [u8]) -> Result<(), ConvertError> {
        let Layout { luma: (stride, rows), chroma, .. } = self.layout;
        let (y, rest) = planes.split_at_mut_checked(stride * rows).ok_or(self.damaged)?;
        let mut raw = self.decoder.raw_output();
        match chroma {
            None => raw.decode_into_planes_strided(&mut [y], &[stride]),
            Some(chroma) => {
                let (u, v) = rest.split_at_mut_checked(self.layout.chroma_bytes()).ok_or(self.damaged)?;
                let half = chroma.sides.0;
                raw.decode_into_planes_strided(&mut [y, u, v], &[stride, half, half])
            }
        }
        .map_err(|_| self.damaged)
    }
}
