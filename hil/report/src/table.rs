//! A report for a terminal.

use crate::baseline::Judged;
use crate::outcome::Outcome;
use crate::report::{Ending, Report};
use crate::text::plain;
use comfy_table::{ContentArrangement, Row, Table};
use comfy_table::{ContentLineStyle, LineStyle, TableStyle};

/// The report as a table of at most `width` columns, and one sentence at the end.
pub fn render(report: &Report, judged: &[Judged], width: u16) -> String {
    let mut table = new(width);
    table.set_header(["check", "", "took", "measured"]);
    for outcome in &report.outcomes {
        table.add_row(row(outcome, judged));
    }
    format!("{table}\n{}\n", summary(report, judged))
}

/// How the run ended, in one sentence.
pub fn summary(report: &Report, judged: &[Judged]) -> String {
    let [passed, failed, not_run] = report.counts();
    let worse = judged.iter().filter(|judged| judged.standing.is_worse()).count();
    let mut text = match Judged::ending(report, judged) {
        Ending::NothingRan => format!("{}: nothing ran, which proves nothing", plain(&report.board)),
        Ending::Failed => format!("{}: {failed} failed, {passed} passed", plain(&report.board)),
        Ending::Passed | Ending::Worse => format!("{}: {passed} passed", plain(&report.board)),
    };
    if not_run > 0 {
        text = format!("{text}, {not_run} not run");
    }
    if worse > 0 {
        text = format!("{text}; {worse} worse than the baseline");
    }
    format!("{text} ({:.1} s)", report.took().as_secs_f64())
}

/// A table as all of ours are.
pub(crate) fn new(width: u16) -> Table {
    let mut table = Table::new();
    let style = TableStyle::new()
        .header_separator(LineStyle::none().fill('─').junction('─'))
        .content_lines(ContentLineStyle::none().junction(' '))
        .header_lines(ContentLineStyle::none().junction(' '));
    table.load_style(style).set_content_arrangement(ContentArrangement::Dynamic).set_width(width.max(40));
    table
}

fn row(outcome: &Outcome, judged: &[Judged]) -> Row {
    let mut measured: Vec<_> = outcome.verdict.why().map(plain).into_iter().collect();
    for figure in &outcome.figures {
        let mut line = format!("{} {}", plain(&figure.name), plain(&figure.shown()));
        let limit = figure.limit_words();
        if !limit.is_empty() {
            line = format!("{line} ({})", plain(&limit));
        }
        let judged = judged.iter().find(|judged| judged.check == outcome.check && judged.figure == figure.name);
        if let Some(words) = judged.and_then(Judged::words) {
            line = format!("{line}, {}", plain(&words));
        }
        measured.push(line);
    }
    let took = match &outcome.verdict {
        crate::Verdict::NotRun { .. } => String::new(),
        _ => format!("{:.1} s", outcome.took.as_secs_f64()),
    };
    Row::from([plain(&outcome.check), outcome.verdict.word().to_owned(), took, measured.join("\n")])
}
