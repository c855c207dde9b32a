//! A second device: invited by one of the home's owners, who has put its card on the list.

use super::home::Home;
use super::{CAMERAS, Cameras, PairedCamera, RecordRefused, Vault, VaultError};
use crate::link::Alias;
use doorframe_transport::devices::{Invitation, InvitationRefused, ListRefused};
use doorframe_transport::identity::VerifyingKey;
use doorframe_transport::seed::Seed;

/// What a device has become part of.
#[derive(Debug)]
#[non_exhaustive]
pub struct Joined {
    /// Who invited; show its fingerprint, for a person to compare.
    pub by: VerifyingKey,
    /// Version of the device list in force.
    pub version: u32,
    /// Cameras that can be watched now.
    pub cameras: Vec<Alias>,
}

/// Bytes of device lists in an invitation: more than any home's last changes, and what they need to be set against.
const INVITED: usize = 256 << 10;

impl Vault {
    /// What the device that signs with `device` needs to watch: all lists and the cameras, sealed to it. Only owners can invite.
    ///
    /// # Errors
    /// [`VaultError::NoHome`]; [`VaultError::NoDevice`] if it is not on the list; [`VaultError::NotOwner`].
    pub fn invitation(&self, device: &VerifyingKey, seed: Seed) -> Result<Vec<u8>, VaultError> {
        let home = self.home.as_ref().ok_or(VaultError::NoHome)?;
        let devices = home.devices();
        let find = |key: &VerifyingKey| devices.iter().find(|device| device.signer == *key);
        let invited = find(device).ok_or_else(|| VaultError::NoDevice(device.fingerprint()))?;
        if !home.is_owner(&self.signer.verifying_key()) {
            return Err(VaultError::NotOwner);
        }
        Ok(Invitation::emit(home.newest_records(INVITED), &self.cameras.emit(), invited, &self.signer, seed)?)
    }

    /// Takes an invitation: keeps the home's lists, which from then on are taken one after the other only, and adds its cameras.
    ///
    /// # Errors
    /// Why it is not taken; [`VaultError::OtherHome`] if this device belongs to another.
    pub fn join(&mut self, invitation: &[u8], wall_us: u64) -> Result<Joined, VaultError> {
        let _held = self.state.lock()?;
        self.reload()?;
        let taken = Invitation::open(invitation, &self.signer.verifying_key(), &self.devices())?;
        let cameras = Cameras::parse(&taken.cameras).map_err(VaultError::Invited)?;
        let home = match self.home.clone() {
            None => Home::of(&taken.records)?,
            Some(ours) if ours.lists().home() != taken.list.list().home() => return Err(VaultError::OtherHome),
            Some(mut ours) => {
                let (given, newest) = (taken.list.list().version(), ours.lists().newest().version());
                if given < newest {
                    return Err(ListRefused::RolledBack { given, ours: newest }.into());
                }
                for record in &taken.records {
                    if ours.lists().knows(record) {
                        continue;
                    }
                    match ours.handle(record) {
                        // A rotation that we know a newer one of.
                        Err(RecordRefused::Rotation(_)) => {}
                        other => drop(other?),
                    }
                }
                ours
            }
        };
        if !home.is_owner(&taken.by) {
            return Err(InvitationRefused::NotOwner(taken.by).into());
        }
        let version = home.lists().newest().version();
        let words = format!("joined a home by the invitation of {}, device list {version}", taken.by.fingerprint());
        self.note(&words, wall_us)?;
        let mut added = Vec::new();
        for camera in cameras.iter() {
            added.push(camera.alias.clone());
            self.cameras.put(PairedCamera::clone(camera));
        }
        self.state.write(CAMERAS, &self.cameras.emit())?;
        self.store(home)?;
        Ok(Joined { by: taken.by, version, cameras: added })
    }
}
