//! The process that decodes: reads a request, decodes, answers, until its parent is gone.

use super::area::Area;
use super::wire::{MESSAGE, Reply, Request};
use super::{Wanted, jail};
use crate::access_unit::{AccessUnit, Kind};
use crate::decoder::{DecodeError, Decoder, Shown};
use crate::picture::Picture;
use crate::units::{Color, MediaTime, Size, TemporalLayer};
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::process::ExitCode;

/// The one argument a program is started with to be a decoder.
pub const ARGUMENT: &str = "decode-child";

/// What a unit begins with that a test has the child misbehave over, the word for how after it.
#[cfg(feature = "testing")]
#[doc(hidden)]
pub const HOOK: &[u8] = b"doorframe-test:";

/// Whether this program was started to be a decoder's process: its one argument is [`ARGUMENT`].
pub fn is_asked() -> bool {
    let mut arguments = std::env::args_os().skip(1);
    arguments.next().is_some_and(|first| first == ARGUMENT) && arguments.next().is_none()
}

/// Decodes for the process that started this one, on standard input and output, until that one is done.
///
/// To be called first thing, before there is a thread, and its result to be returned from `main`. Whoever starts it by
/// hand gets an exit with status 2.
pub fn serve() -> ExitCode {
    match Child::start() {
        Ok(child) => match child.run() {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::from(4),
        },
        Err(status) => ExitCode::from(status),
    }
}

struct Child {
    socket: File,
    area: Area,
    wanted: Wanted,
    decoder: Box<dyn Decoder>,
    picture: Picture,
    unit: Vec<u8>,
}

impl Child {
    /// Becomes what the parent asks for, behind locked doors. An error is the status to exit with.
    fn start() -> Result<Self, u8> {
        jail::let_go().map_err(|_| 3)?;
        let mut socket = File::from(io::stdin().as_fd().try_clone_to_owned().map_err(|_| 2)?);
        let Ok(Request::Become(wanted, memory)) = read(&mut socket) else { return Err(2) };
        let area = Area::of(io::stdout().as_fd(), wanted.area()).map_err(|_| 2)?;
        let decoder = wanted.decoder().ok_or(2)?;
        let protections = jail::lock(memory).map_err(|_| 3)?;
        socket.write_all(&Reply::Ready(protections).emit()).map_err(|_| 4)?;
        let picture = Picture::black(NO_SIZE, Color::default());
        Ok(Self { socket, area, wanted, decoder, picture, unit: Vec::new() })
    }

    fn run(mut self) -> io::Result<()> {
        loop {
            let request = match read(&mut self.socket) {
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
                request => request?,
            };
            let shown = match request {
                Request::Decode(bytes) => self.decode(bytes),
                Request::Flush => self.decoder.flush(&mut self.picture),
                Request::Reset => {
                    self.decoder.reset();
                    Ok(Shown::Nothing)
                }
                Request::Become(..) => return Err(io::ErrorKind::InvalidData.into()),
            };
            let reply = match shown {
                Ok(Shown::Nothing) => Reply::Nothing,
                Ok(shown) => {
                    let written = self.area.write(self.wanted.limits.unit_bytes, self.picture.samples());
                    written.ok_or(io::ErrorKind::OutOfMemory)?;
                    Reply::Shown(shown, self.picture.size(), self.picture.color())
                }
                Err(error) => Reply::Refused(error),
            };
            self.socket.write_all(&reply.emit())?;
        }
    }

    fn decode(&mut self, bytes: usize) -> Result<Shown, DecodeError> {
        if bytes > self.wanted.limits.unit_bytes {
            return Err(DecodeError::UnitTooLarge(bytes));
        }
        self.unit.resize(bytes, 0);
        self.area.read(0, &mut self.unit).ok_or(DecodeError::UnitTooLarge(bytes))?;
        #[cfg(feature = "testing")]
        if let Some(how) = self.unit.strip_prefix(HOOK) {
            misbehave(how, &mut self.socket);
        }
        let unit = AccessUnit {
            codec: self.wanted.codec,
            // Decoders look at the bytes for these.
            kind: Kind::Delta,
            size: NO_SIZE,
            layer: TemporalLayer::BASE,
            at: MediaTime::default(),
            data: std::mem::take(&mut self.unit).into(),
        };
        let shown = self.decoder.decode(&unit, &mut self.picture);
        // Its memory is used for the next one, if nobody kept a part of it.
        self.unit = unit.data.try_into_mut().map(Vec::from).unwrap_or_default();
        shown
    }
}

fn read(socket: &mut File) -> io::Result<Request> {
    let mut message = [0; MESSAGE];
    socket.read_exact(&mut message)?;
    Request::parse(&message).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// For what finds its size out later.
const NO_SIZE: Size = {
    let Some(size) = Size::new(1, 1) else { unreachable!() };
    size
};

/// Does what a child that was taken over would do.
#[cfg(feature = "testing")]
fn misbehave(how: &[u8], socket: &mut File) {
    use std::hint::black_box;
    use std::net::{TcpStream, UdpSocket};

    match how {
        b"spin" => loop {
            black_box(());
        },
        b"open" => drop(black_box(File::open("/etc/passwd"))),
        b"connect" => drop(black_box(TcpStream::connect("127.0.0.1:9"))),
        b"send" => drop(black_box(UdpSocket::bind("127.0.0.1:0"))),
        b"start" => drop(black_box(std::process::Command::new("/bin/true").spawn())),
        b"hoard" => {
            let mut hoard = Vec::new();
            loop {
                hoard.push(black_box(vec![1_u8; 1 << 20]));
            }
        }
        b"execute" => drop(black_box(jail::executable_memory())),
        b"panic" => panic!("as a test wants it"),
        b"thread" => {
            // One that does nothing wrong, then one that does.
            assert!(std::thread::spawn(|| black_box(1)).join().is_ok());
            drop(black_box(std::thread::spawn(|| File::open("/etc/passwd").is_ok()).join()));
        }
        b"lie" => drop(black_box(socket.write_all(&[0xff; MESSAGE]))),
        b"huge" => {
            // A picture larger than any limit, in a form that is right.
            if let Some(size) = Size::new(8192, 8192) {
                let reply = Reply::Shown(Shown::Picture, size, Color::default());
                drop(black_box(socket.write_all(&reply.emit())));
            }
        }
        b"drip" => {
            // Less than an answer, and nothing after it.
            drop(black_box(socket.write_all(&[1])));
            loop {
                black_box(());
            }
        }
        _ => {}
    }
}
