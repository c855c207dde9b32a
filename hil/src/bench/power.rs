//! A board's power, and what is known of the board.
//!
//! A board that may be in any state is `unknown`. From there only a power cycle leads on, and only with proof that the power
//! really went: many hubs cut the data lines and say that they cut the power.

use doorframe_rig::message::Level;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use thiserror::Error;

/// How long a board may take to lose its power, capacitors and all.
const GOES: Duration = Duration::from_secs(5);
/// How long it then stays off.
const OFF: Duration = Duration::from_secs(1);
/// How long it may take to come back.
const COMES: Duration = Duration::from_secs(15);
/// Below this there is no power, in millivolts: less than any USB device works with.
const NO_POWER: u16 = 800;
/// Above this there is, in millivolts (USB 2.0 §7.2.2: 4.4 V at a low-power port, less what a rig's divider may err).
const POWER: u16 = 4300;

/// What is known of a board.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub(crate) enum State {
    /// As it should be.
    Ready,
    /// Nothing.
    Unknown {
        /// Why, for a person.
        why: String,
    },
}

impl State {
    /// Nothing is known, and this is why.
    pub(crate) fn unknown(why: impl Into<String>) -> Self {
        Self::Unknown { why: why.into() }
    }

    /// A board that nobody has had.
    pub(crate) fn new_board() -> Self {
        Self::unknown("it was not used before")
    }

    /// After a run: a board that answers to the end is ready, and one that does not is not.
    pub(crate) fn after(self, found: Result<(), String>) -> Self {
        match found {
            Ok(()) => self,
            Err(why) => Self::unknown(why),
        }
    }
}

/// What can be seen of a board from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Whether the kernel lists it.
    pub(crate) listed: Listed,
    /// Its supply, if a rig measures it.
    pub(crate) millivolts: Option<u16>,
}

/// Whether the kernel lists a board.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Listed {
    Yes,
    No,
}

/// How it is known that the power went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Proof {
    /// The rig measured it.
    Supply,
    /// The board was gone and came back. Its data lines may be all that was cut.
    GoneAndBack,
}

/// Why a power cycle is none.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum CycleError {
    #[error(
        "the supply is still at {0} mV {secs} s after the port was switched off: the hub says so and does not, as many do; one \
         with real switches, or the rig's own, would do", secs = GOES.as_secs()
    )]
    StillPowered(u16),
    #[error("the board is still listed {secs} s after its power was switched off: nothing proves that it went", secs = GOES.as_secs())]
    StillThere,
    #[error("the supply is at {0} mV {secs} s after it was switched on again, and {POWER} mV are needed", secs = COMES.as_secs())]
    NoSupply(u16),
    #[error("the board did not come back within {secs} s of its power", secs = COMES.as_secs())]
    NotBack,
    #[error("the board is not listed {secs} s after its power was switched on: is it plugged in, and in the port that its file names?", secs = COMES.as_secs())]
    NeverThere,
}

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Switch the power.
    Switch(Level),
    /// Look again soon.
    Wait,
    /// The power went and came back.
    Done(Proof),
    /// It did not, or nothing proves it.
    Failed(CycleError),
}

/// A power cycle. Time and what is seen go in, what to do comes out.
#[derive(Debug)]
pub(crate) struct Cycle {
    phase: Phase,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    Start,
    /// It was off already, perhaps by a cycle that failed: what is not there cannot be seen to go.
    Waking {
        since: Duration,
    },
    Going {
        since: Duration,
    },
    Off {
        since: Duration,
        proof: Proof,
    },
    Coming {
        since: Duration,
        proof: Proof,
    },
}

impl Cycle {
    pub(crate) fn new() -> Self {
        Self { phase: Phase::Start }
    }

    /// Looks at the board. `now` is any clock that does not stop.
    pub(crate) fn handle(&mut self, now: Duration, seen: Seen) -> Step {
        match self.phase {
            Phase::Start if seen.listed == Listed::No && seen.millivolts.is_none() => {
                self.phase = Phase::Waking { since: now };
                Step::Switch(Level::On)
            }
            Phase::Waking { since } if seen.listed == Listed::No => {
                if now.saturating_sub(since) < COMES {
                    Step::Wait
                } else {
                    Step::Failed(CycleError::NeverThere)
                }
            }
            Phase::Start | Phase::Waking { .. } => {
                self.phase = Phase::Going { since: now };
                Step::Switch(Level::Off)
            }
            Phase::Going { since } => self.going(now, since, seen),
            Phase::Off { since, proof } => {
                if now.saturating_sub(since) < OFF {
                    return Step::Wait;
                }
                self.phase = Phase::Coming { since: now, proof };
                Step::Switch(Level::On)
            }
            Phase::Coming { since, proof } => {
                let late = now.saturating_sub(since) >= COMES;
                match seen.millivolts {
                    Some(low) if low < POWER => {
                        if late {
                            Step::Failed(CycleError::NoSupply(low))
                        } else {
                            Step::Wait
                        }
                    }
                    _ if seen.listed == Listed::Yes => Step::Done(proof),
                    _ if late => Step::Failed(CycleError::NotBack),
                    _ => Step::Wait,
                }
            }
        }
    }

