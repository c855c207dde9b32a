//! Parameter sets: what a decoder must know before the first slice.

use crate::bits::{BitReader, BitsEnd};
use crate::units::{Color, FrameRate, Matrix, Range, Size};
use thiserror::Error;

/// Why a parameter set was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ParamsError {
    /// It ends before its last field.
    #[error("parameter set ends too early")]
    Short,
    /// A field has a value that the standard forbids, or that no picture here can have.
    #[error("parameter set has a {0} that is out of range")]
    Range(&'static str),
}

impl From<BitsEnd> for ParamsError {
    fn from(_: BitsEnd) -> Self {
        Self::Short
    }
}

/// A sequence parameter set (ITU-T H.264 §7.3.2.1.1), as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sps {
    /// `profile_idc`: 66 Baseline, 77 Main, 100 High.
    pub profile: u8,
    /// The byte of `constraint_set` flags.
    pub constraints: u8,
    /// `level_idc`: ten times the level, so 31 is level 3.1.
    pub level: u8,
    /// `seq_parameter_set_id`, 0 to 31.
    pub id: u8,
    /// `chroma_format_idc`: 0 grey, 1 4:2:0, 2 4:2:2, 3 4:4:4.
    pub chroma_format: u8,
    /// Bits of a luma sample, 8 to 14.
    pub bit_depth: u8,
    /// Luma samples shown, after cropping.
    pub size: Size,
    /// Luma samples coded, whole macroblocks; what a decoder takes memory for.
    pub coded: Size,
    /// Whether pictures may be fields or have field macroblocks.
    pub interlaced: bool,
    /// `max_num_ref_frames`, 0 to 16.
    pub references: u8,
    /// Bits of `frame_num` in a slice header, 4 to 16.
    pub frame_num_bits: u8,
    /// How pictures tell their place on the screen.
    pub order: PictureOrder,
    /// What the samples mean, if the stream says.
    pub color: Option<Color>,
    /// Frames a second, if the stream says.
    pub rate: Option<FrameRate>,
    /// Pictures that may come before one that is shown earlier: 0 without B-frames. `None` if the stream does not say.
    pub reorder: Option<u8>,
}

/// How pictures tell their place on the screen: `pic_order_cnt_type` (ITU-T H.264 §8.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PictureOrder {
    /// Each slice says it (type 0), in so many bits, 4 to 16.
    Counted {
        /// Bits of `pic_order_cnt_lsb`.
        bits: u8,
    },
    /// By differences from what is expected (type 1).
    Offsets,
    /// The order they are sent in (type 2).
    AsSent,
}

/// Profiles whose parameter sets have the chroma fields (ITU-T H.264 §7.3.2.1.1).
const HIGH_PROFILES: [u8; 13] = [100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135];

/// `aspect_ratio_idc` that is followed by an explicit ratio.
const EXTENDED_SAR: u32 = 255;

impl Sps {
    /// Parses what follows the NAL header.
    ///
    /// # Errors
    /// If it is cut short or a field is out of range.
    pub fn parse(payload: &[u8]) -> Result<Self, ParamsError> {
        let mut bits = BitReader::escaped(payload);
        let profile = byte(&mut bits)?;
        let constraints = byte(&mut bits)?;
        let level = byte(&mut bits)?;
        let id = small(&mut bits, 31, "seq_parameter_set_id")?;
        let (mut chroma_format, mut bit_depth, mut separate_planes) = (1, 8, false);
        if HIGH_PROFILES.contains(&profile) {
            chroma_format = small(&mut bits, 3, "chroma_format_idc")?;
            separate_planes = chroma_format == 3 && bits.bit()?;
            bit_depth = 8 + small(&mut bits, 6, "bit_depth_luma_minus8")?;
            let chroma_depth = 8 + small(&mut bits, 6, "bit_depth_chroma_minus8")?;
            bit_depth = bit_depth.max(chroma_depth);
            let _lossless = bits.bit()?;
            if bits.bit()? {
                skip_scaling_lists(&mut bits, if chroma_format == 3 { 12 } else { 8 })?;
            }
        }
        let frame_num_bits = 4 + small(&mut bits, 12, "log2_max_frame_num_minus4")?;
        let order = read_order(&mut bits)?;
        let references = small(&mut bits, 16, "max_num_ref_frames")?;
        let _gaps = bits.bit()?;
        let columns = side(&mut bits, "pic_width_in_mbs_minus1")?;
        let rows = side(&mut bits, "pic_height_in_map_units_minus1")?;
        let interlaced = !bits.bit()?;
        if interlaced {
            let _adaptive = bits.bit()?;
        }
        let _direct_8x8 = bits.bit()?;
        let rows = if interlaced { rows * 2 } else { rows };
        let coded = Size::new(columns * 16, rows * 16).ok_or(ParamsError::Range("size"))?;
        let mut size = coded;
        if bits.bit()? {
            let chroma = if separate_planes { 0 } else { chroma_format };
            let unit_x = if matches!(chroma, 1 | 2) { 2 } else { 1 };
            let unit_y = (if chroma == 1 { 2 } else { 1 }) * (if interlaced { 2 } else { 1 });
            let width = cropped(&mut bits, coded.width(), unit_x)?;
            let height = cropped(&mut bits, coded.height(), unit_y)?;
            size = Size::new(width, height).ok_or(ParamsError::Range("cropping"))?;
        }
        let mut sps = Self {
            profile,
            constraints,
            level,
            id,
            chroma_format,
            bit_depth,
            size,
            coded,
            interlaced,
            references,
            frame_num_bits,
            order,
            color: None,
            rate: None,
            reorder: None,
        };
        if bits.bit()? {
            // What is said about usability is a hint: a set cut short there is still a set.
            let _ = sps.read_usability(&mut bits);
        }
        Ok(sps)
    }

