//! One kind of file each: from its bytes to images, over and over.

use crate::sensor::SensorError;
use bytes::Bytes;
use doorframe_codec::access_unit::{Codec, Kind};
use doorframe_codec::clip::{annexb, mjpeg};
use doorframe_codec::decoder::Limits;
use doorframe_codec::h264::openh264::Openh264Decoder;
use doorframe_codec::units::{Color, FrameRate, MediaTime, Size, TemporalLayer};
use doorframe_codec::{AccessUnit, Decoder, Picture, h264};

/// One image of a clip.
#[derive(Debug)]
pub(super) enum Image {
    Picture(Picture),
    /// A JPEG, left to the consumer as it is.
    Jpeg {
        size: Size,
        data: Bytes,
    },
}

impl Image {
    pub(super) fn size(&self) -> Size {
        match self {
            Self::Picture(picture) => picture.size(),
            Self::Jpeg { size, .. } => *size,
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
const USUAL_RATE: FrameRate = {
    let Some(rate) = FrameRate::whole(30) else { unreachable!() };
    rate
};

/// Makes a reel of a clip's bytes, by what they begin with.
pub(super) fn open(clip: &str, bytes: Bytes) -> Result<Box<dyn Reel>, SensorError> {
    if bytes.is_empty() {
        return Err(SensorError::Empty(clip.to_owned()));
    }
    match sniff(&bytes) {
        Some(Form::AnnexB) => Ok(Box::new(H264::new(annexb::access_units(&bytes).collect()))),
        Some(Form::Mjpeg) => Ok(Box::new(Mjpeg::new(&bytes))),
        None => Err(SensorError::NotAClip { clip: clip.to_owned(), hint: hint(&bytes) }),
    }
}

/// What a clip can be.
enum Form {
    AnnexB,
    Mjpeg,
}

fn sniff(bytes: &[u8]) -> Option<Form> {
    match bytes {
        [0, 0, 1, ..] | [0, 0, 0, 1, ..] => Some(Form::AnnexB),
        [0xff, 0xd8, 0xff, ..] => Some(Form::Mjpeg),
        _ => None,
    }
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

/// Access units of H.264.
struct H264 {
    units: Vec<Bytes>,
    rate: FrameRate,
    decoder: Openh264Decoder,
    /// Which unit is next.
    at: usize,
}

impl H264 {
    fn new(units: Vec<Bytes>) -> Self {
        let rate = units.iter().find_map(|unit| h264::facts(unit).sps?.rate).unwrap_or(USUAL_RATE);
        Self { units, rate, decoder: Openh264Decoder::for_clips(Limits::default()), at: 0 }
    }
}

impl Reel for H264 {
    fn next(&mut self, spare: Option<Picture>) -> Next {
        let mut picture = spare.unwrap_or_else(no_picture);
        while let Some(data) = self.units.get(self.at) {
            let unit = access_unit(data, self.at);
            self.at += 1;
            match self.decoder.decode(&unit, &mut picture) {
                Ok(true) => return Next::Image(Image::Picture(picture)),
                Ok(false) => {}
                Err(error) => return Next::Damaged(error.to_string()),
            }
        }
        if let Ok(true) = self.decoder.flush(&mut picture) {
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

fn access_unit(data: &Bytes, index: usize) -> AccessUnit {
    let facts = h264::facts(data);
    AccessUnit {
        codec: Codec::H264,
        kind: if facts.is_keyframe() { Kind::Keyframe } else { Kind::Delta },
        layer: TemporalLayer::BASE,
        // The decoder reads the size from the unit itself.
        size: facts.sps.map_or(no_size(), |sps| sps.size),
        at: MediaTime::from_ticks(index as u64),
        data: data.clone(),
    }
}

const fn no_size() -> Size {
    let Some(size) = Size::new(1, 1) else { unreachable!() };
    size
}

/// For a decoder to make as large as it needs.
fn no_picture() -> Picture {
    Picture::black(no_size(), Color::default())
}

/// JPEG pictures one after the other.
struct Mjpeg {
    /// Each with its size, if it tells one.
    pictures: Vec<(Option<Size>, Bytes)>,
    at: usize,
}

impl Mjpeg {
    fn new(bytes: &Bytes) -> Self {
        let found = mjpeg::pictures(bytes);
        let pictures = found.map(|data| (mjpeg::scan(data).and_then(|jpeg| jpeg.size), bytes.slice_ref(data)));
        Self { pictures: pictures.collect(), at: 0 }
    }
}

impl Reel for Mjpeg {
    fn next(&mut self, _spare: Option<Picture>) -> Next {
        let Some((size, data)) = self.pictures.get(self.at) else {
            self.at = 0;
            return Next::End;
        };
        self.at += 1;
        match *size {
            Some(size) => Next::Image(Image::Jpeg { size, data: data.clone() }),
            None => Next::Damaged("a JPEG tells no size".to_owned()),
        }
    }

    fn rate(&self) -> FrameRate {
        USUAL_RATE
    }
}
