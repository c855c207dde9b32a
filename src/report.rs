//! Measurements: what is counted while it runs, and the report at the end.

use doorframe_codec::Picture;
use doorframe_codec::units::MediaTime;
use hdrhistogram::Histogram;
use serde::Serialize;
use std::collections::VecDeque;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Times of one step, to the microsecond, up to a minute, in a fixed amount of memory.
#[derive(Clone)]
pub struct Times(Option<Histogram<u64>>);

impl Default for Times {
    fn default() -> Self {
        Self(Histogram::new_with_bounds(1, 60_000_000, 3).ok())
    }
}

impl Times {
    /// Adds one.
    pub fn record(&mut self, time: Duration) {
        if let Some(histogram) = &mut self.0 {
            histogram.saturating_record(u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
        }
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.0.as_ref().map_or(0, Histogram::len)
    }

    /// Median and 99th percentile; `None` if there are none.
    pub fn percentiles(&self) -> Option<Percentiles> {
        let histogram = self.0.as_ref().filter(|h| !h.is_empty())?;
        let ms = |q| histogram.value_at_quantile(q) as f64 / 1000.0;
        Some(Percentiles { p50: ms(0.50), p99: ms(0.99), max: histogram.max() as f64 / 1000.0 })
    }
}

impl fmt::Debug for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.percentiles(), f)
    }
}

/// Milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Percentiles {
    /// Median.
    pub p50: f64,
    /// 99th percentile.
    pub p99: f64,
    /// Longest.
    pub max: f64,
}

/// What a camera counts.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct CameraStats {
    /// Frames that came from the sensor.
    pub frames_captured: u64,
    /// Frames that did not convert.
    pub frames_damaged: u64,
    /// Frames left out because the link was full.
    pub frames_skipped: u64,
    /// Units of a source that codes its pictures itself, left out because the keyframe they wait for had not come.
    pub frames_waiting: u64,
    /// Frames that the sensor passed over because we were late.
    pub skipped_by_sensor: u64,
    /// Frames encoded, sealed and published.
    pub frames_sealed: u64,
    /// Of these, keyframes.
    pub keyframes: u64,
    /// Bytes of all objects.
    pub bytes_sealed: u64,
    /// What the encoder aims for now.
    pub target_bps: u32,
    /// Times that something began to move.
    pub motion_events: u64,
    /// Times that somebody rang and viewers were told.
    pub doorbells: u64,
    /// Events that their epoch's object had no room for.
    pub events_left_out: u64,
    /// Device lists and rotations that came and were taken.
    pub lists_taken: u64,
    /// Those that were refused: rolled back, forked, forged or a stranger's.
    pub lists_refused: u64,
    /// Capture to encoder: hand-over, conversion, and the four steps below.
    pub convert: Times,
    /// Painting the mask.
    pub mask: Times,
    /// Looking for motion.
    pub motion: Times,
    /// Taking the noise out, of those pictures of which it was taken.
    pub denoise: Times,
    /// Drawing the clock.
    pub clock: Times,
    /// In the encoder.
    pub encode: Times,
    /// Sealing and handing over to the network.
    pub seal: Times,
    /// What the hub has not confirmed.
    pub spool: SpoolStats,
}

/// Epochs that a camera keeps for a hub that is away. All but the first four only ever go up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SpoolStats {
    /// Epochs in memory that the hub has not confirmed yet.
    pub in_memory: usize,
    /// Epochs on the disk.
    pub on_disk: usize,
    /// Their bytes.
    pub on_disk_bytes: u64,
    /// How long they last.
    pub on_disk_time: Duration,
    /// Epochs that the hub has confirmed.
    pub confirmed: u64,
    /// Of these, those that had been on the disk, or were sent a second time.
    pub delivered: u64,
    /// Epochs let go from the disk for room, the oldest first.
    pub dropped: u64,
    /// Epochs that were neither confirmed nor written: there is no disk, or it did not take them in time.
    pub lost: u64,
    /// Files that were not what was written.
    pub damaged: u64,
    /// Files that a crash had left half written, gone since the start.
    pub swept: u64,
    /// Times that the disk failed.
    pub failures: u64,
}

