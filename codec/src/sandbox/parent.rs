//! A decoder's process, seen from outside.

use super::area::Area;
use super::jail::{Landlock, Protections};
use super::wire::{MESSAGE, Reply, Request};
use super::{ARGUMENT, Footage, Wanted};
use crate::access_unit::{AccessUnit, Codec};
use crate::decoder::{DecodeError, Decoder, Fall, Limits, OnDamage, Shown};
use crate::picture::Picture;
use crate::units::{Color, Size};
use crate::{av1, h264};
use std::ffi::OsString;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;
use thiserror::Error;

/// A program that calls [`serve`](super::serve) when it is started with these arguments.
#[derive(Clone, Debug)]
pub struct Program {
    /// Where it is.
    pub path: PathBuf,
    /// What it is started with.
    pub arguments: Vec<OsString>,
}

impl Program {
    /// This one, as it was when it was started, with [`ARGUMENT`].
    pub fn this() -> Self {
        Self { path: "/proc/self/exe".into(), arguments: vec![ARGUMENT.into()] }
    }
}

/// Which decoder, and what its process may spend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// What is decoded.
    pub codec: Codec,
    /// In which order pictures are wanted; live at the start.
    pub footage: Footage,
    /// What is done about damage; [`OnDamage::Wait`] at the start.
    pub on_damage: OnDamage,
    /// Threads for AV1, 2 to 16, 2 at the start. H.264 is decoded on one.
    pub threads: u8,
    /// What one unit may be and show.
    pub limits: Limits,
    /// Address space of the process in bytes, its program included; 1 GiB at the start, at least
    /// [`Config::LEAST_MEMORY`]. A H.264 stream of 3840x2160 can hold 17 pictures of 12 MB, each thread of AV1 reserves
    /// some 70 MB that it may never touch.
    pub memory: u64,
    /// Time for one unit, from its hand-over to its picture; 2 s at the start. Not the processor's time: on a machine that
    /// is busy, more passes.
    pub time: Duration,
}

impl Config {
    /// The least memory that is worth a start.
    pub const LEAST_MEMORY: u64 = 128 << 20;

    /// For `codec`, with everything else as it is at the start.
    pub fn new(codec: Codec) -> Self {
        let (footage, on_damage, limits) = (Footage::Live, OnDamage::Wait, Limits::default());
        Self { codec, footage, on_damage, threads: 2, limits, memory: 1 << 30, time: Duration::from_secs(2) }
    }

    fn wanted(&self) -> Wanted {
        let Self { codec, footage, on_damage, threads, limits, .. } = *self;
        Wanted { codec, footage, on_damage, threads, limits }
    }
}

/// Why there is no decoder's process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SandboxError {
    /// The crate was built without it.
    #[error("this build has no decoder for {0:?}")]
    Codec(Codec),
    /// Less than [`Config::LEAST_MEMORY`].
    #[error("{0} bytes of memory are too few for a decoder's process, {least} will do", least = Config::LEAST_MEMORY)]
    Memory(u64),
    /// A unit must have some time.
    #[error("a time of 0 for a unit is too short")]
    Time,
    /// It does not start, or does not say that it is locked in.
    #[error(transparent)]
    Start(DecodeError),
}

/// How long a process may take to be ready: it starts a program, on a machine that may be busy.
const START: Duration = Duration::from_secs(10);

/// A decoder in a process of its own. The [module](super) says what it is held by.
///
/// A process that takes too long, falls, or answers what it should not is ended, and the error says which; the next
/// keyframe starts another. Dropping this ends the process; so does the end of the program, however it comes.
pub struct Sandboxed {
    program: Program,
    config: Config,
    name: String,
    keeper: Keeper,
    running: Option<Running>,
}

