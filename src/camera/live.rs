//! One session on the air: its tracks, its epochs, and what must be written when one of them begins and ends.

use super::home::CameraHome;
use super::names::{Former, Names};
use super::sealed::Sealed;
use super::spool::Intake;
use super::{CameraConfig, CameraError, MotionEvent};
use crate::state::random32;
use crate::wall_us;
use bytes::Bytes;
use doorframe_codec::units::{MediaTime, Uptime};
use doorframe_transport::Session;
use doorframe_transport::events::{Area, CameraEvent, EpochEvents, EventKind};
use doorframe_transport::keys::Epoch;
use doorframe_transport::moq::{Broadcast, CarriageError, GroupWriter, Node, TrackWriter};
use doorframe_transport::seed::Seed;
use doorframe_transport::session::Config as SessionConfig;
use doorframe_transport::track::TrackName;

/// One session on the air.
pub(super) struct Live {
    pub(super) session: Session,
    manifest: TrackWriter,
    video: TrackWriter,
    event: TrackWriter,
    bell: TrackWriter,
    /// Where epochs are named that are to be kept; only in event mode.
    keep: Option<Names>,
    open: Option<Groups>,
    /// What happened since the last event object.
    events: EpochEvents,
    /// Of the newest object.
    at: MediaTime,
    /// The open epoch once more, as it is kept until the hub has it.
    sealed: Option<Sealed>,
    spool: Intake,
    /// Epoch begun last.
    last: Option<Epoch>,
    /// When it has to end, by the wall clock: an expiry passes then.
    until: Option<u64>,
    /// Of the device lists that it is sealed by.
    revision: u64,
    /// The broadcast, its session track and its device lists end with it.
    _broadcast: (Broadcast, TrackWriter, Option<TrackWriter>),
}

/// What a device needs that has not heard of a change yet: each list and rotation in a letter.
fn publish_lists(broadcast: &Broadcast, home: &CameraHome, session: &Session) -> Result<TrackWriter, CameraError> {
    let track = broadcast.track("devices", LISTS)?;
    let mut group = track.group(0)?;
    for letter in home.start_session(session.letters())? {
        group.write(MediaTime::default(), letter.into())?;
    }
    group.finish();
    Ok(track)
}

/// Groups of the epoch that runs, one a track. Each begins with the epoch, whether anything comes on it or not.
struct Groups {
    manifest: GroupWriter,
    video: GroupWriter,
    event: GroupWriter,
    bell: GroupWriter,
}

/// Manifests are small, and nothing opens without them.
const FIRST: u8 = 200;
const VIDEO: u8 = 100;
/// Behind the picture: they are needed once.
const LISTS: u8 = 60;

impl Live {
    /// Starts a session and publishes its manifest before the first frame.
    pub(super) fn start(
        config: &CameraConfig,
        node: &Node,
        spool: Intake,
        draw: u64,
        now: Uptime,
        former: Option<Former>,
    ) -> Result<Self, CameraError> {
        let seed = Seed::mix(random32()?, &config.device_secret, draw);
        // One moment for both: who checks the session counts those whose expiry was not over at its start.
        let wall = wall_us();
        let (mut session_config, mut until, mut revision) = (SessionConfig::new(config.devices.clone()), None, 0);
        if let Some(home) = &config.home {
            let to = home.sealing(wall);
            if to.devices.is_empty() {
                return Err(CameraError::NobodyWatches);
            }
            session_config = SessionConfig::new(to.devices);
            session_config.device_list = to.list;
            (until, revision) = (to.until, to.revision);
        }
        let (session, manifest) = Session::start(session_config.with_events(), &config.identity, seed, now, wall)?;
        spool.handle_session(session.id(), manifest.clone());
        let broadcast = node.broadcast(&format!("{}/{}", config.alias, session.id()))?;
        let track = broadcast.track("session", FIRST)?;
        let mut group = track.group(0)?;
        group.write(session.media_time(now), manifest)?;
        group.finish();
        let lists = config.home.as_ref().map(|home| publish_lists(&broadcast, home, &session)).transpose()?;
        let keep = config.keep.map(|pre_roll| {
            let mut names = Names::new(pre_roll, broadcast.track("keep", FIRST)?);
            former.into_iter().for_each(|former| names.follow(former));
            Ok::<_, CarriageError>(names)
        });
        let keep = keep.transpose()?;
        let live = Self {
            manifest: broadcast.track("manifest", FIRST)?,
            video: broadcast.track("video", VIDEO)?,
            event: broadcast.track("event", FIRST)?,
            bell: broadcast.track("bell", FIRST)?,
            keep,
            session,
            open: None,
            events: EpochEvents::default(),
            at: MediaTime::default(),
            sealed: None,
            spool,
            last: None,
            until,
            revision,
            _broadcast: (broadcast, track, lists),
        };
        live._broadcast.0.announce()?;
        Ok(live)
    }

