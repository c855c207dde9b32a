//! What goes wrong with a board, and what the program must do then.

use super::bench::{Bench, Stop, wanted};
use super::replug::gone;
use super::seen::Seen;
use crate::wire::{Answer, Ask};
use doorframe_hil_report::Figure;
use std::time::Duration;

/// A fault of a board.
pub(super) struct Fault {
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    /// As the virtual board reads it.
    plan: &'static str,
    expect: Expect,
}

/// What the program must do about it.
enum Expect {
    /// It says that the camera is gone.
    Gone,
    /// It says that the camera is gone, and a camera that is opened again goes on.
    GoneAndBack,
    /// It goes on, and all frames come but at most so many, at least so many of which must be missing.
    Goes { least: u64, most: u64 },
    /// Nothing is lost, and this long nothing comes.
    Pauses(Duration),
    /// It starts the stream again by itself, and goes on.
    Restarts,
    /// The first frame comes so much later.
    Later(Duration),
}

/// As uvcvideo of Linux 6.1 and 6.12 takes them, and what that leaves to the program.
pub(super) const ALL: &[Fault] = &[
    fault(
        "fault-unplug",
        "a board that vanishes in the middle of a frame is said to be gone",
        r#"fault = [{ when = { frame = 20 }, what = "unplug" }]"#,
        Expect::Gone,
    ),
    fault(
        "fault-brown-out",
        "a board that loses its power for a moment is said to be gone, and works again",
        r#"fault = [{ when = { frame = 20 }, what = { brown-out = { ms = 800 } } }]"#,
        Expect::GoneAndBack,
    ),
    fault(
        "fault-stall",
        "a stream that stalls is started again",
        r#"fault = [{ when = { frame = 20 }, what = "stall" }]"#,
        Expect::Restarts,
    ),
    fault(
        "fault-error-bit",
        "a frame that the camera says is bad is left out",
        r#"fault = [{ when = { frame = 20 }, what = "error-bit" }]"#,
        Expect::Goes { least: 1, most: 2 },
    ),
    fault(
        "fault-bad-header",
        "a frame whose headers lie is left out",
        r#"fault = [{ when = { frame = 20 }, what = "bad-header" }]"#,
        Expect::Goes { least: 1, most: 2 },
    ),
    fault(
        "fault-short-frame",
        "a frame that is cut short is left out",
        r#"fault = [{ when = { frame = 20 }, what = "short-frame" }]"#,
        Expect::Goes { least: 1, most: 2 },
    ),
    fault(
        "fault-missing-eof",
        "a frame that does not say that it ends is still a frame",
        r#"fault = [{ when = { frame = 20 }, what = "missing-eof" }]"#,
        Expect::Goes { least: 0, most: 1 },
    ),
    fault(
        "fault-clock-jump",
        "a clock that jumps in the camera changes nothing",
        r#"fault = [{ when = { frame = 20 }, what = { clock-jump = { ms = 10000 } } }]"#,
        Expect::Goes { least: 0, most: 0 },
    ),
    fault(
        "fault-freeze",
        "a camera that freezes for two seconds is waited for",
        r#"fault = [{ when = { frame = 20 }, what = { freeze = { ms = 2000 } } }]"#,
        Expect::Pauses(Duration::from_millis(2000)),
    ),
    fault(
        "fault-long-freeze",
        "a camera that freezes for longer is started again, and goes on",
        r#"fault = [{ when = { frame = 20 }, what = { freeze = { ms = 4000 } } }]"#,
        Expect::Restarts,
    ),
    fault(
        "fault-slow-start",
        "a camera that starts slowly is waited for",
        r#"fault = [{ when = { event = "stream-start" }, what = { slow-start = { ms = 2000 } } }]"#,
        Expect::Later(Duration::from_millis(2000)),
    ),
    fault(
        "fault-iso-errors",
        "a frame that lost packets on the bus is left out",
        r#"fault = [{ when = { frame = 20 }, what = "iso-errors" }]"#,
        Expect::Goes { least: 1, most: 3 },
    ),
];

