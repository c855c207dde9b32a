//! Tells that something moves before a fixed camera, from luma alone and on the camera itself.
//!
//! The picture is cut into square blocks, at most 96 a row. Each block's mean is compared with what it was for the last
//! seconds; what all blocks have in common is the light, not motion. Nothing is recognised: a cat, a car and a person
//! are blocks that changed.

mod background;

use crate::mask::{self, Polygon};
use crate::picture::Picture;
use crate::units::{MediaTime, Size};
use background::Background;
use std::time::Duration;
use thiserror::Error;

/// How little is taken for motion; 1 to 100.
///
/// At 50, what differs by 10 steps of luma over 0.2 % of the watched area moves; at 100, by 3 steps over 0.05 %. Noise
/// raises both by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sensitivity(u8);

impl Sensitivity {
    /// Returns `None` for 0 and above 100.
    pub const fn new(percent: u8) -> Option<Self> {
        if percent == 0 || percent > 100 { None } else { Some(Self(percent)) }
    }

    /// 1 to 100.
    pub const fn percent(self) -> u8 {
        self.0
    }

    /// Least difference of a block's mean, in steps of luma.
    fn least_step(self) -> f32 {
        3.0 + 0.15 * f32::from(100 - self.0)
    }

    /// Least part of the watched blocks.
    fn least_area(self) -> f32 {
        0.0005 + 0.000_03 * f32::from(100 - self.0)
    }
}

impl Default for Sensitivity {
    fn default() -> Self {
        Self(50)
    }
}

/// What is watched and how closely. Change fields, then [`Config::check`] it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Config {
    /// Areas that are watched, 32 at most; none is the whole picture.
    pub zones: Vec<Polygon>,
    /// How little is taken for motion.
    pub sensitivity: Sensitivity,
    /// How long nothing must move until the event is over; 0.1 to 60 s. 2 s is the default.
    pub hold: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self { zones: Vec::new(), sensitivity: Sensitivity::default(), hold: Duration::from_secs(2) }
    }
}

impl Config {
    /// Most zones.
    pub const MAX_ZONES: usize = 32;

    /// Checks every field.
    ///
    /// # Errors
    /// Names the first value that is out of range, and the range.
    pub fn check(self) -> Result<Checked, ConfigError> {
        if self.zones.len() > Self::MAX_ZONES {
            return Err(ConfigError::Zones(self.zones.len()));
        }
        if !(Duration::from_millis(100)..=Duration::from_secs(60)).contains(&self.hold) {
            return Err(ConfigError::Hold(self.hold));
        }
        Ok(Checked(self))
    }
}

/// A [`Config`] whose every field is in range.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Checked(Config);

impl Checked {
    /// The fields.
    pub fn config(&self) -> &Config {
        &self.0
    }
}

/// Why a [`Config`] was refused. Says the value and what would have been accepted.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// Too many zones.
    #[error("{0} zones: 32 at most")]
    Zones(usize),
    /// The hold time is out of range.
    #[error("hold of {0:?} is not from 0.1 to 60 s")]
    Hold(Duration),
}

/// A rectangle as parts of the picture's width and height, 0 at the left and top, 1 at the right and bottom.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bounds {
    /// Left edge.
    pub left: f32,
    /// Top edge.
    pub top: f32,
    /// Right edge.
    pub right: f32,
    /// Bottom edge.
    pub bottom: f32,
}

/// What moves in one picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Motion {
    /// Part of the watched area that moves; above 0, at most 1.
    pub area: f32,
    /// How plainly: the mean difference of what moves, in multiples of what is just taken for motion; 1 or more.
    pub score: f32,
    /// What encloses all that moves.
    pub bounds: Bounds,
}

/// Something began to move, or has come to rest.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Event {
    /// Something moves, in three pictures by now.
    Started {
        /// The first of these pictures.
        at: MediaTime,
        /// What moves in the last of them.
        motion: Motion,
    },
    /// Nothing has moved for [`Config::hold`], or no picture follows.
    Ended {
        /// As said when it started.
        started: MediaTime,
        /// The last picture in which something moved.
        at: MediaTime,
        /// The picture in which most of the area moved.
        most: Motion,
    },
}

/// Watches the pictures of one fixed camera, in order.
#[derive(Clone, Debug)]
pub struct Detector {
    config: Config,
    background: Option<Background>,
    /// Which blocks are watched, and how many.
    watched: (Vec<bool>, usize),
    motion: Option<Motion>,
    state: State,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Still,
    /// Pictures in a row in which something moved, since when.
    Rising(u8, MediaTime),
    Moving {
        started: MediaTime,
        last: MediaTime,
        most: Motion,
    },
}

