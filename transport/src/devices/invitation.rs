//! What a device gets that was put on the list: the home's lists, and where its cameras are. Sealed to it, so that it may travel any way.

use super::{CheckedList, Device, Lists, Role};
use crate::devices::ListRefused;
use crate::identity::{BadKey, DeviceKey, ENCAPSULATED, SigningKey, VerifyingKey};
use crate::manifest::{sign, verified};
use crate::parse::{Reader, RecordError};
use crate::seed::Seed;
use std::fmt;
use thiserror::Error;
use zeroize::Zeroizing;

const LABEL: &[u8] = b"doorframe/1 invitation";
const TYPE: u8 = 11;
/// Bytes before the encapsulated key: version, type, signing keys of who invites and who is invited.
const HEAD: usize = 2 + 32 + 32;
/// Smallest plaintext; all others are this times a power of two.
const SMALLEST: usize = 4 << 10;
/// Largest plaintext: some 30 lists of 20 devices.
const LARGEST: usize = 1 << 20;
const TAG: usize = 16;
/// Most lists and rotations.
const MOST: u16 = 1024;

/// Why an invitation cannot be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum InvitationError {
    /// Too much of it.
    #[error("an invitation of {0} bytes, at most 1 MiB can be sealed")]
    Large(usize),
    /// A key that the library refuses.
    #[error(transparent)]
    Key(#[from] BadKey),
}

/// Why an invitation is not taken. Said to a person.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum InvitationRefused {
    /// It is none, or what is sealed in it is malformed.
    #[error("the invitation is damaged: {0}")]
    Malformed(#[from] RecordError),
    /// The signature does not hold.
    #[error("the invitation is forged: its signature does not hold")]
    Forged,
    /// For another device.
    #[error("the invitation is for another device, {}: make one for the card that `doorframe devices card` prints here", .0.fingerprint())]
    NotForUs(VerifyingKey),
    /// For this device by its name, and its key does not open it.
    #[error("the invitation does not open with this device's key: it was made for an older card of it")]
    Unopened,
    /// The lists in it do not follow one another.
    #[error("the invitation's device lists do not hold: {0}")]
    Lists(#[from] ListRefused),
    /// Nobody on the newest list who may invite.
    #[error("the invitation is signed by {}, who is no owner of that home", .0.fingerprint())]
    NotOwner(VerifyingKey),
    /// We are not on the newest list.
    #[error("the invitation's newest device list does not have this device")]
    NotListed,
}

/// What an invitation brings.
pub struct Invitation {
    /// Who invites: an owner on the newest list. Show its fingerprint, for a person to compare.
    pub by: VerifyingKey,
    /// The newest list.
    pub list: CheckedList,
    /// All lists from the first that the inviting device has, each checked to follow the one before, and then rotations.
    pub records: Vec<Vec<u8>>,
    /// Where the home's cameras are: the program's own text, up to 64 KiB. Holds tokens.
    pub cameras: Zeroizing<Vec<u8>>,
}

impl Invitation {
    /// Lists and rotations (`records`, the lists first) and cameras, for `device`, signed by an owner.
    ///
    /// # Errors
    /// If it becomes too large.
    pub fn emit<'a>(
        records: impl IntoIterator<Item = &'a [u8]>,
        cameras: &[u8],
        device: &Device,
        owner: &SigningKey,
        seed: Seed,
    ) -> Result<Vec<u8>, InvitationError> {
        let records: Vec<&[u8]> = records.into_iter().collect();
        let len = 2 + records.iter().map(|record| 4 + record.len()).sum::<usize>() + 4 + cameras.len();
        let padded = len.next_power_of_two().max(SMALLEST);
        if padded > LARGEST || records.len() > usize::from(MOST) {
            return Err(InvitationError::Large(len));
        }
        // Of its full size at once: a vector that grows leaves copies of what it held behind.
        let mut plaintext = Zeroizing::new(Vec::with_capacity(padded));
        plaintext.extend_from_slice(&(records.len() as u16).to_be_bytes());
        for part in records.into_iter().chain([cameras]) {
            plaintext.extend_from_slice(&(part.len() as u32).to_be_bytes());
            plaintext.extend_from_slice(part);
        }
        plaintext.resize(padded, 0);
        let mut record = vec![1, TYPE];
        record.extend_from_slice(&owner.verifying_key().0);
        record.extend_from_slice(&device.signer.0);
        let (enc, ciphertext) = device.public.seal(LABEL, &record, &plaintext, &mut seed.rng())?;
        record.extend_from_slice(&enc);
        record.extend_from_slice(&(ciphertext.len() as u32).to_be_bytes());
        record.extend_from_slice(&ciphertext);
        sign(&mut record, LABEL, owner);
        Ok(record)
    }

    /// Opens an invitation for the device that signs with `signer`, with one of its keys, and checks the lists in it.
    ///
    /// Whether the one who invites is somebody that this device's owner knows is for a person to say.
    ///
    /// # Errors
    /// Why not.
    pub fn open(record: &[u8], signer: &VerifyingKey, keys: &[DeviceKey]) -> Result<Self, InvitationRefused> {
        let mut reader = Reader::new(record);
        reader.head(TYPE)?;
        let by = VerifyingKey(reader.array()?);
        let invited = VerifyingKey(reader.array()?);
        let enc = reader.slice(ENCAPSULATED)?;
        let len = usize::try_from(reader.u32()?).unwrap_or(usize::MAX);
        let padded = len.saturating_sub(TAG);
        if !padded.is_power_of_two() || !(SMALLEST..=LARGEST).contains(&padded) {
            return Err(RecordError::Field { field: "length of an invitation", value: len as u64 }.into());
        }
        let ciphertext = reader.slice(len)?;
        reader.array::<64>()?;
        reader.end()?;
        if verified(record, LABEL, &by).is_none() {
            return Err(InvitationRefused::Forged);
        }
        if invited != *signer {
            return Err(InvitationRefused::NotForUs(invited));
        }
        let head = record.get(..HEAD).unwrap_or_default();
        let opened = keys.iter().find_map(|key| key.open(LABEL, head, enc, ciphertext));
        let plaintext = opened.ok_or(InvitationRefused::Unopened)?;
        let (records, cameras) = parts(&plaintext)?;
        let list = checked(&records)?;
        let newest = list.list();
        if newest.device(&by).is_none_or(|device| device.role != Role::Owner) {
            return Err(InvitationRefused::NotOwner(by));
        }
        if newest.device(signer).is_none() {
            return Err(InvitationRefused::NotListed);
        }
        Ok(Self { by, list, records, cameras })
    }
}

