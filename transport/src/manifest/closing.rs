//! Closing of an epoch: signed after its last object.

use super::{MAX_TRACKS, RecordError, sign, verified};
use crate::identity::{Hash, SigningKey, VerifyingKey, hash};
use crate::keys::{Epoch, SessionId};
use crate::parse::Reader;
use crate::track::TrackName;

/// Running hash over the sealed objects of one track in one epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chain {
    objects: u32,
    hash: Hash,
}

impl Chain {
    /// The chain before the first object.
    pub fn new(session: SessionId, epoch: Epoch, track: TrackName) -> Self {
        let hash = hash(&[b"doorframe/1 chain", &session.0, &epoch.0.to_be_bytes(), track.as_bytes()]);
        Self { objects: 0, hash }
    }

    /// Adds the next object, as sealed.
    pub fn add(&mut self, object: &[u8]) {
        self.add_hash(&hash(&[object]));
    }

    /// Adds the next object by its hash, for whoever has no more of it.
    pub fn add_hash(&mut self, object: &Hash) {
        self.hash = hash(&[&self.hash, object]);
        self.objects = self.objects.saturating_add(1);
    }

    /// Objects added.
    pub fn objects(&self) -> u32 {
        self.objects
    }
}

/// A track and what was sealed in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClosingTrack {
    /// Which track.
    pub name: TrackName,
    /// Its objects.
    pub chain: Chain,
}

/// What a camera says at the end of an epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closing {
    /// Which session.
    pub session: SessionId,
    /// Which epoch.
    pub epoch: Epoch,
    /// Hash of the signed opening of the same epoch.
    pub opening: Hash,
    /// Tracks of this epoch, 1 to 8.
    pub tracks: Vec<ClosingTrack>,
}

/// What came of a track, to be compared with what was signed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Came {
    pub(crate) name: TrackName,
    /// Different objects that came.
    pub(crate) objects: u64,
    /// One past the highest position that came.
    pub(crate) end: u64,
    /// Over all that came; `None` if not all came in order, so that the rest cannot be checked.
    pub(crate) chain: Option<Chain>,
}

/// What a closing says of what came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Compared {
    /// Objects signed, over all tracks that were compared.
    pub(crate) objects: u64,
    /// Tracks of which objects did not come, and how many.
    pub(crate) missing: Vec<(TrackName, u64)>,
    /// The first track that is not what was signed.
    pub(crate) changed: Option<TrackName>,
}

impl Compared {
    /// Objects that did not come, over all tracks.
    pub(crate) fn lost(&self) -> u64 {
        self.missing.iter().map(|(_, objects)| objects).sum()
    }
}

const LABEL: &[u8] = b"doorframe/1 closing";
const TYPE: u8 = 3;

impl Closing {
    /// The signed record. Tracks over the limit are left out.
    pub fn emit(&self, key: &SigningKey) -> Vec<u8> {
        let mut out = vec![1, TYPE];
        out.extend_from_slice(&self.session.0);
        out.extend_from_slice(&self.epoch.0.to_be_bytes());
        out.extend_from_slice(&self.opening);
        out.push(self.tracks.len().min(MAX_TRACKS) as u8);
        for track in self.tracks.iter().take(MAX_TRACKS) {
            track.name.emit(&mut out);
            out.extend_from_slice(&track.chain.objects.to_be_bytes());
            out.extend_from_slice(&track.chain.hash);
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
        reader.head(TYPE)?;
        let mut closing = Self {
            session: SessionId(reader.array()?),
            epoch: Epoch(reader.u32()?),
            opening: reader.array()?,
            tracks: Vec::new(),
        };
        let tracks = reader.u8()?;
        if tracks == 0 || usize::from(tracks) > MAX_TRACKS {
            return Err(RecordError::Field { field: "tracks", value: tracks.into() });
        }
        for _ in 0..tracks {
            let name = TrackName::parse(&mut reader)?;
            if closing.tracks.iter().any(|t: &ClosingTrack| t.name == name) {
                return Err(RecordError::TrackName);
            }
            let chain = Chain { objects: reader.u32()?, hash: reader.array()? };
            closing.tracks.push(ClosingTrack { name, chain });
        }
        reader.array::<64>()?;
        reader.end()?;
        Ok(closing)
    }

    /// Reads a record if `key` signed it: `Ok(None)` if not.
    ///
    /// # Errors
    /// As [`Closing::parse`].
    pub fn verify(record: &[u8], key: &VerifyingKey) -> Result<Option<Self>, RecordError> {
        let closing = Self::parse(record)?;
        Ok(verified(record, LABEL, key).map(|_| closing))
    }

    /// Compares what came of each track with what was signed.
    pub(crate) fn compare(&self, came: impl Iterator<Item = Came>) -> Compared {
        let mut compared = Compared::default();
        for track in came {
            let signed = self.tracks.iter().find(|signed| signed.name == track.name);
            let wanted = signed.map_or(0, |signed| u64::from(signed.chain.objects));
            let differs = signed.is_some_and(|s| track.chain.is_some_and(|chain| chain != s.chain));
            // A position that was never sealed: whatever else is missing, somebody added it.
            if track.end > wanted || (track.objects == wanted && differs) {
                compared.changed.get_or_insert(track.name);
            }
            compared.objects += wanted;
            if track.objects < wanted {
                compared.missing.push((track.name, wanted - track.objects));
            }
        }
        compared
    }

    /// Hash of a whole signed record, as the next opening refers to it.
    pub fn hash(record: &[u8]) -> Hash {
        hash(&[record])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_tells_order_loss_and_change() {
        let new = || Chain::new(SessionId([1; 16]), Epoch(2), TrackName::VIDEO);
        let chain = |objects: &[&[u8]]| {
            let mut chain = new();
            objects.iter().for_each(|o| chain.add(o));
            chain
        };
        let right = chain(&[b"a", b"b", b"c"]);
        assert_eq!(right.objects(), 3);
        for wrong in
            [chain(&[b"b", b"a", b"c"]), chain(&[b"a", b"b"]), chain(&[b"a", b"b", b"d"]), chain(&[b"ab", b"", b"c"])]
        {
            assert_ne!(right, wrong);
        }
        assert_ne!(new(), Chain::new(SessionId([1; 16]), Epoch(3), TrackName::VIDEO));
    }

    #[test]
    fn a_closing_comes_back_only_from_its_signer_and_whole() {
        let key = SigningKey::from_seed(&[4; 32]).unwrap();
        let mut chain = Chain::new(SessionId([1; 16]), Epoch(2), TrackName::VIDEO);
        chain.add(b"object");
        let closing = Closing {
            session: SessionId([1; 16]),
            epoch: Epoch(2),
            opening: [9; 32],
            tracks: vec![ClosingTrack { name: TrackName::VIDEO, chain }],
        };
        let record = closing.emit(&key);
        assert_eq!(Closing::verify(&record, &key.verifying_key()), Ok(Some(closing)));
        for len in 0..record.len() {
            assert!(Closing::parse(&record[..len]).is_err(), "{len} bytes");
        }
        for at in 0..record.len() {
            let mut changed = record.clone();
            changed[at] ^= 1;
            assert!(!matches!(Closing::verify(&changed, &key.verifying_key()), Ok(Some(_))), "byte {at}");
        }
    }
}
