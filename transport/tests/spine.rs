//! A session on one side, a viewer on the other, and a network between them that does what networks and thieves do.

#![expect(clippy::unwrap_used, reason = "a test may fail")]

use bytes::Bytes;
use doorframe_codec::AccessUnit;
use doorframe_codec::access_unit::{Codec, Kind};
use doorframe_codec::units::{Size, TemporalLayer, Uptime};
use doorframe_transport::identity::{DeviceKey, SigningKey, VerifyingKey};
use doorframe_transport::keys::Epoch;
use doorframe_transport::manifest::SessionRefused;
use doorframe_transport::seed::Seed;
use doorframe_transport::session::{Config, EPOCH, LONGEST, Session, SessionError, StartError};
use doorframe_transport::track::TrackName;
use doorframe_transport::viewer::{Alarm, Event, FRESH, Viewer};
use proptest::prelude::*;
use std::time::Duration;

const WALL: u64 = 1_790_000_000_000_000;
const START: Uptime = Uptime::from_micros(5_000_000);

fn identity() -> SigningKey {
    SigningKey::from_seed(&[1; 32]).unwrap()
}

fn device(seed: u8) -> DeviceKey {
    DeviceKey::from_seed([seed; 32]).unwrap()
}

fn start(seed: u8) -> (Session, Bytes) {
    let config = Config::new(vec![device(10).public().clone(), device(11).public().clone()]);
    Session::start(config, &identity(), Seed::from_os_random([seed; 32]), START, WALL).unwrap()
}

fn viewer_of(camera: VerifyingKey, seed: u8) -> Viewer {
    Viewer::new(device(seed), camera, [7; 16])
}

fn watching(manifest: &[u8]) -> Viewer {
    let mut viewer = viewer_of(identity().verifying_key(), 10);
    viewer.handle_session(manifest).unwrap();
    viewer
}

fn unit(session: &Session, at: Uptime, n: usize) -> AccessUnit {
    AccessUnit {
        codec: Codec::H264,
        kind: if n == 0 { Kind::Keyframe } else { Kind::Delta },
        layer: TemporalLayer::BASE,
        size: Size::new(64, 48).unwrap(),
        at: session.media_time(at),
        data: Bytes::from(vec![n as u8; 10 + n]),
    }
}

/// An epoch as it leaves the camera.
struct Sent {
    opening: Bytes,
    objects: Vec<Bytes>,
    closing: Bytes,
}

fn send(session: &mut Session, epoch: u32, objects: usize) -> Sent {
    send_to(session, epoch, objects, vec![[7; 16]])
}

fn send_to(session: &mut Session, epoch: u32, objects: usize, challenges: Vec<[u8; 16]>) -> Sent {
    let now = START + EPOCH * epoch;
    let wall = WALL + u64::try_from((EPOCH * epoch).as_micros()).unwrap();
    let opening = session.begin(Epoch(epoch), now, wall, challenges).unwrap();
    let objects = (0..objects)
        .map(|n| {
            let at = now + Duration::from_millis(33 * n as u64);
            session.seal(TrackName::VIDEO, &unit(session, at, n), Duration::from_millis(3)).unwrap()
        })
        .collect();
    let (_, closing) = session.end().unwrap();
    Sent { opening, objects, closing }
}

fn wall(epoch: u32) -> u64 {
    WALL + u64::from(epoch) * 2_000_000
}

fn events(viewer: &mut Viewer) -> Vec<Event> {
    std::iter::from_fn(|| viewer.poll_event()).collect()
}

fn positions(events: &[Event]) -> Vec<(u32, u64)> {
    let mut positions: Vec<_> = events
        .iter()
        .filter_map(|event| match event {
            Event::Unit { epoch, position, .. } => Some((epoch.0, *position)),
            _ => None,
        })
        .collect();
    positions.sort_unstable();
    positions
}

#[test]
fn what_the_camera_sealed_the_owner_sees_with_its_times() {
    let (mut session, manifest) = start(1);
    let mut viewer = watching(&manifest);
    for epoch in 0..4 {
        let sent = send(&mut session, epoch, 5);
        viewer.handle_opening(&sent.opening, wall(epoch));
        sent.objects.iter().for_each(|o| viewer.handle_object(TrackName::VIDEO, Epoch(epoch), o.clone()));
        viewer.handle_closing(&sent.closing);
        let events = events(&mut viewer);
        assert_eq!(positions(&events), (0..5).map(|p| (epoch, p)).collect::<Vec<_>>());
        assert_eq!(events.last(), Some(&Event::Closed { epoch: Epoch(epoch), objects: 5, lost: 0 }));
        let Some(Event::Unit { unit, .. }) = events.get(2) else { panic!("{events:?}") };
        let shown = viewer.wall_us(unit.unit.at).unwrap();
        assert!(shown.abs_diff(wall(epoch) + 66_000) <= 24, "{shown}");
    }
    assert_eq!(viewer.drops().total(), 0);
    assert!(viewer.is_proved_fresh());
}

