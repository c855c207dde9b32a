//! `doorframe camera`.

use super::{CameraArgs, Failure, status};
use clap::Args;
use doorframe::camera::{BellDevice, BellState, Camera, CameraHome, CameraState, HomeEvent, PreRoll};
use doorframe::link::{HubLink, WatchLink};
use doorframe::pairing::{self, CameraHub, Pairing, PairingEvent};
use doorframe::sensor::Clock;
use doorframe::state::{StateDir, random32};
use doorframe::transport::identity::{DeviceKey, DevicePublicKey, SigningKey};
use doorframe::transport::pairing::Paired;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tokio::sync::{broadcast, watch};
use tokio::task::JoinHandle;
use zeroize::Zeroizing;

#[derive(Debug, Args)]
pub(super) struct CameraCommand {
    /// The link that the hub printed, in quotes; - reads it from the standard input, out of other users' sight. Not needed once the
    /// camera was paired: its owner says where the hub is.
    hub: Option<String>,
    #[command(flatten)]
    camera: CameraArgs,
    /// Where its identity is kept.
    #[arg(long, value_name = "DIR", default_value_os_t = StateDir::default_path())]
    state: PathBuf,
    /// Show a QR code and wait for ten minutes: whose device scans it (`doorframe pair`) owns the camera from then on.
    #[arg(long, conflicts_with = "new_link")]
    pair: bool,
    /// UDP address on which to wait for the owner's device.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "0.0.0.0:0", requires = "pair")]
    pair_listen: SocketAddr,
    /// Also write a page with the QR code to this file, for a camera whose terminal nobody sees. It is deleted when the code is used up.
    #[arg(long, value_name = "FILE.html", requires = "pair")]
    pair_page: Option<PathBuf>,
    /// Print a new watch link. The one before then opens nothing any more.
    #[arg(long)]
    new_link: bool,
    /// A button that is the doorbell: a Linux input device such as /dev/input/event3. Each press of any of its keys rings.
    #[arg(long, value_name = "DEVICE")]
    bell: Option<PathBuf>,
    /// Tell the hub which epochs to keep when something moves or somebody rings, for a hub that records with --record-mode event. It then
    /// learns when something happens; without this it does not.
    #[arg(long)]
    keep_events: bool,
    /// How much of what was before an event is kept.
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(0..=16), requires = "keep_events")]
    pre_roll: u64,
    /// Keep on disk, sealed, what the hub does not have: while it is away, or confirms nothing. In this folder, or with `on` in the
    /// state folder. The hub gets it later. Without it some 20 seconds are kept in memory.
    #[arg(long, value_name = "DIR|on")]
    spool: Option<PathBuf>,
    /// Let the oldest of it go beyond this many bytes: 500M, 2G; at least 64M.
    #[arg(long, value_name = "BYTES", requires = "spool", default_value = "2G", value_parser = parse_spool_bytes)]
    spool_bytes: u64,
    /// End after this many seconds.
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    seconds: Option<u64>,
}

/// Bytes of a spool at least: the largest epoch that a MoQ group carries takes half of that.
const LEAST_SPOOL: u64 = 64_000_000;

fn parse_spool_bytes(text: &str) -> Result<u64, String> {
    match super::hub::parse_bytes(text)? {
        bytes if bytes < LEAST_SPOOL => Err(format!("{text} is less than 64M, and one epoch may take half of that")),
        bytes => Ok(bytes),
    }
}

