//! `doorframe-hil check`: a camera of this machine.

use super::{Common, report};
use crate::checks::{self, Hands, News, Settings};
use crate::wire::{Answer, Ask};
use clap::Args;
use doorframe_hil_report::progress::Progress;
use doorframe_hil_report::{Ending, Outcome};
use std::error::Error;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

/// A camera of this machine.
#[derive(Args)]
pub(super) struct Check {
    /// Which camera; the first one that can be used if it is left out
    #[arg(long, value_name = "/dev/videoN")]
    device: Option<PathBuf>,
    #[command(flatten)]
    common: Common,
}

impl Check {
    pub(super) fn run(self) -> Result<Ending, Box<dyn Error>> {
        let Common { checks, seconds, out } = self.common;
        let checks = checks::named(&checks)?;
        let started = SystemTime::now();
        let board = self.device.as_ref().map_or_else(|| "camera".to_owned(), |path| path.display().to_string());
        let settings = Settings { lasting: Duration::from_secs(seconds), tolerated: 0 };
        let mut nobody = Nobody { progress: Progress::new(checks.len()), outcomes: Vec::new() };
        checks::run(&checks, self.device, &settings, &mut nobody)?;
        let Nobody { progress, outcomes } = nobody;
        drop(progress);
        report(&board, started, outcomes, out.as_deref())
    }
}

/// Nobody is there to pull a cable or to press a button.
struct Nobody {
    progress: Progress,
    outcomes: Vec<Outcome>,
}

impl Hands for Nobody {
    fn tell(&mut self, news: News<'_>) -> io::Result<()> {
        match news {
            News::Begins(check) => self.progress.begin(check),
            News::Found(outcome) => {
                self.progress.end(&outcome);
                self.outcomes.push(outcome);
            }
        }
        Ok(())
    }

    fn ask(&mut self, ask: &Ask) -> io::Result<Answer> {
        Ok(Answer::Needs(checks::needs(ask).to_owned()))
    }
}
