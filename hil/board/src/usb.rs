//! What a transport needs of a device: control requests in, data out, and when there is next something to send.

use std::time::Duration;

/// A device on the bus. Owns no clock: `now` is the time since it was made.
pub trait Function: Send {
    /// Device, configuration and strings; they never change.
    fn descriptors(&self) -> &Descriptors;

    /// Answers a class request, or hears of a standard one that changes the device's state.
    fn handle_control(&mut self, now: Duration, request: Setup, data: &[u8]) -> Control;

    /// Takes what the host sent to an OUT endpoint.
    fn handle_out(&mut self, now: Duration, endpoint: u8, data: &[u8]);

    /// What an IN endpoint (bulk or interrupt) answers to a request for at most `room` bytes.
    fn poll_in(&mut self, now: Duration, endpoint: u8, room: usize) -> In;

    /// What an isochronous endpoint gives in one service interval; nothing, mostly.
    fn poll_iso(&mut self, now: Duration, endpoint: u8, room: usize) -> Iso;

    /// Whether it is on the bus.
    fn poll_plug(&mut self, now: Duration) -> Plug;

    /// The bus was reset, or the host went away: unconfigured, nothing streams.
    fn handle_reset(&mut self, now: Duration);
}

/// The descriptors of a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Descriptors {
    /// 18 bytes (USB 2.0 §9.6.1).
    pub device: Vec<u8>,
    /// The configuration with all that belongs to it (USB 2.0 §9.6.3).
    pub configuration: Vec<u8>,
    /// Strings 1 and on, in US English.
    pub strings: Vec<String>,
}

/// A control request (USB 2.0 §9.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setup {
    /// Direction, type and recipient.
    pub kind: u8,
    /// `bRequest`.
    pub request: u8,
    /// `wValue`.
    pub value: u16,
    /// `wIndex`.
    pub index: u16,
    /// `wLength`.
    pub length: u16,
}

/// What comes of a control request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Control {
    /// Done; data for the host, at most as much as it asked for.
    Done(Vec<u8>),
    /// The device does not know that, or does not like it.
    Stall,
}

/// What an IN endpoint answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum In {
    /// A transfer ends with this.
    Data(Vec<u8>),
    /// Nothing yet: ask again at that time, if it is known, or when the device wakes you.
    Pending(Option<Duration>),
    /// The endpoint is halted.
    Stall,
}

/// What an isochronous endpoint gives in one service interval.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Iso {
    /// A packet; empty if there is nothing to send.
    Data(Vec<u8>),
    /// The packet was lost on the bus.
    Error,
}

/// Whether a device is on the bus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plug {
    /// It is.
    In,
    /// It is not; it comes back at that time, if it does so by itself.
    Out(Option<Duration>),
}

/// `wMaxPacketSize` of endpoint 0 at high speed.
pub(crate) const CONTROL_PACKET: u8 = 64;

const STALL: Control = Control::Stall;

impl Setup {
    /// Eight bytes as they travel.
    pub fn parse(bytes: [u8; 8]) -> Self {
        let [kind, request, value @ .., i0, i1, l0, l1] = bytes;
        Self {
            kind,
            request,
            value: u16::from_le_bytes(value),
            index: u16::from_le_bytes([i0, i1]),
            length: u16::from_le_bytes([l0, l1]),
        }
    }

    /// Whether data goes to the host.
    pub fn is_in(self) -> bool {
        self.kind & 0x80 != 0
    }

    /// Whether it is one of USB itself, not of a class or a vendor.
    pub fn is_standard(self) -> bool {
        self.kind & 0x60 == 0
    }
}

/// The state that USB itself gives a device: configuration and alternate settings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Enumerated {
    configuration: u8,
    alternates: [u8; 4],
}

impl Enumerated {
    /// Which alternate setting `interface` is in.
    pub fn alternate(&self, interface: u8) -> u8 {
        self.alternates.get(usize::from(interface)).copied().unwrap_or_default()
    }

    /// Which configuration was chosen; 0 for none.
    pub fn configuration(&self) -> u8 {
        self.configuration
    }

