//! What a camera keeps for a hub that is away, and how the hub gets it: a line that is cut, programs that are killed, disks and hubs that
//! fail or lie.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test may fail")]

mod common;
#[path = "common/fast.rs"]
mod fast;
#[path = "common/volume.rs"]
mod volume;

use bytes::Bytes;
use common::shaper::{Shape, Shaper};
use common::{PATIENCE, config, device, identity, viewer, watch_link};
use doorframe::camera::{Camera, CameraConfig, SpoolState};
use doorframe::codec::units::{Bitrate, MediaTime};
use doorframe::hub::{Hub, HubConfig, HubIdentity};
use doorframe::recorder::{Recorder, RecorderConfig, RecorderStats};
use doorframe::report::{CameraStats, SpoolStats};
use doorframe::sensor::Clock;
use doorframe::transport::keys::{Epoch, SessionId};
use doorframe::transport::manifest::SessionManifest;
use doorframe::transport::moq::{Broadcast, Node, TrackWriter};
use doorframe::transport::recorded::{EpochFile, SpanCheck, open};
use doorframe::transport::store::{EpochEntry, Patience, Place, Shelf, Store};
use doorframe::wall_us;
use fast::until as stored;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};
use volume::Volume;

fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("spool").join(name);
    let _none = std::fs::remove_dir_all(&folder);
    folder
}

async fn store(folder: &Path) -> Store {
    Store::open(&Place::Folder(folder.into()), Patience::default()).await.unwrap()
}

fn look(folder: &Path) -> Store {
    Store::look_into(&Place::Folder(folder.into()), Patience::default()).unwrap()
}

/// Everything on a shelf, in the order in which it counts as stored.
async fn listed(store: &Store, shelf: &str) -> Vec<EpochEntry> {
    let shelf = Shelf::new(shelf).unwrap();
    let mut entries = Vec::new();
    for hour in store.hours(&shelf).await.unwrap_or_default() {
        entries.extend(store.hour(&shelf, hour).await.unwrap());
    }
    entries
}

/// Files below a folder but for its lock.
fn files(folder: &Path) -> Vec<PathBuf> {
    let all = walkdir::WalkDir::new(folder).into_iter().flatten().filter(|file| file.file_type().is_file());
    all.map(|file| file.into_path()).filter(|path| !path.ends_with("doorframe.lock")).collect()
}

/// A hub that stops and comes back as the same, recording to one folder.
struct Site {
    identity: HubIdentity,
    config: HubConfig,
    recordings: PathBuf,
}

impl Site {
    fn new(folder: &Path) -> Self {
        let config = HubConfig::local();
        let identity = HubIdentity::fresh(&config.host).unwrap();
        Self { identity, config, recordings: folder.join("recordings") }
    }

    fn hub(&mut self) -> Hub {
        let hub = Hub::start(self.config.clone(), &self.identity).unwrap();
        self.config.listen = hub.address();
        hub
    }

    async fn up(&mut self) -> (Hub, Recorder) {
        let hub = self.hub();
        let recorder = Recorder::start(&hub, store(&self.recordings).await, RecorderConfig::default()).unwrap();
        (hub, recorder)
    }
}

async fn down((hub, recorder): (Hub, Recorder)) -> RecorderStats {
    hub.stop().await;
    recorder.stop().await
}

/// A camera whose spool is in `folder`, at a bitrate at which a few epochs take some seconds to deliver.
fn spooling(alias: &str, folder: &Path) -> CameraConfig {
    let mut config = config("pattern:320x240@30");
    config.alias = alias.parse().unwrap();
    config.bitrate = Bitrate::from_kbps(300);
    config.spool.folder = Some(folder.into());
    config
}

fn start(config: CameraConfig, hub: &Hub) -> Camera {
    Camera::start(config, hub.link().unwrap(), Clock::new(Instant::now())).unwrap()
}

