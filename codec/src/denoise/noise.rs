//! How much noise a plane has at each brightness, found in the plane itself.

/// Steps of brightness told apart: a sensor's noise grows with light, and gamma turns that about.
pub(super) const BINS: usize = 16;

/// Quarters of a sample step that a mean difference is counted in.
const STEPS: usize = 256;

/// No estimate goes below: a clean source's rounding.
const LEAST: f32 = 0.6;

/// Mean of the absolute value of a normal variable, and median of the same, in standard deviations.
const MEAN: f32 = 0.798;
const MEDIAN: f32 = 0.6745;

/// By how much noise may be above what one picture shows of it before motion is the better explanation: a sensor's
/// demosaicing and a camera's own filters make neighbours alike, which hides noise from a look at one picture.
const HIDDEN: f32 = 3.0;

/// Standard deviation at each brightness.
#[derive(Clone, Debug)]
pub(super) struct Noise {
    levels: [f32; BINS],
    /// Most that each level may be.
    limits: [f32; BINS],
    counts: Vec<[u32; STEPS]>,
    /// Whether the levels come from a comparison of pictures.
    compared: bool,
}

impl Default for Noise {
    fn default() -> Self {
        Self { levels: [LEAST; BINS], limits: [LEAST; BINS], counts: vec![[0; STEPS]; BINS], compared: false }
    }
}

/// Bin of a sample.
#[inline(always)]
pub(super) fn bin(sample: u8) -> usize {
    usize::from(sample >> 4)
}

impl Noise {
    /// Standard deviation of samples in `bin`.
    #[inline(always)]
    pub(super) fn level(&self, bin: usize) -> f32 {
        self.levels[bin & (BINS - 1)]
    }

    /// Looks at one picture alone (Immerkær, "Fast noise variance estimation", 1996, by the median so that edges do not
    /// count): what may be believed at most, and a first guess.
    pub(super) fn look(&mut self, plane: &[u8], width: usize, first: bool) {
        self.counts.iter_mut().for_each(|counts| counts.fill(0));
        for rows in plane.chunks_exact(width * 8) {
            let (Some(a), Some(b), Some(c)) =
                (rows.get(..width), rows.get(width..width * 2), rows.get(width * 2..width * 3))
            else {
                continue;
            };
            for ((a, b), c) in a.windows(3).zip(b.windows(3)).zip(c.windows(3)) {
                let (&[a0, a1, a2], &[b0, b1, b2], &[c0, c1, c2]) = (a, b, c) else { continue };
                let [a, b, c] = [[a0, a1, a2], [b0, b1, b2], [c0, c1, c2]]
                    .map(|[left, middle, right]| i32::from(left) - 2 * i32::from(middle) + i32::from(right));
                // Standard deviation of the sum: 6 times the noise. In quarters: 4/6.
                let step = (a - 2 * b + c).unsigned_abs() as usize * 2 / 3;
                self.counts[bin(b1) & (BINS - 1)][step.min(STEPS - 1)] += 1;
            }
        }
        let seen = self.medians();
        for ((level, limit), seen) in self.levels.iter_mut().zip(&mut self.limits).zip(seen) {
            let found = (seen / MEDIAN).max(LEAST);
            *limit = found * HIDDEN;
            if first {
                *level = found * 1.5;
            }
        }
        if first {
            self.compared = false;
        }
    }

    /// Compares with the mean so far: `cells` gives each cell's brightness bin, its mean absolute difference, and how
    /// many pictures its mean is made of.
    #[inline(always)]
    pub(super) fn compare(&mut self, cells: impl Iterator<Item = (u8, f32, u8)>) {
        self.counts.iter_mut().for_each(|counts| counts.fill(0));
        let scale: [f32; 64] = std::array::from_fn(|age| 4.0 / (MEAN * spread(age)));
        for (bin, difference, age) in cells {
            let step = (difference * scale[usize::from(age) & 63] + 0.5) as usize;
            self.counts[usize::from(bin) & (BINS - 1)][step.min(STEPS - 1)] += 1;
        }
        let seen = self.medians();
        for ((level, &limit), seen) in self.levels.iter_mut().zip(&self.limits).zip(seen) {
            let found = seen.clamp(LEAST, limit);
            *level += (found - *level) * if self.compared { 0.125 } else { 1.0 };
        }
        self.compared = true;
    }

    /// Median of each bin, in sample steps; a bin of few counts has that of all.
    fn medians(&self) -> [f32; BINS] {
        let mut all = [0; STEPS];
        for counts in &self.counts {
            for (sum, count) in all.iter_mut().zip(counts) {
                *sum += count;
            }
        }
        let common = median(&all).map_or(0.0, |(median, _)| median);
        let mut medians = [common; BINS];
        for (to, counts) in medians.iter_mut().zip(&self.counts) {
            if let Some((median, total)) = median(counts)
                && total >= 100
            {
                *to = median;
            }
        }
        medians
    }

    /// Mean of the levels, weighted by how often each was last seen.
    pub(super) fn mean(&self) -> f32 {
        let seen = self.counts.iter().map(|counts| counts.iter().sum::<u32>() as f32);
        let (sum, total) =
            seen.zip(self.levels).fold((0.0, 0.0), |(sum, total), (n, level)| (sum + n * level, total + n));
        if total > 0.0 { sum / total } else { 0.0 }
    }
}

/// By how much more a difference to a mean of `age` pictures spreads than the noise alone.
pub(super) fn spread(age: usize) -> f32 {
    (1.0 + 1.0 / age.max(1) as f32).sqrt()
}

/// Median in sample steps and how many were counted; `None` if none were.
fn median(counts: &[u32; STEPS]) -> Option<(f32, u32)> {
    let total: u32 = counts.iter().sum();
    let mut below = 0;
    for (step, &count) in (0_u16..).zip(counts) {
        if count > 0 && (below + count) * 2 >= total {
            let within = (total as f32 / 2.0 - below as f32) / count as f32;
            return Some(((f32::from(step) - 0.5 + within).max(0.0) / 4.0, total));
        }
        below += count;
    }
    None
}
