use super::*;
use crate::access_unit::{Codec, Kind};
use crate::h264::nal::{Nal, NalKind, nals};
use crate::units::{Size, TemporalLayer};
use proptest::prelude::*;

/// By x264: nine pictures of two slices, keyframes at 0, 4 and 8, delimiters, sets at each keyframe, one message.
const TWO_SLICES: &[u8] = include_bytes!("../../testdata/ingest/delimiters_two_slices.264");
/// By x264: an IDR picture, then recovery points alone.
const INTRA_REFRESH: &[u8] = include_bytes!("../../testdata/ingest/intra_refresh.264");
/// By x264: what an MP4 file of six pictures has for a header, and its samples; keyframes at 0 and 3.
const AVCC: &[u8] = include_bytes!("../../testdata/ingest/mp4_avcc.bin");
const SAMPLES: &[u8] = include_bytes!("../../testdata/ingest/mp4_samples.bin");
/// By libaom: five temporal units, key frames at 0 and 3.
const AV1: &[u8] = include_bytes!("../../testdata/ingest/three_then_key.obu");

const T: MediaTime = MediaTime::from_ticks(9000);

fn taken(ingest: &mut Ingest, buffer: &[u8]) -> Vec<AccessUnit> {
    assert_eq!(ingest.handle_buffer(buffer, T), Ok(()));
    std::iter::from_fn(|| ingest.poll_unit()).collect()
}

fn refusal(framing: Framing, buffer: &[u8]) -> Refused {
    let mut ingest = Ingest::new(framing);
    let refused = ingest.handle_buffer(buffer, T).unwrap_err();
    assert_eq!(ingest.handle_buffer(AV1, T), Err(refused), "refused is refused");
    refused
}

fn keyframes(units: &[AccessUnit]) -> Vec<usize> {
    (0..units.len()).filter(|&index| units[index].is_keyframe()).collect()
}

fn kinds(unit: &AccessUnit) -> Vec<NalKind> {
    nals(&unit.data).map(|nal| nal.kind()).collect()
}

/// The NAL units of a byte stream, each with a start code, without those of `kind` after the first `kept`.
fn without(stream: &[u8], kind: NalKind, kept: usize) -> Vec<u8> {
    let mut seen = 0;
    let mut left = Vec::new();
    for nal in nals(stream) {
        seen += usize::from(nal.kind() == kind);
        if nal.kind() != kind || seen <= kept {
            sets::write(&nal, &mut left);
        }
    }
    left
}

#[test]
fn one_buffer_of_many_units_is_split_and_what_shows_nothing_goes() {
    let mut ingest = Ingest::new(Framing::AnnexB);
    let units = taken(&mut ingest, TWO_SLICES);
    assert_eq!((units.len(), keyframes(&units)), (9, vec![0, 4, 8]));
    assert_eq!(kinds(&units[0]), [NalKind::Sps, NalKind::Pps, NalKind::IdrSlice, NalKind::IdrSlice]);
    assert_eq!(kinds(&units[1]), [NalKind::Slice, NalKind::Slice]);
    // Nine delimiters and one message.
    assert_eq!(ingest.drops(), Drops { unshown: 10, ..Drops::default() });
    let size = Size::new(64, 48).unwrap();
    assert!(units.iter().all(|unit| unit.size == size && unit.codec == Codec::H264));
    let times: Vec<_> = units.iter().map(|unit| unit.at.ticks()).collect();
    assert_eq!(times, (9000..9009).collect::<Vec<_>>(), "one time of capture, but each its own place");
    let facts = ingest.facts().unwrap();
    assert_eq!((facts.profile, facts.size, facts.reorder), (77, size, Reorder::Never));
}

