//! A camera board, as its owner holds it.

use crate::camera::{Camera, Delivered, Light};
use crate::config::{BoardConfig, ConfigError};
use crate::port::{Device, Port, Socket};
use std::sync::Arc;

/// A camera board. Clones are the same board.
///
/// It is on no bus until it is [served](crate::serve_usbredir). What it counts and its frame numbers go on when it is
/// served again, as does what its fault plan has fired.
#[derive(Clone, Debug)]
pub struct Board {
    socket: Arc<Socket<Camera>>,
}

impl Board {
    /// A board as `config` says, plugged in.
    ///
    /// # Errors
    /// The first thing of `config` that is out of range.
    pub fn new(config: BoardConfig) -> Result<Self, ConfigError> {
        Ok(Self { socket: Arc::new(Socket::new(Camera::new(config)?)) })
    }

    /// Presses the button, and lets it go: the host sees a press of `KEY_CAMERA` while it holds the video node open.
    pub fn press(&self) {
        let now = self.socket.now();
        self.socket.lock().handle_press(now);
        self.socket.notify();
    }

    /// Turns the lamp before the camera on or off, seen after the latency of the board.
    pub fn light(&self, light: Light) {
        let now = self.socket.now();
        self.socket.lock().handle_light(now, light);
    }

    /// Takes the board off the bus, until [`Board::plug`].
    pub fn unplug(&self) {
        self.socket.lock().handle_unplug();
        self.socket.notify();
    }

    /// Puts the board back on the bus, unconfigured, whatever took it off.
    pub fn plug(&self) {
        self.socket.lock().handle_plug();
        self.socket.notify();
    }

    /// What it has sent, and which faults it has fired, until now.
    pub fn delivered(&self) -> Delivered {
        self.socket.lock().delivered().clone()
    }
}

impl Device for Board {
    fn port(&self) -> Arc<Port> {
        Arc::clone(&self.socket) as Arc<Port>
    }
}
