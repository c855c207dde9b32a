//! What all checks found on one board.

use crate::outcome::{Outcome, Verdict};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::time::{Duration, SystemTime};

/// A run of checks on one board.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// The board's name, as in its file.
    pub board: String,
    /// What tested it, with its version, such as `doorframe-hil 0.1.0`.
    pub program: String,
    /// When the run began.
    pub started: DateTime<Utc>,
    /// In the order in which the checks ran.
    pub outcomes: Vec<Outcome>,
}

impl Report {
    /// A run that begins at `started`.
    pub fn new(board: impl Into<String>, program: impl Into<String>, started: SystemTime) -> Self {
        Self { board: board.into(), program: program.into(), started: started.into(), outcomes: Vec::new() }
    }

    /// How the run ended.
    pub fn ending(&self) -> Ending {
        let is = |wanted: fn(&Verdict) -> bool| self.outcomes.iter().any(|outcome| wanted(&outcome.verdict));
        if is(|verdict| matches!(verdict, Verdict::Failed { .. })) {
            Ending::Failed
        } else if is(|verdict| matches!(verdict, Verdict::Passed)) {
            Ending::Passed
        } else {
            Ending::NothingRan
        }
    }

    /// How many outcomes are of each verdict: passed, failed, not run.
    pub fn counts(&self) -> [usize; 3] {
        let mut counts = [0; 3];
        for outcome in &self.outcomes {
            let [passed, failed, not_run] = &mut counts;
            *match outcome.verdict {
                Verdict::Passed => passed,
                Verdict::Failed { .. } => failed,
                Verdict::NotRun { .. } => not_run,
            } += 1;
        }
        counts
    }

    /// Time that the checks took together.
    pub fn took(&self) -> Duration {
        self.outcomes.iter().fold(Duration::ZERO, |sum, outcome| sum.saturating_add(outcome.took))
    }
}

/// How a run ended, and what a program tells whoever started it. 2 is left out: it means that the command was wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Ending {
    /// All that ran passed.
    Passed = 0,
    /// A check failed.
    Failed = 1,
    /// No check failed, and a figure is worse than the board's baseline allows.
    Worse = 3,
    /// No check could be run, which is no proof of anything.
    NothingRan = 4,
}

impl Ending {
    /// The exit code.
    pub const fn code(self) -> u8 {
        self as u8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_run_does_not_pass() {
        let mut report = Report::new("porch", "test", SystemTime::UNIX_EPOCH);
        assert_eq!(report.ending(), Ending::NothingRan);
        report.outcomes.push(Outcome::not_run("glass-to-glass", "no rig"));
        assert_eq!(report.ending(), Ending::NothingRan);
        report.outcomes.push(Outcome::passed("listed", Duration::ZERO));
        assert_eq!(report.ending(), Ending::Passed);
        report.outcomes.push(Outcome::failed("formats", Duration::ZERO, "it lied"));
        assert_eq!(report.ending(), Ending::Failed);
        assert_eq!((report.counts(), report.ending().code()), ([1, 1, 1], 1));
    }
}
