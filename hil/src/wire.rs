//! What the two sides of a virtual machine's results port say to each other: JSON, a line each.

use doorframe_hil_report::Outcome;
use doorframe_rig::message::Level;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::io::{self, Read, Write};

/// What a guest says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Word {
    /// It is up, and waits for its [`Task`].
    Ready {
        /// Milliseconds since the kernel's start.
        uptime_ms: u64,
        /// The kernel's.
        release: String,
    },
    /// A check begins.
    Begins(String),
    /// A check has ended.
    Found(Box<Outcome>),
    /// Something to be done on the other side; answered by an [`Answer`].
    Ask(Ask),
    /// All checks have ended.
    End,
    /// It cannot go on.
    Trouble(String),
}

/// What a guest is to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Task {
    /// Checks by name, in order.
    pub(crate) checks: Vec<String>,
    /// For those that measure: how long.
    pub(crate) seconds: u64,
    /// What may be lost on the way, in frames of 1000.
    pub(crate) tolerated: u32,
}

/// What a guest wants done to its board.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Ask {
    /// A new board in place of this one, that misbehaves by this plan, in TOML.
    Board(String),
    /// The board is taken off its bus.
    Unplug,
    /// Its button is pressed, by a rig.
    Press,
    /// The light in front of it is switched, by a rig.
    Light(Lamp),
    /// What it has counted.
    Count,
}

/// A light.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Lamp {
    /// Dark.
    Off,
    /// Lit.
    On,
}

impl From<Lamp> for Level {
    fn from(lamp: Lamp) -> Self {
        match lamp {
            Lamp::Off => Self::Off,
            Lamp::On => Self::On,
        }
    }
}

/// What became of an [`Ask`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Answer {
    /// Done.
    Done,
    /// What a board has counted since it was plugged in.
    Counted {
        /// Frames that it had to leave out, because the bus took nothing.
        skipped: u64,
        /// Faults that it has fired.
        faults: u64,
    },
    /// Nobody is there who could: this is what it needs.
    Needs(String),
    /// It went wrong, in words.
    Failed(String),
}

/// Longest line, in bytes: an outcome with a series of an hour.
const MOST: usize = 16 << 20;

/// Lines of one direction. Reads in pieces, so that a reader with a time-out loses nothing.
#[derive(Debug)]
pub(crate) struct Lines<R> {
    from: R,
    bytes: Vec<u8>,
    /// Of these, known to hold no line end.
    seen: usize,
}

impl<R: Read> Lines<R> {
    pub(crate) fn new(from: R) -> Self {
        Self { from, bytes: Vec::new(), seen: 0 }
    }

    /// The next message; `None` at the end.
    ///
    /// # Errors
    /// As the reader has them, a time-out among them, after which it can be called again; `InvalidData` if the other side
    /// does not keep to the form.
    pub(crate) fn next<T: DeserializeOwned>(&mut self) -> io::Result<Option<T>> {
        loop {
            let fresh = self.bytes.get(self.seen..).unwrap_or_default();
            if let Some(at) = fresh.iter().position(|&byte| byte == b'\n') {
                let line: Vec<u8> = self.bytes.drain(..=self.seen + at).collect();
                self.seen = 0;
                return serde_json::from_slice(&line).map(Some).map_err(|error| {
                    let line = String::from_utf8_lossy(line.get(..80).unwrap_or(&line)).trim().to_owned();
                    io::Error::new(io::ErrorKind::InvalidData, format!("'{line}' is no message: {error}"))
                });
            }
            self.seen = self.bytes.len();
            if self.seen > MOST {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "a message of more than 16 MiB"));
            }
            let mut piece = [0; 4096];
            match self.from.read(&mut piece)? {
                0 => return Ok(None),
                length => self.bytes.extend_from_slice(piece.get(..length).unwrap_or_default()),
            }
        }
    }
}

/// Says one thing.
pub(crate) fn say<T: Serialize>(to: &mut impl Write, message: &T) -> io::Result<()> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    to.write_all(&line)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives one byte at a time, and a time-out before each.
    struct Slow<'a>(&'a [u8], bool);

    impl Read for Slow<'_> {
        fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
            self.1 = !self.1;
            if self.1 { Err(io::ErrorKind::WouldBlock.into()) } else { self.0.read(&mut to[..1]) }
        }
    }

    #[test]
    fn messages_come_whole_however_they_were_cut() {
        let mut said = Vec::new();
        say(&mut said, &Word::Ask(Ask::Press)).unwrap();
        say(&mut said, &Word::Begins("listed".into())).unwrap();
        let mut lines = Lines::new(Slow(&said, false));
        let mut heard = Vec::new();
        loop {
            match lines.next::<Word>() {
                Ok(Some(word)) => heard.push(format!("{word:?}")),
                Ok(None) => break,
                Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
            }
        }
        assert_eq!(heard, ["Ask(Press)", "Begins(\"listed\")"]);
    }

    #[test]
    fn what_is_no_message_is_told_as_it_came() {
        let error = Lines::new(&b"Kernel panic\n"[..]).next::<Word>().unwrap_err();
        assert!(error.to_string().starts_with("'Kernel panic' is no message: "), "{error}");
    }
}
