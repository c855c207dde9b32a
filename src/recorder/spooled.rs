//! Epochs that a camera kept while it could not send them: taken one by one, checked without keys, and stored where they were filmed
//! (`docs/wire.md` §1, `spool/ALIAS/SESSION`).

use super::Shared;
use super::follow::{self, AGAIN};
use super::manifests::Manifest;
use super::queue::{Item, Origin, Queue};
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
use std::time::Duration;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::timeout;

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
    /// Memory for epochs that come, in KiB, shared by all.
    pub(super) room: Arc<Semaphore>,
}

/// Spools followed at once.
const MOST: usize = 32;
/// Memory for the epochs that they send, in KiB: two of the largest.
pub(super) const ROOM: usize = 2 * (MAX_FILE >> 10);
/// Longest wait for the next piece of an epoch, and for room for it: a camera sends one again that was not confirmed for 20 s.
const PATIENCE: Duration = Duration::from_secs(30);
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
        let Some(manifest) = self.manifest(&path, &shelf, id).await else { return };
        loop {
            if let Ok(mut epochs) = self.node.record(&path, "epoch", PRIORITY).await {
                while let Some(group) = epochs.group().await {
                    self.handle(group, &manifest).await;
                }
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    /// What the session is: as it is stored, or as the camera says where nothing is, or nothing whole. `None` if that is no manifest of it.
    async fn manifest(&self, path: &str, shelf: &Shelf, id: SessionId) -> Option<Arc<Manifest>> {
        let delivered = follow::manifest(&self.node, path, id, &self.shared).await?;
        loop {
            let stored = match self.store.session(shelf, id).await {
                Ok(stored) => Some(stored),
                Err(StoreError::Absent) => None,
                Err(error) => {
                    tracing::debug!(%error, "a session's manifest could not be read, trying again");
                    tokio::time::sleep(AGAIN * 5).await;
                    continue;
                }
            };
            let is_it = |record: &Bytes| SessionManifest::is_of(record, id);
            let Some(record) = stored.into_iter().chain([delivered]).find(is_it) else {
                self.shared.count(|stats| stats.refused += 1);
                return None;
            };
            return self.shared.manifests.hold(shelf, record);
        }
    }

    /// One epoch: `u32 length`, then the file in pieces.
    async fn handle(&self, mut group: GroupReader, manifest: &Arc<Manifest>) {
        let (shelf, facts) = (&manifest.shelf, &manifest.facts);
        let refused = |why: &dyn std::fmt::Display| {
            tracing::warn!(%why, %shelf, "an epoch of a camera's spool was refused");
            self.shared.count(|stats| stats.refused += 1);
        };
        let (bytes, _room) = match receive(&mut group, &self.room, PATIENCE).await {
            Ok(received) => received,
            Err(Cut::TooLong) => return refused(&"its length"),
            // It comes again.
            Err(Cut::Short) => return,
        };
        let file = match check(&bytes, facts) {
            Ok(file) => file,
            Err(why) => return refused(&why),
        };
        self.shared.count(|stats| stats.spooled += 1);
        // What is live has the queue first. What is not taken now comes again, too.
        if self.queue.has_room_for_spooled(file.session, file.epoch) {
            self.queue.push(Item { manifest: manifest.clone(), file, from: Origin::Spool });
        }
    }
}

/// Why an epoch did not come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cut {
    /// No epoch file is of that length.
    TooLong,
    /// The line broke, who sends has stopped, or too much comes at once.
    Short,
}

/// `u32 length`, then so many bytes in pieces, and the room that they take.
async fn receive<'a>(
    group: &mut GroupReader,
    room: &'a Semaphore,
    patience: Duration,
) -> Result<(Bytes, SemaphorePermit<'a>), Cut> {
    let short = |_| Cut::Short;
    let first = timeout(patience, group.object()).await.map_err(short)?.ok_or(Cut::Short)?;
    let length = <[u8; 4]>::try_from(first.as_ref()).map_or(u32::MAX, u32::from_be_bytes);
    if length as usize > MAX_FILE {
        return Err(Cut::TooLong);
    }
    let room = timeout(patience, room.acquire_many(length.div_ceil(1024))).await.map_err(short)?;
    let room = room.map_err(|_| Cut::Short)?;
    let mut bytes = BytesMut::new();
    while bytes.len() < length as usize {
        let part = timeout(patience, group.object()).await.map_err(short)?.ok_or(Cut::Short)?;
        bytes.extend_from_slice(&part);
        if bytes.len() > MAX_FILE {
            return Err(Cut::TooLong);
        }
    }
    Ok((bytes.freeze(), room))
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
    use doorframe_codec::units::MediaTime;

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

    #[tokio::test]
    async fn an_epoch_that_stops_coming_or_for_which_no_room_is_made_is_given_up_and_the_next_is_taken() {
        let (node, room) = (Node::new(), Semaphore::new(4));
        let broadcast = node.broadcast("home/spool/door/session").unwrap();
        let epochs = broadcast.track("epoch", 10).unwrap();
        broadcast.announce().unwrap();
        let mut reader = node.record("home/spool/door/session", "epoch", 10).await.unwrap();
        let send = |n: u64, length: u32, parts: u32| {
            let mut group = epochs.group(n).unwrap();
            group.write(MediaTime::default(), Bytes::copy_from_slice(&length.to_be_bytes())).unwrap();
            (0..parts).for_each(|_| group.write(MediaTime::default(), Bytes::from(vec![7; 1024])).unwrap());
            group
        };
        let mut lengths = Vec::new();
        for (n, (length, parts)) in [(4096, 3), (5000, 5), (1 << 30, 1), (4096, 4)].into_iter().enumerate() {
            let _open = send(n as u64, length, parts);
            let mut group = reader.group().await.unwrap();
            lengths.push(receive(&mut group, &room, Duration::from_millis(200)).await.map(|(bytes, _)| bytes.len()));
            assert_eq!(room.available_permits(), 4);
        }
        assert_eq!(lengths, [Err(Cut::Short), Err(Cut::Short), Err(Cut::TooLong), Ok(4096)]);
    }

    #[test]
    fn a_clock_that_is_ahead_or_was_never_set_counts_as_now() {
        let now = 1_795_000_000_000_000;
        assert_eq!(filmed(now - 7_200_000_000, now), now - 7_200_000_000);
        assert_eq!((filmed(now + 1, now), filmed(86_400_000_000, now), filmed(u64::MAX, now)), (now, now, now));
    }
}
