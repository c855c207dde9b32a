use super::*;
use crate::access_unit::{AccessUnit, Codec, Kind};
use crate::decoder::{DecodeError, Decoder, Limits, OnDamage, Shown};
use crate::encoder::{Config, ConfigError, EncodeError, Encoder};
use crate::h264::facts;
use crate::h264::nal::{NalKind, nals};
use crate::picture::Picture;
use crate::testing::{Random, Scene};
use crate::units::{Bitrate, Color, FrameRate, Matrix, MediaTime, Range, Size, TemporalLayer};
use bytes::Bytes;

const FPS: u32 = 30;

fn size(width: u32, height: u32) -> Size {
    Size::new(width, height).unwrap()
}

fn config(size: Size, kbps: u32) -> Config {
    Config::new(size, FrameRate::whole(FPS).unwrap(), Bitrate::from_kbps(kbps))
}

fn encoder(size: Size, kbps: u32) -> Openh264Encoder {
    Openh264Encoder::new(config(size, kbps).check().unwrap()).unwrap()
}

fn at(index: u64) -> MediaTime {
    MediaTime::from_ticks(index * MediaTime::HZ / u64::from(FPS))
}

fn encode(encoder: &mut Openh264Encoder, picture: &Picture, index: u64, want: Kind) -> AccessUnit {
    encoder.encode(picture, at(index), want).unwrap().expect("no delay")
}

fn units(scene: &Scene, encoder: &mut Openh264Encoder, count: u64) -> Vec<AccessUnit> {
    (0..count).map(|index| encode(encoder, &scene.picture(index), index, Kind::Delta)).collect()
}

fn blank() -> Picture {
    Picture::black(size(2, 2), Color::default())
}

#[test]
fn every_picture_comes_back_at_once_and_looks_the_same() {
    let size = size(320, 176);
    let scene = Scene::new(size, 1);
    let (mut encoder, mut decoder) = (encoder(size, 1000), Openh264Decoder::new(Limits::default()));
    let mut picture = blank();
    for index in 0..20 {
        let source = scene.picture(index);
        let unit = encode(&mut encoder, &source, index, Kind::Delta);
        assert_eq!(unit.kind, if index == 0 { Kind::Keyframe } else { Kind::Delta });
        assert_eq!((unit.at, unit.size, unit.codec), (at(index), size, Codec::H264));
        assert_eq!(decoder.decode(&unit, &mut picture), Ok(Shown::Picture));
        let db = picture.psnr_y(&source).unwrap();
        assert!(db > 35.0, "picture {index}: {db} dB");
    }
}

#[test]
fn slices_are_as_many_as_threads() {
    for threads in [1, 2, 3] {
        let size = size(320, 176);
        let config = Config { threads, ..config(size, 500) };
        let mut encoder = Openh264Encoder::new(config.check().unwrap()).unwrap();
        for unit in units(&Scene::new(size, 1), &mut encoder, 3) {
            assert_eq!(facts(&unit.data).slices, usize::from(threads));
        }
    }
}

#[test]
fn a_keyframe_comes_when_asked_for_and_only_then_with_its_parameter_sets() {
    let size = size(160, 96);
    let scene = Scene::new(size, 2);
    let mut encoder = encoder(size, 300);
    for index in 0..90 {
        // A cut to another scene must not bring one either.
        let picture = if index == 30 { Scene::new(size, 99).picture(7) } else { scene.picture(index) };
        let want = if index == 40 { Kind::Keyframe } else { Kind::Delta };
        let unit = encode(&mut encoder, &picture, index, want);
        assert_eq!(unit.is_keyframe(), index == 0 || index == 40, "picture {index}");
        let facts = facts(&unit.data);
        assert_eq!(facts.is_keyframe(), unit.is_keyframe());
        assert_eq!(facts.sps.map(|sps| sps.size), unit.is_keyframe().then_some(size));
    }
}

