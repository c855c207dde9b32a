//! Owner's side: manifests and objects in, access units of known origin out.
//!
//! Call order: [`Viewer::handle_session`] with a session manifest, then [`handle_opening`](Viewer::handle_opening),
//! [`handle_object`](Viewer::handle_object) and [`handle_closing`](Viewer::handle_closing) in whatever order the network brings them, and
//! [`poll_event`](Viewer::poll_event) until it is empty. Nothing a peer sends makes it fail: what is bad is in [`Viewer::drops`].

pub(crate) mod epoch;

use crate::devices::LetterKey;
use crate::drops::Drops;
use crate::events::{self, CameraEvent};
use crate::identity::{DeviceKey, VerifyingKey};
use crate::keys::Epoch;
use crate::manifest::{
    Challenge, Closing, Join, Opening, RecordRefused, SessionFacts, SessionManifest, SessionOpened, SessionRefused,
};
use crate::seal::OpenError;
use crate::track::TrackName;
use crate::unit::{self, MAX_OBJECT, MediaUnit};
use bytes::Bytes;
use doorframe_codec::units::MediaTime;
use epoch::{Closed, EpochState, TrackState};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;
use zeroize::Zeroizing;

/// How far a live camera's wall clock claim may be from the viewer's clock.
pub const FRESH: Duration = Duration::from_secs(10);
/// Epochs kept open: the current one, and those whose last objects may still be under way.
const OPEN_EPOCHS: usize = 3;
/// Objects kept while their opening is under way.
const EARLY_OBJECTS: usize = 128;
/// Their bytes at most.
const EARLY_BYTES: usize = 16 << 20;

/// Something a person should be told at once: an honest camera and an honest hub never cause it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Alarm {
    /// Objects were exchanged or added after the camera signed them.
    #[error("epoch {0}: what arrived is not what the camera signed")]
    Changed(Epoch),
    /// An epoch's key commitment is not that of its key.
    #[error("epoch {0}: its key is not the one that was committed to")]
    Uncommitted(Epoch),
    /// An epoch does not follow the one before.
    #[error("epoch {0} does not follow the epoch before: something was cut out")]
    Cut(Epoch),
    /// The camera's session key signed two different records of one epoch.
    #[error("epoch {0}: two different records are signed: somebody else has the session's key")]
    Twice(Epoch),
    /// The claimed time is too far from ours, so this is old footage or one of the clocks is wrong.
    #[error("the camera's clock and this one differ by {} s: old footage, or a clock that is wrong", .0.as_secs())]
    Stale(Duration),
}

/// What comes out of a [`Viewer`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// An access unit whose origin and epoch are known.
    Unit {
        /// Its track.
        track: TrackName,
        /// Its epoch.
        epoch: Epoch,
        /// Its position in the epoch.
        position: u64,
        /// The unit.
        unit: MediaUnit,
    },
    /// Something happened before the camera. A doorbell is told as soon as it rings, the rest when its epoch ends; each once.
    Happened {
        /// Epoch in which it was sealed.
        epoch: Epoch,
        /// What, and when.
        event: CameraEvent,
    },
    /// An epoch is over: `lost` of its `objects` never came. Signed by the camera.
    Closed {
        /// Which epoch.
        epoch: Epoch,
        /// Objects sealed in it, over all tracks.
        objects: u64,
        /// Of these, objects that did not come.
        lost: u64,
    },
    /// Between two epochs there were others, by the camera's own signed chain, and nothing of them came.
    Missing {
        /// The epoch seen before.
        after: Epoch,
        /// The epoch seen next.
        before: Epoch,
    },
    /// An epoch went by and its closing never came: what was shown of it is authentic, but whether it is all is not known.
    Unclosed(Epoch),
    /// A person should be told.
    Alarm(Alarm),
}

