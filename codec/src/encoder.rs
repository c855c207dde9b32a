//! Picture to access unit: the trait every encoder has, and the one configuration they share.

use crate::access_unit::{AccessUnit, Kind};
use crate::ingest::Refused;
use crate::picture::Picture;
use crate::units::{Bitrate, FrameRate, MediaTime, Size};
use thiserror::Error;

/// What an encoder shall do. Make one with [`Config::new`], change fields, then [`Config::check`] it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Config {
    /// Size of the pictures it will be given, in luma samples; each side even, 16 to 8192.
    pub size: Size,
    /// Rate of the pictures it will be given; 1 to 60 a second. Rate control relies on it being true.
    pub rate: FrameRate,
    /// Mean bits a second over about a second; 30 kbit/s to 100 Mbit/s.
    pub bitrate: Bitrate,
    /// Threads to encode with; 1 to 16. Each adds a slice or tile: two cost some 1 % of the bits and halve the delay.
    pub threads: u8,
    /// Temporal layers; 1 to 3. With 2 every second unit can be left out and the rest still decodes, with 3 three of
    /// four; [`AccessUnit::layer`] says which. Costs about 1 dB at the same bitrate.
    pub temporal_layers: u8,
    /// Largest keyframe, in mean units (bitrate / frame rate); 3 to 30. A larger one gives every picture after it a
    /// better start, and takes longer to send: at 6 units and 30 pictures a second, 0.2 s of the whole link.
    pub keyframe_units: u8,
    /// Whether to keep long-term references, so that [`Encoder::recover`] can do without a keyframe. Costs a few megabytes.
    /// The receiver's decoder has to know long-term references; openh264's own (2.6) loses track at the first, while
    /// ffmpeg's shows every picture.
    pub recovery: bool,
}

impl Config {
    /// A configuration with one thread, one temporal layer and keyframes of up to 6 mean units.
    pub fn new(size: Size, rate: FrameRate, bitrate: Bitrate) -> Self {
        Self { size, rate, bitrate, threads: 1, temporal_layers: 1, keyframe_units: 6, recovery: false }
    }

    /// Checks every field.
    ///
    /// # Errors
    /// Names the first value that no encoder here can take, and what would do.
    pub fn check(self) -> Result<Checked, ConfigError> {
        let (width, height) = (self.size.width(), self.size.height());
        if width < 16 || !width.is_multiple_of(2) {
            return Err(ConfigError::Width(width));
        }
        if height < 16 || !height.is_multiple_of(2) {
            return Err(ConfigError::Height(height));
        }
        let fps = self.rate.as_f32();
        if !(1.0..=60.0).contains(&fps) {
            return Err(ConfigError::Rate(fps));
        }
        if !(30_000..=100_000_000).contains(&self.bitrate.bps()) {
            return Err(ConfigError::Bitrate(self.bitrate.bps()));
        }
        if !(1..=16).contains(&self.threads) {
            return Err(ConfigError::Threads(self.threads));
        }
        if !(1..=3).contains(&self.temporal_layers) {
            return Err(ConfigError::TemporalLayers(self.temporal_layers));
        }
        if !(3..=30).contains(&self.keyframe_units) {
            return Err(ConfigError::KeyframeUnits(self.keyframe_units));
        }
        Ok(Checked(self))
    }
}

/// A [`Config`] whose every field is in range.
#[derive(Clone, Debug, PartialEq)]
pub struct Checked(Config);

impl Checked {
    /// The fields.
    pub fn config(&self) -> &Config {
        &self.0
    }
}

/// Why a [`Config`] was refused. Says the value and what would have been accepted.
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The width is odd or out of range.
    #[error("width {0} is not an even number from 16 to 8192")]
    Width(u32),
    /// The height is odd or out of range.
    #[error("height {0} is not an even number from 16 to 8192")]
    Height(u32),
    /// The frame rate is out of range.
    #[error("frame rate {0} is not from 1 to 60")]
    Rate(f32),
    /// The bitrate is out of range.
    #[error("bitrate {0} is not from 30000 to 100000000 bit/s")]
    Bitrate(u32),
    /// The number of threads is out of range.
    #[error("{0} threads is not from 1 to 16")]
    Threads(u8),
    /// The number of temporal layers is out of range.
    #[error("{0} temporal layers is not from 1 to 3")]
    TemporalLayers(u8),
    /// The size of keyframes is out of range.
    #[error("keyframes of {0} mean units are not from 3 to 30")]
    KeyframeUnits(u8),
    /// This encoder cannot do what others can.
    #[error("{encoder} cannot do {what}: it takes {range}")]
    Unsupported {
        /// Which encoder.
        encoder: &'static str,
        /// What was asked for.
        what: String,
        /// What it takes instead.
        range: &'static str,
    },
    /// This encoder has a lower limit than others.
    #[error("{size} is larger than the {most} that {encoder} can encode")]
    TooLarge {
        /// Size asked for.
        size: Size,
        /// Largest size.
        most: Size,
        /// Which encoder.
        encoder: &'static str,
    },
    /// The encoder itself refused to start.
    #[error("{encoder} did not start (its status {status})")]
    Start {
        /// Which encoder.
        encoder: &'static str,
        /// Its own status number.
        status: i64,
    },
}

