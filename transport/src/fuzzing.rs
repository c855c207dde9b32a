//! Invariants of what reads a peer's bytes. Fuzz targets and the replay test call these.

use crate::bundle::{self, Bundle};
use crate::devices::{
    CheckedList, DeviceList, Invitation, LetterKey, Lists, MAX_LETTER_RECORD, Role, Rotation, Update, Way, invitation,
    letter,
};
use crate::events;
use crate::grant::{self, Grant};
use crate::identity::{DeviceKey, SigningKey, hash};
use crate::journal::{Head, Journal, Survey};
use crate::keys::{Depth, Epoch, EpochKeys, Node, SessionId};
use crate::manifest::{Closing, DeviceListRef, Opening, SessionFacts, SessionManifest};
use crate::pairing::{CameraPairing, Exporter, Message, OwnerPairing, PairingSecret, TRIES};
use crate::recorded::{EpochFile, SpanCheck, verify};
use crate::seal::{Opener, Suite};
use crate::session::EPOCH;
use crate::track::TrackName;
use crate::unit;
use bytes::Bytes;
use doorframe_codec::units::Uptime;

/// Bytes that nobody sealed do not open; what is said to be a unit has the length it says.
pub fn check_object(object: &[u8]) {
    let root = Node::root([0; 32], Depth::SESSION);
    let Some(leaf) = root.leaf(Epoch(0)) else { return };
    let keys = EpochKeys::derive(&leaf, SessionId([0; 16]), TrackName::VIDEO);
    for suite in [Suite::Aes256Gcm, Suite::ChaCha20Poly1305] {
        let mut plaintext = Vec::new();
        assert!(Opener::new(suite, &keys).open(object, &mut plaintext).is_err());
        assert!(plaintext.is_empty());
    }
    if let Ok(parsed) = unit::parse(object) {
        let mut back = Vec::new();
        unit::emit(&parsed.unit, parsed.encoded_after, &mut back);
        assert!(object.starts_with(&back));
    }
}

/// Whatever parses comes out of `emit` unchanged up to its signature, and nothing is accepted that its key did not sign.
pub fn check_manifest(record: &[u8]) {
    let Ok(key) = SigningKey::from_seed(&[1; 32]) else { return };
    let body = record.get(..record.len().saturating_sub(64)).unwrap_or_default();
    if let Ok(opening) = Opening::parse(record) {
        assert!(opening.emit(&key).starts_with(body));
        assert_eq!(Opening::verify(&opening.emit(&key), &key.verifying_key()), Ok(Some(opening)));
    }
    if let Ok(closing) = Closing::parse(record) {
        assert!(closing.emit(&key).starts_with(body));
        assert_eq!(Closing::verify(&closing.emit(&key), &key.verifying_key()), Ok(Some(closing)));
    }
    if let Ok(session) = SessionManifest::parse(record)
        && let Ok(device) = DeviceKey::from_seed([1; 32])
    {
        assert!(session.open(&device, &key.verifying_key()).is_err());
    }
}

/// Whatever parses comes out of `emit` unchanged up to its signature. Lists go up by one version, and only by their owners' hands.
pub fn check_device_list(record: &[u8]) {
    let body = record.get(..record.len().saturating_sub(64)).unwrap_or_default();
    if let Ok(rotation) = Rotation::parse(record) {
        assert_eq!(rotation.emit_body(), body);
    }
    let Ok(list) = DeviceList::parse(record) else { return };
    assert_eq!(list.emit_body(), body);
    assert!(list.devices().iter().any(|device| device.role == Role::Owner));
    let Ok(checked) = CheckedList::trusted(record) else { return };
    // Well signed, so a seed: what it says holds, and the same again says nothing new.
    let mut lists = Lists::new(checked);
    assert_eq!(lists.handle(record), Ok(Update::Known));
    assert_eq!(lists.newest().record(), record);
}

/// What is sealed in letters and invitations: each part lies within the bytes, and none opens that nobody sealed.
pub fn check_letter(bytes: &[u8]) {
    if let Ok(record) = letter::record_of(bytes) {
        assert!(record.len() <= MAX_LETTER_RECORD && record.len() + 4 <= bytes.len());
    }
    if let Ok((records, cameras)) = invitation::parts(bytes) {
        let room: usize = records.iter().map(|record| 4 + record.len()).sum();
        assert!(!records.is_empty() && 2 + room + 4 + cameras.len() <= bytes.len());
    }
    let key = LetterKey::derive(&Node::root([0; 32], Depth::SESSION), SessionId([0; 16]));
    assert!(key.open(Way::ToCamera, bytes).is_err() && key.open(Way::ToDevices, bytes).is_err());
    if let (Ok(device), Ok(signer)) = (DeviceKey::from_seed([1; 32]), SigningKey::from_seed(&[1; 32])) {
        assert!(Invitation::open(bytes, &signer.verifying_key(), &[device]).is_err());
    }
}

