//! Commands and answers.
//!
//! A later version may change all of this but the first byte of a message, which is the version, and how bytes become
//! messages ([`wire`](crate::wire)): so two ends of different versions can say so.

use heapless::Vec;
use serde::{Deserialize, Serialize};

/// The version that this crate speaks.
pub const VERSION: u8 = 1;
/// Edges in one answer.
pub const EDGES: usize = 16;
/// Longest that a button is held, in milliseconds.
pub const MAX_HOLD_MS: u16 = 10_000;
/// Most flips of one series.
pub const MAX_FLIPS: u16 = 200;

/// Microseconds after the controller started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Micros(pub u64);

impl Micros {
    /// Later by so many microseconds.
    #[must_use]
    pub const fn plus(self, micros: u64) -> Self {
        Self(self.0.saturating_add(micros))
    }

    /// Microseconds since `earlier`; 0 if that is later.
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// A message to the controller. Its number comes back with the answer; the same number again is the same command, which is
/// answered again and not done again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// Counts up, and around. A [`Command::Hello`] may have any.
    pub number: u8,
    /// What to do.
    pub command: Command,
}

/// A message from the controller.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    /// The request's.
    pub number: u8,
    /// What came of it.
    pub answer: Answer,
}

/// What the controller is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    /// Begin: says who it is, and forgets the series and the edges there were. Outputs stay.
    Hello,
    /// Switch the light.
    Led(Level),
    /// Read the photodiode.
    Light,
    /// What counts as light and dark from now on.
    Watch(Threshold),
    /// Flip the light many times, each later within the camera's frame than the one before; edges of the light and of the
    /// photodiode are noted.
    Flip(Flips),
    /// Edges noted, from this one of the series on.
    Edges {
        /// From 0.
        from: u16,
    },
    /// Press the button for so long, in milliseconds, at most [`MAX_HOLD_MS`]. The controller lets go by itself.
    Press {
        /// How long.
        hold_ms: u16,
    },
    /// Switch the board's power.
    Power(Level),
    /// Read voltage and current of the board's supply.
    Sense,
    /// If no command comes for so long, in milliseconds, go to rest: button released, light and board off. 0 for never.
    Watchdog {
        /// How long.
        quiet_ms: u32,
    },
}

/// What came of a command.
#[expect(clippy::large_enum_variant, reason = "a controller has no memory but its stack, and one answer at a time")]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// To [`Command::Hello`].
    Hello {
        /// What it can do.
        abilities: Abilities,
        /// Its clock.
        now: Micros,
    },
    /// Done. When it was done, by the controller's clock.
    Done(Micros),
    /// To [`Command::Light`]: from 0, dark, to 65535.
    Light(u16),
    /// To [`Command::Edges`].
    Edges {
        /// Those asked for, or as many as fit.
        edges: Vec<Edge, EDGES>,
        /// How many there are in all so far.
        noted: u16,
        /// Whether the series goes on.
        flipping: Level,
    },
    /// To [`Command::Sense`].
    Sense(Supply),
    /// Not done.
    Refused(Refusal),
}

/// On or off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Level {
    /// Off, dark, released.
    #[default]
    Off,
    /// On, light, pressed.
    On,
}

impl Level {
    /// The other one.
    #[must_use]
    pub const fn flipped(self) -> Self {
        match self {
            Self::Off => Self::On,
            Self::On => Self::Off,
        }
    }
}

/// What counts as light and dark. Between the two nothing changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Threshold {
    /// Dark at this or less.
    pub dark: u16,
    /// Light at this or more.
    pub bright: u16,
}

/// A series of flips: flip `n` is `n * gap_us` after the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flips {
    /// How many, from 1 to [`MAX_FLIPS`].
    pub count: u16,
    /// From one to the next, in microseconds.
    pub gap_us: u32,
}

/// The light, or what the photodiode sees, changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edge {
    /// What changed.
    pub of: Source,
    /// To what.
    pub to: Level,
    /// When.
    pub at: Micros,
}

/// Where an edge was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Source {
    /// The light in front of the camera.
    Led,
    /// The photodiode in front of the screen.
    Photodiode,
}

/// The board's supply.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Supply {
    /// Voltage, in millivolts.
    pub millivolts: u16,
    /// Current, in milliamperes.
    pub milliamperes: u16,
}

/// What a controller has wires for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Abilities {
    /// A light.
    pub led: Fitted,
    /// A photodiode.
    pub photodiode: Fitted,
    /// A wire to the board's button.
    pub button: Fitted,
    /// A switch in the board's supply.
    pub power: Fitted,
    /// A wire that measures the supply's voltage.
    pub voltage: Fitted,
    /// A sensor of the supply's current.
    pub current: Fitted,
}

/// Whether a part is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fitted {
    /// It is not.
    #[default]
    No,
    /// It is.
    Yes,
}

/// Why a command was not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Refusal {
    /// The rig has no such part.
    NotFitted,
    /// A number is out of its range.
    Range,
    /// A series of flips is under way.
    Flipping,
}