#[test]
fn only_listed_devices_and_the_paired_camera() {
    let (_, manifest) = start(1);
    let camera = identity().verifying_key();
    assert!(viewer_of(camera, 11).handle_session(&manifest).is_ok());
    let mut stranger = viewer_of(camera, 12);
    assert_eq!(stranger.handle_session(&manifest).unwrap_err(), SessionRefused::NotForUs);
    let other = SigningKey::from_seed(&[2; 32]).unwrap().verifying_key();
    let mut deceived = viewer_of(other, 10);
    assert!(matches!(deceived.handle_session(&manifest).unwrap_err(), SessionRefused::OtherCamera(_)));
    for at in 0..manifest.len() {
        let mut changed = manifest.to_vec();
        changed[at] ^= 1;
        assert!(viewer_of(camera, 10).handle_session(&changed).is_err(), "byte {at}");
    }
    for len in (0..manifest.len()).step_by(7) {
        assert!(viewer_of(camera, 10).handle_session(&manifest[..len]).is_err(), "{len} bytes");
    }
}

#[test]
fn a_session_nobody_could_watch_does_not_start() {
    let started = Session::start(Config::new(vec![]), &identity(), Seed::from_os_random([1; 32]), START, WALL);
    assert_eq!(started.unwrap_err(), StartError::Devices(0));
    let mut config = Config::new(vec![device(10).public().clone()]);
    config.tracks = vec![TrackName::VIDEO, TrackName::VIDEO];
    let started = Session::start(config, &identity(), Seed::from_os_random([1; 32]), START, WALL);
    assert_eq!(started.unwrap_err(), StartError::Tracks(2));
}

#[test]
fn the_wall_clock_never_chooses_a_key() {
    let (mut session, _) = start(1);
    assert_eq!(session.epoch_at(START), Some(Epoch(0)));
    assert_eq!(session.epoch_at(START + Duration::from_micros(1_999_999)), Some(Epoch(0)));
    assert_eq!(session.epoch_at(START + EPOCH), Some(Epoch(1)));
    assert_eq!(session.epoch_at(START + LONGEST), None);
    session.begin(Epoch(3), START, 0, vec![]).unwrap();
    session.end();
    for gone in 0..=3 {
        assert!(matches!(session.begin(Epoch(gone), START, u64::MAX, vec![]), Err(SessionError::Gone(_))));
    }
    let at = unit(&session, START, 0);
    assert_eq!(session.seal(TrackName::VIDEO, &at, Duration::ZERO), Err(SessionError::NoEpoch));
    session.begin(Epoch(4), START, 0, vec![]).unwrap();
    assert_eq!(session.seal(TrackName::AUDIO, &at, Duration::ZERO), Err(SessionError::Track(TrackName::AUDIO)));
}

#[test]
fn old_footage_is_not_shown_as_live() {
    let (mut session, manifest) = start(1);
    let mut viewer = watching(&manifest);
    let sent = send_to(&mut session, 0, 2, vec![]);
    let late = wall(0) + u64::try_from(FRESH.as_micros()).unwrap() + 1;
    viewer.handle_opening(&sent.opening, late);
    sent.objects.iter().for_each(|o| viewer.handle_object(TrackName::VIDEO, Epoch(0), o.clone()));
    let events = events(&mut viewer);
    assert!(matches!(events.as_slice(), [Event::Alarm(Alarm::Stale(_))]), "{events:?}");
    assert_eq!(viewer.drops().stale, 1);
}

#[test]
fn what_the_camera_did_not_sign_raises_an_alarm() {
    let (mut session, manifest) = start(1);
    // A second camera run with the same keys stands for whoever holds the epoch key and forges with it.
    let (mut forger, _) = start(1);
    let sent = send(&mut session, 0, 3);
    let forged = {
        forger.begin(Epoch(0), START, WALL, vec![]).unwrap();
        let other = AccessUnit { data: Bytes::from_static(b"forged"), ..unit(&forger, START, 0) };
        forger.seal(TrackName::VIDEO, &other, Duration::ZERO).unwrap()
    };
    let mut viewer = watching(&manifest);
    viewer.handle_opening(&sent.opening, wall(0));
    viewer.handle_object(TrackName::VIDEO, Epoch(0), forged);
    sent.objects.iter().skip(1).for_each(|o| viewer.handle_object(TrackName::VIDEO, Epoch(0), o.clone()));
    viewer.handle_closing(&sent.closing);
    assert_eq!(events(&mut viewer).last(), Some(&Event::Alarm(Alarm::Changed(Epoch(0)))));
}

