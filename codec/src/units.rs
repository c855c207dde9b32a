//! Quantities with their units: time, size, rate.

use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

/// This machine's monotonic clock, in microseconds from a start that is this process's own affair.
///
/// Never sent to anybody: two machines' uptimes have nothing in common. What travels is [`MediaTime`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uptime(u64);

impl Uptime {
    /// The moment `us` microseconds after the start.
    pub const fn from_micros(us: u64) -> Self {
        Self(us)
    }

    /// Microseconds since the start.
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// Time from `earlier` to `self`; zero if `earlier` is the later one.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Uptime {
    type Output = Self;
    fn add(self, rhs: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(rhs.as_micros()).unwrap_or(u64::MAX)))
    }
}

impl Sub<Duration> for Uptime {
    type Output = Self;
    fn sub(self, rhs: Duration) -> Self {
        Self(self.0.saturating_sub(u64::try_from(rhs.as_micros()).unwrap_or(u64::MAX)))
    }
}

/// A moment in a session's footage: ticks of 90 kHz since the session started (the clock of RFC 6184 §8.2.1 and MPEG).
///
/// Travels with the picture. Counts monotonic time, so that a wall clock that is set never bends it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MediaTime(u64);

impl MediaTime {
    /// Ticks a second.
    pub const HZ: u64 = 90_000;

    /// The moment `ticks` of 1/90000 s after the session's start.
    pub const fn from_ticks(ticks: u64) -> Self {
        Self(ticks)
    }

    /// The moment `since_start` after the session's start, rounded down to a tick.
    pub const fn from_duration(since_start: Duration) -> Self {
        let whole = since_start.as_secs().saturating_mul(Self::HZ);
        Self(whole.saturating_add(since_start.subsec_nanos() as u64 * 9 / 100_000))
    }

    /// Ticks of 1/90000 s since the session's start.
    pub const fn ticks(self) -> u64 {
        self.0
    }

    /// Time since the session's start, to the microsecond.
    pub const fn as_duration(self) -> Duration {
        Duration::new(self.0 / Self::HZ, ((self.0 % Self::HZ) * 100_000 / 9) as u32)
    }
}

/// Bits a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bitrate(u32);

impl Bitrate {
    /// A rate of `bps` bits a second.
    pub const fn from_bps(bps: u32) -> Self {
        Self(bps)
    }

    /// A rate of `kbps` thousand bits a second.
    pub const fn from_kbps(kbps: u32) -> Self {
        Self(kbps.saturating_mul(1000))
    }

    /// Bits a second.
    pub const fn bps(self) -> u32 {
        self.0
    }
}

impl fmt::Display for Bitrate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} kbit/s", self.0 / 1000)
    }
}

/// Frames a second as a fraction, so that 30000/1001 stays exact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FrameRate {
    num: u32,
    den: u32,
}

impl FrameRate {
    /// `num / den` frames a second; `None` if either is zero or the rate is above 1000.
    pub const fn new(num: u32, den: u32) -> Option<Self> {
        if num == 0 || den == 0 || num as u64 > den as u64 * 1000 { None } else { Some(Self { num, den }) }
    }

    /// A whole number of frames a second; `None` outside 1 to 1000.
    pub const fn whole(fps: u32) -> Option<Self> {
        Self::new(fps, 1)
    }

    /// Numerator.
    pub const fn num(self) -> u32 {
        self.num
    }

    /// Denominator.
    pub const fn den(self) -> u32 {
        self.den
    }

    /// Frames a second, rounded to the nearest `f32`.
    pub const fn as_f32(self) -> f32 {
        self.num as f32 / self.den as f32
    }

    /// Time from frame 0 to frame `index`, without the drift of adding up rounded intervals.
    pub const fn at(self, index: u64) -> Duration {
        let us = index as u128 * 1_000_000 * self.den as u128 / self.num as u128;
        Duration::from_micros(if us > u64::MAX as u128 { u64::MAX } else { us as u64 })
    }

    /// Time from one frame to the next, rounded down to a microsecond.
    pub const fn interval(self) -> Duration {
        self.at(1)
    }
}

impl fmt::Display for FrameRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.den == 1 { write!(f, "{} fps", self.num) } else { write!(f, "{:.2} fps", self.as_f32()) }
    }
}

/// Width and height in luma samples, each from 1 to [`Size::MAX_SIDE`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Size {
    width: u32,
    height: u32,
}

impl Size {
    /// Longest side of any picture here.
    pub const MAX_SIDE: u32 = 8192;

    /// `None` if a side is zero or above [`Size::MAX_SIDE`].
    pub const fn new(width: u32, height: u32) -> Option<Self> {
        if width == 0 || height == 0 || width > Self::MAX_SIDE || height > Self::MAX_SIDE {
            None
        } else {
            Some(Self { width, height })
        }
    }

    /// Luma samples in a row.
    pub const fn width(self) -> u32 {
        self.width
    }

    /// Luma rows.
    pub const fn height(self) -> u32 {
        self.height
    }

    /// Chroma samples in a row of a 4:2:0 picture (rounded up).
    pub const fn chroma_width(self) -> u32 {
        self.width.div_ceil(2)
    }

    /// Chroma rows of a 4:2:0 picture (rounded up).
    pub const fn chroma_height(self) -> u32 {
        self.height.div_ceil(2)
    }

    /// Luma samples in the picture.
    pub const fn pixels(self) -> usize {
        self.width as usize * self.height as usize
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.width, self.height)
    }
}

/// A temporal layer; 0 is the base layer, which every receiver needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TemporalLayer(u8);

impl TemporalLayer {
    /// The layer every receiver needs.
    pub const BASE: Self = Self(0);
    /// Highest layer.
    pub const MAX: u8 = 3;

    /// Returns `None` above [`TemporalLayer::MAX`].
    pub const fn new(id: u8) -> Option<Self> {
        if id > Self::MAX { None } else { Some(Self(id)) }
    }

    /// 0 to [`TemporalLayer::MAX`].
    pub const fn id(self) -> u8 {
        self.0
    }
}

/// How sample values stand for colours: carried from the sensor into the bitstream, so that nobody has to guess.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Color {
    /// Which values are black and white.
    pub range: Range,
    /// How luma and chroma are made of red, green and blue.
    pub matrix: Matrix,
}

/// Which sample values are black and white (ITU-T H.273 `VideoFullRangeFlag`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Range {
    /// Luma 16 to 235.
    #[default]
    Limited,
    /// Luma 0 to 255, as in JPEG.
    Full,
}

/// Matrix coefficients (ITU-T H.273 `MatrixCoefficients`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Matrix {
    /// BT.601, the matrix of JPEG and of most USB cameras.
    Bt601,
    /// BT.709, the matrix of HD video.
    #[default]
    Bt709,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_time_and_duration_agree_to_the_microsecond() {
        for us in [0, 11, 12, 33_366, 1_000_000, 21_600_000_000] {
            let there = MediaTime::from_duration(Duration::from_micros(us)).as_duration();
            let lost = us - u64::try_from(there.as_micros()).unwrap();
            assert!(lost <= 12, "{us} us came back {lost} us short");
        }
    }

    #[test]
    fn a_fractional_rate_does_not_drift() {
        let rate = FrameRate::new(30_000, 1001).unwrap();
        assert_eq!(rate.at(30_000), Duration::from_secs(1001));
    }

    #[test]
    fn sizes_out_of_range_do_not_exist() {
        assert!(Size::new(0, 10).is_none());
        assert!(Size::new(10, 8193).is_none());
        assert_eq!(Size::new(3, 5).map(Size::chroma_width), Some(2));
    }
}
