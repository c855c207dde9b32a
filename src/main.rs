//! The `doorframe` program. Holds no logic: each subcommand is a file under `cli/`.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    // Before there is a thread, and before anything of the surroundings is read.
    #[cfg(target_os = "linux")]
    if doorframe::codec::sandbox::is_asked() {
        return doorframe::codec::sandbox::serve();
    }
    cli::run()
}
