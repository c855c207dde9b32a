//! Epochs that a camera kept while it could not send them: taken one by one, checked without keys, and stored where they were filmed
//! (`docs/wire.md` §1, `spool/ALIAS/SESSION`).

use super::Shared;
use super::follow::{AGAIN, manifest};
use super::queue::{Item, Queue};
use crate::link::Alias;
use crate::wall_us;
use bytes::{Bytes, BytesMut};
use doorframe_transport::keys::SessionId;
use doorframe_transport::manifest::{SessionFacts, SessionManifest};
use doorframe_transport::moq::{GroupReader, Node};
use doorframe_transport::recorded::{EpochFile, MAX_FILE, verify};
use doorframe_transport::store::{Shelf, Store, StoreError};
use std::collections::HashMap;
use std::sync::Arc;
use tokio::task::{AbortHandle, JoinSet};

/// Follows the spools that cameras announce. Ends with all that is under way when dropped: a camera sends again what was not confirmed.
pub(super) struct Spools {
    taker: Taker,
    tasks: JoinSet<()>,
    followed: HashMap<(Shelf, SessionId), AbortHandle>,
}

/// What each of them needs.
#[derive(Clone)]
pub(super) struct Taker {
    pub(super) node: Arc<Node>,
    pub(super) scope: String,
    pub(super) store: Arc<Store>,
    pub(super) queue: Arc<Queue>,
    pub(super) shared: Arc<Shared>,
}

/// Spools followed at once. Each may hold an epoch in memory.
const MOST: usize = 32;
/// Behind everything that is live.
const PRIORITY: u8 = 10;
/// A clock that says less was never set: 2020.
const NEVER_SET_US: u64 = 1_577_836_800_000_000;

impl Spools {
    pub(super) fn new(taker: Taker) -> Self {
        Self { taker, tasks: JoinSet::new(), followed: HashMap::new() }
    }

    /// Something is announced, or is not any more. Gives whether it is a spool.
    pub(super) fn handle(&mut self, name: &str, is_live: bool) -> bool {
        let Some((shelf, id)) = spool(name) else { return false };
        while self.tasks.try_join_next().is_some() {}
        self.followed.retain(|_, task| !task.is_finished());
        if let Some(task) = self.followed.remove(&(shelf.clone(), id)) {
            task.abort();
        }
        if is_live && self.followed.len() < MOST {
            self.taker.shared.acks.open(&shelf);
            let task = self.tasks.spawn(self.taker.clone().take(shelf.clone(), id));
            self.followed.insert((shelf, id), task);
        }
        true
    }
}

/// `spool/ALIAS/SESSION`.
fn spool(name: &str) -> Option<(Shelf, SessionId)> {
    let (alias, session) = name.strip_prefix("spool/")?.split_once('/')?;
    // A name that no camera can have has no shelf.
    let alias: Alias = alias.parse().ok()?;
    Some((Shelf::new(&alias.to_string())?, SessionId::from_hex(session)?))
}

