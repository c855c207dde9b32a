//! Live video from your own door that only you can open.
//!
//! A [`camera`] encodes a [`sensor`]'s frames, seals each one and publishes it through a [`hub`] that can read nothing; a [`viewer`]
//! with the owner's key opens, checks and decodes them. This crate is floor 3: the only one that knows both the codec
//! and the network.
//!
//! ```text
//!  4  src/main.rs   hil/   benches/   fuzz/             programs and tests; nothing depends on them
//!  3  src/: camera · viewer · hub · sensor · archive    the only floor that knows codec AND network
//!  2  transport::moq   codec::{h264, av1, convert}      the outside: sockets, C code
//!  1  transport::{keys, seal, manifest, session, viewer, rate}   pure: time and randomness come in as arguments
//!  0  codec::{units, frame, picture, access_unit, ..}   vocabulary, parsers
//! ```

pub mod archive;
pub mod bundle;
pub mod camera;
pub mod encoder;
pub mod export;
pub mod guard;
pub mod hub;
pub mod link;
pub mod links;
pub mod page;
pub mod pairing;
pub mod recorder;
pub mod recovery;
pub mod report;
pub mod sensor;
pub mod state;
pub mod token;
pub mod vault;
pub mod verify;
pub mod viewer;
pub mod when;

mod wall;

pub use doorframe_codec as codec;
pub use doorframe_transport as transport;
pub use wall::wall_us;
