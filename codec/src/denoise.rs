//! Takes the sensor's noise out of a fixed camera's picture before it costs bits.
//!
//! Each sample is the running mean of what the sensor showed there since something last moved. Whether something moved
//! is asked of cells of 4x4 samples, of windows of 3x3 cells and of each sample's own neighbourhood, always against the
//! noise that the picture itself has: a faint shape needs a large window to be told from noise, a limb needs a small
//! one. What moved is shown as it is now, smoothed within itself by no more than its noise; so nothing trails behind.
//!
//! The running mean with a weight of 1/n is the Kalman filter of a constant (Dubois and Sabri, "Noise reduction in
//! image sequences using motion-compensated temporal filtering", IEEE Trans. Communications 32, 1984).

mod auto;
mod meter;
mod noise;
mod plane;
mod rows;

use crate::picture::Picture;
use crate::units::Size;
use fearless_simd::{Level, dispatch};
use plane::Layer;

pub use auto::AutoDenoiser;
pub use meter::Meter;

/// How many pictures are averaged at most where nothing moves; 2 to 32.
///
/// `n` pictures leave a noise of at best `1/sqrt(2n - 1)`. More hide slow, faint changes longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Strength(u8);

impl Strength {
    /// 4 pictures: for a bright scene.
    pub const LIGHT: Self = Self(4);
    /// 8 pictures: the most an encoder can use. At night, 720p at 0.5, 1 and 2 Mbit/s, 8 pictures were worth 0.05 to 0.1
    /// dB more after decoding than 24 were, though these leave less noise: what the encoder cannot show anyway is better
    /// up to date.
    pub const NORMAL: Self = Self(8);
    /// 24 pictures: where pictures are kept as they are.
    pub const STRONG: Self = Self(24);
    /// Most pictures.
    pub const MAX: u8 = 32;

    /// Returns `None` below 2 and above [`Strength::MAX`].
    pub const fn new(pictures: u8) -> Option<Self> {
        if pictures < 2 || pictures > Self::MAX { None } else { Some(Self(pictures)) }
    }

    /// 2 to [`Strength::MAX`].
    pub const fn pictures(self) -> u8 {
        self.0
    }
}

impl Default for Strength {
    fn default() -> Self {
        Self::NORMAL
    }
}

/// Denoises the pictures of one fixed camera, in order. Holds about five bytes for each sample of the picture.
#[derive(Clone, Debug)]
pub struct Denoiser {
    strength: Strength,
    /// Size of the pictures it holds the mean of; `None` before the first.
    size: Option<Size>,
    layers: [Layer; 3],
}

impl Denoiser {
    /// One that has seen nothing yet.
    pub fn new(strength: Strength) -> Self {
        Self { strength, size: None, layers: Default::default() }
    }

    /// Changes the strength from the next picture on.
    pub fn set_strength(&mut self, strength: Strength) {
        self.strength = strength;
    }

    /// Forgets all it has seen: after the camera was moved, or its exposure set anew.
    pub fn reset(&mut self) {
        self.size = None;
    }

    /// Noise of the luma as it comes in, as a standard deviation in steps of 8 bits, on the mean over the picture's
    /// brightnesses; 0 before the first picture. Counts what changes from picture to picture only.
    pub fn noise(&self) -> f32 {
        if self.size.is_some() { self.layers[0].noise() } else { 0.0 }
    }

    /// Takes the noise out of `picture`, in place.
    ///
    /// The first picture, one of another size than the last and one after a cut are only smoothed within themselves.
    pub fn denoise(&mut self, picture: &mut Picture) {
        dispatch!(Level::new(), _simd => self.run(picture));
    }

    #[inline(always)]
    fn run(&mut self, picture: &mut Picture) {
        let size = picture.size();
        let luma = (size.width() as usize, size.height() as usize);
        let chroma = (size.chroma_width() as usize, size.chroma_height() as usize);
        let sides = [luma, chroma, chroma];
        let planes = picture.planes_mut();
        if self.size != Some(size) {
            self.size = Some(size);
            for ((layer, plane), (width, height)) in self.layers.iter_mut().zip(planes).zip(sides) {
                layer.start(width, height, plane);
            }
            return;
        }
        for (layer, plane) in self.layers.iter_mut().zip(&planes) {
            layer.measure(plane);
            layer.learn(plane);
        }
        let [y, u, v] = &mut self.layers;
        y.judge(None);
        if y.moving() > CUT {
            for (layer, plane) in self.layers.iter_mut().zip(planes) {
                layer.restart(plane);
            }
            return;
        }
        u.judge(Some(y));
        v.judge(Some(y));
        for (layer, plane) in self.layers.iter_mut().zip(planes) {
            layer.blend(plane, self.strength.pictures());
        }
    }
}

/// Part of the picture that moves at a cut.
const CUT: f32 = 0.8;

#[cfg(test)]
mod tests;
