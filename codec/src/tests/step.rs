//! A link that suddenly carries less is not flooded for longer than it takes to tell.

use super::*;
use crate::testing::Scene;

#[test]
fn half_a_second_after_a_step_the_rate_is_the_new_one_and_a_keyframe_comes_in_the_picture_it_was_asked_for() {
    let at = size(320, 176);
    let scene = Scene::new(at, 7).with_noise(12);
    let mut encoder = h264(config(at, 1600));
    let mut next = 0_u64;
    // Mean kbit/s of the next `count` pictures.
    let mut kbps = |encoder: &mut dyn Encoder, count: u64, want: Kind| {
        let mut bytes = 0;
        for index in next..next + count {
            let want = if index == next { want } else { Kind::Delta };
            let unit = encoder.encode(&scene.picture(index), MediaTime::from_ticks(index * 3000), want).unwrap();
            let unit = unit.expect("a live encoder has no delay");
            assert_eq!(unit.is_keyframe(), index == 0 || want == Kind::Keyframe, "picture {index}");
            bytes += unit.data.len();
        }
        next += count;
        bytes as f64 * 8.0 / 1000.0 / (count as f64 / 30.0)
    };
    kbps(&mut *encoder, 90, Kind::Delta);
    for target in [400, 1600, 800, 200] {
        encoder.set_bitrate(Bitrate::from_kbps(target)).unwrap();
        let first = kbps(&mut *encoder, 15, Kind::Delta) / f64::from(target);
        let then = kbps(&mut *encoder, 15, Kind::Delta) / f64::from(target);
        println!("to {target} kbit/s: {first:.2} of it in the first half second, {then:.2} in the next");
        assert!((0.7..1.3).contains(&first), "{first:.2} times the {target} kbit/s in the first half second");
        assert!((0.85..1.15).contains(&then), "{then:.2} times the {target} kbit/s in the next");
    }
    for _ in 0..3 {
        kbps(&mut *encoder, 7, Kind::Keyframe);
    }
}