/// Whoever has the session's key and is not the camera: he seals other pictures and signs other records.
fn forger() -> Session {
    start(1).0
}

#[test]
fn another_past_than_the_one_seen_raises_an_alarm() {
    let (mut session, manifest) = start(1);
    let mut forger = forger();
    let (first, _) = (send(&mut session, 0, 2), send(&mut forger, 0, 3));
    let second = send(&mut forger, 1, 1);
    let mut viewer = watching(&manifest);
    viewer.handle_opening(&first.opening, wall(0));
    viewer.handle_closing(&first.closing);
    viewer.handle_opening(&second.opening, wall(1));
    assert!(events(&mut viewer).contains(&Event::Alarm(Alarm::Cut(Epoch(1)))));
}

#[test]
fn an_epoch_that_was_kept_from_us_is_told() {
    let (mut session, manifest) = start(1);
    let (first, _, third) = (send(&mut session, 0, 1), send(&mut session, 1, 1), send(&mut session, 2, 1));
    let mut viewer = watching(&manifest);
    viewer.handle_opening(&first.opening, wall(0));
    viewer.handle_closing(&first.closing);
    viewer.handle_opening(&third.opening, wall(2));
    assert!(events(&mut viewer).contains(&Event::Missing { after: Epoch(0), before: Epoch(2) }));
}

#[test]
fn an_epoch_without_its_closing_is_told() {
    let (mut session, manifest) = start(1);
    let mut viewer = watching(&manifest);
    for epoch in 0..4 {
        viewer.handle_opening(&send(&mut session, epoch, 1).opening, wall(epoch));
    }
    assert!(events(&mut viewer).contains(&Event::Unclosed(Epoch(0))));
}

#[test]
fn two_different_records_of_one_epoch_raise_an_alarm() {
    let (mut session, manifest) = start(1);
    let mut forger = forger();
    let honest = send(&mut session, 0, 2);
    let other_opening = forger.begin(Epoch(0), START, WALL + 1, vec![]).unwrap();
    let mut viewer = watching(&manifest);
    viewer.handle_opening(&honest.opening, wall(0));
    viewer.handle_opening(&honest.opening, wall(0));
    assert!(events(&mut viewer).is_empty(), "the same twice is no alarm");
    viewer.handle_opening(&other_opening, wall(0));
    assert_eq!(events(&mut viewer), [Event::Alarm(Alarm::Twice(Epoch(0)))]);
}

#[test]
fn an_object_beyond_the_signed_count_raises_an_alarm_though_another_is_missing() {
    let (mut session, manifest) = start(1);
    let mut forger = forger();
    let (honest, forged) = (send(&mut session, 0, 3), send(&mut forger, 0, 4));
    let mut viewer = watching(&manifest);
    viewer.handle_opening(&honest.opening, wall(0));
    for object in [&honest.objects[0], &honest.objects[1], &forged.objects[3]] {
        viewer.handle_object(TrackName::VIDEO, Epoch(0), object.clone());
    }
    viewer.handle_closing(&honest.closing);
    assert_eq!(events(&mut viewer).last(), Some(&Event::Alarm(Alarm::Changed(Epoch(0)))));
}

#[test]
fn a_camera_with_a_wrong_clock_is_watched_once_it_has_signed_our_challenge() {
    let (mut session, manifest) = start(1);
    let mut viewer = watching(&manifest);
    let hour = 3_600_000_000;
    let first = send(&mut session, 0, 1);
    viewer.handle_opening(&first.opening, wall(0) + hour);
    assert!(viewer.is_proved_fresh(), "its opening carries the viewer's challenge");
    // Signed without it, an epoch has to go on from there.
    session.begin(Epoch(1), START + EPOCH, wall(1), vec![]).unwrap();
    session.end();
    let late = session.begin(Epoch(2), START + EPOCH * 2, wall(2), vec![]).unwrap();
    viewer.handle_opening(&late, wall(2) + hour + 11_000_000);
    assert_eq!(viewer.drops().stale, 1);
}