/// Opens one camera's live footage for one device.
#[derive(Debug)]
pub struct Viewer {
    device: DeviceKey,
    /// Its keys before this one, the newest first.
    retired: Vec<DeviceKey>,
    camera: VerifyingKey,
    challenge: Challenge,
    session: Option<Watched>,
    events: VecDeque<Event>,
    drops: Drops,
    plaintext: Zeroizing<Vec<u8>>,
}

/// The session being watched.
#[derive(Debug)]
struct Watched {
    opened: SessionOpened,
    epochs: BTreeMap<Epoch, EpochState>,
    newest: Option<Epoch>,
    /// Hash of the newest closing and its epoch: what the next opening must name.
    closed: Option<(Epoch, [u8; 32])>,
    early: VecDeque<(TrackName, Epoch, Bytes)>,
    early_bytes: usize,
    /// A wall clock claim and the media time it was for.
    anchor: Option<(u64, MediaTime)>,
    /// Claimed wall clock minus ours, in µs, when the camera signed our challenge last: then it was not old.
    proved: Option<i128>,
}

impl Viewer {
    /// A viewer with `device`'s key that trusts `camera` alone. `challenge` is 16 bytes drawn at random by the caller.
    pub fn new(device: DeviceKey, camera: VerifyingKey, challenge: Challenge) -> Self {
        Self {
            device,
            retired: Vec::new(),
            camera,
            challenge,
            session: None,
            events: VecDeque::new(),
            drops: Drops::default(),
            plaintext: Zeroizing::new(Vec::new()),
        }
    }

    /// Also opens what is sealed to keys that this device had before, as a camera does which has not heard of the newest. The newest first.
    pub fn with_retired(mut self, keys: Vec<DeviceKey>) -> Self {
        self.retired = keys;
        self
    }

    /// Takes a session manifest. The session watched before is let go, its keys with it.
    ///
    /// # Errors
    /// Why this device does not watch that session; the one before is kept then.
    pub fn handle_session(&mut self, record: &[u8]) -> Result<&SessionFacts, SessionRefused> {
        let manifest = SessionManifest::parse(record).inspect_err(|_| self.drops.malformed += 1)?;
        let mut opened = manifest.clone().open(&self.device, &self.camera);
        for key in &self.retired {
            if matches!(opened, Err(SessionRefused::NotForUs)) {
                opened = manifest.clone().open(key, &self.camera);
            }
        }
        let opened = opened.inspect_err(|refused| match refused {
            SessionRefused::Malformed(_) => self.drops.malformed += 1,
            SessionRefused::NotForUs | SessionRefused::Unopened => self.drops.unopened += 1,
            _ => self.drops.forged += 1,
        })?;
        let watched = self.session.insert(Watched {
            opened,
            epochs: BTreeMap::new(),
            newest: None,
            closed: None,
            early: VecDeque::new(),
            early_bytes: 0,
            anchor: None,
            proved: None,
        });
        Ok(&watched.opened.facts)
    }

