//! How much there is to code in a picture, told before it is coded.

use crate::picture::Picture;

/// Luma samples that become one, each way.
const SHRINK: usize = 4;
/// Side of a block of the small picture: a macroblock pair of the large one.
const BLOCK: usize = 8;
/// Steps a search may take from where it began, in samples of the small picture.
const STEPS: usize = 6;

/// What a picture costs, as mean differences of samples (0 to 255) of its sixteenth.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Complexity {
    /// Against the mean of each block: what a keyframe has to code.
    pub(super) texture: f64,
    /// Against the picture before, moved to fit, or against the mean where that is less.
    pub(super) motion: f64,
}

/// Compares each picture with the one before, in a sixteenth of the samples.
#[derive(Debug, Default)]
pub(super) struct Meter {
    width: usize,
    now: Vec<u8>,
    before: Vec<u8>,
}

impl Meter {
    /// Looks at a picture. The first one, or the first of a new size, moves as much as it is textured.
    pub(super) fn look(&mut self, picture: &Picture) -> Complexity {
        let [luma, ..] = picture.planes();
        let (width, height) = (picture.size().width() as usize, picture.size().height() as usize);
        std::mem::swap(&mut self.now, &mut self.before);
        self.width = width / SHRINK;
        self.now.resize(self.width * (height / SHRINK), 0);
        shrink(luma, width, self.width, &mut self.now);
        self.compare()
    }

    fn compare(&self) -> Complexity {
        let (width, height) = (self.width, self.now.len() / self.width.max(1));
        let (across, down) = (width / BLOCK, height / BLOCK);
        let has_before = self.before.len() == self.now.len();
        let (mut texture, mut motion) = (0_u64, 0_u64);
        for row in 0..down {
            let mut vector = (0, 0);
            for column in 0..across {
                let at = Place { x: column * BLOCK, y: row * BLOCK };
                let block = self.block(at);
                let flat = deviation(&block);
                texture += u64::from(flat);
                let moved = if has_before { self.search(&block, at, flat, &mut vector) } else { flat };
                motion += u64::from(moved.min(flat));
            }
        }
        let samples = (across * down * BLOCK * BLOCK).max(1) as f64;
        Complexity { texture: texture as f64 / samples, motion: motion as f64 / samples }
    }

    fn block(&self, at: Place) -> [[u8; BLOCK]; BLOCK] {
        let mut block = [[0; BLOCK]; BLOCK];
        for (row, samples) in block.iter_mut().enumerate() {
            let from = (at.y + row) * self.width + at.x;
            if let Some(line) = self.now.get(from..from + BLOCK) {
                samples.copy_from_slice(line);
            }
        }
        block
    }

    /// Least difference found on the way down from the place itself and from where the neighbour's block was found.
    fn search(&self, block: &[[u8; BLOCK]; BLOCK], at: Place, flat: u32, vector: &mut (isize, isize)) -> u32 {
        let still = self.difference(block, at, (0, 0));
        // What hardly differs need not be looked for.
        if still <= (BLOCK * BLOCK) as u32 {
            *vector = (0, 0);
            return still;
        }
        let mut best = still;
        let mut place = (0, 0);
        let neighbour = self.difference(block, at, *vector);
        if neighbour < best {
            (best, place) = (neighbour, *vector);
        }
        for _ in 0..STEPS {
            let around = [(-1, 0), (1, 0), (0, -1), (0, 1)].map(|(x, y)| (place.0 + x, place.1 + y));
            let found = around.map(|to| (self.difference(block, at, to), to));
            let Some(&(least, to)) = found.iter().min_by_key(|(cost, _)| *cost) else { break };
            if least >= best {
                break;
            }
            (best, place) = (least, to);
        }
        *vector = if best < flat { place } else { (0, 0) };
        best
    }

    fn difference(&self, block: &[[u8; BLOCK]; BLOCK], at: Place, by: (isize, isize)) -> u32 {
        let height = self.before.len() / self.width;
        let inside = |from: usize, by: isize, end: usize| from.checked_add_signed(by).filter(|&to| to + BLOCK <= end);
        let (Some(x), Some(y)) = (inside(at.x, by.0, self.width), inside(at.y, by.1, height)) else {
            return u32::MAX;
        };
        let mut sum = 0;
        for (row, samples) in block.iter().enumerate() {
            let from = (y + row) * self.width + x;
            if let Some(line) = self.before.get(from..from + BLOCK) {
                sum += samples.iter().zip(line).map(|(a, b)| u32::from(a.abs_diff(*b))).sum::<u32>();
            }
        }
        sum
    }
}

