//! From what the camera sees to the bytes of a frame.

mod h264;
mod scene;

use crate::block_code;
use crate::config::{Format, Frames, Mode};
use crate::picture::Picture;
use h264::Delta;
use jpeg_encoder::{Encoder, ImageBuffer, JpegColorType, SamplingFactor};
pub use scene::Light;
use scene::Scene;
use std::sync::Arc;

/// Quality of JPEGs, 1 to 100.
const QUALITY: u8 = 80;
/// A keyframe of H.264 comes with each so-manieth frame.
const KEYFRAMES: u32 = 60;

/// Makes the frames of one mode.
#[derive(Debug)]
pub(crate) struct Coder {
    format: Format,
    source: Source,
    /// The picture that is drawn on.
    picture: Picture,
    delta: Delta,
    made: u32,
}

#[derive(Debug)]
enum Source {
    Scene(Scene),
    Pictures(Arc<[Picture]>),
    Coded(Arc<[Vec<u8>]>),
}

impl Coder {
    pub(crate) fn new(mode: &Mode, frames: &Frames) -> Self {
        let (width, height) = (usize::from(mode.width), usize::from(mode.height));
        let source = match frames {
            Frames::Pattern => Source::Scene(Scene::new(width, height)),
            Frames::Pictures(pictures) => Source::Pictures(Arc::clone(pictures)),
            Frames::Coded(_, frames) => Source::Coded(Arc::clone(frames)),
        };
        let picture = Picture::plain(width, height, [16, 128, 128]);
        Self { format: mode.format, source, picture, delta: Delta::new(), made: 0 }
    }

    /// Frame `number`, with the lamp on or off, `brightness` steps of luma brighter.
    pub(crate) fn frame(&mut self, number: u32, light: Light, brightness: i16) -> Vec<u8> {
        let pick = |count: usize| usize::try_from(number).unwrap_or_default() % count.max(1);
        match &self.source {
            Source::Coded(frames) => return frames.get(pick(frames.len())).cloned().unwrap_or_default(),
            Source::Scene(scene) => scene.draw(&mut self.picture, number),
            Source::Pictures(pictures) => {
                if let Some(picture) = pictures.get(pick(pictures.len())) {
                    self.picture.clone_from(picture);
                }
            }
        }
        if brightness != 0 {
            let [luma, ..] = self.picture.planes_mut();
            for sample in luma {
                *sample = (i16::from(*sample) + brightness).clamp(16, 235) as u8;
            }
        }
        scene::draw_light(&mut self.picture, light);
        block_code::draw(&mut self.picture, number);
        let keyframe = self.made.is_multiple_of(KEYFRAMES);
        self.made = self.made.wrapping_add(1);
        match self.format {
            Format::Yuyv => yuyv(&self.picture),
            Format::Nv12 => nv12(&self.picture),
            Format::Mjpeg => jpeg(&self.picture),
            Format::H264 => self.delta.code(&self.picture, keyframe),
        }
    }
}

fn yuyv(picture: &Picture) -> Vec<u8> {
    let width = picture.width();
    let [y, u, v] = picture.planes();
    let mut out = Vec::with_capacity(2 * y.len());
    for (index, row) in y.chunks_exact(width).enumerate() {
        let chroma = index / 2 * (width / 2);
        let u = u.get(chroma..).unwrap_or_default();
        let v = v.get(chroma..).unwrap_or_default();
        out.extend(row.as_chunks::<2>().0.iter().zip(u).zip(v).flat_map(|(([y0, y1], u), v)| [*y0, *u, *y1, *v]));
    }
    out
}

fn nv12(picture: &Picture) -> Vec<u8> {
    let [y, u, v] = picture.planes();
    let mut out = Vec::with_capacity(y.len() * 3 / 2);
    out.extend_from_slice(y);
    out.extend(u.iter().zip(v).flat_map(|(u, v)| [*u, *v]));
    out
}

fn jpeg(picture: &Picture) -> Vec<u8> {
    let mut out = Vec::new();
    let mut encoder = Encoder::new(&mut out, QUALITY);
    encoder.set_sampling_factor(SamplingFactor::F_2_2);
    // Sizes are below what JPEG can state, and a vector takes what is written.
    let _ = encoder.encode_image(Samples(picture));
    out
}

/// Luma and chroma as they are, each chroma sample four times.
struct Samples<'a>(&'a Picture);

