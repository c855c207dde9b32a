//! What each block looks like when nothing moves, and which ones do not look like that now.

use crate::picture::Picture;
use crate::units::{MediaTime, Size};
use fearless_simd::{Level, dispatch};

/// Most blocks in a row.
const COLUMNS: u32 = 96;

/// Seconds in which a still block is learned, a changed one that has come to rest, and one that goes on changing.
const STILL: f32 = 4.0;
const AT_REST: f32 = 10.0;
const CHANGING: f32 = 60.0;

/// Multiple of a block's usual difference that is no longer usual: 4 standard deviations.
const UNUSUAL: f32 = 5.0;

/// Part of the blocks that no visitor changes at once.
const ALL: f32 = 0.7;

/// Part of a change of light by which a block may differ from the rest: walls do not all reflect alike.
const UNEVEN: f32 = 0.35;

/// Counts of differences, a quarter step of luma each, from -256 to 256.
const COUNTS: usize = 2048;

#[derive(Clone, Debug)]
pub(super) struct Background {
    size: Size,
    /// Luma samples a side.
    side: u32,
    columns: usize,
    last: Option<MediaTime>,
    blocks: Vec<Block>,
    sums: Vec<u32>,
    counts: Vec<u32>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Block {
    /// Mean of luma now, when nothing moves, and in the last picture.
    now: f32,
    usual: f32,
    before: f32,
    /// Mean absolute difference when nothing moves.
    deviation: f32,
    /// Difference that the light does not explain, in multiples of what is just taken for motion.
    excess: f32,
}

impl Background {
    pub(super) fn new(size: Size) -> Self {
        let side = size.width().max(size.height()).div_ceil(COLUMNS).next_multiple_of(8);
        let (columns, rows) = (size.width().div_ceil(side) as usize, size.height().div_ceil(side) as usize);
        let blocks = vec![Block { deviation: 1.0, ..Block::default() }; columns * rows];
        let counts = vec![0; COUNTS];
        Self { size, side, columns, last: None, blocks, sums: vec![0; columns], counts }
    }

    pub(super) fn size(&self) -> Size {
        self.size
    }

    /// Luma samples along a block.
    pub(super) fn side(&self) -> u32 {
        self.side
    }

    pub(super) fn blocks(&self) -> usize {
        self.blocks.len()
    }

    /// Compares the picture with what is usual, where `least` is the least difference that counts, and learns it.
    pub(super) fn learn(&mut self, picture: &Picture, at: MediaTime, least: f32) {
        dispatch!(Level::new(), _simd => self.average(picture));
        let Some(last) = self.last.replace(at) else { return self.begin() };
        let seconds = at.as_duration().saturating_sub(last.as_duration()).as_secs_f32().min(1.0);
        let light = self.light();
        // No block can be told to be brighter or darker than all there is: the sensor's limits are somewhere there.
        let ends = (f32::MAX, f32::MIN);
        let (darkest, brightest) =
            self.blocks.iter().fold(ends, |(least, most), block| (least.min(block.now), most.max(block.now)));
        let mut changed = 0;
        for block in &mut self.blocks {
            let lit = (block.usual + light.at(block.usual)).min(brightest).max(darkest) - block.usual;
            let rest = block.now - block.usual - lit;
            let threshold = (block.deviation * UNUSUAL).max(least) + lit.abs() * UNEVEN;
            block.excess = rest.abs() / threshold;
            changed += usize::from(block.excess >= 1.0);
            let resting = (block.now - block.before).abs() < threshold * 0.5;
            let slowness = match (block.excess >= 1.0, resting) {
                (false, _) => STILL,
                (true, true) => AT_REST,
                (true, false) => CHANGING,
            };
            // The light is followed within five pictures.
            block.usual += lit * 0.2 + rest * (seconds / slowness);
            let seen = rest.abs().min(threshold * 3.0);
            let slowness = if block.excess >= 1.0 { CHANGING } else { STILL };
            block.deviation = (block.deviation + (seen - block.deviation) * (seconds / slowness)).clamp(0.3, 12.0);
            block.before = block.now;
        }
        if changed as f32 > self.blocks.len() as f32 * ALL {
            self.begin();
        }
    }

