//! `doorframe join`.

use super::Failure;
use clap::Args;
use doorframe::state::StateDir;
use doorframe::vault::Vault;
use doorframe::wall_us;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(super) struct JoinCommand {
    /// The file that `doorframe devices add` wrote on an owner's device, for the card that `doorframe devices card` printed here.
    file: PathBuf,
    /// Where this device's keys are kept.
    #[arg(long, value_name = "DIR", default_value_os_t = StateDir::default_path())]
    state: PathBuf,
}

/// Larger than any invitation.
const MAX: u64 = 2 << 20;

impl JoinCommand {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let failed = |error: std::io::Error| Failure(format!("cannot read {}: {error}", self.file.display()));
        if std::fs::metadata(&self.file).map_err(failed)?.len() > MAX {
            return Err(Failure(format!("{} is no invitation: it is larger than 2 MiB", self.file.display())));
        }
        let invitation = std::fs::read(&self.file).map_err(failed)?;
        let state = StateDir::open(&self.state).map_err(Failure::of)?;
        let mut vault = Vault::open(&state).map_err(Failure::of)?;
        let joined = vault.join(&invitation, wall_us()).map_err(Failure::of)?;
        println!("Invited by {}, device list {}.", joined.by.fingerprint(), joined.version);
        println!("  If that is not what the inviting device shows, somebody else made this: do not use it.\n");
        for camera in &joined.cameras {
            println!("    doorframe watch {camera}");
        }
        if joined.cameras.is_empty() {
            println!("  The home has no camera yet.");
        }
        Ok(())
    }
}
