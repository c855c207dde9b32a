//! Network side: follows every camera's sessions and brings their epochs to the queue.

use super::collect::Collector;
use super::manifests::Manifest;
use super::queue::{Item, Origin, Queue};
use super::spooled::{ROOM, Spools, Taker};
use super::{RecordMode, Shared};
use crate::link::Alias;
use crate::wall_us;
use bytes::Bytes;
use doorframe_transport::keys::{Epoch, SessionId};
use doorframe_transport::manifest::SessionManifest;
use doorframe_transport::moq::{GroupReader, Node};
use doorframe_transport::recorded::EpochFile;
use doorframe_transport::store::{Shelf, Store};
use doorframe_transport::track::TrackName;
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::{AbortHandle, JoinHandle, JoinSet};

/// Follows the cameras below a scope.
pub(super) struct Follow {
    pub(super) node: Arc<Node>,
    pub(super) scope: String,
    pub(super) store: Arc<Store>,
    pub(super) queue: Arc<Queue>,
    pub(super) shared: Arc<Shared>,
    pub(super) mode: RecordMode,
}

/// Followed until it is stopped. Ends at once when dropped, and what is under way with it.
#[derive(Debug)]
pub(super) struct Handle {
    stop: watch::Sender<bool>,
    task: Option<JoinHandle<()>>,
}

/// Sessions recorded at once.
const MOST: usize = 256;
/// Largest session manifest, in bytes.
const MAX_MANIFEST: usize = 1 << 20;
/// Messages between readers and what puts epochs together: a quarter of an epoch.
const INBOX: usize = 64;
/// Epochs held in event mode until the camera names them: 16 s, and the one that may be whole before its name is here.
const HELD: usize = 9;
/// Epochs that may be named before they come.
const NAMED: usize = 64;
/// Behind what is watched.
const PRIORITY: u8 = 50;
/// How long a camera may be gone before what came of its epochs is all there will be.
const GONE: Duration = Duration::from_secs(5);
pub(super) const AGAIN: Duration = Duration::from_millis(200);

impl Follow {
    pub(super) fn start(self) -> Handle {
        let (stop, stopped) = watch::channel(false);
        Handle { stop, task: Some(tokio::spawn(self.run(stopped))) }
    }

    async fn run(self, stopped: watch::Receiver<bool>) {
        let mut stop = stopped.clone();
        let mut announced = self.node.announcements(&self.scope);
        let mut spools = Spools::new(Taker {
            node: self.node.clone(),
            scope: self.scope.clone(),
            store: self.store.clone(),
            queue: self.queue.clone(),
            shared: self.shared.clone(),
            room: Arc::new(Semaphore::new(ROOM)),
        });
        let mut tasks = JoinSet::new();
        let mut followed: HashMap<(String, SessionId), (watch::Sender<bool>, AbortHandle)> = HashMap::new();
        let mut look = tokio::time::interval(Duration::from_secs(1));
        loop {
            tokio::select! {
                _ = stop.wait_for(|stopped| *stopped) => break,
                news = announced.next() => {
                    let Some(news) = news else { break };
                    if spools.handle(&news.name, news.is_live) {
                        continue;
                    }
                    let Some((alias, id)) = camera(&news.name) else { continue };
                    let key = (alias, id);
                    if let Some((live, _)) = followed.get(&key) {
                        live.send_replace(news.is_live);
                    } else if news.is_live && followed.len() < MOST {
                        followed.insert(key.clone(), self.follow(&mut tasks, &key, &stopped));
                    }
                }
                // A session that came back in the moment in which it was given up.
                _ = look.tick() => {
                    while tasks.try_join_next().is_some() {}
                    followed.retain(|_, (live, task)| !task.is_finished() || *live.borrow());
                    for (key, kept) in followed.iter_mut().filter(|(_, (_, task))| task.is_finished()) {
                        *kept = self.follow(&mut tasks, key, &stopped);
                    }
                }
            }
        }
        // Each gives what it has.
        while tasks.join_next().await.is_some() {}
    }

