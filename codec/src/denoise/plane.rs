//! One plane's running mean.

use super::Strength;
use super::noise::{BINS, Noise, bin, spread};
use super::rows::{Rows, add_up, move_on, three};

/// Side of a cell in samples.
const CELL: usize = 4;

/// Pictures from one look at the noise of a single picture to the next.
const LOOK: u32 = 16;

/// From which and to which difference, in standard deviations of the noise, a cell goes from still to moving. Noise
/// alone stays below: demosaicing makes neighbours alike, so a mean of n samples has up to 1.6 times the noise of n
/// independent ones.
const MEAN_OF_CELL: (f32, f32) = (1.4, 2.0);
const MEAN_OF_WINDOW: (f32, f32) = (0.5, 0.9);
/// The same for the mean absolute difference, which is 0.798 of the noise when still.
const SIZE_OF_CELL: (f32, f32) = (1.7, 2.4);
const SIZE_OF_WINDOW: (f32, f32) = (1.15, 1.5);
/// The same for the mean of a sample's 3x3 neighbours; it ends 1.75 times as high.
const MEAN_OF_NEIGHBOURS: f32 = 2.0;

#[derive(Clone, Debug, Default)]
pub(super) struct Layer {
    width: usize,
    /// Cells in a row.
    columns: usize,
    /// The running mean, in 64ths of a sample step.
    mean: Vec<i16>,
    noise: Noise,
    pictures: u32,
    cells: Cells,
    rows: Rows,
}

/// What is known of each cell, row by row.
#[derive(Clone, Debug, Default)]
struct Cells {
    /// Sum of the differences to the mean, in quarter steps, and of their absolute values.
    difference: Vec<i16>,
    size: Vec<i16>,
    /// Brightness bin.
    bin: Vec<u8>,
    /// Pictures the mean is made of.
    age: Vec<u8>,
    /// 0 is still, 1 is moving.
    motion: Vec<f32>,
    /// What the difference to the mean spreads by, when still.
    spread: Vec<f32>,
}

impl Layer {
    /// Begins with this picture.
    #[inline(always)]
    pub(super) fn start(&mut self, width: usize, height: usize, plane: &mut [u8]) {
        self.width = width;
        self.columns = width.div_ceil(CELL);
        let cells = self.columns * height.div_ceil(CELL);
        let Cells { difference, size, bin, age, motion, spread } = &mut self.cells;
        for sums in [difference, size] {
            sums.resize(cells, 0);
        }
        for bytes in [bin, age] {
            bytes.resize(cells, 0);
        }
        for values in [motion, spread] {
            values.resize(cells, 0.0);
        }
        let Rows { samples, differences, column, blur, neighbours, weight, begin, slope, sums, windows } =
            &mut self.rows;
        let padded = self.columns * CELL;
        for row in samples.iter_mut().chain(differences).chain([column]) {
            row.resize(width + 2, 0);
        }
        for row in [blur, neighbours, weight, begin, slope].into_iter().chain(sums) {
            row.clear();
            row.resize(padded, 0);
        }
        for row in windows {
            row.resize(self.columns + 2, 0.0);
        }
        self.mean.resize(plane.len(), 0);
        self.pictures = 0;
        self.noise.look(plane, width, true);
        self.restart(plane);
    }

    /// Begins the mean anew with this picture, smoothed; what is known of the noise stays.
    #[inline(always)]
    pub(super) fn restart(&mut self, plane: &mut [u8]) {
        for (mean, &sample) in self.mean.iter_mut().zip(&*plane) {
            *mean = i16::from(sample) << 6;
        }
        self.noise.look(plane, self.width, false);
        self.measure(plane);
        self.cells.age.fill(1);
        let Cells { bin, motion, spread, .. } = &mut self.cells;
        motion.fill(1.0);
        for (spread, &bin) in spread.iter_mut().zip(&*bin) {
            *spread = self.noise.level(usize::from(bin));
        }
        self.blend(plane, Strength::MAX);
    }

    pub(super) fn noise(&self) -> f32 {
        self.noise.mean()
    }

