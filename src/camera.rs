//! The camera: sensor → front end → encode → seal → publish, on one thread, so that nothing waits between two steps.

mod bell;
mod challenges;
mod coded;
mod front;
mod happened;
mod home;
mod keep;
mod live;
mod names;
mod run;
mod sealed;
mod spool;
mod uplink;

use crate::encoder::{EncoderChoice, EncoderError};
use crate::link::{Alias, HubLink};
use crate::report::{CameraStats, References};
use crate::sensor::{Clock, Decoding, SensorError, Source, Wanted};
use crate::state::StateError;
use doorframe_codec::encoder::{ConfigError, EncodeError};
use doorframe_codec::overlay::NoRoom;
use doorframe_codec::units::{Bitrate, FrameRate, Size};
use doorframe_transport::identity::{DevicePublicKey, SigningKey};
use doorframe_transport::moq::{CarriageError, Node};
use doorframe_transport::rate::{RateConfig, RateControl};
use doorframe_transport::session::{SessionError, StartError};
use run::Run;
use spool::Spool;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use thiserror::Error;
use tokio::sync::{broadcast, watch};
use zeroize::Zeroizing;

pub use bell::{Bell, BellDevice, BellState, Ring};
pub use front::{Denoise, FrontConfig, MotionEvent, Watch};
pub use home::{CameraHome, HomeError, HomeEvent};
pub use keep::PreRoll;
pub use spool::{SpoolConfig, SpoolState};
pub use uplink::{Uplink, UplinkState};

/// What a camera shall do.
#[non_exhaustive]
pub struct CameraConfig {
    /// Where frames come from.
    pub source: Source,
    /// Where a clip from a file is decoded; here at the start.
    pub decoding: Decoding,
    /// Size and rate to ask it for.
    pub wanted: Wanted,
    /// Its name at the hub.
    pub alias: Alias,
    /// Who codes the pictures.
    pub encoder: EncoderChoice,
    /// Most bits a second; the link may make it less.
    pub bitrate: Bitrate,
    /// Threads to encode with.
    pub threads: u8,
    /// What is done to each frame before it is encoded.
    pub front: FrontConfig,
    /// Names the epochs in which something happens, and those of this long before, to a recorder in event mode: in clear, so that the hub
    /// learns when something happens. `None`: it does not.
    pub keep: Option<PreRoll>,
    /// Who may watch, where there is no [`home`](Self::home).
    pub devices: Vec<DevicePublicKey>,
    /// The device lists that say who may watch, once the camera was paired.
    pub home: Option<CameraHome>,
    /// Who it is.
    pub identity: SigningKey,
    /// Mixed into each session's root.
    pub device_secret: Zeroizing<[u8; 32]>,
    /// Counts up with each start.
    pub boot: u64,
    /// What is kept until the hub has confirmed it, and where.
    pub spool: SpoolConfig,
    /// Where to keep the pictures that the encoder was given, for a comparison; `None` outside of measurements.
    pub references: Option<Arc<References>>,
}

impl fmt::Debug for CameraConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CameraConfig({} from {}, ..)", self.alias, self.source)
    }
}

impl CameraConfig {
    /// A camera named `front-door` at 1.5 Mbit/s.
    pub fn new(source: Source, identity: SigningKey, devices: Vec<DevicePublicKey>, device_secret: [u8; 32]) -> Self {
        Self {
            source,
            decoding: Decoding::Here,
            wanted: Wanted::HD,
            alias: Alias::front_door(),
            encoder: EncoderChoice::default(),
            bitrate: Bitrate::from_kbps(1500),
            threads: std::thread::available_parallelism().map_or(1, |n| n.get().min(2) as u8),
            front: FrontConfig::default(),
            keep: None,
            devices,
            home: None,
            identity,
            device_secret: Zeroizing::new(device_secret),
            boot: 0,
            spool: SpoolConfig::default(),
            references: None,
        }
    }
}

