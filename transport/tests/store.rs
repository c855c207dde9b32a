//! A store on a real disk: what was put is there and whole, what is full or locked says so, and what a crash leaves is swept.

#![cfg(feature = "store")]
#![expect(clippy::unwrap_used, reason = "a test may fail")]

use bytes::Bytes;
use doorframe_transport::keys::{Epoch, SessionId};
use doorframe_transport::recorded::{EpochFile, RecordedTrack};
use doorframe_transport::store::{EpochEntry, Hour, Patience, Place, Shelf, Store, StoreError};
use doorframe_transport::track::TrackName;
use std::path::{Path, PathBuf};

const HOUR_US: u64 = 3_600_000_000;
const START: u64 = 498_611 * HOUR_US;

fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("store").join(name);
    let _none = std::fs::remove_dir_all(&folder);
    folder
}

async fn open(folder: &Path) -> Store {
    Store::open(&Place::Folder(folder.into()), Patience::default()).await.unwrap()
}

fn shelf(name: &str) -> Shelf {
    Shelf::new(name).unwrap()
}

fn file(epoch: u32, stored_us: u64) -> EpochFile {
    EpochFile {
        session: SessionId([7; 16]),
        epoch: Epoch(epoch),
        stored_us,
        opening: Bytes::from_static(b"opening"),
        closing: None,
        tracks: vec![RecordedTrack { name: TrackName::VIDEO, objects: vec![Bytes::from(vec![epoch as u8; 1000])] }],
    }
}

async fn put(store: &Store, shelf: &Shelf, epoch: u32, stored_us: u64) -> EpochEntry {
    store.put(shelf, &file(epoch, stored_us)).await.unwrap()
}

#[tokio::test]
async fn what_was_put_is_listed_by_shelf_and_hour_and_read_back() {
    let store = open(&folder("listed")).await;
    let (front, back) = (shelf("front-door"), shelf("back"));
    let mut entries = Vec::new();
    for epoch in 0..5 {
        entries.push(put(&store, &front, epoch, START + u64::from(epoch) * HOUR_US / 2).await);
    }
    put(&store, &back, 9, START).await;
    assert_eq!(store.shelves().await.unwrap(), [back.clone(), front.clone()]);
    let first = Hour::of(START);
    assert_eq!(store.hours(&front).await.unwrap(), [first, Hour(first.0 + 1), Hour(first.0 + 2)]);
    assert_eq!(store.hour(&front, first).await.unwrap(), entries[..2]);
    assert_eq!(store.hour(&front, Hour(first.0 + 2)).await.unwrap(), entries[4..]);
    assert_eq!(store.hour(&front, Hour(5)).await.unwrap(), []);
    let bytes = store.epoch(&front, &entries[3]).await.unwrap();
    assert_eq!(bytes.len() as u64, entries[3].bytes);
    assert_eq!(EpochFile::parse(&bytes).unwrap(), file(3, START + 3 * HOUR_US / 2));
    assert_eq!(store.head(&front, &entries[3]).await.unwrap(), bytes.slice(..bytes.len().min(4096)));
    assert!(matches!(store.epoch(&back, &entries[0]).await, Err(StoreError::Absent)));
}

#[tokio::test]
async fn sessions_and_protected_spans_come_and_go() {
    let store = open(&folder("sessions")).await;
    let shelf = shelf("door");
    assert_eq!(store.sessions(&shelf).await.unwrap(), []);
    let session = SessionId([3; 16]);
    store.put_session(&shelf, session, Bytes::from_static(b"manifest")).await.unwrap();
    assert_eq!(store.sessions(&shelf).await.unwrap(), [session]);
    assert_eq!(store.session(&shelf, session).await.unwrap(), "manifest");
    store.remove_session(&shelf, session).await.unwrap();
    store.remove_session(&shelf, session).await.unwrap();
    assert!(matches!(store.session(&shelf, session).await, Err(StoreError::Absent)));

    let span = START..=START + 4_000_000;
    store.protect(&shelf, &span).await.unwrap();
    let protected = store.protected(&shelf).await.unwrap();
    assert_eq!(protected.spans(), std::slice::from_ref(&span));
    let at = |stored_us| EpochEntry { session, epoch: Epoch(0), stored_us, bytes: 0 };
    // The epoch that shows the last moment is stored some seconds after it.
    let wanted = [(START - 1, false), (START, true), (START + 9_000_000, true), (START + 15_000_000, false)];
    for (stored_us, is_protected) in wanted {
        assert_eq!(protected.contains(&at(stored_us)), is_protected, "{stored_us}");
    }
    assert!(!protected.covers(Hour::of(START)));
    let day = START - 1..=START + 24 * HOUR_US;
    store.protect(&shelf, &day).await.unwrap();
    let protected = store.protected(&shelf).await.unwrap();
    let covered = |hours: i32| protected.covers(Hour(Hour::of(START).0.saturating_add_signed(hours)));
    assert_eq!([-1, 0, 23, 24].map(covered), [false, true, true, false]);
    store.unprotect(&shelf, &day).await.unwrap();
    store.unprotect(&shelf, &span).await.unwrap();
    assert!(store.protected(&shelf).await.unwrap().spans().is_empty());
    assert_eq!(store.hours(&shelf).await.unwrap(), [], "sessions and spans are no hours");
}

