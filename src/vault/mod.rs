//! The owner's side of a device: what it signs and opens with, its home's device lists, its cameras, and a journal of what it handed out.
//!
//! All of it are small files in one [`StateDir`]. Each is written whole or not at all, the journal entry by entry. A file that is damaged
//! is named in one sentence and left as it is: nothing is made anew in the place of what might still be restored.

mod cameras;
mod error;
mod generations;
mod home;
mod join;
mod journal;
mod recover;
#[cfg(test)]
mod tests;
mod upkeep;

pub use cameras::PairedCamera;
pub use error::VaultError;
pub use home::{Home, RecordRefused};
pub use join::Joined;
pub use recover::{Before, Recovering, RecoveryRefused, check_words};
pub use upkeep::{KEY_LIFE, Upkeep};

use crate::link::{Alias, HubLink, MOST_RETIRED, WatchLink};
use crate::state::{StateDir, random32};
use crate::wall_us;
use cameras::Cameras;
use doorframe_transport::devices::{Change, CheckedList, Device, DeviceName, Expiry, HomeId, Role, Rotation, Update};
use doorframe_transport::identity::{DeviceKey, SigningKey};
use doorframe_transport::journal::{Deed, Details, Head, Journal, Survey};
use generations::Generations;
use std::fmt;
use zeroize::Zeroizing;

const IDENTITY: &str = "device-identity";
const GENERATIONS: &str = "device-keys";
const HOME: &str = "home";
const CAMERAS: &str = "cameras";
const HUB: &str = "hub-link";

/// An owner's state folder, opened and checked.
///
/// Several programs may have it open: whoever writes holds the folder's lock and first reads what the others wrote.
pub struct Vault {
    state: StateDir,
    signer: SigningKey,
    generations: Generations,
    home: Option<Home>,
    cameras: Cameras,
    journal: Journal,
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Vault({}, ..)", self.signer.verifying_key().fingerprint())
    }
}

impl Vault {
    /// Opens what is kept in `state`. The first time this device gets its keys.
    ///
    /// # Errors
    /// If a file cannot be read or written, or is damaged.
    pub fn open(state: &StateDir) -> Result<Self, VaultError> {
        let _held = state.lock()?;
        let signer = SigningKey::from_seed(&*state.secret(IDENTITY)?)?;
        let generations = match state.read(GENERATIONS)?.map(Zeroizing::new) {
            Some(bytes) => Generations::parse(&bytes).map_err(|why| VaultError::damaged(state, GENERATIONS, why))?,
            None => {
                let first = Generations::first(random32()?, wall_us())?;
                state.write(GENERATIONS, &first.emit())?;
                first
            }
        };
        let journal = journal::open(state, &signer)?;
        let mut vault =
            Self { state: state.clone(), signer, generations, home: None, cameras: Cameras::default(), journal };
        vault.reload_home()?;
        Ok(vault)
    }

    /// Reads what other programs may have written since. Keep the lock from here to what is written then.
    fn reload(&mut self) -> Result<(), VaultError> {
        let state = &self.state;
        if let Some(bytes) = state.read(GENERATIONS)?.map(Zeroizing::new) {
            let found = Generations::parse(&bytes);
            self.generations = found.map_err(|why| VaultError::damaged(state, GENERATIONS, why))?;
        }
        self.reload_home()
    }

    fn reload_home(&mut self) -> Result<(), VaultError> {
        self.home = Self::home_in(&self.state)?;
        let state = &self.state;
        let cameras = state.read(CAMERAS)?.map(Zeroizing::new).map(|bytes| Cameras::parse(&bytes)).transpose();
        self.cameras = cameras.map_err(|why| VaultError::damaged(state, CAMERAS, why))?.unwrap_or_default();
        Ok(())
    }

