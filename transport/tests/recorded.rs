//! A session is recorded by a store that may lie: what it keeps back, cuts, exchanges or replays is named, without keys.

#![expect(clippy::unwrap_used, reason = "a test may fail")]

use bytes::Bytes;
use doorframe_codec::AccessUnit;
use doorframe_codec::access_unit::{Codec, Kind};
use doorframe_codec::units::{Size, TemporalLayer, Uptime};
use doorframe_transport::events::CameraEvent;
use doorframe_transport::identity::{DeviceKey, SigningKey};
use doorframe_transport::keys::{Depth, Epoch, Node, SessionId};
use doorframe_transport::manifest::{RecordRefused, SessionManifest, SessionOpened};
use doorframe_transport::recorded::{
    EpochFile, EpochFileError, EpochRefused, Fault, RecordedTrack, SpanCheck, SpanVerdict, open, verify,
};
use doorframe_transport::seed::Seed;
use doorframe_transport::session::{Config, EPOCH, Session};
use doorframe_transport::track::TrackName;
use proptest::prelude::*;
use std::time::Duration;

const WALL: u64 = 1_795_000_000_000_000;
const START: Uptime = Uptime::from_micros(1);

/// A camera run whose epochs are recorded, and what the owner's device makes of its manifest.
struct Recorded {
    session: Session,
    opened: SessionOpened,
}

impl Recorded {
    fn start(seed: u8) -> Self {
        let identity = SigningKey::from_seed(&[1; 32]).unwrap();
        let device = DeviceKey::from_seed([2; 32]).unwrap();
        let mut config = Config::new(vec![device.public().clone()]);
        config.tracks = vec![TrackName::EVENT, TrackName::VIDEO];
        let (session, manifest) =
            Session::start(config, &identity, Seed::from_os_random([seed; 32]), START, WALL).unwrap();
        let manifest = SessionManifest::parse(&manifest).unwrap();
        let opened = manifest.open(&device, &identity.verifying_key()).unwrap();
        Self { session, opened }
    }

    fn unit(&self, n: u32, size: usize) -> AccessUnit {
        AccessUnit {
            codec: Codec::H264,
            kind: if n == 0 { Kind::Keyframe } else { Kind::Delta },
            layer: TemporalLayer::BASE,
            size: Size::new(64, 48).unwrap(),
            at: self.session.media_time(START + Duration::from_millis(33) * n),
            data: Bytes::from(vec![n as u8; size]),
        }
    }

    fn epoch(&mut self, number: u32, objects: u32) -> EpochFile {
        let now = START + EPOCH * number;
        let opening = self.session.begin(Epoch(number), now, WALL + u64::from(number) * 2_000_000, vec![]).unwrap();
        let seal = |n| {
            let unit = self.unit(n, 10 + n as usize);
            self.session.seal(TrackName::VIDEO, &unit, Duration::from_millis(3)).unwrap()
        };
        let video = (0..objects).map(seal).collect();
        let rang = CameraEvent::doorbell(self.session.media_time(now));
        let event = vec![self.session.seal_events(&[rang]).unwrap()];
        let (epoch, closing) = self.session.end().unwrap();
        EpochFile {
            session: self.session.id(),
            epoch,
            stored_us: WALL,
            opening,
            closing: Some(closing),
            tracks: vec![
                RecordedTrack { name: TrackName::EVENT, objects: event },
                RecordedTrack { name: TrackName::VIDEO, objects: video },
            ],
        }
    }

    /// What a store keeps of `epochs`, and what its listing says they are.
    fn check(&self, first: u64, end: u64, kept: &[(u32, &EpochFile)]) -> SpanVerdict {
        let mut check = SpanCheck::new(self.opened.facts.clone(), first..end);
        for (asked, file) in kept {
            check.handle(Epoch(*asked), &bytes(file));
        }
        check.end()
    }
}

fn bytes(file: &EpochFile) -> Bytes {
    Bytes::from(file.emit().unwrap().concat())
}

fn with(file: &EpochFile, change: impl FnOnce(&mut EpochFile)) -> EpochFile {
    let mut file = file.clone();
    change(&mut file);
    file
}

#[test]
fn what_was_recorded_is_complete_and_opens_to_what_was_sealed() {
    let mut camera = Recorded::start(3);
    let files: Vec<_> = [0, 1, 2, 5].map(|n| camera.epoch(n, 6)).into();
    let kept: Vec<_> = files.iter().map(|file| (file.epoch.0, file)).collect();
    let verdict = camera.check(0, 6, &kept);
    assert!(verdict.is_complete(), "{verdict:?}: epochs 3 and 4 the camera itself passed over");
    assert_eq!((verdict.epochs, verdict.objects), (4, 4 * 7));
    assert_eq!(verdict.reached, Some((Epoch(0), Epoch(5))));

    let leaf = camera.opened.root.leaf(Epoch(5)).unwrap();
    let opened = open(&files[3], &camera.opened.facts, &leaf).unwrap();
    assert!(opened.verdict.is_complete());
    assert_eq!(opened.drops.total(), 0);
    assert_eq!(opened.events, [CameraEvent::doorbell(camera.session.media_time(START + EPOCH * 5))]);
    let units: Vec<_> = opened.units.iter().map(|u| (u.position, u.unit.unit.clone())).collect();
    let wanted: Vec<_> = (0..6).map(|n| (u64::from(n), camera.unit(n, 10 + n as usize))).collect();
    assert_eq!(units, wanted);
}