#[tokio::test]
async fn what_is_removed_is_gone_and_its_empty_folders_with_it() {
    let place = folder("removed");
    let store = open(&place).await;
    let shelf = shelf("door");
    let (kept, removed) = (put(&store, &shelf, 0, START).await, put(&store, &shelf, 1, START + 30 * HOUR_US).await);
    let (gone, failed) = store.remove(&shelf, &[removed]).await;
    assert_eq!((gone.as_slice(), failed.is_none()), ([removed].as_slice(), true));
    assert_eq!(store.remove(&shelf, &[removed]).await.0, [removed], "gone is gone");
    assert_eq!(store.hours(&shelf).await.unwrap(), [kept.hour()]);
    assert_eq!(std::fs::read_dir(place.join("door")).unwrap().count(), 1);
}

#[tokio::test]
async fn leftovers_of_a_crash_are_swept_and_never_listed() {
    let place = folder("swept");
    let entry = {
        let store = open(&place).await;
        assert_eq!(store.swept(), 0);
        put(&store, &shelf("door"), 0, START).await
    };
    let hour = std::fs::read_dir(place.join("door")).unwrap().next().unwrap().unwrap().path();
    let hour = std::fs::read_dir(hour).unwrap().next().unwrap().unwrap().path();
    let whole = std::fs::read_dir(&hour).unwrap().next().unwrap().unwrap().path();
    let half = PathBuf::from(format!("{}#1", whole.display()));
    std::fs::write(&half, b"half an epoch").unwrap();
    std::fs::write(hour.join("notes.txt"), b"somebody's own").unwrap();
    {
        let looked = Store::look_into(&Place::Folder(place.clone()), Patience::default()).unwrap();
        assert_eq!(looked.hour(&shelf("door"), entry.hour()).await.unwrap(), [entry]);
        assert!(half.exists(), "who only looks sweeps nothing");
    }
    let store = open(&place).await;
    assert_eq!(store.swept(), 1);
    assert!(!half.exists() && hour.join("notes.txt").exists());
    assert_eq!(store.hour(&shelf("door"), entry.hour()).await.unwrap(), [entry]);
}

#[tokio::test]
async fn two_do_not_record_to_one_folder() {
    let place = folder("two");
    let first = open(&place).await;
    let second = Store::open(&Place::Folder(place.clone()), Patience::default()).await.unwrap_err();
    assert!(second.to_string().contains("another program records to"), "{second}");
    drop(first);
    open(&place).await;
}

#[tokio::test]
async fn a_place_that_cannot_be_used_says_why() {
    let place = folder("file");
    std::fs::create_dir_all(place.parent().unwrap()).unwrap();
    std::fs::write(&place, b"a file").unwrap();
    let error = Store::open(&Place::Folder(place.clone()), Patience::default()).await.unwrap_err();
    assert!(error.to_string().starts_with("cannot use the folder"), "{error}");
    std::fs::remove_file(&place).unwrap();
}

#[tokio::test]
async fn an_epoch_over_the_limits_is_not_put() {
    let store = open(&folder("limits")).await;
    let mut large = file(0, START);
    large.tracks[0].objects = vec![Bytes::new(); 5000];
    let error = store.put(&shelf("door"), &large).await.unwrap_err();
    assert!(matches!(error, StoreError::File(_)) && !error.may_pass(), "{error}");
    assert_eq!(store.shelves().await.unwrap(), []);
}
