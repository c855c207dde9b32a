//! A store of recorded epochs: a folder, or a bucket of S3 (`docs/format.md`, "Store names").
//!
//! One object an epoch, written at once or not at all, under a name that says when it was stored. The listing is the index: nothing else
//! has to be right, so nothing can be corrupt. An hour's names are under one prefix, which is why finding a moment
//! costs the same in a store of an hour and of a month.
//!
//! This module is floor 2: it reaches disks and networks. It reads no clock.

mod error;
mod name;
mod place;

pub use error::StoreError;
pub use name::{EpochEntry, Hour, Shelf};
pub use place::{Patience, Place};

use crate::keys::SessionId;
use crate::recorded::{EpochFile, MAX_FILE};
use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _};
use name::{PROTECTED, SESSIONS, day_of, hour_of, span_of};
use object_store::path::{Path, PathPart};
use object_store::{ObjectStore, ObjectStoreExt as _, PutPayload};
use std::fmt;
use std::fs::File;
use std::ops::RangeInclusive;
use std::sync::Arc;

/// Recorded epochs of many cameras, each on its own [`Shelf`].
pub struct Store {
    objects: Arc<dyn ObjectStore>,
    place: String,
    /// Held for as long as we write: leftovers of others would else be swept away under their hands.
    _lock: Option<File>,
    swept: u64,
}

/// Largest session manifest, in bytes: 64 devices take 82 KiB.
const MAX_MANIFEST: u64 = 1 << 20;
/// Bytes at the head of a file within which opening, closing and event object of any camera are.
const HEAD: u64 = 4096;
/// How long after a moment the epoch that shows it is stored, at most, µs: an epoch's length, its last words and a bad line.
const STORED_AFTER_US: u64 = 10_000_000;

impl Store {
    /// Opens a store to write to, alone, and sweeps away what a crash has left half written.
    ///
    /// # Errors
    /// If another program writes there, or it cannot be reached or written to.
    pub async fn open(place: &Place, patience: Patience) -> Result<Self, StoreError> {
        let (objects, lock, swept) = place.open(patience).await?;
        Ok(Self { objects, place: place.to_string(), _lock: lock, swept })
    }

    /// Opens a store to look into, or to protect what is in it, while another program may write to it.
    ///
    /// # Errors
    /// If it cannot be reached.
    pub fn look_into(place: &Place, patience: Patience) -> Result<Self, StoreError> {
        Ok(Self { objects: place.reach(patience)?, place: place.to_string(), _lock: None, swept: 0 })
    }

    /// A store of another kind, said to be at `place`.
    pub fn over(objects: Arc<dyn ObjectStore>, place: &str) -> Self {
        Self { objects, place: place.into(), _lock: None, swept: 0 }
    }

    /// Where it is.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// Files that a crash had left half written and that are gone since it was opened.
    pub fn swept(&self) -> u64 {
        self.swept
    }

    /// Keeps an epoch. Once this returns, it is there also after a loss of power; before, nobody sees any of it.
    ///
    /// # Errors
    /// If it is not kept: whether trying again may help is said by the error.
    pub async fn put(&self, shelf: &Shelf, file: &EpochFile) -> Result<EpochEntry, StoreError> {
        let pieces = file.emit()?;
        let bytes = pieces.iter().map(Bytes::len).sum::<usize>() as u64;
        let entry = EpochEntry { session: file.session, epoch: file.epoch, stored_us: file.stored_us, bytes };
        self.objects.put(&entry.path(shelf), PutPayload::from_iter(pieces)).await?;
        Ok(entry)
    }

    /// What is kept of an epoch, as it is: nobody has checked it.
    ///
    /// # Errors
    /// [`StoreError::Absent`] if it is not there, or whatever else stands in the way.
    pub async fn epoch(&self, shelf: &Shelf, entry: &EpochEntry) -> Result<Bytes, StoreError> {
        let found = self.objects.get(&entry.path(shelf)).await?;
        if found.meta.size > MAX_FILE as u64 {
            return Err(StoreError::TooLarge(found.meta.size));
        }
        Ok(found.bytes().await?)
    }

