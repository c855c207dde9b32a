//! Burns a clock into the picture, so that footage says when it was taken whatever becomes of its files.

mod font;

use crate::picture::Picture;
use crate::units::Range;
use std::fmt::{self, Write};
use std::str::FromStr;
use thiserror::Error;

/// A moment on the wall, to the microsecond, counted from 1970-01-01 00:00 UTC without leap seconds (POSIX).
///
/// Wall clocks are set, and jump: for people to read, never to measure with. That is
/// [`Uptime`](crate::units::Uptime)'s part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WallTime(u64);

impl WallTime {
    /// The moment `us` microseconds after the start of 1970 UTC.
    pub const fn from_unix_micros(us: u64) -> Self {
        Self(us)
    }

    /// Microseconds since the start of 1970 UTC.
    pub const fn as_unix_micros(self) -> u64 {
        self.0
    }
}

/// How far local time is ahead of UTC, in minutes; -14 to 14 hours.
///
/// There are no rules of summer time here: who knows them gives the offset of the day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct UtcOffset(i16);

impl UtcOffset {
    /// Returns `None` beyond 840 minutes either way.
    pub const fn from_minutes(minutes: i16) -> Option<Self> {
        if minutes < -840 || minutes > 840 { None } else { Some(Self(minutes)) }
    }

    /// Minutes ahead of UTC.
    pub const fn minutes(self) -> i16 {
        self.0
    }
}

/// Why text is not an offset from UTC.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0:?} is not an offset from UTC like +05:30 or UTC-03:00, of 14 hours at most")]
pub struct OffsetError(String);

impl FromStr for UtcOffset {
    type Err = OffsetError;

    /// `UTC`, or hours and minutes ahead of it: `+05:30`, `UTC-03:00`.
    fn from_str(text: &str) -> Result<Self, OffsetError> {
        let given = text.strip_prefix("UTC").unwrap_or(text);
        let minutes = || {
            let (sign, digits) = given.split_at_checked(1)?;
            let (hours, minutes) = digits.split_once(':')?;
            let two = |digits: &str| {
                let whole = digits.len() == 2 && digits.bytes().all(|digit| digit.is_ascii_digit());
                if whole { digits.parse::<i16>().ok() } else { None }
            };
            let (hours, minutes) = (two(hours)?, two(minutes).filter(|&minutes| minutes < 60)?);
            let minutes = hours * 60 + minutes;
            match sign {
                "+" => Some(minutes),
                "-" => Some(-minutes),
                _ => None,
            }
        };
        let offset = if text == "UTC" { Some(0) } else { minutes() };
        offset.and_then(Self::from_minutes).ok_or_else(|| OffsetError(text.chars().take(32).collect()))
    }
}

impl fmt::Display for UtcOffset {
    /// As a clock shows it: `UTC`, `UTC+05:30`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UTC")?;
        if self.0 != 0 {
            let (sign, minutes) = (if self.0 < 0 { '-' } else { '+' }, self.0.unsigned_abs());
            write!(f, "{sign}{:02}:{:02}", minutes / 60, minutes % 60)?;
        }
        Ok(())
    }
}

/// Where the clock stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Corner {
    /// At the top, to the left.
    #[default]
    TopLeft,
    /// At the top, to the right.
    TopRight,
    /// At the bottom, to the left.
    BottomLeft,
    /// At the bottom, to the right.
    BottomRight,
}

/// Why text is not a corner.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0:?} is not a corner: top-left, top-right, bottom-left or bottom-right")]
pub struct CornerError(String);

impl FromStr for Corner {
    type Err = CornerError;

    /// `top-left`, `top-right`, `bottom-left` or `bottom-right`.
    fn from_str(text: &str) -> Result<Self, CornerError> {
        Ok(match text {
            "top-left" => Self::TopLeft,
            "top-right" => Self::TopRight,
            "bottom-left" => Self::BottomLeft,
            "bottom-right" => Self::BottomRight,
            other => return Err(CornerError(other.chars().take(32).collect())),
        })
    }
}

/// The picture has no room for the clock, and was left as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("picture of {width}x{height} has no room for a clock of {clock_width}x{clock_height}")]
pub struct NoRoom {
    /// Width of the picture.
    pub width: u32,
    /// Height of the picture.
    pub height: u32,
    /// Width of the clock with its box.
    pub clock_width: u32,
    /// Height of the clock with its box.
    pub clock_height: u32,
}

/// A clock in a corner of the picture: `2026-11-23 19:47:05 UTC`, or `… UTC+05:30`. White on black, so that it can be
/// read on anything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Clock {
    /// Where it stands.
    pub corner: Corner,
    /// What it shows beside UTC.
    pub offset: UtcOffset,
}

/// Most letters of a clock: `9999-12-31 23:59:59 UTC+14:00`.
const LETTERS: usize = 29;

