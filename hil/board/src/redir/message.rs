//! Messages of usbredir: a header, and a body as long as the header says.

use crate::serve::PeerError;
use crate::usb::{Descriptors, Enumerated, Setup, interfaces};

/// Longest body that is taken.
pub(super) const MAX_BODY: u32 = 1024 * 1024;

/// Capabilities that are needed and given: versions of devices, packet sizes of endpoints, identifiers of 64 bits,
/// lengths of 32 bits.
pub(super) const CAPABILITIES: u32 = 1 << 1 | 1 << 4 | 1 << 5 | 1 << 6;

/// Kinds of messages that are sent.
pub(super) mod kind {
    pub(crate) const HELLO: u32 = 0;
    pub(crate) const DEVICE_CONNECT: u32 = 1;
    pub(crate) const DEVICE_DISCONNECT: u32 = 2;
    pub(crate) const INTERFACES: u32 = 4;
    pub(crate) const ENDPOINTS: u32 = 5;
    pub(crate) const CONFIGURATION: u32 = 8;
    pub(crate) const ALTERNATE: u32 = 11;
    pub(crate) const ISO_STREAM: u32 = 14;
    pub(crate) const INTERRUPT_RECEIVING: u32 = 17;
    pub(crate) const CONTROL: u32 = 100;
    pub(crate) const BULK: u32 = 101;
    pub(crate) const ISO: u32 = 102;
    pub(crate) const INTERRUPT: u32 = 103;
}

/// How a request went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    Success = 0,
    Cancelled = 1,
    IoError = 3,
    Stall = 4,
}

/// A header: kind, bytes of body, identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) kind: u32,
    pub(super) length: u32,
    pub(super) id: u64,
}

impl Header {
    /// The header at the beginning of `bytes` and what follows it; `None` if there is not all of it.
    ///
    /// The first message has an identifier of 32 bits, all others one of 64.
    pub(super) fn parse(bytes: &[u8], greeted: bool) -> Result<Option<(Self, &[u8])>, PeerError> {
        let Some((head, rest)) = bytes.split_first_chunk::<8>() else { return Ok(None) };
        let [k0, k1, k2, k3, l0, l1, l2, l3] = *head;
        let (id, rest) = if greeted {
            let Some((id, rest)) = rest.split_first_chunk() else { return Ok(None) };
            (u64::from_le_bytes(*id), rest)
        } else {
            let Some((id, rest)) = rest.split_first_chunk() else { return Ok(None) };
            (u64::from(u32::from_le_bytes(*id)), rest)
        };
        let header =
            Self { kind: u32::from_le_bytes([k0, k1, k2, k3]), length: u32::from_le_bytes([l0, l1, l2, l3]), id };
        if header.length > MAX_BODY {
            return Err(PeerError::Long { given: header.length, most: MAX_BODY });
        }
        Ok(Some((header, rest)))
    }

    /// The message with `parts` as its body.
    pub(super) fn emit(out: &mut Vec<u8>, kind: u32, id: u64, parts: &[&[u8]]) {
        let length: usize = parts.iter().map(|part| part.len()).sum();
        out.extend(kind.to_le_bytes());
        out.extend(u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes());
        out.extend(id.to_le_bytes());
        for part in parts {
            out.extend_from_slice(part);
        }
    }
}

/// What the peer wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Message<'a> {
    Hello {
        capabilities: u32,
    },
    Reset,
    SetConfiguration(u8),
    ReadConfiguration,
    SetAlternate {
        interface: u8,
        alternate: u8,
    },
    ReadAlternate(u8),
    StartIso(u8),
    StopIso(u8),
    StartInterrupt(u8),
    StopInterrupt(u8),
    Cancel,
    Control {
        setup: Setup,
        data: &'a [u8],
    },
    BulkIn {
        endpoint: u8,
        room: u32,
    },
    BulkOut {
        header: &'a [u8; 10],
        data: &'a [u8],
    },
    /// Nothing for a device like ours: filters, bulk streams.
    Other,
}

impl<'a> Message<'a> {
    pub(super) fn parse(kind: u32, body: &'a [u8]) -> Result<Self, PeerError> {
        let short = || PeerError::Short { kind, given: body.len() };
        Ok(match (kind, body) {
            (kind::HELLO, _) => {
                let capabilities = body.get(64..).and_then(|rest| rest.first_chunk()).ok_or_else(short)?;
                Self::Hello { capabilities: u32::from_le_bytes(*capabilities) }
            }
            (3, _) => Self::Reset,
            (6, &[configuration, ..]) => Self::SetConfiguration(configuration),
            (7, _) => Self::ReadConfiguration,
            (9, &[interface, alternate, ..]) => Self::SetAlternate { interface, alternate },
            (10, &[interface, ..]) => Self::ReadAlternate(interface),
            (12, &[endpoint, _, _, ..]) => Self::StartIso(endpoint),
            (13, &[endpoint, ..]) => Self::StopIso(endpoint),
            (15, &[endpoint, ..]) => Self::StartInterrupt(endpoint),
            (16, &[endpoint, ..]) => Self::StopInterrupt(endpoint),
            (21, _) => Self::Cancel,
            (18 | 19 | 22..=26, _) => Self::Other,
            (kind::CONTROL, _) => {
                let (head, data) = body.split_first_chunk::<10>().ok_or_else(short)?;
                let [_, request, kind, _, v0, v1, i0, i1, l0, l1] = *head;
                Self::Control { setup: Setup::parse([kind, request, v0, v1, i0, i1, l0, l1]), data }
            }
            (kind::BULK, _) => {
                let (header, data) = body.split_first_chunk::<10>().ok_or_else(short)?;
                let [endpoint, _, l0, l1, _, _, _, _, l2, l3] = *header;
                if endpoint & 0x80 == 0 {
                    Self::BulkOut { header, data }
                } else {
                    Self::BulkIn { endpoint, room: u32::from_le_bytes([l0, l1, l2, l3]) }
                }
            }
            // Data for isochronous and interrupt endpoints; we have none that take any.
            (kind::ISO | kind::INTERRUPT, _) => Self::Other,
            (6 | 9 | 10 | 12 | 13 | 15 | 16, _) => return Err(short()),
            _ => return Err(PeerError::Unknown(kind)),
        })
    }
}

