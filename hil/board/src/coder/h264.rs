//! H.264 without loss and without search: macroblocks that changed are sent as they are (`I_PCM`), others are skipped.
//!
//! Constrained baseline, CAVLC, one slice a picture. Its pictures are those that were drawn, sample for sample, which is
//! what a number in them needs; its bytes are many.

use crate::picture::Picture;

/// Side of a macroblock.
const SIDE: usize = 16;

/// Codes pictures as differences to the one before.
#[derive(Debug, Default)]
pub(super) struct Delta {
    /// What a decoder shows.
    shown: Option<Picture>,
    /// Counts pictures since the last keyframe, and keyframes.
    since: u32,
    keyframes: u32,
}

impl Delta {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// One access unit in Annex B: with parameter sets if it is a keyframe, as the first one is.
    pub(super) fn code(&mut self, picture: &Picture, keyframe: bool) -> Vec<u8> {
        let old = self
            .shown
            .take()
            .filter(|old| !keyframe && old.planes().map(<[u8]>::len) == picture.planes().map(<[u8]>::len));
        let mut out = Vec::new();
        if old.is_none() {
            emit(&mut out, 0x67, sequence(picture));
            emit(&mut out, 0x68, picture_parameters());
            self.since = 0;
            self.keyframes = self.keyframes.wrapping_add(1);
        } else {
            self.since = self.since.wrapping_add(1);
        }
        let slice = self.slice(picture, old.as_ref());
        emit(&mut out, if old.is_none() { 0x65 } else { 0x41 }, slice);
        self.shown = Some(picture.clone());
        out
    }

    /// The slice (§7.3.3, §7.3.4).
    fn slice(&self, picture: &Picture, old: Option<&Picture>) -> Bits {
        let mut bits = Bits::default();
        bits.ue(0); // first_mb_in_slice
        bits.ue(if old.is_some() { 5 } else { 7 }); // P or I, all slices of the picture
        bits.ue(0); // pic_parameter_set_id
        bits.put(self.since % 16, 4); // frame_num
        match old {
            None => {
                bits.ue(self.keyframes % 2); // idr_pic_id
                bits.put(0, 2); // no_output_of_prior_pics_flag, long_term_reference_flag
            }
            // num_ref_idx_active_override_flag, ref_pic_list_modification_flag_l0, adaptive_ref_pic_marking_mode_flag
            Some(_) => bits.put(0, 3),
        }
        bits.se(0); // slice_qp_delta
        bits.ue(1); // disable_deblocking_filter_idc: what is sent is what is shown
        let mut skipped = 0;
        for top in (0..picture.height()).step_by(SIDE) {
            for left in (0..picture.width()).step_by(SIDE) {
                let block = macroblock(picture, left, top);
                if let Some(old) = old {
                    if macroblock(old, left, top) == block {
                        skipped += 1;
                        continue;
                    }
                    bits.ue(skipped);
                    skipped = 0;
                    bits.ue(5 + 25);
                } else {
                    bits.ue(25);
                }
                bits.align(0);
                bits.bytes.extend_from_slice(&block);
            }
        }
        if skipped > 0 {
            bits.ue(skipped);
        }
        bits.align(1);
        bits
    }
}

/// Luma and chroma of the macroblock there; below the picture, its last row again. No sample is 0: that is not allowed.
fn macroblock(picture: &Picture, left: usize, top: usize) -> [u8; 384] {
    let mut block = [1; 384];
    let (luma, chroma) = block.split_at_mut(SIDE * SIDE);
    let (u, v) = chroma.split_at_mut(SIDE * SIDE / 4);
    let sides = [(SIDE, picture.width(), 0), (SIDE / 2, picture.width() / 2, 1), (SIDE / 2, picture.width() / 2, 1)];
    for ((into, plane), (side, stride, shift)) in [luma, u, v].into_iter().zip(picture.planes()).zip(sides) {
        let rows = plane.len() / stride.max(1);
        for (row, into) in into.chunks_exact_mut(side).enumerate() {
            let start = ((top >> shift) + row).min(rows.saturating_sub(1)) * stride + (left >> shift);
            for (to, from) in into.iter_mut().zip(plane.get(start..).unwrap_or_default()) {
                *to = (*from).max(1);
            }
        }
    }
    block
}

