//! The kernel's side of V4L2: structs as in `linux/videodev2.h`, and the calls that take them.
//!
//! All `unsafe` of the sensors is in this file and in `mplane.rs`, which has the multi-planar side of it.

use libc::{c_int, c_ulong};
use std::fs::File;
use std::io;
use std::marker::PhantomData;
use std::os::fd::AsRawFd;
use std::ptr::NonNull;
use std::time::Duration;

/// `V4L2_BUF_TYPE_VIDEO_CAPTURE`.
const CAPTURE: u32 = 1;
/// `V4L2_MEMORY_MMAP`.
const MMAP: u32 = 1;
/// `V4L2_FIELD_NONE`: progressive.
pub(super) const PROGRESSIVE: u32 = 1;
/// `V4L2_PIX_FMT_PRIV_MAGIC`: says that the fields after it mean something.
pub(super) const PRIV_MAGIC: u32 = 0xfeed_cafe;
/// `V4L2_CAP_*`.
pub(super) const CAP_VIDEO_CAPTURE: u32 = 0x1;
pub(super) const CAP_VIDEO_CAPTURE_MPLANE: u32 = 0x1000;
pub(super) const CAP_META_CAPTURE: u32 = 0x80_0000;
pub(super) const CAP_STREAMING: u32 = 0x400_0000;
const CAP_DEVICE_CAPS: u32 = 0x8000_0000;
/// `V4L2_CAP_TIMEPERFRAME`.
pub(super) const CAP_TIMEPERFRAME: u32 = 0x1000;
/// `V4L2_BUF_FLAG_ERROR`.
pub(super) const FLAG_ERROR: u32 = 0x40;
/// `V4L2_BUF_FLAG_TIMESTAMP_MASK` and its value for `CLOCK_MONOTONIC`.
pub(super) const FLAG_TIMESTAMP_MASK: u32 = 0xe000;
pub(super) const FLAG_TIMESTAMP_MONOTONIC: u32 = 0x2000;
/// `V4L2_FRMSIZE_TYPE_DISCRETE` and `V4L2_FRMIVAL_TYPE_DISCRETE`.
pub(super) const DISCRETE: u32 = 1;

/// `struct v4l2_capability`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Capability {
    pub(super) driver: [u8; 16],
    pub(super) card: [u8; 32],
    pub(super) bus_info: [u8; 32],
    version: u32,
    capabilities: u32,
    device_caps: u32,
    reserved: [u32; 3],
}

impl Capability {
    /// What this node can do, rather than the device it is one of several nodes of.
    pub(super) fn of_this_node(&self) -> u32 {
        if self.capabilities & CAP_DEVICE_CAPS == 0 { self.capabilities } else { self.device_caps }
    }
}

#[cfg(test)]
impl Capability {
    pub(super) fn able(capabilities: u32) -> Self {
        Self { capabilities, ..Self::default() }
    }

    pub(super) fn one_node_of(device: u32, device_caps: u32) -> Self {
        Self { capabilities: device | CAP_DEVICE_CAPS, device_caps, ..Self::default() }
    }
}

/// `struct v4l2_fmtdesc`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct FormatDescription {
    pub(super) index: u32,
    kind: u32,
    flags: u32,
    description: [u8; 32],
    pub(super) fourcc: u32,
    media_bus_code: u32,
    reserved: [u32; 3],
}

impl FormatDescription {
    /// Asks for format number `index`.
    pub(super) fn capture(index: u32) -> Self {
        Self { index, kind: CAPTURE, ..Self::default() }
    }
}

/// `struct v4l2_fract`: seconds a frame.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Fraction {
    pub(super) num: u32,
    pub(super) den: u32,
}

/// `struct v4l2_frmsizeenum`; a discrete size is in `min_width` and the field after it.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct FrameSize {
    pub(super) index: u32,
    pub(super) fourcc: u32,
    pub(super) kind: u32,
    /// Width and height if discrete; else least, most and step of the width, then of the height.
    pub(super) values: [u32; 6],
    pub(super) reserved: [u32; 2],
}

/// `struct v4l2_frmivalenum`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct FrameInterval {
    pub(super) index: u32,
    pub(super) fourcc: u32,
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) kind: u32,
    /// The interval if discrete; else shortest, longest and step.
    pub(super) values: [Fraction; 3],
    pub(super) reserved: [u32; 2],
}

