//! A CDC-ACM device (USB CDC PSTN 1.2).

use crate::config::ConfigError;
use crate::usb::{Control, Descriptors, Function, In, Iso, Plug, Setup, device_descriptor};
use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

/// Data from the host.
const OUT: u8 = 0x01;
/// Data for the host.
const IN: u8 = 0x81;

/// Most writes of either side that wait for the other; what is more is lost, as on a line without flow control.
const MAX_WRITES: usize = 256;
/// Most bytes that are taken from the controller before the host fetches some.
const MAX_WAITING: usize = 64 * 1024;

const SET_LINE_CODING: (u8, u8) = (0x21, 0x20);
const GET_LINE_CODING: (u8, u8) = (0xa1, 0x21);
const SET_CONTROL_LINE_STATE: (u8, u8) = (0x21, 0x22);
const SEND_BREAK: (u8, u8) = (0x21, 0x23);

/// A serial port without a line: what the host sends goes into one channel, what it reads comes from another.
#[derive(Debug)]
pub(crate) struct Serial {
    descriptors: Descriptors,
    from_host: SyncSender<Vec<u8>>,
    to_host: Receiver<Vec<u8>>,
    /// What the host has not fetched yet.
    waiting: VecDeque<u8>,
    /// Whether the last transfer filled its request and so needs an empty one after it.
    full: bool,
    /// Rate, stop bits, parity and bits, kept because hosts read them back: 115,200 8N1.
    coding: [u8; 7],
}

impl Serial {
    /// The device, what the host sends, and where to put what it shall get.
    #[expect(clippy::type_complexity, reason = "three ends of one line")]
    pub(crate) fn new(serial: &str) -> Result<(Self, Receiver<Vec<u8>>, SyncSender<Vec<u8>>), ConfigError> {
        crate::config::check_text(serial)?;
        let (from_host, host_sent) = sync_channel(MAX_WRITES);
        let (for_host, to_host) = sync_channel(MAX_WRITES);
        let device = Self {
            descriptors: descriptors(serial),
            from_host,
            to_host,
            waiting: VecDeque::new(),
            full: false,
            coding: [0, 0xc2, 1, 0, 0, 0, 8],
        };
        Ok((device, host_sent, for_host))
    }
}

impl Function for Serial {
    fn descriptors(&self) -> &Descriptors {
        &self.descriptors
    }

    fn handle_control(&mut self, _: Duration, request: Setup, data: &[u8]) -> Control {
        match (request.kind, request.request) {
            SET_LINE_CODING => match data.try_into() {
                Ok(coding) => {
                    self.coding = coding;
                    Control::Done(Vec::new())
                }
                Err(_) => Control::Stall,
            },
            GET_LINE_CODING => Control::Done(self.coding.to_vec()),
            SET_CONTROL_LINE_STATE | SEND_BREAK => Control::Done(Vec::new()),
            _ if request.is_standard() => Control::Done(Vec::new()),
            _ => Control::Stall,
        }
    }

    fn handle_out(&mut self, _: Duration, endpoint: u8, data: &[u8]) {
        if endpoint == OUT && !data.is_empty() {
            // Nobody reads, or not fast enough: as with a real line, the bytes are gone.
            let _ = self.from_host.try_send(data.to_vec());
        }
    }

    fn poll_in(&mut self, _: Duration, endpoint: u8, room: usize) -> In {
        if endpoint != IN {
            return In::Pending(None);
        }
        while self.waiting.len() < MAX_WAITING
            && let Ok(bytes) = self.to_host.try_recv()
        {
            self.waiting.extend(bytes);
        }
        if self.waiting.is_empty() && !self.full {
            return In::Pending(None);
        }
        let count = room.min(self.waiting.len());
        self.full = count == room && room > 0;
        In::Data(self.waiting.drain(..count).collect())
    }

    fn poll_iso(&mut self, _: Duration, _: u8, _: usize) -> Iso {
        Iso::Data(Vec::new())
    }

    fn poll_plug(&mut self, _: Duration) -> Plug {
        Plug::In
    }

    fn handle_reset(&mut self, _: Duration) {
        self.waiting.clear();
        self.full = false;
    }
}

fn descriptors(serial: &str) -> Descriptors {
    let configuration = [
        &[9, 2, 67, 0, 2, 1, 0, 0x80, 50][..],
        // Communication: abstract control model, call management by nobody.
        &[9, 4, 0, 0, 1, 2, 2, 1, 0],
        &[5, 0x24, 0, 0x10, 1],
        &[5, 0x24, 1, 0, 1],
        &[4, 0x24, 2, 2],
        &[5, 0x24, 6, 0, 1],
        &[7, 5, 0x82, 3, 8, 0, 10],
        // Data, in and out.
        &[9, 4, 1, 0, 2, 10, 0, 0, 0],
        &[7, 5, OUT, 2, 0, 2, 0],
        &[7, 5, IN, 2, 0, 2, 0],
    ]
    .concat();
    Descriptors {
        device: device_descriptor([2, 0, 0], 0x6157),
        configuration,
        strings: vec!["Doorframe".to_owned(), "Virtual Rig Controller".to_owned(), serial.to_owned()],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_go_both_ways_and_a_full_transfer_is_ended_by_an_empty_one() {
        let (mut serial, from_host, to_host) = Serial::new("RIG-1").unwrap();
        let now = Duration::ZERO;
        serial.handle_out(now, OUT, b"ping");
        assert_eq!(from_host.try_recv().unwrap(), b"ping");
        assert_eq!(serial.poll_in(now, IN, 4), In::Pending(None));
        to_host.send(b"pong".to_vec()).unwrap();
        assert_eq!(serial.poll_in(now, IN, 4), In::Data(b"pong".to_vec()));
        assert_eq!(serial.poll_in(now, IN, 4), In::Data(Vec::new()));
        assert_eq!(serial.poll_in(now, IN, 4), In::Pending(None));
    }

    #[test]
    fn what_nobody_fetches_is_lost_and_not_kept_for_ever() {
        let (mut serial, from_host, to_host) = Serial::new("RIG-1").unwrap();
        for _ in 0..2 * MAX_WRITES {
            serial.handle_out(Duration::ZERO, OUT, b"a");
            let _ = to_host.try_send(b"b".to_vec());
        }
        assert_eq!(from_host.try_iter().count(), MAX_WRITES);
        assert_eq!(serial.poll_in(Duration::ZERO, IN, 1024), In::Data(vec![b'b'; MAX_WRITES]));
    }

    #[test]
    fn the_line_coding_is_read_back() {
        let (mut serial, ..) = Serial::new("RIG-1").unwrap();
        let set = Setup { kind: 0x21, request: 0x20, value: 0, index: 0, length: 7 };
        let read = Setup { kind: 0xa1, request: 0x21, ..set };
        assert_eq!(serial.handle_control(Duration::ZERO, set, &[1, 2, 3, 4, 5, 6, 7]), Control::Done(Vec::new()));
        assert_eq!(serial.handle_control(Duration::ZERO, set, &[1]), Control::Stall);
        assert_eq!(serial.handle_control(Duration::ZERO, read, &[]), Control::Done(vec![1, 2, 3, 4, 5, 6, 7]));
    }

    #[test]
    fn the_configuration_is_as_long_as_it_says() {
        let (serial, ..) = Serial::new("RIG-1").unwrap();
        crate::usb::check_descriptors(serial.descriptors());
    }
}
