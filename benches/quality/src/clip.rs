//! A clip as all encoders get it: decoded pictures in memory.

use crate::error::Error;
use crate::ffmpeg::Ffmpeg;
use crate::stream;
use doorframe_codec::av1::rav1d::Rav1dDecoder;
use doorframe_codec::clip::{ClipError, Kind, sniff, y4m};
use doorframe_codec::decoder::{Limits, Shown};
use doorframe_codec::h264;
use doorframe_codec::h264::openh264::Openh264Decoder;
use doorframe_codec::units::{Color, FrameRate, Size};
use doorframe_codec::{AccessUnit, Decoder, Picture};
use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::path::Path;

/// Pictures to be encoded.
#[derive(Clone, Debug)]
pub(crate) struct Clip {
    /// Its file's name without what comes after the last dot.
    pub(crate) name: String,
    /// Pictures a second.
    pub(crate) rate: FrameRate,
    /// Two or more, all of one size; both sides even and at least 16. Tagged as BT.709 in limited range, whatever they
    /// are: their samples are as the file has them.
    pub(crate) pictures: Vec<Picture>,
}

/// Bytes that tell what a file is.
const BEGINNING: u64 = 256 << 10;
/// Largest file of coded pictures that is read.
const MAX_CODED: u64 = 1 << 30;
/// Bytes of a y4m file beside its samples: its header, and each frame's.
const Y4M_HEADER: u64 = 2048;
const Y4M_FRAME_HEADER: u64 = 64;

impl Clip {
    /// Reads up to `frames` pictures of the file at `path`: y4m, H.264 Annex B and AV1 in IVF by our own readers and
    /// decoders, anything else by `ffmpeg` if there is one. `scratch` is a folder that may be written to.
    ///
    /// # Errors
    /// If it cannot be read or decoded, its sides are not even, or it has fewer than two pictures.
    pub(crate) fn open(path: &Path, frames: usize, ffmpeg: Option<&Ffmpeg>, scratch: &Path) -> Result<Self, Error> {
        let beginning = read(path, BEGINNING)?;
        let bad = |error| Error::Clip { path: path.to_owned(), error };
        let (rate, pictures) = match (sniff(&beginning), ffmpeg) {
            (Ok(Kind::Y4m), _) => raw(path, &beginning, frames)?,
            (Ok(Kind::AnnexB), _) => byte_stream(path, frames)?,
            (Ok(Kind::Ivf), _) => ivf_file(path, frames)?,
            (Err(ClipError::Empty), _) => return Err(bad(ClipError::Empty)),
            (_, Some(ffmpeg)) => foreign(path, frames, ffmpeg, scratch)?,
            (Err(error), None) => return Err(Error::NeedsFfmpeg { path: path.to_owned(), error }),
            (Ok(_), None) => return Err(Error::NeedsFfmpeg { path: path.to_owned(), error: ClipError::Unknown }),
        };
        let Some(size) = pictures.first().map(Picture::size) else {
            return Err(Error::NoPicture { path: path.to_owned(), why: "it ends before its first".to_owned() });
        };
        let even = |side: u32| side >= 16 && side.is_multiple_of(2);
        if !even(size.width()) || !even(size.height()) {
            return Err(Error::Size { path: path.to_owned(), size });
        }
        // A second part of another size is another clip. All are tagged alike, and so are all that is made of them: the
        // range is a flag in a stream, but ffmpeg would convert full range to limited before it judges.
        let alike = |picture: Picture| Picture::from_samples(size, Color::default(), picture.samples().to_vec());
        let pictures: Vec<_> =
            pictures.into_iter().take_while(|picture| picture.size() == size).filter_map(alike).collect();
        if pictures.len() < 2 {
            return Err(Error::Short { path: path.to_owned() });
        }
        let name = path.file_stem().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        Ok(Self { name, rate, pictures })
    }

    /// Size of its pictures.
    pub(crate) fn size(&self) -> Option<Size> {
        self.pictures.first().map(Picture::size)
    }

