//! H.264 byte streams: the file form of Annex B, which is access units one after the other and nothing else.

use crate::h264::nal::{Nal, NalKind, Nals, nals};
use bytes::Bytes;

/// The access units of a whole byte stream, in order, each a slice of it.
///
/// A unit begins at an access unit delimiter, a parameter set or SEI after a picture (ITU-T H.264 §7.4.1.2.3), or at a
/// slice that begins with macroblock 0. Arbitrary slice order and redundant slices, which only the Baseline and
/// Extended profiles have, are not told apart. Bytes before the first NAL unit belong to no unit.
pub fn access_units(stream: &Bytes) -> AccessUnits<'_> {
    AccessUnits { stream, nals: nals(stream), start: None, boundary: Boundary::default() }
}

/// Iterator of [`access_units`].
#[derive(Clone, Debug)]
pub struct AccessUnits<'a> {
    stream: &'a Bytes,
    nals: Nals<'a>,
    start: Option<usize>,
    boundary: Boundary,
}

impl Iterator for AccessUnits<'_> {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        for nal in self.nals.by_ref() {
            let begins = self.boundary.begins(&nal);
            let Some(start) = self.start else {
                self.start = Some(nal.start());
                continue;
            };
            if begins {
                self.start = Some(nal.start());
                return Some(self.stream.slice(start..nal.start()));
            }
        }
        Some(self.stream.slice(self.start.take()?..))
    }
}

/// Tells where one access unit ends and the next begins.
#[derive(Clone, Debug, Default)]
pub(crate) struct Boundary {
    has_picture: bool,
}

impl Boundary {
    /// Whether `nal` begins another unit than the NAL units before it. Its header and one byte more are enough.
    pub(crate) fn begins(&mut self, nal: &Nal<'_>) -> bool {
        let begins = self.has_picture && begins_after_picture(nal);
        self.has_picture = nal.kind().is_picture() || (self.has_picture && !begins);
        begins
    }
}

/// Whether `nal`, coming after a picture, belongs to the next one.
fn begins_after_picture(nal: &Nal<'_>) -> bool {
    match nal.kind() {
        NalKind::Delimiter | NalKind::Sps | NalKind::SubsetSps | NalKind::Pps | NalKind::Sei => true,
        NalKind::Other(16..=18) => true,
        kind => kind.is_picture() && nal.first_macroblock() == Some(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SPS: &[u8] = &[0, 0, 0, 1, 0x67, 66];
    const PPS: &[u8] = &[0, 0, 0, 1, 0x68, 7];
    const DELIMITER: &[u8] = &[0, 0, 0, 1, 9, 0x10];
    /// A slice that begins with macroblock 0, and one that begins with macroblock 1.
    const FIRST: &[u8] = &[0, 0, 1, 0x41, 0x80];
    const SECOND: &[u8] = &[0, 0, 1, 0x41, 0x40];

    fn units(parts: &[&[u8]]) -> Vec<Bytes> {
        access_units(&Bytes::from(parts.concat())).collect()
    }

    #[test]
    fn slices_of_one_picture_stay_together() {
        let found = units(&[&[9, 9], SPS, PPS, FIRST, SECOND, FIRST, SECOND, DELIMITER, FIRST, SPS, FIRST]);
        let wanted = [
            [SPS, PPS, FIRST, SECOND].concat(),
            [FIRST, SECOND].concat(),
            [DELIMITER, FIRST].concat(),
            [SPS, FIRST].concat(),
        ];
        assert_eq!(found, wanted);
    }

    #[test]
    fn a_stream_of_nothing_has_no_units() {
        assert_eq!(units(&[&[]]), Vec::<Bytes>::new());
        assert_eq!(units(&[&[1, 2, 3, 0, 0, 1]]), Vec::<Bytes>::new());
    }

    proptest! {
        #[test]
        fn units_join_to_the_stream_from_its_first_start_code_on(
            parts in prop::collection::vec(prop::sample::select(vec![SPS, PPS, DELIMITER, FIRST, SECOND]), 0..20)
        ) {
            prop_assert_eq!(units(&parts).concat(), parts.concat());
        }
    }
}
