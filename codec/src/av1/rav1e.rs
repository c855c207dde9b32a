//! Picture to access unit by rav1e.
//!
//! For export, and live only where nothing better can be built in: `aom` is six times as fast at fewer bits. What stands
//! in the way of live pictures, in version 0.8.1:
//!
//! - **Four pictures of delay**, even with `low_latency`, one picture of lookahead and no scene detection. A picture is
//!   begun when the second one after it is there (`needs_more_frame_q_lookahead`: a distance of one for keyframes, and one
//!   more), and coded when its successor was begun (`needs_more_fi_lookahead`). The only way around either is the end of the
//!   stream: a flushed context takes no further picture, a new one begins with a keyframe, and none can be copied. A
//!   lookahead of 0 is refused. So there is no way to none within its public interface: [xiph/rav1e #2267] and [#1700].
//! - **Keyframes** take five times as long as other pictures, on one core 190 ms at 720p. A picture can be asked to be a key
//!   frame and nothing else, so no picture can be coded with less effort than the rest: there is no intra refresh, and
//!   its switch frames still need what was before them. [`Effort::Live`] takes a third off; tiles share the rest, one a thread.
//! - **No change of the bitrate** after the start, and no temporal layers.
//!
//! [xiph/rav1e #2267]: https://github.com/xiph/rav1e/issues/2267
//! [#1700]: https://github.com/xiph/rav1e/issues/1700

#[cfg(not(feature = "aom"))]
mod still;

use crate::access_unit::{AccessUnit, Codec, Kind};
use crate::encoder::{Checked, Config, ConfigError, EncodeError, Encoder};
use crate::picture::Picture;
use crate::units::{Bitrate, Color, FrameRate, Matrix, MediaTime, Range, TemporalLayer};
use ::rav1e::prelude::{
    ColorDescription, ColorPrimaries, Context, EncoderConfig, EncoderStatus, FrameParameters, FrameType,
    FrameTypeOverride, MatrixCoefficients, PixelRange, Rational, SceneDetectionSpeed, SegmentationLevel,
    TransferCharacteristics, Tune,
};
use std::collections::VecDeque;

#[cfg(not(feature = "aom"))]
pub(crate) use still::still;

const NAME: &str = "rav1e";

/// What rav1e shall spend its time on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Effort {
    /// The best picture: its speed 10 as it is, some 40 ms a picture at 720p on one core.
    #[default]
    Export,
    /// The least time: blocks are judged by their coefficients, in fewer directions. A fifth to a third less time for each
    /// picture and a third less for keyframes; costs 0.4 to 0.9 dB at the same bitrate.
    Live,
}

/// Encodes AV1 Main profile, 8-bit 4:2:0, at rav1e's fastest speed, without reordering.
///
/// Holds back [`DELAY`](Self::DELAY) pictures and cannot change its bitrate while it runs; the [module](self) says why. Made
/// for export and small pictures. Intra pictures come only when asked for.
pub struct Rav1eEncoder {
    context: Context<u8>,
    config: Config,
    effort: Effort,
    color: Color,
    /// Times of the pictures inside, oldest first: rav1e gives them back in order.
    inside: VecDeque<MediaTime>,
    started: bool,
}

impl Rav1eEncoder {
    /// Pictures that go in before the first unit comes out.
    pub const DELAY: usize = 4;

    /// Starts the library with `config`, for [`Effort::Export`].
    ///
    /// # Errors
    /// As [`with_effort`](Self::with_effort).
    pub fn new(config: Checked) -> Result<Self, ConfigError> {
        Self::with_effort(config, Effort::Export)
    }

    /// Starts the library with `config`.
    ///
    /// # Errors
    /// [`ConfigError::Unsupported`] for more than one temporal layer, [`ConfigError::Start`] if the library refuses; its
    /// status is always 0, for it gives none.
    pub fn with_effort(config: Checked, effort: Effort) -> Result<Self, ConfigError> {
        let config = config.config().clone();
        if config.temporal_layers != 1 {
            let what = format!("{} temporal layers", config.temporal_layers);
            return Err(ConfigError::Unsupported { encoder: NAME, what, range: "1" });
        }
        if config.recovery {
            let what = "recovery without a keyframe".to_owned();
            return Err(ConfigError::Unsupported { encoder: NAME, what, range: "keyframes" });
        }
        let color = Color::default();
        let context = context(&config, effort, color).ok_or(ConfigError::Start { encoder: NAME, status: 0 })?;
        Ok(Self { context, config, effort, color, inside: VecDeque::new(), started: false })
    }

    /// The next unit that is ready, if one is.
    fn receive(&mut self) -> Result<Option<AccessUnit>, EncodeError> {
        loop {
            match self.context.receive_packet() {
                Ok(packet) => {
                    let kind = if packet.frame_type == FrameType::KEY { Kind::Keyframe } else { Kind::Delta };
                    let at = self.inside.pop_front().ok_or_else(|| failed(EncoderStatus::Failure))?;
                    let (layer, size) = (TemporalLayer::BASE, self.config.size);
                    return Ok(Some(AccessUnit { codec: Codec::Av1, kind, layer, size, at, data: packet.data.into() }));
                }
                Err(EncoderStatus::Encoded) => {}
                Err(EncoderStatus::NeedMoreData | EncoderStatus::LimitReached) => return Ok(None),
                Err(status) => return Err(failed(status)),
            }
        }
    }
}

