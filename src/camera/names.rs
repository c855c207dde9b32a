//! The track on which a camera names the epochs that are to be kept (`docs/wire.md` §1, `keep`).

use super::keep::{Keeper, PreRoll};
use bytes::Bytes;
use doorframe_codec::units::MediaTime;
use doorframe_transport::events::EventKind;
use doorframe_transport::keys::Epoch;
use doorframe_transport::moq::{Broadcast, CarriageError, GroupWriter, TrackWriter};
use std::collections::VecDeque;

/// Names epochs of one session. What cannot be named is not kept by a recorder in event mode, and costs nothing else.
#[derive(Debug)]
pub(super) struct Names {
    keeper: Keeper,
    track: TrackWriter,
    group: Option<GroupWriter>,
    /// Number of the next group.
    next: u64,
    /// Names in the group that were not in the one before.
    fresh: usize,
    newest: VecDeque<Epoch>,
    /// The session before, as long as a pre-roll reaches into it.
    former: Option<Box<Former>>,
}

/// A session that is over, of which epochs may still be named.
#[derive(Debug)]
pub(super) struct Former {
    pub(super) names: Names,
    /// Time of its newest object.
    pub(super) at: MediaTime,
    /// They end with it, and with them what a recorder holds of it.
    pub(super) _carriage: (Broadcast, [TrackWriter; 5], Option<TrackWriter>),
}

/// Names that a group begins with: who joins, or has missed the end of the group before, has all the same what a recorder may still hold.
const REPEATED: usize = 32;
/// And those that follow: a session may name 10,800, and no group takes more than 8192.
const FRESH: usize = 256;

impl Names {
    pub(super) fn new(pre_roll: PreRoll, track: TrackWriter) -> Self {
        let newest = VecDeque::new();
        Self { keeper: Keeper::new(pre_roll), track, group: None, next: 0, fresh: 0, newest, former: None }
    }

    /// The session before this one, if its epochs were named.
    pub(super) fn follow(&mut self, former: Former) {
        self.keeper.follow(&former.names.keeper);
        self.former = Some(Box::new(former));
        self.let_go();
    }

    /// Its session is over, and that before it with it.
    pub(super) fn over(self) -> Self {
        Self { former: None, ..self }
    }

    /// Lets the session before go once no pre-roll reaches into it.
    fn let_go(&mut self) {
        if self.keeper.missing() == 0 {
            self.former = None;
        }
    }

    /// What moved in the session before moves on.
    pub(super) fn handle_goes_on(&mut self) {
        self.keeper.handle_goes_on();
    }

    /// An epoch begins. `at`: time of the newest object.
    pub(super) fn handle_begun(&mut self, epoch: Epoch, at: MediaTime) {
        if self.keeper.handle_begun(epoch) {
            self.name(&[epoch], at);
        }
        self.let_go();
    }

    /// Something happened, in the epoch `open` if one is.
    pub(super) fn handle_event(&mut self, kind: EventKind, open: Option<Epoch>, at: MediaTime) {
        let named = self.keeper.handle_event(kind, open);
        self.name(&named, at);
        let missing = self.keeper.missing();
        if let Some(former) = &mut self.former {
            let named = former.names.keeper.handle_later(missing);
            former.names.name(&named, former.at);
        }
    }

    /// Tells a recorder to keep these epochs.
    fn name(&mut self, epochs: &[Epoch], at: MediaTime) {
        for epoch in epochs {
            self.newest.push_back(*epoch);
            if self.newest.len() > REPEATED {
                self.newest.pop_front();
            }
            // What one group does not take the next begins with.
            if self.write(*epoch, at).is_err()
                && let Err(error) = self.begin(at)
            {
                tracing::warn!(%error, %epoch, "an epoch that is to be kept is not named");
            }
        }
    }

    fn write(&mut self, epoch: Epoch, at: MediaTime) -> Result<(), CarriageError> {
        match &mut self.group {
            Some(group) if self.fresh < FRESH => {
                self.fresh += 1;
                group.write(at, object(epoch))
            }
            _ => self.begin(at),
        }
    }

    /// The next group, with the newest names.
    fn begin(&mut self, at: MediaTime) -> Result<(), CarriageError> {
        self.group.take().into_iter().for_each(GroupWriter::finish);
        self.fresh = 0;
        let group = self.group.insert(self.track.group(self.next)?);
        self.next += 1;
        self.newest.iter().try_for_each(|epoch| group.write(at, object(*epoch)))
    }
}

