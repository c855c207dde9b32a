//! A report for a person: one page that needs nothing else, neither a script nor the network.

use crate::baseline::{Judged, Standing};
use crate::outcome::{Figure, Outcome, Verdict};
use crate::plot;
use crate::report::{Ending, Report};
use crate::table;
use crate::text::{lines, plain};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use std::path::Path;

const STYLE: &str = include_str!("page.css");
/// Nothing runs and nothing is fetched, whatever a board calls itself.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";

/// The page. `judged` is the run set against the board's baseline; empty if there is none.
pub fn render(report: &Report, judged: &[Judged]) -> String {
    let ending = Judged::ending(report, judged);
    let worse = judged.iter().filter(|judged| judged.standing.is_worse()).count();
    let compared = judged.iter().any(|judged| judged.bounds.is_some());
    let [passed, failed, not_run] = report.counts();
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (plain(&report.board)) ": " (ending_words(ending)) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                header {
                    div {
                        h1 { (plain(&report.board)) }
                        p { (report.started.format("%F %T UTC").to_string()) " · " (plain(&report.program)) " · "
                            (took(report.took().as_secs_f64())) }
                    }
                    span.pill data-is=(ending_tone(ending)) { (ending_words(ending)) }
                }
                ul.tiles {
                    (tile(passed, "passed", "passed"))
                    (tile(failed, "failed", if failed > 0 { "failed" } else { "quiet" }))
                    (tile(not_run, "not run", "quiet"))
                    @if compared { (tile(worse, "worse than the baseline", if worse > 0 { "worse" } else { "quiet" })) }
                }
                nav {
                    table {
                        @for (index, outcome) in report.outcomes.iter().enumerate() {
                            tr data-is=(tone(&outcome.verdict)) {
                                td {
                                    @if has_details(outcome) { a href={ "#check-" (index) } { (plain(&outcome.check)) } }
                                    @else { (plain(&outcome.check)) }
                                }
                                td.word { (outcome.verdict.word()) }
                                td.number { (time(outcome)) }
                                td.why { @if let Some(why) = outcome.verdict.why() { (plain(why)) } }
                            }
                        }
                    }
                }
                main {
                    @for (index, outcome) in report.outcomes.iter().enumerate().filter(|(_, outcome)| has_details(outcome)) {
                        (details(index, outcome, judged))
                    }
                }
                footer { p { (table::summary(report, judged)) }
                    @if compared {
                        p { "Bounds: where 99 of 100 runs lie if nothing changed, from the runs of the baseline." }
                    } @else {
                        p { "No baseline to compare with." }
                    }
                }
            }
        }
    };
    page.into_string()
}

fn has_details(outcome: &Outcome) -> bool {
    !(outcome.figures.is_empty()
        && outcome.series.is_empty()
        && outcome.plan.is_none()
        && outcome.attachments.is_empty())
}

fn details(index: usize, outcome: &Outcome, judged: &[Judged]) -> Markup {
    html! {
        section id={ "check-" (index) } {
            h2 { (plain(&outcome.check)) span.pill data-is=(tone(&outcome.verdict)) { (outcome.verdict.word()) } }
            @if let Some(why) = outcome.verdict.why() { p.why data-is=(tone(&outcome.verdict)) { (plain(why)) } }
            @if !outcome.figures.is_empty() {
                table.figures {
                    @for one in &outcome.figures { (figure(outcome, one, judged)) }
                }
            }
            @for series in &outcome.series { (plot::series(&harmless(series))) }
            @if let Some(plan) = &outcome.plan {
                details open[matches!(outcome.verdict, Verdict::Failed { .. })] {
                    summary { "Fault plan" }
                    pre { (lines(plan)) }
                }
            }
            @if !outcome.attachments.is_empty() {
                p.files { "Files: " @for path in &outcome.attachments { (file(path)) " " } }
            }
        }
    }
}

fn figure(outcome: &Outcome, figure: &Figure, judged: &[Judged]) -> Markup {
    let judged = judged.iter().find(|judged| judged.check == outcome.check && judged.figure == figure.name);
    html! {
        tr {
            th scope="row" { (plain(&figure.name)) }
            td.number data-is=[figure.broken().map(|_| "failed")] { (plain(&figure.shown())) }
            td.limit { (plain(&figure.limit_words())) }
            td.baseline {
                @if let Some((judged, bounds)) = judged.and_then(|judged| Some((judged, judged.bounds?))) {
                    (plot::bounds(bounds, figure.value, judged.standing))
                    @if let Some(words) = judged.words() {
                        span data-is=(if judged.standing == Standing::Worse { "worse" } else { "quiet" }) { (plain(&words)) }
                    }
                }
            }
        }
    }
}

fn harmless(series: &crate::Series) -> crate::Series {
    crate::Series { name: plain(&series.name), unit: plain(&series.unit), ..series.clone() }
}

/// A link only for a plain name below the report's own folder.
fn file(path: &Path) -> Markup {
    let shown = plain(&path.to_string_lossy());
    let simple = |letter: char| letter.is_ascii_alphanumeric() || "-_./".contains(letter);
    if shown.starts_with('/') || shown.split('/').any(|part| part == "..") || !shown.chars().all(simple) {
        return html! { code { (shown) } };
    }
    html! { a href={ "./" (shown) } { code { (shown) } } }
}

fn tile(count: usize, words: &str, tone: &str) -> Markup {
    html! { li data-is=(tone) { b { (count) } span { (words) } } }
}

fn time(outcome: &Outcome) -> String {
    if matches!(outcome.verdict, Verdict::NotRun { .. }) { String::new() } else { took(outcome.took.as_secs_f64()) }
}

fn took(seconds: f64) -> String {
    if seconds < 120.0 { format!("{seconds:.1} s") } else { format!("{:.0} min", seconds / 60.0) }
}

fn tone(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Passed => "passed",
        Verdict::Failed { .. } => "failed",
        Verdict::NotRun { .. } => "quiet",
    }
}

fn ending_tone(ending: Ending) -> &'static str {
    match ending {
        Ending::Passed => "passed",
        Ending::Failed => "failed",
        Ending::Worse => "worse",
        Ending::NothingRan => "quiet",
    }
}

fn ending_words(ending: Ending) -> &'static str {
    match ending {
        Ending::Passed => "passed",
        Ending::Failed => "failed",
        Ending::Worse => "worse than the baseline",
        Ending::NothingRan => "nothing ran",
    }
}