    /// Reads the video usability information (ITU-T H.264 §E.1.1).
    fn read_usability(&mut self, bits: &mut BitReader<'_>) -> Result<(), BitsEnd> {
        if bits.bit()? && bits.bits(8)? == EXTENDED_SAR {
            bits.pass_over(32)?;
        }
        if bits.bit()? {
            bits.pass_over(1)?;
        }
        if bits.bit()? {
            bits.pass_over(3)?;
            let range = if bits.bit()? { Range::Full } else { Range::Limited };
            let mut matrix = usual_matrix(self.size);
            if bits.bit()? {
                bits.pass_over(16)?;
                matrix = match bits.bits(8)? {
                    1 => Matrix::Bt709,
                    5 | 6 => Matrix::Bt601,
                    _ => matrix,
                };
            }
            self.color = Some(Color { range, matrix });
        }
        if bits.bit()? {
            bits.exp_golomb()?;
            bits.exp_golomb()?;
        }
        if bits.bit()? {
            let units = bits.bits(32)?;
            let scale = bits.bits(32)?;
            let _fixed = bits.bit()?;
            // A tick is a field: two make a frame.
            self.rate = units.checked_mul(2).and_then(|units| FrameRate::new(scale, units)).map(reduced);
        }
        let nal_hrd = bits.bit()?;
        if nal_hrd {
            skip_hrd(bits)?;
        }
        let vcl_hrd = bits.bit()?;
        if vcl_hrd {
            skip_hrd(bits)?;
        }
        if nal_hrd || vcl_hrd {
            bits.pass_over(1)?;
        }
        bits.pass_over(1)?;
        if bits.bit()? {
            bits.pass_over(1)?;
            for _ in 0..4 {
                bits.exp_golomb()?;
            }
            self.reorder = u8::try_from(bits.exp_golomb()?).ok().filter(|&frames| frames <= 16);
        }
        Ok(())
    }

    /// What the samples mean; where the stream does not say, what is usual: BT.709 from 720 lines up, BT.601 below.
    pub fn color_or_usual(&self) -> Color {
        self.color.unwrap_or(Color { range: Range::Limited, matrix: usual_matrix(self.size) })
    }

    /// Whether pictures are 8-bit 4:2:0, the only layout here.
    pub const fn is_8_bit_420(&self) -> bool {
        self.chroma_format == 1 && self.bit_depth == 8
    }
}

fn usual_matrix(size: Size) -> Matrix {
    if size.height() >= 720 { Matrix::Bt709 } else { Matrix::Bt601 }
}

fn reduced(rate: FrameRate) -> FrameRate {
    let (mut a, mut b) = (rate.num(), rate.den());
    while b != 0 {
        (a, b) = (b, a % b);
    }
    FrameRate::new(rate.num() / a, rate.den() / a).unwrap_or(rate)
}

fn byte(bits: &mut BitReader<'_>) -> Result<u8, ParamsError> {
    Ok(bits.bits(8)? as u8)
}

/// An Exp-Golomb code that may be `most` at most.
fn small(bits: &mut BitReader<'_>, most: u8, name: &'static str) -> Result<u8, ParamsError> {
    match u8::try_from(bits.exp_golomb()?) {
        Ok(value) if value <= most => Ok(value),
        _ => Err(ParamsError::Range(name)),
    }
}

/// A side in macroblocks.
fn side(bits: &mut BitReader<'_>, name: &'static str) -> Result<u32, ParamsError> {
    match bits.exp_golomb()? {
        less_one if less_one < Size::MAX_SIDE / 16 => Ok(less_one + 1),
        _ => Err(ParamsError::Range(name)),
    }
}

/// A side after two crop offsets of `unit` samples each.
fn cropped(bits: &mut BitReader<'_>, side: u32, unit: u32) -> Result<u32, ParamsError> {
    let before = bits.exp_golomb()?;
    let after = bits.exp_golomb()?;
    before
        .checked_add(after)
        .and_then(|units| units.checked_mul(unit))
        .and_then(|samples| side.checked_sub(samples))
        .ok_or(ParamsError::Range("cropping"))
}

