//! The command line.

mod bench;
mod check;
mod vm;

use crate::bench::folder::Folder;
use crate::{capture, checks, guest, list};
use clap::{Args, Parser, Subcommand};
use doorframe_hil_report::progress::Progress;
use doorframe_hil_report::{Ending, Outcome, Report, baseline::Judged, html, junit, table};
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::SystemTime;

/// Tests camera boards: real ones on a bench, and a virtual one where there is none.
#[derive(Parser)]
#[command(name = "doorframe-hil", version)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Shows the cameras of this machine, what they offer, the boards of the bench, and why one cannot be used
    List(bench::At),
    /// Captures from a camera for a while and says what came and what was lost
    Capture {
        /// Source, such as v4l2:/dev/video0, clip:FILE or pattern:1280x720@30
        #[arg(default_value = "v4l2")]
        source: String,
        /// How long to capture
        #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=86_400))]
        seconds: u64,
        /// Size and rate to ask for
        #[arg(long, default_value = "1280x720@30", value_name = "WIDTHxHEIGHT@FPS")]
        mode: String,
    },
    /// Shows which checks there are
    Checks,
    /// Checks a camera of this machine, or a board of the bench
    #[command(visible_alias = "run")]
    Check(check::Check),
    /// Checks a virtual board in a virtual machine with a real Linux kernel
    Vm(vm::Vm),
    /// Measures from a light in front of the camera to a photodiode in front of the screen
    Glass(bench::Glass),
    /// What later runs of a board are compared with
    #[command(subcommand)]
    Baseline(bench::Baseline),
    /// Sets two reports side by side
    Compare(bench::Compare),
    /// The other side of `vm`
    #[command(hide = true)]
    Guest,
}

/// What the checks of this machine have found so far, shown as it comes.
struct Told {
    progress: Progress,
    outcomes: Vec<Outcome>,
}

impl Told {
    fn new(checks: usize) -> Self {
        Self { progress: Progress::new(checks), outcomes: Vec::new() }
    }

    fn handle(&mut self, news: checks::News<'_>) {
        match news {
            checks::News::Begins(check) => self.progress.begin(check),
            checks::News::Found(outcome) => {
                self.progress.end(&outcome);
                self.outcomes.push(outcome);
            }
        }
    }
}

/// Which checks, and where what they find goes.
#[derive(Args)]
struct Common {
    /// Checks to run, all if none is named; one that ends with a dash stands for all that begin so
    #[arg(long = "check", value_name = "NAME", num_args = 1..)]
    checks: Vec<String>,
    /// How long to measure, where a check measures for a time
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: u64,
    /// Folder for the report (report.json, junit.xml, report.html) and for what tells more about a failure
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    #[command(flatten)]
    at: bench::At,
}

/// Runs what is asked for. The exit code is 0 if all that ran passed, 1 if a check failed or nothing could be done, 3 if a
/// figure is worse than the baseline allows, and 4 if no check could be run.
pub(crate) fn main() -> ExitCode {
    let done = match Arguments::parse().task {
        Task::List(at) => print(Ok(list::list() + &crate::bench::list::list(&at.folder()))),
        Task::Capture { source, seconds, mode } => print(capture::capture(&source, seconds, &mode)),
        Task::Checks => print(Ok(checks::all().map(|check| format!("{:<18} {}\n", check.name, check.about)).collect())),
        Task::Check(check) => check.run(),
        Task::Vm(vm) => vm.run(),
        Task::Glass(glass) => glass.run(),
        Task::Baseline(baseline) => baseline.run(),
        Task::Compare(compare) => compare.run(),
        Task::Guest => return guest::main(),
    };
    match done {
        Ok(ending) => ExitCode::from(ending.code()),
        Err(error) => {
            eprintln!("doorframe-hil: {error}");
            ExitCode::FAILURE
        }
    }
}

fn print(text: Result<String, Box<dyn Error>>) -> Result<Ending, Box<dyn Error>> {
    print!("{}", text?);
    Ok(Ending::Passed)
}

/// Shows what was found, beside the board's baseline in `bench`, and writes it down.
fn report(
    board: &str,
    started: SystemTime,
    outcomes: Vec<Outcome>,
    out: Option<&Path>,
    bench: &Folder,
) -> Result<Ending, Box<dyn Error>> {
    let program = concat!("doorframe-hil ", env!("CARGO_PKG_VERSION"));
    let mut report = Report::new(board, program, started);
    report.outcomes = outcomes;
    let judged = bench.baseline(board)?.map_or_else(Vec::new, |baseline| baseline.judge(&report));
    print!("{}", table::render(&report, &judged, width()));
    if let Some(out) = out {
        fs::create_dir_all(out).map_err(|error| format!("cannot make {}: {error}", out.display()))?;
        let texts = [
            ("report.json", serde_json::to_string_pretty(&report)?),
            ("junit.xml", junit::render(&report)?),
            ("report.html", html::render(&report, &judged)),
        ];
        for (name, text) in texts {
            let path = out.join(name);
            fs::write(&path, text).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
        }
    }
    Ok(Judged::ending(&report, &judged))
}

/// A report that was written down.
fn read_report(path: &Path) -> Result<Report, Box<dyn Error>> {
    let text = fs::read_to_string(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    let wrong =
        |error| format!("{} is no report ({error}): a run with --out writes one as report.json", path.display());
    Ok(serde_json::from_str(&text).map_err(wrong)?)
}

/// Columns of the terminal.
fn width() -> u16 {
    rustix::termios::tcgetwinsize(std::io::stdout()).map_or(120, |size| size.ws_col.max(40))
}
