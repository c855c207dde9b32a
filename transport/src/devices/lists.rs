//! What a camera or a device keeps of its home's lists, and what it makes of those that come.

use super::change::{Change, ChangeKind, changes};
use super::device::{Device, HomeId, Role};
use super::list::{CheckedList, DeviceList, ListRefused};
use super::rotation::{Rotation, RotationRefused};
use crate::identity::{DevicePublicKey, Hash};
use crate::manifest::{DeviceListRef, SessionManifest};
use std::collections::BTreeMap;
use thiserror::Error;

/// What a record did that was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Update {
    /// Nothing: we had it.
    Known,
    /// It is in force, and a person is shown the changes. A camera ends its session within one epoch of a list; a rotation takes effect with the next
    /// session at the latest.
    New(Vec<Change>),
}

/// How the list that a camera states compares with ours. None of these is an alarm by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is ours.
    Current,
    /// It is one that we had before. A camera that stays behind has not been given the newest: somebody may be keeping it from it.
    Behind,
    /// It is newer: ask for it.
    Ahead,
    /// It is from before the oldest that we know.
    Unknown,
}

/// A camera seals to somebody that no owner put on the list, or may do so. An alarm: an honest camera and hub never cause it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Ghost {
    /// It says that it has no list.
    #[error("the camera says it has no device list, and this home has one")]
    Unlisted,
    /// It has another list of a version that we know.
    #[error(
        "the camera has another device list {version} than this device: somebody may be on it whom no owner put there"
    )]
    Forked {
        /// Which version.
        version: u32,
    },
    /// It seals to more or fewer than our list has.
    #[error("the camera seals to {sealed} devices, device list {version} has {listed}")]
    Recipients {
        /// Of which list.
        version: u32,
        /// Devices on it that may watch.
        listed: usize,
        /// Devices that the session is sealed to.
        sealed: usize,
    },
}

/// The newest checked list, what was rotated since, and the hashes of the lists before.
#[derive(Clone, Debug)]
pub struct Lists {
    newest: CheckedList,
    /// Of devices on the newest list, newer than what that has. By signing key.
    rotations: BTreeMap<[u8; 32], (Rotation, Vec<u8>)>,
    /// Of every list we had, the newest with them: 36 bytes for each change an owner makes.
    hashes: BTreeMap<u32, Hash>,
}

impl Lists {
    /// Starts from a list that is trusted: the first of a home, or the one that an owner's device handed over.
    pub fn new(list: CheckedList) -> Self {
        let hashes = BTreeMap::from([(list.list().version(), list.list().hash())]);
        Self { newest: list, rotations: BTreeMap::new(), hashes }
    }

    /// Starts again from records that this machine took before and kept where nobody else writes: lists from the oldest to the newest,
    /// at least one, and rotations. Rotations that a list has caught up with are let be.
    ///
    /// # Errors
    /// If there is no list, or one does not follow the one before it.
    pub fn restore<'a>(
        lists: impl IntoIterator<Item = &'a [u8]>,
        rotations: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<Self, ListRefused> {
        let mut lists = lists.into_iter();
        let mut ours = Self::new(CheckedList::trusted(lists.next().unwrap_or_default())?);
        for record in lists {
            ours.handle(record)?;
        }
        for record in rotations {
            // A list may have caught up with it, or taken its device off.
            let _ = ours.handle_rotation(record);
        }
        Ok(ours)
    }

    /// The newest list.
    pub fn newest(&self) -> &DeviceList {
        self.newest.list()
    }

    /// The newest list, to make the next one from.
    pub fn checked(&self) -> &CheckedList {
        &self.newest
    }

    /// Which home.
    pub fn home(&self) -> HomeId {
        self.newest().home()
    }

    /// Records of the rotations in force, to keep beside the lists.
    pub fn rotations(&self) -> impl Iterator<Item = &[u8]> {
        self.rotations.values().map(|(_, record)| record.as_slice())
    }

    /// Whether a record is a list that we had before, or have.
    pub fn knows(&self, record: &[u8]) -> bool {
        let list = DeviceList::parse(record);
        list.is_ok_and(|list| list.home() == self.home() && self.hashes.get(&list.version()) == Some(&list.hash()))
    }