fn skip_scaling_lists(bits: &mut BitReader<'_>, lists: u32) -> Result<(), ParamsError> {
    for list in 0..lists {
        if !bits.bit()? {
            continue;
        }
        let (mut last, mut next) = (8_i64, 8_i64);
        for _ in 0..if list < 6 { 16 } else { 64 } {
            if next != 0 {
                next = (last + i64::from(bits.signed_exp_golomb()?)).rem_euclid(256);
            }
            last = if next == 0 { last } else { next };
        }
    }
    Ok(())
}

fn read_order(bits: &mut BitReader<'_>) -> Result<PictureOrder, ParamsError> {
    Ok(match small(bits, 2, "pic_order_cnt_type")? {
        0 => PictureOrder::Counted { bits: 4 + small(bits, 12, "log2_max_pic_order_cnt_lsb_minus4")? },
        1 => {
            bits.pass_over(1)?;
            bits.signed_exp_golomb()?;
            bits.signed_exp_golomb()?;
            for _ in 0..small(bits, 255, "num_ref_frames_in_pic_order_cnt_cycle")? {
                bits.signed_exp_golomb()?;
            }
            PictureOrder::Offsets
        }
        _ => PictureOrder::AsSent,
    })
}

/// Passes over `hrd_parameters` (ITU-T H.264 §E.1.2).
fn skip_hrd(bits: &mut BitReader<'_>) -> Result<(), BitsEnd> {
    let count = bits.exp_golomb()?;
    if count > 31 {
        return Err(BitsEnd);
    }
    bits.pass_over(8)?;
    for _ in 0..=count {
        bits.exp_golomb()?;
        bits.exp_golomb()?;
        bits.pass_over(1)?;
    }
    bits.pass_over(20)
}

/// A picture parameter set (ITU-T H.264 §7.3.2.2), as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pps {
    /// `pic_parameter_set_id`, 0 to 255.
    pub id: u8,
    /// `seq_parameter_set_id` of the set it belongs to, 0 to 31.
    pub sps: u8,
    /// Whether slices are coded by CABAC; otherwise by CAVLC.
    pub cabac: bool,
}

impl Pps {
    /// Parses what follows the NAL header.
    ///
    /// # Errors
    /// If it is cut short or a field is out of range.
    pub fn parse(payload: &[u8]) -> Result<Self, ParamsError> {
        let mut bits = BitReader::escaped(payload);
        let id = small(&mut bits, 255, "pic_parameter_set_id")?;
        let sps = small(&mut bits, 31, "seq_parameter_set_id")?;
        Ok(Self { id, sps, cabac: bits.bit()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Of a 1920x1080 file by x264: High, level 4.0, 30000/1001 frames a second, B-frames.
    const X264: &[u8] = &[
        0x64, 0x00, 0x28, 0xac, 0xd9, 0x40, 0x78, 0x02, 0x27, 0xe5, 0xc0, 0x44, 0x00, 0x00, 0x0f, 0xa4, 0x00, 0x03,
        0xa9, 0x80, 0x3c, 0x60, 0xc6, 0x58,
    ];

    #[test]
    fn a_set_of_x264_is_read_to_its_end() {
        let sps = Sps::parse(X264).unwrap();
        assert_eq!((sps.profile, sps.level, sps.id), (100, 40, 0));
        assert_eq!((Some(sps.size), Some(sps.coded)), (Size::new(1920, 1080), Size::new(1920, 1088)));
        assert_eq!(sps.rate, FrameRate::new(30_000, 1001));
        assert_eq!(sps.reorder, Some(2));
        assert_eq!((sps.frame_num_bits, sps.order), (4, PictureOrder::Counted { bits: 6 }));
        assert!(sps.is_8_bit_420() && !sps.interlaced);
        assert_eq!(sps.color_or_usual(), Color { range: Range::Limited, matrix: Matrix::Bt709 });
    }

    #[test]
    fn a_set_cut_short_is_refused() {
        for len in 0..9 {
            assert_eq!(Sps::parse(&X264[..len]), Err(ParamsError::Short), "{len} bytes");
        }
    }

    #[test]
    fn a_picture_wider_than_any_here_is_refused() {
        // Baseline, no fields but the size: ue(0) ue(0) ue(0) ue(0) ue(0) 0 ue(1000).
        let bits = [66, 0, 10, 0b1111_1000, 0b0000_0000, 0b1111_1010, 0b0100_0000, 0];
        assert_eq!(Sps::parse(&bits), Err(ParamsError::Range("pic_width_in_mbs_minus1")));
    }

    proptest! {
        #[test]
        fn whatever_parses_has_a_size_that_was_coded(
            head in prop::sample::select(vec![66_u8, 77, 100, 122, 244]),
            tail in prop::collection::vec(any::<u8>(), 0..64),
        ) {
            if let Ok(sps) = Sps::parse(&[&[head, 0, 31][..], &tail].concat()) {
                prop_assert!(sps.size.width() <= sps.coded.width() && sps.size.height() <= sps.coded.height());
                prop_assert!(sps.bit_depth <= 14 && sps.references <= 16);
            }
            let _ = Pps::parse(&tail);
        }
    }
}