    /// Writes it as y4m, which every peer reads.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub(crate) fn write(&self, path: &Path) -> Result<(), Error> {
        let write = || {
            let mut file = BufWriter::new(File::create(path)?);
            if let Some(first) = self.pictures.first() {
                let header = y4m::Header { size: first.size(), rate: self.rate, color: first.color() };
                file.write_all(&header.emit())?;
            }
            for picture in &self.pictures {
                file.write_all(y4m::FRAME_HEADER)?;
                file.write_all(picture.samples())?;
            }
            file.flush()
        };
        write().map_err(|error| Error::Write { path: path.to_owned(), error })
    }
}

fn read(path: &Path, most: u64) -> Result<Vec<u8>, Error> {
    let failed = |error| Error::Read { path: path.to_owned(), error };
    let mut bytes = Vec::new();
    File::open(path).map_err(failed)?.take(most).read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}

fn raw(path: &Path, beginning: &[u8], frames: usize) -> Result<(FrameRate, Vec<Picture>), Error> {
    let (header, start) =
        y4m::Header::parse(beginning).map_err(|error| Error::Clip { path: path.to_owned(), error })?;
    let frame = Picture::bytes(header.size) as u64 + Y4M_FRAME_HEADER;
    let bytes = read(path, frame.saturating_mul(frames as u64).saturating_add(Y4M_HEADER))?;
    let samples = y4m::frames(&bytes, &header, start).take(frames);
    let pictures = samples.filter_map(|it| Picture::from_samples(header.size, header.color, it.to_vec())).collect();
    Ok((header.rate, pictures))
}

/// The rate of a byte stream that does not tell its own.
const USUAL_RATE: FrameRate = FrameRate::whole(30).expect("30 frames a second are a rate");

fn byte_stream(path: &Path, frames: usize) -> Result<(FrameRate, Vec<Picture>), Error> {
    let units = stream::h264_units(&read(path, MAX_CODED)?.into());
    let rate = units.iter().find_map(|unit| h264::facts(&unit.data).sps?.rate).unwrap_or(USUAL_RATE);
    let mut decoder = Openh264Decoder::for_clips(Limits::default());
    let mut pictures = decode(path, &mut decoder, &units, frames)?;
    // With B-frames the last pictures come when the stream has ended.
    while pictures.len() < frames {
        let mut picture = Picture::black(SMALLEST, Color::default());
        if !decoder.flush(&mut picture).is_ok_and(Shown::is_picture) {
            break;
        }
        pictures.push(picture);
    }
    Ok((rate, pictures))
}

fn ivf_file(path: &Path, frames: usize) -> Result<(FrameRate, Vec<Picture>), Error> {
    let file = read(path, MAX_CODED)?.into();
    let (header, units) = stream::ivf_units(&file).map_err(|error| Error::Clip { path: path.to_owned(), error })?;
    let pictures = decode(path, &mut Rav1dDecoder::new(Limits::default()), &units, frames)?;
    Ok((header.rate, pictures))
}

/// What a picture is before a decoder reshapes it.
const SMALLEST: Size = Size::new(16, 16).expect("16x16 is a size");

/// The pictures of `units`, those that are damaged left out.
fn decode(path: &Path, decoder: &mut dyn Decoder, units: &[AccessUnit], frames: usize) -> Result<Vec<Picture>, Error> {
    let (mut pictures, mut failed) = (Vec::new(), None);
    for unit in units {
        if pictures.len() == frames {
            break;
        }
        let mut picture = Picture::black(SMALLEST, Color::default());
        match decoder.decode(unit, &mut picture) {
            Ok(shown) if shown.is_picture() => pictures.push(picture),
            Ok(_) => {}
            Err(error) => failed = failed.or(Some(error)),
        }
    }
    match (pictures.is_empty(), failed) {
        (true, Some(error)) => Err(Error::NoPicture { path: path.to_owned(), why: error.to_string() }),
        _ => Ok(pictures),
    }
}

