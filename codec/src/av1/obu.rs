//! Open bitstream units: the parts of an AV1 temporal unit (AV1 specification §5).

use crate::bits::{BitReader, BitsEnd};
use crate::units::{Color, Matrix, Range, Size};
use thiserror::Error;

/// Why bytes are no OBU, or an OBU no sequence header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ObuError {
    /// It ends before its last field, or before the length it states.
    #[error("OBU ends too early")]
    Short,
    /// The forbidden bit is set.
    #[error("OBU has its forbidden bit set")]
    Forbidden,
    /// A variable-length number of more than 8 bytes or above 2^32 - 1.
    #[error("OBU has a length that is out of range")]
    Length,
    /// A field has a value that the standard forbids, or that no picture here can have.
    #[error("OBU has a {0} that is out of range")]
    Range(&'static str),
}

impl From<BitsEnd> for ObuError {
    fn from(_: BitsEnd) -> Self {
        Self::Short
    }
}

/// What an OBU holds (AV1 specification §6.2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ObuKind {
    /// Sequence header (1).
    Sequence,
    /// Temporal delimiter (2).
    Delimiter,
    /// Frame header (3).
    FrameHeader,
    /// Tile group (4).
    TileGroup,
    /// Metadata (5).
    Metadata,
    /// Frame header and tile group in one (6).
    Frame,
    /// Frame header repeated (7).
    RedundantFrameHeader,
    /// Tile list (8).
    TileList,
    /// Padding (15).
    Padding,
    /// Reserved: to be passed over.
    Other(u8),
}

impl ObuKind {
    /// Kind of `obu_type`, of which only the low four bits count.
    pub const fn from_type(obu_type: u8) -> Self {
        match obu_type & 15 {
            1 => Self::Sequence,
            2 => Self::Delimiter,
            3 => Self::FrameHeader,
            4 => Self::TileGroup,
            5 => Self::Metadata,
            6 => Self::Frame,
            7 => Self::RedundantFrameHeader,
            8 => Self::TileList,
            15 => Self::Padding,
            other => Self::Other(other),
        }
    }
}

/// One OBU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Obu<'a> {
    /// What it holds.
    pub kind: ObuKind,
    /// Temporal layer, 0 to 7.
    pub temporal_id: u8,
    /// Spatial layer, 0 to 3.
    pub spatial_id: u8,
    /// Bytes after its header.
    pub payload: &'a [u8],
}

/// Reads a variable-length number, `leb128()` (AV1 specification §4.10.5), and gives what follows it.
///
/// # Errors
/// If it is cut short, longer than 8 bytes, or above 2^32 - 1.
pub fn leb128(bytes: &[u8]) -> Result<(u32, &[u8]), ObuError> {
    let mut value = 0_u64;
    for (index, &byte) in bytes.iter().enumerate().take(8) {
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            let value = u32::try_from(value).map_err(|_| ObuError::Length)?;
            return Ok((value, bytes.get(index + 1..).unwrap_or_default()));
        }
    }
    Err(if bytes.len() < 8 { ObuError::Short } else { ObuError::Length })
}

/// Reads the OBU that `bytes` begin with, and gives what follows it. One without a length reaches to the end.
///
/// # Errors
/// If it is cut short or its header is forbidden.
pub fn parse(bytes: &[u8]) -> Result<(Obu<'_>, &[u8]), ObuError> {
    let (&header, mut rest) = bytes.split_first().ok_or(ObuError::Short)?;
    if header & 0x80 != 0 {
        return Err(ObuError::Forbidden);
    }
    let mut extension = 0;
    if header & 4 != 0 {
        (extension, rest) = rest.split_first().map(|(&byte, rest)| (byte, rest)).ok_or(ObuError::Short)?;
    }
    let mut len = rest.len();
    if header & 2 != 0 {
        let (stated, after) = leb128(rest)?;
        (len, rest) = (usize::try_from(stated).map_err(|_| ObuError::Length)?, after);
    }
    let (payload, rest) = rest.split_at_checked(len).ok_or(ObuError::Short)?;
    let kind = ObuKind::from_type(header >> 3);
    Ok((Obu { kind, temporal_id: extension >> 5, spatial_id: (extension >> 3) & 3, payload }, rest))
}

