//! Moments as people write them: local time with its offset said, UTC, or so long ago.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use thiserror::Error;

/// A text that is no moment.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "{0:?} is not a time: write 2026-11-24T10:00:00 (this machine's time), with Z or +01:00 behind it, or 10m for ten minutes ago (s, m, h, d)"
)]
pub struct BadMoment(String);

/// The moment that `text` means, µs since 1970, if it is now `now_us` and the machine is in `zone`.
///
/// # Errors
/// If it is none.
pub fn parse(text: &str, now_us: u64, zone: &TimeZone) -> Result<u64, BadMoment> {
    let bad = || BadMoment(text.chars().take(40).collect());
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
            local.to_zoned(zone.clone()).map_err(|_| bad())?.timestamp()
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
}
