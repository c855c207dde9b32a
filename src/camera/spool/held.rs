//! Which epochs the hub has not confirmed, where they are, and what is to be done with them. Pure.

use doorframe_codec::units::Uptime;
use doorframe_transport::keys::{Epoch, SessionId};
use doorframe_transport::recorded::EpochFile;
use doorframe_transport::store::EpochEntry;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

/// Which epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct EpochId {
    pub(super) session: SessionId,
    pub(super) epoch: Epoch,
}

impl EpochId {
    fn of(file: &EpochFile) -> Self {
        Self { session: file.session, epoch: file.epoch }
    }
}

/// How much is held.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Epochs that were sealed after one before it goes to the disk, or, where there is none, epochs in memory before the oldest is lost.
    pub(super) ring_epochs: usize,
    /// Bytes in memory, what waits for the disk among them.
    pub(super) ring_bytes: u64,
    /// Bytes on the disk; `None`: there is none.
    pub(super) disk_bytes: Option<u64>,
}

/// What became of the epochs that were sealed or found. Counts only ever go up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// The hub has them.
    pub(super) confirmed: u64,
    /// Of these, those that had been on the disk, or had to be sent again.
    pub(super) delivered: u64,
    /// Let go from the disk for room, the oldest first.
    pub(super) dropped: u64,
    /// Lost from memory: no disk, or it did not take them in time.
    pub(super) lost: u64,
    /// Files that were not what was written.
    pub(super) damaged: u64,
}

#[derive(Debug)]
struct Kept {
    id: EpochId,
    /// Connection that was there when it was sealed.
    link: Option<u64>,
    place: Place,
    /// Not sent again before.
    not_before: Uptime,
    tries: u32,
}

#[derive(Debug)]
enum Place {
    Memory(Box<EpochFile>),
    /// Still in memory, and on its way to the disk.
    Writing(Box<EpochFile>),
    Disk(EpochEntry),
}

/// An epoch that is to be sent once more.
#[derive(Clone, Debug)]
pub(super) struct Offer {
    pub(super) id: EpochId,
    pub(super) source: Source,
}

/// Where its bytes are.
#[derive(Clone, Debug)]
pub(super) enum Source {
    Memory(Box<EpochFile>),
    Disk(EpochEntry),
}

/// Epochs that were sealed and not confirmed, the oldest first.
#[derive(Debug)]
pub(super) struct Held {
    limits: Limits,
    epochs: BTreeMap<u64, Kept>,
    by_id: HashMap<EpochId, u64>,
    sessions: HashMap<SessionId, usize>,
    memory: BTreeSet<u64>,
    memory_bytes: u64,
    on_disk: usize,
    disk_bytes: u64,
    next: u64,
    found: u64,
    link: Option<u64>,
    offered: Option<u64>,
    pause: Duration,
    paused_until: Uptime,
    /// Files that nobody needs any more.
    garbage: Vec<EpochEntry>,
    counts: Counts,
}

/// Numbers of what was found at the start are below: it is older than all that is sealed now.
const FIRST_SEALED: u64 = 1 << 48;
/// Epochs after which one, whatever became of these, that came over this very connection and was not confirmed is sent again. A recorder that keeps only what is named
/// takes 18 s, nine epochs, to know that it does not want one.
const OVERDUE: usize = 10;
/// Wait before anything is sent to a hub that did not confirm the last: doubled each time.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LAST_PAUSE: Duration = Duration::from_secs(300);
/// And before the same is sent again.
const AGAIN: Duration = Duration::from_secs(30);
const LAST_AGAIN: Duration = Duration::from_secs(900);