/// Why a picture could not be encoded.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// The picture is not as large as the encoder was told.
    #[error("picture is {given}, the encoder was made for {wanted}")]
    Size {
        /// Size of the picture.
        given: Size,
        /// Size of the encoder.
        wanted: Size,
    },
    /// The bitrate is out of range.
    #[error("bitrate {0} is not from 30000 to 100000000 bit/s")]
    Bitrate(u32),
    /// The frame rate is out of range.
    #[error("frame rate {0} is not from 1 to 60")]
    Rate(FrameRate),
    /// The size of keyframes is out of range.
    #[error("keyframes of {0} mean units are not from 3 to 30")]
    KeyframeUnits(u8),
    /// This encoder cannot do that while it runs.
    #[error("{encoder} cannot change its {what} while it runs")]
    Fixed {
        /// Which encoder.
        encoder: &'static str,
        /// What it cannot change.
        what: &'static str,
    },
    /// What the encoder of a machine gives cannot be used.
    #[error("{encoder} gives what cannot be used: {refused}")]
    Refused {
        /// Which encoder.
        encoder: &'static str,
        /// What is wrong with it.
        refused: Refused,
    },
    /// The encoder itself failed.
    #[error("{encoder} failed (its status {status})")]
    Failed {
        /// Which encoder.
        encoder: &'static str,
        /// Its own status number.
        status: i64,
    },
}

/// Turns pictures into access units, in order.
pub trait Encoder: Send {
    /// Encodes one picture. `want` = [`Kind::Keyframe`] makes it a keyframe; [`Kind::Delta`] leaves the choice
    /// to the encoder. `at` must grow from picture to picture.
    ///
    /// Gives the unit of this picture, or, from an encoder with a [`delay`](Self::delay), of an earlier one;
    /// `None` only while that delay fills.
    ///
    /// # Errors
    /// If the picture has another size, or the library fails.
    fn encode(&mut self, picture: &Picture, at: MediaTime, want: Kind) -> Result<Option<AccessUnit>, EncodeError>;

    /// Changes the bitrate from the next picture on, without a keyframe.
    ///
    /// # Errors
    /// [`EncodeError::Fixed`] from an encoder that cannot.
    fn set_bitrate(&mut self, bitrate: Bitrate) -> Result<(), EncodeError>;

    /// Changes [`Config::keyframe_units`] from the next keyframe on.
    ///
    /// # Errors
    /// [`EncodeError::KeyframeUnits`] out of range, [`EncodeError::Fixed`] from an encoder that sizes its keyframes itself.
    fn set_keyframe_units(&mut self, units: u8) -> Result<(), EncodeError>;

    /// Changes the rate of the pictures it will be given, from the next one on, without a keyframe.
    ///
    /// # Errors
    /// [`EncodeError::Rate`] out of range, [`EncodeError::Fixed`] from an encoder that cannot.
    fn set_rate(&mut self, rate: FrameRate) -> Result<(), EncodeError>;

    /// A receiver has decoded the unit of `at` and keeps its picture. Only needed with [`Config::recovery`]; a time that
    /// is not known is passed over.
    fn acknowledge(&mut self, at: MediaTime) {
        let _ = at;
    }

    /// A receiver has lost something after the unit of `good`, the last one it decoded: the next picture refers to
    /// nothing after it, so that decoding goes on there. It is a delta if a reference was
    /// [acknowledged](Self::acknowledge), else a keyframe.
    ///
    /// # Errors
    /// [`EncodeError::Fixed`] from an encoder that cannot choose its references, [`EncodeError::Failed`] from the library.
    fn recover(&mut self, good: MediaTime) -> Result<(), EncodeError>;

    /// Pictures that go in before the first unit comes out; 0 for a live encoder.
    fn delay(&self) -> usize {
        0
    }

    /// Ends the stream: what is still inside, in order.
    ///
    /// # Errors
    /// If the library fails.
    fn finish(self: Box<Self>) -> Result<Vec<AccessUnit>, EncodeError> {
        Ok(Vec::new())
    }

    /// What it is, for a person: library, version, and whether it has its assembly.
    fn name(&self) -> String;
}