/// `struct v4l2_pix_format`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct PixFormat {
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) fourcc: u32,
    pub(super) field: u32,
    pub(super) stride: u32,
    pub(super) image_bytes: u32,
    pub(super) colorspace: u32,
    /// The four fields after it count only if this is [`PRIV_MAGIC`].
    pub(super) magic: u32,
    pub(super) flags: u32,
    pub(super) encoding: u32,
    pub(super) quantization: u32,
    pub(super) transfer: u32,
}

/// `struct v4l2_format` with the member `pix` of its union, which holds pointers and so is aligned as one.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(super) struct Format {
    pub(super) kind: u32,
    align: [c_ulong; 0],
    pub(super) pix: PixFormat,
    rest: [u32; 38],
}

impl Format {
    pub(super) fn capture(pix: PixFormat) -> Self {
        Self { kind: CAPTURE, align: [], pix, rest: [0; 38] }
    }
}

/// `struct v4l2_streamparm` with the member `capture` of its union.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(super) struct StreamParameters {
    kind: u32,
    pub(super) capability: u32,
    mode: u32,
    pub(super) interval: Fraction,
    extended_mode: u32,
    read_buffers: u32,
    rest: [u32; 44],
}

impl StreamParameters {
    pub(super) fn capture(interval: Fraction) -> Self {
        Self::of(CAPTURE, interval)
    }

    /// Asks for a rate of a queue of `kind`; the member `output` of the union has the same fields.
    pub(super) fn of(kind: u32, interval: Fraction) -> Self {
        Self { kind, capability: 0, mode: 0, interval, extended_mode: 0, read_buffers: 0, rest: [0; 44] }
    }
}

/// `struct v4l2_control`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(super) struct ControlValue {
    id: u32,
    value: i32,
}

/// A control of encoders (`V4L2_CID_MPEG_VIDEO_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Control(u32);

impl Control {
    /// `V4L2_CID_CODEC_BASE`.
    const BASE: u32 = 0x0099_0900;
    /// Pictures that come in another order than they are shown in, between two others.
    pub(crate) const B_FRAMES: Self = Self(Self::BASE + 202);
    /// Pictures from keyframe to keyframe.
    pub(crate) const GROUP: Self = Self(Self::BASE + 203);
    /// Bits a second.
    pub(crate) const BITRATE: Self = Self(Self::BASE + 207);
    /// 1: parameter sets in front of every keyframe.
    pub(crate) const REPEAT_SETS: Self = Self(Self::BASE + 226);
    /// A button: the next picture is a keyframe.
    pub(crate) const FORCE_KEYFRAME: Self = Self(Self::BASE + 229);
}

#[cfg(feature = "v4l2-m2m")]
impl Control {
    /// How the rate is held: [`Control::CONSTANT`].
    pub(crate) const BITRATE_MODE: Self = Self(Self::BASE + 206);
    /// `V4L2_MPEG_VIDEO_BITRATE_MODE_CBR`.
    pub(crate) const CONSTANT: i32 = 1;
    /// 1: the rate is held at all, picture by picture.
    pub(crate) const RATE_CONTROL: Self = Self(Self::BASE + 215);
    /// H.264 profile: [`Control::HIGH`].
    pub(crate) const PROFILE: Self = Self(Self::BASE + 363);
    /// `V4L2_MPEG_VIDEO_H264_PROFILE_HIGH`.
    pub(crate) const HIGH: i32 = 4;
}

/// `struct v4l2_requestbuffers`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(super) struct RequestBuffers {
    count: u32,
    kind: u32,
    memory: u32,
    capabilities: u32,
    flags: u32,
}

impl RequestBuffers {
    /// Asks for `count` buffers to map in a queue of `kind`.
    pub(super) fn of(kind: u32, count: u32) -> Self {
        Self { count, kind, memory: MMAP, capabilities: 0, flags: 0 }
    }

    /// How many there are.
    #[cfg(feature = "v4l2-m2m")]
    pub(super) fn count(&self) -> u32 {
        self.count
    }
}

/// `struct v4l2_buffer`, with the member `offset` of its union.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(super) struct Buffer {
    pub(super) index: u32,
    kind: u32,
    pub(super) used: u32,
    pub(super) flags: u32,
    field: u32,
    pub(super) timestamp: libc::timeval,
    timecode: [u32; 4],
    pub(super) sequence: u32,
    memory: u32,
    /// As wide as the union, whose first 32 bits are the offset.
    offset: [u32; size_of::<c_ulong>() / 4],
    align: [c_ulong; 0],
    len: u32,
    reserved: u32,
    request_fd: c_int,
}

