//! One kind of file each: from its bytes to images, over and over.

use crate::sensor::{Decoding, SensorError};
use bytes::Bytes;
use doorframe_codec::access_unit::{Codec, Kind};
use doorframe_codec::av1::rav1d::Rav1dDecoder;
use doorframe_codec::clip::{self, ClipError, annexb, ivf, mjpeg, y4m};
use doorframe_codec::decoder::{Limits, Shown};
use doorframe_codec::h264::openh264::Openh264Decoder;
#[cfg(target_os = "linux")]
use doorframe_codec::sandbox::{self, SandboxError as DecodingError};
use doorframe_codec::units::{Color, FrameRate, MediaTime, Size, TemporalLayer};
use doorframe_codec::{AccessUnit, Decoder, Picture, av1, h264};

#[cfg(not(target_os = "linux"))]
type DecodingError = std::convert::Infallible;

/// One image of a clip.
#[derive(Clone, Debug)]
pub(super) enum Image {
    /// Decoded.
    Picture(Picture),
    /// As it is in the file, laid out as [`Picture::samples`].
    Samples { size: Size, color: Color, data: Bytes },
    /// A JPEG, left to the consumer as it is.
    Jpeg { size: Size, data: Bytes },
}

impl Image {
    pub(super) fn size(&self) -> Size {
        match self {
            Self::Picture(picture) => picture.size(),
            Self::Samples { size, .. } | Self::Jpeg { size, .. } => *size,
        }
    }
}

/// What comes next in a clip.
pub(super) enum Next {
    Image(Image),
    /// Something that cannot be shown, and why.
    Damaged(String),
    /// After it the clip starts anew.
    End,
}

/// A clip that can be played any number of times.
pub(super) trait Reel: Send {
    /// The next image. `spare` is one no longer needed, whose memory can be used.
    fn next(&mut self, spare: Option<Picture>) -> Next;

    /// Images a second.
    fn rate(&self) -> FrameRate;
}

/// For a clip that does not tell its rate.
pub(super) const USUAL_RATE: FrameRate = {
    let Some(rate) = FrameRate::whole(30) else { unreachable!() };
    rate
};

/// Makes a reel of a clip's bytes, by what they begin with.
pub(super) fn open(clip: &str, bytes: &Bytes, decoding: &Decoding) -> Result<Box<dyn Reel>, SensorError> {
    let bad = |error| match error {
        ClipError::Empty => SensorError::Empty(clip.to_owned()),
        ClipError::Unknown => SensorError::NotAClip { clip: clip.to_owned(), hint: hint(bytes) },
        error => SensorError::Clip { clip: clip.to_owned(), error },
    };
    let decoder = |codec| {
        decoder(codec, decoding).map_err(|why| SensorError::Decoder { clip: clip.to_owned(), why: why.to_string() })
    };
    Ok(match clip::sniff(bytes).map_err(bad)? {
        clip::Kind::AnnexB => {
            let units: Vec<_> = annexb::access_units(bytes).collect();
            let rate = units.iter().find_map(|unit| h264::facts(unit).sps?.rate).unwrap_or(USUAL_RATE);
            Box::new(Coded { codec: Codec::H264, units, rate, decoder: decoder(Codec::H264)?, at: 0 })
        }
        clip::Kind::Ivf => {
            let (header, start) = ivf::Header::parse(bytes).map_err(bad)?;
            let units = ivf::frames(bytes, start).map(|frame| frame.data).collect();
            Box::new(Coded { codec: Codec::Av1, units, rate: header.rate, decoder: decoder(Codec::Av1)?, at: 0 })
        }
        clip::Kind::Y4m => {
            let (header, start) = y4m::Header::parse(bytes).map_err(bad)?;
            let (size, color) = (header.size, header.color);
            let frames = y4m::frames(bytes, &header, start);
            let images = frames.map(|data| Some(Image::Samples { size, color, data: bytes.slice_ref(data) })).collect();
            Box::new(Ready { images, rate: header.rate, at: 0 })
        }
        clip::Kind::Mjpeg => {
            let sized = |data| Some(Image::Jpeg { size: mjpeg::scan(data)?.size?, data: bytes.slice_ref(data) });
            Box::new(Ready { images: mjpeg::pictures(bytes).map(sized).collect(), rate: USUAL_RATE, at: 0 })
        }
        _ => return Err(bad(ClipError::Unknown)),
    })
}

