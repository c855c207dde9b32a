//! An epoch without its objects: what signatures and chains can be checked by when nothing else is left.

use super::EpochFile;
use super::verify::{EpochRefused, Verdict};
use crate::identity::{Hash, hash};
use crate::keys::{Epoch, SessionId};
use crate::manifest::{Came, Chain, Closing, Opening, SessionFacts};
use crate::track::TrackName;
use bytes::Bytes;

/// The signed records of an epoch and the hashes of its sealed objects, none of them checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outline {
    /// Session it says it is of.
    pub session: SessionId,
    /// Epoch it says it is of.
    pub epoch: Epoch,
    /// The signed opening.
    pub opening: Bytes,
    /// The signed closing; `None` if it never came.
    pub closing: Option<Bytes>,
    /// Its tracks, and the hash of each sealed object, in order.
    pub tracks: Vec<(TrackName, Vec<Hash>)>,
}

impl Outline {
    /// What is left of `file` without its objects.
    pub fn of(file: &EpochFile) -> Self {
        let hashes = |objects: &[Bytes]| objects.iter().map(|object| hash(&[object])).collect();
        Self {
            session: file.session,
            epoch: file.epoch,
            opening: file.opening.clone(),
            closing: file.closing.clone(),
            tracks: file.tracks.iter().map(|track| (track.name, hashes(&track.objects))).collect(),
        }
    }

    /// Objects over all tracks.
    pub fn objects(&self) -> usize {
        self.tracks.iter().map(|(_, objects)| objects.len()).sum()
    }

    /// Checks it as [`verify`](super::verify) checks a whole epoch. Whoever has the objects compares their hashes himself.
    ///
    /// # Errors
    /// The first check that fails. What is missing is not an error but in the [`Verdict`].
    pub fn verify(&self, facts: &SessionFacts) -> Result<Verdict, EpochRefused> {
        let (opening, closing) = self.records(facts)?;
        let mut missing = Vec::new();
        if let Some(closing) = &closing {
            let came = |name: TrackName| {
                let objects = self.tracks.iter().find(|(track, _)| *track == name);
                let objects = objects.map_or(&[][..], |(_, objects)| objects);
                let mut chain = Chain::new(self.session, self.epoch, name);
                objects.iter().for_each(|object| chain.add_hash(object));
                Came { name, objects: objects.len() as u64, end: objects.len() as u64, chain: Some(chain) }
            };
            let compared = closing.compare(opening.tracks.iter().map(|track| came(track.name)));
            if let Some(name) = compared.changed {
                return Err(EpochRefused::Changed(name));
            }
            missing = compared.missing;
        }
        Ok(Verdict { opening, closing, missing })
    }

    /// Signed records of the session and epoch that it says it is of, and no tracks beyond those of the opening.
    fn records(&self, facts: &SessionFacts) -> Result<(Opening, Option<Closing>), EpochRefused> {
        if self.session != facts.id {
            return Err(EpochRefused::Session(self.session));
        }
        let opening = facts.opening(&self.opening).map_err(EpochRefused::Opening)?;
        if opening.epoch != self.epoch {
            return Err(EpochRefused::OpeningEpoch(opening.epoch));
        }
        let closing = match &self.closing {
            Some(record) => Some(facts.closing(record).map_err(EpochRefused::Closing)?),
            None => None,
        };
        if let Some(closing) = &closing {
            if closing.epoch != self.epoch {
                return Err(EpochRefused::ClosingEpoch(closing.epoch));
            }
            if closing.opening != Opening::hash(&self.opening) {
                return Err(EpochRefused::ClosingOpening);
            }
        }
        let announced = |name| opening.tracks.iter().any(|track| track.name == name);
        match self.tracks.iter().find(|(name, _)| !announced(*name)) {
            Some((name, _)) => Err(EpochRefused::Track(*name)),
            None => Ok((opening, closing)),
        }
    }
}
