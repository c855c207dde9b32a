//! Does a viewer see what the board captured?

use super::bench::{Bench, Stop, wanted};
use super::seen::percentile;
use doorframe::camera::{Bell, Camera, CameraConfig, CameraState};
use doorframe::hub::{Hub, HubConfig, HubIdentity};
use doorframe::link::{Alias, HubLink, WatchLink};
use doorframe::report::{CameraStats, References, ViewerStats};
use doorframe::sensor::{Source, read_counter};
use doorframe::state::random32;
use doorframe::transport::identity::{DeviceKey, SigningKey};
use doorframe::viewer::{Sink, Viewer};
use doorframe_codec::Picture;
use doorframe_codec::units::{Bitrate, MediaTime};
use doorframe_hil_report::{Figure, Series};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;
use zeroize::Zeroizing;

/// Pictures that are looked at.
const PICTURES: usize = 60;
/// Longest that anything is waited for: an emulated machine is slow.
pub(super) const PATIENCE: Duration = Duration::from_secs(40);
/// What an encoder at this rate must keep of a picture of this size.
const LEAST_PSNR: f64 = 28.0;
const BITRATE: Bitrate = Bitrate::from_kbps(800);

/// A camera, a hub and a viewer of its own, all in this process, over QUIC. When it is dropped, the camera is free again.
pub(super) struct Chain {
    camera: Option<Camera>,
    pub(super) viewer: Viewer,
    pub(super) runtime: Runtime,
    _hub: Hub,
}

impl Chain {
    /// With the camera at `path`, at a size that an emulated machine can encode, as fast as it can.
    pub(super) fn start(bench: &Bench<'_>, path: &Path, sink: Box<dyn Sink>) -> Result<Self, Stop> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let _inside = runtime.enter();
        let config = HubConfig::local();
        let identity = HubIdentity::fresh(&config.host)?;
        let hub = Hub::start(config, &identity)?;
        let link = hub.link()?;
        let (signer, device) = (SigningKey::from_seed(&*random()?), random()?);
        let signer = signer.map_err(|error| Stop::Failed(error.to_string()))?;
        let watch = watch_link(&link, &signer, &device);
        let owner = DeviceKey::from_seed(*device)?;
        let source = Source::V4l2(Some(path.to_owned()));
        let mut camera = CameraConfig::new(source, signer, vec![owner.public().clone()], *random()?);
        camera.wanted = wanted(320, 240, 15)?;
        camera.bitrate = BITRATE;
        let references = Arc::new(References::default());
        camera.references = Some(Arc::clone(&references));
        let camera = Camera::start(camera, link, bench.clock)?;
        let viewer = Viewer::start(&watch, *random()?, sink, Some(references))?;
        drop(_inside);
        Ok(Self { camera: Some(camera), viewer, runtime, _hub: hub })
    }

    /// The camera's counts.
    pub(super) fn counts(&self) -> CameraStats {
        self.camera.as_ref().map(Camera::stats).unwrap_or_default()
    }

    /// The camera's doorbell.
    pub(super) fn bell(&self) -> Option<Bell> {
        self.camera.as_ref().map(Camera::bell)
    }

    /// What the camera says of itself, where it does not run.
    pub(super) fn trouble(&self) -> String {
        match self.camera.as_ref().map(|camera| camera.state().borrow().clone()) {
            Some(CameraState::Waiting(words)) => words,
            Some(CameraState::Running { .. }) | None => format!("the viewer says: {}", *self.viewer.state().borrow()),
            Some(state) => format!("the camera is {state:?}"),
        }
    }
}

impl Drop for Chain {
    fn drop(&mut self) {
        // Waits for its thread, which has the device open. Why it ended is in its state.
        let _ended = self.camera.take().map(Camera::stop);
    }
}

fn random() -> Result<Zeroizing<[u8; 32]>, Stop> {
    Ok(Zeroizing::new(random32()?))
}

