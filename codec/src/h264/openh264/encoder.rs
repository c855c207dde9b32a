//! Picture to access unit.

use super::complexity::{Complexity, Meter};
use super::qp::QpControl;
use super::reference::References;
use crate::access_unit::{AccessUnit, Codec, Kind};
use crate::encoder::{Checked, Config, ConfigError, EncodeError, Encoder};
use crate::picture::Picture;
use crate::units::{Bitrate, Color, FrameRate, Matrix, MediaTime, Range, Size, TemporalLayer};
use bytes::Bytes;
use openh264_sys2 as sys;
use openh264_sys2::API as _;
use std::ffi::{c_int, c_void};
use std::ptr;

const NAME: &str = "openh264";

/// Encodes H.264 High profile with CABAC: one picture in, one access unit out, no delay, no B-frames.
///
/// Intra pictures come only when asked for, each with its parameter sets before it, and take what
/// [`Config::keyframe_units`] allows. The rate holds to about 1 % over ten seconds; no picture is ever skipped. A
/// stream's first keyframe is coded up to three times to find its quantizer. Pictures to 3840x2160 (or upright), at 1
/// to 60 a second.
///
/// Settings differ from the library's defaults, which overshoot the rate several times over: rate control of our own
/// with one quantizer a picture, 12 to 51, no background detection (it caps the quality of what does not move, which is
/// most of a fixed camera's picture), and CABAC.
#[derive(Debug)]
pub struct Openh264Encoder {
    raw: Raw,
    config: Config,
    color: Color,
    output: Box<sys::SFrameBSInfo>,
    params: Box<sys::SEncParamExt>,
    meter: Meter,
    control: QpControl,
    references: References,
    /// Whether recovery was asked for and nothing can be referred to.
    lost: bool,
    /// Whether there was a keyframe since the library was started.
    started: bool,
}

// SAFETY: the library's encoder keeps nothing for the thread that calls it, and its own threads work only during a call;
// `&mut self` on every method keeps calls apart. The pointers in `output` are read only right after the call that set
// them.
unsafe impl Send for Openh264Encoder {}

impl Openh264Encoder {
    /// Largest picture, lying or upright.
    pub const LARGEST: Size = match Size::new(3840, 2160) {
        Some(size) => size,
        None => panic!("a constant in range"),
    };

    /// Starts the library with `config`.
    ///
    /// # Errors
    /// [`ConfigError::TooLarge`] above [`Openh264Encoder::LARGEST`], [`ConfigError::Start`] if the library refuses.
    pub fn new(config: Checked) -> Result<Self, ConfigError> {
        let config = config.config().clone();
        let (long, short) = sides(config.size);
        if long > Self::LARGEST.width() || short > Self::LARGEST.height() {
            return Err(ConfigError::TooLarge { size: config.size, most: Self::LARGEST, encoder: NAME });
        }
        let start = |status: c_int| ConfigError::Start { encoder: NAME, status: status.into() };
        let raw = Raw::new().map_err(start)?;
        let color = Color::default();
        let params = raw.start(&config, color).map_err(start)?;
        let control = QpControl::new(budget(&config), second(&config), config.keyframe_units, config.temporal_layers);
        let (output, meter, references) = (Box::default(), Meter::default(), References::default());
        Ok(Self { raw, config, color, output, params, meter, control, references, lost: false, started: false })
    }

    fn keyframe(&mut self, picture: &Picture, at: MediaTime, seen: Complexity) -> Result<(), c_int> {
        for left in (0..self.control.trials()).rev() {
            let choice = self.control.keyframe(seen);
            self.raw.set_qp(&mut self.params, choice.told)?;
            // What a trial coded is forgotten by the next one, which is an IDR as well.
            self.raw.force_keyframe()?;
            self.raw.encode(picture, at, &mut self.output)?;
            self.references.keyframe(at);
            if self.control.tried(choice, self.bits()) || left == 0 {
                self.control.spent_keyframe(choice, self.bits());
                break;
            }
        }
        Ok(())
    }

