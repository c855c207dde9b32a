//! What a recipient gets, and what he does not.

use super::body::{self, LARGEST};
use super::*;
use crate::devices::Expiry;
use crate::identity::{DeviceKey, SigningKey};
use crate::keys::{Depth, Epoch, EpochKeys, Node, SessionId};
use crate::manifest::{DeviceListRef, SessionCertificate, SessionFacts, SessionOpened, sign};
use crate::parse::RecordError;
use crate::seal::Suite;
use crate::seed::Seed;
use crate::track::TrackName;
use proptest::prelude::*;
use std::time::Duration;

const TERMS: GrantTerms =
    GrantTerms { id: GrantId([3; 16]), made_wall_us: 1_795_000_000_000_000, expiry: Expiry::at(1_795_000_600_000_000) };

fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed(&[seed; 32]).unwrap()
}

fn device(seed: u8) -> DeviceKey {
    DeviceKey::from_seed([seed; 32]).unwrap()
}

/// A session of the camera whose identity is `camera`'s.
fn session(depth: Depth, camera: u8) -> SessionOpened {
    let facts = SessionFacts {
        id: SessionId([depth.levels(); 16]),
        suite: Suite::Aes256Gcm,
        epoch_length: Duration::from_secs(2),
        depth,
        signer: key(90).verifying_key(),
        started_wall_us: 1_795_000_000_000_000,
        devices: DeviceListRef::default(),
        checkpoint: [0; 32],
    };
    let certificate = SessionCertificate::issue(&facts, &key(camera));
    SessionOpened { facts, root: Node::root([42; 32], depth), certificate }
}

fn depth(levels: u8) -> Depth {
    Depth::new(levels).unwrap()
}

fn span(first: u32, end: u32) -> EpochSpan {
    EpochSpan::new(Epoch(first), Epoch(end)).unwrap()
}

fn grant(parts: &[GrantPart]) -> Grant {
    Grant::emit(parts, device(2).public(), &key(5), TERMS, Seed::from_os_random([6; 32])).unwrap()
}

/// Every epoch of `session` that `part` makes, and that each is the right one.
fn made(session: &SessionOpened, part: &GrantPart) -> Vec<u32> {
    (0..=session.facts.depth.leaves() as u32)
        .filter(|epoch| {
            let Some(leaf) = part.leaf(Epoch(*epoch)) else { return false };
            let wanted = session.root.leaf(Epoch(*epoch)).unwrap();
            assert_eq!((leaf.epoch(), leaf.secret()), (wanted.epoch(), wanted.secret()));
            true
        })
        .collect()
}

#[test]
fn of_every_span_a_recipient_opens_exactly_its_epochs() {
    let session = session(depth(5), 1);
    for first in 0..32 {
        for end in first + 1..=32 {
            let epochs = span(first, end);
            let parts = [GrantPart::cover(&session, epochs).unwrap(), GrantPart::flat(&session, epochs).unwrap()];
            let record = grant(&parts).record().to_vec();
            let opened = Grant::parse(&record).unwrap().open(&device(2)).unwrap();
            for (part, kind) in opened.parts.iter().zip([PartKind::Cover, PartKind::Flat]) {
                assert_eq!((part.kind(), part.epochs()), (kind, epochs));
                assert_eq!(made(&session, part), (first..end).collect::<Vec<_>>(), "{kind:?} of {epochs}");
            }
        }
    }
}

#[test]
fn no_node_of_any_grant_makes_more_than_it_covers() {
    let session = session(depth(6), 1);
    for first in 0..64 {
        for end in first + 1..=64 {
            let epochs = span(first, end);
            let part = GrantPart::cover(&session, epochs).unwrap();
            let plaintext = body::emit(&key(1).verifying_key(), &[part]).unwrap();
            let (_, parts) = body::parse(&plaintext).unwrap();
            // Whoever takes the nodes apart finds no other epoch in them either.
            let mut leaves = Vec::new();
            for node in parts[0].nodes() {
                leaves.extend((0..64).filter(|epoch| node.leaf(Epoch(*epoch)).is_some()));
            }
            assert_eq!(leaves, (first..end).collect::<Vec<_>>(), "{epochs}");
            assert_eq!(made(&session, &parts[0]), leaves);
            check_body(&plaintext);
        }
    }
}