#[test]
fn the_stream_says_what_it_is() {
    let size = size(200, 150);
    let color = Color { range: Range::Full, matrix: Matrix::Bt601 };
    let mut encoder = encoder(size, 300);
    let first = encode(&mut encoder, &Scene::new(size, 3).with_color(color).picture(0), 0, Kind::Delta);
    let sps = facts(&first.data).sps.unwrap();
    assert_eq!((sps.profile, sps.size, sps.coded), (100, size, self::size(208, 160)));
    assert_eq!((sps.color, sps.reorder, sps.interlaced), (Some(color), Some(0), false));
    let pps = nals(&first.data).find(|nal| nal.kind() == NalKind::Pps).unwrap();
    assert!(crate::h264::params::Pps::parse(pps.payload()).unwrap().cabac);
    let mut picture = blank();
    assert_eq!(Openh264Decoder::new(Limits::default()).decode(&first, &mut picture), Ok(Shown::Picture));
    assert_eq!((picture.color(), picture.size()), (color, size));
}

#[test]
fn another_colour_starts_the_stream_anew() {
    let size = size(64, 64);
    let scene = Scene::new(size, 3);
    let mut encoder = encoder(size, 300);
    let kinds: Vec<_> = [Range::Full, Range::Full, Range::Limited]
        .into_iter()
        .enumerate()
        .map(|(index, range)| {
            let scene = scene.clone().with_color(Color { range, matrix: Matrix::Bt709 });
            let unit = encode(&mut encoder, &scene.picture(index as u64), index as u64, Kind::Delta);
            (unit.kind, facts(&unit.data).sps.and_then(|sps| sps.color).map(|color| color.range))
        })
        .collect();
    assert_eq!(
        kinds,
        [(Kind::Keyframe, Some(Range::Full)), (Kind::Delta, None), (Kind::Keyframe, Some(Range::Limited))]
    );
}

#[test]
fn a_new_bitrate_holds_within_a_second_and_brings_no_keyframe() {
    let size = size(320, 176);
    let scene = Scene::new(size, 4).with_noise(12);
    let mut encoder = encoder(size, 1000);
    let kbps = |encoder: &mut Openh264Encoder, from: u64| {
        let bytes: usize = (from..from + 30)
            .map(|index| {
                let unit = encode(encoder, &scene.picture(index), index, Kind::Delta);
                assert!(!unit.is_keyframe() || index == 0);
                unit.data.len()
            })
            .sum();
        bytes * 8 / 1000
    };
    kbps(&mut encoder, 0);
    let before = kbps(&mut encoder, 30);
    assert!((850..1150).contains(&before), "{before} kbit/s of 1000");
    encoder.set_bitrate(Bitrate::from_kbps(500)).unwrap();
    let after = kbps(&mut encoder, 60);
    assert!((400..600).contains(&after), "{after} kbit/s of 500");
    encoder.set_bitrate(Bitrate::from_kbps(1500)).unwrap();
    let up = kbps(&mut encoder, 90);
    assert!((1250..1750).contains(&up), "{up} kbit/s of 1500");
}

#[test]
fn the_whole_range_of_bitrates_can_be_set_while_it_runs() {
    let size = size(160, 96);
    let scene = Scene::new(size, 5);
    let mut encoder = encoder(size, 100);
    encode(&mut encoder, &scene.picture(0), 0, Kind::Delta);
    for (index, bps) in [30_000, 100_000_000, 200_000].into_iter().enumerate() {
        encoder.set_bitrate(Bitrate::from_bps(bps)).unwrap();
        let unit = encode(&mut encoder, &scene.picture(index as u64 + 1), index as u64 + 1, Kind::Delta);
        assert!(!unit.is_keyframe(), "{bps} bit/s");
    }
    assert_eq!(encoder.set_bitrate(Bitrate::from_bps(29_999)), Err(EncodeError::Bitrate(29_999)));
}

#[test]
fn what_cannot_be_encoded_is_refused_in_words() {
    let large = config(size(4096, 2160), 1000).check().unwrap();
    let error = Openh264Encoder::new(large).err().unwrap();
    assert_eq!(error.to_string(), "4096x2160 is larger than the 3840x2160 that openh264 can encode");
    assert_eq!(config(size(321, 176), 1000).check(), Err(ConfigError::Width(321)));
    let mut encoder = encoder(size(64, 64), 100);
    let error = encoder.encode(&Scene::new(size(64, 48), 0).picture(0), at(0), Kind::Delta).unwrap_err();
    assert_eq!(error.to_string(), "picture is 64x48, the encoder was made for 64x64");
}

