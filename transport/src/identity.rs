//! Keys that name somebody: a camera's identity, a session's signer, an owner's device.

use crate::keys::SessionId;
use crate::seed::Rng;
use aws_lc_rs::digest::{Context, SHA256, digest};
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use hpke::aead::AesGcm256;
use hpke::kdf::HkdfSha256;
use hpke::kem::XWing;
use hpke::{Deserializable, Kem, OpModeR, OpModeS, Serializable};
use std::fmt;
use thiserror::Error;
use zeroize::{Zeroize, Zeroizing};

/// SHA-256.
pub type Hash = [u8; 32];

const EXPORT: &[u8] = b"doorframe/1 export";

pub(crate) fn hash(parts: &[&[u8]]) -> Hash {
    let mut context = Context::new(&SHA256);
    parts.iter().for_each(|part| context.update(part));
    let mut out = [0; 32];
    out.iter_mut().zip(context.finish().as_ref()).for_each(|(to, from)| *to = *from);
    out
}

/// A key that does not parse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("not a valid {0}")]
pub struct BadKey(&'static str);

/// Public half of a [`SigningKey`]: Ed25519 (RFC 8032).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct VerifyingKey(pub [u8; 32]);

impl VerifyingKey {
    /// Whether `signature` is over `label ‖ message` by this key.
    pub(crate) fn verifies(&self, label: &[u8], message: &[u8], signature: &[u8; 64]) -> bool {
        let signed = [label, message].concat();
        UnparsedPublicKey::new(&ED25519, &self.0).verify(&signed, signature).is_ok()
    }

    /// Whether this key signed what an export says of itself.
    pub fn verifies_export(&self, statement: &[u8], signature: &[u8; 64]) -> bool {
        self.verifies(EXPORT, statement, signature)
    }

    /// First 8 bytes of its hash as four groups of hex digits: what two people compare.
    pub fn fingerprint(&self) -> String {
        let hash = digest(&SHA256, &self.0);
        let mut text = String::with_capacity(19);
        for (i, byte) in hash.as_ref().iter().take(8).enumerate() {
            if i > 0 && i % 2 == 0 {
                text.push('-');
            }
            text.push_str(&format!("{byte:02x}"));
        }
        text
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifyingKey({})", self.fingerprint())
    }
}

/// Signs for a camera or a session: Ed25519 (RFC 8032).
pub struct SigningKey(Ed25519KeyPair);

impl SigningKey {
    /// The key that a 32-byte seed makes.
    ///
    /// # Errors
    /// [`BadKey`] if the library refuses the seed, which it does for none of 32 bytes.
    pub fn from_seed(seed: &[u8; 32]) -> Result<Self, BadKey> {
        Ed25519KeyPair::from_seed_unchecked(seed).map(Self).map_err(|_| BadKey("Ed25519 seed"))
    }

    /// What others check signatures with.
    pub fn verifying_key(&self) -> VerifyingKey {
        let mut public = [0; 32];
        public.iter_mut().zip(self.0.public_key().as_ref()).for_each(|(to, from)| *to = *from);
        VerifyingKey(public)
    }

    /// Signs what an export says of itself (`docs/format.md`, "Proof of an export").
    pub fn sign_export(&self, statement: &[u8]) -> [u8; 64] {
        self.sign(EXPORT, statement)
    }

    pub(crate) fn sign(&self, label: &[u8], message: &[u8]) -> [u8; 64] {
        let mut signature = [0; 64];
        let signed = self.0.sign(&[label, message].concat());
        signature.iter_mut().zip(signed.as_ref()).for_each(|(to, from)| *to = *from);
        signature
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({}, ..)", self.verifying_key().fingerprint())
    }
}

/// Length of [`DevicePublicKey`]: X-Wing's encapsulation key.
pub const DEVICE_PUBLIC_KEY: usize = 1216;
pub(crate) const ENCAPSULATED: usize = 1120;
pub(crate) const SEALED_ROOT: usize = 1 + 32 + 1 + 32 + 64 + 16;

/// What a session root is sealed to: HPKE (RFC 9180) public key of one of the owner's devices, X-Wing.
#[derive(Clone)]
pub struct DevicePublicKey {
    key: <XWing as Kem>::PublicKey,
    bytes: Box<[u8; DEVICE_PUBLIC_KEY]>,
}

impl DevicePublicKey {
    /// From its 1216 bytes.
    ///
    /// # Errors
    /// [`BadKey`] if they are no X-Wing key.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, BadKey> {
        let bad = BadKey("device public key (1216 bytes of X-Wing)");
        let key = <XWing as Kem>::PublicKey::from_bytes(bytes).map_err(|_| bad)?;
        let bytes = <[u8; DEVICE_PUBLIC_KEY]>::try_from(bytes).map_err(|_| bad)?;
        Ok(Self { key, bytes: Box::new(bytes) })
    }

    /// Its bytes.
    pub fn bytes(&self) -> &[u8; DEVICE_PUBLIC_KEY] {
        &self.bytes
    }

    /// Its name in one session: a hub that sees two sessions cannot tell that both are for one device.
    pub(crate) fn recipient_id(&self, session: SessionId) -> [u8; 8] {
        let full = hash(&[b"doorframe/1 recipient", &session.0, self.bytes.as_slice()]);
        let mut id = [0; 8];
        id.iter_mut().zip(full).for_each(|(to, from)| *to = from);
        id
    }

    pub(crate) fn seal(
        &self,
        info: &[u8],
        aad: &[u8],
        plaintext: &[u8],
        rng: &mut Rng,
    ) -> Result<(Vec<u8>, Vec<u8>), BadKey> {
        let (enc, ciphertext) = hpke::single_shot_seal_with_rng::<AesGcm256, HkdfSha256, XWing>(
            &OpModeS::Base,
            &self.key,
            info,
            plaintext,
            aad,
            &mut rng.0,
        )
        .map_err(|_| BadKey("device public key"))?;
        Ok((enc.to_bytes().to_vec(), ciphertext))
    }
}

