//! What cameras there are.

use doorframe::sensor::v4l2::{self, Device, Mode};
use std::fmt::Write;

/// Every V4L2 node of this machine, for a person.
pub(crate) fn list() -> String {
    let devices = v4l2::list();
    if devices.is_empty() {
        return "no V4L2 devices: this machine has no /dev/video*\n".to_owned();
    }
    devices.iter().map(describe).collect()
}

fn describe(device: &Device) -> String {
    let mut text = format!("{}", device.path.display());
    for part in [&device.name, &device.driver] {
        if !part.is_empty() {
            text = format!("{text}  {part}");
        }
    }
    text.push('\n');
    let mut others: Vec<String> = Vec::new();
    for mode in &device.modes {
        let fourcc = mode.fourcc.to_string();
        if mode.fourcc.format().is_some() {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "  {fourcc} {:>9}  {}", mode.size.to_string(), rates(mode));
        } else if !others.contains(&fourcc) {
            others.push(fourcc);
        }
    }
    if !others.is_empty() {
        let _ = writeln!(text, "  not understood: {}", others.join(", "));
    }
    if let Some(trouble) = &device.trouble {
        let _ = writeln!(text, "  not usable: {trouble}");
    }
    text
}

fn rates(mode: &Mode) -> String {
    if mode.rates.is_empty() {
        return "at a rate its driver does not tell".to_owned();
    }
    let rates: Vec<_> = mode.rates.iter().map(ToString::to_string).collect();
    rates.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use doorframe::sensor::SensorError;
    use doorframe::sensor::v4l2::FourCc;
    use doorframe_codec::units::{FrameRate, Size};

    #[test]
    fn a_device_is_shown_with_what_it_offers_and_why_not() {
        let mode = |fourcc, rates| Mode { fourcc: FourCc(fourcc), size: Size::new(640, 480).unwrap(), rates };
        let device = Device {
            path: "/dev/video3".into(),
            name: "Door".to_owned(),
            driver: "uvcvideo on usb-1".to_owned(),
            modes: vec![
                mode(*b"H264", Vec::new()),
                mode(*b"YUYV", vec![FrameRate::whole(30).unwrap()]),
                mode(*b"MJPG", Vec::new()),
                mode(*b"H264", Vec::new()),
            ],
            trouble: Some(SensorError::Unplugged("Door".to_owned())),
        };
        assert_eq!(
            describe(&device),
            "/dev/video3  Door  uvcvideo on usb-1\n\
             \x20 YUYV   640x480  30 fps\n\
             \x20 MJPG   640x480  at a rate its driver does not tell\n\
             \x20 not understood: H264\n\
             \x20 not usable: Door was unplugged\n"
        );
    }
}