#[test]
fn parameter_sets_sent_once_are_in_front_of_every_keyframe() {
    let once = without(&without(TWO_SLICES, NalKind::Sps, 1), NalKind::Pps, 1);
    assert!(once.len() < TWO_SLICES.len());
    let mut whole = Ingest::new(Framing::AnnexB);
    let mut once_only = Ingest::new(Framing::AnnexB);
    assert_eq!(taken(&mut once_only, &once), taken(&mut whole, TWO_SLICES));
    // Or beside the stream, as SDP has them.
    let none = without(&without(TWO_SLICES, NalKind::Sps, 0), NalKind::Pps, 0);
    let mut beside = Ingest::new(Framing::AnnexB);
    for nal in nals(TWO_SLICES).filter(|nal| matches!(nal.kind(), NalKind::Sps | NalKind::Pps)).take(2) {
        beside.handle_parameter_set(&[&[nal.header()], nal.payload()].concat());
    }
    let mut again = Ingest::new(Framing::AnnexB);
    assert_eq!(taken(&mut beside, &none), taken(&mut again, TWO_SLICES));
    // Or in buffers of their own, as encoders with a separate header have them.
    let mut apart = Ingest::new(Framing::AnnexB);
    let header = without(&without(TWO_SLICES, NalKind::Slice, 0), NalKind::IdrSlice, 0);
    assert_eq!(taken(&mut apart, &header), []);
    assert_eq!(taken(&mut apart, &none).len(), 9);
}

#[test]
fn without_parameter_sets_nothing_comes_and_it_is_said_why() {
    let none = without(TWO_SLICES, NalKind::Pps, 0);
    let mut ingest = Ingest::new(Framing::AnnexB);
    let refused = (0..100).find_map(|_| ingest.handle_buffer(&none, T).err()).unwrap();
    assert_eq!(refused, Refused::NoKeyframe { units: PATIENCE, why: Missing::Parameters });
    assert_eq!(ingest.poll_unit(), None);
}

#[test]
fn deltas_before_the_first_keyframe_and_after_a_loss_are_left_out_and_counted() {
    let mut ingest = Ingest::new(Framing::AnnexB);
    let from_second = nals(TWO_SLICES).filter(|nal| nal.kind() == NalKind::Delimiter).nth(1).unwrap().start();
    let units = taken(&mut ingest, &TWO_SLICES[from_second..]);
    assert_eq!((units.len(), keyframes(&units), ingest.drops().early), (5, vec![0, 4], 3));
    ingest.handle_loss();
    let units = taken(&mut ingest, &TWO_SLICES[from_second..]);
    assert_eq!((units.len(), keyframes(&units), ingest.drops().early), (5, vec![0, 4], 6));
}

#[test]
fn a_damaged_unit_takes_those_that_depend_on_it_along() {
    let mut bytes = TWO_SLICES.to_vec();
    let second = nals(TWO_SLICES).filter(|nal| nal.kind() == NalKind::Slice).nth(2).unwrap();
    // Its first macroblock is no longer the first of the picture.
    let at = second.start() + nals(&TWO_SLICES[second.start()..]).next().map_or(0, |_| 4);
    assert_eq!(bytes[at] & 0x80, 0x80);
    bytes[at] = 0x5f;
    let mut ingest = Ingest::new(Framing::AnnexB);
    let units = taken(&mut ingest, &bytes);
    assert!(ingest.drops().damaged >= 1, "{:?}", ingest.drops());
    assert_eq!(keyframes(&units), [0, 2, 6]);
    assert_eq!(units.len(), 7, "two of nine are gone: the damaged one and the one after it");
}

#[test]
fn a_picture_nothing_refers_to_is_of_a_layer_that_can_be_left_out() {
    let mut bytes = TWO_SLICES.to_vec();
    for slice in nals(TWO_SLICES).filter(|nal| nal.kind() == NalKind::Slice).skip(4).take(2) {
        let header = slice.start() + TWO_SLICES[slice.start()..].iter().position(|&byte| byte == 1).unwrap() + 1;
        bytes[header] &= 0x1f;
    }
    let units = taken(&mut Ingest::new(Framing::AnnexB), &bytes);
    let layers: Vec<_> = units.iter().map(|unit| unit.layer.id()).collect();
    assert_eq!(layers, [0, 0, 0, 1, 0, 0, 0, 0, 0]);
}

