//! Which epochs a recorder in event mode shall keep: those in which something happens, some before, and one after.

use doorframe_transport::events::EventKind;
use doorframe_transport::keys::Epoch;
use doorframe_transport::session::EPOCH;
use std::collections::VecDeque;
use std::time::Duration;

/// How much of what was before an event is kept: whole epochs of 2 s, 16 s at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PreRoll(u8);

impl PreRoll {
    /// The longest: a recorder holds one epoch more.
    pub const MAX: Duration = Duration::from_secs(16);

    /// At least `time`; `None` above [`PreRoll::MAX`].
    pub fn new(time: Duration) -> Option<Self> {
        let epochs = time.as_millis().div_ceil(EPOCH.as_millis());
        if time > Self::MAX { None } else { u8::try_from(epochs).ok().map(Self) }
    }

    /// In epochs.
    pub const fn epochs(self) -> u8 {
        self.0
    }
}

impl Default for PreRoll {
    /// 10 s.
    fn default() -> Self {
        Self(5)
    }
}

/// Names epochs of one session, each once.
#[derive(Debug)]
pub(super) struct Keeper {
    pre_roll: PreRoll,
    /// The newest epochs that were begun, and whether they were named.
    begun: VecDeque<(Epoch, bool)>,
    moving: bool,
    /// Epochs to come that are to be named though nothing moves.
    after: u8,
}

impl Keeper {
    pub(super) fn new(pre_roll: PreRoll) -> Self {
        Self { pre_roll, begun: VecDeque::new(), moving: false, after: 0 }
    }

    /// What moved in the session before moves on.
    pub(super) fn handle_goes_on(&mut self) {
        self.moving = true;
    }

    /// What is still to be named of the session before, whose epochs `before` named.
    pub(super) fn follow(&mut self, before: &Self) {
        self.after = before.after;
    }

    /// Epochs of a pre-roll that were in the session before.
    pub(super) fn missing(&self) -> usize {
        (usize::from(self.pre_roll.epochs()) + 1).saturating_sub(self.begun.len())
    }

    /// Something happened in the session after this one: gives those of the newest `epochs` that are to be kept for it.
    pub(super) fn handle_later(&mut self, epochs: usize) -> Vec<Epoch> {
        let newest = self.begun.iter_mut().rev().take(epochs).rev();
        Self::take(newest)
    }

    /// Those that were not named yet, which they are now.
    fn take<'a>(begun: impl Iterator<Item = &'a mut (Epoch, bool)>) -> Vec<Epoch> {
        let new = begun.filter(|(_, named)| !named);
        new.map(|(epoch, named)| {
            *named = true;
            *epoch
        })
        .collect()
    }

    /// An epoch begins: whether it is to be kept.
    pub(super) fn handle_begun(&mut self, epoch: Epoch) -> bool {
        let named = self.moving || self.after > 0;
        if !self.moving {
            self.after = self.after.saturating_sub(1);
        }
        self.begun.push_back((epoch, named));
        while self.begun.len() > usize::from(self.pre_roll.epochs()) + 1 {
            self.begun.pop_front();
        }
        named
    }

    /// Something happened: gives the epochs that are to be kept for it. `open`: the epoch that it will be sealed in, if that has begun.
    pub(super) fn handle_event(&mut self, kind: EventKind, open: Option<Epoch>) -> Vec<Epoch> {
        match kind {
            EventKind::MotionBegan => self.moving = true,
            EventKind::MotionEnded => self.moving = false,
            EventKind::Doorbell => {}
        }
        // The one after; and before that the one itself, if it is still to come.
        self.after = if open.is_some() { 1 } else { 2 };
        Self::take(self.begun.iter_mut())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs epochs 0 to 29 with events in some of them, and gives those that are named.
    fn named(keeper: &mut Keeper, events: &[(u32, EventKind)]) -> Vec<u32> {
        let mut named = Vec::new();
        for n in 0..30 {
            if keeper.handle_begun(Epoch(n)) {
                named.push(n);
            }
            for (_, kind) in events.iter().filter(|(epoch, _)| *epoch == n) {
                named.extend(keeper.handle_event(*kind, Some(Epoch(n))).iter().map(|epoch| epoch.0));
            }
        }
        named.sort_unstable();
        named
    }

    #[test]
    fn a_doorbell_keeps_its_epoch_those_before_it_and_the_one_after() {
        let bell = [(10, EventKind::Doorbell)];
        assert_eq!(named(&mut Keeper::new(PreRoll::default()), &bell), (5..=11).collect::<Vec<_>>());
        assert_eq!(named(&mut Keeper::new(PreRoll(0)), &bell), [10, 11]);
        assert_eq!(named(&mut Keeper::new(PreRoll(8)), &[(2, EventKind::Doorbell)]), [0, 1, 2, 3]);
    }

    #[test]
    fn a_pre_roll_reaches_into_the_session_before_and_the_epoch_after_into_the_next() {
        let mut before = Keeper::new(PreRoll(5));
        (0..20).for_each(|n| assert!(!before.handle_begun(Epoch(n))));
        assert_eq!(before.handle_event(EventKind::Doorbell, Some(Epoch(19))).len(), 6);
        let mut after = Keeper::new(PreRoll(5));
        after.follow(&before);
        assert_eq!([0, 1].map(|n| after.handle_begun(Epoch(n))), [true, false]);
        after.handle_event(EventKind::Doorbell, Some(Epoch(1)));
        assert_eq!(after.missing(), 4);

        let mut before = Keeper::new(PreRoll(5));
        (0..20).for_each(|n| assert!(!before.handle_begun(Epoch(n))));
        assert_eq!(before.handle_later(4), [16, 17, 18, 19].map(Epoch));
        assert_eq!(before.handle_later(5), [Epoch(15)], "each named once");
    }

    #[test]
    fn every_epoch_is_kept_while_something_moves_each_named_once() {
        let events = [
            (10, EventKind::MotionBegan),
            (12, EventKind::Doorbell),
            (17, EventKind::MotionEnded),
            (18, EventKind::Doorbell),
            (18, EventKind::Doorbell),
        ];
        assert_eq!(named(&mut Keeper::new(PreRoll::default()), &events), (5..=19).collect::<Vec<_>>());
        assert_eq!(named(&mut Keeper::new(PreRoll::default()), &[]), [0; 0]);
    }

    #[test]
    fn what_moves_on_in_the_next_session_is_kept_there_from_the_start() {
        let mut keeper = Keeper::new(PreRoll::default());
        keeper.handle_goes_on();
        assert_eq!(named(&mut keeper, &[(2, EventKind::MotionEnded)]), [0, 1, 2, 3]);
    }

    #[test]
    fn what_happens_between_two_epochs_keeps_the_next_two() {
        let mut keeper = Keeper::new(PreRoll(1));
        assert!((0..3).all(|n| !keeper.handle_begun(Epoch(n))));
        assert_eq!(keeper.handle_event(EventKind::Doorbell, None), [Epoch(1), Epoch(2)]);
        assert_eq!((5..9).map(|n| keeper.handle_begun(Epoch(n))).collect::<Vec<_>>(), [true, true, false, false]);
    }

    #[test]
    fn a_pre_roll_is_whole_epochs_and_no_longer_than_a_recorder_holds() {
        let epochs = |ms| PreRoll::new(Duration::from_millis(ms)).map(PreRoll::epochs);
        assert_eq!([0, 1, 2000, 9500, 10_000, 16_000].map(epochs), [0, 1, 1, 5, 5, 8].map(Some));
        assert_eq!(epochs(16_001), None);
    }
}
