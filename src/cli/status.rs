//! What a person sees while it runs: changes of state, and one line of figures that stays in place.

use doorframe::archive::WallEvent;
use doorframe::camera::{BellState, CameraState, MotionEvent, SpoolState, UplinkState};
use doorframe::codec::motion::Motion;
use doorframe::recorder::RecorderStats;
use doorframe::report::{CameraStats, Report, SpoolStats, ViewerStats};
use doorframe::transport::events::EventKind;
use doorframe::viewer::{Happened, ViewerState};
use doorframe::when;
use jiff::tz::TimeZone;
use std::io::{IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

/// One line that is written over where the output is a terminal, and not at all elsewhere.
pub(super) struct StatusLine {
    terminal: bool,
    shown: bool,
}

impl StatusLine {
    pub(super) fn new() -> Self {
        Self { terminal: std::io::stdout().is_terminal(), shown: false }
    }

    pub(super) fn show(&mut self, line: &str) {
        if self.terminal {
            print!("\r\x1b[2K  {line}");
            let _unwritable = std::io::stdout().flush();
            self.shown = true;
        }
    }

    /// A line that stays.
    pub(super) fn say(&mut self, line: &str) {
        if self.shown {
            print!("\r\x1b[2K");
            self.shown = false;
        }
        // Who closed the other end of the pipe does not want to read on; the work goes on.
        let _unread = writeln!(std::io::stdout(), "  {line}");
    }
}

impl Drop for StatusLine {
    fn drop(&mut self) {
        if self.shown {
            println!();
        }
    }
}

/// Rates between two looks at counters.
pub(super) struct Rates {
    at: Instant,
    frames: u64,
    bytes: u64,
}

impl Rates {
    pub(super) fn new() -> Self {
        Self { at: Instant::now(), frames: 0, bytes: 0 }
    }

    /// Frames a second and kbit/s since the last look.
    pub(super) fn look(&mut self, frames: u64, bytes: u64) -> (f64, f64) {
        let seconds = self.at.elapsed().as_secs_f64().max(0.001);
        let rates = (
            frames.saturating_sub(self.frames) as f64 / seconds,
            bytes.saturating_sub(self.bytes) as f64 * 8.0 / seconds / 1000.0,
        );
        *self = Self { at: Instant::now(), frames, bytes };
        rates
    }
}

pub(super) fn camera_line(rates: &mut Rates, stats: &CameraStats) -> String {
    let (fps, kbps) = rates.look(stats.frames_sealed, stats.bytes_sealed);
    let encode = stats.encode.percentiles().map_or(0.0, |p| p.p50);
    let motion =
        if stats.motion_events > 0 { format!("  motion {} times", stats.motion_events) } else { String::new() };
    let frames = stats.frames_sealed;
    format!("camera {fps:4.1} fps  {kbps:5.0} kbit/s  encode {encode:.1} ms  sealed {frames} frames{motion}")
}

/// What the hub does not have: `hub away: 42 s kept on disk (9.1 MB)`. Nothing where there is nothing to say.
pub(super) fn spool(state: &SpoolState, stats: &SpoolStats) -> String {
    let kept = format!("{} s kept on disk ({})", stats.on_disk_time.as_secs(), size(stats.on_disk_bytes));
    let words = match state {
        SpoolState::Away => format!("  hub away: {kept}"),
        SpoolState::Unconfirmed => format!("  hub confirms nothing: {kept}"),
        SpoolState::Full => format!("  no room: {kept}"),
        SpoolState::Delivering => format!("  hub gets what it missed: {kept}"),
        SpoolState::Failing(_) => "  NOT KEPT ON DISK".into(),
        _ => String::new(),
    };
    // Without a disk, epochs that no recorder confirms are nothing to speak of: a hub need not record.
    let gone = stats.dropped + stats.damaged + if matches!(state, SpoolState::Failing(_)) { stats.lost } else { 0 };
    let gone = if gone > 0 { format!("  {gone} epochs LOST") } else { String::new() };
    words + &gone
}

/// What moved, with its share of what is watched, how plain it was, and where.
pub(super) fn motion(event: &MotionEvent) -> String {
    let plain = |motion: &Motion| {
        let bounds = motion.bounds;
        format!(
            "{:.1} % of what is watched, score {:.1}, within {:.2},{:.2} {:.2},{:.2}",
            motion.area * 100.0,
            motion.score,
            bounds.left,
            bounds.top,
            bounds.right,
            bounds.bottom
        )
    };
    match event {
        MotionEvent::Began { motion, .. } => format!("motion   began: {}", plain(motion)),
        MotionEvent::Ended { began, at, most } => {
            format!("motion   ended after {:.1} s; at most {}", at.since(*began).as_secs_f32(), plain(most))
        }
    }
}

/// What happened before a camera: `14:02:11 motion began`.
pub(super) fn happened(happened: &Happened, zone: &TimeZone) -> String {
    let when = happened.wall_us.map_or_else(|| "--:--:--".into(), |at| when::clock(at, zone));
    format!("{when} {}", what(happened.event.kind))
}

/// The same of a recording.
pub(super) fn recorded_event(happened: &WallEvent, zone: &TimeZone) -> String {
    format!("{} {}", when::clock(happened.wall_us, zone), what(happened.event.kind))
}

fn what(kind: EventKind) -> &'static str {
    match kind {
        EventKind::MotionBegan => "motion began",
        EventKind::MotionEnded => "motion ended",
        EventKind::Doorbell => "the doorbell rang",
    }
}

