//! One open camera.

use super::ioctl::{Failed, PRIV_MAGIC, PixFormat};
use super::stream::{self, BUFFERS, Stream, Taken};
use super::{FourCc, list, modes, no_format, trouble};
use crate::sensor::{Clock, Losses, Sensor, SensorError, Wanted, even};
use doorframe_codec::Frame;
use doorframe_codec::frame::{Format, FrameError, Plane};
use doorframe_codec::units::{Color, FrameRate, Matrix, Range, Size, Uptime};
use std::path::Path;

/// A V4L2 camera that streams into four mapped buffers. A frame it lends is the driver's own buffer.
#[derive(Debug)]
pub struct Camera {
    stream: Stream,
    layout: Layout,
    rate: FrameRate,
    /// The buffer that is lent.
    lent: Option<u32>,
}

impl Camera {
    /// Opens the camera at `path` and starts its stream.
    ///
    /// # Errors
    /// What is wrong with it and what to do about it.
    pub fn open(path: &Path, wanted: Wanted, clock: Clock) -> Result<Self, SensorError> {
        Self::open_any(path, None, wanted, clock)
    }

    /// As [`Camera::open`], with this format and no other: for who tries each of them.
    ///
    /// # Errors
    /// What is wrong with it and what to do about it.
    pub fn open_as(path: &Path, fourcc: FourCc, wanted: Wanted, clock: Clock) -> Result<Self, SensorError> {
        Self::open_any(path, Some(fourcc), wanted, clock)
    }

    fn open_any(path: &Path, only: Option<FourCc>, wanted: Wanted, clock: Clock) -> Result<Self, SensorError> {
        let (device, name) = stream::open(path, clock)?;
        let mut modes = super::modes(&device, wanted);
        modes.retain(|mode| only.is_none_or(|only| mode.fourcc == only));
        let (mode, rate) = modes::choose(&modes, wanted).ok_or_else(|| no_format(path, &modes))?;
        let pix = stream::set_format(&device, mode).map_err(|failed| trouble(&name, path, failed))?;
        let layout = Layout::of(&pix).ok_or_else(|| no_format(path, &modes))?;
        let rate = stream::set_rate(&device, rate);
        let name = format!("{name}, {} {} at {rate}", FourCc(pix.fourcc.to_le_bytes()), layout.size);
        let stream = Stream::start(device, path, name, clock)?;
        Ok(Self { stream, layout, rate, lent: None })
    }

    /// Opens the first camera of this machine that can be used and is not in use.
    ///
    /// # Errors
    /// Why there is none: the trouble of each node.
    pub fn open_first(wanted: Wanted, clock: Clock) -> Result<Self, SensorError> {
        let mut troubles = Vec::new();
        for device in list() {
            match device.trouble.map_or_else(|| Self::open(&device.path, wanted, clock), Err) {
                Ok(camera) => return Ok(camera),
                Err(error) => troubles.push(error.to_string()),
            }
        }
        if troubles.is_empty() {
            troubles.push("this machine has no /dev/video*".to_owned());
        }
        Err(SensorError::NoCamera(troubles.join("; ")))
    }
}

/// Takes every buffer that is filled and keeps the newest good one.
fn take_newest(stream: &mut Stream, layout: &Layout) -> Result<Option<Taken>, Failed> {
    let mut newest = None;
    for _ in 0..BUFFERS {
        let Some(taken) = stream.take(|data| layout.holds(data))? else { break };
        if let Some(older) = newest.replace(taken) {
            stream.losses.skipped += 1;
            stream.give(older.index)?;
        }
    }
    Ok(newest)
}

