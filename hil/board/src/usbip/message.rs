//! Messages of USB/IP: 48 bytes of header, big-endian, then data (Linux' `Documentation/usb/usbip_protocol.rst`).

use crate::serve::PeerError;
use crate::usb::Setup;

/// Bytes of a header.
pub(super) const HEADER: usize = 48;
/// Most bytes that the host sends in one transfer.
pub(super) const MAX_OUT: u32 = 1024 * 1024;
/// Most packets of one isochronous transfer.
const MAX_PACKETS: u32 = 1024;

/// How a transfer went: the negative of an errno.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    Success = 0,
    /// `EPIPE`.
    Stall = -32,
    /// `EILSEQ`: the packet came damaged.
    Damaged = -84,
    /// `ECONNRESET`: taken back in time.
    Unlinked = -104,
}

/// A packet of an isochronous transfer: where its data shall lie, and how much there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Packet {
    pub(super) offset: u32,
    pub(super) room: u32,
}

/// What the host wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Command<'a> {
    /// A transfer.
    Submit {
        number: u32,
        /// Without the direction.
        endpoint: u8,
        is_in: bool,
        /// Most bytes there may be.
        room: u32,
        start_frame: u32,
        packets: Vec<Packet>,
        setup: Setup,
        data: &'a [u8],
    },
    /// A transfer taken back.
    Unlink { number: u32, victim: u32 },
}

impl<'a> Command<'a> {
    /// The command at the beginning of `bytes` and what follows it; `None` if there is not all of it.
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Option<(Self, &'a [u8])>, PeerError> {
        let Some((head, rest)) = bytes.split_first_chunk::<HEADER>() else { return Ok(None) };
        let (words, setup) = head.split_at(40);
        let mut words = words.as_chunks::<4>().0.iter().map(|word| u32::from_be_bytes(*word));
        let mut word = || words.next().unwrap_or_default();
        let [kind, number, _, direction, endpoint, flags_or_victim, room, start_frame, count, _] =
            [(); 10].map(|()| word());
        match kind {
            1 => {}
            2 => return Ok(Some((Self::Unlink { number, victim: flags_or_victim }, rest))),
            _ => return Err(PeerError::Unknown(kind)),
        }
        let is_in = direction != 0;
        // Nothing but isochronous transfers has packets; others say 0, or -1.
        let count = if count == u32::MAX { 0 } else { count };
        if count > MAX_PACKETS {
            return Err(PeerError::Long { given: count.saturating_mul(16), most: MAX_PACKETS * 16 });
        }
        if !is_in && room > MAX_OUT {
            return Err(PeerError::Long { given: room, most: MAX_OUT });
        }
        let length = if is_in { 0 } else { usize::try_from(room).unwrap_or(usize::MAX) };
        let Some((data, rest)) = rest.split_at_checked(length) else { return Ok(None) };
        let Some((table, rest)) = rest.split_at_checked(count as usize * 16) else { return Ok(None) };
        let packets = table.as_chunks::<16>().0.iter().map(|packet| {
            let [o0, o1, o2, o3, r0, r1, r2, r3, ..] = *packet;
            Packet { offset: u32::from_be_bytes([o0, o1, o2, o3]), room: u32::from_be_bytes([r0, r1, r2, r3]) }
        });
        let setup = setup.first_chunk().map_or_else(|| Setup::parse([0; 8]), |setup| Setup::parse(*setup));
        let endpoint = (endpoint & 15) as u8;
        let packets = packets.collect();
        Ok(Some((Self::Submit { number, endpoint, is_in, room, start_frame, packets, setup, data }, rest)))
    }
}

/// An answer to a transfer that has no packets.
pub(super) fn answer(out: &mut Vec<u8>, number: u32, status: Status, length: usize, data: &[u8]) {
    head(out, 3, number, status, [u32::try_from(length).unwrap_or(u32::MAX), 0, 0, 0]);
    out.extend_from_slice(data);
}

/// An answer to an isochronous transfer: its data without gaps, then how each packet went.
pub(super) fn answer_iso(out: &mut Vec<u8>, number: u32, start_frame: u32, packets: &[(Packet, Status, Vec<u8>)]) {
    let length: usize = packets.iter().map(|(.., data)| data.len()).sum();
    let errors = packets.iter().filter(|(_, status, _)| *status != Status::Success).count();
    let small = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    head(out, 3, number, Status::Success, [small(length), start_frame, small(packets.len()), small(errors)]);
    for (.., data) in packets {
        out.extend_from_slice(data);
    }
    for (packet, status, data) in packets {
        for word in [packet.offset, packet.room, small(data.len()), *status as i32 as u32] {
            out.extend(word.to_be_bytes());
        }
    }
}

/// An answer to a transfer taken back.
pub(super) fn unlinked(out: &mut Vec<u8>, number: u32, status: Status) {
    head(out, 4, number, status, [0; 4]);
}

fn head(out: &mut Vec<u8>, kind: u32, number: u32, status: Status, words: [u32; 4]) {
    for word in [kind, number, 0, 0, 0, status as i32 as u32].into_iter().chain(words).chain([0, 0]) {
        out.extend(word.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transfer_is_whole_with_its_data_and_its_packets() {
        let mut bytes: Vec<u8> =
            [1_u32, 7, 2, 0, 1, 0, 3, 0, 1, 0].iter().flat_map(|word| word.to_be_bytes()).collect();
        bytes.extend([0x21, 1, 0, 2, 1, 0, 34, 0]);
        bytes.extend([9, 8, 7]);
        bytes.extend([0_u32, 512, 0, 0].iter().flat_map(|word| word.to_be_bytes()));
        for cut in 0..bytes.len() {
            assert_eq!(Command::parse(&bytes[..cut]), Ok(None), "{cut} bytes");
        }
        let (command, rest) = Command::parse(&bytes).unwrap().unwrap();
        assert!(rest.is_empty());
        let Command::Submit { number: 7, endpoint: 1, is_in: false, packets, data, setup, .. } = command else {
            panic!("a transfer");
        };
        assert_eq!((packets, data), (vec![Packet { offset: 0, room: 512 }], &[9, 8, 7][..]));
        assert_eq!(setup.length, 34);
        bytes[24] = 0xff;
        let refused = Command::parse(&bytes).unwrap_err().to_string();
        assert_eq!(refused, "announced 4278190083 bytes, and the most is 1048576");
    }
}
