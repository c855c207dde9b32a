//! SFrame (RFC 9605) on aws-lc-rs: the only code that touches a media AEAD.
//!
//! KID is the epoch, CTR the position in it, and metadata is empty: what an object belongs to is bound by its key
//! (`docs/wire.md` §7). The `sframe` crate writes headers and labels; AES-GCM and ChaCha20-Poly1305 come from aws-lc-rs. A plaintext
//! is written where it is sealed, and opened from one buffer to another: no bytes are copied in between.

use crate::keys::{Epoch, EpochKeys};
use aws_lc_rs::aead::{AES_256_GCM, Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::hkdf::{HKDF_SHA512, KeyType, Salt};
use bytes::Bytes;
use sframe::crypto::{get_hkdf_key_expand_label, get_hkdf_salt_expand_label};
use sframe::frame::EncryptedFrameView;
use sframe::header::{Counter, KeyId, SframeHeader};
use std::fmt;
use thiserror::Error;
use zeroize::Zeroizing;

/// What objects are sealed with. Stated in the session manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Suite {
    /// `AES_256_GCM_SHA512_128` (RFC 9605 §4.5): the one that browsers can open.
    Aes256Gcm,
    /// ChaCha20-Poly1305 with HKDF-SHA-512, our number: for processors without AES instructions.
    ChaCha20Poly1305,
}

impl Suite {
    /// Its number on the wire.
    pub const fn id(self) -> u16 {
        match self {
            Self::Aes256Gcm => 0x0005,
            Self::ChaCha20Poly1305 => 0xf001,
        }
    }

    /// `None` for a number this program does not know.
    pub const fn from_id(id: u16) -> Option<Self> {
        match id {
            0x0005 => Some(Self::Aes256Gcm),
            0xf001 => Some(Self::ChaCha20Poly1305),
            _ => None,
        }
    }
}

/// Why an object was not opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum OpenError {
    /// No SFrame header, or shorter than its tag.
    #[error("not a sealed object")]
    Malformed,
    /// Sealed under another KID.
    #[error("object is of epoch {given}, this group is epoch {wanted}")]
    Epoch {
        /// KID of the object.
        given: u64,
        /// Epoch of the group.
        wanted: Epoch,
    },
    /// The tag does not match: another key, or a changed bit.
    #[error("object does not open")]
    Unopened,
}

/// Why an object was not sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SealError {
    /// The AEAD refused, which only a payload of gigabytes makes it do.
    #[error("object of {0} bytes cannot be sealed")]
    Refused(usize),
}

/// Seals one track of one epoch: each object under the next counter, so that none is ever used twice.
pub struct Sealer {
    secret: Secret,
    epoch: Epoch,
    sealed: u32,
}

impl Sealer {
    /// Takes the keys: a second sealer of the same epoch would start at the same counter.
    pub fn new(suite: Suite, keys: EpochKeys) -> Self {
        Self { secret: Secret::derive(suite, keys.epoch.0.into(), keys.key.bytes()), epoch: keys.epoch, sealed: 0 }
    }

    /// Seals the next object of the epoch.
    ///
    /// # Errors
    /// [`SealError::Refused`] for a payload no AEAD takes.
    pub fn seal(&mut self, plaintext: &[u8]) -> Result<Bytes, SealError> {
        self.seal_with(plaintext.len(), |object| object.extend_from_slice(plaintext))
    }

    /// Seals the next object of the epoch where `write` puts its plaintext, behind what is there already: `len` bytes, or more memory is taken.
    ///
    /// Costs one allocation of the object's size and one pass of the AEAD.
    ///
    /// # Errors
    /// [`SealError::Refused`] for a payload no AEAD takes.
    pub fn seal_with(&mut self, len: usize, write: impl FnOnce(&mut Vec<u8>)) -> Result<Bytes, SealError> {
        let refused = |_| SealError::Refused(len);
        let header = SframeHeader::new(self.epoch.0.into(), self.sealed.into());
        // Counted before it is used: whatever comes of it, not again.
        self.sealed = self.sealed.checked_add(1).ok_or(Unspecified).map_err(refused)?;
        self.secret.seal(&header, &[], len, write).map(Bytes::from).map_err(refused)
    }

    /// Objects sealed so far: the position of the next one.
    pub fn sealed(&self) -> u32 {
        self.sealed
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealer(.., {} sealed)", self.sealed)
    }
}

/// Opens one track of one epoch, in any order. Does not look for replays: that is [`Viewer`](crate::Viewer)'s.
pub struct Opener {
    epoch: Epoch,
    secret: Secret,
}

impl Opener {
    /// An opener of the epoch and track that `keys` are for.
    pub fn new(suite: Suite, keys: &EpochKeys) -> Self {
        Self { epoch: keys.epoch, secret: Secret::derive(suite, keys.epoch.0.into(), keys.key.bytes()) }
    }

