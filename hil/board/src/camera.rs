//! A USB Video Class device (UVC 1.1), without a clock or a bus.

mod control;
mod delivered;
mod descriptors;
mod negotiation;
mod stream;

use crate::armed::Armed;
pub use crate::coder::Light;
use crate::config::{BoardConfig, ConfigError, Frames, Transfer};
use crate::fault::{Event, What};
use crate::usb::{Control, Descriptors, Function, In, Iso, Plug, Setup};
pub use delivered::{Delivered, Fired};
use descriptors::{CONTROL, FRAMES, PROCESSING, STATUS, STREAMING, descriptors, formats};
use negotiation::{BULK_PAYLOAD, Choice, Offer};
use std::collections::VecDeque;
use std::time::Duration;
use stream::{Cut, Next, Stream};

/// Most presses that wait for the host.
const MAX_WAITING: usize = 16;

/// A camera with a button and a lamp before it.
#[derive(Debug)]
pub(crate) struct Camera {
    descriptors: Descriptors,
    offer: Offer,
    frames: Frames,
    latency: Duration,
    armed: Armed,
    probed: Choice,
    committed: Choice,
    brightness: i16,
    stream: Option<Stream>,
    halted: bool,
    /// What of a bulk payload is still to go, and whether an empty transfer ends it.
    rest: VecDeque<u8>,
    empty: bool,
    /// Status packets for the host.
    status: VecDeque<[u8; 4]>,
    plug: Plug,
    /// When the lamp was turned, the last first.
    lights: VecDeque<(Duration, Light)>,
    number: u32,
    first_stream: Option<Duration>,
    /// Faults that take effect when the transport has seen them: places in `delivered.fired`.
    unseen: Vec<usize>,
    delivered: Delivered,
}

impl Camera {
    pub(crate) fn new(config: BoardConfig) -> Result<Self, ConfigError> {
        config.check()?;
        let offer = Offer { formats: formats(&config.modes), transfer: config.transfer };
        let first = Choice::first(&offer);
        Ok(Self {
            descriptors: descriptors(&config),
            offer,
            frames: config.frames,
            latency: config.latency,
            armed: Armed::new(config.faults),
            probed: first,
            committed: first,
            brightness: 0,
            stream: None,
            halted: false,
            rest: VecDeque::new(),
            empty: false,
            status: VecDeque::new(),
            plug: Plug::In,
            lights: VecDeque::new(),
            number: 0,
            first_stream: None,
            unseen: Vec::new(),
            delivered: Delivered::default(),
        })
    }

    pub(crate) fn delivered(&self) -> &Delivered {
        &self.delivered
    }

    /// The button is pressed and let go.
    pub(crate) fn handle_press(&mut self, now: Duration) {
        self.delivered.presses += 1;
        for value in [1, 0] {
            // From the streaming interface: button, pressed or not (UVC 1.1 §2.4.2.2).
            self.status.push_back([0x02, STREAMING, 0, value]);
        }
        while self.status.len() > MAX_WAITING {
            self.status.pop_front();
        }
        self.handle_event(now, Event::Press);
    }

    pub(crate) fn handle_light(&mut self, now: Duration, light: Light) {
        self.lights.push_front((now, light));
        self.lights.truncate(64);
    }

    pub(crate) fn handle_unplug(&mut self) {
        self.leave(None);
    }

    pub(crate) fn handle_plug(&mut self) {
        self.plug = Plug::In;
    }

    fn leave(&mut self, back: Option<Duration>) {
        self.plug = Plug::Out(back);
        self.stop();
        self.status.clear();
    }

    fn handle_event(&mut self, now: Duration, event: Event) {
        for due in self.armed.handle_event(event) {
            let place = self.delivered.record(now, due, self.number);
            self.take_off(now, due.fault.what);
            self.unseen.push(place);
        }
    }

    /// Off the bus, as `what` says.
    fn take_off(&mut self, now: Duration, what: What) {
        match what {
            What::BrownOut { ms } => self.leave(Some(now + Duration::from_millis(ms.into()))),
            _ => self.leave(None),
        }
    }

    fn start(&mut self, now: Duration) {
        self.stop();
        let Some(mode) = self.offer.mode(self.committed) else { return };
        self.stream = Some(Stream::new(mode, &self.frames, now, self.committed.interval()));
        self.first_stream.get_or_insert(now);
        self.delivered.streams += 1;
        match self.delivered.streams {
            1 => self.handle_event(now, Event::StreamStart),
            2 => self.handle_event(now, Event::SecondStreamStart),
            _ => {}
        }
    }

    fn stop(&mut self) {
        self.stream = None;
        self.halted = false;
        self.rest.clear();
        self.empty = false;
    }

    /// The lamp as the camera sees it now.
    fn light(&self, now: Duration) -> Light {
        let seen = |(at, _): &&(Duration, Light)| *at + self.latency <= now;
        self.lights.iter().find(seen).map(|(_, light)| *light).unwrap_or_default()
    }

    /// The next payload of at most `room` bytes, header and all.
    fn poll_payload(&mut self, now: Duration, room: usize) -> Next {
        if !matches!(self.plug, Plug::In) || self.halted {
            return Next::Wait(None);
        }
        let Some(mut stream) = self.stream.take() else { return Next::Wait(None) };
        let next = self.poll_stream(&mut stream, now, room);
        if let Next::Cut(cut, place) = next {
            return self.handle_cut(now, stream, cut, place);
        }
        self.stream = Some(stream);
        next
    }