#[test]
fn samples_of_an_mp4_file_become_units_that_begin_with_its_header_sets() {
    let config = AvcConfig::parse(AVCC).unwrap();
    let mut ingest = Ingest::of_avcc(&config);
    let units = taken(&mut ingest, SAMPLES);
    assert_eq!((units.len(), keyframes(&units)), (6, vec![0, 3]));
    assert_eq!(kinds(&units[3]), [NalKind::Sps, NalKind::Pps, NalKind::IdrSlice]);
    assert_eq!(ingest.facts().map(|facts| (facts.profile, facts.reorder)), Some((66, Reorder::Never)));
    // A length that leads past the end, and a start code inside a NAL unit.
    for bad in [&[0, 0, 0, 9, 0x41][..], &[0, 0, 0, 6, 0x41, 0, 0, 1, 0x67, 1]] {
        assert_eq!(taken(&mut ingest, bad), []);
    }
    assert_eq!(ingest.drops().damaged, 2);
    assert_eq!(taken(&mut ingest, SAMPLES).len(), 6, "the next keyframe is as good as the first");
}

#[test]
fn av1_is_split_at_its_delimiters_and_its_header_kept() {
    let mut ingest = Ingest::new(Framing::LowOverhead);
    let units = taken(&mut ingest, AV1);
    assert_eq!((units.len(), keyframes(&units)), (5, vec![0, 3]));
    let facts = ingest.facts().unwrap();
    assert_eq!((facts.codec, facts.size, facts.profile), (Codec::Av1, Size::new(64, 48).unwrap(), 0));
    // Each unit by itself, and the header only with the first.
    let mut once = Ingest::new(Framing::LowOverhead);
    for (index, unit) in units.iter().enumerate() {
        let found: Vec<_> = crate::av1::obu::obus(&unit.data).map(Result::unwrap).collect();
        assert!(found.iter().all(|obu| obu.kind != crate::av1::obu::ObuKind::Delimiter));
        let header = if unit.is_keyframe() { 2 + found[0].payload.len() } else { 0 };
        let from = if index == 0 { 0 } else { header };
        assert_eq!(taken(&mut once, &unit.data[from..]), [AccessUnit { at: once_at(index), ..unit.clone() }]);
    }
    assert_eq!(once.drops(), Drops::default());
}

fn once_at(index: usize) -> MediaTime {
    MediaTime::from_ticks(T.ticks() + index as u64)
}

/// The same temporal unit as annex B of the AV1 specification has it.
fn length_delimited(unit: &[u8]) -> Vec<u8> {
    let leb = |mut value: usize| {
        let mut bytes = Vec::new();
        while value > 0x7f {
            bytes.push(value as u8 | 0x80);
            value >>= 7;
        }
        bytes.push(value as u8);
        bytes
    };
    let mut frame = Vec::new();
    let delimiter: &[u8] = &[0x10];
    frame.extend([leb(delimiter.len()), delimiter.to_vec()].concat());
    for obu in crate::av1::obu::obus(unit).map(Result::unwrap).filter(|obu| obu.temporal_id == 0) {
        let header = match obu.kind {
            crate::av1::obu::ObuKind::Sequence => 1 << 3,
            _ => 6 << 3,
        };
        frame.extend([leb(obu.payload.len() + 1), vec![header], obu.payload.to_vec()].concat());
    }
    let frame = [leb(frame.len()), frame].concat();
    [leb(frame.len()), frame].concat()
}

#[test]
fn av1_in_the_other_framing_is_refused_by_name() {
    let units = taken(&mut Ingest::new(Framing::LowOverhead), AV1);
    for unit in [&units[0], &units[1]] {
        assert_eq!(refusal(Framing::LowOverhead, &length_delimited(&unit.data)), Refused::LengthDelimited);
    }
    let mut ingest = Ingest::new(Framing::LowOverhead);
    assert_eq!(taken(&mut ingest, &AV1[..40]), [], "a unit cut short is damage");
    assert_eq!(ingest.drops().damaged, 1);
}

