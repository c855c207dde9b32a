//! The `doorframe` program. Holds no logic: each subcommand is a file under `cli/`.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run()
}