    fn delta(&mut self, picture: &Picture, at: MediaTime, seen: Complexity) -> Result<(), c_int> {
        if let Some(number) = self.references.next_arrived() {
            self.raw.confirm(self.references.keyframe_id(), number)?;
        }
        let choice = self.control.delta(seen);
        self.raw.set_qp(&mut self.params, choice.told)?;
        self.raw.encode(picture, at, &mut self.output)?;
        if self.output.eFrameType == sys::videoFrameTypeIDR {
            // The library had no reference left to recover from.
            self.references.keyframe(at);
        } else {
            let is_reference = usize::from(self.layer().id()) + 1 < usize::from(self.config.temporal_layers);
            self.references.sent(at, is_reference || self.config.temporal_layers == 1);
        }
        self.control.spent_delta(choice, self.bits());
        Ok(())
    }

    /// Temporal layer of what the last call gave.
    fn layer(&self) -> TemporalLayer {
        let layers = usize::try_from(self.output.iLayerNum).unwrap_or(0);
        let highest = self.output.sLayerInfo.iter().take(layers).map(|layer| layer.uiTemporalId).max();
        highest.and_then(TemporalLayer::new).unwrap_or(TemporalLayer::BASE)
    }

    /// Size of what the last call gave.
    fn bits(&self) -> f64 {
        f64::from(self.output.iFrameSizeInBytes) * 8.0
    }

    /// Copies what the last call to the encoder gave: all its NAL units, one after the other.
    fn unit(&self) -> Bytes {
        let expected = usize::try_from(self.output.iFrameSizeInBytes).unwrap_or(0);
        let mut data = Vec::with_capacity(expected);
        let layers = usize::try_from(self.output.iLayerNum).unwrap_or(0);
        for layer in self.output.sLayerInfo.iter().take(layers) {
            let count = usize::try_from(layer.iNalCount).unwrap_or(0);
            if layer.pNalLengthInByte.is_null() || layer.pBsBuf.is_null() {
                continue;
            }
            // SAFETY: the library says that `iNalCount` lengths are there, until its next call.
            let lengths = unsafe { std::slice::from_raw_parts(layer.pNalLengthInByte, count) };
            let bytes = lengths.iter().map(|&length| usize::try_from(length).unwrap_or(0)).sum();
            // SAFETY: the units of a layer lie one after the other from `pBsBuf` on, as long as their lengths say.
            data.extend_from_slice(unsafe { std::slice::from_raw_parts(layer.pBsBuf, bytes) });
        }
        data.into()
    }
}

impl Encoder for Openh264Encoder {
    fn encode(&mut self, picture: &Picture, at: MediaTime, want: Kind) -> Result<Option<AccessUnit>, EncodeError> {
        let size = self.config.size;
        if picture.size() != size {
            return Err(EncodeError::Size { given: picture.size(), wanted: size });
        }
        let failed = |status: c_int| EncodeError::Failed { encoder: NAME, status: status.into() };
        if picture.color() != self.color {
            // The colour is part of the parameter sets, so a new one starts the stream anew.
            self.params = self.raw.start(&self.config, picture.color()).map_err(failed)?;
            self.color = picture.color();
            self.references.reset();
            self.started = false;
        }
        let seen = self.meter.look(picture);
        if want == Kind::Keyframe || !self.started || self.lost {
            self.keyframe(picture, at, seen).map_err(failed)?;
            (self.started, self.lost) = (true, false);
        } else {
            self.delta(picture, at, seen).map_err(failed)?;
        }
        let kind = match self.output.eFrameType {
            sys::videoFrameTypeIDR => Kind::Keyframe,
            sys::videoFrameTypeI | sys::videoFrameTypeP | sys::videoFrameTypeIPMixed => Kind::Delta,
            other => return Err(failed(other)),
        };
        let layer = self.layer();
        Ok(Some(AccessUnit { codec: Codec::H264, kind, layer, size, at, data: self.unit() }))
    }

