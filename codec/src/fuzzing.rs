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

/// The JPEG decoder takes any bytes; a picture it gives has the size of the frame, cropped to even sides.
#[cfg(feature = "convert")]
pub fn check_mjpeg(jpeg: &[u8]) {
    use crate::frame::{Format, Frame, Plane};
    use crate::units::{Color, Range, Size, Uptime};

    let size = clip::mjpeg::scan(jpeg).and_then(|jpeg| jpeg.size).filter(|size| size.pixels() <= 512 * 512);
    let Some(size) = size.or(Size::new(36, 18)) else { return };
    let plane = Plane { data: jpeg, stride: 0 };
    let Ok(frame) = Frame::new(Format::Mjpeg, size, Color::default(), Uptime::default(), &[plane]) else { return };
    let mut picture = crate::Picture::black(size, Color::default());
    if crate::convert::Converter::new().convert(&frame, &mut picture).is_ok() {
        assert_eq!(Size::new(size.width() & !1, size.height() & !1), Some(picture.size()));
        assert_eq!(picture.color().range, Range::Full);
    }
}
