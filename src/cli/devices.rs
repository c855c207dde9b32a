//! `doorframe devices`.

use super::Failure;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clap::{Args, Subcommand};
use doorframe::link::HubLink;
use doorframe::recovery::HomeLink;
use doorframe::state::{StateDir, random32};
use doorframe::transport::devices::{Change, Device, DeviceName, Expiry, RecoveryKey, Role};
use doorframe::transport::identity::{DeviceKey, DevicePublicKey, VerifyingKey};
use doorframe::transport::seed::Seed;
use doorframe::vault::{Home, PairedCamera, Vault, VaultError};
use doorframe::viewer::{NoSink, Own, Viewer, ViewerState};
use doorframe::wall_us;
use std::path::PathBuf;
use std::time::Duration;

#[derive(Debug, Args)]
pub(super) struct DevicesCommand {
    /// Where this device's keys are kept.
    #[arg(long, global = true, value_name = "DIR", default_value_os_t = StateDir::default_path())]
    state: PathBuf,
    #[command(subcommand)]
    deed: Option<Deed>,
}

#[derive(Debug, Subcommand)]
enum Deed {
    /// Print this device's card: what an owner puts on the list.
    Card,
    /// Put a device on the list.
    Add {
        /// Its card, as `doorframe devices card` printed it there.
        card: String,
        /// What it is called.
        #[arg(long, value_name = "NAME", value_parser = parse_name)]
        name: DeviceName,
        /// What it may do: owner, member or guest.
        #[arg(long, value_name = "ROLE", default_value = "member", value_parser = parse_role)]
        role: Role,
        /// Until when: 30d, 12h or never. A guest needs an end.
        #[arg(long, value_name = "TIME", default_value = "never", value_parser = parse_life)]
        expires: Life,
        /// Where the invitation is written that `doorframe join` takes on that device [default: NAME.join].
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Write the invitation of a device on the list anew: for the cameras that came since.
    Invite {
        /// Its name or fingerprint.
        device: String,
        /// Where it is written [default: NAME.join].
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Take a device off the list: what is filmed from then on it cannot open.
    Remove {
        /// Its name or fingerprint.
        device: String,
    },
    /// Let a device do something else.
    Role {
        /// Its name or fingerprint.
        device: String,
        /// What it may do: owner, member or guest.
        #[arg(value_parser = parse_role)]
        role: Role,
        /// Until when: 30d, 12h or never. A guest needs an end.
        #[arg(long, value_name = "TIME", default_value = "never", value_parser = parse_life)]
        expires: Life,
    },
    /// Give this device a new key. The old one opens what was sealed to it until it is forgotten.
    Rotate {
        /// Delete keys that were retired longer ago than this: 30d, 12h.
        #[arg(long, value_name = "TIME", value_parser = parse_life)]
        forget: Option<Life>,
    },
    /// Say how long this device's old keys are kept, and with them recordings can be opened: 30d, or never deleted.
    KeepKeys {
        /// 30d, 12h, or never: they are not deleted then.
        #[arg(value_parser = parse_life)]
        time: Life,
    },
    /// Print what to keep with a recovery key: where each camera is, for those that came since it was drawn. It opens no picture.
    Links,
    /// Take the hub's link anew, as `doorframe hub` prints it: its own certificate is another every 10 days. A camera is given it as
    /// `doorframe camera LINK`.
    Hub {
        /// The link, in quotes; - reads it from the standard input.
        link: String,
    },
    /// Put a recovery key on the list: 24 words for paper, shown this once. They open what is filmed from then on, and sign: who has them
    /// can make a new device an owner, with doorframe recover.
    Recovery {
        /// Until when they are good: 30d, or never.
        #[arg(long, value_name = "TIME", value_parser = parse_life)]
        expires: Life,
    },
}

/// How long something is good.
#[derive(Clone, Copy, Debug)]
pub(super) enum Life {
    Ends(Duration),
    Never,
}

impl Life {
    pub(super) fn expiry(self, wall_us: u64) -> Expiry {
        match self {
            Self::Ends(after) => {
                Expiry::at(wall_us.saturating_add(u64::try_from(after.as_micros()).unwrap_or(u64::MAX)))
            }
            Self::Never => Expiry::NEVER,
        }
    }
}

pub(super) fn parse_life(text: &str) -> Result<Life, String> {
    let wrong = || format!("{text:?} is not a time like 30d, 12h or never");
    if text == "never" {
        return Ok(Life::Never);
    }
    let (count, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(wrong)?;
    let hours = match unit {
        "d" => 24,
        "h" => 1,
        _ => return Err(wrong()),
    };
    let count: u64 = count.parse().ok().filter(|count| (1..=100_000).contains(count)).ok_or_else(wrong)?;
    Ok(Life::Ends(Duration::from_secs(count * hours * 3600)))
}

pub(super) fn parse_name(text: &str) -> Result<DeviceName, String> {
    DeviceName::new(text).ok_or_else(|| format!("{text:?} is not a name: 1 to 40 bytes without control characters"))
}

fn parse_role(text: &str) -> Result<Role, String> {
    match text {
        "owner" => Ok(Role::Owner),
        "member" => Ok(Role::Member),
        "guest" => Ok(Role::Guest),
        _ => Err(format!("{text:?} is not owner, member or guest")),
    }
}

impl DevicesCommand {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let state = StateDir::open(&self.state).map_err(Failure::of)?;
        let mut vault = Vault::open(&state).map_err(Failure::of)?;
        let wall = wall_us();
        let mut invited = None;
        let is_rotated = matches!(self.deed, Some(Deed::Rotate { .. }));
        let changes = match self.deed {
            None => {
                show(&vault)?;
                return Ok(());
            }
            Some(Deed::Card) => {
                println!("{}", card(&vault));
                return Ok(());
            }
            Some(Deed::Links) => {
                print_links(&vault);
                return Ok(());
            }
            Some(Deed::Add { card, name, role, expires, out }) => {
                let (signer, public, generation) = read_card(&card)?;
                let device = Device { role, signer, public, generation, expiry: expires.expiry(wall), name };
                let named = device.name.clone();
                let changes = vault.change_devices(wall, |devices| {
                    devices.push(device);
                    Ok(())
                });
                invited = changes.is_ok().then_some((signer, named, out));
                changes
            }
            Some(Deed::Invite { device, out }) => {
                let devices = vault.home().ok_or_else(|| Failure::of(VaultError::NoHome))?.devices();
                let at = find(&devices, &device).map_err(Failure::of)?;
                let device = devices.get(at).ok_or_else(|| Failure::of(VaultError::NoDevice(device)))?;
                return invite(&vault, &device.signer, &device.name, out);
            }
            Some(Deed::Hub { link }) => {
                let link: HubLink = super::read_link(&link)?;
                let cameras = vault.renew_hub(&link, wall).map_err(Failure::of)?;
                println!("The hub is reached by that link now: {} cameras.", cameras.len());
                cameras.iter().for_each(|camera| println!("    doorframe watch {camera}"));
                return Ok(());
            }
            Some(Deed::KeepKeys { time }) => {
                let time = match time {
                    Life::Ends(time) => Some(time),
                    Life::Never => None,
                };
                vault.keep_keys_for(time).map_err(Failure::of)?;
                match time {
                    Some(time) => println!(
                        "Keys are deleted {} days after a newer one came; recordings that they open, open here no more then.",
                        time.as_secs() / 86_400
                    ),
                    None => println!("Keys are never deleted by themselves."),
                }
                return Ok(());
            }
            Some(Deed::Remove { device }) => vault.change_devices(wall, |devices| {
                let at = find(devices, &device)?;
                devices.remove(at);
                Ok(())
            }),
            Some(Deed::Role { device, role, expires }) => vault.change_devices(wall, |devices| {
                let at = find(devices, &device)?;
                if let Some(device) = devices.get_mut(at) {
                    (device.role, device.expiry) = (role, expires.expiry(wall));
                }
                Ok(())
            }),
            Some(Deed::Rotate { forget }) => {
                let generation = vault.rotate(random32().map_err(Failure::of)?, wall).map_err(Failure::of)?;
                println!("This device has a new key, generation {generation}.");
                if let Some(Life::Ends(age)) = forget {
                    let age = u64::try_from(age.as_micros()).unwrap_or(u64::MAX);
                    let gone = vault.forget(wall.saturating_sub(age)).map_err(Failure::of)?;
                    println!("Old keys deleted: {gone}.");
                }
                Ok(Vec::new())
            }
            Some(Deed::Recovery { expires }) => {
                let key = RecoveryKey::draw(Seed::from_os_random(random32().map_err(Failure::of)?));
                let name = DeviceName::new("recovery key").ok_or_else(|| Failure("no name".into()))?;
                let device = key.device(expires.expiry(wall), name).map_err(Failure::of)?;
                let changes = vault.change_devices(wall, |devices| {
                    devices.push(device);
                    Ok(())
                });
                if changes.is_ok() {
                    println!(
                        "Write these words down; they are shown this once. They open what is filmed from now on, and with them"
                    );
                    println!("a new device becomes an owner (doorframe recover). Whoever finds them can do both:\n");
                    for (i, word) in key.words().split(' ').enumerate() {
                        print!("{}{word:<10}", if i % 6 == 0 { "\n    " } else { "" });
                    }
                    println!("\n");
                    print_links(&vault);
                }
                changes
            }
        };
        let changes: Vec<Change> = changes.map_err(Failure::of)?;
        changes.iter().for_each(|change| println!("  {change}"));
        deliver(&vault, if is_rotated { News::Rotation } else { News::List }).await?;
        match invited {
            Some((signer, name, out)) => invite(&vault, &signer, &name, out).map_err(|Failure(why)| {
                Failure(format!(
                    "{name} is on the list, and its invitation was not written: {why}; try `doorframe devices invite`"
                ))
            }),
            None => Ok(()),
        }
    }
}

/// Where each camera is: what the words on paper need beside them.
fn print_links(vault: &Vault) {
    println!(
        "Keep these lines too, as a file, a photo or a mail to yourself: they say where your cameras are and open no picture.\n"
    );
    vault.cameras().for_each(|camera| println!("    {}", HomeLink(camera.clone())));
    println!("\n  After another camera was paired: doorframe devices links");
    println!(
        "  Where the hub's certificate is its own, which lasts some 10 days, recovering needs the link that it prints then, too.\n"
    );
}

/// Writes what a device needs that was put on the list.
fn invite(vault: &Vault, device: &VerifyingKey, name: &DeviceName, out: Option<PathBuf>) -> Result<(), Failure> {
    let seed = Seed::from_os_random(random32().map_err(Failure::of)?);
    let invitation = vault.invitation(device, seed).map_err(Failure::of)?;
    let plain: String = name.as_str().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    let path = out.unwrap_or_else(|| PathBuf::from(format!("{plain}.join")));
    std::fs::write(&path, invitation).map_err(|error| Failure(format!("cannot write {}: {error}", path.display())))?;
    println!("  Bring {} to that device by whatever way: nobody else can open it. There:\n", path.display());
    println!("    doorframe join {}\n", path.display());
    println!("  It shows who invites; that is this device, {}.\n", vault.signer().verifying_key().fingerprint());
    Ok(())
}

/// The device of a name or a fingerprint; a name that two have means neither.
pub(super) fn find(devices: &[Device], wanted: &str) -> Result<usize, VaultError> {
    let fits = |device: &Device| device.name.as_str() == wanted || device.signer.fingerprint() == wanted;
    let mut found = devices.iter().enumerate().filter(|(_, device)| fits(device)).map(|(at, _)| at);
    match (found.next(), found.next()) {
        (Some(at), None) => Ok(at),
        _ => Err(VaultError::NoDevice(wanted.into())),
    }
}

fn show(vault: &Vault) -> Result<(), Failure> {
    let home = vault.home().ok_or_else(|| Failure::of(VaultError::NoHome))?;
    let (newest, wall) = (home.lists().newest(), wall_us());
    println!("Home {}, device list {}.\n", newest.home(), newest.version());
    println!("  {:<40}  {:<12}  {:<19}  {:<14}  key", "name", "role", "fingerprint", "expires");
    let days = |from: u64, to: u64| to.saturating_sub(from) / 86_400_000_000;
    for device in home.devices() {
        let expires = match device.expiry.wall_us() {
            None => "never".into(),
            Some(end) if end <= wall => "is over".into(),
            Some(end) => format!("in {} days", days(wall, end)),
        };
        let mut generation = format!("generation {}", device.generation);
        if device.signer == vault.signer().verifying_key() {
            generation += &format!(", {} days old; this device", days(vault.key_made_wall_us(), wall));
        }
        let (name, role, fingerprint) = (device.name.as_str(), device.role.to_string(), device.signer.fingerprint());
        println!("  {name:<40}  {role:<12}  {fingerprint:<19}  {expires:<14}  {generation}");
    }
    println!();
    for camera in vault.cameras() {
        println!("  camera {}, identity {}", camera.alias, camera.identity.fingerprint());
    }
    Ok(())
}

/// Signing key ‖ u32 generation ‖ X-Wing key, in base64url: all of it public.
fn card(vault: &Vault) -> String {
    let name = DeviceName::new("-");
    let entry = name.map(|name| vault.own_entry(Role::Member, name));
    let bytes = entry.map(|entry| {
        [entry.signer.0.as_slice(), &entry.generation.to_be_bytes(), entry.public.bytes().as_slice()].concat()
    });
    URL_SAFE_NO_PAD.encode(bytes.unwrap_or_default())
}

pub(super) fn read_card(card: &str) -> Result<(VerifyingKey, DevicePublicKey, u32), Failure> {
    let wrong =
        || Failure("this is not a device's card: copy it whole, as `doorframe devices card` prints it there".into());
    let bytes = URL_SAFE_NO_PAD.decode(card.trim()).map_err(|_| wrong())?;
    let (signer, rest) = bytes.split_first_chunk::<32>().ok_or_else(wrong)?;
    let (generation, public) = rest.split_first_chunk::<4>().ok_or_else(wrong)?;
    let public = DevicePublicKey::from_bytes(public).map_err(|_| wrong())?;
    Ok((VerifyingKey(*signer), public, u32::from_be_bytes(*generation)))
}

/// How long a camera is waited for that is to take a new list.
const PATIENCE: Duration = Duration::from_secs(20);

/// What a camera is to be given.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum News {
    /// A list: the camera's next session states it.
    List,
    /// A rotation: a new session begins when the camera has taken it.
    Rotation,
}

/// What became of a visit to a camera.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Visit {
    /// It seals by our newest list, and that was said.
    Taken,
    /// Something is wrong with it, and that was said.
    Alarm,
    /// It was not there, or does not know this device.
    Silent,
}

