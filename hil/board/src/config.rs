//! What a board is, before it is one.

use crate::fault::{FaultPlan, PlanError};
use crate::picture::Picture;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;

/// What an isochronous endpoint of high speed carries: three packets of 1024 bytes in 125 µs, in bytes a second.
pub const ISO_BYTES: u64 = 3072 * 8000;
/// Most modes of one board.
pub const MAX_MODES: usize = 32;

/// A camera board. Lengths and ranges are checked by [`Board::new`](crate::Board::new).
#[derive(Clone, Debug)]
pub struct BoardConfig {
    /// USB product string, and so the name of the video node.
    pub name: String,
    /// USB serial number: what tells one board from another.
    pub serial: String,
    /// How frames travel.
    pub transfer: Transfer,
    /// What can be chosen; the first of a format is its default.
    pub modes: Vec<Mode>,
    /// What the camera sees.
    pub frames: Frames,
    /// From what is before the camera to the beginning of its frame on the bus; at most 10 s.
    pub latency: Duration,
    /// What goes wrong.
    pub faults: FaultPlan,
}

/// How frames travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Transfer {
    /// Lossless, as fast as the host takes it.
    Bulk,
    /// At most [`ISO_BYTES`] a second; what the host has no room for is lost.
    Isochronous,
}

/// How a frame is coded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Format {
    /// 4:2:2, 16 bits a sample.
    Yuyv,
    /// 4:2:0 in two planes, 12 bits a sample.
    Nv12,
    /// One JPEG a frame, 4:2:0.
    Mjpeg,
    /// One access unit in Annex B a frame.
    H264,
}

/// A size of a format, with its rates.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mode {
    /// How frames are coded.
    pub format: Format,
    /// In samples: a multiple of 16 from 160 to 1920.
    pub width: u16,
    /// In samples: a multiple of 8 from 64 to 1080.
    pub height: u16,
    /// In frames a second, 1 to 120, the default first; at most 8.
    pub rates: Vec<u8>,
}

/// What the camera sees.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum Frames {
    /// A scene that moves, with a lamp in its middle.
    #[default]
    Pattern,
    /// These in turn, over and over, all of the size of all modes. Number and lamp are painted over them.
    Pictures(Arc<[Picture]>),
    /// These in turn, over and over, for modes of this format alone, as they are: without number and lamp.
    Coded(Format, Arc<[Vec<u8>]>),
}

/// Why a [`BoardConfig`] was refused. Says the value and what would have been accepted.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A USB string is empty, too long, or not plain.
    #[error("'{0}' is not 1 to 31 letters, digits, blanks, dots, dashes and underscores")]
    Text(String),
    /// No modes, or too many.
    #[error("{0} modes are not from 1 to {MAX_MODES}")]
    Modes(usize),
    /// A mode is there twice.
    #[error("{0} is there twice")]
    Twice(Mode),
    /// A size that is out of range.
    #[error("{0} is not a multiple of 16 from 160 to 1920 by a multiple of 8 from 64 to 1080")]
    Size(Mode),
    /// Rates that are out of range.
    #[error("{0} has not 1 to 8 rates from 1 to 120 frames a second")]
    Rates(Mode),
    /// More than the bus carries.
    #[error(
        "{mode} is {bytes} bytes a second, and an isochronous endpoint carries {ISO_BYTES}: use bulk, or a lower rate"
    )]
    Bandwidth {
        /// The mode.
        mode: Mode,
        /// At its highest rate.
        bytes: u64,
    },
    /// Frames of the caller that do not fit.
    #[error("{mode} cannot show {what}")]
    Frames {
        /// The mode.
        mode: Mode,
        /// What was given.
        what: String,
    },
    /// A latency out of range.
    #[error("a latency of {0:?} is more than 10 s")]
    Latency(Duration),
    /// A fault plan that cannot be done.
    #[error("fault plan: {0}")]
    Plan(#[from] PlanError),
    /// A fault that this transfer cannot have.
    #[error("fault plan: '{what}' is for {only:?} transfers alone")]
    Transfer {
        /// The fault.
        what: String,
        /// Which could have it.
        only: Transfer,
    },
}

