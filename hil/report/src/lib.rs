//! What checks of a camera board found.
//!
//! A check gives one [`Outcome`]; a run of checks on one board is a [`Report`]. Both are plain data (JSON by serde, one
//! line an outcome where they come from a guest), and all that is shown is made from them alone: a [table], what
//! happens [while it runs](progress), [JUnit XML](junit), and a [page](html) with plots. A board's [baseline] is what
//! earlier runs measured, with the bounds that the next one should keep; [compare] sets two runs side by side.
//!
//! Text in a report may come from a board, and a board may lie: no renderer lets it write anything but text.

pub mod baseline;
pub mod compare;
pub mod html;
pub mod junit;
pub mod outcome;
mod plot;
pub mod progress;
pub mod report;
mod seconds;
pub mod table;
mod text;

pub use baseline::Baseline;
pub use outcome::{Better, Figure, Kind, Limit, Outcome, Series, Verdict};
pub use report::{Ending, Report};
