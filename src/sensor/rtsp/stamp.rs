//! Capture times: from the clock of a camera on a network to ours.

use doorframe_codec::units::{MediaTime, Uptime};
use std::time::Duration;

/// Puts RTP times on our clock.
///
/// A camera's clock begins anywhere and runs a little too fast or slow. What it sends arrives late, by a time that is
/// another one for each picture, but never early. So the offset between the two clocks is read off the pictures that
/// were the least late: the least of "arrived minus RTP time" of the last 5 to 10 s.
///
/// - Jitter: a picture that is late does not move the offset, so its capture time is where its RTP time says.
/// - Drift: the offset goes to the newest least with a time constant of 5 s, and is never added up from picture to
///   picture. A clock that is wrong by one in a thousand leaves an error of some 15 ms, which does not grow.
/// - No picture is captured after it arrived: one that is less late than all before moves the offset at once.
/// - Times grow. RTP times that go back, or that are more than 5 s off, are those of a camera that set its clock: it
///   begins again with the time of arrival.
///
/// What passes in the camera and on the fastest way from it is not known here: all capture times are late by that.
#[derive(Debug, Default)]
pub(super) struct Stamps {
    fit: Option<Fit>,
    last: Option<Uptime>,
}

/// The capture time of one picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    /// When it was captured; later than the one before.
    pub(super) captured: Uptime,
    /// Whether that is not where its RTP time says.
    pub(super) corrected: bool,
}

/// Between the two clocks, in nanoseconds. Wide enough for whatever a camera says.
#[derive(Clone, Copy, Debug)]
struct Fit {
    /// Our clock minus theirs.
    offset: i128,
    /// Newest RTP time.
    newest: i128,
    /// The least of "arrived minus RTP time": of the window before, and of this one.
    least: [i128; 2],
    /// When this window began, by our clock.
    since: i128,
}

impl Stamps {
    /// Length of a window.
    const WINDOW: i128 = 5_000_000_000;
    /// Time constant with which the offset goes up.
    const FADE: i128 = 5_000_000_000;
    /// Nothing that is still to be shown live is later than this, or was captured so far in the future.
    const MOST: u128 = 5_000_000_000;
    /// Put between two pictures whose times do not grow; more than a tick of the 90 kHz media clock.
    const STEP: Duration = Duration::from_millis(1);

    /// Judges a picture with an RTP time of `ticks` of 1/90000 s (RFC 6184 §8.2.1), unwrapped, that began to arrive at
    /// `arrived`.
    pub(super) fn judge(&mut self, ticks: i64, arrived: Uptime) -> Stamp {
        let theirs = i128::from(ticks) * 1_000_000_000 / i128::from(MediaTime::HZ);
        let ours = i128::from(arrived.as_micros()) * 1000;
        let late = ours - theirs;
        let kept = self.fit.filter(|fit| theirs >= fit.newest && late.abs_diff(fit.offset) <= Self::MOST);
        let fit = match kept {
            Some(fit) => fit.moved(theirs, ours),
            None => Fit { offset: late, newest: theirs, least: [late; 2], since: ours },
        };
        let is_new = kept.is_none() && self.fit.is_some();
        self.fit = Some(fit);
        let said = Uptime::from_micros(u64::try_from((theirs + fit.offset) / 1000).unwrap_or_default());
        let captured = self.last.map_or(said, |last| said.max(last + Self::STEP));
        self.last = Some(captured);
        Stamp { captured, corrected: is_new || captured != said }
    }
}

