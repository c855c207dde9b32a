//! How noisy a camera's pictures are, for next to no time.

use crate::picture::Picture;
use crate::units::Size;

/// One row of this many is looked at.
const ROWS: usize = 8;

/// Pictures from one look to the next.
const EVERY: u32 = 15;

/// Median of the absolute value of a normal variable, in standard deviations.
const MEDIAN: f32 = 0.6745;

/// Measures the noise of a fixed camera's luma by what differs between two pictures that follow each other, every
/// fifteen pictures. What moves does not count, unless it fills half the picture.
#[derive(Clone, Debug, Default)]
pub struct Meter {
    /// Size of the picture whose rows are held; `None` if none are.
    size: Option<Size>,
    rows: Vec<u8>,
    pictures: u32,
    noise: Option<f32>,
}

impl Meter {
    /// One that has seen nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Standard deviation of the luma's noise in steps of 8 bits, as last measured; `None` before that. 0 where more
    /// than half of the samples do not change at all, as in footage that was coded before.
    pub fn noise(&self) -> Option<f32> {
        self.noise
    }

    /// Looks at the next picture, before anything takes its noise away. Whether [`Meter::noise`] is a new measurement.
    pub fn handle_picture(&mut self, picture: &Picture) -> bool {
        let due = self.pictures.is_multiple_of(EVERY);
        self.pictures = self.pictures.wrapping_add(1);
        let [luma, ..] = picture.planes();
        let size = picture.size();
        let looked_at = || luma.chunks_exact(size.width() as usize).step_by(ROWS);
        if due {
            self.size = Some(size);
            self.rows.clear();
            looked_at().for_each(|row| self.rows.extend_from_slice(row));
            return false;
        }
        if self.size.take() != Some(size) {
            return false;
        }
        let mut counts = [0_u32; 256];
        for (row, before) in looked_at().zip(self.rows.chunks_exact(size.width() as usize)) {
            for (sample, before) in row.iter().zip(before) {
                if let Some(count) = counts.get_mut(usize::from(sample.abs_diff(*before))) {
                    *count += 1;
                }
            }
        }
        let found = median(&counts) / (MEDIAN * std::f32::consts::SQRT_2);
        self.noise = Some(found);
        true
    }
}

/// Median of what is counted, between steps as if each spread over half a step either way; 0 if it is the step 0.
fn median(counts: &[u32; 256]) -> f32 {
    let total: u32 = counts.iter().sum();
    let mut below = 0;
    for (step, &count) in (0_u8..=255).zip(counts) {
        if count > 0 && (below + count) * 2 > total {
            let within = (total as f32 / 2.0 - below as f32) / count as f32;
            return if step == 0 { 0.0 } else { f32::from(step) - 0.5 + within };
        }
        below += count;
    }
    0.0
}
