//! IVF: a small header and one temporal unit a frame, as libaom, dav1d and ffmpeg read and write AV1.

use super::ClipError;
use crate::units::{FrameRate, Size};
use bytes::Bytes;

/// How every IVF file begins.
pub const MAGIC: &[u8] = b"DKIF";

const CODEC: &[u8; 4] = b"AV01";
const FRAME_HEADER: usize = 12;

/// Header of an IVF file, 32 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Size of the pictures.
    pub size: Size,
    /// Frames a second; a frame's time counts in its interval.
    pub rate: FrameRate,
}

impl Header {
    /// Its length in bytes.
    pub const LEN: usize = 32;

    /// Reads the header that `file` begins with, and gives where its frames begin.
    ///
    /// # Errors
    /// If it is cut short, of another codec than AV1, or has a size or rate that no picture here can have.
    pub fn parse(file: &[u8]) -> Result<(Self, usize), ClipError> {
        let header = file.first_chunk::<{ Self::LEN }>().ok_or(ClipError::Short)?;
        let &[d, k, i, f, _, _, l0, l1, c0, c1, c2, c3, w0, w1, h0, h1, n0, n1, n2, n3, m0, m1, m2, m3, ..] = header;
        if [d, k, i, f] != *MAGIC {
            return Err(ClipError::Unknown);
        }
        if [c0, c1, c2, c3] != *CODEC {
            return Err(ClipError::IvfCodec(String::from_utf8_lossy(&[c0, c1, c2, c3]).into_owned()));
        }
        let (width, height) = (u16::from_le_bytes([w0, w1]), u16::from_le_bytes([h0, h1]));
        let size = Size::new(width.into(), height.into()).ok_or_else(|| ClipError::Header {
            field: "size",
            value: format!("{width}x{height}"),
            wanted: "sides from 1 to 8192",
        })?;
        let (num, den) = (u32::from_le_bytes([n0, n1, n2, n3]), u32::from_le_bytes([m0, m1, m2, m3]));
        let rate = FrameRate::new(num, den).ok_or_else(|| ClipError::Header {
            field: "rate",
            value: format!("{num}/{den}"),
            wanted: "1 to 1000 frames a second",
        })?;
        let start = usize::from(u16::from_le_bytes([l0, l1])).max(Self::LEN);
        Ok((Self { size, rate }, start))
    }

    /// The header of a file with `frames` frames; 0 where their number is not known yet.
    pub fn emit(&self, frames: u32) -> [u8; Self::LEN] {
        let mut header = [0; Self::LEN];
        let fields = MAGIC
            .iter()
            .copied()
            .chain([0, 0])
            .chain((Self::LEN as u16).to_le_bytes())
            .chain(*CODEC)
            // A side is at most 8192.
            .chain((self.size.width() as u16).to_le_bytes())
            .chain((self.size.height() as u16).to_le_bytes())
            .chain(self.rate.num().to_le_bytes())
            .chain(self.rate.den().to_le_bytes())
            .chain(frames.to_le_bytes());
        header.iter_mut().zip(fields).for_each(|(to, from)| *to = from);
        header
    }
}

/// One frame of an IVF file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Its time, in intervals of the file's rate.
    pub at: u64,
    /// A temporal unit.
    pub data: Bytes,
}

/// What comes before a frame of `len` bytes.
pub fn emit_frame_header(at: u64, len: u32) -> [u8; FRAME_HEADER] {
    let mut header = [0; FRAME_HEADER];
    header.iter_mut().zip(len.to_le_bytes().into_iter().chain(at.to_le_bytes())).for_each(|(to, from)| *to = from);
    header
}

/// The frames of a file, from `start` on, each a slice of it. Ends where the file breaks off: lengths are all that
/// parts one frame from the next.
pub fn frames(file: &Bytes, start: usize) -> Frames<'_> {
    Frames { file, at: start }
}

/// Iterator of [`frames`].
#[derive(Clone, Debug)]
pub struct Frames<'a> {
    file: &'a Bytes,
    at: usize,
}

impl Iterator for Frames<'_> {
    type Item = Frame;

    fn next(&mut self) -> Option<Frame> {
        let rest = self.file.get(self.at..)?;
        let &[l0, l1, l2, l3, t0, t1, t2, t3, t4, t5, t6, t7] = rest.first_chunk::<FRAME_HEADER>()?;
        let len = usize::try_from(u32::from_le_bytes([l0, l1, l2, l3])).ok()?;
        let start = self.at.checked_add(FRAME_HEADER)?;
        let end = start.checked_add(len).filter(|&end| end <= self.file.len())?;
        self.at = end;
        Some(Frame { at: u64::from_le_bytes([t0, t1, t2, t3, t4, t5, t6, t7]), data: self.file.slice(start..end) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> Header {
        Header { size: Size::new(1280, 720).unwrap(), rate: FrameRate::new(30_000, 1001).unwrap() }
    }

    #[test]
    fn what_is_written_is_read() {
        let mut file = header().emit(2).to_vec();
        for (at, data) in [(0, &b"one"[..]), (7, b"")] {
            file.extend(emit_frame_header(at, data.len() as u32));
            file.extend(data);
        }
        file.extend(emit_frame_header(8, 100));
        let file = Bytes::from(file);
        let (found, start) = Header::parse(&file).unwrap();
        assert_eq!((found, start), (header(), 32));
        let found: Vec<_> = frames(&file, start).map(|frame| (frame.at, frame.data)).collect();
        assert_eq!(found, [(0, Bytes::from_static(b"one")), (7, Bytes::new())], "a frame cut short ends the file");
    }

    #[test]
    fn another_codec_and_odd_headers_are_refused_in_words() {
        let mut file = header().emit(0);
        file[8..12].copy_from_slice(b"VP90");
        assert_eq!(Header::parse(&file).unwrap_err().to_string(), "IVF file holds \"VP90\": wants AV01");
        file = header().emit(0);
        file[12..14].fill(0);
        let words = "header of the file says size 0x720: wants sides from 1 to 8192";
        assert_eq!(Header::parse(&file).unwrap_err().to_string(), words);
        assert_eq!(Header::parse(&file[..31]), Err(ClipError::Short));
    }
}
