//! A scene to test with: no file, no licence, the same on every machine.

use crate::picture::Picture;
use crate::units::{Color, Matrix, Range, Size};

/// A fixed camera's view made of numbers: a still gradient with texture, a bright block that moves, mild sensor noise.
///
/// The same size and seed give the same pictures, always.
#[derive(Clone, Debug)]
pub struct Scene {
    size: Size,
    color: Color,
    seed: u64,
    /// Most by which noise changes a luma sample, in steps; 0 is none. 2 at the start.
    pub noise: u8,
}

impl Scene {
    /// A scene of `size`.
    pub fn new(size: Size, seed: u64) -> Self {
        Self { size, color: Color::default(), seed, noise: 2 }
    }

    /// The same scene with its samples meaning something else.
    pub fn with_color(self, color: Color) -> Self {
        Self { color, ..self }
    }

    /// The same scene with other noise.
    pub fn with_noise(self, noise: u8) -> Self {
        Self { noise, ..self }
    }

    /// The picture at `index`.
    pub fn picture(&self, index: u64) -> Picture {
        let mut picture = Picture::black(self.size, self.color);
        self.paint(index, &mut picture);
        picture
    }

    /// Paints the picture at `index` into `picture`.
    pub fn paint(&self, index: u64, picture: &mut Picture) {
        picture.reshape(self.size, self.color);
        let (width, height) = (self.size.width() as usize, self.size.height() as usize);
        let side = (width.min(height) / 4).max(2);
        // Four samples right and one down a picture, wrapping.
        let left = (index as usize).wrapping_mul(4) % (width - side.min(width - 1));
        let top = (index as usize) % (height - side.min(height - 1));
        let inside = |x: usize, y: usize| (left..left + side).contains(&x) && (top..top + side).contains(&y);
        let mut random = Random::new(self.seed ^ index.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let [luma, u, v] = picture.planes_mut();
        for (y, row) in luma.chunks_exact_mut(width).enumerate() {
            for (x, sample) in row.iter_mut().enumerate() {
                let texture = if (x / 8 + y / 8) % 2 == 0 { 12 } else { 0 };
                let still = 40 + x * 90 / width + y * 60 / height + texture;
                let value = if inside(x, y) { 220 - (x - left) / 2 % 32 } else { still } as i32;
                let noise = random.below(2 * u32::from(self.noise) + 1) as i32 - i32::from(self.noise);
                *sample = (value + noise).clamp(16, 235) as u8;
            }
        }
        let chroma_width = self.size.chroma_width() as usize;
        for (plane, base, moving) in [(u, 118, 90), (v, 134, 170)] {
            for (y, row) in plane.chunks_exact_mut(chroma_width).enumerate() {
                for (x, sample) in row.iter_mut().enumerate() {
                    *sample = if inside(x * 2, y * 2) { moving } else { base + (x * 12 / chroma_width) as u8 };
                }
            }
        }
    }
}

/// Colour bars at 75 % (SMPTE EG 1), left to right: red, green, blue from 0 to 1.
pub const BARS: [[f64; 3]; 8] = [
    [0.75, 0.75, 0.75],
    [0.75, 0.75, 0.0],
    [0.0, 0.75, 0.75],
    [0.0, 0.75, 0.0],
    [0.75, 0.0, 0.75],
    [0.75, 0.0, 0.0],
    [0.0, 0.0, 0.75],
    [0.0, 0.0, 0.0],
];

/// [`BARS`] as samples that mean `color`, by the formulas of ITU-T H.273 §8.3.
pub fn bars(size: Size, color: Color) -> Picture {
    let mut picture = Picture::black(size, color);
    let widths = [size.width(), size.chroma_width(), size.chroma_width()];
    for (plane, (samples, width)) in picture.planes_mut().into_iter().zip(widths).enumerate() {
        for row in samples.chunks_exact_mut(width as usize) {
            for (x, sample) in row.iter_mut().enumerate() {
                let bar = BARS.get(x * BARS.len() / width as usize).copied().unwrap_or_default();
                *sample = ycbcr(bar, color).get(plane).map_or(0, |value| value.round().clamp(0.0, 255.0) as u8);
            }
        }
    }
    picture
}

/// Y, Cb and Cr of 8 bits for red, green and blue from 0 to 1.
pub fn ycbcr([red, green, blue]: [f64; 3], color: Color) -> [f64; 3] {
    let (of_red, of_blue) = weights(color.matrix);
    let luma = of_red * red + (1.0 - of_red - of_blue) * green + of_blue * blue;
    let (cb, cr) = ((blue - luma) / (2.0 - 2.0 * of_blue), (red - luma) / (2.0 - 2.0 * of_red));
    match color.range {
        Range::Limited => [16.0 + 219.0 * luma, 128.0 + 224.0 * cb, 128.0 + 224.0 * cr],
        Range::Full => [255.0 * luma, 128.0 + 255.0 * cb, 128.0 + 255.0 * cr],
    }
}

/// Red, green and blue from 0 to 1 of a place in a picture, as the picture says that its samples are meant.
///
/// # Panics
/// If the place is outside: this is for tests.
pub fn rgb(picture: &Picture, x: usize, y: usize) -> [f64; 3] {
    let (width, chroma_width) = (picture.size().width() as usize, picture.size().chroma_width() as usize);
    let [luma, u, v] = picture.planes();
    let chroma = y / 2 * chroma_width + x / 2;
    let [luma, u, v] = [luma[y * width + x], u[chroma], v[chroma]].map(f64::from);
    let (luma, cb, cr) = match picture.color().range {
        Range::Limited => ((luma - 16.0) / 219.0, (u - 128.0) / 224.0, (v - 128.0) / 224.0),
        Range::Full => (luma / 255.0, (u - 128.0) / 255.0, (v - 128.0) / 255.0),
    };
    let (of_red, of_blue) = weights(picture.color().matrix);
    let (red, blue) = (luma + cr * (2.0 - 2.0 * of_red), luma + cb * (2.0 - 2.0 * of_blue));
    [red, (luma - of_red * red - of_blue * blue) / (1.0 - of_red - of_blue), blue]
}

/// Parts of red and blue in luma (ITU-T H.273 Table 4).
fn weights(matrix: Matrix) -> (f64, f64) {
    match matrix {
        Matrix::Bt601 => (0.299, 0.114),
        Matrix::Bt709 => (0.2126, 0.0722),
    }
}

/// Numbers that only look random (xorshift64*): for tests, never for secrets.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// Same seed, same numbers.
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `end`; 0 if `end` is 0.
    pub fn below(&mut self, end: u32) -> u32 {
        (((self.bits() >> 32) * u64::from(end)) >> 32) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_paints_the_same_scene_and_another_does_not() {
        let size = Size::new(48, 32).unwrap();
        assert_eq!(Scene::new(size, 7).picture(3), Scene::new(size, 7).picture(3));
        assert_ne!(Scene::new(size, 7).picture(3), Scene::new(size, 8).picture(3));
        assert_ne!(Scene::new(size, 7).picture(3), Scene::new(size, 7).picture(4));
    }

    #[test]
    fn the_smallest_pictures_can_be_painted() {
        for (width, height) in [(1, 1), (2, 1), (3, 5)] {
            Scene::new(Size::new(width, height).unwrap(), 0).picture(9);
        }
    }
}
