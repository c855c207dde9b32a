//! Letters: a home's lists and rotations on their way between its devices and a camera, sealed so that the hub between them learns neither
//! names nor keys nor how many there are.
//!
//! Both ends have the session's root when a letter is written, and keep this key of it alone: the camera's root is gone by then. What
//! comes out of a letter proves nothing by itself: lists and rotations carry signatures of their own.

use crate::keys::{Node, SessionId};
use crate::parse::{Reader, RecordError};
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, Prk};
use std::fmt;
use thiserror::Error;
use zeroize::Zeroizing;

/// Longest record in a letter: a list of 64 devices.
pub const MAX_LETTER_RECORD: usize = 90_000;

const TYPE: u8 = 10;
const NONCE: usize = 12;
const TAG: usize = 16;
/// Version, type, session, way, nonce.
const HEAD: usize = 2 + 16 + 1 + NONCE;
/// Smallest plaintext; all others are this times a power of two.
const SMALLEST: usize = 4 << 10;
/// Largest plaintext: what the longest record needs.
const LARGEST: usize = 128 << 10;

/// Which way a letter goes; each has a key of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Way {
    /// From a device to the camera.
    ToCamera,
    /// From the camera to the devices.
    ToDevices,
}

impl Way {
    const fn id(self) -> u8 {
        match self {
            Self::ToCamera => 1,
            Self::ToDevices => 2,
        }
    }
}

/// Why a letter was not opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum LetterRefused {
    /// It is no letter.
    #[error("a letter with device lists is damaged: {0}")]
    Malformed(#[from] RecordError),
    /// It belongs to another session, whose key is not here.
    #[error("a letter with device lists is of session {0}, which is not the one here")]
    Session(SessionId),
    /// Another key sealed it, or it was changed.
    #[error("a letter with device lists does not open")]
    Unopened,
}

/// What letters of one session are sealed with. Zeroized when dropped, never printed.
#[derive(Clone)]
pub struct LetterKey {
    session: SessionId,
    keys: [Zeroizing<[u8; 32]>; 2],
}

impl LetterKey {
    /// `HKDF-Expand-SHA-256(root, "doorframe/1 letter" ‖ session id ‖ way, 32)`.
    pub(crate) fn derive(root: &Node, session: SessionId) -> Self {
        let key = |way: Way| {
            let info: [&[u8]; 3] = [b"doorframe/1 letter", &session.0, &[way.id()]];
            let mut key = Zeroizing::new([0; 32]);
            // 32 bytes are one block of the 255 that HKDF can give: this cannot fail.
            let filled = Prk::new_less_safe(HKDF_SHA256, root.secret())
                .expand(&info, HKDF_SHA256)
                .and_then(|okm| okm.fill(&mut *key));
            debug_assert!(filled.is_ok());
            key
        };
        Self { session, keys: [key(Way::ToCamera), key(Way::ToDevices)] }
    }

    /// Seals a list or a rotation; `nonce` is 12 random bytes, never used before. `None` for a record of more than
    /// [`MAX_LETTER_RECORD`] bytes.
    pub fn seal(&self, way: Way, record: &[u8], nonce: [u8; NONCE]) -> Option<Vec<u8>> {
        if record.len() > MAX_LETTER_RECORD {
            return None;
        }
        let padded = (4 + record.len()).next_power_of_two().max(SMALLEST);
        let mut letter = Vec::with_capacity(HEAD + padded + TAG);
        letter.extend_from_slice(&[1, TYPE]);
        letter.extend_from_slice(&self.session.0);
        letter.push(way.id());
        letter.extend_from_slice(&nonce);
        let mut plaintext = Zeroizing::new(Vec::with_capacity(padded + TAG));
        plaintext.extend_from_slice(&(record.len() as u32).to_be_bytes());
        plaintext.extend_from_slice(record);
        plaintext.resize(padded, 0);
        let aad = Aad::from(letter.as_slice());
        self.aead(way)?.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad, &mut *plaintext).ok()?;
        letter.extend_from_slice(&plaintext);
        Some(letter)
    }

    /// Opens a letter that goes `way`, and gives the record in it.
    ///
    /// # Errors
    /// Why not.
    pub fn open(&self, way: Way, letter: &[u8]) -> Result<Vec<u8>, LetterRefused> {
        let mut reader = Reader::new(letter);
        reader.head(TYPE)?;
        let session = SessionId(reader.array()?);
        if session != self.session {
            return Err(LetterRefused::Session(session));
        }
        let given = reader.u8()?;
        if given != way.id() {
            return Err(RecordError::Field { field: "way", value: given.into() }.into());
        }
        let nonce: [u8; NONCE] = reader.array()?;
        let sealed = reader.rest();
        let padded = sealed.len().saturating_sub(TAG);
        if !padded.is_power_of_two() || !(SMALLEST..=LARGEST).contains(&padded) {
            return Err(RecordError::Field { field: "length of a letter", value: sealed.len() as u64 }.into());
        }
        let head = letter.get(..HEAD).unwrap_or_default();
        let mut plaintext = Zeroizing::new(sealed.to_vec());
        let aead = self.aead(way).ok_or(LetterRefused::Unopened)?;
        let opened = aead.open_in_place(Nonce::assume_unique_for_key(nonce), Aad::from(head), &mut plaintext);
        Ok(record_of(opened.map_err(|_| LetterRefused::Unopened)?)?.to_vec())
    }

    fn aead(&self, way: Way) -> Option<LessSafeKey> {
        let [to_camera, to_devices] = &self.keys;
        let key = match way {
            Way::ToCamera => to_camera,
            Way::ToDevices => to_devices,
        };
        UnboundKey::new(&AES_256_GCM, key.as_slice()).ok().map(LessSafeKey::new)
    }
}

