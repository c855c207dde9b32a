//! Two runs, side by side.

use crate::outcome::{Better, Figure, Outcome, amount};
use crate::report::{Ending, Report};
use crate::table;
use crate::text::plain;

/// Two runs, side by side, as a table of at most `width` columns, and how the second stands to the first: failed if a check
/// that passed no longer does.
pub fn compare(first: &Report, second: &Report, width: u16) -> (String, Ending) {
    let mut table = table::new(width);
    table.set_header(["check", "figure", "A", "B", "change"]);
    let mut ending = Ending::Passed;
    let find = |report: &Report, check: &str| report.outcomes.iter().position(|outcome| outcome.check == check);
    let outcome = |report: &Report, check: &str| find(report, check).and_then(|at| report.outcomes.get(at).cloned());
    let mut checks: Vec<&str> = first.outcomes.iter().map(|outcome| outcome.check.as_str()).collect();
    checks.extend(
        second.outcomes.iter().map(|outcome| outcome.check.as_str()).filter(|check| find(first, check).is_none()),
    );
    for check in checks {
        let (a, b) = (outcome(first, check), outcome(second, check));
        let word = |outcome: &Option<Outcome>| outcome.as_ref().map_or("-", |outcome| outcome.verdict.word());
        let is = |outcome: &Option<Outcome>, wanted: &str| word(outcome) == wanted;
        let change = if is(&a, "passed") && !is(&b, "passed") {
            ending = Ending::Failed;
            b.as_ref().and_then(|b| b.verdict.why()).map_or("no longer run".to_owned(), plain)
        } else if is(&b, "passed") && !is(&a, "passed") {
            "now passes".to_owned()
        } else {
            String::new()
        };
        table.add_row([plain(check), String::new(), word(&a).to_owned(), word(&b).to_owned(), change]);
        let figures =
            |outcome: &Option<Outcome>| outcome.as_ref().map_or(Vec::new(), |outcome| outcome.figures.clone());
        let (a, b) = (figures(&a), figures(&b));
        let mut names: Vec<&Figure> = a.iter().collect();
        names.extend(b.iter().filter(|figure| !a.iter().any(|known| known.name == figure.name)));
        for figure in names {
            let find = |figures: &[Figure]| figures.iter().find(|one| one.name == figure.name).cloned();
            let (a, b) = (find(&a), find(&b));
            let shown =
                |figure: &Option<Figure>| figure.as_ref().map_or("-".to_owned(), |figure| plain(&figure.shown()));
            let by = a.as_ref().zip(b.as_ref()).map_or(String::new(), |(a, b)| difference(a, b));
            table.add_row([String::new(), plain(&figure.name), shown(&a), shown(&b), by]);
        }
    }
    let head = |name, report: &Report| {
        format!(
            "{name}: {} of {}, {}\n",
            plain(&report.board),
            report.started.format("%F %T UTC"),
            plain(&report.program)
        )
    };
    (format!("{}{}{table}\n", head("A", first), head("B", second)), ending)
}

fn difference(a: &Figure, b: &Figure) -> String {
    let by = b.value - a.value;
    if a.unit != b.unit {
        return "another unit".to_owned();
    }
    // What would be shown as 0.0 % is none.
    if !by.is_finite() || by.abs() < a.value.abs() * 0.0005 || by == 0.0 {
        return String::new();
    }
    let way = match (b.better, by > 0.0) {
        (Better::Either, _) => "",
        (Better::Higher, true) | (Better::Lower, false) => ", better",
        (Better::Higher, false) | (Better::Lower, true) => ", worse",
    };
    let part = if a.value == 0.0 { String::new() } else { format!(" ({:+.1} %)", by / a.value.abs() * 100.0) };
    let sign = if by > 0.0 { "+" } else { "" };
    format!("{sign}{}{part}{way}", plain(&amount(by, &b.unit)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, SystemTime};

    fn run(outcomes: Vec<Outcome>) -> Report {
        Report { outcomes, ..Report::new("porch", "test 1", SystemTime::UNIX_EPOCH) }
    }

    #[test]
    fn two_runs_are_set_side_by_side() {
        let rate = |fps| Outcome::passed("rate", Duration::ZERO).with(Figure::new("mean", fps, "fps").at_least(29.0));
        let old = run(vec![rate(30.0), Outcome::passed("replug", Duration::ZERO)]);
        let (text, ending) = compare(&old, &run(vec![rate(27.0), Outcome::not_run("glass", "no rig")]), 100);
        assert_eq!(ending, Ending::Failed);
        for part in ["-3 fps (-10.0 %), worse", "mean is 27 fps, not at least 29 fps", "no longer run", "not run"] {
            assert!(text.contains(part), "'{part}' is not in\n{text}");
        }
        assert_eq!(compare(&old, &old, 100).1, Ending::Passed);
    }
}
