//! The end that both codecs share: what may go out, and when.

use super::facts::{Drops, Facts, Missing, Refused};
use super::{MAX_UNIT, PATIENCE};
use crate::access_unit::{AccessUnit, Kind};
use crate::units::{MediaTime, TemporalLayer};
use bytes::Bytes;
use std::collections::VecDeque;

/// Units that go out, with what was counted on the way.
#[derive(Debug, Default)]
pub(super) struct Outlet {
    pub(super) units: VecDeque<AccessUnit>,
    pub(super) drops: Drops,
    pub(super) facts: Option<Facts>,
    /// Whether deltas can be decoded: a keyframe went out, and all that came after it.
    whole: bool,
    last: Option<MediaTime>,
}

impl Outlet {
    /// Whether a delta may go out.
    pub(super) fn is_whole(&self) -> bool {
        self.whole
    }

    /// No delta goes out before the next keyframe.
    pub(super) fn wait_for_keyframe(&mut self) {
        self.whole = false;
    }

    /// Something is damaged: counted, and what depends on it is left out.
    pub(super) fn damage(&mut self) {
        self.drops.damaged += 1;
        self.whole = false;
    }

    /// Something is too large.
    pub(super) fn oversize(&mut self) {
        self.drops.oversized += 1;
        self.whole = false;
    }

    /// A unit that nothing can be made of before a keyframe comes; `why` none has.
    pub(super) fn early(&mut self, why: Missing) -> Result<(), Refused> {
        self.drops.early += 1;
        let units = self.drops.early;
        if self.facts.is_none() && units >= PATIENCE { Err(Refused::NoKeyframe { units, why }) } else { Ok(()) }
    }

    /// Sends a keyframe, from which on `facts` hold.
    pub(super) fn keyframe(&mut self, facts: Facts, data: Vec<u8>, at: MediaTime) {
        if data.len() > MAX_UNIT {
            return self.oversize();
        }
        self.facts = Some(facts);
        self.whole = true;
        self.send(facts, Kind::Keyframe, TemporalLayer::BASE, data, at);
    }

    /// Sends a delta, if it can be decoded.
    pub(super) fn delta(&mut self, layer: TemporalLayer, data: Vec<u8>, at: MediaTime) {
        if data.len() > MAX_UNIT {
            return self.oversize();
        }
        match self.facts.filter(|_| self.whole) {
            Some(facts) => self.send(facts, Kind::Delta, layer, data, at),
            None => self.drops.early += 1,
        }
    }

    fn send(&mut self, facts: Facts, kind: Kind, layer: TemporalLayer, data: Vec<u8>, at: MediaTime) {
        // Several units in one buffer have one time of capture between them.
        let at = self.last.map_or(at, |last| at.max(MediaTime::from_ticks(last.ticks().saturating_add(1))));
        self.last = Some(at);
        let (codec, size, data) = (facts.codec, facts.size, Bytes::from(data));
        self.units.push_back(AccessUnit { codec, kind, layer, size, at, data });
    }
}
