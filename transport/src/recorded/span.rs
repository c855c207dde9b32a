//! Whether recorded epochs follow each other as the camera made them.

use super::verify::{EpochRefused, Verdict};
use super::{EpochFile, EpochFileError, Outline};
use crate::identity::Hash;
use crate::keys::Epoch;
use crate::manifest::{Closing, Join, SessionFacts};
use crate::track::TrackName;
use bytes::Bytes;
use std::fmt;
use std::ops::Range;

/// Something about a span that a store should not have let happen.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// Epochs between two others are not there. Proved by the camera's chain, except at an edge of the span (`None`), where the camera
    /// itself may have made none, and next to an epoch without closing.
    Missing {
        /// The epoch before the gap; `None` at the start of the span.
        after: Option<Epoch>,
        /// The epoch after the gap; `None` at the end of the span.
        before: Option<Epoch>,
    },
    /// An epoch does not follow the one before: something was cut out, or one of them exchanged.
    Cut(Epoch),
    /// What is kept as this epoch is not what this camera's session signed.
    Swapped {
        /// Epoch asked for.
        epoch: Epoch,
        /// The check that failed.
        why: EpochRefused,
    },
    /// What is kept as this epoch is another one of the session.
    Replayed {
        /// Epoch asked for.
        asked: Epoch,
        /// Epoch that came.
        given: Epoch,
    },
    /// Parts of an epoch are missing.
    Incomplete {
        /// Which epoch.
        epoch: Epoch,
        /// Its tracks of which objects are missing, and how many; none are known without its closing.
        missing: Vec<(TrackName, u64)>,
        /// Whether its closing is there.
        closed: bool,
    },
    /// What is kept as this epoch is no epoch file any more.
    Damaged {
        /// Epoch asked for.
        epoch: Epoch,
        /// What is wrong with it.
        why: EpochFileError,
    },
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { after: Some(after), before: Some(before) } => {
                write!(f, "missing: nothing is kept between epochs {after} and {before}")
            }
            Self::Missing { after: None, before: Some(before) } => {
                write!(f, "missing: nothing is kept before epoch {before}, or the camera made nothing")
            }
            Self::Missing { after: Some(after), before: None } => {
                write!(f, "missing: nothing is kept after epoch {after}, or the camera made nothing")
            }
            Self::Missing { after: None, before: None } => f.write_str("missing: nothing is kept at all"),
            Self::Cut(epoch) => write!(f, "cut: epoch {epoch} does not follow the epoch before"),
            Self::Swapped { epoch, why } => write!(f, "swapped: epoch {epoch} is not this camera's: {why}"),
            Self::Replayed { asked, given } => write!(f, "replayed: epoch {given} is kept as epoch {asked}"),
            Self::Incomplete { epoch, closed: false, .. } => {
                write!(f, "incomplete: epoch {epoch} has no closing, so what is kept may not be all")
            }
            Self::Incomplete { epoch, missing, .. } => {
                write!(f, "incomplete: epoch {epoch} lacks")?;
                missing.iter().try_for_each(|(track, objects)| write!(f, " {objects} of {track}"))
            }
            Self::Damaged { epoch, why } => write!(f, "damaged: epoch {epoch}: {why}"),
        }
    }
}

/// Checks the recorded epochs of one session, in order, without keys.
#[derive(Debug)]
pub struct SpanCheck {
    facts: SessionFacts,
    span: Range<u64>,
    seen: Option<Seen>,
    verdict: SpanVerdict,
}

/// The newest epoch that held.
#[derive(Debug)]
struct Seen {
    epoch: Epoch,
    closing: Option<Hash>,
}

/// What was found of a span.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SpanVerdict {
    /// Epochs that hold.
    pub epochs: u64,
    /// Objects in them.
    pub objects: u64,
    /// The first of them and the last.
    pub reached: Option<(Epoch, Epoch)>,
    /// What is wrong, in order.
    pub faults: Vec<Fault>,
}

