//! Key tree: one root a session, one leaf an epoch (`docs/wire.md` §3).
//!
//! A binary tree of HMACs in the manner of Briscoe's MARKS (NGC 1999) and of GGM range-constrained functions: who holds a node can
//! make every leaf below it and no other. The camera keeps the [`Frontier`], which makes exactly the epochs to come; a
//! grant hands over a [`cover`](Node::cover), which makes exactly the epochs granted.

mod epoch;
mod frontier;
mod tree;

pub use epoch::{Commitment, EpochKey, EpochKeys, SessionId};
pub use frontier::{EpochGone, Frontier};
pub(crate) use tree::Place;
pub use tree::{Depth, Epoch, Leaf, Node};