    /// Takes the picture for what is usual.
    fn begin(&mut self) {
        for block in &mut self.blocks {
            (block.usual, block.before, block.excess) = (block.now, block.now, 0.0);
        }
    }

    #[inline(always)]
    fn average(&mut self, picture: &Picture) {
        let (width, side) = (self.size.width() as usize, self.side as usize);
        let [luma, ..] = picture.planes();
        for (rows, blocks) in luma.chunks(width * side).zip(self.blocks.chunks_mut(self.columns)) {
            self.sums.fill(0);
            for row in rows.chunks(width) {
                for (sum, samples) in self.sums.iter_mut().zip(row.chunks(side)) {
                    *sum += samples.iter().map(|&sample| u32::from(sample)).sum::<u32>();
                }
            }
            let height = rows.len() / width;
            for (column, (block, &sum)) in blocks.iter_mut().zip(&self.sums).enumerate() {
                let across = side.min(width - column * side);
                block.now = sum as f32 / (across * height) as f32;
            }
        }
    }

    /// The change that blocks have in common: the median of the dark, the middling and the bright ones.
    fn light(&mut self) -> Light {
        self.counts.fill(0);
        let count = |counts: &mut [u32], step: usize| {
            if let Some(count) = counts.get_mut(step) {
                *count += 1;
            }
        };
        for block in &self.blocks {
            count(&mut self.counts, block.usual.clamp(0.0, 255.0) as usize);
        }
        let third = self.blocks.len().div_ceil(3) as u32;
        let (mut below, mut limits) = (0, [0.0; 2]);
        for (step, &count) in self.counts.iter().take(256).enumerate() {
            for (nth, limit) in (1..).zip(&mut limits) {
                if below < third * nth {
                    *limit = (step + 1) as f32;
                }
            }
            below += count;
        }
        let [dark, middling] = limits;
        let ranges = [(f32::MIN, dark), (dark, middling), (middling, f32::MAX)];
        let points = ranges.map(|(from, to)| {
            self.counts.fill(0);
            let (mut total, mut sum) = (0, 0.0);
            for block in self.blocks.iter().filter(|block| (from..to).contains(&block.usual)) {
                total += 1;
                sum += block.usual;
                let step = (block.now - block.usual + 256.0) * 4.0 + 0.5;
                count(&mut self.counts, step.clamp(0.0, (COUNTS - 1) as f32) as usize);
            }
            let mut below = 0;
            let median = self.counts.iter().position(|&count| {
                below += count;
                below * 2 > total
            });
            median.map(|step| (sum / total as f32, step as f32 / 4.0 - 256.0))
        });
        Light { points }
    }

    /// Blocks that move and are not alone in it: column, row, index, excess.
    pub(super) fn moving(&self) -> impl Iterator<Item = (usize, usize, usize, f32)> {
        let columns = self.columns;
        let changed = move |at: usize| self.blocks.get(at).is_some_and(|block| block.excess >= 1.0);
        self.blocks.iter().enumerate().filter(|(_, block)| block.excess >= 1.0).filter_map(move |(at, block)| {
            let (column, row) = (at % columns, at / columns);
            let (left, right) = (column.saturating_sub(1), (column + 1).min(columns - 1));
            let around =
                (row.saturating_sub(1)..=row + 1).flat_map(|row| (left..=right).map(move |to| row * columns + to));
            let company = around.filter(|&at| changed(at)).count();
            // Itself and two more.
            (company >= 3).then_some((column, row, at, block.excess))
        })
    }
}

/// How much brighter blocks of three brightnesses became; `None` where there are no such blocks.
struct Light {
    points: [Option<(f32, f32)>; 3],
}

impl Light {
    /// The change at a brightness: linear between the points and a little beyond.
    fn at(&self, luma: f32) -> f32 {
        let mut points = self.points.iter().flatten().copied();
        let Some(mut from) = points.next() else { return 0.0 };
        let mut value = from.1;
        for to in points {
            if to.0 - from.0 >= 4.0 {
                let along = (luma - from.0) / (to.0 - from.0);
                if along >= 0.0 || from.1 == value {
                    value = from.1 + (to.1 - from.1) * along.clamp(-0.5, 1.5);
                }
            }
            if luma < to.0 {
                break;
            }
            from = to;
        }
        value
    }
}
