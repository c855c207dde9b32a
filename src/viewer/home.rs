//! The home of the device that watches: what its lists say of the camera's, and what the camera is to be given of them.

use super::{Again, Keep};
use crate::state::random;
use crate::vault::{Home, RecordRefused};
use bytes::Bytes;
use doorframe_transport::devices::{Ghost, LetterKey, ListRefused, Standing, Update, Way};
use doorframe_transport::manifest::{DeviceListRef, SessionManifest};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// Clones are one.
#[derive(Clone)]
pub(super) struct Watched(Arc<Shared>);

struct Shared {
    home: Mutex<Home>,
    again: Again,
    keep: Keep,
    stated: watch::Sender<Option<DeviceListRef>>,
    letters: Mutex<Option<LetterKey>>,
}

impl Watched {
    pub(super) fn new(home: Home, again: Again, keep: Keep) -> Self {
        let (home, letters, stated) = (Mutex::new(home), Mutex::new(None), watch::channel(None).0);
        Self(Arc::new(Shared { home, again, keep, stated, letters }))
    }

    /// The list that the camera states.
    pub(super) fn stated(&self) -> watch::Receiver<Option<DeviceListRef>> {
        self.0.stated.subscribe()
    }

    /// Notes what a session states that opened with this device's key: the camera is given what it does not have.
    pub(super) fn handle_stated(&self, list: DeviceListRef, letters: LetterKey) {
        if list.version > self.lock().lists().newest().version() {
            self.read_again();
        }
        *self.0.letters.lock().unwrap_or_else(PoisonError::into_inner) = Some(letters);
        self.0.stated.send_replace(Some(list));
    }

    /// Takes a letter of the camera; says whether our lists are newer now.
    ///
    /// # Errors
    /// What a person should be told: a list that no owner signed, or a second one of a version.
    pub(super) fn handle_letter(&self, letter: &[u8]) -> Result<bool, RecordRefused> {
        let key = self.0.letters.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(key) = key else { return Ok(false) };
        let Ok(record) = key.open(Way::ToDevices, letter) else { return Ok(false) };
        // Looked at here first: most of what comes is known, and not worth a look at the disk.
        if self.lock().lists().knows(&record) {
            return Ok(false);
        }
        let mut next = self.lock().clone();
        let before = next.lists().newest().version();
        match next.handle(&record) {
            Ok(Update::New(_)) => {}
            Err(RecordRefused::List(refused @ (ListRefused::Forked { .. } | ListRefused::NotOwner(_)))) => {
                return Err(refused.into());
            }
            // Of before our first, or of after one that is not here yet; what stays away is an alarm of its own.
            Ok(_) | Err(_) => return Ok(false),
        }
        if let Some(home) = (self.0.keep)(&record) {
            *self.lock() = home;
        }
        Ok(self.lock().lists().newest().version() > before)
    }

    /// What a camera needs that has list `version`, in letters.
    pub(super) fn since(&self, version: u32) -> Vec<Bytes> {
        let key = self.0.letters.lock().unwrap_or_else(PoisonError::into_inner).clone();
        // A camera without a list was paired by nobody: it takes none.
        let Some(key) = key.filter(|_| version > 0) else { return Vec::new() };
        let home = self.lock();
        let sealed =
            home.since(version).into_iter().map_while(|record| key.seal(Way::ToCamera, record, random().ok()?));
        sealed.map(Bytes::from).collect()
    }

    /// Sets a session that opened against our lists.
    pub(super) fn check_session(&self, record: &[u8]) -> Result<(), Ghost> {
        let Ok(manifest) = SessionManifest::parse(record) else { return Ok(()) };
        let standing = self.lock().lists().check_session(&manifest);
        self.say(standing)
    }

    /// Sets a list that an opening states against ours.
    pub(super) fn compare(&self, stated: DeviceListRef) -> Result<Standing, Ghost> {
        let compared = self.lock().lists().compare(stated);
        if compared == Ok(Standing::Ahead) {
            self.read_again();
            return self.lock().lists().compare(stated);
        }
        compared
    }

    fn say(&self, standing: Result<Standing, Ghost>) -> Result<(), Ghost> {
        match standing? {
            Standing::Ahead => {
                tracing::info!("the camera has a newer device list than this device, and hands it over");
            }
            Standing::Behind => tracing::info!("the camera has an older device list: it is given the newest"),
            _ => {}
        }
        Ok(())
    }

    fn read_again(&self) {
        if let Some(home) = (self.0.again)() {
            *self.lock() = home;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Home> {
        self.0.home.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Watched({:?})", self.lock())
    }
}
