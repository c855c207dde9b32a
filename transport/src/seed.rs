//! Randomness as an argument: one 32-byte seed in, everything a session draws out.

use aws_lc_rs::hkdf;
use chacha20::ChaCha20Rng;
use rand_core::{Rng as _, SeedableRng as _};
use std::fmt;
use zeroize::{Zeroize, ZeroizeOnDrop};

pub(crate) use chacha20::rand_core;

/// 32 bytes that nobody else knows and that were never used before. Zeroized when dropped.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct Seed([u8; 32]);

impl Seed {
    /// Bytes drawn from the operating system's generator by the caller.
    pub fn from_os_random(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Mixes the operating system's bytes with a device secret and a boot counter by HKDF-Extract (RFC 5869 §2.2), so that a
    /// generator that starts every boot alike still never gives one seed twice.
    pub fn mix(mut os_random: [u8; 32], device_secret: &[u8; 32], boot_counter: u64) -> Self {
        let mut material = Vec::with_capacity(40);
        material.extend_from_slice(device_secret);
        material.extend_from_slice(&boot_counter.to_be_bytes());
        let prk = hkdf::Salt::new(hkdf::HKDF_SHA256, &os_random).extract(&material);
        material.zeroize();
        os_random.zeroize();
        let mut seed = [0; 32];
        // Expanding 32 bytes of SHA-256 cannot fail (RFC 5869 §2.3 allows 255 blocks); zeros would be caught by the tests.
        let expanded = prk.expand(&[b"doorframe/1 seed"], hkdf::HKDF_SHA256).and_then(|okm| okm.fill(&mut seed));
        debug_assert!(expanded.is_ok());
        Self(seed)
    }

    /// The generator that this seed starts. Takes `self`: a seed starts one.
    pub(crate) fn rng(self) -> Rng {
        Rng(ChaCha20Rng::from_seed(self.0))
    }
}

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seed(..)")
    }
}

/// ChaCha20 as a generator.
pub(crate) struct Rng(pub(crate) ChaCha20Rng);

impl Rng {
    pub(crate) fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.0.fill_bytes(&mut bytes);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_boot_gives_another_seed_even_with_a_stuck_generator() {
        let a = Seed::mix([7; 32], &[1; 32], 1);
        let b = Seed::mix([7; 32], &[1; 32], 2);
        assert_ne!(a.0, b.0);
        assert_ne!(a.0, [0; 32]);
        let [first]: [[u8; 32]; 1] = [a.rng().bytes()];
        assert_ne!(first, [0; 32]);
    }
}
