//! What a vault does by itself, each time a program opens it to watch: a new key every week, and old ones deleted when their time is over.

use super::{Vault, VaultError};
use crate::state::random32;
use doorframe_transport::identity::VerifyingKey;
use std::time::Duration;

/// How long a device's X-Wing key is in use.
pub const KEY_LIFE: Duration = Duration::from_secs(7 * 24 * 3600);
/// How long retired keys are kept, if somebody has said so.
const RETENTION: &str = "key-retention";

/// What upkeep did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Upkeep {
    /// Generation of the new key, if there is one.
    pub rotated: Option<u32>,
    /// Keys that were deleted.
    pub forgotten: usize,
}

impl Vault {
    /// Gives this device a new key if the one in use is a week old, and deletes those that were retired longer ago than
    /// [`retention`](Self::retention) allows. Nothing happens before the first pairing.
    ///
    /// # Errors
    /// If the disk says no. A device that is on the list no more keeps its key.
    pub fn upkeep(&mut self, wall_us: u64) -> Result<Upkeep, VaultError> {
        let mut done = Upkeep::default();
        let us = self.signer.verifying_key();
        let is_listed =
            |key: &VerifyingKey| self.home.as_ref().is_some_and(|home| home.lists().newest().device(key).is_some());
        // A clock that was set back makes no key old; one that was set forward makes one key more, which costs nothing.
        let is_old = wall_us.saturating_sub(self.key_made_wall_us()) >= micros(KEY_LIFE);
        if is_old && is_listed(&us) {
            done.rotated = Some(self.rotate(random32()?, wall_us)?);
        }
        if let Some(retention) = self.retention()? {
            done.forgotten = self.forget(wall_us.saturating_sub(micros(retention)))?;
        }
        Ok(done)
    }

    /// How long keys are kept after they were retired, and with them recordings can be opened; `None`: for ever.
    ///
    /// # Errors
    /// If it cannot be read, or is damaged.
    pub fn retention(&self) -> Result<Option<Duration>, VaultError> {
        let Some(bytes) = self.state.read(RETENTION)? else { return Ok(None) };
        let seconds = std::str::from_utf8(&bytes).ok().and_then(|text| text.trim().parse().ok());
        let damaged = || VaultError::damaged(&self.state, RETENTION, "it is no number of seconds");
        seconds.map(|seconds| Some(Duration::from_secs(seconds))).ok_or_else(damaged)
    }

    /// Says how long. Recordings that were sealed to a key that is deleted open here no more.
    ///
    /// # Errors
    /// If the disk says no.
    pub fn keep_keys_for(&mut self, retention: Option<Duration>) -> Result<(), VaultError> {
        let _held = self.state.lock()?;
        match retention {
            Some(retention) => Ok(self.state.write(RETENTION, retention.as_secs().to_string().as_bytes())?),
            None => Ok(self.state.remove(RETENTION)?),
        }
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
