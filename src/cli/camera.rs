//! `doorframe camera`.

use super::{CameraArgs, Failure, status};
use clap::Args;
use doorframe::camera::{Camera, CameraState};
use doorframe::link::{HubLink, WatchLink};
use doorframe::sensor::Clock;
use doorframe::state::StateDir;
use doorframe::transport::identity::{DeviceKey, SigningKey};
use std::path::PathBuf;
use std::time::{Duration, Instant};

#[derive(Debug, Args)]
pub(super) struct CameraCommand {
    /// The link that the hub printed, in quotes.
    hub: HubLink,
    #[command(flatten)]
    camera: CameraArgs,
    /// Where its identity is kept.
    #[arg(long, value_name = "DIR", default_value_os_t = StateDir::default_path())]
    state: PathBuf,
    /// End after this many seconds.
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    seconds: Option<u64>,
}

impl CameraCommand {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let state = StateDir::open(&self.state).map_err(Failure::of)?;
        let identity = state.secret("camera-identity").map_err(Failure::of)?;
        let identity = SigningKey::from_seed(&identity).map_err(Failure::of)?;
        let device_secret = state.secret("camera-secret").map_err(Failure::of)?;
        let owner = DeviceKey::from_seed(*state.secret("owner-device").map_err(Failure::of)?).map_err(Failure::of)?;
        let boot = next_boot(&state)?;

        let watch = WatchLink {
            page: None,
            hub: self.hub.hub(),
            trust: self.hub.dial.trust.clone(),
            token: self.hub.watch_token.clone(),
            camera: self.camera.name.clone(),
            identity: identity.verifying_key(),
            device: zeroize::Zeroizing::new(*owner.seed()),
        };
        println!("Camera {}, identity {}.\n", watch.camera, watch.identity.fingerprint());
        println!("  Watch it in a browser with:\n\n    doorframe page '{watch}'\n");
        println!("  Keep this link secret: whoever has it can watch. Ctrl-C ends the camera.\n");

        let mut config = self.camera.config(identity, vec![owner.public().clone()], *device_secret)?;
        config.boot = boot;
        let camera = Camera::start(config, self.hub, Clock::new(Instant::now()))?;
        let (mut states, mut uplinks) = (camera.state(), camera.uplink());
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

/// Counts starts, so that no two sessions draw from the same seed even with a broken generator.
fn next_boot(state: &StateDir) -> Result<u64, Failure> {
    let before = state.read("camera-starts").map_err(Failure::of)?.and_then(|bytes| bytes.try_into().ok());
    let boot = before.map_or(0, u64::from_be_bytes).wrapping_add(1);
    state.write("camera-starts", &boot.to_be_bytes()).map_err(Failure::of)?;
    Ok(boot)
}