impl Sandboxed {
    /// Starts `program` as a decoder and waits until it is locked in.
    ///
    /// # Errors
    /// If the configuration is wrong or the process does not come to be ready.
    pub fn new(program: Program, config: Config) -> Result<Self, SandboxError> {
        if config.memory < Config::LEAST_MEMORY {
            return Err(SandboxError::Memory(config.memory));
        }
        if config.time.is_zero() {
            return Err(SandboxError::Time);
        }
        let name = config.wanted().decoder().ok_or(SandboxError::Codec(config.codec))?.name();
        let keeper = Keeper::new().map_err(|error| SandboxError::Start(DecodeError::NotStarted(error.kind())))?;
        let mut sandboxed = Self { program, config, name, keeper, running: None };
        sandboxed.start().map_err(SandboxError::Start)?;
        Ok(sandboxed)
    }

    /// What holds the process in; `None` while there is none.
    pub fn protections(&self) -> Option<Protections> {
        self.running.as_ref().map(|running| running.protections)
    }

    /// Number of the process; `None` while there is none.
    pub fn process(&self) -> Option<u32> {
        self.running.as_ref().map(|running| running.child.0.id())
    }

    fn start(&mut self) -> Result<(), DecodeError> {
        let failed = |error: io::Error| DecodeError::NotStarted(error.kind());
        let (socket, theirs) = UnixStream::pair().map_err(failed)?;
        let (area, shared) = Area::new(self.config.wanted().area()).map_err(failed)?;
        let mut command = Command::new(&self.program.path);
        command.args(&self.program.arguments).env_clear().stdin(OwnedFd::from(theirs)).stdout(shared);
        command.stderr(Stdio::null());
        let child = Guarded(self.keeper.start(command).map_err(failed)?);
        let mut running = Running { child, socket, area, protections: Protections { landlock: Landlock::None } };
        match running.ask(Request::Become(self.config.wanted(), self.config.memory), self.config.limits, START)? {
            Reply::Ready(protections) => running.protections = protections,
            _ => return Err(DecodeError::Lied),
        }
        self.running = Some(running);
        Ok(())
    }

    /// Asks, and takes what is shown. A process that failed at it is ended.
    fn ask(&mut self, request: Request, picture: &mut Picture) -> Result<Shown, DecodeError> {
        let Config { limits, time, .. } = self.config;
        // Put back only if it behaves; dropping it ends it.
        let Some(mut running) = self.running.take() else { return Ok(Shown::Nothing) };
        let shown = match running.ask(request, limits, time)? {
            Reply::Nothing => Ok(Shown::Nothing),
            Reply::Shown(shown, size, color) => {
                picture.reshape(size, color);
                running.area.read(limits.unit_bytes, picture.samples_mut()).ok_or(DecodeError::Lied)?;
                Ok(shown)
            }
            Reply::Refused(error) => Err(error),
            Reply::Ready(_) => return Err(DecodeError::Lied),
        };
        self.running = Some(running);
        shown
    }
}

impl Decoder for Sandboxed {
    fn decode(&mut self, unit: &AccessUnit, picture: &mut Picture) -> Result<Shown, DecodeError> {
        let wanted = self.config.codec;
        if unit.codec != wanted {
            return Err(DecodeError::Codec { given: unit.codec, wanted });
        }
        if unit.data.len() > self.config.limits.unit_bytes {
            return Err(DecodeError::UnitTooLarge(unit.data.len()));
        }
        if self.running.is_none() {
            let is_keyframe = match wanted {
                Codec::H264 => h264::facts(&unit.data).is_keyframe(),
                Codec::Av1 => av1::facts(&unit.data).is_keyframe(),
            };
            if !is_keyframe {
                return Err(DecodeError::NeedsKeyframe);
            }
            self.start()?;
        }
        let running = self.running.as_mut().ok_or(DecodeError::NeedsKeyframe)?;
        running.area.write(0, &unit.data).ok_or(DecodeError::UnitTooLarge(unit.data.len()))?;
        self.ask(Request::Decode(unit.data.len()), picture)
    }

    fn flush(&mut self, picture: &mut Picture) -> Result<Shown, DecodeError> {
        self.ask(Request::Flush, picture)
    }