/// What becomes of a doorbell's button.
pub(super) fn bell(state: &BellState) -> Option<String> {
    match state {
        BellState::Ready => Some("doorbell ready".into()),
        BellState::Rang(_) => Some("doorbell rang".into()),
        BellState::Gone(words) => Some(format!("doorbell {words}; trying again")),
        _ => None,
    }
}

pub(super) fn viewer_line(rates: &mut Rates, stats: &ViewerStats) -> String {
    let (fps, kbps) = rates.look(stats.frames_shown, stats.bytes);
    let latency = stats.capture_to_picture.percentiles();
    let latency = latency.map_or("    -".into(), |p| format!("{:5.1}", p.p50));
    let alarms = if stats.alarms > 0 { format!("  {} ALARMS", stats.alarms) } else { String::new() };
    format!("{fps:4.1} fps  {kbps:5.0} kbit/s  capture to picture {latency} ms  lost {}{alarms}", stats.lost)
}

pub(super) fn camera_state(state: &CameraState) -> String {
    match state {
        CameraState::Starting => "camera   starting".into(),
        CameraState::Running { sensor, encoder, .. } => format!("camera   {sensor}\n  encoder  {encoder}"),
        CameraState::Waiting(words) => format!("camera   {words}; trying again"),
        _ => "camera   ended".into(),
    }
}

pub(super) fn uplink_state(state: &UplinkState) -> String {
    match state {
        UplinkState::Connecting => "hub      connecting".into(),
        UplinkState::Up => "hub      connected".into(),
        UplinkState::Down(words) => format!("hub      {words}; trying again"),
        UplinkState::Refused(words) => format!("hub      it refused: {words}"),
        _ => "hub      unknown state".into(),
    }
}

pub(super) fn viewer_state(state: &ViewerState) -> String {
    format!("viewer   {state}")
}

pub(super) fn recorder_line(rates: &mut Rates, stats: &RecorderStats) -> String {
    let (_, kbps) = rates.look(stats.stored, stats.stored_bytes);
    let cameras = stats.cameras;
    let gone = match stats.shed + stats.expired {
        0 => String::new(),
        gone => format!("  let go {gone}"),
    };
    let waiting = match stats.waiting_bytes {
        0 => String::new(),
        bytes => format!("  waiting {} ({})", stats.waiting, size(bytes)),
    };
    let lost = if stats.lost > 0 { format!("  {} LOST", stats.lost) } else { String::new() };
    let (epochs, kept) = (stats.kept, size(stats.kept_bytes));
    format!("recorder {cameras} cameras  {kbps:5.0} kbit/s  kept {epochs} epochs, {kept}{gone}{waiting}{lost}")
}

/// What has been lost since it was told last, if anything was.
pub(super) fn recorder_loss(told: &RecorderStats, now: &RecorderStats) -> Option<String> {
    let (lost, bytes) = (now.lost - told.lost, now.lost_bytes - told.lost_bytes);
    (lost > 0).then(|| format!("recorder LOST {lost} epochs ({}): the store did not take them in time", size(bytes)))
}

pub(super) fn recorder_end(stats: &RecorderStats) -> String {
    let lost = if stats.lost > 0 { format!(", {} LOST", stats.lost) } else { String::new() };
    format!("{} epochs ({}) were stored{lost}", stats.stored, size(stats.stored_bytes))
}

/// Bytes for a person.
fn size(bytes: u64) -> String {
    let units = [(1e12, "TB"), (1e9, "GB"), (1e6, "MB")];
    let fits = units.into_iter().find(|(unit, _)| bytes as f64 >= *unit);
    fits.map_or_else(
        || format!("{:.0} kB", bytes as f64 / 1e3),
        |(unit, name)| format!("{:.1} {name}", bytes as f64 / unit),
    )
}