impl Sensor for Camera {
    fn next(&mut self) -> Result<Frame<'_>, SensorError> {
        if let Some(index) = self.lent.take() {
            // A refusal shows again, with its reason, when the next frame is taken.
            let _ = self.stream.give(index);
        }
        let layout = self.layout;
        let taken = self.stream.wait(|stream| take_newest(stream, &layout))?;
        self.lent = Some(taken.index);
        Ok(layout.frame(self.stream.bytes(&taken), taken.stamp.captured)?)
    }

    fn size(&self) -> Size {
        self.layout.size
    }

    fn rate(&self) -> FrameRate {
        self.rate
    }

    fn name(&self) -> &str {
        &self.stream.name
    }

    fn losses(&self) -> Losses {
        self.stream.losses
    }
}

/// Where a buffer has which samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Layout {
    format: Format,
    /// As lent: even.
    size: Size,
    /// Rows the driver puts into each plane.
    rows: usize,
    /// Bytes from row to row of the first plane.
    stride: usize,
    color: Color,
}

impl Layout {
    /// `None` if the driver set a format that was not asked for, or none at all.
    fn of(pix: &PixFormat) -> Option<Self> {
        let format = FourCc(pix.fourcc.to_le_bytes()).format()?;
        let size = even(Size::new(pix.width, pix.height)?)?;
        let color = color(pix, format);
        Some(Self { format, size, rows: pix.height as usize, stride: pix.stride as usize, color })
    }

    fn frame<'a>(&self, data: &'a [u8], captured: Uptime) -> Result<Frame<'a>, FrameError> {
        let whole = Plane { data, stride: self.stride };
        let rest = |skip: usize| data.get(skip..).unwrap_or_default();
        let luma = self.stride * self.rows;
        let (size, color) = (self.size, self.color);
        match self.format {
            Format::I420 => {
                let (stride, rows) = (self.stride / 2, self.rows.div_ceil(2));
                let [u, v] = [rest(luma), rest(luma + stride * rows)].map(|data| Plane { data, stride });
                Frame::new(self.format, size, color, captured, &[whole, u, v])
            }
            Format::Nv12 | Format::Nv21 => {
                let chroma = Plane { data: rest(luma), stride: self.stride };
                Frame::new(self.format, size, color, captured, &[whole, chroma])
            }
            Format::Mjpeg => Frame::new(self.format, size, color, captured, &[Plane { data, stride: 0 }]),
            _ => Frame::new(self.format, size, color, captured, &[whole]),
        }
    }

    /// Whether `data` is a whole frame.
    fn holds(&self, data: &[u8]) -> bool {
        self.frame(data, Uptime::default()).is_ok()
    }
}

