//! A board's file.

use super::file::{File, FileError, Name};
use doorframe_codec::units::{FrameRate, Size};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;
use toml::Spanned;

/// A board as its file says it is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Board {
    pub(crate) name: Name,
    pub(crate) place: Place,
    /// What it must deliver.
    pub(crate) modes: Vec<Mode>,
    pub(crate) can: BTreeSet<Ability>,
    pub(crate) power: Option<Power>,
    /// The rig it is wired to.
    pub(crate) rig: Option<Name>,
}

/// How a board is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Whatever is plugged in there, such as `1-1.4`.
    UsbPath(String),
    /// The USB device with this serial number.
    Serial(String),
    /// It is made of software.
    Virtual,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UsbPath(path) => write!(f, "USB path {path}"),
            Self::Serial(serial) => write!(f, "USB serial number {serial}"),
            Self::Virtual => f.write_str("virtual"),
        }
    }
}

/// A format, a size and a rate that a board must deliver.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Mode {
    pub(crate) fourcc: [u8; 4],
    pub(crate) size: Size,
    pub(crate) rate: FrameRate,
}

/// What a board has besides pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Ability {
    /// A button that rings.
    Button,
    /// It comes back after the machine was suspended.
    Suspend,
    /// A temperature that the machine can read.
    Temperature,
}