impl Buffer {
    /// The mapped buffer `index`.
    fn mapped(index: u32) -> Self {
        Self {
            index,
            kind: CAPTURE,
            used: 0,
            flags: 0,
            field: 0,
            timestamp: libc::timeval { tv_sec: 0, tv_usec: 0 },
            timecode: [0; 4],
            sequence: 0,
            memory: MMAP,
            offset: [0; size_of::<c_ulong>() / 4],
            align: [],
            len: 0,
            reserved: 0,
            request_fd: 0,
        }
    }

    /// Where [`Mapping::new`] finds it.
    fn offset(&self) -> u32 {
        self.offset.first().copied().unwrap_or_default()
    }
}

const _: () = {
    assert!(size_of::<Capability>() == 104);
    assert!(size_of::<FormatDescription>() == 64);
    assert!(size_of::<FrameSize>() == 44);
    assert!(size_of::<FrameInterval>() == 52);
    assert!(size_of::<PixFormat>() == 48);
    assert!(size_of::<StreamParameters>() == 204);
    assert!(size_of::<RequestBuffers>() == 20);
    assert!(size_of::<ControlValue>() == 8);
};
#[cfg(target_pointer_width = "64")]
const _: () = {
    assert!(size_of::<Format>() == 208);
    assert!(size_of::<Buffer>() == 88);
    assert!(std::mem::offset_of!(Format, pix) == 8);
    assert!(std::mem::offset_of!(Buffer, timestamp) == 24);
    assert!(std::mem::offset_of!(Buffer, offset) == 64);
    assert!(std::mem::offset_of!(Buffer, len) == 72);
};
#[cfg(target_pointer_width = "32")]
const _: () = {
    assert!(size_of::<Format>() == 204);
    // With 32-bit or 64-bit seconds.
    assert!(size_of::<Buffer>() == 68 || size_of::<Buffer>() == 80);
};

/// The number of a call together with the type of its argument, so that one cannot be made with another's.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call<T> {
    number: libc::Ioctl,
    /// For an error message.
    name: &'static str,
    argument: PhantomData<T>,
}

/// `VIDIOC_*`.
pub(super) const QUERYCAP: Call<Capability> = read(0, "asking what it is");
pub(super) const ENUM_FMT: Call<FormatDescription> = both(2, "asking for its formats");
pub(super) const S_FMT: Call<Format> = both(5, "setting its format");
pub(super) const REQBUFS: Call<RequestBuffers> = both(8, "asking for buffers");
const QUERYBUF: Call<Buffer> = both(9, "finding a buffer");
const QBUF: Call<Buffer> = both(15, "giving a buffer back");
const DQBUF: Call<Buffer> = both(17, "taking a frame");
pub(super) const STREAMON: Call<c_int> = write(18, "starting the stream");
const STREAMOFF: Call<c_int> = write(19, "stopping the stream");
pub(super) const S_PARM: Call<StreamParameters> = both(22, "setting its rate");
const S_CTRL: Call<ControlValue> = both(28, "setting a control");
pub(super) const ENUM_FRAMESIZES: Call<FrameSize> = both(74, "asking for its sizes");
pub(super) const ENUM_FRAMEINTERVALS: Call<FrameInterval> = both(75, "asking for its rates");

const fn read<T>(number: u32, name: &'static str) -> Call<T> {
    Call { number: libc::_IOR::<T>(b'V' as u32, number), name, argument: PhantomData }
}

const fn write<T>(number: u32, name: &'static str) -> Call<T> {
    Call { number: libc::_IOW::<T>(b'V' as u32, number), name, argument: PhantomData }
}

pub(super) const fn both<T>(number: u32, name: &'static str) -> Call<T> {
    Call { number: libc::_IOWR::<T>(b'V' as u32, number), name, argument: PhantomData }
}

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
const _: () = {
    assert!(QUERYCAP.number == 0x8068_5600);
    assert!(S_FMT.number == 0xc0d0_5605);
    assert!(DQBUF.number == 0xc058_5611);
    assert!(STREAMON.number == 0x4004_5612);
    assert!(S_PARM.number == 0xc0cc_5616);
    assert!(S_CTRL.number == 0xc008_561c);
    assert!(ENUM_FRAMEINTERVALS.number == 0xc034_564b);
};

