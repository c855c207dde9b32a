//! From a camera's session to a neighbour's screen: who was granted some epochs opens these and no other.

#![expect(clippy::unwrap_used, reason = "a test may fail")]

use bytes::Bytes;
use doorframe_codec::AccessUnit;
use doorframe_codec::access_unit::{Codec, Kind};
use doorframe_codec::units::{Size, TemporalLayer, Uptime};
use doorframe_transport::devices::Expiry;
use doorframe_transport::grant::{EpochSpan, Grant, GrantId, GrantOpened, GrantPart, GrantTerms, round};
use doorframe_transport::identity::{DeviceKey, SigningKey};
use doorframe_transport::keys::{Depth, Epoch, EpochKeys, Node};
use doorframe_transport::manifest::{Opening, SessionManifest, SessionOpened};
use doorframe_transport::seal::Opener;
use doorframe_transport::seed::Seed;
use doorframe_transport::session::{Config, EPOCH, Session};
use doorframe_transport::track::TrackName;
use std::time::Duration;

const WALL: u64 = 1_795_000_000_000_000;
const EPOCHS: u32 = 24;

fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed(&[seed; 32]).unwrap()
}

fn device(seed: u8) -> DeviceKey {
    DeviceKey::from_seed([seed; 32]).unwrap()
}

/// What a hub keeps of a session: openings and objects, by epoch.
struct Stored {
    opened: SessionOpened,
    epochs: Vec<(Opening, Vec<Bytes>)>,
}

fn filmed() -> Stored {
    let start = Uptime::from_micros(1);
    let config = Config::new(vec![device(1).public().clone()]);
    let (mut session, manifest) =
        Session::start(config, &key(50), Seed::from_os_random([34; 32]), start, WALL).unwrap();
    let epochs = (0..EPOCHS).map(|n| {
        let now = start + EPOCH * n;
        let wall_us = WALL + u64::from(n) * EPOCH.as_micros() as u64;
        let opening = session.begin(Epoch(n), now, wall_us, Vec::new()).unwrap();
        let objects = (0..3).map(|i| {
            let unit = AccessUnit {
                codec: Codec::H264,
                kind: if i == 0 { Kind::Keyframe } else { Kind::Delta },
                layer: TemporalLayer::BASE,
                size: Size::new(640, 360).unwrap(),
                at: session.media_time(now + Duration::from_millis(33 * i)),
                data: Bytes::from(format!("unit {i} of epoch {n}")),
            };
            session.seal(TrackName::VIDEO, &unit, Duration::ZERO).unwrap()
        });
        let objects = objects.collect();
        session.end().unwrap();
        (Opening::verify(&opening, &session.signer()).unwrap().unwrap(), objects)
    });
    let epochs = epochs.collect();
    let opened = SessionManifest::parse(&manifest).unwrap().open(&device(1), &key(50).verifying_key()).unwrap();
    Stored { opened, epochs }
}

fn granted(parts: &[GrantPart]) -> GrantOpened {
    let terms = GrantTerms { id: GrantId([1; 16]), made_wall_us: WALL, expiry: Expiry::NEVER };
    let made = Grant::emit(parts, device(2).public(), &key(1), terms, Seed::from_os_random([3; 32])).unwrap();
    Grant::parse(made.record()).unwrap().open(&device(2)).unwrap()
}

/// Epochs of which the recipient opens every object, by the openings that the camera signed.
fn opens(stored: &Stored, granted: &GrantOpened) -> Vec<u32> {
    let [part] = granted.parts.as_slice() else { panic!() };
    let open = |(opening, objects): &(Opening, Vec<Bytes>)| {
        let keys = EpochKeys::derive(&part.leaf(opening.epoch)?, part.facts().id, TrackName::VIDEO);
        if opening.tracks[0].commitment != keys.commitment {
            return None;
        }
        let opener = Opener::new(part.facts().suite, &keys);
        let mut plaintext = Vec::new();
        objects.iter().all(|object| opener.open(object, &mut plaintext).is_ok()).then_some(opening.epoch.0)
    };
    stored.epochs.iter().filter_map(open).collect()
}

#[test]
fn of_every_span_exactly_the_granted_epochs_open() {
    let stored = filmed();
    for first in 0..EPOCHS {
        for end in [first + 1, first + 2, first + 7, EPOCHS].into_iter().filter(|end| *end <= EPOCHS && *end > first) {
            let epochs = EpochSpan::new(Epoch(first), Epoch(end)).unwrap();
            let granted = granted(&[GrantPart::cover(&stored.opened, epochs).unwrap()]);
            assert_eq!(opens(&stored, &granted), (first..end).collect::<Vec<_>>(), "{epochs}");
        }
    }
}

#[test]
fn a_span_of_time_becomes_the_epochs_that_hold_it() {
    let stored = filmed();
    let (from, to) = (WALL + 9_500_000, WALL + 14_100_000);
    let rounded = round(stored.epochs.iter().map(|(opening, _)| opening), EPOCH, from, to);
    let [rounded] = rounded.as_slice() else { panic!("{rounded:?}") };
    assert_eq!((rounded.from_wall_us, rounded.to_wall_us), (WALL + 8_000_000, WALL + 16_000_000));
    let granted = granted(&[GrantPart::flat(&stored.opened, rounded.epochs).unwrap()]);
    assert_eq!(opens(&stored, &granted), [4, 5, 6, 7]);
}

#[test]
fn keys_of_another_tree_open_nothing_though_the_certificate_holds() {
    let mut stored = filmed();
    stored.opened.root = Node::root([9; 32], Depth::SESSION);
    let epochs = EpochSpan::new(Epoch(0), Epoch(EPOCHS)).unwrap();
    let granted = granted(&[GrantPart::cover(&stored.opened, epochs).unwrap()]);
    assert_eq!(granted.camera, key(50).verifying_key());
    assert!(opens(&stored, &granted).is_empty());
}
