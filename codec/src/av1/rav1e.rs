//! Picture to access unit by rav1e.

use crate::access_unit::{AccessUnit, Codec, Kind};
use crate::encoder::{Checked, Config, ConfigError, EncodeError, Encoder};
use crate::picture::Picture;
use crate::units::{Bitrate, Color, FrameRate, Matrix, MediaTime, Range, TemporalLayer};
use ::rav1e::prelude::{
    ColorDescription, ColorPrimaries, Context, EncoderConfig, EncoderStatus, FrameParameters, FrameType,
    FrameTypeOverride, MatrixCoefficients, PixelRange, Rational, SceneDetectionSpeed, TransferCharacteristics,
};
use std::collections::VecDeque;

const NAME: &str = "rav1e";

/// Encodes AV1 Main profile, 8-bit 4:2:0, at rav1e's fastest speed, without reordering.
///
/// Far from a live encoder for large pictures: 720p takes some 40 ms a picture on one core. It holds back
/// [`DELAY`](Self::DELAY) pictures even in its low-latency mode (xiph/rav1e #2267 and #1700), and cannot change its
/// bitrate while it runs. Made for stills, export, and small pictures. Intra pictures come only when asked for.
pub struct Rav1eEncoder {
    context: Context<u8>,
    config: Config,
    color: Color,
    /// Times of the pictures inside, oldest first: rav1e gives them back in order.
    inside: VecDeque<MediaTime>,
    started: bool,
}

impl Rav1eEncoder {
    /// Pictures that go in before the first unit comes out.
    pub const DELAY: usize = 4;

    /// Starts the library with `config`.
    ///
    /// # Errors
    /// [`ConfigError::Unsupported`] for more than one temporal layer, [`ConfigError::Start`] if the library refuses; its status is always 0, for it gives none.
    pub fn new(config: Checked) -> Result<Self, ConfigError> {
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
        let context = context(&config, color).ok_or(ConfigError::Start { encoder: NAME, status: 0 })?;
        Ok(Self { context, config, color, inside: VecDeque::new(), started: false })
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
            self.context = context(&self.config, picture.color()).ok_or_else(|| failed(EncoderStatus::Failure))?;
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

fn context(config: &Config, color: Color) -> Option<Context<u8>> {
    let threads = usize::from(config.threads);
    let mut settings = EncoderConfig::with_speed_preset(10);
    settings.width = config.size.width() as usize;
    settings.height = config.size.height() as usize;
    settings.time_base = Rational::new(config.rate.den().into(), config.rate.num().into());
    settings.bit_depth = 8;
    settings.pixel_range = match color.range {
        Range::Limited => PixelRange::Limited,
        Range::Full => PixelRange::Full,
    };
    settings.color_description = Some(match color.matrix {
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
    });
    settings.low_latency = true;
    settings.set_key_frame_interval(0, 0);
    settings.speed_settings.rdo_lookahead_frames = 1;
    settings.speed_settings.scene_detection_mode = SceneDetectionSpeed::None;
    settings.bitrate = i32::try_from(config.bitrate.bps()).ok()?;
    settings.quantizer = 255;
    // Two seconds of rate control; 12 pictures are its least.
    settings.reservoir_frame_delay = Some(((config.rate.as_f32() * 2.0) as i32).max(12));
    settings.tiles = threads;
    ::rav1e::Config::new().with_encoder_config(settings).with_threads(threads).new_context().ok()
}