const fn fault(name: &'static str, about: &'static str, plan: &'static str, expect: Expect) -> Fault {
    Fault { name, about, plan, expect }
}

/// Frames to look at: the fault comes with the 20th.
const FRAMES: usize = 45;
/// Longest to look, where a fault ends the stream.
const PATIENCE: Duration = Duration::from_secs(15);

/// A new board that has this fault, and what comes of it.
pub(super) fn check(bench: &mut Bench<'_>, fault: &Fault) -> Result<(), Stop> {
    // Who cannot count a board's faults cannot make them either: it keeps its place.
    bench.ask(&Ask::Count)?;
    bench.fresh(fault.plan)?;
    let asked = bench.clock.now();
    let mut camera = bench.open(wanted(320, 240, 30)?)?;
    let until = asked + PATIENCE;
    let seen = Seen::watch(&mut *camera, bench.clock, |seen, now| seen.captured.len() >= FRAMES || now >= until);
    for figure in seen.missing_figures(f64::INFINITY) {
        bench.figure(Figure { limit: None, ..figure });
    }
    let intervals = seen.intervals();
    let longest = intervals.iter().copied().fold(0.0, f64::max);
    bench.figure(Figure::new("longest interval", longest, "ms"));
    bench.figure(Figure::new("started again", seen.losses.restarts as f64, "times"));
    bench.figure(Figure::new("frames", seen.captured.len() as f64, ""));
    let Answer::Counted { skipped, faults } = bench.ask(&Ask::Count)? else { return Ok(()) };
    bench.figure(Figure::new("left out by the board", skipped as f64, "frames"));
    bench.figure(Figure::new("faults fired", faults as f64, "").at_least(1.0));
    if seen.captured.windows(2).any(|pair| pair.first() >= pair.last()) {
        return Err(Stop::Failed("capture times do not grow".to_owned()));
    }
    match fault.expect {
        Expect::Gone => gone(seen.end),
        Expect::GoneAndBack => {
            gone(seen.end)?;
            drop(camera);
            let mut camera = bench.open(wanted(320, 240, 30)?)?;
            goes_on(Seen::frames(&mut *camera, bench.clock, 10)).map(drop)
        }
        Expect::Goes { least, most } => {
            let lasted = seen.captured.len();
            let lost = goes_on(seen)?;
            // Of a bus that took nothing for a while, the board knows.
            let most = most + skipped + (lasted as u64 * u64::from(bench.settings.tolerated)).div_ceil(1000);
            bench.figure(Figure::new("frames lost", lost as f64, "").at_most(most as f64));
            bench.figure(Figure::new("frames that must be lost", lost as f64, "").at_least(least as f64));
            Ok(())
        }
        Expect::Pauses(pause) => {
            let restarts = seen.losses.restarts;
            goes_on(seen)?;
            bench.figure(Figure::new("pause", longest, "ms").at_least(0.9 * pause.as_secs_f64() * 1e3));
            bench.figure(Figure::new("restarts", restarts as f64, "times").at_most(0.0));
            Ok(())
        }
        Expect::Restarts => {
            let restarts = seen.losses.restarts;
            goes_on(seen)?;
            bench.figure(Figure::new("restarts", restarts as f64, "times").at_least(1.0));
            Ok(())
        }
        Expect::Later(later) => {
            let first = seen.captured.first().map(|first| first.since(asked)).unwrap_or_default();
            goes_on(seen)?;
            bench.figure(
                Figure::new("first frame", first.as_secs_f64() * 1e3, "ms").at_least(0.9 * later.as_secs_f64() * 1e3),
            );
            Ok(())
        }
    }
}

/// That frames came to the end; how many are missing.
fn goes_on(seen: Seen) -> Result<u64, Stop> {
    let lost = seen.lost();
    match seen.end {
        Some(error) => Err(error.into()),
        None if seen.captured.len() < 10 => {
            Err(Stop::Failed(format!("{} frames came, and no more", seen.captured.len())))
        }
        None => Ok(lost),
    }
}