    /// Part of the cells that move.
    pub(super) fn moving(&self) -> f32 {
        let moving = self.cells.motion.iter().filter(|&&motion| motion >= 1.0).count();
        moving as f32 / self.cells.motion.len().max(1) as f32
    }

    /// Learns the noise from how the cells differ from the mean.
    #[inline(always)]
    pub(super) fn learn(&mut self, plane: &[u8]) {
        self.pictures = self.pictures.wrapping_add(1);
        if self.pictures.is_multiple_of(LOOK) {
            self.noise.look(plane, self.width, false);
        }
        // Every other cell: enough for a median.
        let Cells { size, bin, age, .. } = &self.cells;
        let found = bin.iter().zip(size).zip(age).step_by(2);
        self.noise.compare(found.map(|((&bin, &size), &age)| (bin, f32::from(size) / 64.0, age)));
    }

    /// Compares each cell with the mean.
    #[inline(always)]
    pub(super) fn measure(&mut self, plane: &[u8]) {
        let Self { width, columns, mean, cells, rows, .. } = self;
        let strips = plane.chunks(*width * CELL).zip(mean.chunks(*width * CELL));
        let of_cells = cells.difference.chunks_mut(*columns).zip(cells.size.chunks_mut(*columns));
        for ((samples, means), ((difference, size), bins)) in strips.zip(of_cells.zip(cells.bin.chunks_mut(*columns))) {
            let [signed, absolute, bright] = &mut rows.sums;
            for row in [&mut *signed, absolute, bright] {
                row.fill(0);
            }
            for (samples, means) in samples.chunks(*width).zip(means.chunks(*width)) {
                add_up(samples, means, signed, absolute, bright);
            }
            let sums = signed.as_chunks::<CELL>().0.iter().zip(absolute.as_chunks::<CELL>().0);
            let to = difference.iter_mut().zip(size).zip(bins);
            for (((signed, absolute), bright), ((difference, size), to_bin)) in
                sums.zip(bright.as_chunks::<CELL>().0).zip(to)
            {
                *difference = signed.iter().sum();
                *size = absolute.iter().sum();
                *to_bin = bin((bright.iter().sum::<i16>() >> 4) as u8) as u8;
            }
        }
    }

    /// Tells still cells from moving ones. A chroma cell moves at least as much as the `luma` it lies on, on the mean.
    #[inline(always)]
    pub(super) fn judge(&mut self, luma: Option<&Self>) {
        let Self { columns, cells, rows, noise, .. } = self;
        let columns = *columns;
        let table: [[f32; 33]; BINS] =
            std::array::from_fn(|bin| std::array::from_fn(|age| noise.level(bin) * spread(age)));
        let Cells { difference, size, bin, age, motion, spread } = cells;
        for ((spread, &bin), &age) in spread.iter_mut().zip(&*bin).zip(&*age) {
            *spread = table[usize::from(bin) & (BINS - 1)][usize::from(age.min(32))];
        }
        let count = motion.len() / columns.max(1);
        let strip = |of: usize| of * columns..(of + 1) * columns;
        for at in 0..count {
            let around = [at.saturating_sub(1), at, (at + 1).min(count - 1)];
            for (of, to) in [&*difference, size].into_iter().zip(&mut rows.windows) {
                let [above, here, below] = around.map(|at| of.get(strip(at)).unwrap_or_default());
                if let [first, inner @ .., last] = &mut to[..] {
                    for (((to, above), here), below) in inner.iter_mut().zip(above).zip(here).zip(below) {
                        *to = f32::from(*above) + f32::from(*here) + f32::from(*below);
                    }
                    *first = inner.first().copied().unwrap_or_default();
                    *last = inner.last().copied().unwrap_or_default();
                }
            }
            let [differences, sizes] = &rows.windows;
            let of_cells = difference.get(strip(at)).unwrap_or_default().iter();
            let of_cells = of_cells.zip(size.get(strip(at)).unwrap_or_default());
            let of_cells = of_cells.zip(spread.get(strip(at)).unwrap_or_default());
            let sum = |((a, b), c): ((&f32, &f32), &f32)| a + b + c;
            let windows = three(differences).map(sum).zip(three(sizes).map(sum));
            let to = motion.get_mut(strip(at)).unwrap_or_default();
            for ((motion, ((&difference, &size), &spread)), (differences, sizes)) in
                to.iter_mut().zip(of_cells).zip(windows)
            {
                let cell = 1.0 / (spread * (4 * CELL * CELL) as f32);
                let window = cell / 9.0;
                let step = |value: f32, (from, to): (f32, f32)| (value - from) * (1.0 / (to - from));
                *motion = step(f32::from(difference).abs() * cell, MEAN_OF_CELL)
                    .max(step(f32::from(size) * cell, SIZE_OF_CELL))
                    .max(step(differences.abs() * window, MEAN_OF_WINDOW))
                    .max(step(sizes * window, SIZE_OF_WINDOW))
                    .clamp(0.0, 1.0);
            }
        }
        if let Some(luma) = luma {
            let under = luma.cells.motion.chunks(luma.columns * 2);
            for (motion, under) in motion.chunks_mut(columns).zip(under) {
                let (upper, lower) = under.split_at(luma.columns.min(under.len()));
                let lower = if lower.is_empty() { upper } else { lower };
                for ((motion, upper), lower) in motion.iter_mut().zip(upper.chunks(2)).zip(lower.chunks(2)) {
                    let mean = upper.iter().chain(lower).sum::<f32>() / (upper.len() + lower.len()) as f32;
                    *motion = motion.max(mean);
                }
            }
        }
    }

