//! What a camera keeps of its tree: exactly the epochs to come.

use super::tree::{Depth, Epoch, Leaf, Node};
use thiserror::Error;

/// The epoch's key is destroyed: it was used, or skipped, or the tree is at its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("key of epoch {epoch} is gone, the next to be had is {next}")]
pub struct EpochGone {
    /// Epoch asked for.
    pub epoch: Epoch,
    /// First epoch that still has a key; the number of leaves when none has.
    pub next: u64,
}

/// The right-hand frontier of a tree. Taking a leaf destroys it and everything left of it: who steals the
/// camera cannot make an epoch that is over.
#[derive(Debug)]
pub struct Frontier {
    /// Right to left: the leftmost node is last, so that it can be popped. At most `depth` nodes.
    nodes: Vec<Node>,
    depth: Depth,
}

impl Frontier {
    /// All of the tree. Takes the root: nobody may keep it once epochs are punctured.
    pub fn new(root: Node, depth: Depth) -> Self {
        Self { nodes: vec![root], depth }
    }

    /// First epoch that still has a key; the number of leaves when none has.
    pub fn next(&self) -> u64 {
        self.nodes.last().map_or(self.depth.leaves(), |node| node.epochs().0)
    }

    /// Takes the leaf of `epoch` and destroys every leaf before it, used or not.
    ///
    /// # Errors
    /// [`EpochGone`] if that leaf was taken or passed over before; nothing is destroyed then.
    pub fn take(&mut self, epoch: Epoch) -> Result<Leaf, EpochGone> {
        let next = self.next();
        let gone = EpochGone { epoch, next };
        if u64::from(epoch.0) < next || u64::from(epoch.0) >= self.depth.leaves() {
            return Err(gone);
        }
        while let Some(mut node) = self.nodes.pop() {
            if !node.contains(epoch) {
                continue; // dropped, which zeroizes it
            }
            while let Some((left, right)) = node.children() {
                node = if left.contains(epoch) {
                    self.nodes.push(right);
                    left
                } else {
                    right
                };
            }
            return Leaf::from_node(node).ok_or(gone);
        }
        Err(gone)
    }

    /// Nodes held; at most the tree's depth (and one, the root, before the first leaf).
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether every leaf is gone.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn depth() -> Depth {
        Depth::new(5).unwrap()
    }

    fn root() -> Node {
        Node::root([9; 32], depth())
    }

    /// After taking `epoch`, exactly the epochs after it can be made.
    fn assert_only_future(frontier: &Frontier, epoch: u64) {
        assert!(frontier.len() <= usize::from(depth().levels()));
        for e in 0..depth().leaves() {
            let made: Vec<_> = frontier.nodes.iter().filter_map(|n| n.leaf(Epoch(e as u32))).collect();
            assert_eq!(made.len(), usize::from(e > epoch), "epoch {e} after taking {epoch}");
            if let [leaf] = made.as_slice() {
                assert_eq!(leaf.secret(), root().leaf(Epoch(e as u32)).unwrap().secret());
            }
        }
    }

    #[test]
    fn every_single_puncture_leaves_exactly_the_future() {
        for epoch in 0..depth().leaves() {
            let mut frontier = Frontier::new(root(), depth());
            let leaf = frontier.take(Epoch(epoch as u32)).unwrap();
            assert_eq!(leaf.secret(), root().leaf(Epoch(epoch as u32)).unwrap().secret());
            assert_only_future(&frontier, epoch);
        }
    }

    #[test]
    fn a_leaf_is_taken_once() {
        let mut frontier = Frontier::new(root(), depth());
        frontier.take(Epoch(7)).unwrap();
        for gone in 0..=7 {
            assert_eq!(frontier.take(Epoch(gone)).unwrap_err(), EpochGone { epoch: Epoch(gone), next: 8 });
        }
        frontier.take(Epoch(31)).unwrap();
        assert!(frontier.is_empty());
        assert_eq!(frontier.take(Epoch(32)).unwrap_err().next, 32);
    }

    proptest! {
        #[test]
        fn any_rising_sequence_leaves_exactly_the_future(mut epochs in proptest::collection::btree_set(0u32..32, 1..20)) {
            let mut frontier = Frontier::new(root(), depth());
            while let Some(epoch) = epochs.pop_first() {
                frontier.take(Epoch(epoch)).unwrap();
                assert_only_future(&frontier, u64::from(epoch));
            }
        }
    }
}
