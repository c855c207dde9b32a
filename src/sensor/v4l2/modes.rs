//! What a camera offers, and which of it to take.

use crate::sensor::Wanted;
use doorframe_codec::frame::{Format, Pattern};
use doorframe_codec::units::{FrameRate, Size};
use std::cmp::Ordering;
use std::fmt;

/// Four characters that name a pixel format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FourCc(pub [u8; 4]);

impl FourCc {
    /// What it is in our words (`linux/videodev2.h`, `V4L2_PIX_FMT_*`); `None` for one that is not understood here.
    pub const fn format(self) -> Option<Format> {
        match &self.0 {
            b"NV12" => Some(Format::Nv12),
            b"NV21" => Some(Format::Nv21),
            b"YU12" => Some(Format::I420),
            b"YUYV" => Some(Format::Yuyv),
            b"UYVY" => Some(Format::Uyvy),
            b"GREY" => Some(Format::Grey),
            b"RGGB" => Some(Format::Bayer8(Pattern::Rggb)),
            b"GRBG" => Some(Format::Bayer8(Pattern::Grbg)),
            b"GBRG" => Some(Format::Bayer8(Pattern::Gbrg)),
            // SBGGR8 is older than the scheme of the other three.
            b"BA81" => Some(Format::Bayer8(Pattern::Bggr)),
            b"pRAA" => Some(Format::Bayer10(Pattern::Rggb)),
            b"pgAA" => Some(Format::Bayer10(Pattern::Grbg)),
            b"pGAA" => Some(Format::Bayer10(Pattern::Gbrg)),
            b"pBAA" => Some(Format::Bayer10(Pattern::Bggr)),
            b"MJPG" | b"JPEG" => Some(Format::Mjpeg),
            _ => None,
        }
    }

    /// Whether it is H.264 with start codes (`V4L2_PIX_FMT_H264`), each buffer a whole access unit.
    pub const fn is_h264(self) -> bool {
        matches!(&self.0, b"H264")
    }
}

impl fmt::Display for FourCc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The top bit of the last one marks big-endian samples; the kernel's own tools write it so too.
        let [a, b, c, d] = self.0;
        [a, b, c, d & 0x7f].iter().try_for_each(|&byte| write!(f, "{}", byte.escape_ascii()))?;
        if d & 0x80 == 0 { Ok(()) } else { f.write_str("-BE") }
    }
}

/// A format and size a camera offers, with the rates it has there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mode {
    /// Pixel format.
    pub fourcc: FourCc,
    /// Size of the frames.
    pub size: Size,
    /// Rates; none if the driver does not say.
    pub rates: Vec<FrameRate>,
}

impl Mode {
    /// The rate nearest to the one wanted.
    fn nearest(&self, wanted: FrameRate) -> FrameRate {
        let distance = |rate: &FrameRate| f64::from(rate.as_f32() / wanted.as_f32()).ln().abs();
        self.rates.iter().copied().min_by(|a, b| distance(a).total_cmp(&distance(b))).unwrap_or(wanted)
    }
}

/// The mode to take, and its rate; `None` if not one is understood.
///
/// Colours first: grey only where there is nothing else. Then the nearest size, among those that reach half the rate;
/// at that size what reaches the rate; of those what costs least to convert, so MJPEG only where nothing else is fast
/// enough, and a raw mosaic, which no image processor has seen, last.
pub(super) fn choose(modes: &[Mode], wanted: Wanted) -> Option<(&Mode, FrameRate)> {
    let rank = |mode: &Mode| {
        let speed = mode.nearest(wanted.rate).as_f32() / wanted.rate.as_f32();
        let cost = match mode.fourcc.format()? {
            Format::I420 => 0_u8,
            Format::Nv12 | Format::Nv21 => 1,
            Format::Yuyv | Format::Uyvy => 2,
            Format::Bayer8(_) => 4,
            Format::Bayer10(_) => 5,
            _ => 3,
        };
        let slow = (mode.fourcc.format() == Some(Format::Grey), speed < 0.5);
        Some((slow, distance(mode.size, wanted.size), speed < 0.95, cost, speed))
    };
    let ranked = modes.iter().filter_map(|mode| rank(mode).map(|rank| (rank, mode)));
    let best = ranked.min_by(|((slow, away, short, cost, speed), _), ((slow2, away2, short2, cost2, speed2), _)| {
        let by_size = slow.cmp(slow2).then(away.total_cmp(away2));
        let by_rate = if *short && *short2 { speed2.total_cmp(speed) } else { short.cmp(short2) };
        by_size.then(by_rate).then(cost.cmp(cost2)).then(Ordering::Equal)
    });
    best.map(|(_, mode)| (mode, mode.nearest(wanted.rate)))
}

