//! MP4 (ISO/IEC 14496-12, -15) with one track of H.264 or AV1, as the camera coded it.

use doorframe_codec::AccessUnit;
use doorframe_codec::access_unit::Codec;
use doorframe_codec::av1::obu::{self, ObuKind};
use doorframe_codec::h264::nal::{NalKind, nals};
use doorframe_codec::units::{MediaTime, Size};
use shiguredo_mp4::TrackKind;
use shiguredo_mp4::bitstream::av1::{Av1SampleEntryConfig, build_av01_box_from_config_obus};
use shiguredo_mp4::bitstream::h264::{H264SampleEntryConfig, LengthSize, build_avc1_box};
use shiguredo_mp4::boxes::SampleEntry;
use shiguredo_mp4::mux::{Mp4FileMuxer, Mp4FileMuxerOptions, Sample, estimate_maximum_moov_box_size};
use std::fs::File;
use std::io::{BufWriter, Seek as _, SeekFrom, Write as _};
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;
use thiserror::Error;

/// Why a film is not written.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Mp4Error {
    /// The disk said no.
    #[error("cannot write {path}: {error}")]
    Io {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// Two codecs cannot be in one track.
    #[error("the camera changed its codec within that time, from {0:?} to {1:?}: export the two parts apart")]
    Codec(Codec, Codec),
    /// The parameter sets or sequence header of a keyframe are not what an MP4 can have.
    #[error("a keyframe's parameters cannot be written to an MP4: {0}")]
    Parameters(String),
    /// More than a file can have.
    #[error("the film cannot be put together: {0}")]
    Mux(String),
}

/// A film that was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mp4Done {
    /// Pictures in it.
    pub pictures: u64,
    /// From the first to the end of the last.
    pub duration: Duration,
    /// Size of the pictures of its beginning.
    pub size: Size,
    /// How they are coded.
    pub codec: Codec,
    /// Whether a player can begin before it has all of the file.
    pub starts_fast: bool,
}

/// Writes a film, picture by picture.
pub struct Mp4Writer {
    path: PathBuf,
    file: BufWriter<File>,
    muxer: Mp4FileMuxer,
    at: u64,
    entry: Option<(Codec, Size, SampleEntry)>,
    /// Its duration is known once the next is there.
    last: Option<Waiting>,
    pictures: u64,
    duration: u64,
}

struct Waiting {
    data: Vec<u8>,
    entry: SampleEntry,
    is_keyframe: bool,
    ticks: u64,
    duration: u32,
}

/// How long the last picture is shown where none before it tells.
const USUAL: u32 = 3000;
/// And at most, as there may be a gap before it.
const LONGEST_LAST: u32 = 90_000;
const TIMESCALE: NonZeroU32 = match NonZeroU32::new(MediaTime::HZ as u32) {
    Some(hz) => hz,
    None => NonZeroU32::MIN,
};

impl Mp4Writer {
    /// Begins a film of about `pictures`, the first of them filmed at `filmed_us`, µs since 1970. If there are not many more of them, players
    /// can begin before they have all of it.
    ///
    /// # Errors
    /// If the file cannot be made.
    pub fn create(path: &Path, pictures: usize, filmed_us: u64) -> Result<Self, Mp4Error> {
        let options = Mp4FileMuxerOptions {
            reserved_moov_box_size: estimate_maximum_moov_box_size(&[pictures]),
            creation_timestamp: Duration::from_micros(filmed_us),
            ..Mp4FileMuxerOptions::default()
        };
        let muxer = Mp4FileMuxer::with_options(options).map_err(|error| Mp4Error::Mux(error.to_string()))?;
        let io = |error| Mp4Error::Io { path: path.into(), error };
        let mut file = BufWriter::new(File::create(path).map_err(io)?);
        file.write_all(muxer.initial_boxes_bytes()).map_err(io)?;
        let at = muxer.initial_boxes_bytes().len() as u64;
        Ok(Self { path: path.into(), file, muxer, at, entry: None, last: None, pictures: 0, duration: 0 })
    }

    /// Adds the picture that is shown at `ticks` of 1/90000 s after the first. What comes before the first keyframe is passed over.
    ///
    /// # Errors
    /// If the codec changed, the unit's parameters are none, or the disk says no.
    pub fn push(&mut self, unit: &AccessUnit, ticks: u64) -> Result<(), Mp4Error> {
        if let Some((codec, ..)) = self.entry.as_ref().filter(|(codec, ..)| *codec != unit.codec) {
            return Err(Mp4Error::Codec(*codec, unit.codec));
        }
        let (data, entry) = match unit.codec {
            Codec::Av1 => av1(unit)?,
            _ => h264(unit)?,
        };
        if let Some(entry) = entry.filter(|_| unit.is_keyframe()) {
            let size = self.entry.as_ref().map_or(unit.size, |(_, size, _)| *size);
            self.entry = Some((unit.codec, size, entry));
        }
        let Some((_, _, entry)) = &self.entry else { return Ok(()) };
        let entry = entry.clone();
        if let Some(mut last) = self.last.take() {
            last.duration = u32::try_from(ticks.saturating_sub(last.ticks)).unwrap_or(u32::MAX).max(1);
            self.put(&last)?;
            self.last = Some(last);
        }
        let duration = self.last.as_ref().map_or(USUAL, |last| last.duration.min(LONGEST_LAST));
        self.last = Some(Waiting { data, entry, is_keyframe: unit.is_keyframe(), ticks, duration });
        Ok(())
    }

