use super::*;
use crate::testing::{Random, Scene};

const SIZE: (usize, usize) = (320, 180);

fn size() -> Size {
    Size::new(SIZE.0 as u32, SIZE.1 as u32).unwrap()
}

/// Adds noise of about this standard deviation: the sum of four uniform numbers.
pub(super) fn noisy(clean: &Picture, sigma: f32, seed: u64) -> Picture {
    let mut random = Random::new(seed);
    let mut picture = clean.clone();
    for plane in picture.planes_mut() {
        for sample in plane {
            let sum: f32 = (0..4).map(|_| random.below(1 << 16) as f32 / 65536.0 - 0.5).sum();
            *sample = (f32::from(*sample) + sum * sigma * 1.732).round().clamp(0.0, 255.0) as u8;
        }
    }
    picture
}

/// A still, textured wall.
pub(super) fn wall() -> Picture {
    let mut picture = Scene::new(size(), 1).with_noise(0).picture(0);
    let flat = Scene::new(size(), 1).with_noise(0).picture(40);
    // The block of the one where the other has none.
    for (to, from) in picture.planes_mut().into_iter().zip(flat.planes()) {
        for (to, &from) in to.iter_mut().zip(from) {
            *to = (*to).min(from);
        }
    }
    picture
}

/// The wall with a block of 40x60 and another grey in front of it, its left edge at `x`.
pub(super) fn walker(x: usize, grey: u8) -> Picture {
    let mut picture = wall();
    for row in picture.planes_mut()[0].chunks_exact_mut(SIZE.0).skip(60).take(60) {
        for (at, sample) in row[x..x + 40].iter_mut().enumerate() {
            *sample = grey + (at as u8 / 4 % 3) * 8;
        }
    }
    picture
}

/// Mean absolute difference of luma over these columns of the walker's rows.
fn difference(a: &Picture, b: &Picture, columns: std::ops::Range<usize>) -> f32 {
    let (mut sum, mut count) = (0, 0);
    for (a, b) in a.planes()[0].chunks(SIZE.0).zip(b.planes()[0].chunks(SIZE.0)).skip(60).take(60) {
        for (a, b) in a[columns.clone()].iter().zip(&b[columns.clone()]) {
            sum += u32::from(a.abs_diff(*b));
            count += 1;
        }
    }
    sum as f32 / count as f32
}

#[test]
fn a_still_noisy_scene_gains_many_decibels_and_its_noise_is_known() {
    for sigma in [2.0, 5.0, 12.0] {
        let clean = wall();
        let mut denoiser = Denoiser::new(Strength::NORMAL);
        let mut gains = Vec::new();
        for index in 0..20 {
            let mut picture = noisy(&clean, sigma, index);
            let before = picture.psnr_y(&clean).unwrap();
            denoiser.denoise(&mut picture);
            gains.push(picture.psnr_y(&clean).unwrap() - before);
        }
        // Smoothing the first picture costs the chequered wall more than it gains where there is little noise.
        assert!(gains[0] > -1.0, "{gains:?} at {sigma}");
        assert!(gains[4] > 3.0, "{gains:?} at {sigma}");
        assert!(gains[19] > 8.0, "{gains:?} at {sigma}");
        assert!((0.8..1.25).contains(&(denoiser.noise() / sigma)), "found {} of {sigma}", denoiser.noise());
    }
}

#[test]
fn nothing_trails_behind_what_moves() {
    // Brighter and darker than the wall (55 to 140 here), clean and at night.
    for (sigma, grey) in [(1.0, 200), (5.0, 200), (12.0, 200), (5.0, 20)] {
        let mut denoiser = Denoiser::new(Strength::STRONG);
        for index in 0..30 {
            denoiser.denoise(&mut noisy(&wall(), sigma, index));
        }
        for step in 0..25_usize {
            let x = 20 + step * 8;
            let clean = walker(x, grey);
            let source = noisy(&clean, sigma, 100 + step as u64);
            let mut picture = source.clone();
            denoiser.denoise(&mut picture);
            // The walker is no worse than the sensor shows it, and what it just left is wall again at once.
            let inside = difference(&picture, &clean, x..x + 40);
            let given = difference(&source, &clean, x..x + 40);
            assert!(inside <= given * 1.02 + 0.3, "walker off by {inside}, by {given} in the source, noise {sigma}");
            if step >= 3 {
                let left = difference(&picture, &clean, x - 8..x);
                let given = difference(&source, &clean, x - 8..x);
                assert!(left <= given * 1.1 + 0.4, "trail off by {left}, by {given} in the source, noise {sigma}");
                let earlier = difference(&picture, &clean, x - 24..x - 8);
                assert!(earlier <= given + 0.3, "old trail off by {earlier}, noise {sigma}");
            }
        }
    }
}

