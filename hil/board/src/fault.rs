//! What goes wrong, when: data that is written down, printed and played again.

use serde::{Deserialize, Serialize};
use std::fmt;
use thiserror::Error;

/// Most faults of one plan.
pub const MAX_FAULTS: usize = 256;
/// Longest time that a fault lasts or waits for, in milliseconds: an hour.
pub const MAX_MS: u32 = 3_600_000;

/// What a board does wrong. The same plan does the same to the same frames, whatever else the machine does.
///
/// As TOML:
/// ```
/// let plan: doorframe_virtual_board::FaultPlan = r#"
///     seed = 7
///     fault = [
///         { when = { frame = 30 }, what = { freeze = { ms = 2000 } } },
///         { when = { event = "press" }, what = "unplug" },
///         { when = { per-thousand = 20 }, what = "error-bit" },
///     ]
/// "#.parse()?;
/// assert_eq!(plan.to_string(), "seed 7: freeze 2000 ms at frame 30, unplug at the first press, error bit in 20 of 1000 frames");
/// # Ok::<(), doorframe_virtual_board::PlanError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct FaultPlan {
    /// Same seed, same frames for [`When::PerThousand`] and same bytes for [`What::BadHeader`].
    #[serde(default)]
    pub seed: u64,
    /// In any order. Each is fired once, but for [`When::PerThousand`].
    #[serde(default, rename = "fault")]
    pub faults: Vec<Fault>,
}

/// One thing that goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Fault {
    /// When it goes wrong.
    pub when: When,
    /// What goes wrong.
    pub what: What,
}

/// When a fault is fired.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum When {
    /// With the frame of this number, or the next one if that is skipped. The first frame of a board has number 0.
    Frame(u32),
    /// With the first frame that many milliseconds or more after the first stream was started.
    Ms(u32),
    /// When it first happens.
    Event(Event),
    /// With that many of 1000 frames, drawn from the seed.
    PerThousand(u16),
}

/// What can happen to a board.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Event {
    /// The host gave it a configuration.
    Configured,
    /// The host started a stream. Fired with the first frame of it.
    StreamStart,
    /// The host started a stream for the second time. Fired with the first frame of it.
    SecondStreamStart,
    /// Somebody pressed the button.
    Press,
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum What {
    /// Off the bus, in the middle of a frame, until somebody plugs it in again.
    Unplug,
    /// Off the bus for so long, then back, as after a dip of the supply. Numbers of frames go on.
    BrownOut {
        /// How long it is gone.
        ms: u32,
    },
    /// The streaming endpoint halts until the host clears that. Bulk alone.
    Stall,
    /// The frame's payload headers say that it is damaged.
    ErrorBit,
    /// The frame's payload headers state a wrong length: 0, 1 or 200, drawn from the seed.
    BadHeader,
    /// The frame ends after half of its bytes.
    ShortFrame,
    /// The frame's last payload does not say that it is the last.
    MissingEof,
    /// The frame and all after it come so much later.
    Freeze {
        /// How long nothing comes.
        ms: u32,
    },
    /// The device clock in payload headers jumps, from this frame on.
    ClockJump {
        /// Forward if positive.
        ms: i32,
    },
    /// Each second payload of the frame is lost on the bus. Isochronous alone.
    IsoErrors,
    /// The first frame comes so much later than the stream is started. Only with an [`Event`] of a stream.
    SlowStart {
        /// How long nothing comes.
        ms: u32,
    },
}

/// Why a [`FaultPlan`] was refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PlanError {
    /// It is not TOML, or not a plan.
    #[error("not a fault plan: {0}")]
    Syntax(String),
    /// Too many.
    #[error("{0} faults are more than {MAX_FAULTS}")]
    Faults(usize),
    /// A time is too long.
    #[error("fault {index}: {ms} ms is more than {MAX_MS}")]
    Long {
        /// Which fault of the plan, from 0.
        index: usize,
        /// The time.
        ms: u32,
    },
    /// More than all frames, or none.
    #[error("fault {index}: {share} per thousand is not from 1 to 1000")]
    Share {
        /// Which fault of the plan, from 0.
        index: usize,
        /// The share.
        share: u16,
    },
    /// A slow start that is not tied to a start.
    #[error("fault {0}: a slow start goes with the event 'stream-start' or 'second-stream-start' alone")]
    SlowStart(usize),
}