/// The sequence parameter set (§7.3.2.1): constrained baseline at level 5.1, one reference, output without delay.
fn sequence(picture: &Picture) -> Bits {
    let mut bits = Bits::default();
    bits.put(66, 8);
    bits.put(0b1100_0000, 8);
    bits.put(51, 8);
    bits.ue(0); // seq_parameter_set_id
    bits.ue(0); // log2_max_frame_num_minus4
    bits.ue(2); // pic_order_cnt_type: output in the order of decoding
    bits.ue(1); // max_num_ref_frames
    bits.put(0, 1);
    let (columns, rows) = (picture.width().div_ceil(SIDE), picture.height().div_ceil(SIDE));
    bits.ue(columns as u32 - 1);
    bits.ue(rows as u32 - 1);
    bits.put(0b11, 2); // frame_mbs_only_flag, direct_8x8_inference_flag
    let crop = [(columns * SIDE - picture.width()) as u32 / 2, (rows * SIDE - picture.height()) as u32 / 2];
    if crop == [0, 0] {
        bits.put(0, 1);
    } else {
        bits.put(1, 1);
        for edge in [0, crop[0], 0, crop[1]] {
            bits.ue(edge);
        }
    }
    bits.put(0, 1); // vui_parameters_present_flag
    bits.align(1);
    bits
}

/// The picture parameter set (§7.3.2.2).
fn picture_parameters() -> Bits {
    let mut bits = Bits::default();
    bits.ue(0);
    bits.ue(0);
    bits.put(0, 2); // CAVLC, bottom_field_pic_order_in_frame_present_flag
    bits.ue(0); // num_slice_groups_minus1
    bits.ue(0);
    bits.ue(0);
    bits.put(0, 3); // weighted_pred_flag, weighted_bipred_idc
    bits.se(0);
    bits.se(0);
    bits.se(0);
    bits.put(0b100, 3); // deblocking_filter_control_present_flag
    bits.align(1);
    bits
}

/// Appends a NAL unit with its start code, and emulation prevention (§7.4.1.1).
fn emit(out: &mut Vec<u8>, header: u8, bits: Bits) {
    out.reserve(bits.bytes.len() + 64);
    out.extend([0, 0, 0, 1, header]);
    let mut zeros = 0;
    for byte in bits.bytes {
        if zeros == 2 && byte <= 3 {
            out.push(3);
            zeros = 0;
        }
        zeros = if byte == 0 { zeros + 1 } else { 0 };
        out.push(byte);
    }
}

/// Writes bits, most significant first.
#[derive(Debug, Default)]
struct Bits {
    bytes: Vec<u8>,
    /// Bits of the byte that is being filled, and how many.
    part: u64,
    count: u32,
}

impl Bits {
    fn put(&mut self, value: u32, count: u32) {
        self.part = self.part << count | u64::from(value);
        self.count += count;
        while self.count >= 8 {
            self.count -= 8;
            self.bytes.push((self.part >> self.count) as u8);
        }
        self.part &= (1 << self.count) - 1;
    }

    /// Exp-Golomb (§9.1); values below 65,535.
    fn ue(&mut self, value: u32) {
        let length = (value + 1).ilog2();
        self.put(value + 1, 2 * length + 1);
    }

    fn se(&mut self, value: i32) {
        self.ue(if value > 0 { 2 * value.unsigned_abs() - 1 } else { 2 * value.unsigned_abs() });
    }

    /// Fills the byte: with a one and zeros to end a NAL unit, or with zeros alone.
    fn align(&mut self, first: u32) {
        if first == 1 {
            self.put(1, 1);
        }
        if self.count > 0 {
            self.put(0, 8 - self.count);
        }
    }
}
