//! Bits of a header.

use thiserror::Error;

/// The bits ended, or an Exp-Golomb code is longer than 32 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("bits end too early")]
pub struct BitsEnd;

/// Reads bits, most significant first.
#[derive(Clone, Debug)]
pub struct BitReader<'a> {
    rest: &'a [u8],
    /// Zero bytes just read; `None` where a 3 after two of them counts like any other byte.
    zeros: Option<u8>,
    current: u8,
    left: u32,
}

impl<'a> BitReader<'a> {
    /// Reads from the first bit of `bytes`.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, zeros: None, current: 0, left: 0 }
    }

    /// The same, but passes over each `emulation_prevention_three_byte` (ITU-T H.264 §7.4.1).
    pub const fn escaped(payload: &'a [u8]) -> Self {
        Self { zeros: Some(0), ..Self::new(payload) }
    }

    fn next_byte(&mut self) -> Result<u8, BitsEnd> {
        let (&first, mut rest) = self.rest.split_first().ok_or(BitsEnd)?;
        let mut byte = first;
        if let Some(zeros) = &mut self.zeros {
            if *zeros >= 2 && byte == 3 {
                *zeros = 0;
                (byte, rest) = rest.split_first().map(|(&byte, rest)| (byte, rest)).ok_or(BitsEnd)?;
            }
            *zeros = if byte == 0 { zeros.saturating_add(1) } else { 0 };
        }
        self.rest = rest;
        Ok(byte)
    }

    /// One bit.
    ///
    /// # Errors
    /// At the end.
    pub fn bit(&mut self) -> Result<bool, BitsEnd> {
        if self.left == 0 {
            self.current = self.next_byte()?;
            self.left = 8;
        }
        self.left -= 1;
        Ok((self.current >> self.left) & 1 == 1)
    }

    /// `count` bits, at most 32, as an unsigned number.
    ///
    /// # Errors
    /// At the end, or for a `count` above 32.
    pub fn bits(&mut self, count: u32) -> Result<u32, BitsEnd> {
        if count > 32 {
            return Err(BitsEnd);
        }
        let mut value = 0;
        for _ in 0..count {
            value = (value << 1) | u32::from(self.bit()?);
        }
        Ok(value)
    }

    /// Passes over `count` bits.
    ///
    /// # Errors
    /// At the end.
    pub fn pass_over(&mut self, count: u32) -> Result<(), BitsEnd> {
        (0..count).try_for_each(|_| self.bit().map(drop))
    }

    /// An unsigned Exp-Golomb code, `ue(v)` (ITU-T H.264 §9.1); AV1 calls it `uvlc()` (§4.10.3).
    ///
    /// # Errors
    /// At the end, or for a value above `u32::MAX - 1`.
    pub fn exp_golomb(&mut self) -> Result<u32, BitsEnd> {
        let mut zeros = 0;
        while !self.bit()? {
            zeros += 1;
            if zeros > 31 {
                return Err(BitsEnd);
            }
        }
        let tail = self.bits(zeros)?;
        Ok((1_u32 << zeros) - 1 + tail)
    }

    /// A signed Exp-Golomb code, `se(v)` (ITU-T H.264 §9.1.1).
    ///
    /// # Errors
    /// As [`exp_golomb`](Self::exp_golomb).
    pub fn signed_exp_golomb(&mut self) -> Result<i32, BitsEnd> {
        let code = i64::from(self.exp_golomb()?);
        let magnitude = (code + 1) / 2;
        let value = if code % 2 == 1 { magnitude } else { -magnitude };
        i32::try_from(value).map_err(|_| BitsEnd)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_escaped_is_read_as_it_is() {
        assert_eq!(BitReader::new(&[0, 0, 3, 1]).bits(32), Ok(0x0000_0301));
        assert_eq!(BitReader::new(&[0, 0, 3, 1]).bits(33), Err(BitsEnd));
    }

    #[test]
    fn emulation_prevention_is_no_bits() {
        let mut bits = BitReader::escaped(&[0, 0, 3, 1, 0, 0, 3, 0, 0, 3, 3]);
        assert_eq!(bits.bits(32), Ok(0x0000_0100));
        assert_eq!(bits.bits(32), Ok(0x0000_0003));
        assert_eq!(bits.bit(), Err(BitsEnd));
    }

    #[test]
    fn exp_golomb_codes_are_those_of_the_table() {
        // 1 010 011 00100 00101 then signed 00110 (5 -> 3), 00111 (6 -> -3)
        let mut bits = BitReader::escaped(&[0b1010_0110, 0b0100_0010, 0b1001_1000, 0b1110_0000]);
        let unsigned: Vec<_> = (0..5).map(|_| bits.exp_golomb().unwrap()).collect();
        assert_eq!(unsigned, [0, 1, 2, 3, 4]);
        assert_eq!(bits.signed_exp_golomb(), Ok(3));
        assert_eq!(bits.signed_exp_golomb(), Ok(-3));
    }

    #[test]
    fn a_code_of_32_zeros_is_refused() {
        assert_eq!(BitReader::escaped(&[0, 0, 3, 0, 0, 3, 0x80, 0, 0, 3, 0, 0]).exp_golomb(), Err(BitsEnd));
    }
}