#[derive(Clone, Copy, Debug)]
struct Place {
    x: usize,
    y: usize,
}

/// Sum of the differences of a block's samples from their mean.
fn deviation(block: &[[u8; BLOCK]; BLOCK]) -> u32 {
    let sum: u32 = block.iter().flatten().map(|&sample| u32::from(sample)).sum();
    let mean = (sum / (BLOCK * BLOCK) as u32) as u8;
    block.iter().flatten().map(|&sample| u32::from(sample.abs_diff(mean))).sum()
}

/// Means of squares of samples; what is left over at the right and below is not looked at.
fn shrink(luma: &[u8], width: usize, small_width: usize, small: &mut [u8]) {
    const ROUND: u16 = (SHRINK * SHRINK / 2) as u16;
    if small_width == 0 {
        return;
    }
    for (rows, out) in luma.chunks_exact(width * SHRINK).zip(small.chunks_exact_mut(small_width)) {
        let (top, rest) = rows.split_at(width);
        let (second, rest) = rest.split_at(width);
        let (third, fourth) = rest.split_at(width);
        let fours = top.as_chunks::<SHRINK>().0.iter().zip(second.as_chunks::<SHRINK>().0);
        let others = third.as_chunks::<SHRINK>().0.iter().zip(fourth.as_chunks::<SHRINK>().0);
        for (out, ((a, b), (c, d))) in out.iter_mut().zip(fours.zip(others)) {
            let sum: u16 = [a, b, c, d].into_iter().flatten().map(|&sample| u16::from(sample)).sum();
            *out = ((sum + ROUND) / (SHRINK * SHRINK) as u16) as u8;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Random;
    use crate::units::{Color, Size};

    fn picture(width: u32, height: u32, luma: impl Fn(usize, usize) -> u8) -> Picture {
        let mut picture = Picture::black(Size::new(width, height).unwrap(), Color::default());
        let [y, ..] = picture.planes_mut();
        let width = width as usize;
        y.iter_mut().enumerate().for_each(|(at, sample)| *sample = luma(at % width, at / width));
        picture
    }

    /// Cells of 8 by 8 samples of random brightness.
    fn cells(shift: usize) -> Picture {
        let shade = |x: usize, y: usize| (Random::new((x * 1000 + y) as u64).bits() >> 56) as u8;
        picture(320, 192, |x, y| shade((x + shift) / 8, y / 8))
    }

    #[test]
    fn what_stands_still_does_not_move_and_what_is_flat_has_no_texture() {
        let mut meter = Meter::default();
        let first = meter.look(&cells(0));
        assert!(first.texture > 20.0 && first.motion == first.texture, "{first:?}");
        assert_eq!(meter.look(&cells(0)), Complexity { texture: first.texture, motion: 0.0 });
        assert_eq!(Meter::default().look(&picture(64, 64, |_, _| 90)), Complexity::default());
    }

    #[test]
    fn a_pan_costs_little_and_another_scene_costs_all() {
        let mut meter = Meter::default();
        meter.look(&cells(0));
        let panned = meter.look(&cells(8));
        assert!(panned.motion < panned.texture / 3.0, "{panned:?}");
        let other = meter.look(&picture(320, 192, |x, y| if (x / 16 + y / 16) % 2 == 0 { 200 } else { 40 }));
        assert!(other.motion > other.texture * 0.7, "{other:?}");
    }

    #[test]
    fn odd_and_tiny_and_changing_sizes_are_looked_at() {
        let mut meter = Meter::default();
        for (width, height) in [(1, 1), (3, 70), (18, 34), (66, 2), (320, 192), (31, 33)] {
            let seen = meter.look(&picture(width, height, |x, y| (x * 7 + y * 3) as u8));
            assert!(seen.motion.is_finite() && seen.motion <= seen.texture, "{width}x{height}: {seen:?}");
        }
    }
}
