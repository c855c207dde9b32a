//! A connection of usbredir, without its socket.

use super::message::{CAPABILITIES, Header, Message, Status, describe, hello, kind};
use crate::serve::{Link, MAX_WAITING, PeerError};
use crate::usb::{Control, Enumerated, Function, In, Iso, Plug, Setup, interfaces};
use std::collections::VecDeque;
use std::time::Duration;

/// Most transfers that wait for data.
const MAX_TRANSFERS: usize = 1024;
/// Service interval of isochronous endpoints.
const MICROFRAME: Duration = Duration::from_micros(125);
/// How far an isochronous stream may lag before it leaves out what is past.
const LAG: Duration = Duration::from_millis(100);

/// A connection, from the greeting on.
#[derive(Debug)]
pub(crate) struct Redir {
    input: Vec<u8>,
    out: Vec<u8>,
    greeted: bool,
    /// Whether the peer was told of the device.
    connected: bool,
    state: Enumerated,
    bulk: VecDeque<Transfer>,
    /// Interrupt endpoints that the peer listens to.
    interrupt: Vec<u8>,
    iso: Option<IsoStream>,
    /// Identifiers of packets that nobody asked for.
    packets: u64,
}

/// A bulk transfer that waits for data.
#[derive(Clone, Copy, Debug)]
struct Transfer {
    id: u64,
    endpoint: u8,
    room: u32,
}

#[derive(Clone, Copy, Debug)]
struct IsoStream {
    endpoint: u8,
    /// Bytes in one service interval.
    room: usize,
    next: Duration,
}

impl Redir {
    pub(crate) fn new() -> Self {
        let mut out = Vec::new();
        hello(&mut out);
        Self {
            input: Vec::new(),
            out,
            greeted: false,
            connected: false,
            state: Enumerated::default(),
            bulk: VecDeque::new(),
            interrupt: Vec::new(),
            iso: None,
            packets: 0,
        }
    }

    fn handle_message(
        &mut self,
        now: Duration,
        id: u64,
        message: Message<'_>,
        function: &mut dyn Function,
    ) -> Result<(), PeerError> {
        if let Message::Hello { capabilities } = message {
            if capabilities & CAPABILITIES != CAPABILITIES {
                return Err(PeerError::Capabilities(capabilities));
            }
            self.greeted = true;
            return Ok(());
        }
        if !self.connected {
            // Sent before the peer heard that the device is gone.
            return Ok(());
        }
        match message {
            Message::Hello { .. } | Message::Other => {}
            Message::Reset => {
                self.forget();
                function.handle_reset(now);
            }
            Message::SetConfiguration(value) => {
                let status = self.standard(now, function, 0x00, 9, value.into(), 0);
                let value = self.state.configuration();
                self.send(kind::CONFIGURATION, id, &[&[status as u8, value]]);
            }
            Message::ReadConfiguration => {
                let value = self.state.configuration();
                self.send(kind::CONFIGURATION, id, &[&[0, value]]);
            }
            Message::SetAlternate { interface, alternate } => {
                let status = self.standard(now, function, 0x01, 11, alternate.into(), interface.into());
                describe(&mut self.out, function.descriptors(), &self.state);
                let alternate = self.state.alternate(interface);
                self.send(kind::ALTERNATE, id, &[&[status as u8, interface, alternate]]);
            }
            Message::ReadAlternate(interface) => {
                let alternate = self.state.alternate(interface);
                self.send(kind::ALTERNATE, id, &[&[0, interface, alternate]]);
            }
            Message::StartIso(endpoint) => {
                let room = self.iso_room(endpoint, function);
                self.iso = room.map(|room| IsoStream { endpoint, room, next: now });
                let status = if room.is_some() { Status::Success } else { Status::Stall };
                self.send(kind::ISO_STREAM, id, &[&[status as u8, endpoint]]);
            }
            Message::StopIso(endpoint) => {
                self.iso = None;
                self.send(kind::ISO_STREAM, id, &[&[0, endpoint]]);
            }
            Message::StartInterrupt(endpoint) => {
                if !self.interrupt.contains(&endpoint) && self.interrupt.len() < 16 {
                    self.interrupt.push(endpoint);
                }
                self.send(kind::INTERRUPT_RECEIVING, id, &[&[0, endpoint]]);
            }
            Message::StopInterrupt(endpoint) => {
                self.interrupt.retain(|&there| there != endpoint);
                self.send(kind::INTERRUPT_RECEIVING, id, &[&[0, endpoint]]);
            }
            Message::Cancel => {
                if let Some(place) = self.bulk.iter().position(|transfer| transfer.id == id)
                    && let Some(transfer) = self.bulk.remove(place)
                {
                    self.answer(transfer, Status::Cancelled, &[]);
                }
            }
            Message::Control { setup, data } => self.control(now, id, setup, data, function),
            Message::BulkIn { endpoint, room } => {
                if self.bulk.len() >= MAX_TRANSFERS {
                    return Err(PeerError::Transfers(MAX_TRANSFERS));
                }
                self.bulk.push_back(Transfer { id, endpoint, room });
            }
            Message::BulkOut { header, data } => {
                let [endpoint, ..] = *header;
                function.handle_out(now, endpoint, data);
                self.send(kind::BULK, id, &[header]);
            }
        }
        Ok(())
    }

