//! The machine's own H.264 encoder: a stateful memory-to-memory device of V4L2, as the kernel's documentation
//! "Memory-to-Memory Stateful Video Encoder Interface" has it.

use super::EncoderError;
use crate::sensor::v4l2::mplane::{self, ColorCodes, Layout, Queue, Side, Taken};
use crate::sensor::v4l2::{CallFailed, Control, set_control, wait_for};
use doorframe_codec::access_unit::Kind;
use doorframe_codec::encoder::{Checked, EncodeError};
use doorframe_codec::ingest::{Framing, Ingest};
use doorframe_codec::units::{Bitrate, Color, FrameRate, Matrix, MediaTime, Range, Size};
use doorframe_codec::{AccessUnit, Encoder, Picture};
use std::collections::VecDeque;
use std::fs::File;
use std::path::Path;
use std::time::Duration;

/// An encoder at `/dev/videoN`. Pictures are copied into its buffers, and its access units are checked by
/// [`Ingest`] like those of any other stranger.
#[derive(Debug)]
pub struct M2mEncoder {
    device: File,
    name: String,
    size: Size,
    running: Option<Running>,
    ingest: Ingest,
    /// Times of the pictures inside.
    inside: VecDeque<MediaTime>,
    /// Pictures it holds back before the first unit comes, as far as that showed.
    delay: usize,
}

/// Both queues, once the first picture has told its colours.
#[derive(Debug)]
struct Running {
    layout: Layout,
    frames: Queue,
    coded: Queue,
}

/// Frames in the queue: those held back, one being coded, one being filled.
const FRAMES: u32 = MOST_DELAY as u32 + 2;
/// Coded pictures in the queue.
const CODED: u32 = 4;
/// Times a device may wake us for one picture. One in trouble wakes us without end.
const WAKES: usize = 16;
/// Longest that a picture takes: a device that needs more is not live.
const PATIENCE: Duration = Duration::from_millis(500);
/// Pictures a device may hold back. More is more than 0.1 s late at 30 a second.
const MOST_DELAY: usize = 3;
/// Raw frames it is asked to take, the cheapest first.
const RAW: [[u8; 4]; 2] = [*b"YU12", *b"NV12"];
/// For [`EncodeError::Failed`].
const NAME: &str = "the V4L2 encoder";

impl M2mEncoder {
    /// Opens the encoder at `path`.
    ///
    /// # Errors
    /// If there is no such device, it is no H.264 encoder, or does not take these settings.
    pub fn open(path: &Path, config: Checked) -> Result<Self, EncoderError> {
        let config = config.config();
        let failed = |CallFailed { what, error }| EncoderError::Device { path: path.to_owned(), what, error };
        let unfit = |why| EncoderError::Unfit { path: path.to_owned(), why };
        let device = mplane::open(path).map_err(|error| failed(CallFailed { what: "opening it", error }))?;
        let card = mplane::name_of_m2m(&device).map_err(|error| match error.code() {
            libc::ENOTTY | libc::EINVAL => unfit("it does not speak V4L2"),
            _ => failed(error),
        })?;
        let card = card.ok_or_else(|| unfit("it is no memory-to-memory device of the multi-planar interface"))?;
        if config.temporal_layers != 1 {
            return Err(unfit("it cannot code temporal layers: ask for one"));
        }
        let layout = set_formats(&device, config.size, Color::default()).map_err(failed)?;
        layout.ok_or_else(|| unfit("it does not make H.264 of YU12 or NV12 frames of this size"))?;
        let rate = config.rate;
        if let Err(failed) = mplane::set_interval(&device, rate.den(), rate.num()) {
            tracing::debug!(error = %failed.error, "encoder that is not told the rate");
        }
        // Keyframes come when they are asked for; this is the most that goes without.
        let group = i32::try_from(u64::from(rate.num()) * 10 / u64::from(rate.den())).unwrap_or(i32::MAX);
        for (control, value) in [
            (Control::B_FRAMES, 0),
            (Control::RATE_CONTROL, 1),
            (Control::BITRATE_MODE, Control::CONSTANT),
            (Control::GROUP, group),
            (Control::REPEAT_SETS, 1),
            (Control::PROFILE, Control::HIGH),
        ] {
            // Few devices have all of them; what one does instead is judged by its access units.
            if let Err(failed) = set_control(&device, control, value) {
                tracing::debug!(?control, error = %failed.error, "encoder without this control");
            }
        }
        let required = [(Control::BITRATE, bps(config.bitrate)), (Control::FORCE_KEYFRAME, 1)];
        required.into_iter().try_for_each(|(control, value)| set_control(&device, control, value)).map_err(failed)?;
        let name = format!("{card} at {} (V4L2)", path.display());
        let ingest = Ingest::new(Framing::AnnexB);
        let (running, inside) = (None, VecDeque::new());
        Ok(Self { device, name, size: config.size, running, ingest, inside, delay: 0 })
    }

