//! The recorder: a subscriber without keys that keeps sealed epochs in a store, and serves what it keeps.
//!
//! It runs in the hub, on the hub's own node, and reads what every viewer may read. What it stores is in `docs/format.md`
//! ("Epoch file", "Store names"), how it serves it as well ("Serving").

mod acks;
mod catalog;
mod collect;
mod follow;
mod manifests;
mod put;
mod queue;
mod serve;
mod spooled;
mod write;

use crate::hub::Hub;
use acks::Acks;
use catalog::Catalog;
use doorframe_transport::keys::SessionId;
use doorframe_transport::moq::{CarriageError, Node};
use doorframe_transport::store::{EpochEntry, Shelf, Store};
use manifests::Manifests;
use queue::Queue;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use thiserror::Error;
use tokio::sync::{broadcast, mpsc, watch};
use tokio::task::JoinHandle;

/// What is recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RecordMode {
    /// Everything.
    #[default]
    Continuous,
    /// Epochs that the camera names: when something happened, and just before. So the hub learns when something happens.
    Event,
}

/// How a recorder works.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RecorderConfig {
    /// What is recorded.
    pub mode: RecordMode,
    /// Recordings older than this are let go, unless they are protected; `None`: none for its age.
    pub keep_for: Option<Duration>,
    /// With more bytes than this the oldest are let go, unless they are protected; `None`: until the disk is full.
    pub keep_bytes: Option<u64>,
    /// Bytes that may wait in memory while the store fails; beyond, the oldest of them are lost, and that is said.
    pub queue_bytes: u64,
    /// Wait before something that failed is tried again: at first, doubled each time.
    pub first_retry: Duration,
    /// And at most.
    pub last_retry: Duration,
    /// How often is looked for what is too old or too much.
    pub tidy_every: Duration,
}

impl Default for RecorderConfig {
    fn default() -> Self {
        Self {
            mode: RecordMode::Continuous,
            keep_for: None,
            keep_bytes: None,
            queue_bytes: 64 << 20,
            first_retry: Duration::from_millis(250),
            last_retry: Duration::from_secs(8),
            tidy_every: Duration::from_secs(10),
        }
    }
}

/// Why a recorder does not start.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RecorderError {
    /// The hub's node has ended.
    #[error("cannot record: {0}")]
    Carriage(#[from] CarriageError),
}

/// What a recorder is doing, for a person.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RecorderState {
    /// What comes is stored.
    Recording,
    /// The same, but there was no room: the oldest recordings are let go.
    Shedding,
    /// Nothing can be stored, in these words; it waits in memory and is tried again.
    Waiting(String),
}

impl fmt::Display for RecorderState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Recording => f.write_str("recording"),
            Self::Shedding => f.write_str("no room is left: the oldest recordings that are not protected are let go"),
            Self::Waiting(words) => write!(f, "NOT RECORDING: {words}; trying again"),
        }
    }
}

/// Counts of a recorder. All but `cameras`, `kept`, `kept_bytes`, `waiting` and `waiting_bytes` only ever go up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecorderStats {
    /// Sessions being recorded.
    pub cameras: usize,
    /// Epochs stored since the start.
    pub stored: u64,
    /// Their bytes.
    pub stored_bytes: u64,
    /// Epochs in the store, as far as its listing has been read.
    pub kept: u64,
    /// Their bytes.
    pub kept_bytes: u64,
    /// Epochs let go for their age.
    pub expired: u64,
    /// Epochs let go for room.
    pub shed: u64,
    /// Epochs that wait in memory.
    pub waiting: usize,
    /// Their bytes.
    pub waiting_bytes: u64,
    /// Epochs lost because too much waited.
    pub lost: u64,
    /// Their bytes.
    pub lost_bytes: u64,
    /// Times that storing failed.
    pub failures: u64,
    /// Records, objects and epochs that were not taken: malformed, too large, or too late.
    pub refused: u64,
    /// Epochs that were not stored because the camera named none of them, in event mode.
    pub passed_over: u64,
    /// Requests answered.
    pub served: u64,
    /// Epochs that cameras had kept while they could not send them, and that came and held.
    pub spooled: u64,
    /// Epochs that came and were stored before.
    pub known: u64,
    /// Epochs that were stored and not confirmed to their camera, as something in them is not what it signed.
    pub unverified: u64,
}

/// An epoch that is stored, confirmed by the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Whose.
    pub shelf: Shelf,
    /// What the listing says of it.
    pub entry: EpochEntry,
}

/// A running recorder. Stops at once when dropped; [`Recorder::stop`] keeps what is under way.
#[derive(Debug)]
pub struct Recorder {
    shared: Arc<Shared>,
    queue: Arc<Queue>,
    state: watch::Receiver<RecorderState>,
    follow: Option<follow::Handle>,
    writer: Option<JoinHandle<()>>,
    tasks: Vec<JoinHandle<()>>,
}

/// Longest that [`Recorder::stop`] waits for the store.
const LAST_PUTS: Duration = Duration::from_secs(5);
/// How long after room was made last that is still said.
const SHEDDING: Duration = Duration::from_secs(60);
/// Words of stored epochs kept for a slow reader.
const CONFIRMED: usize = 1024;

impl Recorder {
    /// Records every camera of `hub` to `store`. Call it inside a tokio runtime.
    ///
    /// # Errors
    /// If the hub has ended.
    pub fn start(hub: &Hub, store: Store, config: RecorderConfig) -> Result<Self, RecorderError> {
        Self::on(hub.node(), hub.scope(), store, config)
    }

