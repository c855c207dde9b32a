//! Denoises at night and leaves the day alone.

use super::{Denoiser, Meter, Strength};
use crate::picture::Picture;

/// A [`Denoiser`] that works only where there is noise to take out, at [`Strength::NORMAL`].
///
/// By day it costs a look at one row in eight every fifteen pictures, and no memory but those rows. What it thinks of
/// the noise it says itself, so that a person can be told.
#[derive(Clone, Debug)]
pub struct AutoDenoiser {
    meter: Meter,
    denoiser: Denoiser,
    works: bool,
}

/// Noise from which on it works, and below which it rests again: as standard deviations in steps of luma. An encoder
/// rubs out less by itself; between the two it stays as it is, so that it does not flicker.
const WORKS: f32 = 2.0;
const RESTS: f32 = 1.4;

impl Default for AutoDenoiser {
    fn default() -> Self {
        Self { meter: Meter::new(), denoiser: Denoiser::new(Strength::NORMAL), works: false }
    }
}

impl AutoDenoiser {
    /// One that rests until it has seen noise.
    pub fn new() -> Self {
        Self::default()
    }

    /// Noise of the pictures as they come in; see [`Meter::noise`].
    pub fn noise(&self) -> Option<f32> {
        self.meter.noise()
    }

    /// Whether it takes noise out now.
    pub fn works(&self) -> bool {
        self.works
    }

    /// Takes the noise out of `picture`, in place, if there is enough of it.
    pub fn denoise(&mut self, picture: &mut Picture) {
        if self.meter.handle_picture(picture)
            && let Some(noise) = self.meter.noise()
        {
            let worked = self.works;
            self.works = noise >= if worked { RESTS } else { WORKS };
            if self.works && !worked {
                // What it held is of another hour.
                self.denoiser.reset();
            }
        }
        if self.works {
            self.denoiser.denoise(picture);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::denoise::tests::{noisy, wall};

    #[test]
    fn noise_is_measured_and_a_walker_is_hardly_any() {
        // The walker and what it leaves are some 5 % of the picture: they push the median up by as much.
        for sigma in [1.5, 3.0, 6.0, 12.0] {
            let mut meter = Meter::new();
            let mut found = Vec::new();
            for index in 0..40_u64 {
                let picture = noisy(&crate::denoise::tests::walker(20 + index as usize * 5, 200), sigma, index);
                if meter.handle_picture(&picture) {
                    found.extend(meter.noise());
                }
            }
            assert_eq!(found.len(), 3);
            assert!(found.iter().all(|found| (0.95..1.15).contains(&(found / sigma))), "{found:?} of {sigma}");
        }
    }

    #[test]
    fn the_day_is_left_alone_and_the_night_is_not() {
        let clean = wall();
        let mut auto = AutoDenoiser::new();
        for index in 0..20 {
            let source = noisy(&clean, 1.0, index);
            let mut picture = source.clone();
            auto.denoise(&mut picture);
            assert_eq!(picture, source, "picture {index} by day");
        }
        let mut gain = 0.0;
        for index in 0..50 {
            let source = noisy(&clean, 6.0, 100 + index);
            let mut picture = source.clone();
            auto.denoise(&mut picture);
            gain = picture.psnr_y(&clean).unwrap() - source.psnr_y(&clean).unwrap();
        }
        assert!(auto.works() && gain > 8.0, "{gain} dB at night");
        for index in 0..40 {
            auto.denoise(&mut noisy(&clean, 1.7, 200 + index));
        }
        assert!(auto.works(), "what is between the two limits changes nothing");
        for index in 0..40 {
            auto.denoise(&mut noisy(&clean, 1.0, 300 + index));
        }
        assert!(!auto.works());
    }

    #[test]
    fn any_size_goes_through_and_another_size_is_not_compared() {
        use crate::units::{Color, Size};
        let mut auto = AutoDenoiser::new();
        for (width, height) in [(1, 1), (7, 3), (16, 9), (64, 48), (3, 64)] {
            for luma in [10, 200, 10] {
                let mut picture = Picture::black(Size::new(width, height).unwrap(), Color::default());
                picture.planes_mut()[0].fill(luma);
                auto.denoise(&mut picture);
            }
        }
    }
}
