//! A 720p frame through the codec: convert, mask, encode, decode. Input: the built-in clip (assets/README.md) and a
//! seeded test scene.

#![allow(missing_docs, reason = "criterion's macros make undocumented functions")]
#![expect(clippy::unwrap_used, reason = "a bench may fail")]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use doorframe::codec::access_unit::{AccessUnit, Codec, Kind};
use doorframe::codec::clip::annexb;
use doorframe::codec::convert::Converter;
use doorframe::codec::decoder::{Limits, Shown};
use doorframe::codec::encoder::Config;
use doorframe::codec::frame::{Format, Plane};
use doorframe::codec::h264;
use doorframe::codec::h264::openh264::{Openh264Decoder, Openh264Encoder};
use doorframe::codec::mask::{Mask, Polygon};
use doorframe::codec::units::{Bitrate, Color, FrameRate, MediaTime, Size, TemporalLayer, Uptime};
use doorframe::codec::{Decoder, Encoder, Frame, Picture};
use std::hint::black_box;

/// The clip's first 60 pictures.
fn pictures() -> Vec<Picture> {
    let size = Size::new(1280, 720).unwrap();
    let mut decoder = Openh264Decoder::for_clips(Limits::default());
    let mut pictures = Vec::new();
    let mut picture = Picture::black(size, Color::default());
    let clip = bytes::Bytes::from_static(doorframe::sensor::BUILT_IN);
    for (n, data) in (0..).zip(annexb::access_units(&clip)) {
        let kind = if h264::facts(&data).is_keyframe() { Kind::Keyframe } else { Kind::Delta };
        let at = MediaTime::from_ticks(n * 3003);
        let unit = AccessUnit { codec: Codec::H264, kind, layer: TemporalLayer::BASE, size, at, data };
        if decoder.decode(&unit, &mut picture).is_ok_and(Shown::is_picture) {
            pictures.push(picture.clone());
        }
        if pictures.len() == 60 {
            break;
        }
    }
    pictures
}

fn encode(c: &mut Criterion) {
    let pictures = pictures();
    let size = pictures[0].size();
    let mut group = c.benchmark_group("encode_720p_1500k");
    for threads in [1, 2] {
        let mut config = Config::new(size, FrameRate::whole(30).unwrap(), Bitrate::from_kbps(1500));
        config.threads = threads;
        let mut encoder = Openh264Encoder::new(config.check().unwrap()).unwrap();
        let mut n = 0_u64;
        group.bench_function(format!("threads_{threads}"), |b| {
            b.iter(|| {
                let at = MediaTime::from_ticks(n * 3000);
                // Back and forth through the clip, so that no cut disturbs the rate control.
                let index = (n % 118) as usize;
                let picture = &pictures[if index < 60 { index } else { 118 - index }];
                n += 1;
                encoder.encode(black_box(picture), at, Kind::Delta).unwrap()
            });
        });
    }
    group.finish();
}

fn decode(c: &mut Criterion) {
    let pictures = pictures();
    let mut config = Config::new(pictures[0].size(), FrameRate::whole(30).unwrap(), Bitrate::from_kbps(1500));
    config.threads = 2;
    let mut encoder = Openh264Encoder::new(config.check().unwrap()).unwrap();
    let units: Vec<_> = (0..)
        .zip(&pictures)
        .filter_map(|(n, picture)| {
            let want = if n == 0 { Kind::Keyframe } else { Kind::Delta };
            encoder.encode(picture, MediaTime::from_ticks(n * 3000), want).unwrap()
        })
        .collect();
    let mut decoder = Openh264Decoder::new(Limits::default());
    let mut picture = pictures[0].clone();
    let mut n = 0;
    c.bench_function("decode_720p_1500k", |b| {
        b.iter(|| {
            let unit = &units[n % units.len()];
            n += 1;
            decoder.decode(black_box(unit), &mut picture).unwrap()
        });
    });
}

fn convert(c: &mut Criterion) {
    let size = Size::new(1920, 1080).unwrap();
    let yuyv: Vec<u8> = (0..1920 * 1080 * 2_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let mut picture = Picture::black(size, Color::default());
    let mut converter = Converter::new();
    let mut group = c.benchmark_group("convert_1080p");
    group.throughput(Throughput::Bytes(yuyv.len() as u64));
    group.bench_function("yuyv_to_i420", |b| {
        let planes = [Plane { data: &yuyv, stride: 3840 }];
        let frame = Frame::new(Format::Yuyv, size, Color::default(), Uptime::default(), &planes).unwrap();
        b.iter(|| converter.convert(black_box(&frame), &mut picture).unwrap());
    });
    // The limit: the same bytes copied.
    let mut copy = vec![0; yuyv.len()];
    group.bench_function("memcpy", |b| b.iter(|| black_box(&mut copy).copy_from_slice(black_box(&yuyv))));
    group.finish();

    let zone = Polygon::new(vec![(0.0, 0.0), (0.4, 0.0), (0.4, 0.5), (0.0, 0.3)]).unwrap();
    let mask = Mask::new(vec![zone]).unwrap();
    c.bench_function("mask_1080p_one_zone", |b| b.iter(|| mask.paint(black_box(&mut picture))));
}

criterion_group!(benches, encode, decode, convert);
criterion_main!(benches);
