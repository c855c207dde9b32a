//! The camera's side: waits for one owner.

use super::record::{self, HubLink, Message, NewOwner, Reason};
use super::{Exporter, PairingSecret, TRIES, WINDOW};
use crate::devices::{CheckedList, ListRefused, Role};
use crate::identity::{Hash, SigningKey, hash};
use crate::parse::RecordError;
use doorframe_codec::units::Uptime;
use thiserror::Error;

pub(super) const PAIR_OWNER: &[u8] = b"doorframe/1 pair owner";
pub(super) const PAIR_CAMERA: &[u8] = b"doorframe/1 pair camera";
pub(super) const PAIR_IDENTITY: &[u8] = b"doorframe/1 pair identity";

/// Waits for its first owner, from the moment its button was pressed until [`WINDOW`] is over.
///
/// One of its kind for each QR code: pressing the button again makes another, with another secret.
#[derive(Debug)]
pub struct CameraPairing {
    secret: PairingSecret,
    until: Uptime,
    tries: u8,
    owner: Option<NewOwner>,
    /// Hash of the first device list, once it was taken.
    home: Option<Hash>,
}

/// The other end of one connection has proved that it knows the secret. Give it back with that connection's next message.
#[derive(Debug)]
pub struct Proved {
    owner: NewOwner,
}

/// A camera that has an owner.
#[derive(Clone, Debug)]
pub struct Paired {
    /// The home's newest device list.
    pub list: CheckedList,
    /// The owner's device that scanned the QR code.
    pub by: NewOwner,
    /// Where its hub is.
    pub hub: HubLink,
}

/// Why a camera does not go on with a connection. Send [`record`](Self::record), then close it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PairingRefused {
    /// A message that is malformed, or not the one that comes next. Counts as no try: it guesses nothing.
    #[error("message of a pairing is damaged: {0}")]
    Malformed(#[from] RecordError),
    /// The proof does not hold: another secret, or a proof of another connection.
    #[error("somebody tried to pair with a wrong secret, {left} tries are left")]
    Proof {
        /// Wrong proofs that are still taken.
        left: u8,
    },
    /// Too many wrong proofs before; this one was not looked at.
    #[error("{TRIES} have tried to pair with a wrong secret, no more are listened to: press the button again")]
    Tries,
    /// The window is over.
    #[error("nobody is paired more than 10 minutes after the button was pressed: press it again")]
    Late,
    /// The secret is right, and another device had it before.
    #[error("a second device scanned the QR code: {:?} is refused, {:?} was first", .given, .first)]
    Used {
        /// Name the first gave itself.
        first: String,
        /// Name the second gives itself.
        given: String,
    },
    /// The device list is none that this camera can take.
    #[error(transparent)]
    List(#[from] ListRefused),
    /// The device list does not have the new owner as one, or has other keys of it.
    #[error("the device list does not have the device that scanned the QR code as an owner")]
    OtherOwner,
    /// The same device sends another list than the one that was taken.
    #[error("this camera has its device list already")]
    Again,
}

impl PairingRefused {
    /// What the other end is told.
    pub fn reason(&self) -> Reason {
        match self {
            Self::Malformed(_) => Reason::Malformed,
            Self::Proof { .. } => Reason::Secret,
            Self::Tries => Reason::Tries,
            Self::Late => Reason::Late,
            Self::Used { .. } => Reason::Used,
            Self::List(_) | Self::OtherOwner | Self::Again => Reason::Home,
        }
    }

    /// The record that tells it.
    pub fn record(&self) -> Vec<u8> {
        Message::Refused(self.reason()).emit()
    }
}

impl CameraPairing {
    /// Starts to wait at `now`, when the button was pressed or a camera without an owner came up.
    pub fn new(secret: PairingSecret, now: Uptime) -> Self {
        Self { secret, until: now + WINDOW, tries: TRIES, owner: None, home: None }
    }

    /// When it stops to wait: close the port then.
    pub fn poll_timeout(&self) -> Uptime {
        self.until
    }

    /// Wrong proofs that are still taken. Close the port at 0.
    pub fn tries_left(&self) -> u8 {
        self.tries
    }

    /// Takes the first message of a connection whose exporter is `exporter`, and gives the answer to it.
    ///
    /// The device whose proof held first may come again with another connection until it has got through; nobody else may.
    ///
    /// # Errors
    /// Why that connection does not pair.
    pub fn handle_request(
        &mut self,
        record: &[u8],
        exporter: &Exporter,
        identity: &SigningKey,
        now: Uptime,
    ) -> Result<(Vec<u8>, Proved), PairingRefused> {
        if now >= self.until {
            return Err(PairingRefused::Late);
        }
        if self.tries == 0 {
            return Err(PairingRefused::Tries);
        }
        let Message::Request { owner, proof } = Message::parse(record)? else {
            return Err(RecordError::Field { field: "step", value: step(record) }.into());
        };
        if !self.secret.is_proved(PAIR_OWNER, exporter, &record::emit_request(&owner), &proof) {
            self.tries -= 1;
            return Err(PairingRefused::Proof { left: self.tries });
        }
        let owner = *owner;
        let first = self.owner.get_or_insert_with(|| owner.clone());
        if *first != owner {
            let (first, given) = (first.name.to_string(), owner.name.to_string());
            return Err(PairingRefused::Used { first, given });
        }
        let proof = self.secret.prove(PAIR_CAMERA, exporter, &hash(&[record]));
        let signed = record::emit_answer(&identity.verifying_key(), &proof);
        let signature = identity.sign(PAIR_IDENTITY, &[exporter.0.as_slice(), &signed].concat());
        Ok(([signed.as_slice(), &signature].concat(), Proved { owner }))
    }

    /// Takes the second message of the connection that gave `proved`, and gives what to say to it once what it brought is stored.
    ///
    /// # Errors
    /// Why that connection does not pair.
    pub fn handle_home(
        &mut self,
        proved: Proved,
        record: &[u8],
        now: Uptime,
    ) -> Result<(Vec<u8>, Paired), PairingRefused> {
        if now >= self.until {
            return Err(PairingRefused::Late);
        }
        let Message::Home { list, hub } = Message::parse(record)? else {
            return Err(RecordError::Field { field: "step", value: step(record) }.into());
        };
        // Whose home this is, the QR code has said: its secret is known to whoever stood before the camera.
        let list = CheckedList::trusted(&list)?;
        let by = proved.owner;
        let listed = list.list().device(&by.signer);
        let is_theirs = listed.is_some_and(|device| device.role == Role::Owner && device.public == by.public);
        if !is_theirs {
            return Err(PairingRefused::OtherOwner);
        }
        let taken = list.list().hash();
        if *self.home.get_or_insert(taken) != taken {
            return Err(PairingRefused::Again);
        }
        Ok((Message::Done { list: taken }.emit(), Paired { list, by, hub }))
    }
}

/// Which message it is instead.
pub(super) fn step(record: &[u8]) -> u64 {
    record.get(2).copied().unwrap_or_default().into()
}
