//! A camera's doorbell: rung from any thread, by a program or by a button of this machine.

mod device;

use crate::sensor::Clock;
use doorframe_codec::units::Uptime;
use doorframe_transport::events::MOST;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

pub use device::{BellDevice, BellState};

/// Rings at a camera's door. Copies of it ring the same bell.
#[derive(Clone, Debug)]
pub struct Bell {
    clock: Clock,
    rings: Arc<Mutex<Rings>>,
}

/// What became of a press.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ring {
    /// Viewers are told with the next frame; where the sensor is gone, when it is back.
    Taken,
    /// It came within a second of the one before: a button that bounces, or somebody who is in a hurry.
    Again,
}

/// Presses this soon after one that was taken are the same.
const SAME: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
struct Rings {
    last: Option<Uptime>,
    /// Taken, and not sealed yet; the newest [`MOST`].
    waiting: VecDeque<Uptime>,
}

impl Bell {
    pub(super) fn new(clock: Clock) -> Self {
        Self { clock, rings: Arc::default() }
    }

    /// Somebody presses the button.
    pub fn ring(&self) -> Ring {
        self.lock().handle_press(self.clock.now())
    }

    /// When the next press was that nobody has been told of.
    pub(super) fn take(&self) -> Option<Uptime> {
        self.lock().waiting.pop_front()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Rings> {
        self.rings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Rings {
    fn handle_press(&mut self, now: Uptime) -> Ring {
        if self.last.is_some_and(|last| now.since(last) < SAME) {
            return Ring::Again;
        }
        self.last = Some(now);
        self.waiting.push_back(now);
        if self.waiting.len() > MOST {
            self.waiting.pop_front();
        }
        Ring::Taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_button_that_bounces_rings_once_and_who_presses_on_rings_each_second() {
        let mut rings = Rings::default();
        let at = |ms: u64| Uptime::from_micros(1000 * ms);
        let taken: Vec<_> = (0..=40).filter(|n| rings.handle_press(at(50 * n)) == Ring::Taken).collect();
        assert_eq!(taken, [0, 20, 40]);
        assert_eq!(rings.waiting, [at(0), at(1000), at(2000)]);
    }

    #[test]
    fn while_nobody_can_be_told_the_newest_presses_wait() {
        let mut rings = Rings::default();
        for n in 0..20 {
            assert_eq!(rings.handle_press(Uptime::from_micros(n * 1_000_000)), Ring::Taken);
        }
        assert_eq!(rings.waiting.len(), MOST);
        assert_eq!(rings.waiting.back(), Some(&Uptime::from_micros(19_000_000)));
    }
}
