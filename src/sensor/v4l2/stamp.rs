//! What a driver says of a buffer, judged: capture times that grow, frames that are missing.

use doorframe_codec::units::Uptime;
use std::time::Duration;

/// Puts the driver's capture times on our clock.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stamps {
    /// `CLOCK_MONOTONIC` and our clock at one moment.
    same: (Duration, Uptime),
    last: Option<Uptime>,
    sequence: Option<u32>,
}

/// What is known of one buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    /// When it was captured; later than the one before.
    pub(super) captured: Uptime,
    /// Whether that is not what the driver said.
    pub(super) corrected: bool,
    /// Frames between the one before and this.
    pub(super) missing: u32,
}

impl Stamps {
    /// Older than this a frame cannot be: no driver holds that many.
    const OLDEST: Duration = Duration::from_secs(2);
    /// Put between two frames whose times the driver got wrong; more than a tick of the 90 kHz media clock.
    const STEP: Duration = Duration::from_millis(1);

    /// `monotonic` and `now` are the same moment on the two clocks.
    pub(super) fn new(monotonic: Duration, now: Uptime) -> Self {
        Self { same: (monotonic, now), last: None, sequence: None }
    }

    /// Judges a buffer that was taken at `now`. `stamped` is its time on `CLOCK_MONOTONIC`, if it has one there.
    pub(super) fn judge(&mut self, stamped: Option<Duration>, sequence: u32, now: Uptime) -> Stamp {
        let (monotonic, same) = self.same;
        let on_ours = stamped.map(|at| match at.checked_sub(monotonic) {
            Some(after) => same + after,
            None => same - monotonic.saturating_sub(at),
        });
        let plausible = on_ours.filter(|&at| at <= now && now.since(at) <= Self::OLDEST);
        let captured = match self.last {
            Some(last) => plausible.unwrap_or(now).max(last + Self::STEP),
            None => plausible.unwrap_or(now),
        };
        self.last = Some(captured);

        let step = self.sequence.map_or(1, |last| sequence.wrapping_sub(last));
        self.sequence = Some(sequence);
        // A count that goes back is one that started again.
        let missing = if step > u32::MAX / 2 { 0 } else { step.saturating_sub(1) };
        Stamp { captured, corrected: on_ours != Some(captured), missing }
    }

    /// The stream starts again, and with it the driver's count.
    pub(super) fn restart(&mut self) {
        self.sequence = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);
    /// Our clock was at 10 s when the machine's was at 500 s.
    const MACHINE: Duration = Duration::from_secs(500);
    const OURS: Uptime = Uptime::from_micros(10_000_000);

    fn stamps() -> Stamps {
        Stamps::new(MACHINE, OURS)
    }

    #[test]
    fn the_drivers_time_is_kept_and_put_on_our_clock() {
        let stamp = stamps().judge(Some(MACHINE + 100 * MS), 0, OURS + 104 * MS);
        assert_eq!(stamp, Stamp { captured: OURS + 100 * MS, corrected: false, missing: 0 });
        let before = stamps().judge(Some(MACHINE - 3 * MS), 0, OURS + MS);
        assert_eq!(before.captured, OURS - 3 * MS);
    }

    #[test]
    fn a_time_that_goes_back_or_stands_still_is_moved_on() {
        let mut stamps = stamps();
        stamps.judge(Some(MACHINE + 100 * MS), 0, OURS + 101 * MS);
        let back = stamps.judge(Some(MACHINE + 67 * MS), 1, OURS + 133 * MS);
        assert_eq!(back, Stamp { captured: OURS + 101 * MS, corrected: true, missing: 0 });
        let again = stamps.judge(Some(MACHINE + 101 * MS), 2, OURS + 134 * MS);
        assert_eq!(again.captured, OURS + 102 * MS);
        let well = stamps.judge(Some(MACHINE + 166 * MS), 3, OURS + 167 * MS);
        assert_eq!(well, Stamp { captured: OURS + 166 * MS, corrected: false, missing: 0 });
    }

    #[test]
    fn a_time_of_another_clock_is_replaced_by_the_time_of_arrival() {
        for stamped in [None, Some(Duration::ZERO), Some(MACHINE + 60_000 * MS), Some(Duration::from_secs(1 << 40))] {
            let stamp = stamps().judge(stamped, 0, OURS + 50 * MS);
            assert_eq!(stamp, Stamp { captured: OURS + 50 * MS, corrected: true, missing: 0 }, "{stamped:?}");
        }
    }

    #[test]
    fn gaps_are_counted_over_the_wrap_and_not_at_a_restart() {
        let mut stamps = stamps();
        let mut missing = |sequence| stamps.judge(None, sequence, OURS).missing;
        assert_eq!([u32::MAX - 1, u32::MAX, 0, 3, 4].map(&mut missing), [0, 0, 0, 2, 0]);
        assert_eq!([0, 1].map(&mut missing), [0, 0]);
        stamps.restart();
        assert_eq!(stamps.judge(None, 77, OURS).missing, 0);
    }
}