impl Fit {
    /// After a picture with the RTP time `theirs`, not older than the newest, that arrived at `ours`.
    fn moved(self, theirs: i128, ours: i128) -> Self {
        let late = ours - theirs;
        let [before, this] = self.least;
        let (least, since) = if ours - self.since >= Stamps::WINDOW {
            ([this, late], ours)
        } else {
            ([before, this.min(late)], self.since)
        };
        let passed = (theirs - self.newest).min(Stamps::FADE);
        let up = (least[0].min(least[1]) - self.offset) * passed / Stamps::FADE;
        Self { offset: (self.offset + up).min(late), newest: theirs, least, since }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const START: u64 = 7_000_000;
    /// RTP times begin anywhere.
    const THEIRS: i64 = 3_000_000_000;

    /// Runs `pictures` of 30 a second through: each `late(index)` µs late, of a camera whose clock is `ppm` too fast.
    /// How far each capture time is from the true one, in µs.
    fn errors(pictures: u64, ppm: i64, late: impl Fn(u64) -> u64) -> Vec<i64> {
        let mut stamps = Stamps::default();
        let mut last = None;
        let mut errors = Vec::new();
        for index in 0..pictures {
            let micros = index * 100_000 / 3;
            let ticks = i64::try_from(index).unwrap() * 3000;
            let stamp = stamps
                .judge(THEIRS + ticks + ticks * ppm / 1_000_000, Uptime::from_micros(START + micros + late(index)));
            assert!(last < Some(stamp.captured), "times grow");
            last = Some(stamp.captured);
            errors.push(i64::try_from(stamp.captured.as_micros()).unwrap() - i64::try_from(START + micros).unwrap());
        }
        errors
    }

    /// Anything below `most`, the same each time.
    fn jitter(index: u64, most: u64) -> u64 {
        (index.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) % most
    }

    #[test]
    fn pictures_that_arrive_unevenly_were_captured_evenly() {
        let errors = errors(3000, 0, |index| 2000 + jitter(index, 40_000));
        let settled = &errors[300..];
        let (least, most) = (settled.iter().min().unwrap(), settled.iter().max().unwrap());
        assert!(*least >= 2000 && most - least <= 1500, "{least} to {most} us of 40,000");
    }

    #[test]
    fn a_clock_that_is_wrong_does_not_drift_away() {
        for ppm in [-1000, -100, 100, 1000] {
            let errors = errors(30 * 3600, ppm, |index| jitter(index, 20_000));
            let worst = errors[300..].iter().map(|error| error.abs()).max().unwrap();
            assert!(worst <= 20_000, "{worst} us after an hour at {ppm} ppm");
        }
    }

    #[test]
    fn a_first_picture_that_was_late_is_put_right_by_the_next() {
        let errors = errors(90, 0, |index| if index == 0 { 400_000 } else { 1000 });
        assert!(errors[20..].iter().all(|error| (0..=1001).contains(error)), "{errors:?}");
    }

    #[test]
    fn what_piled_up_on_the_way_keeps_its_times() {
        // A stall of 2 s, after which all comes at once.
        let errors = errors(300, 0, |index| if (150..210).contains(&index) { (210 - index) * 100_000 / 3 } else { 0 });
        assert!(errors.iter().all(|error| error.abs() <= 1000), "{errors:?}");
    }

    #[test]
    fn a_longer_way_is_followed_slowly() {
        let errors = errors(3000, 0, |index| if index < 600 { 1000 } else { 81_000 });
        let steps: Vec<_> = errors.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(steps.iter().all(|step| step.abs() <= 600), "{steps:?}");
        assert!((80_000..=81_000).contains(errors.last().unwrap()), "{:?}", errors.last());
    }

    #[test]
    fn a_camera_that_sets_its_clock_begins_again_with_the_time_of_arrival() {
        for jump in [-90_000 * 3600, -90, 90_000 * 6, i64::MAX - THEIRS, i64::MIN] {
            let mut stamps = Stamps::default();
            let at = |index: u64| Uptime::from_micros(START + index * 40_000);
            assert_eq!(stamps.judge(THEIRS, at(0)), Stamp { captured: at(0), corrected: false });
            assert_eq!(stamps.judge(THEIRS + 3600, at(1)), Stamp { captured: at(1), corrected: false });
            let jumped = THEIRS.saturating_add(jump).saturating_add(3600);
            assert_eq!(stamps.judge(jumped, at(2)), Stamp { captured: at(2), corrected: true }, "{jump}");
            if jump.abs_diff(0) < 1 << 40 {
                assert_eq!(stamps.judge(jumped + 3600, at(3)), Stamp { captured: at(3), corrected: false }, "{jump}");
            }
        }
    }

    proptest! {
        #[test]
        fn whatever_a_camera_says_times_grow_and_are_not_of_the_future(
            said in prop::collection::vec((any::<i64>(), -200_000_i64..200_000, any::<bool>(), 0..3_000_000_u64), 1..80),
        ) {
            let (mut stamps, mut ticks, mut now, mut last) = (Stamps::default(), 0_i64, START, None);
            for (any, near, wild, passed) in said {
                ticks = if wild { any } else { ticks.saturating_add(near) };
                now += passed;
                let captured = stamps.judge(ticks, Uptime::from_micros(now)).captured;
                let least = last.map(|last| last + Stamps::STEP);
                prop_assert!(Some(captured) >= least);
                prop_assert!(captured <= Uptime::from_micros(now).max(least.unwrap_or_default()));
                last = Some(captured);
            }
        }
    }
}
