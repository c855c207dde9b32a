//! A clip that is played as it is coded.

use super::super::coded::{Coded, CodedSensor};
use super::super::pace::Pace;
use super::super::{Clock, Losses, SensorError};
use super::reel::USUAL_RATE;
use super::{BUILT_IN, BUILT_IN_NAME, read};
use bytes::Bytes;
use doorframe_codec::AccessUnit;
use doorframe_codec::clip::{self, ClipError, annexb, ivf};
use doorframe_codec::ingest::{Framing, Ingest};
use doorframe_codec::units::{Bitrate, FrameRate, MediaTime, Size, Uptime};
use std::path::Path;

/// The access units of a clip, at their own rate, from the end on to the start: what a camera with an encoder of its
/// own would send.
#[derive(Debug)]
pub struct CodedClip {
    name: String,
    units: Vec<AccessUnit>,
    rate: FrameRate,
    clock: Clock,
    /// Starts with the first unit.
    pace: Option<Pace>,
    at: usize,
    losses: Losses,
}

impl CodedClip {
    /// Opens the clip in the file at `path`, H.264 Annex B or AV1 in IVF by its content, or the built-in one.
    ///
    /// # Errors
    /// If it cannot be read, is neither, or cannot be shown by every viewer.
    pub fn open(path: Option<&Path>, clock: Clock) -> Result<Self, SensorError> {
        match path {
            Some(path) => Self::of(path.display().to_string(), &read(path)?, clock),
            None => Self::of(BUILT_IN_NAME.to_owned(), &Bytes::from_static(BUILT_IN), clock),
        }
    }

    /// Opens the clip of these bytes; `clip` is what messages call it.
    ///
    /// # Errors
    /// As [`CodedClip::open`].
    pub fn of(clip: String, bytes: &Bytes, clock: Clock) -> Result<Self, SensorError> {
        let damaged = |error| SensorError::Clip { clip: clip.clone(), error };
        let not_coded = |gives: &str| SensorError::NotCoded { from: clip.clone(), gives: gives.to_owned() };
        let (framing, parts, rate): (_, Vec<Bytes>, _) = match clip::sniff(bytes) {
            Ok(clip::Kind::AnnexB) => (Framing::AnnexB, annexb::access_units(bytes).collect(), None),
            Ok(clip::Kind::Ivf) => {
                let (header, start) = ivf::Header::parse(bytes).map_err(damaged)?;
                let parts = ivf::frames(bytes, start).map(|frame| frame.data).collect();
                (Framing::LowOverhead, parts, Some(header.rate))
            }
            Ok(clip::Kind::Y4m) => return Err(not_coded("pictures as they are (y4m)")),
            Ok(_) => return Err(not_coded("JPEGs")),
            Err(ClipError::Empty) => return Err(SensorError::Empty(clip)),
            Err(error) => return Err(damaged(error)),
        };
        let mut ingest = Ingest::new(framing);
        let mut units = Vec::with_capacity(parts.len());
        for (index, part) in parts.iter().enumerate() {
            let handled = ingest.handle_buffer(part, MediaTime::from_ticks(index as u64));
            handled.map_err(|refused| SensorError::Coded { from: clip.clone(), refused })?;
            units.extend(std::iter::from_fn(|| ingest.poll_unit()));
        }
        let Some((facts, drops)) = ingest.facts().map(|facts| (facts, ingest.drops())) else {
            return Err(SensorError::NoPicture { clip, why: "there is no keyframe in it".to_owned() });
        };
        let rate = rate.or(facts.rate).unwrap_or(USUAL_RATE);
        let losses = Losses { skipped: drops.early, damaged: drops.damaged + drops.oversized, ..Losses::default() };
        let name = format!("clip {clip} as it is, {} at {rate}", facts.size);
        Ok(Self { name, units, rate, clock, pace: None, at: 0, losses })
    }
}

impl CodedSensor for CodedClip {
    fn next(&mut self) -> Result<Coded, SensorError> {
        let now = self.clock.now();
        let mut due = self.pace.get_or_insert_with(|| Pace::new(self.rate, now)).take(now);
        if due.skipped > 0 {
            // Nothing can be left out, so the clip waits for a consumer that is late.
            due = self.pace.insert(Pace::new(self.rate, now)).take(now);
        }
        let unit = self.units.get(self.at).or_else(|| self.units.first()).cloned();
        self.at = if self.at < self.units.len() { self.at + 1 } else { 1 };
        self.clock.sleep_until(due.at);
        let at = MediaTime::from_duration(due.at.since(Uptime::default()));
        let none = || SensorError::NoPicture { clip: self.name.clone(), why: "there is none in it".to_owned() };
        Ok(Coded { unit: AccessUnit { at, ..unit.ok_or_else(none)? }, captured: due.at })
    }

    fn size(&self) -> Size {
        self.units.first().map_or(super::reel::NO_SIZE, |unit| unit.size)
    }

    fn rate(&self) -> FrameRate {
        self.rate
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn losses(&self) -> Losses {
        self.losses
    }

    fn want_keyframe(&mut self) -> bool {
        false
    }

    fn set_bitrate(&mut self, _bitrate: Bitrate) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    fn open(bytes: &[u8]) -> Result<CodedClip, SensorError> {
        CodedClip::of("a.264".to_owned(), &Bytes::copy_from_slice(bytes), Clock::new(Instant::now()))
    }

    #[test]
    fn the_units_of_a_clip_come_at_its_rate_and_again_from_the_start() {
        let mut clip = CodedClip::open(None, Clock::new(Instant::now())).unwrap();
        assert_eq!(clip.name(), "clip door_720p30.264 (built in) as it is, 1280x720 at 29.97 fps");
        let units = clip.units.len();
        clip.at = units - 1;
        let (last, first, second) = (clip.next().unwrap(), clip.next().unwrap(), clip.next().unwrap());
        assert_eq!(last.unit.data, clip.units[units - 1].data);
        assert!(first.unit.is_keyframe() && first.unit.data == clip.units[0].data);
        assert_eq!(second.unit.data, clip.units[1].data);
        let interval = second.captured.since(first.captured);
        assert!(interval >= clip.rate.interval() && first.unit.at < second.unit.at, "{interval:?}");
    }

    #[test]
    fn what_is_not_coded_or_cannot_be_shown_is_refused_in_words() {
        let words = |bytes: &[u8]| open(bytes).unwrap_err().to_string();
        assert!(words(b"YUV4MPEG2 W2 H2\nFRAME\n").contains("nothing that is coded already"));
        assert!(words(include_bytes!("../../../codec/testdata/bframes.h264")).contains("turn B-frames off"));
        assert_eq!(words(b""), "the clip a.264 is empty");
        assert!(words(b"hello").contains("not a clip"));
    }
}
