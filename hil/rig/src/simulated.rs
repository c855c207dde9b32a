//! A bench made of software: light, camera, screen and photodiode, with a time of its own.

use crate::controller::{Controller, Pins};
use crate::host::Port;
use crate::message::{Abilities, Fitted, Level, Micros, Supply};
use std::collections::VecDeque;
use std::io;
use std::time::Duration;

/// How exactly a controller looks at its photodiode, in microseconds.
const LOOK_US: u64 = 50;
/// All parts.
pub const ALL: Abilities = Abilities {
    led: Fitted::Yes,
    photodiode: Fitted::Yes,
    button: Fitted::Yes,
    power: Fitted::Yes,
    voltage: Fitted::Yes,
    current: Fitted::Yes,
};

/// What the photodiode looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sight {
    /// The light itself.
    Light,
    /// A screen that shows what a camera sees, so long after the camera looked; it looks once a frame.
    Screen {
        /// From when the camera looks to when the screen shows it, in microseconds.
        delay_us: u64,
        /// A frame's time, in microseconds.
        frame_us: u64,
    },
}

/// What is on the bench.
#[derive(Clone, Debug)]
pub struct World {
    /// What is fitted.
    pub abilities: Abilities,
    /// What the photodiode looks at.
    pub sight: Sight,
    /// What it sees with the light off.
    pub dark: u16,
    /// What it sees with the light on.
    pub bright: u16,
    now: Micros,
    lights: VecDeque<(Micros, Level)>,
    presses: Vec<(Micros, Level)>,
    power: Level,
}

impl World {
    /// A bench with all parts, powered, whose photodiode looks at `sight`.
    pub fn new(sight: Sight) -> Self {
        let lights = VecDeque::from([(Micros(0), Level::Off)]);
        Self {
            abilities: ALL,
            sight,
            dark: 4_000,
            bright: 40_000,
            now: Micros(0),
            lights,
            presses: Vec::new(),
            power: Level::On,
        }
    }

    /// The button, as it was pressed and released.
    pub fn presses(&self) -> &[(Micros, Level)] {
        &self.presses
    }

    /// The board's power.
    pub const fn power(&self) -> Level {
        self.power
    }

    /// The light at a moment.
    fn light_at(&self, at: Micros) -> Level {
        self.lights.iter().rev().find(|(since, _)| *since <= at).map_or(Level::Off, |(_, level)| *level)
    }
}

impl Pins for World {
    fn abilities(&self) -> Abilities {
        self.abilities
    }

    fn now(&self) -> Micros {
        self.now
    }

    fn set_led(&mut self, level: Level) {
        self.lights.push_back((self.now, level));
        // More than are within a second.
        while self.lights.len() > 64 {
            self.lights.pop_front();
        }
    }

    fn set_button(&mut self, level: Level) {
        if self.presses.last().map_or(Level::Off, |(_, last)| *last) != level {
            self.presses.push((self.now, level));
        }
    }

    fn set_power(&mut self, level: Level) {
        self.power = level;
    }

    fn light(&mut self) -> u16 {
        let seen = match self.sight {
            Sight::Light => self.light_at(self.now),
            Sight::Screen { .. } if self.power == Level::Off => Level::Off,
            Sight::Screen { delay_us, frame_us } => {
                let shown = self.now.0.saturating_sub(delay_us);
                self.light_at(Micros(shown - shown % frame_us.max(1)))
            }
        };
        if seen == Level::On { self.bright } else { self.dark }
    }

    fn supply(&mut self) -> Supply {
        match self.power {
            Level::On => Supply { millivolts: 5_040, milliamperes: 310 },
            Level::Off => Supply { millivolts: 20, milliamperes: 0 },
        }
    }
}

/// A controller on such a bench, as the [`Port`] that leads to it. Time passes only while somebody waits.
#[derive(Debug)]
pub struct Simulated {
    controller: Controller<World>,
    to_host: VecDeque<u8>,
}

impl Simulated {
    /// A controller that was just switched on.
    pub fn new(world: World) -> Self {
        Self { controller: Controller::new(world), to_host: VecDeque::new() }
    }

    /// What is on the bench.
    pub const fn world(&self) -> &World {
        self.controller.pins()
    }

    /// What is on the bench.
    const fn world_mut(&mut self) -> &mut World {
        self.controller.pins_mut()
    }

    /// Lets time pass.
    pub fn advance(&mut self, to: Micros) {
        while self.world().now < to {
            let next = match self.controller.poll_due() {
                Some(_) => self.world().now.plus(LOOK_US).min(to),
                None => to,
            };
            self.world_mut().now = next;
            self.controller.handle_time();
        }
    }
}

impl Port for Simulated {
    fn now(&self) -> Duration {
        Duration::from_micros(self.world().now.0)
    }

    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        for byte in bytes {
            if let Some(sent) = self.controller.handle_byte(*byte) {
                self.to_host.extend(sent.as_bytes());
            }
        }
        Ok(())
    }

    fn recv(&mut self, until: Duration, into: &mut [u8]) -> io::Result<usize> {
        if self.to_host.is_empty() {
            self.wait(until);
        }
        let count = into.len().min(self.to_host.len());
        for (to, from) in into.iter_mut().zip(self.to_host.drain(..count)) {
            *to = from;
        }
        Ok(count)
    }

    fn wait(&mut self, until: Duration) {
        self.advance(Micros(u64::try_from(until.as_micros()).unwrap_or(u64::MAX)));
    }
}
