//! The device lists that a camera holds, and keeps on its disk.

use crate::state::{StateDir, StateError, random};
use crate::vault::{Home, RecordRefused};
use doorframe_transport::devices::{Change, CheckedList, LetterKey, LetterRefused, Update, Way};
use doorframe_transport::identity::DevicePublicKey;
use doorframe_transport::manifest::DeviceListRef;
use doorframe_transport::moq::Node;
use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use thiserror::Error;
use tokio::sync::broadcast;

/// File of a camera's state folder.
const FILE: &str = "camera-home";
/// How long to wait before a disk that said no is asked again.
const AGAIN: Duration = Duration::from_secs(5);
/// Events kept for a slow reader.
const EVENTS: usize = 64;
/// Records that one viewer may send in a group: 64 lists, and a rotation of each device.
const MOST_RECORDS: usize = 128;
/// Sessions whose letters are opened: the one on the air, and the one before, which a viewer may not know to be over.
const SESSIONS: usize = 2;
/// Bytes of device lists that a session hands out, the newest: what is older a device has, or is given by another.
const MOST_BYTES: usize = 512 << 10;
/// Records of one viewer that may be refused before it is not listened to any more.
const MOST_REFUSED: u32 = 8;

/// What became of the device lists, for a person.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HomeEvent {
    /// This is different now.
    Changed(Change),
    /// A list or a rotation was not taken, in these words.
    Refused(String),
    /// What is in force is not on the disk, in these words; it is tried again. After a restart before that the old list is back.
    NotKept(String),
}

/// Why a camera's home cannot be read or kept.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum HomeError {
    /// The disk said no.
    #[error(transparent)]
    State(#[from] StateError),
    /// The file is not what was written.
    #[error(
        "the file {FILE} in the state folder is damaged ({0}): restore it, or start with a new folder and pair again"
    )]
    Damaged(String),
}

/// A camera's device lists; clones are one.
#[derive(Clone)]
pub struct CameraHome(Arc<Shared>);

struct Shared {
    /// Never held while the disk is waited for: the camera's thread looks here at each frame.
    kept: Mutex<Kept>,
    /// Held from a list on until it is on the disk, so that the newest is written last.
    disk: Mutex<Option<StateDir>>,
}

struct Kept {
    home: Home,
    /// Counts up with every list and rotation that was taken.
    revision: u64,
    refused: u64,
    letters: VecDeque<LetterKey>,
    tell: broadcast::Sender<HomeEvent>,
}

/// Whom a session is sealed to.
pub(super) struct Sealing {
    pub(super) devices: Vec<DevicePublicKey>,
    pub(super) list: DeviceListRef,
    /// When the first of their expiries is over.
    pub(super) until: Option<u64>,
    pub(super) revision: u64,
}

impl CameraHome {
    /// What is kept in `state`; `None` if the camera was not paired.
    ///
    /// # Errors
    /// If it cannot be read, or is damaged.
    pub fn load(state: &StateDir) -> Result<Option<Self>, HomeError> {
        let Some(bytes) = state.read(FILE)? else { return Ok(None) };
        let home = Home::parse(&bytes).map_err(HomeError::Damaged)?;
        Ok(Some(Self::new(home, Some(state.clone()))))
    }

    /// Keeps the first list of a home that the camera was paired with, in the place of what was kept before.
    ///
    /// # Errors
    /// If the disk says no.
    pub fn store(state: &StateDir, list: &CheckedList) -> Result<(), HomeError> {
        Ok(state.write(FILE, &Home::new(list.clone()).emit())?)
    }

    /// `home`, kept in memory alone.
    pub fn in_memory(home: Home) -> Self {
        Self::new(home, None)
    }

    fn new(home: Home, state: Option<StateDir>) -> Self {
        let (letters, tell) = (VecDeque::new(), broadcast::channel(EVENTS).0);
        let kept = Mutex::new(Kept { home, revision: 0, refused: 0, letters, tell });
        Self(Arc::new(Shared { kept, disk: Mutex::new(state) }))
    }

    /// What happens to it from now on.
    pub fn events(&self) -> broadcast::Receiver<HomeEvent> {
        self.lock().tell.subscribe()
    }

    /// The list in force.
    pub fn list(&self) -> DeviceListRef {
        self.lock().home.lists().newest().reference()
    }

    /// Lists and rotations that were taken, and those that were refused.
    pub(super) fn counts(&self) -> (u64, u64) {
        let kept = self.lock();
        (kept.revision, kept.refused)
    }

