//! How a camera and its first owner come to know each other (`docs/format.md` §6).
//!
//! The camera shows a QR code with its identity, the hash of its TLS certificate, and a secret for this once. Whoever scans it connects,
//! and both prove that they know the secret, over a value that only the two ends of this one TLS connection have: a proof that is carried
//! to another connection holds no more. Then the owner's device gives the camera the home's first device list, and where its hub is.
//!
//! [`CameraPairing`] and [`OwnerPairing`] are the two sides. Neither owns a socket or a clock. A camera takes [`TRIES`] wrong proofs, waits for
//! [`WINDOW`], and pairs with one device.

mod camera;
mod owner;
mod record;
#[cfg(test)]
mod tests;

pub use camera::{CameraPairing, Paired, PairingRefused, Proved};
pub use owner::{Asked, CameraRefused, Met, OwnerPairing, Told};
pub use record::{HubLink, NewOwner, Reason};

pub(crate) use record::Message;

use crate::identity::Hash;
use crate::seed::Seed;
use aws_lc_rs::hmac;
use std::fmt;
use std::time::Duration;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// How long a camera waits for its owner after its button was pressed.
pub const WINDOW: Duration = Duration::from_secs(600);
/// Wrong proofs that a camera takes before it gives up.
pub const TRIES: u8 = 5;
/// Label of the TLS exporter (RFC 5705, RFC 8446 §7.5); no context, 32 bytes.
pub const EXPORTER_LABEL: &[u8] = b"EXPORTER-doorframe-pair";

/// What the QR code holds for this once: 128 random bits. Zeroized when dropped, never printed.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct PairingSecret([u8; 16]);

impl PairingSecret {
    /// Draws a new one.
    pub fn draw(seed: Seed) -> Self {
        Self(seed.rng().bytes())
    }

    /// As read from a QR code.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// To be put into the QR code.
    pub fn bytes(&self) -> &[u8; 16] {
        &self.0
    }

    fn prove(&self, label: &[u8], exporter: &Exporter, message: &[u8]) -> Hash {
        let tag = hmac::sign(&self.key(), &[label, exporter.0.as_slice(), message].concat());
        let mut proof = [0; 32];
        proof.iter_mut().zip(tag.as_ref()).for_each(|(to, from)| *to = *from);
        proof
    }

    /// In constant time.
    fn is_proved(&self, label: &[u8], exporter: &Exporter, message: &[u8], proof: &Hash) -> bool {
        hmac::verify(&self.key(), &[label, exporter.0.as_slice(), message].concat(), proof).is_ok()
    }

    fn key(&self) -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, &self.0)
    }
}

impl fmt::Debug for PairingSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PairingSecret(..)")
    }
}

/// What only the two ends of one TLS connection can make: its exporter under [`EXPORTER_LABEL`].
#[derive(Clone, Copy)]
pub struct Exporter(pub [u8; 32]);

impl fmt::Debug for Exporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Exporter(..)")
    }
}
