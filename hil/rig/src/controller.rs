//! What the controller does.

use crate::message::{
    Abilities, Answer, Command, Edge, Fitted, Flips, Level, MAX_FLIPS, MAX_HOLD_MS, Micros, Refusal, Reply, Request,
    Source, Supply, Threshold,
};
use crate::wire::{Heard, Reader, Sent, emit};
use heapless::Vec;

/// Edges of one series: two for each flip, and some that other light makes.
pub const MAX_EDGES: usize = 512;

/// What a controller's pins are tied to.
pub trait Pins {
    /// What is fitted.
    fn abilities(&self) -> Abilities;
    /// A clock that does not stop.
    fn now(&self) -> Micros;
    /// The light in front of the camera.
    fn set_led(&mut self, level: Level);
    /// The board's button.
    fn set_button(&mut self, level: Level);
    /// The board's supply.
    fn set_power(&mut self, level: Level);
    /// The photodiode: from 0, dark, to 65535.
    fn light(&mut self) -> u16;
    /// The board's supply.
    fn supply(&mut self) -> Supply;
}

/// A controller over its pins: bytes and time go in, bytes come out.
#[derive(Debug)]
pub struct Controller<P> {
    pins: P,
    reader: Reader,
    led: Level,
    seen: Level,
    threshold: Threshold,
    series: Option<Series>,
    edges: Vec<Edge, MAX_EDGES>,
    release: Option<Micros>,
    heard: Micros,
    quiet_us: u64,
    last: Option<Reply>,
}

#[derive(Clone, Copy, Debug)]
struct Series {
    first: Micros,
    done: u16,
    flips: Flips,
}

impl Series {
    fn due(&self) -> Micros {
        self.first.plus(u64::from(self.done) * u64::from(self.flips.gap_us))
    }
}

impl<P: Pins> Controller<P> {
    /// A controller at rest.
    pub fn new(mut pins: P) -> Self {
        pins.set_led(Level::Off);
        pins.set_button(Level::Off);
        Self {
            heard: pins.now(),
            pins,
            reader: Reader::default(),
            led: Level::Off,
            seen: Level::Off,
            threshold: Threshold { dark: u16::MAX / 3, bright: u16::MAX / 3 * 2 },
            series: None,
            edges: Vec::new(),
            release: None,
            quiet_us: 0,
            last: None,
        }
    }

    /// The pins.
    pub const fn pins(&self) -> &P {
        &self.pins
    }

    /// The pins.
    pub const fn pins_mut(&mut self) -> &mut P {
        &mut self.pins
    }

    /// Takes a byte from the host, and gives what to send back.
    pub fn handle_byte(&mut self, byte: u8) -> Option<Sent> {
        let request: Request = match self.reader.handle_byte(byte)? {
            Heard::Message(request) => request,
            // Our answer says which version we are.
            Heard::OtherVersion(_) => {
                return emit(&Reply { number: 0, answer: Answer::Refused(Refusal::Range) });
            }
        };
        self.heard = self.pins.now();
        let again =
            self.last.as_ref().filter(|last| last.number == request.number && request.command != Command::Hello);
        if let Some(again) = again {
            return emit(again);
        }
        let reply = Reply { number: request.number, answer: self.answer(request.command) };
        let sent = emit(&reply);
        self.last = Some(reply);
        sent
    }

    /// Does what is due. To be called as often as can be: how often it is called is how exactly edges are timed.
    pub fn handle_time(&mut self) {
        let now = self.pins.now();
        if let Some(series) = self.series.filter(|series| now >= series.due()) {
            self.flip(series);
        }
        if self.pins.abilities().photodiode == Fitted::Yes {
            self.watch();
        }
        if self.release.is_some_and(|release| now >= release) {
            self.release = None;
            self.pins.set_button(Level::Off);
        }
        if self.quiet_us > 0 && now.since(self.heard) >= self.quiet_us {
            self.rest();
        }
    }

    /// When [`handle_time`](Self::handle_time) next has something to do besides watching the photodiode, if ever.
    pub fn poll_due(&self) -> Option<Micros> {
        let quiet = (self.quiet_us > 0).then(|| self.heard.plus(self.quiet_us));
        [self.series.map(|series| series.due()), self.release, quiet].into_iter().flatten().min()
    }