    fn control(&mut self, now: Duration, id: u64, setup: Setup, data: &[u8], function: &mut dyn Function) {
        let (status, answer) = match self.state.handle_control(function, now, setup, data) {
            Control::Done(answer) => (Status::Success, answer),
            Control::Stall => (Status::Stall, Vec::new()),
        };
        let done = match status {
            Status::Success if !setup.is_in() => setup.length,
            _ => u16::try_from(answer.len()).unwrap_or(u16::MAX),
        };
        let [v0, v1] = setup.value.to_le_bytes();
        let [i0, i1] = setup.index.to_le_bytes();
        let [l0, l1] = done.to_le_bytes();
        let endpoint = setup.kind & 0x80;
        let head = [endpoint, setup.request, setup.kind, status as u8, v0, v1, i0, i1, l0, l1];
        self.send(kind::CONTROL, id, &[&head, &answer]);
    }

    /// A standard request that has a message of its own.
    fn standard(
        &mut self,
        now: Duration,
        function: &mut dyn Function,
        kind: u8,
        request: u8,
        value: u16,
        index: u16,
    ) -> Status {
        match self.state.handle_control(function, now, Setup { kind, request, value, index, length: 0 }, &[]) {
            Control::Done(_) => Status::Success,
            Control::Stall => Status::Stall,
        }
    }

    /// Room of an isochronous endpoint in the setting that was chosen.
    fn iso_room(&self, endpoint: u8, function: &dyn Function) -> Option<usize> {
        interfaces(&function.descriptors().configuration)
            .filter(|interface| self.state.alternate(interface.number) == interface.alternate)
            .flat_map(|interface| interface.endpoints)
            .find(|there| there.address == endpoint && there.kind == 1)
            .map(crate::usb::Endpoint::room)
    }

    fn send(&mut self, kind: u32, id: u64, parts: &[&[u8]]) {
        Header::emit(&mut self.out, kind, id, parts);
    }

    fn answer(&mut self, transfer: Transfer, status: Status, data: &[u8]) {
        let [l0, l1, l2, l3] = u32::try_from(data.len()).unwrap_or(u32::MAX).to_le_bytes();
        let head = [transfer.endpoint, status as u8, l0, l1, 0, 0, 0, 0, l2, l3];
        self.send(kind::BULK, transfer.id, &[&head, data]);
    }

    fn forget(&mut self) {
        self.state = Enumerated::default();
        self.bulk.clear();
        self.interrupt.clear();
        self.iso = None;
    }

    /// Tells the peer that the device came or went. When that may change by itself.
    fn poll_plug(&mut self, now: Duration, function: &mut dyn Function) -> Option<Duration> {
        match function.poll_plug(now) {
            Plug::In if !self.connected => {
                self.forget();
                function.handle_reset(now);
                describe(&mut self.out, function.descriptors(), &self.state);
                // High speed, then class, subclass and protocol, vendor, product and version.
                let mut body = vec![2];
                let device = &function.descriptors().device;
                body.extend_from_slice(device.get(4..7).unwrap_or_default());
                body.extend_from_slice(device.get(8..14).unwrap_or_default());
                self.send(kind::DEVICE_CONNECT, 0, &[&body]);
                self.connected = true;
                None
            }
            Plug::In => None,
            Plug::Out(back) => {
                if self.connected {
                    self.forget();
                    self.send(kind::DEVICE_DISCONNECT, 0, &[]);
                    self.connected = false;
                }
                back
            }
        }
    }