#[test]
fn what_is_opened_says_whose_it_is_and_who_gave_it() {
    let session = session(depth(5), 1);
    let opened = grant(&[GrantPart::cover(&session, span(3, 9)).unwrap()]).open(&device(2)).unwrap();
    assert_eq!((opened.camera, opened.granter), (key(1).verifying_key(), key(5).verifying_key()));
    assert_eq!(opened.terms, TERMS);
    assert_eq!(opened.parts[0].facts(), &session.facts);
    assert_eq!(opened.parts[0].certificate(), &session.certificate);
    let leaf = opened.parts[0].leaf(Epoch(4)).unwrap();
    let keys = EpochKeys::derive(&leaf, opened.parts[0].facts().id, TrackName::VIDEO);
    let ours = EpochKeys::derive(&session.root.leaf(Epoch(4)).unwrap(), session.facts.id, TrackName::VIDEO);
    assert_eq!(keys.commitment, ours.commitment);
}

#[test]
fn nobody_else_opens_it() {
    let session = session(depth(5), 1);
    let grant = grant(&[GrantPart::cover(&session, span(3, 9)).unwrap()]);
    assert_eq!(grant.open(&device(3)).unwrap_err(), GrantRefused::NotForUs);
    assert!(grant.is_for(device(2).public()) && !grant.is_for(device(3).public()));
    // Written over to somebody else, and signed anew by whoever did that.
    let mut record = grant.record().to_vec();
    let name = Grant::emit(
        &[GrantPart::cover(&session, span(0, 1)).unwrap()],
        device(3).public(),
        &key(5),
        TERMS,
        Seed::from_os_random([7; 32]),
    );
    record[18..26].copy_from_slice(&name.unwrap().record()[18..26]);
    let record = resigned(record, 8);
    assert_eq!(Grant::parse(&record).unwrap().open(&device(3)).unwrap_err(), GrantRefused::Unopened);
}

/// The same with another granter's key and signature.
fn resigned(mut record: Vec<u8>, granter: u8) -> Vec<u8> {
    record.truncate(record.len() - 96);
    record.extend_from_slice(&key(granter).verifying_key().0);
    sign(&mut record, b"doorframe/1 grant", &key(granter));
    record
}

#[test]
fn a_grant_opens_only_whole_and_as_signed() {
    let session = session(depth(5), 1);
    let grant = grant(&[GrantPart::cover(&session, span(3, 9)).unwrap()]);
    let record = grant.record();
    assert_eq!(Grant::parse(record).as_ref(), Ok(&grant));
    for len in (0..record.len()).step_by(13) {
        assert!(Grant::parse(&record[..len]).is_err(), "{len} bytes");
    }
    assert_eq!(Grant::parse(&[record, &[0]].concat()), Err(RecordError::Long(1)));
    for at in (0..record.len()).step_by(17) {
        let mut changed = record.to_vec();
        changed[at] ^= 1;
        if let Ok(parsed) = Grant::parse(&changed) {
            assert_eq!(parsed.open(&device(2)).unwrap_err(), GrantRefused::Forged, "byte {at}");
        }
        // Nor does a new signature help: what is before the ciphertext is bound to it.
        if (2..1162).contains(&at) || (1166..1166 + 4096).contains(&at) {
            let refused = Grant::parse(&resigned(changed, 8)).unwrap().open(&device(2)).unwrap_err();
            assert!(matches!(refused, GrantRefused::Unopened | GrantRefused::NotForUs), "byte {at}: {refused}");
        }
    }
}

