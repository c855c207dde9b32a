//! Power of a hub's port.
//!
//! The kernel's own switch first (`disable` under `/sys`, Linux 6.0 and later): it takes the device away at once. A port whose
//! power is cut behind the kernel's back stays listed until it is back, which is why that comes second.

use doorframe_rig::message::Level;
use nusb::MaybeFuture;
use nusb::transfer::{ControlOut, ControlType, Recipient};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use thiserror::Error;

/// USB 2.0 §11.24.2: requests to a hub.
const CLEAR_FEATURE: u8 = 1;
const SET_FEATURE: u8 = 3;
const PORT_POWER: u16 = 8;
const ANSWER: Duration = Duration::from_millis(500);

/// A port's switch.
#[derive(Debug)]
pub(crate) enum PortSwitch {
    /// The kernel's.
    Kernel(PathBuf),
    /// The hub's own, without the kernel.
    Hub { hub: Box<nusb::DeviceInfo>, port: u8 },
}

/// Why a port cannot be switched.
#[derive(Debug, Error)]
pub(crate) enum SwitchError {
    #[error("there is no hub {0}: `lsusb -t` shows which there are")]
    NoHub(String),
    #[error("no permission to switch {0}: root may, and who a udev rule lets write there")]
    NoPermission(String),
    #[error("cannot switch {what}: {error}")]
    Failed { what: String, error: io::Error },
}

impl PortSwitch {
    /// Port `port` of the hub at `hub` (`1-1`, or `usb1`), as the kernel lists it in `devices`.
    pub(crate) fn find(devices: &Path, hub: &str, port: u8) -> Result<Self, SwitchError> {
        // A root hub's interface is named by its bus alone.
        let interface = hub.strip_prefix("usb").map_or_else(|| format!("{hub}:1.0"), |bus| format!("{bus}-0:1.0"));
        let path = devices.join(interface).join(format!("{hub}-port{port}")).join("disable");
        if path.exists() {
            return Ok(Self::Kernel(path));
        }
        let missing = || SwitchError::NoHub(hub.to_owned());
        let found = match hub.strip_prefix("usb") {
            Some(bus) => {
                let bus: u8 = bus.parse().map_err(|_| missing())?;
                let mut buses = nusb::list_buses().wait().map_err(|_| missing())?;
                buses.find(|one| one.busnum() == bus).map(|one| one.root_hub().clone())
            }
            None => {
                let mut all = nusb::list_devices().wait().map_err(|_| missing())?;
                all.find(|one| place(one.busnum(), one.port_chain()) == hub)
            }
        };
        Ok(Self::Hub { hub: Box::new(found.ok_or_else(missing)?), port })
    }

    /// Switches it. That nothing was refused proves nothing.
    pub(crate) fn set(&self, level: Level) -> Result<(), SwitchError> {
        match self {
            Self::Kernel(path) => {
                let text = if level == Level::On { "0" } else { "1" };
                fs::write(path, text).map_err(|error| failed(path.display().to_string(), error))
            }
            Self::Hub { hub, port } => {
                let what = format!("port {port} of hub {}", place(hub.busnum(), hub.port_chain()));
                let hub = hub.open().wait().map_err(|error| failed(what.clone(), error.into()))?;
                let request = ControlOut {
                    control_type: ControlType::Class,
                    recipient: Recipient::Other,
                    request: if level == Level::On { SET_FEATURE } else { CLEAR_FEATURE },
                    value: PORT_POWER,
                    index: (*port).into(),
                    data: &[],
                };
                hub.control_out(request, ANSWER).wait().map_err(|error| failed(what, error.into()))
            }
        }
    }
}

fn failed(what: String, error: io::Error) -> SwitchError {
    match error.kind() {
        io::ErrorKind::PermissionDenied => SwitchError::NoPermission(what),
        _ => SwitchError::Failed { what, error },
    }
}

/// As the kernel names it.
fn place(bus: u8, ports: &[u8]) -> String {
    let ports: Vec<_> = ports.iter().map(u8::to_string).collect();
    format!("{bus}-{}", ports.join("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_own_switch_comes_first() {
        for (hub, below) in [("1-1", "1-1:1.0/1-1-port4"), ("usb2", "2-0:1.0/usb2-port4")] {
            let devices = tempfile::tempdir().unwrap();
            let port = devices.path().join(below);
            fs::create_dir_all(&port).unwrap();
            fs::write(port.join("disable"), "0").unwrap();
            let switch = PortSwitch::find(devices.path(), hub, 4).unwrap();
            switch.set(Level::Off).unwrap();
            assert_eq!(fs::read_to_string(port.join("disable")).unwrap(), "1");
            switch.set(Level::On).unwrap();
            assert_eq!(fs::read_to_string(port.join("disable")).unwrap(), "0");
        }
    }

    #[test]
    fn a_place_is_named_as_the_kernel_does() {
        assert_eq!(place(1, &[1, 4]), "1-1.4");
    }
}