impl Encoder for Rav1eEncoder {
    fn encode(&mut self, picture: &Picture, at: MediaTime, want: Kind) -> Result<Option<AccessUnit>, EncodeError> {
        if picture.size() != self.config.size {
            return Err(EncodeError::Size { given: picture.size(), wanted: self.config.size });
        }
        if picture.color() != self.color {
            if self.started {
                return Err(EncodeError::Fixed { encoder: NAME, what: "colour" });
            }
            self.context =
                context(&self.config, self.effort, picture.color()).ok_or_else(|| failed(EncoderStatus::Failure))?;
            self.color = picture.color();
        }
        let mut frame = self.context.new_frame();
        let chroma = picture.size().chroma_width() as usize;
        let strides = [picture.size().width() as usize, chroma, chroma];
        for ((plane, samples), stride) in frame.planes.iter_mut().zip(picture.planes()).zip(strides) {
            plane.copy_from_raw_u8(samples, stride, 1);
        }
        let frame_type_override = match want {
            Kind::Keyframe => FrameTypeOverride::Key,
            Kind::Delta => FrameTypeOverride::No,
        };
        self.context
            .send_frame((frame, FrameParameters { frame_type_override, ..FrameParameters::default() }))
            .map_err(failed)?;
        self.started = true;
        self.inside.push_back(at);
        self.receive()
    }

    fn set_bitrate(&mut self, bitrate: Bitrate) -> Result<(), EncodeError> {
        if bitrate == self.config.bitrate {
            return Ok(());
        }
        Err(EncodeError::Fixed { encoder: NAME, what: "bitrate" })
    }

    fn set_keyframe_units(&mut self, _units: u8) -> Result<(), EncodeError> {
        Err(EncodeError::Fixed { encoder: NAME, what: "size of keyframes" })
    }

    fn set_rate(&mut self, rate: FrameRate) -> Result<(), EncodeError> {
        if rate == self.config.rate {
            return Ok(());
        }
        Err(EncodeError::Fixed { encoder: NAME, what: "frame rate" })
    }

    fn recover(&mut self, _good: MediaTime) -> Result<(), EncodeError> {
        Err(EncodeError::Fixed { encoder: NAME, what: "references" })
    }

    fn delay(&self) -> usize {
        Self::DELAY
    }

    fn finish(mut self: Box<Self>) -> Result<Vec<AccessUnit>, EncodeError> {
        self.context.flush();
        let mut units = Vec::with_capacity(self.inside.len());
        while let Some(unit) = self.receive()? {
            units.push(unit);
        }
        Ok(units)
    }

    fn name(&self) -> String {
        // Its build fails where the assembler is missing, so there is nothing to tell apart.
        format!("rav1e {}, speed 10", ::rav1e::version::short())
    }
}

/// rav1e's statuses have names, not numbers: here they are numbered in the order of its documentation.
fn failed(status: EncoderStatus) -> EncodeError {
    EncodeError::Failed { encoder: NAME, status: status as i64 }
}

fn context(config: &Config, effort: Effort, color: Color) -> Option<Context<u8>> {
    let threads = usize::from(config.threads);
    let mut settings = EncoderConfig::with_speed_preset(10);
    settings.width = config.size.width() as usize;
    settings.height = config.size.height() as usize;
    settings.time_base = Rational::new(config.rate.den().into(), config.rate.num().into());
    settings.bit_depth = 8;
    settings.pixel_range = pixel_range(color);
    settings.color_description = Some(description(color));
    settings.low_latency = true;
    settings.set_key_frame_interval(0, 0);
    settings.speed_settings.rdo_lookahead_frames = 1;
    settings.speed_settings.scene_detection_mode = SceneDetectionSpeed::None;
    settings.bitrate = i32::try_from(config.bitrate.bps()).ok()?;
    settings.quantizer = 255;
    // Two seconds of rate control; 12 pictures are its least.
    settings.reservoir_frame_delay = Some(((config.rate.as_f32() * 2.0) as i32).max(12));
    settings.tiles = threads;
    if effort == Effort::Live {
        settings.tune = Tune::Psnr;
        settings.speed_settings.transform.tx_domain_rate = true;
        settings.speed_settings.prediction.fine_directional_intra = false;
        settings.speed_settings.segmentation = SegmentationLevel::Disabled;
    }
    ::rav1e::Config::new().with_encoder_config(settings).with_threads(threads).new_context().ok()
}

fn pixel_range(color: Color) -> PixelRange {
    match color.range {
        Range::Limited => PixelRange::Limited,
        Range::Full => PixelRange::Full,
    }
}

fn description(color: Color) -> ColorDescription {
    match color.matrix {
        Matrix::Bt601 => ColorDescription {
            color_primaries: ColorPrimaries::BT601,
            transfer_characteristics: TransferCharacteristics::BT601,
            matrix_coefficients: MatrixCoefficients::BT601,
        },
        Matrix::Bt709 => ColorDescription {
            color_primaries: ColorPrimaries::BT709,
            transfer_characteristics: TransferCharacteristics::BT709,
            matrix_coefficients: MatrixCoefficients::BT709,
        },
    }
}