impl Held {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            epochs: BTreeMap::new(),
            by_id: HashMap::new(),
            sessions: HashMap::new(),
            memory: BTreeSet::new(),
            memory_bytes: 0,
            on_disk: 0,
            disk_bytes: 0,
            next: FIRST_SEALED,
            found: 0,
            link: None,
            offered: None,
            pause: FIRST_PAUSE,
            paused_until: Uptime::default(),
            garbage: Vec::new(),
            counts: Counts::default(),
        }
    }

    /// The connection there is now, by its number.
    pub(super) fn handle_link(&mut self, link: Option<u64>) {
        self.link = link;
        self.handle_new_hub();
    }

    /// Who was slow or out of order may be another now: what it did not confirm is sent again at once.
    pub(super) fn handle_new_hub(&mut self) {
        self.offered = None;
        (self.pause, self.paused_until) = (FIRST_PAUSE, Uptime::default());
        self.epochs.values_mut().for_each(|kept| kept.not_before = Uptime::default());
    }

    /// An epoch was sealed.
    pub(super) fn handle_sealed(&mut self, file: EpochFile) {
        let id = EpochId::of(&file);
        self.memory_bytes += file.len() as u64;
        self.memory.insert(self.next);
        self.insert(self.next, id, self.link, Place::Memory(Box::new(file)));
        self.next += 1;
        self.fit_memory();
    }

    /// An epoch is on the disk from an earlier run. Call it in their order.
    pub(super) fn handle_found(&mut self, entry: EpochEntry) {
        let id = EpochId { session: entry.session, epoch: entry.epoch };
        if self.by_id.contains_key(&id) {
            self.garbage.push(entry);
            return;
        }
        self.on_disk += 1;
        self.disk_bytes += entry.bytes;
        self.insert(self.found, id, None, Place::Disk(entry));
        self.found += 1;
    }

    fn insert(&mut self, number: u64, id: EpochId, link: Option<u64>, place: Place) {
        self.by_id.insert(id, number);
        *self.sessions.entry(id.session).or_default() += 1;
        self.epochs.insert(number, Kept { id, link, place, not_before: Uptime::default(), tries: 0 });
    }

    fn remove(&mut self, number: u64) -> Option<Kept> {
        let kept = self.epochs.remove(&number)?;
        self.by_id.remove(&kept.id);
        if let Some(count) = self.sessions.get_mut(&kept.id.session) {
            *count -= 1;
            if *count == 0 {
                self.sessions.remove(&kept.id.session);
            }
        }
        match &kept.place {
            Place::Memory(file) | Place::Writing(file) => {
                self.memory.remove(&number);
                self.memory_bytes -= file.len() as u64;
            }
            Place::Disk(entry) => {
                self.on_disk -= 1;
                self.disk_bytes -= entry.bytes;
                self.garbage.push(*entry);
            }
        }
        if self.offered == Some(number) {
            self.offered = None;
        }
        Some(kept)
    }

    /// Lets go what does not fit into memory, the oldest first.
    fn fit_memory(&mut self) {
        let most = if self.limits.disk_bytes.is_some() { usize::MAX } else { self.limits.ring_epochs };
        while self.memory.len() > most || self.memory_bytes > self.limits.ring_bytes {
            let Some(oldest) = self.memory.first().copied() else { return };
            self.remove(oldest);
            self.counts.lost += 1;
        }
    }

    /// The next epoch that should go to the disk: all of them without a connection or `at_end`, else what is overdue. The oldest first.
    pub(super) fn poll_write(&mut self, when: When) -> Option<EpochFile> {
        self.limits.disk_bytes?;
        let number = *self.memory.first()?;
        let is_over = self.is_older(number, self.limits.ring_epochs) || self.memory_bytes > self.limits.ring_bytes / 2;
        if self.link.is_some() && when == When::Running && !is_over {
            return None;
        }
        let kept = self.epochs.get_mut(&number)?;
        let (Place::Memory(file) | Place::Writing(file)) = &kept.place else { return None };
        let file = file.clone();
        kept.place = Place::Writing(file.clone());
        Some(*file)
    }

    /// Whether an epoch is none of the newest `epochs` that were sealed, confirmed or not.
    fn is_older(&self, number: u64, epochs: usize) -> bool {
        number.saturating_add(epochs as u64) < self.next
    }

    /// Lets the oldest on the disk go until `bytes` more fit. Gives whether they do.
    pub(super) fn make_room(&mut self, bytes: u64) -> Room {
        let limit = self.limits.disk_bytes.unwrap_or(0);
        if bytes > limit {
            // Letting all of it go would not do.
            return Room::None;
        }
        while self.disk_bytes.saturating_add(bytes) > limit {
            if self.drop_oldest() == Room::None {
                return Room::None;
            }
        }
        Room::Made
    }

    /// The disk is full, whatever our limit is.
    pub(super) fn drop_oldest(&mut self) -> Room {
        let oldest = self.epochs.iter().find(|(_, kept)| matches!(kept.place, Place::Disk(_)));
        let Some(number) = oldest.map(|(number, _)| *number) else { return Room::None };
        self.remove(number);
        self.counts.dropped += 1;
        Room::Made
    }

    /// An epoch is on the disk.
    pub(super) fn handle_written(&mut self, entry: EpochEntry) {
        let id = EpochId { session: entry.session, epoch: entry.epoch };
        let number = self.by_id.get(&id).copied();
        let Some((number, kept)) = number.and_then(|n| self.epochs.get_mut(&n).map(|kept| (n, kept))) else {
            // Confirmed, or lost, while it was written.
            self.garbage.push(entry);
            return;
        };
        if let Place::Memory(file) | Place::Writing(file) = &kept.place {
            self.memory_bytes -= file.len() as u64;
            self.memory.remove(&number);
            kept.place = Place::Disk(entry);
            self.on_disk += 1;
            self.disk_bytes += entry.bytes;
        }
    }

    /// An epoch cannot be written, now or ever.
    pub(super) fn handle_unwritable(&mut self, id: EpochId) {
        if let Some(number) = self.by_id.get(&id).copied()
            && self.remove(number).is_some()
        {
            self.counts.lost += 1;
        }
    }

    /// A file is not what was written.
    pub(super) fn handle_damaged(&mut self, id: EpochId) {
        if let Some(number) = self.by_id.get(&id).copied()
            && self.remove(number).is_some()
        {
            self.counts.damaged += 1;
        }
    }

    /// The hub has it.
    pub(super) fn handle_confirmed(&mut self, id: EpochId) {
        let Some(number) = self.by_id.get(&id).copied() else { return };
        let was_offered = self.offered == Some(number);
        let Some(kept) = self.remove(number) else { return };
        self.counts.confirmed += 1;
        let again = was_offered || kept.tries > 0 || matches!(kept.place, Place::Disk(_));
        self.counts.delivered += u64::from(again);
        if was_offered {
            (self.pause, self.paused_until) = (FIRST_PAUSE, Uptime::default());
        }
    }

    /// The next epoch to be sent again, one at a time and the oldest first: one that is on the disk, that another connection may not have
    /// carried to its end, or that is overdue.
    pub(super) fn poll_offer(&mut self, now: Uptime) -> Option<Offer> {
        if self.offered.is_some() || self.link.is_none() || now < self.paused_until {
            return None;
        }
        let is_due = |number: u64, kept: &Kept| {
            let of_before = matches!(kept.place, Place::Disk(_)) || kept.link != self.link;
            (of_before || self.is_older(number, OVERDUE)) && kept.not_before <= now
        };
        let (number, kept) = self.epochs.iter().find(|(number, kept)| is_due(**number, kept))?;
        let source = match &kept.place {
            Place::Memory(file) | Place::Writing(file) => Source::Memory(file.clone()),
            Place::Disk(entry) => Source::Disk(*entry),
        };
        let offer = Offer { id: kept.id, source };
        self.offered = Some(*number);
        Some(offer)
    }

    /// Whether what was offered waits for its confirmation.
    pub(super) fn is_offered(&self, id: EpochId) -> bool {
        self.offered.is_some() && self.offered == self.by_id.get(&id).copied()
    }

    /// What was offered was not confirmed in time. It stays, and others have their turn.
    pub(super) fn handle_unconfirmed(&mut self, now: Uptime) {
        self.paused_until = now + self.pause;
        self.pause = (self.pause * 2).min(LAST_PAUSE);
        if let Some(kept) = self.offered.take().and_then(|number| self.epochs.get_mut(&number)) {
            kept.not_before = now + AGAIN.saturating_mul(1 << kept.tries.min(8)).min(LAST_AGAIN);
            kept.tries = kept.tries.saturating_add(1);
        }
    }

    /// The connection ended under what was offered: nobody is to blame.
    pub(super) fn handle_offer_lost(&mut self) {
        self.offered = None;
    }

    /// Files that are to be deleted.
    pub(super) fn take_garbage(&mut self) -> Vec<EpochEntry> {
        std::mem::take(&mut self.garbage)
    }

    /// Files that could not be deleted.
    pub(super) fn put_garbage(&mut self, entries: impl Iterator<Item = EpochEntry>) {
        self.garbage.extend(entries);
    }

    /// Whether something of a session is held.
    pub(super) fn has_session(&self, session: SessionId) -> bool {
        self.sessions.contains_key(&session)
    }

    pub(super) fn counts(&self) -> Counts {
        self.counts
    }

    /// Epochs in memory, and epochs and bytes on the disk.
    pub(super) fn look(&self) -> (usize, usize, u64) {
        (self.memory.len(), self.on_disk, self.disk_bytes)
    }

    pub(super) fn link(&self) -> Option<u64> {
        self.link
    }
}

/// How far the camera is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum When {
    Running,
    /// Nothing more is sealed: what is in memory goes with it.
    AtEnd,
}

/// Whether there is room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Room {
    Made,
    None,
}

#[cfg(test)]
#[path = "held/tests.rs"]
mod tests;