#[test]
fn an_epoch_that_is_kept_back_is_missing() {
    let mut camera = Recorded::start(3);
    let files: Vec<_> = (0..4).map(|n| camera.epoch(n, 3)).collect();
    let missing = |after, before| Fault::Missing { after, before };
    let verdict = camera.check(0, 4, &[(0, &files[0]), (2, &files[2]), (3, &files[3])]);
    assert_eq!(verdict.faults, [missing(Some(Epoch(0)), Some(Epoch(2)))]);
    let verdict = camera.check(0, 4, &[(1, &files[1]), (2, &files[2])]);
    assert_eq!(verdict.faults, [missing(None, Some(Epoch(1))), missing(Some(Epoch(2)), None)]);
    assert_eq!(camera.check(0, 4, &[]).faults, [missing(None, None)]);
    assert!(!camera.check(0, 0, &[]).is_complete(), "nothing is not all of something");
}

#[test]
fn what_a_store_cuts_from_an_epoch_is_counted() {
    let mut camera = Recorded::start(3);
    let (first, second) = (camera.epoch(0, 5), camera.epoch(1, 5));
    let shorter = with(&first, |f| f.tracks[1].objects.truncate(3));
    let verdict = camera.check(0, 2, &[(0, &shorter), (1, &second)]);
    let lacks = |track, objects| Fault::Incomplete { epoch: Epoch(0), missing: vec![(track, objects)], closed: true };
    assert_eq!(verdict.faults, [lacks(TrackName::VIDEO, 2)]);
    assert_eq!(verdict.faults[0].to_string(), "incomplete: epoch 0 lacks 2 of video");
    let without = with(&first, |f| f.tracks.truncate(1));
    assert_eq!(camera.check(0, 2, &[(0, &without), (1, &second)]).faults, [lacks(TrackName::VIDEO, 5)]);
    let open_end = with(&first, |f| f.closing = None);
    let verdict = camera.check(0, 2, &[(0, &open_end), (1, &second)]);
    assert_eq!(verdict.faults, [Fault::Incomplete { epoch: Epoch(0), missing: vec![], closed: false }]);

    let mut check = SpanCheck::new(camera.opened.facts.clone(), 0..1);
    let whole = bytes(&first);
    assert!(check.handle(Epoch(0), &whole.slice(..whole.len() - 100)).is_none());
    let fault = check.end().faults.swap_remove(0);
    assert!(matches!(fault, Fault::Damaged { epoch: Epoch(0), why: EpochFileError::Malformed(_) }), "{fault:?}");
}

#[test]
fn a_store_that_mends_its_hash_still_cannot_change_what_was_signed() {
    let mut camera = Recorded::start(3);
    let facts = camera.opened.facts.clone();
    let file = camera.epoch(0, 4);
    let refused = |change: &dyn Fn(&mut EpochFile)| verify(&with(&file, |f| change(f)), &facts).unwrap_err();
    let video = |f: &mut EpochFile, change: &dyn Fn(&mut Vec<Bytes>)| change(&mut f.tracks[1].objects);
    let changed = EpochRefused::Changed(TrackName::VIDEO);
    assert_eq!(refused(&|f| video(f, &|o| o.swap(1, 2))), changed, "reordered");
    assert_eq!(refused(&|f| video(f, &|o| o.push(o[0].clone()))), changed, "added");
    assert_eq!(refused(&|f| video(f, &|o| o[1] = o[2].clone())), changed, "repeated in place of another");
    assert_eq!(
        refused(&|f| f.tracks.push(RecordedTrack { name: TrackName::AUDIO, objects: vec![] })),
        EpochRefused::Track(TrackName::AUDIO)
    );
    assert_eq!(refused(&|f| f.session = SessionId([9; 16])), EpochRefused::Session(SessionId([9; 16])));
    assert_eq!(
        refused(&|f| {
            let mut record = f.opening.to_vec();
            record[30] ^= 1;
            f.opening = record.into();
        }),
        EpochRefused::Opening(RecordRefused::Forged)
    );
    assert_eq!(
        refused(&|f| f.closing = Some(f.opening.clone())).to_string(),
        "its closing: record is of type 2, 3 expected"
    );
    assert_eq!(refused(&|f| f.epoch = Epoch(8)), EpochRefused::OpeningEpoch(Epoch(0)));
}

