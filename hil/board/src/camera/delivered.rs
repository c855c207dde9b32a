//! What a board has done, counted.

use crate::armed::Due;
use serde::Serialize;
use std::time::Duration;

/// What a board has done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Delivered {
    /// Frames that were begun.
    pub frames_made: u64,
    /// Frames whose last byte the host took.
    pub frames_sent: u64,
    /// Frames that came due while the host took nothing; their numbers are missing.
    pub frames_skipped: u64,
    /// Bytes of frames that the host took, without payload headers.
    pub bytes: u64,
    /// How often a stream was started.
    pub streams: u64,
    /// How often the button was pressed.
    pub presses: u64,
    /// Faults of the plan that were fired, in turn.
    pub fired: Vec<Fired>,
}

/// A fault that was fired.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Fired {
    /// Its place in the plan, from 0.
    pub fault: usize,
    /// It in words.
    pub what: String,
    /// Number of the frame it was fired with, or of the next one.
    pub frame: u32,
    /// When, in milliseconds since the board was made.
    pub at_ms: u64,
    /// Whether the host has got to see it.
    pub delivered: bool,
}

impl Delivered {
    /// Notes that a fault was fired; where it was noted.
    pub(super) fn record(&mut self, at: Duration, due: Due, frame: u32) -> usize {
        let what = due.fault.to_string();
        let at_ms = u64::try_from(at.as_millis()).unwrap_or(u64::MAX);
        self.fired.push(Fired { fault: due.index, what, frame, at_ms, delivered: false });
        self.fired.len() - 1
    }

    /// The host has seen the faults that were noted there.
    pub(super) fn mark(&mut self, places: &[usize]) {
        for &place in places {
            if let Some(fired) = self.fired.get_mut(place) {
                fired.delivered = true;
            }
        }
    }
}
