//! What must hold for any bytes at all, one function a fuzz target. Each panics if it does not.

use crate::clip;
use bytes::Bytes;

/// Parsers of access units never panic, and what they find is consistent.
pub fn check_access_unit(unit: &[u8]) {
    let facts = crate::h264::facts(unit);
    assert!(!facts.is_keyframe() || facts.slices > 0, "a keyframe without a slice");
    if let Some(sps) = facts.sps {
        assert!(sps.size.width() <= sps.coded.width() && sps.size.height() <= sps.coded.height());
    }
    let mut past = 0;
    for nal in crate::h264::nal::nals(unit) {
        assert!(nal.start() >= past && nal.start() + nal.payload().len() < unit.len(), "units lie apart and inside");
        past = nal.start() + nal.payload().len();
        let _ = crate::h264::params::Pps::parse(nal.payload());
        let _ = nal.first_macroblock();
    }
    let facts = crate::av1::facts(unit);
    assert!(!facts.is_keyframe() || facts.frames > 0, "a keyframe without a frame");
    let payloads: usize = crate::av1::obu::obus(unit).flatten().map(|obu| obu.payload.len()).sum();
    assert!(payloads <= unit.len(), "OBUs lie apart and inside");
}

/// Readers of files never panic and never give more bytes than there are.
pub fn check_clip(file: &[u8]) {
    let bytes = Bytes::copy_from_slice(file);
    let _ = clip::sniff(file);
    let units: usize = clip::annexb::access_units(&bytes).map(|unit| unit.len()).sum();
    assert!(units <= file.len(), "access units lie apart");
    let pictures: usize = clip::mjpeg::pictures(file).map(<[u8]>::len).sum();
    assert!(pictures <= file.len(), "JPEGs lie apart");
    if let Ok((header, start)) = clip::ivf::Header::parse(file) {
        assert_eq!(clip::ivf::Header::parse(&header.emit(0)), Ok((header, clip::ivf::Header::LEN)));
        let frames: usize = clip::ivf::frames(&bytes, start).map(|frame| frame.data.len()).sum();
        assert!(frames <= file.len(), "frames lie apart");
    }
    if let Ok((header, start)) = clip::y4m::Header::parse(file) {
        let again = clip::y4m::Header::parse(&header.emit()).map(|(again, _)| again);
        assert_eq!(again, Ok(header), "what is written is read");
        let frames: usize = clip::y4m::frames(file, &header, start).map(<[u8]>::len).sum();
        assert!(frames <= file.len(), "frames lie apart");
    }
}

/// Whatever comes from outside, the units that come out keep what an [`AccessUnit`](crate::AccessUnit) promises, do not
/// depend on where the bytes were cut, and go through a second time unchanged.
///
/// The first byte chooses framing and size of the buffers: bits 0-1 Annex B, Annex B cut anywhere, length-prefixed, AV1;
/// bits 2-7 the longest piece where it is cut anywhere.
pub fn check_ingest(bytes: &[u8]) {
    use crate::ingest::{AvcConfig, Framing};

    let Some((&choice, bytes)) = bytes.split_first() else { return };
    let framing = match choice & 3 {
        0 => Framing::AnnexB,
        1 => Framing::AnnexBAnywhere,
        2 => Framing::LengthPrefixed { bytes: [4, 2, 1][usize::from(choice >> 2) % 3] },
        _ => Framing::LowOverhead,
    };
    let units = ingested(framing, bytes, bytes.len().max(1));
    if framing == Framing::AnnexBAnywhere {
        let coded = |units: &[crate::AccessUnit]| {
            units.iter().map(|unit| (unit.kind, unit.size, unit.layer, unit.data.clone())).collect::<Vec<_>>()
        };
        let cut = ingested(framing, bytes, usize::from(choice >> 2) + 1);
        assert_eq!(coded(&cut), coded(&units), "cut elsewhere");
        assert_eq!(coded(&ingested(Framing::AnnexB, bytes, bytes.len().max(1))), coded(&units), "not cut at all");
    }
    if let Some(first) = units.first() {
        assert!(first.is_keyframe(), "begins with a delta");
        let again = match first.codec {
            crate::access_unit::Codec::Av1 => Framing::LowOverhead,
            crate::access_unit::Codec::H264 => Framing::AnnexB,
        };
        let stream = units.iter().flat_map(|unit| unit.data.iter().copied()).collect::<Vec<_>>();
        // Without temporal delimiters, AV1 has to be fed unit by unit.
        let again = if again == Framing::AnnexB {
            ingested(again, &stream, stream.len().max(1))
        } else {
            let mut ingest = crate::ingest::Ingest::new(again);
            units.iter().for_each(|unit| assert_eq!(ingest.handle_buffer(&unit.data, unit.at), Ok(())));
            std::iter::from_fn(|| ingest.poll_unit()).collect()
        };
        assert_eq!(again.len(), units.len(), "units lost the second time");
        for (first, second) in units.iter().zip(&again) {
            assert_eq!((first.kind, first.size, first.layer), (second.kind, second.size, second.layer));
        }
    }
    if let Ok(config) = AvcConfig::parse(bytes) {
        let _ = crate::ingest::Ingest::of_avcc(&config).handle_buffer(bytes, Default::default());
    }
}

