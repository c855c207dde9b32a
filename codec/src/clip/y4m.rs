//! YUV4MPEG2: pictures as they are, with a line of text before all and before each.

use super::ClipError;
use crate::picture::Picture;
use crate::units::{Color, FrameRate, Matrix, Range, Size};

/// How every y4m file begins.
pub const MAGIC: &[u8] = b"YUV4MPEG2 ";

const FRAME: &[u8] = b"FRAME";

/// Longest line of parameters.
const MAX_LINE: usize = 1024;

/// Header of a y4m file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Size of the pictures.
    pub size: Size,
    /// Frames a second.
    pub rate: FrameRate,
    /// What the samples mean. The format tells the range at best; the matrix is what is usual for the size.
    pub color: Color,
}

impl Header {
    /// Reads the header that `file` begins with, and gives where its frames begin.
    ///
    /// # Errors
    /// If it is cut short, not 8-bit 4:2:0, or has a size or rate that no picture here can have.
    pub fn parse(file: &[u8]) -> Result<(Self, usize), ClipError> {
        let rest = file.strip_prefix(MAGIC).ok_or(ClipError::Unknown)?;
        let len = line_len(rest).ok_or(ClipError::Short)?;
        let line = String::from_utf8_lossy(rest.get(..len).unwrap_or_default());
        let (mut width, mut height, mut rate, mut range) = (None, None, FrameRate::whole(25), Range::Limited);
        for parameter in line.split_ascii_whitespace() {
            let mut letters = parameter.chars();
            let letter = letters.next();
            let value = letters.as_str();
            match letter {
                Some('W') => width = value.parse().ok(),
                Some('H') => height = value.parse().ok(),
                Some('F') => rate = value.split_once(':').and_then(|(num, den)| parse_rate(num, den)),
                Some('C') if !is_420(value) => {
                    return Err(header("colour space", value, "C420, C420jpeg, C420mpeg2 or C420paldv"));
                }
                Some('X') if value == "COLORRANGE=FULL" => range = Range::Full,
                _ => {}
            }
        }
        let size = width.zip(height).and_then(|(width, height)| Size::new(width, height));
        let size = size.ok_or_else(|| header("size", &line, "W and H from 1 to 8192"))?;
        let rate = rate.ok_or_else(|| header("rate", &line, "F with 1 to 1000 frames a second"))?;
        let matrix = if size.height() >= 720 { Matrix::Bt709 } else { Matrix::Bt601 };
        Ok((Self { size, rate, color: Color { range, matrix } }, MAGIC.len() + len + 1))
    }

    /// The header's bytes.
    pub fn emit(&self) -> Vec<u8> {
        let range = match self.color.range {
            Range::Limited => "LIMITED",
            Range::Full => "FULL",
        };
        let (width, height, num, den) = (self.size.width(), self.size.height(), self.rate.num(), self.rate.den());
        format!("YUV4MPEG2 W{width} H{height} F{num}:{den} Ip A1:1 C420mpeg2 XCOLORRANGE={range}\n").into_bytes()
    }
}

fn header(field: &'static str, value: &str, wanted: &'static str) -> ClipError {
    ClipError::Header { field, value: value.chars().take(80).collect(), wanted }
}

/// Bytes before the end of the line, if it ends soon enough.
fn line_len(bytes: &[u8]) -> Option<usize> {
    bytes.iter().take(MAX_LINE).position(|&byte| byte == b'\n')
}

fn is_420(space: &str) -> bool {
    matches!(space, "420" | "420jpeg" | "420mpeg2" | "420paldv")
}

/// A rate; `0:0` is said where it is not known, and means 25 here.
fn parse_rate(num: &str, den: &str) -> Option<FrameRate> {
    match (num.parse().ok()?, den.parse().ok()?) {
        (0, 0) => FrameRate::whole(25),
        (num, den) => FrameRate::new(num, den),
    }
}

/// What comes before each picture's samples, which follow as [`Picture::samples`] gives them.
pub const FRAME_HEADER: &[u8] = b"FRAME\n";

/// The pictures' samples of a file with this header, from `start` on: Y, U, V, each picture a slice of it. Where a
/// frame's line is damaged, goes on at the next one. A picture cut short ends the file.
pub fn frames<'a>(file: &'a [u8], header: &Header, start: usize) -> Frames<'a> {
    Frames { rest: file.get(start..).unwrap_or_default(), len: Picture::bytes(header.size) }
}

/// Iterator of [`frames`].
#[derive(Clone, Debug)]
pub struct Frames<'a> {
    rest: &'a [u8],
    len: usize,
}

impl<'a> Iterator for Frames<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let start = self.rest.windows(FRAME.len()).position(|word| word == FRAME)?;
            let after = self.rest.get(start + FRAME.len()..)?;
            let Some(line) = line_len(after) else {
                self.rest = after;
                continue;
            };
            let (samples, rest) = after.get(line + 1..)?.split_at_checked(self.len)?;
            self.rest = rest;
            return Some(samples);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Scene;

    #[test]
    fn what_is_written_is_read() {
        let size = Size::new(18, 6).unwrap();
        let color = Color { range: Range::Full, matrix: Matrix::Bt601 };
        let written = Header { size, rate: FrameRate::new(30_000, 1001).unwrap(), color };
        let scene = Scene::new(size, 1).with_color(color);
        let mut file = written.emit();
        for index in 0..3 {
            file.extend(FRAME_HEADER);
            file.extend(scene.picture(index).samples());
        }
        let whole = file.len();
        file.extend(b"FRAME\ncut short");
        let (found, start) = Header::parse(&file).unwrap();
        assert_eq!(found, written);
        let pictures: Vec<_> = frames(&file, &found, start).map(<[u8]>::to_vec).collect();
        assert_eq!(pictures, (0..3).map(|index| scene.picture(index).samples().to_vec()).collect::<Vec<_>>());
        // Two samples of the first picture are lost: the second is found again.
        file.truncate(whole);
        file.drain(start + 20..start + 22);
        assert_eq!(frames(&file, &found, start).last(), Some(scene.picture(2).samples()));
    }

    #[test]
    fn headers_of_other_programs_are_read_or_refused_in_words() {
        let (header, start) = Header::parse(b"YUV4MPEG2 W640 H480 F0:0 Ip A0:0\nFRAME\n").unwrap();
        assert_eq!((header.rate, start), (FrameRate::whole(25).unwrap(), 33));
        let refused = |file: &[u8]| Header::parse(file).unwrap_err().to_string();
        assert_eq!(
            refused(b"YUV4MPEG2 W64 H64 C444\n"),
            "header of the file says colour space 444: wants C420, C420jpeg, C420mpeg2 or C420paldv"
        );
        assert_eq!(refused(b"YUV4MPEG2 W0 H64\n"), "header of the file says size W0 H64: wants W and H from 1 to 8192");
        assert_eq!(refused(b"YUV4MPEG2 W64 H64"), "header of the file ends too early");
    }
}
