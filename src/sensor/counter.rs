//! A frame number that survives an encoder: black and white squares along the top of the picture.

use doorframe_codec::Picture;
use doorframe_codec::units::Size;

/// Side of a square, in luma samples: a macroblock, so that coarse coding leaves its middle alone.
const SIDE: usize = 16;
/// 32 bits of number and 8 of check, most significant first.
const BITS: usize = 40;
const WHITE: u8 = 235;
const BLACK: u8 = 16;

/// Luma rows the counter takes at the top of a picture of `size`; `None` if it does not fit.
pub(super) fn rows(size: Size) -> Option<usize> {
    let columns = size.width() as usize / SIDE;
    let rows = BITS.checked_div(columns)? + usize::from(!BITS.is_multiple_of(columns));
    (rows * SIDE <= size.height() as usize).then_some(rows * SIDE)
}

/// Paints `number` over the top left of `picture`: 40 squares of 16x16 samples, as many in a row as fit.
///
/// Does nothing to a picture that is too small for them.
pub fn draw_counter(picture: &mut Picture, number: u32) {
    let size = picture.size();
    if rows(size).is_none() {
        return;
    }
    let code = code(number);
    let (width, chroma_width) = (size.width() as usize, size.chroma_width() as usize);
    let [y, u, v] = picture.planes_mut();
    for bit in 0..BITS {
        let (left, top) = corner(bit, width);
        let level = if code >> (BITS - 1 - bit) & 1 == 1 { WHITE } else { BLACK };
        fill(y, width, left, top, SIDE, level);
        for plane in [&mut *u, &mut *v] {
            fill(plane, chroma_width, left / 2, top / 2, SIDE / 2, 128);
        }
    }
}

/// Reads the number [`draw_counter`] painted; `None` if there is none or its check bits do not agree.
pub fn read_counter(picture: &Picture) -> Option<u32> {
    rows(picture.size())?;
    let width = picture.size().width() as usize;
    let [y, ..] = picture.planes();
    let mut code = 0_u64;
    for bit in 0..BITS {
        let (left, top) = corner(bit, width);
        // The middle of the square: its rim is where a lossy coder smears.
        let mut sum = 0;
        for row in y.chunks_exact(width).skip(top + SIDE / 4).take(SIDE / 2) {
            let middle = row.get(left + SIDE / 4..left + SIDE * 3 / 4)?;
            sum += middle.iter().map(|&luma| usize::from(luma)).sum::<usize>();
        }
        let one = match sum / (SIDE / 2 * SIDE / 2) {
            0..=95 => 0,
            160.. => 1,
            _ => return None,
        };
        code = code << 1 | one;
    }
    let number = u32::try_from(code >> 8).ok()?;
    (self::code(number) == code).then_some(number)
}

/// Left and top of the square of `bit`.
fn corner(bit: usize, width: usize) -> (usize, usize) {
    let columns = width / SIDE;
    (bit % columns * SIDE, bit / columns * SIDE)
}

fn fill(plane: &mut [u8], stride: usize, left: usize, top: usize, side: usize, level: u8) {
    for row in plane.chunks_exact_mut(stride).skip(top).take(side) {
        if let Some(part) = row.get_mut(left..left + side) {
            part.fill(level);
        }
    }
}

/// The number and its CRC-8 (polynomial x^8 + x^2 + x + 1, starting from ones, so that neither all black nor all
/// white is a number).
fn code(number: u32) -> u64 {
    let mut crc = 0xff_u8;
    for byte in number.to_be_bytes() {
        crc ^= byte;
        for _ in 0..8 {
            crc = if crc & 0x80 == 0 { crc << 1 } else { crc << 1 ^ 0x07 };
        }
    }
    u64::from(number) << 8 | u64::from(crc)
}

#[cfg(test)]
mod tests {
    use super::*;
    use doorframe_codec::units::Color;

    fn black(width: u32, height: u32) -> Picture {
        Picture::black(Size::new(width, height).unwrap(), Color::default())
    }

    #[test]
    fn what_is_drawn_is_read_at_every_shape() {
        for (width, height) in [(1280, 720), (640, 360), (320, 240), (128, 96), (16, 640), (1000, 17)] {
            for number in [0, 1, 0x8000_0000, 0xffff_ffff, 123_456_789] {
                let mut picture = black(width, height);
                draw_counter(&mut picture, number);
                assert_eq!(read_counter(&picture), Some(number), "{number:#x} at {width}x{height}");
            }
        }
    }

    #[test]
    fn black_white_and_grey_are_no_number() {
        for luma in [0, 16, 128, 235, 255] {
            let mut picture = black(1280, 720);
            picture.planes_mut()[0].fill(luma);
            assert_eq!(read_counter(&picture), None, "luma {luma}");
        }
    }

    #[test]
    fn any_one_or_two_wrong_bits_are_noticed() {
        let good = code(0x1234_5678);
        for a in 0..BITS {
            for b in 0..BITS {
                let bad = good ^ (1 << a) ^ if a == b { 0 } else { 1 << b };
                let number = u32::try_from(bad >> 8).unwrap();
                assert_ne!(code(number), bad, "bits {a} and {b}");
            }
        }
    }

    #[test]
    fn a_picture_too_small_is_left_alone() {
        for (width, height) in [(8, 8), (64, 64), (1280, 8)] {
            let mut picture = black(width, height);
            draw_counter(&mut picture, 7);
            assert_eq!(picture, black(width, height));
            assert_eq!(read_counter(&picture), None);
        }
    }
}