    pub(super) fn sealing(&self, wall_us: u64) -> Sealing {
        let kept = self.lock();
        let lists = kept.home.lists();
        let devices = lists.recipients(wall_us).map(|(_, public)| public.clone()).collect();
        let (list, until) = (lists.newest().reference(), lists.next_expiry(wall_us));
        Sealing { devices, list, until, revision: kept.revision }
    }

    /// Takes a list or a rotation. It is in force at once: somebody who was removed must not watch on because a disk is slow or full. When
    /// this returns, it is on the disk too, or whoever listens to the events has been told that it is not, and it is tried again.
    ///
    /// # Errors
    /// Why it was not taken; whoever listens to the events has been told.
    pub fn handle(&self, record: &[u8]) -> Result<Update, RecordRefused> {
        let disk = self.0.disk.lock().unwrap_or_else(PoisonError::into_inner);
        let mut kept = self.lock();
        let update = match kept.home.handle(record) {
            Ok(update) => update,
            Err(refused) => {
                kept.refused += 1;
                let _unheard = kept.tell.send(HomeEvent::Refused(refused.to_string()));
                return Err(refused);
            }
        };
        let Update::New(changes) = &update else { return Ok(update) };
        let bytes = kept.home.emit();
        kept.revision += 1;
        for change in changes {
            let _unheard = kept.tell.send(HomeEvent::Changed(change.clone()));
        }
        drop(kept);
        if let Some(Err(error)) = disk.as_ref().map(|state| state.write(FILE, &bytes)) {
            let _unheard = self.lock().tell.send(HomeEvent::NotKept(error.to_string()));
            self.keep_trying();
        }
        Ok(update)
    }

    /// Writes what is in force until that works, or nobody has this home any more.
    fn keep_trying(&self) {
        let shared = Arc::downgrade(&self.0);
        let again = move || {
            loop {
                std::thread::sleep(AGAIN);
                let Some(home) = shared.upgrade().map(Self) else { return };
                let disk = home.0.disk.lock().unwrap_or_else(PoisonError::into_inner);
                let bytes = home.lock().home.emit();
                if disk.as_ref().is_none_or(|state| state.write(FILE, &bytes).is_ok()) {
                    return;
                }
            }
        };
        if let Err(error) = std::thread::Builder::new().name("camera-home".into()).spawn(again) {
            tracing::error!(%error, "nothing tries again to keep the device list");
        }
    }

    /// Starts to open letters of another session, and gives those that hand its devices all lists and rotations there are.
    pub(super) fn start_session(&self, key: &LetterKey) -> Result<Vec<Vec<u8>>, StateError> {
        let mut kept = self.lock();
        kept.letters.push_front(key.clone());
        kept.letters.truncate(SESSIONS);
        let mut letters: VecDeque<Vec<u8>> = VecDeque::new();
        let mut bytes = 0;
        let records: Vec<&[u8]> = kept.home.records().collect();
        for record in records.into_iter().rev() {
            let Some(letter) = key.seal(Way::ToDevices, record, random()?) else { break };
            bytes += letter.len();
            if bytes > MOST_BYTES {
                break;
            }
            letters.push_front(letter);
        }
        Ok(letters.into())
    }

    /// Takes what a device of the home has sealed for the camera.
    fn handle_letter(&self, letter: &[u8]) -> bool {
        let keys: Vec<_> = self.lock().letters.iter().cloned().collect();
        for key in keys {
            match key.open(Way::ToCamera, letter) {
                Ok(record) => return self.handle(&record).is_ok(),
                Err(LetterRefused::Session(_)) => {}
                Err(_) => break,
            }
        }
        self.lock().refused += 1;
        false
    }

    /// Reads what a viewer publishes of its home's lists, for as long as it is there.
    pub(super) async fn read(self, node: Arc<Node>, viewer: String) {
        let Ok(mut track) = node.subscribe(&format!("viewer/{viewer}"), "devices", 0).await else { return };
        let mut refused = 0;
        while let Some(mut group) = track.group().await {
            for _ in 0..MOST_RECORDS {
                let Some(letter) = group.object().await else { break };
                if !self.handle_letter(&letter) {
                    refused += 1;
                }
                if refused >= MOST_REFUSED {
                    return;
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for CameraHome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CameraHome({:?})", self.lock().home)
    }
}
