//! What checks of a camera board found.
//!
//! A check gives one [`Outcome`]; a run of checks on one board is a [`Report`]. Both are plain data (JSON by serde, one
//! line an outcome where they come from a guest), and all that is shown is made from them alone.

pub mod outcome;
pub mod report;
mod seconds;

pub use outcome::{Better, Figure, Kind, Limit, Outcome, Series, Verdict};
pub use report::{Ending, Report};