    /// The home's device lists as they are in `state` now, without anything else of the vault; `None` before the first camera was paired.
    ///
    /// # Errors
    /// If they cannot be read, or are damaged.
    pub fn home_in(state: &StateDir) -> Result<Option<Home>, VaultError> {
        let home = state.read(HOME)?.map(|bytes| Home::parse(&bytes)).transpose();
        home.map_err(|why| VaultError::damaged(state, HOME, why))
    }

    /// What this device signs with. It names the device on lists.
    pub fn signer(&self) -> &SigningKey {
        &self.signer
    }

    /// Keys that open what was sealed to this device, the newest first: the one in use, then those retired and not yet forgotten.
    pub fn devices(&self) -> Vec<DeviceKey> {
        self.generations.keys()
    }

    /// Since when the key in use has been, µs since 1970.
    pub fn key_made_wall_us(&self) -> u64 {
        self.generations.newest().made_wall_us
    }

    /// The home's device lists; `None` before the first camera was paired.
    pub fn home(&self) -> Option<&Home> {
        self.home.as_ref()
    }

    /// The camera of that name.
    pub fn camera(&self, alias: &Alias) -> Option<&PairedCamera> {
        self.cameras.iter().find(|camera| camera.alias == *alias)
    }

    /// All cameras, in the order in which they were paired.
    pub fn cameras(&self) -> impl Iterator<Item = &PairedCamera> {
        self.cameras.iter()
    }

    /// All that a viewer needs to watch a camera with this device's keys: the newest, and of those before it the newest
    /// [`MOST_RETIRED`].
    ///
    /// # Errors
    /// [`VaultError::NoCamera`].
    pub fn watch_link(&self, alias: &Alias) -> Result<WatchLink, VaultError> {
        let camera = self.camera(alias).ok_or_else(|| VaultError::NoCamera(alias.clone()))?;
        let retired = self.generations.seeds().skip(1).take(MOST_RETIRED);
        let retired = retired.map(|seed| Zeroizing::new(*seed)).collect();
        Ok(WatchLink { retired, ..camera.watch_link(self.generations.newest().seed()) })
    }

    /// What this device did: granted, exported, changed.
    pub fn journal(&self) -> &Journal {
        &self.journal
    }

    /// Writes an entry to the journal's end and waits until it is on the disk. Do the deed after it, never before. `details` is one line
    /// for a person, without key material; control characters in it become spaces, and what is above 4096 bytes is left out.
    ///
    /// # Errors
    /// If the journal does not hold any more, or the disk says no.
    pub fn journal_append(&mut self, deed: Deed, details: &str, wall_us: u64) -> Result<(), VaultError> {
        let _held = self.state.lock()?;
        self.journal = journal::open(&self.state, &self.signer)?;
        journal::append(&self.state, &mut self.journal, deed, line(details)?, wall_us, &self.signer)
    }

    /// Everything that is wrong with the journal in `state`, also where a vault would not open for it; `None` if this device never had keys.
    /// `noted` is a head that was kept elsewhere.
    ///
    /// # Errors
    /// If a file cannot be read, or is no journal's head.
    pub fn survey(state: &StateDir, noted: Option<Head>) -> Result<Option<Survey>, VaultError> {
        if !Self::is_there(state) {
            return Ok(None);
        }
        let _held = state.lock()?;
        let signer = SigningKey::from_seed(&*state.secret(IDENTITY)?)?;
        journal::survey(state, signer.verifying_key(), noted).map(Some)
    }

    /// Whether this device has keys, which [`open`](Self::open) makes the first time.
    pub fn is_there(state: &StateDir) -> bool {
        state.path(IDENTITY).exists()
    }

    /// The hub link that new cameras are given, if one was kept.
    ///
    /// # Errors
    /// If it cannot be read, or is damaged.
    pub fn hub(&self) -> Result<Option<HubLink>, VaultError> {
        let Some(bytes) = self.state.read(HUB)?.map(Zeroizing::new) else { return Ok(None) };
        let text = std::str::from_utf8(&bytes).map_err(|_| VaultError::damaged(&self.state, HUB, "it is no text"))?;
        text.parse().map(Some).map_err(|why| VaultError::damaged(&self.state, HUB, why))
    }

