//! A connection of USB/IP, without its socket.

use super::message::{Command, Packet, Status, answer, answer_iso, unlinked};
use crate::serve::{Link, MAX_WAITING, PeerError};
use crate::usb::{Control, Enumerated, Function, In, Iso, Plug, Setup};
use std::collections::VecDeque;
use std::time::Duration;

/// Most transfers that wait for data.
const MAX_TRANSFERS: usize = 1024;
/// Service interval of isochronous endpoints.
const MICROFRAME: Duration = Duration::from_micros(125);
/// How far an isochronous stream may lag before it leaves out what is past.
const LAG: Duration = Duration::from_millis(100);

/// A connection. The kernel has the descriptors of what it attached, and asks for the rest.
#[derive(Debug, Default)]
pub(crate) struct UsbIp {
    input: Vec<u8>,
    out: Vec<u8>,
    state: Enumerated,
    waiting: VecDeque<Transfer>,
    /// When the last isochronous transfer was over.
    iso: Option<Duration>,
    over: bool,
}

/// A transfer that waits for data.
#[derive(Clone, Debug)]
struct Transfer {
    number: u32,
    endpoint: u8,
    room: u32,
    start_frame: u32,
    packets: Vec<Packet>,
}

impl UsbIp {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    fn handle_command(
        &mut self,
        now: Duration,
        command: Command<'_>,
        function: &mut dyn Function,
    ) -> Result<(), PeerError> {
        match command {
            Command::Submit { number, endpoint: 0, setup, data, .. } => {
                self.control(now, number, setup, data, function);
            }
            Command::Submit { number, endpoint, is_in: false, data, .. } => {
                function.handle_out(now, endpoint, data);
                answer(&mut self.out, number, Status::Success, data.len(), &[]);
            }
            Command::Submit { number, endpoint, room, start_frame, packets, .. } => {
                if self.waiting.len() >= MAX_TRANSFERS {
                    return Err(PeerError::Transfers(MAX_TRANSFERS));
                }
                let endpoint = endpoint | 0x80;
                self.waiting.push_back(Transfer { number, endpoint, room, start_frame, packets });
            }
            Command::Unlink { number, victim } => {
                let before = self.waiting.len();
                self.waiting.retain(|transfer| transfer.number != victim);
                // What is answered is on its way, and in front of this.
                let status = if self.waiting.len() < before { Status::Unlinked } else { Status::Success };
                unlinked(&mut self.out, number, status);
            }
        }
        Ok(())
    }

    fn control(&mut self, now: Duration, number: u32, setup: Setup, data: &[u8], function: &mut dyn Function) {
        match self.state.handle_control(function, now, setup, data) {
            Control::Done(given) if setup.is_in() => {
                answer(&mut self.out, number, Status::Success, given.len(), &given);
            }
            Control::Done(_) => answer(&mut self.out, number, Status::Success, data.len(), &[]),
            Control::Stall => answer(&mut self.out, number, Status::Stall, 0, &[]),
        }
    }

    /// Answers an isochronous transfer, or says when it will be over.
    fn poll_iso(&mut self, now: Duration, transfer: &Transfer, function: &mut dyn Function) -> Option<Duration> {
        let began = self.iso.filter(|last| *last + LAG >= now).unwrap_or(now);
        let over = began + MICROFRAME * u32::try_from(transfer.packets.len()).unwrap_or(u32::MAX);
        if over > now {
            self.iso = Some(began);
            return Some(over);
        }
        self.iso = Some(over);
        let packets: Vec<_> = transfer
            .packets
            .iter()
            .map(|packet| {
                let room = usize::try_from(packet.room.min(3072)).unwrap_or_default();
                match function.poll_iso(now, transfer.endpoint, room) {
                    Iso::Data(data) => (*packet, Status::Success, data),
                    Iso::Error => (*packet, Status::Damaged, Vec::new()),
                }
            })
            .collect();
        answer_iso(&mut self.out, transfer.number, transfer.start_frame, &packets);
        None
    }

    /// Answers a transfer, or says when to try again: `Err(None)` if that is not known.
    fn poll_transfer(
        &mut self,
        now: Duration,
        transfer: &Transfer,
        function: &mut dyn Function,
    ) -> Result<(), Option<Duration>> {
        if !transfer.packets.is_empty() {
            return self.poll_iso(now, transfer, function).map_or(Ok(()), |at| Err(Some(at)));
        }
        let room = usize::try_from(transfer.room).unwrap_or(usize::MAX);
        match function.poll_in(now, transfer.endpoint, room) {
            In::Data(data) => answer(&mut self.out, transfer.number, Status::Success, data.len(), &data),
            In::Stall => answer(&mut self.out, transfer.number, Status::Stall, 0, &[]),
            In::Pending(at) => return Err(at),
        }
        Ok(())
    }
}

impl Link for UsbIp {
    fn handle_bytes(&mut self, now: Duration, bytes: &[u8], function: &mut dyn Function) -> Result<(), PeerError> {
        let mut input = std::mem::take(&mut self.input);
        input.extend_from_slice(bytes);
        let mut rest = input.as_slice();
        while let Some((command, after)) = Command::parse(rest)? {
            self.handle_command(now, command, function)?;
            rest = after;
        }
        self.input = rest.to_vec();
        Ok(())
    }

    fn poll(&mut self, now: Duration, function: &mut dyn Function) -> Option<Duration> {
        let mut until: Option<Duration> = None;
        let mut waiting = VecDeque::with_capacity(self.waiting.len());
        let mut blocked: Vec<u8> = Vec::new();
        while let Some(transfer) = self.waiting.pop_front() {
            if blocked.contains(&transfer.endpoint) || self.out.len() >= MAX_WAITING {
                waiting.push_back(transfer);
                continue;
            }
            if let Err(at) = self.poll_transfer(now, &transfer, function) {
                until = [until, at].into_iter().flatten().min();
                blocked.push(transfer.endpoint);
                waiting.push_back(transfer);
            }
        }
        self.waiting = waiting;
        // Last: a frame may just have ended with the board off the bus.
        self.over |= matches!(function.poll_plug(now), Plug::Out(_));
        until
    }

    fn output(&mut self) -> &mut Vec<u8> {
        &mut self.out
    }

    fn is_over(&self) -> bool {
        self.over
    }
}

#[cfg(test)]
mod tests;
