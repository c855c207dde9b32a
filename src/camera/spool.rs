//! What the hub has not confirmed: the newest epochs in memory, and while it is away, or does not confirm, on the disk. Sealed, as they
//! were sent.

mod deliver;
mod held;
mod spare;
mod write;

use crate::link::Alias;
use crate::report::SpoolStats;
use crate::sensor::Clock;
use bytes::Bytes;
use deliver::Deliver;
use doorframe_codec::units::Bitrate;
use doorframe_transport::keys::SessionId;
use doorframe_transport::moq::Node;
use doorframe_transport::recorded::EpochFile;
use doorframe_transport::session::EPOCH;
use doorframe_transport::store::{Shelf, Store};
use held::{Held, Limits};
use spare::Spare;
use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use write::Writer;

/// How much is kept for a hub that is away.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SpoolConfig {
    /// Where on the disk; `None`: in memory alone.
    pub folder: Option<PathBuf>,
    /// Bytes on the disk; beyond, the oldest epochs are let go.
    pub bytes: u64,
    /// Epochs kept in memory until the hub has confirmed them. A recorder in event mode takes 18 s to decide, so that fewer than ten
    /// would write to the disk what nobody needs.
    pub ring_epochs: usize,
    /// Bytes in memory, what waits for the disk among them.
    pub ring_bytes: u64,
}

impl Default for SpoolConfig {
    /// 24 s in memory, at most 32 MiB, and nothing on the disk.
    fn default() -> Self {
        Self { folder: None, bytes: 2_000_000_000, ring_epochs: 12, ring_bytes: 32 << 20 }
    }
}

/// What the spool is doing, for a person.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum SpoolState {
    /// Nothing is on the disk.
    #[default]
    Empty,
    /// The hub is away; what is filmed goes to the disk.
    Away,
    /// The hub is there and confirms nothing; what is filmed goes to the disk.
    Unconfirmed,
    /// What is on the disk is sent to the hub.
    Delivering,
    /// The hub is away, or confirms nothing, and there is no room for more: the oldest is let go.
    Full,
    /// The disk cannot be used, in these words; it is tried again.
    Failing(String),
}

impl fmt::Display for SpoolState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("the hub has all that was filmed"),
            Self::Away => f.write_str("the hub is away: what is filmed is kept on disk, sealed"),
            Self::Unconfirmed => {
                f.write_str(
                    "the hub confirms nothing (does it record? Links that older hubs printed do not let a camera hear it): what is filmed is kept on disk, sealed",
                )
            }
            Self::Delivering => f.write_str("the hub gets what was kept on disk"),
            Self::Full => f.write_str("no room is left on disk: the oldest that the hub does not have is let go"),
            Self::Failing(words) => write!(f, "NOTHING IS KEPT ON DISK: {words}; trying again"),
        }
    }
}

/// A spool at work. Ends at once when dropped; [`Spool::end`] writes first what is in memory.
#[derive(Debug)]
pub(super) struct Spool {
    shared: Arc<Shared>,
    state: watch::Receiver<SpoolState>,
    ended: Option<mpsc::Receiver<()>>,
    tasks: Vec<JoinHandle<()>>,
}

/// What the camera's thread gives its epochs to: takes no longer than a lock.
#[derive(Clone, Debug)]
pub(super) struct Intake(Arc<Shared>);

/// The number of the connection there is, as the uplink tells it.
pub(super) type Links = watch::Receiver<Option<u64>>;

/// Longest that the end waits for the disk.
const LAST_WRITES: Duration = Duration::from_secs(5);

impl Spool {
    /// Call it inside a tokio runtime.
    pub(super) fn start(config: SpoolConfig, alias: &Alias, node: Arc<Node>, links: Links, clock: Clock) -> Self {
        let limits = Limits {
            ring_epochs: config.ring_epochs,
            ring_bytes: config.ring_bytes,
            disk_bytes: config.folder.is_some().then_some(config.bytes),
        };
        let (tell, state) = watch::channel(SpoolState::Empty);
        let (opened, store) = watch::channel(None);
        let shared = Arc::new(Shared {
            held: Mutex::new(Held::new(limits)),
            sessions: Mutex::default(),
            spare: Mutex::new(Spare::new()),
            figures: Mutex::default(),
            to_write: Notify::new(),
            to_send: Notify::new(),
            ending: watch::channel(false).0,
            state: tell,
            clock,
        });
        let mut tasks = Vec::new();
        let mut ended = None;
        // Every alias is the name of a shelf.
        if let Some(shelf) = Shelf::new(&alias.to_string()) {
            let deliver = Deliver { shared: shared.clone(), node, links, shelf: shelf.clone(), store: store.clone() };
            tasks.push(tokio::spawn(deliver.run()));
            if let Some(folder) = config.folder {
                let (tell, told) = mpsc::channel();
                let writer = Writer { shared: shared.clone(), shelf, opened, ended: tell };
                tasks.push(tokio::spawn(writer.run(folder)));
                ended = Some(told);
            }
        }
        Self { shared, state, ended, tasks }
    }