/// Whether a change is worth a line: a new epoch alone is not.
pub(super) fn is_news(before: &ViewerState, now: &ViewerState) -> bool {
    match (before, now) {
        (
            ViewerState::Live { session: a, size: b, proved_fresh: c, .. },
            ViewerState::Live { session, size, proved_fresh, .. },
        ) => (a, b, c) != (session, size, proved_fresh),
        _ => before != now,
    }
}

/// The report as a table for a person.
pub(super) fn table(report: &Report) -> String {
    let mut lines = Vec::new();
    let captured = report.frames_captured.map_or(String::new(), |n| format!("{n} captured, "));
    lines.push(format!(
        "frames    {captured}{} shown, {} keyframes, {} lost, {} not decoded, {} dropped",
        report.frames_shown, report.keyframes, report.lost, report.undecoded, report.dropped
    ));
    if report.alarms > 0 || report.epochs_unproved > 0 {
        lines.push(format!("ALARMS    {}, epochs without their closing {}", report.alarms, report.epochs_unproved));
    }
    if let Some(events) = report.motion_events {
        lines.push(format!("motion    {events} times"));
    }
    let kbps = report.bytes_sealed as f64 * 8.0 / report.seconds.max(0.001) / 1000.0;
    lines.push(format!("bytes     {} ({kbps:.0} kbit/s)", report.bytes_sealed));
    let latency = report.latency_ms;
    lines.push("ms             p50     p99     max".into());
    for (name, times) in [
        ("convert", latency.convert),
        ("  mask", latency.mask),
        ("  motion", latency.motion),
        ("  denoise", latency.denoise),
        ("  clock", latency.clock),
        ("encode", latency.encode),
        ("seal", latency.seal),
        ("network", latency.network),
        ("open", latency.open),
        ("decode", latency.decode),
        ("to picture", latency.capture_to_picture),
    ] {
        if let Some(p) = times {
            lines.push(format!("{name:10} {:7.2} {:7.2} {:7.2}", p.p50, p.p99, p.max));
        }
    }
    if let Some(ms) = report.first_picture_ms {
        lines.push(format!("first picture after {ms:.0} ms"));
    }
    if let Some(db) = report.psnr_y_db {
        lines.push(format!("PSNR      {db:.1} dB (luma, against what the encoder was given)"));
    }
    if let (Some(cpu), Some(rss)) = (report.cpu_seconds, report.rss_mb) {
        lines.push(format!("process   {:.0} % of one core, {rss:.0} MB", cpu / report.seconds.max(0.001) * 100.0));
    }
    lines.join("\n  ")
}

/// Ctrl-C, or the time is up; for ever if there is none.
pub(super) async fn until(limit: Option<Duration>) {
    let timer = async {
        match limit {
            Some(limit) => tokio::time::sleep(limit).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = timer => {}
        () = asked_to_end() => {}
    }
    // Ending in order can hang in a driver; who asks twice means it.
    tokio::spawn(async {
        asked_to_end().await;
        std::process::exit(130);
    });
}

/// Ctrl-C, or the service manager's word.
async fn asked_to_end() {
    #[cfg(unix)]
    if let Ok(mut terminate) = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        }
        return;
    }
    let _ = tokio::signal::ctrl_c().await;
}

/// Why a run that ended was for nothing, if it was.
pub(super) fn verdict(report: &Report, state: &ViewerState) -> Result<(), super::Failure> {
    if report.alarms > 0 {
        return Err(super::Failure(format!("{} alarms were raised: do not trust what was shown", report.alarms)));
    }
    if report.frames_shown == 0 {
        return Err(super::Failure(format!("no picture came: {state}")));
    }
    Ok(())
}

/// How often figures are shown.
pub(super) const TICK: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_hub_does_not_have_is_said_in_seconds_and_bytes() {
        let mut stats = SpoolStats::default();
        assert_eq!(spool(&SpoolState::Empty, &stats), "");
        (stats.on_disk, stats.on_disk_bytes, stats.on_disk_time) = (21, 9_100_000, Duration::from_secs(42));
        assert_eq!(spool(&SpoolState::Away, &stats), "  hub away: 42 s kept on disk (9.1 MB)");
        stats.dropped = 3;
        assert_eq!(spool(&SpoolState::Full, &stats), "  no room: 42 s kept on disk (9.1 MB)  3 epochs LOST");
    }
}
