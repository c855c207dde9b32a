//! What a check has at hand.

use crate::wire::{Answer, Ask, Task};
use doorframe::sensor::v4l2::{self, Device};
use doorframe::sensor::{self, Clock, Decoding, Sensor, SensorError, Source, Wanted};
use doorframe_codec::units::{FrameRate, Size};
use doorframe_hil_report::{Figure, Outcome, Series};
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Somebody who hears what is found, and who can do something to the board: a rig, or the program that plays the board.
pub(crate) trait Hands {
    /// Hears of it.
    ///
    /// # Errors
    /// If there is no way to say it.
    fn tell(&mut self, news: News<'_>) -> io::Result<()>;

    /// Does something to the board.
    ///
    /// # Errors
    /// If there is no way to ask. That it cannot be done is an answer.
    fn ask(&mut self, ask: &Ask) -> io::Result<Answer>;
}

/// What is told while checks are run.
#[derive(Debug)]
pub(crate) enum News<'a> {
    /// This check begins.
    Begins(&'a str),
    /// It has ended.
    Found(Outcome),
}

/// What all checks of a run have in common.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// How long to measure, where that is a matter of taste.
    pub(crate) lasting: Duration,
    /// Frames of 1000 that may be lost on the way to the kernel: 0 but on an isochronous bus.
    pub(crate) tolerated: u32,
}

impl From<&Task> for Settings {
    fn from(task: &Task) -> Self {
        Self { lasting: Duration::from_secs(task.seconds), tolerated: task.tolerated }
    }
}

/// Why a check ends early.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// The board, or the program, is not as it must be.
    Failed(String),
    /// The board, or what is around it, has not what the check needs.
    Lacks(String),
}

impl<E: std::error::Error> From<E> for Stop {
    fn from(error: E) -> Self {
        Self::Failed(error.to_string())
    }
}

/// What a check has at hand, and what it has found so far.
pub(crate) struct Bench<'a> {
    device: Option<PathBuf>,
    pub(crate) settings: &'a Settings,
    pub(crate) clock: Clock,
    hands: &'a mut dyn Hands,
    figures: Vec<Figure>,
    series: Vec<Series>,
    plan: Option<String>,
}

/// How long a board may take from the moment it has power.
const APPEARS: Duration = Duration::from_secs(10);
/// How soon the kernel must notice that it is gone.
pub(crate) const NOTICED: Duration = Duration::from_secs(5);
const LOOK: Duration = Duration::from_millis(20);

impl<'a> Bench<'a> {
    pub(super) fn new(device: Option<PathBuf>, settings: &'a Settings, hands: &'a mut dyn Hands) -> Self {
        let clock = Clock::new(Instant::now());
        Self { device, settings, clock, hands, figures: Vec::new(), series: Vec::new(), plan: None }
    }

    /// Notes a number.
    pub(crate) fn figure(&mut self, figure: Figure) {
        self.figures.push(figure);
    }

    /// Notes many numbers.
    pub(crate) fn series(&mut self, series: Series) {
        self.series.push(series);
    }

    pub(super) fn found(self) -> (Vec<Figure>, Vec<Series>, Option<String>) {
        (self.figures, self.series, self.plan)
    }

    /// The board's camera, once it is there.
    ///
    /// # Errors
    /// Why it cannot be used.
    pub(crate) fn camera(&self) -> Result<Device, Stop> {
        let deadline = Instant::now() + APPEARS;
        loop {
            let mut devices = v4l2::list();
            devices.retain(|device| self.device.as_ref().is_none_or(|path| device.path == *path));
            let troubles: Vec<_> =
                devices.iter().filter_map(|device| Some(device.trouble.as_ref()?.to_string())).collect();
            if let Some(camera) = devices.into_iter().find(|device| device.trouble.is_none()) {
                return Ok(camera);
            }
            if Instant::now() >= deadline {
                let there = if troubles.is_empty() { "there is none".to_owned() } else { troubles.join("; ") };
                return Err(Stop::Failed(format!("no camera within {} s: {there}", APPEARS.as_secs())));
            }
            std::thread::sleep(LOOK);
        }
    }

    /// Opens the camera, and starts its stream.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn open(&self, wanted: Wanted) -> Result<Box<dyn Sensor>, Stop> {
        let source = Source::V4l2(Some(self.camera()?.path));
        Ok(sensor::open(&source, wanted, self.clock, &Decoding::Here)?)
    }

    /// Has something done to the board.
    ///
    /// # Errors
    /// If there is nobody who can.
    pub(crate) fn ask(&mut self, ask: &Ask) -> Result<Answer, Stop> {
        match self.hands.ask(ask)? {
            Answer::Needs(what) => Err(Stop::Lacks(format!("it needs {what}"))),
            Answer::Failed(why) => Err(Stop::Failed(why)),
            answer => Ok(answer),
        }
    }

    /// Has the board taken off, and waits until the kernel has noticed.
    ///
    /// # Errors
    /// If nobody can, or the kernel does not.
    pub(crate) fn unplug(&mut self) -> Result<(), Stop> {
        self.ask(&Ask::Unplug)?;
        self.wait_gone()
    }

    /// Waits until the kernel has no camera any more.
    ///
    /// # Errors
    /// If it keeps it.
    pub(crate) fn wait_gone(&self) -> Result<(), Stop> {
        let deadline = Instant::now() + NOTICED;
        while v4l2::list().iter().any(|device| self.device.as_ref().is_none_or(|path| device.path == *path)) {
            if Instant::now() >= deadline {
                return Err(Stop::Failed(format!(
                    "the camera is still there {} s after it was pulled",
                    NOTICED.as_secs()
                )));
            }
            std::thread::sleep(LOOK);
        }
        Ok(())
    }

    /// Has a new board put in the place of this one, that misbehaves by `plan`, and waits for it.
    ///
    /// # Errors
    /// If nobody can, or it does not come.
    pub(crate) fn fresh(&mut self, plan: &str) -> Result<(), Stop> {
        if !plan.is_empty() {
            self.plan = Some(plan.to_owned());
        }
        self.unplug()?;
        self.ask(&Ask::Board(plan.to_owned()))?;
        self.camera()?;
        Ok(())
    }
}

/// A size and rate to ask for.
///
/// # Errors
/// If there is no such size or rate.
pub(crate) fn wanted(width: u32, height: u32, rate: u32) -> Result<Wanted, Stop> {
    let wanted = Size::new(width, height).zip(FrameRate::whole(rate)).map(|(size, rate)| Wanted { size, rate });
    wanted.ok_or_else(|| Stop::Failed(format!("{width}x{height} at {rate} is nothing to ask for")))
}

/// Whether a camera went away.
pub(crate) fn is_gone(error: &SensorError) -> bool {
    matches!(error, SensorError::Unplugged(_) | SensorError::NoDevice { .. })
}
