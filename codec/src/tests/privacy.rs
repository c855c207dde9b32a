//! What is masked cannot be found again in a bitstream, because the bitstream does not depend on it.

use super::*;
use crate::denoise::{Denoiser, Strength};
use crate::mask::{Mask, Polygon};
use crate::testing::{Random, Scene};
use proptest::prelude::*;

const UNMASKED: u8 = 1;

/// Pictures of one scene, each with other numbers inside the mask: as much as could ever be there to hide.
fn pictures(at: Size, mask: &Mask, secret: u64, count: u64) -> Vec<Picture> {
    let mut denoiser = Denoiser::new(Strength::STRONG);
    let mut random = Random::new(secret);
    let mut painted = Picture::black(at, Color::default());
    painted.planes_mut().into_iter().for_each(|plane| plane.fill(UNMASKED));
    mask.paint(&mut painted);
    let scene = Scene::new(at, 5);
    (0..count)
        .map(|index| {
            let mut picture = scene.picture(index);
            for (samples, painted) in picture.planes_mut().into_iter().zip(painted.planes()) {
                let masked = samples.iter_mut().zip(painted).filter(|(_, painted)| **painted != UNMASKED);
                masked.for_each(|(sample, _)| *sample = random.below(256) as u8);
            }
            mask.paint(&mut picture);
            denoiser.denoise(&mut picture);
            picture
        })
        .collect()
}

fn bytes(units: &[AccessUnit]) -> Vec<&[u8]> {
    units.iter().map(|unit| &unit.data[..]).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn pictures_that_differ_only_inside_the_mask_give_the_same_bits(
        areas in prop::collection::vec(prop::collection::vec((0.0..=1.0_f32, 0.0..=1.0_f32), 3..8), 1..4),
        (width, height) in (8..60_u32, 8..40_u32),
        secrets in any::<[u64; 2]>(),
        threads in 1..=2_u8,
    ) {
        let at = size(width * 2, height * 2);
        let areas = areas.into_iter().map(|area| Polygon::new(area).unwrap()).collect();
        let mask = Mask::new(areas).unwrap();
        let [one, other] = secrets.map(|secret| {
            let mut config = config(at, 300);
            config.threads = threads;
            encode(h264(config), &pictures(at, &mask, secret, 6), &[3])
        });
        prop_assert!(bytes(&one) == bytes(&other), "the bits tell what is masked: {at}, {secrets:?}");
    }
}

#[test]
fn av1_does_not_tell_what_is_masked_either_and_the_unmasked_scene_is_told() {
    let at = size(96, 64);
    let mask = Mask::new(vec!["0,0 0.6,0.1 0.5,1 0.2,0.8".parse().unwrap()]).unwrap();
    let [one, other] = [1, 2].map(|secret| encode(av1(config(at, 300)), &pictures(at, &mask, secret, 6), &[]));
    assert_eq!(bytes(&one), bytes(&other));
    // Without the mask the same two runs differ, or nothing is proved here.
    let bare = |secret| {
        let mut picture = Scene::new(at, 5).picture(0);
        picture.planes_mut()[0][0] = secret;
        encode(av1(config(at, 300)), &[picture], &[])
    };
    assert_ne!(bytes(&bare(20)), bytes(&bare(220)));
}