    /// The first H.264 encoder of this machine that takes these settings.
    ///
    /// # Errors
    /// Why there is none: the trouble of each node.
    pub fn open_first(config: &Checked) -> Result<Self, EncoderError> {
        let mut troubles = Vec::new();
        for path in crate::sensor::v4l2::nodes() {
            match Self::open(&path, config.clone()) {
                Ok(encoder) => return Ok(encoder),
                Err(error) => troubles.push(error.to_string()),
            }
        }
        if troubles.is_empty() {
            troubles.push("this machine has no /dev/video*".to_owned());
        }
        Err(EncoderError::None(troubles.join("; ")))
    }

    /// Takes what is coded, waiting for it while more pictures are inside than the device holds back.
    fn collect(&mut self, patience: Duration) -> Result<bool, EncodeError> {
        let Some(running) = &mut self.running else { return Ok(true) };
        for _wake in 0..WAKES {
            while let Some(taken) = running.coded.take(&self.device).map_err(status)? {
                let is_last = taken.is_last;
                take_in(&mut self.ingest, &mut self.inside, running.coded.bytes(&taken), &taken)?;
                running.coded.give(&self.device, taken.index, 0).map_err(status)?;
                if is_last {
                    return Ok(true);
                }
            }
            if self.inside.len() <= self.delay {
                return Ok(true);
            }
            if !wait_for(&self.device, patience).map_err(status)? {
                break;
            }
        }
        Ok(false)
    }
}

/// Parses one coded picture.
fn take_in(
    ingest: &mut Ingest,
    inside: &mut VecDeque<MediaTime>,
    bytes: &[u8],
    taken: &Taken,
) -> Result<(), EncodeError> {
    if taken.is_damaged {
        inside.pop_front();
        ingest.handle_loss();
        return Ok(());
    }
    // Headers may come in a buffer of their own, in front of the picture whose time they have.
    let before = ingest.units();
    let at = inside.front().copied().unwrap_or_default();
    ingest.handle_buffer(bytes, at).map_err(|refused| EncodeError::Refused { encoder: NAME, refused })?;
    if ingest.units() > before {
        inside.pop_front();
    }
    Ok(())
}

/// Sets both formats; the frames' layout, or `None` if the device has not both.
fn set_formats(device: &File, size: Size, color: Color) -> Result<Option<Layout>, CallFailed> {
    let (width, height) = (size.width(), size.height());
    let image_bytes = u32::try_from(Picture::bytes(size)).unwrap_or(u32::MAX);
    let codes = codes(color);
    let wanted = Layout { width, height, fourcc: *b"H264", stride: 0, image_bytes, pieces: 1 };
    let coded = mplane::set_format(device, Side::Capture, wanted, codes)?;
    if coded.fourcc != *b"H264" {
        return Ok(None);
    }
    for fourcc in RAW {
        let wanted = Layout { fourcc, stride: width, ..wanted };
        let layout = mplane::set_format(device, Side::Output, wanted, codes)?;
        if layout.fourcc == fourcc && holds(&layout, size) {
            if (layout.width, layout.height) != (width, height) {
                mplane::set_visible(device, width, height)?;
            }
            return Ok(Some(layout));
        }
    }
    Ok(None)
}

/// Whether a frame of `size` fits.
fn holds(layout: &Layout, size: Size) -> bool {
    let (width, height) = (size.width(), size.height());
    let rows = u64::from(layout.height) * 3 / 2;
    let fits = layout.pieces == 1 && layout.width >= width && layout.height >= height && layout.stride >= width;
    fits && u64::from(layout.image_bytes) >= u64::from(layout.stride) * rows
}

/// `V4L2_COLORSPACE_*`, `V4L2_YCBCR_ENC_*`, `V4L2_QUANTIZATION_*`.
fn codes(color: Color) -> ColorCodes {
    let (space, encoding) = match color.matrix {
        Matrix::Bt709 => (3, 2),
        Matrix::Bt601 => (1, 1),
    };
    let quantization = match color.range {
        Range::Full => 1,
        Range::Limited => 2,
    };
    ColorCodes { space, encoding, quantization }
}