/// What a viewer counts.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ViewerStats {
    /// Pictures decoded.
    pub frames_shown: u64,
    /// Of these, keyframes.
    pub keyframes: u64,
    /// Objects that were sealed and never came, by the camera's own signed count.
    pub lost: u64,
    /// Units that came but could not be decoded.
    pub undecoded: u64,
    /// Objects and records dropped as bad.
    pub dropped: u64,
    /// Of these, what an honest camera and an honest hub never send ([`Drops::untrue`](doorframe_transport::drops::Drops::untrue)).
    pub untrue: u64,
    /// Alarms raised.
    pub alarms: u64,
    /// Epochs that never came whole with their closing: what was shown of them is authentic, but maybe not all.
    pub epochs_unproved: u64,
    /// Bytes of all objects that came.
    pub bytes: u64,
    /// Sealed to received: publish, relay, subscribe.
    pub network: Times,
    /// Received to opened: waiting, checking, opening.
    pub open: Times,
    /// In the decoder.
    pub decode: Times,
    /// Capture to decoded picture.
    pub capture_to_picture: Times,
    /// Start of watching to the first picture.
    pub first_picture: Option<Duration>,
    /// Sum and count of luma PSNR against what the encoder was given.
    pub psnr: (f64, u64),
}

/// The file that `--report` writes.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Frames that came from the sensor; null where it is another program's.
    pub frames_captured: Option<u64>,
    /// Frames left out because the link was full; null likewise.
    pub frames_skipped: Option<u64>,
    /// Times that something began to move before the camera; null where it is another program's.
    pub motion_events: Option<u64>,
    /// Pictures decoded.
    pub frames_shown: u64,
    /// Objects that were sealed and never came.
    pub lost: u64,
    /// Keyframes shown.
    pub keyframes: u64,
    /// Bytes of all objects: sealed, or received where the camera is another program's.
    pub bytes_sealed: u64,
    /// Objects and records dropped as bad.
    pub dropped: u64,
    /// Alarms raised.
    pub alarms: u64,
    /// Epochs that never came whole with their closing.
    pub epochs_unproved: u64,
    /// Units that could not be decoded.
    pub undecoded: u64,
    /// Times by step, in ms.
    pub latency_ms: LatencyReport,
    /// Start of watching to the first picture, in ms.
    pub first_picture_ms: Option<f64>,
    /// Mean luma PSNR against what the encoder was given, in dB; null without it.
    pub psnr_y_db: Option<f64>,
    /// Seconds it ran.
    pub seconds: f64,
    /// CPU seconds this program used, user and system.
    pub cpu_seconds: Option<f64>,
    /// Resident memory at the end, in MB.
    pub rss_mb: Option<f64>,
}

/// Times by step, in ms.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct LatencyReport {
    /// Capture to encoder: hand-over, conversion, and the four steps below. Null for a step that was not done.
    pub convert: Option<Percentiles>,
    /// Painting the mask.
    pub mask: Option<Percentiles>,
    /// Looking for motion.
    pub motion: Option<Percentiles>,
    /// Taking the noise out.
    pub denoise: Option<Percentiles>,
    /// Drawing the clock.
    pub clock: Option<Percentiles>,
    /// In the encoder.
    pub encode: Option<Percentiles>,
    /// Sealing and handing over to the network.
    pub seal: Option<Percentiles>,
    /// Sealed to received.
    pub network: Option<Percentiles>,
    /// Received to opened.
    pub open: Option<Percentiles>,
    /// In the decoder.
    pub decode: Option<Percentiles>,
    /// Capture to decoded picture.
    pub capture_to_picture: Option<Percentiles>,
}

