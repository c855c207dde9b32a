//! Commands about a bench: baselines, comparisons, and latency from glass to glass.

use super::{Told, read_report, report, width};
use crate::bench::file::Name;
use crate::bench::folder::Folder;
use crate::bench::hands::Held;
use crate::checks::{self, Check, Hands, News, Settings, needs};
use crate::wire::{Answer, Ask};
use clap::{Args, Subcommand};
use doorframe_hil_report::compare::compare;
use doorframe_hil_report::{Better, Ending, Figure, Outcome, Series, Verdict};
use doorframe_rig::glass::{MAX_OWN_DELAY, MIN_FLIPS, sweep};
use doorframe_rig::message::{Level, MAX_FLIPS};
use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

/// Where the files of a bench are.
#[derive(Args)]
pub(super) struct At {
    /// Folder of the bench's files: boards/, rigs/, baselines/
    #[arg(long, value_name = "DIR", default_value = "hil", env = "DOORFRAME_HIL_BENCH")]
    bench: PathBuf,
}

impl At {
    pub(super) fn folder(&self) -> Folder {
        Folder(self.bench.clone())
    }
}

#[derive(Subcommand)]
pub(super) enum Baseline {
    /// Makes runs that passed what later runs of their board are compared with
    Accept {
        /// Reports of one board (report.json); three or more give bounds
        #[arg(required = true, value_name = "REPORT")]
        reports: Vec<PathBuf>,
        #[command(flatten)]
        at: At,
    },
}

impl Baseline {
    pub(super) fn run(self) -> Result<Ending, Box<dyn Error>> {
        let Self::Accept { reports, at } = self;
        let runs = reports.iter().map(|path| read_report(path)).collect::<Result<Vec<_>, _>>()?;
        println!("{}", at.folder().accept(&runs)?.display());
        Ok(Ending::Passed)
    }
}

/// Two runs, side by side.
#[derive(Args)]
pub(super) struct Compare {
    /// The run to compare with (report.json)
    #[arg(value_name = "A")]
    first: PathBuf,
    /// The other one
    #[arg(value_name = "B")]
    second: PathBuf,
}

impl Compare {
    pub(super) fn run(self) -> Result<Ending, Box<dyn Error>> {
        let (text, ending) = compare(&read_report(&self.first)?, &read_report(&self.second)?, width());
        print!("{text}");
        Ok(ending)
    }
}

/// Latency from glass to glass.
#[derive(Args)]
pub(super) struct Glass {
    /// The rig, as its file is named
    #[arg(long)]
    rig: Name,
    /// What is measured, for the report: the board that the light is in front of
    #[arg(long, value_name = "NAME")]
    board: String,
    /// Flips of the light
    #[arg(long, default_value_t = 120, value_parser = clap::value_parser!(u16).range(i64::from(MIN_FLIPS)..=i64::from(MAX_FLIPS)))]
    flips: u16,
    /// The camera's frames a second: flips come at every phase of a frame alike
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=240))]
    fps: u32,
    /// Longest latency to wait for, in milliseconds
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u64).range(10..=5_000))]
    longest: u64,
    /// The photodiode looks at the light itself: the rig's own delay
    #[arg(long)]
    own: bool,
    /// Folder for the report
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    #[command(flatten)]
    at: At,
}

impl Glass {
    pub(super) fn run(self) -> Result<Ending, Box<dyn Error>> {
        let (started, start) = (SystemTime::now(), Instant::now());
        let frame = Duration::from_secs(1) / self.fps;
        let series = sweep(self.flips, frame, Duration::from_millis(self.longest))?;
        let name = if self.own { "rig-delay" } else { "glass-to-glass" };
        let bench = self.at.folder();
        let attached = crate::bench::attached::attached(Path::new(crate::bench::attached::DEVICES));
        // It rests by itself if this program is gone in the middle.
        let mut rig = bench.rig(&self.rig)?.open(&attached, Duration::from_secs(20))?;
        let measured = rig.glass(series);
        rig.close()?;
        let outcome = match measured {
            Err(error) => Outcome::failed(name, start.elapsed(), error.to_string()),
            Ok(glass) => {
                let ms = |time: Duration| time.as_secs_f64() * 1e3;
                let at = |percent| {
                    Figure::new(format!("p{percent}"), ms(glass.quantile(percent)), "ms").better(Better::Lower)
                };
                let p95 = if self.own { at(95).at_most(ms(MAX_OWN_DELAY)) } else { at(95) };
                let least = Figure { name: "min".to_owned(), ..at(0) };
                Outcome::passed(name, start.elapsed())
                    .with(least)
                    .with(at(50))
                    .with(p95)
                    .with(Figure::new("flips not seen", glass.missed as f64, "").at_most(f64::from(self.flips) / 20.0))
                    .with_series(Series::spread(name, "ms", glass.latencies.iter().copied().map(ms).collect()))
            }
        };
        report(&self.board, started, vec![outcome], self.out.as_deref(), &bench)
    }
}

/// Runs checks on a board that is ours, and gives it back.
pub(super) fn on_bench(held: Held, checks: &[Check], settings: &Settings) -> Result<Vec<Outcome>, Box<dyn Error>> {
    // A real board does not fail when it is asked to, and is not to lose its power for that.
    let is_fault = |check: &&Check| check.name.starts_with("fault-");
    let (faults, plain): (Vec<&Check>, Vec<&Check>) = checks.iter().partition(is_fault);
    let plain: Vec<Check> = plain.into_iter().copied().collect();
    let device = held.video()?;
    let mut hands = OnBench { held, told: Told::new(checks.len()) };
    let ran = checks::run(&plain, Some(device), settings, &mut hands);
    for check in faults {
        hands.tell(News::Found(Outcome::not_run(check.name, format!("it needs {}", needs(&Ask::Count)))))?;
    }
    let OnBench { held, told: Told { progress, outcomes } } = hands;
    drop(progress);
    ran?;
    let failed = outcomes.iter().find(|outcome| matches!(outcome.verdict, Verdict::Failed { .. }));
    held.give_back(failed.map_or(Ok(()), |outcome| Err(format!("{} {}", outcome.check, outcome.verdict))))?;
    Ok(outcomes)
}

/// The hands of a bench: its power switch and its rig.
struct OnBench {
    held: Held,
    told: Told,
}

impl Hands for OnBench {
    fn tell(&mut self, news: News<'_>) -> io::Result<()> {
        self.told.handle(news);
        Ok(())
    }

    fn ask(&mut self, ask: &Ask) -> io::Result<Answer> {
        let done = match ask {
            Ask::Unplug if self.held.has_switch() => self.held.power(Level::Off),
            Ask::Board(plan) if plan.is_empty() && self.held.has_switch() => self.held.power(Level::On),
            Ask::Press if self.held.has_rig() => self.held.press(),
            Ask::Light(lamp) if self.held.has_light() => self.held.light((*lamp).into()),
            _ => return Ok(Answer::Needs(needs(ask).to_owned())),
        };
        Ok(done.map_or_else(|error| Answer::Failed(error.to_string()), |()| Answer::Done))
    }
}
