//! A row of samples at a time: the part of the denoiser that costs time.

/// Room for a row of work.
#[derive(Clone, Debug, Default)]
pub(super) struct Rows {
    /// Samples, and four times their difference to the mean: rows above, here and below; one more at both ends.
    pub(super) samples: [Vec<i16>; 3],
    pub(super) differences: [Vec<i16>; 3],
    /// Sums over three rows, then over three columns.
    pub(super) column: Vec<i16>,
    pub(super) blur: Vec<i16>,
    pub(super) neighbours: Vec<i16>,
    /// Of each sample: weight of the new picture in 1/32768, where neighbours begin to count, how fast.
    pub(super) weight: Vec<i16>,
    pub(super) begin: Vec<i16>,
    pub(super) slope: Vec<i16>,
    /// Sums over the columns of a row of cells, then over three rows of cells.
    pub(super) sums: [Vec<i16>; 3],
    pub(super) windows: [Vec<f32>; 2],
}

/// Each value, the next and the one after it. Slices, not `skip`: the compiler makes vector code of slices only.
#[inline(always)]
pub(super) fn three<T>(of: &[T]) -> impl Iterator<Item = ((&T, &T), &T)> {
    of.iter().zip(of.get(1..).unwrap_or_default()).zip(of.get(2..).unwrap_or_default())
}

impl Rows {
    /// Takes a row in.
    #[inline(always)]
    pub(super) fn load(&mut self, slot: usize, samples: &[u8], means: &[i16]) {
        let (Some(to_samples), Some(to_differences)) = (self.samples.get_mut(slot), self.differences.get_mut(slot))
        else {
            return;
        };
        let (inner_samples, inner_differences) =
            (to_samples.get_mut(1..).unwrap_or_default(), to_differences.get_mut(1..).unwrap_or_default());
        widen(samples, means, inner_samples, inner_differences);
        repeat_ends(to_samples);
        repeat_ends(to_differences);
    }

    /// The last row stands for the one below it.
    #[inline(always)]
    pub(super) fn repeat(&mut self) {
        let [_, here, below] = &mut self.samples;
        below.copy_from_slice(here);
        let [_, here, below] = &mut self.differences;
        below.copy_from_slice(here);
    }

    /// Sums the neighbourhoods: samples by a binomial of 16, differences flat.
    #[inline(always)]
    pub(super) fn sum(&mut self) {
        let [above, here, below] = &self.samples;
        add_rows(above, here, below, 2, &mut self.column);
        add_columns(&self.column, 2, &mut self.blur);
        let [above, here, below] = &self.differences;
        add_rows(above, here, below, 1, &mut self.column);
        add_columns(&self.column, 1, &mut self.neighbours);
    }
}

// The loops over samples take their slices one by one: only of arguments does the compiler know that they lie apart,
// and without that it makes no vector code.

/// Both ends become what is next to them.
#[inline(always)]
fn repeat_ends(row: &mut [i16]) {
    if let [first, inner @ .., last] = row {
        *first = inner.first().copied().unwrap_or_default();
        *last = inner.last().copied().unwrap_or_default();
    }
}

/// Adds a row's differences to the mean in quarter steps, their absolute values, and the mean itself.
#[inline(always)]
pub(super) fn add_up(samples: &[u8], means: &[i16], signed: &mut [i16], absolute: &mut [i16], bright: &mut [i16]) {
    let sums = signed.iter_mut().zip(absolute).zip(bright);
    for ((&sample, &mean), ((signed, absolute), bright)) in samples.iter().zip(means).zip(sums) {
        let off = 4 * i16::from(sample) - (mean >> 4);
        *signed += off;
        *absolute += off.abs();
        *bright += mean >> 6;
    }
}

/// Writes a row's samples, and four times their difference to the mean.
#[inline(always)]
fn widen(samples: &[u8], means: &[i16], to_samples: &mut [i16], to_differences: &mut [i16]) {
    let to = to_samples.iter_mut().zip(to_differences);
    for ((to_sample, to_difference), (&sample, &mean)) in to.zip(samples.iter().zip(means)) {
        *to_sample = i16::from(sample);
        *to_difference = 4 * i16::from(sample) - (mean >> 4);
    }
}

/// `above + weight * here + below`.
#[inline(always)]
fn add_rows(above: &[i16], here: &[i16], below: &[i16], weight: i16, to: &mut [i16]) {
    for (((to, above), here), below) in to.iter_mut().zip(above).zip(here).zip(below) {
        *to = above + weight * here + below;
    }
}

/// The same along a row; `to` is two shorter.
#[inline(always)]
fn add_columns(from: &[i16], weight: i16, to: &mut [i16]) {
    for (to, ((left, middle), right)) in to.iter_mut().zip(three(from)) {
        *to = left + weight * middle + right;
    }
}

/// Moves a row's mean on, and shows it.
#[inline(always)]
pub(super) fn move_on(
    samples: &mut [u8],
    means: &mut [i16],
    blur: &[i16],
    neighbours: &[i16],
    weight: &[i16],
    begin: &[i16],
    slope: &[i16],
) {
    let around = blur.iter().zip(neighbours);
    let cells = weight.iter().zip(begin).zip(slope);
    for (((sample, mean), (&blur, &neighbours)), ((&weight, &begin), &slope)) in
        samples.iter_mut().zip(means).zip(around).zip(cells)
    {
        let beyond = (neighbours.abs() - begin).max(0).min(begin - (begin >> 2));
        let weight = weight.max(beyond * slope);
        let here = i16::from(*sample) << 4;
        // Toward the neighbours by as much as noise explains; not at all at an edge. A noise of 1 is 16 here and 72 in
        // `begin`: neighbours count up to a distance of 2.2 of the noise where there is little, of 4.5 at night. (Not
        // `clamp`: its check of the limits makes the loop scalar, five times as slow.)
        let off = blur - here;
        let limit = (begin + (begin >> 2) - 108).max(begin >> 1).min(begin);
        let toward = off.abs().min((limit - off.abs()).max(0));
        let toward = if off < 0 { -toward } else { toward };
        let smooth = here + scaled(toward, weight);
        let next = *mean + scaled(4 * smooth - *mean, weight);
        *mean = next;
        *sample = ((next + 32) >> 6) as u8;
    }
}

/// `value * weight / 32768`, rounded.
#[inline(always)]
fn scaled(value: i16, weight: i16) -> i16 {
    ((((i32::from(value) * i32::from(weight)) >> 14) + 1) >> 1) as i16
}
