//! What is kept, summed up in memory: made anew from the store's listing at each start, so that it can be wrong for no longer than a
//! program runs.

use doorframe_transport::keys::{Epoch, SessionId};
use doorframe_transport::store::{EpochEntry, Hour, Shelf};
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::Arc;

/// Epochs and bytes of each hour, and in which hours a session is.
#[derive(Debug, Default)]
pub(super) struct Catalog {
    hours: BTreeMap<(Hour, Shelf), HourTotal>,
    sessions: HashMap<(Shelf, SessionId), BTreeMap<Hour, Within>>,
    epochs: u64,
    bytes: u64,
    /// What we have put ourselves while the listing is still being read: it may be in there too.
    own: Option<HashSet<(Shelf, EpochEntry)>>,
    /// Hours whose listing was read lately, newest last.
    listed: VecDeque<(Shelf, Hour, Arc<Vec<EpochEntry>>)>,
}

/// What is kept of an hour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct HourTotal {
    pub(super) epochs: u32,
    pub(super) bytes: u64,
    /// Counts up with each change.
    changes: u64,
}

/// What an hour has of a session.
#[derive(Clone, Copy, Debug)]
struct Within {
    first: Epoch,
    last: Epoch,
    count: u32,
}

/// Listings kept in memory, of some 100 kB each.
const LISTINGS: usize = 16;

impl Catalog {
    /// A catalogue before the store was listed.
    pub(super) fn unsurveyed() -> Self {
        Self { own: Some(HashSet::new()), ..Self::default() }
    }

    /// We are about to put an epoch.
    pub(super) fn announce(&mut self, shelf: &Shelf, entry: EpochEntry) {
        if let Some(own) = &mut self.own {
            own.insert((shelf.clone(), EpochEntry { bytes: 0, ..entry }));
        }
    }

    /// We have put it.
    pub(super) fn add(&mut self, shelf: &Shelf, entry: &EpochEntry) {
        let total = self.hours.entry((entry.hour(), shelf.clone())).or_default();
        total.epochs += 1;
        total.bytes += entry.bytes;
        total.changes += 1;
        let hours = self.sessions.entry((shelf.clone(), entry.session)).or_default();
        let within = hours.entry(entry.hour()).or_insert(Within { first: entry.epoch, last: entry.epoch, count: 0 });
        within.first = within.first.min(entry.epoch);
        within.last = within.last.max(entry.epoch);
        within.count += 1;
        self.epochs += 1;
        self.bytes += entry.bytes;
        self.forget(shelf, entry.hour());
    }

    /// The listing has it.
    pub(super) fn survey(&mut self, shelf: &Shelf, entries: &[EpochEntry]) {
        for entry in entries {
            let ours = (shelf.clone(), EpochEntry { bytes: 0, ..*entry });
            if !self.own.as_ref().is_some_and(|own| own.contains(&ours)) {
                self.add(shelf, entry);
            }
        }
    }

    /// All of the listing was read.
    pub(super) fn end_survey(&mut self) {
        self.own = None;
    }

    pub(super) fn is_surveyed(&self) -> bool {
        self.own.is_none()
    }

    /// It is gone. Gives its session if that was the last of it.
    pub(super) fn remove(&mut self, shelf: &Shelf, entry: &EpochEntry) -> Option<SessionId> {
        let hour = (entry.hour(), shelf.clone());
        let total = self.hours.get_mut(&hour)?;
        total.epochs = total.epochs.saturating_sub(1);
        total.bytes = total.bytes.saturating_sub(entry.bytes);
        total.changes += 1;
        if total.epochs == 0 {
            self.hours.remove(&hour);
        }
        self.epochs = self.epochs.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(entry.bytes);
        self.forget(shelf, entry.hour());
        let session = (shelf.clone(), entry.session);
        let hours = self.sessions.get_mut(&session)?;
        if let Some(within) = hours.get_mut(&entry.hour()) {
            within.count = within.count.saturating_sub(1);
            if within.count == 0 {
                hours.remove(&entry.hour());
            }
        }
        if !hours.is_empty() {
            return None;
        }
        self.sessions.remove(&session);
        Some(entry.session)
    }

    /// An hour turned out to hold nothing, whatever is written here.
    pub(super) fn empty(&mut self, shelf: &Shelf, hour: Hour) {
        if let Some(total) = self.hours.remove(&(hour, shelf.clone())) {
            self.epochs = self.epochs.saturating_sub(total.epochs.into());
            self.bytes = self.bytes.saturating_sub(total.bytes);
        }
        self.sessions.iter_mut().filter(|((of, _), _)| of == shelf).for_each(|(_, hours)| {
            hours.remove(&hour);
        });
        self.sessions.retain(|_, hours| !hours.is_empty());
        self.forget(shelf, hour);
    }

