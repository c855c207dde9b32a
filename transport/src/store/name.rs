//! Names in a store.

use crate::keys::{Epoch, SessionId};
use chrono::{DateTime, NaiveDate};
use std::fmt;
use std::ops::RangeInclusive;

/// A camera's place in a store: its alias, 1 to 64 of `a-z`, `0-9` and `-`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Shelf(String);

impl Shelf {
    /// `None` for what is no alias.
    pub fn new(alias: &str) -> Option<Self> {
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        (!alias.is_empty() && alias.len() <= 64 && alias.chars().all(fits)).then(|| Self(alias.to_owned()))
    }

    /// The alias.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Shelf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An hour of UTC, counted since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hour(pub u32);

const HOUR_US: u64 = 3_600_000_000;
pub(super) const SESSIONS: &str = "sessions";
pub(super) const PROTECTED: &str = "protected";
/// Hours after the year 9999 have no name; no clock gets there but one that is wrong.
const LAST: u64 = 70_389_527;

impl Hour {
    /// The hour of a moment, µs since 1970.
    pub fn of(wall_us: u64) -> Self {
        // LAST fits.
        Self((wall_us / HOUR_US).min(LAST) as u32)
    }

    /// Its first moment, µs since 1970.
    pub fn start_us(self) -> u64 {
        u64::from(self.0) * HOUR_US
    }

    fn format(self, pattern: &str) -> String {
        let start = DateTime::from_timestamp(i64::from(self.0) * 3600, 0);
        start.map_or_else(String::new, |start| start.format(pattern).to_string())
    }

    /// `YYYYMMDD`.
    pub(super) fn day(self) -> String {
        self.format("%Y%m%d")
    }

    /// `HH`.
    pub(super) fn of_day(self) -> String {
        self.format("%H")
    }
}

/// First hour of the day `YYYYMMDD`.
pub(super) fn day_of(part: &str) -> Option<Hour> {
    if part.len() != 8 || !part.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let day = NaiveDate::parse_from_str(part, "%Y%m%d").ok()?.and_hms_opt(0, 0, 0)?;
    u32::try_from(day.and_utc().timestamp() / 3600).ok().map(Hour)
}

/// The hour `HH` of a day.
pub(super) fn hour_of(day: Hour, part: &str) -> Option<Hour> {
    let hour = part.parse::<u32>().ok().filter(|hour| part.len() == 2 && *hour < 24)?;
    Some(Hour(day.0 + hour))
}

/// `FROM-TO`, both 16 hex digits.
pub(super) fn span_of(name: &str) -> Option<RangeInclusive<u64>> {
    let (from, to) = name.split_once('-')?;
    Some(hex(from, 16)?..=hex(to, 16)?)
}

/// `digits` lower-case hex digits.
fn hex(text: &str, digits: usize) -> Option<u64> {
    let lower = text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    (text.len() == digits && lower).then(|| u64::from_str_radix(text, 16).ok())?
}

/// What the listing says of an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EpochEntry {
    /// Its session.
    pub session: SessionId,
    /// Its number.
    pub epoch: Epoch,
    /// When it was stored, by the clock of whoever stored it, µs since 1970.
    pub stored_us: u64,
    /// Length of its file.
    pub bytes: u64,
}

impl EpochEntry {
    /// The hour it was stored in.
    pub fn hour(&self) -> Hour {
        Hour::of(self.stored_us)
    }

    /// `STORED-SESSION-EPOCH`, in 16, 32 and 8 hex digits.
    pub(super) fn name(&self) -> String {
        format!("{:016x}-{}-{:08x}", self.stored_us, self.session, self.epoch.0)
    }

    /// `None` for a name of something else.
    pub(super) fn from_name(name: &str, bytes: u64) -> Option<Self> {
        let (stored, rest) = name.split_once('-')?;
        let (session, epoch) = rest.split_once('-')?;
        Some(Self {
            session: SessionId::from_hex(session)?,
            epoch: Epoch(u32::try_from(hex(epoch, 8)?).ok()?),
            stored_us: hex(stored, 16)?,
            bytes,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_hour_is_named_in_utc() {
        let hour = Hour::of(1_795_000_000_000_000);
        assert_eq!((hour.day(), hour.of_day()), ("20261118".into(), "11".into()));
        assert_eq!((Hour(0).day(), Hour(0).of_day()), ("19700101".into(), "00".into()));
        assert_eq!(Hour::of(u64::MAX).day(), "99991231");
        for bad in ["2026111", "202611180", "20261340", "2026-1-1", "+2026111", "sessions"] {
            assert_eq!(day_of(bad), None, "{bad}");
        }
        assert_eq!(
            (hour_of(Hour(0), "24"), hour_of(Hour(0), "+1"), hour_of(Hour(0), "1")),
            (None, Some(Hour(1)), None)
        );
    }

    proptest! {
        #[test]
        fn names_read_back(stored_us in any::<u64>(), session in any::<[u8; 16]>(), epoch in any::<u32>()) {
            let entry = EpochEntry { session: SessionId(session), epoch: Epoch(epoch), stored_us, bytes: 7 };
            prop_assert_eq!(EpochEntry::from_name(&entry.name(), 7), Some(entry));
            let hour = entry.hour();
            prop_assert_eq!(hour_of(day_of(&hour.day()).unwrap(), &hour.of_day()), Some(hour));
        }

        #[test]
        fn names_sort_as_time_passes(a in any::<u64>(), b in any::<u64>()) {
            let name = |stored_us| EpochEntry { session: SessionId([0; 16]), epoch: Epoch(0), stored_us, bytes: 0 }.name();
            prop_assert_eq!(name(a).cmp(&name(b)), a.cmp(&b));
        }

        #[test]
        fn other_names_are_passed_over(name in "[0-9a-f#-]{0,70}") {
            if let Some(entry) = EpochEntry::from_name(&name, 0) {
                prop_assert_eq!(entry.name(), name);
            }
        }
    }

    #[test]
    fn aliases_cannot_reach_out_of_their_shelf() {
        for bad in ["", "..", "a/b", "Front", "a b", "a#1", &"x".repeat(65)] {
            assert_eq!(Shelf::new(bad), None, "{bad:?}");
        }
        assert_eq!(Shelf::new("front-door").unwrap().to_string(), "front-door");
    }
}