    fn put(&mut self, sample: &Waiting) -> Result<(), Mp4Error> {
        self.file.write_all(&sample.data).map_err(|error| Mp4Error::Io { path: self.path.clone(), error })?;
        let described = Sample {
            track_kind: TrackKind::Video,
            sample_entry: Some(sample.entry.clone()),
            keyframe: sample.is_keyframe,
            timescale: TIMESCALE,
            duration: sample.duration,
            composition_time_offset: None,
            data_offset: self.at,
            data_size: sample.data.len(),
        };
        self.muxer.append_sample(&described).map_err(|error| Mp4Error::Mux(error.to_string()))?;
        self.at += sample.data.len() as u64;
        self.pictures += 1;
        self.duration += u64::from(sample.duration);
        Ok(())
    }

    /// Ends the film.
    ///
    /// # Errors
    /// If there is no picture in it, or the disk says no.
    pub fn finish(mut self) -> Result<Mp4Done, Mp4Error> {
        if let Some(last) = self.last.take() {
            self.put(&last)?;
        }
        let Some((codec, size, _)) = self.entry else {
            return Err(Mp4Error::Mux("there is no keyframe in it".into()));
        };
        let done = self.muxer.finalize().map_err(|error| Mp4Error::Mux(error.to_string()))?;
        let starts_fast = done.is_faststart_enabled();
        let mut write = || {
            for (offset, bytes) in done.offset_and_bytes_pairs() {
                self.file.seek(SeekFrom::Start(offset))?;
                self.file.write_all(bytes)?;
            }
            self.file.flush()?;
            self.file.get_ref().sync_all()
        };
        write().map_err(|error| Mp4Error::Io { path: self.path.clone(), error })?;
        let duration = MediaTime::from_ticks(self.duration).as_duration();
        Ok(Mp4Done { pictures: self.pictures, duration, size, codec, starts_fast })
    }
}

impl std::fmt::Debug for Mp4Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Mp4Writer({})", self.path.display())
    }
}

/// NAL units behind their lengths, parameter sets taken out: MP4 has them in its head.
fn h264(unit: &AccessUnit) -> Result<(Vec<u8>, Option<SampleEntry>), Mp4Error> {
    let mut data = Vec::with_capacity(unit.data.len() + 16);
    let (mut sps, mut pps): (Vec<Vec<u8>>, Vec<Vec<u8>>) = (Vec::new(), Vec::new());
    for nal in nals(&unit.data) {
        let whole = || {
            let mut whole = Vec::with_capacity(1 + nal.payload().len());
            whole.push(nal.header());
            whole.extend_from_slice(nal.payload());
            whole
        };
        match nal.kind() {
            NalKind::Sps => sps.push(whole()),
            NalKind::Pps => pps.push(whole()),
            NalKind::Delimiter | NalKind::Filler | NalKind::End => {}
            _ => {
                let length = u32::try_from(1 + nal.payload().len()).unwrap_or(u32::MAX);
                data.extend_from_slice(&length.to_be_bytes());
                data.push(nal.header());
                data.extend_from_slice(nal.payload());
            }
        }
    }
    if !unit.is_keyframe() || sps.is_empty() {
        return Ok((data, None));
    }
    let config = H264SampleEntryConfig { length_size: LengthSize::FourBytes };
    let entry = build_avc1_box(&sps, &pps, &config).map_err(|error| Mp4Error::Parameters(error.to_string()))?;
    Ok((data, Some(SampleEntry::Avc1(entry))))
}

/// The temporal unit without its delimiter (AV1 Codec ISO Media File Format Binding §2.4).
fn av1(unit: &AccessUnit) -> Result<(Vec<u8>, Option<SampleEntry>), Mp4Error> {
    let bad = |error: &dyn std::fmt::Display| Mp4Error::Parameters(error.to_string());
    let mut data = Vec::with_capacity(unit.data.len());
    let mut sequence = None;
    let mut rest: &[u8] = &unit.data;
    while !rest.is_empty() {
        let (parsed, after) = obu::parse(rest).map_err(|error| bad(&error))?;
        let whole = rest.get(..rest.len() - after.len()).unwrap_or_default();
        match parsed.kind {
            ObuKind::Delimiter | ObuKind::Padding => {}
            kind => {
                if kind == ObuKind::Sequence && sequence.is_none() {
                    sequence = Some(whole);
                }
                data.extend_from_slice(whole);
            }
        }
        rest = after;
    }
    let Some(sequence) = sequence.filter(|_| unit.is_keyframe()) else { return Ok((data, None)) };
    let config = Av1SampleEntryConfig { initial_presentation_delay_minus_one: None };
    let entry = build_av01_box_from_config_obus(sequence, &config).map_err(|error| bad(&error))?;
    Ok((data, Some(SampleEntry::Av01(entry))))
}