    fn set_bitrate(&mut self, bitrate: Bitrate) -> Result<(), EncodeError> {
        let config = Config { bitrate, ..self.config.clone() };
        config.clone().check().map_err(|_| EncodeError::Bitrate(bitrate.bps()))?;
        self.config = config;
        self.control.set_budget(budget(&self.config), second(&self.config));
        Ok(())
    }

    fn set_keyframe_units(&mut self, units: u8) -> Result<(), EncodeError> {
        let config = Config { keyframe_units: units, ..self.config.clone() };
        config.clone().check().map_err(|_| EncodeError::KeyframeUnits(units))?;
        self.config = config;
        self.control.set_keyframe_units(units);
        Ok(())
    }

    fn set_rate(&mut self, rate: FrameRate) -> Result<(), EncodeError> {
        let config = Config { rate, ..self.config.clone() };
        config.clone().check().map_err(|_| EncodeError::Rate(rate))?;
        self.config = config;
        self.control.set_budget(budget(&self.config), second(&self.config));
        Ok(())
    }

    fn acknowledge(&mut self, at: MediaTime) {
        if self.config.recovery {
            self.references.acknowledge(at);
        }
    }

    fn recover(&mut self, good: MediaTime) -> Result<(), EncodeError> {
        let (true, Some(good), Some(newest)) =
            (self.config.recovery, self.references.number(good), self.references.newest())
        else {
            self.lost = true;
            return Ok(());
        };
        let failed = |status: c_int| EncodeError::Failed { encoder: NAME, status: status.into() };
        self.raw.recover(self.references.keyframe_id(), good, newest).map_err(failed)
    }

    fn name(&self) -> String {
        let version = super::decoder::version();
        let assembly = if cfg!(openh264_asm) { "with assembly" } else { "WITHOUT assembly, half as fast" };
        format!("openh264 {version}, {assembly}")
    }
}

/// Bits of a picture.
fn budget(config: &Config) -> f64 {
    f64::from(config.bitrate.bps()) / f64::from(config.rate.as_f32())
}

/// Pictures of a second.
fn second(config: &Config) -> usize {
    config.rate.as_f32().round() as usize
}

fn sides(size: Size) -> (u32, u32) {
    (size.width().max(size.height()), size.width().min(size.height()))
}

/// Code points of ITU-T H.273 for `color`: primaries, transfer, matrix.
fn code_points(color: Color) -> [u8; 3] {
    match color.matrix {
        Matrix::Bt601 => [6, 6, 6],
        Matrix::Bt709 => [1, 1, 1],
    }
}

/// A number that was checked to be far below 2^31.
fn int(value: u32) -> c_int {
    c_int::try_from(value).unwrap_or(c_int::MAX)
}

/// The settings. What is not set here is the library's default.
fn fill(params: &mut sys::SEncParamExt, config: &Config, color: Color) {
    let (width, height) = (int(config.size.width()), int(config.size.height()));
    let bitrate = int(config.bitrate.bps());
    params.iUsageType = sys::CAMERA_VIDEO_REAL_TIME;
    params.iPicWidth = width;
    params.iPicHeight = height;
    params.fMaxFrameRate = config.rate.as_f32();
    // The quantizer of each picture is told: see `qp`.
    params.iRCMode = sys::RC_OFF_MODE;
    params.iTargetBitrate = bitrate;
    params.bEnableFrameSkip = false;
    params.iMinQp = 12;
    params.iMaxQp = 51;
    params.iEntropyCodingModeFlag = 1;
    params.iComplexityMode = sys::MEDIUM_COMPLEXITY;
    params.iTemporalLayerNum = config.temporal_layers.into();
    params.iSpatialLayerNum = 1;
    params.uiIntraPeriod = 0;
    params.eSpsPpsIdStrategy = sys::CONSTANT_ID;
    params.iMultipleThreadIdc = config.threads.into();
    // Load balancing moves the slices about by how long each took: the same input would give other bytes each time.
    params.bUseLoadBalancing = false;
    params.bEnableBackgroundDetection = false;
    params.bEnableSceneChangeDetect = false;
    params.bEnableAdaptiveQuant = false;
    params.bEnableDenoise = false;
    params.bEnableLongTermReference = config.recovery;
    // What the library makes of it anyway; another number would start it anew with each quantizer.
    params.iLTRRefNum = if config.recovery { 2 } else { 0 };

    let [layer, ..] = &mut params.sSpatialLayers;
    layer.iVideoWidth = width;
    layer.iVideoHeight = height;
    layer.fFrameRate = config.rate.as_f32();
    layer.iSpatialBitrate = bitrate;
    layer.uiProfileIdc = sys::PRO_HIGH;
    layer.uiLevelIdc = sys::LEVEL_UNKNOWN;
    layer.sSliceArgument.uiSliceMode =
        if config.threads == 1 { sys::SM_SINGLE_SLICE } else { sys::SM_FIXEDSLCNUM_SLICE };
    layer.sSliceArgument.uiSliceNum = slices(config).into();
    layer.bVideoSignalTypePresent = true;
    layer.uiVideoFormat = sys::VF_UNDEF as u8;
    layer.bFullRange = color.range == Range::Full;
    layer.bColorDescriptionPresent = true;
    [layer.uiColorPrimaries, layer.uiTransferCharacteristics, layer.uiColorMatrix] = code_points(color);
}

