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

    /// The time at `instant`; zero if that was before the clock's own zero.
    #[cfg(feature = "rtsp")]
    pub(super) fn at(&self, instant: Instant) -> Uptime {
        let passed = instant.saturating_duration_since(self.epoch);
        Uptime::from_micros(u64::try_from(passed.as_micros()).unwrap_or(u64::MAX))
    }

    /// Returns at `moment`, at once if that is past.
    pub(crate) fn sleep_until(&self, moment: Uptime) {
        let left = moment.since(self.now());
        if left > Duration::ZERO {
            std::thread::sleep(left);
        }
    }
}