    /// Answers a control request: what USB itself defines (USB 2.0 §9.4), or what `function` answers.
    pub fn handle_control(&mut self, function: &mut dyn Function, now: Duration, setup: Setup, data: &[u8]) -> Control {
        let mut answer = match (setup.kind, setup.request) {
            (0x80, 6) => descriptor(function.descriptors(), setup.value),
            (0x80..=0x82, 0) => Control::Done(vec![0, 0]),
            (0x80, 8) => Control::Done(vec![self.configuration]),
            (0x81, 10) => match u8::try_from(setup.index) {
                Ok(interface) => Control::Done(vec![self.alternate(interface)]),
                Err(_) => STALL,
            },
            (0x00, 9) => self.configure(function, now, setup),
            (0x01, 11) => self.choose_alternate(function, now, setup),
            (0x00..=0x02, 1 | 3 | 5) => function.handle_control(now, setup, data),
            _ if setup.is_standard() => STALL,
            _ => function.handle_control(now, setup, data),
        };
        if let Control::Done(data) = &mut answer {
            data.truncate(if setup.is_in() { usize::from(setup.length) } else { 0 });
        }
        answer
    }

    fn configure(&mut self, function: &mut dyn Function, now: Duration, setup: Setup) -> Control {
        let Some(configuration) = u8::try_from(setup.value).ok().filter(|&value| value <= 1) else { return STALL };
        *self = Self { configuration, ..Self::default() };
        function.handle_control(now, setup, &[])
    }

    fn choose_alternate(&mut self, function: &mut dyn Function, now: Duration, setup: Setup) -> Control {
        let (Ok(interface), Ok(alternate)) = (u8::try_from(setup.index), u8::try_from(setup.value)) else {
            return STALL;
        };
        let there = interfaces(&function.descriptors().configuration)
            .any(|found| (found.number, found.alternate) == (interface, alternate));
        match self.alternates.get_mut(usize::from(interface)) {
            Some(chosen) if there => *chosen = alternate,
            _ => return STALL,
        }
        function.handle_control(now, setup, &[])
    }
}

fn descriptor(descriptors: &Descriptors, value: u16) -> Control {
    let [which, kind] = value.to_le_bytes();
    match kind {
        1 => Control::Done(descriptors.device.clone()),
        2 => Control::Done(descriptors.configuration.clone()),
        3 if which == 0 => Control::Done(vec![4, 3, 9, 4]),
        3 => match descriptors.strings.get(usize::from(which) - 1) {
            Some(text) => {
                let letters: Vec<u8> = text.encode_utf16().take(126).flat_map(u16::to_le_bytes).collect();
                let length = u8::try_from(letters.len() + 2).unwrap_or(u8::MAX);
                Control::Done([&[length, 3][..], &letters].concat())
            }
            None => STALL,
        },
        // At full speed: the same class, the same size of endpoint 0.
        6 => {
            let class = descriptors.device.get(4..7).unwrap_or(&[0, 0, 0]);
            Control::Done([&[10, 6, 0, 2][..], class, &[CONTROL_PACKET, 1, 0]].concat())
        }
        _ => STALL,
    }
}

/// A device descriptor for strings 1 to 3, of class, subclass and protocol `class`.
pub(crate) fn device_descriptor(class: [u8; 3], product: u16) -> Vec<u8> {
    let [class, subclass, protocol] = class;
    let [low, high] = product.to_le_bytes();
    // The vendor is OpenMoko, whose numbers are given to free projects; never sold, and so never registered.
    vec![18, 1, 0, 2, class, subclass, protocol, CONTROL_PACKET, 0x50, 0x1d, low, high, 0, 1, 1, 2, 3, 1]
}

/// An interface in one of its settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Interface {
    pub(crate) number: u8,
    pub(crate) alternate: u8,
    /// Class, subclass, protocol.
    pub(crate) class: [u8; 3],
    pub(crate) endpoints: Vec<Endpoint>,
}

/// An endpoint of a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Endpoint {
    pub(crate) address: u8,
    /// 1 isochronous, 2 bulk, 3 interrupt.
    pub(crate) kind: u8,
    pub(crate) max_packet: u16,
    pub(crate) interval: u8,
}