/// What to do about a file that is a film, but of another kind.
fn hint(bytes: &[u8]) -> &'static str {
    let mp4 = bytes.get(4..8) == Some(b"ftyp");
    let matroska = bytes.starts_with(&[0x1a, 0x45, 0xdf, 0xa3]);
    let avi = bytes.starts_with(b"RIFF");
    let transport_stream = bytes.first() == Some(&0x47) && bytes.get(188) == Some(&0x47);
    if mp4 || matroska || avi || transport_stream {
        "; `ffmpeg -i FILE -an -c:v libx264 FILE.264` makes one of it"
    } else {
        ""
    }
}

/// Access units, to be decoded.
struct Coded {
    codec: Codec,
    units: Vec<Bytes>,
    rate: FrameRate,
    decoder: Box<dyn Decoder>,
    /// Which unit is next.
    at: usize,
}

impl Reel for Coded {
    fn next(&mut self, spare: Option<Picture>) -> Next {
        let mut picture = spare.unwrap_or_else(no_picture);
        while let Some(data) = self.units.get(self.at) {
            let at = self.at;
            self.at += 1;
            match self.decoder.decode(&unit(self.codec, data, at), &mut picture) {
                Ok(Shown::Nothing) => {}
                Ok(_) => return Next::Image(Image::Picture(picture)),
                Err(error) => {
                    if self.codec == Codec::Av1 {
                        // AV1 shows no gap by itself: without this, deltas after damage would be decoded from what was before.
                        self.decoder.reset();
                    }
                    return Next::Damaged(error.to_string());
                }
            }
        }
        // What is damaged at the end is lost.
        if self.decoder.flush(&mut picture).is_ok_and(Shown::is_picture) {
            return Next::Image(Image::Picture(picture));
        }
        self.decoder.reset();
        self.at = 0;
        Next::End
    }

    fn rate(&self) -> FrameRate {
        self.rate
    }
}

fn unit(codec: Codec, data: &Bytes, at: usize) -> AccessUnit {
    let keyframe = match codec {
        Codec::Av1 => av1::facts(data).is_keyframe(),
        _ => h264::facts(data).is_keyframe(),
    };
    AccessUnit {
        codec,
        kind: if keyframe { Kind::Keyframe } else { Kind::Delta },
        layer: TemporalLayer::BASE,
        // Decoders read the size from the unit itself.
        size: NO_SIZE,
        at: MediaTime::from_ticks(at as u64),
        data: data.clone(),
    }
}

/// The decoder of a clip, which may show its pictures in another order than that of their units.
fn decoder(codec: Codec, decoding: &Decoding) -> Result<Box<dyn Decoder>, DecodingError> {
    match decoding {
        Decoding::Here => Ok(match codec {
            Codec::Av1 => Box::new(Rav1dDecoder::new(Limits::default())),
            _ => Box::new(Openh264Decoder::for_clips(Limits::default())),
        }),
        #[cfg(target_os = "linux")]
        Decoding::Apart(program) => {
            let mut config = sandbox::Config::new(codec);
            config.footage = sandbox::Footage::Clip;
            Ok(Box::new(sandbox::Sandboxed::new(program.clone(), config)?))
        }
    }
}

pub(super) const NO_SIZE: Size = {
    let Some(size) = Size::new(1, 1) else { unreachable!() };
    size
};

/// For a decoder to make as large as it needs.
fn no_picture() -> Picture {
    Picture::black(NO_SIZE, Color::default())
}

/// Images that need no decoding here.
struct Ready {
    /// `None` for a JPEG that tells no size.
    images: Vec<Option<Image>>,
    rate: FrameRate,
    at: usize,
}

impl Reel for Ready {
    fn next(&mut self, _spare: Option<Picture>) -> Next {
        let Some(image) = self.images.get(self.at) else {
            self.at = 0;
            return Next::End;
        };
        self.at += 1;
        match image {
            // Cheap: it shares the file's bytes.
            Some(image) => Next::Image(image.clone()),
            None => Next::Damaged("a JPEG tells no size".to_owned()),
        }
    }

    fn rate(&self) -> FrameRate {
        self.rate
    }
}