/// One slice a thread, but each of whole macroblock rows.
fn slices(config: &Config) -> u8 {
    let rows = u8::try_from(config.size.height().div_ceil(16)).unwrap_or(u8::MAX);
    config.threads.min(rows)
}

type This = *mut sys::ISVCEncoder;

/// The library's object with its functions, destroyed on drop. Each method is one call.
#[derive(Debug)]
struct Raw {
    this: This,
    init: unsafe extern "C" fn(This, *const sys::SEncParamExt) -> c_int,
    defaults: unsafe extern "C" fn(This, *mut sys::SEncParamExt) -> c_int,
    uninit: unsafe extern "C" fn(This) -> c_int,
    encode: unsafe extern "C" fn(This, *const sys::SSourcePicture, *mut sys::SFrameBSInfo) -> c_int,
    force: unsafe extern "C" fn(This, bool) -> c_int,
    set: unsafe extern "C" fn(This, sys::ENCODER_OPTION, *mut c_void) -> c_int,
}

/// A status of 0 is success, others are the library's `CM_RETURN`.
fn ok(status: c_int) -> Result<(), c_int> {
    if status == sys::cmResultSuccess { Ok(()) } else { Err(status) }
}

impl Raw {
    fn new() -> Result<Self, c_int> {
        let api = api();
        let mut this: This = ptr::null_mut();
        // SAFETY: the library writes one pointer to `this`.
        ok(unsafe { api.WelsCreateSVCEncoder(&raw mut this) })?;
        if this.is_null() {
            return Err(sys::cmMallocMemeError);
        }
        // SAFETY: not null and just made, so it points to the object, which begins with its table.
        let table = unsafe { *this };
        // SAFETY: the table is static memory of the library.
        let table = unsafe { *table };
        let found = (|| {
            Some(Self {
                this,
                init: table.InitializeExt?,
                defaults: table.GetDefaultParams?,
                uninit: table.Uninitialize?,
                encode: table.EncodeFrame?,
                force: table.ForceIntraFrame?,
                set: table.SetOption?,
            })
        })();
        let raw = found.ok_or(sys::cmUnsupportedData)?;
        let mut quiet = sys::WELS_LOG_QUIET;
        raw.set_option(sys::ENCODER_OPTION_TRACE_LEVEL, &mut quiet)?;
        Ok(raw)
    }

    /// Starts, or starts anew; the next picture is a keyframe. Gives what it was started with.
    fn start(&self, config: &Config, color: Color) -> Result<Box<sys::SEncParamExt>, c_int> {
        let mut params = Box::<sys::SEncParamExt>::default();
        // SAFETY: the object lives, and `params` is the structure that the function fills.
        ok(unsafe { (self.defaults)(self.this, &raw mut *params) })?;
        fill(&mut params, config, color);
        // SAFETY: the object lives. Called before the first start it does nothing.
        ok(unsafe { (self.uninit)(self.this) })?;
        // SAFETY: the object lives; the parameters are copied.
        ok(unsafe { (self.init)(self.this, &raw const *params) })?;
        Ok(params)
    }

