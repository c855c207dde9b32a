//! Cameras of Linux: what there are, what they offer, and how they are opened.

mod camera;
mod coded;
mod ioctl;
mod modes;
#[cfg(feature = "v4l2-m2m")]
pub(crate) mod mplane;
mod stamp;
mod stream;

pub use camera::Camera;
pub use coded::CodedCamera;
#[cfg(feature = "v4l2-m2m")]
pub(crate) use ioctl::{Control, Failed as CallFailed, set as set_control, wait as wait_for};
pub use modes::{FourCc, Mode};

use super::{SensorError, Wanted};
use doorframe_codec::units::{FrameRate, Size};
use ioctl::{
    CAP_META_CAPTURE, CAP_STREAMING, CAP_VIDEO_CAPTURE, CAP_VIDEO_CAPTURE_MPLANE, Capability, DISCRETE, Failed,
    FormatDescription, Fraction, FrameInterval, FrameSize,
};
use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// A device node and what it is good for.
#[derive(Debug)]
pub struct Device {
    /// Where it is.
    pub path: PathBuf,
    /// What it calls itself; empty if it could not be asked.
    pub name: String,
    /// Driver and bus, such as `uvcvideo on usb-0000:00:14.0-1`; empty if it could not be asked.
    pub driver: String,
    /// What it offers, also what is not understood here.
    pub modes: Vec<Mode>,
    /// Why it cannot be used; `None` if it can, unless another program has it.
    pub trouble: Option<SensorError>,
}

/// Every V4L2 node of this machine in the order of their numbers, usable or not.
pub fn list() -> Vec<Device> {
    nodes().into_iter().map(examine).collect()
}

/// `/dev/video*`, by number.
pub(crate) fn nodes() -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir("/dev") else { return Vec::new() };
    let number = |name: &str| name.strip_prefix("video").and_then(|digits| digits.parse::<u32>().ok());
    let mut nodes: Vec<_> =
        entries.flatten().filter_map(|entry| Some((number(entry.file_name().to_str()?)?, entry.path()))).collect();
    nodes.sort();
    nodes.into_iter().map(|(_, path)| path).collect()
}

fn examine(path: PathBuf) -> Device {
    let mut device = Device { path, name: String::new(), driver: String::new(), modes: Vec::new(), trouble: None };
    device.trouble = look_into(&mut device).err();
    device
}

fn look_into(device: &mut Device) -> Result<(), SensorError> {
    let file = open_node(&device.path)?;
    let capability = capability(&file, &device.path)?;
    device.name = card(&capability.card);
    device.driver = format!("{} on {}", text(&capability.driver), text(&capability.bus_info));
    check_capability(&capability, &device.path)?;
    device.modes = modes(&file, Wanted::HD);
    match modes::choose(&device.modes, Wanted::HD) {
        Some(_) => Ok(()),
        None => Err(no_format(&device.path, &device.modes)),
    }
}

fn open_node(path: &Path) -> Result<File, SensorError> {
    OpenOptions::new().read(true).write(true).custom_flags(libc::O_NONBLOCK).open(path).map_err(|error| {
        let path = path.to_owned();
        match error.raw_os_error() {
            Some(libc::ENOENT | libc::ENODEV | libc::ENXIO | libc::ENOTDIR) => {
                SensorError::NoDevice { path, found: found() }
            }
            Some(libc::EACCES | libc::EPERM) => SensorError::Permission(path),
            Some(libc::EBUSY) => SensorError::Busy(path),
            Some(libc::EISDIR) => SensorError::NotACamera { path, why: "it is a folder" },
            _ => SensorError::Device { camera: path.display().to_string(), what: "opening it", error },
        }
    })
}

/// The nodes of this machine, for a message.
fn found() -> String {
    let nodes = nodes();
    if nodes.is_empty() {
        return "this machine has none (no /dev/video*)".to_owned();
    }
    let names: Vec<_> = nodes.iter().map(|path| path.display().to_string()).collect();
    format!("this machine has {}", names.join(", "))
}