/// Pictures in a row until motion is believed.
const PICTURES: u8 = 3;

impl Detector {
    /// One that has seen nothing yet.
    pub fn new(config: Checked) -> Self {
        let watched = (Vec::new(), 0);
        Self { config: config.0, background: None, watched, motion: None, state: State::Still }
    }

    /// What moves in the last picture.
    pub fn motion(&self) -> Option<&Motion> {
        self.motion.as_ref()
    }

    /// Looks at the picture of the moment `at`, after it was masked and before the clock is drawn on it. Whether it was
    /// denoised makes little difference: blocks have hundreds of samples. Before is better, since then what counts as
    /// motion does not depend on it, and a denoiser hides what changes slowly and faintly.
    ///
    /// The first picture, and one of another size than the last, are only learned from. So is one in which more than
    /// 70 % of the blocks change at once: no visitor does that, but a lamp does.
    pub fn handle_picture(&mut self, picture: &Picture, at: MediaTime) -> Option<Event> {
        let size = picture.size();
        let background = match &mut self.background {
            Some(background) if background.size() == size => background,
            other => {
                let background = other.insert(Background::new(size));
                let zones = &self.config.zones;
                let blocks = background.blocks();
                let watched =
                    if zones.is_empty() { vec![true; blocks] } else { mask::touched(zones, size, background.side()) };
                let count = watched.iter().filter(|&&watched| watched).count();
                self.watched = (watched, count);
                background
            }
        };
        background.learn(picture, at, self.config.sensitivity.least_step());
        self.motion = self.find(size);
        let motion = self.motion;
        self.step(motion, at)
    }

    /// No picture follows: ends what goes on, if something does. The next picture is only learned from.
    pub fn end(&mut self) -> Option<Event> {
        self.background = None;
        self.motion = None;
        match std::mem::replace(&mut self.state, State::Still) {
            State::Moving { started, last, most } => Some(Event::Ended { started, at: last, most }),
            State::Still | State::Rising(..) => None,
        }
    }

    /// All watched blocks that move, unless they are too few.
    fn find(&self, size: Size) -> Option<Motion> {
        let background = self.background.as_ref()?;
        let side = background.side() as f32;
        let (watched, count) = &self.watched;
        let (mut found, mut score) = (0_usize, 0.0);
        let mut bounds = Bounds { left: 1.0, top: 1.0, right: 0.0, bottom: 0.0 };
        for (column, row, at, excess) in background.moving() {
            if watched.get(at) != Some(&true) {
                continue;
            }
            found += 1;
            score += excess;
            let (left, top) = (column as f32 * side / size.width() as f32, row as f32 * side / size.height() as f32);
            let (right, bottom) = (left + side / size.width() as f32, top + side / size.height() as f32);
            bounds = Bounds {
                left: bounds.left.min(left),
                top: bounds.top.min(top),
                right: bounds.right.max(right).min(1.0),
                bottom: bounds.bottom.max(bottom).min(1.0),
            };
        }
        let area = found as f32 / (*count).max(1) as f32;
        // What moves already goes on moving at half the area.
        let least = self.config.sensitivity.least_area() * if matches!(self.state, State::Still) { 1.0 } else { 0.5 };
        (found >= 3 && area >= least).then(|| Motion { area, score: score / found as f32, bounds })
    }

    fn step(&mut self, motion: Option<Motion>, at: MediaTime) -> Option<Event> {
        let (state, event) = match (self.state, motion) {
            (State::Still, None) | (State::Rising(..), None) => (State::Still, None),
            (State::Still, Some(_)) => (State::Rising(1, at), None),
            (State::Rising(pictures, started), Some(motion)) if pictures + 1 >= PICTURES => {
                (State::Moving { started, last: at, most: motion }, Some(Event::Started { at: started, motion }))
            }
            (State::Rising(pictures, started), Some(_)) => (State::Rising(pictures + 1, started), None),
            (State::Moving { started, most, .. }, Some(motion)) => {
                let most = if motion.area > most.area { motion } else { most };
                (State::Moving { started, last: at, most }, None)
            }
            (State::Moving { started, last, most }, None) => {
                let quiet = at.as_duration().saturating_sub(last.as_duration());
                if quiet >= self.config.hold {
                    (State::Still, Some(Event::Ended { started, at: last, most }))
                } else {
                    (self.state, None)
                }
            }
        };
        self.state = state;
        event
    }
}

#[cfg(test)]
mod tests;