    fn follow(
        &self,
        tasks: &mut JoinSet<()>,
        (alias, id): &(String, SessionId),
        stopped: &watch::Receiver<bool>,
    ) -> (watch::Sender<bool>, AbortHandle) {
        let (live, is_live) = watch::channel(true);
        let shelf = Shelf::new(alias);
        shelf.iter().for_each(|shelf| self.shared.acks.open(shelf));
        let session = shelf.map(|shelf| Session {
            node: self.node.clone(),
            path: format!("{}/{alias}/{id}", self.scope),
            id: *id,
            shelf,
            queue: self.queue.clone(),
            shared: self.shared.clone(),
            kept: Kept::new(self.mode),
            manifest: None,
            stopped: stopped.clone(),
            is_live,
        });
        let task = tasks.spawn(async move {
            if let Some(session) = session {
                session.run().await;
            }
        });
        (live, task)
    }
}

impl Handle {
    /// Stops, and waits until all that has come is in the queue.
    pub(super) async fn stop(mut self) {
        self.stop.send_replace(true);
        if let Some(task) = self.task.take() {
            let _ended = task.await;
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.task.iter().for_each(JoinHandle::abort);
    }
}

/// `ALIAS/SESSION`, and nothing else that is announced.
fn camera(name: &str) -> Option<(String, SessionId)> {
    let (alias, session) = name.split_once('/')?;
    let alias: Alias = alias.parse().ok()?;
    Some((alias.to_string(), SessionId::from_hex(session)?))
}

/// What the readers of a session bring.
enum Message {
    Record(Epoch, u64, Bytes),
    Object(TrackName, Epoch, u64, Bytes),
    /// The camera wants this epoch kept.
    Keep(Epoch),
}

/// One session being recorded.
struct Session {
    node: Arc<Node>,
    path: String,
    id: SessionId,
    shelf: Shelf,
    queue: Arc<Queue>,
    shared: Arc<Shared>,
    kept: Kept,
    /// Once it was read.
    manifest: Option<Arc<Manifest>>,
    stopped: watch::Receiver<bool>,
    is_live: watch::Receiver<bool>,
}

impl Session {
    async fn run(mut self) {
        *self.shared.sessions().entry(self.id).or_default() += 1;
        let mut collector = Collector::new(self.id);
        let (mut stopped, mut is_live) = (self.stopped.clone(), self.is_live.clone());
        loop {
            tokio::select! {
                _ = stopped.wait_for(|stopped| *stopped) => break,
                // Its tracks have ended: for ever, or because a line was lost.
                () = self.read(&mut collector) => {}
                () = gone(&mut is_live) => break,
            }
            tokio::select! {
                _ = stopped.wait_for(|stopped| *stopped) => break,
                () = tokio::time::sleep(AGAIN) => {}
            }
        }
        for file in collector.end(wall_us()) {
            self.give(file);
        }
        self.count_refused(&mut collector);
        let mut sessions = self.shared.sessions();
        if let Some(count) = sessions.get_mut(&self.id) {
            *count -= 1;
            if *count == 0 {
                sessions.remove(&self.id);
            }
        }
    }

