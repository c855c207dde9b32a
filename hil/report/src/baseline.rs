//! What earlier runs of a board measured, and what the next one should keep to.

use crate::outcome::{Better, amount};
use crate::report::{Ending, Report};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use thiserror::Error;

/// Fewer runs than this say nothing about how much a figure varies.
pub const RUNS_FOR_BOUNDS: usize = 3;

/// What earlier runs of one board measured: the figures themselves, so that bounds can be made anew.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Baseline {
    /// The board.
    pub board: String,
    /// When the newest of its runs began.
    pub newest: DateTime<Utc>,
    /// By check, then by figure.
    pub checks: BTreeMap<String, BTreeMap<String, Known>>,
}

/// Why runs make no baseline.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum AcceptError {
    /// There are none.
    #[error(
        "a baseline is made from runs, and there are none: give report files, {RUNS_FOR_BOUNDS} or more for bounds"
    )]
    NoRuns,
    /// Runs of different boards.
    #[error("run {run} is of board '{board}', the first of '{first}': a baseline is of one board")]
    OtherBoard {
        /// Which, from 1.
        run: usize,
        /// Its board.
        board: String,
        /// The first run's.
        first: String,
    },
    /// What failed is nothing to compare with.
    #[error("run {run} did not pass ({why}): only runs that passed make a baseline")]
    NotPassed {
        /// Which, from 1.
        run: usize,
        /// What was wrong.
        why: String,
    },
}

impl Baseline {
    /// Makes a baseline from runs of one board.
    ///
    /// # Errors
    /// If there are none, they are of several boards, or one did not pass.
    pub fn accept(runs: &[Report]) -> Result<Self, AcceptError> {
        let first = runs.first().ok_or(AcceptError::NoRuns)?;
        let mut baseline = Self { board: first.board.clone(), newest: first.started, checks: BTreeMap::new() };
        for (run, report) in (1..).zip(runs) {
            if report.board != first.board {
                let (board, first) = (report.board.clone(), first.board.clone());
                return Err(AcceptError::OtherBoard { run, board, first });
            }
            if report.ending() != Ending::Passed {
                let failed =
                    report.outcomes.iter().find(|outcome| matches!(outcome.verdict, crate::Verdict::Failed { .. }));
                let why = failed.map_or_else(
                    || "nothing ran".to_owned(),
                    |outcome| format!("{} {}", outcome.check, outcome.verdict),
                );
                return Err(AcceptError::NotPassed { run, why });
            }
            baseline.newest = baseline.newest.max(report.started);
            for outcome in &report.outcomes {
                let figures = outcome.figures.iter().filter(|figure| figure.value.is_finite());
                for figure in figures {
                    let check = baseline.checks.entry(outcome.check.clone()).or_default();
                    let known = check.entry(figure.name.clone()).or_default();
                    known.unit.clone_from(&figure.unit);
                    known.better = figure.better;
                    known.values.push(figure.value);
                }
            }
        }
        Ok(baseline)
    }

    /// Every figure of a run, set against the baseline. Empty for another board's run.
    pub fn judge(&self, report: &Report) -> Vec<Judged> {
        if report.board != self.board {
            return Vec::new();
        }
        let figures =
            report.outcomes.iter().flat_map(|outcome| outcome.figures.iter().map(move |figure| (outcome, figure)));
        figures
            .map(|(outcome, figure)| {
                let known = self.checks.get(&outcome.check).and_then(|check| check.get(&figure.name));
                let known = known.filter(|known| known.unit == figure.unit);
                let bounds = known.and_then(Known::bounds);
                Judged {
                    check: outcome.check.clone(),
                    figure: figure.name.clone(),
                    unit: figure.unit.clone(),
                    standing: bounds.map_or(Standing::Unknown, |bounds| bounds.standing(figure.value, figure.better)),
                    bounds,
                }
            })
            .collect()
    }
}

/// One figure over several runs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Known {
    /// Its unit.
    pub unit: String,
    /// Which way is good.
    pub better: Better,
    /// One of each run.
    pub values: Vec<f64>,
}

impl Known {
    /// Where the next run's figure is in 99 of 100 cases if nothing changed (Student's prediction interval), and at least 1 %
    /// of the mean to both sides. `None` with fewer than [`RUNS_FOR_BOUNDS`].
    pub fn bounds(&self) -> Option<Bounds> {
        if self.values.len() < RUNS_FOR_BOUNDS {
            return None;
        }
        let count = self.values.len() as f64;
        let mean = self.values.iter().sum::<f64>() / count;
        let variance = self.values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (count - 1.0);
        let half = (student(self.values.len() - 1) * (variance * (1.0 + 1.0 / count)).sqrt()).max(mean.abs() / 100.0);
        Some(Bounds { low: mean - half, mean, high: mean + half })
            .filter(|bounds| half.is_finite() && bounds.mean.is_finite())
    }
}

/// The 99.5 % point of Student's distribution: both sides together leave out 1 %.
fn student(freedom: usize) -> f64 {
    const FEW: [f64; 10] = [f64::INFINITY, 63.657, 9.925, 5.841, 4.604, 4.032, 3.707, 3.499, 3.355, 3.250];
    FEW.get(freedom).copied().unwrap_or_else(|| {
        // Cornish and Fisher's expansion: right to 0.002 from 10 on.
        let (z, n) = (2.575_83_f64, freedom as f64);
        z + (z.powi(3) + z) / (4.0 * n)
            + (5.0 * z.powi(5) + 16.0 * z.powi(3) + 3.0 * z) / (96.0 * n * n)
            + (3.0 * z.powi(7) + 19.0 * z.powi(5) + 17.0 * z.powi(3) - 15.0 * z) / (384.0 * n.powi(3))
    })
}

