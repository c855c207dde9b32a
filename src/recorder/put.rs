//! Puts one item into the store, unless it is there already: a line that was lost, or a camera's spool, brings some epochs twice.

use super::Shared;
use super::manifests::{Checked, Manifest};
use super::queue::{Item, Origin};
use bytes::Bytes;
use doorframe_transport::recorded::EpochFile;
use doorframe_transport::store::{EpochEntry, Hour, Shelf, Store, StoreError};

/// Clocks that differ by less tell the same time.
const SAME_CLOCK_US: u64 = 10_000_000;

/// What became of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Put {
    /// It is stored.
    Stored,
    /// It was stored before.
    Known,
}

/// What is there whole is confirmed to its camera, and not before its session's manifest is there. One that is not whole takes the place of
/// none, and a whole one that of one that is not.
pub(super) async fn put(store: &Store, shared: &Shared, item: &Item) -> Result<Put, StoreError> {
    let (manifest, file) = (&*item.manifest, &item.file);
    let shelf = &manifest.shelf;
    manifest.store(store).await?;
    let checked = manifest.check(file);
    let is_whole = checked == Checked::Whole;
    let mut damaged: Option<EpochEntry> = None;
    for entry in before(store, shared, shelf, file).await? {
        match store.epoch(shelf, &entry).await {
            Ok(bytes) if is_it_whole(&bytes, file, manifest) => {
                shared.acks.confirm(shelf, file.session, file.epoch);
                return Ok(Put::Known);
            }
            Ok(_) | Err(StoreError::TooLarge(_)) => {
                damaged = Some(entry).into_iter().chain(damaged).max_by_key(|entry| entry.bytes)
            }
            Err(StoreError::Absent) => {}
            Err(error) => return Err(error),
        }
    }
    if damaged.is_some_and(|kept| !is_whole && kept.bytes >= file.len() as u64) {
        return Ok(Put::Known);
    }
    // Under the name of the one before it takes its place at once, and what protects that protects it. One from a spool knows better when it
    // was, unless its camera's clock is another than ours.
    let kept = damaged.filter(|_| shared.catalog().is_surveyed());
    let by_camera =
        |kept: &EpochEntry| item.from == Origin::Spool && kept.stored_us.abs_diff(file.stored_us) < SAME_CLOCK_US;
    let stored_us = kept.filter(|kept| !by_camera(kept)).map_or(file.stored_us, |kept| kept.stored_us);
    let file = EpochFile { stored_us, ..file.clone() };
    let (session, epoch) = (file.session, file.epoch);
    shared.catalog().announce(shelf, EpochEntry { session, epoch, stored_us, bytes: 0 });
    let entry = store.put(shelf, &file).await?;
    let mut gone = kept.iter().copied().collect::<Vec<_>>();
    if gone.iter().any(|kept| kept.stored_us != stored_us) {
        // Until it is gone there are two, of which the larger counts.
        gone = store.remove(shelf, &gone).await.0;
    }
    {
        let mut catalog = shared.catalog();
        catalog.add(shelf, &entry);
        for kept in gone {
            catalog.remove(shelf, &kept);
        }
    }
    shared.tell_stored(shelf, &entry);
    if checked == Checked::Unverified {
        shared.count(|stats| stats.unverified += 1);
        tracing::warn!(%shelf, %session, %epoch, "an epoch is stored and not confirmed: it is not what its camera signed");
    }
    if is_whole {
        shared.acks.confirm(shelf, session, epoch);
    }
    Ok(Put::Stored)
}

/// What is stored of the same epoch. Costs nothing for an epoch that is newer than all that there is of its session.
async fn before(
    store: &Store,
    shared: &Shared,
    shelf: &Shelf,
    file: &EpochFile,
) -> Result<Vec<EpochEntry>, StoreError> {
    let hours = {
        let catalog = shared.catalog();
        if catalog.is_surveyed() {
            catalog.whereabouts(shelf, file.session, file.epoch)
        } else {
            // Before all is listed: what was stored just before we were started.
            let now = Hour::of(file.stored_us);
            vec![Hour(now.0.saturating_sub(1)), now]
        }
    };
    let mut found = Vec::new();
    for hour in hours {
        let entries = store.hour(shelf, hour).await?;
        found.extend(entries.into_iter().filter(|entry| (entry.session, entry.epoch) == (file.session, file.epoch)));
    }
    Ok(found)
}

fn is_it_whole(bytes: &Bytes, file: &EpochFile, manifest: &Manifest) -> bool {
    EpochFile::parse(bytes).is_ok_and(|kept| {
        (kept.session, kept.epoch) == (file.session, file.epoch) && manifest.check(&kept) == Checked::Whole
    })
}
