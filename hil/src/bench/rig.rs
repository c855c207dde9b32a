//! A rig's file.

use super::attached::Attached;
use super::board::is_usb_path;
use super::file::{File, FileError, Name};
use doorframe_rig::host::{Rig, RigError};
use doorframe_rig::serial::Serial;
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::time::Duration;
use thiserror::Error;
use toml::Spanned;

/// A rig as its file says it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RigFile {
    pub(crate) name: Name,
    place: Place,
}

/// How a rig is found.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    /// The serial device, such as `/dev/ttyACM0`.
    Port(PathBuf),
    /// The serial device of the USB device that is plugged in there.
    UsbPath(String),
    /// The serial device of the USB device with this serial number.
    Serial(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Raw {
    port: Option<Spanned<PathBuf>>,
    usb_path: Option<Spanned<String>>,
    serial: Option<Spanned<String>>,
}

/// Why a rig cannot be used.
#[derive(Debug, Error)]
pub(crate) enum RigFileError {
    #[error("no USB device {0} is attached that has a serial port")]
    Away(String),
    #[error("{count} USB devices {place} are attached: name the rig by usb-path")]
    Twice { place: String, count: usize },
    #[error("cannot open the rig's port {path}: {error}{hint}")]
    Open { path: PathBuf, error: std::io::Error, hint: &'static str },
    #[error("the rig at {path}: {error}")]
    Rig { path: PathBuf, error: RigError },
}

impl RigFile {
    /// Reads a rig's file.
    pub(crate) fn read(path: &Path) -> Result<Self, FileError> {
        let file = File::read(path)?;
        let name = file.name()?;
        let raw: Raw = file.parse()?;
        let place = match (raw.port, raw.usb_path, raw.serial) {
            (Some(port), None, None) => Place::Port(port.into_inner()),
            (None, Some(path), None) if is_usb_path(path.as_ref()) => Place::UsbPath(path.into_inner()),
            (None, None, Some(serial)) => Place::Serial(serial.into_inner()),
            (port, path, serial) => {
                let what =
                    "say where the rig is, once: port = \"/dev/ttyACM0\", usb-path = \"1-1.4\" or serial = \"...\"";
                let spans =
                    [port.map(|port| port.span()), path.map(|path| path.span()), serial.map(|serial| serial.span())];
                let last = spans.into_iter().flatten().max_by_key(|span| span.start);
                return Err(file.wrong(last.unwrap_or_default(), what));
            }
        };
        Ok(Self { name, place })
    }

    /// Its serial device.
    pub(crate) fn port(&self, attached: &[Attached]) -> Result<PathBuf, RigFileError> {
        let (place, found): (_, Vec<_>) = match &self.place {
            Place::Port(path) => return Ok(path.clone()),
            Place::UsbPath(path) => (format!("at {path}"), attached.iter().filter(|one| one.path == *path).collect()),
            Place::Serial(serial) => {
                let found = attached.iter().filter(|one| one.serial.as_deref() == Some(serial)).collect();
                (format!("with serial number {serial}"), found)
            }
        };
        match found.as_slice() {
            [one] => one.port.clone().ok_or(RigFileError::Away(place)),
            [] => Err(RigFileError::Away(place)),
            many => Err(RigFileError::Twice { place, count: many.len() }),
        }
    }

    /// Opens it, and has it answer. It rests by itself if it then hears nothing for `quiet`; zero changes nothing.
    pub(crate) fn open(&self, attached: &[Attached], quiet: Duration) -> Result<Rig<Serial>, RigFileError> {
        let path = self.port(attached)?;
        let port = Serial::open(&path).map_err(|error| {
            let hint = match error.kind() {
                std::io::ErrorKind::PermissionDenied => ": you are not in its group, which is often 'dialout'",
                std::io::ErrorKind::ResourceBusy => ": another program has it open",
                _ => "",
            };
            RigFileError::Open { path: path.clone(), error, hint }
        })?;
        Rig::open(port, quiet).map_err(|error| RigFileError::Rig { path, error })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rig_is_found_by_its_serial_number_and_not_guessed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("desk.toml");
        std::fs::write(&path, "serial = \"R1\"\n").unwrap();
        let rig = RigFile::read(&path).unwrap();
        let one = |path: &str| Attached {
            path: path.to_owned(),
            serial: Some("R1".to_owned()),
            port: Some("/dev/ttyACM0".into()),
            ..Attached::default()
        };
        assert_eq!(rig.port(&[one("1-1")]).unwrap(), Path::new("/dev/ttyACM0"));
        let twice = rig.port(&[one("1-1"), one("1-2")]).unwrap_err();
        assert_eq!(twice.to_string(), "2 USB devices with serial number R1 are attached: name the rig by usb-path");
        assert_eq!(
            rig.port(&[]).unwrap_err().to_string(),
            "no USB device with serial number R1 is attached that has a serial port"
        );
        std::fs::write(&path, "serial = \"R1\"\nport = \"/dev/ttyACM0\"\n").unwrap();
        let error = RigFile::read(&path).unwrap_err().to_string();
        assert!(error.ends_with("desk.toml, line 2: say where the rig is, once: port = \"/dev/ttyACM0\", usb-path = \"1-1.4\" or serial = \"...\""), "{error}");
    }
}
