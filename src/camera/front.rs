//! What is done to a frame before it is encoded: convert, mask, watch, denoise, clock.
//!
//! The order is not a matter of taste. The mask comes first: what watches and what denoises remember the pictures they
//! have seen, and must never have seen what is masked. Motion is looked for before denoising, so that what counts as
//! motion does not depend on whether it is dark enough to denoise. The clock comes last, where no step takes its digits
//! for something that moves, or for noise. (A raw sensor's automatic white balance is found in the whole frame, as an
//! automatic exposure is inside of a camera: the mean colour of a masked area tints the rest by a little.)

use crate::report::CameraStats;
use doorframe_codec::convert::{ConvertError, Converter, JpegOrigin};
use doorframe_codec::denoise::{AutoDenoiser, Denoiser, Strength};
use doorframe_codec::mask::Mask;
use doorframe_codec::motion::{self, Detector, Motion};
use doorframe_codec::overlay::{self, NoRoom, WallTime};
use doorframe_codec::units::{Color, MediaTime, Size, Uptime};
use doorframe_codec::{Frame, Picture};
use std::time::Duration;
use thiserror::Error;

/// What a fixed camera does to its pictures.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct FrontConfig {
    /// Zones that never leave the camera.
    pub mask: Option<Mask>,
    /// Whether anything is watched for motion.
    pub motion: Watch,
    /// Whether the sensor's noise is taken out.
    pub denoise: Denoise,
    /// The clock that is burned in, if any.
    pub clock: Option<overlay::Clock>,
}

impl FrontConfig {
    /// What of it was asked for and cannot be done to video that is coded already: the first of them. Motion where it can
    /// be seen, and denoising as it is needed, were not asked for.
    pub(super) fn needs_frames(&self) -> Option<&'static str> {
        let denoises = matches!(self.denoise, Denoise::On(_));
        let wanted = [
            (self.mask.as_ref().is_some_and(|mask| !mask.is_empty()), "a mask"),
            (matches!(self.motion, Watch::On(_)), "motion detection"),
            (denoises, "denoising"),
            (self.clock.is_some(), "a clock"),
        ];
        wanted.into_iter().find_map(|(is_wanted, what)| is_wanted.then_some(what))
    }
}

/// Whether anything is watched for motion.
#[derive(Clone, Debug, Default)]
pub enum Watch {
    /// Nothing is.
    #[default]
    Off,
    /// Where there are frames to watch. Of video that is coded already nothing is.
    Auto(motion::Checked),
    /// A source that gives no frames is refused.
    On(motion::Checked),
}

/// Whether the sensor's noise is taken out. It costs some 2 ms of one core for a 720p picture, which are added to the
/// delay from capture to encoder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Denoise {
    /// Only while there is noise to take out: at night, that is. By day it costs neither time nor delay.
    #[default]
    Auto,
    /// Never.
    Off,
    /// Always, this strongly.
    On(Strength),
}

/// Something began to move before the camera, or has come to rest. Of this, kind, time, area and score are sealed into their epoch's event
/// object; where it moved stays on this machine.
///
/// Times are those of [`Frame::captured`], on the camera's own clock, which runs on when one session follows another.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum MotionEvent {
    /// Something moves, in three frames by now.
    Began {
        /// Capture of the first of these frames.
        at: Uptime,
        /// What moves in the last of them.
        motion: Motion,
    },
    /// Nothing has moved for a while, or no frame follows.
    Ended {
        /// As said when it began.
        began: Uptime,
        /// Capture of the last frame in which something moved.
        at: Uptime,
        /// The frame in which most of the area moved.
        most: Motion,
    },
}