    /// Keeps the hub link for the cameras to come.
    ///
    /// # Errors
    /// If the disk says no.
    pub fn keep_hub(&mut self, link: &HubLink) -> Result<(), VaultError> {
        let _held = self.state.lock()?;
        Ok(self.state.write(HUB, Zeroizing::new(link.to_string()).as_bytes())?)
    }

    /// The list that a new camera is given: the home's newest; its first, which this device makes, named `name`, if there is no home yet.
    /// `home` is 16 random bytes.
    ///
    /// # Errors
    /// [`VaultError::NotOwner`] if this device is none.
    pub fn list_for_pairing(
        &mut self,
        name: &DeviceName,
        home: [u8; 16],
        wall_us: u64,
    ) -> Result<CheckedList, VaultError> {
        let _held = self.state.lock()?;
        self.reload()?;
        if let Some(home) = &self.home {
            let is_owner = home.is_owner(&self.signer.verifying_key());
            return if is_owner { Ok(home.lists().checked().clone()) } else { Err(VaultError::NotOwner) };
        }
        let device = self.own_entry(Role::Owner, name.clone());
        let first = CheckedList::first(HomeId(home), wall_us, &[device], &self.signer)?;
        self.note(&format!("device list 1: {name} made this home"), wall_us)?;
        self.store(Home::new(first.clone()))?;
        Ok(first)
    }

    /// This device as it would stand on a list, for ever, with its newest key.
    pub fn own_entry(&self, role: Role, name: DeviceName) -> Device {
        let newest = self.generations.newest();
        Device {
            role,
            signer: self.signer.verifying_key(),
            public: newest.public().clone(),
            generation: newest.number,
            expiry: Expiry::NEVER,
            name,
        }
    }

    /// Remembers a camera; one of the same name is replaced, and the journal says so.
    ///
    /// # Errors
    /// If the disk says no.
    pub fn add_camera(&mut self, camera: PairedCamera, wall_us: u64) -> Result<(), VaultError> {
        let _held = self.state.lock()?;
        self.reload()?;
        let was_there =
            if self.camera(&camera.alias).is_some() { ", in the place of another of that name" } else { "" };
        let words = format!("camera {} paired, identity {}{was_there}", camera.alias, camera.identity.fingerprint());
        self.note(&words, wall_us)?;
        self.cameras.put(camera);
        Ok(self.state.write(CAMERAS, &self.cameras.emit())?)
    }

    /// Takes the hub's link anew, for the cameras to come and for those that are there: a hub's own certificate lasts 13 days, and tokens
    /// a year. Gives the names of the cameras that are reached by it.
    ///
    /// # Errors
    /// If the disk says no.
    pub fn renew_hub(&mut self, link: &HubLink, wall_us: u64) -> Result<Vec<Alias>, VaultError> {
        let _held = self.state.lock()?;
        self.reload()?;
        let hub = link.hub();
        let at_it = |camera: &&PairedCamera| camera.hub.path() == hub.path();
        let cameras: Vec<_> =
            self.cameras.iter().filter(at_it).map(|camera| (camera.alias.clone(), camera.identity)).collect();
        for (alias, identity) in &cameras {
            self.cameras.put(PairedCamera::new(alias.clone(), *identity, link));
        }
        self.note(&format!("the hub's link was taken anew, for {} cameras", cameras.len()), wall_us)?;
        self.state.write(HUB, Zeroizing::new(link.to_string()).as_bytes())?;
        self.state.write(CAMERAS, &self.cameras.emit())?;
        Ok(cameras.into_iter().map(|(alias, _)| alias).collect())
    }

