//! A report for a CI: JUnit XML.

use crate::outcome::Verdict;
use crate::report::Report;
use crate::text::{lines, plain};
use quick_junit::{NonSuccessKind, TestCase, TestCaseStatus, TestSuite};

/// Why there is no XML.
#[derive(Debug, thiserror::Error)]
#[error("cannot write JUnit XML: {0}")]
pub struct JunitError(#[from] quick_junit::SerializeError);

/// The report as one test suite, a test case for each check. Figures are properties and, for a person, the case's output.
///
/// # Errors
/// If the XML writer fails, which text of a report does not make it do.
pub fn render(report: &Report) -> Result<String, JunitError> {
    let board = plain(&report.board);
    let mut suite = TestSuite::new(board.clone());
    suite
        .set_timestamp(report.started)
        .set_time(report.took())
        .add_property(("program", plain(&report.program).as_str()));
    for outcome in &report.outcomes {
        let status = match &outcome.verdict {
            Verdict::Passed => TestCaseStatus::success(),
            Verdict::Failed { why } => {
                let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
                status.set_message(plain(why));
                status
            }
            Verdict::NotRun { why } => {
                let mut status = TestCaseStatus::skipped();
                status.set_message(plain(why));
                status
            }
        };
        let mut case = TestCase::new(plain(&outcome.check), status);
        case.set_classname(board.clone()).set_time(outcome.took);
        let mut output = Vec::new();
        for figure in &outcome.figures {
            let (name, shown) = (plain(&figure.name), plain(&figure.shown()));
            case.add_property((name.as_str(), shown.as_str()));
            output.push(format!("{name}: {shown}"));
        }
        output.extend(outcome.plan.iter().map(|plan| format!("fault plan:\n{}", lines(plan))));
        output.extend(outcome.attachments.iter().map(|path| format!("file: {}", plain(&path.to_string_lossy()))));
        if !output.is_empty() {
            case.set_system_out(output.join("\n"));
        }
        suite.add_test_case(case);
    }
    let mut xml = quick_junit::Report::new("doorframe-hil");
    xml.set_timestamp(report.started).set_time(report.took()).add_test_suite(suite);
    Ok(xml.to_string()?)
}
