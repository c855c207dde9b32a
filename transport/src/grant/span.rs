//! Which epochs hold a span of time.

use crate::keys::Epoch;
use crate::manifest::Opening;
use std::fmt;
use std::time::Duration;

/// Epochs of one session from a first one up to but not including an end. Never empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EpochSpan {
    first: Epoch,
    end: Epoch,
}

impl EpochSpan {
    /// `None` unless `first` is below `end`.
    pub const fn new(first: Epoch, end: Epoch) -> Option<Self> {
        if first.0 < end.0 { Some(Self { first, end }) } else { None }
    }

    /// The first epoch.
    pub const fn first(self) -> Epoch {
        self.first
    }

    /// The one after the last.
    pub const fn end(self) -> Epoch {
        self.end
    }

    /// How many; at least 1.
    pub const fn count(self) -> u32 {
        self.end.0 - self.first.0
    }

    /// Whether `epoch` is one of them.
    pub const fn contains(self, epoch: Epoch) -> bool {
        self.first.0 <= epoch.0 && epoch.0 < self.end.0
    }
}

impl fmt::Display for EpochSpan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}, {})", self.first, self.end)
    }
}

/// Whole epochs, and the time that they really hold: what an owner is shown before he hands them over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rounded {
    /// Which epochs.
    pub epochs: EpochSpan,
    /// When they begin by the camera's wall clock, µs since 1970.
    pub from_wall_us: u64,
    /// When they end.
    pub to_wall_us: u64,
}

/// The epochs that hold anything of the time from `from_wall_us` up to but not including `to_wall_us`, by the camera's wall clock.
///
/// `openings` are verified, of one session, and in order. Epochs that follow one another are one span; there are more where the
/// camera's clock was set back, so that nobody is handed what lies between. Each opening places its own epoch: from `N · epoch_length` of media
/// time up to the next opening or `(N + 1) · epoch_length`, whichever is later, as a camera that waits for a keyframe goes on in an epoch for
/// at most two more lengths.
pub fn round<'a>(
    openings: impl IntoIterator<Item = &'a Opening>,
    epoch_length: Duration,
    from_wall_us: u64,
    to_wall_us: u64,
) -> Vec<Rounded> {
    let mut found: Vec<Rounded> = Vec::new();
    // Epoch seen before, if it is in the span: only then what follows goes on from it.
    let mut goes_on = false;
    let mut before: Option<u64> = None;
    let mut openings = openings.into_iter().peekable();
    while let Some(opening) = openings.next() {
        let Some((from, to)) = holds(opening, openings.peek().copied(), epoch_length) else { continue };
        let set_back = before.is_some_and(|before| from < before);
        before = Some(from);
        if to <= from_wall_us || to_wall_us <= from || to_wall_us <= from_wall_us {
            goes_on = false;
            continue;
        }
        let Some(end) = opening.epoch.0.checked_add(1).map(Epoch) else { continue };
        match found.last_mut() {
            Some(last) if goes_on && !set_back && opening.epoch >= last.epochs.end => {
                last.epochs.end = end;
                last.to_wall_us = last.to_wall_us.max(to);
            }
            _ => found.extend(EpochSpan::new(opening.epoch, end).map(|epochs| Rounded {
                epochs,
                from_wall_us: from,
                to_wall_us: to,
            })),
        }
        goes_on = true;
    }
    found
}