    pub(super) fn epochs(&self) -> u64 {
        self.epochs
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Hours of all shelves, the oldest first.
    pub(super) fn oldest_first(&self) -> Vec<(Hour, Shelf)> {
        self.hours.keys().cloned().collect()
    }

    /// Hours of a shelf, the oldest first.
    pub(super) fn of_shelf(&self, shelf: &Shelf) -> Vec<(Hour, HourTotal)> {
        self.hours.iter().filter(|((_, of), _)| of == shelf).map(|((hour, _), total)| (*hour, *total)).collect()
    }

    pub(super) fn has_session(&self, shelf: &Shelf, session: SessionId) -> bool {
        self.sessions.contains_key(&(shelf.clone(), session))
    }

    /// Hours in which an epoch may be, one but for clocks that were set.
    pub(super) fn whereabouts(&self, shelf: &Shelf, session: SessionId, epoch: Epoch) -> Vec<Hour> {
        let hours = self.sessions.get(&(shelf.clone(), session)).into_iter().flatten();
        hours.filter(|(_, within)| (within.first..=within.last).contains(&epoch)).map(|(hour, _)| *hour).collect()
    }

    /// The listing of an hour, if nothing has changed in it since it was [remembered](Self::remember).
    pub(super) fn listing(&self, shelf: &Shelf, hour: Hour) -> Option<Arc<Vec<EpochEntry>>> {
        self.listed.iter().find(|(of, at, _)| of == shelf && *at == hour).map(|(.., entries)| entries.clone())
    }

    /// Changes of an hour so far.
    pub(super) fn changes(&self, shelf: &Shelf, hour: Hour) -> u64 {
        self.hours.get(&(hour, shelf.clone())).map_or(0, |total| total.changes)
    }

    /// Remembers the listing of an hour that had `changes` when it was asked for.
    pub(super) fn remember(&mut self, shelf: &Shelf, hour: Hour, changes: u64, entries: Arc<Vec<EpochEntry>>) {
        if self.changes(shelf, hour) == changes {
            self.forget(shelf, hour);
            self.listed.push_back((shelf.clone(), hour, entries));
            if self.listed.len() > LISTINGS {
                self.listed.pop_front();
            }
        }
    }

    fn forget(&mut self, shelf: &Shelf, hour: Hour) {
        self.listed.retain(|(of, at, _)| of != shelf || *at != hour);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(session: u8, epoch: u32, hour: u64) -> EpochEntry {
        let stored_us = hour * 3_600_000_000 + u64::from(epoch);
        EpochEntry { session: SessionId([session; 16]), epoch: Epoch(epoch), stored_us, bytes: 10 }
    }

    #[test]
    fn sums_follow_what_comes_and_goes_and_the_last_epoch_takes_its_session_along() {
        let shelf = Shelf::new("door").unwrap();
        let mut catalog = Catalog::default();
        let entries = [entry(1, 0, 5), entry(1, 1, 5), entry(1, 2, 6), entry(2, 0, 6)];
        entries.iter().for_each(|e| catalog.add(&shelf, e));
        assert_eq!((catalog.epochs(), catalog.bytes()), (4, 40));
        assert_eq!(catalog.oldest_first(), [(Hour(5), shelf.clone()), (Hour(6), shelf.clone())]);
        assert_eq!(catalog.whereabouts(&shelf, SessionId([1; 16]), Epoch(1)), [Hour(5)]);
        assert_eq!(catalog.whereabouts(&shelf, SessionId([1; 16]), Epoch(3)), []);
        let ended: Vec<_> = entries.iter().map(|e| catalog.remove(&shelf, e).map(|s| s.0[0])).collect();
        assert_eq!(ended, [None, None, Some(1), Some(2)]);
        assert_eq!((catalog.epochs(), catalog.bytes(), catalog.oldest_first().len()), (0, 0, 0));
    }

    #[test]
    fn what_is_put_while_the_listing_is_read_counts_once() {
        let shelf = Shelf::new("door").unwrap();
        let mut catalog = Catalog::unsurveyed();
        let (before, during) = (entry(1, 0, 5), entry(1, 1, 5));
        catalog.announce(&shelf, during);
        catalog.survey(&shelf, &[before, during]);
        catalog.add(&shelf, &during);
        catalog.end_survey();
        assert_eq!(catalog.epochs(), 2);
    }

    #[test]
    fn a_listing_that_changed_is_not_remembered() {
        let shelf = Shelf::new("door").unwrap();
        let mut catalog = Catalog::default();
        catalog.add(&shelf, &entry(1, 0, 5));
        let changes = catalog.changes(&shelf, Hour(5));
        catalog.remember(&shelf, Hour(5), changes, Arc::new(vec![entry(1, 0, 5)]));
        assert!(catalog.listing(&shelf, Hour(5)).is_some());
        catalog.add(&shelf, &entry(1, 1, 5));
        assert!(catalog.listing(&shelf, Hour(5)).is_none());
        catalog.remember(&shelf, Hour(5), changes, Arc::new(vec![]));
        assert!(catalog.listing(&shelf, Hour(5)).is_none());
    }
}
