//! A test scene that moves, shows the time, and carries its frame number.

use super::pace::Pace;
use super::{Clock, Losses, Sensor, SensorError, Wanted, counter, draw_counter, even, lend};
use doorframe_codec::units::{Color, FrameRate, Size};
use doorframe_codec::{Frame, Picture};

/// A camera made of software: I420 frames, BT.709, limited range.
///
/// Frame n carries the number n ([`read_counter`](super::read_counter) reads it, after an encoder too), so that
/// whoever receives it can tell which frames were lost. Numbers that were skipped are missing.
#[derive(Debug)]
pub struct Pattern {
    name: String,
    wanted: Wanted,
    clock: Clock,
    pace: Pace,
    scene: Scene,
    picture: Picture,
    losses: Losses,
}

impl Pattern {
    /// Smallest picture that has room for the scene.
    pub const SMALLEST: Size = {
        let Some(size) = Size::new(128, 96) else { unreachable!() };
        size
    };

    /// Frame 0 is due at once. An odd side is cropped by one.
    ///
    /// # Errors
    /// If the size is below [`Pattern::SMALLEST`].
    pub fn new(wanted: Wanted, clock: Clock) -> Result<Self, SensorError> {
        let Wanted { size, rate } = wanted;
        let size = even(size)
            .filter(|s| s.width() >= Self::SMALLEST.width() && s.height() >= Self::SMALLEST.height())
            .ok_or(SensorError::PatternSize(size))?;
        let scene = Scene::new(size);
        Ok(Self {
            name: format!("test pattern, {size} at {rate}"),
            wanted: Wanted { size, rate },
            pace: Pace::new(rate, clock.now()),
            clock,
            picture: scene.background.clone(),
            scene,
            losses: Losses::default(),
        })
    }

    /// Picture number `index` of the scene, as `next` would lend it.
    pub fn picture(wanted: Wanted, index: u32) -> Picture {
        let scene = Scene::new(wanted.size);
        let mut picture = scene.background.clone();
        scene.draw(&mut picture, u64::from(index), wanted.rate);
        picture
    }
}

impl Sensor for Pattern {
    fn next(&mut self) -> Result<Frame<'_>, SensorError> {
        let due = self.pace.take(self.clock.now());
        self.losses.skipped += due.skipped;
        self.scene.draw(&mut self.picture, due.index, self.wanted.rate);
        self.clock.sleep_until(due.at);
        Ok(lend(self.picture.size(), self.picture.color(), self.picture.samples(), due.at)?)
    }

    fn size(&self) -> Size {
        self.wanted.size
    }

    fn rate(&self) -> FrameRate {
        self.wanted.rate
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn losses(&self) -> Losses {
        self.losses
    }
}

type Yuv = [u8; 3];

const WHITE: Yuv = [235, 128, 128];
const DARK: Yuv = [28, 128, 128];
const BALL: Yuv = [140, 70, 190];
/// 75 % colour bars in BT.709.
const BARS: [Yuv; 8] = [
    [180, 128, 128],
    [168, 44, 136],
    [145, 147, 44],
    [133, 63, 52],
    [63, 193, 204],
    [51, 109, 212],
    [28, 212, 120],
    [16, 128, 128],
];

/// What stands still, and where the rest moves.
#[derive(Debug)]
struct Scene {
    background: Picture,
    /// Rows the frame counter takes.
    top: usize,
}

impl Scene {
    fn new(size: Size) -> Self {
        let (width, height) = (size.width() as usize, size.height() as usize);
        let top = counter::rows(size).unwrap_or_default();
        let mut background = Picture::black(size, Color::default());
        // Dusk: a gradient shows an encoder's banding.
        for row in (top..height).step_by(2) {
            let shade = u8::try_from(60 + 110 * row / height).unwrap_or(u8::MAX);
            rect(&mut background, (0, row), (width, 2), [shade, 134, 122]);
        }
        for (index, bar) in BARS.into_iter().enumerate() {
            let left = width * index / BARS.len();
            let right = width * (index + 1) / BARS.len();
            rect(&mut background, (left, top), (right - left, (height - top) / 4), bar);
        }
        // Gratings of 2, 4, 6 and 8 samples: what a soft encoder loses first.
        for (index, pitch) in [2, 4, 6, 8].into_iter().enumerate() {
            let left = width / 32 + index * width / 12;
            for x in (left..left + width / 16).step_by(2 * pitch) {
                rect(&mut background, (x, height * 7 / 8), (pitch, height / 10), WHITE);
            }
        }
        Self { background, top }
    }

    /// Draws picture number `index` over whatever `picture` showed.
    fn draw(&self, picture: &mut Picture, index: u64, rate: FrameRate) {
        picture.clone_from(&self.background);
        let size = picture.size();
        let (width, height) = (size.width() as usize, size.height() as usize);
        let room = height - self.top;
        let ms = rate.at(index).as_millis();
        let ms = usize::try_from(ms % 3_600_000).unwrap_or_default();

        // Once across in four seconds, up and down in three.
        let radius = room.min(width) / 10;
        let x = radius + there_and_back(ms, 4000, width - 2 * radius);
        let y = self.top + radius + there_and_back(ms, 1500, room - 2 * radius);
        disc(picture, (x, y), radius, BALL);

        // As wide as the picture or as high as the room for it allows, if that is enough to be read.
        let unit = width.min(2 * room) / 32;
        if unit >= 4 {
            clock(picture, (width / 2, self.top + room / 2), (unit, 2 * unit), ms);
        }

        draw_counter(picture, u32::try_from(index % (1 << 32)).unwrap_or_default());
    }
}

/// Position after `ms` of something that takes `once` ms for `way` and then comes back.
fn there_and_back(ms: usize, once: usize, way: usize) -> usize {
    let phase = ms % (2 * once);
    way * phase.min(2 * once - phase) / once
}