impl Mode {
    /// A mode; ranges are checked by [`Board::new`](crate::Board::new).
    pub fn new(format: Format, width: u16, height: u16, rates: &[u8]) -> Self {
        Self { format, width, height, rates: rates.to_vec() }
    }

    /// Samples of luma.
    pub(crate) fn samples(&self) -> u32 {
        u32::from(self.width) * u32::from(self.height)
    }

    /// Most bytes of one frame.
    pub(crate) fn most_bytes(&self) -> u32 {
        match self.format {
            Format::Nv12 => self.samples() * 3 / 2,
            // Samples as they are, and what frames them: the worst that our coders make.
            Format::Yuyv | Format::Mjpeg => self.samples() * 2,
            Format::H264 => self.samples() * 2 + 4096,
        }
    }
}

impl BoardConfig {
    /// A board that sees the pattern, with all formats, from 320x240 to 1280x720, and no faults.
    pub fn new(transfer: Transfer) -> Self {
        use Format::{H264, Mjpeg, Nv12, Yuyv};
        let fast: &[u8] = if transfer == Transfer::Bulk { &[30, 10] } else { &[10, 5] };
        Self {
            name: "Virtual Camera Board".to_owned(),
            serial: "VCB-0001".to_owned(),
            transfer,
            modes: vec![
                Mode::new(Yuyv, 640, 480, &[30, 15]),
                Mode::new(Yuyv, 320, 240, &[30, 15, 5]),
                Mode::new(Yuyv, 1280, 720, fast),
                Mode::new(Nv12, 640, 480, &[30, 15]),
                Mode::new(Nv12, 320, 240, &[30]),
                Mode::new(Mjpeg, 1280, 720, &[30, 15]),
                Mode::new(Mjpeg, 640, 480, &[30, 15]),
                Mode::new(H264, 1280, 720, &[30, 15]),
                Mode::new(H264, 640, 480, &[30]),
            ],
            frames: Frames::Pattern,
            latency: Duration::ZERO,
            faults: FaultPlan::default(),
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.format {
            Format::Yuyv => "YUYV",
            Format::Nv12 => "NV12",
            Format::Mjpeg => "MJPEG",
            Format::H264 => "H.264",
        };
        write!(f, "{name} {}x{}", self.width, self.height)
    }
}

/// What a USB string may be: what names a device in paths and tables.
pub(crate) fn check_text(text: &str) -> Result<(), ConfigError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || " .-_".contains(c);
    if text.is_empty() || text.len() > 31 || !text.chars().all(plain) {
        return Err(ConfigError::Text(text.to_owned()));
    }
    Ok(())
}