/// The OBUs of a temporal unit in low-overhead format, in order; ends after the first that is damaged.
pub fn obus(unit: &[u8]) -> impl Iterator<Item = Result<Obu<'_>, ObuError>> {
    let mut rest = unit;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let parsed = parse(rest);
        rest = parsed.as_ref().map_or(&[][..], |(_, after)| after);
        Some(parsed.map(|(obu, _)| obu))
    })
}

/// A sequence header (AV1 specification §5.5), as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sequence {
    /// `seq_profile`: 0 Main, 1 High, 2 Professional.
    pub profile: u8,
    /// `seq_level_idx` of the first operating point: 0 is level 2.0, 8 level 4.0.
    pub level: u8,
    /// Whether it is a single picture.
    pub still: bool,
    /// Whether its frame headers have the short form of stills.
    pub reduced: bool,
    /// Largest picture.
    pub size: Size,
    /// Bits of a sample: 8, 10 or 12.
    pub bit_depth: u8,
    /// Whether pictures are 4:2:0, which is the only layout here.
    pub is_420: bool,
    /// What the samples mean, if the stream says.
    pub color: Option<Color>,
    /// Whether samples are 0 to 255.
    pub range: Range,
}

/// `seq_force_screen_content_tools` left to each frame.
const SELECTED_BY_FRAME: u32 = 2;

impl Sequence {
    /// Parses the payload of a sequence header OBU.
    ///
    /// # Errors
    /// If it is cut short or a field is out of range.
    pub fn parse(payload: &[u8]) -> Result<Self, ObuError> {
        let mut bits = BitReader::new(payload);
        let profile = bits.bits(3)? as u8;
        if profile > 2 {
            return Err(ObuError::Range("seq_profile"));
        }
        let still = bits.bit()?;
        let reduced = bits.bit()?;
        let level = if reduced { bits.bits(5)? as u8 } else { operating_points(&mut bits)? };
        let (width_bits, height_bits) = (bits.bits(4)? + 1, bits.bits(4)? + 1);
        let (width, height) = (bits.bits(width_bits)? + 1, bits.bits(height_bits)? + 1);
        let size = Size::new(width, height).ok_or(ObuError::Range("size"))?;
        if !reduced && bits.bit()? {
            bits.pass_over(7)?;
        }
        bits.pass_over(3)?;
        if !reduced {
            skip_tools(&mut bits)?;
        }
        bits.pass_over(3)?;
        let mut sequence = Self {
            profile,
            level,
            still,
            reduced,
            size,
            bit_depth: 8,
            is_420: true,
            color: None,
            range: Range::Limited,
        };
        sequence.read_color(&mut bits)?;
        Ok(sequence)
    }

    /// Reads `color_config()` (AV1 specification §5.5.2).
    fn read_color(&mut self, bits: &mut BitReader<'_>) -> Result<(), ObuError> {
        let high = bits.bit()?;
        self.bit_depth = match (self.profile, high) {
            (2, true) if bits.bit()? => 12,
            (_, true) => 10,
            (_, false) => 8,
        };
        let grey = self.profile != 1 && bits.bit()?;
        let described = if bits.bit()? { Some([bits.bits(8)?, bits.bits(8)?, bits.bits(8)?]) } else { None };
        if !grey && described == Some([1, 13, 0]) {
            // RGB: full range, 4:4:4.
            (self.range, self.is_420) = (Range::Full, false);
            return Ok(());
        }
        self.range = if bits.bit()? { Range::Full } else { Range::Limited };
        self.is_420 = !grey
            && match self.profile {
                0 => true,
                1 => false,
                _ => self.bit_depth == 12 && bits.bit()? && bits.bit()?,
            };
        let matrix = match described {
            Some([_, _, 1]) => Some(Matrix::Bt709),
            Some([_, _, 5 | 6]) => Some(Matrix::Bt601),
            _ => None,
        };
        self.color = matrix.map(|matrix| Color { range: self.range, matrix });
        Ok(())
    }