impl fmt::Debug for Invitation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Invitation(by {}, list {}, ..)", self.by.fingerprint(), self.list.list().version())
    }
}

/// Lists and rotations, and the cameras.
pub(crate) type Parts = (Vec<Vec<u8>>, Zeroizing<Vec<u8>>);

pub(crate) fn parts(plaintext: &[u8]) -> Result<Parts, RecordError> {
    let mut reader = Reader::new(plaintext);
    let count = reader.u16()?;
    if count == 0 || count > MOST {
        return Err(RecordError::Field { field: "records of an invitation", value: count.into() });
    }
    let part = |reader: &mut Reader<'_>| {
        let len = usize::try_from(reader.u32()?).unwrap_or(usize::MAX);
        reader.slice(len).map(<[u8]>::to_vec)
    };
    let records = (0..count).map(|_| part(&mut reader)).collect::<Result<_, _>>()?;
    let cameras = Zeroizing::new(part(&mut reader)?);
    if reader.rest().iter().any(|byte| *byte != 0) {
        return Err(RecordError::Field { field: "padding", value: 1 });
    }
    Ok((records, cameras))
}

/// The newest of the lists, each of which must follow the one before.
fn checked(records: &[Vec<u8>]) -> Result<CheckedList, InvitationRefused> {
    let (lists, rotations): (Vec<&[u8]>, Vec<&[u8]>) =
        records.iter().map(Vec::as_slice).partition(|record| record.get(1) == Some(&super::list::TYPE));
    if lists.is_empty() {
        return Err(RecordError::Field { field: "device lists of an invitation", value: 0 }.into());
    }
    Ok(Lists::restore(lists, rotations)?.checked().clone())
}

#[cfg(test)]
mod tests {
    use super::super::sample::{MADE, device, family, first, signer};
    use super::*;
    use proptest::prelude::*;

    fn seed() -> Seed {
        Seed::from_os_random([9; 32])
    }

    fn keys(seed: u8) -> Vec<DeviceKey> {
        vec![DeviceKey::from_seed([seed; 32]).unwrap()]
    }

    /// Device 5 was put on the list by owner 1, and is invited by whoever `by` is.
    fn invited(by: u8) -> Vec<u8> {
        let devices = [family(), vec![device(Role::Member, 5)]].concat();
        let next = first().next(MADE, &devices, &signer(1)).unwrap();
        let lists = [first().list().record().to_vec(), next.list().record().to_vec()];
        let lists = lists.iter().map(Vec::as_slice);
        Invitation::emit(lists, b"cameras", &device(Role::Member, 5), &signer(by), seed()).unwrap()
    }

    #[test]
    fn who_was_put_on_the_list_gets_lists_and_cameras() {
        let record = invited(1);
        let taken = Invitation::open(&record, &signer(5).verifying_key(), &keys(5)).unwrap();
        assert_eq!((taken.by, taken.list.list().version()), (signer(1).verifying_key(), 2));
        assert_eq!((taken.records.len(), taken.cameras.as_slice()), (2, b"cameras".as_slice()));
    }

    #[test]
    fn others_and_strangers_invitations_are_refused_in_words() {
        let us = signer(5).verifying_key();
        let open = |record: &[u8]| Invitation::open(record, &us, &keys(5)).unwrap_err();
        let for_us = InvitationRefused::NotForUs(us);
        assert_eq!(Invitation::open(&invited(1), &signer(6).verifying_key(), &keys(6)).unwrap_err(), for_us);
        assert_eq!(Invitation::open(&invited(1), &us, &keys(6)).unwrap_err(), InvitationRefused::Unopened);
        let stranger = signer(9).verifying_key();
        assert_eq!(open(&invited(9)), InvitationRefused::NotOwner(stranger));
        let first = first();
        let record = first.list().record();
        let without = Invitation::emit([record], b"", &device(Role::Member, 5), &signer(1), seed()).unwrap();
        assert_eq!(open(&without), InvitationRefused::NotListed);
        let none = Invitation::emit([], b"", &device(Role::Member, 5), &signer(1), seed()).unwrap();
        assert!(matches!(open(&none), InvitationRefused::Malformed(_)));
    }

    proptest! {
        #[test]
        fn a_changed_bit_anywhere_is_refused(at in any::<prop::sample::Index>(), bit in 0..8) {
            let mut record = invited(1);
            let at = at.index(record.len());
            record[at] ^= 1_u8 << bit;
            prop_assert!(Invitation::open(&record, &signer(5).verifying_key(), &keys(5)).is_err());
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = Invitation::open(&bytes, &signer(5).verifying_key(), &keys(5));
        }
    }
}
