use super::*;
use crate::av1::facts;
use crate::av1::obu::{ObuKind, obus};
use crate::av1::rav1d::Rav1dDecoder;
use crate::decoder::{Decoder, Limits, Shown};
use crate::testing::Scene;
use crate::units::Size;

const FPS: u32 = 30;

fn size(width: u32, height: u32) -> Size {
    Size::new(width, height).unwrap()
}

fn config(size: Size, kbps: u32) -> Config {
    Config::new(size, FrameRate::whole(FPS).unwrap(), Bitrate::from_kbps(kbps))
}

fn start(config: Config) -> AomEncoder {
    AomEncoder::new(config.check().unwrap()).unwrap()
}

fn at(index: u64) -> MediaTime {
    MediaTime::from_ticks(index * MediaTime::HZ / u64::from(FPS))
}

fn encode(encoder: &mut AomEncoder, picture: &Picture, index: u64, want: Kind) -> AccessUnit {
    encoder.encode(picture, at(index), want).unwrap().expect("no delay")
}

fn units(scene: &Scene, encoder: &mut AomEncoder, count: u64) -> Vec<AccessUnit> {
    (0..count).map(|index| encode(encoder, &scene.picture(index), index, Kind::Delta)).collect()
}

fn blank() -> Picture {
    Picture::black(size(2, 2), Color::default())
}

/// Bits a second of units at [`FPS`], in thousands.
fn kbps(units: &[AccessUnit]) -> usize {
    let bytes: usize = units.iter().map(|unit| unit.data.len()).sum();
    bytes * 8 * FPS as usize / units.len() / 1000
}

#[test]
fn every_picture_comes_back_at_once_and_looks_the_same() {
    let size = size(320, 176);
    let scene = Scene::new(size, 1);
    for threads in [1, 3] {
        let mut encoder = start(Config { threads, ..config(size, 800) });
        let (mut decoder, mut picture) = (Rav1dDecoder::new(Limits::default()), blank());
        for index in 0..20 {
            let source = scene.picture(index);
            let unit = encode(&mut encoder, &source, index, Kind::Delta);
            assert_eq!(unit.kind, if index == 0 { Kind::Keyframe } else { Kind::Delta });
            assert_eq!((unit.at, unit.size, unit.codec), (at(index), size, Codec::Av1));
            assert_eq!(decoder.decode(&unit, &mut picture), Ok(Shown::Picture));
            let db = picture.psnr_y(&source).unwrap();
            assert!(db > 35.0, "{threads} threads, picture {index}: {db} dB");
        }
    }
}

#[test]
fn a_unit_is_one_temporal_unit_in_low_overhead_format() {
    let size = size(320, 176);
    for layers in [1, 3] {
        let mut encoder = start(Config { temporal_layers: layers, ..config(size, 500) });
        for unit in units(&Scene::new(size, 1), &mut encoder, 5) {
            let kinds: Vec<_> = obus(&unit.data).map(|obu| obu.unwrap().kind).collect();
            let (first, rest) = kinds.split_first().unwrap();
            assert_eq!(*first, ObuKind::Delimiter);
            let wanted: &[_] =
                if unit.is_keyframe() { &[ObuKind::Sequence, ObuKind::Frame] } else { &[ObuKind::Frame] };
            assert_eq!(rest, wanted);
            let frame = obus(&unit.data).last().unwrap().unwrap();
            assert_eq!(frame.temporal_id, unit.layer.id());
        }
    }
}

#[test]
fn a_keyframe_comes_when_asked_for_and_only_then_with_its_sequence_header() {
    let size = size(160, 96);
    let scene = Scene::new(size, 2);
    for layers in 1..=3 {
        let mut encoder = start(Config { temporal_layers: layers, ..config(size, 300) });
        let (mut decoder, mut picture) = (Rav1dDecoder::new(Limits::default()), blank());
        for index in 0..90 {
            // A cut to another scene must not bring one either.
            let source = if index == 30 { Scene::new(size, 99).picture(7) } else { scene.picture(index) };
            let want = if index == 41 { Kind::Keyframe } else { Kind::Delta };
            let unit = encode(&mut encoder, &source, index, want);
            assert_eq!(unit.is_keyframe(), index == 0 || index == 41, "{layers} layers, picture {index}");
            let facts = facts(&unit.data);
            assert_eq!(facts.is_keyframe(), unit.is_keyframe());
            assert_eq!(facts.sequence.map(|sequence| sequence.size), unit.is_keyframe().then_some(size));
            if unit.is_keyframe() {
                // Nothing before it is needed.
                decoder.reset();
                assert_eq!(unit.layer.id(), 0);
            }
            assert_eq!(decoder.decode(&unit, &mut picture), Ok(Shown::Picture), "{layers} layers, picture {index}");
        }
        let db = picture.psnr_y(&scene.picture(89)).unwrap();
        assert!(db > 30.0, "{layers} layers: {db} dB");
    }
}

