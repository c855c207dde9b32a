//! `doorframe-hil check`: a camera of this machine, or a board of the bench.

use super::bench::on_bench;
use super::vm::{self, Machine};
use super::{Common, Told, report};
use crate::bench::board::Place;
use crate::bench::file::Name;
use crate::bench::hands::{ByHand, Held};
use crate::checks::{self, Hands, News, Settings};
use crate::vm::Virtual;
use crate::wire::{Answer, Ask};
use clap::Args;
use doorframe_hil_report::Ending;
use doorframe_virtual_board::FaultPlan;
use std::error::Error;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

/// A camera of this machine, or a board of the bench.
#[derive(Args)]
pub(super) struct Check {
    /// Which camera; the first one that can be used if it is left out
    #[arg(long, value_name = "/dev/videoN")]
    device: Option<PathBuf>,
    /// A board of the bench, by the name of its file: it is locked, and its power and its rig are used; a virtual one is run by `vm`
    #[arg(long, value_name = "NAME", conflicts_with = "device")]
    board: Option<Name>,
    /// Longest that this run may have the board, in minutes
    #[arg(long, default_value_t = 60, requires = "board", value_parser = clap::value_parser!(u64).range(1..=10_080))]
    hold: u64,
    /// The board's plug was just taken out and put in again, by hand
    #[arg(long, requires = "board")]
    replugged: bool,
    #[command(flatten)]
    machine: Machine,
    #[command(flatten)]
    common: Common,
}

impl Check {
    pub(super) fn run(self) -> Result<Ending, Box<dyn Error>> {
        let (bench, common, started) = (self.common.at.folder(), &self.common, SystemTime::now());
        let checks = checks::named(&common.checks)?;
        let settings = Settings { lasting: Duration::from_secs(common.seconds), tolerated: 0 };
        let (name, outcomes) = match &self.board {
            None => {
                let name = self.device.as_ref().map_or_else(|| "camera".to_owned(), |path| path.display().to_string());
                let mut nobody = Nobody(Told::new(checks.len()));
                checks::run(&checks, self.device, &settings, &mut nobody)?;
                (name, nobody.0.outcomes)
            }
            Some(name) => {
                let outcomes = if bench.board(name)?.place == Place::Virtual {
                    vm::run(self.machine, Virtual::Bulk, FaultPlan::default(), common)?
                } else {
                    let by_hand = if self.replugged { ByHand::Yes } else { ByHand::No };
                    let held = Held::take(&bench, name, Duration::from_secs(60 * self.hold), by_hand)?;
                    on_bench(held, &checks, &settings)?
                };
                (name.as_str().to_owned(), outcomes)
            }
        };
        report(&name, started, outcomes, common.out.as_deref(), &bench)
    }
}

/// Nobody is there to pull a cable or to press a button.
struct Nobody(Told);

impl Hands for Nobody {
    fn tell(&mut self, news: News<'_>) -> io::Result<()> {
        self.0.handle(news);
        Ok(())
    }

    fn ask(&mut self, ask: &Ask) -> io::Result<Answer> {
        Ok(Answer::Needs(checks::needs(ask).to_owned()))
    }
}
