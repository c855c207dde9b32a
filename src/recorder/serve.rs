//! Gives what is kept to whoever asks, as it is kept: sealed (`docs/format.md`, "Serving").

use super::Shared;
use bytes::{BufMut as _, Bytes, BytesMut};
use doorframe_transport::keys::{Epoch, SessionId};
use doorframe_transport::moq::{Broadcast, BroadcastRequest, CarriageError, GroupRequest, Node, Requests};
use doorframe_transport::recorded::event_object;
use doorframe_transport::store::{EpochEntry, Hour, Shelf, Store, StoreError};
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::{JoinHandle, JoinSet};

/// Serves the shelves of a store below a path.
#[derive(Clone)]
pub(super) struct Serve {
    pub(super) node: Arc<Node>,
    /// `SCOPE/store`.
    pub(super) root: String,
    pub(super) store: Arc<Store>,
    pub(super) shared: Arc<Shared>,
}

/// Requests worked on at once. Each may hold an epoch in memory.
const AT_ONCE: usize = 8;
/// Broadcasts of sessions kept for those who read them, the newest of each shelf.
const SESSIONS: usize = 32;
/// Heads read at once for the events of an hour.
const HEADS: usize = 32;
/// Largest object of an answer, in bytes.
const PART: usize = 1 << 20;
/// Before what is watched live goes first.
const PRIORITY: u8 = 50;

impl Serve {
    /// Until it is aborted. Shelves are announced as soon as there is something on them.
    pub(super) async fn run(self, mut shelves: mpsc::UnboundedReceiver<Shelf>) {
        let limit = Arc::new(Semaphore::new(AT_ONCE));
        let (mut known, mut tasks) = (HashSet::new(), JoinSet::new());
        while let Some(shelf) = shelves.recv().await {
            if known.insert(shelf.clone()) {
                tasks.spawn(self.clone().shelf(shelf, limit.clone()));
            }
        }
    }

    async fn shelf(self, shelf: Shelf, limit: Arc<Semaphore>) {
        let path = format!("{}/{shelf}", self.root);
        let requests = match self.node.serve_below(&path) {
            Ok(requests) => requests,
            Err(error) => return tracing::error!(%error, "recordings are not served"),
        };
        let mut served = Served::default();
        while let Some(request) = requests.next().await {
            if let Err(error) = self.open(request, &path, &shelf, &limit, &mut served) {
                tracing::debug!(%error, "recordings not served");
            }
        }
    }

    /// Answers for one broadcast: the shelf's, or a session's.
    fn open(
        &self,
        request: BroadcastRequest,
        path: &str,
        shelf: &Shelf,
        limit: &Arc<Semaphore>,
        served: &mut Served,
    ) -> Result<(), CarriageError> {
        let name = request.path().strip_prefix(path).unwrap_or("?").trim_start_matches('/').to_owned();
        if name.is_empty() {
            let (broadcast, tracks) = request.accept(["days", "hour", "events"], PRIORITY)?;
            let kinds = [Kind::Days, Kind::Hour, Kind::Events];
            served.keep(name, broadcast, self.answer_all(shelf, kinds, tracks, limit));
        } else if let Some(session) = SessionId::from_hex(&name).filter(|id| self.has(shelf, *id)) {
            let (broadcast, tracks) = request.accept(["session", "epoch"], PRIORITY)?;
            let kinds = [Kind::Session(session), Kind::Epoch(session)];
            served.keep(name, broadcast, self.answer_all(shelf, kinds, tracks, limit));
        } else {
            request.refuse();
        }
        Ok(())
    }

    fn has(&self, shelf: &Shelf, session: SessionId) -> bool {
        let catalog = self.shared.catalog();
        catalog.has_session(shelf, session) || !catalog.is_surveyed()
    }