#[test]
fn the_stream_says_what_it_is() {
    let size = size(200, 150);
    for range in [Range::Limited, Range::Full] {
        for matrix in [Matrix::Bt601, Matrix::Bt709] {
            let color = Color { range, matrix };
            let mut encoder = start(config(size, 300));
            let first = encode(&mut encoder, &Scene::new(size, 3).with_color(color).picture(0), 0, Kind::Delta);
            let sequence = facts(&first.data).sequence.unwrap();
            assert_eq!((sequence.profile, sequence.size), (0, size));
            assert!(sequence.is_8_bit_420() && !sequence.still && !sequence.reduced);
            assert_eq!((sequence.color, sequence.range), (Some(color), range));
            let mut picture = blank();
            assert_eq!(Rav1dDecoder::new(Limits::default()).decode(&first, &mut picture), Ok(Shown::Picture));
            assert_eq!((picture.color(), picture.size()), (color, size));
        }
    }
}

#[test]
fn the_level_is_that_of_the_size_and_the_frame_rate() {
    let size = size(1280, 720);
    let picture = Picture::black(size, Color::default());
    // Levels 3.1 and 4.0 (AV1 specification, annex A.3).
    for (fps, level) in [(30, 5), (60, 8)] {
        let rate = FrameRate::whole(fps).unwrap();
        let mut encoder = start(Config::new(size, rate, Bitrate::from_kbps(1000)));
        let first = encode(&mut encoder, &picture, 0, Kind::Delta);
        assert_eq!(facts(&first.data).sequence.unwrap().level, level, "{fps} fps");
    }
}

#[test]
fn another_colour_starts_the_stream_anew() {
    let size = size(64, 64);
    let scene = Scene::new(size, 3);
    let mut encoder = start(config(size, 300));
    let kinds: Vec<_> = [Range::Full, Range::Full, Range::Limited]
        .into_iter()
        .enumerate()
        .map(|(index, range)| {
            let scene = scene.clone().with_color(Color { range, matrix: Matrix::Bt709 });
            let unit = encode(&mut encoder, &scene.picture(index as u64), index as u64, Kind::Delta);
            (unit.kind, facts(&unit.data).sequence.map(|sequence| sequence.range))
        })
        .collect();
    assert_eq!(
        kinds,
        [(Kind::Keyframe, Some(Range::Full)), (Kind::Delta, None), (Kind::Keyframe, Some(Range::Limited))]
    );
}

#[test]
fn the_rate_holds_whatever_the_layers() {
    let size = size(320, 176);
    let scene = Scene::new(size, 4).with_noise(12);
    for layers in 1..=3 {
        let mut encoder = start(Config { temporal_layers: layers, ..config(size, 1000) });
        let units = units(&scene, &mut encoder, 150);
        let reached = kbps(&units[30..]);
        assert!((950..1050).contains(&reached), "{layers} layers: {reached} kbit/s of 1000");
    }
}

#[test]
fn a_keyframe_is_as_large_as_configured_at_most() {
    let size = size(320, 176);
    let scene = Scene::new(size, 4).with_noise(12);
    for most in [3, 8] {
        let mut encoder = start(Config { keyframe_units: most, ..config(size, 1000) });
        let mean = 1_000_000 / 8 / FPS as usize;
        for index in 0..90 {
            let want = if index % 45 == 0 { Kind::Keyframe } else { Kind::Delta };
            let unit = encode(&mut encoder, &scene.picture(index), index, want);
            let units = unit.data.len() as f64 / mean as f64;
            let room = if index == 0 { 1.0 } else { 1.35 };
            assert!(units < room * f64::from(most), "picture {index} is {units} mean units of {most}");
        }
    }
}

#[test]
fn a_new_bitrate_holds_within_a_second_and_brings_no_keyframe() {
    let size = size(320, 176);
    let scene = Scene::new(size, 4).with_noise(12);
    for layers in [1, 2] {
        let mut encoder = start(Config { temporal_layers: layers, ..config(size, 1000) });
        let second = |encoder: &mut AomEncoder, from: u64| {
            let units: Vec<_> = (from..from + 30)
                .map(|index| encode(encoder, &scene.picture(index), index, Kind::Delta))
                .inspect(|unit| assert!(!unit.is_keyframe() || unit.at == at(0)))
                .collect();
            kbps(&units)
        };
        second(&mut encoder, 0);
        let before = second(&mut encoder, 30);
        assert!((850..1150).contains(&before), "{layers} layers: {before} kbit/s of 1000");
        encoder.set_bitrate(Bitrate::from_kbps(500)).unwrap();
        let (down, after) = (second(&mut encoder, 60), second(&mut encoder, 90));
        assert!((400..550).contains(&down), "{layers} layers: {down} kbit/s of 500 in the first second");
        assert!((450..550).contains(&after), "{layers} layers: {after} kbit/s of 500");
        encoder.set_bitrate(Bitrate::from_kbps(1500)).unwrap();
        let up = second(&mut encoder, 120);
        assert!((1250..1750).contains(&up), "{layers} layers: {up} kbit/s of 1500");
    }
}

