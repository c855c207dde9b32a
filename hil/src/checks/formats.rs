//! Does the board do what it says it can do?

use super::bench::{Bench, Stop};
use super::seen::Seen;
use doorframe::sensor::v4l2::{Camera, CodedCamera, Mode};
use doorframe::sensor::{CodedSensor as _, Sensor as _, Wanted};
use doorframe_codec::units::{FrameRate, Uptime};
use doorframe_hil_report::Figure;
use std::path::Path;
use std::time::Duration;

/// What may be wrong with a rate: cameras' own clocks are better than this, and a busy machine is not.
const RATE: f64 = 0.15;
/// Least time and least frames to look at a rate.
const LOOK: (Duration, usize) = (Duration::from_millis(500), 5);
/// The same where it seemed wrong: one frame that came late on a busy machine does not change a rate over that time.
const LOOK_AGAIN: (Duration, usize) = (Duration::from_secs(3), 15);

/// Every mode and every rate gives frames of that size, at that rate.
pub(super) fn check(bench: &mut Bench<'_>) -> Result<(), Stop> {
    let camera = bench.camera()?;
    let mut tried = 0;
    let mut worst = 0_f64;
    let mut wrong = Vec::new();
    for mode in &camera.modes {
        if mode.fourcc.format().is_none() && !mode.fourcc.is_h264() {
            continue;
        }
        for &rate in &mode.rates {
            tried += 1;
            let off = |came: f64| came / f64::from(rate.as_f32()) - 1.0;
            let first = delivered(bench, &camera.path, mode, rate, LOOK);
            let came = match first {
                Ok(came) if off(came).abs() > RATE => delivered(bench, &camera.path, mode, rate, LOOK_AGAIN),
                first => first,
            };
            match came {
                Ok(came) => {
                    let off = off(came);
                    worst = worst.max(off.abs());
                    if off.abs() > RATE {
                        wrong.push(format!("{} {} at {rate} comes at {came:.1}", mode.fourcc, mode.size));
                    }
                }
                Err(why) => wrong.push(format!("{} {} at {rate}: {why}", mode.fourcc, mode.size)),
            }
        }
    }
    bench.figure(Figure::new("modes and rates", f64::from(tried), "").at_least(1.0));
    bench.figure(Figure::new("worst rate is off by", 100.0 * worst, "%"));
    if wrong.is_empty() { Ok(()) } else { Err(Stop::Failed(wrong.join("; "))) }
}

/// The rate at which frames came.
fn delivered(
    bench: &Bench<'_>,
    path: &Path,
    mode: &Mode,
    rate: FrameRate,
    look: (Duration, usize),
) -> Result<f64, String> {
    let wanted = Wanted { size: mode.size, rate };
    if mode.fourcc.is_h264() {
        return coded(bench, path, wanted, look);
    }
    let said = |error: &dyn std::error::Error| error.to_string();
    let mut camera = Camera::open_as(path, mode.fourcc, wanted, bench.clock).map_err(|error| said(&error))?;
    if camera.size() != mode.size || camera.rate() != rate {
        return Err(format!("it gives {} at {} instead", camera.size(), camera.rate()));
    }
    // The frames are not looked at, but for the first and the last: decoding all of them may be slower than the camera.
    let first = Seen::frames(&mut camera, bench.clock, 1);
    let mut frames = 0;
    loop {
        match camera.next() {
            Ok(frame) => {
                frames += 1;
                let started = first.captured.first().copied().unwrap_or_default();
                if frames >= look.1 && frame.captured().since(started) >= look.0 {
                    break;
                }
            }
            Err(error) => return Err(said(&error)),
        }
    }
    let last = Seen::frames(&mut camera, bench.clock, 1);
    if let Some(error) = first.end.or(last.end) {
        return Err(said(&error));
    }
    let losses = camera.losses();
    let ends = (first.captured.first(), last.captured.first());
    let (Some(&from), Some(&to)) = ends else { return Err("it gives no frames".to_owned()) };
    let came = match (first.numbers.first().copied().flatten(), last.numbers.first().copied().flatten()) {
        (Some(first), Some(last)) if last > first => f64::from(last - first),
        _ => frames as f64 + 1.0 + (losses.skipped + losses.missing) as f64,
    };
    Ok(came / to.since(from).as_secs_f64().max(f64::MIN_POSITIVE))
}

/// The same of a camera that codes its pictures itself.
fn coded(bench: &Bench<'_>, path: &Path, wanted: Wanted, look: (Duration, usize)) -> Result<f64, String> {
    let mut camera = CodedCamera::open(path, wanted, bench.clock).map_err(|error| error.to_string())?;
    if camera.size() != wanted.size {
        return Err(format!("it gives {} instead", camera.size()));
    }
    let mut captured: Vec<Uptime> = Vec::new();
    loop {
        captured.push(camera.next().map_err(|error| error.to_string())?.captured);
        if let (Some(first), Some(last)) = (captured.first(), captured.last()) {
            let lasted = last.since(*first);
            if captured.len() > look.1 && lasted >= look.0 {
                let lost = camera.losses().missing as f64;
                return Ok((captured.len() as f64 - 1.0 + lost) / lasted.as_secs_f64().max(f64::MIN_POSITIVE));
            }
        }
    }
}
