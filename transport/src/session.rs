//! Camera side: access units in, sealed objects and signed manifests out.
//!
//! Call order: [`Session::start`] gives the session manifest, which must be out of the camera's hands (published, or on disk)
//! before the first unit; then [`Session::epoch_at`] tells the epoch of a moment, [`Session::begin`] begins it when it changes,
//! [`Session::seal`] seals, [`Session::seal_events`] what happened in it, and [`Session::end`] closes what is open. Time comes in as arguments.

use crate::devices::LetterKey;
use crate::events::{self, CameraEvent};
use crate::identity::{BadKey, DevicePublicKey, Hash, SigningKey, VerifyingKey};
use crate::keys::{Depth, Epoch, EpochGone, EpochKeys, Frontier, Node, SessionId};
use crate::manifest::{
    Chain, Challenge, Closing, ClosingTrack, DeviceListRef, MAX_RECIPIENTS, MAX_TRACKS, Opening, OpeningTrack,
    SessionFacts, SessionManifest,
};
use crate::seal::{SealError, Sealer, Suite};
use crate::seed::Seed;
use crate::track::TrackName;
use crate::unit;
use bytes::Bytes;
use doorframe_codec::AccessUnit;
use doorframe_codec::units::{MediaTime, Uptime};
use std::fmt;
use std::time::Duration;
use thiserror::Error;
use zeroize::Zeroizing;

/// Longest session: a copied root opens no more than this.
pub const LONGEST: Duration = Duration::from_secs(6 * 3600);
/// Length of an epoch, of a group of pictures, and of what one key opens.
pub const EPOCH: Duration = Duration::from_secs(2);

/// What a session is made of.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// What objects are sealed with.
    pub suite: Suite,
    /// Devices that may watch, 1 to 64.
    pub devices: Vec<DevicePublicKey>,
    /// The signed list that they come from.
    pub device_list: DeviceListRef,
    /// Newest checkpoint of the request log; zeros: none.
    pub checkpoint: Hash,
    /// Tracks that will be sealed, 1 to 8, all different.
    pub tracks: Vec<TrackName>,
}

impl Config {
    /// Video for `devices`, sealed with AES-256-GCM.
    pub fn new(devices: Vec<DevicePublicKey>) -> Self {
        Self {
            suite: Suite::Aes256Gcm,
            devices,
            device_list: DeviceListRef::default(),
            checkpoint: [0; 32],
            tracks: vec![TrackName::VIDEO],
        }
    }

    /// With the tracks of a camera: what happened, the picture, and the doorbell.
    pub fn with_events(self) -> Self {
        Self { tracks: vec![TrackName::EVENT, TrackName::VIDEO, TrackName::BELL], ..self }
    }
}

/// Why a session cannot start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum StartError {
    /// Nobody could ever watch it, or too many.
    #[error("{0} viewing devices, 1 to 64 can be sealed to")]
    Devices(usize),
    /// No track, too many, or one twice.
    #[error("{0} tracks, 1 to 8 different ones can be sealed")]
    Tracks(usize),
    /// A key that the library refuses.
    #[error(transparent)]
    Key(#[from] BadKey),
}