/// What failed, and what the kernel said.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) what: &'static str,
    pub(crate) error: io::Error,
}

impl Failed {
    /// The `errno`, 0 if there is none.
    pub(crate) fn code(&self) -> i32 {
        self.error.raw_os_error().unwrap_or_default()
    }
}

/// A type the kernel may write any bytes to: integers and arrays of them.
///
/// # Safety
/// Every bit pattern must be a valid value, and the size must be that of the kernel's struct.
pub(super) unsafe trait Argument {}

// SAFETY: integers and arrays of them; sizes are asserted above.
unsafe impl Argument for Capability {}
// SAFETY: as above.
unsafe impl Argument for FormatDescription {}
// SAFETY: as above.
unsafe impl Argument for FrameSize {}
// SAFETY: as above.
unsafe impl Argument for FrameInterval {}
// SAFETY: as above.
unsafe impl Argument for Format {}
// SAFETY: as above.
unsafe impl Argument for StreamParameters {}
// SAFETY: as above.
unsafe impl Argument for RequestBuffers {}
// SAFETY: as above.
unsafe impl Argument for Buffer {}
// SAFETY: as above.
unsafe impl Argument for ControlValue {}
// SAFETY: an integer, as VIDIOC_STREAMON wants it.
unsafe impl Argument for c_int {}

/// Makes the call, again if a signal interrupted it.
pub(super) fn call<T: Argument>(device: &File, call: Call<T>, argument: &mut T) -> Result<(), Failed> {
    // SAFETY: any bytes are a `T`, and no `Argument` has a pointer that the kernel would follow.
    unsafe { call_raw(device, call, argument) }
}

/// Makes the call, again if a signal interrupted it.
///
/// # Safety
/// What the kernel writes to `argument` must be a `T`, and pointers in it must lead to what the call wants there.
pub(super) unsafe fn call_raw<T>(device: &File, call: Call<T>, argument: &mut T) -> Result<(), Failed> {
    loop {
        // SAFETY: the descriptor is open while `device` is borrowed; the call's number carries the size of `T`, so
        // the kernel reads and writes that many bytes at `argument`, and what they mean the caller vouches for.
        let status = unsafe { libc::ioctl(device.as_raw_fd(), call.number, std::ptr::from_mut(argument)) };
        if status >= 0 {
            return Ok(());
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(Failed { what: call.name, error });
        }
    }
}

/// Sets a control. Drivers move a number that is out of their range into it.
pub(crate) fn set(device: &File, control: Control, value: i32) -> Result<(), Failed> {
    call(device, S_CTRL, &mut ControlValue { id: control.0, value })
}

/// Waits until the device has a frame or trouble. `false` if neither came within `wait`, or a signal came.
pub(crate) fn wait(device: &File, wait: Duration) -> Result<bool, Failed> {
    let mut poll = libc::pollfd { fd: device.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    let ms = c_int::try_from(wait.as_millis().saturating_add(1)).unwrap_or(c_int::MAX);
    // SAFETY: `poll` is one valid pollfd, and 1 says so.
    let status = unsafe { libc::poll(&raw mut poll, 1, ms) };
    if status >= 0 {
        return Ok(status > 0);
    }
    let error = io::Error::last_os_error();
    if error.kind() == io::ErrorKind::Interrupted {
        Ok(false)
    } else {
        Err(Failed { what: "waiting for a frame", error })
    }
}

/// `CLOCK_MONOTONIC`, which drivers stamp their buffers with.
pub(super) fn monotonic() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid timespec to write to; this clock always exists, so the call cannot fail.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) };
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or_default())
}

/// A driver's buffers in our address space. Knows which of them are ours at the moment, and shows no other.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    mappings: Vec<Mapping>,
}

impl Buffers {
    /// Gets about `count` buffers from `device` and maps them. All are ours at first.
    pub(super) fn new(device: &File, count: u32) -> Result<Self, Failed> {
        let mut request = RequestBuffers::of(CAPTURE, count);
        call(device, REQBUFS, &mut request)?;
        let mut mappings = Vec::new();
        for index in 0..request.count {
            let mut buffer = Buffer::mapped(index);
            call(device, QUERYBUF, &mut buffer)?;
            let mapping = Mapping::new(device, buffer.len as usize, buffer.offset(), libc::PROT_READ);
            mappings.push(mapping.map_err(|error| Failed { what: "mapping a buffer", error })?);
        }
        Ok(Self { mappings })
    }

