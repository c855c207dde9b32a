//! Coded streams between the encoders, their files, and the judge.

use crate::error::Error;
use bytes::Bytes;
use doorframe_codec::AccessUnit;
use doorframe_codec::access_unit::{Codec, Kind};
use doorframe_codec::clip::{ClipError, annexb, ivf};
use doorframe_codec::units::{FrameRate, MediaTime, Size, TemporalLayer};
use doorframe_codec::{av1, h264};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

/// The units of an H.264 byte stream. A unit before the first parameter sets has the smallest size.
pub(crate) fn h264_units(stream: &Bytes) -> Vec<AccessUnit> {
    let mut size = SMALLEST;
    let unit = |data: Bytes| {
        let facts = h264::facts(&data);
        size = facts.sps.map_or(size, |sps| sps.size);
        unit(Codec::H264, facts.is_keyframe(), size, data)
    };
    annexb::access_units(stream).map(unit).collect()
}

/// The temporal units of an IVF file, and its header.
///
/// # Errors
/// If it is no IVF file of AV1.
pub(crate) fn ivf_units(file: &Bytes) -> Result<(ivf::Header, Vec<AccessUnit>), ClipError> {
    let (header, start) = ivf::Header::parse(file)?;
    let unit = |frame: ivf::Frame| {
        let keyframe = av1::facts(&frame.data).is_keyframe();
        unit(Codec::Av1, keyframe, header.size, frame.data)
    };
    Ok((header, ivf::frames(file, start).map(unit).collect()))
}

const SMALLEST: Size = Size::new(16, 16).expect("16x16 is a size");

fn unit(codec: Codec, keyframe: bool, size: Size, data: Bytes) -> AccessUnit {
    let kind = if keyframe { Kind::Keyframe } else { Kind::Delta };
    AccessUnit { codec, kind, layer: TemporalLayer::BASE, size, at: MediaTime::default(), data }
}

/// Writes units of one codec as the file that other programs read: a byte stream, or IVF.
///
/// # Errors
/// If the file cannot be written.
pub(crate) fn write(units: &[AccessUnit], rate: FrameRate, path: &Path) -> Result<(), Error> {
    let write = || {
        let mut file = BufWriter::new(File::create(path)?);
        let Some(first) = units.first() else { return file.flush() };
        if first.codec == Codec::Av1 {
            let count = u32::try_from(units.len()).map_err(io::Error::other)?;
            file.write_all(&ivf::Header { size: first.size, rate }.emit(count))?;
        }
        for (at, unit) in (0..).zip(units) {
            if unit.codec == Codec::Av1 {
                let length = u32::try_from(unit.data.len()).map_err(io::Error::other)?;
                file.write_all(&ivf::emit_frame_header(at, length))?;
            }
            file.write_all(&unit.data)?;
        }
        file.flush()
    };
    write().map_err(|error| Error::Write { path: path.to_owned(), error })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ours::Ours;
    use crate::setting::tests::setting;
    use doorframe_codec::testing::Scene;

    #[test]
    fn a_stream_that_is_written_is_read_with_its_keyframes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("stream");
        let scene = Scene::new(Size::new(64, 48).unwrap(), 5);
        let pictures: Vec<_> = (0..7).map(|n| scene.picture(n)).collect();
        for ours in Ours::ALL {
            let units = ours.encode("scene", &pictures, &setting(200, 3)).unwrap().units;
            write(&units, FrameRate::whole(30).unwrap(), &path).unwrap();
            let file = Bytes::from(std::fs::read(&path).unwrap());
            let found = match units[0].codec {
                Codec::H264 => h264_units(&file),
                _ => ivf_units(&file).unwrap().1,
            };
            let told = |units: &[AccessUnit]| -> Vec<_> {
                units.iter().map(|unit| (unit.is_keyframe(), unit.size, unit.data.clone())).collect()
            };
            assert_eq!(told(&found), told(&units), "{}", ours.name());
            let keyframes: Vec<_> = found.iter().map(AccessUnit::is_keyframe).collect();
            assert_eq!(keyframes, [true, false, false, true, false, false, true], "{}", ours.name());
        }
    }
}
