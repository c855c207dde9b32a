//! A 1080p Motion JPEG picture to I420, next to libjpeg-turbo. Input: the first picture of `assets/car_1080p25.264`, as
//! libjpeg-turbo compresses it at quality 85. `ours` is for anybody's JPEGs, `ours_own_camera` for those of a V4L2 camera in
//! a build with feature `turbojpeg`.
//!
//! `cargo bench -p doorframe-quality --features turbojpeg` builds libjpeg-turbo from source, with cmake and nasm.

#![allow(missing_docs, reason = "criterion's macros make undocumented functions")]
#![expect(clippy::unwrap_used, reason = "a bench may fail")]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use doorframe_codec::access_unit::{AccessUnit, Codec, Kind};
use doorframe_codec::clip::annexb;
use doorframe_codec::convert::{Converter, JpegOrigin};
use doorframe_codec::decoder::Limits;
use doorframe_codec::frame::{Format, Frame, Plane};
use doorframe_codec::h264::openh264::Openh264Decoder;
use doorframe_codec::units::{Color, Matrix, MediaTime, Range, Size, TemporalLayer, Uptime};
use doorframe_codec::{Decoder, Picture};
use std::hint::black_box;
use turbojpeg::{Compressor, Decompressor, Subsamp, YuvImage};

const CLIP: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../assets/car_1080p25.264");

fn picture(size: Size) -> Picture {
    let mut decoder = Openh264Decoder::for_clips(Limits::default());
    let mut picture = Picture::black(size, Color::default());
    let clip = std::fs::read(CLIP).unwrap().into();
    let found = annexb::access_units(&clip).any(|data| {
        let (layer, at) = (TemporalLayer::BASE, MediaTime::default());
        let unit = AccessUnit { codec: Codec::H264, kind: Kind::Keyframe, layer, size, at, data };
        decoder.decode(&unit, &mut picture).unwrap().is_picture()
    });
    assert!(found && picture.size() == size);
    picture
}

/// The picture as a JPEG whose chroma has all rows (4:2:2, as most cameras give) or every other one (4:2:0).
fn jpeg(picture: &Picture, subsampling: Subsamp) -> Vec<u8> {
    let (width, height) = (picture.size().width() as usize, picture.size().height() as usize);
    let [y, u, v] = picture.planes();
    let repeated = |plane: &[u8]| -> Vec<u8> {
        let twice = if subsampling == Subsamp::Sub2x1 { 2 } else { 1 };
        plane.chunks_exact(width / 2).flat_map(|row| row.repeat(twice)).collect()
    };
    let pixels = [y.to_vec(), repeated(u), repeated(v)].concat();
    let image = YuvImage { pixels: pixels.as_slice(), width, align: 1, height, subsamp: subsampling };
    let mut compressor = Compressor::new().unwrap();
    compressor.set_quality(85).unwrap();
    compressor.compress_yuv_to_vec(image).unwrap()
}

fn mjpeg(c: &mut Criterion) {
    let size = Size::new(1920, 1080).unwrap();
    let original = picture(size);
    for (name, subsampling) in [("422", Subsamp::Sub2x1), ("420", Subsamp::Sub2x2)] {
        let jpeg = jpeg(&original, subsampling);
        let mut group = c.benchmark_group(format!("mjpeg_1080p_{name}_to_i420"));
        group.throughput(Throughput::Bytes(jpeg.len() as u64));

        let color = Color { range: Range::Full, matrix: Matrix::Bt601 };
        let planes = [Plane { data: &jpeg, stride: 0 }];
        let frame = Frame::new(Format::Mjpeg, size, color, Uptime::default(), &planes).unwrap();
        for (id, origin) in [("ours", JpegOrigin::Anywhere), ("ours_own_camera", JpegOrigin::OwnCamera)] {
            let (mut converter, mut picture) = (Converter::with_jpegs(origin), Picture::black(size, color));
            group.bench_function(id, |b| b.iter(|| converter.convert(black_box(&frame), &mut picture).unwrap()));
            let db = picture.psnr_y(&original).unwrap();
            assert!(db > 35.0, "what comes out is the picture: {db} dB");
        }

        // It leaves chroma as it is in the JPEG: of 4:2:2 it is spared to halve the rows.
        let (width, height) = (1920, 1080);
        let header = Decompressor::new().unwrap().read_header(&jpeg).unwrap();
        assert_eq!((header.width, header.height, header.subsamp), (width, height, subsampling));
        let len = turbojpeg::yuv_pixels_len(width, 1, height, subsampling).unwrap();
        let mut pixels = vec![0; len];
        let mut decompressor = Decompressor::new().unwrap();
        group.bench_function("libjpeg_turbo", |b| {
            b.iter(|| {
                let image = YuvImage { pixels: &mut pixels[..], width, align: 1, height, subsamp: subsampling };
                decompressor.decompress_to_yuv(black_box(&jpeg), image).unwrap();
            });
        });
        group.finish();
    }
}

criterion_group!(benches, mjpeg);
criterion_main!(benches);
