use super::*;
use crate::testing::{Random, Scene};

fn size() -> Size {
    Size::new(640, 360).unwrap()
}

fn at(index: u64) -> MediaTime {
    MediaTime::from_ticks(index * 3000)
}

/// A textured wall whose luma goes through `change`, with noise, and a block of 48x80 at `block`.
fn scene(index: u64, noise: u32, change: impl Fn(usize, f32) -> f32, block: Option<(usize, usize)>) -> Picture {
    let mut random = Random::new(index);
    let mut picture = Picture::black(size(), crate::units::Color::default());
    for (place, luma) in picture.planes_mut()[0].iter_mut().enumerate() {
        let (x, y) = (place % 640, place / 640);
        let mut value = change(x, (40 + x / 8 + y / 4 + (x / 16 + y / 16) % 2 * 20) as f32);
        if block.is_some_and(|(left, top)| (left..left + 48).contains(&x) && (top..top + 80).contains(&y)) {
            value += 45.0;
        }
        let noise = random.below(2 * noise + 1) as f32 - noise as f32;
        *luma = (value + noise).clamp(0.0, 255.0) as u8;
    }
    picture
}

fn detector(zones: Vec<Polygon>) -> Detector {
    Detector::new(Config { zones, ..Config::default() }.check().unwrap())
}

fn same(_: usize, luma: f32) -> f32 {
    luma
}

#[test]
fn what_walks_in_is_told_within_four_pictures_and_its_end_after_the_hold() {
    for noise in [0, 4, 20] {
        let mut detector = detector(Vec::new());
        let mut events = Vec::new();
        for index in 0..260_u64 {
            let block = (60..100).contains(&index).then(|| (100 + (index as usize - 60) * 6, 120));
            events.extend(detector.handle_picture(&scene(index, noise, same, block), at(index)));
        }
        let [Event::Started { at: began, motion }, Event::Ended { started, at: last, most }] = events[..] else {
            panic!("{events:?} at noise {noise}");
        };
        assert!((at(60)..=at(61)).contains(&began), "{began:?}");
        assert_eq!(started, began);
        assert!((at(98)..=at(104)).contains(&last), "{last:?}");
        // 48x80 of 640x360 is 1.7 %.
        assert!((0.008..0.05).contains(&most.area), "{most:?}");
        assert!(motion.score >= 1.0);
        let Bounds { left, top, right, bottom } = motion.bounds;
        assert!((left - 112.0 / 640.0).abs() < 0.04 && (right - 160.0 / 640.0).abs() < 0.04, "{motion:?}");
        assert!((top - 120.0 / 360.0).abs() < 0.05 && (bottom - 200.0 / 360.0).abs() < 0.05, "{motion:?}");
    }
}

#[test]
fn neither_noise_nor_light_nor_drift_is_motion() {
    type Change = fn(u64, usize, f32) -> f32;
    let changes: [(&str, Change); 6] = [
        ("noise", |_, _, luma| luma),
        ("a lamp", |index, _, luma| if index >= 50 { luma + 40.0 } else { luma }),
        ("an exposure step", |index, _, luma| if index >= 50 { luma * 1.4 } else { luma }),
        ("dark", |index, _, luma| if index >= 50 { luma * 0.5 } else { luma }),
        ("dusk", |index, _, luma| luma * (1.0 - index as f32 / 400.0)),
        ("a slow shadow", |index, x, luma| if x < 200 { luma - index as f32 / 30.0 } else { luma }),
    ];
    for (name, change) in changes {
        for noise in [2, 12] {
            let mut detector = detector(Vec::new());
            for index in 0..150 {
                let picture = scene(index, noise, |x, luma| change(index, x, luma), None);
                assert_eq!(detector.handle_picture(&picture, at(index)), None, "{name} at picture {index}");
            }
        }
    }
}

#[test]
fn only_a_zone_is_watched() {
    let zone = Polygon::new(vec![(0.5, 0.0), (1.0, 0.0), (1.0, 1.0), (0.5, 1.0)]).unwrap();
    let mut detector = detector(vec![zone]);
    let mut started = None;
    for index in 0..140_u64 {
        let x = 40 + (index as usize).saturating_sub(30) * 5;
        let block = (index >= 30).then_some((x, 120));
        if let Some(Event::Started { motion, .. }) = detector.handle_picture(&scene(index, 3, same, block), at(index)) {
            started = Some((x, motion));
        }
    }
    let (x, motion) = started.unwrap();
    assert!((280..330).contains(&x), "seen with its left edge at {x}, its right one 48 on: the zone begins at 320");
    assert!(motion.bounds.left > 0.48);
}

#[test]
fn who_is_more_sensitive_sees_fainter_things() {
    let sees = |percent: u8| {
        let sensitivity = Sensitivity::new(percent).unwrap();
        let mut detector = Detector::new(Config { sensitivity, ..Config::default() }.check().unwrap());
        let faint = |index: u64| {
            move |x: usize, luma: f32| if index >= 60 && (200..260).contains(&x) { luma + 7.0 } else { luma }
        };
        (0..70).any(|index| detector.handle_picture(&scene(index, 2, faint(index), None), at(index)).is_some())
    };
    assert!(!sees(50));
    assert!(sees(90));
}

#[test]
fn what_stays_becomes_part_of_the_scene() {
    let mut detector = detector(Vec::new());
    let mut events = Vec::new();
    for index in 0..400_u64 {
        // Ten pictures a second, for time to pass.
        let block = (index >= 30).then_some((300, 100));
        events.extend(detector.handle_picture(&scene(index, 2, same, block), MediaTime::from_ticks(index * 9000)));
    }
    assert!(matches!(events[..], [Event::Started { .. }, Event::Ended { .. }]), "{events:?}");
}

#[test]
fn what_goes_on_when_pictures_cease_is_ended_once() {
    let mut detector = detector(Vec::new());
    let mut events = Vec::new();
    for index in 0..60_u64 {
        let block = (index >= 40).then(|| (100 + (index as usize - 40) * 6, 120));
        events.extend(detector.handle_picture(&scene(index, 3, same, block), at(index)));
    }
    events.extend(detector.end());
    assert!(
        matches!(events[..], [Event::Started { .. }, Event::Ended { at: last, .. }] if last == at(59)),
        "{events:?}"
    );
    assert_eq!(detector.end(), None);
    assert_eq!(detector.handle_picture(&scene(0, 3, same, None), at(60)), None, "it begins anew");
    assert_eq!(detector.motion(), None);
}

#[test]
fn any_size_is_watched_and_a_new_one_begins_anew() {
    let mut detector = detector(vec![Polygon::new(vec![(0.0, 0.0), (1.0, 0.0), (1.0, 1.0)]).unwrap()]);
    for (width, height) in [(1, 1), (7, 3), (8, 8), (100, 30), (30, 200), (1922, 18)] {
        let scene = Scene::new(Size::new(width, height).unwrap(), 1);
        for index in 0..5 {
            detector.handle_picture(&scene.picture(index), at(index));
        }
    }
}

#[test]
fn what_cannot_be_watched_is_refused_in_words() {
    let config = Config { hold: Duration::ZERO, ..Config::default() };
    assert_eq!(config.check().unwrap_err().to_string(), "hold of 0ns is not from 0.1 to 60 s");
    let zone = Polygon::new(vec![(0.0, 0.0); 3]).unwrap();
    let config = Config { zones: vec![zone; 33], ..Config::default() };
    assert_eq!(config.check(), Err(ConfigError::Zones(33)));
    assert!(Sensitivity::new(0).is_none() && Sensitivity::new(101).is_none());
}
