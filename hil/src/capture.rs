//! How well a camera delivers.

use doorframe::sensor::{self, Clock, Decoding, Source, Wanted};
use doorframe_codec::units::Uptime;
use std::error::Error;
use std::time::{Duration, Instant};

/// Captures for `seconds` and says what came. Prints what is known while it runs, so that a failure tells how far it got.
pub(crate) fn capture(source: &str, seconds: u64, mode: &str) -> Result<String, Box<dyn Error>> {
    let source: Source = source.parse()?;
    let Ok(Source::Pattern(Some(wanted))) = format!("pattern:{mode}").parse() else {
        return Err(format!("'{mode}' is not WIDTHxHEIGHT@FPS, such as 1280x720@30").into());
    };
    run(&source, wanted, Duration::from_secs(seconds))
}

fn run(source: &Source, wanted: Wanted, long: Duration) -> Result<String, Box<dyn Error>> {
    let clock = Clock::new(Instant::now());
    let mut sensor = sensor::open(source, wanted, clock, &Decoding::Here)?;
    println!("{} (open after {} ms)", sensor.name(), clock.now().as_micros() / 1000);
    let mut seen = Seen::default();
    let mut end = None;
    let failed = loop {
        match sensor.next() {
            Ok(frame) => {
                let now = clock.now();
                let bytes = frame.planes().iter().map(|plane| plane.data.len() as u64).max();
                seen.frame(frame.captured(), now, bytes.unwrap_or_default());
                if now >= *end.get_or_insert(now + long) {
                    break None;
                }
            }
            Err(error) => break Some(error),
        }
    };
    let report = format!("{}\nlost: {:?}\n", seen.report(), sensor.losses());
    match failed {
        None => Ok(report),
        Some(error) => {
            print!("{report}");
            Err(error.into())
        }
    }
}

/// Times of the frames that came.
#[derive(Debug, Default)]
struct Seen {
    captured: Vec<Uptime>,
    ages: Vec<Duration>,
    bytes: u64,
}

impl Seen {
    fn frame(&mut self, captured: Uptime, now: Uptime, bytes: u64) {
        self.captured.push(captured);
        self.ages.push(now.since(captured));
        self.bytes += bytes;
    }

    fn report(&mut self) -> String {
        let (Some(first), Some(last)) = (self.captured.first(), self.captured.last()) else {
            return "no frames".to_owned();
        };
        let frames = self.captured.len();
        let took = last.since(*first).as_secs_f64().max(f64::MIN_POSITIVE);
        let mut steps: Vec<_> =
            self.captured.windows(2).filter_map(|two| Some(two.last()?.since(*two.first()?))).collect();
        let fps = steps.len() as f64 / took;
        let rate = self.bytes as f64 / 1e6 / took * steps.len() as f64 / frames as f64;
        format!(
            "{frames} frames, {fps:.2} fps, {rate:.1} MB/s; interval {}; age {}",
            spread(&mut steps),
            spread(&mut self.ages)
        )
    }
}

/// Median, 99th percentile and largest, in milliseconds.
fn spread(times: &mut [Duration]) -> String {
    times.sort();
    let at = |part: usize| {
        let time = times.get((times.len().saturating_sub(1)) * part / 100).copied().unwrap_or_default();
        time.as_secs_f64() * 1e3
    };
    format!("p50 {:.1} p99 {:.1} max {:.1} ms", at(50), at(99), at(100))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_steady_camera_is_reported_with_its_rate() {
        let mut seen = Seen::default();
        for index in 0..101 {
            let captured = Uptime::from_micros(40_000 * index);
            seen.frame(captured, captured + Duration::from_millis(2), 1000);
        }
        assert_eq!(
            seen.report(),
            "101 frames, 25.00 fps, 0.0 MB/s; interval p50 40.0 p99 40.0 max 40.0 ms; age p50 2.0 p99 2.0 max 2.0 ms"
        );
        assert_eq!(Seen::default().report(), "no frames");
    }
}
