//! A 720p picture through each encoder and each decoder, at 1.5 Mbit/s on one thread. Input: the first 60 pictures of
//! `assets/dog_720p30.264`, forth and back, so that no cut disturbs the rate control.

#![allow(missing_docs, reason = "criterion's macros make undocumented functions")]
#![expect(clippy::unwrap_used, reason = "a bench may fail")]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use doorframe_codec::access_unit::{AccessUnit, Codec, Kind};
use doorframe_codec::av1::rav1d::Rav1dDecoder;
use doorframe_codec::av1::rav1e::Rav1eEncoder;
use doorframe_codec::clip::annexb;
use doorframe_codec::decoder::Limits;
use doorframe_codec::encoder::{Checked, Config};
use doorframe_codec::h264;
use doorframe_codec::h264::openh264::{Openh264Decoder, Openh264Encoder};
use doorframe_codec::units::{Bitrate, Color, FrameRate, MediaTime, Size, TemporalLayer};
use doorframe_codec::{Decoder, Encoder, Picture};
use std::hint::black_box;

const CLIP: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../assets/dog_720p30.264");

/// 60 pictures and the 58 between the last and the first, backwards.
fn pictures() -> Vec<Picture> {
    let size = Size::new(1280, 720).unwrap();
    let mut decoder = Openh264Decoder::for_clips(Limits::default());
    let mut pictures = Vec::new();
    for data in annexb::access_units(&std::fs::read(CLIP).unwrap().into()) {
        let kind = if h264::facts(&data).is_keyframe() { Kind::Keyframe } else { Kind::Delta };
        let (layer, at) = (TemporalLayer::BASE, MediaTime::default());
        let unit = AccessUnit { codec: Codec::H264, kind, layer, size, at, data };
        let mut picture = Picture::black(size, Color::default());
        if decoder.decode(&unit, &mut picture).unwrap().is_picture() {
            pictures.push(picture);
        }
    }
    pictures.truncate(60);
    let back: Vec<_> = pictures[1..59].iter().rev().cloned().collect();
    pictures.extend(back);
    pictures
}

fn config() -> Checked {
    let size = Size::new(1280, 720).unwrap();
    Config::new(size, FrameRate::whole(30).unwrap(), Bitrate::from_kbps(1500)).check().unwrap()
}

fn encode(c: &mut Criterion) {
    let pictures = pictures();
    let encoders: [(&str, Box<dyn Encoder>); 2] = [
        ("openh264", Box::new(Openh264Encoder::new(config()).unwrap())),
        ("rav1e", Box::new(Rav1eEncoder::new(config()).unwrap())),
    ];
    let mut group = c.benchmark_group("encode_720p_1500k_one_thread");
    group.sample_size(20).throughput(Throughput::Elements(1));
    for (name, mut encoder) in encoders {
        let mut n = 0;
        group.bench_function(name, |b| {
            b.iter(|| {
                let at = MediaTime::from_ticks(n as u64 * 3000);
                let picture = &pictures[n % pictures.len()];
                n += 1;
                encoder.encode(black_box(picture), at, Kind::Delta).unwrap()
            });
        });
    }
    group.finish();
}

/// What an encoder makes of all pictures; it begins with a keyframe, so that it can be decoded again and again.
fn units(mut encoder: Box<dyn Encoder>, pictures: &[Picture]) -> Vec<AccessUnit> {
    let mut units = Vec::new();
    for (n, picture) in (0..).zip(pictures) {
        let want = if n == 0 { Kind::Keyframe } else { Kind::Delta };
        units.extend(encoder.encode(picture, MediaTime::from_ticks(n * 3000), want).unwrap());
    }
    units.extend(encoder.finish().unwrap());
    units
}

fn decode(c: &mut Criterion) {
    let pictures = pictures();
    let h264 = units(Box::new(Openh264Encoder::new(config()).unwrap()), &pictures);
    let av1 = units(Box::new(Rav1eEncoder::new(config()).unwrap()), &pictures);
    let decoders: [(&str, Box<dyn Decoder>, _); 2] = [
        ("openh264", Box::new(Openh264Decoder::new(Limits::default())), h264),
        ("rav1d", Box::new(Rav1dDecoder::new(Limits::default())), av1),
    ];
    let mut group = c.benchmark_group("decode_720p_1500k_one_thread");
    group.throughput(Throughput::Elements(1));
    for (name, mut decoder, units) in decoders {
        let mut picture = pictures[0].clone();
        let mut n = 0;
        group.bench_function(name, |b| {
            b.iter(|| {
                let unit = &units[n % units.len()];
                n += 1;
                decoder.decode(black_box(unit), &mut picture).unwrap()
            });
        });
    }
    group.finish();
}

criterion_group!(benches, encode, decode);
criterion_main!(benches);