/// Wall clock from and to which an epoch holds pictures; `None` beyond what a clock can show.
fn holds(opening: &Opening, next: Option<&Opening>, epoch_length: Duration) -> Option<(u64, u64)> {
    let start =
        |n: u64| epoch_length.as_micros() * u128::from(opening.epoch.0) + epoch_length.as_micros() * u128::from(n);
    let next = next.map_or(0, |next| next.at.as_duration().as_micros());
    let end = next.clamp(start(1), start(3));
    let wall = |media: u128| {
        let since = i128::try_from(media).ok()? - i128::try_from(opening.at.as_duration().as_micros()).ok()?;
        u64::try_from(i128::from(opening.wall_us) + since).ok()
    };
    Some((wall(start(0))?, wall(end)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::{Commitment, SessionId};
    use crate::manifest::{DeviceListRef, OpeningTrack};
    use crate::track::TrackName;
    use doorframe_codec::units::MediaTime;

    const EPOCH: Duration = Duration::from_secs(2);
    const SECOND: u64 = 1_000_000;
    /// Wall clock at media time 0.
    const WALL: u64 = 1_795_000_000 * SECOND;

    /// Begun `late` after its nominal start, by a wall clock that is `off` µs from where it was at the start.
    fn opening(epoch: u32, late: Duration, off: i64) -> Opening {
        let at = EPOCH * epoch + late;
        Opening {
            session: SessionId([1; 16]),
            epoch: Epoch(epoch),
            wall_us: (WALL + at.as_micros() as u64).checked_add_signed(off).unwrap(),
            at: MediaTime::from_duration(at),
            previous: [0; 32],
            devices: DeviceListRef::default(),
            checkpoint: [0; 32],
            tracks: vec![OpeningTrack { name: TrackName::VIDEO, commitment: Commitment([0; 32]) }],
            challenges: Vec::new(),
        }
    }

    fn span(first: u32, end: u32) -> EpochSpan {
        EpochSpan::new(Epoch(first), Epoch(end)).unwrap()
    }

    fn spans(openings: &[Opening], from: u64, to: u64) -> Vec<EpochSpan> {
        round(openings, EPOCH, from, to).iter().map(|rounded| rounded.epochs).collect()
    }

    #[test]
    fn a_span_is_rounded_to_the_epochs_that_hold_any_of_it() {
        let openings: Vec<_> = (0..10).map(|n| opening(n, Duration::ZERO, 0)).collect();
        let rounded = round(&openings, EPOCH, WALL + 5 * SECOND, WALL + 9 * SECOND);
        let wanted = Rounded { epochs: span(2, 5), from_wall_us: WALL + 4 * SECOND, to_wall_us: WALL + 10 * SECOND };
        assert_eq!(rounded, [wanted]);
        assert_eq!(spans(&openings, WALL + 4 * SECOND, WALL + 6 * SECOND), [span(2, 3)]);
        assert_eq!(spans(&openings, WALL + 4 * SECOND, WALL + 6 * SECOND + 1), [span(2, 4)]);
        assert_eq!(spans(&openings, WALL + 4 * SECOND - 1, WALL + 6 * SECOND), [span(1, 3)]);
        assert_eq!(spans(&openings, 0, u64::MAX), [span(0, 10)]);
        for (from, to) in [(0, WALL), (WALL + 20 * SECOND, u64::MAX), (WALL + 5, WALL + 5), (WALL + 9, WALL + 3)] {
            assert_eq!(spans(&openings, from, to), []);
        }
    }

    #[test]
    fn a_late_keyframe_keeps_its_pictures_in_the_epoch_before() {
        let late = Duration::from_millis(500);
        let openings = [opening(0, Duration::ZERO, 0), opening(1, late, 0), opening(3, late, 0)];
        // Two and a quarter seconds in, the first epoch was still going on.
        let at = WALL + 2_250_000;
        assert_eq!(spans(&openings, at, at + 1), [span(0, 2)]);
        // The epoch that was passed over is between two that are in.
        let at = WALL + 6_250_000;
        assert_eq!(spans(&openings, at, at + 1), [span(1, 4)]);
        // Nobody waits longer than two lengths.
        let openings = [opening(0, Duration::ZERO, 0), opening(9, Duration::ZERO, 0)];
        let last = round(&openings, EPOCH, WALL, WALL + SECOND);
        assert_eq!((last[0].epochs, last[0].to_wall_us), (span(0, 1), WALL + 6 * SECOND));
    }

    #[test]
    fn a_clock_set_back_gives_two_spans_and_nothing_between() {
        let hour = 3600 * SECOND as i64;
        let openings: Vec<_> =
            (0..3600).map(|n| opening(n, Duration::ZERO, if n < 1800 { 0 } else { -hour })).collect();
        // The time from 20 to 21 min was gone through twice.
        let found = spans(&openings, WALL + 1200 * SECOND, WALL + 1260 * SECOND);
        assert_eq!(found, [span(600, 630), span(2400, 2430)]);
        // Also where one follows the other.
        let found = spans(&openings, WALL + 3590 * SECOND, WALL + 3600 * SECOND);
        assert_eq!(found, [span(1795, 1800), span(3595, 3600)]);
        assert_eq!(spans(&openings, 0, u64::MAX), [span(0, 1800), span(1800, 3600)]);
    }

    #[test]
    fn a_clock_set_forward_leaves_the_time_between_empty() {
        let openings: Vec<_> =
            (0..10).map(|n| opening(n, Duration::ZERO, if n < 5 { 0 } else { 3600 * SECOND as i64 })).collect();
        assert_eq!(spans(&openings, WALL + 60 * SECOND, WALL + 3600 * SECOND), []);
        assert_eq!(spans(&openings, WALL, WALL + 3612 * SECOND), [span(0, 6)]);
    }

    #[test]
    fn no_clock_is_too_far_off() {
        let mut odd = opening(u32::MAX, Duration::ZERO, 0);
        assert_eq!(spans(&[odd.clone()], 0, u64::MAX), []);
        (odd.wall_us, odd.epoch, odd.at) = (u64::MAX, Epoch(0), MediaTime::from_ticks(0));
        assert_eq!(spans(&[odd.clone()], 0, u64::MAX), []);
        (odd.wall_us, odd.at) = (0, MediaTime::from_ticks(u64::MAX));
        assert_eq!(spans(&[odd], 0, u64::MAX), []);
    }
}
