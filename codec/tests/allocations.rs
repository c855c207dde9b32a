//! What is done to each frame before it is encoded takes no memory once it has run: a camera runs for months.

#![expect(clippy::unwrap_used, reason = "a test may fail")]

use doorframe_codec::Picture;
use doorframe_codec::convert::{Converter, JpegOrigin};
use doorframe_codec::denoise::{AutoDenoiser, Denoiser, Strength};
use doorframe_codec::frame::{Format, Frame, Pattern, Plane};
use doorframe_codec::mask::Mask;
use doorframe_codec::motion::{Config, Detector};
use doorframe_codec::overlay::{Clock, WallTime};
use doorframe_codec::units::{Color, MediaTime, Size, Uptime};

/// 36x18, as a camera gives it.
const JPEG: &[u8] = include_bytes!("../testdata/halves_420.jpg");

/// All steps of a frame's way to the encoder, in their order.
struct Front {
    converter: Converter,
    picture: Picture,
    mask: Mask,
    detector: Detector,
    denoiser: Denoiser,
    auto: AutoDenoiser,
}

impl Front {
    fn new(size: Size) -> Self {
        let mut config = Config::default();
        config.zones = vec!["0,0 1,0 1,0.9 0,0.9".parse().unwrap()];
        Self {
            converter: Converter::new(),
            picture: Picture::black(size, Color::default()),
            mask: Mask::new(vec!["0,0 0.4,0 0.2,0.5".parse().unwrap()]).unwrap(),
            detector: Detector::new(config.check().unwrap()),
            denoiser: Denoiser::new(Strength::STRONG),
            auto: AutoDenoiser::new(),
        }
    }

    /// Whether something began to move.
    fn handle(&mut self, frame: &Frame<'_>, index: u64) -> bool {
        self.converter.convert(frame, &mut self.picture).unwrap();
        self.mask.paint(&mut self.picture);
        let event = self.detector.handle_picture(&self.picture, MediaTime::from_ticks(index * 3000));
        self.auto.denoise(&mut self.picture);
        self.denoiser.denoise(&mut self.picture);
        // Too small a picture has no room for a clock, and that is no reason to take memory either.
        let _drawn = Clock::default().draw(WallTime::from_unix_micros(index * 33_333), &mut self.picture);
        event.is_some()
    }
}

/// Noisy samples, with a bright patch that walks through after 60 frames.
fn samples(len: usize, row: usize, index: u64) -> Vec<u8> {
    let mut seed = index.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..len)
        .map(|at| {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            let walks = index >= 60 && (at % row).abs_diff(index as usize * 3 % row) < row / 32;
            if walks { 200 } else { 90 + (seed % 24) as u8 }
        })
        .collect()
}

#[test]
fn no_step_from_sensor_to_encoder_takes_memory_for_a_frame() {
    let size = Size::new(322, 182).unwrap();
    let mut formats = vec![Format::I420, Format::Nv12, Format::Nv21, Format::Yuyv, Format::Uyvy, Format::Grey];
    for pattern in [Pattern::Rggb, Pattern::Grbg, Pattern::Gbrg, Pattern::Bggr] {
        formats.extend([Format::Bayer8(pattern), Format::Bayer10(pattern)]);
    }
    for format in formats {
        let mut front = Front::new(size);
        let stride = 322 * 2 + 6;
        let mut began = 0;
        for index in 0..100 {
            let data = samples(stride * 182, stride, index);
            let planes = vec![Plane { data: &data, stride }; format.planes()];
            let frame = Frame::new(format, size, Color::default(), Uptime::default(), &planes).unwrap();
            let mut event = false;
            let taken = allocation_counter::measure(|| event = front.handle(&frame, index));
            began += u32::from(event);
            // The first pictures are when it learns the size, and at the sixteenth it has found noise to take out.
            assert!(index < 17 || taken.count_total == 0, "{format:?}, frame {index}: {taken:?}");
        }
        assert!(front.auto.works() && began > 0, "{format:?}: every step had something to do");
    }
}

/// The JPEG's frame, of the size it says.
fn jpeg(data: &[u8]) -> [Plane<'_>; 1] {
    [Plane { data, stride: 0 }]
}

#[test]
fn a_jpeg_leaves_no_memory_taken_behind_it() {
    let size = Size::new(36, 18).unwrap();
    let planes = jpeg(JPEG);
    let frame = Frame::new(Format::Mjpeg, size, Color::default(), Uptime::default(), &planes).unwrap();
    for origin in [JpegOrigin::Anywhere, JpegOrigin::OwnCamera] {
        let mut front = Front { converter: Converter::with_jpegs(origin), ..Front::new(size) };
        // Both libraries make their tables anew for each picture, and have no way to keep them; all of it is given back,
        // and the picture itself is decoded to memory of ours. What is counted here is Rust's memory: libjpeg-turbo takes
        // its own from C, and takes none of Rust's.
        let by_c = cfg!(feature = "turbojpeg") && origin == JpegOrigin::OwnCamera;
        for index in 0..20 {
            let taken = allocation_counter::measure(|| assert!(!front.handle(&frame, index)));
            let none_is_kept = taken.count_current == 0 && taken.bytes_current == 0;
            let none_is_taken = taken.count_total == 0;
            assert!(index < 17 || if by_c { none_is_taken } else { none_is_kept }, "frame {index}: {taken:?}");
        }
    }
}

#[test]
fn a_jpeg_that_says_it_is_huge_takes_no_memory() {
    let mut data = JPEG.to_vec();
    let at = data.windows(2).position(|two| two == [0xff, 0xc0]).unwrap() + 5;
    data[at..at + 4].copy_from_slice(&[0xff, 0xdc, 0xff, 0xdc]);
    let size = Size::new(36, 18).unwrap();
    let planes = jpeg(&data);
    let frame = Frame::new(Format::Mjpeg, size, Color::default(), Uptime::default(), &planes).unwrap();
    for origin in [JpegOrigin::Anywhere, JpegOrigin::OwnCamera] {
        let mut converter = Converter::with_jpegs(origin);
        let mut picture = Picture::black(size, Color::default());
        let taken = allocation_counter::measure(|| assert!(converter.convert(&frame, &mut picture).is_err()));
        assert!(taken.bytes_max < 200_000, "{origin:?}: {taken:?}");
    }
}
