//! A sensor's frames through the codec and back.

use doorframe::sensor::{self, Clock, Decoding, Pattern, Source, Wanted, read_counter};
use doorframe_codec::access_unit::Kind;
use doorframe_codec::convert::Converter;
use doorframe_codec::decoder::Limits;
use doorframe_codec::encoder::{Config, ConfigError};
use doorframe_codec::h264::openh264::{Openh264Decoder, Openh264Encoder};
use doorframe_codec::units::{Bitrate, Color, FrameRate, MediaTime, Size};
use doorframe_codec::{Decoder, Encoder, Picture};
use std::time::Instant;

fn wanted(width: u32, height: u32, fps: u32) -> Option<Wanted> {
    Some(Wanted { size: Size::new(width, height)?, rate: FrameRate::whole(fps)? })
}

fn encoder(wanted: Wanted, kbps: u32) -> Result<Openh264Encoder, ConfigError> {
    Openh264Encoder::new(Config::new(wanted.size, wanted.rate, Bitrate::from_kbps(kbps)).check()?)
}

#[test]
fn the_counter_survives_an_encoder_at_a_starved_rate() {
    for (width, height, kbps) in [(1280, 720, 300), (320, 240, 60)] {
        let wanted = wanted(width, height, 30).unwrap();
        let mut encoder = encoder(wanted, kbps).unwrap();
        let mut decoder = Openh264Decoder::new(Limits::default());
        let mut decoded = Picture::black(wanted.size, Color::default());
        let mut shown = 0;
        for index in 0..40_u32 {
            // Far apart numbers change most squares at once.
            let number = index.wrapping_mul(0x9e37_79b9);
            let picture = Pattern::picture(wanted, number);
            let at = MediaTime::from_ticks(u64::from(index) * 3000);
            let want = if index == 0 { Kind::Keyframe } else { Kind::Delta };
            let Some(unit) = encoder.encode(&picture, at, want).unwrap() else { continue };
            if decoder.decode(&unit, &mut decoded).unwrap().is_picture() {
                assert_eq!(read_counter(&decoded), Some(number), "picture {index} at {kbps} kbit/s");
                shown += 1;
            }
        }
        assert!(shown >= 20, "{shown} of 40 pictures at {kbps} kbit/s");
    }
}

#[test]
fn a_pattern_opened_by_its_name_gives_frames_in_order() {
    let source: Source = "pattern:320x240@60".parse().unwrap();
    let mut sensor = sensor::open(&source, Wanted::HD, Clock::new(Instant::now()), &Decoding::Here).unwrap();
    assert_eq!((sensor.size(), sensor.name()), (wanted(320, 240, 60).unwrap().size, "test pattern, 320x240 at 60 fps"));
    let mut converter = Converter::new();
    let mut picture = Picture::black(sensor.size(), Color::default());
    let mut numbers = Vec::new();
    for _ in 0..10 {
        converter.convert(&sensor.next().unwrap(), &mut picture).unwrap();
        numbers.push(read_counter(&picture).unwrap());
    }
    assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
    let passed = u64::from(numbers.last().unwrap() - numbers.first().unwrap());
    assert_eq!(passed - 9, sensor.losses().skipped - u64::from(numbers[0]), "what is missing is what was skipped");
}

#[test]
fn the_built_in_clip_can_be_converted_and_encoded_again() {
    let mut sensor =
        sensor::open(&Source::Clip(None), Wanted::HD, Clock::new(Instant::now()), &Decoding::Here).unwrap();
    let wanted = Wanted { size: sensor.size(), rate: sensor.rate() };
    let mut encoder = encoder(wanted, 3000).unwrap();
    let mut converter = Converter::new();
    let mut picture = Picture::black(wanted.size, Color::default());
    for index in 0..5 {
        converter.convert(&sensor.next().unwrap(), &mut picture).unwrap();
        assert_eq!(picture.size(), wanted.size);
        encoder.encode(&picture, MediaTime::from_ticks(index * 3003), Kind::Delta).unwrap();
    }
}