/// Why a unit was not sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SessionError {
    /// The epoch is over, or the session's keys are used up: start a new session.
    #[error(transparent)]
    Gone(#[from] EpochGone),
    /// No epoch was begun.
    #[error("no epoch was begun")]
    NoEpoch,
    /// A track that the session was not started with, or that carries something else.
    #[error("track {0} is not one of this session's for that")]
    Track(TrackName),
    /// An epoch has one object of events, no more.
    #[error("the events of epoch {0} are sealed already")]
    Events(Epoch),
    /// The unit is too large.
    #[error(transparent)]
    Seal(#[from] SealError),
}

/// One camera session: one root, drawn at the start and never stored.
pub struct Session {
    facts: SessionFacts,
    started: Uptime,
    checkpoint: Hash,
    signer: SigningKey,
    frontier: Frontier,
    letters: LetterKey,
    tracks: Vec<TrackName>,
    current: Option<OpenEpoch>,
    previous: Hash,
}

struct OpenEpoch {
    epoch: Epoch,
    opening: Hash,
    tracks: Vec<(TrackName, Sealer, Chain)>,
}

impl OpenEpoch {
    fn seal(&mut self, track: TrackName, plaintext: &[u8]) -> Result<Bytes, SessionError> {
        self.seal_with(track, plaintext.len(), |object| object.extend_from_slice(plaintext))
    }

    fn seal_with(
        &mut self,
        track: TrackName,
        len: usize,
        write: impl FnOnce(&mut Vec<u8>),
    ) -> Result<Bytes, SessionError> {
        let found = self.tracks.iter_mut().find(|(name, ..)| *name == track);
        let (_, sealer, chain) = found.ok_or(SessionError::Track(track))?;
        let object = sealer.seal_with(len, write)?;
        chain.add(&object);
        Ok(object)
    }
}

impl Session {
    /// Starts a session at `now`, which the camera's wall clock calls `wall_us` (µs since 1970), and gives its signed
    /// manifest. No unit may be sealed before that is out of the camera's hands, or a crash would leave footage nobody can open.
    ///
    /// # Errors
    /// If there are no devices or tracks to seal to, or too many.
    pub fn start(
        config: Config,
        identity: &SigningKey,
        seed: Seed,
        now: Uptime,
        wall_us: u64,
    ) -> Result<(Self, Bytes), StartError> {
        let Config { suite, devices, device_list, checkpoint, tracks } = config;
        if devices.is_empty() || devices.len() > MAX_RECIPIENTS {
            return Err(StartError::Devices(devices.len()));
        }
        let repeated = tracks.iter().enumerate().any(|(i, t)| tracks.iter().skip(i + 1).any(|other| other == t));
        if tracks.is_empty() || tracks.len() > MAX_TRACKS || repeated {
            return Err(StartError::Tracks(tracks.len()));
        }
        let mut rng = seed.rng();
        let root = Zeroizing::new(rng.bytes::<32>());
        let signer = SigningKey::from_seed(&Zeroizing::new(rng.bytes::<32>()))?;
        let facts = SessionFacts {
            id: SessionId(rng.bytes()),
            suite,
            epoch_length: EPOCH,
            depth: Depth::SESSION,
            signer: signer.verifying_key(),
            started_wall_us: wall_us,
            devices: device_list,
            checkpoint,
        };
        let manifest = SessionManifest::emit(&facts, &root, &devices, identity, &signer, &mut rng)?;
        let root = Node::root(*root, facts.depth);
        let letters = LetterKey::derive(&root, facts.id);
        let frontier = Frontier::new(root, facts.depth);
        let session = Self {
            checkpoint,
            started: now,
            signer,
            frontier,
            letters,
            tracks,
            current: None,
            previous: [0; 32],
            facts,
        };
        Ok((session, manifest.into()))
    }

    /// Random name of the session, part of its broadcast's path.
    pub fn id(&self) -> SessionId {
        self.facts.id
    }

    /// Signs its epochs.
    pub fn signer(&self) -> VerifyingKey {
        self.facts.signer
    }

    /// What device lists travel under while it lasts.
    pub fn letters(&self) -> &LetterKey {
        &self.letters
    }

    /// A moment on the session's clock.
    pub fn media_time(&self, at: Uptime) -> MediaTime {
        MediaTime::from_duration(at.since(self.started))
    }

    /// Epoch of a moment: by the monotonic clock alone, so that a wall clock set back can never bring a key back.
    ///
    /// `None` once the session has lasted [`LONGEST`]: start a new one.
    pub fn epoch_at(&self, at: Uptime) -> Option<Epoch> {
        let since = at.since(self.started);
        if since >= LONGEST {
            return None;
        }
        u32::try_from(since.as_micros() / EPOCH.as_micros()).ok().map(Epoch)
    }

    /// The epoch begun last and not ended.
    pub fn current(&self) -> Option<Epoch> {
        self.current.as_ref().map(|current| current.epoch)
    }

    /// Newest checkpoint of the request log, stated in the openings from now on.
    pub fn handle_checkpoint(&mut self, checkpoint: Hash) {
        self.checkpoint = checkpoint;
    }

    /// Begins `epoch`, at `now` which the camera's wall clock calls `wall_us`, and gives its signed opening. Destroys the keys of
    /// all epochs before it. An epoch still open must be [ended](Self::end) first, or its closing is lost.
    ///
    /// # Errors
    /// [`SessionError::Gone`] for an epoch that was begun or passed over.
    pub fn begin(
        &mut self,
        epoch: Epoch,
        now: Uptime,
        wall_us: u64,
        challenges: Vec<Challenge>,
    ) -> Result<Bytes, SessionError> {
        let leaf = self.frontier.take(epoch)?;
        let mut commitments = Vec::with_capacity(self.tracks.len());
        let mut tracks = Vec::with_capacity(self.tracks.len());
        for name in self.tracks.iter().copied() {
            let keys = EpochKeys::derive(&leaf, self.facts.id, name);
            commitments.push(OpeningTrack { name, commitment: keys.commitment });
            let chain = Chain::new(self.facts.id, epoch, name);
            tracks.push((name, Sealer::new(self.facts.suite, keys), chain));
        }
        let opening = Opening {
            session: self.facts.id,
            epoch,
            wall_us,
            at: self.media_time(now),
            previous: self.previous,
            devices: self.facts.devices,
            checkpoint: self.checkpoint,
            tracks: commitments,
            challenges,
        };
        let record = opening.emit(&self.signer);
        self.current = Some(OpenEpoch { epoch, opening: Opening::hash(&record), tracks });
        Ok(record.into())
    }

    /// Seals the next unit of `track` in the epoch begun last.
    ///
    /// # Errors
    /// If no epoch was begun or the session has no such track.
    pub fn seal(
        &mut self,
        track: TrackName,
        unit: &AccessUnit,
        encoded_after: Duration,
    ) -> Result<Bytes, SessionError> {
        let current = self.current.as_mut().ok_or(SessionError::NoEpoch)?;
        if !track.is_media() {
            return Err(SessionError::Track(track));
        }
        let len = unit::HEADER + unit.data.len();
        current.seal_with(track, len, |object| unit::append(unit, encoded_after, object))
    }

    /// Seals what happened in the epoch begun last: the one object of track `event`, of one size whether anything did or not. To be
    /// called once an epoch, before it is [ended](Self::end).
    ///
    /// # Errors
    /// If no epoch was begun, the session has no such track, or it was done already.
    pub fn seal_events(&mut self, events: &[CameraEvent]) -> Result<Bytes, SessionError> {
        let current = self.current.as_mut().ok_or(SessionError::NoEpoch)?;
        let sealed = current.tracks.iter().find(|(name, ..)| *name == TrackName::EVENT);
        if sealed.is_some_and(|(.., chain)| chain.objects() > 0) {
            return Err(SessionError::Events(current.epoch));
        }
        current.seal(TrackName::EVENT, &Zeroizing::new(events::emit(events))[..])
    }

    /// Seals a press of the doorbell by itself, for track `bell`. It belongs among the epoch's [events](Self::seal_events) as well.
    ///
    /// # Errors
    /// If no epoch was begun or the session has no such track.
    pub fn seal_bell(&mut self, at: MediaTime) -> Result<Bytes, SessionError> {
        let current = self.current.as_mut().ok_or(SessionError::NoEpoch)?;
        current.seal(TrackName::BELL, &Zeroizing::new(events::emit(&[CameraEvent::doorbell(at)]))[..])
    }

    /// Ends the open epoch and gives its signed closing; `None` if none is open.
    pub fn end(&mut self) -> Option<(Epoch, Bytes)> {
        let OpenEpoch { epoch, opening, tracks } = self.current.take()?;
        let tracks = tracks.into_iter().map(|(name, _, chain)| ClosingTrack { name, chain }).collect();
        let record = Closing { session: self.facts.id, epoch, opening, tracks }.emit(&self.signer);
        self.previous = Closing::hash(&record);
        Some((epoch, record.into()))
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Session({}, ..)", self.facts.id)
    }
}