impl SpanVerdict {
    /// Whether every epoch of the span that the camera made is there, whole and unchanged.
    pub fn is_complete(&self) -> bool {
        self.faults.is_empty() && self.epochs > 0
    }
}

impl SpanCheck {
    /// A check of the epochs from `span.start` up to but not including `span.end`. `facts` are to be trusted: from a session manifest that was
    /// opened, or from a certificate.
    pub fn new(facts: SessionFacts, span: Range<u64>) -> Self {
        Self { facts, span, seen: None, verdict: SpanVerdict::default() }
    }

    /// Takes what is kept as epoch `asked`, the next one in rising order, and gives it back parsed if it holds.
    pub fn handle(&mut self, asked: Epoch, file: &Bytes) -> Option<(EpochFile, Verdict)> {
        let file = match EpochFile::parse(file) {
            Ok(file) => file,
            Err(why) => return self.fault(Fault::Damaged { epoch: asked, why }),
        };
        let verdict = self.handle_outline(asked, &Outline::of(&file))?;
        Some((file, verdict))
    }

    /// The same of an epoch whose objects are known by their hashes alone.
    pub fn handle_outline(&mut self, asked: Epoch, outline: &Outline) -> Option<Verdict> {
        let verdict = match outline.verify(&self.facts) {
            Ok(verdict) => verdict,
            Err(EpochRefused::OpeningEpoch(given)) => return self.fault(Fault::Replayed { asked, given }),
            Err(why) => return self.fault(Fault::Swapped { epoch: asked, why }),
        };
        let epoch = outline.epoch;
        let early = self.seen.as_ref().is_some_and(|seen| epoch <= seen.epoch);
        if epoch != asked || early {
            return self.fault(Fault::Replayed { asked, given: epoch });
        }
        self.join(&verdict);
        if !verdict.is_complete() {
            let (missing, closed) = (verdict.missing.clone(), verdict.closing.is_some());
            self.verdict.faults.push(Fault::Incomplete { epoch, missing, closed });
        }
        self.seen = Some(Seen { epoch, closing: outline.closing.as_deref().map(Closing::hash) });
        self.verdict.epochs += 1;
        self.verdict.objects += outline.objects() as u64;
        let first = self.verdict.reached.map_or(epoch, |(first, _)| first);
        self.verdict.reached = Some((first, epoch));
        Some(verdict)
    }

    /// Whether an epoch follows the one seen before it.
    fn join(&mut self, verdict: &Verdict) {
        let (opening, epoch) = (&verdict.opening, verdict.opening.epoch);
        let fault = match &self.seen {
            // The session's first opening names no closing.
            None => (u64::from(epoch.0) > self.span.start && opening.previous != [0; 32])
                .then_some(Fault::Missing { after: None, before: Some(epoch) }),
            Some(Seen { epoch: after, closing: Some(hash) }) => match opening.join((*after, *hash)) {
                Join::Follows => None,
                Join::Cut => Some(Fault::Cut(epoch)),
                Join::Missing => Some(Fault::Missing { after: Some(*after), before: Some(epoch) }),
            },
            Some(Seen { epoch: after, closing: None }) => (after.0.checked_add(1) != Some(epoch.0))
                .then_some(Fault::Missing { after: Some(*after), before: Some(epoch) }),
        };
        self.verdict.faults.extend(fault);
    }

    fn fault<T>(&mut self, fault: Fault) -> Option<T> {
        self.verdict.faults.push(fault);
        None
    }

    /// Nothing more comes.
    pub fn end(mut self) -> SpanVerdict {
        let after = self.seen.as_ref().map(|seen| seen.epoch);
        let reached = after.map_or(self.span.start, |after| u64::from(after.0) + 1);
        if reached < self.span.end {
            self.verdict.faults.push(Fault::Missing { after, before: None });
        }
        self.verdict
    }
}