    fn answer_all<const N: usize>(
        &self,
        shelf: &Shelf,
        kinds: [Kind; N],
        tracks: [Requests; N],
        limit: &Arc<Semaphore>,
    ) -> JoinHandle<()> {
        let mut tasks = JoinSet::new();
        for (kind, track) in kinds.into_iter().zip(tracks) {
            tasks.spawn(self.clone().answer(shelf.clone(), kind, track, limit.clone()));
        }
        tokio::spawn(async move { while tasks.join_next().await.is_some() {} })
    }

    async fn answer(self, shelf: Shelf, kind: Kind, requests: Requests, limit: Arc<Semaphore>) {
        let mut tasks = JoinSet::new();
        while let Some(request) = requests.next().await {
            while tasks.try_join_next().is_some() {}
            let (serve, shelf, limit) = (self.clone(), shelf.clone(), limit.clone());
            tasks.spawn(async move {
                if let Ok(_turn) = limit.acquire().await {
                    serve.reply(&shelf, kind, request).await;
                }
            });
        }
    }

    async fn reply(&self, shelf: &Shelf, kind: Kind, request: GroupRequest) {
        // Bits above these are the reader's own, so that no cache answers in our place.
        let number = (request.group() & u64::from(u32::MAX)) as u32;
        let objects = match kind {
            Kind::Days => Ok(self.days(shelf)),
            Kind::Hour => self.hour(shelf, Hour(number)).await,
            Kind::Events => self.events(shelf, Hour(number)).await,
            Kind::Session(session) => self.store.session(shelf, session).await.map(|manifest| vec![manifest]),
            Kind::Epoch(session) => self.epoch(shelf, session, Epoch(number)).await,
        };
        match objects {
            Ok(objects) => match request.reply(objects) {
                Ok(()) => self.shared.count(|stats| stats.served += 1),
                Err(error) => tracing::debug!(%error, "not answered"),
            },
            Err(error) => {
                if !matches!(error, StoreError::Absent) {
                    tracing::warn!(%error, "a recording cannot be read");
                }
                request.refuse();
            }
        }
    }

    /// For each hour: `u32 hour ‖ u32 epochs ‖ u64 bytes`.
    fn days(&self, shelf: &Shelf) -> Vec<Bytes> {
        let hours = self.shared.catalog().of_shelf(shelf);
        let mut out = BytesMut::with_capacity(16 * hours.len());
        for (hour, total) in hours {
            out.put_u32(hour.0);
            out.put_u32(total.epochs);
            out.put_u64(total.bytes);
        }
        vec![out.freeze()]
    }

    /// For each epoch: `[16] session ‖ u32 epoch ‖ u64 stored ‖ u32 bytes`.
    async fn hour(&self, shelf: &Shelf, hour: Hour) -> Result<Vec<Bytes>, StoreError> {
        let mut parts = Parts::default();
        for entry in self.listing(shelf, hour).await?.iter() {
            parts.put(|out| {
                out.put_slice(&entry.session.0);
                out.put_u32(entry.epoch.0);
                out.put_u64(entry.stored_us);
                out.put_u32(u32::try_from(entry.bytes).unwrap_or(u32::MAX));
            });
        }
        Ok(parts.finish())
    }

    /// For each epoch: `[16] session ‖ u32 epoch ‖ u32 length ‖ event object`.
    async fn events(&self, shelf: &Shelf, hour: Hour) -> Result<Vec<Bytes>, StoreError> {
        let entries = self.listing(shelf, hour).await?;
        let mut objects: Vec<Option<Bytes>> = vec![None; entries.len()];
        let mut heads = JoinSet::new();
        let mut next = entries.iter().copied().enumerate();
        loop {
            while heads.len() < HEADS
                && let Some((n, entry)) = next.next()
            {
                let (store, shelf) = (self.store.clone(), shelf.clone());
                heads.spawn(async move { (n, store.head(&shelf, &entry).await) });
            }
            let Some(head) = heads.join_next().await else { break };
            // What is gone meanwhile, or damaged, has no event; whoever plays the epoch is told why.
            if let Ok((n, Ok(head))) = head
                && let Some(object) = objects.get_mut(n)
            {
                *object = event_object(&head);
            }
        }
        let mut parts = Parts::default();
        for (entry, object) in entries.iter().zip(objects) {
            let object = object.unwrap_or_default();
            parts.put(|out| {
                out.put_slice(&entry.session.0);
                out.put_u32(entry.epoch.0);
                out.put_u32(u32::try_from(object.len()).unwrap_or(u32::MAX));
                out.put_slice(&object);
            });
        }
        Ok(parts.finish())
    }

