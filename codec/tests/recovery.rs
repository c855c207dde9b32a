//! Recovery from a loss without a keyframe, judged by a foreign decoder: openh264's own loses track of long-term
//! references. Needs `ffmpeg`; without it the test says so and looks at the encoder's side only.
#![cfg(feature = "h264")]
#![expect(clippy::unwrap_used, reason = "a test may fail")]

use doorframe_codec::access_unit::Kind;
use doorframe_codec::encoder::Config;
use doorframe_codec::h264::openh264::Openh264Encoder;
use doorframe_codec::testing::Scene;
use doorframe_codec::units::{Bitrate, Color, FrameRate, MediaTime, Size};
use doorframe_codec::{Encoder, Picture};
use std::io::{Read as _, Write as _};
use std::process::{Command, Stdio};

/// Pictures that arrive, then pictures that are lost; so many times.
const ARRIVE: u64 = 75;
const LOST: u64 = 4;
const ROUNDS: u64 = 4;

/// Decodes a byte stream with ffmpeg; `None` if there is none on this machine.
fn decode(stream: Vec<u8>, size: Size) -> Option<Vec<Picture>> {
    let arguments = ["-v", "error", "-f", "h264", "-i", "-", "-f", "rawvideo", "-fps_mode", "passthrough", "-"];
    let mut ffmpeg =
        Command::new("ffmpeg").args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().ok()?;
    let mut input = ffmpeg.stdin.take().unwrap();
    let writer = std::thread::spawn(move || input.write_all(&stream));
    let mut samples = Vec::new();
    ffmpeg.stdout.take().unwrap().read_to_end(&mut samples).unwrap();
    writer.join().unwrap().unwrap();
    assert!(ffmpeg.wait().unwrap().success());
    let pictures = samples.chunks_exact(Picture::bytes(size));
    Some(pictures.map(|samples| Picture::from_samples(size, Color::default(), samples.to_vec()).unwrap()).collect())
}

fn at(index: u64) -> MediaTime {
    MediaTime::from_ticks(index * MediaTime::HZ / 30)
}

#[test]
fn a_loss_is_recovered_from_by_a_delta_that_refers_to_what_arrived() {
    let size = Size::new(320, 176).unwrap();
    let scene = Scene::new(size, 13);
    for recovers in [true, false] {
        let mut config = Config::new(size, FrameRate::whole(30).unwrap(), Bitrate::from_kbps(600));
        config.recovery = true;
        let mut encoder = Openh264Encoder::new(config.check().unwrap()).unwrap();
        let (mut stream, mut arrived) = (Vec::new(), Vec::new());
        for index in 0..ROUNDS * (ARRIVE + LOST) {
            let unit = encoder.encode(&scene.picture(index), at(index), Kind::Delta).unwrap().unwrap();
            assert_eq!(unit.is_keyframe(), index == 0, "unit {index}");
            let place = index % (ARRIVE + LOST);
            if place < ARRIVE {
                encoder.acknowledge(unit.at);
                stream.extend_from_slice(&unit.data);
                arrived.push(index);
            } else if recovers && place == ARRIVE + LOST - 1 {
                encoder.recover(at(index - LOST)).unwrap();
            }
        }
        let Some(shown) = decode(stream, size) else {
            eprintln!("no ffmpeg here: what a receiver would show was not looked at");
            continue;
        };
        assert_eq!(shown.len(), arrived.len());
        let db = |(picture, index): (&Picture, &u64)| picture.psnr_y(&scene.picture(*index)).unwrap();
        let least = shown.iter().zip(&arrived).map(db).fold(f64::INFINITY, f64::min);
        // Without recovery the same loss shows, so the test can tell.
        assert_eq!(least > 33.0, recovers, "{least} dB");
    }
}
