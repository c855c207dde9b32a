//! `doorframe grant`.

use super::Failure;
use super::list::size;
use super::recordings::{FromArgs, SpanArgs, say_gaps, say_span};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use clap::Args;
use doorframe::bundle::{self, BundleKey, signer_of};
use doorframe::transport::devices::Expiry;
use doorframe::transport::identity::DevicePublicKey;
use std::io::Write as _;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub(super) struct Grant {
    #[command(flatten)]
    from: FromArgs,
    #[command(flatten)]
    span: SpanArgs,
    /// The file to hand over: CLIP.html, which shows itself in a browser, or CLIP.dfb.
    #[arg(long, value_name = "FILE", required_unless_present = "to_device")]
    bundle: Option<PathBuf>,
    /// Instead of footage, the keys alone, for a device whose X-Wing public key (1216 bytes, or base64 of them) is in this file.
    #[arg(long, value_name = "FILE", conflicts_with = "bundle", requires = "grant")]
    to_device: Option<PathBuf>,
    /// The file with these keys: CLIP.grant.
    #[arg(long, value_name = "FILE", requires = "to_device")]
    grant: Option<PathBuf>,
}

impl Grant {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let target = self.bundle.as_ref().or(self.grant.as_ref()).ok_or_else(|| Failure("say --bundle FILE".into()))?;
        let form = target.extension().and_then(|extension| extension.to_str());
        match (form, &self.bundle) {
            (Some("html" | "dfb"), Some(_)) | (Some("grant"), None) => {}
            (_, Some(_)) => {
                return Err(Failure(format!("{}: the name must end in .html or .dfb", target.display())));
            }
            _ => return Err(Failure(format!("{}: the name must end in .grant", target.display()))),
        }
        let (link, mut archive) = self.from.open().await?;
        let recording = self.span.find(&mut archive).await?;
        say_span(&format!("Handing over {}", link.camera), &recording);
        println!("  Who has opened it keeps it: nothing takes that back.\n");
        let signer = signer_of(&link).map_err(Failure::of)?;
        if let Some(device) = &self.to_device {
            let device = public_key(device)?;
            let made = bundle::grant(&recording, &device, &signer, Expiry::NEVER).map_err(Failure::of)?;
            write(target, made.record())?;
            println!("  {}: keys of these epochs and no other, for that device alone", target.display());
            return Ok(());
        }
        let key = BundleKey::fresh().map_err(Failure::of)?;
        let (bytes, gaps) = bundle::bundle(&mut archive, recording, &key, &signer).await.map_err(Failure::of)?;
        if form == Some("html") {
            write(target, bundle::page(&bytes).map_err(Failure::of)?.as_bytes())?;
        } else {
            write(target, &bytes)?;
        }
        let about = std::fs::metadata(target).map_or(0, |about| about.len());
        println!("  {}: {}, sealed. It opens with this key and no other:\n", target.display(), size(about));
        if form == Some("html") {
            println!("    {}#k={}\n", target.display(), key.reveal());
            println!("  In a browser: open the file, and give it the key. Or: doorframe open {}", target.display());
        } else {
            println!("    {}\n", key.reveal());
            println!("  To open it: doorframe open {} --key KEY", target.display());
        }
        println!("  Send file and key by different ways. Made by {}.", signer.verifying_key().fingerprint());
        if !gaps.is_empty() {
            println!("\n  The recordings are not complete, and whoever opens it is told:");
            say_gaps(&gaps);
        }
        Ok(())
    }
}

/// Never over a file that is there.
fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let file = std::fs::OpenOptions::new().write(true).create_new(true).open(path);
    let written = file.and_then(|mut file| file.write_all(bytes));
    written.map_err(|error| Failure(format!("cannot write {}: {error}", path.display())))
}

fn public_key(path: &Path) -> Result<DevicePublicKey, Failure> {
    let bytes = std::fs::read(path).map_err(|error| Failure(format!("cannot read {}: {error}", path.display())))?;
    let text = std::str::from_utf8(&bytes).map(str::trim).unwrap_or_default();
    let decoded = URL_SAFE_NO_PAD.decode(text).or_else(|_| STANDARD.decode(text)).ok().filter(|key| !key.is_empty());
    DevicePublicKey::from_bytes(decoded.as_deref().unwrap_or(&bytes))
        .map_err(|error| Failure(format!("{}: {error}", path.display())))
}