#[test]
fn what_no_viewer_can_show_is_refused_in_words() {
    for (stream, words) in [
        (&include_bytes!("../../testdata/ingest/interlaced.264")[..], "interlaced"),
        (include_bytes!("../../testdata/ingest/high422.264"), "H.264 profile 122 is not"),
        (include_bytes!("../../testdata/bframes.h264"), "turn B-frames off"),
    ] {
        let refused = refusal(Framing::AnnexB, stream).to_string();
        assert!(refused.contains(words), "{refused}");
    }
}

#[test]
fn what_a_source_says_of_the_order_is_passed_on() {
    let mut ingest = Ingest::new(Framing::AnnexB);
    let bframes: &[u8] = include_bytes!("../../testdata/bframes.h264");
    let refused = ingest.handle_buffer(bframes, T).unwrap_err();
    let Some(Reorder::UpTo(depth)) = ingest.facts().map(|facts| facts.reorder) else { panic!("{:?}", ingest.facts()) };
    assert_eq!(refused, Refused::Reorders { depth: Some(depth) });
    assert!(ingest.poll_unit().is_some_and(|unit| unit.is_keyframe()), "the keyframe before it is good");
}

#[test]
fn refreshing_bit_by_bit_is_counted_and_said_to_be_no_keyframe() {
    let mut ingest = Ingest::new(Framing::AnnexB);
    let units = taken(&mut ingest, INTRA_REFRESH);
    assert_eq!((keyframes(&units), ingest.drops().recovery_points), (vec![0], 2));
    let begun = nals(INTRA_REFRESH).filter(|nal| nal.kind() == NalKind::Slice).nth(1).unwrap().start();
    let mut ingest = Ingest::new(Framing::AnnexB);
    let refused = (0..200).find_map(|_| ingest.handle_buffer(&INTRA_REFRESH[begun..], T).err()).unwrap();
    assert_eq!(refused, Refused::NoKeyframe { units: PATIENCE, why: Missing::IntraRefresh });
}

#[test]
fn a_size_changes_at_a_keyframe_alone() {
    let small = taken(&mut Ingest::of_avcc(&AvcConfig::parse(AVCC).unwrap()), SAMPLES);
    let other: &[u8] = include_bytes!("../../../assets/door_720p30.264");
    let mut ingest = Ingest::new(Framing::AnnexB);
    taken(&mut ingest, &small[0].data);
    // A parameter set of another size in front of a delta: the delta is not of its sequence, nor of any.
    let set = nals(other).find(|nal| nal.kind() == NalKind::Sps).unwrap();
    let mut changed = Vec::new();
    sets::write(&set, &mut changed);
    changed.extend_from_slice(&small[1].data);
    assert_eq!(taken(&mut ingest, &changed), []);
    assert_eq!(ingest.drops().damaged, 1);
    assert_eq!(ingest.facts().map(|facts| facts.size), Size::new(64, 48));
    let end = nals(other).filter(|nal| nal.kind() == NalKind::Slice).nth(1).unwrap().start();
    let units = taken(&mut ingest, &other[..end]);
    assert_eq!(units[0].size, Size::new(1280, 720).unwrap());
    assert_eq!(ingest.facts().map(|facts| facts.size), Size::new(1280, 720));
}

#[test]
fn a_unit_larger_than_any_object_is_left_out() {
    let mut bytes = TWO_SLICES.to_vec();
    bytes.extend([0, 0, 0, 1, 0x41, 0x9a]);
    bytes.resize(MAX_UNIT + TWO_SLICES.len() + 100, 0x55);
    for framing in [Framing::AnnexB, Framing::AnnexBAnywhere] {
        let mut ingest = Ingest::new(framing);
        for piece in bytes.chunks(1 << 20) {
            ingest.handle_buffer(piece, T).unwrap();
        }
        ingest.handle_buffer(&bytes, T).unwrap();
        assert!(ingest.drops().oversized >= 1, "{framing:?}");
        while ingest.poll_unit().is_some() {}
        let units = taken(&mut ingest, &[TWO_SLICES, TWO_SLICES].concat());
        assert!(units.len() >= 9 && units[0].is_keyframe(), "{framing:?} goes on at a keyframe");
    }
}

