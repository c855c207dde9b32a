//! Whose recordings, where they are, and who hands out some of them.

use super::Failure;
use super::devices::{News, deliver};
use clap::Args;
use doorframe::archive::Archive;
use doorframe::bundle::signer_of;
use doorframe::link::{Alias, WatchLink};
use doorframe::state::StateDir;
use doorframe::transport::identity::{DeviceKey, SigningKey};
use doorframe::transport::journal::Deed;
use doorframe::vault::{Vault, VaultError};
use doorframe::wall_us;
use std::path::{Path, PathBuf};

/// Where recordings are, and the keys to them.
#[derive(Debug, Args)]
pub(super) struct FromArgs {
    /// Name of a camera that was paired with this device.
    #[arg(value_name = "NAME", required_unless_present = "link", conflicts_with = "link")]
    name: Option<Alias>,
    #[command(flatten)]
    place: PlaceArgs,
}

/// Where recordings are, but for the camera's name.
#[derive(Debug, Args)]
pub(super) struct PlaceArgs {
    /// Instead of a name, the link that the camera printed, in quotes; - reads it from the standard input, out of other users' sight.
    #[arg(long, value_name = "LINK")]
    link: Option<String>,
    /// A copy of the hub's recordings to read instead of asking the hub: the folder that --record named.
    #[arg(long, value_name = "FOLDER")]
    store: Option<PathBuf>,
    #[command(flatten)]
    state: StateArgs,
}

/// Where this device has what is its own.
#[derive(Debug, Args)]
pub(super) struct StateArgs {
    /// Where this device's keys and its journal are kept.
    #[arg(long = "state", value_name = "DIR", default_value_os_t = StateDir::default_path())]
    folder: PathBuf,
}

impl StateArgs {
    /// The folder, which is made if it is not there.
    pub(super) fn open(&self) -> Result<StateDir, Failure> {
        StateDir::open(&self.folder).map_err(Failure::of)
    }

    /// This device's vault, if it has keys: nobody gets some because of a slip of the pen.
    pub(super) fn vault(&self) -> Result<Option<Vault>, Failure> {
        if !self.folder.exists() {
            return Ok(None);
        }
        let state = self.open()?;
        let is_there = Vault::is_there(&state);
        is_there.then(|| Vault::open(&state)).transpose().map_err(Failure::of)
    }
}

/// What a vault does by itself whenever it is opened to watch or to read, told. Says whether this device has a new key.
pub(super) fn upkeep(vault: &mut Vault) -> Result<Option<u32>, Failure> {
    let done = vault.upkeep(wall_us()).map_err(Failure::of)?;
    if let Some(generation) = done.rotated {
        println!("  This device has a new key, generation {generation}: the one before was in use for a week.");
    }
    if done.forgotten > 0 {
        println!("  Old keys deleted: {}, as `doorframe devices keep-keys` says.", done.forgotten);
    }
    Ok(done.rotated)
}

/// The same, where nothing after it brings the cameras a new key: this does.
pub(super) async fn upkeep_and_deliver(vault: &mut Vault) -> Result<(), Failure> {
    match upkeep(vault)? {
        Some(_) => deliver(vault, News::Rotation).await,
        None => Ok(()),
    }
}

/// Recordings of one camera.
pub(super) struct Opened {
    pub(super) camera: Alias,
    pub(super) archive: Archive,
    /// The link that they were opened with, if it was one.
    link: Option<WatchLink>,
}

impl FromArgs {
    pub(super) async fn open(&self) -> Result<Opened, Failure> {
        self.place.open(self.name.as_ref()).await
    }

    /// See [`PlaceArgs::hand`].
    pub(super) fn hand(&self, opened: &Opened) -> Result<Hand, Failure> {
        self.place.hand(opened)
    }
}

impl PlaceArgs {
    /// Of a camera that was paired, else by the link.
    pub(super) async fn open(&self, name: Option<&Alias>) -> Result<Opened, Failure> {
        let (link, keys, by_link) = match (name, &self.link) {
            (Some(name), None) => {
                let none = || Failure::of(VaultError::NoCamera(name.clone()));
                let mut vault = self.state.vault()?.ok_or_else(none)?;
                upkeep_and_deliver(&mut vault).await?;
                // With the keys that were retired: older sessions are sealed to them.
                (vault.watch_link(name).map_err(Failure::of)?, vault.devices(), None)
            }
            (Some(_), Some(_)) => return Err(Failure("give the camera's name or its --link, not both".into())),
            (None, None) => return Err(Failure("of which camera? Give its name, or its --link".into())),
            (None, Some(link)) => {
                let link: WatchLink = super::read_link(link)?;
                let keys = link.devices().map_err(Failure::of)?;
                (link.clone(), keys, Some(link))
            }
        };
        let archive = archive(&link, self.store.as_deref(), keys).await?;
        Ok(Opened { camera: link.camera.clone(), archive, link: by_link })
    }

    /// Who hands out what was opened. Without a name, this device gets the keys that its journal is signed with.
    pub(super) fn hand(&self, opened: &Opened) -> Result<Hand, Failure> {
        let vault = Vault::open(&self.state.open()?).map_err(Failure::of)?;
        let of_link = opened.link.as_ref().map(signer_of).transpose().map_err(Failure::of)?;
        Ok(Hand { vault, of_link })
    }
}

/// Asks the link's hub, or a copied store.
pub(super) async fn archive(link: &WatchLink, store: Option<&Path>, keys: Vec<DeviceKey>) -> Result<Archive, Failure> {
    let name = link.camera.to_string();
    let archive = match store {
        Some(folder) => Archive::open_folder(folder, &name, link.identity, keys).await,
        None => Archive::dial(&link.dial(), &name, link.identity, keys).await,
    };
    archive.map_err(Failure::of)
}

/// Who hands out recordings: signs what leaves, after it was written down.
pub(super) struct Hand {
    vault: Vault,
    of_link: Option<SigningKey>,
}

impl Hand {
    /// With this device's key.
    pub(super) fn of(vault: Vault) -> Self {
        Self { vault, of_link: None }
    }

    pub(super) fn vault(&self) -> &Vault {
        &self.vault
    }

    /// Signs for this device, or, where there is only a link, for who has that.
    pub(super) fn signer(&self) -> &SigningKey {
        self.of_link.as_ref().unwrap_or(self.vault.signer())
    }

    /// Writes to the journal what is about to leave, and waits until it is on the disk.
    pub(super) fn note(&mut self, deed: Deed, words: &str) -> Result<(), Failure> {
        let signer =
            self.of_link.as_ref().map(|signer| format!("; signed by {}", signer.verifying_key().fingerprint()));
        let words = format!("{words}{}", signer.unwrap_or_default());
        self.vault.journal_append(deed, &words, wall_us()).map_err(Failure::of)
    }
}