/// Where a figure should be, in its unit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bounds {
    /// Not below.
    pub low: f64,
    /// In the middle.
    pub mean: f64,
    /// Not above.
    pub high: f64,
}

impl Bounds {
    fn standing(self, value: f64, better: Better) -> Standing {
        let above = value > self.high;
        if !value.is_finite() {
            return Standing::Unknown;
        }
        if !above && value >= self.low {
            return Standing::Within;
        }
        match better {
            Better::Either => Standing::Changed,
            Better::Higher if above => Standing::Better,
            Better::Lower if !above => Standing::Better,
            Better::Higher | Better::Lower => Standing::Worse,
        }
    }
}

/// A figure of a run, set against the baseline.
#[derive(Clone, Debug, PartialEq)]
pub struct Judged {
    /// Its check.
    pub check: String,
    /// Its name.
    pub figure: String,
    /// Its unit.
    pub unit: String,
    /// Where it should be, if that is known.
    pub bounds: Option<Bounds>,
    /// Where it is.
    pub standing: Standing,
}

impl Judged {
    /// How a run ended, with its baseline.
    pub fn ending(report: &Report, judged: &[Self]) -> Ending {
        match report.ending() {
            Ending::Passed if judged.iter().any(|judged| judged.standing.is_worse()) => Ending::Worse,
            ending => ending,
        }
    }

    /// What is to be said about it, if anything.
    pub fn words(&self) -> Option<String> {
        let bounds = self.bounds?;
        let high = amount(bounds.high, &self.unit);
        let range = if bounds.low < bounds.high { format!("{} to {high}", amount(bounds.low, "")) } else { high };
        match self.standing {
            Standing::Within | Standing::Unknown => None,
            Standing::Better => Some(format!("better than {range}")),
            Standing::Worse => Some(format!("worse than {range}")),
            Standing::Changed => Some(format!("was {range}")),
        }
    }
}

/// Where a figure is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Where it should be.
    Within,
    /// Outside, and good.
    Better,
    /// Outside, and bad.
    Worse,
    /// Outside, and neither.
    Changed,
    /// It is new, has another unit, could not be told, or was measured too seldom.
    Unknown,
}

impl Standing {
    /// Whether somebody should look.
    pub const fn is_worse(self) -> bool {
        matches!(self, Self::Worse)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::{Figure, Outcome};
    use std::time::{Duration, SystemTime};

    fn run(p95: f64) -> Report {
        let mut report = Report::new("porch", "test", SystemTime::UNIX_EPOCH);
        let outcome = Outcome::passed("latency", Duration::ZERO);
        report.outcomes.push(outcome.with(Figure::new("p95", p95, "ms").at_most(100.0)));
        report
    }

    #[test]
    fn bounds_are_students_prediction_interval() {
        let known = Known { values: vec![10.0, 11.0, 12.0, 13.0, 14.0], ..Known::default() };
        let bounds = known.bounds().unwrap();
        // 4.604 · sqrt(2.5 · 1.2)
        assert!((bounds.high - 12.0 - 7.974).abs() < 0.001, "{bounds:?}");
        assert!((student(30) - 2.750).abs() < 0.001 && (student(10) - 3.169).abs() < 0.002);
        assert_eq!(Known { values: vec![1.0, 2.0], ..Known::default() }.bounds(), None);
    }

    #[test]
    fn a_figure_outside_of_its_bounds_is_worse_or_better_by_its_kind() {
        let baseline = Baseline::accept(&[run(40.0), run(41.0), run(42.0), run(41.0)]).unwrap();
        let standing = |p95| baseline.judge(&run(p95)).first().unwrap().standing;
        assert_eq!(
            [standing(43.0), standing(60.0), standing(20.0)],
            [Standing::Within, Standing::Worse, Standing::Better]
        );
        assert_eq!(Judged::ending(&run(60.0), &baseline.judge(&run(60.0))), Ending::Worse);
        assert_eq!(standing(f64::NAN), Standing::Unknown);
    }

    #[test]
    fn a_run_that_did_not_pass_makes_no_baseline() {
        let error = Baseline::accept(&[run(40.0), run(140.0)]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "run 2 did not pass (latency failed: p95 is 140 ms, not at most 100 ms): only runs that passed make a baseline"
        );
        assert_eq!(Baseline::accept(&[]), Err(AcceptError::NoRuns));
        let other = Report { board: "garden".to_owned(), ..run(40.0) };
        assert!(matches!(Baseline::accept(&[run(40.0), other]), Err(AcceptError::OtherBoard { run: 2, .. })));
    }

    #[test]
    fn another_unit_is_not_compared() {
        let baseline = Baseline::accept(&[run(40.0), run(41.0), run(42.0)]).unwrap();
        let mut report = run(60.0);
        report.outcomes[0].figures[0].unit = "frames".to_owned();
        assert_eq!(baseline.judge(&report)[0].standing, Standing::Unknown);
    }
}