#[test]
fn another_cameras_epoch_is_swapped_and_another_epoch_replayed() {
    let (mut camera, mut other) = (Recorded::start(3), Recorded::start(4));
    let files: Vec<_> = (0..3).map(|n| camera.epoch(n, 3)).collect();
    let foreign = other.epoch(1, 3);
    let kept = [(0, &files[0]), (1, &foreign), (2, &files[2])];
    let swapped = Fault::Swapped { epoch: Epoch(1), why: EpochRefused::Session(other.session.id()) };
    assert_eq!(camera.check(0, 3, &kept).faults[0], swapped);
    // The store writes the right names on it.
    let renamed = with(&foreign, |f| f.session = camera.session.id());
    let forged = Fault::Swapped { epoch: Epoch(1), why: EpochRefused::Opening(RecordRefused::Forged) };
    assert_eq!(camera.check(0, 3, &[(0, &files[0]), (1, &renamed), (2, &files[2])]).faults[0], forged);

    let replayed = Fault::Replayed { asked: Epoch(2), given: Epoch(0) };
    assert_eq!(camera.check(0, 3, &[(0, &files[0]), (1, &files[1]), (2, &files[0])]).faults[0], replayed);
    let renamed = with(&files[0], |f| f.epoch = Epoch(2));
    assert_eq!(camera.check(0, 3, &[(0, &files[0]), (1, &files[1]), (2, &renamed)]).faults[0], replayed);
    assert_eq!(camera.check(0, 3, &[(0, &files[0]), (0, &files[0]), (1, &files[1]), (2, &files[2])]).faults.len(), 1);
}

#[test]
fn epochs_of_two_runs_with_the_same_keys_do_not_join() {
    // Whoever has the session's key made another past; each epoch by itself holds.
    let (mut camera, mut forger) = (Recorded::start(3), Recorded::start(3));
    let (honest, _) = (camera.epoch(0, 3), forger.epoch(0, 4));
    let forged = forger.epoch(1, 3);
    assert_eq!(camera.check(0, 2, &[(0, &honest), (1, &forged)]).faults, [Fault::Cut(Epoch(1))]);
}

#[test]
fn another_leaf_opens_nothing() {
    let mut camera = Recorded::start(3);
    let file = camera.epoch(1, 3);
    let facts = &camera.opened.facts;
    let other = camera.opened.root.leaf(Epoch(2)).unwrap();
    assert_eq!(open(&file, facts, &other).unwrap_err(), EpochRefused::Leaf(Epoch(2)));
    let foreign = Node::root([8; 32], Depth::SESSION).leaf(Epoch(1)).unwrap();
    assert_eq!(open(&file, facts, &foreign).unwrap_err(), EpochRefused::Uncommitted(TrackName::EVENT));
}

/// What a store does to one epoch of three.
#[derive(Clone, Copy, Debug)]
enum Lie {
    Drop,
    Truncate,
    CutObject(usize),
    ChangeObject(usize, usize),
    DropClosing,
    ReplayOf(u32),
    SwapObjects,
}

fn lie() -> impl Strategy<Value = Lie> {
    prop_oneof![
        Just(Lie::Drop),
        Just(Lie::Truncate),
        (0..4_usize).prop_map(Lie::CutObject),
        (0..4_usize, any::<u16>()).prop_map(|(n, at)| Lie::ChangeObject(n, at.into())),
        Just(Lie::DropClosing),
        (0..3_u32).prop_map(Lie::ReplayOf),
        Just(Lie::SwapObjects),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever a store does to an epoch, the span is not called complete, and the epochs left alone still open.
    #[test]
    fn no_lie_goes_unnamed(target in 0..3_usize, lie in lie()) {
        let mut camera = Recorded::start(3);
        let honest: Vec<_> = (0..3).map(|n| camera.epoch(n, 4)).collect();
        let mut check = SpanCheck::new(camera.opened.facts.clone(), 0..3);
        let mut held = 0;
        for (n, file) in honest.iter().enumerate() {
            let told = if n != target { bytes(file) } else {
                match lie {
                    Lie::Drop => continue,
                    Lie::Truncate => bytes(file).slice(..file.len() / 2),
                    Lie::CutObject(at) => bytes(&with(file, |f| drop(f.tracks[1].objects.remove(at)))),
                    Lie::ChangeObject(at, byte) => bytes(&with(file, |f| {
                        let mut object = f.tracks[1].objects[at].to_vec();
                        let byte = byte % object.len();
                        object[byte] ^= 4;
                        f.tracks[1].objects[at] = object.into();
                    })),
                    Lie::DropClosing => bytes(&with(file, |f| f.closing = None)),
                    Lie::ReplayOf(other) if other as usize == n => continue,
                    Lie::ReplayOf(other) => bytes(&with(&honest[other as usize], |f| f.epoch = Epoch(n as u32))),
                    Lie::SwapObjects => bytes(&with(file, |f| f.tracks[1].objects.swap(0, 3))),
                }
            };
            let epoch = Epoch(n as u32);
            if let Some((file, _)) = check.handle(epoch, &told) && n != target {
                held += 1;
                let leaf = camera.opened.root.leaf(epoch).unwrap();
                prop_assert_eq!(open(&file, &camera.opened.facts, &leaf).unwrap().units.len(), 4);
            }
        }
        prop_assert_eq!(held, 2);
        let verdict = check.end();
        prop_assert!(!verdict.is_complete() && !verdict.faults.is_empty(), "{:?}: {:?}", lie, verdict);
    }
}
