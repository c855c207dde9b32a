//! The encoders of Doorframe's codec, each at the settings that it has there.

use crate::cpu::{Cpu, used};
use crate::error::Error;
use crate::setting::Setting;
use doorframe_codec::access_unit::Kind;
#[cfg(feature = "aom")]
use doorframe_codec::av1::aom::AomEncoder;
use doorframe_codec::av1::rav1e::Rav1eEncoder;
use doorframe_codec::encoder::{Checked, Config, ConfigError};
use doorframe_codec::h264::openh264::Openh264Encoder;
use doorframe_codec::units::MediaTime;
use doorframe_codec::{AccessUnit, Encoder, Picture};
use std::time::Duration;

/// One of our encoders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ours {
    /// H.264 by openh264.
    Openh264,
    /// The same, whose keyframes may take 20 mean units: for recordings, and links that carry such a burst.
    Openh264Large,
    /// AV1 by rav1e.
    Rav1e,
    /// AV1 by libaom.
    #[cfg(feature = "aom")]
    Aom,
}

/// What an encoder made, and what it cost.
#[derive(Clone, Debug)]
pub(crate) struct Encoded {
    /// A unit for each picture, in order.
    pub(crate) units: Vec<AccessUnit>,
    /// Processor time.
    pub(crate) cpu: Cpu,
}

impl Ours {
    /// All that are built in.
    pub(crate) const ALL: &[Self] = &[
        Self::Openh264,
        Self::Openh264Large,
        Self::Rav1e,
        #[cfg(feature = "aom")]
        Self::Aom,
    ];

    /// Its name in a list of encoders; never changes meaning.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Openh264 => "openh264",
            Self::Openh264Large => "openh264-key20",
            Self::Rav1e => "rav1e",
            #[cfg(feature = "aom")]
            Self::Aom => "aom",
        }
    }

    /// Starts it.
    fn start(self, config: Checked) -> Result<Box<dyn Encoder>, ConfigError> {
        Ok(match self {
            Self::Openh264 | Self::Openh264Large => Box::new(Openh264Encoder::new(config)?),
            Self::Rav1e => Box::new(Rav1eEncoder::new(config)?),
            #[cfg(feature = "aom")]
            Self::Aom => Box::new(AomEncoder::new(config)?),
        })
    }

    /// Encodes `pictures`, which are those of `clip`.
    ///
    /// # Errors
    /// If it cannot take the setting, or fails.
    pub(crate) fn encode(self, clip: &str, pictures: &[Picture], setting: &Setting) -> Result<Encoded, Error> {
        let refused = |error| Error::Config { clip: clip.to_owned(), error };
        let failed = |error| Error::Encode { encoder: self.name().to_owned(), clip: clip.to_owned(), error };
        let Some(first) = pictures.first() else {
            return Ok(Encoded { units: Vec::new(), cpu: Cpu::of(Duration::ZERO, 0, &[]) });
        };
        let mut config = Config::new(first.size(), setting.rate, setting.bitrate);
        config.threads = setting.threads;
        if self == Self::Openh264Large {
            config.keyframe_units = 20;
        }
        let config = config.check().map_err(refused)?;
        let mut units = Vec::with_capacity(pictures.len());
        let mut times = Vec::with_capacity(pictures.len());
        let start = used();
        let mut encoder = self.start(config).map_err(refused)?;
        for (n, picture) in pictures.iter().enumerate() {
            let want = if setting.wants_keyframe(n) { Kind::Keyframe } else { Kind::Delta };
            let at = MediaTime::from_duration(setting.rate.at(n as u64));
            let before = used();
            let unit = encoder.encode(picture, at, want).map_err(failed)?;
            times.push(used().saturating_sub(before));
            units.extend(unit);
        }
        units.extend(encoder.finish().map_err(failed)?);
        Ok(Encoded { units, cpu: Cpu::of(used().saturating_sub(start), pictures.len(), &times) })
    }

    /// What it is, for a person: library, version, assembly. Its name alone if it does not start.
    pub(crate) fn describe(self, first: &Picture, setting: &Setting) -> String {
        let config = Config::new(first.size(), setting.rate, setting.bitrate).check();
        let started = config.and_then(|config| self.start(config));
        started.map_or_else(|_| self.name().to_owned(), |encoder| encoder.name())
    }
}
