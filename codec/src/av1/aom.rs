//! Picture to access unit by libaom, compiled from source.
//!
//! The one AV1 encoder here that is live: no delay, the rate held, the bitrate changed while it runs. Against our
//! openh264 it takes some quarter fewer bits at the same picture, for about twice the work.

mod layers;
mod raw;
#[cfg(feature = "av1")]
mod still;

use crate::access_unit::{AccessUnit, Codec, Kind};
use crate::encoder::{Checked, Config, ConfigError, EncodeError, Encoder};
use crate::picture::Picture;
use crate::units::{Bitrate, Color, FrameRate, Matrix, MediaTime, Range};
use layers::Step;
use libaom_sys as sys;
use raw::{Coded, HZ, Raw, Status};
use std::ffi::{c_int, c_uint};

pub(crate) use raw::version;
#[cfg(feature = "av1")]
pub(crate) use still::still;

const NAME: &str = "libaom";

/// The library's speed: 7 to 11 are for live encoding.
const SPEED: c_int = 10;

/// Finest and coarsest quantizer, of 0 to 63. A coarsest of 56, as others set it, overshoots the rate by a quarter where
/// much moves.
const QUANTIZERS: [c_int; 2] = [2, 63];

/// Coding tools that live encoding does without: they gain nothing here, and cost time.
///
/// Warped motion has to be among them: with it on, libaom 3.11.0 at this speed wrote streams that neither rav1d nor libaom's
/// own decoder could read.
const UNUSED: [c_uint; 20] = [
    sys::AV1E_SET_ENABLE_TPL_MODEL,
    sys::AV1E_SET_DELTAQ_MODE,
    sys::AV1E_SET_ENABLE_ORDER_HINT,
    sys::AV1E_SET_ENABLE_OBMC,
    sys::AV1E_SET_ENABLE_WARPED_MOTION,
    sys::AV1E_SET_ENABLE_GLOBAL_MOTION,
    sys::AV1E_SET_ENABLE_REF_FRAME_MVS,
    sys::AV1E_SET_ENABLE_DUAL_FILTER,
    sys::AV1E_SET_ENABLE_DIST_WTD_COMP,
    sys::AV1E_SET_ENABLE_DIFF_WTD_COMP,
    sys::AV1E_SET_ENABLE_MASKED_COMP,
    sys::AV1E_SET_ENABLE_INTERINTRA_COMP,
    sys::AV1E_SET_ENABLE_INTRABC,
    sys::AV1E_SET_ENABLE_PALETTE,
    sys::AV1E_SET_ENABLE_FILTER_INTRA,
    sys::AV1E_SET_ENABLE_PAETH_INTRA,
    sys::AV1E_SET_ENABLE_CFL_INTRA,
    sys::AV1E_SET_ENABLE_ANGLE_DELTA,
    sys::AV1E_SET_ENABLE_INTRA_EDGE_FILTER,
    sys::AV1E_SET_ENABLE_RESTORATION,
];

/// Encodes AV1 Main profile, 8-bit 4:2:0, live: one picture in, one temporal unit out, no delay, no hidden frames.
///
/// Intra pictures come only when asked for. No picture is ever left out. Rate and bitrate change from one picture to the
/// next without a keyframe.
pub struct AomEncoder {
    raw: Raw,
    config: Config,
    color: Color,
    /// Start of the next picture in ticks of [`HZ`]. Pictures are given to the library evenly spaced, whatever their own
    /// times are: rate control relies on the configured rate, as that of the other encoders here does.
    clock: i64,
    /// Pictures since the last keyframe; that one is 0.
    since_keyframe: u64,
}

impl AomEncoder {
    /// Starts the library with `config`.
    ///
    /// # Errors
    /// [`ConfigError::Start`] if the library refuses.
    pub fn new(config: Checked) -> Result<Self, ConfigError> {
        let config = config.config().clone();
        let color = Color::default();
        let raw = open(&config, color).map_err(|status| ConfigError::Start { encoder: NAME, status })?;
        Ok(Self { raw, config, color, clock: 0, since_keyframe: 0 })
    }

    /// Encodes the first picture of a stream, anew until the keyframe is no larger than configured.
    ///
    /// Of the first picture the library only guesses how many bytes a quantizer gives, and is wrong by up to three times.
    /// That of every later keyframe it knows: those are a quarter over the limit at worst.
    fn encode_first(&mut self, picture: &Picture) -> Result<Option<Coded>, Status> {
        const MOST_TRIES: u32 = 4;
        let mean = self.config.bitrate.bps() as f32 / 8.0 / self.config.rate.as_f32();
        let most = f32::from(self.config.keyframe_units) * mean;
        let usual = c_int::from(self.config.keyframe_units) * 100;
        let mut percent = usual;
        for tries in 1.. {
            self.raw = open(&self.config, self.color)?;
            self.raw.control(sys::AOME_SET_MAX_INTRA_BITRATE_PCT, percent)?;
            self.clock = 0;
            let coded = self.encode_next(picture, Kind::Keyframe)?;
            let bytes = coded.as_ref().map_or(0, |coded| coded.data.len()) as f32;
            if bytes <= most || tries == MOST_TRIES || percent == 1 {
                self.raw.control(sys::AOME_SET_MAX_INTRA_BITRATE_PCT, usual)?;
                return Ok(coded);
            }
            percent = ((percent as f32 * most / bytes * 0.97) as c_int).max(1);
        }
        Ok(None)
    }

