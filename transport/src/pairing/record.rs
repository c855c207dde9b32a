//! The five messages of a pairing.

use crate::devices::DeviceName;
use crate::identity::{DEVICE_PUBLIC_KEY, DevicePublicKey, Hash, VerifyingKey};
use crate::parse::{Reader, RecordError, is_line};
use std::fmt;
use thiserror::Error;
use zeroize::Zeroizing;

const TYPE: u8 = 9;
/// Longest device list: 64 devices with names of 40 bytes.
const MAX_LIST: u32 = 90_000;

const REQUEST: u8 = 1;
const ANSWER: u8 = 2;
const HOME: u8 = 3;
const DONE: u8 = 4;
const REFUSED: u8 = 5;

/// The device that wants to be the camera's first owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewOwner {
    /// Checks what it signs.
    pub signer: VerifyingKey,
    /// What sessions will be sealed to.
    pub public: DevicePublicKey,
    /// What it calls itself.
    pub name: DeviceName,
}

/// Where the camera's hub is, and the token to publish there: 1 to 4096 bytes of UTF-8 on one line. Zeroized when dropped, never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct HubLink(Zeroizing<String>);

impl HubLink {
    /// Longest link, in bytes.
    pub const MAX: usize = 4096;

    /// `None` unless it is 1 to 4096 bytes without control characters.
    pub fn new(link: &str) -> Option<Self> {
        ((1..=Self::MAX).contains(&link.len()) && is_line(link)).then(|| Self(Zeroizing::new(link.to_owned())))
    }

    /// The link.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for HubLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HubLink(..)")
    }
}

/// What a camera says to whom it refuses. Each is said to a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[non_exhaustive]
pub enum Reason {
    /// A message it cannot read.
    #[error("the camera could not read this device's message: is one of the programs older than the other?")]
    Malformed,
    /// The secret is not the one of its QR code.
    #[error("the camera does not know this QR code: scan the one that it shows now")]
    Secret,
    /// Too many have tried with a wrong secret.
    #[error("too many have tried with a wrong QR code: press the camera's button and scan the new one")]
    Tries,
    /// The window is over.
    #[error("the QR code is more than 10 minutes old: press the camera's button and scan the new one")]
    Late,
    /// Another device has scanned the same code before.
    #[error(
        "this QR code was used before, by another device: if that was not yours, press the camera's button and scan the new one"
    )]
    Used,
    /// The device list that it was given is not right.
    #[error("the camera did not take the device list of this home")]
    Home,
}

impl Reason {
    pub(super) const ALL: [Self; 6] = [Self::Malformed, Self::Secret, Self::Tries, Self::Late, Self::Used, Self::Home];

    const fn id(self) -> u8 {
        match self {
            Self::Malformed => 1,
            Self::Secret => 2,
            Self::Tries => 3,
            Self::Late => 4,
            Self::Used => 5,
            Self::Home => 6,
        }
    }
}

/// A message by its form: no proof in it is checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Message {
    /// Owner to camera.
    Request { owner: Box<NewOwner>, proof: Hash },
    /// Camera to owner.
    Answer { identity: VerifyingKey, proof: Hash, signature: [u8; 64] },
    /// Owner to camera.
    Home { list: Vec<u8>, hub: HubLink },
    /// Camera to owner.
    Done { list: Hash },
    /// Camera to owner.
    Refused(Reason),
}

impl Message {
    pub(crate) fn parse(record: &[u8]) -> Result<Self, RecordError> {
        let bad = |field, value: u64| RecordError::Field { field, value };
        let mut reader = Reader::new(record);
        reader.head(TYPE)?;
        let message = match reader.u8()? {
            REQUEST => {
                let signer = VerifyingKey(reader.array()?);
                let public = DevicePublicKey::from_bytes(reader.slice(DEVICE_PUBLIC_KEY)?)
                    .map_err(|_| RecordError::Key("X-Wing key of a request"))?;
                let owner = NewOwner { signer, public, name: DeviceName::parse(&mut reader)? };
                Self::Request { owner: Box::new(owner), proof: reader.array()? }
            }
            ANSWER => Self::Answer {
                identity: VerifyingKey(reader.array()?),
                proof: reader.array()?,
                signature: reader.array()?,
            },
            HOME => {
                let len = reader.u32()?;
                if len > MAX_LIST {
                    return Err(bad("length of the device list", len.into()));
                }
                let list = reader.slice(usize::try_from(len).unwrap_or(usize::MAX))?.to_vec();
                let len = usize::from(reader.u16()?);
                let hub = std::str::from_utf8(reader.slice(len)?).ok().and_then(HubLink::new);
                Self::Home { list, hub: hub.ok_or(RecordError::Text("hub link"))? }
            }
            DONE => Self::Done { list: reader.array()? },
            REFUSED => {
                let id = reader.u8()?;
                let reason = Reason::ALL.into_iter().find(|reason| reason.id() == id);
                Self::Refused(reason.ok_or(bad("reason", id.into()))?)
            }
            other => return Err(bad("step", other.into())),
        };
        reader.end()?;
        Ok(message)
    }

    pub(crate) fn emit(&self) -> Vec<u8> {
        match self {
            Self::Request { owner, proof } => {
                let mut out = emit_request(owner);
                out.extend_from_slice(proof);
                out
            }
            Self::Answer { identity, proof, signature } => {
                let mut out = emit_answer(identity, proof);
                out.extend_from_slice(signature);
                out
            }
            Self::Home { list, hub } => {
                let mut out = Vec::with_capacity(3 + 4 + list.len() + 2 + hub.0.len());
                out.extend_from_slice(&[1, TYPE, HOME]);
                out.extend_from_slice(&(list.len() as u32).to_be_bytes());
                out.extend_from_slice(list);
                out.extend_from_slice(&(hub.0.len() as u16).to_be_bytes());
                out.extend_from_slice(hub.0.as_bytes());
                out
            }
            Self::Done { list } => [&[1, TYPE, DONE], list.as_slice()].concat(),
            Self::Refused(reason) => vec![1, TYPE, REFUSED, reason.id()],
        }
    }
}

/// A request up to its proof: what is proved.
pub(super) fn emit_request(owner: &NewOwner) -> Vec<u8> {
    let mut out = vec![1, TYPE, REQUEST];
    out.extend_from_slice(&owner.signer.0);
    out.extend_from_slice(owner.public.bytes());
    owner.name.emit(&mut out);
    out
}

/// An answer up to its signature: what is signed.
pub(super) fn emit_answer(identity: &VerifyingKey, proof: &Hash) -> Vec<u8> {
    [&[1, TYPE, ANSWER], identity.0.as_slice(), proof].concat()
}