    /// Gives every buffer that is ours to the driver, and starts the stream.
    pub(super) fn start(&mut self, device: &File) -> Result<(), Failed> {
        for index in 0..u32::try_from(self.mappings.len()).unwrap_or_default() {
            self.give(device, index)?;
        }
        call(device, STREAMON, &mut CAPTURE.cast_signed())
    }

    /// Stops the stream. All buffers are ours after that.
    pub(super) fn stop(&mut self, device: &File) -> Result<(), Failed> {
        call(device, STREAMOFF, &mut CAPTURE.cast_signed())?;
        for mapping in &mut self.mappings {
            mapping.ours = true;
        }
        Ok(())
    }

    /// Gives a buffer to the driver to fill; nothing if it has it already.
    pub(super) fn give(&mut self, device: &File, index: u32) -> Result<(), Failed> {
        let Some(mapping) = self.mappings.get_mut(index as usize).filter(|mapping| mapping.ours) else {
            return Ok(());
        };
        mapping.ours = false;
        let given = call(device, QBUF, &mut Buffer::mapped(index));
        // What the driver refuses it does not have.
        mapping.ours = given.is_err();
        given
    }

    /// Takes the oldest buffer that the driver has filled; `None` if there is none yet.
    pub(super) fn take(&mut self, device: &File) -> Result<Option<Buffer>, Failed> {
        let mut buffer = Buffer::mapped(0);
        match call(device, DQBUF, &mut buffer) {
            Ok(()) => {}
            Err(failed) if failed.error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            Err(failed) => return Err(failed),
        }
        if let Some(mapping) = self.mappings.get_mut(buffer.index as usize) {
            mapping.ours = true;
        }
        Ok(Some(buffer))
    }

    /// The first `used` bytes of a buffer; none if the driver has it.
    pub(super) fn bytes(&self, index: u32, used: u32) -> &[u8] {
        let whole = self.mappings.get(index as usize).map_or(&[][..], Mapping::bytes);
        whole.get(..used as usize).unwrap_or(whole)
    }
}

/// One buffer.
#[derive(Debug)]
pub(super) struct Mapping {
    start: NonNull<u8>,
    len: usize,
    /// Whether the driver does not have it.
    ours: bool,
    #[cfg_attr(not(feature = "v4l2-m2m"), expect(dead_code, reason = "cameras are only read"))]
    writable: bool,
}

// SAFETY: a mapping belongs to the process, not to the thread that made it, and has no other owner.
unsafe impl Send for Mapping {}

impl Mapping {
    /// Maps `len` bytes of a buffer, to read or to write as `access` says (`PROT_*`).
    pub(super) fn new(device: &File, len: usize, offset: u32, access: c_int) -> io::Result<Self> {
        let shared = libc::MAP_SHARED;
        let offset = libc::off64_t::from(offset);
        // SAFETY: the address is left to the kernel, so nothing of ours is mapped over.
        let start = unsafe { libc::mmap64(std::ptr::null_mut(), len, access, shared, device.as_raw_fd(), offset) };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let start = NonNull::new(start.cast()).ok_or_else(|| io::Error::other("mapped at address 0"))?;
        Ok(Self { start, len, ours: true, writable: access & libc::PROT_WRITE != 0 })
    }

    /// Its bytes; none if the driver has it.
    pub(super) fn bytes(&self) -> &[u8] {
        if !self.ours {
            return &[];
        }
        // SAFETY: `len` bytes are mapped readable at `start` until `drop`, which needs `self` whole; and the driver does
        // not write to a buffer that is ours, which changes by `&mut self` alone.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

#[cfg(feature = "v4l2-m2m")]
impl Mapping {
    /// Whether the driver does not have it.
    pub(super) fn is_ours(&self) -> bool {
        self.ours
    }

    /// Notes who has it.
    pub(super) fn set_ours(&mut self, ours: bool) {
        self.ours = ours;
    }

    /// Its bytes to fill; none if the driver has it, or they were not mapped to be written.
    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        if !self.ours || !self.writable {
            return &mut [];
        }
        // SAFETY: `len` bytes are mapped readable and writable at `start` until `drop`; nobody else has a reference, for
        // `self` is borrowed mutably, and the driver does not touch a buffer that is ours.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.len) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: exactly what `mmap` gave, and no borrow of it is left.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.len) };
    }
}