#[test]
fn a_sealed_length_that_no_grant_has_is_refused() {
    let session = session(depth(5), 1);
    let record = grant(&[GrantPart::cover(&session, span(3, 9)).unwrap()]).record().to_vec();
    for len in [0, 15, 16, 4096, 4096 + 15, 4096 + 17, 3 * 4096 + 16, (8 << 20) + 16, u32::MAX] {
        let mut changed = record.clone();
        changed[1162..1166].copy_from_slice(&len.to_be_bytes());
        let refused = RecordError::Field { field: "sealed length", value: len.into() };
        assert_eq!(Grant::parse(&changed), Err(refused), "{len}");
    }
}

#[test]
fn its_size_says_nothing_of_a_span_and_its_bytes_name_no_camera() {
    let session = session(Depth::SESSION, 1);
    let sizes: Vec<_> = [(5, 6), (0, 30), (1, 10_799), (12_345, 65_535)]
        .map(|(first, end)| {
            let grant = grant(&[GrantPart::cover(&session, span(first, end)).unwrap()]);
            let camera = key(1).verifying_key().0;
            assert!(!grant.record().windows(32).any(|window| window == camera));
            assert!(!grant.record().windows(16).any(|window| window == session.facts.id.0));
            grant.record().len()
        })
        .into();
    assert_eq!(sizes, [42 + 1120 + 4 + 4096 + 16 + 32 + 64; 4]);
    // Leaf by leaf, 10,800 epochs are 512 KiB.
    let flat = grant(&[GrantPart::flat(&session, span(0, 10_800)).unwrap()]);
    assert_eq!(flat.record().len(), 42 + 1120 + 4 + (512 << 10) + 16 + 32 + 64);
}

#[test]
fn what_cannot_be_granted_is_said() {
    let (ours, other) = (session(depth(5), 1), session(depth(5), 77));
    let part = |session| GrantPart::cover(session, span(3, 9)).unwrap();
    let make = |parts: &[GrantPart]| {
        Grant::emit(parts, device(2).public(), &key(5), TERMS, Seed::from_os_random([6; 32])).unwrap_err()
    };
    assert_eq!(make(&[]), GrantError::Parts(0));
    assert_eq!(make(&std::iter::repeat_with(|| part(&ours)).take(17).collect::<Vec<_>>()), GrantError::Parts(17));
    let cameras = GrantError::TwoCameras(key(1).verifying_key(), key(77).verifying_key());
    assert_eq!(make(&[part(&ours), part(&other)]), cameras);
    let beyond = SpanRefused::Beyond { span: span(3, 33), leaves: 32 };
    assert_eq!(GrantPart::cover(&ours, span(3, 33)).unwrap_err(), beyond);
    assert_eq!(GrantPart::flat(&ours, span(3, 33)).unwrap_err(), beyond);
    assert_eq!(EpochSpan::new(Epoch(3), Epoch(3)), None);
    let endless = session(depth(32), 1);
    assert_eq!(GrantPart::flat(&endless, span(0, u32::MAX)).unwrap_err(), SpanRefused::Long(u32::MAX));
    assert_eq!(GrantPart::cover(&endless, span(0, u32::MAX)).unwrap().nodes().len(), 32);
    let long = session(Depth::SESSION, 1);
    let all = || GrantPart::flat(&long, span(0, 65_536)).unwrap();
    assert_eq!(make(&[all(), all()]), GrantError::Large);
}

/// Where fields of the first part are in a plaintext.
const BODY: usize = 34;
const SPAN: usize = BODY + 132 + 64;
const KIND: usize = SPAN + 8;
const NODES: usize = KIND + 2;
const NODE: usize = 37;

/// `plaintext` sealed to device 2, whatever it says, and what that device finds.
fn found(plaintext: &[u8]) -> GrantRefused {
    let good = grant(&[GrantPart::cover(&session(depth(5), 1), span(3, 9)).unwrap()]);
    let aad = good.header();
    let info = [b"doorframe/1 grant".as_slice(), &TERMS.id.0].concat();
    let mut rng = Seed::from_os_random([8; 32]).rng();
    let (enc, ciphertext) = device(2).public().seal(&info, &aad, plaintext, &mut rng).unwrap();
    let len = (ciphertext.len() as u32).to_be_bytes();
    let record = resigned([&aad, &enc, &len[..], &ciphertext, &[0; 96]].concat(), 5);
    Grant::parse(&record).unwrap().open(&device(2)).unwrap_err()
}