    /// The file in pieces. Of several of one epoch, which a lost line can leave, the largest.
    async fn epoch(&self, shelf: &Shelf, session: SessionId, epoch: Epoch) -> Result<Vec<Bytes>, StoreError> {
        let hours = self.shared.catalog().whereabouts(shelf, session, epoch);
        let mut found: Option<EpochEntry> = None;
        for hour in hours {
            let entries = self.listing(shelf, hour).await?;
            let same = entries.iter().filter(|entry| entry.session == session && entry.epoch == epoch);
            found = same.copied().chain(found).max_by_key(|entry| entry.bytes);
        }
        let mut file = self.store.epoch(shelf, &found.ok_or(StoreError::Absent)?).await?;
        let mut parts = Vec::with_capacity(file.len() / PART + 1);
        while !file.is_empty() {
            parts.push(file.split_to(file.len().min(PART)));
        }
        Ok(parts)
    }

    async fn listing(&self, shelf: &Shelf, hour: Hour) -> Result<Arc<Vec<EpochEntry>>, StoreError> {
        let changes = {
            let catalog = self.shared.catalog();
            if let Some(listed) = catalog.listing(shelf, hour) {
                return Ok(listed);
            }
            catalog.changes(shelf, hour)
        };
        let entries = Arc::new(self.store.hour(shelf, hour).await?);
        self.shared.catalog().remember(shelf, hour, changes, entries.clone());
        Ok(entries)
    }
}

/// What a track of a served broadcast answers with.
#[derive(Clone, Copy)]
enum Kind {
    Days,
    Hour,
    Events,
    Session(SessionId),
    Epoch(SessionId),
}

/// Broadcasts that were asked for. They end when they are dropped.
#[derive(Default)]
struct Served {
    kept: HashMap<String, (Broadcast, Aborted)>,
    order: VecDeque<String>,
}

struct Aborted(JoinHandle<()>);

impl Drop for Aborted {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Served {
    fn keep(&mut self, name: String, broadcast: Broadcast, task: JoinHandle<()>) {
        self.order.retain(|kept| *kept != name);
        self.order.push_back(name.clone());
        self.kept.insert(name, (broadcast, Aborted(task)));
        while self.order.len() > SESSIONS
            && let Some(oldest) = self.order.pop_front()
        {
            self.kept.remove(&oldest);
        }
    }
}

/// An answer in objects of at most [`PART`] bytes, no entry in two of them.
#[derive(Default)]
struct Parts {
    out: Vec<Bytes>,
    open: BytesMut,
}

impl Parts {
    fn put(&mut self, write: impl FnOnce(&mut BytesMut)) {
        let before = self.open.len();
        write(&mut self.open);
        if self.open.len() > PART && before > 0 {
            let entry = self.open.split_off(before);
            self.out.push(std::mem::replace(&mut self.open, entry).freeze());
        }
    }

    fn finish(mut self) -> Vec<Bytes> {
        if !self.open.is_empty() {
            self.out.push(self.open.freeze());
        }
        self.out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_entry_is_cut_in_two() {
        let mut parts = Parts::default();
        (0..100_000_u32).for_each(|n| parts.put(|out| (0..8).for_each(|_| out.put_u32(n))));
        let parts = parts.finish();
        assert_eq!(parts.iter().map(Bytes::len).sum::<usize>(), 3_200_000);
        assert!(parts.len() == 4 && parts.iter().all(|part| part.len() <= PART && part.len() % 32 == 0));
        assert!(Parts::default().finish().is_empty());
    }
}
