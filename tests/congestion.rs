//! The encoder follows the link: an uplink of 10 Mbit/s is cut to 1.5 Mbit/s for 15 s and given back.

#![expect(clippy::unwrap_used, reason = "a test may fail")]

mod common;

use common::shaper::{Shape, Shaper};
use common::{config, hub, stats, watch_link};
use doorframe::camera::Camera;
use doorframe::codec::Picture;
use doorframe::codec::units::{Bitrate, MediaTime};
use doorframe::sensor::Clock;
use doorframe::viewer::{Sink, Viewer};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const SEED: u64 = 7;
const FULL: u64 = 10_000_000;
const CUT: u64 = 1_500_000;

/// When each picture came and when it was captured, both from the same clock of this process.
#[derive(Clone)]
struct Arrivals(Arc<Mutex<Vec<(Duration, MediaTime)>>>, Instant);

impl Sink for Arrivals {
    fn picture(&mut self, _: &Picture, at: MediaTime) {
        self.0.lock().unwrap().push((self.1.elapsed(), at));
    }
}

/// Latencies of the pictures that came between two moments, sorted.
fn latencies(arrivals: &Arrivals, offset: Duration, from: Duration, to: Duration) -> Vec<Duration> {
    let arrivals = arrivals.0.lock().unwrap();
    let within = arrivals.iter().filter(|(came, _)| (from..to).contains(came));
    let mut latencies: Vec<_> = within.map(|(came, at)| came.saturating_sub(offset + at.as_duration())).collect();
    latencies.sort_unstable();
    latencies
}

fn quantile(sorted: &[Duration], q: f64) -> Duration {
    sorted[((sorted.len() - 1) as f64 * q) as usize]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cut_uplink_is_followed_down_and_up() {
    let hub = hub();
    let mut link = hub.link().unwrap();
    let watch = watch_link(&link);
    let shape = Shape {
        uplink_bps: AtomicU64::new(FULL),
        delay: Duration::from_millis(20),
        queue: 120_000,
        loss: 0,
        seed: SEED,
    };
    let shaper = Shaper::start(hub.address(), shape).await;
    link.dial.url.set_port(Some(shaper.address.port())).unwrap();

    let mut config = config("clip:assets/door_720p30.264");
    config.bitrate = Bitrate::from_kbps(2500);
    let started = Instant::now();
    let camera = Camera::start(config, link, Clock::new(started)).unwrap();
    let arrivals = Arrivals(Arc::default(), started);
    let viewer = Viewer::start(&watch, [1; 32], Box::new(arrivals.clone()), None).unwrap();
    stats(&viewer, "pictures", |s| s.frames_shown > 60).await;
    // Media time starts with the first frame; the smallest sum of all gives its offset to our clock but for the way itself.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let full = camera.stats().target_bps;
    let way = Duration::from_millis(30);
    let offset = {
        let arrivals = arrivals.0.lock().unwrap();
        arrivals.iter().map(|(came, at)| came.saturating_sub(at.as_duration())).min().unwrap().saturating_sub(way)
    };

    let cut = started.elapsed();
    shaper.set_uplink(CUT);
    let mut least = u32::MAX;
    for _ in 0..150 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        least = least.min(camera.stats().target_bps);
    }
    let given_back = started.elapsed();
    shaper.set_uplink(FULL);
    let mut recovered = None;
    for _ in 0..200 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        if camera.stats().target_bps >= full {
            recovered = Some(started.elapsed() - given_back);
            break;
        }
    }
    let starved = latencies(&arrivals, offset, cut, given_back);
    let (p50, p99) = (quantile(&starved, 0.5), quantile(&starved, 0.99));
    let counts = camera.stats();
    println!(
        "seed {SEED}: full {full} bit/s; in the cut: {} pictures of 450, p50 {p50:?}, p99 {p99:?}, worst {:?}, least target \
         {least} bit/s, {} frames skipped; full rate again after {recovered:?}; {:?}",
        starved.len(),
        starved[starved.len() - 1],
        counts.frames_skipped,
        viewer.stats().lost,
    );
    assert!(u64::from(least) < CUT, "the target never went below the link: {least} bit/s with seed {SEED}");
    assert!(least > 400_000, "the target fled the link: {least} bit/s with seed {SEED}");
    assert!(starved.len() > 225, "{} pictures in 15 s with seed {SEED}", starved.len());
    assert!(p99 < Duration::from_secs(1), "p99 {p99:?} in the cut with seed {SEED}");
    assert!(recovered.is_some_and(|r| r < Duration::from_secs(10)), "full rate after {recovered:?} with seed {SEED}");
    camera.stop().unwrap();
}
