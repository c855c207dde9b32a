//! One epoch as a viewer keeps it: what came, and whether it is what the camera signed.

use super::{Alarm, Event};
use crate::events::CameraEvent;
use crate::identity::Hash;
use crate::keys::{Epoch, EpochKeys, SessionId};
use crate::manifest::{Came, Chain, Closing};
use crate::seal::{OpenError, Opener, Suite};
use crate::track::TrackName;

/// Highest position in an epoch that is told from a replay: 30,000 objects a second.
const POSITIONS: u64 = 1 << 16;
/// Events of an epoch that are told; an honest camera has no more, and each of its doorbells twice.
const EVENTS: usize = 16;

/// One track of one epoch: opens its objects, once each.
#[derive(Debug)]
pub(crate) struct TrackState {
    name: TrackName,
    opener: Opener,
    /// One bit a position.
    seen: Vec<u64>,
    received: u64,
    /// One past the highest position that came.
    end: u64,
    /// `None` once an object was missing: then the rest cannot be checked.
    chain: Option<Chain>,
}

impl TrackState {
    pub(crate) fn new(suite: Suite, session: SessionId, keys: &EpochKeys) -> Self {
        Self {
            name: keys.track,
            opener: Opener::new(suite, keys),
            seen: Vec::new(),
            received: 0,
            end: 0,
            chain: Some(Chain::new(session, keys.epoch, keys.track)),
        }
    }

    pub(crate) fn open(&self, object: &[u8], plaintext: &mut Vec<u8>) -> Result<u64, OpenError> {
        self.opener.open(object, plaintext)
    }

    /// Whether `position` is seen for the first time. Only for what opened: a forged position marks nothing.
    pub(crate) fn first_time(&mut self, position: u64) -> bool {
        if position >= POSITIONS {
            return false;
        }
        let (word, bit) = ((position / 64) as usize, 1 << (position % 64));
        if self.seen.len() <= word {
            self.seen.resize(word + 1, 0);
        }
        let Some(word) = self.seen.get_mut(word) else { return false };
        let first = *word & bit == 0;
        *word |= bit;
        self.received += u64::from(first);
        self.end = self.end.max(position + 1);
        first
    }

    pub(crate) fn chain(&mut self, position: u64, object: &[u8]) {
        match &mut self.chain {
            Some(chain) if u64::from(chain.objects()) == position => chain.add(object),
            _ => self.chain = None,
        }
    }

    /// Its name.
    pub(crate) fn name(&self) -> TrackName {
        self.name
    }

    /// What came of it, to be compared with a closing.
    pub(crate) fn came(&self) -> Came {
        Came { name: self.name, objects: self.received, end: self.end, chain: self.chain }
    }
}

/// What a closing is to those that came before it.
pub(super) enum Closed {
    First,
    Again,
    Different,
}

#[derive(Debug)]
pub(super) struct EpochState {
    opening: Hash,
    tracks: Vec<TrackState>,
    closing: Option<Closing>,
    settled: bool,
    /// Events that were told.
    told: Vec<CameraEvent>,
}

impl EpochState {
    pub(super) fn new(opening: Hash, tracks: Vec<TrackState>) -> Self {
        Self { opening, tracks, closing: None, settled: false, told: Vec::new() }
    }

    pub(super) fn opening(&self) -> Hash {
        self.opening
    }

    pub(super) fn track(&mut self, name: TrackName) -> Option<&mut TrackState> {
        self.tracks.iter_mut().find(|track| track.name == name)
    }

    /// Whether an event is news: a doorbell is sealed twice, and told once.
    pub(super) fn tell(&mut self, event: CameraEvent) -> bool {
        let is_news = self.told.len() < EVENTS && !self.told.contains(&event);
        if is_news {
            self.told.push(event);
        }
        is_news
    }

    pub(super) fn close(&mut self, closing: Closing) -> Closed {
        match &self.closing {
            None => {
                self.closing = Some(closing);
                Closed::First
            }
            Some(first) if *first == closing => Closed::Again,
            Some(_) => Closed::Different,
        }
    }

    /// Whether its closing is here.
    pub(super) fn is_closed(&self) -> bool {
        self.closing.is_some()
    }

    /// Whether everything that was signed has come.
    pub(super) fn is_complete(&self) -> bool {
        let Some(closing) = &self.closing else { return false };
        closing.tracks.iter().all(|signed| {
            let received = self.tracks.iter().find(|t| t.name == signed.name).map_or(0, |t| t.received);
            received >= u64::from(signed.chain.objects())
        })
    }

    /// Compares what came with what was signed, once.
    pub(super) fn settle(&mut self, epoch: Epoch) -> Option<Event> {
        let compared = self.closing.as_ref()?.compare(self.tracks.iter().map(TrackState::came));
        if compared.changed.is_some() {
            // Said each time it is found, also when more comes later.
            self.settled = true;
            return Some(Event::Alarm(Alarm::Changed(epoch)));
        }
        let (objects, lost) = (compared.objects, compared.lost());
        (!std::mem::replace(&mut self.settled, true)).then_some(Event::Closed { epoch, objects, lost })
    }

    /// Nothing more will come.
    pub(super) fn end(&mut self, epoch: Epoch) -> Option<Event> {
        if self.settled { None } else { self.settle(epoch) }
    }
}