impl Report {
    /// Puts both sides together.
    pub fn new(camera: Option<&CameraStats>, viewer: &ViewerStats, ran: Duration) -> Self {
        let (sum, count) = viewer.psnr;
        let usage = Usage::now();
        Self {
            frames_captured: camera.map(|c| c.frames_captured),
            frames_skipped: camera.map(|c| c.frames_skipped),
            motion_events: camera.map(|c| c.motion_events),
            frames_shown: viewer.frames_shown,
            lost: viewer.lost,
            keyframes: viewer.keyframes,
            bytes_sealed: camera.map_or(viewer.bytes, |c| c.bytes_sealed),
            dropped: viewer.dropped,
            alarms: viewer.alarms,
            epochs_unproved: viewer.epochs_unproved,
            undecoded: viewer.undecoded,
            latency_ms: LatencyReport {
                convert: camera.and_then(|c| c.convert.percentiles()),
                mask: camera.and_then(|c| c.mask.percentiles()),
                motion: camera.and_then(|c| c.motion.percentiles()),
                denoise: camera.and_then(|c| c.denoise.percentiles()),
                clock: camera.and_then(|c| c.clock.percentiles()),
                encode: camera.and_then(|c| c.encode.percentiles()),
                seal: camera.and_then(|c| c.seal.percentiles()),
                network: viewer.network.percentiles(),
                open: viewer.open.percentiles(),
                decode: viewer.decode.percentiles(),
                capture_to_picture: viewer.capture_to_picture.percentiles(),
            },
            first_picture_ms: viewer.first_picture.map(|d| d.as_secs_f64() * 1000.0),
            psnr_y_db: (count > 0).then(|| sum / count as f64),
            seconds: ran.as_secs_f64(),
            cpu_seconds: usage.as_ref().map(|u| u.cpu_seconds),
            rss_mb: usage.as_ref().map(|u| u.rss_mb),
        }
    }
}

/// What the system says of this process.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Usage {
    /// User and system time, in s.
    pub cpu_seconds: f64,
    /// Resident memory, in MB.
    pub rss_mb: f64,
}

impl Usage {
    /// Now; `None` on systems without `/proc`.
    pub fn now() -> Option<Self> {
        let status = std::fs::read_to_string("/proc/self/status").ok()?;
        let kb = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        let kb: f64 = kb.trim().trim_end_matches("kB").trim().parse().ok()?;
        let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
        // The name, in brackets, may hold spaces; fields 14 and 15 are counted after it (proc(5)), in ticks of 1/100 s.
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let ticks = fields.get(11)?.parse::<f64>().ok()? + fields.get(12)?.parse::<f64>().ok()?;
        Some(Self { cpu_seconds: ticks / 100.0, rss_mb: kb / 1024.0 })
    }
}

/// Source pictures kept to compare decoded ones with: every tenth, some seconds of them.
#[derive(Debug, Default)]
pub struct References(Mutex<(u64, VecDeque<(MediaTime, Picture)>)>);

impl References {
    const EVERY: u64 = 10;
    const KEPT: usize = 16;

    /// Keeps a copy of every tenth picture offered.
    pub fn offer(&self, at: MediaTime, picture: &Picture) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.0 += 1;
        if kept.0 % Self::EVERY == 1 {
            // The oldest one's memory serves again.
            let reused = if kept.1.len() >= Self::KEPT { kept.1.pop_front() } else { None };
            let copy = match reused {
                Some((_, mut old)) => {
                    old.reshape(picture.size(), picture.color());
                    old.planes_mut().into_iter().zip(picture.planes()).for_each(|(to, from)| to.copy_from_slice(from));
                    old
                }
                None => picture.clone(),
            };
            kept.1.push_back((at, copy));
        }
    }

    /// PSNR of `picture` against the source of the same time, if that was kept.
    pub fn psnr_y(&self, at: MediaTime, picture: &Picture) -> Option<f64> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.1.iter().find(|(time, _)| *time == at).and_then(|(_, source)| picture.psnr_y(source))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_says_what_was_measured() {
        let mut viewer = ViewerStats { frames_shown: 2, psnr: (80.0, 2), ..ViewerStats::default() };
        [1, 2, 3].iter().for_each(|ms| viewer.decode.record(Duration::from_millis(*ms)));
        let report = Report::new(None, &viewer, Duration::from_secs(1));
        assert_eq!(report.psnr_y_db, Some(40.0));
        let decode = report.latency_ms.decode.unwrap();
        assert!((decode.p50 - 2.0).abs() < 0.01, "{decode:?}");
        assert_eq!(report.latency_ms.encode, None);
        assert!(serde_json::to_string(&report).unwrap().contains("\"frames_captured\":null"));
    }
}
