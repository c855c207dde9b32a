//! A device on a socket: two threads, one that hears the peer and one that keeps the device's time.

use crate::port::{Device, Port};
use crate::usb::Function;
use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use thiserror::Error;

/// Bytes for the peer that may wait; the device and the peer are heard again when there are fewer.
pub(crate) const MAX_WAITING: usize = 512 * 1024;

/// A device that is being served. Dropping it ends that, as pulling the plug does.
#[derive(Debug)]
pub struct Serving {
    stop: Arc<Stop>,
    thread: Option<JoinHandle<Result<Ended, ServeError>>>,
}

/// Why a device is no longer served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ended {
    /// The peer closed the socket.
    Peer,
    /// It left the bus, which ends a USB/IP connection.
    Unplugged,
    /// [`Serving::stop`].
    Stopped,
}

/// Why a device could not be served, or not on.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ServeError {
    /// It is on a bus.
    #[error("the device is served already: a device has one plug")]
    Served,
    /// The peer broke the protocol.
    #[error("the USB host {0}")]
    Peer(#[from] PeerError),
    /// The socket failed.
    #[error("socket of the USB host: {0}")]
    Io(#[from] std::io::Error),
    /// The kernel does not take the device.
    #[error("{path}: {error}; is vhci_hcd loaded, is port {port} free, and is this root?")]
    Attach {
        /// The file of the kernel.
        path: &'static str,
        /// What it said.
        error: std::io::Error,
        /// Port of the virtual host controller.
        port: u8,
    },
}

/// How a peer broke a protocol.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PeerError {
    /// More bytes than any message has.
    #[error("announced {given} bytes, and the most is {most}")]
    Long {
        /// How many.
        given: u32,
        /// How many there may be.
        most: u32,
    },
    /// A message without all of its parts.
    #[error("sent message {kind} with {given} bytes")]
    Short {
        /// Which message.
        kind: u32,
        /// Bytes of its body.
        given: usize,
    },
    /// A message that there is not.
    #[error("sent message {0}, which is none")]
    Unknown(u32),
    /// The first message is no greeting.
    #[error("sent message {0} before it greeted")]
    NoHello(u32),
    /// It cannot do what is needed.
    #[error("lacks one of the capabilities 1, 4, 5 and 6: it has {0:#x}")]
    Capabilities(u32),
    /// Too many requests.
    #[error("waits for more than {0} transfers")]
    Transfers(usize),
}

/// A protocol, without a socket or a clock.
pub(crate) trait Link: Send {
    /// Takes bytes of the peer, cut anywhere.
    fn handle_bytes(&mut self, now: Duration, bytes: &[u8], function: &mut dyn Function) -> Result<(), PeerError>;

    /// Lets the device do what is due; when there is next something to do, if that is known.
    fn poll(&mut self, now: Duration, function: &mut dyn Function) -> Option<Duration>;

    /// Bytes for the peer.
    fn output(&mut self) -> &mut Vec<u8>;

    /// Whether nothing more will come.
    fn is_over(&self) -> bool;
}

/// How the end of serving is asked for.
#[derive(Debug, Default)]
pub(crate) struct Stop {
    asked: AtomicBool,
    stream: Mutex<Option<UnixStream>>,
}

impl Stop {
    pub(crate) fn is_asked(&self) -> bool {
        self.asked.load(Ordering::SeqCst)
    }