    pub(super) fn intake(&self) -> Intake {
        Intake(self.shared.clone())
    }

    pub(super) fn state(&self) -> watch::Receiver<SpoolState> {
        self.state.clone()
    }

    pub(super) fn stats(&self) -> SpoolStats {
        let figures = *self.shared.figures();
        let held = self.shared.held();
        let (counts, (in_memory, on_disk, on_disk_bytes)) = (held.counts(), held.look());
        SpoolStats {
            in_memory,
            on_disk,
            on_disk_bytes,
            on_disk_time: EPOCH.saturating_mul(u32::try_from(on_disk).unwrap_or(u32::MAX)),
            confirmed: counts.confirmed,
            delivered: counts.delivered,
            dropped: counts.dropped,
            lost: counts.lost,
            damaged: counts.damaged,
            swept: figures.swept,
            failures: figures.failures,
        }
    }

    /// Nothing more is sealed: writes what is in memory and not confirmed, if the disk takes it within five seconds.
    pub(super) fn end(&mut self) {
        self.shared.ending.send_replace(true);
        self.shared.to_write.notify_one();
        if let Some(ended) = self.ended.take() {
            // An error: it has ended already, or takes too long.
            let _ended = ended.recv_timeout(LAST_WRITES);
        }
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl Intake {
    /// A session begins, with its manifest.
    pub(super) fn handle_session(&self, session: SessionId, manifest: Bytes) {
        let mut sessions = self.0.sessions();
        let held = self.0.held();
        sessions.retain(|id, _| held.has_session(*id));
        sessions.insert(session, manifest);
    }

    /// An epoch of it is over.
    pub(super) fn handle_sealed(&self, file: EpochFile) {
        self.0.held().handle_sealed(file);
        self.0.to_write.notify_one();
        self.0.to_send.notify_one();
    }

    /// What the rate control says of the link.
    pub(super) fn handle_link(&self, queue: Duration, target: Bitrate) {
        let now = self.0.clock.now();
        self.0.spare.lock().unwrap_or_else(PoisonError::into_inner).handle_link(queue, target, now);
    }
}

/// What the parts of a spool know together.
#[derive(Debug)]
struct Shared {
    held: Mutex<Held>,
    /// Manifests of the sessions of this run.
    sessions: Mutex<HashMap<SessionId, Bytes>>,
    spare: Mutex<Spare>,
    figures: Mutex<Figures>,
    to_write: Notify,
    to_send: Notify,
    ending: watch::Sender<bool>,
    state: watch::Sender<SpoolState>,
    clock: Clock,
}

/// What the disk and the hub did.
#[derive(Clone, Copy, Debug, Default)]
struct Figures {
    swept: u64,
    failures: u64,
    confirms: Confirms,
    /// Epochs dropped when there was nothing on the disk last.
    dropped: u64,
}

/// Whether the hub says what it has stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Confirms {
    /// It is away, or came just now.
    #[default]
    Unknown,
    No,
    Yes,
}

impl Shared {
    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sessions(&self) -> MutexGuard<'_, HashMap<SessionId, Bytes>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn figures(&self) -> MutexGuard<'_, Figures> {
        self.figures.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The hub's word has ended.
    fn forget_confirms(&self) {
        let mut figures = self.figures();
        if figures.confirms == Confirms::Yes {
            figures.confirms = Confirms::Unknown;
        }
    }

    /// The hub has not begun to say what it has stored.
    fn miss_confirms(&self) {
        let mut figures = self.figures();
        if figures.confirms == Confirms::Unknown {
            figures.confirms = Confirms::No;
        }
    }

    /// Says what is being done, if that is news.
    fn tell(&self) {
        let held = self.held();
        let (is_away, dropped, (_, on_disk, _)) = (held.link().is_none(), held.counts().dropped, held.look());
        drop(held);
        let mut figures = self.figures();
        if on_disk == 0 {
            figures.dropped = dropped;
        }
        let state = match figures.confirms {
            _ if on_disk == 0 => SpoolState::Empty,
            Confirms::Yes if !is_away => SpoolState::Delivering,
            _ if dropped > figures.dropped => SpoolState::Full,
            Confirms::No if !is_away => SpoolState::Unconfirmed,
            Confirms::Unknown if !is_away => return,
            _ => SpoolState::Away,
        };
        // Whoever looks at the state may ask for figures meanwhile.
        drop(figures);
        self.say(state);
    }

    fn say(&self, state: SpoolState) {
        self.state.send_if_modified(|told| {
            let is_news = *told != state;
            *told = state;
            is_news
        });
    }
}

/// What the writer and the deliverer share of the disk.
type Disk = watch::Receiver<Option<Arc<Store>>>;