/// The record in a plaintext.
pub(crate) fn record_of(plaintext: &[u8]) -> Result<&[u8], RecordError> {
    let mut reader = Reader::new(plaintext);
    let len = usize::try_from(reader.u32()?).unwrap_or(usize::MAX);
    if len > MAX_LETTER_RECORD {
        return Err(RecordError::Field { field: "length of a record in a letter", value: len as u64 });
    }
    let record = reader.slice(len)?;
    match reader.rest().iter().find(|byte| **byte != 0) {
        Some(byte) => Err(RecordError::Field { field: "padding", value: (*byte).into() }),
        None => Ok(record),
    }
}

impl fmt::Debug for LetterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LetterKey({}, ..)", self.session)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::Depth;
    use proptest::prelude::*;

    fn key(root: u8, session: u8) -> LetterKey {
        LetterKey::derive(&Node::root([root; 32], Depth::SESSION), SessionId([session; 16]))
    }

    proptest! {
        #[test]
        fn what_was_sealed_comes_out_and_its_length_tells_little(record in proptest::collection::vec(any::<u8>(), 0..9000)) {
            let (here, there) = (key(1, 1), key(1, 1));
            let letter = here.seal(Way::ToCamera, &record, [7; 12]).unwrap();
            let padded = letter.len() - HEAD - TAG;
            prop_assert!(padded.is_power_of_two() && padded >= SMALLEST);
            prop_assert_eq!(there.open(Way::ToCamera, &letter).unwrap(), record);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = key(1, 1).open(Way::ToDevices, &bytes);
        }

        #[test]
        fn a_changed_bit_anywhere_is_refused(at in 0_usize..4096, bit in 0..8) {
            let mut letter = key(1, 1).seal(Way::ToDevices, b"list", [7; 12]).unwrap();
            let at = at % letter.len();
            letter[at] ^= 1_u8 << bit;
            prop_assert!(key(1, 1).open(Way::ToDevices, &letter).is_err());
        }
    }

    #[test]
    fn another_session_root_or_way_opens_nothing() {
        let letter = key(1, 1).seal(Way::ToCamera, b"list", [7; 12]).unwrap();
        assert_eq!(key(1, 2).open(Way::ToCamera, &letter), Err(LetterRefused::Session(SessionId([1; 16]))));
        assert_eq!(key(2, 1).open(Way::ToCamera, &letter), Err(LetterRefused::Unopened));
        let reflected = key(1, 1).open(Way::ToDevices, &letter);
        assert_eq!(reflected, Err(RecordError::Field { field: "way", value: 1 }.into()));
    }

    #[test]
    fn the_longest_list_fits_and_more_does_not() {
        let longest = vec![1; MAX_LETTER_RECORD];
        let letter = key(1, 1).seal(Way::ToCamera, &longest, [7; 12]).unwrap();
        assert_eq!(key(1, 1).open(Way::ToCamera, &letter).unwrap(), longest);
        assert_eq!(key(1, 1).seal(Way::ToCamera, &vec![1; MAX_LETTER_RECORD + 1], [7; 12]), None);
    }
}
