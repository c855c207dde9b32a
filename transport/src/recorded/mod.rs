//! Recorded epochs: what a store keeps, and how to tell that it kept all of it (`docs/format.md`, "Epoch file").
//!
//! [`EpochFile`] is one epoch as a file: its signed records and its sealed objects as they came. Without keys, [`verify`] tells whether
//! the camera signed what is in it and whether something is missing, and [`SpanCheck`] whether epochs are missing between. With the
//! epoch's leaf, [`open`] gives its access units. Nothing here trusts who kept it.

mod file;
mod outline;
mod span;
mod verify;

pub use file::{EpochFile, EpochFileError, MAX_FILE, MAX_OBJECTS, RecordedTrack, event_object};
pub use outline::Outline;
pub use span::{Fault, SpanCheck, SpanVerdict};
pub use verify::{EpochOpened, EpochRefused, RecordedUnit, Verdict, open, verify};
