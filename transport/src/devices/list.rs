//! The list of a home's devices: one signed record, each naming the one before.

use super::device::{Device, DeviceName, HomeId, Role};
use crate::identity::{Hash, SigningKey, VerifyingKey, hash};
use crate::manifest::{DeviceListRef, MAX_RECIPIENTS, sign, verified};
use crate::parse::{Reader, RecordError};
use thiserror::Error;

/// Most devices on a list: as many as a session can be sealed to.
pub const MAX_DEVICES: usize = MAX_RECIPIENTS;

const LABEL: &[u8] = b"doorframe/1 device list";
pub(super) const TYPE: u8 = 4;

/// Why devices make no list.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BadList {
    /// The record is malformed.
    #[error("device list is damaged: {0}")]
    Malformed(#[from] RecordError),
    /// Nobody, or too many.
    #[error("{0} devices, a list has 1 to 64")]
    Devices(usize),
    /// A device that is there twice.
    #[error("two devices have the signing key {}, each needs its own", .0.fingerprint())]
    Twice(VerifyingKey),
    /// Nobody could sign the next list.
    #[error("no device is an owner, at least one must be")]
    NoOwner,
    /// A guest for ever.
    #[error("guest {0:?} has no expiry, a guest needs one")]
    EndlessGuest(DeviceName),
    /// A first list that says there is one before it, or a later one that says there is none.
    #[error("version {0} names a list before it that cannot be")]
    Before(u32),
}

/// Why a device list is not taken. Said to a person.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ListRefused {
    /// No list at all.
    #[error(transparent)]
    Bad(#[from] BadList),
    /// Its signature does not hold.
    #[error("device list is forged: its signature does not hold")]
    Forged,
    /// Signed by somebody who may not sign it.
    #[error("device list is signed by {}, who is no owner", .0.fingerprint())]
    NotOwner(VerifyingKey),
    /// Of another home.
    #[error("device list is of home {given}, this is home {ours}")]
    WrongHome {
        /// Home it is of.
        given: HomeId,
        /// Home expected.
        ours: HomeId,
    },
    /// Older than ours.
    #[error("device list has version {given}, this device already has {ours}: somebody tries to bring an old one back")]
    RolledBack {
        /// Its version.
        given: u32,
        /// Ours.
        ours: u32,
    },
    /// An owner signed two lists of one version, or one after a list that we know otherwise.
    #[error("there are two different device lists of version {version}, {} signed the other", .signer.fingerprint())]
    Forked {
        /// The version that there are two of.
        version: u32,
        /// The owner who signed the one that is not ours, or what follows it.
        signer: VerifyingKey,
    },
    /// It follows one that we do not have: ask for those between first.
    #[error("device list has version {given}, this device has {ours} and needs those between first")]
    Gap {
        /// Its version.
        given: u32,
        /// Ours; 0 if we have none.
        ours: u32,
    },
}

/// A device list as it came: a list by its form, its signature not yet checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceList {
    home: HomeId,
    version: u32,
    before: Hash,
    made_wall_us: u64,
    devices: Vec<Device>,
    signer: VerifyingKey,
    record: Vec<u8>,
}

impl DeviceList {
    /// Reads a record, its signature not checked.
    ///
    /// # Errors
    /// If it is cut short, goes on after its end, a field is out of range, or its devices make no list.
    pub fn parse(record: &[u8]) -> Result<Self, BadList> {
        let mut reader = Reader::new(record);
        reader.head(TYPE)?;
        let home = HomeId(reader.array()?);
        let version = reader.u32()?;
        if version == 0 {
            return Err(RecordError::Field { field: "version", value: 0 }.into());
        }
        let before = reader.array()?;
        if (before == [0; 32]) != (version == 1) {
            return Err(BadList::Before(version));
        }
        let made_wall_us = reader.u64()?;
        let count = usize::from(reader.u8()?);
        if count == 0 || count > MAX_DEVICES {
            return Err(BadList::Devices(count));
        }
        let mut devices = Vec::with_capacity(count);
        for _ in 0..count {
            devices.push(Device::parse(&mut reader)?);
        }
        let signer = VerifyingKey(reader.array()?);
        reader.array::<64>()?;
        reader.end()?;
        check(&devices)?;
        Ok(Self { home, version, before, made_wall_us, devices, signer, record: record.to_vec() })
    }

