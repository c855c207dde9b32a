//! Names of media tracks.

use crate::parse::{Reader, RecordError};
use std::fmt;

/// Name of a track that carries sealed objects: 1 to 16 printable ASCII characters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TrackName {
    len: u8,
    bytes: [u8; 16],
}

impl TrackName {
    /// The base layer of the picture, which every viewer needs.
    pub const VIDEO: Self = Self::of(b"video");
    /// Sound.
    pub const AUDIO: Self = Self::of(b"audio");
    /// Motion and the doorbell: one object an epoch.
    pub const EVENT: Self = Self::of(b"event");
    /// The doorbell, at once.
    pub const BELL: Self = Self::of(b"bell");

    const fn of<const N: usize>(name: &[u8; N]) -> Self {
        let mut bytes = [0; 16];
        let (head, _) = bytes.split_at_mut(N);
        head.copy_from_slice(name);
        Self { len: N as u8, bytes }
    }

    /// `None` unless it is 1 to 16 characters from `!` to `~`.
    pub fn new(name: &str) -> Option<Self> {
        let mut bytes = [0; 16];
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_graphic()) {
            return None;
        }
        bytes.get_mut(..name.len())?.copy_from_slice(name.as_bytes());
        Some(Self { len: name.len() as u8, bytes })
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }

    /// Whether access units go on it; no other track has any.
    pub(crate) fn is_media(&self) -> bool {
        ![Self::EVENT, Self::BELL].contains(self)
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }

    pub(crate) fn parse(reader: &mut Reader<'_>) -> Result<Self, RecordError> {
        let len = usize::from(reader.u8()?);
        let name = reader.slice(len)?;
        std::str::from_utf8(name).ok().and_then(Self::new).ok_or(RecordError::TrackName)
    }

    pub(crate) fn emit(&self, out: &mut Vec<u8>) {
        out.push(self.len);
        out.extend_from_slice(self.as_bytes());
    }
}

impl fmt::Debug for TrackName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Display for TrackName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_could_be_mistaken_do_not_exist() {
        for bad in ["", "a b", "käse", "seventeen.letters", "a\0"] {
            assert!(TrackName::new(bad).is_none(), "{bad:?}");
        }
        assert_eq!(TrackName::new("video"), Some(TrackName::VIDEO));
        assert_eq!(TrackName::new("sixteen.letters.").map(|n| n.as_str().len()), Some(16));
    }
}
