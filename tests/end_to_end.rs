//! Camera, hub and viewer over real QUIC on loopback.

#![expect(clippy::unwrap_used, reason = "a test may fail")]

mod common;

use common::{PATIENCE, camera, config, device, hub, identity, state, stats, viewer, watch_link};
use doorframe::camera::{Camera, MotionEvent, UplinkState, Watch};
use doorframe::codec::AccessUnit;
use doorframe::hub::{Hub, HubConfig, HubIdentity};
use doorframe::sensor::Clock;
use doorframe::state::random32;
use doorframe::transport::identity::{DeviceKey, SigningKey};
use doorframe::transport::moq::{Node, Trust, client_endpoint, dial};
use doorframe::viewer::{Sink, Viewer, ViewerState};
use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Instant;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_camera_is_seen_through_a_hub_whole_and_proved_fresh() {
    let hub = hub();
    let link = hub.link().unwrap();
    let camera = camera(link.clone());
    let viewer = viewer(&watch_link(&link));
    let seen = stats(&viewer, "three epochs", |s| s.keyframes >= 4).await;
    assert!(seen.frames_shown >= 90, "{seen:?}");
    assert_eq!((seen.lost, seen.dropped, seen.alarms), (0, 0, 0), "{seen:?}");
    state(&viewer, "signed challenge", |s| matches!(s, ViewerState::Live { proved_fresh: true, .. })).await;
    camera.stop().unwrap();
    state(&viewer, "word that the camera left", |s| *s == ViewerState::Gone).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_viewers_see_one_camera_and_a_late_one_starts_at_once() {
    let hub = hub();
    let link = hub.link().unwrap();
    let _camera = camera(link.clone());
    let first = viewer(&watch_link(&link));
    stats(&first, "pictures", |s| s.frames_shown > 40).await;
    let second = viewer(&watch_link(&link));
    let seen = stats(&second, "pictures", |s| s.frames_shown > 40).await;
    assert!(seen.first_picture.is_some());
    assert_eq!(seen.undecoded, 0, "a group is read from its keyframe on: {seen:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_device_another_camera_and_another_hub_are_refused_in_words() {
    let hub = hub();
    let link = hub.link().unwrap();
    let _camera = camera(link.clone());
    let good = watch_link(&link);

    let mut stranger = good.clone();
    *stranger.device = [99; 32];
    let stranger = viewer(&stranger);
    let rejected = state(&stranger, "rejection", |s| matches!(s, ViewerState::Rejected(_))).await;
    assert_eq!(rejected.to_string(), "this device is not on the camera's device list");
    assert_eq!(stranger.stats().frames_shown, 0);

    let mut deceived = good.clone();
    deceived.identity = SigningKey::from_seed(&[98; 32]).unwrap().verifying_key();
    let deceived = viewer(&deceived);
    let rejected = state(&deceived, "rejection", |s| matches!(s, ViewerState::Rejected(_))).await;
    assert!(rejected.to_string().contains(&identity().verifying_key().fingerprint()), "{rejected}");
    assert_eq!(deceived.stats().frames_shown, 0);

    let mut elsewhere = good.clone();
    elsewhere.trust = Trust::Pinned([97; 32]);
    let elsewhere = viewer(&elsewhere);
    let down = state(&elsewhere, "impostor", |s| matches!(s, ViewerState::Down(_))).await;
    assert!(down.to_string().contains("certificate differs"), "{down}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_and_missing_tokens_are_refused_in_words() {
    let hub = hub();
    let link = hub.link().unwrap();
    let mut forged = watch_link(&link);
    forged.token = "e30.e30.e30".into();
    let forged = viewer(&forged);
    let refused = state(&forged, "refusal", |s| matches!(s, ViewerState::Refused(_))).await;
    assert!(refused.to_string().contains("this token is not from this hub"), "{refused}");

    let mut missing = watch_link(&link);
    missing.token = String::new();
    let missing = viewer(&missing);
    let refused = state(&missing, "refusal", |s| matches!(s, ViewerState::Refused(_))).await;
    assert!(refused.to_string().contains("no token"), "{refused}");

    let mut elsewhere = link.clone();
    elsewhere.dial.url.set_path("/office");
    let camera = camera(elsewhere);
    let mut uplink = camera.uplink();
    let wait = uplink.wait_for(|s| matches!(s, UplinkState::Refused(_)));
    let refused = tokio::time::timeout(PATIENCE, wait).await.unwrap().unwrap().clone();
    assert_eq!(refused, UplinkState::Refused("this token is for home, not for office".into()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_viewers_token_cannot_publish_a_camera() {
    let hub = hub();
    let link = hub.link().unwrap();
    let mut thief = link.clone();
    thief.dial.url.query_pairs_mut().clear().append_pair("jwt", &link.watch_token);
    // The thief has even the camera's keys: only the hub can stop him.
    let forger = camera(thief);
    let honest = viewer(&watch_link(&link));
    state(&honest, "connection", |s| *s == ViewerState::Waiting).await;
    let mut uplink = forger.uplink();
    tokio::time::timeout(PATIENCE, uplink.wait_for(|s| *s == UplinkState::Up)).await.unwrap().unwrap();
    let started = Instant::now();
    while forger.stats().frames_sealed < 90 {
        assert!(started.elapsed() < PATIENCE, "{:?}", forger.stats());
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(*honest.state().borrow(), ViewerState::Waiting, "somebody who may only watch has published");
    assert_eq!(honest.stats().bytes, 0);
    drop(forger);
    let config = config("pattern:160x128@30");
    let real = Camera::start(config, link, Clock::new(Instant::now())).unwrap();
    let live = state(&honest, "picture", |s| matches!(s, ViewerState::Live { .. })).await;
    let ViewerState::Live { size, .. } = live else { unreachable!() };
    assert_eq!(size.to_string(), "160x128");
    drop(real);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hub_that_is_killed_and_started_again_is_found_again() {
    let mut config = HubConfig::local();
    let identity = HubIdentity::fresh(&config.host).unwrap();
    let hub = Hub::start(config.clone(), &identity).unwrap();
    let link = hub.link().unwrap();
    let _camera = camera(link.clone());
    let viewer = viewer(&watch_link(&link));
    let before = stats(&viewer, "pictures", |s| s.frames_shown > 20).await.frames_shown;
    config.listen = hub.address();
    drop(hub);
    let down = state(&viewer, "loss", |s| matches!(s, ViewerState::Down(_))).await;
    // Which of the two depends on whether it has tried again by now.
    let down = down.to_string();
    assert!(down.contains("lost") || down.contains("does not answer"), "{down}");
    let _again = restart(&config, &identity).await;
    stats(&viewer, "pictures again", |s| s.frames_shown > before + 60).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_nobody_watching_the_camera_keeps_its_rate() {
    let hub = hub();
    let camera = camera(hub.link().unwrap());
    let mut uplink = camera.uplink();
    tokio::time::timeout(PATIENCE, uplink.wait_for(|s| *s == UplinkState::Up)).await.unwrap().unwrap();
    let started = Instant::now();
    while camera.stats().frames_sealed < 150 {
        assert!(started.elapsed() < PATIENCE, "{:?}", camera.stats());
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let stats = camera.stats();
    assert_eq!((stats.target_bps, stats.frames_skipped), (1_500_000, 0), "{stats:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn somebody_elses_session_under_the_cameras_name_is_passed_over() {
    let hub = hub();
    let link = hub.link().unwrap();
    let _camera = camera(link.clone());
    let viewer = viewer(&watch_link(&link));
    let before = stats(&viewer, "pictures", |s| s.frames_shown > 20).await.frames_shown;
    let mut other = config("pattern:160x128@30");
    other.identity = SigningKey::from_seed(&[66; 32]).unwrap();
    let _other = Camera::start(other, link, Clock::new(Instant::now())).unwrap();
    stats(&viewer, "pictures still", |s| s.frames_shown > before + 90).await;
    state(&viewer, "its own camera", |s| matches!(s, ViewerState::Live { .. })).await;
    assert_eq!(viewer.stats().alarms, 0);
}

/// The port is free once the old hub's last task is gone.
async fn restart(config: &HubConfig, identity: &HubIdentity) -> Hub {
    for _ in 0..200 {
        match Hub::start(config.clone(), identity) {
            Ok(hub) => return hub,
            Err(doorframe::hub::HubError::InUse(_)) => tokio::time::sleep(std::time::Duration::from_millis(20)).await,
            Err(error) => panic!("{error}"),
        }
    }
    panic!("port {} stays taken", config.listen);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_port_in_use_is_named() {
    let hub = hub();
    let mut config = HubConfig::local();
    config.listen = hub.address();
    let identity = HubIdentity::fresh(&config.host).unwrap();
    let error = Hub::start(config, &identity).unwrap_err().to_string();
    assert!(error.starts_with(&format!("UDP port {} is in use", hub.address().port())), "{error}");
}

/// Keeps the access units that the owner sees.
#[derive(Clone, Default)]
struct Keep(Arc<Mutex<Vec<AccessUnit>>>);

impl Sink for Keep {
    fn unit(&mut self, unit: &AccessUnit) {
        self.0.lock().unwrap().push(unit.clone());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_hub_is_blind() {
    let hub = hub();
    let link = hub.link().unwrap();
    let _camera = camera(link.clone());
    let keep = Keep::default();
    let watch = watch_link(&link);
    let owner = Viewer::start(&watch, random32().unwrap(), Box::new(keep.clone()), None).unwrap();

    // Everything that passes through the hub is what any subscriber gets: take it all, with the hub's own token.
    let node = Arc::new(Node::new());
    let endpoint = client_endpoint().unwrap();
    let _connection = dial(&endpoint, &node, &watch.dial()).await.unwrap();
    let mut sessions = node.announcements("front-door");
    let session = tokio::time::timeout(PATIENCE, sessions.next()).await.unwrap().unwrap();
    let path = format!("front-door/{}", session.name);
    let (mut relayed, mut sealed) = (Vec::new(), Vec::new());
    for track in ["session", "manifest", "event", "video"] {
        let mut reader = node.subscribe(&path, track, 1).await.unwrap();
        let mut group = tokio::time::timeout(PATIENCE, reader.group()).await.unwrap().unwrap();
        let mut objects = 0;
        while objects < 20 {
            let next = tokio::time::timeout(PATIENCE, group.object()).await.unwrap();
            let Some(object) = next else { break };
            objects += 1;
            if ["event", "video"].contains(&track) {
                sealed.push(object.clone());
            }
            relayed.push(object);
        }
    }
    stats(&owner, "pictures", |s| s.frames_shown > 60).await;
    let units = keep.0.lock().unwrap().clone();
    assert!(relayed.len() >= 12 && units.len() > 60, "{} objects, {} units", relayed.len(), units.len());

    let windows: HashSet<&[u8]> = relayed.iter().flat_map(|object| object.windows(12)).collect();
    for unit in &units {
        assert!(unit.data.chunks_exact(12).all(|piece| !windows.contains(piece)), "plaintext at the hub");
    }
    assert!(units.iter().any(AccessUnit::is_keyframe), "there was something to find");
    // Start codes and parameter sets would be the first thing to look for: none in sealed objects.
    for object in &sealed {
        assert!(!object.windows(4).any(|window| window == [0, 0, 0, 1]), "start code at the hub");
    }
    let entropy = entropy(&relayed[relayed.len() - 1]);
    assert!(entropy > 6.0, "sealed bytes have {entropy:.2} bits of entropy each");
    // What the hub has, its tokens and the manifests it relays, opens nothing.
    for seed in [[0; 32], [21; 32], [23; 32]] {
        let key = DeviceKey::from_seed(seed).unwrap();
        let mut machine = doorframe::transport::Viewer::new(key, identity().verifying_key(), [0; 16]);
        assert!(machine.handle_session(&relayed[0]).is_err());
    }
    let mut machine = doorframe::transport::Viewer::new(device(), identity().verifying_key(), [0; 16]);
    assert!(machine.handle_session(&relayed[0]).is_ok(), "and the owner's key does");
}

/// Shannon's, in bits a byte.
fn entropy(bytes: &[u8]) -> f64 {
    let mut counts = [0_u32; 256];
    bytes.iter().for_each(|b| counts[usize::from(*b)] += 1);
    let share = counts.iter().filter(|c| **c > 0).map(|c| f64::from(*c) / bytes.len() as f64);
    share.map(|p| -p * p.log2()).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_moves_is_told_to_who_subscribed_and_is_over_when_the_camera_is() {
    let hub = hub();
    let link = hub.link().unwrap();
    let mut config = config("pattern:320x240@30");
    config.front.motion = Watch::On(doorframe::codec::motion::Checked::default());
    let camera = Camera::start(config, link, Clock::new(Instant::now())).unwrap();
    let mut events = camera.events();
    let mut next =
        async || tokio::time::timeout(PATIENCE, events.recv()).await.expect("an event, or word that none comes");
    let MotionEvent::Began { at, motion } = next().await.unwrap() else { panic!("something ended that never began") };
    assert!(motion.area > 0.0 && motion.area < 0.5 && motion.score >= 1.0, "{motion:?}");
    assert_eq!(camera.stats().motion_events, 1);
    tokio::task::spawn_blocking(move || camera.stop()).await.unwrap().unwrap();
    // The ball never rests: what ends the event is that no frame follows.
    let ended = next().await.unwrap();
    assert!(matches!(ended, MotionEvent::Ended { began, at: last, .. } if began == at && last > at), "{ended:?}");
    assert!(next().await.is_err(), "nothing comes after the camera has ended");
}