    fn reset(&mut self) {
        // Nothing is shown by it, so any picture will do. A process that fails here is ended, and that is a reset too.
        let mut none = Picture::black(NO_SIZE, Color::default());
        let _ = self.ask(Request::Reset, &mut none);
    }

    fn name(&self) -> String {
        match self.protections() {
            Some(protections) => format!("{} in a process of its own ({protections})", self.name),
            None => format!("{} in a process of its own (none at the moment)", self.name),
        }
    }
}

struct Running {
    child: Guarded,
    socket: UnixStream,
    area: Area,
    protections: Protections,
}

impl Running {
    /// Waits `time` for the answer at most.
    fn ask(&mut self, request: Request, limits: Limits, time: Duration) -> Result<Reply, DecodeError> {
        let deadline = now().checked_add(time);
        let mut message = [0; MESSAGE];
        let mut rest = message.as_mut_slice();
        // It never waits: a message is small, and the child has read the one before.
        if self.socket.write_all(&request.emit()).is_err() {
            return Err(self.child.fall());
        }
        while !rest.is_empty() {
            let left = deadline.map_or(time, |deadline| deadline.saturating_duration_since(now()));
            if left.is_zero() || self.socket.set_read_timeout(Some(left)).is_err() {
                return Err(DecodeError::TimedOut(time));
            }
            match self.socket.read(rest) {
                Ok(0) => return Err(self.child.fall()),
                Ok(count) => rest = rest.get_mut(count..).unwrap_or_default(),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    return Err(DecodeError::TimedOut(time));
                }
                Err(_) => return Err(self.child.fall()),
            }
        }
        Reply::parse(&message, limits).ok_or(DecodeError::Lied)
    }
}

/// A process that does not outlive this.
struct Guarded(Child);

impl Guarded {
    /// How it came to its end. It has let its socket go, which it does while it ends or if it is not what it should be.
    fn fall(&mut self) -> DecodeError {
        for _ in 0..200 {
            match self.0.try_wait() {
                Ok(None) => pause(),
                Ok(Some(status)) => return DecodeError::Fell(fall(status)),
                Err(_) => return DecodeError::Lied,
            }
        }
        DecodeError::Lied
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        // Both fail only if it is gone already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn fall(status: ExitStatus) -> Fall {
    match (status.signal(), status.code()) {
        (Some(signal), _) => Fall::Signal(signal),
        (None, code) => Fall::Exit(code.unwrap_or(-1)),
    }
}

/// A thread that starts processes and stays: the kernel ends a child with the thread that started it, and the thread a
/// decoder is made on may end long before the decoder does.
struct Keeper {
    commands: SyncSender<Command>,
    children: Receiver<io::Result<Child>>,
}

impl Keeper {
    fn new() -> io::Result<Self> {
        let (commands, asked) = sync_channel::<Command>(1);
        let (give, children) = sync_channel(1);
        // Ends with the last sender, after the child is gone.
        std::thread::Builder::new().name("decoder keeper".to_owned()).spawn(move || {
            while let Ok(mut command) = asked.recv() {
                let child = command.spawn();
                // The child's ends of socket and memory must not stay open here: their closing tells that it fell.
                drop(command);
                if give.send(child).is_err() {
                    break;
                }
            }
        })?;
        Ok(Self { commands, children })
    }

    fn start(&self, command: Command) -> io::Result<Child> {
        let gone = || io::Error::from(ErrorKind::BrokenPipe);
        self.commands.send(command).map_err(|_| gone())?;
        self.children.recv().map_err(|_| gone())?
    }
}

/// For a picture that nothing is shown in.
const NO_SIZE: Size = {
    let Some(size) = Size::new(1, 1) else { unreachable!() };
    size
};

#[expect(clippy::disallowed_methods, reason = "how long another process takes is nobody's argument")]
fn now() -> std::time::Instant {
    std::time::Instant::now()
}

#[expect(clippy::disallowed_methods, reason = "another process ends when it ends, within a millisecond or so")]
fn pause() {
    std::thread::sleep(Duration::from_millis(1));
}