    fn poll_stream(&mut self, stream: &mut Stream, now: Duration, room: usize) -> Next {
        if !stream.is_sending() {
            if now < stream.due() {
                return Next::Wait(Some(stream.due()));
            }
            if !stream.is_prepared() {
                let skipped = stream.skip(now);
                self.number = self.number.wrapping_add(skipped);
                self.delivered.frames_skipped += u64::from(skipped);
                self.prepare(stream, now);
                if now < stream.due() {
                    return Next::Wait(Some(stream.due()));
                }
            }
            let light = self.light(now);
            stream.begin(now, self.number, light, self.brightness);
            self.number = self.number.wrapping_add(1);
            self.delivered.frames_made += 1;
        }
        let (next, ended) = stream.poll_payload(now, room);
        if let Next::Payload { bytes, .. } = &next {
            self.delivered.bytes += bytes.len().saturating_sub(stream::HEADER) as u64;
        }
        if let Some(ended) = ended {
            self.delivered.frames_sent += 1;
            self.delivered.mark(&ended);
        }
        next
    }

    /// Fires what is due with the frame that comes next.
    fn prepare(&mut self, stream: &mut Stream, now: Duration) {
        let streaming = now.saturating_sub(self.first_stream.unwrap_or(now));
        for due in self.armed.handle_frame(self.number, streaming) {
            let byte = self.armed.byte(due.index, self.number);
            let place = self.delivered.record(now, due, self.number);
            stream.spoil(due.fault.what, place, byte);
            // A host sees from now on that nothing comes, and may give up before something does.
            if matches!(due.fault.what, What::Freeze { .. } | What::SlowStart { .. }) {
                self.delivered.mark(&[place]);
            }
        }
        stream.handle_prepared();
    }

    fn handle_cut(&mut self, now: Duration, stream: Stream, cut: Cut, place: usize) -> Next {
        match cut {
            Cut::Stall => {
                self.stream = Some(stream);
                self.halted = true;
                self.unseen.push(place);
            }
            Cut::Unplug(what) => {
                self.take_off(now, what);
                self.unseen.push(place);
            }
        }
        Next::Cut(cut, place)
    }

    fn see(&mut self) {
        let seen = std::mem::take(&mut self.unseen);
        self.delivered.mark(&seen);
    }
}

impl Function for Camera {
    fn descriptors(&self) -> &Descriptors {
        &self.descriptors
    }

    fn handle_control(&mut self, now: Duration, request: Setup, data: &[u8]) -> Control {
        let [interface, unit] = request.index.to_le_bytes();
        match (request.kind, request.request) {
            (0x00, 9) => {
                self.stop();
                if request.value != 0 {
                    self.handle_event(now, Event::Configured);
                }
            }
            (0x01, 11) if interface == STREAMING && request.value != 0 => self.start(now),
            (0x01, 11) if interface == STREAMING => self.stop(),
            // How a host ends a bulk stream, whether it is halted or not.
            (0x02, 1) if interface == FRAMES && self.offer.transfer == Transfer::Bulk => self.stop(),
            (0x21 | 0xa1, _) if (interface, unit) == (STREAMING, 0) => {
                return self.handle_streaming(now, request, data);
            }
            (0x21 | 0xa1, code) if (interface, unit, request.value) == (CONTROL, PROCESSING, 0x0200) => {
                return self.handle_brightness(code, data);
            }
            // No error but the stall itself.
            (0xa1, 0x81) if (request.index, request.value) == (0, 0x0200) => return Control::Done(vec![0]),
            _ if request.is_standard() => {}
            _ => return Control::Stall,
        }
        Control::Done(Vec::new())
    }

    fn handle_out(&mut self, _: Duration, _: u8, _: &[u8]) {}

    fn poll_in(&mut self, now: Duration, endpoint: u8, room: usize) -> In {
        match endpoint {
            STATUS => match self.status.pop_front() {
                Some(status) => In::Data(status.into_iter().take(room).collect()),
                None => In::Pending(None),
            },
            FRAMES => self.poll_frames(now, room),
            _ => In::Pending(None),
        }
    }

    fn poll_iso(&mut self, now: Duration, endpoint: u8, room: usize) -> Iso {
        if endpoint != FRAMES {
            return Iso::Data(Vec::new());
        }
        match self.poll_payload(now, room) {
            Next::Payload { lost: true, .. } => Iso::Error,
            Next::Payload { bytes, .. } => Iso::Data(bytes),
            Next::Wait(_) | Next::Cut(..) => Iso::Data(Vec::new()),
        }
    }

    fn poll_plug(&mut self, now: Duration) -> Plug {
        if let Plug::Out(back) = self.plug {
            if back.is_some_and(|back| back <= now) {
                self.plug = Plug::In;
            } else {
                self.see();
            }
        }
        self.plug
    }

    fn handle_reset(&mut self, _: Duration) {
        self.stop();
        self.status.clear();
    }
}

impl Camera {
    /// A piece of a bulk payload: it ends with a short transfer, or where it is as long as payloads are.
    fn poll_frames(&mut self, now: Duration, room: usize) -> In {
        if self.rest.is_empty() && !self.empty {
            match self.poll_payload(now, BULK_PAYLOAD as usize) {
                Next::Payload { bytes, .. } => self.rest = bytes.into(),
                Next::Wait(until) if !self.halted => return In::Pending(until),
                Next::Wait(_) | Next::Cut(..) => {
                    if self.halted {
                        self.see();
                        return In::Stall;
                    }
                    return In::Pending(None);
                }
            }
            self.empty = self.rest.len() < BULK_PAYLOAD as usize;
        }
        let count = room.min(self.rest.len());
        let data: Vec<u8> = self.rest.drain(..count).collect();
        // A transfer that is not filled is an end by itself, as is a payload of full length.
        self.empty &= count == room;
        In::Data(data)
    }
}

#[cfg(test)]
mod tests;
