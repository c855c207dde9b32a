//! Where recordings go fails: a disk that is full or read-only, and S3 that is out of order. Nothing that was confirmed is lost.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test may fail")]

#[path = "common/fast.rs"]
mod fast;
#[path = "common/s3.rs"]
mod s3;
#[path = "common/volume.rs"]
mod volume;

use doorframe::recorder::{Recorder, RecorderConfig, RecorderState, RecorderStats};
use doorframe::transport::moq::Node;
use doorframe::transport::store::{Patience, Place, Store};
use doorframe::wall_us;
use fast::{Fast, PATIENCE, until};
use s3::S3;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use volume::Volume;

fn config() -> RecorderConfig {
    let mut config = RecorderConfig::default();
    config.first_retry = Duration::from_millis(20);
    config.last_retry = Duration::from_millis(100);
    config.tidy_every = Duration::from_millis(20);
    config
}

async fn state(recorder: &Recorder, wished: impl FnMut(&RecorderState) -> bool) -> RecorderState {
    let mut states = recorder.state();
    tokio::time::timeout(PATIENCE, states.wait_for(wished)).await.unwrap().unwrap().clone()
}

/// Seals `epochs` epochs, each once the one before has come to the recorder.
async fn film(camera: &mut Fast, recorder: &Recorder, epochs: u64, bytes: usize) {
    let arrived = |stats: &RecorderStats| stats.stored + stats.waiting as u64 + stats.lost;
    for _ in 0..epochs {
        let before = arrived(&recorder.stats());
        camera.epoch(bytes);
        // Those under way to the store are in neither count.
        until(recorder, "epoch", |stats| arrived(stats) > before || stats.failures > 0).await;
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_sheds_the_oldest_that_is_not_protected_and_says_so() {
    let name = "a_full_disk_sheds_the_oldest_that_is_not_protected_and_says_so";
    let Some(disk) = Volume::mount("full", 4096, name) else { return };
    let place = Place::Folder(disk.path().into());
    let store = Store::open(&place, Patience::default()).await.unwrap();
    let hour = 3_600_000_000;
    let guarded = fast::recorded(&store, 1, 4, 10_000, wall_us() - 9 * hour).await;
    let oldest = fast::recorded(&store, 2, 30, 10_000, wall_us() - 8 * hour).await;
    store.protect(&fast::shelf(), &(guarded[0].stored_us..=guarded[3].stored_us)).await.unwrap();
    let node = Arc::new(Node::new());
    let mut camera = Fast::start(&node, 3);
    let recorder = Recorder::on(node, "home", store, config()).unwrap();
    until(&recorder, "listing", |_| recorder.is_surveyed()).await;
    // 4 MiB hold some fifty such epochs.
    for stored in 1..=60 {
        camera.epoch(10_000);
        until(&recorder, "epoch", |stats| stats.stored == stored).await;
    }
    let told = state(&recorder, |state| *state == RecorderState::Shedding).await;
    assert!(told.to_string().starts_with("no room is left"), "{told}");
    let stats = recorder.stop().await;
    assert!(stats.shed >= 30 && stats.lost == 0, "{stats:?}");
    let looked = Store::look_into(&place, Patience::default()).unwrap();
    let listed = fast::listed(&looked).await;
    assert_eq!(listed[..4], guarded, "protected");
    let count = |session| listed.iter().filter(|entry| entry.session == session).count();
    assert_eq!(count(oldest[0].session), 0, "the oldest went first");
    let verdict = fast::check(&looked, &listed, camera.id()).await;
    assert_eq!(verdict.reached.map(|(_, last)| last.0), Some(59));
    let (_, first) = (verdict.faults.len(), verdict.reached.unwrap().0.0);
    assert!(verdict.faults.is_empty() || first > 0, "{verdict:?}");
    assert_eq!(verdict.epochs, u64::from(60 - first), "what is left is the newest, without a hole");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_read_only_disk_what_comes_waits_within_its_bound_and_the_rest_is_counted_as_lost() {
    let name = "on_a_read_only_disk_what_comes_waits_within_its_bound_and_the_rest_is_counted_as_lost";
    let Some(disk) = Volume::mount("readonly", 65_536, name) else { return };
    let place = Place::Folder(disk.path().into());
    let store = Store::open(&place, Patience::default()).await.unwrap();
    let node = Arc::new(Node::new());
    let mut camera = Fast::start(&node, 1);
    let mut config = config();
    config.queue_bytes = 1_000_000;
    let recorder = Recorder::on(node, "home", store, config).unwrap();
    let mut confirmed = recorder.stored();
    film(&mut camera, &recorder, 10, 10_000).await;
    until(&recorder, "ten epochs", |stats| stats.stored == 10).await;

    disk.remount("ro");
    film(&mut camera, &recorder, 40, 10_000).await;
    let waiting = state(&recorder, |state| matches!(state, RecorderState::Waiting(_))).await;
    assert!(
        waiting.to_string().starts_with("NOT RECORDING: it may not be written to: Read-only file system"),
        "{waiting}"
    );
    let stats = until(&recorder, "loss", |stats| stats.lost > 20).await;
    assert!(stats.waiting_bytes <= 1_000_000, "{stats:?}");

    disk.remount("rw");
    state(&recorder, |state| *state == RecorderState::Recording).await;
    film(&mut camera, &recorder, 5, 10_000).await;
    let stats = until(&recorder, "the rest", |stats| stats.stored + stats.lost == 55).await;
    recorder.stop().await;
    let looked = Store::look_into(&place, Patience::default()).unwrap();
    let listed = fast::listed(&looked).await;
    assert_eq!(listed.len() as u64, stats.stored);
    while let Ok(stored) = confirmed.try_recv() {
        assert!(listed.contains(&stored.entry), "{stored:?} was confirmed");
    }
    let again = Store::open(&place, Patience::default()).await.unwrap();
    drop(again);
    disk.remount("ro");
    let refused = Store::open(&place, Patience::default()).await.unwrap_err();
    assert!(refused.to_string().contains("Read-only file system"), "{refused}");
}

fn patience() -> Patience {
    Patience { request: Duration::from_secs(5), retries: 1, backoff: Duration::from_millis(20) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s3_that_answers_500_for_a_while_costs_nothing_that_fits_in_memory() {
    let server = S3::start("short").await;
    let node = Arc::new(Node::new());
    let mut camera = Fast::start(&node, 1);
    let store = Store::open(&server.place(), patience()).await.unwrap();
    let recorder = Recorder::on(node, "home", store, config()).unwrap();
    let mut confirmed = recorder.stored();
    film(&mut camera, &recorder, 10, 10_000).await;
    until(&recorder, "ten epochs", |stats| stats.stored == 10).await;

    server.fail(true);
    film(&mut camera, &recorder, 10, 10_000).await;
    let waiting = state(&recorder, |state| matches!(state, RecorderState::Waiting(_))).await;
    assert!(waiting.to_string().contains("out of order"), "{waiting}");
    until(&recorder, "several tries", |stats| stats.failures > 8).await;
    assert!(server.refused.load(Ordering::Relaxed) > 8);
    server.fail(false);
    state(&recorder, |state| *state == RecorderState::Recording).await;
    film(&mut camera, &recorder, 3, 10_000).await;
    until(&recorder, "all of them", |stats| stats.stored == 23).await;
    let stats = recorder.stop().await;
    assert_eq!((stats.lost, stats.waiting), (0, 0), "{stats:?}");

    let looked = Store::look_into(&server.place(), patience()).unwrap();
    let listed = fast::listed(&looked).await;
    while let Ok(stored) = confirmed.try_recv() {
        assert!(listed.contains(&stored.entry), "{stored:?} was confirmed");
    }
    let verdict = fast::check(&looked, &listed, camera.id()).await;
    assert!(verdict.is_complete() && verdict.epochs == 23, "{verdict:?}");
    assert_eq!(looked.shelves().await.unwrap(), [fast::shelf()]);
    let (removed, failed) = looked.remove(&fast::shelf(), &listed).await;
    assert_eq!((removed.len(), failed.is_none()), (23, true));
    assert_eq!(fast::listed(&looked).await, []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s3_that_fails_for_longer_costs_the_oldest_of_what_waits_and_each_is_counted() {
    let server = S3::start("long").await;
    let node = Arc::new(Node::new());
    let mut camera = Fast::start(&node, 1);
    let store = Store::open(&server.place(), patience()).await.unwrap();
    let mut config = config();
    config.queue_bytes = 600_000;
    let recorder = Recorder::on(node, "home", store, config).unwrap();
    film(&mut camera, &recorder, 5, 10_000).await;
    until(&recorder, "five epochs", |stats| stats.stored == 5).await;
    server.fail(true);
    film(&mut camera, &recorder, 30, 10_000).await;
    let stats = until(&recorder, "loss", |stats| stats.lost >= 20).await;
    assert!(stats.waiting_bytes <= 600_000, "{stats:?}");
    server.fail(false);
    let stats = until(&recorder, "the rest", |stats| stats.stored + stats.lost == 35).await;
    recorder.stop().await;
    let looked = Store::look_into(&server.place(), patience()).unwrap();
    let listed = fast::listed(&looked).await;
    assert_eq!(listed.len() as u64, stats.stored);
    let numbers: Vec<_> = listed.iter().map(|entry| entry.epoch.0).collect();
    assert_eq!(numbers[..5], [0, 1, 2, 3, 4], "what was confirmed is there");
    let newest = 35 - (numbers.len() as u32 - 5);
    assert_eq!(numbers[5..], (newest..35).collect::<Vec<_>>(), "and of the rest the newest");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_a_manifest_cannot_be_stored_no_epoch_of_its_session_is_until_it_can() {
    let server = S3::start("manifest").await;
    let node = Arc::new(Node::new());
    let mut camera = Fast::start(&node, 1);
    let store = Store::open(&server.place(), patience()).await.unwrap();
    server.fail_at("/sessions/");
    let recorder = Recorder::on(node, "home", store, config()).unwrap();
    film(&mut camera, &recorder, 6, 10_000).await;
    let waiting = state(&recorder, |state| matches!(state, RecorderState::Waiting(_))).await;
    assert!(waiting.to_string().contains("out of order"), "{waiting}");
    let stats = until(&recorder, "several tries", |stats| stats.failures > 8).await;
    assert_eq!((stats.stored, stats.lost), (0, 0), "{stats:?}");
    let looked = Store::look_into(&server.place(), patience()).unwrap();
    assert_eq!(fast::listed(&looked).await, []);

    server.fail(false);
    until(&recorder, "all of them", |stats| stats.stored == 6).await;
    recorder.stop().await;
    let verdict = fast::check(&looked, &fast::listed(&looked).await, camera.id()).await;
    assert!(verdict.is_complete() && verdict.epochs == 6, "{verdict:?}");
}

#[tokio::test]
async fn a_bucket_that_is_not_there_or_refuses_is_said_at_the_start() {
    let server = S3::start("refused").await;
    let Place::S3 { prefix, settings, .. } = server.place() else { unreachable!() };
    let mut wrong = settings.clone();
    wrong.retain(|(key, _)| key != "secret_access_key");
    wrong.push(("secret_access_key".into(), "wrong".into()));
    let refused = Place::S3 { bucket: "door-recordings".into(), prefix: prefix.clone(), settings: wrong };
    let error = Store::open(&refused, patience()).await.unwrap_err();
    assert!(error.to_string().starts_with("it refuses access"), "{error}");
    let absent = Place::S3 { bucket: "no-such-bucket".into(), prefix, settings };
    let error = Store::open(&absent, patience()).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot use S3: there is no bucket for s3://no-such-bucket/home/cameras: make it first"
    );
}
