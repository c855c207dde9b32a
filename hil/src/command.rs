//! The command line.

mod check;
mod vm;

use crate::{capture, checks, guest, list};
use clap::{Args, Parser, Subcommand};
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
    /// Shows the cameras of this machine, what they offer, and why one cannot be used
    List,
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
    /// Checks a camera of this machine
    Check(check::Check),
    /// Checks a virtual board in a virtual machine with a real Linux kernel
    Vm(vm::Vm),
    /// The other side of `vm`
    #[command(hide = true)]
    Guest,
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
}

/// Runs what is asked for. The exit code is 0 if all that ran passed, 1 if a check failed or nothing could be done,
/// and 4 if no check could be run.
pub(crate) fn main() -> ExitCode {
    let done = match Arguments::parse().task {
        Task::List => print(Ok(list::list())),
        Task::Capture { source, seconds, mode } => print(capture::capture(&source, seconds, &mode)),
        Task::Checks => print(Ok(checks::all().map(|check| format!("{:<18} {}\n", check.name, check.about)).collect())),
        Task::Check(check) => check.run(),
        Task::Vm(vm) => vm.run(),
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

/// Shows what was found, and writes it down.
fn report(
    board: &str,
    started: SystemTime,
    outcomes: Vec<Outcome>,
    out: Option<&Path>,
) -> Result<Ending, Box<dyn Error>> {
    let program = concat!("doorframe-hil ", env!("CARGO_PKG_VERSION"));
    let mut report = Report::new(board, program, started);
    report.outcomes = outcomes;
    let judged: &[Judged] = &[];
    print!("{}", table::render(&report, judged, width()));
    if let Some(out) = out {
        fs::create_dir_all(out).map_err(|error| format!("cannot make {}: {error}", out.display()))?;
        let texts = [
            ("report.json", serde_json::to_string_pretty(&report)?),
            ("junit.xml", junit::render(&report)?),
            ("report.html", html::render(&report, judged)),
        ];
        for (name, text) in texts {
            let path = out.join(name);
            fs::write(&path, text).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
        }
    }
    Ok(report.ending())
}

/// Columns of the terminal.
fn width() -> u16 {
    rustix::termios::tcgetwinsize(std::io::stdout()).map_or(120, |size| size.ws_col.max(40))
}
