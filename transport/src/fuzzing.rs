//! Invariants of what reads a peer's bytes. Fuzz targets and the replay test call these.

use crate::identity::{DeviceKey, SigningKey, hash};
use crate::keys::{Depth, Epoch, EpochKeys, Node, SessionId};
use crate::manifest::{Closing, DeviceListRef, Opening, SessionFacts, SessionManifest};
use crate::recorded::{EpochFile, SpanCheck, verify};
use crate::seal::{Opener, Suite};
use crate::session::EPOCH;
use crate::track::TrackName;
use crate::unit;
use bytes::Bytes;

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