#[test]
fn a_thin_limb_is_not_rubbed_out() {
    let sigma = 5.0;
    let mut denoiser = Denoiser::new(Strength::STRONG);
    for index in 0..30 {
        denoiser.denoise(&mut noisy(&wall(), sigma, index));
    }
    for step in 0..20_usize {
        let mut clean = wall();
        for row in clean.planes_mut()[0].chunks_exact_mut(SIZE.0).skip(60).take(60) {
            row[100 + step * 3..104 + step * 3].fill(190);
        }
        let mut picture = noisy(&clean, sigma, 100 + step as u64);
        denoiser.denoise(&mut picture);
        let x = 100 + step * 3;
        let off = difference(&picture, &clean, x..x + 4);
        assert!(off < 8.0, "limb off by {off} at step {step}");
        let behind = difference(&picture, &clean, x - 9..x);
        assert!(behind < 6.0, "trail off by {behind} at step {step}");
    }
}

#[test]
fn a_cut_and_a_change_of_light_show_at_once() {
    let mut denoiser = Denoiser::new(Strength::STRONG);
    for index in 0..20 {
        denoiser.denoise(&mut noisy(&wall(), 4.0, index));
    }
    let mut lit = wall();
    lit.planes_mut()[0].iter_mut().for_each(|luma| *luma = luma.saturating_add(40));
    let source = noisy(&lit, 4.0, 99);
    let mut picture = source.clone();
    denoiser.denoise(&mut picture);
    assert!(picture.psnr_y(&lit).unwrap() >= source.psnr_y(&lit).unwrap() - 0.1);
    for index in 0..10 {
        picture = noisy(&lit, 4.0, index);
        denoiser.denoise(&mut picture);
    }
    assert!(picture.psnr_y(&lit).unwrap() > source.psnr_y(&lit).unwrap() + 5.0, "and the mean builds up again");
}

#[test]
fn a_clean_scene_stays_clean_and_colour_is_denoised_too() {
    let clean = wall();
    let mut denoiser = Denoiser::new(Strength::NORMAL);
    for _ in 0..5 {
        let mut picture = clean.clone();
        denoiser.denoise(&mut picture);
        assert!(picture.psnr_y(&clean).unwrap() > 55.0);
    }
    let off = |picture: &Picture| -> u32 {
        let pairs = picture.planes()[1].iter().zip(clean.planes()[1]);
        pairs.map(|(a, b)| u32::from(a.abs_diff(*b))).sum()
    };
    let mut picture = clean.clone();
    for index in 0..20 {
        picture = noisy(&clean, 6.0, index);
        denoiser.denoise(&mut picture);
    }
    assert!(off(&picture) * 2 < off(&noisy(&clean, 6.0, 1)));
}

#[test]
fn any_size_goes_through_and_a_new_size_begins_anew() {
    let mut denoiser = Denoiser::new(Strength::default());
    for (width, height) in [(1, 1), (2, 2), (5, 3), (16, 9), (33, 18), (3, 64)] {
        let size = Size::new(width, height).unwrap();
        for index in 0..18 {
            let source = Scene::new(size, 3).with_noise(9).picture(index);
            let mut picture = source.clone();
            denoiser.denoise(&mut picture);
            assert_eq!(picture.size(), source.size());
        }
    }
    assert!(Strength::new(1).is_none() && Strength::new(33).is_none());
    assert_eq!(Strength::new(32).map(Strength::pictures), Some(32));
}
