//! Pairing over a real connection: the two machines of `transport::pairing`, each at one end of QUIC (`docs/format.md` §6).
//!
//! A message is one direction of a stream, up to its end: the owner's device opens a stream for its request and reads the answer from it, and
//! a second one for what the camera is given.

mod camera;
mod link;
mod owner;
mod qr;

pub use camera::{ListenError, Pairing, PairingEvent};
pub use link::{CameraHub, PairLink};
pub use owner::{PairError, pair};
pub use qr::{TooLong, page, terminal};

use doorframe_transport::pairing::{EXPORTER_LABEL, Exporter};
use std::time::Duration;

/// How long one end waits for the other's next message.
const PATIENCE: Duration = Duration::from_secs(10);
/// Longest request, and longest answer, in bytes.
const MAX_SMALL: usize = 2048;
/// Longest message with a device list and a hub link, in bytes.
const MAX_HOME: usize = 96 * 1024;

/// What only the two ends of `connection` know.
fn exporter(connection: &quinn::Connection) -> Option<Exporter> {
    let mut bytes = [0; 32];
    connection.export_keying_material(&mut bytes, EXPORTER_LABEL, b"").ok()?;
    Some(Exporter(bytes))
}
