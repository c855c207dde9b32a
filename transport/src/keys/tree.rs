//! Nodes of the key tree.

use aws_lc_rs::hmac;
use std::fmt;
use zeroize::Zeroize;

/// Number of an epoch within its session: the index of its leaf.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub u32);

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Levels below the root, 1 to 32: a tree of depth d has 2^d leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Depth(u8);

impl Depth {
    /// 65,536 epochs: 36 hours at two seconds each, six times the longest session.
    pub const SESSION: Self = Self(16);

    /// `None` outside 1 to 32.
    pub const fn new(levels: u8) -> Option<Self> {
        if levels == 0 || levels > 32 { None } else { Some(Self(levels)) }
    }

    /// 1 to 32.
    pub const fn levels(self) -> u8 {
        self.0
    }

    /// Leaves of the tree.
    pub const fn leaves(self) -> u64 {
        1 << self.0
    }

    /// Whether the tree has a node there.
    pub(crate) const fn has(self, (level, index): Place) -> bool {
        level <= self.0 && (index as u64) < 1 << level
    }

    /// Epochs below a place that the tree [has](Self::has): the first, and the one after the last.
    pub(crate) const fn epochs(self, (level, index): Place) -> (u64, u64) {
        let below = self.0 - level;
        let first = (index as u64) << below;
        (first, first + (1 << below))
    }

    /// Places of [`Node::cover`] of the root, without a secret and without making any.
    pub(crate) fn cover(self, first: u64, end: u64) -> impl Iterator<Item = Place> {
        let (mut next, end) = (first, end.min(self.leaves()));
        std::iter::from_fn(move || {
            if next >= end {
                return None;
            }
            // The largest power of two that begins here and does not go beyond the end.
            let below = next.trailing_zeros().min((end - next).ilog2()).min(self.0.into());
            let place = (self.0 - below as u8, (next >> below) as u32);
            next += 1 << below;
            Some(place)
        })
    }
}

/// Where a node is: its level, 0 being the root, and its index from the left.
pub(crate) type Place = (u8, u32);

/// A node and its place. Whoever has it can make every leaf below it. Zeroized when dropped, never printed.
pub struct Node {
    depth: Depth,
    level: u8,
    index: u32,
    secret: [u8; 32],
}

impl Node {
    /// The root of a session's tree. The caller has drawn `secret` at random and keeps no copy.
    pub fn root(secret: [u8; 32], depth: Depth) -> Self {
        Self { depth, level: 0, index: 0, secret }
    }

    /// A node that somebody handed over, at its place; `None` if a tree of this depth has no such place.
    pub(crate) fn at(depth: Depth, (level, index): Place, secret: [u8; 32]) -> Option<Self> {
        depth.has((level, index)).then_some(Self { depth, level, index, secret })
    }

    /// Levels below the root: 0 is the root itself.
    pub fn level(&self) -> u8 {
        self.level
    }

    /// Place within its level, from the left.
    pub fn index(&self) -> u32 {
        self.index
    }

    /// Epochs below it: the first, and the one after the last.
    pub fn epochs(&self) -> (u64, u64) {
        self.depth.epochs((self.level, self.index))
    }

    /// Whether `epoch`'s leaf is below it.
    pub fn contains(&self, epoch: Epoch) -> bool {
        let (first, end) = self.epochs();
        (first..end).contains(&u64::from(epoch.0))
    }

    /// `HMAC-SHA-256(node, "doorframe/1 node" ‖ b ‖ 0x01)`, which is one block of HKDF-Expand (RFC 5869 §2.3).
    fn child(&self, right: u8) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.secret);
        let mut context = hmac::Context::with_key(&key);
        context.update(b"doorframe/1 node");
        context.update(&[right, 1]);
        let mut secret = [0; 32];
        secret.iter_mut().zip(context.sign().as_ref()).for_each(|(to, from)| *to = *from);
        Self { depth: self.depth, level: self.level + 1, index: self.index << 1 | u32::from(right), secret }
    }

    /// Both children; `None` for a leaf.
    pub(crate) fn children(&self) -> Option<(Self, Self)> {
        (self.level < self.depth.0).then(|| (self.child(0), self.child(1)))
    }

    /// The leaf of `epoch`; `None` if it is not below this node.
    pub fn leaf(&self, epoch: Epoch) -> Option<Leaf> {
        if !self.contains(epoch) {
            return None;
        }
        let mut node = self.copy();
        while node.level < self.depth.0 {
            let below = self.depth.0 - node.level - 1;
            node = node.child((epoch.0 >> below & 1) as u8);
        }
        Some(Leaf(node))
    }

    /// The fewest nodes below this one that make exactly the epochs from `first` up to but not including `end`, left to right.
    ///
    /// At most `2·depth − 2` of them; none if the span is empty. What lies outside this node is left out.
    pub fn cover(&self, first: u64, end: u64) -> Vec<Self> {
        // All the room at once: growing would leave secrets behind.
        let mut nodes = Vec::with_capacity(2 * usize::from(self.depth.0));
        self.cover_into(first, end, &mut nodes);
        nodes
    }

    fn cover_into(&self, first: u64, end: u64, nodes: &mut Vec<Self>) {
        let (from, to) = self.epochs();
        if first >= end || to <= first || end <= from {
            return;
        }
        if first <= from && to <= end {
            nodes.push(self.copy());
        } else if let Some((left, right)) = self.children() {
            left.cover_into(first, end, nodes);
            right.cover_into(first, end, nodes);
        }
    }

    /// Adds every leaf below it, left to right. Room for them is there already, or growing would leave secrets behind.
    pub(crate) fn leaves_into(&self, leaves: &mut Vec<Self>) {
        match self.children() {
            Some(children) => [children.0, children.1].iter().for_each(|child| child.leaves_into(leaves)),
            None => leaves.push(self.copy()),
        }
    }

    pub(crate) fn copy(&self) -> Self {
        Self { depth: self.depth, level: self.level, index: self.index, secret: self.secret }
    }

    pub(crate) fn secret(&self) -> &[u8; 32] {
        &self.secret
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.secret.zeroize();
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Node({}.{}, ..)", self.level, self.index)
    }
}

