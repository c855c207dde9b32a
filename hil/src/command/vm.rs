//! `doorframe-hil vm`: a virtual board in a virtual machine.

use super::{Common, report};
use crate::checks;
use crate::vm::{self, Options, Step, Virtual};
use clap::Args;
use doorframe_hil_report::progress::Progress;
use doorframe_hil_report::{Ending, Outcome};
use doorframe_virtual_board::FaultPlan;
use std::error::Error;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;
use tokio::signal::unix::{SignalKind, signal};

/// A virtual board.
#[derive(Args)]
pub(super) struct Vm {
    /// A board that sends in bulk, which loses nothing (the default)
    #[arg(long, conflicts_with = "iso")]
    bulk: bool,
    /// A board that sends isochronously, as most cameras do; some loss is tolerated
    #[arg(long)]
    iso: bool,
    /// What the board does wrong from the start: a fault plan in TOML
    #[arg(long, value_name = "FILE")]
    plan: Option<PathBuf>,
    #[command(flatten)]
    machine: Machine,
    #[command(flatten)]
    common: Common,
}

/// What a virtual machine is made from.
#[derive(Args)]
pub(super) struct Machine {
    /// Where Debian's kernel is kept: 70 MB; doorframe-hil in the user's cache if it is left out
    #[arg(long, value_name = "DIR", env = "DOORFRAME_HIL_CACHE")]
    cache: Option<PathBuf>,
}

impl Vm {
    pub(super) fn run(self) -> Result<Ending, Box<dyn Error>> {
        let plan = match &self.plan {
            Some(path) => {
                let text = fs::read_to_string(path);
                text.map_err(|error| format!("cannot read {}: {error}", path.display()))?
                    .parse()
                    .map_err(|error| format!("{}: {error}", path.display()))?
            }
            None => FaultPlan::default(),
        };
        let (board, name) = if self.iso { (Virtual::Isochronous, "virtual-iso") } else { (Virtual::Bulk, "virtual") };
        let started = SystemTime::now();
        let outcomes = run(self.machine, board, plan, &self.common)?;
        report(name, started, outcomes, self.common.out.as_deref(), &self.common.at.folder())
    }
}

/// Checks a virtual board.
pub(super) fn run(
    machine: Machine,
    board: Virtual,
    plan: FaultPlan,
    common: &Common,
) -> Result<Vec<Outcome>, Box<dyn Error>> {
    let checks = checks::named(&common.checks)?;
    let interrupted = interrupted()?;
    let progress = Progress::new(checks.len());
    let options =
        Options { board, plan, checks, seconds: common.seconds, cache: machine.cache, out: common.out.clone() };
    let outcomes = vm::run(&options, &interrupted, &mut |step| match step {
        Step::Done(what, after) => eprintln!("{:6.1} s  {what}", after.as_secs_f64()),
        Step::Begins(check) => progress.begin(check),
        Step::Found(outcome) => progress.end(outcome),
    });
    Ok(outcomes?)
}

/// Becomes true when somebody wants the program to end. A second wish is not heard out.
fn interrupted() -> Result<Arc<AtomicBool>, Box<dyn Error>> {
    let interrupted = Arc::new(AtomicBool::new(false));
    let heard = Arc::clone(&interrupted);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        runtime.block_on(async {
            let (Ok(mut int), Ok(mut term)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate())) else {
                return;
            };
            for code in [None, Some(130)] {
                tokio::select! {
                    _ = int.recv() => {}
                    _ = term.recv() => {}
                }
                heard.store(true, Ordering::Relaxed);
                if let Some(code) = code {
                    // The machine is killed by the kernel when this program is gone.
                    std::process::exit(code);
                }
            }
        });
    })?;
    Ok(interrupted)
}
