//! What a camera says of itself (UVC 1.1 §3).

use crate::config::{BoardConfig, Format, Mode, Transfer};
use crate::usb::{Descriptors, device_descriptor};

/// Interface of the controls and of the button.
pub(super) const CONTROL: u8 = 0;
/// Interface of the frames.
pub(super) const STREAMING: u8 = 1;
/// Endpoint of the frames.
pub(super) const FRAMES: u8 = 0x81;
/// Endpoint of the button.
pub(super) const STATUS: u8 = 0x83;
/// Unit that has the brightness.
pub(super) const PROCESSING: u8 = 2;
/// Ticks of the device clock in a second.
pub(super) const CLOCK_HZ: u32 = 48_000_000;
/// `wMaxPacketSize` of the isochronous settings 1 and on: 512, 1024, twice and three times 1024 bytes.
const SETTINGS: [u16; 4] = [0x0200, 0x0400, 0x0c00, 0x1400];
/// Bytes in 125 µs of each of them.
pub(super) const ISO_ROOM: [u32; 4] = [512, 1024, 2048, 3072];
/// Bytes of a probe block of UVC 1.1.
pub(super) const PROBE: usize = 34;

/// The formats of a board in the order of their first mode, each with its modes.
pub(super) fn formats(modes: &[Mode]) -> Vec<(Format, Vec<Mode>)> {
    let mut formats: Vec<(Format, Vec<Mode>)> = Vec::new();
    for mode in modes {
        match formats.iter_mut().find(|(format, _)| *format == mode.format) {
            Some((_, modes)) => modes.push(mode.clone()),
            None => formats.push((mode.format, vec![mode.clone()])),
        }
    }
    formats
}

/// From one frame to the next, in 100 ns.
pub(super) fn interval(rate: u8) -> u32 {
    10_000_000 / u32::from(rate.max(1))
}

pub(super) fn descriptors(config: &BoardConfig) -> Descriptors {
    // No names of functions: hosts would add them to that of the device.
    let mut body = vec![8, 11, CONTROL, 2, 0x0e, 0x03, 0, 0];
    body.extend(control());
    let alone = u8::from(config.transfer == Transfer::Bulk);
    body.extend([9, 4, STREAMING, 0, alone, 0x0e, 0x02, 0, 0]);
    body.extend(streaming(&formats(&config.modes)));
    match config.transfer {
        Transfer::Bulk => body.extend([7, 5, FRAMES, 2, 0x00, 0x02, 0]),
        Transfer::Isochronous => {
            for (setting, packet) in (1..).zip(SETTINGS) {
                let [low, high] = packet.to_le_bytes();
                body.extend([9, 4, STREAMING, setting, 1, 0x0e, 0x02, 0, 0]);
                // Asynchronous.
                body.extend([7, 5, FRAMES, 5, low, high, 1]);
            }
        }
    }
    let mut configuration = vec![9, 2];
    configuration.extend(length(9 + body.len()));
    configuration.extend([2, 1, 0, 0x80, 250]);
    configuration.extend(body);
    Descriptors {
        device: device_descriptor([0xef, 2, 1], 0x6156),
        configuration,
        strings: vec!["Doorframe".to_owned(), config.name.clone(), config.serial.clone()],
    }
}

/// The control interface: camera, processing unit with brightness, output, and the button's endpoint.
fn control() -> Vec<u8> {
    let units = [
        &[18, 0x24, 0x02, 1, 0x01, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0][..],
        &[13, 0x24, 0x05, PROCESSING, 1, 0, 0, 3, 0x01, 0, 0, 0, 0],
        &[9, 0x24, 0x03, 3, 0x01, 0x01, 0, PROCESSING, 0],
    ]
    .concat();
    let mut out = vec![9, 4, CONTROL, 0, 1, 0x0e, 0x01, 0, 0];
    out.extend([13, 0x24, 0x01, 0x10, 0x01]);
    out.extend(length(13 + units.len()));
    out.extend(CLOCK_HZ.to_le_bytes());
    out.extend([1, STREAMING]);
    out.extend(units);
    // Interrupt endpoint: 16 bytes, each 16 ms.
    out.extend([7, 5, STATUS, 3, 16, 0, 8]);
    out.extend([5, 0x25, 3, 16, 0]);
    out
}

