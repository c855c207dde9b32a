//! What a report looks like in its forms, and that nothing breaks out of them.

use doorframe_hil_report::{Baseline, Better, Figure, Limit, Outcome, Report, Series, Verdict};
use doorframe_hil_report::{compare, html, junit, progress, table};
use proptest::prelude::*;
use std::time::{Duration, SystemTime};

fn report() -> Report {
    let mut report =
        Report::new("porch", "doorframe-hil 0.1.0", SystemTime::UNIX_EPOCH + Duration::from_secs(1_790_000_000));
    report.outcomes = vec![
        Outcome::passed("frame-rate", Duration::from_millis(3040))
            .with(Figure::new("rate", 29.97, "fps").at_least(29.0))
            .with_series(Series::trace("frame interval", "ms", vec![33.3, 33.4])),
        Outcome::failed("fault-unplug", Duration::from_millis(900), "<not> & back").with_plan("unplug at 30"),
        Outcome::not_run("glass-to-glass", "no rig is named in the board's file"),
    ];
    report
}

#[test]
fn json_is_as_it_was_and_comes_back() {
    let text = serde_json::to_string_pretty(&report()).unwrap();
    assert_eq!(text, include_str!("report.json").trim_end());
    assert_eq!(serde_json::from_str::<Report>(&text).unwrap(), report());
}

#[test]
fn junit_is_as_it_was() {
    assert_eq!(junit::render(&report()).unwrap().trim_end(), include_str!("report.xml").trim_end());
}

#[test]
fn the_table_is_as_it_was() {
    assert_eq!(table::render(&report(), &[], 80), include_str!("report.txt"));
}

#[test]
fn a_board_cannot_write_on_the_page() {
    let evil = "</style></title><script>alert(1)</script><img src=x onerror=alert(1)>\" onload='x' ]]> --> &\u{1b}[2J";
    let mut report = report();
    report.board = evil.to_owned();
    report.outcomes = vec![evil_outcome(evil)];
    check_page(&html::render(&report, &[]));
    check_xml(&junit::render(&report).unwrap());
}

fn evil_outcome(evil: &str) -> Outcome {
    Outcome::failed(evil, Duration::ZERO, evil)
        .with(Figure::new(evil, f64::NAN, evil).at_most(1.0))
        .with_series(Series::spread(evil, evil, vec![1.0, f64::INFINITY]))
        .with_series(Series::trace(evil, evil, vec![1.0, 2.0]))
        .with_plan(evil)
        .with_attachment(evil)
        .with_attachment("javascript:alert(1)")
        .with_attachment("../../etc/passwd")
}

/// Only our own elements and attributes stand in the page, whatever the text.
fn check_page(page: &str) {
    let (head, body) = page.split_once("</style>").expect("the page has its style");
    assert_eq!(head.matches("<style>").count(), 1);
    assert!(!body.contains("<script") && !body.contains("<img") && !body.contains("<style"), "{body}");
    for tag in body.split('<').skip(1).map(|rest| rest.split('>').next().unwrap_or_default()) {
        let name: String = tag.trim_start_matches('/').chars().take_while(char::is_ascii_alphanumeric).collect();
        let known = "head body header div h1 h2 p span ul li b nav table tr td th a main section figure figcaption svg line rect \
                     text path circle title details summary pre code footer html";
        assert!(known.split(' ').any(|known| known == name), "<{tag}> is not ours");
        let quotes = tag.matches('"').count();
        assert!(quotes % 2 == 0, "<{tag}> has a quote that is not ours");
        for (index, part) in tag.split('"').enumerate().filter(|(index, _)| index % 2 == 0) {
            assert!(!part.contains(" on"), "<{tag}> has a handler in part {index}");
        }
        if let Some((_, link)) = tag.split_once("href=\"") {
            assert!(link.starts_with("./") || link.starts_with('#'), "{link}");
        }
    }
    assert!(!body.chars().any(|letter| letter.is_control() && letter != '\n'), "a control character is in the page");
}

/// Well-formed, and nothing but our own elements.
fn check_xml(xml: &str) {
    let mut reader = quick_xml::Reader::from_str(xml);
    loop {
        match reader.read_event().expect("the XML is well-formed") {
            quick_xml::events::Event::Eof => break,
            quick_xml::events::Event::Start(tag) | quick_xml::events::Event::Empty(tag) => {
                let name = String::from_utf8_lossy(tag.name().as_ref()).into_owned();
                let known = [
                    "testsuites",
                    "testsuite",
                    "testcase",
                    "properties",
                    "property",
                    "failure",
                    "skipped",
                    "system-out",
                ];
                assert!(known.contains(&name.as_str()), "<{name}> is not ours");
                assert!(tag.attributes().all(|attribute| attribute.is_ok()), "attributes of <{name}>");
            }
            _ => {}
        }
    }
    assert!(!xml.chars().any(|letter| letter.is_control() && letter != '\n'), "a control character is in the XML");
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![any::<String>(), "[<>&\"' /=\\-\\]a-z\u{0}-\u{1f}]{0,40}", Just("<script>\"'--></style>]]>".to_owned())]
}

fn number() -> impl Strategy<Value = f64> {
    prop_oneof![any::<f64>(), -1e3..1e3, Just(0.0), Just(f64::NAN), Just(f64::MAX), Just(f64::MIN), Just(f64::INFINITY)]
}

prop_compose! {
    fn figure()(name in text(), value in number(), unit in text(), limit in proptest::option::of((any::<bool>(), number()))) -> Figure {
        let limit = limit.map(|(most, at)| if most { Limit::AtMost(at) } else { Limit::AtLeast(at) });
        Figure { limit, better: Better::Lower, ..Figure::new(name, value, unit) }
    }
}

prop_compose! {
    fn series()(name in text(), unit in text(), kind in 0..3, lasted in number(), values in proptest::collection::vec(number(), 0..40)) -> Series {
        match kind {
            0 => Series::spread(name, unit, values),
            1 => Series::trace(name, unit, values),
            _ => Series::moments(name, lasted, values),
        }
    }
}

prop_compose! {
    fn outcome()(
        check in text(), why in text(), verdict in 0..3, seconds in 0_u64.., plan in proptest::option::of(text()), file in text(),
        figures in proptest::collection::vec(figure(), 0..4), series in proptest::collection::vec(series(), 0..3),
    ) -> Outcome {
        let verdict = match verdict {
            0 => Verdict::Passed,
            1 => Verdict::Failed { why },
            _ => Verdict::NotRun { why },
        };
        let took = Duration::from_secs(seconds);
        Outcome { verdict, figures, series, plan, ..Outcome::passed(check, took) }.with_attachment(file)
    }
}

proptest! {
    #[test]
    fn any_outcome_renders_and_nothing_breaks_out(board in text(), outcomes in proptest::collection::vec(outcome(), 0..4)) {
        let report = Report { outcomes, board, ..report() };
        let baseline = Baseline::accept(&[report.clone(), report.clone(), report.clone()]);
        let judged = baseline.map(|baseline| baseline.judge(&report)).unwrap_or_default();
        check_page(&html::render(&report, &judged));
        check_xml(&junit::render(&report).unwrap());
        let terminal = table::render(&report, &judged, 80) + &compare::compare(&report, &report, 80).0;
        prop_assert!(!terminal.chars().any(|letter| letter.is_control() && letter != '\n'));
        for outcome in &report.outcomes {
            prop_assert!(!progress::line(outcome).contains('\n'));
        }
        let json = serde_json::to_string(&report).unwrap();
        let back: Report = serde_json::from_str(&json).unwrap();
        prop_assert_eq!(back.counts(), report.counts());
    }
}