impl BoardConfig {
    /// Looks whether all of it can be done.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        check_text(&self.name)?;
        check_text(&self.serial)?;
        if self.modes.is_empty() || self.modes.len() > MAX_MODES {
            return Err(ConfigError::Modes(self.modes.len()));
        }
        for (index, mode) in self.modes.iter().enumerate() {
            self.check_mode(mode)?;
            let same =
                |other: &&Mode| (other.format, other.width, other.height) == (mode.format, mode.width, mode.height);
            if self.modes.iter().take(index).any(|other| same(&other)) {
                return Err(ConfigError::Twice(mode.clone()));
            }
        }
        if self.latency > Duration::from_secs(10) {
            return Err(ConfigError::Latency(self.latency));
        }
        self.faults.check()?;
        for fault in &self.faults.faults {
            let only = match fault.what {
                crate::fault::What::Stall => Transfer::Bulk,
                crate::fault::What::IsoErrors => Transfer::Isochronous,
                _ => continue,
            };
            if only != self.transfer {
                return Err(ConfigError::Transfer { what: fault.to_string(), only });
            }
        }
        Ok(())
    }

    fn check_mode(&self, mode: &Mode) -> Result<(), ConfigError> {
        let size = (160..=1920).contains(&mode.width) && mode.width.is_multiple_of(16);
        if !size || !(64..=1080).contains(&mode.height) || !mode.height.is_multiple_of(8) {
            return Err(ConfigError::Size(mode.clone()));
        }
        let fits = |rate: &u8| (1..=120).contains(rate);
        if mode.rates.is_empty() || mode.rates.len() > 8 || !mode.rates.iter().all(fits) {
            return Err(ConfigError::Rates(mode.clone()));
        }
        let raw = matches!(mode.format, Format::Yuyv | Format::Nv12);
        let rate = mode.rates.iter().copied().max().unwrap_or(1);
        let bytes = u64::from(mode.most_bytes()) * u64::from(rate);
        // Twelve of each 3072 bytes are header.
        if self.transfer == Transfer::Isochronous && raw && bytes > ISO_BYTES / 3072 * 3060 {
            return Err(ConfigError::Bandwidth { mode: mode.clone(), bytes });
        }
        self.check_frames(mode)
    }

    fn check_frames(&self, mode: &Mode) -> Result<(), ConfigError> {
        let refuse = |what: String| Err(ConfigError::Frames { mode: mode.clone(), what });
        match &self.frames {
            Frames::Pattern => Ok(()),
            Frames::Pictures(pictures) if pictures.is_empty() => refuse("no pictures".to_owned()),
            Frames::Pictures(pictures) => {
                let size = (usize::from(mode.width), usize::from(mode.height));
                match pictures.iter().find(|picture| (picture.width(), picture.height()) != size) {
                    Some(other) => refuse(format!("a picture of {}x{}", other.width(), other.height())),
                    None => Ok(()),
                }
            }
            Frames::Coded(_, frames) if frames.is_empty() => refuse("no frames".to_owned()),
            Frames::Coded(format, _) if *format != mode.format => refuse(format!("frames of {format:?}")),
            Frames::Coded(_, frames) => {
                let most = usize::try_from(mode.most_bytes()).unwrap_or(usize::MAX);
                match frames.iter().find(|frame| frame.is_empty() || frame.len() > most) {
                    Some(frame) => refuse(format!("a frame of {} bytes: the least is 1, the most {most}", frame.len())),
                    None => Ok(()),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(change: impl FnOnce(&mut BoardConfig)) -> String {
        let mut config = BoardConfig::new(Transfer::Isochronous);
        change(&mut config);
        config.check().unwrap_err().to_string()
    }

    #[test]
    fn both_transfers_have_modes_that_fit_them() {
        BoardConfig::new(Transfer::Bulk).check().unwrap();
        BoardConfig::new(Transfer::Isochronous).check().unwrap();
    }

    #[test]
    fn what_cannot_be_is_refused_with_its_value() {
        assert_eq!(
            refusal(|config| config.serial = "a/b".to_owned()),
            "'a/b' is not 1 to 31 letters, digits, blanks, dots, dashes and underscores"
        );
        assert_eq!(
            refusal(|config| config.modes = vec![Mode::new(Format::Yuyv, 1280, 720, &[30])]),
            "YUYV 1280x720 is 55296000 bytes a second, and an isochronous endpoint carries 24576000: use bulk, or a lower rate"
        );
        assert_eq!(
            refusal(|config| config.modes.push(Mode::new(Format::Yuyv, 170, 120, &[30]))),
            "YUYV 170x120 is not a multiple of 16 from 160 to 1920 by a multiple of 8 from 64 to 1080"
        );
        assert_eq!(refusal(|config| config.modes.push(config.modes[0].clone())), "YUYV 640x480 is there twice");
        assert_eq!(
            refusal(|config| config.frames = Frames::Coded(Format::H264, vec![vec![0]].into())),
            "YUYV 640x480 cannot show frames of H264"
        );
        assert_eq!(
            refusal(|config| config.faults = r#"fault = [{ when = { frame = 1 }, what = "stall" }]"#.parse().unwrap()),
            "fault plan: 'stall at frame 1' is for Bulk transfers alone"
        );
    }
}
