//! Tells cameras which of their epochs are kept, so that they need not keep them (`docs/wire.md` §1, `stored/ALIAS`).

use bytes::Bytes;
use doorframe_codec::units::MediaTime;
use doorframe_transport::keys::{Epoch, SessionId};
use doorframe_transport::moq::{Broadcast, CarriageError, GroupWriter, Node, TrackWriter};
use doorframe_transport::store::Shelf;
use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// What is told to each camera.
#[derive(Debug)]
pub(super) struct Acks {
    node: Arc<Node>,
    /// `SCOPE/stored`.
    root: String,
    started: Instant,
    cameras: Mutex<HashMap<Shelf, Told>>,
    /// Counts up with each use.
    uses: AtomicU64,
}

#[derive(Debug)]
struct Told {
    track: TrackWriter,
    group: Option<GroupWriter>,
    /// Objects of the group that were not in the one before.
    fresh: usize,
    next: u64,
    /// When it was used last, by the count of uses.
    used: u64,
    newest: VecDeque<Bytes>,
    _broadcast: Broadcast,
}

/// Confirmations that a group begins with: who joins, or has missed the end of the group before, has them all the same.
const REPEATED: usize = 64;
/// Short, and a camera waits for it.
const PRIORITY: u8 = 150;
/// Cameras told at once; beyond, the one that was told nothing for longest makes room, and is told again when there is something.
const MOST: usize = 256;

impl Acks {
    pub(super) fn new(node: Arc<Node>, root: String) -> Self {
        Self { node, root, started: Instant::now(), cameras: Mutex::default(), uses: AtomicU64::new(0) }
    }

    /// Lets a camera know that it will be told.
    pub(super) fn open(&self, shelf: &Shelf) {
        self.with(shelf, |_, _| {});
    }

    /// An epoch is kept, all of it, or is not wanted.
    pub(super) fn confirm(&self, shelf: &Shelf, session: SessionId, epoch: Epoch) {
        let ack = Bytes::from([&session.0[..], &epoch.0.to_be_bytes()].concat());
        self.with(shelf, |told, at| {
            if let Err(error) = told.write(ack, at) {
                tracing::debug!(%error, %shelf, "a confirmation is not told");
            }
        });
    }

    fn with(&self, shelf: &Shelf, change: impl FnOnce(&mut Told, MediaTime)) {
        let mut cameras = self.cameras.lock().unwrap_or_else(PoisonError::into_inner);
        if !cameras.contains_key(shelf) {
            if cameras.len() >= MOST
                && let Some(idle) = cameras.iter().min_by_key(|(_, told)| told.used).map(|(shelf, _)| shelf.clone())
            {
                tracing::warn!(%idle, "more than {MOST} cameras: this one is told no more what is stored");
                cameras.remove(&idle);
            }
            match Told::start(&self.node, &format!("{}/{shelf}", self.root)) {
                Ok(told) => drop(cameras.insert(shelf.clone(), told)),
                Err(error) => tracing::error!(%error, %shelf, "confirmations are not told"),
            }
        }
        if let Some(told) = cameras.get_mut(shelf) {
            told.used = self.uses.fetch_add(1, Ordering::Relaxed);
            change(told, MediaTime::from_duration(self.started.elapsed()));
        }
    }
}

impl Told {
    fn start(node: &Node, path: &str) -> Result<Self, CarriageError> {
        let broadcast = node.broadcast(path)?;
        let track = broadcast.track("ack", PRIORITY)?;
        broadcast.announce()?;
        let newest = VecDeque::new();
        Ok(Self { track, group: None, fresh: 0, next: 0, used: 0, newest, _broadcast: broadcast })
    }

    fn write(&mut self, ack: Bytes, at: MediaTime) -> Result<(), CarriageError> {
        self.newest.push_back(ack.clone());
        if self.newest.len() > REPEATED {
            self.newest.pop_front();
        }
        if let Some(group) = &mut self.group
            && self.fresh < REPEATED
            && group.write(at, ack).is_ok()
        {
            self.fresh += 1;
            return Ok(());
        }
        // What one group does not take the next begins with.
        self.group.take().into_iter().for_each(GroupWriter::finish);
        self.fresh = 0;
        let group = self.group.insert(self.track.group(self.next)?);
        self.next += 1;
        self.newest.iter().try_for_each(|ack| group.write(at, ack.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[tokio::test]
    async fn who_joins_late_hears_the_newest_confirmations_and_all_that_follow() {
        let node = Arc::new(Node::new());
        let acks = Acks::new(node.clone(), "home/stored".into());
        let (shelf, session) = (Shelf::new("door").unwrap(), SessionId([7; 16]));
        (0..300).for_each(|n| acks.confirm(&shelf, session, Epoch(n)));
        let mut track = node.record("home/stored/door", "ack", 0).await.unwrap();
        (300..310).for_each(|n| acks.confirm(&shelf, session, Epoch(n)));
        let mut heard = BTreeSet::new();
        while !heard.contains(&309) {
            let mut group = track.group().await.unwrap();
            // The newest group is not over.
            while !heard.contains(&309)
                && let Some(object) = group.object().await
            {
                assert_eq!((object.len(), &object[..16]), (20, &session.0[..]));
                heard.insert(u32::from_be_bytes(object[16..].try_into().unwrap()));
            }
        }
        assert!((300 - 64..310).all(|n| heard.contains(&n)), "{heard:?}");
    }

    #[tokio::test]
    async fn one_camera_too_many_takes_the_place_of_the_one_unused_longest() {
        let node = Arc::new(Node::new());
        let acks = Acks::new(node.clone(), "home/stored".into());
        let shelf = |n: usize| Shelf::new(&format!("door-{n}")).unwrap();
        (0..MOST).for_each(|n| acks.open(&shelf(n)));
        acks.confirm(&shelf(0), SessionId([7; 16]), Epoch(1));
        acks.confirm(&shelf(MOST), SessionId([7; 16]), Epoch(2));
        let told = |n: usize| acks.cameras.lock().unwrap().contains_key(&shelf(n));
        assert_eq!([0, 1, 2, MOST].map(told), [true, false, true, true]);
        assert_eq!(acks.cameras.lock().unwrap().len(), MOST);
        let mut track = node.record(&format!("home/stored/{}", shelf(MOST)), "ack", 0).await.unwrap();
        let object = track.group().await.unwrap().object().await.unwrap();
        assert_eq!(&object[16..], &2_u32.to_be_bytes());
    }
}
