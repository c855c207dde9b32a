//! The kernel's multi-planar interface, which memory-to-memory encoders speak: structs as in `linux/videodev2.h`, and
//! the two queues of such a device.

use super::card;
use super::ioctl::{
    Argument, CAP_STREAMING, Call, Capability, Failed, Fraction, Mapping, PROGRESSIVE, QUERYCAP, REQBUFS,
    RequestBuffers, S_PARM, STREAMON, StreamParameters, both, call, call_raw,
};
use libc::{c_int, c_ulong};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// `V4L2_CAP_VIDEO_M2M_MPLANE`.
const CAP_M2M: u32 = 0x4000;
/// `V4L2_MEMORY_MMAP`.
const MMAP: u32 = 1;
/// `VIDEO_MAX_PLANES`.
const MAX_PLANES: usize = 8;
/// `V4L2_BUF_FLAG_ERROR` and `V4L2_BUF_FLAG_LAST`.
const FLAG_ERROR: u32 = 0x40;
const FLAG_LAST: u32 = 0x10_0000;
/// `V4L2_ENC_CMD_STOP`.
const STOP: u32 = 1;

/// One of the two queues of an encoder, by the kernel's names: frames go into `OUTPUT`, coded pictures come out of
/// `CAPTURE`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// `V4L2_BUF_TYPE_VIDEO_OUTPUT_MPLANE`.
    Output,
    /// `V4L2_BUF_TYPE_VIDEO_CAPTURE_MPLANE`.
    Capture,
}

impl Side {
    const fn kind(self) -> u32 {
        match self {
            Self::Output => 10,
            Self::Capture => 9,
        }
    }
}

/// `struct v4l2_plane_pix_format`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
struct PlaneFormat {
    image_bytes: u32,
    stride: u32,
    reserved: [u16; 6],
}

/// `struct v4l2_pix_format_mplane`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
struct PixFormat {
    width: u32,
    height: u32,
    fourcc: u32,
    field: u32,
    colorspace: u32,
    planes: [PlaneFormat; MAX_PLANES],
    num_planes: u8,
    flags: u8,
    encoding: u8,
    quantization: u8,
    transfer: u8,
    reserved: [u8; 7],
}

/// `struct v4l2_format` with the member `pix_mp` of its union.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
struct Format {
    kind: u32,
    align: [c_ulong; 0],
    pix: PixFormat,
    rest: [u32; 2],
}

/// `struct v4l2_selection`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
struct Selection {
    kind: u32,
    target: u32,
    flags: u32,
    left: i32,
    top: i32,
    width: u32,
    height: u32,
    reserved: [u32; 9],
}

/// `struct v4l2_encoder_cmd`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
struct EncoderCommand {
    command: u32,
    flags: u32,
    data: [u32; 8],
}

/// `struct v4l2_plane`, with the member `mem_offset` of its union.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
struct Plane {
    used: u32,
    len: u32,
    /// As wide as the union, whose first 32 bits are the offset.
    offset: [u32; size_of::<c_ulong>() / 4],
    align: [c_ulong; 0],
    data_offset: u32,
    reserved: [u32; 11],
}

/// `struct v4l2_buffer`, with the member `planes` of its union.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
struct Buffer {
    index: u32,
    kind: u32,
    used: u32,
    flags: u32,
    field: u32,
    timestamp: libc::timeval,
    timecode: [u32; 4],
    sequence: u32,
    memory: u32,
    planes: *mut Plane,
    len: u32,
    reserved: u32,
    request_fd: c_int,
}

const _: () = {
    assert!(size_of::<PlaneFormat>() == 20);
    assert!(size_of::<PixFormat>() == 192);
    assert!(size_of::<Selection>() == 64);
    assert!(size_of::<EncoderCommand>() == 40);
};
#[cfg(target_pointer_width = "64")]
const _: () = {
    assert!(size_of::<Format>() == 208);
    assert!(size_of::<Plane>() == 64);
    assert!(size_of::<Buffer>() == 88);
    assert!(std::mem::offset_of!(Buffer, planes) == 64);
    assert!(std::mem::offset_of!(Buffer, len) == 72);
};

// SAFETY: integers and arrays of them; sizes are asserted above.
unsafe impl Argument for Format {}
// SAFETY: as above.
unsafe impl Argument for Selection {}
// SAFETY: as above.
unsafe impl Argument for EncoderCommand {}