impl CameraCommand {
    pub(super) async fn run(mut self) -> Result<(), Failure> {
        let given: Option<HubLink> = self.hub.as_deref().map(super::read_link).transpose()?;
        let state = StateDir::open(&self.state).map_err(Failure::of)?;
        let seed = state.secret("camera-identity").map_err(Failure::of)?;
        let identity = SigningKey::from_seed(&seed).map_err(Failure::of)?;
        // Goes on saying no, in words, to whoever scans the same code later.
        let _pairing = if self.pair {
            let identity = SigningKey::from_seed(&seed).map_err(Failure::of)?;
            Some(wait_for_owner(&state, identity, self.pair_listen, self.pair_page.take()).await?)
        } else {
            None
        };
        let home = CameraHome::load(&state).map_err(Failure::of)?;
        let kept = if home.is_some() { kept_hub(&state)? } else { None };
        if let Some(kept) = &kept {
            self.camera.name = kept.camera.clone();
        }
        let hub = given.or(kept.map(|kept| kept.link())).ok_or_else(|| {
            Failure(
                "where is the hub? Give the link that it printed, or pair with --pair: then the owner's device says it"
                    .into(),
            )
        })?;
        let device_secret = state.secret("camera-secret").map_err(Failure::of)?;
        let boot = next_boot(&state)?;
        println!("Camera {}, identity {}.\n", self.camera.name, identity.verifying_key().fingerprint());
        let kept = state.read(OWNER).map_err(Failure::of)?.filter(|_| !self.new_link);
        let owners = match kept {
            _ if home.is_some() => {
                println!(
                    "  It is sealed to the devices on its home's list: `doorframe devices` on the owner's device.\n"
                );
                Vec::new()
            }
            Some(public) => {
                println!(
                    "  It is sealed to the owner whose watch link was printed before; --new-link makes another.\n"
                );
                vec![DevicePublicKey::from_bytes(&public).map_err(Failure::of)?]
            }
            None => {
                // Whoever steals the camera must not find what opens its footage: the link is printed once and not kept.
                let owner = DeviceKey::from_seed(random32().map_err(Failure::of)?).map_err(Failure::of)?;
                let watch = WatchLink {
                    page: None,
                    hub: hub.hub(),
                    trust: hub.dial.trust.clone(),
                    token: hub.watch_token.clone(),
                    camera: self.camera.name.clone(),
                    identity: identity.verifying_key(),
                    device: Zeroizing::new(*owner.seed()),
                    retired: Vec::new(),
                };
                println!("  Watch it in a browser with:\n\n    doorframe page '{watch}'\n");
                println!(
                    "  This link is the key: whoever has it can watch. It is shown this once and not kept here.\n"
                );
                state.write(OWNER, owner.public().bytes()).map_err(Failure::of)?;
                vec![owner.public().clone()]
            }
        };
        println!("  Ctrl-C ends the camera.\n");

        let mut config = self.camera.config(identity, owners, *device_secret)?;
        config.boot = boot;
        config.spool.bytes = self.spool_bytes;
        config.spool.folder =
            self.spool.map(|folder| if folder.as_os_str() == "on" { self.state.join("spool") } else { folder });
        let mut lists = home.as_ref().map(CameraHome::events);
        config.home = home;
        config.keep = PreRoll::new(Duration::from_secs(self.pre_roll)).filter(|_| self.keep_events);
        let camera = Camera::start(config, hub, Clock::new(Instant::now()))?;
        let (mut states, mut uplinks, mut events) = (camera.state(), camera.uplink(), camera.events());
        let button = self.bell.as_deref().map(|path| BellDevice::start(path, camera.bell())).transpose();
        let button = button.map_err(|error| Failure(format!("cannot start the doorbell's thread: {error}")))?;
        let mut presses = button.as_ref().map(BellDevice::state);
        let mut spools = camera.spool();
        let (mut line, mut rates) = (status::StatusLine::new(), status::Rates::new());
        let mut tick = tokio::time::interval(status::TICK);
        let end = status::until(self.seconds.map(Duration::from_secs));
        tokio::pin!(end);
        loop {
            tokio::select! {
                () = &mut end => break,
                Ok(()) = states.changed() => {
                    let state = states.borrow_and_update().clone();
                    if state == CameraState::Ended {
                        break;
                    }
                    line.say(&status::camera_state(&state));
                }
                Ok(()) = uplinks.changed() => line.say(&status::uplink_state(&uplinks.borrow_and_update().clone())),
                Ok(()) = spools.changed() => line.say(&format!("spool    {}", *spools.borrow_and_update())),
                Some(event) = next_change(&mut lists) => line.say(&match event {
                    HomeEvent::Changed(change) => format!("devices  {change}"),
                    HomeEvent::Refused(words) => format!("devices  REFUSED: {words}"),
                    HomeEvent::NotKept(words) => format!("devices  NOT KEPT: {words}; trying again"),
                    _ => continue,
                }),
                Some(state) = next_press(&mut presses) => {
                    status::bell(&state).into_iter().for_each(|words| line.say(&words));
                }
                // Of events that came faster than they were read, the newest are enough here.
                Ok(event) = events.recv() => line.say(&status::motion(&event)),
                _ = tick.tick() => {
                    if camera.is_over() {
                        break;
                    }
                    let (stats, spool) = (camera.stats(), spools.borrow().clone());
                    line.show(&(status::camera_line(&mut rates, &stats) + &status::spool(&spool, &stats.spool)));
                }
            }
        }
        drop(line);
        tokio::task::spawn_blocking(move || camera.stop()).await.map_err(Failure::of)??;
        Ok(())
    }
}

/// What becomes of the doorbell's button; `None` where there is none.
async fn next_press(states: &mut Option<watch::Receiver<BellState>>) -> Option<BellState> {
    let states = states.as_mut()?;
    states.changed().await.ok()?;
    Some(states.borrow_and_update().clone())
}

/// What becomes of the device lists; `None` where there are none.
async fn next_change(events: &mut Option<broadcast::Receiver<HomeEvent>>) -> Option<HomeEvent> {
    loop {
        match events.as_mut()?.recv().await {
            Ok(event) => return Some(event),
            Err(broadcast::error::RecvError::Lagged(_)) => {}
            Err(broadcast::error::RecvError::Closed) => return None,
        }
    }
}