    fn set_option<T>(&self, option: sys::ENCODER_OPTION, value: &mut T) -> Result<(), c_int> {
        // SAFETY: the object lives; every caller in this file passes the type that the library reads for `option`.
        ok(unsafe { (self.set)(self.this, option, ptr::from_mut(value).cast()) })
    }

    /// Tells the library the quantizer of the next picture. Nothing else in `params` may differ from what it was started
    /// with, or the library starts anew (`WelsEncoderParamAdjust`).
    fn set_qp(&self, params: &mut sys::SEncParamExt, qp: c_int) -> Result<(), c_int> {
        let [layer, ..] = &mut params.sSpatialLayers;
        if layer.iDLayerQp == qp {
            return Ok(());
        }
        layer.iDLayerQp = qp;
        self.set_option(sys::ENCODER_OPTION_SVC_ENCODE_PARAM_EXT, params)
    }

    /// A receiver has the picture of this `frame_num`.
    fn confirm(&self, keyframe: u32, number: c_int) -> Result<(), c_int> {
        let mut feedback = sys::SLTRMarkingFeedback {
            uiFeedbackType: sys::LTR_MARKING_SUCCESS as u32,
            uiIDRPicId: keyframe,
            iLTRFrameNum: number,
            iLayerId: 0,
        };
        self.set_option(sys::ENCODER_LTR_MARKING_FEEDBACK, &mut feedback)
    }

    /// A receiver lost something after the picture of `good`, up to that of `newest`.
    fn recover(&self, keyframe: u32, good: c_int, newest: c_int) -> Result<(), c_int> {
        let mut request = sys::SLTRRecoverRequest {
            uiFeedbackType: sys::LTR_RECOVERY_REQUEST as u32,
            uiIDRPicId: keyframe,
            iLastCorrectFrameNum: good,
            iCurrentFrameNum: newest,
            iLayerId: 0,
        };
        self.set_option(sys::ENCODER_LTR_RECOVERY_REQUEST, &mut request)
    }

    fn force_keyframe(&self) -> Result<(), c_int> {
        // SAFETY: the object lives and was started.
        ok(unsafe { (self.force)(self.this, true) })
    }

    fn encode(&self, picture: &Picture, at: MediaTime, output: &mut sys::SFrameBSInfo) -> Result<(), c_int> {
        let size = picture.size();
        let [y, u, v] = picture.planes();
        let chroma = int(size.chroma_width());
        let source = sys::SSourcePicture {
            iColorFormat: sys::videoFormatI420,
            iStride: [int(size.width()), chroma, chroma, 0],
            // The library takes mutable pointers but only reads the source.
            pData: [y.as_ptr().cast_mut(), u.as_ptr().cast_mut(), v.as_ptr().cast_mut(), ptr::null_mut()],
            iPicWidth: int(size.width()),
            iPicHeight: int(size.height()),
            uiTimeStamp: i64::try_from(at.ticks() / (MediaTime::HZ / 1000)).unwrap_or(i64::MAX),
            bPsnrY: false,
            bPsnrU: false,
            bPsnrV: false,
        };
        output.iLayerNum = 0;
        output.iFrameSizeInBytes = 0;
        // SAFETY: the object was started for this size, which the caller checked; the planes outlive the call.
        ok(unsafe { (self.encode)(self.this, &raw const source, output) })
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // SAFETY: the object lives; nothing is inside it after this.
        unsafe { (self.uninit)(self.this) };
        // SAFETY: made by `WelsCreateSVCEncoder`, destroyed once, not used after.
        unsafe { api().WelsDestroySVCEncoder(self.this) };
    }
}

fn api() -> ::openh264::OpenH264API {
    ::openh264::OpenH264API::from_source()
}
