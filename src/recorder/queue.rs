//! What waits to be stored: bounded, so that a store that fails for long costs recordings and not the hub.

use super::manifests::Manifest;
use doorframe_transport::keys::{Epoch, SessionId};
use doorframe_transport::recorded::EpochFile;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// An epoch to be stored, with what its session is.
#[derive(Clone, Debug)]
pub(super) struct Item {
    pub(super) manifest: Arc<Manifest>,
    pub(super) file: EpochFile,
    pub(super) from: Origin,
}

/// Where it came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    Live,
    /// A camera's spool, checked: dropped before all others, as the camera has it still.
    Spool,
}

impl Item {
    pub(super) fn bytes(&self) -> u64 {
        self.file.len() as u64
    }

    /// Which epoch.
    pub(super) fn epoch(&self) -> (SessionId, Epoch) {
        (self.file.session, self.file.epoch)
    }
}

/// What was dropped because too much waited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Lost {
    pub(super) epochs: u64,
    pub(super) bytes: u64,
}

/// Items in the order in which they came. The oldest epochs are dropped when it is full.
#[derive(Debug)]
pub(super) struct Queue {
    limit: u64,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    items: VecDeque<Item>,
    bytes: u64,
    closed: bool,
    lost: Lost,
}

impl State {
    /// Drops the oldest epochs until it fits.
    fn fit(&mut self, limit: u64) {
        while self.bytes > limit
            && let Some(item) = self.items.remove(self.oldest())
        {
            self.bytes -= item.bytes();
            if item.from == Origin::Live {
                self.lost.epochs += 1;
                self.lost.bytes += item.bytes();
            }
        }
    }

    /// The first that may be dropped.
    fn oldest(&self) -> usize {
        self.items.iter().position(|item| item.from == Origin::Spool).unwrap_or(0)
    }
}

impl Queue {
    /// A queue of at most `limit` bytes.
    pub(super) fn new(limit: u64) -> Self {
        Self { limit, state: Mutex::default(), changed: Notify::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether an epoch from a spool may be pushed: it does not wait already, and half of the queue is left to what is live.
    pub(super) fn has_room_for_spooled(&self, session: SessionId, epoch: Epoch) -> bool {
        let state = self.lock();
        state.bytes < self.limit / 2 && !state.items.iter().any(|item| item.epoch() == (session, epoch))
    }

    pub(super) fn push(&self, item: Item) {
        let mut state = self.lock();
        state.bytes += item.bytes();
        state.items.push_back(item);
        state.fit(self.limit);
        drop(state);
        self.changed.notify_one();
    }

    /// Puts back what was taken and not stored, in its order.
    pub(super) fn put_back(&self, items: Vec<Item>) {
        let mut state = self.lock();
        for item in items.into_iter().rev() {
            state.bytes += item.bytes();
            state.items.push_front(item);
        }
        state.fit(self.limit);
        drop(state);
        self.changed.notify_one();
    }

    /// The next items, at most `most`; waits for one. `None` once it is closed and empty.
    pub(super) async fn take(&self, most: usize) -> Option<Vec<Item>> {
        loop {
            {
                let mut state = self.lock();
                if !state.items.is_empty() {
                    let count = state.items.len().min(most);
                    let items: Vec<_> = state.items.drain(..count).collect();
                    state.bytes -= items.iter().map(Item::bytes).sum::<u64>();
                    return Some(items);
                }
                if state.closed {
                    return None;
                }
            }
            self.changed.notified().await;
        }
    }

    /// Nothing more comes.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_one();
    }

    pub(super) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// Gives up what waits.
    pub(super) fn clear(&self) {
        self.lock().fit(0);
    }

    /// Items that wait, their bytes, and what was dropped so far.
    pub(super) fn look(&self) -> (usize, u64, Lost) {
        let state = self.lock();
        (state.items.len(), state.bytes, state.lost)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn epoch(number: u32) -> Item {
        let manifest = Arc::new(crate::recorder::manifests::tests::manifest(1));
        let file = EpochFile {
            session: manifest.facts.id,
            epoch: Epoch(number),
            stored_us: 0,
            opening: Bytes::from(vec![0; 1000]),
            closing: None,
            tracks: vec![],
        };
        Item { manifest, file, from: Origin::Live }
    }

    fn numbers(items: &[Item]) -> Vec<u32> {
        items.iter().map(|item| item.file.epoch.0).collect()
    }

    #[tokio::test]
    async fn the_oldest_epochs_are_dropped_and_counted_and_those_of_spools_before_them() {
        let one = epoch(0).bytes();
        let queue = Queue::new(3 * one + 10);
        (0..5).for_each(|n| queue.push(epoch(n)));
        assert_eq!(queue.look(), (3, 3 * one, Lost { epochs: 2, bytes: 2 * one }));
        let taken = queue.take(2).await.unwrap();
        assert_eq!(numbers(&taken), [2, 3]);
        queue.push(Item { from: Origin::Spool, ..epoch(9) });
        queue.push(epoch(5));
        queue.put_back(taken);
        assert_eq!(queue.look().2.epochs, 3, "what was put back counts too, and what a camera has still does not");
        queue.close();
        assert_eq!(numbers(&queue.take(9).await.unwrap()), [3, 4, 5]);
        assert!(queue.take(9).await.is_none());
    }
}
