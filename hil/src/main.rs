//! `doorframe-hil`: what camera boards a machine has, and what checks of them find, on real ones and on a virtual one.

#[cfg(target_os = "linux")]
mod bench;
#[cfg(target_os = "linux")]
mod capture;
#[cfg(target_os = "linux")]
mod checks;
#[cfg(target_os = "linux")]
mod command;
#[cfg(target_os = "linux")]
mod guest;
#[cfg(target_os = "linux")]
mod list;
#[cfg(target_os = "linux")]
mod vm;
#[cfg(target_os = "linux")]
mod wire;

use std::process::ExitCode;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    command::main()
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    eprintln!("doorframe-hil: camera boards are tested on Linux only");
    ExitCode::FAILURE
}