/// The H.264 mode to take, and its rate; `None` if there is none: the nearest size among those that reach half the rate.
pub(super) fn choose_coded(modes: &[Mode], wanted: Wanted) -> Option<(&Mode, FrameRate)> {
    let rank = |mode: &Mode| {
        let speed = mode.nearest(wanted.rate).as_f32() / wanted.rate.as_f32();
        (speed < 0.5, distance(mode.size, wanted.size), speed < 0.95)
    };
    let coded = modes.iter().filter(|mode| mode.fourcc.is_h264());
    let best = coded.min_by(|a, b| {
        let ((slow, away, short), (slow2, away2, short2)) = (rank(a), rank(b));
        slow.cmp(&slow2).then(away.total_cmp(&away2)).then(short.cmp(&short2))
    });
    best.map(|mode| (mode, mode.nearest(wanted.rate)))
}

/// How far `size` is from `wanted`. Larger counts twice: it costs time on every frame, smaller only sharpness.
fn distance(size: Size, wanted: Size) -> f64 {
    let side = |given: u32, wanted: u32| {
        let ratio = (f64::from(given) / f64::from(wanted)).ln();
        if ratio > 0.0 { 2.0 * ratio } else { -ratio }
    };
    side(size.width(), wanted.width()) + side(size.height(), wanted.height())
}

/// The sizes worth knowing of a camera that can have any from `least` to `most` in steps: `wanted` and common ones.
pub(super) fn sizes_in_range([widths, heights]: [[u32; 3]; 2], wanted: Size) -> Vec<Size> {
    let snap = |[least, most, step]: [u32; 3], value: u32| {
        let value = value.clamp(least, most.max(least));
        least + (value - least) / step.max(1) * step.max(1)
    };
    let common = [(1920, 1080), (1280, 720), (640, 480), (320, 240)];
    let mut sizes = Vec::new();
    for (width, height) in common.into_iter().chain([(wanted.width(), wanted.height())]) {
        match Size::new(snap(widths, width), snap(heights, height)) {
            Some(size) if !sizes.contains(&size) => sizes.push(size),
            _ => {}
        }
    }
    sizes
}