    /// All but the signature.
    pub(crate) fn emit_body(&self) -> Vec<u8> {
        emit_body(self.home, self.version, &self.before, self.made_wall_us, &self.devices, &self.signer)
    }

    /// Takes it as the first list of a home, signed by an owner that is on it.
    ///
    /// # Errors
    /// If it is not version 1, its signature does not hold, or its signer is no owner on it.
    pub fn verify_first(self) -> Result<CheckedList, ListRefused> {
        if self.version != 1 {
            return Err(ListRefused::Gap { given: self.version, ours: 0 });
        }
        let signers = owners(&self.devices);
        self.signed_by(signers)
    }

    /// Takes it as the list that follows `before`, signed by an owner of that one or by its recovery key.
    ///
    /// # Errors
    /// If it is of another home, its signature does not hold, its signer is no owner on `before`, or it is not the version that
    /// follows or follows another list.
    pub fn verify_next(self, before: &CheckedList) -> Result<CheckedList, ListRefused> {
        let ours = &before.list;
        if self.home != ours.home {
            return Err(ListRefused::WrongHome { given: self.home, ours: ours.home });
        }
        if self.version <= ours.version {
            return Err(ListRefused::RolledBack { given: self.version, ours: ours.version });
        }
        if self.version - ours.version > 1 {
            return Err(ListRefused::Gap { given: self.version, ours: ours.version });
        }
        let follows = self.before == ours.hash();
        let checked = self.signed_by(signers(&ours.devices))?;
        // Only now: what no owner signed proves nothing about owners.
        if !follows {
            return Err(ListRefused::Forked { version: ours.version, signer: checked.list.signer });
        }
        Ok(checked)
    }

    /// Takes it if its signature holds and its signer is one of `signers`.
    fn signed_by(self, signers: Vec<VerifyingKey>) -> Result<CheckedList, ListRefused> {
        if verified(&self.record, LABEL, &self.signer).is_none() {
            return Err(ListRefused::Forged);
        }
        if !signers.contains(&self.signer) {
            return Err(ListRefused::NotOwner(self.signer));
        }
        Ok(CheckedList { list: self, signers })
    }

    /// Which home.
    pub fn home(&self) -> HomeId {
        self.home
    }

    /// Counts up by one from list to list, from 1.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// When it was made by its signer's wall clock, µs since 1970: a claim.
    pub fn made_wall_us(&self) -> u64 {
        self.made_wall_us
    }

    /// Who is on it, 1 to 64.
    pub fn devices(&self) -> &[Device] {
        &self.devices
    }

    /// The device whose signing key is `signer`.
    pub fn device(&self, signer: &VerifyingKey) -> Option<&Device> {
        self.devices.iter().find(|device| device.signer == *signer)
    }

    /// Who says to have signed it.
    pub fn signer(&self) -> VerifyingKey {
        self.signer
    }

    /// The whole signed record.
    pub fn record(&self) -> &[u8] {
        &self.record
    }

    /// Hash of the whole signed record, as the next list and session manifests name it.
    pub fn hash(&self) -> Hash {
        hash(&[&self.record])
    }

    /// How session manifests and openings name it.
    pub fn reference(&self) -> DeviceListRef {
        DeviceListRef { version: self.version, hash: self.hash() }
    }
}

/// A device list that an owner signed who may.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckedList {
    list: DeviceList,
    /// Who may sign a list of this version.
    signers: Vec<VerifyingKey>,
}

impl CheckedList {
    /// The first list of a home: `owner` makes it and is on it.
    ///
    /// # Errors
    /// If the devices make no list, or `owner` is no owner on it.
    pub fn first(home: HomeId, made_wall_us: u64, devices: &[Device], owner: &SigningKey) -> Result<Self, ListRefused> {
        emit(home, 1, &[0; 32], made_wall_us, devices, owner)?.verify_first()
    }

