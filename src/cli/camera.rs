//! `doorframe camera`.

use super::{CameraArgs, Failure, status};
use clap::Args;
use doorframe::camera::{Camera, CameraState};
use doorframe::link::{HubLink, WatchLink};
use doorframe::sensor::Clock;
use doorframe::state::{StateDir, random32};
use doorframe::transport::identity::{DeviceKey, DevicePublicKey, SigningKey};
use std::path::PathBuf;
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

#[derive(Debug, Args)]
pub(super) struct CameraCommand {
    /// The link that the hub printed, in quotes; - reads it from the standard input, out of other users' sight.
    hub: String,
    #[command(flatten)]
    camera: CameraArgs,
    /// Where its identity is kept.
    #[arg(long, value_name = "DIR", default_value_os_t = StateDir::default_path())]
    state: PathBuf,
    /// Print a new watch link. The one before then opens nothing any more.
    #[arg(long)]
    new_link: bool,
    /// End after this many seconds.
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    seconds: Option<u64>,
}

impl CameraCommand {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let hub: HubLink = super::read_link(&self.hub)?;
        let state = StateDir::open(&self.state).map_err(Failure::of)?;
        let identity = state.secret("camera-identity").map_err(Failure::of)?;
        let identity = SigningKey::from_seed(&identity).map_err(Failure::of)?;
        let device_secret = state.secret("camera-secret").map_err(Failure::of)?;
        let boot = next_boot(&state)?;
        println!("Camera {}, identity {}.\n", self.camera.name, identity.verifying_key().fingerprint());
        let kept = state.read(OWNER).map_err(Failure::of)?.filter(|_| !self.new_link);
        let owner = match kept {
            Some(public) => {
                println!(
                    "  It is sealed to the owner whose watch link was printed before; --new-link makes another.\n"
                );
                DevicePublicKey::from_bytes(&public).map_err(Failure::of)?
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
                };
                println!("  Watch it in a browser with:\n\n    doorframe page '{watch}'\n");
                println!(
                    "  This link is the key: whoever has it can watch. It is shown this once and not kept here.\n"
                );
                state.write(OWNER, owner.public().bytes()).map_err(Failure::of)?;
                owner.public().clone()
            }
        };
        println!("  Ctrl-C ends the camera.\n");

        let mut config = self.camera.config(identity, vec![owner], *device_secret)?;
        config.boot = boot;
        let camera = Camera::start(config, hub, Clock::new(Instant::now()))?;
        let (mut states, mut uplinks, mut events) = (camera.state(), camera.uplink(), camera.events());
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
                // Of events that came faster than they were read, the newest are enough here.
                Ok(event) = events.recv() => line.say(&status::motion(&event)),
                _ = tick.tick() => {
                    if camera.is_over() {
                        break;
                    }
                    line.show(&status::camera_line(&mut rates, &camera.stats()));
                }
            }
        }
        drop(line);
        tokio::task::spawn_blocking(move || camera.stop()).await.map_err(Failure::of)??;
        Ok(())
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
