//! A virtual machine with a real Linux kernel, in which a board made of software is checked as a real one is.

mod archive;
mod kernel;
mod modules;
mod program;
mod qemu;
mod rig;
mod socket;
mod unpack;

pub(crate) use socket::Virtual;

use crate::checks;
use crate::wire::{Answer, Lines, Task, Word, say};
use archive::Archive;
use doorframe_hil_report::{Outcome, Verdict};
use doorframe_virtual_board::{ConfigError, FaultPlan};
use kernel::{Kernel, KernelError};
use qemu::{Machine, QEMU};
use socket::Sockets;
use std::fs;
use std::io;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use thiserror::Error;

/// What to run in a machine.
pub(crate) struct Options {
    /// The board.
    pub(crate) board: Virtual,
    /// What it does wrong from the start.
    pub(crate) plan: FaultPlan,
    /// Checks by name.
    pub(crate) checks: Vec<checks::Check>,
    /// For those that measure: how long, in seconds.
    pub(crate) seconds: u64,
    /// Where a kernel is kept; in the user's cache if it is not said.
    pub(crate) cache: Option<PathBuf>,
    /// Where to leave console and bus captures when something fails.
    pub(crate) out: Option<PathBuf>,
}

/// Why nothing could be run, or not to its end.
#[derive(Debug, Error)]
pub(crate) enum VmError {
    /// A program is not installed.
    #[error("{program} is not installed: run `sudo apt-get install --no-install-recommends {package}`")]
    Missing {
        /// The program.
        program: &'static str,
        /// Debian's package with it.
        package: &'static str,
    },
    /// No kernel.
    #[error(transparent)]
    Kernel(#[from] KernelError),
    /// There is no folder to keep a kernel in.
    #[error("there is no folder for the kernel: say one with --cache")]
    NoCache,
    /// This program cannot be taken along.
    #[error("cannot put {} into the machine: {error}", path.display())]
    Program {
        /// It, or a library of it.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The machine does not start.
    #[error("cannot start the virtual machine: {0}")]
    Start(io::Error),
    /// It does not come up.
    #[error("the virtual machine did not come up: {0}")]
    Boot(String),
    /// The board cannot be.
    #[error("the virtual board cannot be made: {0}")]
    Board(#[from] ConfigError),
    /// It cannot be plugged in.
    #[error("the virtual board cannot be plugged in: {0}")]
    Plug(String),
    /// Somebody wants it to end.
    #[error("interrupted")]
    Interrupted,
    /// The captures cannot be kept.
    #[error("cannot write to {}: {error}", path.display())]
    Out {
        /// Which folder.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
}

/// Longest that a machine may take to come up, and to say something again: the longest check, on a slow machine.
const PATIENCE: Duration = Duration::from_secs(180);
/// How soon an interruption is noticed.
const LOOK: Duration = Duration::from_millis(200);
/// Frames of 1000 that an isochronous bus under emulation may lose: its queue overruns when the emulator has to wait, and on a
/// machine that is busy with other things it waits often.
const TOLERATED: u32 = 500;

/// What is needed, and where Debian has it.
const PROGRAMS: [(&str, &str); 4] =
    [(QEMU, "qemu-system-x86"), ("setpriv", "util-linux"), ("apt-get", "apt"), ("dpkg-deb", "dpkg")];

/// Boots a machine, runs the checks in it, and gives what they found; each is told to `tell` as it comes.
///
/// # Errors
/// Why nothing was run. A machine that fails later fails the check that it ran, and the rest is not run.
pub(crate) fn run(
    options: &Options,
    interrupted: &AtomicBool,
    tell: &mut dyn FnMut(Step<'_>),
) -> Result<Vec<Outcome>, VmError> {
    let started = Instant::now();
    let mut step = |what: String| tell(Step::Done(&what, started.elapsed()));
    for (program, package) in PROGRAMS {
        find(program).ok_or(VmError::Missing { program, package })?;
    }
    let cache = options.cache.clone().or_else(cache).ok_or(VmError::NoCache)?;
    let kernel = Kernel::ready(&cache)?;
    step(format!("kernel of {}, {} modules", kernel.package, kernel.modules.len()));
    let files = files(&kernel)?;
    step(format!("file system of {} MB", files.len() >> 20));
    let machine = Machine::start(&kernel.image, &files).map_err(VmError::Start)?;
    let sockets = Sockets::plug(&machine, options.board, &options.plan)?;
    step("QEMU runs, the board is plugged in".to_owned());
    let mut guest = Guest { machine, sockets, interrupted, started, outcomes: Vec::new(), running: None };
    guest.task(options, tell)?;
    let missing = guest.serve(tell);
    guest.finish(options, missing)
}

/// What is told while a machine runs.
#[derive(Debug)]
pub(crate) enum Step<'a> {
    /// This is done, so long after the start.
    Done(&'a str, Duration),
    /// This check begins.
    Begins(&'a str),
    /// This was found.
    Found(&'a Outcome),
}

/// A program in the search path.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|path| path.is_file())
}

/// `doorframe-hil` in the user's cache.
fn cache() -> Option<PathBuf> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    Some(set("XDG_CACHE_HOME").or_else(|| Some(set("HOME")?.join(".cache")))?.join("doorframe-hil"))
}

/// The machine's first file system: this program, what it loads, and the kernel's modules.
fn files(kernel: &Kernel) -> Result<Vec<u8>, VmError> {
    let own = std::env::current_exe().map_err(|error| VmError::Program { path: "doorframe-hil".into(), error })?;
    let read = |path: &Path| fs::read(path).map_err(|error| VmError::Program { path: path.to_owned(), error });
    let mut archive = Archive::default();
    for folder in ["dev", "proc", "sys", "tmp"] {
        archive.folder(folder);
    }
    archive.console();
    let mut program = read(&own)?;
    program::slim(&mut program);
    archive.file("init", &program);
    let libraries = program::libraries(&own).map_err(|error| VmError::Program { path: own.clone(), error })?;
    for library in libraries {
        let mut bytes = read(&library)?;
        program::slim(&mut bytes);
        archive.file(library.to_string_lossy().trim_start_matches('/'), &bytes);
    }
    archive.folder("modules");
    for (number, module) in kernel.modules.iter().enumerate() {
        archive.file(&format!("modules/{number:02}-{}.ko", module.name), &module.bytes);
    }
    Ok(archive.finish())
}

/// A machine at work.
struct Guest<'a> {
    machine: Machine,
    sockets: Sockets,
    interrupted: &'a AtomicBool,
    started: Instant,
    outcomes: Vec<Outcome>,
    running: Option<(String, Instant)>,
}

impl Guest<'_> {
    /// Waits until it is up, and says what to do.
    fn task(&mut self, options: &Options, tell: &mut dyn FnMut(Step<'_>)) -> Result<(), VmError> {
        let port = self.port().map_err(VmError::Start)?;
        match self.next(&mut Lines::new(port)) {
            Ok(Some(Word::Ready { uptime_ms, release })) => {
                let up = format!("Linux {release} is up, by its own clock after {:.1} s", uptime_ms as f64 / 1e3);
                tell(Step::Done(&up, self.started.elapsed()));
            }
            Ok(word) => return Err(VmError::Boot(format!("it said {word:?}{}", self.last_words()))),
            Err(Ended::Interrupted) => return Err(VmError::Interrupted),
            Err(Ended::Broken(why)) => return Err(VmError::Boot(format!("{why}{}", self.last_words()))),
        }
        let task = Task {
            checks: options.checks.iter().map(|check| check.name.to_owned()).collect(),
            seconds: options.seconds,
            tolerated: if options.board == Virtual::Isochronous { TOLERATED } else { 0 },
        };
        let mut port = self.port().map_err(VmError::Start)?;
        say(&mut port, &task).map_err(|error| VmError::Boot(error.to_string()))
    }

    fn port(&self) -> io::Result<UnixStream> {
        let port = self.machine.port.try_clone()?;
        port.set_read_timeout(Some(LOOK))?;
        Ok(port)
    }

    /// Takes what it finds and does what it asks for, to the end.
    fn serve(&mut self, tell: &mut dyn FnMut(Step<'_>)) -> Result<(), Ended> {
        let broken = |error: io::Error| Ended::Broken(error.to_string());
        let mut lines = Lines::new(self.port().map_err(broken)?);
        let mut out = self.port().map_err(broken)?;
        loop {
            match self.next(&mut lines)? {
                Some(Word::Begins(check)) => {
                    tell(Step::Begins(&check));
                    self.running = Some((check, Instant::now()));
                }
                Some(Word::Found(outcome)) => {
                    tell(Step::Found(&outcome));
                    self.running = None;
                    self.outcomes.push(*outcome);
                }
                Some(Word::Ask(ask)) => {
                    let answer = self.sockets.answer(&self.machine, &ask);
                    let answer = answer.unwrap_or_else(|error| Answer::Failed(error.to_string()));
                    say(&mut out, &answer).map_err(broken)?;
                }
                Some(Word::End) => return Ok(()),
                Some(Word::Trouble(why)) => return Err(Ended::Broken(why)),
                Some(Word::Ready { .. }) => return Err(Ended::Broken("the machine started again".to_owned())),
                None => return Err(Ended::Broken("the machine turned itself off".to_owned())),
            }
        }
    }

    fn next(&mut self, lines: &mut Lines<UnixStream>) -> Result<Option<Word>, Ended> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match lines.next() {
                Ok(word) => return Ok(word),
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Ended::Broken(error.to_string())),
            }
            if self.interrupted.load(Ordering::Relaxed) {
                return Err(Ended::Interrupted);
            }
            if let Ok(Some(status)) = self.machine.ended() {
                return Err(Ended::Broken(format!("QEMU ended, {status}")));
            }
            if Instant::now() >= deadline {
                return Err(Ended::Broken(format!("the machine said nothing for {} s", PATIENCE.as_secs())));
            }
        }
    }

    /// The end of the kernel's console, for a message.
    fn last_words(&self) -> String {
        let console = fs::read(self.machine.console()).unwrap_or_default();
        let text = String::from_utf8_lossy(&console);
        let lines: Vec<_> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        let last = lines.get(lines.len().saturating_sub(3)..).unwrap_or_default();
        if last.is_empty() { String::new() } else { format!("; its console ends: {}", last.join(" / ")) }
    }

    /// All outcomes; those that are missing because the machine failed say so.
    fn finish(mut self, options: &Options, ended: Result<(), Ended>) -> Result<Vec<Outcome>, VmError> {
        match ended {
            Ok(()) => {}
            Err(Ended::Interrupted) => return Err(VmError::Interrupted),
            Err(Ended::Broken(why)) => {
                let why = format!("{why}{}", self.last_words());
                if let Some((check, since)) = self.running.take() {
                    self.outcomes.push(Outcome::failed(check, since.elapsed(), why));
                }
                for check in &options.checks {
                    if !self.outcomes.iter().any(|outcome| outcome.check == check.name) {
                        self.outcomes.push(Outcome::not_run(check.name, "the virtual machine had failed before"));
                    }
                }
            }
        }
        let is_failed = |outcome: &Outcome| matches!(outcome.verdict, Verdict::Failed { .. });
        if let Some(out) = &options.out
            && self.outcomes.iter().any(is_failed)
        {
            let kept = self.keep(out).map_err(|error| VmError::Out { path: out.clone(), error })?;
            for outcome in self.outcomes.iter_mut().filter(|outcome| is_failed(outcome)) {
                outcome.attachments.extend(kept.iter().cloned());
            }
        }
        Ok(self.outcomes)
    }

    /// Copies console and captures to `out`; their names there.
    fn keep(&self, out: &Path) -> io::Result<Vec<PathBuf>> {
        fs::create_dir_all(out)?;
        let mut kept = Vec::new();
        for path in std::iter::once(self.machine.console()).chain(self.machine.captures()) {
            let Some(name) = path.file_name().filter(|_| path.is_file()) else { continue };
            fs::copy(&path, out.join(name))?;
            kept.push(name.into());
        }
        Ok(kept)
    }
}

/// Why a machine is not listened to any more.
enum Ended {
    Interrupted,
    Broken(String),
}
