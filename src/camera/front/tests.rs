use super::*;
use crate::sensor::{Clock, Pattern, Wanted};
use doorframe_codec::frame::{Format, Pattern as Mosaic, Plane};
use doorframe_codec::mask::Polygon;
use std::time::Instant;

const SIZE: Size = match Size::new(320, 240) {
    Some(size) => size,
    None => unreachable!(),
};

fn polygon(text: &str) -> Polygon {
    text.parse().unwrap()
}

/// All steps at once, the lower half masked.
fn all(denoise: Denoise) -> FrontConfig {
    FrontConfig {
        mask: Some(Mask::new(vec![polygon("0,0.5 1,0.5 1,1 0,1")]).unwrap()),
        motion: Watch::On(motion::Checked::default()),
        denoise,
        clock: Some(overlay::Clock::default()),
    }
}

fn no_time() -> Uptime {
    Uptime::default()
}

/// Frame `index` of a sensor: a texture in the upper half, numbers without order in the lower one, with something bright
/// that walks in over both after 30 frames.
fn bytes(format: Format, index: u64, secret: u64) -> Vec<Vec<u8>> {
    let (width, height) = (SIZE.width() as usize, SIZE.height() as usize);
    let rows = |row: usize, count: usize, chroma: bool| -> Vec<u8> {
        let mut seed = secret.wrapping_add(index) | 1;
        (0..row * count)
            .map(|at| {
                let (x, y) = (at % row, at / row);
                if y >= count / 2 {
                    seed ^= seed << 13;
                    seed ^= seed >> 7;
                    seed ^= seed << 17;
                    return seed as u8;
                }
                let walks = index >= 30 && (x * width / row).abs_diff(index as usize * 5) < 30;
                match (chroma, walks) {
                    (true, _) => 120 + (x / 40) as u8,
                    (false, true) => 210,
                    (false, false) => 60 + (x / 8 % 2 * 20 + y / 4) as u8,
                }
            })
            .collect()
    };
    match format {
        Format::I420 => {
            vec![rows(width, height, false), rows(width / 2, height / 2, true), rows(width / 2, height / 2, true)]
        }
        Format::Nv12 | Format::Nv21 => vec![rows(width, height, false), rows(width, height / 2, true)],
        Format::Yuyv | Format::Uyvy => vec![rows(width * 2, height, false)],
        Format::Bayer10(_) => vec![rows(width / 4 * 5, height, false)],
        _ => vec![rows(width, height, false)],
    }
}

/// Every picture and every event of 60 frames.
fn run(config: &FrontConfig, format: Format, secret: u64) -> (Vec<Picture>, Vec<MotionEvent>) {
    let mut front = Front::new(config, SIZE);
    let (mut pictures, mut events) = (Vec::new(), Vec::new());
    for index in 0..60_u64 {
        let captured = Uptime::from_micros(5_000_000 + index * 33_333);
        let bytes = bytes(format, index, secret);
        let rows = |plane: usize| SIZE.height() as usize / if plane > 0 { 2 } else { 1 };
        let planes: Vec<_> =
            bytes.iter().enumerate().map(|(at, data)| Plane { data, stride: data.len() / rows(at) }).collect();
        let frame = Frame::new(format, SIZE, Color::default(), captured, &planes).unwrap();
        let ready = front.handle_frame(&frame, WallTime::from_unix_micros(index), no_time).unwrap();
        pictures.push(ready.picture.clone());
        events.extend(ready.event);
    }
    events.extend(front.end());
    (pictures, events)
}

#[test]
fn nothing_that_is_masked_changes_a_picture_or_an_event() {
    let strong = Denoise::On(Strength::STRONG);
    for format in [Format::I420, Format::Nv12, Format::Nv21, Format::Yuyv, Format::Uyvy, Format::Grey] {
        for denoise in [Denoise::Off, Denoise::Auto, strong] {
            let (pictures, events) = run(&all(denoise), format, 1);
            let (others, other_events) = run(&all(denoise), format, 0xdead_beef);
            let differs = pictures.iter().zip(&others).position(|(a, b)| a != b);
            assert_eq!(differs, None, "{format:?}, {denoise:?}: what is masked shows in the first picture named");
            assert_eq!(events, other_events, "{format:?}, {denoise:?}");
            assert!(!events.is_empty(), "what walks over both halves is seen in the upper one");
        }
        // The test can tell: without the mask the pictures differ.
        let bare = FrontConfig { mask: None, ..all(strong) };
        assert_ne!(run(&bare, format, 1).0, run(&bare, format, 0xdead_beef).0);
    }
}