impl Endpoint {
    /// Bytes in one service interval: packets of high speed times their size (USB 2.0 §9.6.6).
    pub(crate) fn room(self) -> usize {
        usize::from(self.max_packet & 0x7ff) * usize::from(1 + (self.max_packet >> 11 & 3))
    }
}

/// The interfaces of a configuration, in all their settings.
pub(crate) fn interfaces(configuration: &[u8]) -> impl Iterator<Item = Interface> {
    let mut found: Vec<Interface> = Vec::new();
    for descriptor in pieces(configuration) {
        match *descriptor {
            [_, 4, number, alternate, _, class, subclass, protocol, ..] => {
                let class = [class, subclass, protocol];
                found.push(Interface { number, alternate, class, endpoints: Vec::new() });
            }
            [_, 5, address, attributes, low, high, interval, ..] => {
                let max_packet = u16::from_le_bytes([low, high]);
                let endpoint = Endpoint { address, kind: attributes & 3, max_packet, interval };
                if let Some(interface) = found.last_mut() {
                    interface.endpoints.push(endpoint);
                }
            }
            _ => {}
        }
    }
    found.into_iter()
}

/// The descriptors in `bytes`, each as long as it says.
fn pieces(mut bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let length = usize::from(*bytes.first()?);
        let (piece, rest) = bytes.split_at_checked(length.max(2))?;
        bytes = rest;
        Some(piece)
    })
}

/// Panics if lengths or counts do not add up.
#[cfg(test)]
pub(crate) fn check_descriptors(descriptors: &Descriptors) {
    let whole = &descriptors.configuration;
    assert_eq!(usize::from(u16::from_le_bytes([whole[2], whole[3]])), whole.len());
    assert_eq!(pieces(whole).map(<[u8]>::len).sum::<usize>(), whole.len(), "the last descriptor ends where all do");
    assert_eq!(descriptors.device.len(), 18);
    let counted: Vec<usize> = pieces(whole).filter(|piece| piece[1] == 4).map(|piece| usize::from(piece[4])).collect();
    let found: Vec<usize> = interfaces(whole).map(|interface| interface.endpoints.len()).collect();
    assert_eq!(counted, found, "endpoints of each interface");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serial::Serial;

    fn request(kind: u8, request: u8, value: u16, index: u16) -> Setup {
        Setup { kind, request, value, index, length: 255 }
    }

    #[test]
    fn what_is_chosen_is_read_back_and_what_is_not_there_stalls() {
        let (mut serial, ..) = Serial::new("RIG-1").unwrap();
        let mut state = Enumerated::default();
        let mut ask = |setup| state.handle_control(&mut serial, Duration::ZERO, setup, &[]);
        assert_eq!(ask(request(0x80, 8, 0, 0)), Control::Done(vec![0]));
        assert_eq!(ask(request(0x00, 9, 1, 0)), Control::Done(vec![]));
        assert_eq!(ask(request(0x80, 8, 0, 0)), Control::Done(vec![1]));
        assert_eq!(ask(request(0x01, 11, 1, 0)), Control::Stall, "no such setting");
        assert_eq!(ask(request(0x01, 11, 0, 200)), Control::Stall, "no such interface");
        assert_eq!(ask(request(0x00, 9, 2, 0)), Control::Stall, "no such configuration");
        assert_eq!(ask(request(0x80, 6, 0x0304, 0)), Control::Stall, "no such string");
        let Control::Done(string) = ask(request(0x80, 6, 0x0303, 0)) else { panic!("the serial number") };
        assert_eq!(string, [12, 3, b'R', 0, b'I', 0, b'G', 0, b'-', 0, b'1', 0]);
        let short = Setup { length: 9, ..request(0x80, 6, 0x0200, 0) };
        assert_eq!(ask(short), Control::Done(vec![9, 2, 67, 0, 2, 1, 0, 0x80, 50]));
    }

    #[test]
    fn a_setup_is_parsed_from_its_bytes() {
        let setup = Setup::parse([0x21, 1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(setup, Setup { kind: 0x21, request: 1, value: 0x0302, index: 0x0504, length: 0x0706 });
    }
}
