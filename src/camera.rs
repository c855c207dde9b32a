//! The camera: sensor → front end → encode → seal → publish, on one thread, so that nothing waits between two steps.

mod bell;
mod challenges;
mod coded;
mod front;
mod happened;
mod home;
mod keep;
mod live;
mod sealed;
mod spool;
mod uplink;

use crate::encoder::{self, EncoderChoice, EncoderError};
use crate::link::{Alias, HubLink};
use crate::report::{CameraStats, References};
use crate::sensor::{Clock, CodedSensor, Decoding, Sensor, SensorError, Source, Wanted};
use crate::state::StateError;
use crate::wall_us;
use doorframe_codec::access_unit::Kind;
use doorframe_codec::convert::JpegOrigin;
use doorframe_codec::encoder::{Config as EncoderConfig, ConfigError, EncodeError};
use doorframe_codec::overlay::{NoRoom, WallTime};
use doorframe_codec::units::{Bitrate, FrameRate, Size, Uptime};
use doorframe_codec::{AccessUnit, Encoder};
use doorframe_transport::identity::{DevicePublicKey, SigningKey};
use doorframe_transport::moq::{CarriageError, Node};
use doorframe_transport::rate::{Pace, RateConfig, RateControl};
use doorframe_transport::session::{SessionError, StartError};
use doorframe_transport::track::TrackName;
use front::{Front, FrontError};
use live::Live;
use spool::{Intake, Spool};
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

/// How long a stopped camera's broadcast stays for what is under way.
const LAST_WORDS: Duration = Duration::from_millis(250);
/// How long to wait before a lost sensor is tried again.
const RETRY: Duration = Duration::from_millis(500);
/// Changes of the bitrate below this share are not worth telling the encoder.
const DEADBAND: f64 = 0.04;
/// Motion events kept for a slow reader.
const EVENTS: usize = 64;

struct Run {
    node: Arc<Node>,
    clock: Clock,
    config: CameraConfig,
    rate: RateControl,
    stop: Arc<AtomicBool>,
    stats: Arc<Mutex<CameraStats>>,
    state: watch::Sender<CameraState>,
    events: broadcast::Sender<MotionEvent>,
    bell: Bell,
    /// Whether something moves that has not come to rest.
    moves: bool,
    uplink: uplink::Handle,
    spool: Intake,
    /// Sessions started in this run.
    sessions: u16,
}

/// A clip may be anybody's.
fn origin(source: &Source) -> JpegOrigin {
    if matches!(source, Source::V4l2(_)) { JpegOrigin::OwnCamera } else { JpegOrigin::Anywhere }
}

impl Run {
    fn run(mut self) -> Result<(), CameraError> {
        let mut live = None;
        let mut seen = false;
        let result = loop {
            if self.stop.load(Ordering::Relaxed) {
                break Ok(());
            }
            let result = match self.open() {
                Ok(Opened::Frames(sensor)) => {
                    let jpegs = origin(&self.config.source);
                    let mut front = Front::new(&self.config.front, sensor.size()).with_jpegs(jpegs);
                    let result = self.frames(sensor, &mut front, &mut live, &mut seen);
                    result.and(self.handle_motion(live.as_mut(), front.end()))
                }
                Ok(Opened::Units(sensor)) => self.units(sensor, &mut live, &mut seen),
                Err(error) => Err(error),
            };
            match result {
                Ok(()) => break Ok(()),
                // A cable that was pulled comes back; what never worked would not work the next time either.
                Err(CameraError::Sensor(error)) if seen && !error.is_final() => {
                    self.state.send_replace(CameraState::Waiting(error.to_string()));
                    // What came until now is signed for; what comes next is of a later epoch.
                    live.as_mut().map_or(Ok(()), Live::end)?;
                    std::thread::sleep(RETRY);
                }
                Err(CameraError::NobodyWatches) => {
                    self.state.send_replace(CameraState::Waiting(CameraError::NobodyWatches.to_string()));
                    std::thread::sleep(RETRY);
                }
                Err(error) => break Err(error),
            }
        };
        let ended = live.as_mut().map_or(Ok(()), Live::end);
        self.state.send_replace(CameraState::Ended);
        // The last closing is written, and goes with its broadcast: give the network the moment it needs to carry it.
        if live.is_some() {
            std::thread::sleep(LAST_WORDS);
        }
        result.and(ended)
    }

    /// Opens the source: for frames, or for what it has coded itself where that is wanted or all there is.
    fn open(&self) -> Result<Opened, CameraError> {
        let CameraConfig { source, wanted, encoder, front, decoding, .. } = &self.config;
        let coded = || match front.needs_frames() {
            Some(what) => Err(CameraError::NeedsFrames { what, from: source.to_string() }),
            None => Ok(Opened::Units(crate::sensor::open_coded(source, *wanted, self.clock)?)),
        };
        if *encoder == EncoderChoice::AsIs || (*encoder == EncoderChoice::Auto && source.is_coded()) {
            return coded();
        }
        match crate::sensor::open(source, *wanted, self.clock, decoding) {
            Err(SensorError::Format { coded: true, .. }) if *encoder == EncoderChoice::Auto => coded(),
            opened => Ok(Opened::Frames(opened?)),
        }
    }