    /// The list that follows this one, made by one of this one's owners.
    ///
    /// # Errors
    /// If the devices make no list, or `owner` is no owner on this one.
    pub fn next(&self, made_wall_us: u64, devices: &[Device], owner: &SigningKey) -> Result<Self, ListRefused> {
        let version = self.list.version.saturating_add(1);
        emit(self.list.home, version, &self.list.hash(), made_wall_us, devices, owner)?.verify_next(self)
    }

    /// A list that was checked before and kept where nobody else writes, or handed over by an owner's device: of any version, its own
    /// signature is all that is checked.
    ///
    /// # Errors
    /// If it is no list or its signature does not hold.
    pub fn trusted(record: &[u8]) -> Result<Self, ListRefused> {
        let list = DeviceList::parse(record)?;
        let signers = vec![list.signer];
        list.signed_by(signers)
    }

    /// What it says.
    pub fn list(&self) -> &DeviceList {
        &self.list
    }

    /// Another list of this one's version, signed by somebody who may: proof that there are two.
    pub(super) fn other_of_its_version(&self, other: DeviceList) -> Result<CheckedList, ListRefused> {
        other.signed_by(self.signers.clone())
    }
}

fn owners(devices: &[Device]) -> Vec<VerifyingKey> {
    devices.iter().filter(|device| device.role == Role::Owner).map(|device| device.signer).collect()
}

/// Who may sign the list that follows: the owners, and the recovery keys, or who has lost his only phone could never be an owner again.
fn signers(devices: &[Device]) -> Vec<VerifyingKey> {
    let may = |device: &&Device| matches!(device.role, Role::Owner | Role::Recovery);
    devices.iter().filter(may).map(|device| device.signer).collect()
}

/// The rules that hold within one list.
fn check(devices: &[Device]) -> Result<(), BadList> {
    if devices.is_empty() || devices.len() > MAX_DEVICES {
        return Err(BadList::Devices(devices.len()));
    }
    for (i, device) in devices.iter().enumerate() {
        if devices.iter().skip(i + 1).any(|other| other.signer == device.signer) {
            return Err(BadList::Twice(device.signer));
        }
        if device.role == Role::Guest && device.expiry.wall_us().is_none() {
            return Err(BadList::EndlessGuest(device.name.clone()));
        }
    }
    if !devices.iter().any(|device| device.role == Role::Owner) {
        return Err(BadList::NoOwner);
    }
    Ok(())
}

fn emit_body(
    home: HomeId,
    version: u32,
    before: &Hash,
    made_wall_us: u64,
    devices: &[Device],
    signer: &VerifyingKey,
) -> Vec<u8> {
    let mut out = vec![1, TYPE];
    out.extend_from_slice(&home.0);
    out.extend_from_slice(&version.to_be_bytes());
    out.extend_from_slice(before);
    out.extend_from_slice(&made_wall_us.to_be_bytes());
    out.push(devices.len() as u8);
    devices.iter().for_each(|device| device.emit(&mut out));
    out.extend_from_slice(&signer.0);
    out
}

/// Signs what comes of it and reads it back, so that nothing is made that would not be taken.
fn emit(
    home: HomeId,
    version: u32,
    before: &Hash,
    made_wall_us: u64,
    devices: &[Device],
    owner: &SigningKey,
) -> Result<DeviceList, BadList> {
    check(devices)?;
    let mut record = emit_body(home, version, before, made_wall_us, devices, &owner.verifying_key());
    sign(&mut record, LABEL, owner);
    DeviceList::parse(&record)
}

#[cfg(test)]
mod tests {
    use super::super::sample::{HOME, MADE, device, family, first, public, signer};
    use super::*;
    use crate::devices::Expiry;
    use proptest::prelude::*;

