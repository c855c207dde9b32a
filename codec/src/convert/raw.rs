//! What is done to a mosaic's samples before its colours are filled in: black level, white balance, gain, gamma.

use crate::frame::Pattern;
use thiserror::Error;

/// How a raw (Bayer) sensor's samples become colours. Change fields, then [`Raw::check`] it.
///
/// There is no colour matrix: the sensor's primaries are shown as if they were BT.709's.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Raw {
    /// What the sensor gives in the dark, in steps of 10 bits whatever the format (an 8-bit sensor's black times 4);
    /// 0 to 512. 64 is usual and the default.
    pub black_level: u16,
    /// How much red and blue are raised against green.
    pub white_balance: WhiteBalance,
    /// Factor on every linear sample, 1 to 16: what is missing of the exposure. 1 is the default.
    pub gain: f32,
    /// Exponent of the display that the picture is coded for, 1 to 3; 2.2 is the default, 1 leaves samples linear.
    pub gamma: f32,
}

/// How white is found.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum WhiteBalance {
    /// The picture is taken to be grey on the mean (Buchsbaum, "A spatial processor model for object colour
    /// perception", 1980). Gains stay from 0.25 to 4 and follow the light slowly: a sixteenth of the way each frame.
    #[default]
    GreyWorld,
    /// Fixed gains of red and blue against green, each 0.25 to 4.
    Gains {
        /// Factor on red.
        red: f32,
        /// Factor on blue.
        blue: f32,
    },
}

impl Default for Raw {
    fn default() -> Self {
        Self { black_level: 64, white_balance: WhiteBalance::default(), gain: 1.0, gamma: 2.2 }
    }
}

impl Raw {
    /// Checks every field.
    ///
    /// # Errors
    /// Names the first value that is out of range, and the range.
    pub fn check(self) -> Result<Checked, RawError> {
        if self.black_level > 512 {
            return Err(RawError::BlackLevel(self.black_level));
        }
        if let WhiteBalance::Gains { red, blue } = self.white_balance
            && let Some(bad) = [red, blue].into_iter().find(|gain| !GAINS.contains(gain))
        {
            return Err(RawError::WhiteBalance(bad));
        }
        if !(1.0..=16.0).contains(&self.gain) {
            return Err(RawError::Gain(self.gain));
        }
        if !(1.0..=3.0).contains(&self.gamma) {
            return Err(RawError::Gamma(self.gamma));
        }
        Ok(Checked(self))
    }
}

/// A [`Raw`] whose every field is in range.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Checked(Raw);

impl Checked {
    /// The fields.
    pub fn raw(&self) -> &Raw {
        &self.0
    }
}

/// Why a [`Raw`] was refused. Says the value and what would have been accepted.
#[derive(Clone, Copy, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum RawError {
    /// The black level is out of range.
    #[error("black level {0} is not from 0 to 512")]
    BlackLevel(u16),
    /// A white balance gain is out of range.
    #[error("white balance gain {0} is not from 0.25 to 4")]
    WhiteBalance(f32),
    /// The gain is out of range.
    #[error("gain {0} is not from 1 to 16")]
    Gain(f32),
    /// The gamma is out of range.
    #[error("gamma {0} is not from 1 to 3")]
    Gamma(f32),
}

const GAINS: std::ops::RangeInclusive<f32> = 0.25..=4.0;

/// White of a developed sample: 10 bits, and no more, so that the demosaicing filter's sums fit 16.
pub(super) const WHITE: i16 = 1020;

/// Steps of a raw sample.
pub(super) const STEPS: usize = 1024;

/// From each raw step, 10 bits, to the developed sample.
pub(super) type Table = [i16; STEPS];

/// The white balance as it stands, and the tables made of it.
#[derive(Clone, Debug)]
pub(super) struct Develop {
    settings: Checked,
    /// Gains of red and blue against green; `None` before the first frame.
    balance: Option<(f32, f32)>,
    /// Gamma-coded value of each of 4096 linear steps.
    gamma: Vec<i16>,
    red: Table,
    green: Table,
    blue: Table,
}

impl Develop {
    pub(super) fn new(settings: Checked) -> Self {
        let exponent = 1.0 / settings.raw().gamma;
        let coded = |step: u16| ((f32::from(step) / 4095.0).powf(exponent) * f32::from(WHITE)).round() as i16;
        let [red, green, blue] = [[0; STEPS]; 3];
        Self { settings, balance: None, gamma: (0..4096).map(coded).collect(), red, green, blue }
    }

