//! What happens before a camera, over real QUIC on loopback: motion and the doorbell, told live, hidden from the hub, and kept.

#![expect(clippy::unwrap_used, reason = "a test may fail")]

mod common;

use bytes::Bytes;
use common::{PATIENCE, config, device, hub, identity, state, viewer, watch_link};
use doorframe::archive::Archive;
use doorframe::camera::{BellDevice, BellState, Camera, CameraConfig, PreRoll, Ring, Watch};
use doorframe::codec::motion;
use doorframe::link::HubLink;
use doorframe::recorder::{RecordMode, Recorder, RecorderConfig};
use doorframe::sensor::Clock;
use doorframe::transport::events::EventKind;
use doorframe::transport::keys::Epoch;
use doorframe::transport::moq::{Connection, GroupReader, Node, TrackReader, client_endpoint, dial};
use doorframe::transport::store::{Patience, Place, Shelf, Store};
use doorframe::viewer::{Happened, Viewer, ViewerState};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tokio::sync::{broadcast, watch};

fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("events").join(name);
    let _none = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

fn start(config: CameraConfig, link: HubLink) -> Camera {
    Camera::start(config, link, Clock::new(Instant::now())).unwrap()
}

/// The test pattern's ball never rests.
fn watching(alias: &str) -> CameraConfig {
    let mut config = config("pattern:320x240@30");
    config.alias = alias.parse().unwrap();
    config.front.motion = Watch::On(motion::Checked::default());
    config
}

async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(value) => value,
        Err(_) => panic!("no {what} within {PATIENCE:?}"),
    }
}

async fn next(happened: &mut broadcast::Receiver<Happened>) -> Happened {
    soon("event", happened.recv()).await.unwrap()
}