    /// Encodes a picture after another.
    fn encode_next(&mut self, picture: &Picture, want: Kind) -> Result<Option<Coded>, Status> {
        if self.config.temporal_layers > 1 {
            let step = Step::of(self.config.temporal_layers, self.since_keyframe);
            self.raw.set_layer(step.layer.id())?;
            self.raw.set_references(&mut step.references())?;
        }
        let duration = ticks(self.config.rate);
        let coded = self.raw.encode(picture, self.clock, duration, want == Kind::Keyframe)?;
        self.clock = self.clock.saturating_add(duration.into());
        Ok(coded)
    }

    /// Takes `config` in the place of the one there is, which has the same size, threads and layers.
    fn reconfigure(&mut self, config: Config) -> Result<(), EncodeError> {
        settings(&config).and_then(|settings| self.raw.set(&settings)).map_err(failed)?;
        if config.temporal_layers > 1 {
            let mut shares = layers::shares(config.temporal_layers, config.bitrate, QUANTIZERS);
            self.raw.set_layers(&mut shares).map_err(failed)?;
        }
        self.config = config;
        Ok(())
    }

    /// Makes a step down of the bitrate to `to` felt at once.
    ///
    /// What the library had saved at the old rate it would spend first: half a second long, 1000 kbit/s set to 500 stay 800
    /// or 900 (measured). A rate below half of the old one makes it forget what it saved, and have a part of the buffer of
    /// that rate instead: after such a step in between, the same half second has 440 to 490 kbit/s.
    fn drain(&mut self, to: Bitrate) -> Result<(), EncodeError> {
        let (old, to) = (u64::from(self.config.bitrate.bps()), u64::from(to.bps()));
        if to * 10 > old * 9 || self.clock == 0 {
            return Ok(());
        }
        let between = (to * 70 / 100).min(old * 49 / 100);
        let bitrate = Bitrate::from_bps(u32::try_from(between).unwrap_or(u32::MAX));
        self.reconfigure(Config { bitrate, ..self.config.clone() })
    }
}

impl Encoder for AomEncoder {
    fn encode(&mut self, picture: &Picture, at: MediaTime, want: Kind) -> Result<Option<AccessUnit>, EncodeError> {
        let size = self.config.size;
        if picture.size() != size {
            return Err(EncodeError::Size { given: picture.size(), wanted: size });
        }
        if want == Kind::Keyframe {
            self.since_keyframe = 0;
        }
        let coded = if self.clock == 0 || picture.color() != self.color {
            (self.color, self.since_keyframe) = (picture.color(), 0);
            self.encode_first(picture)
        } else {
            self.encode_next(picture, want)
        };
        // It was told never to leave one out.
        let coded = coded.map_err(failed)?.ok_or(failed(sys::AOM_CODEC_ERROR.into()))?;
        let layer = Step::of(self.config.temporal_layers, self.since_keyframe).layer;
        self.since_keyframe += 1;
        let kind = if coded.key_frame { Kind::Keyframe } else { Kind::Delta };
        Ok(Some(AccessUnit { codec: Codec::Av1, kind, layer, size, at, data: coded.data.into() }))
    }

    fn set_bitrate(&mut self, bitrate: Bitrate) -> Result<(), EncodeError> {
        let config = Config { bitrate, ..self.config.clone() };
        config.clone().check().map_err(|_| EncodeError::Bitrate(bitrate.bps()))?;
        self.drain(bitrate)?;
        self.reconfigure(config)
    }

    fn set_keyframe_units(&mut self, units: u8) -> Result<(), EncodeError> {
        let config = Config { keyframe_units: units, ..self.config.clone() };
        config.clone().check().map_err(|_| EncodeError::KeyframeUnits(units))?;
        self.raw.control(sys::AOME_SET_MAX_INTRA_BITRATE_PCT, c_int::from(units) * 100).map_err(failed)?;
        self.config = config;
        Ok(())
    }

    fn set_rate(&mut self, rate: FrameRate) -> Result<(), EncodeError> {
        let config = Config { rate, ..self.config.clone() };
        config.clone().check().map_err(|_| EncodeError::Rate(rate))?;
        self.reconfigure(config)
    }

    fn recover(&mut self, _good: MediaTime) -> Result<(), EncodeError> {
        Err(EncodeError::Fixed { encoder: NAME, what: "references" })
    }

