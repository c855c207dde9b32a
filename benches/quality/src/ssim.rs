//! Structural similarity of two pictures' luma.
//!
//! Z. Wang, A. C. Bovik, H. R. Sheikh and E. P. Simoncelli, "Image quality assessment: from error visibility to
//! structural similarity", IEEE Trans. Image Processing 13 (2004) 600: Gaussian windows of 11x11 with sigma 1.5,
//! K1 = 0.01, K2 = 0.03, and windows that lie inside the picture only. Large pictures are first made smaller, as the
//! authors' `ssim.m` says and libvmaf's `float_ssim` does: by the whole number nearest to shorter side / 256.

use doorframe_codec::Picture;

/// Side of a window.
const WINDOW: usize = 11;
/// Standard deviation of its weights, in samples.
const SIGMA: f64 = 1.5;
/// Taken from each sample before it is squared: variances do not change, and lose less to rounding.
const MIDDLE: f32 = 128.0;
const C1: f32 = (0.01 * 255.0) * (0.01 * 255.0);
const C2: f32 = (0.03 * 255.0) * (0.03 * 255.0);

/// Compares pictures; keeps its memory from one to the next.
#[derive(Debug, Default)]
pub(crate) struct Ssim {
    a: Vec<f32>,
    b: Vec<f32>,
    /// Weighted sums over a window's rows, a column each: of a, b, a², b² and ab.
    columns: [Vec<f32>; 5],
}

impl Ssim {
    /// Mean over all windows, 1 if the pictures' luma is the same. `None` if their sizes differ, or a side is shorter
    /// than a window.
    pub(crate) fn compare(&mut self, a: &Picture, b: &Picture) -> Option<f64> {
        let size = a.size();
        if b.size() != size {
            return None;
        }
        let (width, height) = (size.width() as usize, size.height() as usize);
        let factor = ((width.min(height) as f64 / 256.0).round() as usize).max(1);
        let ([luma_a, ..], [luma_b, ..]) = (a.planes(), b.planes());
        shrink(luma_a, width, factor, &mut self.a);
        shrink(luma_b, width, factor, &mut self.b);
        self.mean(width / factor, height / factor)
    }

    fn mean(&mut self, width: usize, height: usize) -> Option<f64> {
        if width < WINDOW || height < WINDOW {
            return None;
        }
        let weights = weights();
        self.columns.iter_mut().for_each(|column| column.resize(width, 0.0));
        let mut sum = 0.0;
        for top in 0..=height - WINDOW {
            let rows = top * width..(top + WINDOW) * width;
            let (rows_a, rows_b) = (self.a.get(rows.clone())?, self.b.get(rows)?);
            self.columns.iter_mut().for_each(|column| column.fill(0.0));
            for ((row_a, row_b), weight) in rows_a.chunks_exact(width).zip(rows_b.chunks_exact(width)).zip(weights) {
                add_row(&mut self.columns, row_a, row_b, weight);
            }
            let [a, b, aa, bb, ab] = &self.columns;
            let windows = a.windows(WINDOW).zip(b.windows(WINDOW)).zip(aa.windows(WINDOW)).zip(bb.windows(WINDOW));
            let row: f32 = windows
                .zip(ab.windows(WINDOW))
                .map(|((((a, b), aa), bb), ab)| {
                    let [a, b, aa, bb, ab] = [a, b, aa, bb, ab].map(|column| weigh(column, &weights));
                    index(a, b, aa, bb, ab)
                })
                .sum();
            sum += f64::from(row);
        }
        Some(sum / ((width - WINDOW + 1) * (height - WINDOW + 1)) as f64)
    }
}

fn add_row(columns: &mut [Vec<f32>; 5], row_a: &[f32], row_b: &[f32], weight: f32) {
    let [sum_a, sum_b, sum_aa, sum_bb, sum_ab] = columns;
    let sums = sum_a.iter_mut().zip(sum_b).zip(sum_aa).zip(sum_bb).zip(sum_ab);
    for (((((sum_a, sum_b), sum_aa), sum_bb), sum_ab), (&a, &b)) in sums.zip(row_a.iter().zip(row_b)) {
        let (weighted_a, weighted_b) = (weight * a, weight * b);
        *sum_a += weighted_a;
        *sum_b += weighted_b;
        *sum_aa += weighted_a * a;
        *sum_bb += weighted_b * b;
        *sum_ab += weighted_a * b;
    }
}

fn weigh(column: &[f32], weights: &[f32; WINDOW]) -> f32 {
    column.iter().zip(weights).map(|(value, weight)| value * weight).sum()
}

