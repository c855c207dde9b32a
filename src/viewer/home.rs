//! The home of the device that watches: what its lists say of the camera's, and what the camera is to be given of them.

use crate::vault::Home;
use bytes::Bytes;
use doorframe_transport::devices::{Ghost, Standing};
use doorframe_transport::manifest::{DeviceListRef, SessionManifest};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// Clones are one.
#[derive(Clone)]
pub(super) struct Watched(Arc<Shared>);

struct Shared {
    home: Mutex<Home>,
    again: Box<dyn Fn() -> Option<Home> + Send + Sync>,
    stated: watch::Sender<Option<u32>>,
}

impl Watched {
    pub(super) fn new(home: Home, again: Box<dyn Fn() -> Option<Home> + Send + Sync>) -> Self {
        Self(Arc::new(Shared { home: Mutex::new(home), again, stated: watch::channel(None).0 }))
    }

    /// Version of the list that the camera states.
    pub(super) fn stated(&self) -> watch::Receiver<Option<u32>> {
        self.0.stated.subscribe()
    }

    /// Notes what a session manifest states. Nothing in it is checked: who forges one gets signed lists that he could get anyway.
    pub(super) fn handle_stated(&self, record: &[u8]) {
        let Ok(manifest) = SessionManifest::parse(record) else { return };
        let version = manifest.facts().devices.version;
        if version > self.lock().lists().newest().version() {
            self.read_again();
        }
        self.0.stated.send_replace(Some(version));
    }

    /// What a camera needs that has list `version`.
    pub(super) fn since(&self, version: u32) -> Vec<Bytes> {
        // A camera without a list was paired by nobody: it takes none.
        if version == 0 {
            return Vec::new();
        }
        self.lock().since(version).into_iter().map(Bytes::copy_from_slice).collect()
    }

    /// Sets a session that opened against our lists.
    pub(super) fn check_session(&self, record: &[u8]) -> Result<(), Ghost> {
        let Ok(manifest) = SessionManifest::parse(record) else { return Ok(()) };
        let standing = self.lock().lists().check_session(&manifest);
        self.say(standing)
    }

    /// Sets a list that an opening states against ours.
    pub(super) fn compare(&self, stated: DeviceListRef) -> Result<(), Ghost> {
        let compared = self.lock().lists().compare(stated);
        compared.map(|_| ())
    }

    fn say(&self, standing: Result<Standing, Ghost>) -> Result<(), Ghost> {
        match standing? {
            Standing::Ahead => {
                tracing::warn!(
                    "the camera has a newer device list than this device: ask another owner's device for it"
                );
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