/// Epochs 3 to 8 of 32: nodes 5.3, 3.1 and 5.8; the plaintext after `change`.
fn changed(change: impl FnOnce(&mut Vec<u8>)) -> GrantRefused {
    let session = session(depth(5), 1);
    let part = GrantPart::cover(&session, span(3, 9)).unwrap();
    let mut plaintext = body::emit(&key(1).verifying_key(), &[part]).unwrap().to_vec();
    change(&mut plaintext);
    found(&plaintext)
}

fn bad(field: &'static str, value: u64) -> GrantRefused {
    RecordError::Field { field, value }.into()
}

#[test]
fn a_certificate_that_does_not_hold_is_refused() {
    assert_eq!(changed(|p| p[BODY + 2] ^= 1), GrantRefused::Uncertified(0), "another session");
    assert_eq!(changed(|p| p[BODY + 132] ^= 1), GrantRefused::Uncertified(0), "another signature");
    assert_eq!(changed(|p| p[1] ^= 1), GrantRefused::Uncertified(0), "another camera");
    assert_eq!(changed(|p| p[BODY + 19] = 9), bad("suite", 9));
    assert_eq!(changed(|p| p[BODY] = 2), RecordError::Version(2).into());
}

#[test]
fn spans_and_counts_out_of_range_are_refused() {
    assert_eq!(changed(|p| p[0] = 2), RecordError::Version(2).into());
    assert_eq!(changed(|p| p[33] = 0), bad("parts", 0));
    assert_eq!(changed(|p| p[33] = 17), bad("parts", 17));
    assert_eq!(changed(|p| p[SPAN + 7] = 3), bad("end of the epochs", 3));
    assert_eq!(changed(|p| p[SPAN + 7] = 2), bad("end of the epochs", 2));
    assert_eq!(changed(|p| p[SPAN + 7] = 33), bad("end of the epochs", 33));
    assert_eq!(changed(|p| p[KIND] = 3), bad("kind of keys", 3));
    assert_eq!(changed(|p| p[KIND + 1] = 63), bad("nodes", 63));
    let flat = GrantPart::flat(&session(depth(5), 1), span(3, 9)).unwrap();
    let mut plaintext = body::emit(&key(1).verifying_key(), &[flat]).unwrap().to_vec();
    plaintext[KIND + 4] = 7;
    assert_eq!(found(&plaintext), bad("leaves", 7));
    plaintext[KIND + 4] = 5;
    assert_eq!(found(&plaintext), bad("leaves", 5));
}

#[test]
fn a_cover_that_is_not_the_one_of_its_span_is_refused() {
    let refused = |error| GrantRefused::Cover { part: 0, error };
    let at = |n: usize| NODES + n * NODE;
    let swapped = changed(|p| {
        let (first, second) = (p[at(0)..at(1)].to_vec(), p[at(1)..at(2)].to_vec());
        p[at(0)..at(1)].copy_from_slice(&second);
        p[at(1)..at(2)].copy_from_slice(&first);
    });
    assert_eq!(swapped, refused(CoverError::Unordered { level: 5, index: 3 }));
    let twice = changed(|p| {
        let first = p[at(0)..at(1)].to_vec();
        p[at(1)..at(2)].copy_from_slice(&first);
    });
    assert_eq!(twice, refused(CoverError::Overlapping { level: 5, index: 3 }));
    assert_eq!(changed(|p| p[at(2) + 4] = 9), refused(CoverError::Outside { level: 5, index: 9 }));
    assert_eq!(changed(|p| p[at(0) + 4] = 2), refused(CoverError::Outside { level: 5, index: 2 }));
    assert_eq!(changed(|p| p[at(1)] = 2), refused(CoverError::Outside { level: 2, index: 1 }));
    assert_eq!(changed(|p| p[at(0)] = 0), refused(CoverError::NoSuchNode { level: 0, index: 3 }));
    assert_eq!(changed(|p| p[at(2)] = 6), refused(CoverError::NoSuchNode { level: 6, index: 8 }));
    // A node fewer, and the bytes after it as padding would be read: an epoch is missing.
    let fewer = changed(|p| {
        p[KIND + 1] = 2;
        p[at(2)..at(3)].fill(0);
    });
    assert_eq!(fewer, refused(CoverError::NotCanonical));
    // Two children in the place of their parent make the same epochs.
    let more = changed(|p| {
        p[KIND + 1] = 4;
        let last = p[at(2)..at(3)].to_vec();
        p[at(3)..at(4)].copy_from_slice(&last);
        (p[at(1)], p[at(1) + 4]) = (4, 2);
        (p[at(2)], p[at(2) + 4]) = (4, 3);
    });
    assert_eq!(more, refused(CoverError::NotCanonical));
}