    /// What the samples mean; where the stream does not say, what is usual: BT.709 from 720 lines up, BT.601 below.
    pub fn color_or_usual(&self) -> Color {
        let matrix = if self.size.height() >= 720 { Matrix::Bt709 } else { Matrix::Bt601 };
        self.color.unwrap_or(Color { range: self.range, matrix })
    }

    /// Whether pictures are 8-bit 4:2:0, the only layout here.
    pub const fn is_8_bit_420(&self) -> bool {
        self.is_420 && self.bit_depth == 8
    }
}

/// Passes over timing and operating points; the level of the first.
fn operating_points(bits: &mut BitReader<'_>) -> Result<u8, ObuError> {
    let mut delay_bits = None;
    if bits.bit()? {
        bits.pass_over(64)?;
        if bits.bit()? {
            bits.exp_golomb()?;
        }
        if bits.bit()? {
            delay_bits = Some(bits.bits(5)? + 1);
            bits.pass_over(42)?;
        }
    }
    let display_delay = bits.bit()?;
    let mut first = None;
    for _ in 0..=bits.bits(5)? {
        bits.pass_over(12)?;
        let level = bits.bits(5)? as u8;
        first.get_or_insert(level);
        if level > 7 {
            bits.pass_over(1)?;
        }
        if let Some(delay_bits) = delay_bits
            && bits.bit()?
        {
            bits.pass_over(2 * delay_bits + 1)?;
        }
        if display_delay && bits.bit()? {
            bits.pass_over(4)?;
        }
    }
    Ok(first.unwrap_or(0))
}

/// Passes over the coding tools that stills have not.
fn skip_tools(bits: &mut BitReader<'_>) -> Result<(), ObuError> {
    bits.pass_over(4)?;
    let order_hint = bits.bit()?;
    if order_hint {
        bits.pass_over(2)?;
    }
    let screen_content = if bits.bit()? { SELECTED_BY_FRAME } else { bits.bits(1)? };
    if screen_content > 0 && !bits.bit()? {
        bits.pass_over(1)?;
    }
    if order_hint {
        bits.pass_over(3)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lengths_of_many_bytes_are_read() {
        assert_eq!(leb128(&[0x7f, 9]), Ok((127, &[9][..])));
        assert_eq!(leb128(&[0xe5, 0x8e, 0x26]), Ok((624_485, &[][..])));
        assert_eq!(leb128(&[0x80, 0x80]), Err(ObuError::Short));
        assert_eq!(leb128(&[0x80; 9]), Err(ObuError::Length));
        assert_eq!(leb128(&[0xff, 0xff, 0xff, 0xff, 0x1f]), Err(ObuError::Length));
    }

    #[test]
    fn units_part_by_their_lengths() {
        // Delimiter; padding of two bytes in layer 1; a frame without a length.
        let unit = [0x12, 0, 0x7e, 0x28, 2, 7, 7, 0x30, 1, 2, 3];
        let found: Vec<_> = obus(&unit).map(|obu| obu.map(|obu| (obu.kind, obu.temporal_id, obu.payload))).collect();
        assert_eq!(
            found,
            [
                Ok((ObuKind::Delimiter, 0, &[][..])),
                Ok((ObuKind::Padding, 1, &[7, 7][..])),
                Ok((ObuKind::Frame, 0, &[1, 2, 3][..]))
            ]
        );
        assert_eq!(obus(&[0x12, 5, 0]).collect::<Vec<_>>(), [Err(ObuError::Short)]);
        assert_eq!(obus(&[0x92]).collect::<Vec<_>>(), [Err(ObuError::Forbidden)]);
    }

    proptest! {
        #[test]
        fn no_bytes_make_a_header_that_is_out_of_range(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            if let Ok(sequence) = Sequence::parse(&bytes) {
                prop_assert!([8, 10, 12].contains(&sequence.bit_depth));
            }
            let total: usize = obus(&bytes).flatten().map(|obu| obu.payload.len()).sum();
            prop_assert!(total <= bytes.len());
        }
    }
}
