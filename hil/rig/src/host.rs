//! The host's end.

use crate::glass::{Glass, GlassError, contrast};
use crate::message::{
    Abilities, Answer, Command, Edge, Flips, Level, Micros, Refusal, Reply, Request, Supply, VERSION,
};
use crate::wire::{Heard, Reader, emit};
use std::io;
use std::time::Duration;
use thiserror::Error;

/// How long an answer may take. It is no longer than a few bytes and a look at a pin.
const ANSWER: Duration = Duration::from_millis(400);
/// A question is asked again so often: the line may have cut it off.
const TRIES: u32 = 3;
/// A rig that is busy with a series is asked so often.
const LOOK: Duration = Duration::from_secs(2);

/// A line to a controller, with a clock.
pub trait Port {
    /// Time since some beginning.
    fn now(&self) -> Duration;
    /// Sends all of it.
    ///
    /// # Errors
    /// If the line is gone.
    fn send(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// What came, as soon as something does; 0 if it is `until` first.
    ///
    /// # Errors
    /// If the line is gone.
    fn recv(&mut self, until: Duration, into: &mut [u8]) -> io::Result<usize>;
    /// Waits.
    fn wait(&mut self, until: Duration);
}

/// Why a rig does not do what it should.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RigError {
    /// It says nothing.
    #[error("the rig does not answer: asked {TRIES} times in {} ms. Is it the right port, and is the firmware on it?", .0.as_millis())]
    Silent(Duration),
    /// It says what is no message.
    #[error("the rig answers what is no message of ours ({bytes} bytes in {} ms): is it the rig's port, and not another device's?", took.as_millis())]
    Garbage {
        /// So much.
        bytes: usize,
        /// In this time.
        took: Duration,
    },
    /// It is older or newer than this program.
    #[error(
        "the rig speaks version {0} of its protocol and this program version {VERSION}: build and flash hil/firmware as it is in this version"
    )]
    Version(u8),
    /// It answers something else than was asked.
    #[error("the rig answers {0:?} to another question: reset it")]
    Confused(Box<Answer>),
    /// It has no such part.
    #[error("the rig has no part for this ({0:?}): its firmware says what is fitted")]
    NotFitted(Command),
    /// It cannot do that.
    #[error("the rig refuses {0:?}: a number is out of its range")]
    Range(Command),
    /// It is busy.
    #[error("the rig is in the middle of a series of flips, and cannot do {0:?}")]
    Busy(Command),
    /// The line is gone.
    #[error("the line to the rig is gone: {0}")]
    Line(#[from] io::Error),
    /// What it measured is no latency.
    #[error(transparent)]
    Glass(#[from] GlassError),
}

/// A rig that answers.
#[derive(Debug)]
pub struct Rig<P> {
    port: P,
    reader: Reader,
    number: u8,
    abilities: Abilities,
}

impl<P: Port> Rig<P> {
    /// Greets the controller. If this program then asks nothing for `quiet`, it has crashed: the rig switches all off by itself,
    /// the board too. With zero it stays as it was told before.
    ///
    /// # Errors
    /// If it does not answer, is no rig, or is of another version.
    pub fn open(port: P, quiet: Duration) -> Result<Self, RigError> {
        let mut rig = Self { port, reader: Reader::default(), number: 0, abilities: Abilities::default() };
        match rig.ask(Command::Hello)? {
            Answer::Hello { abilities, .. } => rig.abilities = abilities,
            other => return Err(RigError::Confused(Box::new(other))),
        }
        if !quiet.is_zero() {
            rig.watchdog(quiet)?;
        }
        Ok(rig)
    }

    /// Says goodbye: everything stays as it is.
    ///
    /// # Errors
    /// If it does not answer.
    pub fn close(mut self) -> Result<(), RigError> {
        self.watchdog(Duration::ZERO)
    }

    fn watchdog(&mut self, quiet: Duration) -> Result<(), RigError> {
        let quiet_ms = u32::try_from(quiet.as_millis()).unwrap_or(u32::MAX);
        self.tell(Command::Watchdog { quiet_ms }).map(|_| ())
    }

    /// What it has wires for.
    pub const fn abilities(&self) -> Abilities {
        self.abilities
    }

    /// The line.
    pub const fn port_mut(&mut self) -> &mut P {
        &mut self.port
    }

    /// Does something that has no more to say than when it was done.
    ///
    /// # Errors
    /// If it is not done.
    pub fn tell(&mut self, command: Command) -> Result<Micros, RigError> {
        match self.ask(command)? {
            Answer::Done(at) => Ok(at),
            other => Err(RigError::Confused(Box::new(other))),
        }
    }

    /// Voltage and current of the board's supply.
    ///
    /// # Errors
    /// If the rig cannot tell.
    pub fn supply(&mut self) -> Result<Supply, RigError> {
        match self.ask(Command::Sense)? {
            Answer::Sense(supply) => Ok(supply),
            other => Err(RigError::Confused(Box::new(other))),
        }
    }

    /// What the photodiode sees.
    ///
    /// # Errors
    /// If the rig cannot tell.
    pub fn light(&mut self) -> Result<u16, RigError> {
        match self.ask(Command::Light)? {
            Answer::Light(light) => Ok(light),
            other => Err(RigError::Confused(Box::new(other))),
        }
    }

    /// Measures from glass to glass: first whether light can be told from dark, then the series.
    ///
    /// # Errors
    /// If the rig fails, or what it saw is no latency.
    pub fn glass(&mut self, flips: Flips) -> Result<Glass, RigError> {
        let gap = Duration::from_micros(flips.gap_us.into());
        let [bright, dark] = [self.look(Level::On, gap)?, self.look(Level::Off, gap)?];
        self.tell(Command::Watch(contrast(dark, bright)?))?;
        self.tell(Command::Flip(flips))?;
        let mut edges: Vec<Edge> = Vec::new();
        let over = self.port.now() + gap * (u32::from(flips.count) + 4);
        loop {
            let from = u16::try_from(edges.len()).unwrap_or(u16::MAX);
            let answer = self.ask(Command::Edges { from })?;
            let Answer::Edges { edges: more, noted, flipping } = answer else {
                return Err(RigError::Confused(Box::new(answer)));
            };
            edges.extend(&more);
            let all = edges.len() >= usize::from(noted);
            if all && flipping == Level::Off {
                break;
            }
            if self.port.now() > over || (!all && more.is_empty()) {
                return Err(RigError::Confused(Box::new(Answer::Edges { edges: more, noted, flipping })));
            }
            if all {
                let until = self.port.now() + LOOK.min(gap);
                self.port.wait(until);
            }
        }
        self.tell(Command::Led(Level::Off))?;
        Ok(Glass::of(&edges).check()?)
    }

    fn look(&mut self, level: Level, settle: Duration) -> Result<u16, RigError> {
        self.tell(Command::Led(level))?;
        // Twice the longest latency, as an exposure may follow.
        let until = self.port.now() + settle * 2;
        self.port.wait(until);
        self.light()
    }

    /// Asks, and asks again if no answer comes: a controller does the same number only once.
    ///
    /// # Errors
    /// If it does not answer, or refuses.
    pub fn ask(&mut self, command: Command) -> Result<Answer, RigError> {
        self.number = self.number.wrapping_add(1);
        let request = Request { number: self.number, command };
        // All our messages fit.
        let Some(sent) = emit(&request) else { return Err(RigError::Range(command)) };
        let (start, dropped, mut heard) = (self.port.now(), self.reader.dropped(), 0);
        for _ in 0..TRIES {
            // A zero first: it ends what the line made of the last one.
            self.port.send(&[&[0], sent.as_bytes()].concat())?;
            let until = self.port.now() + ANSWER;
            while self.port.now() < until {
                let mut bytes = [0; 256];
                let count = self.port.recv(until, &mut bytes)?;
                heard += count;
                for byte in bytes.get(..count).unwrap_or_default() {
                    match self.reader.handle_byte::<Reply>(*byte) {
                        Some(Heard::Message(reply)) if reply.number == self.number => {
                            return judge(reply.answer, command);
                        }
                        Some(Heard::OtherVersion(version)) => return Err(RigError::Version(version)),
                        Some(Heard::Message(_)) | None => {}
                    }
                }
            }
        }
        let took = self.port.now().saturating_sub(start);
        if self.reader.dropped() > dropped || heard > 0 {
            Err(RigError::Garbage { bytes: heard, took })
        } else {
            Err(RigError::Silent(took))
        }
    }
}

fn judge(answer: Answer, command: Command) -> Result<Answer, RigError> {
    match answer {
        Answer::Refused(Refusal::NotFitted) => Err(RigError::NotFitted(command)),
        Answer::Refused(Refusal::Range) => Err(RigError::Range(command)),
        Answer::Refused(Refusal::Flipping) => Err(RigError::Busy(command)),
        answer => Ok(answer),
    }
}
