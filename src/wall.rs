//! The wall clock: only ever a claim, or compared with one.

use std::time::{SystemTime, UNIX_EPOCH};

/// This machine's wall clock, µs since 1970; 0 if it is set before that.
pub fn wall_us() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| u64::try_from(d.as_micros()).unwrap_or(u64::MAX))
}
