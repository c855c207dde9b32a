//! `doorframe open` of a .grant: its epochs are fetched from whoever keeps them, and opened with this device's key.

use super::Failure;
use super::export::{check_free, check_name, write};
use super::from::{Hand, StateArgs, archive};
use super::recordings::{Footage, Player, say_span, show};
use super::save::Save;
use clap::Args;
use doorframe::archive::Archive;
use doorframe::link::{Alias, WatchLink};
use doorframe::transport::devices::Role;
use doorframe::transport::grant::{Grant, GrantOpened};
use doorframe::transport::identity::VerifyingKey;
use doorframe::vault::Vault;
use doorframe::viewer::{NoSink, Sink};
use doorframe::{wall_us, when};
use jiff::tz::TimeZone;
use std::path::{Path, PathBuf};

/// Where what was granted is kept, and what is wanted of it.
#[derive(Debug, Args)]
pub(super) struct GrantedArgs {
    /// Of a .grant: a link to the hub that keeps the recordings, where the camera was not paired with this device; - reads it from the
    /// standard input.
    #[arg(long, value_name = "LINK", help_heading = "Of a .grant")]
    link: Option<String>,
    /// A copy of the hub's recordings to read instead of asking the hub.
    #[arg(long, value_name = "FOLDER", help_heading = "Of a .grant")]
    store: Option<PathBuf>,
    /// Name of the camera in that copy, where this device does not know it.
    #[arg(long, value_name = "NAME", requires = "store", help_heading = "Of a .grant")]
    camera: Option<Alias>,
    /// From when, of what was granted; the default is all of it.
    #[arg(long, value_name = "TIME", help_heading = "Of a .grant")]
    from: Option<String>,
    /// Until when, likewise.
    #[arg(long, value_name = "TIME", help_heading = "Of a .grant")]
    to: Option<String>,
    /// Write it to this film, FILE.mp4, in the clear, with its proof beside it.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["save", "play"], help_heading = "Of a .grant")]
    export: Option<PathBuf>,
    #[command(flatten)]
    state: StateArgs,
}

impl GrantedArgs {
    /// Opens the grant in `bytes`, a file that is called `file`.
    pub(super) async fn run(
        &self,
        file: &Path,
        bytes: &[u8],
        save: Option<&Path>,
        speed: Option<f64>,
    ) -> Result<(), Failure> {
        if let Some(film) = &self.export {
            check_name(film)?;
            check_free(film)?;
        }
        let vault = self.state.vault()?.ok_or_else(|| {
            Failure("this device has no keys, so that nothing can have been granted to it: `doorframe devices card` makes them, and prints what to give to whoever grants".into())
        })?;
        let opened = open(file, bytes, &vault)?;
        say_granter(&opened, &vault);
        let link = self.place(opened.camera, &vault)?;
        let mut archive = match (&link, &self.store) {
            (Some(link), store) => archive(link, store.as_deref(), Vec::new()).await?,
            (None, Some(store)) => {
                let camera = self.camera.as_ref().ok_or_else(|| {
                    Failure("what is the camera called in that copy? Give its name with --camera".into())
                })?;
                let archive = Archive::open_folder(store, &camera.to_string(), opened.camera, Vec::new()).await;
                archive.map_err(Failure::of)?
            }
            (None, None) => {
                return Err(Failure(format!(
                    "where are the recordings of camera {}? It was not paired with this device: give --link, or --store",
                    opened.camera.fingerprint()
                )));
            }
        };
        let name = link.as_ref().map(|link| link.camera.clone()).or_else(|| self.camera.clone());
        let (from, to) = self.span()?;
        let mut recording = archive.find_granted(opened.parts, from, to).await.map_err(Failure::of)?;
        say_span("Granted", &recording);
        if let Some(film) = &self.export {
            let name = name.unwrap_or_else(Alias::front_door);
            return write(&mut archive, recording, film, &name, Hand::of(vault)).await;
        }
        let sink: Box<dyn Sink> = match save {
            Some(path) => Box::new(Save::create(path)?),
            None => Box::new(NoSink),
        };
        let is_ours = vault.cameras().any(|camera| camera.identity == archive.camera());
        let footage = if is_ours { Footage::Ours } else { Footage::Others };
        show(&mut recording, &mut archive, Player::new(sink, speed, footage)).await
    }

    /// The hub that keeps the recordings of `camera`, and what it calls it.
    fn place(&self, camera: VerifyingKey, vault: &Vault) -> Result<Option<WatchLink>, Failure> {
        if let Some(link) = &self.link {
            let link: WatchLink = super::read_link(link)?;
            return match link.identity == camera {
                true => Ok(Some(link)),
                false => Err(Failure(format!(
                    "the grant is of camera {}, the link of {}",
                    camera.fingerprint(),
                    link.identity.fingerprint()
                ))),
            };
        }
        let alias = vault.cameras().find(|paired| paired.identity == camera).map(|paired| paired.alias.clone());
        alias.filter(|_| self.camera.is_none()).map(|alias| vault.watch_link(&alias)).transpose().map_err(Failure::of)
    }

    fn span(&self) -> Result<(u64, u64), Failure> {
        let (now, zone) = (wall_us(), TimeZone::system());
        let at = |text: &Option<String>, otherwise| {
            text.as_ref().map_or(Ok(otherwise), |text| when::parse(text, now, &zone)).map_err(Failure::of)
        };
        let (from, to) = (at(&self.from, 0)?, at(&self.to, u64::MAX)?);
        if from >= to {
            return Err(Failure("--from is not before --to".into()));
        }
        Ok((from, to))
    }
}

/// Refuses what is not for this device, was changed, or is over.
fn open(file: &Path, bytes: &[u8], vault: &Vault) -> Result<GrantOpened, Failure> {
    let named = |words: String| Failure(format!("{}: {words}", file.display()));
    let grant = Grant::parse(bytes).map_err(|error| named(format!("the grant is damaged: {error}")))?;
    let keys = vault.devices();
    // Where none fits, the first says what is wrong.
    let key = keys.iter().find(|key| grant.is_for(key.public())).or(keys.first());
    let key = key.ok_or_else(|| named("this device has no key".into()))?;
    let opened = grant
        .open(key)
        .map_err(|error| named(format!("{error} (this is device {})", vault.signer().verifying_key().fingerprint())))?;
    match opened.terms.expiry.wall_us() {
        Some(end) if opened.terms.expiry.is_over(wall_us()) => Err(named(format!(
            "the offer ended {}: ask {} for another grant",
            when::local(end, &TimeZone::system()),
            opened.granter.fingerprint()
        ))),
        _ => Ok(opened),
    }
}

/// Whether who granted may is for a person to know: the device list helps.
fn say_granter(opened: &GrantOpened, vault: &Vault) {
    let granter = opened.granter.fingerprint();
    let listed = vault.home().and_then(|home| home.lists().newest().device(&opened.granter).cloned());
    let who = match listed {
        Some(device) if device.role == Role::Owner => format!("{} ({granter}), an owner", device.name.as_str()),
        Some(device) => format!("{} ({granter}), who is no owner on the device list", device.name.as_str()),
        None => format!("{granter}: compare this with what you were told"),
    };
    println!("Of camera {}, granted by {who}.", opened.camera.fingerprint());
}