#[test]
fn the_smallest_and_uneven_sizes_round_trip() {
    for (width, height) in [(16, 16), (18, 34), (66, 50)] {
        let size = size(width, height);
        let scene = Scene::new(size, 6);
        let config = Config { threads: 16, ..config(size, 400) };
        let mut encoder = Openh264Encoder::new(config.check().unwrap()).unwrap();
        let (mut decoder, mut picture) = (Openh264Decoder::new(Limits::default()), blank());
        for unit in units(&scene, &mut encoder, 3) {
            assert_eq!(decoder.decode(&unit, &mut picture), Ok(Shown::Picture), "{size}");
        }
        let db = picture.psnr_y(&scene.picture(2)).unwrap();
        assert!(db > 33.0, "{size}: {db} dB");
    }
}

#[test]
fn a_decoder_waits_for_a_keyframe_at_the_start_and_after_damage() {
    let size = size(160, 96);
    let scene = Scene::new(size, 7);
    let mut encoder = encoder(size, 300);
    let mut units = units(&scene, &mut encoder, 4);
    units.push(encode(&mut encoder, &scene.picture(4), 4, Kind::Keyframe));
    let (mut decoder, mut picture) = (Openh264Decoder::new(Limits::default()), blank());
    assert_eq!(decoder.decode(&units[1], &mut picture), Err(DecodeError::NeedsKeyframe));
    assert_eq!(decoder.decode(&units[0], &mut picture), Ok(Shown::Picture));
    // Unit 1 is lost: unit 2 refers to what is not there.
    assert!(decoder.decode(&units[2], &mut picture).is_err(), "a gap is noticed");
    assert_eq!(decoder.decode(&units[3], &mut picture), Err(DecodeError::NeedsKeyframe));
    assert_eq!(decoder.decode(&units[4], &mut picture), Ok(Shown::Picture));
}

#[test]
fn a_decoder_that_conceals_says_which_pictures_are_guessed() {
    let size = size(320, 176);
    let scene = Scene::new(size, 7);
    // Two slices, so that half of a picture can be lost.
    let config = Config { threads: 2, ..config(size, 600) };
    let mut encoder = Openh264Encoder::new(config.check().unwrap()).unwrap();
    let mut units = units(&scene, &mut encoder, 6);
    units.push(encode(&mut encoder, &scene.picture(6), 6, Kind::Keyframe));
    let last = nals(&units[2].data).last().unwrap().start();
    units[2].data.truncate(last);
    let mut decoder = Openh264Decoder::new(Limits::default()).on_damage(OnDamage::Conceal);
    let mut picture = blank();
    let mut shown = |index: usize| {
        let shown = decoder.decode(&units[index], &mut picture).unwrap();
        (shown, picture.psnr_y(&scene.picture(index as u64)).unwrap())
    };
    for index in 0..2 {
        assert_eq!(shown(index).0, Shown::Picture);
    }
    // Half of unit 2 is lost, unit 3 is predicted from it, unit 4 never comes.
    for index in [2, 3, 5] {
        let (shown, db) = shown(index);
        assert_eq!(shown, Shown::Concealed, "unit {index}");
        assert!(db > 15.0, "unit {index} is nothing like the scene: {db} dB");
    }
    let (healed, db) = shown(6);
    assert!(healed == Shown::Picture && db > 35.0, "{healed:?} {db} dB");
    // The same without concealment: nothing until the keyframe.
    let mut decoder = Openh264Decoder::new(Limits::default());
    let shown = units.iter().map(|unit| decoder.decode(unit, &mut picture).is_ok()).collect::<Vec<_>>();
    assert_eq!(shown, [true, true, false, false, false, false, true]);
}