/// What switches a board's power.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Power {
    /// A port of a hub, by the hub's USB path (`1-1`, or `usb1` for a root hub) and its number from 1.
    Port { hub: String, port: u8 },
    /// The rig.
    Rig,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Raw {
    usb_path: Option<Spanned<String>>,
    serial: Option<Spanned<String>>,
    #[serde(rename = "virtual")]
    made: Option<Spanned<bool>>,
    modes: Spanned<Vec<Spanned<String>>>,
    #[serde(default)]
    can: BTreeSet<Ability>,
    power: Option<Spanned<RawPower>>,
    rig: Option<Name>,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct RawPower {
    hub: Option<String>,
    port: Option<u8>,
    by: Option<By>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum By {
    Rig,
}

impl Board {
    /// Reads a board's file.
    pub(crate) fn read(path: &Path) -> Result<Self, FileError> {
        let file = File::read(path)?;
        let name = file.name()?;
        let raw: Raw = file.parse()?;
        let place = place(&file, &raw)?;
        if raw.modes.as_ref().is_empty() {
            let what = "a board has at least one mode, such as \"MJPG 1280x720@30\"";
            return Err(file.wrong(raw.modes.span(), what));
        }
        let modes = raw.modes.as_ref().iter();
        let modes = modes.map(|mode| Mode::parse(mode.as_ref()).map_err(|what| file.wrong(mode.span(), what)));
        let modes = modes.collect::<Result<_, _>>()?;
        let power = raw.power.as_ref().map(|raw| power(&file, raw)).transpose()?;
        if let (Some(Power::Rig), None, Some(raw)) = (&power, &raw.rig, &raw.power) {
            return Err(file.wrong(raw.span(), "power is switched by the rig, and no rig is named: add rig = \"NAME\""));
        }
        Ok(Self { name, place, modes, can: raw.can, power, rig: raw.rig })
    }
}

fn place(file: &File, raw: &Raw) -> Result<Place, FileError> {
    let what = "say where the board is, once: usb-path = \"1-1.4\", serial = \"...\", or virtual = true";
    match (&raw.usb_path, &raw.serial, &raw.made) {
        (Some(path), None, None) => {
            if !is_usb_path(path.as_ref()) {
                let what = format!("'{}' is no USB path: 1-1.4 is one, as under /sys/bus/usb/devices", path.as_ref());
                return Err(file.wrong(path.span(), what));
            }
            Ok(Place::UsbPath(path.as_ref().clone()))
        }
        (None, Some(serial), None) if !serial.as_ref().trim().is_empty() => Ok(Place::Serial(serial.as_ref().clone())),
        (None, None, Some(made)) if *made.as_ref() => Ok(Place::Virtual),
        (None, None, None) => Err(file.wrong(0..0, what)),
        (path, serial, made) => {
            let spans = [
                path.as_ref().map(Spanned::span),
                serial.as_ref().map(Spanned::span),
                made.as_ref().map(Spanned::span),
            ];
            Err(file.wrong(spans.into_iter().flatten().max_by_key(|span| span.start).unwrap_or_default(), what))
        }
    }
}

fn power(file: &File, raw: &Spanned<RawPower>) -> Result<Power, FileError> {
    let what = "power is { hub = \"1-1\", port = 4 }, or { by = \"rig\" }";
    let RawPower { hub, port, by } = raw.as_ref();
    match (hub, port, by) {
        (Some(hub), Some(port), None) if *port > 0 && (is_usb_path(hub) || is_root_hub(hub)) => {
            Ok(Power::Port { hub: hub.clone(), port: *port })
        }
        (None, None, Some(By::Rig)) => Ok(Power::Rig),
        (Some(hub), Some(_), None) => Err(file.wrong(
            raw.span(),
            format!("{what}; the hub is '{hub}', and 1-1 or usb1 would do, its ports count from 1"),
        )),
        _ => Err(file.wrong(raw.span(), what)),
    }
}

/// `BUS-PORT.PORT`, as the kernel names what is plugged in.
pub(crate) fn is_usb_path(path: &str) -> bool {
    let number = |part: &str| !part.is_empty() && part.len() <= 3 && part.bytes().all(|byte| byte.is_ascii_digit());
    path.split_once('-')
        .is_some_and(|(bus, ports)| number(bus) && ports.split('.').count() <= 7 && ports.split('.').all(number))
}

fn is_root_hub(hub: &str) -> bool {
    hub.strip_prefix("usb")
        .is_some_and(|bus| !bus.is_empty() && bus.len() <= 3 && bus.bytes().all(|byte| byte.is_ascii_digit()))
}

impl Mode {
    fn parse(text: &str) -> Result<Self, String> {
        let parsed = || {
            let (fourcc, rest) = text.split_once(' ')?;
            let (size, rate) = rest.split_once('@')?;
            let (width, height) = size.split_once('x')?;
            Some(Self {
                fourcc: fourcc.as_bytes().try_into().ok()?,
                size: Size::new(width.parse().ok()?, height.parse().ok()?)?,
                rate: FrameRate::whole(rate.parse().ok()?)?,
            })
        };
        parsed().ok_or_else(|| {
            format!("'{text}' is no mode: \"MJPG 1280x720@30\" is one (format, even width and height, frames a second)")
        })
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} at {}", String::from_utf8_lossy(&self.fourcc), self.size, self.rate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Board, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("porch.toml");
        std::fs::write(&path, text).unwrap();
        Board::read(&path).map_err(|error| error.to_string().rsplit_once("porch.toml, ").unwrap().1.to_owned())
    }

    #[test]
    fn a_board_is_read() {
        let board = read(
            "serial = \"A1\"\nmodes = [\"MJPG 1280x720@30\"]\ncan = [\"button\"]\nrig = \"desk\"\npower = { hub = \"1-1\", port = 4 }\n",
        );
        let board = board.unwrap();
        assert_eq!((board.name.as_str(), &board.place), ("porch", &Place::Serial("A1".to_owned())));
        assert_eq!(board.power, Some(Power::Port { hub: "1-1".to_owned(), port: 4 }));
        assert_eq!(board.modes[0].to_string(), "MJPG 1280x720 at 30 fps");
    }

    #[test]
    fn every_mistake_is_named_with_its_line_and_what_would_do() {
        let modes = "modes = [\"YUYV 640x480@30\"]";
        for (text, words) in [
            (format!("{modes}\nusbpath = \"1-1\""), "line 2: unknown field `usbpath`, expected one of `usb-path`"),
            (modes.to_owned(), "line 1: say where the board is, once: usb-path = \"1-1.4\""),
            (format!("{modes}\nserial = \"A\"\nusb-path = \"1-1\""), "line 3: say where the board is, once"),
            (format!("{modes}\nusb-path = \"/dev/video0\""), "line 2: '/dev/video0' is no USB path: 1-1.4 is one"),
            (
                "virtual = true\nmodes = [\"640x480\"]".to_owned(),
                "line 2: '640x480' is no mode: \"MJPG 1280x720@30\" is one",
            ),
            ("virtual = true\nmodes = []".to_owned(), "line 2: a board has at least one mode"),
            (
                format!("virtual = true\n{modes}\ncan = [\"fly\"]"),
                "line 3: unknown variant `fly`, expected one of `button`",
            ),
            (
                format!("virtual = true\n{modes}\npower = {{ by = \"rig\" }}"),
                "line 3: power is switched by the rig, and no rig",
            ),
            (
                format!("virtual = true\n{modes}\npower = {{ hub = \"x\", port = 1 }}"),
                "line 3: power is { hub = \"1-1\", port = 4 }",
            ),
            (format!("virtual = true\n{modes}\nrig = \"My Rig\""), "line 3: 'My Rig' is no name: 1 to 40 of a-z"),
            (format!("virtual = true\n{modes}\nserial"), "line 3: "),
        ] {
            let error = read(&text).unwrap_err();
            assert!(error.starts_with(words), "{error}\nis not\n{words}");
        }
    }
}
