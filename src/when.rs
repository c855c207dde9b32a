//! Moments as people write them: local time with its offset said, UTC, or so long ago.

use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{Timestamp, Zoned};
use std::fmt;
use thiserror::Error;

/// A text that is no moment, or two. Says what would be one.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BadMoment {
    /// No time.
    #[error(
        "{0:?} is not a time: write 2026-11-24T10:00:00 (this machine's time), with Z or +01:00 behind it, or 10m for ten minutes ago (s, m, h, d)"
    )]
    NoTime(String),
    /// The clocks were set forward over it.
    #[error(
        "there was no {at} on this machine's clock, which was set from {before} to {after} of UTC: write {at}{after}, or another time"
    )]
    Skipped {
        /// The time, as it was read.
        at: DateTime,
        /// How far from UTC the clock was before.
        before: Offset,
        /// And after.
        after: Offset,
    },
    /// The clocks were set back, so that it was there twice.
    #[error(
        "{at} was on this machine's clock twice: write {at}{before} for the first time, {at}{after} for the second"
    )]
    Twice {
        /// The time, as it was read.
        at: DateTime,
        /// How far from UTC the clock was the first time.
        before: Offset,
        /// And the second.
        after: Offset,
    },
}

/// How far a clock is from UTC, as it is written behind a time: `+01:00`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offset(jiff::tz::Offset);

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.seconds();
        let sign = if seconds < 0 { '-' } else { '+' };
        let minutes = seconds.unsigned_abs() / 60;
        write!(f, "{sign}{:02}:{:02}", minutes / 60, minutes % 60)
    }
}

/// The moment that `text` means, µs since 1970, if it is now `now_us` and the machine is in `zone`.
///
/// A local time that the machine's clock passed over, or showed twice, is refused: nobody is shown, or handed, another hour than the one meant.
///
/// # Errors
/// If it is none, or not one.
pub fn parse(text: &str, now_us: u64, zone: &TimeZone) -> Result<u64, BadMoment> {
    let bad = || BadMoment::NoTime(text.chars().take(40).collect());
    let trimmed = text.trim();
    if trimmed == "now" {
        return Ok(now_us);
    }
    if let Some((at, unit)) = trimmed.char_indices().next_back()
        && let Some(number) = trimmed.get(..at).filter(|number| number.bytes().all(|b| b.is_ascii_digit()))
        && let Some(seconds) = match unit {
            's' => Some(1),
            'm' => Some(60),
            'h' => Some(3600),
            'd' => Some(86_400),
            _ => None,
        }
    {
        let ago = number.parse::<u64>().ok().and_then(|n| n.checked_mul(seconds * 1_000_000));
        return ago.and_then(|ago| now_us.checked_sub(ago)).ok_or_else(bad);
    }
    let moment = match trimmed.parse::<Timestamp>() {
        Ok(moment) => moment,
        Err(_) => {
            let local: DateTime = trimmed.parse().map_err(|_| bad())?;
            match zone.to_ambiguous_timestamp(local).offset() {
                AmbiguousOffset::Unambiguous { offset } => offset.to_timestamp(local).map_err(|_| bad())?,
                AmbiguousOffset::Gap { before, after } => {
                    return Err(BadMoment::Skipped { at: local, before: Offset(before), after: Offset(after) });
                }
                AmbiguousOffset::Fold { before, after } => {
                    return Err(BadMoment::Twice { at: local, before: Offset(before), after: Offset(after) });
                }
            }
        }
    };
    u64::try_from(moment.as_microsecond()).map_err(|_| bad())
}

/// `2026-11-24 10:00:00 +01:00`, in `zone`.
pub fn local(wall_us: u64, zone: &TimeZone) -> String {
    zoned(wall_us, zone).map_or_else(|| format!("{wall_us} µs"), |at| at.strftime("%Y-%m-%d %H:%M:%S %:z").to_string())
}

/// `2026-11-24`, in `zone`.
pub fn day(wall_us: u64, zone: &TimeZone) -> String {
    zoned(wall_us, zone).map_or_else(|| "?".into(), |at| at.strftime("%Y-%m-%d").to_string())
}

/// `10:00:00`, in `zone`.
pub fn clock(wall_us: u64, zone: &TimeZone) -> String {
    zoned(wall_us, zone).map_or_else(|| "?".into(), |at| at.strftime("%H:%M:%S").to_string())
}