impl PartialEq for DevicePublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl Eq for DevicePublicKey {}

impl fmt::Debug for DevicePublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DevicePublicKey(..)")
    }
}

/// Key of one of the owner's devices, which opens session roots. Never printed.
pub struct DeviceKey {
    seed: Zeroizing<[u8; 32]>,
    key: <XWing as Kem>::PrivateKey,
    public: DevicePublicKey,
}

impl DeviceKey {
    /// The key that a 32-byte X-Wing seed makes.
    ///
    /// # Errors
    /// [`BadKey`] if the library refuses the seed, which it does for none of 32 bytes.
    pub fn from_seed(mut seed: [u8; 32]) -> Result<Self, BadKey> {
        let bad = BadKey("X-Wing seed");
        let key = <XWing as Kem>::PrivateKey::from_bytes(&seed).map_err(|_| bad)?;
        let public = DevicePublicKey::from_bytes(&XWing::sk_to_pk(&key).to_bytes())?;
        let kept = Zeroizing::new(seed);
        seed.zeroize();
        Ok(Self { seed: kept, key, public })
    }

    /// What cameras seal to.
    pub fn public(&self) -> &DevicePublicKey {
        &self.public
    }

    /// The seed, to store it: whoever has it is this device.
    pub fn seed(&self) -> &[u8; 32] {
        &self.seed
    }

    pub(crate) fn open(&self, info: &[u8], aad: &[u8], enc: &[u8], ciphertext: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let enc = <XWing as Kem>::EncappedKey::from_bytes(enc).ok()?;
        hpke::single_shot_open::<AesGcm256, HkdfSha256, XWing>(&OpModeR::Base, &self.key, &enc, info, ciphertext, aad)
            .ok()
            .map(Zeroizing::new)
    }
}

impl fmt::Debug for DeviceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DeviceKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::Seed;

    #[test]
    fn a_signature_is_bound_to_its_label() {
        let key = SigningKey::from_seed(&[1; 32]).unwrap();
        let signature = key.sign(b"doorframe/1 opening", b"x");
        assert!(key.verifying_key().verifies(b"doorframe/1 opening", b"x", &signature));
        assert!(!key.verifying_key().verifies(b"doorframe/1 closing", b"x", &signature));
    }

    #[test]
    fn only_the_device_it_was_sealed_to_opens_a_root() {
        let (ours, other) = (DeviceKey::from_seed([1; 32]).unwrap(), DeviceKey::from_seed([2; 32]).unwrap());
        let mut rng = Seed::from_os_random([3; 32]).rng();
        let (enc, ciphertext) = ours.public().seal(b"info", b"aad", b"root", &mut rng).unwrap();
        assert_eq!(enc.len(), ENCAPSULATED);
        assert_eq!(ours.open(b"info", b"aad", &enc, &ciphertext).unwrap().as_slice(), b"root");
        assert!(ours.open(b"info", b"aae", &enc, &ciphertext).is_none());
        assert!(other.open(b"info", b"aad", &enc, &ciphertext).is_none());
    }
}
