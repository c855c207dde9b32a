//! Signed records: what a session is, and what each of its epochs holds (`docs/wire.md` §4 to §6).

mod certificate;
mod closing;
mod opening;
mod session;

pub use crate::parse::RecordError;
pub use certificate::SessionCertificate;
pub use closing::{Chain, Closing, ClosingTrack};
pub use opening::{Challenge, Opening, OpeningTrack};
pub use session::{MAX_RECIPIENTS, SessionFacts, SessionManifest, SessionOpened, SessionRefused, VerifyingIdentity};

use crate::identity::{Hash, SigningKey, VerifyingKey};

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
