//! Session manifest: what a session is, and its root sealed to each of the owner's devices.

use super::certificate::{BODY, SessionCertificate};
use super::{DeviceListRef, RecordError, sign, verified};
use crate::identity::{BadKey, DeviceKey, DevicePublicKey, ENCAPSULATED, Hash, SEALED_ROOT, SigningKey, VerifyingKey};
use crate::keys::{Depth, Node, SessionId};
use crate::parse::Reader;
use crate::seal::Suite;
use crate::seed::Rng;
use std::time::Duration;
use thiserror::Error;
use zeroize::Zeroizing;

/// Most devices a session is sealed to.
pub const MAX_RECIPIENTS: usize = 64;

/// What everybody may read of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionFacts {
    /// Which session.
    pub id: SessionId,
    /// What its objects are sealed with.
    pub suite: Suite,
    /// Length of an epoch; 1 ms to 65 s.
    pub epoch_length: Duration,
    /// Depth of its key tree.
    pub depth: Depth,
    /// Signs its epochs.
    pub signer: VerifyingKey,
    /// Start by the camera's wall clock, µs since 1970: a claim.
    pub started_wall_us: u64,
    /// Device list in force.
    pub devices: DeviceListRef,
    /// Newest checkpoint of the request log that the camera has seen; zeros: none.
    pub checkpoint: Hash,
}

/// A session manifest, its signature not yet checked.
#[derive(Clone, Debug)]
pub struct SessionManifest {
    facts: SessionFacts,
    record: Vec<u8>,
    recipients: usize,
}

/// Why a viewer does not take a session. Each is said to a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SessionRefused {
    /// The record is malformed.
    #[error("session manifest is damaged: {0}")]
    Malformed(#[from] RecordError),
    /// The session key's signature does not hold.
    #[error("session manifest is forged: its signature does not hold")]
    Forged,
    /// No entry for this device: not on the camera's list, or a wrong key.
    #[error("this device is not on the camera's device list")]
    NotForUs,
    /// An entry for this device that its key does not open.
    #[error("the session's key does not open with this device's key")]
    Unopened,
    /// Another camera than the one that was paired.
    #[error("this is another camera than the one you paired: its identity is {0}")]
    OtherCamera(VerifyingIdentity),
    /// The camera's identity key did not certify the session.
    #[error("the camera's certificate of this session does not hold")]
    Uncertified,
}

/// An identity, shown as its fingerprint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VerifyingIdentity(pub VerifyingKey);

impl std::fmt::Display for VerifyingIdentity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0.fingerprint())
    }
}

/// A session that this device may watch.
#[derive(Debug)]
pub struct SessionOpened {
    /// What it is.
    pub facts: SessionFacts,
    /// Root of its key tree.
    pub root: Node,
    /// By which others can tell that it is the camera's.
    pub certificate: SessionCertificate,
}

const RECIPIENT: usize = 8 + ENCAPSULATED + SEALED_ROOT;
const LABEL: &[u8] = b"doorframe/1 session manifest";
const INFO: &[u8] = b"doorframe/1 session root";
const TYPE: u8 = 1;
const ED25519: u8 = 1;

impl SessionFacts {
    pub(super) fn emit(&self) -> Vec<u8> {
        let mut out = vec![1, TYPE];
        out.extend_from_slice(&self.id.0);
        out.extend_from_slice(&self.suite.id().to_be_bytes());
        let epoch_ms = u16::try_from(self.epoch_length.as_millis()).unwrap_or(u16::MAX);
        out.extend_from_slice(&epoch_ms.to_be_bytes());
        out.push(self.depth.levels());
        out.push(ED25519);
        out.extend_from_slice(&self.signer.0);
        out.extend_from_slice(&self.started_wall_us.to_be_bytes());
        out.extend_from_slice(&self.devices.version.to_be_bytes());
        out.extend_from_slice(&self.devices.hash);
        out.extend_from_slice(&self.checkpoint);
        debug_assert_eq!(out.len(), BODY);
        out
    }

    pub(super) fn parse(reader: &mut Reader<'_>) -> Result<Self, RecordError> {
        let bad = |field, value: u64| RecordError::Field { field, value };
        reader.head(TYPE)?;
        let id = SessionId(reader.array()?);
        let suite = reader.u16()?;
        let suite = Suite::from_id(suite).ok_or(bad("suite", suite.into()))?;
        let epoch_ms = reader.u16()?;
        if epoch_ms == 0 {
            return Err(bad("epoch length", 0));
        }
        let depth = reader.u8()?;
        let depth = Depth::new(depth).ok_or(bad("depth", depth.into()))?;
        match reader.u8()? {
            ED25519 => {}
            other => return Err(bad("signature algorithm", other.into())),
        }
        Ok(Self {
            id,
            suite,
            epoch_length: Duration::from_millis(epoch_ms.into()),
            depth,
            signer: VerifyingKey(reader.array()?),
            started_wall_us: reader.u64()?,
            devices: DeviceListRef { version: reader.u32()?, hash: reader.array()? },
            checkpoint: reader.array()?,
        })
    }
}