    /// Reads all tracks until they end.
    async fn read(&mut self, collector: &mut Collector) {
        let Some(manifest) = manifest(&self.node, &self.path, self.id, &self.shared).await else {
            // Without its manifest nothing of a session can be opened.
            return std::future::pending().await;
        };
        self.manifest = self.shared.manifests.hold(&self.shelf, manifest);
        let (messages, mut inbox) = mpsc::channel(INBOX);
        let mut readers = JoinSet::new();
        readers.spawn(groups(self.node.clone(), self.path.clone(), None, messages.clone()));
        if self.kept.mode == RecordMode::Event {
            readers.spawn(keep(self.node.clone(), self.path.clone(), messages.clone()));
        }
        let mut tracks = BTreeSet::new();
        // The sender that is kept for tracks to come must not keep the inbox open.
        let weak = messages.downgrade();
        drop(messages);
        while let Some(message) = inbox.recv().await {
            match message {
                Message::Record(epoch, position, record) => {
                    for track in collector.handle_record(epoch, position, record) {
                        if let Some(messages) = weak.upgrade()
                            && tracks.insert(track)
                        {
                            readers.spawn(groups(self.node.clone(), self.path.clone(), Some(track), messages));
                        }
                    }
                }
                Message::Object(track, epoch, position, object) => {
                    collector.handle_object(track, epoch, position, object);
                }
                Message::Keep(epoch) => {
                    let named = self.kept.handle_keep(epoch);
                    named.into_iter().for_each(|file| self.store(file));
                }
            }
            while let Some(file) = collector.poll(wall_us()) {
                self.give(file);
            }
            self.count_refused(collector);
        }
    }

    fn count_refused(&self, collector: &mut Collector) {
        let refused = collector.take_refused();
        if refused > 0 {
            self.shared.count(|stats| stats.refused += refused);
        }
    }

    /// An epoch is put together.
    fn give(&mut self, file: EpochFile) {
        let (store, passed) = self.kept.handle_epoch(file);
        store.into_iter().for_each(|file| self.store(file));
        if let Some(epoch) = passed {
            self.shared.count(|stats| stats.passed_over += 1);
            // The camera need not keep what nobody wants.
            self.shared.acks.confirm(&self.shelf, self.id, epoch);
        }
    }