    /// Takes the opening of an epoch; `wall_us` is the viewer's own clock, µs since 1970.
    pub fn handle_opening(&mut self, record: &[u8], wall_us: u64) {
        let Some(session) = self.session.as_mut() else {
            self.drops.early += 1;
            return;
        };
        let facts = &session.opened.facts;
        let opening = match facts.opening(record) {
            Ok(opening) => opening,
            Err(RecordRefused::Malformed(_)) => return self.drops.malformed += 1,
            Err(_) => return self.drops.forged += 1,
        };
        if session.newest.is_some_and(|newest| opening.epoch <= newest) {
            self.drops.replayed += 1;
            let kept = session.epochs.get(&opening.epoch);
            if kept.is_some_and(|kept| kept.opening() != Opening::hash(record)) {
                self.events.push_back(Event::Alarm(Alarm::Twice(opening.epoch)));
            }
            return;
        }
        // Clocks may be wrong; a challenge that is signed is not. Once proved, the claims have to go on from there.
        let offset = i128::from(opening.wall_us) - i128::from(wall_us);
        let off = Duration::from_micros(opening.wall_us.abs_diff(wall_us));
        let answered = opening.challenges.contains(&self.challenge);
        let goes_on = session.proved.is_some_and(|proved| (offset - proved).unsigned_abs() <= FRESH.as_micros());
        if off > FRESH && !answered && !goes_on {
            self.drops.stale += 1;
            self.events.push_back(Event::Alarm(Alarm::Stale(off)));
            return;
        }
        let Some(leaf) = session.opened.root.leaf(opening.epoch) else {
            return self.drops.malformed += 1;
        };
        let Ok(keys) = opening.keys(&leaf) else {
            self.drops.uncommitted += 1;
            return self.events.push_back(Event::Alarm(Alarm::Uncommitted(opening.epoch)));
        };
        let tracks = keys.iter().map(|keys| TrackState::new(facts.suite, facts.id, keys)).collect();
        if let Some((after, hash)) = session.closed {
            match opening.join((after, hash)) {
                Join::Cut => self.events.push_back(Event::Alarm(Alarm::Cut(opening.epoch))),
                Join::Missing if session.newest == Some(after) => {
                    self.events.push_back(Event::Missing { after, before: opening.epoch });
                }
                Join::Missing | Join::Follows => {}
            }
        }
        if answered {
            session.proved = Some(offset);
        }
        session.anchor = Some((opening.wall_us, opening.at));
        session.newest = Some(opening.epoch);
        session.epochs.insert(opening.epoch, EpochState::new(Opening::hash(record), tracks));
        while session.epochs.len() > OPEN_EPOCHS
            && let Some((epoch, mut state)) = session.epochs.pop_first()
        {
            let unclosed = !state.is_closed();
            self.events.extend(state.end(epoch));
            if unclosed {
                self.events.push_back(Event::Unclosed(epoch));
            }
        }
        let early = std::mem::take(&mut session.early);
        session.early_bytes = 0;
        for (track, epoch, object) in early {
            self.handle_object(track, epoch, object);
        }
    }

    /// Takes an object of `track` from the group of `epoch`.
    pub fn handle_object(&mut self, track: TrackName, epoch: Epoch, object: Bytes) {
        let Some(session) = self.session.as_mut() else {
            self.drops.early += 1;
            return;
        };
        if object.len() > MAX_OBJECT {
            return self.drops.malformed += 1;
        }
        let Some(epoch_state) = session.epochs.get_mut(&epoch) else {
            if session.newest.is_some_and(|newest| epoch <= newest) {
                return self.drops.replayed += 1;
            }
            // Groups travel on streams of their own: a picture may overtake the manifest that lets us open it.
            if session.early.len() >= EARLY_OBJECTS || session.early_bytes + object.len() > EARLY_BYTES {
                return self.drops.early += 1;
            }
            session.early_bytes += object.len();
            return session.early.push_back((track, epoch, object));
        };
        let Some(state) = epoch_state.track(track) else {
            return self.drops.forged += 1;
        };
        let position = match state.open(&object, &mut self.plaintext) {
            Ok(position) => position,
            Err(OpenError::Malformed) => return self.drops.malformed += 1,
            Err(OpenError::Epoch { .. }) => return self.drops.wrong_epoch += 1,
            Err(OpenError::Unopened) => return self.drops.unopened += 1,
        };
        if !state.first_time(position) {
            return self.drops.replayed += 1;
        }
        state.chain(position, &object);
        let happened = match track {
            TrackName::EVENT => events::parse(&self.plaintext),
            TrackName::BELL => events::parse_bell(&self.plaintext).map(|bell| vec![bell]),
            _ => unit::parse(&self.plaintext).map(|unit| {
                self.events.push_back(Event::Unit { track, epoch, position, unit });
                Vec::new()
            }),
        };
        match happened {
            Ok(happened) => {
                let news = happened.into_iter().filter(|event| epoch_state.tell(*event));
                self.events.extend(news.map(|event| Event::Happened { epoch, event }));
            }
            Err(_) => self.drops.malformed += 1,
        }
        self.settle(epoch);
    }

