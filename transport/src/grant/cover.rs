//! Whether nodes that somebody handed over are the ones that a span takes, and no other.

use super::EpochSpan;
use crate::keys::{Depth, Place};
use thiserror::Error;

/// Why nodes are not the cover of their span. There is one cover of each, so that nobody can hide more in another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CoverError {
    /// The session's tree has no such node.
    #[error("the tree has no node {index} at level {level}")]
    NoSuchNode {
        /// Its level.
        level: u8,
        /// Its index.
        index: u32,
    },
    /// A node makes epochs that are not in the span.
    #[error("node {index} at level {level} makes epochs outside of the span")]
    Outside {
        /// Its level.
        level: u8,
        /// Its index.
        index: u32,
    },
    /// A node makes epochs that the one before makes too.
    #[error("node {index} at level {level} makes epochs that the node before makes too")]
    Overlapping {
        /// Its level.
        level: u8,
        /// Its index.
        index: u32,
    },
    /// A node stands after one that belongs after it.
    #[error("node {index} at level {level} stands after one that belongs after it")]
    Unordered {
        /// Its level.
        level: u8,
        /// Its index.
        index: u32,
    },
    /// An epoch is not made, or fewer nodes would do.
    #[error("not the fewest nodes that make every epoch of the span")]
    NotCanonical,
}

/// Checks that `places` are exactly those of [`Node::cover`](crate::keys::Node::cover) over a span that is within the tree.
///
/// The first node that is wrong by itself or beside the one before is named; only then is it said that together they are not the cover.
pub(super) fn check(depth: Depth, span: EpochSpan, places: &[Place]) -> Result<(), CoverError> {
    let (first, end) = (u64::from(span.first().0), u64::from(span.end().0));
    let mut before: Option<(u64, u64)> = None;
    for &(level, index) in places {
        if !depth.has((level, index)) {
            return Err(CoverError::NoSuchNode { level, index });
        }
        let epochs = depth.epochs((level, index));
        if epochs.0 < first || end < epochs.1 {
            return Err(CoverError::Outside { level, index });
        }
        if let Some(before) = before {
            if epochs.1 <= before.0 {
                return Err(CoverError::Unordered { level, index });
            }
            if epochs.0 < before.1 {
                return Err(CoverError::Overlapping { level, index });
            }
        }
        before = Some(epochs);
    }
    if depth.cover(first, end).eq(places.iter().copied()) { Ok(()) } else { Err(CoverError::NotCanonical) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::Epoch;

    fn span(first: u32, end: u32) -> EpochSpan {
        EpochSpan::new(Epoch(first), Epoch(end)).unwrap()
    }

    #[test]
    fn of_all_lists_of_nodes_each_span_takes_exactly_one() {
        // A tree of four leaves, and up to four of its seven nodes in any order and as often as you like.
        let depth = Depth::new(2).unwrap();
        let nodes: Vec<Place> = (0..=2u8).flat_map(|level| (0..1 << level).map(move |index| (level, index))).collect();
        let mut lists: Vec<Vec<Place>> = vec![vec![]];
        let mut longest = lists.clone();
        for _ in 0..4 {
            longest = longest.iter().flat_map(|list| nodes.iter().map(|n| [list.as_slice(), &[*n]].concat())).collect();
            lists.extend(longest.iter().cloned());
        }
        assert_eq!(lists.len(), 1 + 7 + 49 + 343 + 2401);
        for first in 0..4 {
            for end in first + 1..=4 {
                let taken: Vec<_> = lists.iter().filter(|list| check(depth, span(first, end), list).is_ok()).collect();
                let wanted: Vec<_> = depth.cover(first.into(), end.into()).collect();
                assert_eq!(taken, [&wanted], "[{first}, {end})");
            }
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        let depth = Depth::new(4).unwrap();
        let found = |places: &[Place]| check(depth, span(2, 8), places).unwrap_err();
        assert_eq!(check(depth, span(2, 8), &[(3, 1), (2, 1)]), Ok(()));
        assert_eq!(found(&[(3, 8)]), CoverError::NoSuchNode { level: 3, index: 8 });
        assert_eq!(found(&[(5, 2)]), CoverError::NoSuchNode { level: 5, index: 2 });
        assert_eq!(found(&[(3, 1), (2, 1), (4, 8)]), CoverError::Outside { level: 4, index: 8 });
        assert_eq!(found(&[(2, 0), (2, 1)]), CoverError::Outside { level: 2, index: 0 });
        assert_eq!(found(&[(0, 0)]), CoverError::Outside { level: 0, index: 0 });
        assert_eq!(found(&[(3, 1), (3, 1), (2, 1)]), CoverError::Overlapping { level: 3, index: 1 });
        assert_eq!(found(&[(3, 1), (2, 1), (4, 7)]), CoverError::Overlapping { level: 4, index: 7 });
        assert_eq!(found(&[(2, 1), (3, 1)]), CoverError::Unordered { level: 3, index: 1 });
        assert_eq!(found(&[(3, 1), (3, 2), (3, 3)]), CoverError::NotCanonical);
        assert_eq!(found(&[(3, 1)]), CoverError::NotCanonical);
        assert_eq!(found(&[]), CoverError::NotCanonical);
    }
}
