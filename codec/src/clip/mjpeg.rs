//! Motion JPEG: JPEG pictures one after the other (ITU-T T.81), as USB cameras give and `ffmpeg -f mjpeg` writes.

use crate::units::Size;

/// What the markers of one JPEG say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Jpeg {
    /// Its length in bytes, up to its end-of-image marker, or to where it breaks off.
    pub len: usize,
    /// Whether it ends with its end-of-image marker.
    pub complete: bool,
    /// Its size, if it has a frame header with one that a picture here can have.
    pub size: Option<Size>,
    /// Whether it carries Huffman tables; without, the standard ones are meant (ITU-T T.81 annex K.3).
    pub huffman_tables: bool,
    /// Whether it is coded as cameras code: sequential, by Huffman codes (ITU-T T.81 frames SOF0 and SOF1), in one scan.
    pub plain: bool,
}

const SOI: u8 = 0xd8;
const EOI: u8 = 0xd9;
const SOS: u8 = 0xda;
const DHT: u8 = 0xc4;

/// Walks the markers of the JPEG that `bytes` begin with. `None` if they begin with no JPEG.
///
/// Marker lengths are respected, so that a thumbnail inside ends nothing.
pub fn scan(bytes: &[u8]) -> Option<Jpeg> {
    let mut rest = bytes.strip_prefix(&[0xff, SOI, 0xff])?;
    // A JPEG begins with two markers in a row; the second is read again below.
    let mut jpeg = Jpeg { len: bytes.len(), complete: false, size: None, huffman_tables: false, plain: false };
    let (mut frames, mut scans, mut sequential) = (0_usize, 0_usize, false);
    rest = bytes.get(bytes.len() - rest.len() - 1..)?;
    loop {
        let at = bytes.len() - rest.len();
        let Some((marker, after)) = next_marker(rest) else { return Some(jpeg) };
        match marker {
            EOI => {
                return Some(Jpeg { len: bytes.len() - after.len(), complete: true, ..jpeg });
            }
            // Another picture begins: this one was cut short.
            SOI => return Some(Jpeg { len: at, ..jpeg }),
            0x01 | 0xd0..=0xd7 => rest = after,
            _ => {
                let Some((segment, after)) = split_segment(after) else { return Some(jpeg) };
                match marker {
                    DHT => jpeg.huffman_tables = true,
                    0xc0..=0xc3 | 0xc5..=0xc7 | 0xc9..=0xcb | 0xcd..=0xcf => {
                        jpeg.size = frame_size(segment);
                        frames += 1;
                        sequential = marker <= 0xc1;
                    }
                    SOS => scans += 1,
                    _ => {}
                }
                jpeg.plain = sequential && frames == 1 && scans == 1;
                rest = if marker == SOS { skip_entropy_coded(after) } else { after };
            }
        }
    }
}

/// The marker that `bytes` begin with, and what follows; bytes before it that are no marker are passed over.
fn next_marker(bytes: &[u8]) -> Option<(u8, &[u8])> {
    let at = find_marker(bytes, |code| !matches!(code, 0 | 0xff))?;
    let (&code, after) = bytes.get(at + 1..)?.split_first()?;
    Some((code, after))
}

/// Where the first 0xff is that one of these codes follows. A JPEG is searched to its end, but has few of that byte.
fn find_marker(bytes: &[u8], wanted: impl Fn(u8) -> bool) -> Option<usize> {
    memchr::memchr_iter(0xff, bytes).find(|at| bytes.get(at + 1).is_some_and(|&code| wanted(code)))
}

/// The content of a segment, and what follows it.
fn split_segment(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&length, rest) = bytes.split_first_chunk::<2>()?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(length)).checked_sub(2)?)
}

/// What follows entropy-coded data: from the next marker that is no restart marker on.
fn skip_entropy_coded(bytes: &[u8]) -> &[u8] {
    let end = find_marker(bytes, |code| !matches!(code, 0 | 0xff | 0xd0..=0xd7)).unwrap_or(bytes.len());
    bytes.get(end..).unwrap_or_default()
}