#[test]
fn the_whole_range_of_bitrates_can_be_set_while_it_runs() {
    let size = size(160, 96);
    let scene = Scene::new(size, 5);
    for layers in 1..=3 {
        let mut encoder = start(Config { temporal_layers: layers, ..config(size, 100) });
        encode(&mut encoder, &scene.picture(0), 0, Kind::Delta);
        for (index, bps) in (1..).zip([30_000, 100_000_000, 200_000]) {
            encoder.set_bitrate(Bitrate::from_bps(bps)).unwrap();
            let unit = encode(&mut encoder, &scene.picture(index), index, Kind::Delta);
            assert!(!unit.is_keyframe(), "{bps} bit/s");
        }
        assert_eq!(encoder.set_bitrate(Bitrate::from_bps(29_999)), Err(EncodeError::Bitrate(29_999)));
    }
}

#[test]
fn the_frame_rate_changes_without_a_keyframe() {
    let size = size(320, 176);
    let scene = Scene::new(size, 12).with_noise(8);
    let mut encoder = start(config(size, 600));
    let before = units(&scene, &mut encoder, 60);
    encoder.set_rate(FrameRate::whole(15).unwrap()).unwrap();
    let after: Vec<_> =
        (60..120).map(|index| encode(&mut encoder, &scene.picture(index), index * 2, Kind::Delta)).collect();
    assert!(after.iter().all(|unit| unit.kind == Kind::Delta));
    let grown = kbps(&after[15..]) as f64 / kbps(&before[30..]) as f64;
    assert!((1.8..2.2).contains(&grown), "half the pictures, {grown} times the bits each");
    let fast = FrameRate::whole(61).unwrap();
    assert_eq!(encoder.set_rate(fast), Err(EncodeError::Rate(fast)));
}

#[test]
fn layers_above_the_base_can_be_left_out() {
    let size = size(320, 176);
    let scene = Scene::new(size, 11);
    for layers in 1..=3_u8 {
        let mut encoder = start(Config { temporal_layers: layers, ..config(size, 600) });
        // A keyframe in the midst of the pattern begins it anew.
        let units: Vec<_> = (0..40)
            .map(|index| {
                let want = if index == 19 { Kind::Keyframe } else { Kind::Delta };
                encode(&mut encoder, &scene.picture(index), index, want)
            })
            .collect();
        for most in 0..layers {
            let (mut decoder, mut picture) = (Rav1dDecoder::new(Limits::default()), blank());
            let kept = units.iter().enumerate().filter(|(_, unit)| unit.layer.id() <= most);
            let mut shown = 0;
            for (index, unit) in kept {
                assert_eq!(
                    decoder.decode(unit, &mut picture),
                    Ok(Shown::Picture),
                    "{layers} layers, up to {most}, unit {index}"
                );
                let db = picture.psnr_y(&scene.picture(index as u64)).unwrap();
                assert!(db > 30.0, "{layers} layers, up to {most}, unit {index}: {db} dB");
                shown += 1;
            }
            let one_in = 1 << (layers - 1 - most);
            assert_eq!(shown, 19_usize.div_ceil(one_in) + 21_usize.div_ceil(one_in), "{layers} layers, up to {most}");
        }
    }
}

#[test]
fn what_cannot_be_encoded_is_refused_in_words() {
    let mut encoder = start(config(size(64, 64), 100));
    let error = encoder.encode(&Scene::new(size(64, 48), 0).picture(0), at(0), Kind::Delta).unwrap_err();
    assert_eq!(error.to_string(), "picture is 64x48, the encoder was made for 64x64");
    assert!(encoder.name().starts_with("libaom 3."), "{}", encoder.name());
}

#[test]
fn the_smallest_and_uneven_sizes_round_trip() {
    for (width, height) in [(16, 16), (18, 34), (66, 50)] {
        let size = size(width, height);
        let scene = Scene::new(size, 6);
        let mut encoder = start(Config { threads: 16, ..config(size, 400) });
        let (mut decoder, mut picture) = (Rav1dDecoder::new(Limits::default()), blank());
        for unit in units(&scene, &mut encoder, 3) {
            assert_eq!(decoder.decode(&unit, &mut picture), Ok(Shown::Picture), "{size}");
        }
        let db = picture.psnr_y(&scene.picture(2)).unwrap();
        assert!(db > 30.0, "{size}: {db} dB");
    }
}
