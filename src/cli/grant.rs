//! `doorframe grant`.

use super::Failure;
use super::devices::{Life, find, parse_life, read_card};
use super::from::{FromArgs, Hand};
use super::list::size;
use super::recordings::{SpanArgs, in_words, say_gaps, say_span};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use clap::Args;
use doorframe::archive::{Archive, Recording};
use doorframe::bundle::{self, BundleKey};
use doorframe::transport::identity::DevicePublicKey;
use doorframe::transport::journal::Deed;
use doorframe::vault::{Vault, VaultError};
use doorframe::{wall_us, when};
use jiff::tz::TimeZone;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// What everybody should know who hands something over.
pub(super) const FOR_GOOD: &str = "What was handed over cannot be taken back: who has opened it keeps it. A .grant whose time is over is refused. \
What somebody may see from now on is another matter: `doorframe devices remove` ends it, and so does a guest's expiry.";

#[derive(Debug, Args)]
#[command(after_help = FOR_GOOD)]
pub(super) struct Grant {
    #[command(flatten)]
    from: FromArgs,
    #[command(flatten)]
    span: SpanArgs,
    /// The file to hand over: CLIP.html, which shows itself in a browser, or CLIP.dfb.
    #[arg(long, value_name = "FILE", required_unless_present = "to_device")]
    bundle: Option<PathBuf>,
    /// Instead of footage, the keys alone, for one device: its name or fingerprint as `doorframe devices` shows it, or a file with its card
    /// (`doorframe devices card`) or its X-Wing public key (1216 bytes, or base64 of them).
    #[arg(long, value_name = "DEVICE", conflicts_with = "bundle", requires = "grant")]
    to_device: Option<String>,
    /// The file with these keys: CLIP.grant. That device opens it with `doorframe open`.
    #[arg(long, value_name = "FILE", requires = "to_device")]
    grant: Option<PathBuf>,
    /// How long the .grant can be opened: 30d, 12h or never. Who opened it before may have kept what is in it.
    #[arg(long, value_name = "TIME", default_value = "never", value_parser = parse_life, conflicts_with = "bundle")]
    expires: Life,
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
        if target.exists() {
            return Err(Failure(format!("{} is there already: name another", target.display())));
        }
        let mut opened = self.from.open().await?;
        let recording = self.span.find(&mut opened.archive).await?;
        say_span(&format!("Handing over {}", opened.camera), &recording);
        println!("  Who has opened it keeps it: nothing takes that back.\n");
        let hand = self.from.hand(&opened)?;
        let words = in_words(&opened.camera, &opened.archive, &recording);
        match &self.to_device {
            Some(device) => to_device(hand, &recording, device, self.expires, target, &words),
            None => bundled(hand, &mut opened.archive, recording, target, &words).await,
        }
    }
}

fn to_device(
    mut hand: Hand,
    recording: &Recording,
    device: &str,
    expires: Life,
    target: &Path,
    words: &str,
) -> Result<(), Failure> {
    let wall = wall_us();
    let recipient = recipient(hand.vault(), device, wall)?;
    let expiry = expires.expiry(wall);
    let made = bundle::grant(recording, &recipient.public, hand.signer(), expiry).map_err(Failure::of)?;
    let id = made.terms().id;
    let end = expiry.wall_us().map_or_else(String::new, |end| format!(", to be opened until {}", when::utc(end)));
    hand.note(Deed::Granted, &format!("{words}; to {}, in {}, grant {id}{end}", recipient.words, target.display()))?;
    write(target, made.record())?;
    println!("  {}: keys of these epochs and no other, for {} alone", target.display(), recipient.words);
    if let Some(end) = expiry.wall_us() {
        println!("  It is refused from {} on.", when::local(end, &TimeZone::system()));
    }
    println!("  There: doorframe open {}", target.display());
    Ok(())
}

async fn bundled(
    mut hand: Hand,
    archive: &mut Archive,
    recording: Recording,
    target: &Path,
    words: &str,
) -> Result<(), Failure> {
    let key = BundleKey::fresh().map_err(Failure::of)?;
    let (bytes, gaps) = bundle::bundle(archive, recording, &key, hand.signer()).await.map_err(Failure::of)?;
    hand.note(Deed::Bundled, &format!("{words}; in {}, for whoever has its key", target.display()))?;
    let is_page = target.extension().is_some_and(|extension| extension == "html");
    if is_page {
        write(target, bundle::page(&bytes).map_err(Failure::of)?.as_bytes())?;
    } else {
        write(target, &bytes)?;
    }
    let about = std::fs::metadata(target).map_or(0, |about| about.len());
    println!("  {}: {}, sealed. It opens with this key and no other:\n", target.display(), size(about));
    if is_page {
        println!("    {}#k={}\n", target.display(), key.reveal());
        println!("  In a browser: open the file, and give it the key. Or: doorframe open {}", target.display());
    } else {
        println!("    {}\n", key.reveal());
        println!("  To open it: doorframe open {} --key KEY", target.display());
    }
    println!("  Send file and key by different ways. Made by {}.", hand.signer().verifying_key().fingerprint());
    if !gaps.is_empty() {
        println!("\n  The recordings are not complete, and whoever opens it is told:");
        say_gaps(&gaps);
    }
    Ok(())
}

/// Never over a file that is there.
fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let file = std::fs::OpenOptions::new().write(true).create_new(true).open(path);
    let written = file.and_then(|mut file| file.write_all(bytes));
    written.map_err(|error| Failure(format!("cannot write {}: {error}", path.display())))
}

/// To whom it is granted.
struct Recipient {
    public: DevicePublicKey,
    words: String,
}

/// A device of the home's list, else what is in a file.
fn recipient(vault: &Vault, wanted: &str, wall: u64) -> Result<Recipient, Failure> {
    let devices = vault.home().map(doorframe::vault::Home::devices).unwrap_or_default();
    if let Some(device) = find(&devices, wanted).ok().and_then(|at| devices.get(at)) {
        let words = format!("device {} ({})", device.name.as_str(), device.signer.fingerprint());
        if device.expiry.is_over(wall) {
            return Err(Failure(format!(
                "the time of {words} on the device list is over: `doorframe devices role` gives it more"
            )));
        }
        return Ok(Recipient { public: device.public.clone(), words });
    }
    let path = Path::new(wanted);
    if !path.is_file() {
        let none = VaultError::NoDevice(wanted.into());
        return Err(Failure(format!("{none}, or a file with its card, as `doorframe devices card` prints it there")));
    }
    let bytes = std::fs::read(path).map_err(|error| Failure(format!("cannot read {}: {error}", path.display())))?;
    let text = std::str::from_utf8(&bytes).map(str::trim).unwrap_or_default();
    if let Ok((signer, public, _)) = read_card(text) {
        return Ok(Recipient { public, words: format!("device {}", signer.fingerprint()) });
    }
    let decoded = URL_SAFE_NO_PAD.decode(text).or_else(|_| STANDARD.decode(text)).ok().filter(|key| !key.is_empty());
    let public = DevicePublicKey::from_bytes(decoded.as_deref().unwrap_or(&bytes))
        .map_err(|error| Failure(format!("{}: {error}", path.display())))?;
    Ok(Recipient { public, words: format!("the key in {}", path.display()) })
}