    /// Opens an object into `plaintext` (whose old contents go) and gives its position in the epoch.
    ///
    /// # Errors
    /// If it is malformed, of another epoch, or does not open; `plaintext` is then empty.
    pub fn open(&self, object: &[u8], plaintext: &mut Vec<u8>) -> Result<u64, OpenError> {
        let opened = self.open_into(object, plaintext);
        if opened.is_err() {
            plaintext.clear();
        }
        opened
    }

    fn open_into(&self, object: &[u8], plaintext: &mut Vec<u8>) -> Result<u64, OpenError> {
        let frame = EncryptedFrameView::try_new(object).map_err(|_| OpenError::Malformed)?;
        let (kid, counter) = (frame.header().key_id(), frame.header().counter());
        // Numbers have one form, the shortest (RFC 9605 §4.3): an object has one header.
        if SframeHeader::new(kid, counter).len() != frame.header().len() {
            return Err(OpenError::Malformed);
        }
        if kid != u64::from(self.epoch.0) {
            return Err(OpenError::Epoch { given: kid, wanted: self.epoch });
        }
        let (sealed, tag) = frame.cipher_text().split_last_chunk::<TAG>().ok_or(OpenError::Malformed)?;
        let (header, _) = object.split_at_checked(frame.header().len()).ok_or(OpenError::Malformed)?;
        // What is there of an earlier object is written over, and need not be made zero first.
        plaintext.resize(sealed.len(), 0);
        let Secret { key, .. } = &self.secret;
        let opened =
            key.open_separate_gather(self.secret.nonce(counter), Aad::from(header), sealed, tag, plaintext.as_mut());
        opened.map(|()| counter).map_err(|_| OpenError::Unopened)
    }
}

impl fmt::Debug for Opener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Opener({}, ..)", self.epoch)
    }
}

const TAG: usize = 16;
/// Both our suites have this one's lengths (key 32, nonce 12, tag 16, hash 64), which is all the crate asks of it.
const CARRIER: sframe::CipherSuite = sframe::CipherSuite::AesGcm256Sha512;

/// Key and salt of RFC 9605 §4.4.2, the key's schedule made once an epoch. aws-lc zeroizes its key when it is freed.
struct Secret {
    key: LessSafeKey,
    salt: Zeroizing<[u8; 12]>,
}

impl Secret {
    fn derive(suite: Suite, kid: KeyId, base_key: &[u8]) -> Self {
        let algorithm = match suite {
            Suite::Aes256Gcm => &AES_256_GCM,
            Suite::ChaCha20Poly1305 => &CHACHA20_POLY1305,
        };
        let prk = Salt::new(HKDF_SHA512, b"").extract(base_key);
        let expand = |label: Vec<u8>, out: &mut [u8]| {
            let label = of_suite(suite, label);
            prk.expand(&[&label], Length(out.len())).and_then(|okm| okm.fill(out))
        };
        let (mut key, mut salt) = (Zeroizing::new([0; 32]), Zeroizing::new([0; 12]));
        let made = expand(get_hkdf_key_expand_label(kid, CARRIER), key.as_mut())
            .and_then(|()| expand(get_hkdf_salt_expand_label(kid, CARRIER), salt.as_mut()))
            .and_then(|()| UnboundKey::new(algorithm, key.as_ref()));
        // HKDF gives up to 255 blocks, and the key is as long as the algorithm's.
        let key = made.unwrap_or_else(|_| unreachable!("32 and 12 bytes can be expanded, and 32 are a key"));
        Self { key: LessSafeKey::new(key), salt }
    }

    /// `salt XOR CTR` (RFC 9605 §4.4.3).
    fn nonce(&self, counter: Counter) -> Nonce {
        let mut nonce = *self.salt;
        nonce.iter_mut().rev().zip(counter.to_be_bytes().iter().rev()).for_each(|(n, c)| *n ^= c);
        Nonce::assume_unique_for_key(nonce)
    }

    /// The whole ciphertext: header, what is sealed, tag.
    fn seal(
        &self,
        header: &SframeHeader,
        metadata: &[u8],
        len: usize,
        write: impl FnOnce(&mut Vec<u8>),
    ) -> Result<Vec<u8>, Unspecified> {
        let mut object = Vec::with_capacity(header.len() + len + TAG);
        object.resize(header.len(), 0);
        header.serialize(object.as_mut_slice()).map_err(|_| Unspecified)?;
        write(&mut object);
        let (head, plaintext) = object.split_at_mut_checked(header.len()).ok_or(Unspecified)?;
        let nonce = self.nonce(header.counter());
        let tag = if metadata.is_empty() {
            self.key.seal_in_place_separate_tag(nonce, Aad::from(&*head), plaintext)?
        } else {
            self.key.seal_in_place_separate_tag(nonce, Aad::from([head, metadata].concat()), plaintext)?
        };
        object.extend_from_slice(tag.as_ref());
        Ok(object)
    }
}

struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

/// The crate's label ends in its suite's number; ours goes there instead.
fn of_suite(suite: Suite, mut label: Vec<u8>) -> Vec<u8> {
    label.truncate(label.len().saturating_sub(2));
    label.extend_from_slice(&suite.id().to_be_bytes());
    label
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::{Depth, Node, SessionId};
    use crate::track::TrackName;
    use proptest::prelude::*;

    fn keys(epoch: u32) -> EpochKeys {
        let root = Node::root([5; 32], Depth::SESSION);
        EpochKeys::derive(&root.leaf(Epoch(epoch)).unwrap(), SessionId([1; 16]), TrackName::VIDEO)
    }

    fn hex(text: &str) -> Vec<u8> {
        (0..text.len() / 2).map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap()).collect()
    }

    /// RFC 9605 appendix C.3, the vector of cipher suite 5, metadata and all.
    #[test]
    fn rfc_9605_vector_of_suite_5() {
        let base_key = hex("000102030405060708090a0b0c0d0e0f");
        let kid = 0x123u64;
        let ctr = 0x4567u64;
        let metadata = hex("4945544620534672616d65205747");
        let plaintext = hex("64726166742d696574662d736672616d652d656e63");
        let wanted = hex("990123456794f509d36e9beacb0e261d99c7d1e972f1fed787d4049f17ca21353c1cc24d56ceabced279");
        let secret = Secret::derive(Suite::Aes256Gcm, kid, &base_key);
        let header = SframeHeader::new(kid, ctr);
        let out =
            secret.seal(&header, &metadata, plaintext.len(), |object| object.extend_from_slice(&plaintext)).unwrap();
        assert_eq!(out, wanted);
    }

    proptest! {
        #[test]
        fn what_is_sealed_opens_in_any_order(
            payloads in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 1..20),
            seed in any::<u64>(),
            chacha in any::<bool>(),
        ) {
            let suite = if chacha { Suite::ChaCha20Poly1305 } else { Suite::Aes256Gcm };
            let mut sealer = Sealer::new(suite, keys(70_000 % 65_536));
            let opener = Opener::new(suite, &keys(70_000 % 65_536));
            let mut objects: Vec<_> =
                payloads.iter().enumerate().map(|(i, p)| (i, sealer.seal(p).unwrap())).collect();
            let turn = (seed % objects.len() as u64) as usize;
            objects.rotate_left(turn);
            let mut plaintext = vec![0xee; 7];
            for (i, object) in objects {
                prop_assert_eq!(opener.open(&object, &mut plaintext), Ok(i as u64));
                prop_assert_eq!(&plaintext, &payloads[i]);
            }
        }

        #[test]
        fn a_changed_object_does_not_open(
            payload in proptest::collection::vec(any::<u8>(), 0..100),
            at in any::<proptest::sample::Index>(),
            bit in 0u8..8,
        ) {
            let mut sealer = Sealer::new(Suite::Aes256Gcm, keys(9));
            let opener = Opener::new(Suite::Aes256Gcm, &keys(9));
            let mut object = sealer.seal(&payload).unwrap().to_vec();
            let at = at.index(object.len());
            object[at] ^= 1 << bit;
            let mut plaintext = Vec::new();
            prop_assert!(opener.open(&object, &mut plaintext).is_err());
            prop_assert!(plaintext.is_empty());
        }

        #[test]
        fn any_bytes_are_refused(object in proptest::collection::vec(any::<u8>(), 0..60)) {
            let opener = Opener::new(Suite::Aes256Gcm, &keys(0));
            prop_assert!(opener.open(&object, &mut Vec::new()).is_err());
        }
    }

    #[test]
    fn another_epoch_is_named_and_every_truncation_refused() {
        let mut sealer = Sealer::new(Suite::Aes256Gcm, keys(3));
        let object = sealer.seal(b"door").unwrap();
        let mut plaintext = Vec::new();
        assert_eq!(
            Opener::new(Suite::Aes256Gcm, &keys(4)).open(&object, &mut plaintext),
            Err(OpenError::Epoch { given: 3, wanted: Epoch(4) })
        );
        let opener = Opener::new(Suite::Aes256Gcm, &keys(3));
        for len in 0..object.len() {
            assert!(opener.open(&object[..len], &mut plaintext).is_err(), "{len} bytes");
        }
        assert_eq!(opener.open(&object, &mut plaintext), Ok(0));
    }

    #[test]
    fn the_suites_do_not_open_each_other() {
        let mut sealer = Sealer::new(Suite::ChaCha20Poly1305, keys(3));
        let object = sealer.seal(b"door").unwrap();
        let opener = Opener::new(Suite::Aes256Gcm, &keys(3));
        assert_eq!(opener.open(&object, &mut Vec::new()), Err(OpenError::Unopened));
    }
}
