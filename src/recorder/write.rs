//! Puts what waits into the store, tries again, makes room, and lets go what is old.

use super::put::{Put, put};
use super::queue::{Item, Queue};
use super::{RecorderConfig, RecorderState, Shared};
use crate::wall_us;
use doorframe_transport::store::{EpochEntry, Hour, Protected, Shelf, Store, StoreError};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// Puts under way at once.
const AT_ONCE: usize = 4;
/// Epochs let go in one step, before what waits has its turn again.
const STEP: usize = 256;
/// Room made beside what is needed when the disk is full, in bytes: one epoch's worth of a second camera.
const EXTRA: u64 = 1 << 20;

pub(super) struct Writer {
    pub(super) store: Arc<Store>,
    pub(super) queue: Arc<Queue>,
    pub(super) shared: Arc<Shared>,
    pub(super) config: RecorderConfig,
}

/// Why epochs are let go.
enum Reason {
    Age,
    Room,
}

impl Writer {
    /// Until the queue is closed and empty.
    pub(super) async fn run(self) {
        let mut retry = self.config.first_retry;
        let mut tidied = Instant::now();
        let mut tidy_after = Duration::ZERO;
        loop {
            let wait = tidy_after.saturating_sub(tidied.elapsed());
            let batch = tokio::select! {
                biased;
                batch = self.queue.take(AT_ONCE) => match batch {
                    Some(batch) => batch,
                    None => return,
                },
                () = tokio::time::sleep(wait) => Vec::new(),
            };
            if let Some((error, bytes)) = self.put(batch).await {
                let made_room = matches!(error, StoreError::Full) && self.make_room(bytes).await > 0;
                if !made_room {
                    self.shared.tell(RecorderState::Waiting(error.to_string()));
                    tokio::time::sleep(retry).await;
                    retry = (retry * 2).min(self.config.last_retry);
                }
                continue;
            }
            if self.queue.look().0 == 0 {
                retry = self.config.first_retry;
            }
            if tidied.elapsed() >= tidy_after && !self.queue.is_closed() {
                let more = self.tidy().await;
                tidied = Instant::now();
                tidy_after = if more { Duration::ZERO } else { self.config.tidy_every };
            }
        }
    }

    /// Puts items side by side. Those that failed go back; gives why, and how many bytes they have.
    async fn put(&self, batch: Vec<Item>) -> Option<(StoreError, u64)> {
        if batch.is_empty() {
            return None;
        }
        // Of two that are of one epoch, the second sees what became of the first.
        let (batch, later) = apart(batch);
        self.queue.put_back(later);
        let mut puts = JoinSet::new();
        let count = batch.len();
        for (n, item) in batch.into_iter().enumerate() {
            let (store, shared) = (self.store.clone(), self.shared.clone());
            puts.spawn(async move {
                let put = put(&store, &shared, &item).await;
                (n, item, put)
            });
        }
        let mut failed: Vec<(usize, Item)> = Vec::new();
        let mut why = None;
        let mut stored = 0;
        while let Some(done) = puts.join_next().await {
            match done {
                Ok((_, item, Ok(put))) => {
                    stored += 1;
                    self.shared.count(|stats| match put {
                        Put::Stored => {
                            stats.stored += 1;
                            stats.stored_bytes += item.bytes();
                        }
                        Put::Known => stats.known += 1,
                    });
                }
                Ok((n, item, Err(error))) if error.may_pass() => {
                    self.shared.count(|stats| stats.failures += 1);
                    tracing::debug!(%error, "not stored, trying again");
                    failed.push((n, item));
                    why = Some(error);
                }
                Ok((_, _, Err(error))) => {
                    self.shared.count(|stats| stats.refused += 1);
                    tracing::warn!(%error, "an epoch cannot be stored");
                }
                Err(error) => tracing::error!(%error, "storing failed"),
            }
        }
        if stored == count {
            self.shared.tell(RecorderState::Recording);
        }
        failed.sort_by_key(|(n, _)| *n);
        let bytes = failed.iter().map(|(_, item)| item.bytes()).sum();
        self.queue.put_back(failed.into_iter().map(|(_, item)| item).collect());
        why.map(|error| (error, bytes))
    }

    /// The disk is full: lets the oldest go. Gives the bytes that became free.
    async fn make_room(&self, bytes: u64) -> u64 {
        if !self.shared.catalog().is_surveyed() {
            // The oldest is not known yet.
            return 0;
        }
        let freed = self.let_go(bytes.saturating_mul(2) + EXTRA, None, Reason::Room).await;
        if freed > 0 {
            self.shared.tell(RecorderState::Shedding);
        }
        freed
    }

    /// Lets go what is too old or too much. Gives whether there may be more.
    async fn tidy(&self) -> bool {
        if !self.shared.catalog().is_surveyed() {
            return false;
        }
        let mut more = false;
        if let Some(age) = self.config.keep_for {
            let age = u64::try_from(age.as_micros()).unwrap_or(u64::MAX);
            if let Some(before) = wall_us().checked_sub(age) {
                more |= self.let_go(u64::MAX, Some(before), Reason::Age).await > 0;
            }
        }
        if let Some(keep) = self.config.keep_bytes {
            let over = self.shared.catalog().bytes().saturating_sub(keep);
            if over > 0 {
                more |= self.let_go(over, None, Reason::Room).await > 0 && self.shared.catalog().bytes() > keep;
            }
        }
        more
    }

