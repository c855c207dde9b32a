//! Recordings as their owner reads them: from a hub that keeps them, or from a copied store.
//!
//! Who keeps them is not believed: session manifests are opened with the owner's keys, every epoch is checked before anything
//! of it is shown, and what is missing between is said ([`Recording::verdicts`]).

mod granted;
mod session;
mod source;
mod span;

pub use session::SessionKeys;
pub use span::{Piece, Played, Recording, WallEvent, WallUnit};

use crate::link::WatchLink;
use doorframe_transport::identity::{BadKey, DeviceKey, VerifyingKey};
use doorframe_transport::keys::{Epoch, SessionId};
use doorframe_transport::manifest::{SessionManifest, SessionRefused};
use doorframe_transport::moq::{CarriageError, Dial, DialError};
use doorframe_transport::store::{EpochEntry, Hour, StoreError};
use source::Source;
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;

/// Longest time that is looked at at once.
pub const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// Why recordings cannot be read: one sentence for a person.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ArchiveError {
    /// The link's device key is none.
    #[error("the link's device key is damaged: {0}")]
    Device(#[from] BadKey),
    /// No socket.
    #[error("cannot reach a hub from here: {0}")]
    Socket(std::io::Error),
    /// The hub is not reached.
    #[error(transparent)]
    Dial(#[from] DialError),
    /// The hub let us in, and then not.
    #[error("{0}")]
    Refused(String),
    /// The hub keeps nothing of the camera.
    #[error("the hub keeps no recordings of {0}: does it run with --record, and was the camera on?")]
    NotKept(String),
    /// The folder is no store, or has nothing of the camera.
    #[error("{folder} has no recordings of {camera}; it has: {others}")]
    NoShelf {
        /// Which folder.
        folder: String,
        /// Who was looked for.
        camera: String,
        /// Who is in it.
        others: String,
    },
    /// Something that was asked for did not come.
    #[error("the hub does not give {what}: {error}")]
    Carriage {
        /// What was asked for.
        what: String,
        /// What came instead.
        error: CarriageError,
    },
    /// The store does not give something.
    #[error("the store does not give {what}: {error}")]
    Store {
        /// What was asked for.
        what: String,
        /// What it said.
        error: StoreError,
    },
    /// An answer that nobody should give.
    #[error("the hub's answer about {0} is damaged")]
    Answer(String),
    /// A session that is not ours to open.
    #[error("session {session}: {error}")]
    Session {
        /// Which session.
        session: SessionId,
        /// Why not.
        error: SessionRefused,
    },
    /// No time at all, or too long a time.
    #[error("a time from a moment to a later one, of at most 24 h, can be asked for")]
    Span,
    /// Nothing is kept of that time.
    #[error("nothing is kept of that time")]
    Nothing,
    /// Nothing of that time was granted.
    #[error("nothing of that time was granted: the grant is from {} to {}", crate::when::utc(*.from_us), crate::when::utc(*.to_us))]
    NotGranted {
        /// When what was granted begins, by the camera's clock, µs since 1970.
        from_us: u64,
        /// When it ends.
        to_us: u64,
    },
}

/// Epochs and bytes that were stored in an hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HourKept {
    /// Which hour, by the clock of who keeps them.
    pub hour: Hour,
    /// How many epochs; `None` where only their hour is known without looking.
    pub epochs: Option<u32>,
    /// Their bytes.
    pub bytes: u64,
}

/// The recordings of one camera, and the keys to open them.
#[derive(Debug)]
pub struct Archive {
    source: Source,
    camera: VerifyingKey,
    keys: Vec<DeviceKey>,
    sessions: HashMap<SessionId, Arc<SessionKeys>>,
}

impl Archive {
    /// Connects to the hub of a link. Call it inside a tokio runtime.
    ///
    /// # Errors
    /// If the hub is not reached, refuses, or keeps nothing of the camera.
    pub async fn connect(link: &WatchLink) -> Result<Self, ArchiveError> {
        Self::dial(&link.dial(), &link.camera.to_string(), link.identity, link.devices()?).await
    }

    /// Connects to a hub. `camera` is the name and `identity` the identity key of the camera; every key is tried on every session.
    ///
    /// # Errors
    /// As [`Archive::connect`].
    pub async fn dial(
        to: &Dial,
        camera: &str,
        identity: VerifyingKey,
        keys: Vec<DeviceKey>,
    ) -> Result<Self, ArchiveError> {
        let source = Source::connect(to, camera).await?;
        Ok(Self { source, camera: identity, keys, sessions: HashMap::new() })
    }

    /// Opens a copied store, without a hub. `camera` is the name and `identity` the identity key of the camera.
    ///
    /// # Errors
    /// If it cannot be read, or has nothing of the camera.
    pub async fn open_folder(
        folder: &Path,
        camera: &str,
        identity: VerifyingKey,
        keys: Vec<DeviceKey>,
    ) -> Result<Self, ArchiveError> {
        let source = Source::folder(folder, camera).await?;
        Ok(Self { source, camera: identity, keys, sessions: HashMap::new() })
    }

    /// Identity key of the camera.
    pub fn camera(&self) -> VerifyingKey {
        self.camera
    }

    /// Hours in which something was stored, in order.
    ///
    /// # Errors
    /// If they are not given.
    pub async fn hours(&mut self) -> Result<Vec<HourKept>, ArchiveError> {
        self.source.hours().await
    }

    /// Epochs that were stored in an hour, in the order in which they were.
    ///
    /// # Errors
    /// If they are not given.
    pub async fn hour(&mut self, hour: Hour) -> Result<Vec<EpochEntry>, ArchiveError> {
        self.source.hour(hour).await
    }

    /// A session, its manifest checked and opened.
    ///
    /// # Errors
    /// If the manifest is not given, is not the camera's, or is not for any of our keys.
    pub async fn session(&mut self, id: SessionId) -> Result<Arc<SessionKeys>, ArchiveError> {
        if let Some(known) = self.sessions.get(&id) {
            return Ok(known.clone());
        }
        let record = self.source.session(id).await?;
        let refused = |error| ArchiveError::Session { session: id, error };
        let manifest = SessionManifest::parse(&record).map_err(|error| refused(error.into()))?;
        if manifest.facts().id != id {
            return Err(ArchiveError::Answer(format!("session {id}")));
        }
        let mut error = SessionRefused::NotForUs;
        for key in &self.keys {
            match manifest.clone().open(key, &self.camera) {
                Ok(opened) => {
                    let opened = Arc::new(SessionKeys::Whole(Box::new(opened)));
                    self.sessions.insert(id, opened.clone());
                    return Ok(opened);
                }
                // Another key may do.
                Err(SessionRefused::NotForUs) => {}
                Err(other) => error = other,
            }
        }
        Err(refused(error))
    }

    /// The file of an epoch, as it is kept: nobody has checked it.
    ///
    /// # Errors
    /// If it is not given.
    pub async fn epoch(&mut self, session: SessionId, epoch: Epoch) -> Result<bytes::Bytes, ArchiveError> {
        self.source.epoch(session, epoch).await
    }
}
