//! `doorframe demo`.

use super::page::PageArgs;
use super::{CameraArgs, Failure, ReportArgs, status, watch};
use clap::Args;
use doorframe::camera::{Camera, CameraState};
use doorframe::hub::{Hub, HubConfig, HubIdentity};
use doorframe::link::WatchLink;
use doorframe::report::{References, Report};
use doorframe::sensor::Clock;
use doorframe::state::random32;
use doorframe::transport::identity::{DeviceKey, SigningKey};
use doorframe::viewer::{NoSink, Viewer};
use std::sync::Arc;
use std::time::Instant;
use zeroize::Zeroizing;

#[derive(Debug, Args)]
pub(super) struct Demo {
    #[command(flatten)]
    camera: CameraArgs,
    #[command(flatten)]
    page: PageArgs,
    /// With --seconds or --report the demo watches itself, without a browser.
    #[command(flatten)]
    report: ReportArgs,
}

impl Demo {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let started = Instant::now();
        // All keys live as long as the demo: nothing is written.
        let random = || random32().map_err(Failure::of);
        let identity = SigningKey::from_seed(&Zeroizing::new(random()?)).map_err(Failure::of)?;
        let device = DeviceKey::from_seed(random()?).map_err(Failure::of)?;
        let config = HubConfig::local();
        let hub =
            HubIdentity::fresh(&config.host).and_then(|identity| Hub::start(config, &identity)).map_err(Failure::of)?;
        let link = hub.link().map_err(Failure::of)?;
        let page = self.page.serve().await?;
        let watch = WatchLink {
            page: Some(page.url().clone()),
            hub: link.hub(),
            trust: link.dial.trust.clone(),
            token: link.watch_token.clone(),
            camera: self.camera.name.clone(),
            identity: identity.verifying_key(),
            device: Zeroizing::new(*device.seed()),
            retired: Vec::new(),
        };
        let measure = self.report.seconds.is_some() || self.report.report.is_some();
        let references = measure.then(|| Arc::new(References::default()));
        let mut config = self.camera.config(identity, vec![device.public().clone()], random()?)?;
        config.references = references.clone();
        let camera = Camera::start(config, link, Clock::new(started))?;

        println!("Doorframe demo: camera, hub and page on this machine. The hub relays what it cannot read.\n");
        println!("  {watch}\n");
        println!(
            "  Open this link in a browser. It is a key: whoever has it can watch, as long as the demo runs. Ctrl-C ends it.\n"
        );
        let result = if measure {
            measured(&self.report, &watch, &camera, references, started).await
        } else {
            self.page.open(&watch);
            show(&camera).await;
            Ok(())
        };
        let ended = tokio::task::spawn_blocking(move || camera.stop()).await.map_err(Failure::of)?;
        hub.stop().await;
        ended?;
        result
    }
}

/// Shows what the camera does until Ctrl-C, or until it ends.
async fn show(camera: &Camera) {
    let (mut states, mut events) = (camera.state(), camera.events());
    let (mut line, mut rates) = (status::StatusLine::new(), status::Rates::new());
    let mut tick = tokio::time::interval(status::TICK);
    let end = status::until(None);
    tokio::pin!(end);
    loop {
        tokio::select! {
            () = &mut end => return,
            changed = states.changed() => {
                let state = states.borrow_and_update().clone();
                if changed.is_err() || state == CameraState::Ended {
                    return;
                }
                line.say(&status::camera_state(&state));
            }
            // Of events that came faster than they were read, the newest are enough here.
            Ok(event) = events.recv() => line.say(&status::motion(&event)),
            _ = tick.tick() => {
                if camera.is_over() {
                    return;
                }
                line.show(&status::camera_line(&mut rates, &camera.stats()));
            }
        }
    }
}

/// Watches itself, and tells what was measured.
async fn measured(
    limits: &ReportArgs,
    watch: &WatchLink,
    camera: &Camera,
    references: Option<Arc<References>>,
    started: Instant,
) -> Result<(), Failure> {
    let challenge = random32().map_err(Failure::of)?;
    let viewer = Viewer::start(watch, challenge, Box::new(NoSink), references).map_err(Failure::of)?;
    let mut states = camera.state();
    tokio::select! {
        () = watch::follow(&viewer, limits) => {}
        // A camera that cannot start says why when it is stopped.
        _ = states.wait_for(|state| *state == CameraState::Ended) => return Ok(()),
    }
    let state = camera.state().borrow().clone();
    println!("  {}", status::camera_state(&state));
    let seen = viewer.state().borrow().clone();
    let stats = viewer.stop().await.map_err(Failure::of)?;
    let report = Report::new(Some(&camera.stats()), &stats, started.elapsed());
    println!("\n  {}", status::table(&report));
    if let Some(path) = &limits.report {
        watch::write(path, &report)?;
    }
    status::verdict(&report, &seen)
}
