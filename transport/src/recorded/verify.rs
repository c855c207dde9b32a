//! Whether a recorded epoch is what the camera sealed, and what is in it.

use super::{EpochFile, Outline};
use crate::drops::Drops;
use crate::events::{self, CameraEvent};
use crate::keys::{Epoch, Leaf, SessionId};
use crate::manifest::{Closing, Opening, RecordRefused, SessionFacts};
use crate::seal::OpenError;
use crate::track::TrackName;
use crate::unit::{self, MediaUnit};
use crate::viewer::epoch::TrackState;
use thiserror::Error;
use zeroize::Zeroizing;

/// Why an epoch is not one that this session's camera sealed. An honest store never causes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum EpochRefused {
    /// Of another session, so perhaps of another camera.
    #[error("it is of session {0}")]
    Session(SessionId),
    /// Its opening is not one of this session's.
    #[error("its opening: {0}")]
    Opening(RecordRefused),
    /// Its closing is not one of this session's.
    #[error("its closing: {0}")]
    Closing(RecordRefused),
    /// Its opening is of another epoch than the file says.
    #[error("its opening is of epoch {0}")]
    OpeningEpoch(Epoch),
    /// Its closing is of another epoch.
    #[error("its closing is of epoch {0}")]
    ClosingEpoch(Epoch),
    /// Its closing does not name its opening.
    #[error("its closing is of another opening")]
    ClosingOpening,
    /// A track that the opening does not name.
    #[error("track {0} was never announced")]
    Track(TrackName),
    /// Objects were added, exchanged or put in another order.
    #[error("track {0} is not what the camera signed")]
    Changed(TrackName),
    /// The leaf is another epoch's.
    #[error("the key is for epoch {0}")]
    Leaf(Epoch),
    /// The leaf does not give the key that the camera committed to.
    #[error("the key of track {0} is not the one that was committed to")]
    Uncommitted(TrackName),
}

/// What an epoch holds, signatures and chain checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// What the camera said at its start.
    pub opening: Opening,
    /// What the camera said at its end; `None` if that is missing: then what is here may not be all.
    pub closing: Option<Closing>,
    /// Tracks of which objects are missing, and how many.
    pub missing: Vec<(TrackName, u64)>,
}

impl Verdict {
    /// Whether everything that was sealed is here, unchanged and in order.
    pub fn is_complete(&self) -> bool {
        self.closing.is_some() && self.missing.is_empty()
    }
}

/// Checks an epoch without keys: signatures, session, epoch, and for each track its count and chain.
///
/// # Errors
/// The first check that fails. What is missing is not an error but in the [`Verdict`].
pub fn verify(file: &EpochFile, facts: &SessionFacts) -> Result<Verdict, EpochRefused> {
    Outline::of(file).verify(facts)
}

/// An access unit of a recorded epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedUnit {
    /// Its track.
    pub track: TrackName,
    /// Its position in the epoch.
    pub position: u64,
    /// The unit.
    pub unit: MediaUnit,
}

/// An epoch, opened.
#[derive(Debug)]
pub struct EpochOpened {
    /// Whether it is all there.
    pub verdict: Verdict,
    /// Access units of the media tracks, each track in the order of the file.
    pub units: Vec<RecordedUnit>,
    /// What happened, in the order in which it was sealed; each once, though a doorbell is on two tracks.
    pub events: Vec<CameraEvent>,
    /// Objects that did not open, by reason.
    pub drops: Drops,
}

/// Checks an epoch as [`verify`] does, then the commitments, and opens its objects with the epoch's leaf. An object that does not open is
/// counted and passed over; an alarm it is all the same: no lossy network stands between a store and its reader.
///
/// # Errors
/// The first check that fails; nothing is opened then.
pub fn open(file: &EpochFile, facts: &SessionFacts, leaf: &Leaf) -> Result<EpochOpened, EpochRefused> {
    let verdict = verify(file, facts)?;
    if leaf.epoch() != file.epoch {
        return Err(EpochRefused::Leaf(leaf.epoch()));
    }
    let keys = verdict.opening.keys(leaf).map_err(EpochRefused::Uncommitted)?;
    let (mut units, mut happened, mut drops) = (Vec::new(), Vec::new(), Drops::default());
    let mut plaintext = Zeroizing::new(Vec::new());
    for keys in &keys {
        let mut state = TrackState::new(facts.suite, facts.id, keys);
        let track = state.name();
        for object in file.track(track) {
            let position = match state.open(object, &mut plaintext) {
                Ok(position) => position,
                Err(error) => {
                    match error {
                        OpenError::Malformed => drops.malformed += 1,
                        OpenError::Epoch { .. } => drops.wrong_epoch += 1,
                        OpenError::Unopened => drops.unopened += 1,
                    }
                    continue;
                }
            };
            if !state.first_time(position) {
                drops.replayed += 1;
                continue;
            }
            let parsed = match track {
                TrackName::EVENT => events::parse(&plaintext),
                TrackName::BELL => events::parse_bell(&plaintext).map(|bell| vec![bell]),
                _ => unit::parse(&plaintext).map(|unit| {
                    units.push(RecordedUnit { track, position, unit });
                    Vec::new()
                }),
            };
            match parsed {
                Ok(found) => found.into_iter().for_each(|event| {
                    // At most 4096 objects a track: this stays short.
                    if !happened.contains(&event) {
                        happened.push(event);
                    }
                }),
                Err(_) => drops.malformed += 1,
            }
        }
    }
    Ok(EpochOpened { verdict, units, events: happened, drops })
}
