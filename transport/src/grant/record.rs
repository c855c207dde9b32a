//! Parts sealed to whoever gets them, and signed by the device that gives.

use super::body::{self, BadBody};
use super::{CoverError, GrantPart, MAX_PARTS};
use crate::devices::Expiry;
use crate::identity::{BadKey, DeviceKey, DevicePublicKey, ENCAPSULATED, SigningKey, VerifyingKey, hash};
use crate::manifest::{sign, verified};
use crate::parse::{Reader, RecordError};
use crate::seed::Seed;
use std::fmt;
use thiserror::Error;

const LABEL: &[u8] = b"doorframe/1 grant";
const RECIPIENT: &[u8] = b"doorframe/1 grant recipient";
const TYPE: u8 = 6;
/// Bytes before the encapsulated key.
const HEADER: usize = 2 + 16 + 8 + 8 + 8;
/// What the AEAD adds.
const TAG: usize = 16;

/// Random name of a grant, used for one.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct GrantId(pub [u8; 16]);

impl fmt::Display for GrantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for GrantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What a grant says of itself, for all to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GrantTerms {
    /// Its name.
    pub id: GrantId,
    /// When it was made by the granting device's wall clock, µs since 1970: a claim.
    pub made_wall_us: u64,
    /// Until when it is offered: after that a hub hands it out no more. Who has it can open it for ever.
    pub expiry: Expiry,
}

/// Why a grant cannot be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum GrantError {
    /// Nothing to grant, or too much.
    #[error("{0} parts, a grant has 1 to 16")]
    Parts(usize),
    /// Parts of two cameras.
    #[error("parts of two cameras, {} and {}: make a grant of each", .0.fingerprint(), .1.fingerprint())]
    TwoCameras(VerifyingKey, VerifyingKey),
    /// The keys take too much room.
    #[error("its keys take more than 4 MiB: grant covers, or fewer epochs")]
    Large,
    /// A key that the library refuses.
    #[error(transparent)]
    Key(#[from] BadKey),
}

/// Why a grant is not opened. Said to a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum GrantRefused {
    /// The record, or what is sealed in it, is malformed.
    #[error("grant is damaged: {0}")]
    Malformed(#[from] RecordError),
    /// The granting device's signature does not hold.
    #[error("grant is forged: its signature does not hold")]
    Forged,
    /// Sealed to somebody else.
    #[error("this grant is for somebody else, or for another of this device's keys")]
    NotForUs,
    /// Sealed to us by its name, and our key does not open it.
    #[error("the grant does not open with this device's key")]
    Unopened,
    /// The camera did not certify the session of a part.
    #[error("part {0}: the camera's certificate of the session does not hold")]
    Uncertified(usize),
    /// The keys of a part are not those of its span.
    #[error("part {part}: {error}")]
    Cover {
        /// Which part, from 0.
        part: usize,
        /// What is wrong.
        error: CoverError,
    },
}

impl From<BadBody> for GrantRefused {
    fn from(bad: BadBody) -> Self {
        match bad {
            BadBody::Malformed(error) => Self::Malformed(error),
            BadBody::Uncertified(part) => Self::Uncertified(part),
            BadBody::Cover { part, error } => Self::Cover { part, error },
        }
    }
}

/// A grant as it travels: opens for one device, names no camera and no time to anybody else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    terms: GrantTerms,
    recipient: [u8; 8],
    granter: VerifyingKey,
    record: Vec<u8>,
}

/// What a grant gives.
#[derive(Debug)]
pub struct GrantOpened {
    /// What it says of itself.
    pub terms: GrantTerms,
    /// Signing key of the device that granted. Whether it may is for the reader to know.
    pub granter: VerifyingKey,
    /// Identity key of the camera.
    pub camera: VerifyingKey,
    /// Its parts, 1 to 16.
    pub parts: Vec<GrantPart>,
}

