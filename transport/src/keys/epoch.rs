//! What a leaf is used for: base key and commitment of each track.

use super::tree::{Epoch, Leaf};
use crate::track::TrackName;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Prk};
use std::fmt;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Random name of a session; part of everything derived in it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionId(pub [u8; 16]);

impl SessionId {
    /// From 32 lower-case hex digits, as in a broadcast's path.
    pub fn from_hex(hex: &str) -> Option<Self> {
        let hex = hex.as_bytes();
        let mut id = [0; 16];
        if hex.len() != 32 {
            return None;
        }
        for (byte, pair) in id.iter_mut().zip(hex.chunks_exact(2)) {
            let [high, low] = pair else { return None };
            let digit = |d: u8| match d {
                b'0'..=b'9' => Some(d - b'0'),
                b'a'..=b'f' => Some(d - b'a' + 10),
                _ => None,
            };
            *byte = digit(*high)? << 4 | digit(*low)?;
        }
        Some(Self(id))
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// SFrame base key of one epoch and track. Zeroized when dropped, never printed.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct EpochKey([u8; 32]);

impl EpochKey {
    pub(crate) fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for EpochKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EpochKey(..)")
    }
}

/// Public value that only one base key has: checked before anything is opened, because AES-GCM does not commit to its key.
#[derive(Clone, Copy, Debug)]
pub struct Commitment(pub [u8; 32]);

impl PartialEq for Commitment {
    fn eq(&self, other: &Self) -> bool {
        verify_slices_are_equal(&self.0, &other.0).is_ok()
    }
}

impl Eq for Commitment {}

/// Both, as they come out of a leaf.
#[derive(Debug)]
pub struct EpochKeys {
    /// Which epoch.
    pub epoch: Epoch,
    /// Which track.
    pub track: TrackName,
    /// Opens and seals the track's objects.
    pub key: EpochKey,
    /// Goes into the signed opening.
    pub commitment: Commitment,
}

struct Output;

impl KeyType for Output {
    fn len(&self) -> usize {
        96
    }
}

impl EpochKeys {
    /// `HKDF-Expand-SHA-256(leaf, "doorframe/1 epoch" ‖ session id ‖ epoch ‖ track, 96)`.
    pub fn derive(leaf: &Leaf, session: SessionId, track: TrackName) -> Self {
        let epoch = leaf.epoch();
        let number = epoch.0.to_be_bytes();
        let info: [&[u8]; 4] = [b"doorframe/1 epoch", &session.0, &number, track.as_bytes()];
        let mut okm = [0; 96];
        // 96 bytes are three blocks of the 255 that HKDF can give: this cannot fail.
        let filled =
            Prk::new_less_safe(HKDF_SHA256, leaf.secret()).expand(&info, Output).and_then(|o| o.fill(&mut okm));
        debug_assert!(filled.is_ok());
        let mut key = EpochKey([0; 32]);
        let mut commitment = Commitment([0; 32]);
        let mut parts = okm.chunks_exact(32);
        for to in [&mut key.0, &mut commitment.0] {
            to.iter_mut().zip(parts.next().unwrap_or_default()).for_each(|(to, from)| *to = *from);
        }
        okm.zeroize();
        Self { epoch, track, key, commitment }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::{Depth, Node};

    #[test]
    fn epoch_session_and_track_each_give_another_key() {
        let root = Node::root([3; 32], Depth::SESSION);
        let derive = |epoch, session, track| {
            let keys = EpochKeys::derive(&root.leaf(Epoch(epoch)).unwrap(), SessionId([session; 16]), track);
            assert_ne!(keys.key.0, keys.commitment.0);
            keys.key.0
        };
        let keys = [
            derive(1, 1, TrackName::VIDEO),
            derive(2, 1, TrackName::VIDEO),
            derive(1, 2, TrackName::VIDEO),
            derive(1, 1, TrackName::AUDIO),
        ];
        for (i, a) in keys.iter().enumerate() {
            assert_ne!(a, &[0; 32]);
            assert!(keys.iter().skip(i + 1).all(|b| a != b));
        }
    }

    #[test]
    fn a_session_id_reads_back_from_its_path() {
        let id = SessionId([0xa5; 16]);
        assert_eq!(SessionId::from_hex(&id.to_string()), Some(id));
        assert_eq!(SessionId::from_hex("A5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5"), None);
        assert_eq!(SessionId::from_hex("a5"), None);
    }
}