#[test]
fn an_epoch_that_the_camera_itself_skipped_is_no_alarm() {
    let (mut session, manifest) = start(1);
    let first = send(&mut session, 0, 1);
    let mut viewer = watching(&manifest);
    viewer.handle_opening(&first.opening, wall(0));
    viewer.handle_object(TrackName::VIDEO, Epoch(0), first.objects[0].clone());
    viewer.handle_closing(&first.closing);
    // The camera itself skips an epoch (its sensor stood still): no alarm.
    let third = send(&mut session, 2, 1);
    viewer.handle_opening(&third.opening, wall(2));
    assert!(!events(&mut viewer).iter().any(|e| matches!(e, Event::Alarm(_))));
}

#[test]
fn a_picture_may_overtake_its_manifest() {
    let (mut session, manifest) = start(1);
    let mut viewer = watching(&manifest);
    let sent = send(&mut session, 0, 3);
    sent.objects.iter().for_each(|o| viewer.handle_object(TrackName::VIDEO, Epoch(0), o.clone()));
    assert!(events(&mut viewer).is_empty());
    viewer.handle_opening(&sent.opening, wall(0));
    assert_eq!(positions(&events(&mut viewer)), [(0, 0), (0, 1), (0, 2)]);
    for _ in 0..1000 {
        viewer.handle_object(TrackName::VIDEO, Epoch(1), Bytes::from_static(&[0; 1000]));
    }
    assert!(viewer.drops().early >= 800, "memory for early objects is bounded");
}

/// What a network does to one message.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Arrives,
    Lost,
    Twice,
    Flipped(u16),
    Cut(u16),
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        6 => Just(Fate::Arrives),
        1 => Just(Fate::Lost),
        1 => Just(Fate::Twice),
        1 => any::<u16>().prop_map(Fate::Flipped),
        1 => any::<u16>().prop_map(Fate::Cut),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Objects lost, doubled, shuffled, cut and flipped: each unharmed one is shown exactly once, no other ever, and
    /// the count of drops says the rest.
    #[test]
    fn loss_order_and_damage(
        fates in proptest::collection::vec(fate(), 12),
        shuffle in proptest::collection::vec(any::<proptest::sample::Index>(), 12),
    ) {
        let (mut session, manifest) = start(3);
        let mut viewer = watching(&manifest);
        let sent = send(&mut session, 0, 12);
        let mut messages = Vec::new();
        let (mut wanted, mut bad) = (Vec::new(), 0);
        for (n, (object, fate)) in sent.objects.iter().zip(&fates).enumerate() {
            match *fate {
                Fate::Lost => {}
                Fate::Arrives => { wanted.push((0, n as u64)); messages.push(object.clone()); }
                Fate::Twice => {
                    wanted.push((0, n as u64));
                    bad += 1;
                    messages.extend([object.clone(), object.clone()]);
                }
                Fate::Flipped(at) => {
                    let mut changed = object.to_vec();
                    let at = usize::from(at) % changed.len();
                    changed[at] ^= 0x20;
                    bad += 1;
                    messages.push(changed.into());
                }
                Fate::Cut(at) => {
                    bad += 1;
                    messages.push(object.slice(..usize::from(at) % object.len()));
                }
            }
        }
        let len = messages.len();
        if len > 0 {
            shuffle.iter().enumerate().for_each(|(i, to)| messages.swap(i % len, to.index(len)));
        }
        viewer.handle_opening(&sent.opening, wall(0));
        messages.into_iter().for_each(|m| viewer.handle_object(TrackName::VIDEO, Epoch(0), m));
        let events = events(&mut viewer);
        prop_assert_eq!(positions(&events), wanted);
        prop_assert_eq!(viewer.drops().total(), bad);
        prop_assert!(!events.iter().any(|e| matches!(e, Event::Alarm(_))), "loss is no alarm");
    }

    /// Whatever bytes come, wherever they come in, nothing panics and nothing is shown.
    #[test]
    fn junk_shows_nothing(junk in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..200), 0..20)) {
        let (mut session, manifest) = start(4);
        let mut viewer = watching(&manifest);
        let sent = send(&mut session, 0, 1);
        for bytes in &junk {
            viewer.handle_opening(bytes, wall(0));
            viewer.handle_object(TrackName::VIDEO, Epoch(0), bytes.clone().into());
            viewer.handle_closing(bytes);
            prop_assert!(viewer.handle_session(bytes).is_err());
        }
        prop_assert!(events(&mut viewer).is_empty());
        viewer.handle_opening(&sent.opening, wall(0));
        viewer.handle_object(TrackName::VIDEO, Epoch(0), sent.objects[0].clone());
        prop_assert_eq!(positions(&events(&mut viewer)), [(0, 0)]);
    }
}