    #[test]
    fn a_list_comes_back_only_whole_and_from_its_signer() {
        let list = first();
        let record = list.list().record();
        assert_eq!(DeviceList::parse(record).unwrap().verify_first().unwrap(), list);
        assert_eq!(list.list().devices(), family());
        for len in (0..record.len()).step_by(7).chain(record.len() - 64..record.len()) {
            assert!(matches!(DeviceList::parse(&record[..len]), Err(BadList::Malformed(_))), "{len} bytes");
        }
        let longer = [record, &[0]].concat();
        assert_eq!(DeviceList::parse(&longer), Err(RecordError::Long(1).into()));
        for at in (0..record.len()).step_by(11).chain(0..64) {
            let mut changed = record.to_vec();
            changed[at] ^= 1;
            assert!(
                DeviceList::parse(&changed).map_err(Into::into).and_then(DeviceList::verify_first).is_err(),
                "byte {at}"
            );
        }
    }

    #[test]
    fn what_is_no_list_cannot_be_made() {
        let make = |devices: &[Device]| match CheckedList::first(HOME, MADE, devices, &signer(1)) {
            Err(ListRefused::Bad(bad)) => bad,
            other => panic!("{other:?}"),
        };
        let owner = || device(Role::Owner, 1);
        assert_eq!(make(&[]), BadList::Devices(0));
        let many: Vec<_> = std::iter::repeat_with(owner).take(65).collect();
        assert_eq!(make(&many), BadList::Devices(65));
        assert_eq!(make(&[owner(), device(Role::Member, 3), owner()]), BadList::Twice(signer(1).verifying_key()));
        assert_eq!(make(&[device(Role::Member, 1), device(Role::Recovery, 2)]), BadList::NoOwner);
        let mut guest = device(Role::Guest, 4);
        guest.expiry = Expiry::NEVER;
        assert_eq!(make(&[owner(), guest.clone()]), BadList::EndlessGuest(guest.name));
    }

    /// A record that says what `make` refuses to, well signed: `change` gets all before the signer.
    fn forced(devices: &[Device], change: impl FnOnce(&mut Vec<u8>)) -> Result<DeviceList, BadList> {
        let mut record = emit_body(HOME, 1, &[0; 32], MADE, devices, &signer(1).verifying_key());
        change(&mut record);
        sign(&mut record, LABEL, &signer(1));
        DeviceList::parse(&record)
    }

    #[test]
    fn what_is_no_list_does_not_parse_either() {
        let owner = || device(Role::Owner, 1);
        assert!(forced(&[owner()], |_| ()).is_ok());
        assert_eq!(forced(&[], |_| ()), Err(BadList::Devices(0)));
        let many: Vec<_> = std::iter::repeat_with(owner).take(65).collect();
        assert_eq!(forced(&many, |_| ()), Err(BadList::Devices(65)));
        assert_eq!(forced(&[owner(), owner()], |_| ()), Err(BadList::Twice(signer(1).verifying_key())));
        assert_eq!(forced(&[device(Role::Member, 1)], |_| ()), Err(BadList::NoOwner));
        let mut guest = device(Role::Guest, 4);
        guest.expiry = Expiry::NEVER;
        assert!(matches!(forced(&[owner(), guest], |_| ()), Err(BadList::EndlessGuest(_))));
        assert_eq!(forced(&[owner()], |r| r[21] = 0), Err(RecordError::Field { field: "version", value: 0 }.into()));
        assert_eq!(forced(&[owner()], |r| r[21] = 2), Err(BadList::Before(2)));
        assert_eq!(forced(&[owner()], |r| r[22] = 1), Err(BadList::Before(1)));
        assert_eq!(forced(&[owner()], |r| r[63] = 5), Err(RecordError::Field { field: "role", value: 5 }.into()));
        let key = 64 + 32..64 + 32 + 384;
        assert_eq!(
            forced(&[owner()], |r| r[key].fill(0xff)),
            Err(RecordError::Key("X-Wing key of a device").into()),
            "coefficients beyond ML-KEM's modulus"
        );
        let name = 64 + 32 + 1216 + 4 + 8;
        assert_eq!(forced(&[owner()], |r| r[name + 3] = b'\n'), Err(RecordError::Text("device name").into()));
        assert_eq!(forced(&[owner()], |r| r[name + 3] = 0xff), Err(RecordError::Text("device name").into()));
    }