    /// Frames of one opened sensor until it fails or we are stopped.
    fn frames(
        &mut self,
        mut sensor: Box<dyn Sensor>,
        front: &mut Front,
        live: &mut Option<Live>,
        seen: &mut bool,
    ) -> Result<(), CameraError> {
        let mut encoder: Option<Box<dyn Encoder>> = None;
        let mut told = self.rate.target();
        let mut want = Kind::Keyframe;
        let rate = sensor.rate();
        while !self.stop.load(Ordering::Relaxed) {
            let frame = sensor.next()?;
            let captured = frame.captured();
            let (clock, arrived) = (self.clock, self.clock.now());
            let wall = wall_us().saturating_sub(u64::try_from(arrived.since(captured).as_micros()).unwrap_or(u64::MAX));
            let ready = match front.handle_frame(&frame, WallTime::from_unix_micros(wall), || clock.now()) {
                Ok(ready) => ready,
                Err(FrontError::Convert(error)) => {
                    // A damaged frame is the sensor's loss, not the end of the world.
                    tracing::debug!(%error, "frame dropped");
                    self.with_stats(|stats| stats.frames_damaged += 1);
                    continue;
                }
                Err(FrontError::Clock(error)) => return Err(error.into()),
            };
            *seen = true;
            self.handle_motion(live.as_mut(), ready.event)?;
            let (picture, steps) = (ready.picture, ready.steps);
            let session = live.as_ref().map(|live| live.session.id());
            let live = self.live_at(live, captured)?;
            if session != Some(live.session.id()) {
                // Media time starts over, which no encoder takes.
                encoder = None;
            }
            let encoder = match &mut encoder {
                Some(encoder) => encoder,
                none => {
                    let mut settings = EncoderConfig::new(picture.size(), rate, self.rate.target());
                    settings.threads = self.config.threads;
                    let made = none.insert(encoder::make(&self.config.encoder, settings.check()?)?);
                    let (sensor, encoder) = (sensor.name().to_owned(), made.name());
                    self.state.send_replace(CameraState::Running { sensor, size: picture.size(), rate, encoder });
                    made
                }
            };
            if live.is_spent(captured) {
                // A sensor that came back within the epoch it was lost in: its next one is at most two seconds away.
                continue;
            }
            if live.epoch_over(captured) {
                live.begin(captured, self.clock.now(), self.uplink.challenges())?;
                want = Kind::Keyframe;
                match encoder.set_keyframe_units(self.rate.keyframe_units(rate)) {
                    // An encoder of the machine sizes them itself.
                    Ok(()) | Err(EncodeError::Fixed { .. }) => {}
                    Err(error) => return Err(error.into()),
                }
            }

            self.answer_bell(live)?;
            self.sample_link();
            self.with_stats(|stats| {
                stats.frames_captured += 1;
                steps.record(stats);
            });
            if want == Kind::Delta && self.rate.pace(Duration::ZERO) == Pace::Skip {
                self.with_stats(|stats| stats.frames_skipped += 1);
                continue;
            }
            let target = self.rate.target();
            if is_news(told, target) {
                encoder.set_bitrate(target)?;
                told = target;
            }

            let started = self.clock.now();
            let Some(unit) = encoder.encode(picture, live.session.media_time(captured), want)? else { continue };
            let encoded = self.clock.now();
            self.publish(live, &unit, captured)?;
            want = Kind::Delta;
            self.with_stats(|stats| {
                stats.target_bps = target.bps();
                stats.convert.record(started.since(captured));
                stats.encode.record(encoded.since(started));
                stats.skipped_by_sensor = sensor.losses().skipped;
            });
            if let Some(references) = &self.config.references {
                references.offer(unit.at, picture);
            }
        }
        Ok(())
    }

    /// Tells the rate control how the link does.
    fn sample_link(&mut self) {
        if let Some(sample) = self.uplink.sample(self.clock.now()) {
            if sample.is_new_connection {
                self.rate.reset();
            }
            self.rate.handle_sample(sample.link);
            self.spool.handle_link(self.rate.queue(), self.rate.target());
        }
    }

    /// Seals a unit in the open epoch and hands it to the network.
    fn publish(&self, live: &mut Live, unit: &AccessUnit, captured: Uptime) -> Result<(), CameraError> {
        let before = self.clock.now();
        let object = live.session.seal(TrackName::VIDEO, unit, before.since(captured))?;
        let bytes = object.len();
        live.write(unit.at, object)?;
        let sealed = self.clock.now();
        self.with_stats(|stats| {
            stats.frames_sealed += 1;
            stats.bytes_sealed += bytes as u64;
            stats.keyframes += u64::from(unit.is_keyframe());
            stats.seal.record(sealed.since(before));
        });
        Ok(())
    }

    fn with_stats(&self, change: impl FnOnce(&mut CameraStats)) {
        change(&mut self.stats.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// The session for a moment; a new one where there is none or the old one is at its end.
    fn live_at<'a>(&mut self, live: &'a mut Option<Live>, at: Uptime) -> Result<&'a mut Live, CameraError> {
        let is_over = |live: &Live| {
            let is_for_others = self.config.home.as_ref().is_some_and(|home| !live.is_for(home, wall_us()));
            is_for_others || live.session.epoch_at(at).is_none()
        };
        if live.as_ref().is_some_and(is_over) {
            live.as_mut().map_or(Ok(()), Live::end)?;
            *live = None;
        }
        match live {
            Some(live) => Ok(live),
            none => {
                self.sessions = self.sessions.wrapping_add(1);
                // Even a generator that gives the same bytes each time must not give two sessions one root.
                let draw = self.config.boot << 16 | u64::from(self.sessions);
                let live = none.insert(Live::start(&self.config, &self.node, self.spool.clone(), draw, at)?);
                if self.moves {
                    live.motion_goes_on();
                }
                Ok(live)
            }
        }
    }
}

/// An opened source.
enum Opened {
    /// Its pictures are encoded here.
    Frames(Box<dyn Sensor>),
    /// It has coded them itself.
    Units(Box<dyn CodedSensor>),
}

/// Whether a bitrate is so different that the encoder should hear of it.
fn is_news(told: Bitrate, target: Bitrate) -> bool {
    (f64::from(target.bps()) / f64::from(told.bps()) - 1.0).abs() > DEADBAND
}
