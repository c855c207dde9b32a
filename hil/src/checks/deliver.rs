//! How well does the board deliver?

use super::bench::{Bench, Stop, wanted};
use super::seen::{Seen, percentile};
use crate::wire::{Answer, Ask};
use doorframe_hil_report::{Figure, Series};
use std::time::Instant;

/// Frames come at the rate, and none is lost, for as long as is wished.
pub(super) fn frame_rate(bench: &mut Bench<'_>) -> Result<(), Stop> {
    let mut camera = bench.open(wanted(640, 480, 30)?)?;
    let before = skipped(bench)?;
    // What is queued up while a stream starts is no measure of it.
    let start = Seen::frames(&mut *camera, bench.clock, 5);
    if let Some(error) = start.end {
        return Err(error.into());
    }
    let (clock, until) = (bench.clock, bench.clock.now() + bench.settings.lasting);
    let seen = Seen::watch(&mut *camera, clock, |_, now| now >= until);
    let asked = f64::from(camera.rate().as_f32());
    let rate = seen.rate();
    let intervals = seen.intervals();
    bench.figure(Figure::new("rate", rate, "fps").at_least(0.95 * asked));
    bench.figure(Figure::new("interval p50", percentile(&intervals, 50), "ms"));
    bench.figure(Figure::new("interval p99", percentile(&intervals, 99), "ms"));
    bench.figure(Figure::new("frames", seen.captured.len() as f64, ""));
    let tolerated = (seen.captured.len() * bench.settings.tolerated as usize).div_ceil(1000);
    // Of a bus that took nothing for a while, a virtual board knows; the emulator is to blame.
    let left_out = skipped(bench)? - before;
    bench.figure(Figure::new("left out by the board", left_out as f64, "frames"));
    for figure in seen.missing_figures((tolerated as u64 + left_out) as f64) {
        bench.figure(figure);
    }
    bench.figure(Figure::new("times corrected", seen.losses.mistimed as f64, ""));
    bench.series(Series::trace("interval", "ms", intervals));
    bench.series(Series::moments("drops", seen.lasted().as_secs_f64(), seen.drops()));
    match seen.end {
        Some(error) => Err(error.into()),
        None if seen.captured.is_empty() => Err(Stop::Failed("no frames came".to_owned())),
        None => Ok(()),
    }
}

/// From the wish to see to the first frame, five times.
pub(super) fn first_frame(bench: &mut Bench<'_>) -> Result<(), Stop> {
    const TIMES: usize = 5;
    let mut took = Vec::with_capacity(TIMES);
    for _ in 0..TIMES {
        bench.camera()?;
        let started = Instant::now();
        let mut camera = bench.open(wanted(640, 480, 30)?)?;
        camera.next()?;
        took.push(started.elapsed().as_secs_f64() * 1e3);
    }
    bench.figure(Figure::new("p50", percentile(&took, 50), "ms").at_most(2000.0));
    bench.figure(Figure::new("longest", percentile(&took, 100), "ms").at_most(3000.0));
    bench.series(Series::spread("first frame", "ms", took));
    Ok(())
}

/// Frames that the board left out so far because its bus took nothing; 0 of a board that does not tell.
fn skipped(bench: &mut Bench<'_>) -> Result<u64, Stop> {
    match bench.ask(&Ask::Count) {
        Ok(Answer::Counted { skipped, .. }) => Ok(skipped),
        Ok(_) | Err(Stop::Lacks(_)) => Ok(0),
        Err(stop) => Err(stop),
    }
}
