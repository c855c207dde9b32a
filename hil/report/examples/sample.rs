//! Writes a made-up report as it looks in each form: `cargo run -p doorframe-hil-report --example sample -- FOLDER`.

use doorframe_hil_report::{Baseline, Figure, Outcome, Report, Series, html, junit, table};
use std::error::Error;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

fn main() -> Result<(), Box<dyn Error>> {
    let folder: PathBuf = std::env::args_os().nth(1).ok_or("name a folder")?.into();
    let runs: Vec<_> = (1..=5).map(good).collect();
    let baseline = Baseline::accept(&runs)?;
    let report = bad();
    let judged = baseline.judge(&report);
    print!("{}", table::render(&report, &judged, 110));
    for (name, text) in [
        ("bad.html", html::render(&report, &judged)),
        ("good.html", html::render(&good(7), &baseline.judge(&good(7)))),
        ("bad.xml", junit::render(&report)?),
        ("bad.json", serde_json::to_string_pretty(&report)?),
    ] {
        std::fs::write(folder.join(name), text)?;
    }
    Ok(())
}

/// Numbers without a pattern that are the same each time.
fn noise(seed: u64, count: usize) -> impl Iterator<Item = f64> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    std::iter::repeat_with(move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as f64 / (1_u64 << 53) as f64
    })
    .take(count)
}

fn good(seed: u64) -> Report {
    let jitter = noise(seed, 1).sum::<f64>();
    let mut report =
        Report::new("porch", "doorframe-hil 0.1.0", SystemTime::UNIX_EPOCH + Duration::from_secs(1_790_000_000));
    report.outcomes = vec![
        Outcome::passed("listed", Duration::from_millis(120)),
        Outcome::passed("frame-rate", Duration::from_millis(10_200))
            .with(Figure::new("rate", 29.97 + jitter / 50.0, "fps").at_least(29.0))
            .with(Figure::new("interval p99", 34.6 + jitter, "ms").at_most(50.0))
            .with(Figure::new("dropped", 0.0, "frames").at_most(3.0))
            .with_series(Series::trace("frame interval", "ms", noise(seed, 300).map(|x| 32.8 + x).collect()))
            .with_series(Series::moments("drops", 10.0, Vec::new())),
        Outcome::passed("glass-to-glass", Duration::from_millis(41_000))
            .with(Figure::new("p50", 92.0 + jitter * 2.0, "ms").at_most(150.0))
            .with(Figure::new("p95", 109.0 + jitter * 2.0, "ms").at_most(200.0))
            .with_series(Series::spread(
                "glass to glass",
                "ms",
                noise(seed, 120).zip(noise(seed + 9, 120)).map(|(a, b)| 78.0 + 33.0 * a + 6.0 * b * b).collect(),
            )),
        Outcome::not_run("temperature", "the board has no sensor that can be read"),
    ];
    report
}

fn bad() -> Report {
    let mut report = good(3);
    report.outcomes.truncate(1);
    let interval = |(index, x): (usize, f64)| if index % 97 == 50 { 66.6 + x } else { 32.8 + x };
    report.outcomes.extend([
        Outcome::passed("frame-rate", Duration::from_millis(10_200))
            .with(Figure::new("rate", 29.4, "fps").at_least(29.0))
            .with(Figure::new("interval p99", 66.9, "ms").at_most(50.0))
            .with(Figure::new("dropped", 3.0, "frames").at_most(3.0))
            .with_series(Series::trace("frame interval", "ms", noise(3, 300).enumerate().map(interval).collect()))
            .with_series(Series::moments("drops", 10.0, vec![1.67, 4.9, 8.1])),
        good(3).outcomes.swap_remove(2).with(Figure::new("rig's own delay", 0.12, "ms").at_most(0.5)),
        Outcome::failed(
            "fault-unplug",
            Duration::from_millis(5_300),
            "the camera came back after 6.1 s, not within 5 s",
        )
        .with_plan("seed = 7\n\n[[fault]]\nat = { frame = 30 }\nkind = \"unplug\"\nfor-ms = 600\n")
        .with_attachment("fault-unplug/bus.pcap")
        .with_attachment("fault-unplug/kernel.log"),
        Outcome::not_run("temperature", "the board has no sensor that can be read"),
    ]);
    report
}
