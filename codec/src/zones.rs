//! The file in which an owner says what of the picture is watched, and what never leaves the camera.

use crate::mask::{Mask, MaskError, Polygon};
use crate::motion;
use std::fmt;
use std::str::FromStr;
use thiserror::Error;

/// Areas by what they are for. A line each in the file: `watch` or `mask`, then the corners of one polygon, each
/// `x,y` from 0,0 at the left and top to 1,1. Empty lines and what follows a `#` mean nothing.
///
/// ```
/// use doorframe_codec::zones::Zones;
///
/// let zones = Zones::parse(b"watch 0,0.4 1,0.4 1,1 0,1   # the path\nmask 0.8,0 1,0 1,0.3").unwrap();
/// assert_eq!((zones.watch.len(), zones.mask.len()), (1, 1));
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Zones {
    /// Where motion counts; none is the whole picture. At most [`motion::Config::MAX_ZONES`].
    pub watch: Vec<Polygon>,
    /// What is painted over. At most [`Mask::MAX_POLYGONS`].
    pub mask: Vec<Polygon>,
}

/// Why text is not a polygon.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum PolygonError {
    /// A corner is not two numbers.
    #[error("{0:?} is not a corner like 0.25,1: two numbers from 0 to 1 with a comma between them")]
    Corner(String),
    /// The corners make no polygon.
    #[error(transparent)]
    Mask(#[from] MaskError),
}

/// Why a file is not one of zones. Lines are counted from 1.
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum ZonesError {
    /// It is too large to be one.
    #[error("zones of {0} bytes: 262144 at most")]
    Large(usize),
    /// A line is not text.
    #[error("line {0} is not UTF-8 text")]
    Text(usize),
    /// A line begins with another word.
    #[error("line {line} begins with {word:?}: it needs watch or mask")]
    Word {
        /// Which line.
        line: usize,
        /// Its first word, cut after 32 letters.
        word: String,
    },
    /// What follows the word is no polygon.
    #[error("line {line}: {error}")]
    Polygon {
        /// Which line.
        line: usize,
        /// What is wrong with it.
        error: PolygonError,
    },
    /// More areas than can be watched or masked.
    #[error("line {line} is area {number} to {word}: {most} at most")]
    Many {
        /// Which line.
        line: usize,
        /// How many there are with it.
        number: usize,
        /// What they are for.
        word: &'static str,
        /// How many there may be.
        most: usize,
    },
}

/// Letters of somebody's text that a message repeats.
const REPEATED: usize = 32;

impl FromStr for Polygon {
    type Err = PolygonError;

    /// Corners with spaces between them: `0,0 0.4,0 0.4,0.5`.
    fn from_str(text: &str) -> Result<Self, PolygonError> {
        let mut corners = Vec::new();
        for word in text.split_whitespace() {
            let corner = word.split_once(',').and_then(|(x, y)| Some((x.parse().ok()?, y.parse().ok()?)));
            corners.push(corner.ok_or_else(|| PolygonError::Corner(word.chars().take(REPEATED).collect()))?);
        }
        Ok(Self::new(corners)?)
    }
}

impl fmt::Display for Polygon {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (x, y)) in self.points().iter().enumerate() {
            write!(f, "{}{x},{y}", if index == 0 { "" } else { " " })?;
        }
        Ok(())
    }
}

impl Zones {
    /// Longest file.
    pub const MAX_BYTES: usize = 262_144;

    /// Reads a file.
    ///
    /// # Errors
    /// Names the first line that is wrong, and what would do.
    pub fn parse(file: &[u8]) -> Result<Self, ZonesError> {
        if file.len() > Self::MAX_BYTES {
            return Err(ZonesError::Large(file.len()));
        }
        let mut zones = Self::default();
        for (line, text) in (1..).zip(file.split(|&byte| byte == b'\n')) {
            let text = std::str::from_utf8(text).map_err(|_| ZonesError::Text(line))?;
            let text = text.split('#').next().unwrap_or_default().trim();
            if text.is_empty() {
                continue;
            }
            let (word, corners) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
            let (areas, word, most) = match word {
                "watch" => (&mut zones.watch, "watch", motion::Config::MAX_ZONES),
                "mask" => (&mut zones.mask, "mask", Mask::MAX_POLYGONS),
                other => return Err(ZonesError::Word { line, word: other.chars().take(REPEATED).collect() }),
            };
            areas.push(corners.parse().map_err(|error| ZonesError::Polygon { line, error })?);
            if areas.len() > most {
                return Err(ZonesError::Many { line, number: areas.len(), word, most });
            }
        }
        Ok(zones)
    }
}

impl fmt::Display for Zones {
    /// The file that [`Zones::parse`] reads these from.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let areas = self.watch.iter().map(|area| ("watch", area));
        areas
            .chain(self.mask.iter().map(|area| ("mask", area)))
            .try_for_each(|(word, area)| writeln!(f, "{word} {area}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_file_of_zones_is_read_with_its_remarks_left_out() {
        let file = b"# the door\r\n\r\n  watch 0,0.5\t1,0.5 1,1 # path\nmask 0,0 0.25,0 0.25,1e-1\nmask 0,0 1,0 1,1";
        let zones = Zones::parse(file).unwrap();
        assert_eq!(zones.watch, [Polygon::new(vec![(0.0, 0.5), (1.0, 0.5), (1.0, 1.0)]).unwrap()]);
        assert_eq!(zones.mask.len(), 2);
        assert_eq!(zones.to_string(), "watch 0,0.5 1,0.5 1,1\nmask 0,0 0.25,0 0.25,0.1\nmask 0,0 1,0 1,1\n");
        assert_eq!(Zones::parse(b""), Ok(Zones::default()));
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        let said = |file: &[u8]| Zones::parse(file).unwrap_err().to_string();
        assert_eq!(said(b"\nhide 0,0 1,0 1,1"), "line 2 begins with \"hide\": it needs watch or mask");
        assert_eq!(said(b"mask"), "line 1: polygon of 0 points: it needs 3 to 64");
        let corner = "is not a corner like 0.25,1: two numbers from 0 to 1 with a comma between them";
        assert_eq!(said(b"mask 0,0 1,0 here"), format!("line 1: \"here\" {corner}"));
        let outside = "line 1: point 2 of the polygon is at 1, 2: both must be from 0 to 1";
        assert_eq!(said(b"watch 0,0 1,0 1,2"), outside);
        assert_eq!(said(b"#\xff"), "line 1 is not UTF-8 text");
        assert_eq!(said(&[b'#'; 262_145]), "zones of 262145 bytes: 262144 at most");
        assert_eq!(said("mask 0,0 1,0 1,1\n".repeat(33).as_bytes()), "line 33 is area 33 to mask: 32 at most");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            areas in prop::collection::vec(prop::collection::vec((0.0..=1.0_f32, 0.0..=1.0_f32), 3..=64), 0..=32),
            split in 0..=32_usize,
        ) {
            let mut watch: Vec<_> = areas.into_iter().map(|area| Polygon::new(area).unwrap()).collect();
            let mask = watch.split_off(split.min(watch.len()));
            let zones = Zones { watch, mask };
            prop_assert_eq!(Zones::parse(zones.to_string().as_bytes()), Ok(zones));
        }
    }
}