fn watch_link(link: &HubLink, signer: &SigningKey, device: &[u8; 32]) -> WatchLink {
    WatchLink {
        page: None,
        hub: link.hub(),
        trust: link.dial.trust.clone(),
        token: link.watch_token.clone(),
        camera: Alias::front_door(),
        identity: signer.verifying_key(),
        retired: Vec::new(),
        device: Zeroizing::new(*device),
    }
}

/// The numbers in the pictures that were shown.
#[derive(Clone, Default)]
struct Numbers(Arc<Mutex<Vec<Option<u32>>>>);

impl Sink for Numbers {
    fn picture(&mut self, picture: &Picture, _: MediaTime) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(read_counter(picture));
    }
}

impl Numbers {
    fn taken(&self) -> Vec<Option<u32>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Captured, encoded, sealed, sent, opened, decoded: the pictures carry the board's numbers, grow, and are like what was captured.
pub(super) fn check(bench: &mut Bench<'_>) -> Result<(), Stop> {
    let path = bench.camera()?.path;
    let numbers = Numbers::default();
    let chain = Chain::start(bench, &path, Box::new(numbers.clone()))?;
    let deadline = Instant::now() + PATIENCE;
    while numbers.taken().len() < PICTURES || chain.viewer.stats().psnr.1 < 3 {
        if Instant::now() >= deadline {
            let shown = numbers.taken().len();
            let trouble = chain.trouble();
            return Err(Stop::Failed(format!("{shown} pictures within {} s; {trouble}", PATIENCE.as_secs())));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let (camera, viewer) = (chain.counts(), chain.viewer.stats());
    drop(chain);

    let shown = numbers.taken();
    let read: Vec<u32> = shown.iter().flatten().copied().collect();
    figures(bench, &viewer);
    bench.figure(Figure::new("frames captured", camera.frames_captured as f64, ""));
    bench.figure(Figure::new("passed over by the sensor", camera.skipped_by_sensor as f64, "frames"));
    if let Some(encode) = camera.encode.percentiles() {
        bench.figure(Figure::new("encode p50", encode.p50, "ms"));
    }
    if read.is_empty() {
        // A real board shows the world, which has no numbers.
        return Ok(());
    }
    bench.figure(Figure::new("pictures without their number", (shown.len() - read.len()) as f64, "").at_most(0.0));
    let steps: Vec<f64> =
        read.windows(2).filter_map(|pair| Some(f64::from(*pair.last()?) - f64::from(*pair.first()?))).collect();
    bench.figure(
        Figure::new("pictures out of order", steps.iter().filter(|&&step| step <= 0.0).count() as f64, "").at_most(0.0),
    );
    bench.figure(Figure::new("step of numbers p50", percentile(&steps, 50), "frames"));
    bench.series(Series::trace("step of numbers", "frames", steps));
    Ok(())
}

fn figures(bench: &mut Bench<'_>, viewer: &ViewerStats) {
    let (sum, count) = viewer.psnr;
    let psnr = if count > 0 { sum / count as f64 } else { f64::NAN };
    bench.figure(Figure::new("luma PSNR", psnr, "dB").at_least(LEAST_PSNR));
    bench.figure(Figure::new("pictures shown", viewer.frames_shown as f64, ""));
    for (name, count) in
        [("sealed and lost", viewer.lost), ("units not decoded", viewer.undecoded), ("alarms", viewer.alarms)]
    {
        bench.figure(Figure::new(name, count as f64, "").at_most(0.0));
    }
    bench.figure(Figure::new("objects that are not the camera's", viewer.untrue as f64, "").at_most(0.0));
    // Beside those: objects that came long before their epoch's opening, as they may where a machine has no time for the viewer.
    bench.figure(Figure::new("objects dropped", viewer.dropped as f64, "").at_most(PICTURES as f64 / 10.0));
    if let Some(times) = viewer.capture_to_picture.percentiles() {
        bench.figure(Figure::new("capture to picture p50", times.p50, "ms"));
        bench.figure(Figure::new("capture to picture p99", times.p99, "ms"));
    }
}