/// What parses says what its bytes say, and opens with no key that it was not sealed to; what is sealed in it holds what it says.
pub fn check_grant(bytes: &[u8]) {
    grant::check_body(bytes);
    let Ok(grant) = Grant::parse(bytes) else { return };
    assert!(bytes.starts_with(&grant.header()));
    assert_eq!(grant.record(), bytes);
    let Ok(device) = DeviceKey::from_seed([0; 32]) else { return };
    assert!(grant.open(&device).is_err());
}

/// What parses as events comes out of `emit` unchanged, and one that is a bell is a doorbell alone.
pub fn check_events(plaintext: &[u8]) {
    let parsed = events::parse(plaintext);
    if let Ok(events) = &parsed {
        assert!(events.len() <= events::MOST);
        assert_eq!(events::emit(events), plaintext);
    }
    if let Ok(bell) = events::parse_bell(plaintext) {
        assert_eq!(parsed, Ok(vec![bell]));
        assert_eq!(bell, events::CameraEvent::doorbell(bell.at));
    }
}

/// A journal that holds is, entry by entry, what its device would write.
pub fn check_journal(records: &[u8]) {
    let Ok(key) = SigningKey::from_seed(&[1; 32]) else { return };
    let checked = Journal::check(records, key.verifying_key(), Head::START);
    let survey = Survey::of(records, key.verifying_key(), &[]);
    assert_eq!(survey.faults.first(), checked.as_ref().err());
    let Ok(journal) = checked else { return };
    assert_eq!(survey.entries, journal.entries());
    let mut again = Journal::new(key.verifying_key());
    let mut written = Vec::new();
    for entry in journal.entries() {
        let record = again.next(entry.deed, entry.details.clone(), entry.wall_us, &key);
        assert_eq!(again.handle(&record), Ok(()));
        written.extend_from_slice(&record);
    }
    assert_eq!(written, records);
    assert_eq!(again, journal);
}

/// Whatever parses comes out of `emit` unchanged, and proves nothing to who has another secret.
pub fn check_pairing(record: &[u8]) {
    let parsed = Message::parse(record);
    if let Ok(message) = &parsed {
        assert_eq!(message.emit(), record);
    }
    let Ok(identity) = SigningKey::from_seed(&[1; 32]) else { return };
    let (exporter, now) = (Exporter([0xff; 32]), Uptime::default());
    let mut camera = CameraPairing::new(PairingSecret::from_bytes([0xff; 16]), now);
    assert!(camera.handle_request(record, &exporter, &identity, now).is_err());
    assert!(camera.tries_left() >= TRIES - 1);
    if let Ok(Message::Request { owner, .. }) = parsed {
        let pairing = OwnerPairing::new(PairingSecret::from_bytes([0xff; 16]), identity.verifying_key());
        let (request, asked) = pairing.request(&owner, exporter);
        assert!(asked.handle_answer(record).is_err());
        assert!(camera.handle_request(&request, &exporter, &identity, now).is_ok());
    }
}

/// Whatever parses as an epoch file comes out of `emit` unchanged, and nothing in it is believed that its session's key did not
/// sign. No fuzzer finds a hash, so the bytes are tried with the right one after them too.
pub fn check_epoch_file(bytes: &[u8]) {
    let hashed = Bytes::from([bytes, &hash(&[bytes])].concat());
    let Ok(key) = SigningKey::from_seed(&[1; 32]) else { return };
    for file in [Bytes::copy_from_slice(bytes), hashed] {
        let Ok(parsed) = EpochFile::parse(&file) else { continue };
        assert_eq!(parsed.len(), file.len());
        assert_eq!(parsed.emit().map(|pieces| pieces.concat()), Ok(file.to_vec()));
        let facts = SessionFacts {
            id: parsed.session,
            suite: Suite::Aes256Gcm,
            epoch_length: EPOCH,
            depth: Depth::SESSION,
            signer: key.verifying_key(),
            started_wall_us: 0,
            devices: DeviceListRef::default(),
            checkpoint: [0; 32],
        };
        assert!(verify(&parsed, &facts).is_err());
        let mut span = SpanCheck::new(facts, 0..1);
        assert!(span.handle(Epoch(0), &file).is_none());
        assert!(!span.end().is_complete());
    }
}

/// What parses comes out of `emit` unchanged up to its maker's key, and opens with no key that it was not sealed to.
pub fn check_bundle(bytes: &[u8]) {
    let bytes = Bytes::copy_from_slice(bytes);
    let Ok(bundle) = Bundle::parse(&bytes) else { return };
    let unsigned = bundle::emit_unsigned(&bundle.camera(), bundle.made_wall_us(), bundle.grant(), bundle.parts());
    assert_eq!(bytes.get(..bytes.len() - 96), Some(&unsigned[..]));
    assert_eq!(bundle.check().parts.len(), bundle.parts().len());
    let Ok(device) = DeviceKey::from_seed([0; 32]) else { return };
    assert!(bundle.open(&device).is_err());
}