    /// It is over. In event mode its epochs may still be named, in the session after it.
    pub(super) fn into_former(self) -> Option<Former> {
        let (broadcast, session, lists) = self._broadcast;
        let tracks = [session, self.manifest, self.video, self.event, self.bell];
        Some(Former { names: self.keep?.over(), at: self.at, _carriage: (broadcast, tracks, lists) })
    }

    /// Whether it is sealed to those who may watch at the moment `wall_us`, and to nobody else.
    pub(super) fn is_for(&self, home: &CameraHome, wall_us: u64) -> bool {
        self.revision == home.counts().0 && self.until.is_none_or(|until| wall_us < until)
    }

    pub(super) fn epoch_over(&self, at: Uptime) -> bool {
        let wanted = self.session.epoch_at(at);
        self.session.current().is_none_or(|current| wanted.is_some_and(|wanted| wanted > current))
    }

    /// Epochs that the open one has outlasted at a moment; 0 while it is its own time, or if none is open.
    pub(super) fn overrun(&self, at: Uptime) -> u32 {
        let open = self.session.current().zip(self.session.epoch_at(at));
        open.map_or(0, |(current, now)| now.0.saturating_sub(current.0))
    }

    /// Whether the epoch of a moment was ended before its time, so that its key is gone.
    pub(super) fn is_spent(&self, at: Uptime) -> bool {
        self.session.current().is_none() && self.session.epoch_at(at).is_some_and(|epoch| Some(epoch) <= self.last)
    }

    /// Ends the epoch before and begins the one of `at`.
    pub(super) fn begin(&mut self, at: Uptime, now: Uptime, challenges: Vec<[u8; 16]>) -> Result<(), CameraError> {
        // Of the same moment as `now`: the epoch before takes its time to end.
        let wall = wall_us();
        self.end()?;
        let epoch = self.session.epoch_at(at).unwrap_or(Epoch(0));
        self.last = Some(epoch);
        let opening = self.session.begin(epoch, now, wall, challenges)?;
        self.sealed = Some(Sealed::begin(self.session.id(), epoch, opening.clone()));
        self.open = carried(self.groups(epoch, self.session.media_time(now), opening));
        self.keep.iter_mut().for_each(|names| names.handle_begun(epoch, self.at));
        Ok(())
    }

    /// Groups of an epoch that begins, with its opening.
    fn groups(&self, epoch: Epoch, at: MediaTime, opening: Bytes) -> Result<Groups, CarriageError> {
        let group = |track: &TrackWriter| track.group(epoch.0.into());
        let (manifest, video) = (group(&self.manifest)?, group(&self.video)?);
        let mut open = Groups { manifest, video, event: group(&self.event)?, bell: group(&self.bell)? };
        open.manifest.write(at, opening)?;
        Ok(open)
    }

    /// The next object of the open epoch's video.
    pub(super) fn write(&mut self, at: MediaTime, object: Bytes) {
        self.at = at;
        self.keep_sealed(TrackName::VIDEO, &object);
        if let Some(open) = &mut self.open {
            carried(open.video.write(at, object));
        }
    }

    /// Keeps an object of the open epoch until the hub has it.
    fn keep_sealed(&mut self, track: TrackName, object: &bytes::Bytes) {
        if let Some(sealed) = &mut self.sealed {
            sealed.add(track, object.clone());
        }
    }

    /// What moved in the session before moves on.
    pub(super) fn motion_goes_on(&mut self) {
        self.keep.iter_mut().for_each(Names::handle_goes_on);
    }

