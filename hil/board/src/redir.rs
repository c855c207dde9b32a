//! usbredir 0.7, the side of the device: for QEMU's `usb-redir`.

mod machine;
mod message;

use crate::port::Device;
use crate::serve::{ServeError, Serving, run};
pub(crate) use machine::Redir;
use std::os::unix::net::UnixStream;

/// Serves a device to whoever speaks usbredir on `socket`: QEMU with `-chardev socket,path=PATH,server=on,id=ID` and
/// `-device usb-redir,chardev=ID`, on a `qemu-xhci`.
///
/// A device that leaves the bus does so on the same connection, and comes back on it.
///
/// # Errors
/// If the device is served already, or there is no thread to be had.
pub fn serve_usbredir(device: &impl Device, socket: UnixStream) -> Result<Serving, ServeError> {
    Serving::start(device, || Ok(socket), |socket, port, stop| run(Redir::new(), port, &socket, stop))
}