fn object(epoch: Epoch) -> Bytes {
    Bytes::copy_from_slice(&epoch.0.to_be_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use doorframe_transport::moq::{GroupReader, Node, TrackReader};
    use std::collections::BTreeSet;

    /// Who hears the names of a session.
    struct Ear(TrackReader, Option<GroupReader>);

    impl Ear {
        async fn of(node: &Node) -> Self {
            Self(node.record("home/door/session", "keep", 0).await.unwrap(), None)
        }

        /// Hears names until `last` is among them.
        async fn hear(&mut self, last: u32) -> BTreeSet<u32> {
            let mut named = BTreeSet::new();
            while !named.contains(&last) {
                let group = match &mut self.1 {
                    Some(group) => group,
                    none => none.insert(self.0.group().await.unwrap()),
                };
                match group.object().await {
                    Some(object) => drop(named.insert(u32::from_be_bytes(object.as_ref().try_into().unwrap()))),
                    None => self.1 = None,
                }
            }
            named
        }
    }

    fn names(node: &Node) -> (Broadcast, Names) {
        let broadcast = node.broadcast("home/door/session").unwrap();
        let mut names = Names::new(PreRoll::default(), broadcast.track("keep", 200).unwrap());
        broadcast.announce().unwrap();
        names.handle_goes_on();
        (broadcast, names)
    }

    #[tokio::test]
    async fn a_session_in_which_something_always_moves_names_every_epoch_to_its_end_and_who_joins_late_hears_the_newest()
     {
        let node = Node::new();
        let (_broadcast, mut names) = names(&node);
        let mut early = Ear::of(&node).await;
        // Six hours, and as much again: more than one group takes.
        let last = 21_599;
        let mut heard = BTreeSet::new();
        for epoch in 0..=last {
            names.handle_begun(Epoch(epoch), MediaTime::default());
            if epoch % 200 == 0 {
                heard.extend(early.hear(epoch).await);
            }
        }
        heard.extend(early.hear(last).await);
        assert_eq!(heard.len(), last as usize + 1);
        let mut late = Ear::of(&node).await;
        let heard = late.hear(last).await;
        assert!((last + 1 - REPEATED as u32..=last).all(|epoch| heard.contains(&epoch)), "{heard:?}");
    }

    #[tokio::test]
    async fn a_group_that_ends_under_a_name_costs_no_name() {
        let node = Node::new();
        let (_broadcast, mut names) = names(&node);
        // More than a group takes, behind the back of who counts.
        for epoch in 0..10_000 {
            names.fresh = 0;
            names.handle_begun(Epoch(epoch), MediaTime::default());
        }
        assert_eq!(names.next, 2);
        let mut late = Ear::of(&node).await;
        assert!(late.hear(9_999).await.contains(&9_998));
    }

    #[tokio::test]
    async fn an_event_just_after_a_new_session_began_names_what_was_before_it_in_the_old_one_while_a_pre_roll_reaches_there()
     {
        let node = Node::new();
        let of = |name: &str| {
            let broadcast = node.broadcast(&format!("home/door/{name}")).unwrap();
            let names = Names::new(PreRoll::default(), broadcast.track("keep", 200).unwrap());
            broadcast.announce().unwrap();
            (broadcast, names)
        };
        let (broadcast, mut before) = of("session");
        (90..100).for_each(|epoch| before.handle_begun(Epoch(epoch), MediaTime::default()));
        let mut ear = Ear::of(&node).await;
        let tracks = ["session", "manifest", "video", "event", "bell"].map(|name| broadcast.track(name, 1).unwrap());
        let (_next, mut names) = of("next");
        let at = MediaTime::default();
        names.follow(Former { names: before.over(), at, _carriage: (broadcast, tracks, None) });
        names.handle_begun(Epoch(0), at);
        names.handle_begun(Epoch(1), at);
        names.handle_event(EventKind::Doorbell, Some(Epoch(1)), at);
        assert_eq!(ear.hear(99).await.into_iter().collect::<Vec<_>>(), [96, 97, 98, 99]);
        (2..6).for_each(|epoch| names.handle_begun(Epoch(epoch), at));
        assert!(names.former.is_none());
    }
}