/// The units of a source whose buffers have `piece` bytes, each checked.
fn ingested(framing: crate::ingest::Framing, bytes: &[u8], piece: usize) -> Vec<crate::AccessUnit> {
    use crate::access_unit::Codec;
    use crate::units::MediaTime;

    let mut ingest = crate::ingest::Ingest::new(framing);
    let mut units: Vec<crate::AccessUnit> = Vec::new();
    let mut refused = None;
    for buffer in bytes.chunks(piece) {
        refused = refused.or(ingest.handle_buffer(buffer, MediaTime::default()).err());
        units.extend(std::iter::from_fn(|| ingest.poll_unit()));
    }
    let end = ingest.handle_end();
    assert!(refused.is_none() || end.err() == refused, "refused once and not again");
    units.extend(std::iter::from_fn(|| ingest.poll_unit()));
    for unit in &units {
        let keyframe = match unit.codec {
            Codec::H264 => {
                let facts = crate::h264::facts(&unit.data);
                assert!(facts.slices > 0 && (facts.idr == unit.is_keyframe()), "{facts:?}");
                assert!(!unit.is_keyframe() || facts.sps.map(|sps| sps.size) == Some(unit.size), "another size");
                facts.is_keyframe()
            }
            Codec::Av1 => {
                let facts = crate::av1::facts(&unit.data);
                assert_eq!((facts.damage, facts.frames > 0), (None, true));
                facts.is_keyframe()
            }
        };
        assert!(keyframe || !unit.is_keyframe(), "a keyframe that nothing can begin with");
        assert!(unit.data.len() <= crate::ingest::MAX_UNIT);
    }
    assert!(units.is_sorted_by(|a, b| a.at < b.at), "times that do not grow");
    units
}

/// The H.264 decoder takes any byte stream, keeps its limits, and shows only what it announced.
#[cfg(feature = "h264")]
pub fn check_h264_decode(stream: &[u8]) {
    use crate::access_unit::{AccessUnit, Codec, Kind};
    use crate::decoder::{Decoder, Limits, OnDamage, Shown};
    use crate::units::{Color, MediaTime, Size, TemporalLayer};

    let Some(size) = Size::new(16, 16) else { return };
    let limits = Limits { pixels: 512 * 512, unit_bytes: 1 << 16 };
    let mut picture = crate::Picture::black(size, Color::default());
    use crate::h264::openh264::Openh264Decoder;
    let conceals = Openh264Decoder::new(limits).on_damage(OnDamage::Conceal);
    for mut decoder in [Openh264Decoder::new(limits), Openh264Decoder::for_clips(limits), conceals] {
        for data in clip::annexb::access_units(&Bytes::copy_from_slice(stream)).take(32) {
            let (codec, kind, layer) = (Codec::H264, Kind::Delta, TemporalLayer::BASE);
            let unit = AccessUnit { codec, kind, layer, size, at: MediaTime::default(), data };
            if decoder.decode(&unit, &mut picture).is_ok_and(Shown::is_picture) {
                assert!(picture.size().pixels() <= limits.pixels, "a picture over the limit");
                assert_eq!(picture.samples().len(), crate::Picture::bytes(picture.size()));
            }
        }
        for _ in 0..32 {
            if !decoder.flush(&mut picture).is_ok_and(Shown::is_picture) {
                break;
            }
        }
    }
}

/// The JPEG decoders take any bytes; a picture they give has the size of the frame, cropped to even sides.
#[cfg(feature = "convert")]
pub fn check_mjpeg(jpeg: &[u8]) {
    use crate::convert::{Converter, JpegOrigin};
    use crate::frame::{Format, Frame, Plane};
    use crate::units::{Color, Range, Size, Uptime};

    let size = clip::mjpeg::scan(jpeg).and_then(|jpeg| jpeg.size).filter(|size| size.pixels() <= 512 * 512);
    let Some(size) = size.or(Size::new(36, 18)) else { return };
    let plane = Plane { data: jpeg, stride: 0 };
    let Ok(frame) = Frame::new(Format::Mjpeg, size, Color::default(), Uptime::default(), &[plane]) else { return };
    for origin in [JpegOrigin::Anywhere, JpegOrigin::OwnCamera] {
        let mut picture = crate::Picture::black(size, Color::default());
        if Converter::with_jpegs(origin).convert(&frame, &mut picture).is_ok() {
            assert_eq!(Size::new(size.width() & !1, size.height() & !1), Some(picture.size()));
            assert_eq!(picture.color().range, Range::Full);
        }
    }
}