/// Of one window, from its weighted means: equation 13 of the paper.
fn index(a: f32, b: f32, aa: f32, bb: f32, ab: f32) -> f32 {
    let (variance_a, variance_b, covariance) = (aa - a * a, bb - b * b, ab - a * b);
    let (a, b) = (a + MIDDLE, b + MIDDLE);
    let above = (2.0 * a * b + C1) * (2.0 * covariance + C2);
    let below = (a * a + b * b + C1) * (variance_a + variance_b + C2);
    above / below
}

/// Weights of a window's rows and columns; their sum is 1.
fn weights() -> [f32; WINDOW] {
    let raw: [f64; WINDOW] = std::array::from_fn(|n| {
        let from_middle = n as f64 - (WINDOW / 2) as f64;
        (-from_middle * from_middle / (2.0 * SIGMA * SIGMA)).exp()
    });
    let sum: f64 = raw.iter().sum();
    raw.map(|weight| (weight / sum) as f32)
}

/// Means of squares of `factor` samples a side, less [`MIDDLE`]; what is left at the right and below is left out.
fn shrink(luma: &[u8], width: usize, factor: usize, to: &mut Vec<f32>) {
    to.clear();
    if factor == 1 {
        to.extend(luma.iter().map(|&sample| f32::from(sample) - MIDDLE));
        return;
    }
    let kept = width / factor;
    let mut sums = vec![0_u32; kept];
    for rows in luma.chunks_exact(width * factor) {
        sums.fill(0);
        for row in rows.chunks_exact(width) {
            for (sum, square) in sums.iter_mut().zip(row.chunks_exact(factor)) {
                *sum += square.iter().map(|&sample| u32::from(sample)).sum::<u32>();
            }
        }
        to.extend(sums.iter().map(|&sum| sum as f32 / (factor * factor) as f32 - MIDDLE));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use doorframe_codec::testing::Scene;
    use doorframe_codec::units::{Color, Size};

    fn picture(width: u32, height: u32, luma: impl Fn(u32, u32) -> u32) -> Picture {
        let mut picture = Picture::black(Size::new(width, height).unwrap(), Color::default());
        let samples = (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
        let [plane, ..] = picture.planes_mut();
        plane.iter_mut().zip(samples).for_each(|(sample, (x, y))| *sample = luma(x, y) as u8);
        picture
    }

    #[test]
    fn a_picture_is_as_similar_to_itself_as_can_be() {
        for (width, height) in [(16, 16), (64, 48), (1280, 720)] {
            let picture = Scene::new(Size::new(width, height).unwrap(), 1).picture(0);
            assert_eq!(Ssim::default().compare(&picture, &picture), Some(1.0));
        }
    }

    #[test]
    fn it_is_what_another_implementation_says() {
        // scikit-image 0.26: structural_similarity(a, b, gaussian_weights=True, sigma=1.5,
        // use_sample_covariance=False, data_range=255).
        let texture = |x: u32, y: u32| (x * 7 + y * 13 + (x * y) % 31) % 256;
        let noisy = |x, y| (texture(x, y) + (x * 5 + y * 3) % 17).saturating_sub(8).min(255);
        let slope = |x: u32, y: u32| 60 + x + 2 * y;
        let steps = |x, y| slope(x, y) / 16 * 16 + 8;
        let mut ssim = Ssim::default();
        let found = ssim.compare(&picture(64, 48, texture), &picture(64, 48, noisy)).unwrap();
        assert!((found - 0.987_482_961).abs() < 1e-5, "{found}");
        let found = ssim.compare(&picture(64, 48, slope), &picture(64, 48, steps)).unwrap();
        assert!((found - 0.818_008_885).abs() < 1e-5, "{found}");
    }

    #[test]
    fn flat_pictures_differ_by_their_luminance_alone() {
        let (a, b) = (picture(32, 32, |_, _| 100), picture(32, 32, |_, _| 110));
        let expected = (2.0 * 100.0 * 110.0 + 6.5025) / (100.0 * 100.0 + 110.0 * 110.0 + 6.5025);
        let found = Ssim::default().compare(&a, &b).unwrap();
        assert!((found - expected).abs() < 1e-4, "{found}, not {expected}");
    }

    #[test]
    fn large_pictures_are_made_smaller_first() {
        // Black and white by turns is grey at half the size, and so is the other way round.
        let board = |odd: u32| picture(512, 512, move |x, y| (x + y + odd) % 2 * 255);
        let found = Ssim::default().compare(&board(0), &board(1)).unwrap();
        assert!((found - 1.0).abs() < 1e-6, "{found}");
    }

    #[test]
    fn sizes_that_differ_or_hold_no_window_have_no_index() {
        let of = |width, height| picture(width, height, |_, _| 0);
        assert_eq!(Ssim::default().compare(&of(16, 16), &of(16, 18)), None);
        assert_eq!(Ssim::default().compare(&of(10, 16), &of(10, 16)), None);
    }
}