    fn store(&self, file: EpochFile) {
        // Nothing of a session is read before its manifest.
        let Some(manifest) = self.manifest.clone() else { return };
        self.queue.push(Item { manifest, file, from: Origin::Live });
    }
}

/// A session's manifest; `None` if what is said to be it is none.
pub(super) async fn manifest(node: &Node, path: &str, id: SessionId, shared: &Shared) -> Option<Bytes> {
    loop {
        if let Ok(mut track) = node.record(path, "session", PRIORITY).await
            && let Some(mut group) = track.group().await
            && let Some(record) = group.object().await
        {
            let parsed = if record.len() > MAX_MANIFEST { None } else { SessionManifest::parse(&record).ok() };
            if parsed.is_some_and(|manifest| manifest.facts().id == id) {
                return Some(record);
            }
            shared.count(|stats| stats.refused += 1);
            return None;
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// Waits until a session has been gone for a while.
async fn gone(is_live: &mut watch::Receiver<bool>) {
    loop {
        // Who announces has ended.
        if is_live.wait_for(|live| !*live).await.is_err() {
            return;
        }
        if tokio::time::timeout(GONE, is_live.wait_for(|live| *live)).await.is_err() {
            return;
        }
    }
}

/// Reads each group of a media track (or of the records') as it begins, the tail of the one before beside it.
async fn groups(node: Arc<Node>, path: String, track: Option<TrackName>, messages: mpsc::Sender<Message>) {
    let name = track.as_ref().map_or("manifest", TrackName::as_str);
    let Ok(mut reader) = node.record(&path, name, PRIORITY).await else { return };
    let mut readers = JoinSet::new();
    while let Some(group) = reader.group().await {
        while readers.try_join_next().is_some() {}
        readers.spawn(read_group(group, track, messages.clone()));
    }
    // The track is over, its last groups may not be.
    while readers.join_next().await.is_some() {}
}

async fn read_group(mut group: GroupReader, track: Option<TrackName>, messages: mpsc::Sender<Message>) {
    let Ok(epoch) = u32::try_from(group.sequence()).map(Epoch) else { return };
    loop {
        let position = group.position();
        let Some(object) = group.object().await else { return };
        let message = match track {
            Some(track) => Message::Object(track, epoch, position, object),
            None => Message::Record(epoch, position, object),
        };
        if messages.send(message).await.is_err() {
            return;
        }
    }
}

/// Reads which epochs the camera wants kept.
async fn keep(node: Arc<Node>, path: String, messages: mpsc::Sender<Message>) {
    let Ok(mut reader) = node.record(&path, "keep", PRIORITY).await else { return };
    while let Some(mut group) = reader.group().await {
        while let Some(object) = group.object().await {
            let Ok(epoch) = <[u8; 4]>::try_from(object.as_ref()).map(u32::from_be_bytes) else { continue };
            if messages.send(Message::Keep(Epoch(epoch))).await.is_err() {
                return;
            }
        }
    }
}

/// Which epochs are stored.
#[derive(Debug)]
struct Kept {
    mode: RecordMode,
    /// The newest epochs that were not named yet.
    held: VecDeque<EpochFile>,
    /// Epochs that were named and have not come yet.
    named: VecDeque<Epoch>,
}

impl Kept {
    fn new(mode: RecordMode) -> Self {
        Self { mode, held: VecDeque::new(), named: VecDeque::new() }
    }

    /// Gives an epoch back if it is to be stored now, and the one that will not be any more.
    fn handle_epoch(&mut self, file: EpochFile) -> (Option<EpochFile>, Option<Epoch>) {
        if self.mode == RecordMode::Continuous {
            return (Some(file), None);
        }
        if let Some(at) = self.named.iter().position(|named| *named == file.epoch) {
            self.named.remove(at);
            return (Some(file), None);
        }
        self.held.push_back(file);
        let over = if self.held.len() > HELD { self.held.pop_front() } else { None };
        (None, over.map(|file| file.epoch))
    }

    /// The camera names an epoch: gives it if it is here.
    fn handle_keep(&mut self, epoch: Epoch) -> Option<EpochFile> {
        if let Some(at) = self.held.iter().position(|file| file.epoch == epoch) {
            return self.held.remove(at);
        }
        if !self.named.contains(&epoch) {
            self.named.push_back(epoch);
            if self.named.len() > NAMED {
                self.named.pop_front();
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(epoch: u32) -> EpochFile {
        EpochFile {
            session: SessionId([1; 16]),
            epoch: Epoch(epoch),
            stored_us: 0,
            opening: Bytes::from_static(b"opening"),
            closing: None,
            tracks: vec![],
        }
    }

    #[test]
    fn in_event_mode_what_is_named_is_stored_before_and_after_it_comes() {
        let mut kept = Kept::new(RecordMode::Event);
        for epoch in 0..10 {
            let (store, passed) = kept.handle_epoch(file(epoch));
            assert_eq!((store, passed), (None, epoch.checked_sub(9).map(Epoch)));
        }
        assert_eq!(kept.handle_keep(Epoch(0)), None, "gone: the hub holds 18 s");
        assert_eq!(kept.handle_keep(Epoch(1)).map(|f| f.epoch), Some(Epoch(1)));
        assert_eq!(kept.handle_keep(Epoch(11)), None);
        assert_eq!(kept.handle_epoch(file(10)).0, None);
        assert_eq!(kept.handle_epoch(file(11)).0.map(|f| f.epoch), Some(Epoch(11)));
        (0..1000).for_each(|n| drop(kept.handle_keep(Epoch(100 + n))));
        assert_eq!(kept.named.len(), NAMED);
    }

    #[test]
    fn only_cameras_are_recorded() {
        let id = "a5".repeat(16);
        assert_eq!(camera(&format!("door/{id}")), Some(("door".into(), SessionId([0xa5; 16]))));
        for other in ["door", &format!("viewer/{id}"), &format!("store/{id}"), &format!("spool/door/{id}"), "door/x"] {
            assert_eq!(camera(other), None, "{other}");
        }
    }
}
