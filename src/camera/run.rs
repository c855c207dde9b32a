//! The camera's thread: from an opened source to sealed units, until it is stopped.

use super::front::{Front, FrontError};
use super::live::Live;
use super::spool::Intake;
use super::{Bell, CameraConfig, CameraError, CameraState, MotionEvent, uplink};
use crate::encoder::{self, EncoderChoice};
use crate::report::CameraStats;
use crate::sensor::{Clock, CodedSensor, Sensor, SensorError, Source};
use crate::wall_us;
use doorframe_codec::access_unit::Kind;
use doorframe_codec::convert::JpegOrigin;
use doorframe_codec::encoder::{Config as EncoderConfig, EncodeError};
use doorframe_codec::overlay::WallTime;
use doorframe_codec::units::{Bitrate, Uptime};
use doorframe_codec::{AccessUnit, Encoder};
use doorframe_transport::moq::Node;
use doorframe_transport::rate::{Pace, RateControl};
use doorframe_transport::track::TrackName;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{broadcast, watch};

/// How long a stopped camera's broadcast stays for what is under way.
const LAST_WORDS: Duration = Duration::from_millis(250);
/// How long to wait before a lost sensor is tried again.
const RETRY: Duration = Duration::from_millis(500);
/// Changes of the bitrate below this share are not worth telling the encoder.
const DEADBAND: f64 = 0.04;

/// What the camera's thread has.
pub(super) struct Run {
    pub(super) node: Arc<Node>,
    pub(super) clock: Clock,
    pub(super) config: CameraConfig,
    pub(super) rate: RateControl,
    pub(super) stop: Arc<AtomicBool>,
    pub(super) stats: Arc<Mutex<CameraStats>>,
    pub(super) state: watch::Sender<CameraState>,
    pub(super) events: broadcast::Sender<MotionEvent>,
    pub(super) bell: Bell,
    /// Whether something moves that has not come to rest.
    pub(super) moves: bool,
    pub(super) uplink: uplink::Handle,
    pub(super) spool: Intake,
    /// Sessions started in this run.
    pub(super) sessions: u16,
}

/// A clip may be anybody's.
fn origin(source: &Source) -> JpegOrigin {
    if matches!(source, Source::V4l2(_)) { JpegOrigin::OwnCamera } else { JpegOrigin::Anywhere }
}

impl Run {
    pub(super) fn run(mut self) -> Result<(), CameraError> {
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
                    self.handle_motion(live.as_mut(), front.end());
                    result
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
            self.handle_motion(live.as_mut(), ready.event);
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
    pub(super) fn sample_link(&mut self) {
        if let Some(sample) = self.uplink.sample(self.clock.now()) {
            if sample.is_new_connection {
                self.rate.reset();
            }
            self.rate.handle_sample(sample.link);
            self.spool.handle_link(self.rate.queue(), self.rate.target());
        }
    }

    /// Seals a unit in the open epoch and hands it to the network.
    pub(super) fn publish(&self, live: &mut Live, unit: &AccessUnit, captured: Uptime) -> Result<(), CameraError> {
        let before = self.clock.now();
        let object = live.session.seal(TrackName::VIDEO, unit, before.since(captured))?;
        let bytes = object.len();
        live.write(unit.at, object);
        let sealed = self.clock.now();
        self.with_stats(|stats| {
            stats.frames_sealed += 1;
            stats.bytes_sealed += bytes as u64;
            stats.keyframes += u64::from(unit.is_keyframe());
            stats.seal.record(sealed.since(before));
        });
        Ok(())
    }

    pub(super) fn with_stats(&self, change: impl FnOnce(&mut CameraStats)) {
        change(&mut self.stats.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// The session for a moment; a new one where there is none or the old one is at its end.
    pub(super) fn live_at<'a>(&mut self, live: &'a mut Option<Live>, at: Uptime) -> Result<&'a mut Live, CameraError> {
        let is_over = |live: &Live| {
            let is_for_others = self.config.home.as_ref().is_some_and(|home| !live.is_for(home, wall_us()));
            is_for_others || live.session.epoch_at(at).is_none()
        };
        let mut former = None;
        if live.as_ref().is_some_and(is_over) {
            live.as_mut().map_or(Ok(()), Live::end)?;
            former = live.take().and_then(Live::into_former);
        }
        match live {
            Some(live) => Ok(live),
            none => {
                self.sessions = self.sessions.wrapping_add(1);
                // Even a generator that gives the same bytes each time must not give two sessions one root.
                let draw = self.config.boot << 16 | u64::from(self.sessions);
                let live = none.insert(Live::start(&self.config, &self.node, self.spool.clone(), draw, at, former)?);
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
pub(super) fn is_news(told: Bitrate, target: Bitrate) -> bool {
    (f64::from(target.bps()) / f64::from(told.bps()) - 1.0).abs() > DEADBAND
}