/// Why a frame does not become a picture.
#[derive(Debug, Error)]
pub(super) enum FrontError {
    /// The frame is damaged; the next one may be well.
    #[error(transparent)]
    Convert(#[from] ConvertError),
    /// No frame of this size has room for the clock.
    #[error(transparent)]
    Clock(#[from] NoRoom),
}

/// How long each step took, for one frame; `None` for a step that is not done.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Steps {
    pub(super) mask: Option<Duration>,
    pub(super) motion: Option<Duration>,
    pub(super) denoise: Option<Duration>,
    pub(super) clock: Option<Duration>,
}

impl Steps {
    pub(super) fn record(&self, stats: &mut CameraStats) {
        let CameraStats { mask, motion, denoise, clock, .. } = stats;
        for (step, times) in [(self.mask, mask), (self.motion, motion), (self.denoise, denoise), (self.clock, clock)] {
            if let Some(time) = step {
                times.record(time);
            }
        }
    }
}

/// Does it, for the frames of one opened sensor.
#[derive(Debug)]
pub(super) struct Front {
    converter: Converter,
    picture: Picture,
    mask: Option<Mask>,
    motion: Option<Detector>,
    denoise: Denoising,
    clock: Option<overlay::Clock>,
}

#[derive(Debug)]
enum Denoising {
    Off,
    On(Box<Denoiser>),
    Auto(Box<AutoDenoiser>),
}

/// A picture that is ready for the encoder.
#[derive(Debug)]
pub(super) struct Ready<'a> {
    pub(super) picture: &'a Picture,
    pub(super) event: Option<MotionEvent>,
    pub(super) steps: Steps,
}

impl Front {
    pub(super) fn new(config: &FrontConfig, size: Size) -> Self {
        Self {
            converter: Converter::new(),
            picture: Picture::black(size, Color::default()),
            mask: config.mask.clone().filter(|mask| !mask.is_empty()),
            motion: match &config.motion {
                Watch::Off => None,
                Watch::Auto(motion) | Watch::On(motion) => Some(Detector::new(motion.clone())),
            },
            denoise: match config.denoise {
                Denoise::Off => Denoising::Off,
                Denoise::On(strength) => Denoising::On(Box::new(Denoiser::new(strength))),
                Denoise::Auto => Denoising::Auto(Box::default()),
            },
            clock: config.clock,
        }
    }

    /// For a sensor whose JPEGs are from there; without this they may be from anywhere.
    pub(super) fn with_jpegs(self, origin: JpegOrigin) -> Self {
        Self { converter: Converter::with_jpegs(origin), ..self }
    }

    /// Makes a picture of `frame`, which was captured at the moment `wall`. `now` is asked between the steps.
    pub(super) fn handle_frame(
        &mut self,
        frame: &Frame<'_>,
        wall: WallTime,
        now: impl Fn() -> Uptime,
    ) -> Result<Ready<'_>, FrontError> {
        let captured = frame.captured();
        let Self { converter, picture, mask, motion, denoise, clock } = self;
        converter.convert(frame, picture)?;
        let mut steps = Steps::default();
        let mut last = now();
        let mut lap = || {
            let before = std::mem::replace(&mut last, now());
            Some(last.since(before))
        };
        if let Some(mask) = mask {
            mask.paint(picture);
            steps.mask = lap();
        }
        let mut event = None;
        if let Some(detector) = motion {
            event = detector.handle_picture(picture, time(captured)).map(MotionEvent::from);
            steps.motion = lap();
        }
        match denoise {
            Denoising::Off => {}
            Denoising::On(denoiser) => {
                denoiser.denoise(picture);
                steps.denoise = lap();
            }
            Denoising::Auto(denoiser) => {
                denoiser.denoise(picture);
                steps.denoise = lap().filter(|_| denoiser.works());
            }
        }
        if let Some(clock) = clock {
            clock.draw(wall, picture)?;
            steps.clock = lap();
        }
        Ok(Ready { picture, event, steps })
    }

    /// No frame follows: ends what goes on, if something does.
    pub(super) fn end(&mut self) -> Option<MotionEvent> {
        self.motion.as_mut().and_then(Detector::end).map(MotionEvent::from)
    }
}

/// Capture times as the detector takes them: they run on over all sessions, which media time does not.
fn time(captured: Uptime) -> MediaTime {
    MediaTime::from_duration(captured.since(Uptime::default()))
}

impl From<motion::Event> for MotionEvent {
    fn from(event: motion::Event) -> Self {
        let uptime = |at: MediaTime| Uptime::default() + at.as_duration();
        match event {
            motion::Event::Started { at, motion } => Self::Began { at: uptime(at), motion },
            motion::Event::Ended { started, at, most } => Self::Ended { began: uptime(started), at: uptime(at), most },
        }
    }
}

#[cfg(test)]
mod tests;