    /// Takes the closing of an epoch.
    pub fn handle_closing(&mut self, record: &[u8]) {
        let Some(session) = self.session.as_mut() else {
            self.drops.early += 1;
            return;
        };
        let facts = &session.opened.facts;
        let closing = match facts.closing(record) {
            Ok(closing) => closing,
            Err(RecordRefused::Malformed(_)) => return self.drops.malformed += 1,
            Err(_) => return self.drops.forged += 1,
        };
        let epoch = closing.epoch;
        let Some(state) = session.epochs.get_mut(&epoch) else {
            // Of an epoch long over, or of one whose opening was not taken.
            let over = session.newest.is_some_and(|newest| epoch <= newest);
            return if over { self.drops.replayed += 1 } else { self.drops.early += 1 };
        };
        if closing.opening != state.opening() {
            self.events.push_back(Event::Alarm(Alarm::Changed(epoch)));
            return;
        }
        match state.close(closing) {
            Closed::First => {
                if session.closed.is_none_or(|(closed, _)| closed < epoch) {
                    session.closed = Some((epoch, Closing::hash(record)));
                }
            }
            Closed::Again => return self.drops.replayed += 1,
            Closed::Different => {
                self.drops.replayed += 1;
                return self.events.push_back(Event::Alarm(Alarm::Twice(epoch)));
            }
        }
        self.settle(epoch);
    }

    /// The group of `epoch` is over: of what was signed and is not here, nothing will come.
    pub fn end_epoch(&mut self, epoch: Epoch) {
        let state = self.session.as_mut().and_then(|session| session.epochs.get_mut(&epoch));
        if let Some(state) = state {
            self.events.extend(state.end(epoch));
        }
    }

    /// Ends an epoch once all that was signed is here.
    fn settle(&mut self, epoch: Epoch) {
        let Some(session) = self.session.as_mut() else { return };
        if let Some(state) = session.epochs.get_mut(&epoch)
            && state.is_complete()
        {
            self.events.extend(state.settle(epoch));
        }
    }

    /// Nothing more comes at all: settles what is open.
    pub fn end(&mut self) {
        if let Some(session) = self.session.as_mut() {
            for (epoch, state) in &mut session.epochs {
                self.events.extend(state.end(*epoch));
            }
        }
    }

    /// The next thing to know or to show, if there is one.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// What was dropped so far.
    pub fn drops(&self) -> Drops {
        self.drops
    }

    /// The session being watched.
    pub fn session(&self) -> Option<&SessionFacts> {
        self.session.as_ref().map(|session| &session.opened.facts)
    }

    /// What device lists travel under in the session being watched.
    pub fn letters(&self) -> Option<LetterKey> {
        self.session.as_ref().map(|session| LetterKey::derive(&session.opened.root, session.opened.facts.id))
    }

    /// Newest epoch that was opened.
    pub fn epoch(&self) -> Option<Epoch> {
        self.session.as_ref()?.newest
    }

    /// Whether the camera has signed this viewer's challenge in this session: what is shown was made after it was drawn.
    pub fn is_proved_fresh(&self) -> bool {
        self.session.as_ref().is_some_and(|session| session.proved.is_some())
    }

    /// The camera's wall clock (µs since 1970) at a media time, by its newest verified claim.
    pub fn wall_us(&self, at: MediaTime) -> Option<u64> {
        let (wall_us, anchor) = self.session.as_ref()?.anchor?;
        let micros = |d: Duration| u64::try_from(d.as_micros()).ok();
        if at >= anchor {
            wall_us.checked_add(micros(at.as_duration().saturating_sub(anchor.as_duration()))?)
        } else {
            wall_us.checked_sub(micros(anchor.as_duration().saturating_sub(at.as_duration()))?)
        }
    }

    /// What this viewer wants signed: see `docs/wire.md` §5.
    pub fn challenge(&self) -> Challenge {
        self.challenge
    }
}