/// Header, formats and frames of the streaming interface.
fn streaming(formats: &[(Format, Vec<Mode>)]) -> Vec<u8> {
    let mut all = Vec::new();
    for (index, (format, modes)) in (1..).zip(formats) {
        let count = modes.len() as u8;
        match format {
            Format::Yuyv => all.extend(raw_format(index, count, *b"YUY2", 16)),
            Format::Nv12 => all.extend(raw_format(index, count, *b"NV12", 12)),
            Format::Mjpeg => all.extend([11, 0x24, 0x06, index, count, 1, 1, 0, 0, 0, 0]),
            Format::H264 => {
                all.extend([28, 0x24, 0x10, index, count]);
                all.extend(guid(*b"H264"));
                // No bits a sample, default frame, no aspect, no interlace, no copy protection, of variable size.
                all.extend([0, 1, 0, 0, 0, 0, 1]);
            }
        }
        for (frame, mode) in (1..).zip(modes) {
            all.extend(frame_descriptor(frame, mode));
        }
        // Colours: primaries and transfer of BT.709, matrix of BT.601.
        all.extend([6, 0x24, 0x0d, 1, 1, 4]);
    }
    let header = 13 + formats.len();
    let mut out = vec![header as u8, 0x24, 0x01, formats.len() as u8];
    out.extend(length(header + all.len()));
    // No still pictures, but a button for whatever the host likes; one byte of controls a format.
    out.extend([FRAMES, 0, 3, 0, 1, 1, 1]);
    out.extend(formats.iter().map(|_| 0));
    out.extend(all);
    out
}

fn raw_format(index: u8, frames: u8, code: [u8; 4], bits: u8) -> Vec<u8> {
    let mut out = vec![27, 0x24, 0x04, index, frames];
    out.extend(guid(code));
    out.extend([bits, 1, 0, 0, 0, 0]);
    out
}

/// A FourCC as a GUID.
fn guid(code: [u8; 4]) -> Vec<u8> {
    [&code[..], &[0, 0, 0x10, 0, 0x80, 0, 0, 0xaa, 0, 0x38, 0x9b, 0x71]].concat()
}

fn frame_descriptor(index: u8, mode: &Mode) -> Vec<u8> {
    let intervals: Vec<u8> = mode.rates.iter().flat_map(|&rate| interval(rate).to_le_bytes()).collect();
    let count = mode.rates.len() as u8;
    let bits =
        |rate: Option<u8>| mode.most_bytes().saturating_mul(8).saturating_mul(rate.unwrap_or(1).into()).to_le_bytes();
    let default = interval(mode.rates.first().copied().unwrap_or(1)).to_le_bytes();
    let kind = match mode.format {
        Format::Yuyv | Format::Nv12 => 0x05,
        Format::Mjpeg => 0x07,
        Format::H264 => 0x11,
    };
    let mut out = vec![26 + 4 * count, 0x24, kind, index, 0];
    out.extend(mode.width.to_le_bytes());
    out.extend(mode.height.to_le_bytes());
    out.extend(bits(mode.rates.iter().copied().min()));
    out.extend(bits(mode.rates.iter().copied().max()));
    if mode.format == Format::H264 {
        out.extend(default);
        out.push(count);
        // No bytes a line.
        out.extend([0; 4]);
    } else {
        out.extend(mode.most_bytes().to_le_bytes());
        out.extend(default);
        out.push(count);
    }
    out.extend(intervals);
    out
}

fn length(length: usize) -> [u8; 2] {
    u16::try_from(length).unwrap_or(u16::MAX).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_add_up_for_both_transfers_and_for_the_most_modes() {
        for transfer in [Transfer::Bulk, Transfer::Isochronous] {
            let mut config = BoardConfig::new(transfer);
            crate::usb::check_descriptors(&descriptors(&config));
            config.modes =
                (0..32).map(|n| Mode::new(Format::Mjpeg, 160 + 16 * n, 120, &[1, 2, 3, 4, 5, 6, 7, 8])).collect();
            crate::usb::check_descriptors(&descriptors(&config));
        }
    }
}