/// A frame of any format, size and stride, with any bytes in it, is refused or becomes a picture of even sides.
///
/// The first bytes say which: format, width, height, strides of three planes; the rest is the planes, each a part of it.
#[cfg(feature = "convert")]
pub fn check_convert(bytes: &[u8]) {
    use crate::frame::{Format, Frame, Pattern, Plane};
    use crate::units::{Color, Size, Uptime};

    let Some((&[format, width, height, a, b, c], data)) = bytes.split_first_chunk() else { return };
    let pattern = match format >> 4 & 3 {
        0 => Pattern::Rggb,
        1 => Pattern::Grbg,
        2 => Pattern::Gbrg,
        _ => Pattern::Bggr,
    };
    let format = match format & 15 {
        0 => Format::I420,
        1 => Format::Nv12,
        2 => Format::Nv21,
        3 => Format::Yuyv,
        4 => Format::Uyvy,
        5 => Format::Grey,
        6 => Format::Bayer8(pattern),
        7 => Format::Bayer10(pattern),
        _ => Format::Mjpeg,
    };
    let Some(size) = Size::new(width.into(), height.into()) else { return };
    // Planes that lie apart, that overlap, and that are cut short.
    let strides = [a, b, c].map(|stride| usize::from(stride) * 3);
    let starts = [0, data.len() / 3, data.len() / 2];
    let planes = starts.into_iter().zip(strides);
    let planes: Vec<_> =
        planes.map(|(start, stride)| Plane { data: data.get(start..).unwrap_or_default(), stride }).collect();
    let planes = planes.get(..format.planes()).unwrap_or_default();
    let Ok(frame) = Frame::new(format, size, Color::default(), Uptime::default(), planes) else { return };
    let Some(small) = Size::new(2, 2) else { return };
    let (mut converter, mut picture) =
        (crate::convert::Converter::new(), crate::Picture::black(small, Color::default()));
    if converter.convert(&frame, &mut picture).is_ok() {
        assert_eq!(Some(picture.size()), Size::new(size.width() & !1, size.height() & !1));
        assert_eq!(picture.samples().len(), crate::Picture::bytes(picture.size()));
        let first = picture.clone();
        // What a converter has seen before does not show, but for a mosaic's balance, which follows slowly.
        if converter.convert(&frame, &mut picture).is_ok() && converter.white_balance().is_none() {
            assert_eq!(first, picture);
        }
    }
}

/// A file of zones is refused in words, or written again it says the same; and every area it has can be painted and
/// watched.
pub fn check_zones(file: &[u8]) {
    use crate::units::{Color, MediaTime, Size};
    use crate::zones::Zones;

    let zones = match Zones::parse(file) {
        Ok(zones) => zones,
        Err(error) => {
            assert!(error.to_string().chars().count() < 400, "a message is for a person");
            return;
        }
    };
    let again = zones.to_string();
    assert!(again.len() > Zones::MAX_BYTES || Zones::parse(again.as_bytes()).as_ref() == Ok(&zones));
    let mut config = crate::motion::Config::default();
    config.zones.clone_from(&zones.watch);
    let (Ok(mask), Ok(config)) = (crate::mask::Mask::new(zones.mask), config.check()) else {
        panic!("what was read is within every limit");
    };
    let Some(size) = Size::new(50, 34) else { return };
    let mut picture = crate::Picture::black(size, Color::default());
    mask.paint(&mut picture);
    let changed = picture.samples().iter().any(|&sample| sample != 16 && sample != 128);
    assert!(!changed, "a mask paints grey");
    let mut detector = crate::motion::Detector::new(config);
    for at in 0..3 {
        detector.handle_picture(&picture, MediaTime::from_ticks(at * 3000));
    }
}

/// A clock with any text for an offset and a corner is refused in words, or drawn at any moment on any picture.
///
/// The first bytes are the moment and the sides; then the offset's text, a space, and the corner's.
pub fn check_overlay(bytes: &[u8]) {
    use crate::overlay::{Clock, Corner, UtcOffset, WallTime};
    use crate::units::{Color, Size};

    let Some((us, rest)) = bytes.split_first_chunk::<8>() else { return };
    let Some((&[width, height, scale], text)) = rest.split_first_chunk::<3>() else { return };
    let Ok(text) = std::str::from_utf8(text) else { return };
    let (offset, corner) = text.split_once(' ').unwrap_or((text, "top-left"));
    let (Ok(offset), Ok(corner)) = (offset.parse::<UtcOffset>(), corner.parse::<Corner>()) else { return };
    assert_eq!(offset.to_string().parse(), Ok(offset), "what is shown is read");
    let scale = 1 + u32::from(scale % 12);
    let Some(size) = Size::new(u32::from(width) * scale, u32::from(height) * scale) else { return };
    let mut picture = crate::Picture::black(size, Color::default());
    let drawn = Clock { corner, offset }.draw(WallTime::from_unix_micros(u64::from_le_bytes(*us)), &mut picture);
    assert_eq!(drawn.is_ok(), picture.samples().contains(&235), "a clock is drawn, or the picture is left as it was");
}