/// `enum v4l2_colorspace`, `v4l2_ycbcr_encoding` and `v4l2_quantization` in our words, defaults as the kernel's
/// `V4L2_MAP_*_DEFAULT` macros have them.
fn color(pix: &PixFormat, format: Format) -> Color {
    const REC709: u32 = 3;
    const JPEG: u32 = 7;
    const DCI_P3: u32 = 12;
    const ENCODINGS_709: [u32; 2] = [2, 4];
    let (encoding, quantization) = match pix.magic {
        PRIV_MAGIC => (pix.encoding, pix.quantization),
        _ => (0, 0),
    };
    let matrix = match encoding {
        0 if matches!(pix.colorspace, REC709 | DCI_P3) => Matrix::Bt709,
        set if ENCODINGS_709.contains(&set) => Matrix::Bt709,
        _ => Matrix::Bt601,
    };
    let range = match quantization {
        1 => Range::Full,
        2 => Range::Limited,
        _ if pix.colorspace == JPEG => Range::Full,
        _ => Range::Limited,
    };
    // A JPEG file is BT.601 and full range (JFIF), whatever its driver believes.
    if format == Format::Mjpeg { Color { range: Range::Full, matrix: Matrix::Bt601 } } else { Color { range, matrix } }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pix(fourcc: &[u8; 4], width: u32, height: u32, stride: u32) -> PixFormat {
        let fourcc = u32::from_le_bytes(*fourcc);
        PixFormat { width, height, fourcc, stride, magic: PRIV_MAGIC, ..PixFormat::default() }
    }

    #[test]
    fn planes_are_found_behind_the_drivers_padding() {
        let data: Vec<u8> = (0..=255).collect();
        let nv12 = Layout::of(&pix(b"NV12", 6, 4, 16)).unwrap();
        let frame = nv12.frame(&data, Uptime::default()).unwrap();
        assert_eq!([frame.planes()[0].data[0], frame.planes()[1].data[0]], [0, 64]);
        let nv21 = Layout::of(&pix(b"NV21", 6, 4, 16)).unwrap();
        let frame = nv21.frame(&data, Uptime::default()).unwrap();
        assert_eq!((frame.format(), frame.planes()[1].data[0]), (Format::Nv21, 64));
        let i420 = Layout::of(&pix(b"YU12", 6, 4, 16)).unwrap();
        let frame = i420.frame(&data, Uptime::default()).unwrap();
        let starts = [0, 1, 2].map(|plane: usize| frame.planes()[plane].data[0]);
        assert_eq!((starts, frame.planes()[2].stride), ([0, 64, 80], 8));
    }

    #[test]
    fn an_odd_size_is_cropped_and_its_chroma_still_found() {
        let data: Vec<u8> = (0..=255).collect();
        let layout = Layout::of(&pix(b"YU12", 5, 5, 8)).unwrap();
        let frame = layout.frame(&data, Uptime::default()).unwrap();
        assert_eq!(frame.size(), Size::new(4, 4).unwrap());
        assert_eq!([frame.planes()[1].data[0], frame.planes()[2].data[0]], [40, 52]);
    }

    #[test]
    fn a_short_buffer_is_no_frame() {
        let layout = Layout::of(&pix(b"YUYV", 4, 4, 8)).unwrap();
        assert!(layout.holds(&[0; 32]));
        assert!(!layout.holds(&[0; 31]));
        assert!(!layout.holds(&[]));
        assert!(!Layout::of(&pix(b"MJPG", 4, 4, 0)).unwrap().holds(&[]));
        // Four samples of RAW10 are five bytes; 8-bit samples are one each.
        assert!(Layout::of(&pix(b"pBAA", 4, 4, 5)).unwrap().holds(&[0; 20]));
        assert!(!Layout::of(&pix(b"pBAA", 4, 4, 4)).unwrap().holds(&[0; 20]));
        assert!(Layout::of(&pix(b"BA81", 4, 4, 4)).unwrap().holds(&[0; 16]));
    }

    #[test]
    fn a_format_not_asked_for_or_a_size_of_nothing_has_no_layout() {
        assert_eq!(Layout::of(&pix(b"H264", 4, 4, 8)), None);
        assert_eq!(Layout::of(&pix(b"YUYV", 0, 4, 8)), None);
        assert_eq!(Layout::of(&pix(b"YUYV", 4, 1, 8)), None);
    }

    #[test]
    fn colours_are_what_the_driver_says_or_the_kernels_default() {
        let (full, limited) = (Range::Full, Range::Limited);
        let (bt601, bt709) = (Matrix::Bt601, Matrix::Bt709);
        // colorspace, encoding, quantization
        for (given, range, matrix) in [
            ((8, 0, 0), limited, bt601),
            ((3, 0, 0), limited, bt709),
            ((7, 0, 0), full, bt601),
            ((8, 2, 1), full, bt709),
            ((3, 1, 2), limited, bt601),
            ((0, 0, 0), limited, bt601),
        ] {
            let (colorspace, encoding, quantization) = given;
            let pix = PixFormat { colorspace, encoding, quantization, ..pix(b"YUYV", 4, 4, 8) };
            assert_eq!(color(&pix, Format::Yuyv), Color { range, matrix }, "{given:?}");
        }
        let unset = PixFormat { colorspace: 8, encoding: 2, quantization: 1, magic: 0, ..pix(b"YUYV", 4, 4, 8) };
        assert_eq!(color(&unset, Format::Yuyv), Color { range: limited, matrix: bt601 });
        assert_eq!(color(&pix(b"MJPG", 4, 4, 0), Format::Mjpeg), Color { range: full, matrix: bt601 });
    }
}