const S_FMT: Call<Format> = both(5, "setting its format");
const QUERYBUF: Call<Buffer> = both(9, "finding a buffer");
const QBUF: Call<Buffer> = both(15, "giving it a buffer");
const DQBUF: Call<Buffer> = both(17, "taking a buffer");
const ENCODER_CMD: Call<EncoderCommand> = both(77, "ending its stream");
const S_SELECTION: Call<Selection> = both(95, "setting the visible size");

/// What a driver made of a format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) fourcc: [u8; 4],
    /// Bytes from row to row of the first plane.
    pub(crate) stride: u32,
    /// Bytes of a whole frame.
    pub(crate) image_bytes: u32,
    /// Pieces of memory that a frame is in.
    pub(crate) pieces: u8,
}

/// `enum v4l2_colorspace`, `v4l2_ycbcr_encoding` and `v4l2_quantization`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ColorCodes {
    pub(crate) space: u32,
    pub(crate) encoding: u8,
    pub(crate) quantization: u8,
}

/// Opens a node.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).custom_flags(libc::O_NONBLOCK).open(path)
}

/// What a node calls itself, if it is a memory-to-memory device of this interface.
pub(crate) fn name_of_m2m(device: &File) -> Result<Option<String>, Failed> {
    let mut capability = Capability::default();
    call(device, QUERYCAP, &mut capability)?;
    let wanted = CAP_M2M | CAP_STREAMING;
    Ok((capability.of_this_node() & wanted == wanted).then(|| card(&capability.card)))
}

/// Sets the format of a queue; what the driver made of it.
pub(crate) fn set_format(device: &File, side: Side, wanted: Layout, color: ColorCodes) -> Result<Layout, Failed> {
    let mut pix = PixFormat {
        width: wanted.width,
        height: wanted.height,
        fourcc: u32::from_le_bytes(wanted.fourcc),
        field: PROGRESSIVE,
        colorspace: color.space,
        encoding: color.encoding,
        quantization: color.quantization,
        num_planes: wanted.pieces,
        ..PixFormat::default()
    };
    if let Some(plane) = pix.planes.first_mut() {
        *plane = PlaneFormat { image_bytes: wanted.image_bytes, stride: wanted.stride, ..PlaneFormat::default() };
    }
    let mut format = Format { kind: side.kind(), align: [], pix, rest: [0; 2] };
    call(device, S_FMT, &mut format)?;
    let pix = format.pix;
    let plane = pix.planes.first().copied().unwrap_or_default();
    Ok(Layout {
        width: pix.width,
        height: pix.height,
        fourcc: pix.fourcc.to_le_bytes(),
        stride: plane.stride,
        image_bytes: plane.image_bytes,
        pieces: pix.num_planes,
    })
}

/// Says how much of the frames is to be seen, where the driver wants them larger.
pub(crate) fn set_visible(device: &File, width: u32, height: u32) -> Result<(), Failed> {
    // By the older type of the queue: kernels before 4.13 know no other here. Target 0 is `V4L2_SEL_TGT_CROP`.
    const OUTPUT: u32 = 2;
    call(device, S_SELECTION, &mut Selection { kind: OUTPUT, width, height, ..Selection::default() })
}

/// Says how many frames a second will come: an interval of `num / den` seconds.
pub(crate) fn set_interval(device: &File, num: u32, den: u32) -> Result<(), Failed> {
    call(device, S_PARM, &mut StreamParameters::of(Side::Output.kind(), Fraction { num, den }))
}

/// Asks for what is still inside; the last coded picture is marked.
pub(crate) fn stop(device: &File) -> Result<(), Failed> {
    call(device, ENCODER_CMD, &mut EncoderCommand { command: STOP, ..EncoderCommand::default() })
}

/// A buffer that came out of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Taken {
    pub(crate) index: u32,
    /// Where its bytes begin and end.
    start: u32,
    end: u32,
    /// Whether the driver marked it bad.
    pub(crate) is_damaged: bool,
    /// Whether none comes after it.
    pub(crate) is_last: bool,
}

/// The buffers of a queue in our address space. Knows which of them are ours at the moment, and shows no other.
#[derive(Debug)]
pub(crate) struct Queue {
    side: Side,
    mappings: Vec<Mapping>,
}

