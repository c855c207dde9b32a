//! A board of a bench while it is ours: its lock, its power, its rig.

use super::attached::{Attached, DEVICES, attached};
use super::board::{Board, Power};
use super::file::Name;
use super::folder::Folder;
use super::hub::PortSwitch;
use super::lock::{self, Lock};
use super::power::{Cycle, Listed, Proof, Seen, State, Step};
use doorframe_rig::host::Rig;
use doorframe_rig::message::{Command, Fitted, Level};
use doorframe_rig::serial::Serial;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

/// How long a button is held.
const PRESS_MS: u16 = 250;
/// How often a board is looked at while its power comes and goes.
const LOOK: Duration = Duration::from_millis(100);

/// Whether a person has just taken a board's plug out and put it in again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ByHand {
    Yes,
    No,
}

/// A board that is ours. Dropped without [`give_back`](Self::give_back), it is unknown to the next one.
pub(crate) struct Held {
    pub(crate) board: Board,
    lock: Lock,
    rig: Option<Rig<Serial>>,
    switch: Option<Switch>,
}

enum Switch {
    Port(PortSwitch),
    Rig,
}

impl Held {
    /// Takes a board, for so long at most, and brings it into a state that is known.
    pub(crate) fn take(bench: &Folder, name: &Name, most: Duration, by_hand: ByHand) -> Result<Self, Box<dyn Error>> {
        let board = bench.board(name)?;
        let devices = Path::new(DEVICES);
        let lock = Lock::take(&lock::folder(), name, &owner(), SystemTime::now(), most)?;
        let rig = board
            .rig
            .as_ref()
            .map(|rig| -> Result<_, Box<dyn Error>> { Ok(bench.rig(rig)?.open(&attached(devices), most)?) });
        let rig = rig.transpose()?;
        let switch = match &board.power {
            None => None,
            Some(Power::Rig) => Some(Switch::Rig),
            Some(Power::Port { hub, port }) => Some(Switch::Port(PortSwitch::find(devices, hub, *port)?)),
        };
        let state = lock.state().clone();
        let mut held = Self { board, lock, rig, switch };
        match state {
            State::Ready => {}
            State::Unknown { .. } if by_hand == ByHand::Yes => {}
            State::Unknown { why } if held.switch.is_none() => {
                let name = held.board.name.as_str();
                return Err(format!(
                    "the state of {name} is unknown ({why}), and its file names no power switch: take its plug out and put it in \
                     again, then say so with --replugged"
                )
                .into());
            }
            State::Unknown { .. } => {
                held.cycle()?;
            }
        }
        Ok(held)
    }

    /// Its video node, as soon as there is one.
    pub(crate) fn video(&self) -> Result<PathBuf, Box<dyn Error>> {
        let start = Instant::now();
        loop {
            match self.board.video(&attached(Path::new(DEVICES))) {
                Ok(path) => return Ok(path),
                Err(_) if start.elapsed() < Duration::from_secs(10) => std::thread::sleep(LOOK),
                Err(error) => return Err(format!("{} cannot be used: {error}", self.board.name.as_str()).into()),
            }
        }
    }

    /// Whether a rig is wired to its button.
    pub(crate) fn has_rig(&self) -> bool {
        self.rig.as_ref().is_some_and(|rig| rig.abilities().button == Fitted::Yes)
    }

    /// Whether its rig has a light.
    pub(crate) fn has_light(&self) -> bool {
        self.rig.as_ref().is_some_and(|rig| rig.abilities().led == Fitted::Yes)
    }

    /// Whether its power can be switched.
    pub(crate) fn has_switch(&self) -> bool {
        self.switch.is_some()
    }

    /// Switches its power.
    pub(crate) fn power(&mut self, level: Level) -> Result<(), Box<dyn Error>> {
        self.lock.check()?;
        match (&self.switch, &mut self.rig) {
            (Some(Switch::Port(port)), _) => Ok(port.set(level)?),
            (Some(Switch::Rig), Some(rig)) => rig.tell(Command::Power(level)).map(|_| ()).map_err(Into::into),
            _ => Err("it needs a switch for the board's power".into()),
        }
    }

    /// Switches the light in front of its camera.
    pub(crate) fn light(&mut self, level: Level) -> Result<(), Box<dyn Error>> {
        self.lock.check()?;
        let rig = self.rig.as_mut().ok_or("it needs a rig with a light")?;
        rig.tell(Command::Led(level))?;
        Ok(())
    }

    /// Presses its button.
    pub(crate) fn press(&mut self) -> Result<(), Box<dyn Error>> {
        self.lock.check()?;
        let rig = self.rig.as_mut().ok_or("it needs a rig that presses the button")?;
        rig.tell(Command::Press { hold_ms: PRESS_MS })?;
        Ok(())
    }

    /// Takes its power away and gives it back, and has proof of it.
    pub(crate) fn cycle(&mut self) -> Result<Proof, Box<dyn Error>> {
        let (start, mut cycle) = (Instant::now(), Cycle::new());
        loop {
            let seen = self.look()?;
            match cycle.handle(start.elapsed(), seen) {
                Step::Switch(level) => self.power(level)?,
                Step::Wait => std::thread::sleep(LOOK),
                Step::Done(proof) => return Ok(proof),
                Step::Failed(error) => {
                    return Err(format!("{} stays unknown: {error}", self.board.name.as_str()).into());
                }
            }
        }
    }

    fn look(&mut self) -> Result<Seen, Box<dyn Error>> {
        let attached: Vec<Attached> = attached(Path::new(DEVICES));
        let listed = if self.board.find(&attached).is_ok() { Listed::Yes } else { Listed::No };
        let measuring = self.rig.as_mut().filter(|rig| rig.abilities().voltage == Fitted::Yes);
        let millivolts = measuring.map(|rig| rig.supply().map(|supply| supply.millivolts)).transpose()?;
        Ok(Seen { listed, millivolts })
    }

    /// Gives it back; `found` says what was wrong with it, if anything.
    pub(crate) fn give_back(mut self, found: Result<(), String>) -> Result<(), Box<dyn Error>> {
        if let Some(rig) = self.rig.take() {
            rig.close()?;
        }
        Ok(self.lock.release(State::Ready.after(found))?)
    }
}

/// Who we are, for others who want the board.
fn owner() -> String {
    let user = std::env::var("USER").unwrap_or_else(|_| "somebody".to_owned());
    let machine = rustix::system::uname();
    format!("{user}@{}", machine.nodename().to_string_lossy())
}