/// A file of a kind that ffmpeg alone can read, by way of y4m.
fn foreign(path: &Path, frames: usize, ffmpeg: &Ffmpeg, scratch: &Path) -> Result<(FrameRate, Vec<Picture>), Error> {
    let between = scratch.join("clip.y4m");
    let count = frames.to_string();
    let tail = ["-map", "0:v:0", "-frames:v", &count, "-fps_mode", "passthrough", "-pix_fmt", "yuv420p"];
    let arguments = [OsStr::new("-i"), path.as_os_str()].into_iter().chain(tail.map(OsStr::new));
    ffmpeg
        .run(arguments.chain([OsStr::new("-f"), OsStr::new("yuv4mpegpipe"), between.as_os_str()]))
        .map_err(|error| Error::NoPicture { path: path.to_owned(), why: error.to_string() })?;
    let found = raw(&between, &read(&between, BEGINNING)?, frames);
    // Of no more use; the folder itself goes at the end.
    let _ = std::fs::remove_file(&between);
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use doorframe_codec::testing::Scene;
    use doorframe_codec::units::{Matrix, Range};

    fn scene(width: u32, height: u32, frames: u64) -> Clip {
        let scene = Scene::new(Size::new(width, height).unwrap(), 3);
        let pictures = (0..frames).map(|n| scene.picture(n)).collect();
        Clip { name: "scene".to_owned(), rate: FrameRate::new(30_000, 1001).unwrap(), pictures }
    }

    fn open(path: &Path, frames: usize) -> Result<Clip, Error> {
        Clip::open(path, frames, None, Path::new("/nowhere"))
    }

    #[test]
    fn what_is_written_is_read_and_no_more_than_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.b.y4m");
        let clip = scene(34, 18, 5);
        clip.write(&path).unwrap();
        let found = open(&path, 300).unwrap();
        assert_eq!((found.name.as_str(), found.rate, found.pictures.len()), ("a.b", clip.rate, 5));
        assert_eq!(found.pictures, clip.pictures);
        assert_eq!(open(&path, 3).unwrap().pictures, clip.pictures[..3]);
    }

    #[test]
    fn a_clip_in_full_range_keeps_its_samples_and_loses_its_tag() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("full.y4m");
        let color = Color { range: Range::Full, matrix: Matrix::Bt601 };
        let scene = Scene::new(Size::new(32, 16).unwrap(), 3).with_color(color);
        let full = Clip { pictures: vec![scene.picture(0), scene.picture(1)], ..self::scene(32, 16, 0) };
        full.write(&path).unwrap();
        let found = open(&path, 300).unwrap();
        assert!(found.pictures.iter().zip(&full.pictures).all(|(a, b)| a.samples() == b.samples()));
        assert!(found.pictures.iter().all(|picture| picture.color() == Color::default()));
    }

    #[test]
    fn a_clip_that_cannot_be_used_is_refused_in_a_sentence() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("clip");
        let refusal = |bytes: Option<Vec<u8>>| {
            if let Some(bytes) = bytes {
                std::fs::write(&path, bytes).unwrap();
            }
            open(&path, 300).unwrap_err().to_string().replace(&path.display().to_string(), "PATH")
        };
        let y4m = |width, height, frames| {
            scene(width, height, frames).write(&path).unwrap();
            None
        };
        assert!(refusal(None).starts_with("clip PATH cannot be read: "));
        assert_eq!(refusal(Some(Vec::new())), "PATH: file is empty");
        assert_eq!(
            refusal(Some(b"hello".to_vec())),
            "PATH: not a clip this program knows: wants Annex B H.264, IVF AV1, y4m or MJPEG; with ffmpeg on this \
             machine other files could be read too"
        );
        assert_eq!(refusal(y4m(33, 18, 2)), "PATH is 33x18: the encoders take even sides from 16 to 8192 only");
        assert_eq!(refusal(y4m(34, 14, 2)), "PATH is 34x14: the encoders take even sides from 16 to 8192 only");
        assert_eq!(refusal(y4m(34, 18, 1)), "PATH has one picture only: 2 or more are needed");
        assert!(refusal(Some(b"YUV4MPEG2 W16 H16 C444\n".to_vec())).starts_with("PATH: header of the file says"));
        let headers = b"YUV4MPEG2 W16 H16\nFRAME\n".to_vec();
        assert_eq!(refusal(Some(headers)), "PATH: not one picture of it could be decoded (it ends before its first)");
    }

    #[test]
    fn the_clips_of_the_repository_are_whole() {
        for (name, path) in crate::clips_of_the_repository() {
            let clip = open(&path, 2).unwrap();
            assert_eq!((clip.name.as_str(), clip.pictures.len()), (name, 2));
        }
    }
}