impl Grant {
    /// Seals `parts` to `recipient` and signs for `granter`. The caller has drawn `terms.id` at random, and the seed starts this grant alone.
    ///
    /// # Errors
    /// If there are no parts or more than 16, they are not all of one camera, or take more than 4 MiB.
    pub fn emit(
        parts: &[GrantPart],
        recipient: &DevicePublicKey,
        granter: &SigningKey,
        terms: GrantTerms,
        seed: Seed,
    ) -> Result<Self, GrantError> {
        let Some(first) = parts.first().filter(|_| parts.len() <= MAX_PARTS) else {
            return Err(GrantError::Parts(parts.len()));
        };
        let camera = first.certificate().camera();
        if let Some(other) = parts.iter().map(|part| part.certificate().camera()).find(|other| *other != camera) {
            return Err(GrantError::TwoCameras(camera, other));
        }
        let plaintext = body::emit(&camera, parts).ok_or(GrantError::Large)?;
        let name = recipient_id(terms.id, recipient);
        let mut record = header(&terms, name);
        let (enc, ciphertext) = recipient.seal(&info(terms.id), &record, &plaintext, &mut seed.rng())?;
        record.extend_from_slice(&enc);
        record.extend_from_slice(&(ciphertext.len() as u32).to_be_bytes());
        record.extend_from_slice(&ciphertext);
        record.extend_from_slice(&granter.verifying_key().0);
        sign(&mut record, LABEL, granter);
        Ok(Self { terms, recipient: name, granter: granter.verifying_key(), record })
    }

    /// Reads a record, its signature not checked.
    ///
    /// # Errors
    /// If it is cut short, goes on after its end, or has a length that no grant has.
    pub fn parse(record: &[u8]) -> Result<Self, RecordError> {
        let mut reader = Reader::new(record);
        reader.head(TYPE)?;
        let id = GrantId(reader.array()?);
        let recipient = reader.array()?;
        let terms = GrantTerms { id, made_wall_us: reader.u64()?, expiry: Expiry::parse(&mut reader)? };
        reader.slice(ENCAPSULATED)?;
        let len = reader.u32()?;
        let sealed = usize::try_from(len).unwrap_or(usize::MAX);
        if !sealed.checked_sub(TAG).is_some_and(body::is_padded) {
            return Err(RecordError::Field { field: "sealed length", value: len.into() });
        }
        reader.slice(sealed)?;
        let granter = VerifyingKey(reader.array()?);
        reader.array::<64>()?;
        reader.end()?;
        Ok(Self { terms, recipient, granter, record: record.to_vec() })
    }

    /// The whole signed record.
    pub fn record(&self) -> &[u8] {
        &self.record
    }

    /// What it says of itself, not yet to be trusted.
    pub fn terms(&self) -> &GrantTerms {
        &self.terms
    }

    /// Signing key of the device that says to have granted, not yet to be trusted.
    pub fn granter(&self) -> VerifyingKey {
        self.granter
    }

    /// Whether it is sealed to this key, by its name.
    pub fn is_for(&self, device: &DevicePublicKey) -> bool {
        self.recipient == recipient_id(self.terms.id, device)
    }

    /// Checks the signature and opens it with `device`'s key.
    ///
    /// # Errors
    /// The first check that fails, in the order of `docs/format.md` §4.
    pub fn open(&self, device: &DeviceKey) -> Result<GrantOpened, GrantRefused> {
        if verified(&self.record, LABEL, &self.granter).is_none() {
            return Err(GrantRefused::Forged);
        }
        if !self.is_for(device.public()) {
            return Err(GrantRefused::NotForUs);
        }
        let mut reader = Reader::new(&self.record);
        let aad = reader.slice(HEADER)?;
        let enc = reader.slice(ENCAPSULATED)?;
        let len = reader.u32()?;
        let ciphertext = reader.slice(usize::try_from(len).unwrap_or(usize::MAX))?;
        let plaintext = device.open(&info(self.terms.id), aad, enc, ciphertext).ok_or(GrantRefused::Unopened)?;
        let (camera, parts) = body::parse(&plaintext)?;
        Ok(GrantOpened { terms: self.terms, granter: self.granter, camera, parts })
    }

    pub(crate) fn header(&self) -> Vec<u8> {
        header(&self.terms, self.recipient)
    }
}

fn header(terms: &GrantTerms, recipient: [u8; 8]) -> Vec<u8> {
    let mut out = vec![1, TYPE];
    out.extend_from_slice(&terms.id.0);
    out.extend_from_slice(&recipient);
    out.extend_from_slice(&terms.made_wall_us.to_be_bytes());
    terms.expiry.emit(&mut out);
    debug_assert_eq!(out.len(), HEADER);
    out
}

fn info(id: GrantId) -> Vec<u8> {
    [LABEL, id.0.as_slice()].concat()
}

/// The recipient's name in one grant: a hub that sees two cannot tell that both are for one device.
fn recipient_id(id: GrantId, recipient: &DevicePublicKey) -> [u8; 8] {
    let full = hash(&[RECIPIENT, &id.0, recipient.bytes()]);
    let mut name = [0; 8];
    name.iter_mut().zip(full).for_each(|(to, from)| *to = from);
    name
}
