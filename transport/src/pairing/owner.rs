//! The owner's side: from the QR code to a camera of one's own.

use super::camera::{PAIR_CAMERA, PAIR_IDENTITY, PAIR_OWNER, step};
use super::record::{self, HubLink, Message, NewOwner, Reason};
use super::{Exporter, PairingSecret};
use crate::devices::CheckedList;
use crate::identity::{Hash, VerifyingKey, hash};
use crate::parse::RecordError;
use std::fmt;
use thiserror::Error;

/// What a QR code said: which camera, and the secret.
#[derive(Debug)]
pub struct OwnerPairing {
    secret: PairingSecret,
    camera: VerifyingKey,
}

/// Waits for the camera's answer.
pub struct Asked {
    secret: PairingSecret,
    camera: VerifyingKey,
    exporter: Exporter,
    request: Hash,
}

/// The camera has proved that it is the one of the QR code.
#[derive(Debug)]
pub struct Met(());

/// Waits for the camera to say that it has what it was told.
#[derive(Debug)]
pub struct Told {
    list: Hash,
}

/// Why a device does not pair with what it found. Said to a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CameraRefused {
    /// The camera says no.
    #[error(transparent)]
    Said(#[from] Reason),
    /// A message that is malformed, or not the one that comes next.
    #[error("the camera's message is damaged: {0}")]
    Malformed(#[from] RecordError),
    /// It does not know the secret: somebody stands between.
    #[error("what answers is not the camera of the QR code: it does not know the secret")]
    Proof,
    /// It knows the secret, and is another camera.
    #[error("what answers is another camera than the one of the QR code: its identity is {}", .0.fingerprint())]
    OtherCamera(VerifyingKey),
    /// The identity key did not sign for this connection.
    #[error("what answers is not the camera of the QR code: the signature of its identity does not hold")]
    Forged,
    /// It has taken another device list than the one it was given.
    #[error("the camera has taken another device list than the one it was given")]
    OtherList,
}

impl OwnerPairing {
    /// Of a scanned QR code.
    pub fn new(secret: PairingSecret, camera: VerifyingKey) -> Self {
        Self { secret, camera }
    }

    /// The first message of a connection whose exporter is `exporter`. Takes `self`: scan again for another try.
    pub fn request(self, owner: &NewOwner, exporter: Exporter) -> (Vec<u8>, Asked) {
        let Self { secret, camera } = self;
        let proof = secret.prove(PAIR_OWNER, &exporter, &record::emit_request(owner));
        let record = Message::Request { owner: Box::new(owner.clone()), proof }.emit();
        let request = hash(&[&record]);
        (record, Asked { secret, camera, exporter, request })
    }
}

impl Asked {
    /// Takes the camera's answer.
    ///
    /// # Errors
    /// Why this is not the camera of the QR code, or what it says.
    pub fn handle_answer(self, record: &[u8]) -> Result<Met, CameraRefused> {
        let (identity, proof, signature) = match Message::parse(record)? {
            Message::Answer { identity, proof, signature } => (identity, proof, signature),
            other => return Err(unexpected(&other, record)),
        };
        if !self.secret.is_proved(PAIR_CAMERA, &self.exporter, &self.request, &proof) {
            return Err(CameraRefused::Proof);
        }
        if identity != self.camera {
            return Err(CameraRefused::OtherCamera(identity));
        }
        let signed = [self.exporter.0.as_slice(), &record::emit_answer(&identity, &proof)].concat();
        if !identity.verifies(PAIR_IDENTITY, &signed, &signature) {
            return Err(CameraRefused::Forged);
        }
        Ok(Met(()))
    }
}

impl fmt::Debug for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Asked(..)")
    }
}

impl Met {
    /// The second message of the same connection: the home's newest device list, which has this device as an owner, and where the hub is.
    pub fn home(self, list: &CheckedList, hub: &HubLink) -> (Vec<u8>, Told) {
        let record = Message::Home { list: list.list().record().to_vec(), hub: hub.clone() }.emit();
        (record, Told { list: list.list().hash() })
    }
}

impl Told {
    /// Takes the camera's last word: it has stored what it was told.
    ///
    /// # Errors
    /// What it says instead.
    pub fn handle_done(self, record: &[u8]) -> Result<(), CameraRefused> {
        match Message::parse(record)? {
            Message::Done { list } if list == self.list => Ok(()),
            Message::Done { .. } => Err(CameraRefused::OtherList),
            other => Err(unexpected(&other, record)),
        }
    }
}

fn unexpected(message: &Message, record: &[u8]) -> CameraRefused {
    match message {
        Message::Refused(reason) => CameraRefused::Said(*reason),
        _ => RecordError::Field { field: "step", value: step(record) }.into(),
    }
}
