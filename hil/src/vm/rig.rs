//! The controller of the virtual board's rig: the firmware's logic on a thread, wired to the board.

use doorframe_rig::controller::{Controller, Pins};
use doorframe_rig::message::{Abilities, Fitted, Level, Micros, Supply};
use doorframe_virtual_board::{Board, Light, SerialEnd};
use std::io::{self, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// A board that may be there, and its lamp, which outlives it.
#[derive(Debug, Default)]
pub(super) struct Bench {
    board: Option<Board>,
    light: Light,
}

impl Bench {
    /// Puts a board on the bench, or takes it off.
    pub(super) fn place(&mut self, board: Option<Board>) {
        if let Some(board) = &board {
            board.light(self.light);
        }
        self.board = board;
    }
}

/// A controller that runs. Ends when dropped.
#[derive(Debug)]
pub(super) struct Running {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// How often it looks for commands and what is due.
const LOOK: Duration = Duration::from_micros(500);

impl Running {
    /// A controller at the end of a serial line.
    pub(super) fn start(mut line: SerialEnd, bench: Arc<Mutex<Bench>>) -> io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let asked = Arc::clone(&stop);
        let mut controller = Controller::new(Wires { bench, start: Instant::now() });
        let thread = std::thread::Builder::new().name("rig".into()).spawn(move || {
            while !asked.load(Ordering::Relaxed) {
                for byte in line.take() {
                    if let Some(sent) = controller.handle_byte(byte) {
                        // A host that left asks again when it is back.
                        let _gone = line.write_all(sent.as_bytes());
                    }
                }
                controller.handle_time();
                std::thread::sleep(LOOK);
            }
        })?;
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ended = self.thread.take().map(JoinHandle::join);
    }
}

/// Light and button. The board's power is the machine's, and there is no screen to look at.
struct Wires {
    bench: Arc<Mutex<Bench>>,
    start: Instant,
}

impl Wires {
    fn on(&self, act: impl FnOnce(&mut Bench)) {
        act(&mut self.bench.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Pins for Wires {
    fn abilities(&self) -> Abilities {
        Abilities { led: Fitted::Yes, button: Fitted::Yes, ..Abilities::default() }
    }

    fn now(&self) -> Micros {
        Micros(u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX))
    }

    fn set_led(&mut self, level: Level) {
        self.on(|bench| {
            bench.light = if level == Level::On { Light::On } else { Light::Off };
            if let Some(board) = &bench.board {
                board.light(bench.light);
            }
        });
    }

    fn set_button(&mut self, level: Level) {
        self.on(|bench| {
            if let Some(board) = bench.board.as_ref().filter(|_| level == Level::On) {
                board.press();
            }
        });
    }

    fn set_power(&mut self, _: Level) {}

    fn light(&mut self) -> u16 {
        0
    }

    fn supply(&mut self) -> Supply {
        Supply { millivolts: 0, milliamperes: 0 }
    }
}