/// The epoch on the screen.
async fn epoch(viewer: &Viewer, least: u32) -> Epoch {
    let live = state(viewer, "epoch", |s| matches!(s, ViewerState::Live { epoch, .. } if epoch.0 >= least)).await;
    let ViewerState::Live { epoch, .. } = live else { unreachable!() };
    epoch
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn motion_is_told_when_its_epoch_is_over_and_the_doorbell_at_once() {
    let hub = hub();
    let link = hub.link().unwrap();
    let camera = start(watching("front-door"), link.clone());
    let viewer = viewer(&watch_link(&link));
    let mut happened = viewer.happened();
    let began = next(&mut happened).await;
    assert_eq!(began.event.kind, EventKind::MotionBegan);
    assert!((1..500).contains(&began.event.area.per_mille()) && began.event.score >= 10, "{began:?}");
    let now = doorframe::wall_us();
    assert!(began.wall_us.unwrap() < now && now - began.wall_us.unwrap() < 60_000_000, "{began:?}");

    // Just after an epoch began there are two seconds until it ends; a machine that is busy may let them pass.
    let mut rings = 0;
    let last = loop {
        let before = epoch(&viewer, 0).await;
        epoch(&viewer, before.0 + 1).await;
        assert_eq!((camera.ring(), camera.ring()), (Ring::Taken, Ring::Again));
        rings += 1;
        let rang = next(&mut happened).await;
        assert_eq!(rang.event.kind, EventKind::Doorbell);
        if epoch(&viewer, 0).await == rang.epoch {
            break rang.epoch;
        }
        assert!(rings < 5, "told only when its epoch is over: {rang:?}");
    };
    epoch(&viewer, last.0 + 2).await;
    assert!(happened.try_recv().is_err(), "the doorbell is told once, though its epoch says it again");
    let stats = camera.stats();
    assert_eq!((stats.doorbells, stats.motion_events, stats.events_left_out), (rings, 1, 0));

    tokio::task::spawn_blocking(|| camera.stop()).await.unwrap().unwrap();
    assert_eq!(next(&mut happened).await.event.kind, EventKind::MotionEnded);
    let seen = viewer.stats();
    assert_eq!((seen.lost, seen.dropped, seen.alarms), (0, 0, 0), "{seen:?}");
}

/// What a hub, or anybody whom it lets subscribe, gets of a camera's newest session.
struct Relayed {
    node: Node,
    _connection: Connection,
    path: String,
}

impl Relayed {
    async fn of(link: &HubLink, alias: &str) -> Self {
        let node = Node::new();
        let connection = dial(&client_endpoint().unwrap(), &node, &watch_link(link).dial()).await.unwrap();
        let session = soon("session", node.announcements(alias).next()).await.unwrap();
        let path = format!("{alias}/{}", session.name);
        Self { node, _connection: connection, path }
    }

    async fn track(&self, name: &str) -> TrackReader {
        soon("track", self.node.record(&self.path, name, 1)).await.unwrap()
    }
}

/// Sizes of all objects of the next groups, read to their end, without what the number of the epoch takes in their headers.
async fn sizes(track: &mut TrackReader, groups: usize) -> Vec<Vec<usize>> {
    let mut sizes = Vec::new();
    while sizes.len() < groups {
        let mut group: GroupReader = soon("group", track.group()).await.unwrap();
        let number = usize::from(group.sequence() > 7);
        let mut objects = Vec::new();
        while let Some(object) = soon("object", group.object()).await {
            objects.push(object.len() - number);
        }
        sizes.push(objects);
    }
    sizes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hub_cannot_tell_from_the_event_objects_whether_anything_happened() {
    let hub = hub();
    let link = hub.link().unwrap();
    let busy = start(watching("front-door"), link.clone());
    let mut config = config("pattern:320x240@30");
    config.alias = "back-door".parse().unwrap();
    let _still = start(config, link.clone());
    let (front, back) = (Relayed::of(&link, "front-door").await, Relayed::of(&link, "back-door").await);
    let (mut events, mut nothing) = (front.track("event").await, back.track("event").await);
    let mut quiet = back.track("bell").await;
    busy.ring();
    let (events, nothing, quiet) = tokio::join!(sizes(&mut events, 3), sizes(&mut nothing, 3), sizes(&mut quiet, 3));
    let size = events[0][0];
    assert!(size >= 256);
    assert_eq!(events, [[size], [size], [size]], "one a epoch, of one size, with motion and a doorbell");
    assert_eq!(nothing, events, "and without");
    assert_eq!(quiet, [[0; 0]; 3], "nobody rang there");
    let stats = busy.stats();
    assert_eq!((stats.doorbells, stats.motion_events), (1, 1), "{stats:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_event_mode_exactly_the_named_epochs_are_kept_with_what_was_before_and_show_what_happened() {
    let folder = folder("kept");
    let hub = hub();
    let link = hub.link().unwrap();
    let place = Place::Folder(folder.clone());
    let store = Store::open(&place, Patience::default()).await.unwrap();
    let mut recording = RecorderConfig::default();
    recording.mode = RecordMode::Event;
    let recorder = Recorder::start(&hub, store, recording).unwrap();
    let mut named = config("pattern:160x128@30");
    named.keep = PreRoll::new(Duration::from_secs(4));
    let camera = start(named, link.clone());
    let relayed = Relayed::of(&link, "front-door").await;
    let mut keep = relayed.track("keep").await;
    let viewer = viewer(&watch_link(&link));
    let mut happened = viewer.happened();
    epoch(&viewer, 4).await;
    camera.ring();
    let rang = next(&mut happened).await;
    let wanted: Vec<_> = (rang.epoch.0 - 2..=rang.epoch.0 + 1).collect();

    // What the hub sees: these numbers, in clear.
    let mut names = soon("group", keep.group()).await.unwrap();
    let mut seen = Vec::new();
    while seen.len() < wanted.len() {
        let name: Bytes = soon("name", names.object()).await.unwrap();
        seen.push(u32::from_be_bytes(name.as_ref().try_into().unwrap()));
    }
    assert_eq!(seen, wanted);
    // What is not named comes and goes.
    epoch(&viewer, rang.epoch.0 + 4).await;
    tokio::task::spawn_blocking(|| camera.stop()).await.unwrap().unwrap();
    let ended = recorder.stop().await;
    assert_eq!((ended.stored, ended.lost, ended.refused), (4, 0, 0), "{ended:?}");

    let looked = Store::look_into(&place, Patience::default()).unwrap();
    let shelf = Shelf::new("front-door").unwrap();
    let mut kept = Vec::new();
    for hour in looked.hours(&shelf).await.unwrap() {
        kept.extend(looked.hour(&shelf, hour).await.unwrap().iter().map(|entry| entry.epoch.0));
    }
    kept.sort_unstable();
    assert_eq!(kept, wanted);

    let key = identity().verifying_key();
    let mut archive = Archive::open_folder(&folder, "front-door", key, vec![device()]).await.unwrap();
    let at = rang.wall_us.unwrap();
    let mut found = archive.find(at - 1_000_000, at + 1_000_000).await.unwrap();
    let mut events = Vec::new();
    while let Some(played) = found.next(&mut archive).await.unwrap() {
        assert_eq!(played.unopened, 0);
        events.extend(played.events);
    }
    assert_eq!(events.iter().map(|event| event.event).collect::<Vec<_>>(), [rang.event]);
    assert!(events[0].wall_us.abs_diff(at) < 1_000, "{events:?}, {rang:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_camera_names_no_epoch_unless_it_is_asked_to() {
    let hub = hub();
    let link = hub.link().unwrap();
    let camera = start(config("pattern:160x128@30"), link.clone());
    let viewer = viewer(&watch_link(&link));
    let mut happened = viewer.happened();
    epoch(&viewer, 0).await;
    camera.ring();
    next(&mut happened).await;
    let relayed = Relayed::of(&link, "front-door").await;
    let track = soon("answer", relayed.node.record(&relayed.path, "keep", 1)).await;
    if let Ok(mut track) = track {
        assert!(soon("end", track.group()).await.is_none());
    }
}

async fn until(states: &mut watch::Receiver<BellState>, wished: impl FnMut(&BellState) -> bool) -> BellState {
    soon("state of the button", states.wait_for(wished)).await.unwrap().clone()
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_button_rings_and_is_found_again_when_it_was_gone() {
    /// The kernel's record of a key that goes down.
    fn press() -> Vec<u8> {
        let mut record = vec![0; 2 * size_of::<usize>()];
        record.extend_from_slice(&1_u16.to_ne_bytes());
        record.extend_from_slice(&28_u16.to_ne_bytes());
        record.extend_from_slice(&1_i32.to_ne_bytes());
        record
    }
    let path = folder("button").join("event0");
    let hub = hub();
    let link = hub.link().unwrap();
    let camera = start(config("pattern:160x128@30"), link.clone());
    let viewer = viewer(&watch_link(&link));
    let mut happened = viewer.happened();
    let button = BellDevice::start(&path, camera.bell()).unwrap();
    let mut states = button.state();
    let gone = until(&mut states, |state| matches!(state, BellState::Gone(_))).await;
    assert!(format!("{gone:?}").contains("event0: No such file"), "{gone:?}");

    assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
    until(&mut states, |state| *state == BellState::Ready).await;
    for _ in 0..2 {
        epoch(&viewer, 0).await;
        // Each writer of the pipe leaves, as a device does that is pulled.
        let mut pipe = std::fs::File::options().write(true).open(&path).unwrap();
        pipe.write_all(&[press(), press()].concat()).unwrap();
        drop(pipe);
        assert_eq!(next(&mut happened).await.event.kind, EventKind::Doorbell);
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert_eq!(until(&mut states, |state| matches!(state, BellState::Rang(_))).await, BellState::Rang(2));
}