#[test]
fn two_parameter_sets_in_one_unit_are_refused_before_the_library_sees_them() {
    let (small, large) = (size(64, 64), size(320, 176));
    let [small, large] = [small, large].map(|size| units(&Scene::new(size, 1), &mut encoder(size, 300), 1).remove(0));
    let both = AccessUnit { data: [&small.data[..], &large.data].concat().into(), ..small.clone() };
    let (mut decoder, mut picture) = (Openh264Decoder::new(Limits::default()), blank());
    assert_eq!(decoder.decode(&both, &mut picture), Err(DecodeError::ParameterSets(2)));
    // The same one twice is nothing new.
    let sets = nals(&small.data).find(|nal| nal.kind() == NalKind::IdrSlice).unwrap().start();
    let twice = AccessUnit { data: [&small.data[..sets], &small.data].concat().into(), ..small };
    assert_eq!(decoder.decode(&twice, &mut picture), Ok(Shown::Picture));
}

#[test]
fn what_only_a_scalable_decoder_reads_is_left_out() {
    let size = size(160, 96);
    let unit = units(&Scene::new(size, 1), &mut encoder(size, 300), 1).remove(0);
    let sps = nals(&unit.data).find(|nal| nal.kind() == NalKind::Sps).unwrap();
    // A subset parameter set, a prefix and a slice of an extension, as a scalable stream has them.
    let subset = [&[0, 0, 0, 1, 0x6f], sps.payload(), &[0x80]].concat();
    let scalable = [&subset, &unit.data[..], &[0, 0, 1, 0x6e, 0x40, 0x80], &[0, 0, 1, 0x74, 0x40, 0x80]].concat();
    let (mut plain, mut base) = (blank(), blank());
    let mut decoder = Openh264Decoder::new(Limits::default());
    assert_eq!(decoder.decode(&unit, &mut plain), Ok(Shown::Picture));
    let unit = AccessUnit { data: scalable.into(), ..unit };
    assert_eq!(decoder.decode(&unit, &mut base), Ok(Shown::Picture));
    assert_eq!(plain, base);
}

#[test]
fn what_is_over_the_limits_is_refused_before_it_is_decoded() {
    let size = size(320, 176);
    let unit = units(&Scene::new(size, 8), &mut encoder(size, 300), 1).remove(0);
    let mut limits = Limits { pixels: size.pixels() - 1, ..Limits::default() };
    let mut picture = blank();
    assert_eq!(Openh264Decoder::new(limits).decode(&unit, &mut picture), Err(DecodeError::PictureTooLarge(size)));
    limits = Limits { unit_bytes: 100, ..Limits::default() };
    let bytes = unit.data.len();
    assert_eq!(Openh264Decoder::new(limits).decode(&unit, &mut picture), Err(DecodeError::UnitTooLarge(bytes)));
    let other = AccessUnit { codec: Codec::Av1, ..unit };
    assert!(matches!(
        Openh264Decoder::new(Limits::default()).decode(&other, &mut picture),
        Err(DecodeError::Codec { .. })
    ));
}

#[test]
fn damaged_units_are_errors_and_the_next_keyframe_heals() {
    let size = size(96, 64);
    let scene = Scene::new(size, 9);
    let mut encoder = encoder(size, 300);
    let good = units(&scene, &mut encoder, 3);
    let mut random = Random::new(9);
    let mut refused = 0;
    for _ in 0..150 {
        let (mut decoder, mut picture) = (Openh264Decoder::new(Limits::default()), blank());
        for unit in &good {
            let mut data = unit.data.to_vec();
            for _ in 0..=random.below(3) {
                let at = random.below(data.len() as u32) as usize;
                data[at] ^= 1 << random.below(8);
            }
            data.truncate(data.len() - random.below(4) as usize);
            refused +=
                u32::from(decoder.decode(&AccessUnit { data: data.into(), ..unit.clone() }, &mut picture).is_err());
        }
        assert_eq!(decoder.decode(&good[0], &mut picture), Ok(Shown::Picture));
        assert!(picture.psnr_y(&scene.picture(0)).unwrap() > 30.0);
    }
    assert!(refused > 100, "{refused} of 450 units were refused");
}

/// Every picture of a clip, in the order they are shown.
fn clip_pictures(clip: &Bytes) -> Vec<Picture> {
    let mut decoder = Openh264Decoder::for_clips(Limits::default());
    let (mut picture, mut shown) = (blank(), Vec::new());
    for data in crate::clip::annexb::access_units(clip) {
        let kind = if facts(&data).is_keyframe() { Kind::Keyframe } else { Kind::Delta };
        let (layer, size) = (TemporalLayer::BASE, picture.size());
        let unit = AccessUnit { codec: Codec::H264, kind, layer, size, at: at(0), data };
        if decoder.decode(&unit, &mut picture).unwrap().is_picture() {
            shown.push(picture.clone());
        }
    }
    while decoder.flush(&mut picture).unwrap().is_picture() {
        shown.push(picture.clone());
    }
    shown
}