fn capability(file: &File, path: &Path) -> Result<Capability, SensorError> {
    let mut capability = Capability::default();
    ioctl::call(file, ioctl::QUERYCAP, &mut capability).map_err(|failed| match failed.code() {
        libc::ENOTTY | libc::EINVAL => SensorError::NotACamera { path: path.to_owned(), why: "it does not speak V4L2" },
        _ => trouble(&path.display().to_string(), path, failed),
    })?;
    Ok(capability)
}

fn check_capability(capability: &Capability, path: &Path) -> Result<(), SensorError> {
    let can = capability.of_this_node();
    let why = if can & CAP_VIDEO_CAPTURE != 0 {
        if can & CAP_STREAMING != 0 {
            return Ok(());
        }
        "it cannot stream into mapped buffers"
    } else if can & CAP_VIDEO_CAPTURE_MPLANE != 0 {
        "its driver has the multi-planar interface only, which is not spoken here"
    } else if can & CAP_META_CAPTURE != 0 {
        "it carries a camera's metadata, no pictures; the camera is at another number"
    } else {
        "it does not capture video"
    };
    Err(SensorError::NotACamera { path: path.to_owned(), why })
}

/// Everything the device offers; of a range the sizes and rates near `wanted`.
fn modes(file: &File, wanted: Wanted) -> Vec<Mode> {
    let mut modes = Vec::new();
    for index in 0..64 {
        let mut description = FormatDescription::capture(index);
        if ioctl::call(file, ioctl::ENUM_FMT, &mut description).is_err() {
            break;
        }
        let fourcc = FourCc(description.fourcc.to_le_bytes());
        for size in sizes(file, description.fourcc, wanted.size) {
            let rates = rates(file, description.fourcc, size, wanted.rate);
            modes.push(Mode { fourcc, size, rates });
        }
    }
    modes
}

/// The sizes of a format; `wanted` alone of a driver that does not tell.
fn sizes(file: &File, fourcc: u32, wanted: Size) -> Vec<Size> {
    let mut sizes = Vec::new();
    for index in 0..256 {
        let mut size = FrameSize { index, fourcc, ..FrameSize::default() };
        if ioctl::call(file, ioctl::ENUM_FRAMESIZES, &mut size).is_err() {
            break;
        }
        let [a, b, c, d, e, f] = size.values;
        if size.kind != DISCRETE {
            return modes::sizes_in_range([[a, b, c], [d, e, f]], wanted);
        }
        sizes.extend(Size::new(a, b));
    }
    if sizes.is_empty() { vec![wanted] } else { sizes }
}

/// The rates of a format at a size, fastest first; none of a driver that does not tell.
fn rates(file: &File, fourcc: u32, size: Size, wanted: FrameRate) -> Vec<FrameRate> {
    let rate = |Fraction { num, den }| FrameRate::new(den, num);
    let mut rates = Vec::new();
    for index in 0..256 {
        let (width, height) = (size.width(), size.height());
        let mut interval = FrameInterval { index, fourcc, width, height, ..FrameInterval::default() };
        if ioctl::call(file, ioctl::ENUM_FRAMEINTERVALS, &mut interval).is_err() {
            break;
        }
        let [first, second, _] = interval.values;
        if interval.kind != DISCRETE {
            let fastest = rate(first).or(FrameRate::whole(1000));
            let slowest = rate(second).or(FrameRate::whole(1));
            return match (slowest, fastest) {
                (Some(slowest), Some(fastest)) => modes::rates_in_range(slowest, fastest, wanted),
                _ => Vec::new(),
            };
        }
        rates.extend(rate(first));
    }
    rates.sort_by(|a, b| b.as_f32().total_cmp(&a.as_f32()));
    rates
}

fn no_format(path: &Path, modes: &[Mode]) -> SensorError {
    SensorError::Format {
        path: path.to_owned(),
        offers: offers(modes),
        coded: modes.iter().any(|mode| mode.fourcc.is_h264()),
    }
}

