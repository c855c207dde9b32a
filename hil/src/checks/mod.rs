//! What a camera board is asked, and how it must answer. The same questions to a real board and to a virtual one.

mod bell;
mod bench;
mod deliver;
mod faults;
mod formats;
mod light;
mod listed;
mod replug;
mod sealed;
mod seen;

pub(crate) use bench::{Bench, Hands, News, Settings, Stop};

use crate::wire::Ask;
use doorframe::sensor::v4l2;
use doorframe_hil_report::{Outcome, Verdict};
use std::io;
use std::path::PathBuf;
use std::time::Instant;

/// One question.
#[derive(Clone, Copy)]
pub(crate) struct Check {
    /// What baselines and command lines call it.
    pub(crate) name: &'static str,
    /// What passes, in a few words.
    pub(crate) about: &'static str,
    ask: Question,
}

#[derive(Clone, Copy)]
enum Question {
    Plain(fn(&mut Bench<'_>) -> Result<(), Stop>),
    Fault(&'static faults::Fault),
}

const PLAIN: [Check; 8] = [
    plain("listed", "the board is listed, and can be opened", listed::check),
    plain("formats", "every format and rate that it offers is delivered", formats::check),
    plain("frame-rate", "frames come at their rate, steadily, and none is lost", deliver::frame_rate),
    plain("first-frame", "the first frame comes soon after the camera is opened", deliver::first_frame),
    plain("light", "a light that the rig switches is seen in the frames that come next", light::check),
    plain("sealed", "what is captured is sealed, opened and decoded, and is the same picture", sealed::check),
    plain("doorbell", "the button rings at a viewer", bell::check),
    plain("replug", "a board that is pulled and plugged in again is noticed, and works again", replug::check),
];

const fn plain(name: &'static str, about: &'static str, ask: fn(&mut Bench<'_>) -> Result<(), Stop>) -> Check {
    Check { name, about, ask: Question::Plain(ask) }
}

/// Every check, in the order in which they are run.
pub(crate) fn all() -> impl Iterator<Item = Check> {
    let faults = faults::ALL.iter();
    let faults = faults.map(|fault| Check { name: fault.name, about: fault.about, ask: Question::Fault(fault) });
    PLAIN.into_iter().chain(faults)
}

/// The checks of these names, all of them for no names. A name that ends with `-` stands for all that begin with it.
///
/// # Errors
/// The first name that no check has, in a sentence.
pub(crate) fn named(names: &[String]) -> Result<Vec<Check>, String> {
    let wished =
        |check: &Check, name: &str| check.name == name || (name.ends_with('-') && check.name.starts_with(name));
    if let Some(name) = names.iter().find(|name| !all().any(|check| wished(&check, name))) {
        let known: Vec<_> = all().map(|check| check.name).collect();
        return Err(format!("there is no check '{name}': there are {}", known.join(", ")));
    }
    Ok(all().filter(|check| names.is_empty() || names.iter().any(|name| wished(check, name))).collect())
}

/// Runs `checks` one after the other on the camera at `device`, the first one that can be used if it is not said.
///
/// # Errors
/// If nobody can be told of what is found.
pub(crate) fn run(
    checks: &[Check],
    device: Option<PathBuf>,
    settings: &Settings,
    hands: &mut dyn Hands,
) -> io::Result<()> {
    let mut spoilt = false;
    for check in checks {
        hands.tell(News::Begins(check.name))?;
        let started = Instant::now();
        let mut bench = Bench::new(device.clone(), settings, hands);
        // What a fault leaves behind is gone with the board that had it.
        let is_plain = matches!(check.ask, Question::Plain(_));
        let ready = match if spoilt && is_plain { bench.fresh("") } else { Ok(()) } {
            Err(Stop::Lacks(_)) if v4l2::list().is_empty() => {
                Err(Stop::Lacks("there is no camera any more".to_owned()))
            }
            // Then it has to do as it is.
            Err(Stop::Lacks(_)) => Ok(()),
            ready => ready,
        };
        spoilt = !is_plain;
        let done = ready.and_then(|()| match check.ask {
            Question::Plain(ask) => ask(&mut bench),
            Question::Fault(fault) => faults::check(&mut bench, fault),
        });
        let outcome = outcome(check.name, started, bench, done);
        spoilt |= !matches!(outcome.verdict, Verdict::Passed);
        hands.tell(News::Found(outcome))?;
    }
    Ok(())
}

fn outcome(name: &str, started: Instant, bench: Bench<'_>, done: Result<(), Stop>) -> Outcome {
    let took = started.elapsed();
    let mut outcome = match done {
        Ok(()) => Outcome::passed(name, took),
        Err(Stop::Failed(why)) => Outcome::failed(name, took, why),
        Err(Stop::Lacks(why)) => Outcome::not_run(name, why),
    };
    let (figures, series, plan) = bench.found();
    for figure in figures {
        outcome = outcome.with(figure);
    }
    outcome.series = series;
    outcome.plan = plan;
    outcome
}

/// The word for what an [`Ask`] needs, for a board that has nobody to do it.
pub(crate) fn needs(ask: &Ask) -> &'static str {
    match ask {
        Ask::Board(plan) if plan.is_empty() => "a rig that switches the board's power",
        Ask::Board(_) | Ask::Count => "a virtual board: a real one does not fail when it is asked to",
        Ask::Unplug => "a rig that switches the board's power",
        Ask::Press => "a rig that presses the button",
        Ask::Light(_) => "a rig with a light in front of the camera",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_check_has_a_name_of_its_own() {
        let names: Vec<_> = all().map(|check| check.name).collect();
        assert_eq!(names.iter().collect::<HashSet<_>>().len(), names.len(), "{names:?}");
        assert!(all().all(|check| !check.about.is_empty()));
    }

    #[test]
    fn checks_are_chosen_by_name_or_by_how_it_begins_and_keep_their_order() {
        let chosen = |names: &[&str]| {
            let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
            named(&names).map(|checks| checks.iter().map(|check| check.name).collect::<Vec<_>>())
        };
        assert_eq!(chosen(&["sealed", "listed"]).unwrap(), ["listed", "sealed"]);
        assert_eq!(chosen(&["fault-"]).unwrap().len(), faults::ALL.len());
        assert_eq!(chosen(&[]).unwrap().len(), all().count());
        assert!(chosen(&["colour"]).unwrap_err().starts_with("there is no check 'colour': there are listed, "));
    }
}