    /// Records every camera that is seen below `scope` on `node`, and serves there.
    ///
    /// # Errors
    /// If the node has ended.
    pub fn on(node: Arc<Node>, scope: &str, store: Store, config: RecorderConfig) -> Result<Self, RecorderError> {
        let store = Arc::new(store);
        let queue = Arc::new(Queue::new(config.queue_bytes));
        let (tell, state) = watch::channel(RecorderState::Recording);
        let (confirm, _) = broadcast::channel(CONFIRMED);
        let (shelves, shelf_news) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared {
            catalog: Mutex::new(Catalog::unsurveyed()),
            stats: Mutex::default(),
            sessions: Mutex::default(),
            manifests: Manifests::default(),
            shed: Mutex::default(),
            acks: Acks::new(node.clone(), format!("{scope}/stored")),
            state: tell,
            confirm,
            shelves,
        });
        let writer = write::Writer {
            store: store.clone(),
            queue: queue.clone(),
            shared: shared.clone(),
            config: config.clone(),
        };
        let serve = serve::Serve {
            node: node.clone(),
            root: format!("{scope}/store"),
            store: store.clone(),
            shared: shared.clone(),
        };
        let follow = follow::Follow {
            node,
            scope: scope.to_owned(),
            store: store.clone(),
            queue: queue.clone(),
            shared: shared.clone(),
            mode: config.mode,
        };
        let tasks =
            vec![tokio::spawn(write::survey(store, shared.clone(), config)), tokio::spawn(serve.run(shelf_news))];
        Ok(Self { follow: Some(follow.start()), writer: Some(tokio::spawn(writer.run())), shared, queue, state, tasks })
    }

    /// What it is doing.
    pub fn state(&self) -> watch::Receiver<RecorderState> {
        self.state.clone()
    }

    /// Epochs from now on, each once the store has confirmed it. Who reads too slowly loses the oldest of 1024.
    pub fn stored(&self) -> broadcast::Receiver<Stored> {
        self.shared.confirm.subscribe()
    }

    /// Counts so far.
    pub fn stats(&self) -> RecorderStats {
        let mut stats = *self.shared.stats.lock().unwrap_or_else(PoisonError::into_inner);
        stats.cameras = self.shared.sessions().len();
        let (waiting, bytes, lost) = self.queue.look();
        (stats.waiting, stats.waiting_bytes) = (waiting, bytes);
        (stats.lost, stats.lost_bytes) = (lost.epochs, lost.bytes);
        let catalog = self.shared.catalog();
        (stats.kept, stats.kept_bytes) = (catalog.epochs(), catalog.bytes());
        stats
    }

    /// Whether the whole listing of the store has been read.
    pub fn is_surveyed(&self) -> bool {
        self.shared.catalog().is_surveyed()
    }

    /// Stops: what has come of the epochs that are under way is stored too, if the store takes it within five seconds. What it does not
    /// take is counted as lost. Gives the final counts.
    pub async fn stop(mut self) -> RecorderStats {
        if let Some(follow) = self.follow.take() {
            follow.stop().await;
        }
        self.queue.close();
        if let Some(mut writer) = self.writer.take()
            && tokio::time::timeout(LAST_PUTS, &mut writer).await.is_err()
        {
            writer.abort();
            let _aborted = writer.await;
            self.queue.clear();
        }
        self.stats()
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.tasks.iter().chain(&self.writer).for_each(JoinHandle::abort);
    }
}

/// What the parts of a recorder know together.
#[derive(Debug)]
struct Shared {
    catalog: Mutex<Catalog>,
    stats: Mutex<RecorderStats>,
    /// Sessions being recorded, and how often each: a line that was lost may bring one twice for a moment.
    sessions: Mutex<HashMap<SessionId, usize>>,
    manifests: Manifests,
    /// When room was made last.
    shed: Mutex<Option<Instant>>,
    acks: Acks,
    state: watch::Sender<RecorderState>,
    confirm: broadcast::Sender<Stored>,
    shelves: mpsc::UnboundedSender<Shelf>,
}

impl Shared {
    fn catalog(&self) -> MutexGuard<'_, Catalog> {
        self.catalog.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sessions(&self) -> MutexGuard<'_, HashMap<SessionId, usize>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self, change: impl FnOnce(&mut RecorderStats)) {
        change(&mut self.stats.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Says what is being done, if that is news.
    fn tell(&self, state: RecorderState) {
        let mut shed = self.shed.lock().unwrap_or_else(PoisonError::into_inner);
        let state = match state {
            RecorderState::Shedding => {
                *shed = Some(Instant::now());
                RecorderState::Shedding
            }
            // A full disk takes an epoch and is full again: said once, not every two seconds.
            RecorderState::Recording if shed.is_some_and(|at| at.elapsed() < SHEDDING) => RecorderState::Shedding,
            other => other,
        };
        self.state.send_if_modified(|told| {
            let is_news = *told != state;
            *told = state;
            is_news
        });
    }

    /// An epoch is stored.
    fn tell_stored(&self, shelf: &Shelf, entry: &EpochEntry) {
        self.tell_shelf(shelf);
        let _unheard = self.confirm.send(Stored { shelf: shelf.clone(), entry: *entry });
    }

    /// There is something on a shelf.
    fn tell_shelf(&self, shelf: &Shelf) {
        // Nobody serves any more when we stop.
        let _ended = self.shelves.send(shelf.clone());
    }
}