impl Clock {
    /// Paints the clock at `now`. Letters are 8x16 samples for each 720 rows of the picture, in a box with 4 to spare.
    /// A year past 9999 shows as the end of 9999.
    ///
    /// # Errors
    /// If the picture is too small.
    pub fn draw(&self, now: WallTime, picture: &mut Picture) -> Result<(), NoRoom> {
        let text = Text::new(now, self.offset);
        let size = picture.size();
        let (width, height) = (size.width() as usize, size.height() as usize);
        let scale = (height / 720).max(1);
        let (margin, pad) = (8 * scale, 4 * scale);
        let (box_width, box_height) = (text.letters().len() * font::WIDTH * scale + 2 * pad, 16 * scale + 2 * pad);
        if width < box_width || height < box_height {
            let (clock_width, clock_height) = (box_width as u32, box_height as u32);
            return Err(NoRoom { width: size.width(), height: size.height(), clock_width, clock_height });
        }
        // Even, so that the box covers whole chroma samples.
        let place = |side: usize, inside: usize, far: bool| {
            let spare = side - inside;
            let margin = margin.min(spare / 2);
            (if far { spare - margin } else { margin }) & !1
        };
        let left = place(width, box_width, matches!(self.corner, Corner::TopRight | Corner::BottomRight));
        let top = place(height, box_height, matches!(self.corner, Corner::BottomLeft | Corner::BottomRight));
        let (black, white) = match picture.color().range {
            Range::Limited => (16, 235),
            Range::Full => (0, 255),
        };
        let chroma_width = size.chroma_width() as usize;
        let [y, u, v] = picture.planes_mut();
        for (row, line) in y.chunks_exact_mut(width).skip(top).take(box_height).enumerate() {
            let Some(line) = line.get_mut(left..left + box_width) else { continue };
            line.fill(black);
            let Some(row) = row.checked_sub(pad).map(|row| row / scale).filter(|&row| row < 16) else { continue };
            let letters = line.get_mut(pad..).unwrap_or_default().chunks_exact_mut(font::WIDTH * scale);
            for (&letter, columns) in text.letters().iter().zip(letters) {
                let bits = font::glyph(letter).get(row).copied().unwrap_or_default();
                for (column, samples) in columns.chunks_exact_mut(scale).enumerate() {
                    if bits << column & 0x80 != 0 {
                        samples.fill(white);
                    }
                }
            }
        }
        for plane in [u, v] {
            for line in plane.chunks_exact_mut(chroma_width).skip(top / 2).take(box_height / 2) {
                line.get_mut(left / 2..(left + box_width) / 2).unwrap_or_default().fill(128);
            }
        }
        Ok(())
    }
}

/// What a clock says; on the stack, as it is made anew for each picture.
#[derive(Clone, Copy, Debug, Default)]
struct Text {
    letters: [u8; LETTERS],
    len: usize,
}

impl Text {
    fn new(now: WallTime, offset: UtcOffset) -> Self {
        let last = 253_402_300_799;
        let seconds = i64::try_from(now.0 / 1_000_000).unwrap_or(last) + i64::from(offset.0) * 60;
        let seconds = seconds.clamp(0, last);
        let (year, month, day) = civil(seconds / 86_400);
        let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
        let mut text = Self::default();
        // Never fails: whatever is written fits.
        let _ = write!(text, "{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} {offset}");
        text
    }

    fn letters(&self) -> &[u8] {
        self.letters.get(..self.len).unwrap_or_default()
    }
}

impl Write for Text {
    fn write_str(&mut self, more: &str) -> fmt::Result {
        let end = self.len + more.len();
        self.letters.get_mut(self.len..end).ok_or(fmt::Error)?.copy_from_slice(more.as_bytes());
        self.len = end;
        Ok(())
    }
}

