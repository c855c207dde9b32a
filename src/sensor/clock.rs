//! The clock that capture times are on.

use doorframe_codec::units::Uptime;
use std::time::{Duration, Instant};

/// Monotonic time since one moment of this process. Make one, and copy it to whoever needs the time.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    epoch: Instant,
}

impl Clock {
    /// A clock that was at zero at `epoch`.
    pub const fn new(epoch: Instant) -> Self {
        Self { epoch }
    }

    /// The time now.
    pub fn now(&self) -> Uptime {
        Uptime::from_micros(u64::try_from(self.epoch.elapsed().as_micros()).unwrap_or(u64::MAX))
    }

    /// Returns at `moment`, at once if that is past.
    pub(crate) fn sleep_until(&self, moment: Uptime) {
        let left = moment.since(self.now());
        if left > Duration::ZERO {
            std::thread::sleep(left);
        }
    }
}