impl Queue {
    /// Gets about `count` buffers and maps them. All are ours at first.
    pub(crate) fn new(device: &File, side: Side, count: u32) -> Result<Self, Failed> {
        let mut request = RequestBuffers::of(side.kind(), count);
        call(device, REQBUFS, &mut request)?;
        let mut mappings = Vec::new();
        for index in 0..request.count() {
            let (_, plane) = exchange(device, QUERYBUF, side, index, 0)?;
            let offset = plane.offset.first().copied().unwrap_or_default();
            let access = match side {
                Side::Output => libc::PROT_READ | libc::PROT_WRITE,
                Side::Capture => libc::PROT_READ,
            };
            let mapping = Mapping::new(device, plane.len as usize, offset, access);
            mappings.push(mapping.map_err(|error| Failed { what: "mapping a buffer", error })?);
        }
        Ok(Self { side, mappings })
    }

    /// Starts the queue.
    pub(crate) fn start(&self, device: &File) -> Result<(), Failed> {
        call(device, STREAMON, &mut self.side.kind().cast_signed())
    }

    /// A buffer that is ours.
    pub(crate) fn free(&self) -> Option<u32> {
        self.mappings.iter().position(Mapping::is_ours).and_then(|index| u32::try_from(index).ok())
    }

    /// Gives a buffer to the driver, `used` bytes of it filled; nothing if it has it already.
    pub(crate) fn give(&mut self, device: &File, index: u32, used: u32) -> Result<(), Failed> {
        let Some(mapping) = self.mappings.get_mut(index as usize).filter(|mapping| mapping.is_ours()) else {
            return Ok(());
        };
        mapping.set_ours(false);
        let given = exchange(device, QBUF, self.side, index, used);
        // What the driver refuses it does not have.
        mapping.set_ours(given.is_err());
        given.map(drop)
    }

    /// Takes the oldest buffer that the driver is done with; `None` if there is none yet, or will be none.
    pub(crate) fn take(&mut self, device: &File) -> Result<Option<Taken>, Failed> {
        let (buffer, plane) = match exchange(device, DQBUF, self.side, 0, 0) {
            Ok(taken) => taken,
            Err(failed) if failed.error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            // Everything is out (kernel documentation, "Memory-to-Memory Stateful Video Encoder Interface", drain).
            Err(failed) if failed.code() == libc::EPIPE => return Ok(None),
            Err(failed) => return Err(failed),
        };
        if let Some(mapping) = self.mappings.get_mut(buffer.index as usize) {
            mapping.set_ours(true);
        }
        let (is_damaged, is_last) = (buffer.flags & FLAG_ERROR != 0, buffer.flags & FLAG_LAST != 0);
        Ok(Some(Taken { index: buffer.index, start: plane.data_offset, end: plane.used, is_damaged, is_last }))
    }

    /// What is in a buffer; nothing if the driver has it.
    pub(crate) fn bytes(&self, taken: &Taken) -> &[u8] {
        let whole = self.mappings.get(taken.index as usize).map_or(&[][..], Mapping::bytes);
        let end = whole.len().min(taken.end as usize);
        whole.get(taken.start as usize..end).unwrap_or_default()
    }

    /// A buffer to fill; nothing if the driver has it, or fills it itself.
    pub(crate) fn bytes_mut(&mut self, index: u32) -> &mut [u8] {
        let fillable = self.side == Side::Output;
        self.mappings.get_mut(index as usize).filter(|_| fillable).map_or(&mut [][..], Mapping::bytes_mut)
    }
}

/// Makes a call about one buffer of one plane.
fn exchange(device: &File, number: Call<Buffer>, side: Side, index: u32, used: u32) -> Result<(Buffer, Plane), Failed> {
    let mut planes = [Plane::default(); MAX_PLANES];
    if let Some(plane) = planes.first_mut() {
        plane.used = used;
    }
    let mut buffer = Buffer {
        index,
        kind: side.kind(),
        used: 0,
        flags: 0,
        field: PROGRESSIVE,
        timestamp: libc::timeval { tv_sec: 0, tv_usec: 0 },
        timecode: [0; 4],
        sequence: 0,
        memory: MMAP,
        planes: planes.as_mut_ptr(),
        len: 1,
        reserved: 0,
        request_fd: 0,
    };
    // SAFETY: the number carries the size of `Buffer`, in which any integers are valid; its only pointer leads to
    // `planes`, which outlives the call and has as many as `len` says and more.
    unsafe { call_raw(device, number, &mut buffer) }?;
    Ok((buffer, planes.first().copied().unwrap_or_default()))
}