impl SessionManifest {
    /// The signed record of a session: `root` sealed to every device, certified by `identity`.
    ///
    /// Devices over [`MAX_RECIPIENTS`] are refused by [`Session`](crate::Session) before it comes here.
    pub(crate) fn emit(
        facts: &SessionFacts,
        root: &[u8; 32],
        devices: &[DevicePublicKey],
        identity: &SigningKey,
        signer: &SigningKey,
        rng: &mut Rng,
    ) -> Result<Vec<u8>, BadKey> {
        let mut record = facts.emit();
        let body = record.clone();
        let mut plaintext = Zeroizing::new(Vec::with_capacity(SEALED_ROOT));
        plaintext.push(1);
        plaintext.extend_from_slice(root);
        plaintext.push(ED25519);
        plaintext.extend_from_slice(&identity.verifying_key().0);
        plaintext.extend_from_slice(SessionCertificate::issue(facts, identity).signature());
        let info = [INFO, &facts.id.0].concat();
        record.extend_from_slice(&(devices.len() as u16).to_be_bytes());
        for device in devices {
            let (enc, ciphertext) = device.seal(&info, &body, &plaintext, rng)?;
            record.extend_from_slice(&device.recipient_id(facts.id));
            record.extend_from_slice(&enc);
            record.extend_from_slice(&ciphertext);
        }
        sign(&mut record, LABEL, signer);
        Ok(record)
    }

    /// Reads a record, its signature not checked.
    ///
    /// # Errors
    /// If it is cut short, goes on after its end, or a field is out of range.
    pub fn parse(record: &[u8]) -> Result<Self, RecordError> {
        let mut reader = Reader::new(record);
        let facts = SessionFacts::parse(&mut reader)?;
        let recipients = usize::from(reader.u16()?);
        if recipients > MAX_RECIPIENTS {
            return Err(RecordError::Field { field: "recipients", value: recipients as u64 });
        }
        reader.slice(recipients * RECIPIENT)?;
        reader.array::<64>()?;
        reader.end()?;
        Ok(Self { facts, record: record.to_vec(), recipients })
    }

    /// What everybody may read of it, not yet to be trusted.
    pub fn facts(&self) -> &SessionFacts {
        &self.facts
    }

    /// Devices it is sealed to.
    pub fn recipients(&self) -> usize {
        self.recipients
    }

    /// Whether the session's own key signed all of it: so anybody can tell a damaged one. Whose session it is only a device can tell.
    pub fn is_signed(&self) -> bool {
        verified(&self.record, LABEL, &self.facts.signer).is_some()
    }

    /// Whether a record is a manifest of that session, signed by its own key.
    pub fn is_of(record: &[u8], session: SessionId) -> bool {
        Self::parse(record).is_ok_and(|manifest| manifest.facts.id == session && manifest.is_signed())
    }

    /// Checks every signature and opens the root with `device`'s key, if the session is `camera`'s.
    ///
    /// # Errors
    /// The first check that fails, in the order of `docs/wire.md` §4.
    pub fn open(self, device: &DeviceKey, camera: &VerifyingKey) -> Result<SessionOpened, SessionRefused> {
        let facts = self.facts;
        if verified(&self.record, LABEL, &facts.signer).is_none() {
            return Err(SessionRefused::Forged);
        }
        let mut reader = Reader::new(&self.record);
        let body = reader.array::<BODY>()?;
        reader.u16()?;
        let ours = device.public().recipient_id(facts.id);
        let info = [INFO, &facts.id.0].concat();
        let mut found = false;
        for _ in 0..self.recipients {
            let id: [u8; 8] = reader.array()?;
            let enc = reader.slice(ENCAPSULATED)?;
            let ciphertext = reader.slice(SEALED_ROOT)?;
            if id != ours {
                continue;
            }
            found = true;
            let Some(plaintext) = device.open(&info, &body, enc, ciphertext) else { continue };
            let mut sealed = Reader::new(&plaintext);
            match sealed.u8()? {
                1 => {}
                other => return Err(RecordError::Version(other).into()),
            }
            let root = Zeroizing::new(sealed.array::<32>()?);
            match sealed.u8()? {
                ED25519 => {}
                other => return Err(RecordError::Field { field: "identity algorithm", value: other.into() }.into()),
            }
            let identity = VerifyingKey(sealed.array()?);
            let certificate = sealed.array()?;
            sealed.end()?;
            if identity != *camera {
                return Err(SessionRefused::OtherCamera(VerifyingIdentity(identity)));
            }
            let certificate = SessionCertificate::verify(&body, &certificate, camera)?;
            let certificate = certificate.ok_or(SessionRefused::Uncertified)?;
            let root = Node::root(*root, facts.depth);
            return Ok(SessionOpened { facts, root, certificate });
        }
        Err(if found { SessionRefused::Unopened } else { SessionRefused::NotForUs })
    }
}