/// Year, month and day of the Gregorian calendar, `days` after 1970-01-01 (Howard Hinnant, "chrono-compatible low-level
/// date algorithms", `civil_from_days`).
fn civil(days: i64) -> (i64, i64, i64) {
    // Days since 0000-03-01: a leap day is the last of its year.
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day_of_year - (153 * shifted + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Scene;
    use crate::units::{Color, Size};
    use proptest::prelude::*;

    fn text(seconds: u64, minutes: i16) -> String {
        let now = WallTime::from_unix_micros(seconds * 1_000_000 + 999_999);
        let text = Text::new(now, UtcOffset::from_minutes(minutes).unwrap());
        String::from_utf8(text.letters().to_vec()).unwrap()
    }

    /// Reads the clock in the box at this place back, by its glyphs.
    fn read(picture: &Picture, left: usize, top: usize, scale: usize, letters: usize) -> String {
        let width = picture.size().width() as usize;
        let lit = |x: usize, y: usize| picture.planes()[0][y * width + x] > 128;
        let read = |at: usize| {
            let rows: [u8; 16] = std::array::from_fn(|row| {
                let bit = |column: usize| lit(left + (4 + at * 8 + column) * scale, top + (4 + row) * scale);
                (0..8).fold(0, |bits, column| bits << 1 | u8::from(bit(column)))
            });
            let found = b"0123456789-+:UTC ".iter().find(|&&letter| font::glyph(letter) == rows);
            char::from(*found.expect("a letter of the clock"))
        };
        (0..letters).map(read).collect()
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        assert_eq!(text(0, 0), "1970-01-01 00:00:00 UTC");
        assert_eq!(text(951_782_399, 0), "2000-02-28 23:59:59 UTC");
        assert_eq!(text(951_782_400, 0), "2000-02-29 00:00:00 UTC");
        assert_eq!(text(4_107_542_400, 0), "2100-03-01 00:00:00 UTC");
        assert_eq!(text(1_795_463_225, 330), "2026-11-24 01:17:05 UTC+05:30");
        assert_eq!(text(1_795_463_225, -60), "2026-11-23 18:47:05 UTC-01:00");
        assert_eq!(text(0, -60), "1970-01-01 00:00:00 UTC-01:00");
        assert_eq!(text(u64::MAX / 1_000_001, 840), "9999-12-31 23:59:59 UTC+14:00");
        assert_eq!(UtcOffset::from_minutes(841), None);
    }

    #[test]
    fn the_clock_can_be_read_back_on_any_ground() {
        let now = WallTime::from_unix_micros(1_795_463_225_000_000);
        for (luma, range) in [(16, Range::Limited), (235, Range::Limited), (128, Range::Full)] {
            let color = Color { range, ..Color::default() };
            let mut picture = Picture::black(Size::new(640, 360).unwrap(), color);
            picture.planes_mut()[0].fill(luma);
            picture.planes_mut()[1].fill(30);
            Clock::default().draw(now, &mut picture).unwrap();
            assert_eq!(read(&picture, 8, 8, 1, 23), "2026-11-23 19:47:05 UTC");
            assert_eq!(picture.planes()[1][4 * 320 + 4], 128, "the box has no colour");
            assert_eq!(picture.planes()[1][3 * 320 + 4], 30, "and nothing beside it is touched");
        }
        let mut picture = Scene::new(Size::new(2560, 1440).unwrap(), 1).picture(0);
        let offset = UtcOffset::from_minutes(-210).unwrap();
        Clock { corner: Corner::BottomRight, offset }.draw(now, &mut picture).unwrap();
        let (left, top) = (2560 - 16 - 29 * 16 - 16, 1440 - 16 - 48);
        assert_eq!(read(&picture, left, top, 2, 29), "2026-11-23 16:17:05 UTC-03:30");
    }

    #[test]
    fn a_picture_without_room_is_left_as_it_is() {
        let mut picture = Scene::new(Size::new(190, 360).unwrap(), 1).picture(0);
        let before = picture.clone();
        let error = Clock::default().draw(WallTime::from_unix_micros(0), &mut picture).unwrap_err();
        assert_eq!(error.to_string(), "picture of 190x360 has no room for a clock of 192x24");
        assert_eq!(picture, before);
    }

    #[test]
    fn offsets_and_corners_are_read_and_what_is_none_is_refused_in_words() {
        for (text, minutes) in [("UTC", 0), ("+05:30", 330), ("UTC-03:00", -180), ("-00:15", -15), ("+14:00", 840)] {
            assert_eq!(text.parse(), Ok(UtcOffset::from_minutes(minutes).unwrap()), "{text}");
        }
        for text in ["", "+", "+5:30", "05:30", "+14:01", "+01:60", "+é:00", "utc", "UTCUTC", "++1:00", "+01:0a"] {
            let error = text.parse::<UtcOffset>().unwrap_err();
            assert!(error.to_string().starts_with(&format!("{text:?} is not an offset from UTC like")), "{error}");
        }
        assert_eq!("bottom-right".parse(), Ok(Corner::BottomRight));
        let error = "left".parse::<Corner>().unwrap_err();
        assert_eq!(error.to_string(), "\"left\" is not a corner: top-left, top-right, bottom-left or bottom-right");
    }

    proptest! {
        #[test]
        fn an_offset_is_read_as_it_is_shown(minutes in -840..=840_i16) {
            let offset = UtcOffset::from_minutes(minutes).unwrap();
            prop_assert_eq!(offset.to_string().parse(), Ok(offset));
        }

        #[test]
        fn any_moment_in_any_corner_of_any_picture_is_drawn_or_refused(
            (width, height) in (1..400_u32, 1..60_u32),
            us in any::<u64>(),
            minutes in -840..=840_i16,
            corner in prop::sample::select(vec![
                Corner::TopLeft, Corner::TopRight, Corner::BottomLeft, Corner::BottomRight,
            ]),
        ) {
            let offset = UtcOffset::from_minutes(minutes).unwrap();
            let mut picture = Picture::black(Size::new(width, height).unwrap(), Color::default());
            let drawn = Clock { corner, offset }.draw(WallTime::from_unix_micros(us), &mut picture).is_ok();
            let lit = picture.planes()[0].contains(&235);
            prop_assert_eq!(drawn, lit);
            prop_assert_eq!(drawn, width >= if minutes == 0 { 192 } else { 240 } && height >= 24);
        }
    }
}
