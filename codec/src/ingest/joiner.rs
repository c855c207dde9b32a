//! Puts a byte stream that was cut anywhere together again, one access unit at a time.

use super::MAX_UNIT;
use crate::clip::annexb::Boundary;
use crate::h264::nal::{Nal, start_code};
use crate::units::MediaTime;

/// Bytes of the unit that has begun. Every byte is looked at once, however small the pieces.
#[derive(Debug, Default)]
pub(super) struct Joiner {
    pending: Vec<u8>,
    /// Start codes before this were found.
    scanned: usize,
    /// A NAL unit found and not yet judged: where its start code and its header are.
    fresh: Option<(usize, usize)>,
    /// Whether `pending` begins with a start code.
    joined: bool,
    boundary: Boundary,
    /// When the pending unit began.
    began: MediaTime,
}

/// What a NAL unit is judged by: header, and the byte that tells a slice's first macroblock.
const ENOUGH: usize = 2;
/// Bytes at the end that may belong to a start code of four.
const TAIL: usize = 3;

impl Joiner {
    /// Adds bytes. What became whole is given to `unit` with the time it began.
    ///
    /// # Errors
    /// What `unit` says; [`None`] if a unit was longer than can be, and is thrown away.
    pub(super) fn push<E>(
        &mut self,
        bytes: &[u8],
        at: MediaTime,
        mut unit: impl FnMut(&[u8], MediaTime) -> Result<(), E>,
    ) -> Result<(), Option<E>> {
        self.pending.extend_from_slice(bytes);
        while let Some(end) = self.next_end(ENOUGH) {
            unit(self.pending.get(..end).unwrap_or_default(), self.began).map_err(Some)?;
            self.drop_front(end);
            self.began = at;
        }
        if !self.joined {
            // Nothing begins in what has no start code.
            self.drop_front(self.pending.len().saturating_sub(TAIL));
            self.began = at;
        }
        if self.pending.len() > MAX_UNIT {
            *self = Self::default();
            return Err(None);
        }
        Ok(())
    }

    /// Gives what is left at the end of the stream, and starts over.
    pub(super) fn finish<E>(&mut self, mut unit: impl FnMut(&[u8], MediaTime) -> Result<(), E>) -> Result<(), E> {
        while let Some(end) = self.next_end(0) {
            unit(self.pending.get(..end).unwrap_or_default(), self.began)?;
            self.drop_front(end);
        }
        let last = std::mem::take(self);
        if last.joined { unit(&last.pending, last.began) } else { Ok(()) }
    }

    /// Where the pending unit ends, if the beginning of the next is there. A NAL unit of which fewer than `enough`
    /// bytes are there is not judged yet.
    fn next_end(&mut self, enough: usize) -> Option<usize> {
        loop {
            if let Some((start, header)) = self.fresh {
                let head = self.pending.get(header..).unwrap_or_default();
                if head.len() < enough {
                    return None;
                }
                self.fresh = None;
                let head = head.get(..head.len().min(ENOUGH)).unwrap_or_default();
                if Nal::of(head).is_some_and(|nal| self.boundary.begins(&nal)) {
                    return Some(start);
                }
            }
            let Some(code) = start_code(&self.pending, self.scanned) else {
                self.scanned = self.scanned.max(self.pending.len().saturating_sub(TAIL - 1));
                return None;
            };
            let long = code.checked_sub(1).and_then(|before| self.pending.get(before)) == Some(&0);
            let start = code - usize::from(long);
            self.scanned = code + 3;
            self.fresh = Some((start, code + 3));
            if !self.joined {
                self.joined = true;
                self.drop_front(start);
            }
        }
    }

    fn drop_front(&mut self, len: usize) {
        self.pending.drain(..len.min(self.pending.len()));
        self.scanned = self.scanned.saturating_sub(len);
        self.fresh = self.fresh.map(|(start, header)| (start.saturating_sub(len), header.saturating_sub(len)));
    }
}