/// Where the owner said that the hub is.
const HUB: &str = "camera-hub";

fn kept_hub(state: &StateDir) -> Result<Option<CameraHub>, Failure> {
    let Some(bytes) = state.read(HUB).map_err(Failure::of)?.map(Zeroizing::new) else { return Ok(None) };
    let damaged =
        || Failure(format!("the file {HUB} in the state folder is damaged: restore it, or pair again with --pair"));
    let hub = std::str::from_utf8(&bytes).ok().and_then(|text| text.parse().ok());
    hub.map(Some).ok_or_else(damaged)
}

/// Shows the code, and waits until somebody has scanned it. The port stays open as long as what it gives is kept.
async fn wait_for_owner(
    state: &StateDir,
    identity: SigningKey,
    listen: SocketAddr,
    page: Option<PathBuf>,
) -> Result<AbortOnDrop, Failure> {
    let host = if listen.ip().is_unspecified() {
        super::hub::own_address().parse().map_err(Failure::of)?
    } else {
        listen.ip()
    };
    let keep = state.clone();
    let store = move |paired: &Paired| {
        // The hub first: a camera that has a home is a paired one.
        keep.write(HUB, paired.hub.as_str().as_bytes()).map_err(|error| error.to_string())?;
        CameraHome::store(&keep, &paired.list).map_err(|error| error.to_string())
    };
    let mut pairing = Pairing::listen(listen, host, identity, store).map_err(Failure::of)?;
    let link = Zeroizing::new(pairing.link().to_string());
    println!("{}\n", pairing::terminal(&link).map_err(Failure::of)?);
    let _page = page.map(|path| PairPage::write(path, &link)).transpose()?;
    println!("  Scan this with your device, or run there, within ten minutes:\n\n    doorframe pair '{}'\n", *link);
    println!("  It can be used once: the device that scans it first owns the camera.\n");
    loop {
        match pairing.next().await {
            Some(PairingEvent::Paired(paired)) => {
                println!("  Paired with {}, {}.\n", paired.by.name, paired.by.signer.fingerprint());
                break;
            }
            Some(PairingEvent::Refused(refused)) => println!("  {refused}"),
            Some(PairingEvent::NotStored(words)) => {
                return Err(Failure(format!("cannot keep what the owner's device gave: {words}")));
            }
            Some(_) => {}
            None => {
                return Err(Failure("nobody was paired: start again with --pair for a new code".into()));
            }
        }
    }
    let task = tokio::spawn(async move {
        while let Some(event) = pairing.next().await {
            if let PairingEvent::Refused(refused) = event {
                println!("  {refused}");
            }
        }
    });
    Ok(AbortOnDrop(task))
}

/// The page with the code, gone with it.
struct PairPage(PathBuf);

impl PairPage {
    fn write(path: PathBuf, link: &str) -> Result<Self, Failure> {
        let page = Zeroizing::new(pairing::page(link).map_err(Failure::of)?);
        // Not into somebody else's file, or through his link.
        let _old = std::fs::remove_file(&path);
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create_new(true);
        // The code makes whoever sees it the owner.
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let written = options.open(&path).and_then(|mut file| file.write_all(page.as_bytes()));
        written.map_err(|error| Failure(format!("cannot write {}: {error}", path.display())))?;
        println!("  The code is in {} too, as a page.\n", path.display());
        Ok(Self(path))
    }
}

impl Drop for PairPage {
    fn drop(&mut self) {
        let _gone = std::fs::remove_file(&self.0);
    }
}

/// Ends a task with the command that started it.
struct AbortOnDrop(JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Public half of the owner's device key.
const OWNER: &str = "owner-device.pub";

/// Counts starts, so that no two sessions draw from the same seed even with a broken generator.
fn next_boot(state: &StateDir) -> Result<u64, Failure> {
    let before = match state.read("camera-starts").map_err(Failure::of)? {
        None => 0,
        Some(bytes) => u64::from_be_bytes(bytes.try_into().map_err(|_| {
            Failure(
                "the file camera-starts in the state folder is damaged: restore it, or start with a new folder".into(),
            )
        })?),
    };
    let boot = before.wrapping_add(1);
    state.write("camera-starts", &boot.to_be_bytes()).map_err(Failure::of)?;
    Ok(boot)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spool_that_may_not_hold_an_epoch_is_refused_with_its_size() {
        assert_eq!((parse_spool_bytes("64M"), parse_spool_bytes("2G")), (Ok(64_000_000), Ok(2_000_000_000)));
        let refused = parse_spool_bytes("63M").unwrap_err();
        assert!(refused.starts_with("63M is less than 64M"), "{refused}");
    }
}