    /// Takes a device list.
    ///
    /// # Errors
    /// Why not; nothing changes then. [`ListRefused::RolledBack`] and [`ListRefused::Forked`] are an alarm.
    pub fn handle(&mut self, record: &[u8]) -> Result<Update, ListRefused> {
        let list = DeviceList::parse(record)?;
        let ours = self.newest();
        if list.home() == ours.home() && list.version() == ours.version() {
            if list.record() == ours.record() {
                return Ok(Update::Known);
            }
            let other = self.newest.other_of_its_version(list)?;
            let (version, signer) = (other.list().version(), other.list().signer());
            return Err(ListRefused::Forked { version, signer });
        }
        let checked = list.verify_next(&self.newest)?;
        let found = changes(self.newest(), checked.list());
        self.hashes.insert(checked.list().version(), checked.list().hash());
        self.newest = checked;
        let newest = self.newest.list();
        self.rotations.retain(|_, (rotation, _)| {
            newest.device(&rotation.device).is_some_and(|device| device.generation < rotation.generation)
        });
        Ok(Update::New(found))
    }

    /// Takes a rotation.
    ///
    /// # Errors
    /// Why not; nothing changes then.
    pub fn handle_rotation(&mut self, record: &[u8]) -> Result<Update, RotationRefused> {
        let rotation = Rotation::verify(record)?;
        if rotation.home != self.home() {
            return Err(RotationRefused::WrongHome { given: rotation.home, ours: self.home() });
        }
        let Some(device) = self.newest().device(&rotation.device) else {
            return Err(RotationRefused::NotListed(rotation.device));
        };
        if device.role == Role::Recovery {
            return Err(RotationRefused::Recovery(rotation.device));
        }
        let ours = self.generation(device);
        if rotation.generation == ours && rotation.public == *self.public(device) {
            return Ok(Update::Known);
        }
        if rotation.generation <= ours {
            return Err(RotationRefused::RolledBack { given: rotation.generation, ours });
        }
        let kind = ChangeKind::Rotated { from: ours, to: rotation.generation };
        let change = Change { device: device.signer, name: device.name.clone(), kind };
        self.rotations.insert(rotation.device.0, (rotation, record.to_vec()));
        Ok(Update::New(vec![change]))
    }

    /// Generation of the key that is sealed to.
    pub fn generation(&self, device: &Device) -> u32 {
        self.rotations.get(&device.signer.0).map_or(device.generation, |(rotation, _)| rotation.generation)
    }

    /// The key that is sealed to: of the list and the rotations, the newest generation.
    pub fn public<'a>(&'a self, device: &'a Device) -> &'a DevicePublicKey {
        self.rotations.get(&device.signer.0).map_or(&device.public, |(rotation, _)| &rotation.public)
    }

    /// Devices that a session is sealed to which starts when the camera's wall clock says `wall_us`: all whose expiry is not over. The
    /// session manifest must state the same `wall_us` as its start, or those who check it find a ghost.
    pub fn recipients(&self, wall_us: u64) -> impl Iterator<Item = (&Device, &DevicePublicKey)> {
        let listed = self.newest().devices().iter().filter(move |device| !device.expiry.is_over(wall_us));
        listed.map(|device| (device, self.public(device)))
    }

    /// When the first expiry after `wall_us` is over, µs since 1970: the session must end then.
    pub fn next_expiry(&self, wall_us: u64) -> Option<u64> {
        self.newest().devices().iter().filter_map(|device| device.expiry.wall_us()).filter(|end| *end > wall_us).min()
    }

    /// Sets the list that an opening or a session states against ours.
    ///
    /// # Errors
    /// [`Ghost`] is an alarm.
    pub fn compare(&self, stated: DeviceListRef) -> Result<Standing, Ghost> {
        let DeviceListRef { version, hash } = stated;
        if version == 0 {
            return Err(Ghost::Unlisted);
        }
        let newest = self.newest().version();
        match self.hashes.get(&version) {
            Some(ours) if *ours != hash => Err(Ghost::Forked { version }),
            Some(_) if version == newest => Ok(Standing::Current),
            Some(_) => Ok(Standing::Behind),
            None if version > newest => Ok(Standing::Ahead),
            None => Ok(Standing::Unknown),
        }
    }