    /// Moves the mean on by this picture, and shows it.
    #[inline(always)]
    pub(super) fn blend(&mut self, plane: &mut [u8], most: u8) {
        let Self { width, columns, mean, cells, rows, .. } = self;
        let width = *width;
        let height = plane.len() / width.max(1);
        let weights: [i16; 33] = std::array::from_fn(|age| (32767 / (age + 1)) as i16);
        let row_of = |row: usize| row * width..(row + 1) * width;
        for (row, slot) in [(0, 0), (0, 1), (1.min(height - 1), 2)] {
            rows.load(slot, plane.get(row_of(row)).unwrap_or_default(), mean.get(row_of(row)).unwrap_or_default());
        }
        for row in 0..height {
            if row % CELL == 0 {
                let at = row / CELL * *columns..(row / CELL + 1) * *columns;
                let of_cells = cells.motion.get(at.clone()).unwrap_or_default().iter();
                let of_cells = of_cells.zip(cells.spread.get(at.clone()).unwrap_or_default());
                let to = rows.weight.as_chunks_mut::<CELL>().0.iter_mut();
                let to = to.zip(rows.begin.as_chunks_mut::<CELL>().0).zip(rows.slope.as_chunks_mut::<CELL>().0);
                let ages = cells.age.get_mut(at).unwrap_or_default();
                for (((&motion, &spread), age), ((weight, begin), slope)) in of_cells.zip(ages).zip(to) {
                    let kept = (f32::from(*age) * (1.0 - motion)) as u8;
                    let kept = kept.min(most - 1);
                    *age = kept + 1;
                    *weight = [weights[usize::from(kept & 31)]; CELL];
                    // Nine differences of quarter steps.
                    let from = (spread * (36.0 * MEAN_OF_NEIGHBOURS)).clamp(32.0, 8000.0);
                    *begin = [from as i16; CELL];
                    *slope = [(32767.0 / (from * 0.75 + 1.0)) as i16; CELL];
                }
            }
            rows.sum();
            let samples = plane.get_mut(row_of(row)).unwrap_or_default();
            let means = mean.get_mut(row_of(row)).unwrap_or_default();
            move_on(samples, means, &rows.blur, &rows.neighbours, &rows.weight, &rows.begin, &rows.slope);
            rows.samples.rotate_left(1);
            rows.differences.rotate_left(1);
            let next = (row + 2).min(height - 1);
            if row + 2 <= next {
                rows.load(2, plane.get(row_of(next)).unwrap_or_default(), mean.get(row_of(next)).unwrap_or_default());
            } else {
                rows.repeat();
            }
        }
    }
}
