//! The serial port of a rig controller, as a USB device (CDC-ACM).

use crate::config::ConfigError;
use crate::port::{Device, Port, Socket};
use crate::serial::Serial;
use std::io::{self, Read, Write};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError};

/// A rig controller's USB side: what the host sends to `/dev/ttyACM0` comes out of a [`SerialEnd`], and back.
///
/// Clones are the same device. Served like a [`Board`](crate::Board).
#[derive(Clone, Debug)]
pub struct Rig {
    socket: Arc<Socket<Serial>>,
}

/// The controller's end of the serial line. Reading waits for bytes and ends when the [`Rig`] is gone.
#[derive(Debug)]
pub struct SerialEnd {
    from_host: Receiver<Vec<u8>>,
    /// What was received and not yet read.
    rest: Vec<u8>,
    to_host: SerialWriter,
}

/// The half of a [`SerialEnd`] that writes. It never waits: what the host does not fetch is lost beyond 256 writes.
#[derive(Clone, Debug)]
pub struct SerialWriter {
    to_host: SyncSender<Vec<u8>>,
    socket: std::sync::Weak<Socket<Serial>>,
}

impl Rig {
    /// A serial port whose USB serial number is `serial`, and the controller's end of it.
    ///
    /// # Errors
    /// If `serial` is no USB string as in [`BoardConfig::serial`](crate::BoardConfig::serial).
    pub fn new(serial: &str) -> Result<(Self, SerialEnd), ConfigError> {
        let (device, from_host, to_host) = Serial::new(serial)?;
        let socket = Arc::new(Socket::new(device));
        let to_host = SerialWriter { to_host, socket: Arc::downgrade(&socket) };
        Ok((Self { socket }, SerialEnd { from_host, rest: Vec::new(), to_host }))
    }
}

impl SerialEnd {
    /// Another way to write, for another thread.
    pub fn writer(&self) -> SerialWriter {
        self.to_host.clone()
    }

    /// What the host has sent since, without waiting.
    pub fn take(&mut self) -> Vec<u8> {
        let mut bytes = std::mem::take(&mut self.rest);
        bytes.extend(self.from_host.try_iter().flatten());
        bytes
    }
}

impl Read for SerialEnd {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.rest.is_empty() {
            let Ok(bytes) = self.from_host.recv() else { return Ok(0) };
            self.rest = bytes;
        }
        let count = into.len().min(self.rest.len());
        for (to, from) in into.iter_mut().zip(self.rest.drain(..count)) {
            *to = from;
        }
        Ok(count)
    }
}

impl Write for SerialEnd {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.to_host.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Write for SerialWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let gone = || io::Error::new(io::ErrorKind::BrokenPipe, "the rig is gone");
        let socket = self.socket.upgrade().ok_or_else(gone)?;
        if let Err(TrySendError::Disconnected(_)) = self.to_host.try_send(bytes.to_vec()) {
            return Err(gone());
        }
        socket.notify();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Device for Rig {
    fn port(&self) -> Arc<Port> {
        Arc::clone(&self.socket) as Arc<Port>
    }
}
