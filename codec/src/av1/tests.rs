use super::*;
use crate::access_unit::{AccessUnit, Codec, Kind};
use crate::av1::rav1d::Rav1dDecoder;
use crate::av1::rav1e::{Effort, Rav1eEncoder};
use crate::decoder::{DecodeError, Decoder, Limits, Shown};
use crate::encoder::{Config, EncodeError, Encoder};
use crate::picture::Picture;
use crate::testing::{Random, Scene};
use crate::units::{Bitrate, Color, FrameRate, Matrix, MediaTime, Range, Size};

const FULL_601: Color = Color { range: Range::Full, matrix: Matrix::Bt601 };

fn size() -> Size {
    Size::new(160, 96).unwrap()
}

fn scene() -> Scene {
    Scene::new(size(), 1).with_color(FULL_601)
}

fn config(threads: u8) -> Config {
    Config { threads, ..Config::new(size(), FrameRate::whole(30).unwrap(), Bitrate::from_kbps(800)) }
}

fn encoder(threads: u8) -> Rav1eEncoder {
    Rav1eEncoder::new(config(threads).check().unwrap()).unwrap()
}

/// Encodes `count` pictures; `keyframes` are asked for.
fn units(count: u64, keyframes: &[u64], threads: u8) -> Vec<AccessUnit> {
    let mut encoder = encoder(threads);
    let mut units = Vec::new();
    for index in 0..count {
        let want = if keyframes.contains(&index) { Kind::Keyframe } else { Kind::Delta };
        let unit = encoder.encode(&scene().picture(index), MediaTime::from_ticks(index * 3000), want).unwrap();
        assert_eq!(unit.is_some(), index >= encoder.delay() as u64, "picture {index}");
        units.extend(unit);
    }
    units.extend(Box::new(encoder).finish().unwrap());
    units
}

fn blank() -> Picture {
    Picture::black(Size::new(2, 2).unwrap(), Color::default())
}

#[test]
fn every_picture_comes_back_in_order_and_looks_the_same() {
    for threads in [1, 3] {
        let mut decoder = Rav1dDecoder::with_threads(Limits::default(), threads);
        let mut picture = blank();
        let units = units(10, &[6], threads);
        assert_eq!(units.len(), 10);
        for (index, unit) in units.iter().enumerate() {
            assert_eq!(unit.at, MediaTime::from_ticks(index as u64 * 3000));
            assert_eq!(unit.is_keyframe(), index == 0 || index == 6, "picture {index}");
            assert_eq!(facts(&unit.data).is_keyframe(), unit.is_keyframe());
            assert_eq!(decoder.decode(unit, &mut picture), Ok(Shown::Picture));
            let db = picture.psnr_y(&scene().picture(index as u64)).unwrap();
            assert!(db > 35.0, "picture {index}: {db} dB");
            assert_eq!(picture.color(), FULL_601);
        }
    }
}

#[test]
fn four_pictures_are_held_back_whatever_the_effort_and_the_keyframes() {
    for effort in [Effort::Export, Effort::Live] {
        let mut encoder = Rav1eEncoder::with_effort(config(2).check().unwrap(), effort).unwrap();
        let (mut decoder, mut picture) = (Rav1dDecoder::new(Limits::default()), blank());
        for index in 0..14 {
            let want = if index == 7 { Kind::Keyframe } else { Kind::Delta };
            let unit = encoder.encode(&scene().picture(index), MediaTime::from_ticks(index), want).unwrap();
            let Some(unit) = unit else {
                assert!(index < 4, "nothing came after picture {index}");
                continue;
            };
            assert_eq!(unit.at, MediaTime::from_ticks(index - 4));
            assert_eq!(unit.is_keyframe(), index == 4 || index == 11);
            assert_eq!(decoder.decode(&unit, &mut picture), Ok(Shown::Picture));
            let db = picture.psnr_y(&scene().picture(index - 4)).unwrap();
            assert!(db > 33.0, "{effort:?}, picture {index}: {db} dB");
        }
        assert_eq!(Box::new(encoder).finish().unwrap().len(), 4);
    }
}

#[test]
fn the_stream_says_what_it_is() {
    let first = units(1, &[], 1).remove(0);
    let sequence = facts(&first.data).sequence.unwrap();
    assert_eq!((sequence.profile, sequence.size, sequence.bit_depth), (0, size(), 8));
    assert!(sequence.is_8_bit_420() && !sequence.still);
    assert_eq!(sequence.color, Some(FULL_601));
}

#[test]
fn what_cannot_change_while_it_runs_is_refused_in_words() {
    let mut encoder = encoder(1);
    let error = encoder.set_bitrate(Bitrate::from_kbps(100)).unwrap_err();
    assert_eq!(error.to_string(), "rav1e cannot change its bitrate while it runs");
    assert_eq!(encoder.set_bitrate(Bitrate::from_kbps(800)), Ok(()));
    encoder.encode(&scene().picture(0), MediaTime::default(), Kind::Delta).unwrap();
    let other = Scene::new(size(), 1).picture(1);
    assert!(matches!(
        encoder.encode(&other, MediaTime::from_ticks(1), Kind::Delta),
        Err(EncodeError::Fixed { what: "colour", .. })
    ));
}

#[test]
fn a_decoder_waits_for_a_keyframe_and_keeps_its_limits() {
    let units = units(3, &[], 1);
    let (mut decoder, mut picture) = (Rav1dDecoder::new(Limits::default()), blank());
    assert_eq!(decoder.decode(&units[1], &mut picture), Err(DecodeError::NeedsKeyframe));
    assert_eq!(decoder.decode(&units[0], &mut picture), Ok(Shown::Picture));
    decoder.reset();
    assert_eq!(decoder.decode(&units[1], &mut picture), Err(DecodeError::NeedsKeyframe));
    let small = Limits { pixels: size().pixels() - 1, ..Limits::default() };
    let error = Rav1dDecoder::new(small).decode(&units[0], &mut picture);
    assert_eq!(error, Err(DecodeError::PictureTooLarge(size())));
    let other = AccessUnit { codec: Codec::H264, ..units[0].clone() };
    assert!(matches!(decoder.decode(&other, &mut picture), Err(DecodeError::Codec { .. })));
}

#[test]
fn damaged_units_never_panic_and_the_next_keyframe_heals() {
    let good = units(4, &[], 1);
    let mut random = Random::new(3);
    for _ in 0..100 {
        let (mut decoder, mut picture) = (Rav1dDecoder::new(Limits::default()), blank());
        // AV1 has no redundancy: most flips decode, to a wrong picture. What matters is that nothing worse happens.
        for unit in &good {
            if !unit.is_keyframe() && random.below(4) == 0 {
                continue;
            }
            let mut data = unit.data.to_vec();
            for _ in 0..=random.below(3) {
                let at = random.below(data.len() as u32) as usize;
                data[at] ^= 1 << random.below(8);
            }
            let _ = decoder.decode(&AccessUnit { data: data.into(), ..unit.clone() }, &mut picture);
        }
        let cut = good[0].data.slice(..good[0].data.len() / 2);
        assert!(decoder.decode(&AccessUnit { data: cut, ..good[0].clone() }, &mut picture).is_err());
        assert_eq!(decoder.decode(&good[0], &mut picture), Ok(Shown::Picture));
        assert!(picture.psnr_y(&scene().picture(0)).unwrap() > 30.0);
    }
}