#[test]
fn a_mosaics_balance_is_all_that_a_masked_area_touches() {
    let mosaics = [Format::Bayer8(Mosaic::Rggb), Format::Bayer10(Mosaic::Bggr)];
    for format in mosaics {
        let config = FrontConfig { clock: None, ..all(Denoise::Off) };
        let (pictures, others) = (run(&config, format, 1).0, run(&config, format, 99).0);
        for (a, b) in pictures.iter().zip(&others) {
            let off = a.samples().iter().zip(b.samples()).map(|(a, b)| a.abs_diff(*b)).max();
            assert!(off <= Some(6), "{format:?}: {off:?} steps");
        }
    }
}

#[test]
fn the_clock_is_no_motion_and_is_not_denoised() {
    let mut front = Front::new(&FrontConfig { mask: None, ..all(Denoise::On(Strength::STRONG)) }, SIZE);
    let still = bytes(Format::Grey, 0, 1);
    let draw = |picture: &mut Picture, second: u64| {
        overlay::Clock::default().draw(WallTime::from_unix_micros(second * 1_000_000), picture).unwrap();
    };
    for index in 0..200_u64 {
        let plane = Plane { data: &still[0], stride: SIZE.width() as usize };
        let at = Uptime::from_micros(index * 200_000);
        let frame = Frame::new(Format::Grey, SIZE, Color::default(), at, &[plane]).unwrap();
        // A day passes with each frame, so that every digit changes.
        let second = index * 100_001;
        let ready = front.handle_frame(&frame, WallTime::from_unix_micros(second * 1_000_000), no_time).unwrap();
        assert_eq!(ready.event, None, "frame {index}");
        let mut again = ready.picture.clone();
        draw(&mut again, second);
        assert_eq!(&again, ready.picture, "the digits are as they were drawn");
    }
}

#[test]
fn a_frame_is_timed_in_each_step_that_is_done_and_in_no_other() {
    let clock = Clock::new(Instant::now());
    let data = &bytes(Format::Grey, 0, 1)[0];
    let plane = Plane { data, stride: SIZE.width() as usize };
    let frame = Frame::new(Format::Grey, SIZE, Color::default(), clock.now(), &[plane]).unwrap();
    let steps = |config: FrontConfig| {
        let mut front = Front::new(&config, SIZE);
        let steps = front.handle_frame(&frame, WallTime::from_unix_micros(0), || clock.now()).unwrap().steps;
        [steps.mask, steps.motion, steps.denoise, steps.clock].map(|time| time.is_some())
    };
    assert_eq!(steps(all(Denoise::On(Strength::LIGHT))), [true; 4]);
    // The sensor is not noisy, as far as one frame tells.
    assert_eq!(steps(all(Denoise::Auto)), [true, true, false, true]);
    assert_eq!(steps(FrontConfig::default()), [false; 4]);
}

#[test]
fn a_picture_without_room_for_its_clock_is_refused_in_words() {
    let wanted = Wanted { size: Size::new(128, 96).unwrap(), ..Wanted::HD };
    let picture = Pattern::picture(wanted, 0);
    let plane = Plane { data: picture.planes()[0], stride: 128 };
    let frame = Frame::new(Format::Grey, wanted.size, Color::default(), no_time(), &[plane]).unwrap();
    let mut front = Front::new(&all(Denoise::Off), wanted.size);
    let error = front.handle_frame(&frame, WallTime::from_unix_micros(0), no_time).unwrap_err();
    assert_eq!(error.to_string(), "picture of 128x96 has no room for a clock of 192x24");
}
