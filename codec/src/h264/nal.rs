//! NAL units of an H.264 byte stream.

use crate::bits::BitReader;

/// What a NAL unit holds (ITU-T H.264 table 7-1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum NalKind {
    /// Slice of a picture that is no IDR (1).
    Slice,
    /// Data partition A, B or C of a slice (2 to 4).
    Partition,
    /// Slice of an IDR picture (5).
    IdrSlice,
    /// Supplemental enhancement information (6).
    Sei,
    /// Sequence parameter set (7).
    Sps,
    /// Picture parameter set (8).
    Pps,
    /// Access unit delimiter (9).
    Delimiter,
    /// End of sequence or of stream (10, 11).
    End,
    /// Filler data (12).
    Filler,
    /// Subset sequence parameter set, as scalable and multiview streams have (15).
    SubsetSps,
    /// Anything else: reserved, unspecified, or of an extension.
    Other(u8),
}

impl NalKind {
    /// Kind of `nal_unit_type`, of which only the low five bits count.
    pub const fn from_type(nal_unit_type: u8) -> Self {
        match nal_unit_type & 0x1f {
            1 => Self::Slice,
            2..=4 => Self::Partition,
            5 => Self::IdrSlice,
            6 => Self::Sei,
            7 => Self::Sps,
            8 => Self::Pps,
            9 => Self::Delimiter,
            10 | 11 => Self::End,
            12 => Self::Filler,
            15 => Self::SubsetSps,
            other => Self::Other(other),
        }
    }

    /// Whether it carries part of a primary coded picture.
    pub const fn is_picture(self) -> bool {
        matches!(self, Self::Slice | Self::Partition | Self::IdrSlice)
    }
}

/// One NAL unit, without its start code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nal<'a> {
    header: u8,
    payload: &'a [u8],
    start: usize,
}

impl<'a> Nal<'a> {
    /// The unit of these bytes, its header first, as length-prefixed streams have them; `None` of nothing or zeros.
    pub fn of(unit: &'a [u8]) -> Option<Self> {
        let (&header, payload) = trim_zeros(unit).split_first()?;
        Some(Self { header, payload, start: 0 })
    }

    /// The one-byte header.
    pub const fn header(&self) -> u8 {
        self.header
    }

    /// What it holds.
    pub const fn kind(&self) -> NalKind {
        NalKind::from_type(self.header)
    }

    /// `nal_ref_idc`, 0 to 3; 0 means that no other picture needs it.
    pub const fn ref_idc(&self) -> u8 {
        (self.header >> 5) & 3
    }

    /// Whether `forbidden_zero_bit` is set, by which a network marks a unit as damaged.
    pub const fn is_marked_damaged(&self) -> bool {
        self.header & 0x80 != 0
    }

    /// Bytes after the one-byte header, with emulation prevention still in.
    pub const fn payload(&self) -> &'a [u8] {
        self.payload
    }

    /// Where its start code begins in the bytes given to [`nals`]; 0 for one made by [`Nal::of`].
    pub const fn start(&self) -> usize {
        self.start
    }

    /// Bits after the header, emulation prevention removed.
    pub fn bits(&self) -> BitReader<'a> {
        BitReader::escaped(self.payload)
    }

    /// For a slice: `first_mb_in_slice`, the macroblock it begins with. 0 begins a picture.
    pub fn first_macroblock(&self) -> Option<u32> {
        if self.kind().is_picture() { self.bits().exp_golomb().ok() } else { None }
    }
}

/// The NAL units of an Annex B byte stream, in order; bytes before the first start code are passed over.
///
/// Zero bytes at a unit's end belong to no unit (ITU-T H.264 §B.1).
pub fn nals(stream: &[u8]) -> Nals<'_> {
    Nals { stream, at: start_code(stream, 0) }
}

/// Iterator of [`nals`].
#[derive(Clone, Debug)]
pub struct Nals<'a> {
    stream: &'a [u8],
    at: Option<usize>,
}

impl<'a> Iterator for Nals<'a> {
    type Item = Nal<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        while let Some(at) = self.at {
            let body = at + 3;
            self.at = start_code(self.stream, body);
            let end = self.at.unwrap_or(self.stream.len());
            let unit = trim_zeros(self.stream.get(body..end).unwrap_or_default());
            if let Some((&header, payload)) = unit.split_first() {
                // A fourth byte, zero, may come before the three of the start code.
                let long = at.checked_sub(1).and_then(|before| self.stream.get(before)) == Some(&0);
                return Some(Nal { header, payload, start: at - usize::from(long) });
            }
        }
        None
    }
}

/// Index of the next `00 00 01` from `from` on.
pub(crate) fn start_code(stream: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    loop {
        let &[a, b, c] = stream.get(at..)?.first_chunk::<3>()?;
        // The third byte tells how far a start code can be from here at the least.
        match (a, b, c) {
            (0, 0, 1) => return Some(at),
            (_, _, 2..) => at += 3,
            (_, _, 1) => at += 3,
            (_, 0, 0) => at += 1,
            (_, _, 0) => at += 2,
        }
    }
}

fn trim_zeros(unit: &[u8]) -> &[u8] {
    let kept = unit.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
    unit.get(..kept).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn start_codes_of_three_and_four_bytes_part_units() {
        let stream = [9, 9, 0, 0, 0, 1, 0x67, 1, 2, 0, 0, 1, 0x68, 3, 0, 0, 0, 0, 0, 1, 0x65, 4];
        let found: Vec<_> = nals(&stream).map(|nal| (nal.kind(), nal.payload().to_vec(), nal.start())).collect();
        assert_eq!(
            found,
            [(NalKind::Sps, vec![1, 2], 2), (NalKind::Pps, vec![3], 9), (NalKind::IdrSlice, vec![4], 16)]
        );
    }

    #[test]
    fn empty_units_are_passed_over() {
        let stream = [0, 0, 1, 0, 0, 1, 0, 0, 0, 1, 0x41];
        assert_eq!(nals(&stream).map(|nal| nal.kind()).collect::<Vec<_>>(), [NalKind::Slice]);
    }

    proptest! {
        #[test]
        fn units_are_slices_of_the_stream_in_order(stream in prop::collection::vec(prop_oneof![Just(0_u8), Just(1), any::<u8>()], 0..200)) {
            let mut past = 0;
            for nal in nals(&stream) {
                prop_assert!(nal.start() >= past);
                past = nal.start() + 1;
                prop_assert!(!nal.payload().windows(3).any(|three| three == [0, 0, 1]));
                let _ = nal.first_macroblock();
            }
        }
    }
}