    /// Lets the oldest unprotected epochs go, until `bytes` are free, at most [`STEP`], and none that was stored at `before` or later.
    async fn let_go(&self, bytes: u64, before: Option<u64>, reason: Reason) -> u64 {
        let (mut freed, mut left) = (0_u64, STEP);
        let mut protected = HashMap::new();
        let hours = self.shared.catalog().oldest_first();
        for (hour, shelf) in hours {
            if freed >= bytes || left == 0 || before.is_some_and(|before| hour.start_us() >= before) {
                break;
            }
            let Some(protected) = self.protected(&mut protected, &shelf).await else { continue };
            if protected.covers(hour) {
                continue;
            }
            let entries = match self.store.hour(&shelf, hour).await {
                Ok(entries) => entries,
                Err(error) => {
                    tracing::debug!(%error, "an hour could not be listed");
                    continue;
                }
            };
            if entries.is_empty() {
                self.shared.catalog().empty(&shelf, hour);
                continue;
            }
            let mut chosen: Vec<EpochEntry> = Vec::new();
            let mut sum = freed;
            for entry in entries {
                let old_enough = before.is_none_or(|before| entry.stored_us < before);
                if sum >= bytes || chosen.len() >= left || !old_enough {
                    break;
                }
                if !protected.contains(&entry) {
                    sum = sum.saturating_add(entry.bytes);
                    chosen.push(entry);
                }
            }
            left -= chosen.len();
            freed = freed.saturating_add(self.remove(&shelf, hour, &chosen, &reason).await);
        }
        freed
    }

    async fn protected<'a>(
        &self,
        known: &'a mut HashMap<Shelf, Option<Protected>>,
        shelf: &Shelf,
    ) -> Option<&'a Protected> {
        if !known.contains_key(shelf) {
            // Who cannot tell what is protected lets nothing go.
            let listed = self.store.protected(shelf).await;
            let listed = listed.inspect_err(|error| tracing::debug!(%error, "protected spans not listed")).ok();
            known.insert(shelf.clone(), listed);
        }
        known.get(shelf)?.as_ref()
    }

    async fn remove(&self, shelf: &Shelf, hour: Hour, entries: &[EpochEntry], reason: &Reason) -> u64 {
        if entries.is_empty() {
            return 0;
        }
        let (removed, failed) = self.store.remove(shelf, entries).await;
        if let Some(error) = failed {
            tracing::warn!(%error, %shelf, hour = hour.0, "recordings that should go stay");
        }
        let over: Vec<_> = {
            let mut catalog = self.shared.catalog();
            removed.iter().filter_map(|entry| catalog.remove(shelf, entry)).collect()
        };
        for session in over {
            if !self.shared.manifests.is_held(shelf, session)
                && let Err(error) = self.store.remove_session(shelf, session).await
            {
                tracing::debug!(%error, "a session's manifest stays");
            }
        }
        self.shared.count(|stats| match reason {
            Reason::Age => stats.expired += removed.len() as u64,
            Reason::Room => stats.shed += removed.len() as u64,
        });
        removed.iter().map(|entry| entry.bytes).sum()
    }
}

/// Those of different epochs, and the others, both in their order.
fn apart(batch: Vec<Item>) -> (Vec<Item>, Vec<Item>) {
    let mut seen = HashSet::new();
    batch.into_iter().partition(|item| seen.insert(item.epoch()))
}

/// Reads the whole listing, the newest hours first, so that what is looked for most is found first.
pub(super) async fn survey(store: Arc<Store>, shared: Arc<Shared>, config: RecorderConfig) {
    let mut retry = config.first_retry;
    let mut done = BTreeSet::new();
    while let Err(error) = survey_once(&store, &shared, &mut done).await {
        tracing::debug!(%error, "the store could not be listed, trying again");
        tokio::time::sleep(retry).await;
        retry = (retry * 2).min(config.last_retry);
    }
    shared.catalog().end_survey();
}

async fn survey_once(store: &Store, shared: &Shared, done: &mut BTreeSet<(Hour, Shelf)>) -> Result<(), StoreError> {
    let mut hours = Vec::new();
    for shelf in store.shelves().await? {
        let of_shelf = store.hours(&shelf).await?;
        if !of_shelf.is_empty() {
            shared.tell_shelf(&shelf);
        }
        hours.extend(of_shelf.into_iter().map(|hour| (hour, shelf.clone())));
    }
    hours.sort_unstable();
    for (hour, shelf) in hours.into_iter().rev() {
        if !done.contains(&(hour, shelf.clone())) {
            let entries = store.hour(&shelf, hour).await?;
            shared.catalog().survey(&shelf, &entries);
            done.insert((hour, shelf));
        }
    }
    Ok(())
}
