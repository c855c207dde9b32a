//! What happened before a camera: sealed by it, told by a viewer, found in what was recorded, and not to be seen by who passes it on.

#![expect(clippy::unwrap_used, reason = "a test may fail")]

use bytes::Bytes;
use doorframe_codec::AccessUnit;
use doorframe_codec::access_unit::{Codec, Kind};
use doorframe_codec::units::{MediaTime, Size, TemporalLayer, Uptime};
use doorframe_transport::events::{Area, CameraEvent, EventKind, MOST};
use doorframe_transport::identity::{DeviceKey, SigningKey};
use doorframe_transport::keys::Epoch;
use doorframe_transport::manifest::{SessionManifest, SessionOpened};
use doorframe_transport::recorded::{EpochFile, RecordedTrack, event_object, open};
use doorframe_transport::seed::Seed;
use doorframe_transport::session::{Config, EPOCH, Session, SessionError};
use doorframe_transport::track::TrackName;
use doorframe_transport::viewer::{Event, Viewer};
use std::time::Duration;

const WALL: u64 = 1_795_000_000_000_000;
const START: Uptime = Uptime::from_micros(1);

fn start() -> (Session, SessionOpened, Viewer) {
    let identity = SigningKey::from_seed(&[1; 32]).unwrap();
    let device = || DeviceKey::from_seed([2; 32]).unwrap();
    let config = Config::new(vec![device().public().clone()]).with_events();
    let (session, manifest) = Session::start(config, &identity, Seed::from_os_random([3; 32]), START, WALL).unwrap();
    let mut viewer = Viewer::new(device(), identity.verifying_key(), [7; 16]);
    viewer.handle_session(&manifest).unwrap();
    let opened = SessionManifest::parse(&manifest).unwrap().open(&device(), &identity.verifying_key()).unwrap();
    (session, opened, viewer)
}

fn begin(session: &mut Session, epoch: u32) -> Bytes {
    session.begin(Epoch(epoch), START + EPOCH * epoch, WALL + u64::from(epoch) * 2_000_000, vec![]).unwrap()
}

fn keyframe(session: &Session, at: Uptime) -> AccessUnit {
    AccessUnit {
        codec: Codec::H264,
        kind: Kind::Keyframe,
        layer: TemporalLayer::BASE,
        size: Size::new(64, 48).unwrap(),
        at: session.media_time(at),
        data: Bytes::from_static(b"unit"),
    }
}

fn motion(kind: EventKind, ticks: u64) -> CameraEvent {
    CameraEvent { kind, at: MediaTime::from_ticks(ticks), area: Area::new(137).unwrap(), score: 42 }
}

fn told(viewer: &mut Viewer) -> Vec<Event> {
    std::iter::from_fn(|| viewer.poll_event()).collect()
}

#[test]
fn a_viewer_is_told_of_a_doorbell_at_once_and_of_everything_once() {
    let (mut session, _, mut viewer) = start();
    viewer.handle_opening(&begin(&mut session, 0), WALL);
    let (bell, began) = (CameraEvent::doorbell(MediaTime::from_ticks(9)), motion(EventKind::MotionBegan, 5));
    let video = session.seal(TrackName::VIDEO, &keyframe(&session, START), Duration::ZERO).unwrap();
    let rung = session.seal_bell(bell.at).unwrap();
    viewer.handle_object(TrackName::BELL, Epoch(0), rung);
    let happened = |event| Event::Happened { epoch: Epoch(0), event };
    assert_eq!(told(&mut viewer), [happened(bell)], "before the epoch is over");
    let object = session.seal_events(&[began, bell]).unwrap();
    let (_, closing) = session.end().unwrap();
    viewer.handle_object(TrackName::VIDEO, Epoch(0), video);
    viewer.handle_closing(&closing);
    viewer.handle_object(TrackName::EVENT, Epoch(0), object);
    let rest: Vec<_> = told(&mut viewer).into_iter().filter(|event| !matches!(event, Event::Unit { .. })).collect();
    assert_eq!(rest, [happened(began), Event::Closed { epoch: Epoch(0), objects: 3, lost: 0 }]);
    assert_eq!(viewer.drops().total(), 0);
}

