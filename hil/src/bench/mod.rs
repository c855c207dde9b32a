//! A test bench: which boards there are, who has them, and their power.

pub(crate) mod attached;
pub(crate) mod board;
pub(crate) mod file;
pub(crate) mod folder;
pub(crate) mod hands;
pub(crate) mod hub;
pub(crate) mod list;
pub(crate) mod lock;
pub(crate) mod power;
pub(crate) mod rig;