    /// The first bytes of an epoch, with its records and its event object.
    ///
    /// # Errors
    /// As [`Store::epoch`].
    pub async fn head(&self, shelf: &Shelf, entry: &EpochEntry) -> Result<Bytes, StoreError> {
        Ok(self.objects.get_range(&entry.path(shelf), 0..HEAD.min(entry.bytes)).await?)
    }

    /// Keeps a session manifest, without which its epochs cannot be opened.
    ///
    /// # Errors
    /// As [`Store::put`].
    pub async fn put_session(&self, shelf: &Shelf, session: SessionId, manifest: Bytes) -> Result<(), StoreError> {
        self.objects.put(&shelf.path([SESSIONS, &session.to_string()]), PutPayload::from(manifest)).await?;
        Ok(())
    }

    /// A session manifest.
    ///
    /// # Errors
    /// As [`Store::epoch`].
    pub async fn session(&self, shelf: &Shelf, session: SessionId) -> Result<Bytes, StoreError> {
        let found = self.objects.get(&shelf.path([SESSIONS, &session.to_string()])).await?;
        if found.meta.size > MAX_MANIFEST {
            return Err(StoreError::TooLarge(found.meta.size));
        }
        Ok(found.bytes().await?)
    }

    /// Sessions whose manifests are kept.
    ///
    /// # Errors
    /// If they cannot be listed.
    pub async fn sessions(&self, shelf: &Shelf) -> Result<Vec<SessionId>, StoreError> {
        let names = self.names(&shelf.path([SESSIONS])).await?;
        Ok(names.iter().filter_map(|(name, _)| SessionId::from_hex(name)).collect())
    }

    /// Lets a session manifest go.
    ///
    /// # Errors
    /// If it stays.
    pub async fn remove_session(&self, shelf: &Shelf, session: SessionId) -> Result<(), StoreError> {
        gone(self.objects.delete(&shelf.path([SESSIONS, &session.to_string()])).await)
    }

    /// Shelves that there are.
    ///
    /// # Errors
    /// If they cannot be listed.
    pub async fn shelves(&self) -> Result<Vec<Shelf>, StoreError> {
        let listed = self.objects.list_with_delimiter(None).await?;
        let names = listed.common_prefixes.iter().filter_map(|path| path.parts().next_back());
        Ok(names.filter_map(|name| Shelf::new(name.as_ref())).collect())
    }

    /// Hours in which something was stored, in order.
    ///
    /// # Errors
    /// If they cannot be listed.
    pub async fn hours(&self, shelf: &Shelf) -> Result<Vec<Hour>, StoreError> {
        let days = self.objects.list_with_delimiter(Some(&shelf.path([]))).await?.common_prefixes;
        let mut hours = Vec::new();
        for day in days {
            let Some(date) = day.parts().next_back().and_then(|part| day_of(part.as_ref())) else { continue };
            let listed = self.objects.list_with_delimiter(Some(&day)).await?;
            let parts = listed.common_prefixes.iter().filter_map(|path| path.parts().next_back());
            hours.extend(parts.filter_map(|part| hour_of(date, part.as_ref())));
        }
        hours.sort_unstable();
        Ok(hours)
    }

    /// Epochs that were stored in an hour, in the order in which they were.
    ///
    /// # Errors
    /// If they cannot be listed.
    pub async fn hour(&self, shelf: &Shelf, hour: Hour) -> Result<Vec<EpochEntry>, StoreError> {
        let names = self.names(&hour.path(shelf)).await?;
        let mut entries: Vec<_> =
            names.iter().filter_map(|(name, bytes)| EpochEntry::from_name(name, *bytes)).collect();
        entries.sort_unstable_by_key(|entry| (entry.stored_us, entry.session.0, entry.epoch));
        Ok(entries)
    }