/// `+01:00`: how far `zone` is from UTC then.
pub fn offset(wall_us: u64, zone: &TimeZone) -> String {
    zoned(wall_us, zone).map_or_else(|| "?".into(), |at| at.strftime("%:z").to_string())
}

/// `2026-11-24 10:00:00 UTC`.
pub fn utc(wall_us: u64) -> String {
    zoned(wall_us, &TimeZone::UTC)
        .map_or_else(|| format!("{wall_us} µs"), |at| at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string())
}

fn zoned(wall_us: u64, zone: &TimeZone) -> Option<Zoned> {
    let moment = Timestamp::from_microsecond(i64::try_from(wall_us).ok()?).ok()?;
    Some(moment.to_zoned(zone.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_795_514_400_000_000;

    #[test]
    fn a_moment_is_local_unless_it_says_otherwise() {
        let zone = TimeZone::fixed(jiff::tz::offset(1));
        let at = |text: &str| parse(text, NOW, &zone).unwrap();
        assert_eq!(at("2026-11-24T10:00:00Z") - at("2026-11-24T10:00:00"), 3_600_000_000);
        assert_eq!(at("2026-11-24T10:00:00"), at("2026-11-24 10:00"));
        assert_eq!(at("2026-11-24T12:00:00+03:00"), at("2026-11-24T10:00:00"));
        assert_eq!((at("10m"), at("2h"), at("now")), (NOW - 600_000_000, NOW - 7_200_000_000, NOW));
        assert_eq!(local(at("2026-11-24T10:00:00"), &zone), "2026-11-24 10:00:00 +01:00");
        assert_eq!(utc(at("2026-11-24T10:00:00")), "2026-11-24 09:00:00 UTC");
    }

    #[test]
    fn what_is_no_time_is_told_how_to_be_one() {
        for bad in ["", "yesterday", "25:00", "m", "-3m", "99999999999999999999d", "2026-13-01T00:00:00"] {
            let error = parse(bad, NOW, &TimeZone::UTC).unwrap_err();
            assert!(error.to_string().contains("2026-11-24T10:00:00"), "{bad}");
        }
    }

    /// Central Europe, by its rule: nothing has to be installed.
    fn berlin() -> TimeZone {
        TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap()
    }

    #[test]
    fn a_time_that_the_clock_passed_over_is_refused_and_what_to_write_is_said() {
        let error = parse("2026-03-29T02:30:00", NOW, &berlin()).unwrap_err();
        let words =
            "there was no 2026-03-29T02:30:00 on this machine's clock, which was set from +01:00 to +02:00 of UTC";
        assert!(error.to_string().starts_with(words), "{error}");
        let at = |text: &str| parse(text, NOW, &berlin()).unwrap();
        // What it says to write is a time, and so are the last moment before and the first after, a second apart.
        assert_eq!(at("2026-03-29T02:30:00+02:00"), at("2026-03-29T01:30:00"));
        assert_eq!(at("2026-03-29T03:00:00") - at("2026-03-29T01:59:59"), 1_000_000);
    }

    #[test]
    fn a_time_that_the_clock_showed_twice_is_refused_and_both_are_said() {
        let error = parse("2026-10-25T02:30:00", NOW, &berlin()).unwrap_err().to_string();
        for once in ["2026-10-25T02:30:00+02:00 for the first", "2026-10-25T02:30:00+01:00 for the second"] {
            assert!(error.contains(once), "{error}");
        }
        let at = |text: &str| parse(text, NOW, &berlin()).unwrap();
        let (first, second) = (at("2026-10-25T02:30:00+02:00"), at("2026-10-25T02:30:00+01:00"));
        assert_eq!(second - first, 3_600_000_000);
        // Shown again, they are told apart.
        assert_eq!(local(first, &berlin()), "2026-10-25 02:30:00 +02:00");
        assert_eq!(local(second, &berlin()), "2026-10-25 02:30:00 +01:00");
        assert_eq!(at("2026-10-25T03:00:00") - at("2026-10-25T01:59:59"), 7_201_000_000);
        // So long ago is so long ago, whatever was done to the clocks.
        assert_eq!(parse("2h", second, &berlin()), Ok(second - 7_200_000_000));
    }
}
