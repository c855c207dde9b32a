//! What a slice header says, and whether pictures come in the order they are shown in.

use crate::bits::BitsEnd;
use crate::h264::nal::{Nal, NalKind};
use crate::h264::params::{PictureOrder, Sps};

/// The beginning of a slice header, which can be read without its parameter sets (ITU-T H.264 §7.3.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SliceStart {
    /// `first_mb_in_slice`; 0 begins a picture.
    pub(super) first_macroblock: u32,
    /// `pic_parameter_set_id`, 0 to 255.
    pub(super) pps: u8,
}

impl SliceStart {
    pub(super) fn parse(slice: &Nal<'_>) -> Result<Self, BitsEnd> {
        let mut bits = slice.bits();
        let first_macroblock = bits.exp_golomb()?;
        let _slice_type = bits.exp_golomb()?;
        Ok(Self { first_macroblock, pps: u8::try_from(bits.exp_golomb()?).map_err(|_| BitsEnd)? })
    }
}

/// Follows the pictures' places on the screen, `PicOrderCnt`, as a decoder does (ITU-T H.264 §8.2.1.1).
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Order {
    /// Of the reference picture before: the bits above those that are sent, and those that are.
    msb: i64,
    lsb: i64,
    /// Latest place so far.
    latest: Option<i64>,
}

impl Order {
    /// Takes the first slice of a picture; whether it is shown after all pictures before it. Where slices do not say
    /// their place (types 1 and 2) it is believed.
    ///
    /// # Errors
    /// If the slice header is cut short.
    pub(super) fn follows(&mut self, slice: &Nal<'_>, sps: &Sps) -> Result<bool, BitsEnd> {
        let PictureOrder::Counted { bits: width } = sps.order else { return Ok(true) };
        let mut bits = slice.bits();
        for _first_macroblock_slice_type_and_pps in 0..3 {
            bits.exp_golomb()?;
        }
        bits.pass_over(sps.frame_num_bits.into())?;
        if slice.kind() == NalKind::IdrSlice {
            *self = Self::default();
            let _idr_pic_id = bits.exp_golomb()?;
        }
        let lsb = i64::from(bits.bits(width.into())?);
        let wrap = 1_i64 << width;
        let msb = match lsb - self.lsb {
            ahead if ahead <= -wrap / 2 => self.msb.saturating_add(wrap),
            ahead if ahead > wrap / 2 => self.msb.saturating_sub(wrap),
            _ => self.msb,
        };
        if slice.ref_idc() != 0 {
            (self.msb, self.lsb) = (msb, lsb);
        }
        let place = msb.saturating_add(lsb);
        let follows = self.latest.is_none_or(|latest| place > latest);
        self.latest = self.latest.max(Some(place));
        Ok(follows)
    }
}

/// Whether a supplemental message says that decoding can recover from here (ITU-T H.264 §D.1.8, payload type 6).
pub(super) fn is_recovery_point(sei: &Nal<'_>) -> bool {
    const RECOVERY_POINT: u32 = 6;
    const MOST_MESSAGES: usize = 64;
    messages(sei).take(MOST_MESSAGES).any(|kind| kind == RECOVERY_POINT)
}

/// The payload types of a SEI NAL unit.
fn messages(sei: &Nal<'_>) -> impl Iterator<Item = u32> {
    let mut bits = sei.bits();
    std::iter::from_fn(move || {
        let mut number = || {
            let mut total = 0_u32;
            loop {
                let byte = bits.bits(8).ok()?;
                total = total.saturating_add(byte);
                if byte != 255 {
                    return Some(total);
                }
            }
        };
        let (kind, bytes) = (number()?, number()?);
        bits.pass_over(bytes.checked_mul(8)?).ok()?;
        Some(kind)
    })
}
