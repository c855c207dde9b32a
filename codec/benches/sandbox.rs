//! What a process of its own costs a decoder: the same units decoded here and apart, beside a copy of the picture's
//! bytes, and how long it takes to start. Input: a seeded scene, 1.5 Mbit/s at 720p, 3 at 1080p.

#![allow(missing_docs, reason = "criterion's macros make undocumented functions")]
#![expect(clippy::unwrap_used, reason = "a bench may fail")]

use criterion::{Criterion, criterion_group};
use doorframe_codec::access_unit::{AccessUnit, Codec, Kind};
use doorframe_codec::av1::rav1d::Rav1dDecoder;
use doorframe_codec::av1::rav1e::Rav1eEncoder;
use doorframe_codec::decoder::Limits;
use doorframe_codec::encoder::Config;
use doorframe_codec::h264::openh264::{Openh264Decoder, Openh264Encoder};
use doorframe_codec::sandbox::{self, Program, Sandboxed};
use doorframe_codec::testing::Scene;
use doorframe_codec::units::{Bitrate, Color, FrameRate, MediaTime, Size};
use doorframe_codec::{Decoder, Encoder, Picture};
use std::hint::black_box;

/// Units of a scene, a keyframe first, so that they can be decoded again and again.
fn units(codec: Codec, size: Size, kbps: u32) -> Vec<AccessUnit> {
    let mut config = Config::new(size, FrameRate::whole(30).unwrap(), Bitrate::from_kbps(kbps));
    config.threads = 2;
    let config = config.check().unwrap();
    let mut encoder: Box<dyn Encoder> = match codec {
        Codec::Av1 => Box::new(Rav1eEncoder::new(config).unwrap()),
        _ => Box::new(Openh264Encoder::new(config).unwrap()),
    };
    let scene = Scene::new(size, 1);
    let mut units = Vec::new();
    for index in 0..16 {
        let at = MediaTime::from_ticks(index * 3000);
        units.extend(encoder.encode(&scene.picture(index), at, Kind::Delta).unwrap());
    }
    units.extend(encoder.finish().unwrap());
    units
}

fn decode(c: &mut Criterion) {
    for (name, width, height, kbps) in [("720p", 1280, 720, 1500), ("1080p", 1920, 1080, 3000)] {
        let size = Size::new(width, height).unwrap();
        for codec in [Codec::H264, Codec::Av1] {
            let units = units(codec, size, kbps);
            let here: Box<dyn Decoder> = match codec {
                Codec::Av1 => Box::new(Rav1dDecoder::new(Limits::default())),
                _ => Box::new(Openh264Decoder::new(Limits::default())),
            };
            let apart = Box::new(Sandboxed::new(Program::this(), sandbox::Config::new(codec)).unwrap());
            let mut group = c.benchmark_group(format!("decode_{codec:?}_{name}").to_lowercase());
            for (place, mut decoder) in [("here", here), ("apart", apart as Box<dyn Decoder>)] {
                let (mut picture, mut next) = (Picture::black(size, Color::default()), units.iter().cycle());
                group.bench_function(place, |b| {
                    b.iter(|| assert!(decoder.decode(next.next().unwrap(), &mut picture).unwrap().is_picture()));
                });
            }
            group.finish();
        }
        let (from, mut to) = (vec![1_u8; Picture::bytes(size)], vec![0; Picture::bytes(size)]);
        c.bench_function(&format!("memcpy_{name}"), |b| {
            b.iter(|| black_box(&mut to).copy_from_slice(black_box(&from)))
        });
    }
}

fn start(c: &mut Criterion) {
    let mut group = c.benchmark_group("start");
    for codec in [Codec::H264, Codec::Av1] {
        let config = sandbox::Config::new(codec);
        group.bench_function(format!("{codec:?}").to_lowercase(), |b| {
            b.iter(|| Sandboxed::new(Program::this(), config).unwrap());
        });
    }
    group.finish();
}

criterion_group!(benches, decode, start);

fn main() -> std::process::ExitCode {
    if sandbox::is_asked() {
        return sandbox::serve();
    }
    benches();
    Criterion::default().configure_from_args().final_summary();
    std::process::ExitCode::SUCCESS
}
