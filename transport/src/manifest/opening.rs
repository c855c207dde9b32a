//! Opening of an epoch: signed before its first object.

use super::{DeviceListRef, MAX_TRACKS, RecordError, sign, verified};
use crate::identity::{Hash, SigningKey, VerifyingKey, hash};
use crate::keys::{Commitment, Epoch, EpochKeys, Leaf, SessionId};
use crate::parse::Reader;
use crate::track::TrackName;
use doorframe_codec::units::MediaTime;

/// Bytes that a viewer drew and the camera signed: footage that carries them was made after they were drawn.
pub type Challenge = [u8; 16];

/// A track and what its key of this epoch commits to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpeningTrack {
    /// Which track.
    pub name: TrackName,
    /// Of its key.
    pub commitment: Commitment,
}

/// What a camera says at the start of an epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opening {
    /// Which session.
    pub session: SessionId,
    /// Which epoch.
    pub epoch: Epoch,
    /// The camera's wall clock at [`at`](Self::at), µs since 1970: a claim.
    pub wall_us: u64,
    /// A moment on the session's clock.
    pub at: MediaTime,
    /// Hash of the closing before; zeros in the session's first.
    pub previous: Hash,
    /// Device list in force.
    pub devices: DeviceListRef,
    /// Newest checkpoint of the request log that the camera has seen; zeros: none.
    pub checkpoint: Hash,
    /// Tracks of this epoch, 1 to 8.
    pub tracks: Vec<OpeningTrack>,
    /// Challenges answered, at most 16.
    pub challenges: Vec<Challenge>,
}

/// How an opening goes on from an earlier closing of its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Join {
    /// It names that closing: the camera made nothing between.
    Follows,
    /// It is of the very next epoch and names another closing.
    Cut,
    /// It names another closing, of an epoch between.
    Missing,
}

const LABEL: &[u8] = b"doorframe/1 opening";
const TYPE: u8 = 2;

impl Opening {
    /// Most challenges in one opening.
    pub const MAX_CHALLENGES: usize = 16;

    /// The signed record. Tracks and challenges over the limits are left out.
    pub fn emit(&self, key: &SigningKey) -> Vec<u8> {
        let mut out = vec![1, TYPE];
        out.extend_from_slice(&self.session.0);
        out.extend_from_slice(&self.epoch.0.to_be_bytes());
        out.extend_from_slice(&self.wall_us.to_be_bytes());
        out.extend_from_slice(&self.at.ticks().to_be_bytes());
        out.extend_from_slice(&self.previous);
        out.extend_from_slice(&self.devices.version.to_be_bytes());
        out.extend_from_slice(&self.devices.hash);
        out.extend_from_slice(&self.checkpoint);
        out.push(self.tracks.len().min(MAX_TRACKS) as u8);
        for track in self.tracks.iter().take(MAX_TRACKS) {
            track.name.emit(&mut out);
            out.extend_from_slice(&track.commitment.0);
        }
        out.push(self.challenges.len().min(Self::MAX_CHALLENGES) as u8);
        for challenge in self.challenges.iter().take(Self::MAX_CHALLENGES) {
            out.extend_from_slice(challenge);
        }
        sign(&mut out, LABEL, key);
        out
    }

    /// Reads a record, its signature not checked.
    ///
    /// # Errors
    /// If it is cut short, goes on after its end, or a field is out of range.
    pub fn parse(record: &[u8]) -> Result<Self, RecordError> {
        let mut reader = Reader::new(record);
        let opening = Self::parse_body(&mut reader)?;
        reader.array::<64>()?;
        reader.end()?;
        Ok(opening)
    }

    /// Reads a record if `key` signed it: `Ok(None)` if not.
    ///
    /// # Errors
    /// As [`Opening::parse`].
    pub fn verify(record: &[u8], key: &VerifyingKey) -> Result<Option<Self>, RecordError> {
        let opening = Self::parse(record)?;
        Ok(verified(record, LABEL, key).map(|_| opening))
    }