impl ImageBuffer for Samples<'_> {
    fn get_jpeg_color_type(&self) -> JpegColorType {
        JpegColorType::Ycbcr
    }

    fn width(&self) -> u16 {
        u16::try_from(self.0.width()).unwrap_or(u16::MAX)
    }

    fn height(&self) -> u16 {
        u16::try_from(self.0.height()).unwrap_or(u16::MAX)
    }

    fn fill_buffers(&self, y: u16, buffers: &mut [Vec<u8>; 4]) {
        let (row, width) = (usize::from(y), self.0.width());
        let planes = self.0.planes();
        let [luma, chroma @ .., _] = buffers;
        luma.extend(planes[0].iter().skip(row * width).take(width));
        for (buffer, plane) in chroma.iter_mut().zip(&planes[1..]) {
            let samples = plane.iter().skip(row / 2 * (width / 2)).take(width / 2);
            buffer.extend(samples.flat_map(|&sample| [sample, sample]));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(format: Format, number: u32) -> Vec<u8> {
        let mode = Mode::new(format, 320, 240, &[30]);
        Coder::new(&mode, &Frames::Pattern).frame(number, Light::On, 0)
    }

    #[test]
    fn raw_frames_carry_their_number_and_the_light() {
        let yuyv = frame(Format::Yuyv, 99);
        assert_eq!(yuyv.len(), 320 * 240 * 2);
        assert_eq!(block_code::read_yuyv(&yuyv, 640, (320, 240)), Some(99));
        let nv12 = frame(Format::Nv12, 100);
        assert_eq!(nv12.len(), 320 * 240 * 3 / 2);
        assert_eq!(block_code::read(&nv12, 320, (320, 240)), Some(100));
        assert_eq!(Light::read(&nv12, 320, (320, 240)), Some(Light::On));
    }

    #[test]
    fn pictures_of_the_caller_come_in_turn_with_a_number() {
        let pictures: Vec<_> = [60, 120].map(|luma| Picture::plain(320, 240, [luma, 128, 128])).into();
        let mode = Mode::new(Format::Nv12, 320, 240, &[30]);
        let mut coder = Coder::new(&mode, &Frames::Pictures(pictures.into()));
        for (number, luma) in [(0, 60), (1, 120), (2, 60)] {
            let frame = coder.frame(number, Light::Off, 0);
            assert_eq!(block_code::read(&frame, 320, (320, 240)), Some(number));
            assert_eq!(frame[320 * 239], luma);
        }
    }

    #[test]
    fn brightness_changes_the_picture_and_not_the_number() {
        let mode = Mode::new(Format::Nv12, 320, 240, &[30]);
        let mut coder = Coder::new(&mode, &Frames::Pattern);
        let [dark, bright] = [-60, 60].map(|brightness| coder.frame(5, Light::Off, brightness));
        assert!(dark[320 * 239] < bright[320 * 239]);
        for frame in [dark, bright] {
            assert_eq!(block_code::read(&frame, 320, (320, 240)), Some(5));
        }
    }

    /// Sizes whose height is and is not whole macroblocks.
    const SIZES: [(u16, u16); 3] = [(320, 240), (640, 360), (1280, 720)];

    #[test]
    fn jpegs_carry_their_number_and_the_light_through_a_decoder() {
        for (width, height) in SIZES {
            let mut coder = Coder::new(&Mode::new(Format::Mjpeg, width, height, &[30]), &Frames::Pattern);
            let size = (usize::from(width), usize::from(height));
            for (number, light) in [(0, Light::Off), (0x5555_aaaa, Light::On), (u32::MAX, Light::Off)] {
                let frame = coder.frame(number, light, 0);
                let options = zune_jpeg::zune_core::options::DecoderOptions::default()
                    .jpeg_set_out_colorspace(zune_jpeg::zune_core::colorspace::ColorSpace::Luma);
                let cursor = zune_jpeg::zune_core::bytestream::ZCursor::new(&frame);
                let luma = zune_jpeg::JpegDecoder::new_with_options(cursor, options).decode().unwrap();
                // JPEG's luma has full range; the thresholds have room for both.
                assert_eq!(block_code::read(&luma, size.0, size), Some(number), "{width}x{height}");
                assert_eq!(Light::read(&luma, size.0, size), Some(light));
            }
        }
    }

    #[test]
    fn h264_is_decoded_to_the_pictures_that_were_drawn() {
        use openh264::formats::YUVSource;
        for (width, height) in SIZES {
            let mut coder = Coder::new(&Mode::new(Format::H264, width, height, &[30]), &Frames::Pattern);
            let mut decoder = openh264::decoder::Decoder::new().unwrap();
            let size = (usize::from(width), usize::from(height));
            for number in 0..130 {
                let light = if number % 7 < 3 { Light::On } else { Light::Off };
                let frame = coder.frame(number, light, 0);
                let picture = decoder.decode(&frame).unwrap().expect("a picture for each access unit");
                assert_eq!(picture.dimensions(), size);
                let stride = picture.strides().0;
                assert_eq!(block_code::read(picture.y(), stride, size), Some(number), "{width}x{height}");
                assert_eq!(Light::read(picture.y(), stride, size), Some(light));
                for (row, drawn) in picture.y().chunks(stride).zip(coder.picture.planes()[0].chunks(size.0)) {
                    assert_eq!(row[..size.0], *drawn, "frame {number}");
                }
            }
        }
    }
}
