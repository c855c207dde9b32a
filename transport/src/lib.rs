//! Access unit to sealed object to QUIC, and back.
//!
//! Two machines do the work, and neither owns a clock, a socket or a source of randomness:
//!
//! - [`Session`] on the camera: draws the root from a seed, seals it to the owner's devices, and turns access units
//!   into sealed objects and signed manifests, epoch by epoch.
//! - [`Viewer`] on the owner's side: takes manifests and objects in whatever order a network brings them, and gives access
//!   units of which it knows who made them and when. What is bad is dropped and counted in [`Drops`].
//!
//! [`recorded`] is what is kept of it: epochs as files, checked and opened without whoever kept them.
//! Around them, just as pure: [`devices`] says who may watch, [`pairing`] how a camera gets its owner, [`grant`] hands exactly some epochs
//! to somebody, and [`journal`] keeps what was handed out. Their formats are written down in `docs/format.md`.
//!
//! [`moq`] (feature `moq`) carries their bytes over QUIC; it is the only module here with sockets. The format is
//! written down in `docs/wire.md`, and the reasons in `docs/threat-model.md`.

#![forbid(unsafe_code)]
#![warn(clippy::indexing_slicing)]

pub mod bundle;
pub mod devices;
pub mod drops;
pub mod events;
pub mod grant;
pub mod identity;
pub mod journal;
pub mod keys;
pub mod manifest;
#[cfg(feature = "moq")]
pub mod moq;
pub mod pairing;
pub mod rate;
pub mod recorded;
pub mod seal;
pub mod seed;
pub mod session;
#[cfg(feature = "store")]
pub mod store;
pub mod track;
pub mod unit;
pub mod viewer;

#[doc(hidden)]
pub mod fuzzing;
mod parse;

pub use drops::Drops;
pub use session::Session;
pub use viewer::Viewer;
