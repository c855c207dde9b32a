//! A paired camera, its home's devices and a hub over real QUIC: who watches, who no longer does, and what is said.

#![expect(clippy::unwrap_used, reason = "a test may fail")]

mod common;

use common::{PATIENCE, config, hub, identity, state, stats};
use doorframe::camera::{Camera, CameraHome, HomeEvent};
use doorframe::hub::Hub;
use doorframe::link::{Alias, HubLink, WatchLink};
use doorframe::pairing::{CameraHub, Pairing, PairingEvent, pair};
use doorframe::sensor::Clock;
use doorframe::state::StateDir;
use doorframe::transport::devices::{CheckedList, Device, DeviceName, Expiry, HomeId, Role, Rotation};
use doorframe::transport::identity::{DeviceKey, SigningKey};
use doorframe::transport::moq::{Node, client_endpoint, dial};
use doorframe::transport::pairing::NewOwner;
use doorframe::vault::Home;
use doorframe::viewer::{NoSink, Own, Viewer, ViewerState};
use doorframe::wall_us;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Instant;
use tokio::sync::broadcast;
use zeroize::Zeroizing;

const MADE: u64 = 5;

fn signer(seed: u8) -> SigningKey {
    SigningKey::from_seed(&[seed; 32]).unwrap()
}

fn device(role: Role, seed: u8) -> Device {
    Device {
        role,
        signer: signer(seed).verifying_key(),
        public: DeviceKey::from_seed([seed; 32]).unwrap().public().clone(),
        generation: 1,
        expiry: Expiry::NEVER,
        name: DeviceName::new(&format!("device {seed}")).unwrap(),
    }
}

/// The first list of a home whose owner is device 1.
fn first(devices: &[Device]) -> CheckedList {
    CheckedList::first(HomeId([1; 16]), MADE, devices, &signer(1)).unwrap()
}

fn watch_link(link: &HubLink, seed: u8) -> WatchLink {
    WatchLink { device: Zeroizing::new([seed; 32]), ..common::watch_link(link) }
}

/// Watches as device `seed`, which has these lists.
fn watch(link: &HubLink, seed: u8, home: Home) -> Viewer {
    let own = Own { home, retired: Vec::new(), again: Box::new(|| None), keep: Box::new(|_| None) };
    Viewer::of_home(&watch_link(link, seed), own, [seed; 32], Box::new(NoSink), None).unwrap()
}

/// A camera that was paired, and what becomes of its lists.
fn camera(link: HubLink, home: Home) -> (Camera, broadcast::Receiver<HomeEvent>) {
    let mut config = config("pattern:320x240@30");
    let home = CameraHome::in_memory(home);
    let events = home.events();
    config.devices = Vec::new();
    config.home = Some(home);
    (Camera::start(config, link, Clock::new(Instant::now())).unwrap(), events)
}

fn start(devices: &[Device]) -> (Hub, HubLink, Camera, broadcast::Receiver<HomeEvent>, Home) {
    let hub = hub();
    let link = hub.link().unwrap();
    let home = Home::new(first(devices));
    let (camera, events) = camera(link.clone(), home.clone());
    (hub, link, camera, events, home)
}

/// `home` after its owner has made the list that follows, with `devices`.
fn after(home: &Home, devices: &[Device]) -> Home {
    let mut home = home.clone();
    let next = home.lists().checked().next(MADE, devices, &signer(1)).unwrap();
    home.handle(next.list().record()).unwrap();
    home
}

async fn live(viewer: &Viewer) -> ViewerState {
    state(viewer, "picture", |state| matches!(state, ViewerState::Live { .. })).await
}