/// The rates worth knowing of a camera that can have any from `slowest` to `fastest`: `wanted`, common ones, the ends.
pub(super) fn rates_in_range(slowest: FrameRate, fastest: FrameRate, wanted: FrameRate) -> Vec<FrameRate> {
    let common = [60, 50, 30, 25, 20, 15, 10, 5].into_iter().filter_map(FrameRate::whole);
    let mut rates = Vec::new();
    for rate in [fastest].into_iter().chain(common).chain([wanted, slowest]) {
        if rate.as_f32() <= fastest.as_f32() && rate.as_f32() >= slowest.as_f32() && !rates.contains(&rate) {
            rates.push(rate);
        }
    }
    rates.sort_by(|a, b| b.as_f32().total_cmp(&a.as_f32()));
    rates
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(fourcc: &[u8; 4], width: u32, height: u32, rates: &[u32]) -> Mode {
        let rates = rates.iter().filter_map(|&fps| FrameRate::whole(fps)).collect();
        Mode { fourcc: FourCc(*fourcc), size: Size::new(width, height).unwrap(), rates }
    }

    /// A usual USB 2 webcam: uncompressed 720p does not fit the cable at 30 frames a second.
    fn webcam() -> Vec<Mode> {
        vec![
            mode(b"YUYV", 640, 480, &[30, 15]),
            mode(b"YUYV", 1280, 720, &[10]),
            mode(b"YUYV", 1920, 1080, &[5]),
            mode(b"MJPG", 640, 480, &[30, 15]),
            mode(b"MJPG", 1280, 720, &[60, 30, 15]),
            mode(b"MJPG", 1920, 1080, &[30, 15]),
            mode(b"H264", 1280, 720, &[30]),
        ]
    }

    fn chosen(modes: &[Mode], width: u32, height: u32, fps: u32) -> Option<String> {
        let wanted = Wanted { size: Size::new(width, height).unwrap(), rate: FrameRate::whole(fps).unwrap() };
        choose(modes, wanted).map(|(mode, rate)| format!("{} {} {rate}", mode.fourcc, mode.size))
    }

    #[test]
    fn uncompressed_where_it_is_fast_enough_else_mjpeg() {
        assert_eq!(chosen(&webcam(), 640, 480, 30).as_deref(), Some("YUYV 640x480 30 fps"));
        assert_eq!(chosen(&webcam(), 1280, 720, 30).as_deref(), Some("MJPG 1280x720 30 fps"));
        assert_eq!(chosen(&webcam(), 1280, 720, 10).as_deref(), Some("YUYV 1280x720 10 fps"));
        assert_eq!(chosen(&webcam(), 1280, 720, 15).as_deref(), Some("MJPG 1280x720 15 fps"));
    }

    #[test]
    fn the_nearest_size_where_the_wanted_one_is_missing() {
        assert_eq!(chosen(&webcam(), 1296, 730, 30).as_deref(), Some("MJPG 1280x720 30 fps"));
        assert_eq!(chosen(&webcam(), 3840, 2160, 30).as_deref(), Some("MJPG 1920x1080 30 fps"));
        assert_eq!(chosen(&webcam(), 160, 120, 30).as_deref(), Some("YUYV 640x480 30 fps"));
    }

    #[test]
    fn the_cheapest_layout_of_equals() {
        let modes = [
            mode(b"MJPG", 640, 480, &[30]),
            mode(b"YUYV", 640, 480, &[30]),
            mode(b"NV12", 640, 480, &[30]),
            mode(b"YU12", 640, 480, &[25]),
        ];
        assert_eq!(chosen(&modes, 640, 480, 30).as_deref(), Some("NV12 640x480 30 fps"));
    }

    #[test]
    fn every_format_of_the_codec_has_its_fourcc() {
        use Pattern::{Bggr, Gbrg, Grbg, Rggb};
        for (fourcc, format) in [
            (b"NV21", Format::Nv21),
            (b"UYVY", Format::Uyvy),
            (b"GREY", Format::Grey),
            (b"RGGB", Format::Bayer8(Rggb)),
            (b"GRBG", Format::Bayer8(Grbg)),
            (b"GBRG", Format::Bayer8(Gbrg)),
            (b"BA81", Format::Bayer8(Bggr)),
            (b"pRAA", Format::Bayer10(Rggb)),
            (b"pgAA", Format::Bayer10(Grbg)),
            (b"pGAA", Format::Bayer10(Gbrg)),
            (b"pBAA", Format::Bayer10(Bggr)),
        ] {
            assert_eq!(FourCc(*fourcc).format(), Some(format));
        }
    }

    #[test]
    fn a_mosaic_is_taken_after_what_is_finished_and_grey_only_where_nothing_has_colours() {
        let modes = [
            mode(b"pRAA", 640, 480, &[30]),
            mode(b"RGGB", 640, 480, &[30]),
            mode(b"GREY", 640, 480, &[30]),
            mode(b"MJPG", 640, 480, &[30]),
            mode(b"UYVY", 640, 480, &[30]),
            mode(b"NV21", 640, 480, &[30]),
        ];
        let best = |from: usize, to: usize| chosen(&modes[from..to], 640, 480, 30);
        assert_eq!(best(0, 6).as_deref(), Some("NV21 640x480 30 fps"));
        assert_eq!(best(0, 5).as_deref(), Some("UYVY 640x480 30 fps"));
        assert_eq!(best(0, 4).as_deref(), Some("MJPG 640x480 30 fps"));
        assert_eq!(best(0, 3).as_deref(), Some("RGGB 640x480 30 fps"));
        assert_eq!(best(2, 3).as_deref(), Some("GREY 640x480 30 fps"));
        let slow = [mode(b"GREY", 640, 480, &[30]), mode(b"YUYV", 640, 480, &[10])];
        assert_eq!(chosen(&slow, 640, 480, 30).as_deref(), Some("YUYV 640x480 10 fps"));
    }

    #[test]
    fn the_fastest_where_none_is_fast_enough() {
        let modes = [mode(b"YUYV", 640, 480, &[5]), mode(b"MJPG", 640, 480, &[10])];
        assert_eq!(chosen(&modes, 640, 480, 30).as_deref(), Some("MJPG 640x480 10 fps"));
    }

    #[test]
    fn a_driver_that_tells_no_rates_is_believed_capable() {
        assert_eq!(chosen(&[mode(b"YUYV", 640, 480, &[])], 640, 480, 30).as_deref(), Some("YUYV 640x480 30 fps"));
    }

    #[test]
    fn of_coded_modes_the_nearest_that_is_fast_enough_is_taken() {
        let modes = [webcam(), vec![mode(b"H264", 1920, 1080, &[30]), mode(b"H264", 640, 360, &[30])]].concat();
        let chosen = |width, height| {
            let wanted = Wanted { size: Size::new(width, height).unwrap(), rate: FrameRate::whole(30).unwrap() };
            choose_coded(&modes, wanted).map(|(mode, _)| format!("{} {}", mode.fourcc, mode.size))
        };
        assert_eq!(chosen(1280, 720).as_deref(), Some("H264 1280x720"));
        assert_eq!(chosen(3840, 2160).as_deref(), Some("H264 1920x1080"));
        assert_eq!(chosen(320, 240).as_deref(), Some("H264 640x360"));
        assert_eq!(choose_coded(&modes[..6], Wanted::HD), None);
    }

    #[test]
    fn nothing_understood_is_nothing_chosen() {
        assert_eq!(chosen(&[mode(b"H264", 640, 480, &[30])], 640, 480, 30), None);
        assert_eq!(chosen(&[], 640, 480, 30), None);
    }

    #[test]
    fn a_fourcc_is_printable_whatever_a_driver_puts_into_it() {
        let names = [*b"YUYV", *b"Y16\xa0", *b"\0\n\xffG"].map(|name| FourCc(name).to_string());
        assert_eq!(names, ["YUYV", "Y16 -BE", r"\x00\n\xffG"]);
    }

    #[test]
    fn a_range_gives_sizes_on_its_steps() {
        let sizes = sizes_in_range([[48, 1000, 16], [32, 600, 8]], Size::new(333, 999).unwrap());
        let text: Vec<String> = sizes.iter().map(Size::to_string).collect();
        assert_eq!(text, ["992x600", "640x480", "320x240", "320x600"]);
        assert!(sizes_in_range([[0, 0, 0], [0, 0, 0]], Size::new(64, 64).unwrap()).is_empty());
    }

    #[test]
    fn a_range_gives_rates_within_it() {
        let [slow, fast, want] = [7, 40, 24].map(|fps| FrameRate::whole(fps).unwrap());
        let text: Vec<String> = rates_in_range(slow, fast, want).iter().map(FrameRate::to_string).collect();
        assert_eq!(text, ["40 fps", "30 fps", "25 fps", "24 fps", "20 fps", "15 fps", "10 fps", "7 fps"]);
    }
}