    /// Something began to move, or has come to rest: it is sealed when its epoch ends.
    pub(super) fn handle_motion(&mut self, event: &MotionEvent) {
        let (kind, at, motion) = match event {
            MotionEvent::Began { at, motion } => (EventKind::MotionBegan, at, motion),
            MotionEvent::Ended { at, most, .. } => (EventKind::MotionEnded, at, most),
        };
        // Beyond the range of its field it is as plain as can be.
        let score = (motion.score * 10.0).round() as u16;
        let at = self.session.media_time(*at);
        self.handle_event(CameraEvent { kind, at, area: Area::of_share(motion.area), score });
    }

    /// Somebody rang: that is sealed and sent at once, and again with its epoch. An epoch must be open.
    pub(super) fn ring(&mut self, at: Uptime) -> Result<(), CameraError> {
        let event = CameraEvent::doorbell(self.session.media_time(at));
        let object = self.session.seal_bell(event.at)?;
        self.keep_sealed(TrackName::BELL, &object);
        if let Some(open) = &mut self.open {
            carried(open.bell.write(self.at, object));
        }
        self.handle_event(event);
        Ok(())
    }

    fn handle_event(&mut self, event: CameraEvent) {
        self.events.add(event);
        let open = self.session.current();
        self.keep.iter_mut().for_each(|names| names.handle_event(event.kind, open, self.at));
    }

    /// Events of the epoch that runs for which there was no room.
    pub(super) fn events_left_out(&self) -> u64 {
        self.events.left_out()
    }

    /// Closes the open epoch, if there is one. Sealed, closed and given to the spool before the network has any of it.
    pub(super) fn end(&mut self) -> Result<(), CameraError> {
        if self.session.current().is_none() {
            return Ok(());
        }
        let happened = std::mem::take(&mut self.events);
        let event = self.session.seal_events(happened.kept());
        event.iter().for_each(|object| self.keep_sealed(TrackName::EVENT, object));
        let open = self.open.take();
        if let Some((_, closing)) = self.session.end() {
            if let Some(sealed) = self.sealed.take() {
                self.spool.handle_sealed(sealed.end(closing.clone(), wall_us()));
            }
            open.into_iter().for_each(|open| open.end(self.at, event.as_ref().ok(), closing.clone()));
        }
        Ok(event.map(drop)?)
    }
}

impl Groups {
    /// The rest of an epoch that is over.
    fn end(mut self, at: MediaTime, event: Option<&Bytes>, closing: Bytes) {
        if let Some(object) = event {
            carried(self.event.write(at, object.clone()));
        }
        self.video.finish();
        self.event.finish();
        self.bell.finish();
        carried(self.manifest.write(MediaTime::default(), closing));
        self.manifest.finish();
    }
}

/// What the network does not take costs what was to go over it alone: the spool has the epoch.
fn carried<T>(result: Result<T, CarriageError>) -> Option<T> {
    result.inspect_err(|error| tracing::debug!(%error, "not carried")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::camera::spool::{Spool, SpoolConfig};
    use crate::sensor::Clock;
    use doorframe_transport::identity::{DeviceKey, SigningKey};
    use std::sync::Arc;
    use std::time::Instant;
    use tokio::sync::watch;

    fn config() -> CameraConfig {
        let identity = SigningKey::from_seed(&[1; 32]).unwrap();
        let owner = DeviceKey::from_seed([2; 32]).unwrap().public().clone();
        CameraConfig::new("pattern".parse().unwrap(), identity, vec![owner], [3; 32])
    }

    #[tokio::test]
    async fn an_epoch_that_the_network_does_not_take_is_closed_and_held_all_the_same() {
        let (node, clock, config) = (Arc::new(Node::new()), Clock::new(Instant::now()), config());
        let (_link, links) = watch::channel(None);
        let spool = Spool::start(SpoolConfig::default(), &config.alias, node.clone(), links, clock);
        let now = clock.now();
        let mut live = Live::start(&config, &node, spool.intake(), 1, now, None).unwrap();
        live.begin(now, now, vec![]).unwrap();
        // A group ends itself when it has more than it may.
        let open = live.open.as_mut().unwrap();
        for group in [&mut open.event, &mut open.bell, &mut open.video, &mut open.manifest] {
            let object = Bytes::from_static(b"object");
            while group.write(MediaTime::default(), object.clone()).is_ok() {}
        }
        live.ring(now).unwrap();
        live.write(MediaTime::default(), Bytes::from_static(b"picture"));
        live.end().unwrap();
        assert_eq!((live.session.current(), spool.stats().in_memory), (None, 1));
    }
}