/// Copies a picture into a frame: Y, then U and V as planes of half the stride (YU12) or interleaved (NV12), each behind
/// as many rows as the driver wants.
fn fill(frame: &mut [u8], layout: &Layout, picture: &Picture) {
    let [y, u, v] = picture.planes();
    let (width, half) = (picture.size().width() as usize, picture.size().chroma_width() as usize);
    let (stride, rows) = (layout.stride as usize, layout.height as usize);
    let (luma, chroma) = frame.split_at_mut(frame.len().min(stride * rows));
    copy_rows(luma, stride, y, width);
    if layout.fourcc == *b"NV12" {
        let pairs = u.chunks_exact(half).zip(v.chunks_exact(half));
        for (row, (u, v)) in chroma.chunks_mut(stride).zip(pairs) {
            row.chunks_exact_mut(2).zip(u.iter().zip(v)).for_each(|(pair, (&u, &v))| pair.copy_from_slice(&[u, v]));
        }
    } else {
        let (first, second) = chroma.split_at_mut(chroma.len().min(stride / 2 * rows.div_ceil(2)));
        copy_rows(first, stride / 2, u, half);
        copy_rows(second, stride / 2, v, half);
    }
}

fn copy_rows(to: &mut [u8], stride: usize, from: &[u8], width: usize) {
    for (to, from) in to.chunks_mut(stride.max(1)).zip(from.chunks_exact(width.max(1))) {
        to.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
    }
}

fn bps(bitrate: Bitrate) -> i32 {
    i32::try_from(bitrate.bps()).unwrap_or(i32::MAX)
}

/// What the kernel said.
fn status(failed: CallFailed) -> EncodeError {
    tracing::debug!(what = failed.what, error = %failed.error, "encoder");
    EncodeError::Failed { encoder: NAME, status: failed.code().into() }
}

impl Encoder for M2mEncoder {
    fn encode(&mut self, picture: &Picture, at: MediaTime, want: Kind) -> Result<Option<AccessUnit>, EncodeError> {
        if picture.size() != self.size {
            return Err(EncodeError::Size { given: picture.size(), wanted: self.size });
        }
        if self.running.is_none() {
            self.running = Some(Running::start(&self.device, self.size, picture.color())?);
        }
        let Some(running) = &mut self.running else { return Ok(None) };
        if want == Kind::Keyframe {
            set_control(&self.device, Control::FORCE_KEYFRAME, 1).map_err(status)?;
        }
        while let Some(_done) = running.frames.take(&self.device).map_err(status)? {}
        let free = running.frames.free().ok_or(EncodeError::Failed { encoder: NAME, status: libc::EBUSY.into() })?;
        fill(running.frames.bytes_mut(free), &running.layout, picture);
        running.frames.give(&self.device, free, running.layout.image_bytes).map_err(status)?;
        self.inside.push_back(at);
        if !self.collect(PATIENCE)? {
            // It holds pictures back: the next one brings this one out.
            self.delay = self.inside.len();
            if self.delay > MOST_DELAY {
                return Err(EncodeError::Failed { encoder: NAME, status: libc::ETIMEDOUT.into() });
            }
        }
        Ok(self.ingest.poll_unit())
    }

    fn set_bitrate(&mut self, bitrate: Bitrate) -> Result<(), EncodeError> {
        set_control(&self.device, Control::BITRATE, bps(bitrate)).map_err(status)
    }

    /// V4L2 has no control for it.
    fn set_keyframe_units(&mut self, _units: u8) -> Result<(), EncodeError> {
        Err(EncodeError::Fixed { encoder: NAME, what: "size of keyframes" })
    }

    fn set_rate(&mut self, rate: FrameRate) -> Result<(), EncodeError> {
        mplane::set_interval(&self.device, rate.den(), rate.num()).map_err(status)
    }

    /// Always by a keyframe: these devices keep their references to themselves.
    fn recover(&mut self, _good: MediaTime) -> Result<(), EncodeError> {
        set_control(&self.device, Control::FORCE_KEYFRAME, 1).map_err(status)
    }

    fn delay(&self) -> usize {
        self.delay
    }

    fn finish(mut self: Box<Self>) -> Result<Vec<AccessUnit>, EncodeError> {
        if self.running.is_some() && !self.inside.is_empty() {
            mplane::stop(&self.device).map_err(status)?;
            self.delay = 0;
            self.collect(PATIENCE)?;
        }
        Ok(std::iter::from_fn(|| self.ingest.poll_unit()).collect())
    }

    fn name(&self) -> String {
        self.name.clone()
    }
}