#[test]
fn padding_is_zero_and_no_longer_than_it_must_be() {
    let end = NODES + 3 * NODE;
    assert_eq!(changed(|p| p[end] = 7), bad("padding", 7));
    assert_eq!(changed(|p| p[4095] = 1), bad("padding", 1));
    assert_eq!(changed(|p| p.resize(8192, 0)), bad("padded length", 8192));
    assert_eq!(changed(|p| p.resize(LARGEST, 0)), bad("padded length", LARGEST as u64));
    // Parts that go on beyond the end.
    assert!(matches!(changed(|p| p[33] = 16), GrantRefused::Malformed(_)));
}

#[test]
fn nothing_secret_is_printed() {
    let session = session(depth(5), 1);
    let secret = format!("{:?}", session.root.leaf(Epoch(4)).unwrap().secret());
    let opened = grant(&[GrantPart::flat(&session, span(4, 5)).unwrap()]).open(&device(2)).unwrap();
    assert!(!format!("{opened:?}").contains(&secret));
    assert!(format!("{opened:?}").contains("Node(5.4, ..)"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_bytes_give_an_error_or_come_back_unchanged(
        bytes in proptest::collection::vec(any::<u8>(), 0..6000),
        start in 0usize..5400,
    ) {
        crate::fuzzing::check_grant(&bytes);
        let session = session(depth(5), 1);
        let part = GrantPart::cover(&session, span(3, 9)).unwrap();
        let mut record = grant(&[part]).record().to_vec();
        record.iter_mut().skip(start).zip(&bytes).take(3).for_each(|(to, from)| *to = *from);
        crate::fuzzing::check_grant(&record);
    }

    #[test]
    fn any_plaintext_gives_an_error_or_comes_back_unchanged(
        at in NODES - 10..NODES + 3 * NODE + 20,
        to in any::<u8>(),
        flat in any::<bool>(),
    ) {
        let session = session(depth(5), 1);
        let make = if flat { GrantPart::flat } else { GrantPart::cover };
        let mut plaintext = body::emit(&key(1).verifying_key(), &[make(&session, span(3, 9)).unwrap()]).unwrap().to_vec();
        plaintext[at] = to;
        check_body(&plaintext);
    }

    #[test]
    fn any_parts_come_back_as_they_were_given(
        spans in proptest::collection::vec((0u32..60_000, 1u32..300, any::<bool>()), 1..=16),
    ) {
        let session = session(Depth::SESSION, 1);
        let parts: Vec<_> = spans
            .iter()
            .map(|(first, count, flat)| {
                let make = if *flat { GrantPart::flat } else { GrantPart::cover };
                make(&session, span(*first, first + count)).unwrap()
            })
            .collect();
        let opened = grant(&parts).open(&device(2)).unwrap();
        for (part, (first, count, _)) in opened.parts.iter().zip(spans) {
            prop_assert_eq!(part.epochs(), span(first, first + count));
            for epoch in [first, first + count / 2, first + count - 1] {
                let (ours, wanted) = (part.leaf(Epoch(epoch)).unwrap(), session.root.leaf(Epoch(epoch)).unwrap());
                prop_assert_eq!(ours.secret(), wanted.secret());
            }
            prop_assert!(part.leaf(Epoch(first + count)).is_none());
        }
    }
}
