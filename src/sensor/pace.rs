//! When the next frame of a sensor that is made of software is due.

use doorframe_codec::units::{FrameRate, Uptime};
use std::time::Duration;

/// Hands out the ticks of a frame rate as a camera would: without drift, and without a burst after a pause.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    rate: FrameRate,
    start: Uptime,
    next: u64,
}

/// One tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Due {
    /// Which tick, counted from 0.
    pub(super) index: u64,
    /// When it is due. In the past by less than a tick if the consumer is late.
    pub(super) at: Uptime,
    /// Ticks passed over since the one before.
    pub(super) skipped: u64,
}

impl Pace {
    /// Tick 0 is due at `start`.
    pub(super) fn new(rate: FrameRate, start: Uptime) -> Self {
        Self { rate, start, next: 0 }
    }

    /// The tick for a consumer who asks at `now`: the next one, or the newest one due if he is late.
    pub(super) fn take(&mut self, now: Uptime) -> Due {
        let index = self.next.max(self.newest(now.since(self.start)));
        let skipped = index - self.next;
        self.next = index + 1;
        Due { index, at: self.start + self.rate.at(index), skipped }
    }

    /// The last tick that is due `elapsed` after tick 0.
    fn newest(&self, elapsed: Duration) -> u64 {
        let ticks = elapsed.as_micros() * u128::from(self.rate.num()) / (1_000_000 * u128::from(self.rate.den()));
        let mut index = u64::try_from(ticks).unwrap_or(u64::MAX);
        // Ticks are rounded down to a microsecond, so the division above can be one short.
        while self.rate.at(index.saturating_add(1)) <= elapsed {
            index += 1;
        }
        index
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T0: Uptime = Uptime::from_micros(5_000_000);
    const MS: Duration = Duration::from_millis(1);

    fn ntsc() -> Pace {
        Pace::new(FrameRate::new(30_000, 1001).unwrap(), T0)
    }

    #[test]
    fn an_hour_of_ticks_does_not_drift() {
        let mut pace = ntsc();
        let mut now = T0;
        for index in 0..107_893 {
            let due = pace.take(now);
            assert_eq!((due.index, due.skipped), (index, 0), "at {now:?}");
            assert!(due.at >= now, "tick {index} came early");
            now = due.at;
        }
        let hour = Duration::from_secs(3600);
        assert!(now.since(T0) <= hour && now.since(T0) + 34 * MS > hour, "{now:?}");
    }

    #[test]
    fn a_late_consumer_gets_the_newest_tick_and_no_burst() {
        let mut pace = Pace::new(FrameRate::whole(30).unwrap(), T0);
        assert_eq!(pace.take(T0), Due { index: 0, at: T0, skipped: 0 });
        let late = T0 + 1010 * MS;
        assert_eq!(pace.take(late), Due { index: 30, at: T0 + 1000 * MS, skipped: 29 });
        let next = pace.take(late + MS);
        assert_eq!((next.index, next.skipped), (31, 0));
        assert!(next.at > late + MS);
    }

    #[test]
    fn a_consumer_late_by_less_than_a_tick_skips_nothing() {
        let mut pace = Pace::new(FrameRate::whole(25).unwrap(), T0);
        let mut total = 0;
        for index in 0..100_u32 {
            total += pace.take(T0 + 40 * MS * index + 39 * MS).skipped;
        }
        assert_eq!(total, 0);
    }

    #[test]
    fn ticks_grow_whatever_the_consumer_does() {
        let mut pace = ntsc();
        let (mut now, mut last, mut seed) = (T0, None, 7_u64);
        for _ in 0..10_000 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            now = now + Duration::from_micros(seed >> 46);
            let due = pace.take(now);
            assert!(last < Some(due.at), "seed 7, {due:?} after {last:?}");
            last = Some(due.at);
            now = now.max(due.at);
        }
    }

    #[test]
    fn the_same_moment_twice_gives_two_ticks() {
        let mut pace = ntsc();
        assert_eq!(pace.take(T0).index, 0);
        assert_eq!(pace.take(T0).index, 1);
    }
}
