//! A fault plan at work.

use crate::fault::{Event, Fault, FaultPlan, What, When};
use std::time::Duration;

/// Which faults of a plan are still to come.
#[derive(Debug)]
pub(crate) struct Armed {
    plan: FaultPlan,
    /// Of those that are fired once.
    spent: Vec<bool>,
    /// Events that happened and have not met a frame yet.
    events: Vec<Event>,
}

/// A fault whose time has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Due {
    /// Its place in the plan.
    pub(crate) index: usize,
    pub(crate) fault: Fault,
}

impl Armed {
    pub(crate) fn new(plan: FaultPlan) -> Self {
        Self { spent: vec![false; plan.faults.len()], plan, events: Vec::new() }
    }

    /// Something happened: what does not need a frame is due at once.
    pub(crate) fn handle_event(&mut self, event: Event) -> Vec<Due> {
        if !self.events.contains(&event) {
            self.events.push(event);
        }
        let off = |what| matches!(what, What::Unplug | What::BrownOut { .. });
        let start = matches!(event, Event::StreamStart | Event::SecondStreamStart);
        self.take(|_, fault| fault.when == When::Event(event) && off(fault.what) && !start)
    }

    /// Frame `number` is about to be made, so long after the first stream was started.
    pub(crate) fn handle_frame(&mut self, number: u32, streaming: Duration) -> Vec<Due> {
        let events = std::mem::take(&mut self.events);
        let seed = self.plan.seed;
        self.take(|index, fault| match fault.when {
            When::Frame(wanted) => number >= wanted,
            When::Ms(ms) => streaming >= Duration::from_millis(ms.into()),
            When::Event(event) => events.contains(&event),
            When::PerThousand(share) => draw(seed, index as u64, number.into()) % 1000 < share.into(),
        })
    }

    /// A byte for what a fault leaves open, the same for the same frame.
    pub(crate) fn byte(&self, index: usize, number: u32) -> u8 {
        (draw(!self.plan.seed, index as u64, number.into()) >> 32) as u8
    }

    fn take(&mut self, is_due: impl Fn(usize, &Fault) -> bool) -> Vec<Due> {
        let mut due = Vec::new();
        for (index, (fault, spent)) in self.plan.faults.iter().zip(&mut self.spent).enumerate() {
            if !*spent && is_due(index, fault) {
                *spent = !matches!(fault.when, When::PerThousand(_));
                due.push(Due { index, fault: *fault });
            }
        }
        due
    }
}

/// SplitMix64 over three numbers: spread evenly, and the same everywhere.
fn draw(seed: u64, a: u64, b: u64) -> u64 {
    let mut state = seed;
    for part in [a, b, 0] {
        state = (state ^ part).wrapping_add(0x9e37_79b9_7f4a_7c15);
        state = (state ^ state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        state = (state ^ state >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        state ^= state >> 31;
    }
    state
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(text: &str) -> Armed {
        Armed::new(text.parse().unwrap())
    }

    fn fired(armed: &mut Armed, number: u32, ms: u64) -> Vec<usize> {
        armed.handle_frame(number, Duration::from_millis(ms)).iter().map(|due| due.index).collect()
    }

    #[test]
    fn each_fault_is_fired_once_at_its_time_even_if_its_frame_was_skipped() {
        let mut armed = plan(
            r#"fault = [
                { when = { frame = 5 }, what = "error-bit" },
                { when = { ms = 100 }, what = "short-frame" },
                { when = { event = "stream-start" }, what = { slow-start = { ms = 10 } } },
            ]"#,
        );
        assert_eq!(fired(&mut armed, 0, 0), [0; 0]);
        assert_eq!(armed.handle_event(Event::StreamStart), []);
        assert_eq!(fired(&mut armed, 3, 99), [2]);
        assert_eq!(fired(&mut armed, 7, 100), [0, 1]);
        assert_eq!(fired(&mut armed, 8, 200), [0; 0]);
    }

    #[test]
    fn an_event_takes_a_board_off_the_bus_at_once() {
        let mut armed = plan(
            r#"fault = [{ when = { event = "press" }, what = "unplug" }, { when = { event = "press" }, what = "error-bit" }]"#,
        );
        let due: Vec<_> = armed.handle_event(Event::Press).iter().map(|due| due.fault.what).collect();
        assert_eq!(due, [What::Unplug]);
        assert_eq!(fired(&mut armed, 0, 0), [1], "what concerns a frame waits for one");
    }

    #[test]
    fn drawn_frames_are_about_as_many_as_said_and_the_same_again() {
        let text = r#"seed = 7
            fault = [{ when = { per-thousand = 100 }, what = "error-bit" }]"#;
        let frames = |seed: u64| {
            let mut armed = plan(text);
            armed.plan.seed = seed;
            (0..10_000).filter(|&number| !fired(&mut armed, number, 0).is_empty()).collect::<Vec<_>>()
        };
        let count = frames(7).len();
        assert!((900..1100).contains(&count), "{count} of 10,000 with seed 7");
        assert_eq!(frames(7), frames(7));
        assert_ne!(frames(7), frames(8));
    }
}
