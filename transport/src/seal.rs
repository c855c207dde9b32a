//! SFrame (RFC 9605) on aws-lc-rs: the only code that touches a media AEAD.
//!
//! KID is the epoch, CTR the position in it, and metadata is empty: what an object belongs to is bound by its key
//! (`docs/wire.md` §7). The `sframe` crate writes headers and labels; AES-GCM and ChaCha20-Poly1305 come from aws-lc-rs through a
//! backend of ours.

use crate::keys::{Epoch, EpochKeys};
use aws_lc_rs::aead::{AES_256_GCM, Aad, Algorithm, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA512, KeyType, Salt};
use bytes::Bytes;
use sframe::crypto::{
    AeadDecrypt, AeadEncrypt, DecryptionBufferView, EncryptionBufferView, KeyDerivation, get_hkdf_key_expand_label,
    get_hkdf_salt_expand_label,
};
use sframe::error::SframeError;
use sframe::frame::{EncryptedFrameView, MediaFrameView, MonotonicCounter};
use sframe::header::{Counter, KeyId, SframeHeader};
use sframe::key::{GenericDecryptionKey, GenericEncryptionKey};
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
    key: SealKey,
    counter: MonotonicCounter,
    sealed: u32,
}

enum SealKey {
    Aes(GenericEncryptionKey<Backend<AES>, Backend<AES>>),
    ChaCha(GenericEncryptionKey<Backend<CHACHA>, Backend<CHACHA>>),
}

impl Sealer {
    /// Takes the keys: a second sealer of the same epoch would start at the same counter.
    pub fn new(suite: Suite, keys: EpochKeys) -> Self {
        let (kid, base) = (KeyId::from(keys.epoch.0), keys.key.bytes());
        // Deriving fails only for a suite a backend refuses, and these refuse none.
        let key = match suite {
            Suite::Aes256Gcm => GenericEncryptionKey::derive_from(CARRIER, kid, base).map(SealKey::Aes),
            Suite::ChaCha20Poly1305 => GenericEncryptionKey::derive_from(CARRIER, kid, base).map(SealKey::ChaCha),
        };
        let key = key.unwrap_or_else(|_| unreachable!("both backends take every key of 32 bytes"));
        Self { key, counter: MonotonicCounter::default(), sealed: 0 }
    }

    /// Seals the next object of the epoch.
    ///
    /// Costs one allocation of the object's size and one pass of the AEAD.
    ///
    /// # Errors
    /// [`SealError::Refused`] for a payload no AEAD takes.
    pub fn seal(&mut self, plaintext: &[u8]) -> Result<Bytes, SealError> {
        let refused = |_| SealError::Refused(plaintext.len());
        let frame = MediaFrameView::try_new(&mut self.counter, plaintext).map_err(refused)?;
        let mut object = Vec::with_capacity(plaintext.len() + SframeHeader::new(u64::MAX, u64::MAX).len() + TAG);
        match &self.key {
            SealKey::Aes(key) => frame.encrypt_into(key, &mut object).map(drop),
            SealKey::ChaCha(key) => frame.encrypt_into(key, &mut object).map(drop),
        }
        .map_err(refused)?;
        self.sealed += 1;
        Ok(Bytes::from(object))
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
    key: OpenKey,
}

enum OpenKey {
    Aes(GenericDecryptionKey<Backend<AES>, Backend<AES>>),
    ChaCha(GenericDecryptionKey<Backend<CHACHA>, Backend<CHACHA>>),
}

impl Opener {
    /// An opener of the epoch and track that `keys` are for.
    pub fn new(suite: Suite, keys: &EpochKeys) -> Self {
        let (kid, base) = (KeyId::from(keys.epoch.0), keys.key.bytes());
        let key = match suite {
            Suite::Aes256Gcm => GenericDecryptionKey::derive_from(CARRIER, kid, base).map(OpenKey::Aes),
            Suite::ChaCha20Poly1305 => GenericDecryptionKey::derive_from(CARRIER, kid, base).map(OpenKey::ChaCha),
        };
        let key = key.unwrap_or_else(|_| unreachable!("both backends take every key of 32 bytes"));
        Self { epoch: keys.epoch, key }
    }

    /// Opens an object into `plaintext` (whose old contents go) and gives its position in the epoch.
    ///
    /// # Errors
    /// If it is malformed, of another epoch, or does not open; `plaintext` is then empty.
    pub fn open(&self, object: &[u8], plaintext: &mut Vec<u8>) -> Result<u64, OpenError> {
        plaintext.clear();
        let frame = EncryptedFrameView::try_new(object).map_err(|_| OpenError::Malformed)?;
        let (kid, counter) = (frame.header().key_id(), frame.header().counter());
        if kid != u64::from(self.epoch.0) {
            return Err(OpenError::Epoch { given: kid, wanted: self.epoch });
        }
        if frame.cipher_text().len() < TAG {
            return Err(OpenError::Malformed);
        }
        // The crate decrypts with the header in front and shows the payload as a part of the buffer.
        let opened = match &self.key {
            OpenKey::Aes(key) => frame.decrypt_into(key, plaintext).map(|f| f.payload().len()),
            OpenKey::ChaCha(key) => frame.decrypt_into(key, plaintext).map(|f| f.payload().len()),
        };
        match opened {
            Ok(len) => {
                let start = plaintext.len().saturating_sub(len);
                plaintext.drain(..start);
                Ok(counter)
            }
            Err(_) => {
                plaintext.clear();
                Err(OpenError::Unopened)
            }
        }
    }
}

impl fmt::Debug for Opener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Opener({}, ..)", self.epoch)
    }
}

