//! Video that its source has coded itself, sealed as it is: camera, hub and viewer over real QUIC on loopback.

#![expect(clippy::unwrap_used, reason = "a test may fail")]

mod common;

use common::{PATIENCE, config, hub, stats, viewer, watch_link};
use doorframe::camera::{Camera, CameraConfig, Denoise};
use doorframe::codec::access_unit::Kind;
use doorframe::codec::denoise::Strength;
use doorframe::codec::encoder::Config;
use doorframe::codec::h264::openh264::Openh264Encoder;
use doorframe::codec::ingest::{Framing, Ingest};
use doorframe::codec::mask::{Mask, Polygon};
use doorframe::codec::units::{Bitrate, FrameRate, MediaTime, Size};
use doorframe::codec::{AccessUnit, Encoder};
use doorframe::encoder::EncoderChoice;
use doorframe::sensor::{BUILT_IN, Clock, Pattern, Wanted};
use doorframe::state::random32;
use doorframe::viewer::{Sink, Viewer};
use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

fn as_is(source: &str) -> CameraConfig {
    let mut config = config(source);
    config.encoder = EncoderChoice::AsIs;
    config
}

/// Keeps the access units that the owner sees.
#[derive(Clone, Default)]
struct Keep(Arc<Mutex<Vec<AccessUnit>>>);

