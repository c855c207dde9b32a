//! What the camera does to a frame before it is encoded, at 720p and 1080p. Input: numbers; the
//! limit of a conversion is memcpy of the bytes it reads, measured beside.

#![allow(missing_docs, reason = "criterion's macros make undocumented functions")]
#![expect(clippy::unwrap_used, reason = "a bench may fail")]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use doorframe_codec::Picture;
use doorframe_codec::convert::Converter;
use doorframe_codec::denoise::{Denoiser, Meter, Strength};
use doorframe_codec::frame::{Format, Frame, Pattern, Plane};
use doorframe_codec::mask::Mask;
use doorframe_codec::motion::{Checked, Detector};
use doorframe_codec::overlay::{Clock, WallTime};
use doorframe_codec::units::{Color, MediaTime, Size, Uptime};
use std::hint::black_box;

/// A still gradient with noise of some 7 steps.
fn pictures(width: u32, height: u32) -> Vec<Picture> {
    let size = Size::new(width, height).unwrap();
    let mut seed = 1_u32;
    let mut picture = |_| {
        let sample = |at: usize| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (40 + at / 16 % 120) as u8 + (seed >> 24) as u8 % 25
        };
        Picture::from_samples(size, Color::default(), (0..Picture::bytes(size)).map(sample).collect()).unwrap()
    };
    (0..8).map(&mut picture).collect()
}

const SIZES: [(&str, u32, u32); 2] = [("720p", 1280, 720), ("1080p", 1920, 1080)];

fn convert(c: &mut Criterion) {
    let size = Size::new(1920, 1080).unwrap();
    let bytes: Vec<u8> = (0..1920 * 1080 * 2_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let (luma, chroma) = bytes.split_at(size.pixels());
    let mut picture = Picture::black(size, Color::default());
    let mut converter = Converter::new();
    let mut group = c.benchmark_group("to_i420_1080p");
    let plane = |data, stride| Plane { data, stride };
    let formats = [
        ("yuyv", Format::Yuyv, vec![plane(&bytes[..], 3840)]),
        ("uyvy", Format::Uyvy, vec![plane(&bytes[..], 3840)]),
        ("nv12", Format::Nv12, vec![plane(luma, 1920), plane(chroma, 1920)]),
        ("grey", Format::Grey, vec![plane(luma, 1920)]),
        ("bayer8", Format::Bayer8(Pattern::Rggb), vec![plane(luma, 1920)]),
        ("nv21", Format::Nv21, vec![plane(luma, 1920), plane(chroma, 1920)]),
        ("bayer10", Format::Bayer10(Pattern::Rggb), vec![plane(&bytes[..], 2400)]),
    ];
    let mut copy = vec![0; bytes.len()];
    group.throughput(Throughput::Bytes(bytes.len() as u64));
    group.bench_function("memcpy_yuyv", |b| b.iter(|| black_box(&mut copy[..]).copy_from_slice(black_box(&bytes))));
    group.bench_function("memcpy_nv12", |b| {
        let len = size.pixels() * 3 / 2;
        b.iter(|| black_box(&mut copy[..len]).copy_from_slice(black_box(&bytes[..len])));
    });
    for (name, format, planes) in formats {
        let frame = Frame::new(format, size, Color::default(), Uptime::default(), &planes).unwrap();
        group.bench_function(name, |b| b.iter(|| converter.convert(black_box(&frame), &mut picture).unwrap()));
    }
    group.finish();
}

fn denoise(c: &mut Criterion) {
    let mut group = c.benchmark_group("denoise");
    for (name, width, height) in SIZES {
        let pictures = pictures(width, height);
        let mut denoiser = Denoiser::new(Strength::STRONG);
        let mut picture = pictures[0].clone();
        let mut n = 0;
        group.bench_function(name, |b| {
            b.iter(|| {
                // The copy is part of what is measured: some 3 %.
                picture.clone_from(&pictures[n % 8]);
                n += 1;
                denoiser.denoise(black_box(&mut picture));
            });
        });
    }
    group.finish();
}

fn watch(c: &mut Criterion) {
    let mut group = c.benchmark_group("motion");
    for (name, width, height) in SIZES {
        let pictures = pictures(width, height);
        let mut detector = Detector::new(Checked::default());
        let mut n = 0;
        group.bench_function(name, |b| {
            b.iter(|| {
                n += 1;
                detector.handle_picture(black_box(&pictures[n as usize % 8]), MediaTime::from_ticks(n * 3000))
            });
        });
    }
    group.finish();
}

fn mask(c: &mut Criterion) {
    let mask = Mask::new(vec!["0.1,0.1 0.9,0.2 0.6,0.9".parse().unwrap()]).unwrap();
    let mut picture = Picture::black(Size::new(1920, 1080).unwrap(), Color::default());
    c.bench_function("mask_1080p", |b| b.iter(|| mask.paint(black_box(&mut picture))));
}

fn rest(c: &mut Criterion) {
    let picture = Picture::black(Size::new(1920, 1080).unwrap(), Color::default());
    let mut meter = Meter::new();
    c.bench_function("noise_meter_1080p", |b| b.iter(|| meter.handle_picture(black_box(&picture))));
}

fn clock(c: &mut Criterion) {
    let mut picture = Picture::black(Size::new(1920, 1080).unwrap(), Color::default());
    let now = WallTime::from_unix_micros(1_795_463_225_000_000);
    c.bench_function("clock_1080p", |b| b.iter(|| Clock::default().draw(black_box(now), &mut picture).unwrap()));
}

criterion_group!(benches, convert, mask, denoise, rest, watch, clock);
criterion_main!(benches);
