//! An I420 image of our own: what a decoder gives and what an encoder takes.

use crate::units::{Color, Size};

/// I420 samples in one buffer of ours, rows without padding: Y, then U, then V.
///
/// Odd sizes round the chroma planes up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    size: Size,
    color: Color,
    samples: Vec<u8>,
}

impl Picture {
    /// A black picture.
    pub fn black(size: Size, color: Color) -> Self {
        let luma = match color.range {
            crate::units::Range::Limited => 16,
            crate::units::Range::Full => 0,
        };
        let mut samples = vec![luma; Self::bytes(size)];
        if let Some(chroma) = samples.get_mut(size.pixels()..) {
            chroma.fill(128);
        }
        Self { size, color, samples }
    }

    /// A picture of these samples; `None` unless there are exactly [`Picture::bytes`] of them.
    pub fn from_samples(size: Size, color: Color, samples: Vec<u8>) -> Option<Self> {
        (samples.len() == Self::bytes(size)).then_some(Self { size, color, samples })
    }

    /// Bytes an I420 picture of `size` has.
    pub const fn bytes(size: Size) -> usize {
        size.pixels() + 2 * size.chroma_width() as usize * size.chroma_height() as usize
    }

    /// Makes it `size` large, keeping its memory where possible. What it shows is then undefined, but initialised.
    pub fn reshape(&mut self, size: Size, color: Color) {
        self.samples.resize(Self::bytes(size), 0);
        self.size = size;
        self.color = color;
    }

    /// Luma samples.
    pub fn size(&self) -> Size {
        self.size
    }

    /// What the samples mean.
    pub fn color(&self) -> Color {
        self.color
    }

    /// All samples: Y, U, V.
    pub fn samples(&self) -> &[u8] {
        &self.samples
    }

    /// All samples, to write to.
    pub fn samples_mut(&mut self) -> &mut [u8] {
        &mut self.samples
    }

    /// Planes Y, U, V; their strides are the width and the chroma width.
    pub fn planes(&self) -> [&[u8]; 3] {
        let (y, chroma) = self.samples.split_at(self.size.pixels());
        let (u, v) = chroma.split_at(chroma.len() / 2);
        [y, u, v]
    }

    /// Planes Y, U, V to write to; strides as in [`Picture::planes`].
    pub fn planes_mut(&mut self) -> [&mut [u8]; 3] {
        let (y, chroma) = self.samples.split_at_mut(self.size.pixels());
        let half = chroma.len() / 2;
        let (u, v) = chroma.split_at_mut(half);
        [y, u, v]
    }

    /// Peak signal-to-noise ratio of the luma against `reference`, in dB; 100 when equal, `None` if the sizes differ.
    pub fn psnr_y(&self, reference: &Self) -> Option<f64> {
        if self.size != reference.size {
            return None;
        }
        let [a, ..] = self.planes();
        let [b, ..] = reference.planes();
        let squared: u64 = a.iter().zip(b).map(|(&a, &b)| u64::from(a.abs_diff(b)).pow(2)).sum();
        if squared == 0 {
            return Some(100.0);
        }
        let mse = squared as f64 / a.len() as f64;
        Some(10.0 * (255.0 * 255.0 / mse).log10())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_sizes_round_chroma_up() {
        let size = Size::new(5, 3).unwrap();
        let picture = Picture::black(size, Color::default());
        let [y, u, v] = picture.planes();
        assert_eq!([y.len(), u.len(), v.len()], [15, 6, 6]);
    }

    #[test]
    fn psnr_of_one_step_everywhere_is_48_db() {
        let size = Size::new(16, 16).unwrap();
        let a = Picture::black(size, Color::default());
        let mut b = a.clone();
        b.planes_mut()[0].iter_mut().for_each(|y| *y += 1);
        let db = a.psnr_y(&b).unwrap();
        assert!((db - 48.13).abs() < 0.01, "{db}");
    }
}