    #[test]
    fn only_an_owner_on_it_signs_the_first_list() {
        let member = CheckedList::first(HOME, MADE, &family(), &signer(3));
        assert_eq!(member.unwrap_err(), ListRefused::NotOwner(signer(3).verifying_key()));
        let stranger = CheckedList::first(HOME, MADE, &family(), &signer(9));
        assert_eq!(stranger.unwrap_err(), ListRefused::NotOwner(signer(9).verifying_key()));
    }

    #[test]
    fn only_an_owner_of_the_list_before_signs_the_next() {
        let before = first();
        assert!(before.next(MADE + 1, &family(), &signer(2)).is_ok());
        // Owner on the new list alone: he has made himself one.
        let mut devices = family();
        devices[2].role = Role::Owner;
        for (seed, who) in [(3, "member"), (4, "guest"), (9, "stranger")] {
            let refused = before.next(MADE + 1, &devices, &signer(seed)).unwrap_err();
            assert_eq!(refused, ListRefused::NotOwner(signer(seed).verifying_key()), "{who}");
        }
        let demoted = before.next(MADE + 1, &[device(Role::Owner, 1), device(Role::Member, 2)], &signer(1)).unwrap();
        let refused = demoted.next(MADE + 2, &family(), &signer(2)).unwrap_err();
        assert_eq!(refused, ListRefused::NotOwner(signer(2).verifying_key()));
    }

    #[test]
    fn a_recovery_key_makes_a_new_owner_but_no_first_list() {
        let mut devices = family();
        devices.push(device(Role::Recovery, 5));
        let before = CheckedList::first(HOME, MADE, &devices, &signer(1)).unwrap();
        let new_phone = [device(Role::Owner, 9), device(Role::Recovery, 5)];
        assert_eq!(before.next(MADE + 1, &new_phone, &signer(5)).unwrap().list().version(), 2);
        let refused = CheckedList::first(HOME, MADE, &devices, &signer(5)).unwrap_err();
        assert_eq!(refused, ListRefused::NotOwner(signer(5).verifying_key()));
        // What its owner took off the list signs nothing any more.
        let without = before.next(MADE + 1, &family(), &signer(1)).unwrap();
        let refused = without.next(MADE + 2, &new_phone, &signer(5)).unwrap_err();
        assert_eq!(refused, ListRefused::NotOwner(signer(5).verifying_key()));
    }

    #[test]
    fn a_trusted_list_still_needs_its_signature() {
        let record = first().next(MADE, &family(), &signer(2)).unwrap().list().record().to_vec();
        assert_eq!(CheckedList::trusted(&record).unwrap().list().version(), 2);
        let mut changed = record;
        changed[60] ^= 1;
        assert_eq!(CheckedList::trusted(&changed).unwrap_err(), ListRefused::Forged);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn any_bytes_give_an_error_or_come_back_unchanged(
            bytes in proptest::collection::vec(any::<u8>(), 0..1500),
            start in 0usize..1500,
        ) {
            // Bytes of nobody, and the same over the middle of a good record.
            crate::fuzzing::check_device_list(&bytes);
            let mut record = first().list().record().to_vec();
            record.iter_mut().skip(start).zip(&bytes).take(3).for_each(|(to, from)| *to = *from);
            crate::fuzzing::check_device_list(&record);
        }

        #[test]
        fn whatever_is_made_is_read_back(
            names in proptest::collection::vec("[a-zäß ]{1,10}", 1..5),
            generation in any::<u32>(),
            expiry in 1u64..,
            made in any::<u64>(),
        ) {
            let mut devices: Vec<_> = (1..).zip(&names).map(|(seed, _)| device(Role::Owner, seed)).collect();
            for (device, name) in devices.iter_mut().zip(&names) {
                device.name = crate::devices::DeviceName::new(name).unwrap();
                device.generation = generation;
                device.public = public(generation as u8);
                device.expiry = Expiry::at(expiry);
            }
            let list = CheckedList::first(HOME, made, &devices, &signer(1)).unwrap();
            prop_assert_eq!(list.list().devices(), devices.as_slice());
            prop_assert_eq!(list.list().made_wall_us(), made);
            crate::fuzzing::check_device_list(list.list().record());
        }
    }
}
