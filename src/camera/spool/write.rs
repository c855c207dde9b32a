//! The disk's side: writes what has to be kept, deletes what the hub has, and goes on trying where the disk fails.

use super::held::{EpochId, Room, When};
use super::{Shared, SpoolState};
use doorframe_transport::keys::SessionId;
use doorframe_transport::recorded::EpochFile;
use doorframe_transport::store::{EpochEntry, Patience, Place, Shelf, Store, StoreError};
use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, mpsc};
use std::time::Duration;
use tokio::sync::watch;

/// Writes to a folder, alone.
pub(super) struct Writer {
    pub(super) shared: Arc<Shared>,
    pub(super) shelf: Shelf,
    /// Tells who reads that the folder is open.
    pub(super) opened: watch::Sender<Option<Arc<Store>>>,
    /// Hears when all is written at the end.
    pub(super) ended: mpsc::Sender<()>,
}

/// Wait before something that failed is tried again: at first, doubled each time.
const FIRST_RETRY: Duration = Duration::from_millis(250);
const LAST_RETRY: Duration = Duration::from_secs(8);

/// What is done after a step.
enum Next {
    /// Look whether there is more to do.
    More,
    /// Wait until there is.
    Wait,
    /// The disk failed.
    Retry(StoreError),
}

impl Writer {
    /// Until all is written after the end.
    pub(super) async fn run(self, folder: PathBuf) {
        let place = Place::Folder(folder);
        let mut retry = FIRST_RETRY;
        let (store, mut sessions) = loop {
            match self.open(&place).await {
                Ok(opened) => break opened,
                Err(error) => {
                    // An error names its place or not; a person always needs it.
                    self.fail(&format!("{place}: {error}"));
                    if self.rest(&mut retry).await == When::AtEnd {
                        return;
                    }
                }
            }
        };
        retry = FIRST_RETRY;
        loop {
            match self.step(&store, &mut sessions).await {
                Next::More => retry = FIRST_RETRY,
                Next::Wait => {
                    self.shared.tell();
                    if self.when() == When::AtEnd {
                        let _nobody_waits = self.ended.send(());
                        return;
                    }
                    self.shared.to_write.notified().await;
                }
                Next::Retry(error) => {
                    self.fail(&format!("{place}: {error}"));
                    if self.rest(&mut retry).await == When::AtEnd {
                        return;
                    }
                }
            }
        }
    }

    fn when(&self) -> When {
        if *self.shared.ending.borrow() { When::AtEnd } else { When::Running }
    }

    fn fail(&self, words: &str) {
        self.shared.figures().failures += 1;
        self.shared.say(SpoolState::Failing(words.into()));
    }

    /// Waits before the next try; at the end no more than once.
    async fn rest(&self, retry: &mut Duration) -> When {
        let at_end = self.when();
        let mut ending = self.shared.ending.subscribe();
        let _rested = tokio::time::timeout(*retry, ending.wait_for(|ending| *ending && at_end == When::Running)).await;
        *retry = (*retry * 2).min(LAST_RETRY);
        at_end
    }

    /// Opens the folder, and finds what an earlier run has left there.
    async fn open(&self, place: &Place) -> Result<(Arc<Store>, HashSet<SessionId>), StoreError> {
        let store = Arc::new(Store::open(place, Patience::default()).await?);
        let sessions = store.sessions(&self.shelf).await?;
        let mut entries: Vec<EpochEntry> = Vec::new();
        for hour in store.hours(&self.shelf).await? {
            entries.extend(store.hour(&self.shelf, hour).await?);
        }
        // Within a session its own count tells the order, whatever the wall clock did.
        let mut began: HashMap<SessionId, u64> = HashMap::new();
        for entry in &entries {
            let first = began.entry(entry.session).or_insert(entry.stored_us);
            *first = (*first).min(entry.stored_us);
        }
        entries.sort_by_key(|entry| (began.get(&entry.session).copied(), entry.session.0, entry.epoch));
        self.shared.figures().swept = store.swept();
        {
            let mut held = self.shared.held();
            entries.into_iter().for_each(|entry| held.handle_found(entry));
        }
        self.opened.send_replace(Some(store.clone()));
        self.shared.to_send.notify_one();
        self.shared.tell();
        Ok((store, sessions.into_iter().collect()))
    }

    async fn step(&self, store: &Store, sessions: &mut HashSet<SessionId>) -> Next {
        if let Err(error) = self.sweep(store, sessions).await {
            return Next::Retry(error);
        }
        let Some(file) = self.shared.held().poll_write(self.when()) else { return Next::Wait };
        let id = EpochId { session: file.session, epoch: file.epoch };
        if self.shared.held().make_room(file.len() as u64) == Room::None {
            self.shared.held().handle_unwritable(id);
            return Next::More;
        }
        let result = match self.sweep(store, sessions).await {
            Ok(()) => self.write(store, sessions, &file).await,
            Err(error) => Err(error),
        };
        match result {
            Ok(entry) => {
                self.shared.held().handle_written(entry);
                self.shared.to_send.notify_one();
                self.shared.tell();
                Next::More
            }
            Err(StoreError::Full) if self.shared.held().drop_oldest() == Room::Made => Next::More,
            Err(error) if error.may_pass() => Next::Retry(error),
            Err(error) => {
                tracing::warn!(%error, "an epoch cannot be kept on disk");
                self.shared.held().handle_unwritable(id);
                Next::More
            }
        }
    }

    /// The session's manifest first, on the disk before the first epoch of the session: without it nothing opens.
    async fn write(
        &self,
        store: &Store,
        sessions: &mut HashSet<SessionId>,
        file: &EpochFile,
    ) -> Result<EpochEntry, StoreError> {
        let manifest = self.shared.sessions().get(&file.session).cloned();
        if let Some(manifest) = manifest.filter(|_| !sessions.contains(&file.session)) {
            store.put_session(&self.shelf, file.session, manifest).await?;
            sessions.insert(file.session);
        }
        store.put(&self.shelf, file).await
    }

    /// Deletes what nobody needs any more: epochs, then manifests of sessions without any.
    async fn sweep(&self, store: &Store, sessions: &mut HashSet<SessionId>) -> Result<(), StoreError> {
        let garbage = self.shared.held().take_garbage();
        if !garbage.is_empty() {
            let (removed, failed) = store.remove(&self.shelf, &garbage).await;
            if let Some(error) = failed {
                let stays = garbage.into_iter().filter(|entry| !removed.contains(entry));
                self.shared.held().put_garbage(stays);
                return Err(error);
            }
        }
        let over: Vec<_> = {
            let held = self.shared.held();
            sessions.iter().copied().filter(|session| !held.has_session(*session)).collect()
        };
        for session in over {
            store.remove_session(&self.shelf, session).await?;
            sessions.remove(&session);
        }
        Ok(())
    }
}
