//! Puts one item into the store, unless it is there already: a line that was lost, or a camera's spool, brings some epochs twice.

use super::Shared;
use super::queue::Item;
use bytes::Bytes;
use doorframe_transport::manifest::{Closing, SessionFacts};
use doorframe_transport::recorded::{EpochFile, verify};
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

pub(super) async fn put(store: &Store, shared: &Shared, item: &Item) -> Result<Put, StoreError> {
    match item {
        Item::Session(shelf, session, manifest) => {
            store.put_session(shelf, *session, manifest.clone()).await?;
            Ok(Put::Stored)
        }
        Item::Epoch(shelf, file) => epoch(store, shared, shelf, file, None).await,
        Item::Spooled(shelf, file, facts) => epoch(store, shared, shelf, file, Some(facts)).await,
    }
}

/// What is there whole is confirmed to its camera. One that did not takes the place of none, and a whole one that of one that is not.
async fn epoch(
    store: &Store,
    shared: &Shared,
    shelf: &Shelf,
    file: &EpochFile,
    facts: Option<&SessionFacts>,
) -> Result<Put, StoreError> {
    let is_whole = is_whole(file, facts);
    let mut damaged: Option<EpochEntry> = None;
    for entry in before(store, shared, shelf, file).await? {
        match store.epoch(shelf, &entry).await {
            Ok(bytes) if is_it_whole(&bytes, file, facts) => {
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
    let by_camera = |kept: &EpochEntry| facts.is_some() && kept.stored_us.abs_diff(file.stored_us) < SAME_CLOCK_US;
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

/// Whether all that the closing counts is in it. Who knows what the session is checks signatures and chains too.
fn is_whole(file: &EpochFile, facts: Option<&SessionFacts>) -> bool {
    if let Some(facts) = facts {
        return verify(file, facts).is_ok_and(|verdict| verdict.is_complete());
    }
    let Some(Ok(closing)) = file.closing.as_deref().map(Closing::parse) else { return false };
    closing.tracks.iter().all(|track| file.track(track.name).len() as u64 >= u64::from(track.chain.objects()))
}

fn is_it_whole(bytes: &Bytes, file: &EpochFile, facts: Option<&SessionFacts>) -> bool {
    EpochFile::parse(bytes)
        .is_ok_and(|kept| (kept.session, kept.epoch) == (file.session, file.epoch) && is_whole(&kept, facts))
}