    /// Makes the next list with what `change` leaves of the devices, each with its newest key, and keeps it. What is different is in the
    /// journal before it is in force.
    ///
    /// # Errors
    /// [`VaultError::NoHome`]; [`VaultError::List`] if the devices make no list or this device is no owner.
    pub fn change_devices(
        &mut self,
        wall_us: u64,
        change: impl FnOnce(&mut Vec<Device>) -> Result<(), VaultError>,
    ) -> Result<Vec<Change>, VaultError> {
        let _held = self.state.lock()?;
        self.reload()?;
        let mut home = self.home.clone().ok_or(VaultError::NoHome)?;
        let mut devices = home.devices();
        change(&mut devices)?;
        let next = home.lists().checked().next(wall_us, &devices, &self.signer)?;
        let Update::New(changes) = home.handle(next.list().record())? else { return Ok(Vec::new()) };
        for words in &changes {
            self.note(&format!("device list {}: {words}", next.list().version()), wall_us)?;
        }
        self.store(home)?;
        Ok(changes)
    }

    /// Takes a list or a rotation that came from elsewhere.
    ///
    /// # Errors
    /// [`VaultError::NoHome`]; why it is not taken.
    pub fn handle_record(&mut self, record: &[u8]) -> Result<Update, VaultError> {
        let _held = self.state.lock()?;
        self.reload()?;
        let mut home = self.home.clone().ok_or(VaultError::NoHome)?;
        let update = home.handle(record)?;
        if matches!(update, Update::New(_)) {
            self.store(home)?;
        }
        Ok(update)
    }

    /// Gives this device another X-Wing key, of the 32 random bytes `seed`. The one before is retired: it opens what was sealed to it until
    /// it is [forgotten](Self::forget).
    ///
    /// # Errors
    /// [`VaultError::NoHome`]; [`VaultError::Rotation`] if this device is not on the list.
    pub fn rotate(&mut self, seed: [u8; 32], wall_us: u64) -> Result<u32, VaultError> {
        let _held = self.state.lock()?;
        self.reload()?;
        let mut home = self.home.clone().ok_or(VaultError::NoHome)?;
        let device = self.signer.verifying_key();
        let listed = home.lists().newest().device(&device).map_or(0, |device| home.lists().generation(device));
        let generations = self.generations.next(seed, listed, wall_us)?;
        let newest = generations.newest();
        let (generation, public) = (newest.number, newest.public().clone());
        let rotation = Rotation { home: home.lists().home(), device, generation, public, made_wall_us: wall_us };
        home.handle(&rotation.emit(&self.signer))?;
        self.note(&format!("this device's key was changed: generation {generation}"), wall_us)?;
        // The key first: a list that names a key which nobody has would shut this device out.
        self.state.write(GENERATIONS, &generations.emit())?;
        self.generations = generations;
        self.store(home)?;
        Ok(generation)
    }

    /// Deletes the private keys that were retired before `before` (µs since 1970): what was sealed to them opens here no more. Gives how
    /// many there were.
    ///
    /// # Errors
    /// If the disk says no.
    pub fn forget(&mut self, before: u64) -> Result<usize, VaultError> {
        let _held = self.state.lock()?;
        self.reload()?;
        let gone = self.generations.forget(before);
        if gone > 0 {
            self.state.write(GENERATIONS, &self.generations.emit())?;
        }
        Ok(gone)
    }

    /// Whoever calls it holds the lock.
    fn note(&mut self, words: &str, wall_us: u64) -> Result<(), VaultError> {
        self.journal = journal::open(&self.state, &self.signer)?;
        journal::append(&self.state, &mut self.journal, Deed::ListChanged, line(words)?, wall_us, &self.signer)
    }

    /// Whoever calls it holds the lock.
    fn store(&mut self, home: Home) -> Result<(), VaultError> {
        self.state.write(HOME, &home.emit())?;
        self.home = Some(home);
        Ok(())
    }
}

/// Text as one line that a journal takes.
fn line(text: &str) -> Result<Details, VaultError> {
    let mut line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let end = (0..=Details::MAX.min(line.len())).rev().find(|end| line.is_char_boundary(*end)).unwrap_or(0);
    line.truncate(end);
    Details::new(&line).ok_or(VaultError::NoDetails)
}