impl Running {
    fn start(device: &File, size: Size, color: Color) -> Result<Self, EncodeError> {
        let layout = set_formats(device, size, color).map_err(status)?;
        let layout = layout.ok_or(EncodeError::Failed { encoder: NAME, status: libc::EINVAL.into() })?;
        let frames = Queue::new(device, Side::Output, FRAMES).map_err(status)?;
        let mut coded = Queue::new(device, Side::Capture, CODED).map_err(status)?;
        while let Some(index) = coded.free() {
            coded.give(device, index, 0).map_err(status)?;
        }
        frames.start(device).map_err(status)?;
        coded.start(device).map_err(status)?;
        Ok(Self { layout, frames, coded })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use doorframe_codec::decoder::{Decoder, Limits, Shown};
    use doorframe_codec::encoder::Config;
    use doorframe_codec::h264::openh264::Openh264Decoder;

    fn config() -> Checked {
        let size = Size::new(640, 480).unwrap();
        Config::new(size, FrameRate::whole(30).unwrap(), Bitrate::from_kbps(1000)).check().unwrap()
    }

    /// With a device it has to code, on demand begin anew, and be decoded; without one it says so.
    #[test]
    fn an_encoder_of_this_machine_codes_what_openh264_decodes() {
        let mut encoder = match M2mEncoder::open_first(&config()) {
            Ok(encoder) => encoder,
            Err(error) => {
                let words = error.to_string();
                assert!(words.starts_with("no usable encoder: "), "{words}");
                // Past the test harness, which would keep it to itself.
                let _ = std::io::Write::write_all(&mut std::io::stderr(), format!("not tested: {words}\n").as_bytes());
                return;
            }
        };
        let mut decoder = Openh264Decoder::new(Limits::default());
        let mut decoded = Picture::black(encoder.size, Color::default());
        let mut units = Vec::new();
        for index in 0..40_u64 {
            let mut picture = Picture::black(encoder.size, Color::default());
            picture.planes_mut()[0].fill(40 + (index as u8) * 4);
            let want = if index == 20 { Kind::Keyframe } else { Kind::Delta };
            units.extend(encoder.encode(&picture, MediaTime::from_ticks(index * 3000), want).unwrap());
        }
        units.extend(Box::new(encoder).finish().unwrap());
        assert_eq!(units.len(), 40, "one unit a picture");
        assert!(units[20].is_keyframe(), "a keyframe on demand");
        for (index, unit) in units.iter().enumerate() {
            assert_eq!(unit.at, MediaTime::from_ticks(index as u64 * 3000));
            assert_eq!(decoder.decode(unit, &mut decoded), Ok(Shown::Picture), "picture {index}");
            let luma = decoded.planes()[0][decoded.size().pixels() / 2];
            assert!(luma.abs_diff(40 + (index as u8) * 4) < 8, "picture {index} is {luma}");
        }
    }

    #[test]
    fn what_is_no_encoder_is_said_to_be_none() {
        let words = |path: &str| M2mEncoder::open(Path::new(path), config()).unwrap_err().to_string();
        assert!(words("/dev/video9999").starts_with("the encoder at /dev/video9999: opening it failed: No such file"));
        assert_eq!(words("/dev/null"), "/dev/null cannot be used as an encoder: it does not speak V4L2");
    }

    #[test]
    fn a_picture_goes_behind_the_rows_and_strides_of_the_driver() {
        let size = Size::new(4, 2).unwrap();
        let mut picture = Picture::black(size, Color::default());
        let [y, u, v] = picture.planes_mut();
        y.copy_from_slice(&[1, 2, 3, 4, 5, 6, 7, 8]);
        u.copy_from_slice(&[10, 11]);
        v.copy_from_slice(&[20, 21]);
        let layout = |fourcc| Layout { width: 6, height: 4, fourcc, stride: 6, image_bytes: 36, pieces: 1 };
        let mut frame = [0; 36];
        fill(&mut frame, &layout(*b"NV12"), &picture);
        assert_eq!(frame[..12], [1, 2, 3, 4, 0, 0, 5, 6, 7, 8, 0, 0]);
        assert_eq!(frame[24..30], [10, 20, 11, 21, 0, 0]);
        let mut frame = [0; 36];
        fill(&mut frame, &layout(*b"YU12"), &picture);
        assert_eq!(frame[24..36], [10, 11, 0, 0, 0, 0, 20, 21, 0, 0, 0, 0]);
        // A driver's frame that is too short takes what fits.
        fill(&mut [0; 9], &layout(*b"NV12"), &picture);
        assert!(holds(&layout(*b"NV12"), size));
        assert!(!holds(&Layout { image_bytes: 35, ..layout(*b"NV12") }, size));
        assert!(!holds(&Layout { pieces: 2, ..layout(*b"NV12") }, size));
    }

    #[test]
    fn colours_are_told_in_the_kernels_numbers() {
        let full_601 = codes(Color { range: Range::Full, matrix: Matrix::Bt601 });
        assert_eq!(full_601, ColorCodes { space: 1, encoding: 1, quantization: 1 });
        assert_eq!(codes(Color::default()), ColorCodes { space: 3, encoding: 2, quantization: 2 });
    }
}