    fn parse_body(reader: &mut Reader<'_>) -> Result<Self, RecordError> {
        reader.head(TYPE)?;
        let mut opening = Self {
            session: SessionId(reader.array()?),
            epoch: Epoch(reader.u32()?),
            wall_us: reader.u64()?,
            at: MediaTime::from_ticks(reader.u64()?),
            previous: reader.array()?,
            devices: DeviceListRef { version: reader.u32()?, hash: reader.array()? },
            checkpoint: reader.array()?,
            tracks: Vec::new(),
            challenges: Vec::new(),
        };
        let tracks = reader.u8()?;
        if tracks == 0 || usize::from(tracks) > MAX_TRACKS {
            return Err(RecordError::Field { field: "tracks", value: tracks.into() });
        }
        for _ in 0..tracks {
            let name = TrackName::parse(reader)?;
            if opening.tracks.iter().any(|t: &OpeningTrack| t.name == name) {
                return Err(RecordError::TrackName);
            }
            opening.tracks.push(OpeningTrack { name, commitment: Commitment(reader.array()?) });
        }
        let challenges = reader.u8()?;
        if usize::from(challenges) > Self::MAX_CHALLENGES {
            return Err(RecordError::Field { field: "challenges", value: challenges.into() });
        }
        for _ in 0..challenges {
            opening.challenges.push(reader.array()?);
        }
        Ok(opening)
    }

    /// Keys of all its tracks, if each is the one that was committed to; else the first track whose key is not.
    pub(crate) fn keys(&self, leaf: &Leaf) -> Result<Vec<EpochKeys>, TrackName> {
        let derive = |track: &OpeningTrack| {
            let keys = EpochKeys::derive(leaf, self.session, track.name);
            if keys.commitment == track.commitment { Ok(keys) } else { Err(track.name) }
        };
        self.tracks.iter().map(derive).collect()
    }

    /// How it goes on from a closing: its epoch, and [its hash](super::Closing::hash).
    pub(crate) fn join(&self, closed: (Epoch, Hash)) -> Join {
        let (after, hash) = closed;
        if self.previous == hash {
            Join::Follows
        } else if after.0.checked_add(1) == Some(self.epoch.0) {
            Join::Cut
        } else {
            Join::Missing
        }
    }

    /// Hash of a whole signed record, as the closing and the next opening refer to it.
    pub fn hash(record: &[u8]) -> Hash {
        hash(&[record])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_opening_comes_back_only_from_its_signer_and_whole() {
        let key = SigningKey::from_seed(&[4; 32]).unwrap();
        let opening = Opening {
            session: SessionId([1; 16]),
            epoch: Epoch(7),
            wall_us: 1_700_000_000_000_000,
            at: MediaTime::from_ticks(14 * 90_000),
            previous: [2; 32],
            devices: DeviceListRef { version: 3, hash: [4; 32] },
            checkpoint: [0; 32],
            tracks: vec![OpeningTrack { name: TrackName::VIDEO, commitment: Commitment([5; 32]) }],
            challenges: vec![[6; 16], [7; 16]],
        };
        let record = opening.emit(&key);
        assert_eq!(Opening::verify(&record, &key.verifying_key()), Ok(Some(opening)));
        let other = SigningKey::from_seed(&[5; 32]).unwrap();
        assert_eq!(Opening::verify(&record, &other.verifying_key()), Ok(None));
        for len in 0..record.len() {
            assert!(Opening::parse(&record[..len]).is_err(), "{len} bytes");
        }
        let longer = [record.as_slice(), &[0]].concat();
        assert_eq!(Opening::parse(&longer), Err(RecordError::Long(1)));
        for at in 0..record.len() {
            let mut changed = record.clone();
            changed[at] ^= 1;
            assert!(!matches!(Opening::verify(&changed, &key.verifying_key()), Ok(Some(_))), "byte {at}");
        }
    }
}