impl FaultPlan {
    /// Looks whether all of it can be done.
    ///
    /// # Errors
    /// The first thing that cannot.
    pub fn check(&self) -> Result<(), PlanError> {
        if self.faults.len() > MAX_FAULTS {
            return Err(PlanError::Faults(self.faults.len()));
        }
        for (index, fault) in self.faults.iter().enumerate() {
            let start = matches!(fault.when, When::Event(Event::StreamStart | Event::SecondStreamStart));
            let lasts = match fault.what {
                What::SlowStart { .. } if !start => return Err(PlanError::SlowStart(index)),
                What::BrownOut { ms } | What::Freeze { ms } | What::SlowStart { ms } => ms,
                What::ClockJump { ms } => ms.unsigned_abs(),
                _ => 0,
            };
            let waits = match fault.when {
                When::Ms(ms) => ms,
                When::PerThousand(share) if share == 0 || share > 1000 => {
                    return Err(PlanError::Share { index, share });
                }
                _ => 0,
            };
            if let Some(ms) = [lasts, waits].into_iter().find(|&ms| ms > MAX_MS) {
                return Err(PlanError::Long { index, ms });
            }
        }
        Ok(())
    }

    /// As TOML, which [`parse`](str::parse) reads.
    pub fn to_toml(&self) -> String {
        // Plain numbers and names: there is nothing in a plan that TOML cannot hold but a seed past i64.
        toml::to_string(self).unwrap_or_else(|error| format!("# {self}: {error}\n"))
    }
}

/// From TOML, or from JSON, which begins with a brace. Checked.
impl std::str::FromStr for FaultPlan {
    type Err = PlanError;

    fn from_str(text: &str) -> Result<Self, PlanError> {
        let syntax = |message: String| PlanError::Syntax(message.trim_end().replace('\n', " "));
        let plan: Self = if text.trim_start().starts_with('{') {
            serde_json::from_str(text).map_err(|error| syntax(error.to_string()))?
        } else {
            toml::from_str(text).map_err(|error| syntax(error.message().to_owned()))?
        };
        plan.check()?;
        Ok(plan)
    }
}

impl fmt::Display for FaultPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "seed {}: ", self.seed)?;
        if self.faults.is_empty() {
            return f.write_str("no faults");
        }
        for (index, fault) in self.faults.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{fault}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.what, self.when)
    }
}

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            When::Frame(number) => write!(f, "at frame {number}"),
            When::Ms(ms) => write!(f, "after {ms} ms"),
            When::Event(Event::Configured) => f.write_str("when configured"),
            When::Event(Event::StreamStart) => f.write_str("at the first start"),
            When::Event(Event::SecondStreamStart) => f.write_str("at the second start"),
            When::Event(Event::Press) => f.write_str("at the first press"),
            When::PerThousand(share) => write!(f, "in {share} of 1000 frames"),
        }
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            What::Unplug => f.write_str("unplug"),
            What::BrownOut { ms } => write!(f, "brown-out {ms} ms"),
            What::Stall => f.write_str("stall"),
            What::ErrorBit => f.write_str("error bit"),
            What::BadHeader => f.write_str("bad header"),
            What::ShortFrame => f.write_str("short frame"),
            What::MissingEof => f.write_str("missing EOF"),
            What::Freeze { ms } => write!(f, "freeze {ms} ms"),
            What::ClockJump { ms } => write!(f, "clock jump {ms} ms"),
            What::IsoErrors => f.write_str("isochronous errors"),
            What::SlowStart { ms } => write!(f, "slow start {ms} ms"),
        }
    }
}