/// Fills a rectangle; corner and extent are cut to even samples and to the picture.
fn rect(picture: &mut Picture, (left, top): (usize, usize), (width, height): (usize, usize), color: Yuv) {
    let size = picture.size();
    let strides = [size.width() as usize, size.chroma_width() as usize, size.chroma_width() as usize];
    let planes = picture.planes_mut().into_iter().zip(strides);
    for ((plane, stride), (level, shift)) in planes.zip(color.into_iter().zip([0, 1, 1])) {
        let [left, top, width, height] = [left, top, width, height].map(|n| (n / 2 * 2) >> shift);
        for row in plane.chunks_exact_mut(stride).skip(top).take(height) {
            let right = (left + width).min(stride);
            if let Some(part) = row.get_mut(left..right) {
                part.fill(level);
            }
        }
    }
}

fn disc(picture: &mut Picture, (x, y): (usize, usize), radius: usize, color: Yuv) {
    for row in (0..2 * radius).step_by(2) {
        let away = row.abs_diff(radius);
        let half = (radius * radius - away * away).isqrt();
        rect(picture, (x.saturating_sub(half), (y + row).saturating_sub(radius)), (2 * half, 2), color);
    }
}

/// Draws minutes, seconds and milliseconds around `middle`, each digit as large as `digit`.
fn clock(picture: &mut Picture, middle: (usize, usize), digit: (usize, usize), ms: usize) {
    let (left, top) = (middle.0 - digit.0 * 5, middle.1 - digit.1 / 2);
    rect(picture, (left - digit.0 / 2, top - digit.1 / 4), (digit.0 * 11, digit.1 * 3 / 2), DARK);
    let minutes = [(0, ms / 600_000), (1, ms / 60_000 % 10)];
    let seconds = [(3, ms / 10_000 % 6), (4, ms / 1000 % 10)];
    let thousandths = [(6, ms / 100 % 10), (7, ms / 10 % 10), (8, ms % 10)];
    for (place, figure) in minutes.into_iter().chain(seconds).chain(thousandths) {
        seven_segments(picture, (left + place * digit.0 * 10 / 9, top), digit, figure);
    }
    let dot = (digit.0 / 5).max(2);
    for place in [2, 5] {
        let x = left + place * digit.0 * 10 / 9 + digit.0 / 2;
        rect(picture, (x, top + digit.1 - dot), (dot, dot), WHITE);
    }
}

/// Draws `figure`, 0 to 9, as a pocket calculator does.
fn seven_segments(picture: &mut Picture, (left, top): (usize, usize), (width, height): (usize, usize), figure: usize) {
    // Which of the segments a to g are lit: top, right top, right bottom, bottom, left bottom, left top, middle.
    const LIT: [u8; 10] = [0x3f, 0x06, 0x5b, 0x4f, 0x66, 0x6d, 0x7d, 0x07, 0x7f, 0x6f];
    let lit = LIT.get(figure).copied().unwrap_or_default();
    let pen = (width / 6).max(2);
    let (across, half) = (width - pen, height / 2);
    let segments = [
        ((left, top), (across, pen)),
        ((left + across - pen, top), (pen, half)),
        ((left + across - pen, top + half), (pen, half)),
        ((left, top + height - pen), (across, pen)),
        ((left, top + half), (pen, half)),
        ((left, top), (pen, half)),
        ((left, top + half - pen / 2), (across, pen)),
    ];
    for (bit, (corner, extent)) in segments.into_iter().enumerate() {
        if lit >> bit & 1 == 1 {
            rect(picture, corner, extent, WHITE);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sensor::read_counter;
    use std::time::Instant;

    fn wanted(width: u32, height: u32, fps: u32) -> Wanted {
        Wanted { size: Size::new(width, height).unwrap(), rate: FrameRate::whole(fps).unwrap() }
    }

    #[test]
    fn every_picture_carries_its_number_and_moves() {
        for (width, height) in [(1280, 720), (320, 240), (128, 96), (192, 1080), (4096, 96), (128, 2000)] {
            let at = wanted(width, height, 30);
            let pictures = [0, 1, 7, 1_000_000].map(|index| (index, Pattern::picture(at, index)));
            for (index, picture) in &pictures {
                assert_eq!(read_counter(picture), Some(*index), "{width}x{height}");
            }
            assert_ne!(
                pictures[1].1.planes()[0][16 * width as usize..],
                pictures[2].1.planes()[0][16 * width as usize..]
            );
        }
    }

    #[test]
    fn frames_come_at_their_rate_with_growing_times() {
        let clock = Clock::new(Instant::now());
        let mut pattern = Pattern::new(wanted(128, 96, 100), clock).unwrap();
        let mut last = None;
        for _ in 0..10 {
            let frame = pattern.next().unwrap();
            assert!(last < Some(frame.captured()));
            assert!(frame.captured() <= clock.now(), "handed out before it was due");
            last = Some(frame.captured());
        }
        assert!(clock.now().as_micros() >= 90_000, "10 frames at 100 fps in {:?}", clock.now());
    }

    #[test]
    fn an_odd_side_is_cropped() {
        let clock = Clock::new(Instant::now());
        let pattern = Pattern::new(wanted(321, 241, 30), clock).unwrap();
        assert_eq!(pattern.size(), Size::new(320, 240).unwrap());
    }

    #[test]
    fn a_size_without_room_for_the_scene_is_refused_in_words() {
        let clock = Clock::new(Instant::now());
        let error = Pattern::new(wanted(64, 96, 30), clock).unwrap_err();
        assert_eq!(error.to_string(), "a test pattern of 64x96 is too small: the least is 128x96");
        assert!(error.is_final());
    }
}