    /// Sets a session against our list: which list it states, and whether it is sealed to as many as that has.
    ///
    /// # Errors
    /// [`Ghost`] is an alarm.
    pub fn check_session(&self, session: &SessionManifest) -> Result<Standing, Ghost> {
        let facts = session.facts();
        let standing = self.compare(facts.devices)?;
        if standing == Standing::Current {
            let (listed, sealed) = (self.recipients(facts.started_wall_us).count(), session.recipients());
            if listed != sealed {
                return Err(Ghost::Recipients { version: facts.devices.version, listed, sealed });
            }
        }
        Ok(standing)
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample::{HOME, MADE, device, family, first, public, signer};
    use super::*;
    use crate::devices::{Expiry, ListRefused};
    use crate::seed::Seed;
    use crate::session::{Config, Session};
    use doorframe_codec::units::Uptime;

    /// `count` lists, each following the one before, signed by owner 1.
    fn chain(count: u64) -> Vec<CheckedList> {
        let mut chain = vec![first()];
        for n in 1..count {
            let next = chain[chain.len() - 1].next(MADE + n, &family(), &signer(1)).unwrap();
            chain.push(next);
        }
        chain
    }

    fn rotate(seed: u8, generation: u32, public_seed: u8) -> Vec<u8> {
        let device = signer(seed).verifying_key();
        Rotation { home: HOME, device, generation, public: public(public_seed), made_wall_us: MADE }.emit(&signer(seed))
    }

    #[test]
    fn lists_are_taken_one_after_the_other_and_said() {
        let mut lists = Lists::new(first());
        let devices = [family(), vec![device(Role::Member, 5)]].concat();
        let next = first().next(MADE, &devices, &signer(2)).unwrap();
        let Ok(Update::New(changes)) = lists.handle(next.list().record()) else { panic!() };
        assert_eq!(changes[0].device, signer(5).verifying_key());
        assert_eq!(lists.handle(next.list().record()), Ok(Update::Known));
        assert_eq!(lists.newest(), next.list());
    }

    #[test]
    fn an_old_list_is_not_brought_back() {
        let chain = chain(3);
        let mut lists = Lists::new(chain[2].clone());
        for (given, old) in [(1, &chain[0]), (2, &chain[1])] {
            assert_eq!(lists.handle(old.list().record()), Err(ListRefused::RolledBack { given, ours: 3 }));
        }
        assert_eq!(lists.newest(), chain[2].list());
    }

    #[test]
    fn two_lists_of_one_version_are_a_fork() {
        let chain = chain(2);
        let mut lists = Lists::new(first());
        lists.handle(chain[1].list().record()).unwrap();
        let signed_by = signer(2).verifying_key();
        let other = first().next(MADE + 7, &family()[..2], &signer(2)).unwrap();
        let forked = Err(ListRefused::Forked { version: 2, signer: signed_by });
        assert_eq!(lists.handle(other.list().record()), forked);
        // What follows the other one says the same.
        let follows = other.next(MADE + 8, &family(), &signer(2)).unwrap();
        assert_eq!(lists.handle(follows.list().record()), forked);
        // A first list of a stranger under our home's id is no fork, only a stranger's.
        let mut lists = Lists::new(first());
        let stranger = CheckedList::first(HOME, MADE, &[device(Role::Owner, 9)], &signer(9)).unwrap();
        assert_eq!(lists.handle(stranger.list().record()), Err(ListRefused::NotOwner(signer(9).verifying_key())));
    }

    #[test]
    fn strangers_cannot_cry_fork() {
        let chain = chain(2);
        let mut lists = Lists::new(first());
        lists.handle(chain[1].list().record()).unwrap();
        let stranger = CheckedList::first(HOME, MADE, &[device(Role::Owner, 9)], &signer(9)).unwrap();
        for version in [2, 3] {
            let mut other = stranger.next(MADE, &[device(Role::Owner, 9)], &signer(9)).unwrap();
            if version == 3 {
                other = other.next(MADE, &[device(Role::Owner, 9)], &signer(9)).unwrap();
            }
            let refused = lists.handle(other.list().record());
            assert_eq!(refused, Err(ListRefused::NotOwner(signer(9).verifying_key())), "version {version}");
        }
    }

    #[test]
    fn a_list_after_a_gap_waits_for_those_between() {
        let chain = chain(4);
        let mut lists = Lists::new(first());
        assert_eq!(lists.handle(chain[3].list().record()), Err(ListRefused::Gap { given: 4, ours: 1 }));
        for list in &chain[1..] {
            assert!(matches!(lists.handle(list.list().record()), Ok(Update::New(_))));
        }
    }

    #[test]
    fn forged_lists_and_those_of_other_homes_change_nothing() {
        let next = first().next(MADE, &family(), &signer(1)).unwrap();
        let mut lists = Lists::new(first());
        let mut forged = next.list().record().to_vec();
        let last = forged.len() - 1;
        forged[last] ^= 1;
        assert_eq!(lists.handle(&forged), Err(ListRefused::Forged));
        assert!(matches!(lists.handle(&forged[1..]), Err(ListRefused::Bad(_))));
        let given = HomeId([8; 16]);
        let other = CheckedList::first(given, MADE, &family(), &signer(1)).unwrap();
        assert_eq!(lists.handle(other.list().record()), Err(ListRefused::WrongHome { given, ours: HOME }));
        assert_eq!(lists.newest(), first().list());
    }

    #[test]
    fn whoever_was_removed_is_not_sealed_to_and_signs_nothing_more() {
        let mut lists = Lists::new(first());
        let next = first().next(MADE, &[device(Role::Owner, 1)], &signer(1)).unwrap();
        lists.handle_rotation(&rotate(3, 2, 33)).unwrap();
        lists.handle(next.list().record()).unwrap();
        assert_eq!(lists.recipients(MADE).count(), 1);
        assert_eq!(lists.rotations().count(), 0);
        let refused = lists.handle_rotation(&rotate(3, 3, 34));
        assert_eq!(refused, Err(RotationRefused::NotListed(signer(3).verifying_key())));
        let back = first().next(MADE, &family(), &signer(2)).unwrap();
        assert!(lists.handle(back.list().record()).is_err());
    }

    #[test]
    fn an_expiry_that_passes_takes_a_guest_off_at_that_moment() {
        let lists = Lists::new(first());
        let end = MADE + 1_000_000;
        assert_eq!(lists.recipients(end - 1).count(), 4);
        assert_eq!(lists.recipients(end).count(), 3);
        assert_eq!(lists.next_expiry(MADE), Some(end));
        assert_eq!(lists.next_expiry(end), None);
        let mut devices = family();
        devices[1].expiry = Expiry::at(MADE + 5);
        let lists = Lists::new(CheckedList::first(HOME, MADE, &devices, &signer(1)).unwrap());
        assert_eq!((lists.next_expiry(MADE), lists.next_expiry(MADE + 5)), (Some(MADE + 5), Some(end)));
        assert_eq!(lists.recipients(MADE + 5).count(), 3);
    }

    #[test]
    fn the_newest_generation_is_sealed_to_wherever_it_stands() {
        let mut lists = Lists::new(first());
        let of = |lists: &Lists| {
            let device = lists.newest().device(&signer(3).verifying_key()).unwrap();
            assert!(lists.recipients(MADE).any(|(d, key)| d == device && key == lists.public(device)));
            (lists.generation(device), lists.public(device).clone())
        };
        assert_eq!(of(&lists), (1, public(3)));
        let Ok(Update::New(changes)) = lists.handle_rotation(&rotate(3, 4, 33)) else { panic!() };
        assert_eq!(changes[0].kind, ChangeKind::Rotated { from: 1, to: 4 });
        assert_eq!(of(&lists), (4, public(33)));
        assert_eq!(lists.handle_rotation(&rotate(3, 4, 33)), Ok(Update::Known));
        for (generation, seed) in [(4, 34), (3, 33), (1, 3)] {
            let refused = lists.handle_rotation(&rotate(3, generation, seed));
            assert_eq!(refused, Err(RotationRefused::RolledBack { given: generation, ours: 4 }));
        }
        // A list that knows less does not bring the old key back; one that knows more wins.
        let stale = first().next(MADE, &family(), &signer(1)).unwrap();
        lists.handle(stale.list().record()).unwrap();
        assert_eq!(of(&lists), (4, public(33)));
        let mut devices = family();
        (devices[2].generation, devices[2].public) = (5, public(35));
        let newer = stale.next(MADE, &devices, &signer(1)).unwrap();
        lists.handle(newer.list().record()).unwrap();
        assert_eq!(of(&lists), (5, public(35)));
        assert_eq!(lists.rotations().count(), 0);
    }

    #[test]
    fn a_rotation_is_refused_from_elsewhere_and_from_paper() {
        let devices = [family(), vec![device(Role::Recovery, 5)]].concat();
        let mut lists = Lists::new(CheckedList::first(HOME, MADE, &devices, &signer(1)).unwrap());
        let refused = lists.handle_rotation(&rotate(5, 2, 55));
        assert_eq!(refused, Err(RotationRefused::Recovery(signer(5).verifying_key())));
        let given = HomeId([8; 16]);
        let device = signer(3).verifying_key();
        let other = Rotation { home: given, device, generation: 2, public: public(33), made_wall_us: MADE };
        let refused = lists.handle_rotation(&other.emit(&signer(3)));
        assert_eq!(refused, Err(RotationRefused::WrongHome { given, ours: HOME }));
        let stolen = Rotation { home: HOME, ..other }.emit(&signer(1));
        assert_eq!(lists.handle_rotation(&stolen), Err(RotationRefused::Forged(device)));
    }

    #[test]
    fn what_was_kept_starts_again() {
        let chain = chain(3);
        let rotations = [rotate(3, 2, 33), rotate(2, 2, 22), rotate(9, 2, 99)];
        let kept = || chain.iter().map(|list| list.list().record());
        let lists = Lists::restore(kept(), rotations.iter().map(Vec::as_slice)).unwrap();
        assert_eq!(lists.newest(), chain[2].list());
        assert_eq!(lists.rotations().count(), 2);
        let again = Lists::restore(kept().skip(1), lists.rotations()).unwrap();
        assert_eq!(again.newest(), chain[2].list());
        assert_eq!(again.rotations().count(), 2);
        assert!(Lists::restore(kept().rev(), []).is_err());
        assert!(matches!(Lists::restore([], []), Err(ListRefused::Bad(_))));
    }

    #[test]
    fn a_list_that_no_owner_made_is_a_ghost() {
        let chain = chain(3);
        let mut lists = Lists::new(chain[1].clone());
        lists.handle(chain[2].list().record()).unwrap();
        let stated = |version, hash| lists.compare(DeviceListRef { version, hash });
        assert_eq!(lists.compare(chain[2].list().reference()), Ok(Standing::Current));
        assert_eq!(lists.compare(chain[1].list().reference()), Ok(Standing::Behind));
        assert_eq!(lists.compare(chain[0].list().reference()), Ok(Standing::Unknown));
        assert_eq!(stated(4, [1; 32]), Ok(Standing::Ahead));
        assert_eq!(stated(3, [1; 32]), Err(Ghost::Forked { version: 3 }));
        assert_eq!(stated(2, [1; 32]), Err(Ghost::Forked { version: 2 }));
        assert_eq!(stated(0, [0; 32]), Err(Ghost::Unlisted));
    }

    #[test]
    fn one_recipient_more_than_the_list_has_is_a_ghost() {
        let lists = Lists::new(first());
        let session = |extra: &[DevicePublicKey], wall_us| {
            let sealed_to = lists.recipients(wall_us).map(|(_, key)| key.clone()).chain(extra.iter().cloned());
            let mut config = Config::new(sealed_to.collect());
            config.device_list = lists.newest().reference();
            let seed = Seed::from_os_random([1; 32]);
            let (_, record) = Session::start(config, &signer(50), seed, Uptime::default(), wall_us).unwrap();
            SessionManifest::parse(&record).unwrap()
        };
        assert_eq!(lists.check_session(&session(&[], MADE)), Ok(Standing::Current));
        let later = MADE + 1_000_000;
        assert_eq!(lists.check_session(&session(&[], later)), Ok(Standing::Current));
        let ghost = Err(Ghost::Recipients { version: 1, listed: 4, sealed: 5 });
        assert_eq!(lists.check_session(&session(&[public(66)], MADE)), ghost);
        // A guest whose time is over is one too.
        let ghost = Err(Ghost::Recipients { version: 1, listed: 3, sealed: 4 });
        assert_eq!(lists.check_session(&session(&[public(4)], later)), ghost);
    }
}
