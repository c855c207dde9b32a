//! `doorframe list`.

use super::Failure;
use super::from::FromArgs;
use clap::Args;
use doorframe::archive::{Archive, HourKept};
use doorframe::transport::keys::SessionId;
use doorframe::transport::store::EpochEntry;
use doorframe::when;
use jiff::tz::TimeZone;
use std::collections::BTreeMap;

#[derive(Debug, Args)]
pub(super) struct List {
    #[command(flatten)]
    from: FromArgs,
    /// Show this day hour by hour, with what is missing: 2026-11-24.
    #[arg(long, value_name = "DAY")]
    day: Option<String>,
}

/// Between two stored epochs of one session: above this something is missing, µs.
const GAP: u64 = 10_000_000;

/// Epochs that follow each other.
struct Stretch {
    session: SessionId,
    from: u64,
    to: u64,
    last: u32,
    epochs: u64,
    bytes: u64,
}

impl List {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let mut opened = self.from.open().await?;
        let archive = &mut opened.archive;
        let zone = TimeZone::system();
        let hours = archive.hours().await.map_err(Failure::of)?;
        if let Some(day) = &self.day {
            return show_day(archive, &hours, day, &zone).await;
        }
        let mut days: BTreeMap<String, (u64, u64, u64, u64)> = BTreeMap::new();
        for kept in &hours {
            let (mut epochs, mut bytes) = (kept.epochs.map_or(0, u64::from), kept.bytes);
            if kept.epochs.is_none() {
                let entries = archive.hour(kept.hour).await.map_err(Failure::of)?;
                (epochs, bytes) = (entries.len() as u64, entries.iter().map(|entry| entry.bytes).sum());
            }
            let start = kept.hour.start_us();
            let day = days.entry(when::day(start, &zone)).or_insert((0, 0, start, 0));
            *day = (day.0 + epochs, day.1 + bytes, day.2.min(start), start.max(day.3));
        }
        let offset = hours.last().map_or_else(|| "+00:00".into(), |kept| when::offset(kept.hour.start_us(), &zone));
        println!("Recordings of {}, times of this machine (UTC{offset}):\n", opened.camera);
        println!("  {:<12}{:<16}{:>10}{:>14}{:>10}", "day", "hours", "epochs", "of 24 h", "size");
        for (day, (epochs, bytes, first, last)) in &days {
            let hours = format!("{}-{}", clock(*first, &zone), clock(last + 3_600_000_000, &zone));
            println!("  {day:<12}{hours:<16}{epochs:>10}{:>14}{:>10}", length(epochs * 2), size(*bytes));
        }
        if days.is_empty() {
            println!("  none");
        }
        println!("\n  --day DAY shows a day with its gaps.");
        Ok(())
    }
}

async fn show_day(archive: &mut Archive, hours: &[HourKept], day: &str, zone: &TimeZone) -> Result<(), Failure> {
    let mut stretches: Vec<Stretch> = Vec::new();
    let mut offset = String::new();
    for kept in hours {
        let start = kept.hour.start_us();
        // An hour of UTC may be in two days where the offset is no whole hour.
        let ends = [start, start + 3_599_000_000].map(|at| when::day(at, zone));
        if !ends.iter().any(|of| of == day) {
            continue;
        }
        offset = when::offset(start, zone);
        for entry in archive.hour(kept.hour).await.map_err(Failure::of)? {
            if when::day(entry.stored_us, zone) == day {
                add(&mut stretches, &entry);
            }
        }
    }
    if stretches.is_empty() {
        return Err(Failure(format!("nothing is kept of {day}; days are written as 2026-11-24")));
    }
    println!("Recordings of {day}, by the clock of who keeps them, in times of this machine (UTC{offset}):\n");
    println!("  {:<22}{:>8}{:>10}{:>10}  session", "time", "epochs", "length", "size");
    let mut before: Option<u64> = None;
    for stretch in &stretches {
        if let Some(before) = before.filter(|before| stretch.from > before + GAP) {
            println!("  {:<22}{:>8}{:>10}", "  gap", "", length((stretch.from - before) / 1_000_000));
        }
        before = Some(stretch.to);
        let time = format!("{} - {}", when::clock(stretch.from, zone), when::clock(stretch.to, zone));
        let session: String = stretch.session.to_string().chars().take(8).collect();
        let size = size(stretch.bytes);
        println!("  {time:<22}{:>8}{:>10}{size:>10}  {session}", stretch.epochs, length(stretch.epochs * 2));
    }
    Ok(())
}

fn add(stretches: &mut Vec<Stretch>, entry: &EpochEntry) {
    match stretches.last_mut() {
        Some(last) if last.session == entry.session && entry.stored_us <= last.to + GAP => {
            // The same epoch again counts once.
            last.epochs += u64::from(entry.epoch.0 != last.last);
            (last.to, last.last) = (entry.stored_us, entry.epoch.0);
            last.bytes += entry.bytes;
        }
        _ => stretches.push(Stretch {
            session: entry.session,
            from: entry.stored_us,
            to: entry.stored_us,
            last: entry.epoch.0,
            epochs: 1,
            bytes: entry.bytes,
        }),
    }
}

fn clock(wall_us: u64, zone: &TimeZone) -> String {
    when::clock(wall_us, zone).chars().take(5).collect()
}

fn length(seconds: u64) -> String {
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, s) => format!("{s} s"),
        (0, m, s) => format!("{m} min {s:02} s"),
        (h, m, _) => format!("{h} h {m:02} min"),
    }
}

pub(super) fn size(bytes: u64) -> String {
    match bytes {
        0..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.2} GB", bytes as f64 / 1e9),
    }
}