/// A node at the bottom: one epoch's. Only good for making [`EpochKeys`](super::EpochKeys).
pub struct Leaf(Node);

impl Leaf {
    pub(crate) fn from_node(node: Node) -> Option<Self> {
        (node.level == node.depth.0).then_some(Self(node))
    }

    /// Which epoch it is for.
    pub fn epoch(&self) -> Epoch {
        Epoch(self.0.index)
    }

    pub(crate) fn secret(&self) -> &[u8; 32] {
        self.0.secret()
    }
}

impl fmt::Debug for Leaf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Leaf({}, ..)", self.0.index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    const DEPTH: Depth = Depth(6);

    fn root() -> Node {
        Node::root([42; 32], DEPTH)
    }

    /// Every leaf by the definition, one child after the other: the oracle.
    fn oracle() -> BTreeMap<u64, [u8; 32]> {
        let mut level = vec![root()];
        for _ in 0..DEPTH.levels() {
            level = level.iter().flat_map(|node| [node.child(0), node.child(1)]).collect();
        }
        (0..).zip(level.iter().map(|leaf| leaf.secret)).collect()
    }

    #[test]
    fn every_leaf_is_reached_by_its_bits() {
        for (epoch, secret) in oracle() {
            assert_eq!(root().leaf(Epoch(epoch as u32)).unwrap().secret(), &secret, "epoch {epoch}");
        }
        assert!(root().leaf(Epoch(64)).is_none());
    }

    #[test]
    fn every_cover_makes_exactly_its_epochs() {
        let oracle = oracle();
        for first in 0..=DEPTH.leaves() {
            for end in 0..=DEPTH.leaves() {
                let cover = root().cover(first, end);
                assert!(cover.len() <= 2 * usize::from(DEPTH.levels()) - 2, "[{first}, {end}) takes {}", cover.len());
                let mut made = BTreeMap::new();
                for epoch in 0..DEPTH.leaves() {
                    for node in &cover {
                        if let Some(leaf) = node.leaf(Epoch(epoch as u32)) {
                            assert!(made.insert(epoch, *leaf.secret()).is_none(), "epoch {epoch} covered twice");
                        }
                    }
                }
                let wanted: BTreeMap<_, _> = oracle.range(first..end.max(first)).map(|(e, s)| (*e, *s)).collect();
                assert_eq!(made, wanted, "[{first}, {end})");
            }
        }
    }

    #[test]
    fn the_places_of_every_cover_are_known_without_its_secrets() {
        for first in 0..=DEPTH.leaves() {
            for end in 0..=DEPTH.leaves() {
                let nodes: Vec<_> = root().cover(first, end).iter().map(|node| (node.level, node.index)).collect();
                assert_eq!(DEPTH.cover(first, end).collect::<Vec<_>>(), nodes, "[{first}, {end})");
            }
        }
        let deepest = Depth(32);
        assert_eq!(deepest.cover(0, 1 << 32).collect::<Vec<_>>(), [(0, 0)]);
        assert_eq!(deepest.cover((1 << 32) - 1, u64::MAX).collect::<Vec<_>>(), [(32, u32::MAX)]);
        assert_eq!(deepest.cover(1, (1 << 32) - 1).count(), 62);
    }

    #[test]
    fn a_node_exists_only_at_a_place_of_the_tree() {
        assert!(Node::at(DEPTH, (0, 0), [0; 32]).is_some());
        assert!(Node::at(DEPTH, (6, 63), [0; 32]).is_some());
        for place in [(0, 1), (5, 32), (6, 64), (7, 0), (255, 0)] {
            assert!(Node::at(DEPTH, place, [0; 32]).is_none(), "{place:?}");
        }
    }

    #[test]
    fn an_edge_is_one_block_of_hkdf_expand() {
        let okm = aws_lc_rs::hkdf::Prk::new_less_safe(aws_lc_rs::hkdf::HKDF_SHA256, &[42; 32]);
        let mut wanted = [0; 32];
        okm.expand(&[b"doorframe/1 node", &[1]], aws_lc_rs::hkdf::HKDF_SHA256).unwrap().fill(&mut wanted).unwrap();
        assert_eq!(root().child(1).secret, wanted);
    }

    #[test]
    fn the_deepest_tree_reaches_its_last_leaf() {
        let root = Node::root([1; 32], Depth(32));
        assert_eq!(root.leaf(Epoch(u32::MAX)).unwrap().epoch(), Epoch(u32::MAX));
        assert_eq!(root.epochs(), (0, 1 << 32));
    }

    #[test]
    fn nothing_secret_is_printed() {
        assert_eq!(format!("{:?} {:?}", root(), root().leaf(Epoch(3)).unwrap()), "Node(0.0, ..) Leaf(3, ..)");
    }
}