#[test]
fn places_on_the_screen_are_followed_past_their_wrap() {
    // A place of six bits counted in twos wraps every 32 pictures: 250 pictures in one sequence.
    let built_in: &[u8] = include_bytes!("../../../assets/door_720p30.264");
    let mut ingest = Ingest::new(Framing::AnnexB);
    let units = taken(&mut ingest, built_in);
    assert!(units.len() > 250 && units.iter().any(|unit| !unit.is_keyframe()), "{} units", units.len());
    let wrapping = without(&without(built_in, NalKind::Sei, 0), NalKind::Delimiter, 0);
    let mut ingest = Ingest::new(Framing::AnnexB);
    assert_eq!(taken(&mut ingest, &wrapping).len(), units.len());
}

#[cfg(feature = "h264")]
#[test]
fn what_comes_out_is_decoded() {
    use crate::decoder::{Decoder, Limits, Shown};
    let mut ingest = Ingest::new(Framing::AnnexBAnywhere);
    let mut units = Vec::new();
    for piece in TWO_SLICES.chunks(7) {
        units.extend(taken(&mut ingest, piece));
    }
    ingest.handle_end().unwrap();
    units.extend(std::iter::from_fn(|| ingest.poll_unit()));
    let mut decoder = crate::h264::openh264::Openh264Decoder::new(Limits::default());
    let mut picture = crate::Picture::black(units[0].size, Default::default());
    let shown = units.iter().filter(|unit| decoder.decode(unit, &mut picture) == Ok(Shown::Picture)).count();
    assert_eq!((shown, picture.size()), (9, units[0].size));
}

/// A stream made of real NAL units in any order, with noise between some.
fn any_stream() -> impl Strategy<Value = Vec<u8>> {
    let sources = [TWO_SLICES, INTRA_REFRESH, include_bytes!("../../testdata/bframes.h264")];
    let units: Vec<Vec<u8>> = sources
        .iter()
        .flat_map(|stream| nals(stream))
        .map(|nal: Nal<'_>| {
            let mut unit = Vec::new();
            sets::write(&nal, &mut unit);
            unit.truncate(200);
            unit
        })
        .collect();
    let noise = prop::collection::vec(prop_oneof![Just(0_u8), Just(1), Just(0x67), any::<u8>()], 0..12);
    prop::collection::vec((prop::sample::select(units), prop::option::weighted(0.1, noise)), 0..30).prop_map(|parts| {
        parts.into_iter().flat_map(|(unit, noise)| [unit, noise.unwrap_or_default()].concat()).collect()
    })
}

proptest! {
    #[test]
    fn any_order_of_real_parts_keeps_what_units_promise(stream in any_stream(), choice in any::<u8>()) {
        crate::fuzzing::check_ingest(&[&[choice & !3][..], &stream].concat());
        crate::fuzzing::check_ingest(&[&[choice & !3 | 1][..], &stream].concat());
    }

    #[test]
    fn no_bytes_break_a_promise(bytes in prop::collection::vec(prop_oneof![Just(0_u8), Just(1), any::<u8>()], 0..300)) {
        crate::fuzzing::check_ingest(&bytes);
    }

    #[test]
    fn a_flipped_bit_breaks_no_promise(at in 0..SAMPLES.len() * 8, cut in 0..AV1.len() * 8) {
        for (choice, stream, bit) in [(2, SAMPLES, at), (3, AV1, cut), (5, TWO_SLICES, at)] {
            let mut bytes = [&[choice][..], stream].concat();
            bytes[1 + bit / 8] ^= 1 << (bit % 8);
            crate::fuzzing::check_ingest(&bytes);
        }
    }
}

#[test]
fn a_base_layer_is_what_everybody_needs() {
    let units = taken(&mut Ingest::new(Framing::LowOverhead), AV1);
    assert!(units.iter().all(|unit| unit.layer == TemporalLayer::BASE));
    assert_eq!(units.iter().filter(|unit| unit.kind == Kind::Keyframe).count(), 2);
}
