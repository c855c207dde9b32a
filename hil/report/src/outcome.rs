//! What one check found.

use crate::seconds;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// What one check found on one board.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outcome {
    /// The check's name, such as `frame-rate`. It never changes meaning: baselines hang on it.
    pub check: String,
    /// How it ended.
    pub verdict: Verdict,
    /// What it measured, in one number each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub figures: Vec<Figure>,
    /// What it measured, in many.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub series: Vec<Series>,
    /// How long the check took.
    #[serde(rename = "took_s", with = "seconds")]
    pub took: Duration,
    /// The fault plan it ran under, as text from which it can be run again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<String>,
    /// Files that tell more (bus capture, kernel log, pictures), relative to the report's folder.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attachments: Vec<PathBuf>,
}

impl Outcome {
    /// A check that ended well, if every figure that is added keeps its limit.
    pub fn passed(check: impl Into<String>, took: Duration) -> Self {
        Self {
            check: check.into(),
            verdict: Verdict::Passed,
            figures: Vec::new(),
            series: Vec::new(),
            took,
            plan: None,
            attachments: Vec::new(),
        }
    }

    /// A check that found something wrong; `why` is one sentence for a person.
    pub fn failed(check: impl Into<String>, took: Duration, why: impl Into<String>) -> Self {
        Self { verdict: Verdict::Failed { why: why.into() }, ..Self::passed(check, took) }
    }

    /// A check that this board or this machine cannot have; `why` is one sentence for a person.
    pub fn not_run(check: impl Into<String>, why: impl Into<String>) -> Self {
        Self { verdict: Verdict::NotRun { why: why.into() }, ..Self::passed(check, Duration::ZERO) }
    }

    /// Adds a figure. One that breaks its limit makes a passed check a failed one.
    #[must_use]
    pub fn with(mut self, figure: Figure) -> Self {
        if self.verdict == Verdict::Passed
            && let Some(why) = figure.broken()
        {
            self.verdict = Verdict::Failed { why };
        }
        self.figures.push(figure);
        self
    }

    /// Adds a series.
    #[must_use]
    pub fn with_series(mut self, series: Series) -> Self {
        self.series.push(series);
        self
    }

    /// Adds the fault plan.
    #[must_use]
    pub fn with_plan(mut self, plan: impl Into<String>) -> Self {
        self.plan = Some(plan.into());
        self
    }

    /// Adds a file.
    #[must_use]
    pub fn with_attachment(mut self, path: impl Into<PathBuf>) -> Self {
        self.attachments.push(path.into());
        self
    }
}

/// How a check ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Verdict {
    /// All was as it must be.
    Passed,
    /// Something was not.
    Failed {
        /// One sentence for a person.
        why: String,
    },
    /// The board, the rig or the machine lacks what the check needs. Never "passed".
    NotRun {
        /// One sentence for a person.
        why: String,
    },
}

impl Verdict {
    /// The verdict without its reason.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed { .. } => "failed",
            Self::NotRun { .. } => "not run",
        }
    }

    /// The reason, if there is one to give.
    pub fn why(&self) -> Option<&str> {
        match self {
            Self::Passed => None,
            Self::Failed { why } | Self::NotRun { why } => Some(why),
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())?;
        self.why().map_or(Ok(()), |why| write!(f, ": {why}"))
    }
}

/// One number.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Figure {
    /// What it is, such as `p95`; one of a kind within its check.
    pub name: String,
    /// How much. `null` in JSON, NaN here, if it could not be told.
    #[serde(with = "crate::seconds::number")]
    pub value: f64,
    /// Of what, such as `ms`; empty for a plain count.
    pub unit: String,
    /// What it must keep to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<Limit>,
    /// Which way is good.
    #[serde(default)]
    pub better: Better,
}

impl Figure {
    /// A figure without a limit.
    pub fn new(name: impl Into<String>, value: f64, unit: impl Into<String>) -> Self {
        Self { name: name.into(), value, unit: unit.into(), limit: None, better: Better::Either }
    }

    /// It must not be above `most`, and less is better.
    #[must_use]
    pub fn at_most(self, most: f64) -> Self {
        Self { limit: Some(Limit::AtMost(most)), better: Better::Lower, ..self }
    }

    /// It must not be below `least`, and more is better.
    #[must_use]
    pub fn at_least(self, least: f64) -> Self {
        Self { limit: Some(Limit::AtLeast(least)), better: Better::Higher, ..self }
    }

    /// Says which way is good, for the comparison with a baseline.
    #[must_use]
    pub fn better(self, better: Better) -> Self {
        Self { better, ..self }
    }

    /// The sentence that says how it breaks its limit, if it does. What could not be told keeps no limit.
    pub fn broken(&self) -> Option<String> {
        let kept = match self.limit? {
            Limit::AtMost(most) => self.value <= most,
            Limit::AtLeast(least) => self.value >= least,
        };
        (!kept).then(|| format!("{} is {}, not {}", self.name, self.amount(self.value), self.limit_words()))
    }

    /// The value with its unit.
    pub fn shown(&self) -> String {
        self.amount(self.value)
    }

    /// Its limit in words, such as `at most 40 ms`; empty without one.
    pub fn limit_words(&self) -> String {
        match self.limit {
            Some(Limit::AtMost(most)) => format!("at most {}", self.amount(most)),
            Some(Limit::AtLeast(least)) => format!("at least {}", self.amount(least)),
            None => String::new(),
        }
    }