    /// Lets epochs go, as far as it can: gives those that are gone, and why not all of them are.
    pub async fn remove(&self, shelf: &Shelf, entries: &[EpochEntry]) -> (Vec<EpochEntry>, Option<StoreError>) {
        let (mut removed, mut failed) = (Vec::with_capacity(entries.len()), None);
        let mut deletions = Vec::with_capacity(entries.len());
        for entry in entries {
            let (objects, path, entry) = (self.objects.clone(), entry.path(shelf), *entry);
            deletions.push(async move { (entry, gone(objects.delete(&path).await)) });
        }
        let mut deletions = futures_util::stream::iter(deletions).buffered(AT_ONCE);
        while let Some((entry, deleted)) = deletions.next().await {
            match deleted {
                Ok(()) => removed.push(entry),
                Err(error) => failed = Some(error),
            }
        }
        (removed, failed)
    }

    /// Protects what is filmed from one moment to another, µs since 1970 by the clock of whoever stores: it is let go neither for its age
    /// nor for room.
    ///
    /// # Errors
    /// As [`Store::put`].
    pub async fn protect(&self, shelf: &Shelf, span: &RangeInclusive<u64>) -> Result<(), StoreError> {
        self.objects.put(&protection(shelf, span), PutPayload::default()).await?;
        Ok(())
    }

    /// Ends a protection.
    ///
    /// # Errors
    /// If it stays.
    pub async fn unprotect(&self, shelf: &Shelf, span: &RangeInclusive<u64>) -> Result<(), StoreError> {
        gone(self.objects.delete(&protection(shelf, span)).await)
    }

    /// What is protected.
    ///
    /// # Errors
    /// If it cannot be listed.
    pub async fn protected(&self, shelf: &Shelf) -> Result<Protected, StoreError> {
        let names = self.names(&shelf.path([PROTECTED])).await?;
        Ok(Protected(names.iter().filter_map(|(name, _)| span_of(name)).collect()))
    }

    /// Names just below a prefix, and their sizes.
    async fn names(&self, prefix: &Path) -> Result<Vec<(String, u64)>, StoreError> {
        let listed = self.objects.list(Some(prefix)).try_filter_map(|meta| async move {
            Ok(meta.location.filename().map(|name| (name.to_owned(), meta.size)))
        });
        Ok(listed.try_collect().await?)
    }
}

/// Deletions under way at once.
const AT_ONCE: usize = 16;

fn protection(shelf: &Shelf, span: &RangeInclusive<u64>) -> Path {
    shelf.path([PROTECTED, &format!("{:016x}-{:016x}", span.start(), span.end())])
}

/// What is not there any more is gone too.
fn gone(deleted: object_store::Result<()>) -> Result<(), StoreError> {
    match deleted {
        Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Store({})", self.place)
    }
}

/// Spans of a shelf that are protected.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Protected(Vec<RangeInclusive<u64>>);

impl Protected {
    /// Whether an epoch may show something of a protected span.
    pub fn contains(&self, entry: &EpochEntry) -> bool {
        let shows = |span: &RangeInclusive<u64>| {
            (*span.start()..=span.end().saturating_add(STORED_AFTER_US)).contains(&entry.stored_us)
        };
        self.0.iter().any(shows)
    }

    /// Whether all that was stored in an hour is protected.
    pub fn covers(&self, hour: Hour) -> bool {
        let (start, end) = (hour.start_us(), Hour(hour.0.saturating_add(1)).start_us());
        self.0.iter().any(|span| *span.start() <= start && end <= span.end().saturating_add(STORED_AFTER_US))
    }

    /// The spans, µs since 1970.
    pub fn spans(&self) -> &[RangeInclusive<u64>] {
        &self.0
    }
}

impl Shelf {
    fn path<const N: usize>(&self, parts: [&str; N]) -> Path {
        Path::from_iter(std::iter::once(self.as_str()).chain(parts).map(PathPart::from))
    }
}

impl Hour {
    fn path(self, shelf: &Shelf) -> Path {
        shelf.path([&self.day(), &self.of_day()])
    }
}

impl EpochEntry {
    fn path(&self, shelf: &Shelf) -> Path {
        let hour = self.hour();
        shelf.path([&hour.day(), &hour.of_day(), &self.name()])
    }
}
