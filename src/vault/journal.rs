//! The journal's file: entries one after the other, each on the disk before its deed is done.

use super::VaultError;
use crate::state::{StateDir, StateError};
use doorframe_transport::identity::{SigningKey, VerifyingKey};
use doorframe_transport::journal::{Deed, Details, Head, Journal, JournalRefused, Survey};
use std::fs;
use std::io::Write as _;

const JOURNAL: &str = "journal";
/// Number and hash of the newest entry, so that a journal whose end is gone is known as one.
const HEAD: &str = "journal-head";
/// What a write left that was cut off.
const TORN: &str = "journal.torn";

/// Reads and checks it. An entry whose write was cut off was of a deed that was not done: its bytes are put aside.
pub(super) fn open(state: &StateDir, signer: &SigningKey) -> Result<Journal, VaultError> {
    let bytes = state.read(JOURNAL)?.unwrap_or_default();
    let known = head(state)?;
    let failed = |why| VaultError::Journal { path: state.path(JOURNAL), why };
    match Journal::check(&bytes, signer.verifying_key(), known) {
        Err(JournalRefused::Torn { whole, .. }) => {
            let (kept, torn) = bytes.split_at_checked(whole).unwrap_or((&bytes, &[]));
            let journal = Journal::check(kept, signer.verifying_key(), known).map_err(failed)?;
            state.write(TORN, torn)?;
            state.write(JOURNAL, kept)?;
            Ok(journal)
        }
        checked => checked.map_err(failed),
    }
}

/// Reads all of it, whatever is wrong with it, and changes nothing. `noted` is a head that a person kept elsewhere.
pub(super) fn survey(state: &StateDir, device: VerifyingKey, noted: Option<Head>) -> Result<Survey, VaultError> {
    let bytes = state.read(JOURNAL)?.unwrap_or_default();
    let known = [head(state)?, noted.unwrap_or(Head::START)];
    Ok(Survey::of(&bytes, device, &known))
}

/// Whoever calls it holds the folder's lock and has just opened `journal`.
pub(super) fn append(
    state: &StateDir,
    journal: &mut Journal,
    deed: Deed,
    details: Details,
    wall_us: u64,
    signer: &SigningKey,
) -> Result<(), VaultError> {
    let path = state.path(JOURNAL);
    let record = journal.next(deed, details, wall_us, signer);
    let failed = |error| StateError::Io { path: path.clone(), error };
    let mut options = fs::OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&path).map_err(failed)?;
    file.write_all(&record).and_then(|()| file.sync_all()).map_err(failed)?;
    journal.handle(&record).map_err(|why| VaultError::Journal { path: path.clone(), why })?;
    let Head { number, hash } = journal.head();
    Ok(state.write(HEAD, &[number.to_be_bytes().as_slice(), &hash].concat())?)
}

fn head(state: &StateDir) -> Result<Head, VaultError> {
    let Some(bytes) = state.read(HEAD)? else { return Ok(Head::START) };
    let damaged = || VaultError::damaged(state, HEAD, "it has not 36 bytes");
    let (number, hash) = bytes.split_first_chunk::<4>().ok_or_else(damaged)?;
    let hash = hash.try_into().map_err(|_| damaged())?;
    Ok(Head { number: u32::from_be_bytes(*number), hash })
}