#[test]
fn an_event_object_that_does_not_come_is_counted_as_lost() {
    let (mut session, _, mut viewer) = start();
    viewer.handle_opening(&begin(&mut session, 0), WALL);
    let video = session.seal(TrackName::VIDEO, &keyframe(&session, START), Duration::ZERO).unwrap();
    let _kept_back = session.seal_events(&[]).unwrap();
    viewer.handle_object(TrackName::VIDEO, Epoch(0), video);
    viewer.handle_closing(&session.end().unwrap().1);
    viewer.end_epoch(Epoch(0));
    assert_eq!(told(&mut viewer).last(), Some(&Event::Closed { epoch: Epoch(0), objects: 2, lost: 1 }));
}

#[test]
fn every_epoch_has_one_event_object_of_one_size_whatever_happened() {
    let (mut session, ..) = start();
    let much = [motion(EventKind::MotionEnded, u64::MAX); 3 * MOST];
    // Numbers of epochs and positions of one length in the header of SFrame.
    let sizes = [&[][..], &much[..1], &much[..MOST], &much[..]].map(|events| {
        let next = session.current().map_or(8, |epoch| epoch.0 + 1);
        begin(&mut session, next);
        let size = session.seal_events(events).unwrap().len();
        let again = session.seal_events(events).unwrap_err();
        assert_eq!(again, SessionError::Events(session.current().unwrap()));
        size
    });
    assert!(sizes.iter().all(|size| *size == sizes[0]), "{sizes:?}");
    let bell = session.seal_bell(MediaTime::from_ticks(1)).unwrap().len();
    assert_eq!(bell, sizes[0]);
    let unit = keyframe(&session, START);
    for track in [TrackName::EVENT, TrackName::BELL] {
        assert_eq!(session.seal(track, &unit, Duration::ZERO), Err(SessionError::Track(track)));
    }
}

#[test]
fn an_object_of_one_track_does_not_open_on_the_other() {
    let (mut session, _, mut viewer) = start();
    viewer.handle_opening(&begin(&mut session, 0), WALL);
    let bell = session.seal_bell(MediaTime::from_ticks(1)).unwrap();
    viewer.handle_object(TrackName::EVENT, Epoch(0), bell);
    assert_eq!((told(&mut viewer), viewer.drops().unopened), (vec![], 1));
}

#[test]
fn recorded_events_are_found_each_once_and_the_event_object_without_the_rest() {
    let (mut session, facts, _) = start();
    let opening = begin(&mut session, 0);
    let (bell, began) = (CameraEvent::doorbell(MediaTime::from_ticks(9)), motion(EventKind::MotionBegan, 5));
    let bells = vec![session.seal_bell(bell.at).unwrap()];
    let video = vec![session.seal(TrackName::VIDEO, &keyframe(&session, START), Duration::ZERO).unwrap()];
    let events = vec![session.seal_events(&[began, bell]).unwrap()];
    let (epoch, closing) = session.end().unwrap();
    let track = |name, objects: &Vec<Bytes>| RecordedTrack { name, objects: objects.clone() };
    let whole = EpochFile {
        session: session.id(),
        epoch,
        stored_us: WALL,
        opening,
        closing: Some(closing),
        tracks: vec![track(TrackName::EVENT, &events), track(TrackName::VIDEO, &video), track(TrackName::BELL, &bells)],
    };
    let leaf = facts.root.leaf(epoch).unwrap();
    let opened = open(&whole, &facts.facts, &leaf).unwrap();
    assert!(opened.verdict.is_complete());
    assert_eq!((opened.events, opened.units.len(), opened.drops.total()), (vec![began, bell], 1, 0));
    let bytes = Bytes::from(whole.emit().unwrap().concat());
    assert_eq!(event_object(&bytes), Some(events[0].clone()));

    // The camera lost its power before the epoch was over: the bell is there all the same.
    let tracks = vec![track(TrackName::EVENT, &vec![]), track(TrackName::BELL, &bells)];
    let cut = EpochFile { closing: None, tracks, ..whole };
    assert_eq!(open(&cut, &facts.facts, &leaf).unwrap().events, [bell]);
}