    fn ask(&self) {
        self.asked.store(true, Ordering::SeqCst);
        if let Some(stream) = self.stream().as_ref() {
            // An error means that it is shut already.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    fn stream(&self) -> MutexGuard<'_, Option<UnixStream>> {
        self.stream.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Serving {
    /// Occupies the device's plug, gets a socket, and runs `work` on a thread of its own.
    pub(crate) fn start(
        device: &impl Device,
        socket: impl FnOnce() -> Result<UnixStream, ServeError>,
        work: impl FnOnce(UnixStream, &Port, &Stop) -> Result<Ended, ServeError> + Send + 'static,
    ) -> Result<Self, ServeError> {
        let port = device.port();
        if !port.occupy() {
            return Err(ServeError::Served);
        }
        let socket = socket().inspect_err(|_| port.vacate())?;
        let stop = Arc::new(Stop::default());
        let asked = Arc::clone(&stop);
        let plug = Arc::clone(&port);
        let spawned = std::thread::Builder::new().name("virtual usb".to_owned()).spawn(move || {
            let ended = work(socket, &plug, &asked);
            plug.vacate();
            ended
        });
        match spawned {
            Ok(thread) => Ok(Self { stop, thread: Some(thread) }),
            Err(error) => {
                port.vacate();
                Err(error.into())
            }
        }
    }

    /// Whether it is still served.
    pub fn is_running(&self) -> bool {
        self.thread.as_ref().is_some_and(|thread| !thread.is_finished())
    }

    /// Waits until it is no longer served.
    ///
    /// # Errors
    /// If the peer broke the protocol, or the socket failed.
    pub fn wait(mut self) -> Result<Ended, ServeError> {
        self.join()
    }

    /// Takes it off the bus.
    pub fn stop(mut self) {
        self.stop.ask();
        let _ = self.join();
    }

    fn join(&mut self) -> Result<Ended, ServeError> {
        let ended = self.thread.take().and_then(|thread| thread.join().ok());
        ended.unwrap_or(Ok(Ended::Stopped))
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.stop.ask();
        // Nobody is left to hear how it ended.
        let _ = self.join();
    }
}

/// What both threads hold.
struct Shared<L> {
    link: Mutex<(L, Option<PeerError>)>,
    drained: Condvar,
}

/// Serves the device until either side has had enough.
pub(crate) fn run(link: impl Link, port: &Port, stream: &UnixStream, stop: &Stop) -> Result<Ended, ServeError> {
    *stop.stream() = Some(stream.try_clone()?);
    if stop.is_asked() {
        return Ok(Ended::Stopped);
    }
    let shared = Shared { link: Mutex::new((link, None)), drained: Condvar::new() };
    let closed = AtomicBool::new(false);
    let (heard, sent) = std::thread::scope(|scope| {
        let hearing = scope.spawn(|| {
            let heard = hear(&shared, port, stream, &closed);
            closed.store(true, Ordering::SeqCst);
            port.notify();
            heard
        });
        let sent = send(&shared, port, stream, &closed);
        closed.store(true, Ordering::SeqCst);
        // An error means that it is shut already.
        let _ = stream.shutdown(Shutdown::Both);
        shared.drained.notify_all();
        (hearing.join().unwrap_or(Ok(())), sent)
    });
    port.lock().handle_reset(port.now());
    let (link, refused) = shared.link.into_inner().unwrap_or_else(PoisonError::into_inner);
    if let Some(refused) = refused {
        return Err(refused.into());
    }
    if stop.is_asked() {
        return Ok(Ended::Stopped);
    }
    if link.is_over() {
        return Ok(Ended::Unplugged);
    }
    heard.and(sent)?;
    Ok(Ended::Peer)
}

/// Hears the peer until it closes, or breaks the protocol.
fn hear<L: Link>(shared: &Shared<L>, port: &Port, mut stream: &UnixStream, closed: &AtomicBool) -> std::io::Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let count = match stream.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) if is_closed(&error) => return Ok(()),
            Err(error) => return Err(error),
        };
        let mut link = shared.link.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes = buffer.get(..count).unwrap_or_default();
        let handled = link.0.handle_bytes(port.now(), bytes, &mut *port.lock());
        if let Err(refused) = handled {
            link.1 = Some(refused);
            return Ok(());
        }
        port.notify();
        while link.0.output().len() > MAX_WAITING && !closed.load(Ordering::SeqCst) {
            link = shared.drained.wait(link).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// Lets the device do what is due and sends what comes of it, in that order alone.
fn send<L: Link>(shared: &Shared<L>, port: &Port, mut stream: &UnixStream, closed: &AtomicBool) -> std::io::Result<()> {
    loop {
        let (out, until, over) = {
            let mut link = shared.link.lock().unwrap_or_else(PoisonError::into_inner);
            let until = link.0.poll(port.now(), &mut *port.lock());
            (std::mem::take(link.0.output()), until, link.0.is_over())
        };
        shared.drained.notify_all();
        if !out.is_empty() {
            match stream.write_all(&out) {
                Err(error) if is_closed(&error) => return Ok(()),
                written => written?,
            }
        } else if over || closed.load(Ordering::SeqCst) {
            return Ok(());
        } else {
            port.wait(until);
        }
    }
}

/// Whether an error says that the peer is gone, which is how serving mostly ends.
fn is_closed(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset)
}