const TAG: usize = 16;
const AES: u16 = Suite::Aes256Gcm.id();
const CHACHA: u16 = Suite::ChaCha20Poly1305.id();
/// Both our suites have this one's lengths (key 32, nonce 12, tag 16, hash 64), which is all the crate asks of it.
const CARRIER: sframe::CipherSuite = sframe::CipherSuite::AesGcm256Sha512;

/// aws-lc-rs for suite number `SUITE`, with the key schedule made once an epoch.
struct Backend<const SUITE: u16>;

/// Key and salt of RFC 9605 §4.4.2. aws-lc zeroizes its key when it is freed.
struct Secret {
    key: LessSafeKey,
    salt: Zeroizing<[u8; 12]>,
}

impl Secret {
    /// `salt XOR CTR` (RFC 9605 §4.4.3).
    fn nonce(&self, counter: Counter) -> Nonce {
        let mut nonce = *self.salt;
        nonce.iter_mut().rev().zip(counter.to_be_bytes().iter().rev()).for_each(|(n, c)| *n ^= c);
        Nonce::assume_unique_for_key(nonce)
    }
}

struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

impl<const SUITE: u16> Backend<SUITE> {
    const ALGORITHM: &'static Algorithm = if SUITE == CHACHA { &CHACHA20_POLY1305 } else { &AES_256_GCM };

    /// The crate's label ends in its suite's number; ours goes there instead.
    fn label(mut label: Vec<u8>) -> Vec<u8> {
        label.truncate(label.len().saturating_sub(2));
        label.extend_from_slice(&SUITE.to_be_bytes());
        label
    }
}

impl<const SUITE: u16> TryFrom<sframe::CipherSuite> for Backend<SUITE> {
    type Error = SframeError;

    fn try_from(_: sframe::CipherSuite) -> Result<Self, SframeError> {
        Ok(Self)
    }
}

impl<const SUITE: u16> KeyDerivation for Backend<SUITE> {
    type Secret = Secret;

    fn expand_from<M, K>(suite: sframe::CipherSuite, key_material: M, key_id: K) -> Result<Secret, SframeError>
    where
        M: AsRef<[u8]>,
        K: Into<KeyId>,
    {
        let failed = |_| SframeError::KeyDerivationFailure;
        let key_id = key_id.into();
        let prk = Salt::new(HKDF_SHA512, b"").extract(key_material.as_ref());
        let mut key = Zeroizing::new([0; 32]);
        let label = Self::label(get_hkdf_key_expand_label(key_id, suite));
        prk.expand(&[&label], Length(32)).and_then(|okm| okm.fill(key.as_mut())).map_err(failed)?;
        let mut salt = Zeroizing::new([0; 12]);
        let label = Self::label(get_hkdf_salt_expand_label(key_id, suite));
        prk.expand(&[&label], Length(12)).and_then(|okm| okm.fill(salt.as_mut())).map_err(failed)?;
        let key = UnboundKey::new(Self::ALGORITHM, key.as_ref()).map_err(failed)?;
        Ok(Secret { key: LessSafeKey::new(key), salt })
    }
}

impl<const SUITE: u16> AeadEncrypt for Backend<SUITE> {
    type Secret = Secret;

    fn encrypt<'a, B>(&self, secret: &Secret, buffer: B, counter: Counter) -> Result<(), SframeError>
    where
        B: Into<EncryptionBufferView<'a>>,
    {
        let view = buffer.into();
        let tag = secret
            .key
            .seal_in_place_separate_tag(secret.nonce(counter), Aad::from(&*view.aad), view.data)
            .map_err(|_| SframeError::EncryptionFailure)?;
        if view.tag.len() != tag.as_ref().len() {
            return Err(SframeError::EncryptionFailure);
        }
        view.tag.copy_from_slice(tag.as_ref());
        Ok(())
    }
}

impl<const SUITE: u16> AeadDecrypt for Backend<SUITE> {
    type Secret = Secret;

    fn decrypt<'a, B>(&self, secret: &Secret, buffer: B, counter: Counter) -> Result<(), SframeError>
    where
        B: Into<DecryptionBufferView<'a>>,
    {
        let view = buffer.into();
        secret
            .key
            .open_in_place(secret.nonce(counter), Aad::from(&*view.aad), view.data)
            .map_err(|_| SframeError::DecryptionFailure)?;
        Ok(())
    }
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
        let key = GenericEncryptionKey::<Backend<AES>, Backend<AES>>::derive_from(CARRIER, kid, &base_key).unwrap();
        let mut counter = MonotonicCounter::with_start_value(ctr, u64::MAX);
        let frame = MediaFrameView::try_with_meta_data(&mut counter, &plaintext, &metadata).unwrap();
        let mut out = Vec::new();
        frame.encrypt_into(&key, &mut out).unwrap();
        assert!(out.ends_with(&wanted[5..]), "{out:02x?}");
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
