//! A device in the place of one that was lost, by the recovery key: words on paper that open what that one could, and sign the next list.

use super::home::{Home, RecordRefused};
use super::{CAMERAS, GENERATIONS, PairedCamera, Vault, VaultError};
use doorframe_transport::devices::{Change, Device, DeviceName, ListRefused, RecoveryKey, Role, Update};
use thiserror::Error;

/// What is at hand to make a device one of its home again.
pub struct Recovering<'a> {
    /// Of the words on paper.
    pub words: &'a RecoveryKey,
    /// The home's lists, as one of its cameras hands them over.
    pub home: Home,
    /// The home's cameras, as far as anybody knows where they are.
    pub cameras: &'a [PairedCamera],
    /// What this device is called from now on, if it is not on the list.
    pub name: DeviceName,
    /// What becomes of recordings from before.
    pub before: Before,
}

/// Recordings that were sealed to the recovery key, before the device that recovers was on the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Before {
    /// This device keeps the recovery key's X-Wing seed among its retired keys, and opens them.
    Opens,
    /// It does not.
    Stays,
}

/// Why words do not make a device an owner. Said to a person.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RecoveryRefused {
    /// Not on the list, or as something else.
    #[error(
        "these words are on the home's device list no more, or never were: an owner has taken them off, or they are of another home"
    )]
    NotListed,
    /// Their time is over.
    #[error(
        "the time of these words is over since {0} days: they open nothing that was filmed since, and are not taken"
    )]
    Over(u64),
    /// Nothing to recover.
    #[error("this device is an owner of its home already: `doorframe devices remove` takes off what was lost")]
    OwnerAlready,
    /// Two devices of one name.
    #[error("a device called {:?} is on the list: take it off with --remove, or give this one another --name", .0.as_str())]
    NameTaken(DeviceName),
}

const DAY_US: u64 = 86_400_000_000;

/// Looks whether the words may sign what follows the newest list.
///
/// # Errors
/// [`RecoveryRefused::NotListed`]; [`RecoveryRefused::Over`].
pub fn check_words(home: &Home, words: &RecoveryKey, wall_us: u64) -> Result<(), VaultError> {
    let signer = words.signing_key()?.verifying_key();
    let listed = home.lists().newest().device(&signer).filter(|device| device.role == Role::Recovery);
    let listed = listed.ok_or(RecoveryRefused::NotListed)?;
    match listed.expiry.wall_us() {
        Some(end) if end <= wall_us => Err(RecoveryRefused::Over((wall_us - end) / DAY_US).into()),
        _ => Ok(()),
    }
}

impl Vault {
    /// Makes this device an owner, by a list that the recovery key signs, and keeps the home and its cameras. `change` sees the devices
    /// with this one among them: take off what was lost. What is different is in the journal before anything is kept.
    ///
    /// # Errors
    /// [`RecoveryRefused`]; [`VaultError::OtherHome`] if this device belongs to another; [`VaultError::List`] if the devices make no list.
    pub fn recover(
        &mut self,
        with: Recovering<'_>,
        wall_us: u64,
        change: impl FnOnce(&mut Vec<Device>) -> Result<(), VaultError>,
    ) -> Result<Vec<Change>, VaultError> {
        let Recovering { words, home: handed, cameras, name, before } = with;
        let _held = self.state.lock()?;
        self.reload()?;
        let mut home = match self.home.clone() {
            None => handed,
            Some(ours) if ours.lists().home() != handed.lists().home() => return Err(VaultError::OtherHome),
            Some(ours) => merged(ours, &handed)?,
        };
        check_words(&home, words, wall_us)?;
        let us = self.signer.verifying_key();
        if home.is_owner(&us) {
            return Err(RecoveryRefused::OwnerAlready.into());
        }
        let mut devices = home.devices();
        let own = match devices.iter().find(|device| device.signer == us) {
            Some(listed) => self.own_entry(Role::Owner, listed.name.clone()),
            None => self.own_entry(Role::Owner, name),
        };
        let name = own.name.clone();
        devices.retain(|device| device.signer != us);
        devices.push(own);
        change(&mut devices)?;
        if devices.iter().filter(|device| device.name == name).count() > 1 {
            return Err(RecoveryRefused::NameTaken(name).into());
        }
        let signer = words.signing_key()?;
        let next = home.lists().checked().next(wall_us, &devices, &signer)?;
        let Update::New(changes) = home.handle(next.list().record())? else { return Ok(Vec::new()) };
        let version = next.list().version();
        let by = signer.verifying_key().fingerprint();
        self.note(&format!("device list {version}: signed by the recovery key {by} on this device"), wall_us)?;
        for words in &changes {
            self.note(&format!("device list {version}: {words}"), wall_us)?;
        }
        if before == Before::Opens {
            let generations = self.generations.with_foreign(*words.device_key()?.seed(), wall_us)?;
            self.state.write(GENERATIONS, &generations.emit())?;
            self.generations = generations;
        }
        for camera in cameras {
            self.cameras.put(camera.clone());
        }
        self.state.write(CAMERAS, &self.cameras.emit())?;
        self.store(home)?;
        Ok(changes)
    }
}

/// Our lists, and those of the camera that are newer.
fn merged(mut ours: Home, handed: &Home) -> Result<Home, VaultError> {
    for record in handed.records() {
        match ours.handle(record) {
            // Ours are newer, or go back as far.
            Ok(_) | Err(RecordRefused::List(ListRefused::RolledBack { .. }) | RecordRefused::Rotation(_)) => {}
            Err(refused) => return Err(refused.into()),
        }
    }
    Ok(ours)
}
