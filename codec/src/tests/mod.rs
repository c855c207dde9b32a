//! From sensor frame to shown picture: what no module can prove alone.

mod colors;
mod foreign;
mod privacy;
mod step;

use crate::access_unit::{AccessUnit, Kind};
use crate::av1::rav1d::Rav1dDecoder;
use crate::av1::rav1e::Rav1eEncoder;
use crate::decoder::{Limits, Shown};
use crate::encoder::Config;
use crate::h264::openh264::{Openh264Decoder, Openh264Encoder};
use crate::units::{Bitrate, Color, FrameRate, Matrix, MediaTime, Range, Size};
use crate::{Decoder, Encoder, Picture};

const COLORS: [Color; 4] = [
    Color { range: Range::Limited, matrix: Matrix::Bt601 },
    Color { range: Range::Full, matrix: Matrix::Bt601 },
    Color { range: Range::Limited, matrix: Matrix::Bt709 },
    Color { range: Range::Full, matrix: Matrix::Bt709 },
];

fn size(width: u32, height: u32) -> Size {
    Size::new(width, height).unwrap()
}

fn config(size: Size, kbps: u32) -> Config {
    Config::new(size, FrameRate::whole(30).unwrap(), Bitrate::from_kbps(kbps))
}

fn h264(config: Config) -> Box<dyn Encoder> {
    Box::new(Openh264Encoder::new(config.check().unwrap()).unwrap())
}

fn av1(config: Config) -> Box<dyn Encoder> {
    Box::new(Rav1eEncoder::new(config.check().unwrap()).unwrap())
}

/// The units of these pictures, all of them, at 30 a second; a keyframe where `keyframes` says so.
fn encode(mut encoder: Box<dyn Encoder>, pictures: &[Picture], keyframes: &[usize]) -> Vec<AccessUnit> {
    let mut units = Vec::new();
    for (index, picture) in pictures.iter().enumerate() {
        let want = if keyframes.contains(&index) { Kind::Keyframe } else { Kind::Delta };
        let at = MediaTime::from_ticks(index as u64 * 3000);
        units.extend(encoder.encode(picture, at, want).unwrap());
    }
    units.extend(encoder.finish().unwrap());
    units
}

/// What the decoder of their codec makes of these units.
fn decode(units: &[AccessUnit]) -> Vec<Picture> {
    let mut decoder: Box<dyn Decoder> = match units[0].codec {
        crate::access_unit::Codec::H264 => Box::new(Openh264Decoder::new(Limits::default())),
        _ => Box::new(Rav1dDecoder::new(Limits::default())),
    };
    let mut picture = Picture::black(size(2, 2), Color::default());
    let show = |unit| {
        assert_eq!(decoder.decode(unit, &mut picture), Ok(Shown::Picture));
        picture.clone()
    };
    units.iter().map(show).collect()
}