#[test]
fn a_clip_with_b_frames_shows_every_picture_in_order() {
    let clip = include_bytes!("../../../testdata/bframes.h264");
    let sps = facts(clip).sps.unwrap();
    assert!(sps.reorder.unwrap() > 0, "{sps:?}");
    let shown = clip_pictures(&Bytes::from_static(clip));
    assert_eq!(shown.len(), 6);
    // The test card changes steadily: each picture is nearer to its neighbour than to the one after.
    for three in shown.windows(3) {
        let (near, far) = (three[0].psnr_y(&three[1]).unwrap(), three[0].psnr_y(&three[2]).unwrap());
        assert!(near >= far - 0.5, "{near} dB to the next, {far} dB to the one after");
    }
}

#[test]
fn a_clip_whose_size_changes_shows_every_picture() {
    let clip = include_bytes!("../../../testdata/bframes.h264");
    let size = size(96, 64);
    let tail = units(&Scene::new(size, 10), &mut encoder(size, 300), 3);
    let parts: Vec<&[u8]> = std::iter::once(&clip[..]).chain(tail.iter().map(|unit| &unit.data[..])).collect();
    let sizes: Vec<_> = clip_pictures(&Bytes::from(parts.concat())).iter().map(Picture::size).collect();
    assert_eq!(sizes, [[self::size(64, 48); 6].as_slice(), &[size; 3]].concat());
}

#[test]
fn layers_above_the_base_can_be_left_out() {
    let size = size(320, 176);
    let scene = Scene::new(size, 11);
    for layers in 1..=3_u8 {
        let config = Config { temporal_layers: layers, ..config(size, 600) };
        let units = units(&scene, &mut Openh264Encoder::new(config.check().unwrap()).unwrap(), 17);
        for most in 0..layers {
            let (mut decoder, mut picture) = (Openh264Decoder::new(Limits::default()), blank());
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
            assert_eq!(shown, (16 >> (layers - 1 - most)) + 1, "{layers} layers, up to {most}");
        }
    }
}

#[test]
fn the_frame_rate_changes_without_a_keyframe() {
    let size = size(320, 176);
    let scene = Scene::new(size, 12);
    let mut encoder = encoder(size, 600);
    units(&scene, &mut encoder, 30);
    encoder.set_rate(FrameRate::whole(15).unwrap()).unwrap();
    let after: Vec<_> =
        (30..90).map(|index| encode(&mut encoder, &scene.picture(index), index * 2, Kind::Delta)).collect();
    assert!(after.iter().all(|unit| unit.kind == Kind::Delta));
    let kbps = |units: &[AccessUnit], rate: f64| {
        units.iter().map(|unit| unit.data.len()).sum::<usize>() as f64 * 8.0 / 1000.0 * rate / units.len() as f64
    };
    let kept = kbps(&after, 15.0);
    assert!((570.0..640.0).contains(&kept), "half the pictures: {kept} of 600 kbit/s over four seconds");
    assert_eq!(encoder.set_rate(FrameRate::whole(61).unwrap()), Err(EncodeError::Rate(FrameRate::whole(61).unwrap())));
}

#[test]
fn without_a_reference_recovery_is_a_keyframe() {
    let size = size(320, 176);
    let scene = Scene::new(size, 14);
    for recovery in [false, true] {
        let config = Config { recovery, ..config(size, 600) };
        let mut encoder = Openh264Encoder::new(config.check().unwrap()).unwrap();
        units(&scene, &mut encoder, 5);
        // A time that was never sent: nothing is known to be good.
        encoder.recover(at(77)).unwrap();
        let kinds: Vec<_> =
            (5..8).map(|index| encode(&mut encoder, &scene.picture(index), index, Kind::Delta).kind).collect();
        assert_eq!(kinds, [Kind::Keyframe, Kind::Delta, Kind::Delta]);
    }
}