    /// Gains of red and blue against green, as last used.
    pub(super) fn balance(&self) -> Option<(f32, f32)> {
        self.balance
    }

    /// Makes the tables for a frame whose mean of red, green and blue above black is this.
    pub(super) fn prepare(&mut self, mean: impl FnOnce(u16) -> Option<[f32; 3]>) {
        let raw = *self.settings.raw();
        let wanted = match raw.white_balance {
            WhiteBalance::Gains { red, blue } => Some((red, blue)),
            WhiteBalance::GreyWorld => mean(raw.black_level).map(|[red, green, blue]| {
                let gain = |mean: f32| (green / mean.max(1e-3)).clamp(*GAINS.start(), *GAINS.end());
                (gain(red), gain(blue))
            }),
        };
        let next = match (self.balance, wanted) {
            (Some((red, blue)), Some((to_red, to_blue))) if raw.white_balance == WhiteBalance::GreyWorld => {
                (red + (to_red - red) / 16.0, blue + (to_blue - blue) / 16.0)
            }
            (_, Some(wanted)) => wanted,
            (balance, None) => balance.unwrap_or((1.0, 1.0)),
        };
        if self.balance == Some(next) {
            return;
        }
        self.balance = Some(next);
        // No gain below 1: what saturates the sensor must stay white, not turn magenta.
        let least = next.0.min(next.1).min(1.0);
        let Self { gamma, red, green, blue, .. } = self;
        for (table, balance) in [(red, next.0), (green, 1.0), (blue, next.1)] {
            fill(table, gamma, raw.black_level, raw.gain * balance / least);
        }
    }

    /// Tables of the samples at even and odd columns of an even and of an odd row.
    pub(super) fn tables(&self, pattern: Pattern) -> [[&Table; 2]; 2] {
        let (red, green, blue) = (&self.red, &self.green, &self.blue);
        match pattern {
            Pattern::Rggb => [[red, green], [green, blue]],
            Pattern::Grbg => [[green, red], [blue, green]],
            Pattern::Gbrg => [[green, blue], [red, green]],
            Pattern::Bggr => [[blue, green], [green, red]],
        }
    }
}

fn fill(table: &mut Table, gamma: &[i16], black: u16, gain: f32) {
    let scale = gain * 4095.0 / f32::from(1023 - black);
    for (step, coded) in (0_u16..).zip(table) {
        let linear = f32::from(step.saturating_sub(black)) * scale + 0.5;
        *coded = gamma.get(linear as usize).copied().unwrap_or(WHITE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_out_of_range_are_refused_in_words() {
        let refused = |raw: Raw| raw.check().unwrap_err().to_string();
        assert_eq!(refused(Raw { black_level: 513, ..Raw::default() }), "black level 513 is not from 0 to 512");
        assert_eq!(refused(Raw { gain: 0.5, ..Raw::default() }), "gain 0.5 is not from 1 to 16");
        assert_eq!(refused(Raw { gamma: f32::NAN, ..Raw::default() }), "gamma NaN is not from 1 to 3");
        let white_balance = WhiteBalance::Gains { red: 1.0, blue: 5.0 };
        assert_eq!(refused(Raw { white_balance, ..Raw::default() }), "white balance gain 5 is not from 0.25 to 4");
        assert_eq!(Raw::default().check(), Ok(Checked::default()));
    }

    #[test]
    fn grey_world_starts_at_once_and_then_follows_slowly() {
        let mut develop = Develop::new(Checked::default());
        develop.prepare(|_| Some([100.0, 200.0, 400.0]));
        assert_eq!(develop.balance(), Some((2.0, 0.5)));
        develop.prepare(|_| Some([200.0, 200.0, 200.0]));
        assert_eq!(develop.balance(), Some((2.0 - 1.0 / 16.0, 0.5 + 0.5 / 16.0)));
        develop.prepare(|_| None);
        assert_eq!(develop.balance(), Some((2.0 - 1.0 / 16.0, 0.5 + 0.5 / 16.0)), "a dark frame changes nothing");
    }

    #[test]
    fn what_saturates_stays_white_under_any_balance() {
        let white_balance = WhiteBalance::Gains { red: 0.5, blue: 0.7 };
        let mut develop = Develop::new(Raw { white_balance, ..Raw::default() }.check().unwrap());
        develop.prepare(|_| None);
        for table in develop.tables(Pattern::Rggb).into_iter().flatten() {
            assert_eq!((table[64], table[1023]), (0, WHITE));
        }
    }
}