    fn name(&self) -> String {
        format!("libaom {}, speed {SPEED}", version())
    }
}

fn failed(status: Status) -> EncodeError {
    EncodeError::Failed { encoder: NAME, status }
}

/// How long a picture is shown, in ticks of [`HZ`], to the nearest.
fn ticks(rate: FrameRate) -> u32 {
    let (num, den) = (u64::from(rate.num()), u64::from(rate.den()));
    u32::try_from((u64::from(HZ) * den + num / 2) / num).unwrap_or(HZ)
}

/// The settings. What is not set here is the library's default for live encoding.
fn settings(config: &Config) -> Result<sys::aom_codec_enc_cfg, Status> {
    let mut settings = raw::settings(sys::AOM_USAGE_REALTIME)?;
    settings.g_w = config.size.width();
    settings.g_h = config.size.height();
    settings.g_threads = config.threads.into();
    settings.g_pass = sys::AOM_RC_ONE_PASS;
    settings.g_lag_in_frames = 0;
    settings.kf_mode = sys::AOM_KF_DISABLED;
    settings.rc_end_usage = sys::AOM_CBR;
    [settings.rc_min_quantizer, settings.rc_max_quantizer] = QUANTIZERS.map(|quantizer| quantizer as c_uint);
    settings.rc_dropframe_thresh = 0;
    settings.rc_undershoot_pct = 50;
    settings.rc_overshoot_pct = 50;
    // Milliseconds of the link that the rate may be ahead or behind.
    settings.rc_buf_sz = 1000;
    settings.rc_buf_initial_sz = 600;
    settings.rc_buf_optimal_sz = 600;
    settings.rc_target_bitrate = (config.bitrate.bps() + 500) / 1000;
    // From here the library takes the frame rate for the level in the sequence header.
    let most = 1_000_000_000;
    let side = |side: u32| c_int::try_from(side).unwrap_or(most).min(most);
    settings.g_timebase = sys::aom_rational { num: side(config.rate.den()), den: side(config.rate.num()) };
    Ok(settings)
}

/// Starts the library.
fn open(config: &Config, color: Color) -> Result<Raw, Status> {
    let settings = settings(config)?;
    // What the time base is at the start stays the unit of its times; what is set after only tells the frame rate.
    let time_base = sys::aom_rational { num: 1, den: HZ as c_int };
    let mut raw = Raw::new(&sys::aom_codec_enc_cfg { g_timebase: time_base, ..settings })?;
    for (control, value) in controls(config, color) {
        raw.control(control, value)?;
    }
    raw.set(&settings)?;
    if config.temporal_layers > 1 {
        raw.set_layers(&mut layers::shares(config.temporal_layers, config.bitrate, QUANTIZERS))?;
    }
    Ok(raw)
}

/// What is set one by one.
fn controls(config: &Config, color: Color) -> impl Iterator<Item = (c_uint, c_int)> {
    /// When the prices of modes, vectors and coefficients are looked up anew; at every superblock, as by default, takes
    /// half of the time.
    const ONCE_A_PICTURE: c_int = 3;
    let values = [
        (sys::AOME_SET_CPUUSED, SPEED),
        // Cyclic refresh: parts of the picture get more bits in turn, which is what a still scene gains by.
        (sys::AV1E_SET_AQ_MODE, 3),
        (sys::AOME_SET_MAX_INTRA_BITRATE_PCT, c_int::from(config.keyframe_units) * 100),
        (sys::AV1E_SET_ROW_MT, 1),
        (sys::AV1E_SET_TILE_COLUMNS, config.threads.max(1).ilog2() as c_int),
        (sys::AV1E_SET_COEFF_COST_UPD_FREQ, ONCE_A_PICTURE),
        (sys::AV1E_SET_MODE_COST_UPD_FREQ, ONCE_A_PICTURE),
        (sys::AV1E_SET_MV_COST_UPD_FREQ, ONCE_A_PICTURE),
    ];
    values.into_iter().chain(description(color)).chain(UNUSED.map(|tool| (tool, 0)))
}

/// What the stream says of its colour.
fn description(color: Color) -> [(c_uint, c_int); 4] {
    // Code points of ITU-T H.273: primaries, transfer, matrix.
    let [primaries, transfer, matrix] = match color.matrix {
        Matrix::Bt601 => [6; 3],
        Matrix::Bt709 => [1; 3],
    };
    [
        (sys::AV1E_SET_COLOR_PRIMARIES, primaries),
        (sys::AV1E_SET_TRANSFER_CHARACTERISTICS, transfer),
        (sys::AV1E_SET_MATRIX_COEFFICIENTS, matrix),
        (sys::AV1E_SET_COLOR_RANGE, c_int::from(color.range == Range::Full)),
    ]
}

#[cfg(test)]
#[cfg(feature = "av1")]
mod tests;