    fn poll_interrupt(&mut self, now: Duration, function: &mut dyn Function) {
        for endpoint in self.interrupt.clone() {
            while self.out.len() < MAX_WAITING
                && let In::Data(data) = function.poll_in(now, endpoint, 64)
            {
                self.packet(kind::INTERRUPT, endpoint, Status::Success, &data);
            }
        }
    }

    fn poll_iso(&mut self, now: Duration, function: &mut dyn Function) -> Option<Duration> {
        let mut stream = self.iso?;
        if stream.next + LAG < now {
            stream.next = now;
        }
        while stream.next <= now && self.out.len() < MAX_WAITING {
            let (status, data) = match function.poll_iso(now, stream.endpoint, stream.room) {
                Iso::Data(data) => (Status::Success, data),
                Iso::Error => (Status::IoError, Vec::new()),
            };
            self.packet(kind::ISO, stream.endpoint, status, &data);
            stream.next += MICROFRAME;
        }
        self.iso = Some(stream);
        // One millisecond at a time: a wake-up for each packet would be the greater part of the work.
        Some(stream.next + MICROFRAME * 7)
    }

    fn packet(&mut self, kind: u32, endpoint: u8, status: Status, data: &[u8]) {
        let [l0, l1] = u16::try_from(data.len()).unwrap_or(u16::MAX).to_le_bytes();
        let id = self.packets;
        self.packets = self.packets.wrapping_add(1);
        self.send(kind, id, &[&[endpoint, status as u8, l0, l1], data]);
    }

    fn poll_bulk(&mut self, now: Duration, function: &mut dyn Function) -> Option<Duration> {
        let mut until: Option<Duration> = None;
        let mut waiting = VecDeque::with_capacity(self.bulk.len());
        let mut blocked: Vec<u8> = Vec::new();
        while let Some(transfer) = self.bulk.pop_front() {
            if blocked.contains(&transfer.endpoint) || self.out.len() >= MAX_WAITING {
                waiting.push_back(transfer);
                continue;
            }
            let room = usize::try_from(transfer.room).unwrap_or(usize::MAX);
            match function.poll_in(now, transfer.endpoint, room) {
                In::Data(data) => self.answer(transfer, Status::Success, &data),
                In::Stall => self.answer(transfer, Status::Stall, &[]),
                In::Pending(at) => {
                    until = [until, at].into_iter().flatten().min();
                    blocked.push(transfer.endpoint);
                    waiting.push_back(transfer);
                }
            }
        }
        self.bulk = waiting;
        until
    }
}

impl Link for Redir {
    fn handle_bytes(&mut self, now: Duration, bytes: &[u8], function: &mut dyn Function) -> Result<(), PeerError> {
        let mut input = std::mem::take(&mut self.input);
        input.extend_from_slice(bytes);
        let mut rest = input.as_slice();
        while let Some((header, body)) = Header::parse(rest, self.greeted)? {
            if !self.greeted && header.kind != kind::HELLO {
                return Err(PeerError::NoHello(header.kind));
            }
            let length = usize::try_from(header.length).unwrap_or(usize::MAX);
            let Some((body, after)) = body.split_at_checked(length) else { break };
            let message = Message::parse(header.kind, body)?;
            self.handle_message(now, header.id, message, function)?;
            rest = after;
        }
        self.input = rest.to_vec();
        Ok(())
    }

    fn poll(&mut self, now: Duration, function: &mut dyn Function) -> Option<Duration> {
        if !self.greeted {
            return None;
        }
        if !self.connected {
            return self.poll_plug(now, function);
        }
        self.poll_interrupt(now, function);
        let iso = self.poll_iso(now, function);
        let bulk = self.poll_bulk(now, function);
        // Last: a frame may just have ended with the board off the bus.
        let plug = self.poll_plug(now, function);
        [iso, bulk, plug].into_iter().flatten().min()
    }

    fn output(&mut self) -> &mut Vec<u8> {
        &mut self.out
    }

    fn is_over(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests;