    fn going(&mut self, now: Duration, since: Duration, seen: Seen) -> Step {
        // What is measured decides alone: a hub that cuts only the data lines makes a board go too.
        let proof = match seen.millivolts {
            Some(low) => (low < NO_POWER).then_some(Proof::Supply),
            None => (seen.listed == Listed::No).then_some(Proof::GoneAndBack),
        };
        if let Some(proof) = proof {
            self.phase = Phase::Off { since: now, proof };
            return Step::Wait;
        }
        if now.saturating_sub(since) < GOES {
            return Step::Wait;
        }
        Step::Failed(match seen.millivolts {
            Some(high) => CycleError::StillPowered(high),
            None => CycleError::StillThere,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// A board behind a switch, on a clock of its own.
    struct Bench {
        /// What the switch really does.
        cuts_power: bool,
        cuts_data: bool,
        comes_back: bool,
        measured: bool,
        plugged_in: On,
    }

    #[derive(Clone, Copy, PartialEq)]
    enum On {
        Always,
        /// Once it has been switched: it was left off.
        Switched,
        Never,
    }

    const GOOD: Bench =
        Bench { cuts_power: true, cuts_data: true, comes_back: true, measured: true, plugged_in: On::Always };

    impl Bench {
        fn cycle(&self) -> (Step, Vec<Level>, Duration) {
            let (mut cycle, mut now, mut switched) = (Cycle::new(), Duration::ZERO, Vec::new());
            loop {
                let off = switched.last() == Some(&Level::Off);
                let been_off = switched.contains(&Level::Off);
                let there = !(off && self.cuts_data) && (off || !been_off || self.comes_back);
                let millivolts = if off && self.cuts_power { 90 } else { 5020 };
                let seen = Seen {
                    listed: if there
                        && (self.plugged_in == On::Always || self.plugged_in == On::Switched && !switched.is_empty())
                    {
                        Listed::Yes
                    } else {
                        Listed::No
                    },
                    millivolts: self.measured.then_some(millivolts),
                };
                match cycle.handle(now, seen) {
                    Step::Switch(level) => switched.push(level),
                    Step::Wait => now += 100 * MS,
                    end => return (end, switched, now),
                }
            }
        }
    }

    #[test]
    fn a_cycle_is_proved_by_the_supply() {
        let (end, switched, took) = GOOD.cycle();
        assert_eq!((end, switched), (Step::Done(Proof::Supply), vec![Level::Off, Level::On]));
        assert!(took >= OFF && took < GOES);
    }

    #[test]
    fn without_a_meter_a_cycle_is_proved_by_going_and_coming_back() {
        assert_eq!(Bench { measured: false, ..GOOD }.cycle().0, Step::Done(Proof::GoneAndBack));
    }

    #[test]
    fn a_hub_that_cuts_only_data_is_found_out() {
        let (end, switched, _) = Bench { cuts_power: false, ..GOOD }.cycle();
        assert_eq!((&end, switched), (&Step::Failed(CycleError::StillPowered(5020)), vec![Level::Off]));
        let Step::Failed(error) = end else { unreachable!() };
        assert!(
            error.to_string().starts_with("the supply is still at 5020 mV 5 s after the port was switched off"),
            "{error}"
        );
    }

    #[test]
    fn what_proves_nothing_is_no_cycle() {
        let blind = Bench { measured: false, ..GOOD };
        let end = |bench: Bench| bench.cycle().0;
        assert_eq!(end(Bench { cuts_data: false, ..blind }), Step::Failed(CycleError::StillThere));
        assert_eq!(end(Bench { plugged_in: On::Never, ..blind }), Step::Failed(CycleError::NeverThere));
        let (end_of_dark, switched, _) = Bench { plugged_in: On::Switched, ..blind }.cycle();
        assert_eq!((end_of_dark, switched), (Step::Done(Proof::GoneAndBack), vec![Level::On, Level::Off, Level::On]));
        assert_eq!(end(Bench { comes_back: false, ..GOOD }), Step::Failed(CycleError::NotBack));
    }

    #[test]
    fn a_board_that_failed_is_unknown_afterwards() {
        assert_eq!(State::Ready.after(Ok(())), State::Ready);
        assert_eq!(State::Ready.after(Err("it vanished".to_owned())), State::unknown("it vanished"));
        assert_eq!(State::new_board().after(Ok(())), State::unknown("it was not used before"));
    }
}