/// Who we are and what we can: the first message, whose identifier has 32 bits.
pub(super) fn hello(out: &mut Vec<u8>) {
    let mut version = [0; 64];
    for (to, from) in version.iter_mut().zip(concat!("doorframe ", env!("CARGO_PKG_VERSION")).bytes()) {
        *to = from;
    }
    out.extend(kind::HELLO.to_le_bytes());
    out.extend(68_u32.to_le_bytes());
    out.extend(0_u32.to_le_bytes());
    out.extend(version);
    out.extend(CAPABILITIES.to_le_bytes());
}

/// Interfaces and endpoints as they are in the settings that were chosen.
pub(super) fn describe(out: &mut Vec<u8>, descriptors: &Descriptors, state: &Enumerated) {
    let chosen: Vec<_> = interfaces(&descriptors.configuration)
        .filter(|interface| state.alternate(interface.number) == interface.alternate)
        .take(32)
        .collect();
    let column = |of: fn(&crate::usb::Interface) -> u8| {
        let mut column: Vec<u8> = chosen.iter().map(of).collect();
        column.resize(32, 0);
        column
    };
    let count = u32::try_from(chosen.len()).unwrap_or_default().to_le_bytes();
    let numbers = column(|interface| interface.number);
    let classes = [0, 1, 2].map(|place| {
        let mut column: Vec<u8> = chosen.iter().filter_map(|interface| interface.class.get(place).copied()).collect();
        column.resize(32, 0);
        column
    });
    let [class, subclass, protocol] = &classes;
    Header::emit(out, kind::INTERFACES, 0, &[&count, &numbers, class, subclass, protocol]);

    // One place for each address; 255 is no endpoint, 0 a control endpoint.
    let (mut kinds, mut intervals, mut owners, mut packets) = ([255_u8; 32], [0_u8; 32], [0_u8; 32], [0_u16; 32]);
    for control in [0, 16] {
        put(&mut kinds, control, 0);
        put(&mut packets, control, u16::from(crate::usb::CONTROL_PACKET));
    }
    for interface in &chosen {
        for endpoint in &interface.endpoints {
            let place = usize::from(endpoint.address & 0x80) >> 3 | usize::from(endpoint.address & 15);
            put(&mut kinds, place, endpoint.kind);
            put(&mut intervals, place, endpoint.interval);
            put(&mut owners, place, interface.number);
            put(&mut packets, place, endpoint.max_packet);
        }
    }
    let packets: Vec<u8> = packets.into_iter().flat_map(u16::to_le_bytes).collect();
    Header::emit(out, kind::ENDPOINTS, 0, &[&kinds, &intervals, &owners, &packets]);
}

fn put<T>(table: &mut [T; 32], place: usize, value: T) {
    if let Some(to) = table.get_mut(place) {
        *to = value;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_cut_waits_and_what_is_too_long_is_refused() {
        let mut out = Vec::new();
        Header::emit(&mut out, 6, 9, &[&[1]]);
        for cut in 0..16 {
            assert_eq!(Header::parse(&out[..cut], true), Ok(None));
        }
        let (header, body) = Header::parse(&out, true).unwrap().unwrap();
        assert_eq!((header, body), (Header { kind: 6, length: 1, id: 9 }, &[1][..]));
        assert_eq!(Message::parse(header.kind, body), Ok(Message::SetConfiguration(1)));
        out[4..8].copy_from_slice(&u32::MAX.to_le_bytes());
        let refused = Header::parse(&out, true).unwrap_err().to_string();
        assert_eq!(refused, "announced 4294967295 bytes, and the most is 1048576");
    }

    #[test]
    fn a_message_that_lacks_a_part_or_is_none_is_refused() {
        assert_eq!(Message::parse(100, &[0; 9]), Err(PeerError::Short { kind: 100, given: 9 }));
        assert_eq!(Message::parse(6, &[]), Err(PeerError::Short { kind: 6, given: 0 }));
        assert_eq!(Message::parse(200, &[]), Err(PeerError::Unknown(200)));
    }
}
