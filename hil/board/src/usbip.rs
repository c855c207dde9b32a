//! USB/IP, the side of the device: for Linux' `vhci_hcd`.

mod machine;
mod message;

use crate::port::{Device, Port};
use crate::serve::{Ended, ServeError, Serving, Stop, run};
use crate::usb::Plug;
pub(crate) use machine::UsbIp;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// Where `vhci_hcd` takes devices.
const ATTACH: &str = "/sys/devices/platform/vhci_hcd.0/attach";
/// High speed, as `enum usb_device_speed` numbers it.
const HIGH_SPEED: u8 = 3;
/// How often a device that is off the bus is looked at.
const LOOK: Duration = Duration::from_millis(50);

/// Serves a device on a connected stream socket whose other end `vhci_hcd` has, or will have.
///
/// A device that leaves the bus ends the connection: that is how USB/IP says so. See [`serve_vhci`].
///
/// # Errors
/// If the device is served already, or there is no thread to be had.
pub fn serve_usbip(device: &impl Device, socket: OwnedFd) -> Result<Serving, ServeError> {
    Serving::start(device, || Ok(socket.into()), |socket, port, stop| run(UsbIp::new(), port, &socket, stop))
}

/// Plugs a device into port `vhci` of this machine's `vhci_hcd`, and again after it has been off the bus.
///
/// Takes root, and `modprobe vhci_hcd`. Ports for high speed are 0 to 7 on most systems.
///
/// # Errors
/// If the device is served already, or the kernel does not take it. If it does not take it again, serving ends with that.
pub fn serve_vhci(device: &impl Device, vhci: u8) -> Result<Serving, ServeError> {
    let first = || attach(vhci);
    Serving::start(device, first, move |mut socket, port, stop| {
        loop {
            let ended = run(UsbIp::new(), port, &socket, stop)?;
            if ended != Ended::Unplugged || !is_back(port, stop) {
                return Ok(ended);
            }
            socket = attach(vhci)?;
        }
    })
}

/// Waits until the device is back; false if the end was asked for.
fn is_back(port: &Port, stop: &Stop) -> bool {
    loop {
        if stop.is_asked() {
            return false;
        }
        let now = port.now();
        let Plug::Out(back) = port.lock().poll_plug(now) else { return true };
        port.wait(Some(back.unwrap_or(now + LOOK).min(now + LOOK)));
    }
}

/// Gives one end of a socket to the kernel; the other.
fn attach(vhci: u8) -> Result<UnixStream, ServeError> {
    let (ours, kernels) = UnixStream::pair()?;
    // Port, socket, bus and device number of the far side, speed.
    let line = format!("{vhci} {} {} {HIGH_SPEED}", kernels.as_raw_fd(), 1 << 16 | (u32::from(vhci) + 2));
    std::fs::write(ATTACH, line).map_err(|error| ServeError::Attach { path: ATTACH, error, port: vhci })?;
    Ok(ours)
}