impl Taker {
    /// Takes epochs until the spool is not announced any more.
    async fn take(self, shelf: Shelf, id: SessionId) {
        let path = format!("{}/spool/{shelf}/{id}", self.scope);
        // Which epochs are stored is not known before.
        while !self.shared.catalog().is_surveyed() {
            tokio::time::sleep(AGAIN).await;
        }
        let Some(facts) = self.facts(&path, &shelf, id).await else { return };
        loop {
            if let Ok(mut epochs) = self.node.record(&path, "epoch", PRIORITY).await {
                while let Some(group) = epochs.group().await {
                    self.handle(group, &shelf, &facts).await;
                }
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    /// What the session is: as it is stored, or as the camera says where nothing is. `None` if that is no manifest of it.
    async fn facts(&self, path: &str, shelf: &Shelf, id: SessionId) -> Option<Box<SessionFacts>> {
        let delivered = manifest(&self.node, path, id, &self.shared).await?;
        loop {
            let known = match self.store.session(shelf, id).await {
                Ok(stored) => SessionManifest::parse(&stored).ok(),
                Err(StoreError::Absent) => None,
                Err(error) => {
                    tracing::debug!(%error, "a session's manifest could not be read, trying again");
                    tokio::time::sleep(AGAIN * 5).await;
                    continue;
                }
            };
            if let Some(known) = known.filter(|known| known.facts().id == id) {
                return Some(Box::new(known.facts().clone()));
            }
            let ours = SessionManifest::parse(&delivered).ok().filter(SessionManifest::is_signed);
            let Some(ours) = ours else {
                self.shared.count(|stats| stats.refused += 1);
                return None;
            };
            self.queue.push(Item::Session(shelf.clone(), id, delivered));
            return Some(Box::new(ours.facts().clone()));
        }
    }

    /// One epoch: `u32 length`, then the file in pieces.
    async fn handle(&self, mut group: GroupReader, shelf: &Shelf, facts: &SessionFacts) {
        let refused = |why: &dyn std::fmt::Display| {
            tracing::warn!(%why, %shelf, "an epoch of a camera's spool was refused");
            self.shared.count(|stats| stats.refused += 1);
        };
        let Some(first) = group.object().await else { return };
        let length = <[u8; 4]>::try_from(first.as_ref()).map(u32::from_be_bytes).unwrap_or(u32::MAX) as usize;
        if length > MAX_FILE {
            return refused(&"its length");
        }
        let mut bytes = BytesMut::new();
        while bytes.len() < length
            && let Some(part) = group.object().await
        {
            bytes.extend_from_slice(&part);
        }
        if bytes.len() < length {
            // The line broke; it comes again.
            return;
        }
        let file = match check(&bytes.freeze(), facts) {
            Ok(file) => file,
            Err(why) => return refused(&why),
        };
        self.shared.count(|stats| stats.spooled += 1);
        // What is live has the queue first. What is not taken now comes again, too.
        if self.queue.has_room_for_spooled(file.session, file.epoch) {
            self.queue.push(Item::Spooled(shelf.clone(), file, Box::new(facts.clone())));
        }
    }
}

/// The file, if the session's camera signed all that is in it. It counts as stored when it would have been: at its end, by the camera's
/// clock, but not in the future.
fn check(bytes: &Bytes, facts: &SessionFacts) -> Result<EpochFile, String> {
    let file = EpochFile::parse(bytes).map_err(|error| error.to_string())?;
    let verdict = verify(&file, facts).map_err(|error| error.to_string())?;
    let length = u64::try_from(facts.epoch_length.as_micros()).unwrap_or(u64::MAX);
    let stored_us = filmed(verdict.opening.wall_us.saturating_add(length), wall_us());
    Ok(EpochFile { stored_us, ..file })
}

fn filmed(claim_us: u64, now_us: u64) -> u64 {
    if (NEVER_SET_US..now_us).contains(&claim_us) { claim_us } else { now_us }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_spools_are_taken_for_spools() {
        let id = "a5".repeat(16);
        let session = SessionId([0xa5; 16]);
        assert_eq!(spool(&format!("spool/door/{id}")), Some((Shelf::new("door").unwrap(), session)));
        let names = ["spool", "spool/door", "spool/door/x", "door/x", "spool/store/", "spool/../"];
        for name in names.iter().map(|name| (*name).to_owned()).chain([format!("door/{id}"), format!("spool/{id}")]) {
            assert_eq!(spool(&name), None, "{name}");
        }
        assert_eq!(spool(&format!("spool/viewer/{id}")), None, "no camera's name");
    }

    #[test]
    fn a_clock_that_is_ahead_or_was_never_set_counts_as_now() {
        let now = 1_795_000_000_000_000;
        assert_eq!(filmed(now - 7_200_000_000, now), now - 7_200_000_000);
        assert_eq!((filmed(now + 1, now), filmed(86_400_000_000, now), filmed(u64::MAX, now)), (now, now, now));
    }
}
