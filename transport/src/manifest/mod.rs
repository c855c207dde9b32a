//! Signed records: what a session is, and what each of its epochs holds (`docs/wire.md` §4 to §6).

mod certificate;
mod closing;
mod opening;
mod session;

pub use crate::parse::RecordError;
pub use certificate::SessionCertificate;
pub(crate) use closing::Came;
pub use closing::{Chain, Closing, ClosingTrack};
pub(crate) use opening::Join;
pub use opening::{Challenge, Opening, OpeningTrack};
pub use session::{MAX_RECIPIENTS, SessionFacts, SessionManifest, SessionOpened, SessionRefused, VerifyingIdentity};

use crate::identity::{Hash, SigningKey, VerifyingKey};
use crate::keys::SessionId;

/// Version and hash of the owner's signed list of devices; a viewer that knows another one has found a ghost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeviceListRef {
    /// Counts up with each change.
    pub version: u32,
    /// Of the signed list.
    pub hash: Hash,
}

/// Most tracks in one record.
pub const MAX_TRACKS: usize = 8;

/// Why a record of an epoch is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordRefused {
    /// Not such a record.
    #[error(transparent)]
    Malformed(#[from] RecordError),
    /// The session's key did not sign it.
    #[error("its signature does not hold")]
    Forged,
    /// Well signed, of another session.
    #[error("it is of session {0}")]
    Session(SessionId),
}

impl SessionFacts {
    /// Reads an opening if this session's key signed it for this session.
    ///
    /// # Errors
    /// The first check that fails.
    pub fn opening(&self, record: &[u8]) -> Result<Opening, RecordRefused> {
        let opening = Opening::verify(record, &self.signer)?.ok_or(RecordRefused::Forged)?;
        if opening.session == self.id { Ok(opening) } else { Err(RecordRefused::Session(opening.session)) }
    }

    /// Reads a closing if this session's key signed it for this session.
    ///
    /// # Errors
    /// The first check that fails.
    pub fn closing(&self, record: &[u8]) -> Result<Closing, RecordRefused> {
        let closing = Closing::verify(record, &self.signer)?.ok_or(RecordRefused::Forged)?;
        if closing.session == self.id { Ok(closing) } else { Err(RecordRefused::Session(closing.session)) }
    }
}

/// Appends the signature over everything in `record` so far.
pub(crate) fn sign(record: &mut Vec<u8>, label: &[u8], key: &SigningKey) {
    let signature = key.sign(label, record);
    record.extend_from_slice(&signature);
}

/// What `record` says before its signature, if that holds.
pub(crate) fn verified<'a>(record: &'a [u8], label: &[u8], key: &VerifyingKey) -> Option<&'a [u8]> {
    let (body, signature) = record.split_last_chunk::<64>()?;
    key.verifies(label, body, signature).then_some(body)
}