/// Why a camera stopped, in words for a person.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CameraError {
    /// The sensor cannot be used.
    #[error(transparent)]
    Sensor(#[from] SensorError),
    /// The clock that shall be burned in has no room.
    #[error("cannot show the clock: {0}")]
    Clock(#[from] NoRoom),
    /// The encoder does not take these settings.
    #[error("cannot encode: {0}")]
    Config(#[from] ConfigError),
    /// The encoder cannot be used.
    #[error(transparent)]
    Encoder(#[from] EncoderError),
    /// Something of the front end works on frames, and there are none.
    #[error(
        "{what} needs frames, and {from} gives video that is coded already: leave it out, or use a source of frames with `--encoder auto`"
    )]
    NeedsFrames {
        /// Which part of the front end.
        what: &'static str,
        /// Which source.
        from: String,
    },
    /// Keyframes of a source do not come, or too far apart.
    #[error("{from} sent no keyframe for {} s: set its keyframe interval to 2 s or less", after.as_secs())]
    NoKeyframe {
        /// Which source.
        from: String,
        /// How long it was waited for.
        after: Duration,
    },
    /// The encoder failed.
    #[error("encoding failed: {0}")]
    Encode(#[from] EncodeError),
    /// Everybody's expiry is over.
    #[error("nobody on the device list may watch any more: an owner has to change it")]
    NobodyWatches,
    /// No session can be started.
    #[error("cannot start a session: {0}")]
    Start(#[from] StartError),
    /// The session cannot go on.
    #[error("cannot seal: {0}")]
    Session(#[from] SessionError),
    /// The node is gone.
    #[error("cannot publish: {0}")]
    Carriage(#[from] CarriageError),
    /// No randomness.
    #[error(transparent)]
    Random(#[from] StateError),
    /// Its thread could not be started.
    #[error("cannot start the camera's thread: {0}")]
    Thread(#[from] std::io::Error),
    /// Our bug.
    #[error("the camera's thread failed: please report what it printed")]
    Panicked,
}

/// What a camera is doing, for a person.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CameraState {
    /// Opening its sensor.
    Starting,
    /// Frames come: from what, how large, how many.
    Running {
        /// Name of the sensor.
        sensor: String,
        /// Size of its frames.
        size: Size,
        /// Their rate.
        rate: FrameRate,
        /// Name of the encoder.
        encoder: String,
    },
    /// The sensor is gone, in these words; it is tried again.
    Waiting(String),
    /// It has ended.
    Ended,
}

/// A running camera. Stops when dropped.
#[derive(Debug)]
pub struct Camera {
    thread: Option<JoinHandle<Result<(), CameraError>>>,
    stop: Arc<AtomicBool>,
    state: watch::Receiver<CameraState>,
    events: broadcast::Receiver<MotionEvent>,
    bell: Bell,
    stats: Arc<Mutex<CameraStats>>,
    uplink: Uplink,
    spool: Spool,
    home: Option<CameraHome>,
}

impl Camera {
    /// Starts a camera that publishes at the hub of `link`. Call it inside a tokio runtime, which carries the network.
    ///
    /// # Errors
    /// If its thread cannot be started. What goes wrong later is told by [`Camera::state`] and [`Camera::stop`].
    pub fn start(config: CameraConfig, link: HubLink, clock: Clock) -> Result<Self, CameraError> {
        let node = Arc::new(Node::new());
        let uplink = Uplink::start(node.clone(), link.dial, config.home.clone())?;
        let home = config.home.clone();
        let spool = Spool::start(config.spool.clone(), &config.alias, node.clone(), uplink.links(), clock);
        let stop = Arc::new(AtomicBool::new(false));
        let stats = Arc::new(Mutex::new(CameraStats::default()));
        let (state, states) = watch::channel(CameraState::Starting);
        let (tell, events) = broadcast::channel(EVENTS);
        let bell = Bell::new(clock);
        let run = Run {
            node,
            clock,
            rate: RateControl::new(RateConfig::up_to(config.bitrate)),
            config,
            stop: stop.clone(),
            stats: stats.clone(),
            state,
            events: tell,
            bell: bell.clone(),
            moves: false,
            uplink: uplink.handle(),
            spool: spool.intake(),
            sessions: 0,
        };
        let thread = std::thread::Builder::new().name("camera".into()).spawn(move || run.run())?;
        Ok(Self { thread: Some(thread), stop, state: states, events, bell, stats, uplink, spool, home })
    }

    /// What it is doing.
    pub fn state(&self) -> watch::Receiver<CameraState> {
        self.state.clone()
    }

    /// What moves before it from now on, if it was asked to watch. Who reads too slowly loses the oldest of 64 events,
    /// and is told how many ([`broadcast::error::RecvError::Lagged`]). Closed when the camera has ended.
    pub fn events(&self) -> broadcast::Receiver<MotionEvent> {
        self.events.resubscribe()
    }

    /// Its doorbell, for whoever is to ring it.
    pub fn bell(&self) -> Bell {
        self.bell.clone()
    }

    /// Somebody presses its button.
    pub fn ring(&self) -> Ring {
        self.bell.ring()
    }

    /// What its connection is doing.
    pub fn uplink(&self) -> watch::Receiver<UplinkState> {
        self.uplink.state()
    }

    /// What becomes of what the hub has not confirmed.
    pub fn spool(&self) -> watch::Receiver<SpoolState> {
        self.spool.state()
    }

    /// Counts and times so far.
    pub fn stats(&self) -> CameraStats {
        let mut stats = self.stats.lock().unwrap_or_else(PoisonError::into_inner).clone();
        stats.spool = self.spool.stats();
        if let Some(home) = &self.home {
            (stats.lists_taken, stats.lists_refused) = home.counts();
        }
        stats
    }

    /// Whether it has ended by itself: then [`Camera::stop`] says why.
    pub fn is_over(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Stops it, and says why it had stopped by itself if it had. What the hub has not confirmed is on the disk then, if there is one.
    ///
    /// # Errors
    /// What ended it.
    pub fn stop(mut self) -> Result<(), CameraError> {
        self.stop.store(true, Ordering::Relaxed);
        let result = match self.thread.take().map(JoinHandle::join) {
            Some(Ok(result)) => result,
            Some(Err(_)) => Err(CameraError::Panicked),
            None => Ok(()),
        };
        self.spool.end();
        result
    }
}

impl Drop for Camera {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// Motion events kept for a slow reader.
const EVENTS: usize = 64;