    fn flip(&mut self, mut series: Series) {
        // After the last flip, the photodiode is watched for as long as after each.
        if series.done == series.flips.count {
            self.series = None;
            return;
        }
        self.led = self.led.flipped();
        self.pins.set_led(self.led);
        self.note(Source::Led, self.led);
        series.done += 1;
        self.series = Some(series);
    }

    fn watch(&mut self) {
        let light = self.pins.light();
        let seen = match self.seen {
            Level::Off if light >= self.threshold.bright => Level::On,
            Level::On if light <= self.threshold.dark => Level::Off,
            same => same,
        };
        if seen != self.seen {
            self.seen = seen;
            if self.series.is_some() {
                self.note(Source::Photodiode, seen);
            }
        }
    }

    /// An edge beyond the room there is would be one that other light made: it is left out.
    fn note(&mut self, of: Source, to: Level) {
        let _ = self.edges.push(Edge { of, to, at: self.pins.now() });
    }

    fn rest(&mut self) {
        self.quiet_us = 0;
        self.series = None;
        self.release = None;
        self.led = Level::Off;
        self.pins.set_led(Level::Off);
        self.pins.set_button(Level::Off);
        self.pins.set_power(Level::Off);
    }

    fn answer(&mut self, command: Command) -> Answer {
        let fitted = self.pins.abilities();
        let needs: &[Fitted] = match command {
            Command::Hello | Command::Watchdog { .. } | Command::Edges { .. } => &[],
            Command::Led(_) => &[fitted.led],
            Command::Light | Command::Watch(_) => &[fitted.photodiode],
            Command::Flip(_) => &[fitted.led, fitted.photodiode],
            Command::Press { .. } => &[fitted.button],
            Command::Power(_) => &[fitted.power],
            Command::Sense => &[fitted.voltage],
        };
        if needs.contains(&Fitted::No) {
            return Answer::Refused(Refusal::NotFitted);
        }
        if self.series.is_some() && matches!(command, Command::Led(_) | Command::Watch(_) | Command::Flip(_)) {
            return Answer::Refused(Refusal::Flipping);
        }
        self.act(command)
    }

    fn act(&mut self, command: Command) -> Answer {
        let now = self.pins.now();
        match command {
            Command::Hello => {
                self.series = None;
                self.edges.clear();
                return Answer::Hello { abilities: self.pins.abilities(), now };
            }
            Command::Led(level) => {
                self.led = level;
                self.pins.set_led(level);
            }
            Command::Light => return Answer::Light(self.pins.light()),
            Command::Watch(threshold) if threshold.dark < threshold.bright => {
                self.threshold = threshold;
                self.seen = if self.pins.light() >= threshold.bright { Level::On } else { Level::Off };
            }
            Command::Flip(flips) if (1..=MAX_FLIPS).contains(&flips.count) && flips.gap_us > 0 => {
                self.edges.clear();
                let first = now.plus(u64::from(flips.gap_us));
                self.series = Some(Series { first, done: 0, flips });
            }
            Command::Press { hold_ms } if (1..=MAX_HOLD_MS).contains(&hold_ms) => {
                self.pins.set_button(Level::On);
                self.release = Some(now.plus(u64::from(hold_ms) * 1000));
            }
            Command::Watch(_) | Command::Flip(_) | Command::Press { .. } => return Answer::Refused(Refusal::Range),
            Command::Edges { from } => {
                let flipping = if self.series.is_some() { Level::On } else { Level::Off };
                let edges = self.edges.iter().skip(from.into()).take(crate::message::EDGES).copied().collect();
                let noted = u16::try_from(self.edges.len()).unwrap_or(u16::MAX);
                return Answer::Edges { edges, noted, flipping };
            }
            Command::Power(level) => self.pins.set_power(level),
            Command::Sense => return Answer::Sense(self.pins.supply()),
            Command::Watchdog { quiet_ms } => self.quiet_us = u64::from(quiet_ms) * 1000,
        }
        Answer::Done(self.pins.now())
    }
}
