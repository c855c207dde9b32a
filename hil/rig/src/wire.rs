//! Messages as bytes: version, postcard, CRC-16 (big-endian, over both), all of it COBS, and a zero at the end.
//!
//! A zero is nothing but an end, so that a reader that was cut off, or read garbage, is right again with the next message.

use crate::message::VERSION;
use cobs::{decode_in_place, try_encode};
use crc::{CRC_16_IBM_SDLC, Crc};
use serde::{Serialize, de::DeserializeOwned};

/// Longest message as bytes, with its end.
pub const MAX_WIRE: usize = 256;
/// Longest message before COBS: it adds a byte for every 254, and one.
const MAX_PLAIN: usize = MAX_WIRE - 3;
const CRC: Crc<u16> = Crc::<u16>::new(&CRC_16_IBM_SDLC);

/// A message as bytes, if it fits, which all of [`message`](crate::message) do.
pub fn emit<T: Serialize>(message: &T) -> Option<Sent> {
    let mut plain = [0; MAX_PLAIN];
    let (version, rest) = plain.split_first_mut()?;
    *version = VERSION;
    let body = postcard::to_slice(message, rest).ok()?.len();
    let sum = CRC.checksum(plain.get(..=body)?).to_be_bytes();
    plain.get_mut(1 + body..3 + body)?.copy_from_slice(&sum);
    let mut bytes = [0; MAX_WIRE];
    let len = try_encode(plain.get(..3 + body)?, bytes.get_mut(..MAX_WIRE - 1)?).ok()?;
    Some(Sent { bytes, len: len + 1 })
}

/// Bytes of one message.
#[derive(Clone, Copy, Debug)]
pub struct Sent {
    bytes: [u8; MAX_WIRE],
    len: usize,
}

impl Sent {
    /// With the zero at the end.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

/// What a byte ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard<T> {
    /// A message.
    Message(T),
    /// A whole message of another version.
    OtherVersion(u8),
}

/// Puts messages together out of bytes as they come.
#[derive(Debug)]
pub struct Reader {
    bytes: [u8; MAX_WIRE],
    len: usize,
    dropped: u32,
}

impl Default for Reader {
    fn default() -> Self {
        Self { bytes: [0; MAX_WIRE], len: 0, dropped: 0 }
    }
}

impl Reader {
    /// Takes the next byte. What is no message is dropped and counted.
    pub fn handle_byte<T: DeserializeOwned>(&mut self, byte: u8) -> Option<Heard<T>> {
        if byte != 0 {
            // Too long is kept as too long until the end comes.
            if let Some(place) = self.bytes.get_mut(self.len) {
                *place = byte;
            }
            self.len = (self.len + 1).min(MAX_WIRE + 1);
            return None;
        }
        let len = core::mem::take(&mut self.len);
        if len == 0 {
            return None;
        }
        let heard = self.bytes.get_mut(..len).and_then(parse);
        if heard.is_none() {
            self.dropped = self.dropped.saturating_add(1);
        }
        heard
    }

    /// Runs of bytes that were no message.
    pub const fn dropped(&self) -> u32 {
        self.dropped
    }
}

fn parse<T: DeserializeOwned>(bytes: &mut [u8]) -> Option<Heard<T>> {
    let len = decode_in_place(bytes).ok()?;
    let (message, sum) = bytes.get(..len)?.split_last_chunk::<2>()?;
    if CRC.checksum(message) != u16::from_be_bytes(*sum) {
        return None;
    }
    let (version, body) = message.split_first()?;
    if *version != VERSION {
        return Some(Heard::OtherVersion(*version));
    }
    // What is longer than its message is none of ours.
    let (message, rest) = postcard::take_from_bytes(body).ok()?;
    rest.is_empty().then_some(Heard::Message(message))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{Answer, Command, Edge, Level, Micros, Reply, Request, Source};
    use proptest::prelude::*;

    fn read<T: DeserializeOwned>(bytes: &[u8]) -> (Vec<Heard<T>>, u32) {
        let mut reader = Reader::default();
        let heard = bytes.iter().filter_map(|byte| reader.handle_byte(*byte)).collect();
        (heard, reader.dropped())
    }

    #[test]
    fn the_bytes_of_a_message_do_not_change() {
        let request = Request { number: 7, command: Command::Press { hold_ms: 300 } };
        let sent = emit(&request).unwrap();
        assert_eq!(sent.as_bytes(), [8, 1, 7, 6, 172, 2, 96, 134, 0]);
        assert_eq!(read(sent.as_bytes()), (vec![Heard::Message(request)], 0));
    }

    #[test]
    fn the_longest_answer_fits() {
        let edge = Edge { of: Source::Photodiode, to: Level::On, at: Micros(u64::MAX) };
        let edges = core::iter::repeat_n(edge, crate::message::EDGES).collect();
        let reply = Reply { number: 255, answer: Answer::Edges { edges, noted: u16::MAX, flipping: Level::On } };
        assert_eq!(read(emit(&reply).unwrap().as_bytes()), (vec![Heard::Message(reply)], 0));
    }

    #[test]
    fn another_version_is_told_as_such() {
        let mut plain = vec![VERSION + 1, 42, 42];
        plain.extend(CRC.checksum(&plain).to_be_bytes());
        let mut bytes = {
            let mut b = vec![0; 16];
            let n = cobs::encode(&plain, &mut b);
            b.truncate(n);
            b
        };
        bytes.push(0);
        assert_eq!(read::<Request>(&bytes), (vec![Heard::OtherVersion(VERSION + 1)], 0));
    }

    proptest! {
        #[test]
        fn after_any_garbage_the_next_message_is_heard(mut bytes in proptest::collection::vec(any::<u8>(), 0..600), number: u8) {
            let request = Request { number, command: Command::Sense };
            bytes.push(0);
            bytes.extend(emit(&request).unwrap().as_bytes());
            prop_assert_eq!(read(&bytes).0.pop(), Some(Heard::Message(request)));
        }

        #[test]
        fn a_changed_bit_is_noticed(at in 0_usize..64, number: u8) {
            let request = Request { number, command: Command::Flip(crate::message::Flips { count: 100, gap_us: 133_666 }) };
            let mut bytes = emit(&request).unwrap().as_bytes().to_vec();
            let at = at % ((bytes.len() - 1) * 8);
            bytes[at / 8] ^= 1 << (at % 8);
            bytes.push(0);
            prop_assert_eq!(read::<Request>(&bytes).0, vec![]);
        }
    }
}