fn no_coded_format(path: &Path, modes: &[Mode]) -> SensorError {
    SensorError::NotCoded { from: path.display().to_string(), gives: offers(modes) }
}

/// The formats of a camera, for a message.
fn offers(modes: &[Mode]) -> String {
    let mut names: Vec<String> = Vec::new();
    for mode in modes {
        let name = mode.fourcc.to_string();
        if !names.contains(&name) {
            names.push(name);
        }
    }
    if names.is_empty() { "no pixel format".to_owned() } else { names.join(", ") }
}

/// What a refused call means for the person at the camera.
fn trouble(camera: &str, path: &Path, Failed { what, error }: Failed) -> SensorError {
    match error.raw_os_error() {
        Some(libc::ENODEV | libc::ENXIO) => SensorError::Unplugged(camera.to_owned()),
        Some(libc::EBUSY) => SensorError::Busy(path.to_owned()),
        Some(libc::ENOSPC) => SensorError::Bandwidth(camera.to_owned()),
        _ => SensorError::Device { camera: camera.to_owned(), what, error },
    }
}

/// What a camera calls itself. USB cameras say it twice (`NAME: NAME`, cut at 31 bytes): once is enough.
fn card(bytes: &[u8]) -> String {
    let name = text(bytes);
    match name.split_once(": ") {
        Some((once, again)) if once.starts_with(again) => once.to_owned(),
        _ => name,
    }
}

/// A driver's text: up to the first zero byte.
fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(bytes.get(..end).unwrap_or_default()).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sensor::Clock;
    use std::time::Instant;

    fn refused(path: &str) -> SensorError {
        Camera::open(Path::new(path), Wanted::HD, Clock::new(Instant::now())).unwrap_err()
    }

    #[test]
    fn a_device_that_is_not_there_is_named_with_those_that_are() {
        let error = refused("/dev/video9999");
        assert!(error.to_string().starts_with("no camera at /dev/video9999: this machine has "), "{error}");
        assert!(!error.is_final(), "it may be plugged in later");
    }

    #[test]
    fn what_is_no_camera_is_said_to_be_none() {
        let error = refused("/dev/null");
        assert_eq!(error.to_string(), "/dev/null is not a usable camera: it does not speak V4L2");
        assert!(error.is_final());
        assert_eq!(refused("/dev").to_string(), "/dev is not a usable camera: it is a folder");
    }

    #[test]
    fn a_node_that_is_no_camera_is_told_by_its_kind() {
        let path = Path::new("/dev/video1");
        for (can, word) in [(0x8000_0000, "does not capture"), (0x1000, "multi-planar"), (0x1, "stream")] {
            let error = check_capability(&Capability::able(can), path).unwrap_err();
            assert!(error.to_string().contains(word), "{error}");
        }
        assert!(check_capability(&Capability::able(CAP_VIDEO_CAPTURE | CAP_STREAMING), path).is_ok());
        let metadata = Capability::one_node_of(CAP_VIDEO_CAPTURE, CAP_META_CAPTURE | CAP_STREAMING);
        let error = check_capability(&metadata, path).unwrap_err();
        assert!(error.to_string().contains("metadata"), "{error}");
    }

    #[test]
    fn a_name_said_twice_is_said_once() {
        assert_eq!(card(b"Virtual Camera Board: Virtual C\0"), "Virtual Camera Board");
        assert_eq!(card(b"HD Cam: HD Cam\0\0"), "HD Cam");
        assert_eq!(card(b"Door: left\0"), "Door: left");
        assert_eq!(card(&[0; 32]), "");
    }

    #[test]
    fn a_camera_without_a_known_format_says_what_it_has() {
        let size = Size::new(640, 480).unwrap();
        let mode = |name| Mode { fourcc: FourCc(name), size, rates: Vec::new() };
        let error = no_format(Path::new("/dev/video0"), &[mode(*b"H264"), mode(*b"HEVC"), mode(*b"H264")]);
        assert!(error.to_string().starts_with("/dev/video0 offers H264, HEVC; understood are NV12, "), "{error}");
    }
}
