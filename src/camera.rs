//! The camera: sensor → mask → encode → seal → publish, on one thread, so that nothing waits between two steps.

mod challenges;
mod uplink;

use crate::link::{Alias, HubLink};
use crate::report::{CameraStats, References};
use crate::sensor::{Clock, Decoding, Sensor, SensorError, Source, Wanted};
use crate::state::{StateError, random32};
use crate::wall_us;
use doorframe_codec::access_unit::Kind;
use doorframe_codec::convert::Converter;
use doorframe_codec::encoder::{Config as EncoderConfig, ConfigError, EncodeError};
use doorframe_codec::h264::openh264::Openh264Encoder;
use doorframe_codec::mask::Mask;
use doorframe_codec::units::{Bitrate, Color, FrameRate, Size, Uptime};
use doorframe_codec::{Encoder, Picture};
use doorframe_transport::Session;
use doorframe_transport::identity::{DevicePublicKey, SigningKey};
use doorframe_transport::keys::Epoch;
use doorframe_transport::moq::{Broadcast, CarriageError, GroupWriter, Node, TrackWriter};
use doorframe_transport::rate::{Pace, RateConfig, RateControl};
use doorframe_transport::seed::Seed;
use doorframe_transport::session::{Config as SessionConfig, SessionError, StartError};
use doorframe_transport::track::TrackName;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use thiserror::Error;
use tokio::sync::watch;
use zeroize::Zeroizing;

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
    /// Most bits a second; the link may make it less.
    pub bitrate: Bitrate,
    /// Threads to encode with.
    pub threads: u8,
    /// Zones that never leave it.
    pub mask: Option<Mask>,
    /// Who may watch.
    pub devices: Vec<DevicePublicKey>,
    /// Who it is.
    pub identity: SigningKey,
    /// Mixed into each session's root.
    pub device_secret: Zeroizing<[u8; 32]>,
    /// Counts up with each start.
    pub boot: u64,
    /// Where to keep source pictures for a comparison; `None` outside of measurements.
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
            bitrate: Bitrate::from_kbps(1500),
            threads: std::thread::available_parallelism().map_or(1, |n| n.get().min(2) as u8),
            mask: None,
            devices,
            identity,
            device_secret: Zeroizing::new(device_secret),
            boot: 0,
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
    /// The encoder does not take these settings.
    #[error("cannot encode: {0}")]
    Config(#[from] ConfigError),
    /// The encoder failed.
    #[error("encoding failed: {0}")]
    Encode(#[from] EncodeError),
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
    stats: Arc<Mutex<CameraStats>>,
    uplink: Uplink,
}

impl Camera {
    /// Starts a camera that publishes at the hub of `link`. Call it inside a tokio runtime, which carries the network.
    ///
    /// # Errors
    /// If its thread cannot be started. What goes wrong later is told by [`Camera::state`] and [`Camera::stop`].
    pub fn start(config: CameraConfig, link: HubLink, clock: Clock) -> Result<Self, CameraError> {
        let node = Arc::new(Node::new());
        let uplink = Uplink::start(node.clone(), link.dial)?;
        let stop = Arc::new(AtomicBool::new(false));
        let stats = Arc::new(Mutex::new(CameraStats::default()));
        let (state, states) = watch::channel(CameraState::Starting);
        let run = Run {
            node,
            clock,
            rate: RateControl::new(RateConfig::up_to(config.bitrate)),
            config,
            stop: stop.clone(),
            stats: stats.clone(),
            state,
            uplink: uplink.handle(),
            sessions: 0,
        };
        let thread = std::thread::Builder::new().name("camera".into()).spawn(move || run.run())?;
        Ok(Self { thread: Some(thread), stop, state: states, stats, uplink })
    }

    /// What it is doing.
    pub fn state(&self) -> watch::Receiver<CameraState> {
        self.state.clone()
    }

    /// What its connection is doing.
    pub fn uplink(&self) -> watch::Receiver<UplinkState> {
        self.uplink.state()
    }

    /// Counts and times so far.
    pub fn stats(&self) -> CameraStats {
        self.stats.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether it has ended by itself: then [`Camera::stop`] says why.
    pub fn is_over(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Stops it, and says why it had stopped by itself if it had.
    ///
    /// # Errors
    /// What ended it.
    pub fn stop(mut self) -> Result<(), CameraError> {
        self.stop.store(true, Ordering::Relaxed);
        let joined = self.thread.take().map(JoinHandle::join);
        // The last closing is written; give the network the moment it needs to carry it.
        std::thread::sleep(LAST_WORDS);
        match joined {
            Some(Ok(result)) => result,
            Some(Err(_)) => Err(CameraError::Panicked),
            None => Ok(()),
        }
    }
}

impl Drop for Camera {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// How long a stopped camera's connection stays for what is under way.
const LAST_WORDS: Duration = Duration::from_millis(250);
/// How long to wait before a lost sensor is tried again.
const RETRY: Duration = Duration::from_millis(500);
/// Changes of the bitrate below this share are not worth telling the encoder.
const DEADBAND: f64 = 0.04;

struct Run {
    node: Arc<Node>,
    clock: Clock,
    config: CameraConfig,
    rate: RateControl,
    stop: Arc<AtomicBool>,
    stats: Arc<Mutex<CameraStats>>,
    state: watch::Sender<CameraState>,
    uplink: uplink::Handle,
    /// Sessions started in this run.
    sessions: u16,
}

impl Run {
    fn run(mut self) -> Result<(), CameraError> {
        let mut live = None;
        let mut seen = false;
        let result = loop {
            if self.stop.load(Ordering::Relaxed) {
                break Ok(());
            }
            let opened =
                crate::sensor::open(&self.config.source, self.config.wanted, self.clock, &self.config.decoding);
            let result = match opened {
                Ok(sensor) => self.frames(sensor, &mut live, &mut seen),
                Err(error) => Err(error.into()),
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
                Err(error) => break Err(error),
            }
        };
        let ended = live.as_mut().map_or(Ok(()), Live::end);
        self.state.send_replace(CameraState::Ended);
        result.and(ended)
    }

    /// Frames of one opened sensor until it fails or we are stopped.
    fn frames(
        &mut self,
        mut sensor: Box<dyn Sensor>,
        live: &mut Option<Live>,
        seen: &mut bool,
    ) -> Result<(), CameraError> {
        let (mut converter, mut picture) = (Converter::new(), Picture::black(sensor.size(), Color::default()));
        let mut encoder: Option<Openh264Encoder> = None;
        let mut told = self.rate.target();
        let mut want = Kind::Keyframe;
        let rate = sensor.rate();
        while !self.stop.load(Ordering::Relaxed) {
            let frame = sensor.next()?;
            let captured = frame.captured();
            if let Err(error) = converter.convert(&frame, &mut picture) {
                // A damaged frame is the sensor's loss, not the end of the world.
                tracing::debug!(%error, "frame dropped");
                self.with_stats(|stats| stats.frames_damaged += 1);
                continue;
            }
            *seen = true;
            if let Some(mask) = &self.config.mask {
                mask.paint(&mut picture);
            }
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
                    let made = none.insert(Openh264Encoder::new(settings.check()?)?);
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
            }

            if let Some(sample) = self.uplink.sample(self.clock.now()) {
                if sample.is_new_connection {
                    self.rate.reset();
                }
                self.rate.handle_sample(sample.link);
            }
            self.with_stats(|stats| stats.frames_captured += 1);
            if want == Kind::Delta && self.rate.pace(Duration::ZERO) == Pace::Skip {
                self.with_stats(|stats| stats.frames_skipped += 1);
                continue;
            }
            let target = self.rate.target();
            if (f64::from(target.bps()) / f64::from(told.bps()) - 1.0).abs() > DEADBAND {
                encoder.set_bitrate(target)?;
                told = target;
            }

            let started = self.clock.now();
            let Some(unit) = encoder.encode(&picture, live.session.media_time(captured), want)? else { continue };
            let encoded = self.clock.now();
            let object = live.session.seal(TrackName::VIDEO, &unit, encoded.since(captured))?;
            let bytes = object.len();
            let at = unit.at;
            live.write(at, object)?;
            let sealed = self.clock.now();
            want = Kind::Delta;
            let keyframe = unit.is_keyframe();
            self.with_stats(|stats| {
                stats.frames_sealed += 1;
                stats.bytes_sealed += bytes as u64;
                stats.keyframes += u64::from(keyframe);
                stats.target_bps = target.bps();
                stats.convert.record(started.since(captured));
                stats.encode.record(encoded.since(started));
                stats.seal.record(sealed.since(encoded));
                stats.skipped_by_sensor = sensor.losses().skipped;
            });
            if let Some(references) = &self.config.references {
                references.offer(at, &picture);
            }
        }
        Ok(())
    }

    fn with_stats(&self, change: impl FnOnce(&mut CameraStats)) {
        change(&mut self.stats.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// The session for a moment; a new one where there is none or the old one is at its end.
    fn live_at<'a>(&mut self, live: &'a mut Option<Live>, at: Uptime) -> Result<&'a mut Live, CameraError> {
        if live.as_ref().is_some_and(|live| live.session.epoch_at(at).is_none()) {
            live.as_mut().map_or(Ok(()), Live::end)?;
            *live = None;
        }
        match live {
            Some(live) => Ok(live),
            none => {
                self.sessions = self.sessions.wrapping_add(1);
                // Even a generator that gives the same bytes each time must not give two sessions one root.
                let draw = self.config.boot << 16 | u64::from(self.sessions);
                Ok(none.insert(Live::start(&self.config, &self.node, draw, at)?))
            }
        }
    }
}

/// One session on the air.
struct Live {
    session: Session,
    manifest: TrackWriter,
    video: TrackWriter,
    open: Option<(GroupWriter, GroupWriter)>,
    /// Epoch begun last.
    last: Option<Epoch>,
    /// The broadcast and its session track end with it.
    _broadcast: (Broadcast, TrackWriter),
}

/// Manifests are small, and nothing opens without them.
const FIRST: u8 = 200;
const VIDEO: u8 = 100;

impl Live {
    /// Starts a session and publishes its manifest before the first frame.
    fn start(config: &CameraConfig, node: &Node, draw: u64, now: Uptime) -> Result<Self, CameraError> {
        let seed = Seed::mix(random32()?, &config.device_secret, draw);
        let session_config = SessionConfig::new(config.devices.clone());
        let (session, manifest) = Session::start(session_config, &config.identity, seed, now, wall_us())?;
        let broadcast = node.broadcast(&format!("{}/{}", config.alias, session.id()))?;
        let track = broadcast.track("session", FIRST)?;
        let mut group = track.group(0)?;
        group.write(session.media_time(now), manifest)?;
        group.finish();
        let live = Self {
            manifest: broadcast.track("manifest", FIRST)?,
            video: broadcast.track("video", VIDEO)?,
            session,
            open: None,
            last: None,
            _broadcast: (broadcast, track),
        };
        live._broadcast.0.announce()?;
        Ok(live)
    }

    fn epoch_over(&self, at: Uptime) -> bool {
        let wanted = self.session.epoch_at(at);
        self.session.current().is_none_or(|current| wanted.is_some_and(|wanted| wanted > current))
    }

    /// Whether the epoch of a moment was ended before its time, so that its key is gone.
    fn is_spent(&self, at: Uptime) -> bool {
        self.session.current().is_none() && self.session.epoch_at(at).is_some_and(|epoch| Some(epoch) <= self.last)
    }

    /// Ends the epoch before and begins the one of `at`.
    fn begin(&mut self, at: Uptime, now: Uptime, challenges: Vec<[u8; 16]>) -> Result<(), CameraError> {
        self.end()?;
        let epoch = self.session.epoch_at(at).unwrap_or(Epoch(0));
        self.last = Some(epoch);
        let opening = self.session.begin(epoch, now, wall_us(), challenges)?;
        let (mut manifest, video) = (self.manifest.group(epoch.0.into())?, self.video.group(epoch.0.into())?);
        manifest.write(self.session.media_time(now), opening)?;
        self.open = Some((manifest, video));
        Ok(())
    }

    fn write(&mut self, at: doorframe_codec::units::MediaTime, object: bytes::Bytes) -> Result<(), CarriageError> {
        match &mut self.open {
            Some((_, video)) => video.write(at, object),
            None => Err(CarriageError::Over),
        }
    }

    /// Closes the open epoch, if there is one.
    fn end(&mut self) -> Result<(), CameraError> {
        let closing = self.session.end();
        if let (Some((mut manifest, video)), Some((_, closing))) = (self.open.take(), closing) {
            video.finish();
            manifest.write(doorframe_codec::units::MediaTime::default(), closing)?;
            manifest.finish();
        }
        Ok(())
    }
}
