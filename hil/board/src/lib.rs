//! A camera board and its rig controller made of software, on a real bus.
//!
//! A [`Board`] is a USB Video Class device with a button, a [`Rig`] a CDC-ACM one. Each is served to a USB host over a
//! socket: to QEMU as [usbredir](serve_usbredir), or to Linux' `vhci_hcd` as [USB/IP](serve_usbip). What the host's
//! drivers see is a device like any other; every frame carries its number as a [`block_code`], and what goes wrong is a
//! [`FaultPlan`].
//!
//! The devices are machines without a clock, a thread or a socket; [`Serving`] has those.

#![forbid(unsafe_code)]

mod armed;
pub mod block_code;
mod board;
mod camera;
mod coder;
mod config;
mod fault;
#[doc(hidden)]
pub mod fuzzing;
mod picture;
mod port;
mod redir;
mod rig;
mod serial;
mod serve;
pub mod usb;
mod usbip;

pub use board::Board;
pub use camera::{Delivered, Fired, Light};
pub use config::{BoardConfig, ConfigError, Format, Frames, ISO_BYTES, MAX_MODES, Mode, Transfer};
pub use fault::{Event, Fault, FaultPlan, MAX_FAULTS, MAX_MS, PlanError, What, When};
pub use picture::{Picture, PictureError};
pub use port::{Device, Port};
pub use redir::serve_usbredir;
pub use rig::{Rig, SerialEnd, SerialWriter};
pub use serve::{Ended, ServeError, Serving};
pub use usbip::{serve_usbip, serve_vhci};