    fn amount(&self, value: f64) -> String {
        amount(value, &self.unit)
    }
}

/// A number as a person reads it: four digits are enough, and a count is whole.
pub fn amount(value: f64, unit: &str) -> String {
    if !value.is_finite() {
        return "unknown".to_owned();
    }
    let number = if value.fract() == 0.0 && value.abs() < 1e15 {
        format!("{value:.0}")
    } else {
        let places = match value.abs() {
            large if large >= 1000.0 => 0,
            large if large >= 100.0 => 1,
            large if large >= 1.0 => 2,
            _ => 4,
        };
        let number = format!("{value:.places$}");
        if places == 0 { number } else { number.trim_end_matches('0').trim_end_matches('.').to_owned() }
    };
    if unit.is_empty() { number } else { format!("{number} {unit}") }
}

/// What a figure must keep to, in its unit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Limit {
    /// Not above.
    AtMost(#[serde(with = "crate::seconds::number")] f64),
    /// Not below.
    AtLeast(#[serde(with = "crate::seconds::number")] f64),
}

/// Which way is good.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Better {
    /// More is.
    Higher,
    /// Less is.
    Lower,
    /// Neither: a change is told, and is not a fault.
    #[default]
    Either,
}

/// Many numbers of one kind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Series {
    /// What they are, such as `glass to glass`.
    pub name: String,
    /// Of what, such as `ms`.
    pub unit: String,
    /// How they are to be read.
    pub kind: Kind,
    /// In the order in which they were measured.
    #[serde(with = "crate::seconds::numbers")]
    pub values: Vec<f64>,
}

impl Series {
    /// Numbers whose order means nothing, such as latencies: a histogram.
    pub fn spread(name: impl Into<String>, unit: impl Into<String>, values: Vec<f64>) -> Self {
        Self { name: name.into(), unit: unit.into(), kind: Kind::Spread, values }
    }

    /// Numbers one after the other, such as the intervals between frames: a trace.
    pub fn trace(name: impl Into<String>, unit: impl Into<String>, values: Vec<f64>) -> Self {
        Self { name: name.into(), unit: unit.into(), kind: Kind::Trace, values }
    }

    /// Moments in seconds after the start of `lasted` seconds at which something happened, such as a drop: a time line.
    pub fn moments(name: impl Into<String>, lasted: f64, seconds: Vec<f64>) -> Self {
        Self { name: name.into(), unit: "s".to_owned(), kind: Kind::Moments { lasted }, values: seconds }
    }
}

/// How a series is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Their order means nothing.
    Spread,
    /// One after the other.
    Trace,
    /// Seconds after the start.
    Moments {
        /// Seconds that were watched.
        #[serde(with = "crate::seconds::number")]
        lasted: f64,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_that_breaks_its_limit_fails_its_check() {
        let outcome = Outcome::passed("frame-rate", Duration::from_secs(3))
            .with(Figure::new("rate", 29.97, "fps").at_least(29.0))
            .with(Figure::new("dropped", 2.0, "frames").at_most(0.0));
        assert_eq!(outcome.verdict, Verdict::Failed { why: "dropped is 2 frames, not at most 0 frames".to_owned() });
    }

    #[test]
    fn what_could_not_be_told_keeps_no_limit() {
        let outcome = Outcome::passed("latency", Duration::ZERO).with(Figure::new("p95", f64::NAN, "ms").at_most(50.0));
        assert_eq!(outcome.verdict.to_string(), "failed: p95 is unknown, not at most 50 ms");
    }

    #[test]
    fn an_outcome_is_one_line_of_json_and_comes_back() {
        let outcome = Outcome::passed("latency", Duration::from_millis(1500))
            .with(Figure::new("p95", 33.25, "ms").at_most(50.0))
            .with_series(Series::moments("drops", 10.0, vec![1.0, 2.5]))
            .with_plan("unplug at frame 30")
            .with_attachment("bus.pcap");
        let line = serde_json::to_string(&outcome).unwrap();
        assert_eq!(
            line,
            r#"{"check":"latency","verdict":{"is":"passed"},"figures":[{"name":"p95","value":33.25,"unit":"ms","limit":{"at-most":50.0},"better":"lower"}],"series":[{"name":"drops","unit":"s","kind":{"moments":{"lasted":10.0}},"values":[1.0,2.5]}],"took_s":1.5,"plan":"unplug at frame 30","attachments":["bus.pcap"]}"#
        );
        assert_eq!(serde_json::from_str::<Outcome>(&line).unwrap(), outcome);
    }

    #[test]
    fn a_number_that_is_none_survives_json() {
        let line = serde_json::to_string(&Figure::new("p95", f64::INFINITY, "ms")).unwrap();
        assert!(serde_json::from_str::<Figure>(&line).unwrap().value.is_nan(), "{line}");
    }

    #[test]
    fn numbers_are_shown_with_the_digits_that_matter() {
        for (value, shown) in [
            (0.0, "0 ms"),
            (0.12345, "0.1235 ms"),
            (33.333_3, "33.33 ms"),
            (123.456, "123.5 ms"),
            (12_345.6, "12346 ms"),
        ] {
            assert_eq!(amount(value, "ms"), shown);
        }
        assert_eq!(amount(3.0, ""), "3");
    }
}
