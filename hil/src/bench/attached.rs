//! What is attached by USB, as the kernel tells under `/sys`.

use super::board::{Board, Place};
use rustix::fs::{Access, access};
use std::fs;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Where the kernel tells it.
pub(crate) const DEVICES: &str = "/sys/bus/usb/devices";

/// A USB device.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Attached {
    /// Where it is plugged in, such as `1-1.4`.
    pub(crate) path: String,
    /// What it calls itself.
    pub(crate) product: Option<String>,
    pub(crate) serial: Option<String>,
    /// Its video nodes, such as `/dev/video0`; the first one is that which captures.
    pub(crate) video: Vec<PathBuf>,
    /// Its serial port.
    pub(crate) port: Option<PathBuf>,
}

/// Why a board is not to be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum NotUsable {
    #[error("it is not attached: no device has {0}{1}")]
    Away(Place, String),
    #[error("two boards have {place} (at {paths}): name each by usb-path")]
    Twice { place: Place, paths: String },
    #[error("it is attached at {0}, and the kernel made no video device of it: is the module uvcvideo loaded?")]
    NoVideo(String),
    #[error("no permission to use {}: add yourself to its group, which is often 'video'", .0.display())]
    NoPermission(PathBuf),
    #[error("it is made of software: `doorframe-hil vm` tests it")]
    Virtual,
}

/// Everything that is attached, in the order of its places.
pub(crate) fn attached(devices: &Path) -> Vec<Attached> {
    let names = |path: &Path| -> Vec<String> {
        let entries = fs::read_dir(path).into_iter().flatten().flatten();
        let mut names: Vec<_> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    };
    let all = names(devices);
    // Interfaces have a colon in their names, root hubs begin with "usb".
    let places = all.iter().filter(|name| super::board::is_usb_path(name));
    places
        .map(|place| {
            let folder = devices.join(place);
            let text = |name| {
                let text = fs::read_to_string(folder.join(name)).ok()?;
                Some(text.trim().to_owned()).filter(|text| !text.is_empty())
            };
            let prefix = format!("{place}:");
            let interfaces = all.iter().filter(|name| name.starts_with(&prefix)).map(|name| devices.join(name));
            let mut one = Attached {
                path: place.clone(),
                product: text("product"),
                serial: text("serial"),
                ..Attached::default()
            };
            for interface in interfaces {
                let video = names(&interface.join("video4linux"));
                one.video.extend(video.iter().map(|node| Path::new("/dev").join(node)));
                let port = names(&interface.join("tty")).into_iter().next();
                one.port = one.port.or_else(|| port.map(|port| Path::new("/dev").join(port)));
            }
            one.video.sort_by_key(|path| (path.as_os_str().len(), path.clone()));
            one
        })
        .collect()
}

impl Board {
    /// The board among what is attached.
    pub(crate) fn find<'a>(&self, attached: &'a [Attached]) -> Result<&'a Attached, NotUsable> {
        let found: Vec<_> = match &self.place {
            Place::Virtual => return Err(NotUsable::Virtual),
            Place::UsbPath(path) => attached.iter().filter(|one| one.path == *path).collect(),
            Place::Serial(serial) => attached.iter().filter(|one| one.serial.as_deref() == Some(serial)).collect(),
        };
        match found.as_slice() {
            [one] => Ok(one),
            [] => {
                let cameras: Vec<_> =
                    attached.iter().filter(|one| !one.video.is_empty()).map(Attached::words).collect();
                let others =
                    if cameras.is_empty() { String::new() } else { format!("; cameras are {}", cameras.join(", ")) };
                Err(NotUsable::Away(self.place.clone(), others))
            }
            many => {
                let paths: Vec<_> = many.iter().map(|one| one.path.as_str()).collect();
                Err(NotUsable::Twice { place: self.place.clone(), paths: paths.join(" and ") })
            }
        }
    }

    /// Its video node, if it may be used.
    pub(crate) fn video(&self, attached: &[Attached]) -> Result<PathBuf, NotUsable> {
        let one = self.find(attached)?;
        let node = one.video.first().ok_or_else(|| NotUsable::NoVideo(one.path.clone()))?;
        match access(node, Access::READ_OK | Access::WRITE_OK) {
            Err(rustix::io::Errno::ACCESS) => Err(NotUsable::NoPermission(node.clone())),
            _ => Ok(node.clone()),
        }
    }
}

impl Attached {
    /// Where it is and what it calls itself.
    pub(crate) fn words(&self) -> String {
        let product = self.product.as_deref().unwrap_or("a device without a name");
        let serial = self.serial.as_deref().map(|serial| format!(", serial {serial}")).unwrap_or_default();
        let text = format!("{} ({product}{serial})", self.path);
        text.chars().map(|letter| if letter.is_control() { '\u{fffd}' } else { letter }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A tree as the kernel makes it.
    fn tree(devices: &[(&str, &str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (place, serial, node) in devices {
            let device = folder.path().join(place);
            fs::create_dir_all(&device).unwrap();
            fs::write(device.join("serial"), format!("{serial}\n")).unwrap();
            fs::write(device.join("product"), "Cam\n").unwrap();
            let class = if node.starts_with("tty") { "tty" } else { "video4linux" };
            fs::create_dir_all(folder.path().join(format!("{place}:1.0")).join(class).join(node)).unwrap();
        }
        fs::create_dir_all(folder.path().join("usb1")).unwrap();
        folder
    }

    fn board(place: Place) -> Board {
        let name = "porch".to_owned().try_into().unwrap();
        Board { name, place, modes: Vec::new(), can: Default::default(), power: None, rig: None }
    }

    #[test]
    fn a_board_is_found_by_its_place_or_its_serial_number() {
        let tree = tree(&[("1-1.4", "A1", "video2"), ("1-1.2", "R1", "ttyACM0")]);
        let attached = attached(tree.path());
        assert_eq!(attached.len(), 2);
        assert_eq!(attached[0].port.as_deref(), Some(Path::new("/dev/ttyACM0")));
        for place in [Place::UsbPath("1-1.4".to_owned()), Place::Serial("A1".to_owned())] {
            assert_eq!(board(place).find(&attached).unwrap().video, [Path::new("/dev/video2")]);
        }
    }

    #[test]
    fn why_a_board_is_not_usable_is_said() {
        let tree = tree(&[("1-1.4", "A1", "video2"), ("1-1.3", "A1", "video0"), ("1-1.2", "R1", "ttyACM0")]);
        let attached = attached(tree.path());
        let why = |place| board(place).video(&attached).unwrap_err().to_string();
        assert_eq!(
            why(Place::Serial("A1".to_owned())),
            "two boards have USB serial number A1 (at 1-1.3 and 1-1.4): name each by usb-path"
        );
        assert_eq!(
            why(Place::Serial("B2".to_owned())),
            "it is not attached: no device has USB serial number B2; cameras are 1-1.3 (Cam, serial A1), 1-1.4 (Cam, serial A1)"
        );
        assert!(why(Place::UsbPath("1-1.2".to_owned())).contains("is the module uvcvideo loaded?"));
        assert_eq!(why(Place::Virtual), "it is made of software: `doorframe-hil vm` tests it");
    }
}