async fn until(camera: &Camera, what: &str, wished: impl Fn(&SpoolStats) -> bool) -> CameraStats {
    let started = Instant::now();
    loop {
        let stats = camera.stats();
        if wished(&stats.spool) {
            return stats;
        }
        let state = camera.spool().borrow().clone();
        assert!(started.elapsed() < PATIENCE, "no {what} within {PATIENCE:?}: {:?}, {state:?}", stats.spool);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn state(camera: &Camera, what: &str, wished: impl FnMut(&SpoolState) -> bool) -> SpoolState {
    let mut states = camera.spool();
    let waited = tokio::time::timeout(PATIENCE, states.wait_for(wished)).await;
    match waited {
        Ok(state) => state.unwrap().clone(),
        Err(_) => panic!("no {what} within {PATIENCE:?}: {:?}, {:?}", camera.spool().borrow(), camera.stats().spool),
    }
}

/// Every epoch of a session from its first: there once, whole, in order, and, if it is for our device, opening with its key. Gives the last.
async fn whole(store: &Store, shelf: &str, session: SessionId) -> Epoch {
    let entries: Vec<_> = listed(store, shelf).await.into_iter().filter(|entry| entry.session == session).collect();
    let epochs: Vec<_> = entries.iter().map(|entry| entry.epoch.0).collect();
    let last = *epochs.last().unwrap();
    assert_eq!(epochs, (0..=last).collect::<Vec<_>>(), "each once, in the order of time");
    let shelf = Shelf::new(shelf).unwrap();
    let manifest = SessionManifest::parse(&store.session(&shelf, session).await.unwrap()).unwrap();
    let facts = manifest.facts().clone();
    // The program has an owner and an identity of its own.
    let opened = manifest.open(&device(), &identity().verifying_key());
    let mut check = SpanCheck::new(facts.clone(), 0..u64::from(last) + 1);
    for entry in entries {
        let bytes = store.epoch(&shelf, &entry).await.unwrap();
        let (file, _) = check.handle(entry.epoch, &bytes).unwrap();
        if let Ok(opened) = &opened {
            let epoch = open(&file, &facts, &opened.root.leaf(entry.epoch).unwrap()).unwrap();
            assert!(epoch.drops.total() == 0 && epoch.units[0].unit.unit.is_keyframe());
        }
    }
    let verdict = check.end();
    assert!(verdict.is_complete(), "{verdict:?}");
    Epoch(last)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_that_is_cut_costs_no_epoch_and_live_pictures_come_before_those_that_were_missed() {
    let folder = folder("cut");
    let spool = folder.join("spool");
    let mut site = Site::new(&folder);
    let running = site.up().await;
    let camera = start(spooling("front-door", &spool), &running.0);
    stored(&running.1, "two epochs", |stats| stats.stored >= 2).await;
    assert_eq!((camera.stats().spool.on_disk, files(&spool).len()), (0, 0), "a hub that confirms costs no disk");
    down(running).await;

    state(&camera, "word that the hub is away", |state| *state == SpoolState::Away).await;
    let kept = until(&camera, "six epochs on disk", |spool| spool.on_disk >= 6).await.spool;
    assert!(kept.on_disk_time >= Duration::from_secs(12) && kept.on_disk_bytes > 6 * 10_000, "{kept:?}");

    let running = site.up().await;
    let watching = viewer(&watch_link(&running.0.link().unwrap()));
    common::stats(&watching, "pictures", |stats| stats.frames_shown > 0).await;
    let left = camera.stats().spool.on_disk;
    assert!(left > 0, "live pictures did not wait for what was missed");
    let empty = until(&camera, "empty spool", |spool| spool.on_disk == 0).await.spool;
    assert!(empty.delivered >= 6 && (empty.lost, empty.dropped, empty.damaged, empty.failures) == (0, 0, 0, 0));
    // The manifest goes when the last epoch of its session has gone.
    let started = Instant::now();
    while !files(&spool).is_empty() {
        assert!(started.elapsed() < PATIENCE, "{:?}", files(&spool));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let before = empty.confirmed;
    until(&camera, "two more by themselves", |spool| spool.confirmed >= before + 2).await;
    let shown = watching.stats();
    assert_eq!(shown.alarms, 0, "{shown:?}");
    tokio::task::spawn_blocking(|| camera.stop()).await.unwrap().unwrap();
    let last = down(running).await;
    assert!(last.spooled >= 4 && last.lost == 0, "{last:?}");

    let looked = look(&site.recordings);
    let session = listed(&looked, "front-door").await[0].session;
    let manifest = looked.session(&Shelf::new("front-door").unwrap(), session).await.unwrap();
    fast::open(&manifest);
    let reached = whole(&looked, "front-door", session).await;
    println!("{left} epochs were left when live pictures came; reached epoch {reached}; {last:?}");
}

/// The camera's program. Killed when dropped.
struct Program(std::process::Child);

impl Drop for Program {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

fn program(link: &str, folder: &Path) -> Program {
    let started = Command::new(env!("CARGO_BIN_EXE_doorframe"))
        .args(["camera", link, "--source", "pattern:320x240@30", "--bitrate", "300", "--state"])
        .arg(folder.join("state"))
        .args(["--spool", "on", "--spool-bytes", "100M"])
        .stdout(Stdio::null())
        .spawn();
    Program(started.unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_camera_that_is_killed_and_started_again_delivers_what_it_had_kept() {
    let folder = folder("killed");
    let spool = folder.join("state/spool");
    let mut site = Site::new(&folder);
    let hub = site.hub();
    let link = hub.link().unwrap().to_string();
    hub.stop().await;
    let camera = program(&link, &folder);
    let started = Instant::now();
    // Without a lock file there is no folder yet.
    while !spool.exists() || listed(&look(&spool), "front-door").await.len() < 4 {
        assert!(started.elapsed() < PATIENCE, "{:?}", files(&spool));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    drop(camera);
    let kept = listed(&look(&spool), "front-door").await;
    let session = kept[0].session;
    assert!(kept.iter().all(|entry| entry.session == session));
    assert_eq!(look(&spool).sessions(&Shelf::new("front-door").unwrap()).await.unwrap(), [session]);

    let camera = program(&link, &folder);
    let running = site.up().await;
    stored(&running.1, "what was kept", |stats| stats.spooled >= kept.len() as u64).await;
    let looked = look(&site.recordings);
    let started = Instant::now();
    while listed(&look(&spool), "front-door").await.iter().any(|entry| entry.session == session) {
        assert!(started.elapsed() < PATIENCE, "{:?}", files(&spool));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(whole(&looked, "front-door", session).await, kept.last().unwrap().epoch);
    drop(camera);
    down(running).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_file_is_counted_leftovers_are_swept_and_the_others_go_through() {
    let folder = folder("damaged");
    let spool = folder.join("spool");
    let kept = fast::recorded(&store(&spool).await, 1, 12, 2_000, wall_us() - 60_000_000).await;
    let mut paths = files(&spool);
    paths.retain(|path| !path.parent().unwrap().ends_with("sessions"));
    paths.sort();
    let whole = std::fs::read(&paths[3]).unwrap();
    std::fs::write(&paths[3], &whole[..whole.len() / 2]).unwrap();
    std::fs::write(&paths[7], vec![7; whole.len()]).unwrap();
    // Without its manifest, or with a damaged one, nobody could open a session.
    let store = store(&spool).await;
    let lost = fast::recorded(&store, 2, 1, 2_000, wall_us() - 50_000_000).await[0].session;
    let mut manifest = store.session(&fast::shelf(), lost).await.unwrap().to_vec();
    manifest[200] ^= 1;
    store.put_session(&fast::shelf(), lost, manifest.into()).await.unwrap();
    let lost = fast::recorded(&store, 3, 1, 2_000, wall_us() - 40_000_000).await[0].session;
    store.remove_session(&fast::shelf(), lost).await.unwrap();
    drop(store);
    std::fs::write(paths[0].with_file_name("half-written#1"), b"DFEP").unwrap();

    let mut site = Site::new(&folder);
    let running = site.up().await;
    let camera = start(spooling("door", &spool), &running.0);
    let stats = until(&camera, "ten epochs", |spool| spool.delivered >= 10 && spool.on_disk == 0).await.spool;
    assert_eq!((stats.delivered, stats.damaged, stats.swept, stats.dropped), (10, 4, 1, 0));
    assert_eq!((running.1.stats().spooled, running.1.stats().refused), (10, 0));
    let looked = look(&site.recordings);
    let mut epochs: Vec<_> = listed(&looked, "door").await;
    epochs.retain(|entry| entry.session == kept[0].session);
    let epochs: Vec<_> = epochs.iter().map(|entry| entry.epoch.0).collect();
    assert_eq!(epochs, [0, 1, 2, 4, 5, 6, 8, 9, 10, 11]);
    drop(camera);
    down(running).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hub_that_does_not_record_costs_nothing_and_one_that_lies_only_what_it_claimed() {
    let folder = folder("lies");
    let spool = folder.join("spool");
    let kept = fast::recorded(&store(&spool).await, 1, 5, 2_000, wall_us() - 60_000_000).await;
    let session = kept[0].session;
    let mut site = Site::new(&folder);
    let hub = site.hub();
    let camera = start(spooling("door", &spool), &hub);
    let told = state(&camera, "word", |state| *state == SpoolState::Unconfirmed).await.to_string();
    assert!(told.contains("does it record?"), "{told}");
    assert!(camera.stats().spool.on_disk >= 5);

    let node = hub.node();
    let (lies, acks) = track(&node, "home/stored/door", "ack");
    let path = format!("home/spool/door/{session}");
    let mut epochs = tokio::time::timeout(PATIENCE, node.record(&path, "epoch", 10)).await.unwrap().unwrap();
    let mut group = tokio::time::timeout(PATIENCE, epochs.group()).await.unwrap().unwrap();
    let mut parts = Vec::new();
    while let Some(part) = group.object().await {
        parts.push(part);
    }
    let length = u32::from_be_bytes(parts.remove(0).as_ref().try_into().unwrap());
    let file = Bytes::from(parts.concat());
    assert_eq!((file.len(), EpochFile::parse(&file).unwrap().epoch), (length as usize, Epoch(0)), "the oldest first");
    let mut told = acks.group(0).unwrap();
    for other in [[&[9; 16][..], &[0; 4]].concat(), [&session.0[..], &99_u32.to_be_bytes()].concat(), vec![0; 3]] {
        told.write(MediaTime::default(), other.into()).unwrap();
    }
    told.write(MediaTime::default(), [&session.0[..], &4_u32.to_be_bytes()].concat().into()).unwrap();
    let stats = until(&camera, "the one confirmation that was right", |spool| spool.delivered == 1).await.spool;
    assert_eq!((stats.confirmed, stats.damaged, stats.dropped, stats.lost), (1, 0, 0, 0));
    assert!(stats.on_disk >= 4, "{stats:?}");
    drop((lies, acks, told, epochs, group));

    let recorder = Recorder::start(&hub, store(&site.recordings).await, RecorderConfig::default()).unwrap();
    until(&camera, "an honest hub", |spool| spool.on_disk == 0).await;
    let mut epochs = listed(&look(&site.recordings), "door").await;
    epochs.retain(|entry| entry.session == session);
    let mut epochs: Vec<_> = epochs.iter().map(|entry| entry.epoch.0).collect();
    epochs.sort_unstable();
    assert_eq!(epochs, [0, 1, 2, 3], "all but the one that a hub claimed to have");
    drop(camera);
    down((hub, recorder)).await;
}

fn track(node: &Node, path: &str, name: &str) -> (Broadcast, TrackWriter) {
    let broadcast = node.broadcast(path).unwrap();
    let track = broadcast.track(name, 100).unwrap();
    broadcast.announce().unwrap();
    (broadcast, track)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_spool_lets_the_oldest_go_and_says_so() {
    let folder = folder("full");
    let spool = folder.join("spool");
    let kept = fast::recorded(&store(&spool).await, 1, 10, 20_000, wall_us() - 60_000_000).await;
    let mut site = Site::new(&folder);
    let hub = site.hub();
    let link = hub.link().unwrap();
    hub.stop().await;
    let mut config = spooling("door", &spool);
    config.spool.bytes = kept.iter().map(|entry| entry.bytes).sum::<u64>() + 20_000;
    let most = config.spool.bytes;
    let camera = Camera::start(config, link, Clock::new(Instant::now())).unwrap();
    let stats = until(&camera, "two that had to go", |spool| spool.dropped >= 2).await.spool;
    assert!(stats.on_disk_bytes <= most && stats.lost == 0, "{stats:?}");
    let told = state(&camera, "word", |state| *state == SpoolState::Full).await.to_string();
    assert!(told.starts_with("no room is left on disk"), "{told}");
    let left = listed(&look(&spool), "door").await;
    assert!(!left.contains(&kept[0]) && left.contains(&kept[9]), "the oldest goes first: {left:?}");
    drop(camera);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_only_disk_is_said_and_the_camera_is_live_all_the_same() {
    let name = "a_read_only_disk_is_said_and_the_camera_is_live_all_the_same";
    let Some(disk) = Volume::mount("spool", 16_384, name) else { return };
    disk.remount("ro");
    let folder = folder("readonly");
    let mut site = Site::new(&folder);
    let running = site.up().await;
    let camera = start(spooling("door", &disk.path().join("spool")), &running.0);
    let told = state(&camera, "word", |state| matches!(state, SpoolState::Failing(_))).await.to_string();
    assert!(told.starts_with("NOTHING IS KEPT ON DISK: ") && told.contains("Read-only file system"), "{told}");
    stored(&running.1, "two epochs", |stats| stats.stored >= 2).await;
    let stats = camera.stats().spool;
    assert!(stats.failures > 0 && stats.lost == 0, "{stats:?}");

    disk.remount("rw");
    down(running).await;
    until(&camera, "a disk that works again", |spool| spool.on_disk >= 2).await;
    drop(camera);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recorder_takes_of_a_spool_what_its_camera_signed_once_and_the_whole_for_the_half() {
    let folder = folder("taken");
    let source = store(&folder.join("source")).await;
    let kept = fast::recorded(&source, 1, 3, 2_000, wall_us() - 60_000_000).await;
    let strange = fast::recorded(&source, 2, 1, 2_000, wall_us() - 60_000_000).await;
    let session = kept[0].session;
    let mut bytes = Vec::new();
    for entry in kept.iter().chain(&strange) {
        bytes.push(source.epoch(&fast::shelf(), entry).await.unwrap());
    }
    let recordings = folder.join("recordings");
    // What came of the second when the line broke.
    let target = store(&recordings).await;
    let half = EpochFile { closing: None, ..EpochFile::parse(&bytes[1]).unwrap() };
    let half = target.put(&fast::shelf(), &half).await.unwrap();

    let node = Arc::new(Node::new());
    let recorder = Recorder::on(node.clone(), "home", target, RecorderConfig::default()).unwrap();
    let manifest = source.session(&fast::shelf(), session).await.unwrap();
    let mut spool = fast::Spool::start(&node, session, manifest);
    let mut acks = node.record("home/stored/door", "ack", 0).await.unwrap();
    let whole = |n: usize| (&bytes[n], bytes[n].len());
    for (n, (bytes, length)) in [whole(0), whole(0), whole(1), whole(2)].into_iter().enumerate() {
        spool.send_as(bytes, length);
        stored(&recorder, "epoch", |stats| stats.stored + stats.known == n as u64 + 1).await;
    }
    // Another session's, one that was changed, one that is too long, and one that breaks off.
    let changed = Bytes::from([&bytes[0][..3000], &[1], &bytes[0][3001..]].concat());
    for (n, (bytes, length)) in [whole(3), (&changed, changed.len()), (&bytes[0], 1 << 30)].into_iter().enumerate() {
        spool.send_as(bytes, length);
        stored(&recorder, "refusal", |stats| stats.refused == n as u64 + 1).await;
    }
    spool.send_as(&bytes[0], bytes[0].len() + 1);
    spool.send_as(&bytes[2], bytes[2].len());
    let stats = stored(&recorder, "end", |stats| stats.known == 2).await;
    assert_eq!((stats.stored, stats.spooled, stats.refused, stats.kept), (3, 5, 3, 3), "{stats:?}");

    let mut heard = Vec::new();
    let mut group = acks.group().await.unwrap();
    while heard.len() < 5 {
        let object = group.object().await.unwrap();
        assert_eq!(object[..16], session.0);
        heard.push(u32::from_be_bytes(object[16..].try_into().unwrap()));
    }
    assert_eq!(heard, [0, 0, 1, 2, 2]);
    let looked = look(&recordings);
    let entries = listed(&looked, "door").await;
    assert_eq!(entries.len(), 3, "{entries:?}");
    assert!(entries.iter().any(|entry| entry.stored_us == half.stored_us && entry.bytes > half.bytes), "in its place");
    let verdict = fast::check(&looked, &entries, session).await;
    assert!(verdict.is_complete(), "{verdict:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_narrow_link_live_pictures_keep_their_rate_and_their_delay_while_the_rest_is_sent() {
    let folder = folder("narrow");
    let spool = folder.join("spool");
    let kept = fast::recorded(&store(&spool).await, 1, 40, 15_000, wall_us() - 120_000_000).await;
    let mut site = Site::new(&folder);
    let running = site.up().await;
    let mut link = running.0.link().unwrap();
    let mut watch = watch_link(&link);
    watch.camera = "door".parse().unwrap();
    let (uplink_bps, delay) = (AtomicU64::new(1_500_000), Duration::from_millis(20));
    let shape = Shape { uplink_bps, delay, queue: 120_000, loss: 0, seed: 7 };
    let shaper = Shaper::start(running.0.address(), shape).await;
    link.dial.url.set_port(Some(shaper.address.port())).unwrap();
    let mut config = spooling("door", &spool);
    config.bitrate = Bitrate::from_kbps(700);
    let camera = Camera::start(config, link, Clock::new(Instant::now())).unwrap();
    let watching = viewer(&watch);
    common::stats(&watching, "pictures", |stats| stats.frames_shown > 30).await;

    let (started, before) = (Instant::now(), watching.stats());
    let mut least = u32::MAX;
    while started.elapsed() < Duration::from_secs(20) {
        least = least.min(camera.stats().target_bps);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let (stats, shown) = (camera.stats(), watching.stats());
    let delay = shown.capture_to_picture.percentiles().unwrap();
    let sent = stats.spool.delivered * kept[0].bytes * 8 / 20_000;
    println!(
        "{} epochs, {sent} kbit/s beside live video, whose least target was {least} bit/s of 700000; {} pictures, {} skipped, {delay:?}",
        stats.spool.delivered,
        shown.frames_shown - before.frames_shown,
        stats.frames_skipped,
    );
    assert!(stats.spool.delivered >= 3, "{:?}", stats.spool);
    assert!(least > 350_000, "live video was told to go down to {least} bit/s with seed 7");
    assert!(shown.frames_shown - before.frames_shown > 480, "{shown:?} with seed 7");
    assert!(delay.p99 < 500.0, "{delay:?} with seed 7");
    drop(camera);
    down(running).await;
}