/// Brings what is new to every camera that is there.
pub(super) async fn deliver(vault: &Vault, news: News) -> Result<(), Failure> {
    let Some(home) = vault.home() else { return Ok(()) };
    for camera in vault.cameras() {
        let retired = vault.devices().into_iter().skip(1).collect();
        if visit(vault, camera, home, retired, news).await? == Visit::Silent {
            println!(
                "  camera {} was not reached; it is given the list when one of the home's devices watches it",
                camera.alias
            );
        }
    }
    Ok(())
}

/// Brings what is new to one camera, in a session that this device's newest key or one of `retired` opens.
pub(super) async fn visit(
    vault: &Vault,
    camera: &PairedCamera,
    home: &Home,
    retired: Vec<DeviceKey>,
    news: News,
) -> Result<Visit, Failure> {
    let ours = home.lists().newest().reference();
    let link = vault.watch_link(&camera.alias).map_err(Failure::of)?;
    let own = Own { home: home.clone(), retired, again: Box::new(|| None), keep: Box::new(|_| None) };
    let challenge = random32().map_err(Failure::of)?;
    let viewer = Viewer::of_home(&link, own, challenge, Box::new(NoSink), None).map_err(Failure::of)?;
    let mut stated = viewer.stated_list();
    let has_it = async {
        stated.wait_for(|stated| *stated == Some(ours)).await.ok()?;
        if news == News::Rotation {
            stated.changed().await.ok()?;
        }
        Some(())
    };
    let came = tokio::time::timeout(PATIENCE, has_it).await.is_ok_and(|came| came.is_some());
    let alarm = match &*viewer.state().borrow() {
        ViewerState::Alarm(words) => Some(words.clone()),
        _ => None,
    };
    viewer.stop().await.map_err(Failure::of)?;
    Ok(match alarm {
        Some(words) => {
            println!("  camera {}: ALARM: {words}", camera.alias);
            Visit::Alarm
        }
        None if came => {
            println!("  camera {} seals by device list {} now", camera.alias, ours.version);
            Visit::Taken
        }
        None => Visit::Silent,
    })
}
