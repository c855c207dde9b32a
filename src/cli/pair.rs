//! `doorframe pair`.

use super::Failure;
use clap::Args;
use doorframe::link::{Alias, HubLink};
use doorframe::pairing::{CameraHub, PairLink, pair};
use doorframe::state::{StateDir, random};
use doorframe::transport::devices::DeviceName;
use doorframe::transport::pairing::NewOwner;
use doorframe::vault::{PairedCamera, Vault};
use doorframe::wall_us;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(super) struct PairCommand {
    /// The link that the camera shows as a QR code, in quotes; - reads it from the standard input.
    link: String,
    /// What this device is called on the device list, the first time.
    #[arg(long, value_name = "NAME", default_value = "first device", value_parser = super::devices::parse_name)]
    name: DeviceName,
    /// What the camera is called.
    #[arg(long, value_name = "NAME", default_value = "front-door")]
    camera: Alias,
    /// Take the place of the camera that has this name.
    #[arg(long)]
    replace: bool,
    /// The link that the hub printed, in quotes; needed the first time, and kept for the cameras to come.
    #[arg(long, value_name = "LINK")]
    hub: Option<String>,
    /// Where this device's keys are kept.
    #[arg(long, value_name = "DIR", default_value_os_t = StateDir::default_path())]
    state: PathBuf,
}

impl PairCommand {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let link: PairLink = super::read_link(&self.link)?;
        let state = StateDir::open(&self.state).map_err(Failure::of)?;
        let mut vault = Vault::open(&state).map_err(Failure::of)?;
        let hub: HubLink = match &self.hub {
            Some(hub) => {
                let hub = super::read_link(hub)?;
                vault.keep_hub(&hub).map_err(Failure::of)?;
                hub
            }
            None => vault.hub().map_err(Failure::of)?.ok_or_else(|| {
                Failure("where is the hub? Give its link with --hub, as `doorframe hub` printed it; it is kept for the next camera".into())
            })?,
        };
        let identity = link.identity;
        let other = vault.camera(&self.camera).filter(|paired| paired.identity != identity);
        if other.is_some() && !self.replace {
            return Err(Failure(format!(
                "a camera named {} was paired already: give this one another name with --camera, or let it take that one's place with --replace",
                self.camera
            )));
        }
        let camera = PairedCamera::new(self.camera.clone(), identity, &hub);
        let message = CameraHub::new(&hub, self.camera.clone()).to_message().map_err(Failure::of)?;
        let owner = new_owner(&vault, self.name.clone())?;
        let home = random::<16>().map_err(Failure::of)?;
        let kept = &mut vault;
        let list = move || kept.list_for_pairing(&self.name, home, wall_us()).map_err(|error| error.to_string());
        pair(link, &owner, &message, list).await.map_err(Failure::of)?;
        vault.add_camera(camera, wall_us()).map_err(Failure::of)?;
        println!("Paired with {}, identity {}.\n", self.camera, identity.fingerprint());
        println!("  Watch it with:\n\n    doorframe watch {}\n", self.camera);
        println!("  Who may watch: doorframe devices");
        Ok(())
    }
}

/// This device as the home's newest list has it, or its first will.
fn new_owner(vault: &Vault, name: DeviceName) -> Result<NewOwner, Failure> {
    let signer = vault.signer().verifying_key();
    let Some(home) = vault.home() else {
        let entry = vault.own_entry(doorframe::transport::devices::Role::Owner, name);
        return Ok(NewOwner { signer, public: entry.public, name: entry.name });
    };
    let listed = home.lists().newest().device(&signer).filter(|_| home.is_owner(&signer));
    let listed = listed.ok_or_else(|| Failure::of(doorframe::vault::VaultError::NotOwner))?;
    Ok(NewOwner { signer, public: listed.public.clone(), name: listed.name.clone() })
}
