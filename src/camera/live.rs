//! One session on the air: its tracks, its epochs, and what must be written when one of them begins and ends.

use super::home::CameraHome;
use super::sealed::Sealed;
use super::spool::Intake;
use super::{CameraConfig, CameraError};
use crate::state::random32;
use crate::wall_us;
use doorframe_codec::units::{MediaTime, Uptime};
use doorframe_transport::Session;
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
    open: Option<(GroupWriter, GroupWriter)>,
    /// The open epoch once more, as it is kept until the hub has it.
    sealed: Option<Sealed>,
    spool: Intake,
    /// Epoch begun last.
    last: Option<Epoch>,
    /// When it has to end, by the wall clock: an expiry passes then.
    until: Option<u64>,
    /// Of the device lists that it is sealed by.
    revision: u64,
    /// The broadcast and its session track end with it.
    _broadcast: (Broadcast, TrackWriter),
}

/// Manifests are small, and nothing opens without them.
const FIRST: u8 = 200;
const VIDEO: u8 = 100;

impl Live {
    /// Starts a session and publishes its manifest before the first frame.
    pub(super) fn start(
        config: &CameraConfig,
        node: &Node,
        spool: Intake,
        draw: u64,
        now: Uptime,
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
        let (session, manifest) = Session::start(session_config, &config.identity, seed, now, wall)?;
        spool.handle_session(session.id(), manifest.clone());
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
            sealed: None,
            spool,
            last: None,
            until,
            revision,
            _broadcast: (broadcast, track),
        };
        live._broadcast.0.announce()?;
        Ok(live)
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
        self.end()?;
        let epoch = self.session.epoch_at(at).unwrap_or(Epoch(0));
        self.last = Some(epoch);
        let opening = self.session.begin(epoch, now, wall_us(), challenges)?;
        let (mut manifest, video) = (self.manifest.group(epoch.0.into())?, self.video.group(epoch.0.into())?);
        self.sealed = Some(Sealed::begin(self.session.id(), epoch, opening.clone()));
        manifest.write(self.session.media_time(now), opening)?;
        self.open = Some((manifest, video));
        Ok(())
    }

    pub(super) fn write(&mut self, at: MediaTime, object: bytes::Bytes) -> Result<(), CarriageError> {
        if let Some(sealed) = &mut self.sealed {
            sealed.add(TrackName::VIDEO, object.clone());
        }
        match &mut self.open {
            Some((_, video)) => video.write(at, object),
            None => Err(CarriageError::Over),
        }
    }

    /// Closes the open epoch, if there is one.
    pub(super) fn end(&mut self) -> Result<(), CameraError> {
        let closing = self.session.end();
        if let (Some(sealed), Some((_, closing))) = (self.sealed.take(), &closing) {
            self.spool.handle_sealed(sealed.end(closing.clone(), wall_us()));
        }
        if let (Some((mut manifest, video)), Some((_, closing))) = (self.open.take(), closing) {
            video.finish();
            manifest.write(MediaTime::default(), closing)?;
            manifest.finish();
        }
        Ok(())
    }
}
