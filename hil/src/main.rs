//! `doorframe-hil`: what cameras a machine has, and how well they deliver.

#[cfg(target_os = "linux")]
mod capture;
#[cfg(target_os = "linux")]
mod list;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Tests camera boards.
#[derive(Parser)]
#[command(version)]
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
}

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    let done = match Arguments::parse().task {
        Task::List => Ok(list::list()),
        Task::Capture { source, seconds, mode } => capture::capture(&source, seconds, &mode),
    };
    match done {
        Ok(text) => {
            print!("{text}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("doorframe-hil: {error}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    let Arguments { task: Task::List | Task::Capture { .. } } = Arguments::parse();
    eprintln!("doorframe-hil: camera boards are tested on Linux only");
    ExitCode::FAILURE
}
