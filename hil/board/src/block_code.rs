//! A frame's number in its picture: black and white squares along the top, which survive JPEG and H.264.
//!
//! It is the code of the product's own test pattern: 40 squares of 16x16 samples, as many in a row as fit, the most
//! significant bit first: 32 of number and 8 of check.

use crate::picture::Picture;

/// Side of a square, in luma samples: a macroblock, so that coarse coding leaves its middle alone.
const SIDE: usize = 16;
/// 32 bits of number and 8 of check.
const BITS: usize = 40;
const WHITE: [u8; 3] = [235, 128, 128];
const BLACK: [u8; 3] = [16, 128, 128];

/// Luma rows that the code takes at the top of a picture `width` samples wide; `None` if no square fits.
pub fn rows(width: usize) -> Option<usize> {
    let columns = width / SIDE;
    (columns > 0).then(|| BITS.div_ceil(columns) * SIDE)
}

/// Paints `number` over the top left of `picture`. Does nothing to one that is too small.
pub fn draw(picture: &mut Picture, number: u32) {
    let width = picture.width();
    if rows(width).is_none_or(|rows| rows > picture.height()) {
        return;
    }
    let code = code(number);
    for bit in 0..BITS {
        let level = if code >> (BITS - 1 - bit) & 1 == 1 { WHITE } else { BLACK };
        picture.fill(corner(bit, width), (SIDE, SIDE), level);
    }
}

/// Reads the number from luma whose rows lie `stride` bytes apart, of a picture of `(width, height)`.
///
/// `None` if there is none, its check bits do not agree, or there is not enough luma.
pub fn read(luma: &[u8], stride: usize, (width, height): (usize, usize)) -> Option<u32> {
    if width > stride || rows(width).is_none_or(|rows| rows > height) {
        return None;
    }
    read_by(width, |row, from, to| {
        let start = row.checked_mul(stride)?;
        let part = luma.get(start..)?.get(from..to)?;
        Some(part.iter().map(|&luma| u32::from(luma)).sum())
    })
}

/// Reads the number from packed YUYV, whose rows lie `stride` bytes apart.
///
/// `None` in the cases of [`read`].
pub fn read_yuyv(samples: &[u8], stride: usize, (width, height): (usize, usize)) -> Option<u32> {
    if width.checked_mul(2)? > stride || rows(width).is_none_or(|rows| rows > height) {
        return None;
    }
    read_by(width, |row, from, to| {
        let start = row.checked_mul(stride)?;
        let part = samples.get(start..)?.get(2 * from..2 * to)?;
        Some(part.iter().step_by(2).map(|&luma| u32::from(luma)).sum())
    })
}

/// `sum` adds the luma of a row from one column to another.
fn read_by(width: usize, sum: impl Fn(usize, usize, usize) -> Option<u32>) -> Option<u32> {
    let mut code = 0_u64;
    for bit in 0..BITS {
        let (left, top) = corner(bit, width);
        // The middle of the square: its rim is where a lossy coder smears.
        let mut total = 0;
        for row in top + SIDE / 4..top + SIDE * 3 / 4 {
            total += sum(row, left + SIDE / 4, left + SIDE * 3 / 4)?;
        }
        let one = match total / (SIDE * SIDE / 4) as u32 {
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
    let columns = (width / SIDE).max(1);
    (bit % columns * SIDE, bit / columns * SIDE)
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

    #[test]
    fn what_is_drawn_is_read_at_every_shape() {
        for (width, height) in [(1280, 720), (640, 480), (320, 240), (160, 64), (16, 640)] {
            for number in [0, 1, 0x8000_0000, 0xffff_ffff, 123_456_789] {
                let mut picture = Picture::plain(width, height, BLACK);
                draw(&mut picture, number);
                assert_eq!(read(picture.planes()[0], width, (width, height)), Some(number), "{width}x{height}");
            }
        }
    }

    #[test]
    fn black_white_grey_and_a_cut_picture_are_no_number() {
        for luma in [0, 16, 128, 235, 255] {
            assert_eq!(read(&vec![luma; 640 * 480], 640, (640, 480)), None, "luma {luma}");
        }
        let mut picture = Picture::plain(640, 480, BLACK);
        draw(&mut picture, 7);
        assert_eq!(read(&picture.planes()[0][..640 * 11], 640, (640, 480)), None, "the middle of the squares is cut");
        assert_eq!(read(picture.planes()[0], usize::MAX, (640, 480)), None);
        assert_eq!(read_yuyv(picture.planes()[0], usize::MAX, (usize::MAX, 480)), None);
    }
}