/// Size in a frame header: precision, height, width.
fn frame_size(segment: &[u8]) -> Option<Size> {
    let &[_, h1, h0, w1, w0] = segment.first_chunk::<5>()?;
    Size::new(u16::from_be_bytes([w1, w0]).into(), u16::from_be_bytes([h1, h0]).into())
}

/// The whole JPEGs of a stream, in order. One that is cut short is passed over, as are bytes between two.
pub fn pictures(stream: &[u8]) -> Pictures<'_> {
    Pictures { rest: stream, damaged: 0 }
}

/// Iterator of [`pictures`].
#[derive(Clone, Debug)]
pub struct Pictures<'a> {
    rest: &'a [u8],
    damaged: u64,
}

impl Pictures<'_> {
    /// JPEGs passed over so far because they were cut short.
    pub fn damaged(&self) -> u64 {
        self.damaged
    }
}

impl<'a> Iterator for Pictures<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let start = self.rest.windows(3).position(|three| three == [0xff, SOI, 0xff])?;
            let from = self.rest.get(start..)?;
            let jpeg = scan(from)?;
            // A broken length can lead past the pictures that follow: look for the next one right behind the start.
            let len = if jpeg.complete { jpeg.len } else { 2 };
            let (taken, rest) = from.split_at_checked(len)?;
            self.rest = rest;
            if jpeg.complete {
                return Some(taken);
            }
            self.damaged += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Markers of a JPEG, with no picture in it.
    fn jpeg(width: u8, entropy: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0xff, 0xd8, 0xff, 0xe0, 0, 4, 0xff, 0xd9];
        bytes.extend([0xff, 0xc0, 0, 8, 8, 0, 32, 0, width, 1, 0xff, 0xda, 0, 3, 0]);
        bytes.extend(entropy);
        bytes.extend([0xff, 0xd9]);
        bytes
    }

    #[test]
    fn an_end_marker_inside_a_segment_ends_nothing() {
        let bytes = [jpeg(64, &[1, 0xff, 0, 0xff, 0xd3, 2]), vec![7; 9]].concat();
        let found = scan(&bytes).unwrap();
        assert_eq!((found.len, found.complete), (bytes.len() - 9, true));
        assert_eq!(found.size, Size::new(64, 32));
        assert!(!found.huffman_tables && found.plain);
    }

    #[test]
    fn only_one_sequential_scan_is_plain() {
        let one = jpeg(64, &[1]);
        let (picture, end) = one.split_at(one.len() - 2);
        let two = [picture, &[0xff, 0xda, 0, 3, 0, 1], end].concat();
        let progressive = one.iter().map(|&byte| if byte == 0xc0 { 0xc2 } else { byte }).collect();
        for (bytes, plain) in [(one.clone(), true), (two, false), (progressive, false)] {
            assert_eq!(scan(&bytes).map(|found| (found.complete, found.plain)), Some((true, plain)));
        }
    }

    #[test]
    fn a_picture_cut_short_is_passed_over_and_counted() {
        let (a, b) = (jpeg(64, &[5]), jpeg(32, &[6]));
        let cut = a.get(..a.len() - 3).unwrap().to_vec();
        let stream = [&[1, 2][..], &a, &cut, &b, &[0; 40], &a, &cut].concat();
        let mut found = pictures(&stream);
        assert_eq!(found.by_ref().collect::<Vec<_>>(), [&a[..], &b, &a]);
        assert_eq!(found.damaged(), 2);
    }

    proptest! {
        #[test]
        fn pictures_lie_inside_the_stream_and_do_not_overlap(
            bytes in prop::collection::vec(prop_oneof![Just(0xff_u8), Just(0xd8), Just(0xd9), Just(0xda), Just(0), any::<u8>()], 0..300)
        ) {
            let total: usize = pictures(&bytes).map(<[u8]>::len).sum();
            prop_assert!(total <= bytes.len());
        }
    }
}