impl Sink for Keep {
    fn unit(&mut self, unit: &AccessUnit) {
        self.0.lock().unwrap().push(unit.clone());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clip_is_sealed_as_it_is_and_decoded_by_its_owner() {
    let hub = hub();
    let link = hub.link().unwrap();
    let camera = Camera::start(as_is("clip"), link.clone(), Clock::new(Instant::now())).unwrap();
    let keep = Keep::default();
    let viewer = Viewer::start(&watch_link(&link), random32().unwrap(), Box::new(keep.clone()), None).unwrap();
    let seen = stats(&viewer, "three keyframes", |s| s.keyframes >= 3 && s.frames_shown > 100).await;
    assert_eq!((seen.lost, seen.dropped, seen.alarms, seen.undecoded), (0, 0, 0, 0), "{seen:?}");
    let sent = camera.stats();
    camera.stop().unwrap();
    assert_eq!(sent.encode.count(), 0, "nothing is encoded: {sent:?}");
    // A machine that is busy looks like a full link: then units are left out up to a keyframe, each of them counted.
    let left_out = sent.frames_skipped + sent.frames_waiting;
    assert!(sent.frames_captured - sent.frames_sealed - left_out <= 1, "{sent:?}");

    let mut ingest = Ingest::new(Framing::AnnexB);
    ingest.handle_buffer(BUILT_IN, MediaTime::default()).unwrap();
    let of_clip: HashSet<_> = std::iter::from_fn(|| ingest.poll_unit()).map(|unit| unit.data).collect();
    let units = keep.0.lock().unwrap().clone();
    assert!(units.len() > 100 && units.iter().all(|unit| of_clip.contains(&unit.data)), "not the clip's own units");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn av1_is_sealed_as_it_is_too() {
    let hub = hub();
    let link = hub.link().unwrap();
    let clip = concat!("clip:", env!("CARGO_MANIFEST_DIR"), "/fuzz/corpus/clip/four_units.ivf");
    let camera = Camera::start(as_is(clip), link.clone(), Clock::new(Instant::now())).unwrap();
    let viewer = viewer(&watch_link(&link));
    let seen = stats(&viewer, "pictures over an epoch's end", |s| s.frames_shown > 80).await;
    assert_eq!((seen.lost, seen.dropped, seen.undecoded), (0, 0, 0), "{seen:?}");
    camera.stop().unwrap();
}

/// A clip with one keyframe in so many pictures of 30 a second, as a file that goes when it is dropped.
struct OneKeyframe(PathBuf);

impl OneKeyframe {
    fn of(pictures: u32) -> Self {
        let wanted = Wanted { size: Size::new(160, 128).unwrap(), rate: FrameRate::whole(30).unwrap() };
        let config = Config::new(wanted.size, wanted.rate, Bitrate::from_kbps(300));
        let mut encoder = Openh264Encoder::new(config.check().unwrap()).unwrap();
        let mut bytes = Vec::new();
        for index in 0..pictures {
            let want = if index == 0 { Kind::Keyframe } else { Kind::Delta };
            let at = MediaTime::from_ticks(u64::from(index) * 3000);
            bytes.extend(encoder.encode(&Pattern::picture(wanted, index), at, want).unwrap().unwrap().data);
        }
        let path = std::env::temp_dir().join(format!("doorframe-{}-{pictures}.264", std::process::id()));
        std::fs::write(&path, bytes).unwrap();
        Self(path)
    }

    fn source(&self) -> String {
        format!("clip:{}", self.0.display())
    }
}

impl Drop for OneKeyframe {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_epoch_goes_on_until_the_sources_next_keyframe() {
    let clip = OneKeyframe::of(90);
    let hub = hub();
    let link = hub.link().unwrap();
    let camera = Camera::start(as_is(&clip.source()), link.clone(), Clock::new(Instant::now())).unwrap();
    let viewer = viewer(&watch_link(&link));
    // Keyframes at 0, 3 and 6 s: epochs 0, 1 and 3. The second is passed over and nothing is lost.
    let seen = stats(&viewer, "three keyframes", |s| s.keyframes >= 3 && s.frames_shown > 200).await;
    assert_eq!((seen.lost, seen.dropped, seen.alarms, seen.undecoded), (0, 0, 0, 0), "{seen:?}");
    assert_eq!(seen.epochs_unproved, 0, "what is passed over is not missing: {seen:?}");
    let sent = camera.stats();
    assert!(sent.frames_waiting == 0 || sent.frames_skipped > 0, "only a full link makes it wait: {sent:?}");
    camera.stop().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_is_destroyed_after_six_seconds_whatever_the_source_does() {
    let clip = OneKeyframe::of(240);
    let hub = hub();
    let camera = Camera::start(as_is(&clip.source()), hub.link().unwrap(), Clock::new(Instant::now())).unwrap();
    let started = Instant::now();
    while camera.stats().frames_waiting < 10 {
        assert!(started.elapsed() < PATIENCE, "{:?}", camera.stats());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let sent = camera.stats();
    let least = if sent.frames_skipped == 0 { 170 } else { 1 };
    assert!((least..=185).contains(&sent.frames_sealed), "six seconds of 30: {sent:?}");
    while camera.stats().keyframes < 2 {
        assert!(started.elapsed() < PATIENCE, "{:?}", camera.stats());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let waited = camera.stats().frames_waiting;
    assert!(waited >= 50, "the two seconds to the next keyframe: {waited}");
    camera.stop().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_sealed_as_it_is_is_refused_in_words() {
    let hub = hub();
    let refusal = async |config: CameraConfig| {
        let camera = Camera::start(config, hub.link().unwrap(), Clock::new(Instant::now())).unwrap();
        let started = Instant::now();
        while !camera.is_over() {
            assert!(started.elapsed() < PATIENCE);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        camera.stop().unwrap_err().to_string()
    };
    let mut masked = as_is("clip");
    let corners = vec![(0.0, 0.0), (0.5, 0.0), (0.5, 0.5)];
    masked.front.mask = Some(Mask::new(vec![Polygon::new(corners).unwrap()]).unwrap());
    let words = refusal(masked).await;
    assert!(words.starts_with("a mask needs frames, and clip gives video that is coded already"), "{words}");
    let mut denoised = as_is("clip");
    denoised.front.denoise = Denoise::On(Strength::default());
    let words = refusal(denoised).await;
    assert!(words.starts_with("denoising needs frames"), "{words}");
    let words = refusal(as_is("pattern")).await;
    assert_eq!(words, "pattern gives frames, nothing that is coded already: leave `--encoder as-is` out");
    let bframes = concat!("clip:", env!("CARGO_MANIFEST_DIR"), "/codec/testdata/bframes.h264");
    let words = refusal(as_is(bframes)).await;
    assert!(words.contains("turn B-frames off at the source"), "{words}");
}
