//! A button of this machine as a doorbell: a Linux input device, `gpio-keys` or USB, or a pipe that gives the same records.

use super::{Bell, Ring};
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::watch;

/// What a device is doing, for a person.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BellState {
    /// Being opened for the first time.
    Opening,
    /// Each press of any of its keys rings.
    Ready,
    /// It rang so often, each at least a second after the one before.
    Rang(u64),
    /// It cannot be used, in these words; it is tried again.
    Gone(String),
}

/// Reads a device on a thread of its own. Stops when dropped.
#[derive(Debug)]
pub struct BellDevice {
    state: watch::Receiver<BellState>,
    stop: Arc<AtomicBool>,
}

/// How long to wait before a device that is gone is tried again, and for the next writer of a pipe.
const RETRY: Duration = Duration::from_millis(500);
/// How soon a stop is noticed.
const LOOK: Duration = Duration::from_millis(250);

impl BellDevice {
    /// Rings `bell` with each press of a key of the device at `path`.
    ///
    /// # Errors
    /// If its thread cannot be started. That the device cannot be opened is told by its state.
    pub fn start(path: &Path, bell: Bell) -> io::Result<Self> {
        let (tell, state) = watch::channel(BellState::Opening);
        let stop = Arc::new(AtomicBool::new(false));
        let run = Run { path: path.into(), bell, tell, stop: stop.clone(), rang: 0 };
        std::thread::Builder::new().name("bell".into()).spawn(move || run.run())?;
        Ok(Self { state, stop })
    }

    /// What it is doing.
    pub fn state(&self) -> watch::Receiver<BellState> {
        self.state.clone()
    }
}

impl Drop for BellDevice {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

struct Run {
    path: PathBuf,
    bell: Bell,
    tell: watch::Sender<BellState>,
    stop: Arc<AtomicBool>,
    rang: u64,
}

impl Run {
    fn run(mut self) {
        while !self.is_stopped() {
            if let Err(error) = self.read() {
                let words = format!("cannot read the doorbell {}: {error}", self.path.display());
                self.tell.send_if_modified(|state| {
                    let gone = BellState::Gone(words);
                    let is_news = *state != gone;
                    *state = gone;
                    is_news
                });
                std::thread::sleep(RETRY);
            }
        }
    }

    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Until it is stopped, or the device is gone.
    fn read(&mut self) -> io::Result<()> {
        let mut device = open(&self.path)?;
        self.tell.send_replace(BellState::Ready);
        let mut presses = Presses::default();
        let mut bytes = [0; 64 * RECORD];
        while !self.is_stopped() {
            if !is_ready(&device)? {
                continue;
            }
            match device.read(&mut bytes) {
                // The last writer of a pipe has left; another may come. A device never ends so.
                Ok(0) => std::thread::sleep(LOOK),
                Ok(len) => {
                    let pressed = presses.handle(bytes.get(..len).unwrap_or_default());
                    for _ in 0..pressed {
                        if self.bell.ring() == Ring::Taken {
                            self.rang += 1;
                            self.tell.send_replace(BellState::Rang(self.rang));
                        }
                    }
                }
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Opened so that neither opening a pipe nor reading waits: what waits could not be stopped.
#[cfg(unix)]
fn open(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    File::options().read(true).custom_flags(libc::O_NONBLOCK).open(path)
}

#[cfg(not(unix))]
fn open(_: &Path) -> io::Result<File> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "this system has no input devices that can be read"))
}

/// Waits a moment for something to read.
#[cfg(unix)]
fn is_ready(device: &File) -> io::Result<bool> {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let mut waited = [PollFd::new(device, PollFlags::IN)];
    let limit = Timespec { tv_sec: 0, tv_nsec: i64::from(LOOK.subsec_nanos()) };
    match poll(&mut waited, Some(&limit)) {
        Ok(count) => Ok(count > 0),
        Err(rustix::io::Errno::INTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

#[cfg(not(unix))]
fn is_ready(_: &File) -> io::Result<bool> {
    Ok(true)
}

/// Length of the kernel's `struct input_event`: a time of two words, `u16` type, `u16` code, `i32` value.
const RECORD: usize = 2 * size_of::<usize>() + 8;
/// Type of a record of a key or button.
const EV_KEY: u16 = 1;
/// Its value when it goes down; 0 is up, 2 is held.
const DOWN: i32 = 1;

/// Finds presses in records, wherever the reads cut them.
#[derive(Debug, Default)]
struct Presses {
    /// The beginning of a record.
    rest: Vec<u8>,
}

impl Presses {
    /// Keys that go down in what was read.
    fn handle(&mut self, bytes: &[u8]) -> usize {
        self.rest.extend_from_slice(bytes);
        let mut records = self.rest.chunks_exact(RECORD);
        let pressed = records.by_ref().filter(|record| is_press(record)).count();
        self.rest = records.remainder().to_vec();
        pressed
    }
}

fn is_press(record: &[u8]) -> bool {
    let (_, what) = record.split_at(record.len().saturating_sub(8));
    let Ok([a, b, _, _, value @ ..]) = <[u8; 8]>::try_from(what) else { return false };
    (u16::from_ne_bytes([a, b]), i32::from_ne_bytes(value)) == (EV_KEY, DOWN)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(kind: u16, value: i32) -> Vec<u8> {
        let mut record = vec![0x5a; RECORD - 8];
        record.extend_from_slice(&kind.to_ne_bytes());
        record.extend_from_slice(&28_u16.to_ne_bytes());
        record.extend_from_slice(&value.to_ne_bytes());
        record
    }

    #[test]
    fn only_a_key_that_goes_down_is_a_press_however_the_records_are_cut() {
        // Down, sync, held, up, sync; a wheel that turns by one; down.
        let records = [(1, 1), (0, 0), (1, 2), (1, 0), (0, 0), (2, 1), (1, 1)].map(|(kind, value)| record(kind, value));
        let bytes = records.concat();
        for piece in [1, 7, RECORD, RECORD + 1, bytes.len()] {
            let mut presses = Presses::default();
            assert_eq!(bytes.chunks(piece).map(|part| presses.handle(part)).sum::<usize>(), 2, "{piece} bytes a read");
            assert!(presses.rest.is_empty());
        }
    }
}