async fn event(events: &mut broadcast::Receiver<HomeEvent>) -> HomeEvent {
    tokio::time::timeout(PATIENCE, events.recv()).await.unwrap().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_camera_that_was_paired_is_seen_by_its_owner() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("devices-paired");
    let _old = std::fs::remove_dir_all(&folder);
    let dir = StateDir::open(&folder).unwrap();
    let hub = hub();
    let link = hub.link().unwrap();
    let here = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let keep = dir.clone();
    let store = move |paired: &doorframe::transport::pairing::Paired| {
        CameraHome::store(&keep, &paired.list).map_err(|error| error.to_string())
    };
    let mut pairing = Pairing::listen(SocketAddr::new(here, 0), here, identity(), store).unwrap();
    let owner = device(Role::Owner, 1);
    let new = NewOwner { signer: owner.signer, public: owner.public.clone(), name: owner.name.clone() };
    let given = CameraHub::new(&link, Alias::front_door()).to_message().unwrap();
    let list = first(&[owner]);
    let scanned = pairing.link().to_string().parse().unwrap();
    pair(scanned, &new, &given, || Ok(list.clone())).await.unwrap();
    let Some(PairingEvent::Paired(paired)) = pairing.next().await else { panic!() };
    let told: CameraHub = paired.hub.as_str().parse().unwrap();

    let mut config = config("pattern:320x240@30");
    config.devices = Vec::new();
    config.alias = told.camera.clone();
    config.home = CameraHome::load(&dir).unwrap();
    let camera = Camera::start(config, told.link(), Clock::new(Instant::now())).unwrap();
    let viewer = watch(&link, 1, Home::new(list));
    live(&viewer).await;
    assert_eq!(viewer.stats().alarms, 0);
    drop(camera);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_removed_opens_nothing_from_the_next_session_on_and_the_others_watch_on() {
    let family = [device(Role::Owner, 1), device(Role::Member, 2), device(Role::Member, 3)];
    let (_hub, link, camera, mut events, home) = start(&family);
    let (stays, goes) = (watch(&link, 2, home.clone()), watch(&link, 3, home.clone()));
    let (ViewerState::Live { session, .. }, _) = (live(&stays).await, live(&goes).await) else { panic!() };
    let removed = after(&home, &family[..2]);
    let given = Instant::now();
    let owner = watch(&link, 1, removed);
    let change = event(&mut events).await;
    assert!(matches!(&change, HomeEvent::Changed(change) if change.to_string().contains("was removed")), "{change:?}");
    let (taken, before_it) = (Instant::now(), goes.stats().frames_shown);
    let rejected = state(&goes, "rejection", |state| matches!(state, ViewerState::Rejected(_))).await;
    assert_eq!(rejected.to_string(), "this device is not on the camera's device list");
    let shown = goes.stats().frames_shown;
    assert!(shown - before_it <= 60, "{} pictures, more than an epoch's, after the list was taken", shown - before_it);
    state(&stays, "the next session", |state| matches!(state, ViewerState::Live { session: s, .. } if *s != session))
        .await;
    // Two seconds are an epoch; the rest is for a machine that is busy.
    println!("given in {:?}, a new session {:?} after it was taken", taken - given, taken.elapsed());
    live(&owner).await;
    let before = stays.stats().frames_shown;
    stats(&stays, "more pictures", |stats| stats.frames_shown > before + 60).await;
    assert_eq!(goes.stats().frames_shown, shown, "who was removed has seen more");
    assert_eq!((camera.stats().lists_taken, camera.stats().lists_refused), (1, 0));
    assert_eq!(owner.stats().alarms, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_list_and_a_strangers_are_counted_and_said_and_change_nothing() {
    let family = [device(Role::Owner, 1), device(Role::Member, 2)];
    let home = Home::new(first(&family));
    let newest = CameraHome::in_memory(after(&home, &family[..1]));
    let mut events = newest.events();
    let list = newest.list();
    let old = home.lists().newest().record();
    newest.handle(old).unwrap_err();
    let HomeEvent::Refused(words) = event(&mut events).await else { panic!() };
    assert!(words.contains("somebody tries to bring an old one back"), "{words}");
    let stranger = CheckedList::first(HomeId([9; 16]), MADE, &[device(Role::Owner, 9)], &signer(9)).unwrap();
    newest.handle(stranger.list().record()).unwrap_err();
    let forked = after(
        &home,
        &[device(Role::Owner, 1), device(Role::Guest, 4)]
            .map(|device| Device { expiry: Expiry::at(u64::MAX), ..device }),
    );
    newest.handle(forked.lists().newest().record()).unwrap_err();
    assert_eq!(newest.list(), list);
    // The same over the network: a device that was put back to an old copy offers its fork to the camera.
    let hub = hub();
    let link = hub.link().unwrap();
    let (camera, mut events) = camera(link.clone(), home.clone());
    let owner = watch(&link, 1, home.clone());
    live(&owner).await;
    let other = CheckedList::first(HomeId([1; 16]), MADE + 1, &[device(Role::Owner, 9)], &signer(9)).unwrap();
    let mut foreign = Home::new(other);
    let next = foreign.lists().checked().next(MADE, &[device(Role::Owner, 9)], &signer(9)).unwrap();
    foreign.handle(next.list().record()).unwrap();
    let _turned = watch(&link, 2, foreign);
    let HomeEvent::Refused(words) = event(&mut events).await else { panic!() };
    assert!(words.contains("is no owner"), "{words}");
    assert_eq!((camera.stats().lists_taken, camera.stats().lists_refused), (0, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_that_no_owner_put_on_the_list_is_an_alarm() {
    let (_hub, link, _camera, _events, home) = start(&[device(Role::Owner, 1), device(Role::Member, 2)]);
    // The camera has another first list than this device: with one device more.
    let ours = Home::new(first(&[device(Role::Owner, 1)]));
    let viewer = watch(&link, 1, ours);
    let alarm = state(&viewer, "alarm", |state| matches!(state, ViewerState::Alarm(_))).await;
    assert!(alarm.to_string().contains("somebody may be on it whom no owner put there"), "{alarm}");
    let honest = watch(&link, 2, home);
    live(&honest).await;
    assert_eq!(honest.stats().alarms, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_camera_without_a_list_is_watched_by_its_link_and_is_an_alarm_for_a_home() {
    let hub = hub();
    let link = hub.link().unwrap();
    let _camera = common::camera(link.clone());
    let by_link = common::viewer(&common::watch_link(&link));
    live(&by_link).await;
    assert_eq!(by_link.stats().alarms, 0);
    let of_home = watch(&link, 22, Home::new(first(&[device(Role::Owner, 1)])));
    let alarm = state(&of_home, "alarm", |state| matches!(state, ViewerState::Alarm(_))).await;
    assert!(alarm.to_string().contains("it has no device list"), "{alarm}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_expiry_that_passes_ends_the_session_for_the_guest() {
    let until = wall_us() + 12_000_000;
    let guest = Device { expiry: Expiry::at(until), ..device(Role::Guest, 4) };
    let (_hub, link, _camera, _events, home) = start(&[device(Role::Owner, 1), guest]);
    let (owner, guest) = (watch(&link, 1, home.clone()), watch(&link, 4, home));
    live(&guest).await;
    state(&guest, "the end", |state| matches!(state, ViewerState::Rejected(_))).await;
    assert!(wall_us() >= until, "it ended too early");
    live(&owner).await;
    assert_eq!(owner.stats().alarms, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotated_key_is_sealed_to_and_the_old_one_opens_until_then() {
    let (_hub, link, camera, mut events, home) = start(&[device(Role::Owner, 1)]);
    let mut rotated = home.clone();
    let public = DeviceKey::from_seed([7; 32]).unwrap().public().clone();
    let device = signer(1).verifying_key();
    let rotation = Rotation { home: HomeId([1; 16]), device, generation: 2, public, made_wall_us: MADE };
    rotated.handle(&rotation.emit(&signer(1))).unwrap();
    let retired = vec![DeviceKey::from_seed([1; 32]).unwrap()];
    let own = Own { home: rotated, retired, again: Box::new(|| None), keep: Box::new(|_| None) };
    let viewer = Viewer::of_home(&watch_link(&link, 7), own, [7; 32], Box::new(NoSink), None).unwrap();
    live(&viewer).await;
    assert!(matches!(event(&mut events).await, HomeEvent::Changed(_)));
    // Whoever has only the old key is shut out, and the new one by itself opens.
    let new_only = common::viewer(&watch_link(&link, 7));
    live(&new_only).await;
    let old_only = common::viewer(&watch_link(&link, 1));
    state(&old_only, "rejection", |state| matches!(state, ViewerState::Rejected(_))).await;
    assert_eq!((camera.stats().lists_taken, viewer.stats().alarms), (1, 0));
}

/// Keeps what the camera hands over, as a vault does.
fn keeping(home: Home) -> (Own, Arc<Mutex<Home>>) {
    let kept = Arc::new(Mutex::new(home.clone()));
    let ours = kept.clone();
    let keep = move |record: &[u8]| {
        let mut home = ours.lock().unwrap();
        home.handle(record).ok()?;
        Some(home.clone())
    };
    (Own { home, retired: Vec::new(), again: Box::new(|| None), keep: Box::new(keep) }, kept)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_that_has_an_old_list_gets_the_newest_from_the_camera() {
    let family = [device(Role::Owner, 1), device(Role::Member, 2), device(Role::Member, 3)];
    let old = Home::new(first(&family[..2]));
    let (hub, newest) = (hub(), after(&after(&old, &family), &family));
    let link = hub.link().unwrap();
    let (_camera, _events) = camera(link.clone(), newest.clone());
    let (own, kept) = keeping(old);
    let viewer = Viewer::of_home(&watch_link(&link, 2), own, [2; 32], Box::new(NoSink), None).unwrap();
    live(&viewer).await;
    let has_it = || kept.lock().unwrap().lists().newest() == newest.lists().newest();
    stats(&viewer, "the newest list", |_| has_it()).await;
    assert_eq!(viewer.stats().alarms, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_hub_sees_no_name_and_no_key_of_a_device() {
    let family = [device(Role::Owner, 1), device(Role::Member, 2)];
    let (hub, link, _camera, mut events, home) = start(&family[..1]);
    // Whoever runs the hub reads all that it relays.
    let endpoint = client_endpoint().unwrap();
    let spy = Arc::new(Node::new());
    let _line = dial(&endpoint, &spy, &link.dial).await.unwrap();
    let mut viewers = spy.announcements("viewer");
    let changed = after(&home, &family);
    let owner = watch(&link, 1, changed.clone());
    let viewer = tokio::time::timeout(PATIENCE, viewers.next()).await.unwrap().unwrap();
    let mut track = spy.subscribe(&format!("viewer/{}", viewer.name), "devices", 0).await.unwrap();
    assert!(matches!(event(&mut events).await, HomeEvent::Changed(_)));
    let seen = async {
        loop {
            let mut group = track.group().await.unwrap();
            if let Some(letter) = group.object().await {
                return letter;
            }
        }
    };
    let letter = tokio::time::timeout(PATIENCE, seen).await.unwrap();
    let holds = |bytes: &[u8], part: &[u8]| bytes.windows(part.len()).any(|window| window == part);
    let record = changed.lists().newest().record();
    assert!(holds(record, b"device 2") && holds(record, &family[1].signer.0));
    assert!(!holds(&letter, b"device 2") && !holds(&letter, &family[1].signer.0));
    // Two devices or one: the same length.
    assert_eq!(letter.len(), 2 + 16 + 1 + 12 + 4096 + 16);
    drop((owner, hub));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newer_list_that_never_comes_is_an_alarm() {
    let family = [device(Role::Owner, 1), device(Role::Member, 2)];
    let first = Home::new(first(&family));
    let third = after(&after(&first, &family), &family);
    // A camera that was paired with the third list has no other to hand over.
    let hub = hub();
    let link = hub.link().unwrap();
    let (_camera, _events) = camera(link.clone(), Home::new(third.lists().checked().clone()));
    let (own, _kept) = keeping(first);
    let viewer = Viewer::of_home(&watch_link(&link, 2), own, [2; 32], Box::new(NoSink), None).unwrap();
    live(&viewer).await;
    let alarm = state(&viewer, "alarm", |state| matches!(state, ViewerState::Alarm(_))).await.to_string();
    assert!(alarm.contains("device list 3") && alarm.contains("no owner has shown"), "{alarm}");
}

#[tokio::test]
async fn a_list_is_in_force_and_said_when_the_disk_does_not_take_it() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("devices-disk");
    let dir = StateDir::open(&folder).unwrap();
    let home = Home::new(first(&[device(Role::Owner, 1), device(Role::Member, 2)]));
    CameraHome::store(&dir, home.lists().checked()).unwrap();
    let kept = CameraHome::load(&dir).unwrap().unwrap();
    let mut events = kept.events();
    std::fs::remove_dir_all(&folder).unwrap();
    let removed = after(&home, &[device(Role::Owner, 1)]);
    kept.handle(removed.lists().newest().record()).unwrap();
    assert_eq!(kept.list(), removed.lists().newest().reference());
    assert!(matches!(event(&mut events).await, HomeEvent::Changed(_)));
    let HomeEvent::NotKept(words) = event(&mut events).await else { panic!() };
    assert!(words.contains("camera-home"), "{words}");
    // As soon as the disk takes it, it is there.
    let dir = StateDir::open(&folder).unwrap();
    let loaded = || CameraHome::load(&dir).ok().flatten().map(|home| home.list());
    let started = Instant::now();
    while loaded() != Some(removed.lists().newest().reference()) {
        assert!(started.elapsed() < PATIENCE, "not tried again");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}
