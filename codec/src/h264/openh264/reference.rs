//! Which units a receiver has, so that after a loss the next picture refers to one of those instead of being a keyframe.
//!
//! The library keeps two long-term references beside the picture before; it knows pictures by `frame_num` and
//! `idr_pic_id` (ITU-T H.264 §7.4.3), a caller by their time. Here the one is turned into the other.

use crate::units::MediaTime;
use std::collections::VecDeque;

/// `frame_num` counts modulo this: the library's `uiLog2MaxFrameNum` is 15.
const FRAME_NUMBERS: i32 = 1 << 15;
/// Units remembered; some eight seconds.
const REMEMBERED: usize = 256;

/// Numbers of the units since the last keyframe, and what is known of their arrival.
#[derive(Debug, Default)]
pub(super) struct References {
    /// Keyframes since the library was started, which is its `idr_pic_id`.
    keyframes: u16,
    /// `frame_num` of the next unit.
    next: i32,
    sent: VecDeque<(MediaTime, i32)>,
    /// Numbers that arrived and were not told to the library yet, oldest first.
    arrived: VecDeque<i32>,
}

impl References {
    /// The library was started anew.
    pub(super) fn reset(&mut self) {
        *self = Self::default();
    }

    /// A keyframe was coded, be it for a trial: what was before it is no reference any more.
    pub(super) fn keyframe(&mut self, at: MediaTime) {
        // The library starts over after 65535.
        self.keyframes = self.keyframes.wrapping_add(1);
        self.next = 0;
        self.sent.clear();
        self.arrived.clear();
        self.sent(at, true);
    }

    /// A unit was coded; `is_reference` if later ones may refer to it.
    pub(super) fn sent(&mut self, at: MediaTime, is_reference: bool) {
        if self.sent.len() == REMEMBERED {
            self.sent.pop_front();
        }
        self.sent.push_back((at, self.next));
        // A unit that nobody refers to shares its number with the next.
        self.next = (self.next + i32::from(is_reference)) % FRAME_NUMBERS;
    }

    /// `idr_pic_id` of the last keyframe.
    pub(super) fn keyframe_id(&self) -> u32 {
        self.keyframes.into()
    }

    /// `frame_num` of the unit of `at`, if it is remembered.
    pub(super) fn number(&self, at: MediaTime) -> Option<i32> {
        self.sent.iter().rev().find(|(sent, _)| *sent == at).map(|(_, number)| *number)
    }

    /// `frame_num` of the newest unit.
    pub(super) fn newest(&self) -> Option<i32> {
        self.sent.back().map(|(_, number)| *number)
    }

    /// A receiver has the unit of `at`.
    pub(super) fn acknowledge(&mut self, at: MediaTime) {
        if let Some(number) = self.number(at)
            && self.arrived.len() < REMEMBERED
        {
            self.arrived.push_back(number);
        }
    }

    /// One number to tell the library before the next picture: it takes no more than one a picture.
    pub(super) fn next_arrived(&mut self) -> Option<i32> {
        self.arrived.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ticks: u64) -> MediaTime {
        MediaTime::from_ticks(ticks)
    }

    #[test]
    fn numbers_count_references_since_the_keyframe() {
        let mut references = References::default();
        references.keyframe(at(0));
        references.sent(at(1), false);
        references.sent(at(2), true);
        references.sent(at(3), true);
        let numbers = [0, 1, 2, 3, 4].map(|ticks| references.number(at(ticks)));
        assert_eq!(numbers, [Some(0), Some(1), Some(1), Some(2), None]);
        references.acknowledge(at(2));
        references.acknowledge(at(9));
        assert_eq!((references.next_arrived(), references.next_arrived()), (Some(1), None));
        references.keyframe(at(4));
        assert_eq!((references.number(at(3)), references.newest(), references.keyframe_id()), (None, Some(0), 2));
    }

    #[test]
    fn what_is_long_gone_is_forgotten_and_memory_stays() {
        let mut references = References::default();
        references.keyframe(at(0));
        for ticks in 1..100_000 {
            references.sent(at(ticks), true);
            references.acknowledge(at(ticks));
        }
        assert!(references.sent.len() <= REMEMBERED && references.arrived.len() <= REMEMBERED);
        assert_eq!(references.number(at(1)), None);
        assert_eq!(references.newest(), Some(99_999 % FRAME_NUMBERS));
    }
}
