//! Which mode a stream shall have: probe and commit (UVC 1.1 §4.3.1.1).

use super::descriptors::{CLOCK_HZ, ISO_ROOM, PROBE, interval};
use crate::config::{Format, Mode, Transfer};
use std::time::Duration;

/// Most bytes of one bulk payload.
pub(super) const BULK_PAYLOAD: u32 = 64 * 1024;

/// What can be chosen.
#[derive(Debug)]
pub(super) struct Offer {
    pub(super) formats: Vec<(Format, Vec<Mode>)>,
    pub(super) transfer: Transfer,
}

/// A mode with its rate, as it is put into a probe block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Choice {
    /// From 1.
    format: u8,
    /// From 1.
    frame: u8,
    /// From one frame to the next, in 100 ns.
    interval: u32,
}

impl Choice {
    /// The first mode at its default rate.
    pub(super) fn first(offer: &Offer) -> Self {
        offer.nearest(Self { format: 1, frame: 1, interval: 0 })
    }

    /// From one frame to the next.
    pub(super) fn interval(self) -> Duration {
        Duration::from_nanos(u64::from(self.interval) * 100)
    }
}

impl Offer {
    /// What the host asks for in a probe block, or what is nearest to that; `None` if the block is too short.
    pub(super) fn parse(&self, block: &[u8]) -> Option<Choice> {
        // UVC 1.0 has 26 bytes, 1.1 has 34, 1.5 has 48; what concerns us is at the same place in all of them.
        let [_, _, format, frame, i0, i1, i2, i3, ..] = *block else { return None };
        if block.len() < 26 {
            return None;
        }
        Some(self.nearest(Choice { format, frame, interval: u32::from_le_bytes([i0, i1, i2, i3]) }))
    }

    /// Format and frame that are there, and the nearest of its intervals; the default for 0.
    fn nearest(&self, wanted: Choice) -> Choice {
        let last = |count: usize| u8::try_from(count).unwrap_or(u8::MAX);
        let format = wanted.format.clamp(1, last(self.formats.len()));
        let modes = self.formats.get(usize::from(format) - 1).map_or(0, |(_, modes)| modes.len());
        let mut choice = Choice { format, frame: wanted.frame.clamp(1, last(modes).max(1)), interval: wanted.interval };
        let rates = self.mode(choice).map(|mode| mode.rates.as_slice()).unwrap_or_default();
        let intervals = rates.iter().map(|&rate| interval(rate));
        choice.interval = match wanted.interval {
            0 => intervals.clone().next(),
            wanted => intervals.clone().min_by_key(|there| there.abs_diff(wanted)),
        }
        .unwrap_or(333_333);
        choice
    }

    /// The mode of a choice.
    pub(super) fn mode(&self, choice: Choice) -> Option<&Mode> {
        let (_, modes) = self.formats.get(usize::from(choice.format).checked_sub(1)?)?;
        modes.get(usize::from(choice.frame).checked_sub(1)?)
    }

    /// Most bytes of one payload.
    pub(super) fn payload(&self, choice: Choice) -> u32 {
        let Some(mode) = self.mode(choice).filter(|_| self.transfer == Transfer::Isochronous) else {
            return BULK_PAYLOAD;
        };
        // A quarter more than the frames need, so that what was late is caught up with. Nobody knows what a coder needs.
        let raw = matches!(mode.format, Format::Yuyv | Format::Nv12);
        let packets = u64::from(choice.interval) / 1250;
        let need = u64::from(mode.most_bytes()) / packets.max(1) * 5 / 4 + 12;
        let fits = ISO_ROOM.into_iter().find(|&room| raw && need <= room.into());
        fits.unwrap_or(3072)
    }

    /// The probe block of a choice.
    pub(super) fn emit(&self, choice: Choice) -> [u8; PROBE] {
        let bytes = self.mode(choice).map_or(0, Mode::most_bytes);
        let fields = [
            // The frame interval is to be kept.
            &[1, 0, choice.format, choice.frame][..],
            &choice.interval.to_le_bytes(),
            &[0; 10],
            &bytes.to_le_bytes(),
            &self.payload(choice).to_le_bytes(),
            &CLOCK_HZ.to_le_bytes(),
            // Frame ids and ends of frames are marked; version 1 of the payload format.
            &[3, 1, 1, 1],
        ];
        let mut block = [0; PROBE];
        for (to, from) in block.iter_mut().zip(fields.into_iter().flatten()) {
            *to = *from;
        }
        block
    }
}

#[cfg(test)]
mod tests {
    use super::super::descriptors::formats;
    use super::*;
    use crate::config::BoardConfig;

    fn offer(transfer: Transfer) -> Offer {
        Offer { formats: formats(&BoardConfig::new(transfer).modes), transfer }
    }

    #[test]
    fn what_was_probed_is_answered_and_the_nearest_of_what_is_not_there() {
        let offer = offer(Transfer::Bulk);
        for (wanted, answer) in [
            ((1, 2, 666_666), (1, 2, 666_666)),
            ((1, 2, 0), (1, 2, 333_333)),
            ((1, 1, 700_000), (1, 1, 666_666)),
            ((200, 0, 1), (4, 1, 333_333)),
            ((0, 200, u32::MAX), (1, 3, 1_000_000)),
        ] {
            let (format, frame, interval) = wanted;
            let mut block = [0; 48];
            block[2..4].copy_from_slice(&[format, frame]);
            block[4..8].copy_from_slice(&u32::to_le_bytes(interval));
            let choice = offer.parse(&block).unwrap();
            assert_eq!((choice.format, choice.frame, choice.interval), answer, "{wanted:?}");
            assert_eq!(offer.parse(&offer.emit(choice)), Some(choice));
        }
        assert_eq!(offer.parse(&[0; 25]), None);
    }

    #[test]
    fn isochronous_payloads_have_room_for_their_frames() {
        let offer = offer(Transfer::Isochronous);
        let payload = |frame| offer.payload(offer.nearest(Choice { format: 1, frame, interval: 0 }));
        assert_eq!((payload(1), payload(2), payload(3)), (3072, 1024, 3072));
    }
}
