//! Privacy zones: parts of the picture that are painted over before it is encoded, so that they never leave the camera.

use crate::picture::Picture;
use crate::units::Size;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};
use thiserror::Error;

/// Luma of what is masked: mid grey.
const GREY: u8 = 128;

/// How far a computed edge is moved outward, in 2x2 blocks, so that rounding never moves it inward.
const SLACK: f64 = 1e-6;

/// Why a mask was refused. Says the value and what would have been accepted.
#[derive(Clone, Copy, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum MaskError {
    /// Too few points for an area, or too many.
    #[error("polygon of {0} points: it needs 3 to 64")]
    Points(usize),
    /// A point outside the picture.
    #[error("point {index} of the polygon is at {x}, {y}: both must be from 0 to 1")]
    Outside {
        /// Which point, counted from 0.
        index: usize,
        /// Its place from the left.
        x: f32,
        /// Its place from the top.
        y: f32,
    },
    /// Too many polygons.
    #[error("mask of {0} polygons: 32 at most")]
    Polygons(usize),
}

/// An area of the picture, whatever the picture's size.
#[derive(Clone, Debug, PartialEq)]
pub struct Polygon(Vec<(f32, f32)>);

impl Polygon {
    /// Most points of a polygon.
    pub const MAX_POINTS: usize = 64;

    /// An area with these corners, closed from the last to the first. Each is `(x, y)` as a part of the width and
    /// height, from 0 at the left and top to 1 at the right and bottom. Where edges cross, all that they enclose
    /// counts.
    ///
    /// # Errors
    /// If there are fewer than 3 points or more than [`Polygon::MAX_POINTS`], or one is outside.
    pub fn new(points: Vec<(f32, f32)>) -> Result<Self, MaskError> {
        if !(3..=Self::MAX_POINTS).contains(&points.len()) {
            return Err(MaskError::Points(points.len()));
        }
        let inside = |value: f32| (0.0..=1.0).contains(&value);
        match points.iter().position(|&(x, y)| !inside(x) || !inside(y)) {
            Some(index) => {
                let (x, y) = points.get(index).copied().unwrap_or_default();
                Err(MaskError::Outside { index, x, y })
            }
            None => Ok(Self(points)),
        }
    }

    /// Its corners.
    pub fn points(&self) -> &[(f32, f32)] {
        &self.0
    }
}

/// What is painted over: the union of some polygons. Empty by default.
#[derive(Debug, Default)]
pub struct Mask {
    polygons: Vec<Polygon>,
    /// Spans for the size last painted, so that a frame costs no geometry.
    spans: Mutex<Option<(Size, Vec<Span>)>>,
}

/// Blocks of 2x2 luma samples in one row of blocks; one chroma sample each.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Span {
    row: usize,
    columns: Range<usize>,
}

impl Mask {
    /// Most polygons of a mask.
    pub const MAX_POLYGONS: usize = 32;

    /// A mask of these areas.
    ///
    /// # Errors
    /// If there are more than [`Mask::MAX_POLYGONS`].
    pub fn new(polygons: Vec<Polygon>) -> Result<Self, MaskError> {
        if polygons.len() > Self::MAX_POLYGONS {
            return Err(MaskError::Polygons(polygons.len()));
        }
        Ok(Self { polygons, spans: Mutex::default() })
    }

    /// Its areas.
    pub fn polygons(&self) -> &[Polygon] {
        &self.polygons
    }

    /// Whether it paints nothing.
    pub fn is_empty(&self) -> bool {
        self.polygons.is_empty()
    }

    /// Paints every block of 2x2 luma samples that an area touches, and its chroma, a flat grey.
    ///
    /// Rounded outward: a sample of which any part is masked is masked, and so are those that share its chroma. The
    /// encoder never sees what was there, so nothing of it can leak over the rim.
    pub fn paint(&self, picture: &mut Picture) {
        if self.is_empty() {
            return;
        }
        let size = picture.size();
        let mut cached = self.spans.lock().unwrap_or_else(PoisonError::into_inner);
        let spans = match &mut *cached {
            Some((known, spans)) if *known == size => spans,
            other => &mut other.insert((size, spans(&self.polygons, size))).1,
        };
        let (width, chroma_width) = (size.width() as usize, size.chroma_width() as usize);
        let [y, u, v] = picture.planes_mut();
        for Span { row, columns } in spans.iter() {
            let luma = columns.start * 2..(columns.end * 2).min(width);
            for line in y.chunks_exact_mut(width).skip(row * 2).take(2) {
                fill(line, &luma, GREY);
            }
            for plane in [&mut *u, &mut *v] {
                if let Some(line) = plane.chunks_exact_mut(chroma_width).nth(*row) {
                    fill(line, columns, 128);
                }
            }
        }
    }
}

impl Clone for Mask {
    fn clone(&self) -> Self {
        Self { polygons: self.polygons.clone(), spans: Mutex::default() }
    }
}

impl PartialEq for Mask {
    fn eq(&self, other: &Self) -> bool {
        self.polygons == other.polygons
    }
}

fn fill(line: &mut [u8], columns: &Range<usize>, value: u8) {
    if let Some(samples) = line.get_mut(columns.clone()) {
        samples.fill(value);
    }
}

/// For each square block of `side` luma samples of a picture, row by row, whether an area touches it.
pub(crate) fn touched(polygons: &[Polygon], size: Size, side: u32) -> Vec<bool> {
    let (columns, rows) = (size.width().div_ceil(side), size.height().div_ceil(side));
    // The last blocks may reach over the rim: what is 1 in the picture is less in the grid.
    let shrink = |inside: u32, blocks: u32| inside as f32 / (blocks * side) as f32;
    let (by_x, by_y) = (shrink(size.width(), columns), shrink(size.height(), rows));
    let shrunk = |polygon: &Polygon| Polygon(polygon.0.iter().map(|&(x, y)| (x * by_x, y * by_y)).collect());
    let polygons: Vec<_> = polygons.iter().map(shrunk).collect();
    let mut marked = vec![false; (columns * rows) as usize];
    let Some(grid) = Size::new(columns * 2, rows * 2) else { return marked };
    for (row, marked) in marked.chunks_mut(columns as usize).enumerate() {
        polygons.iter().for_each(|polygon| mark(polygon, grid, row, marked));
    }
    marked
}

/// All spans of a picture of `size`, top to bottom, left to right, none touching another.
fn spans(polygons: &[Polygon], size: Size) -> Vec<Span> {
    let (columns, rows) = (size.chroma_width() as usize, size.chroma_height() as usize);
    let mut marked = vec![false; columns];
    let mut found = Vec::new();
    for row in 0..rows {
        marked.fill(false);
        for polygon in polygons {
            mark(polygon, size, row, &mut marked);
        }
        let mut column = 0;
        for run in marked.chunk_by(|a, b| a == b) {
            let columns = column..column + run.len();
            column = columns.end;
            if run.first() == Some(&true) {
                found.push(Span { row, columns });
            }
        }
    }
    found
}

/// Marks the blocks of `row` that the polygon touches: those that an edge runs through, and those whose centre line
/// is inside.
fn mark(polygon: &Polygon, size: Size, row: usize, marked: &mut [bool]) {
    let (to_x, to_y) = (f64::from(size.width()) / 2.0, f64::from(size.height()) / 2.0);
    let (top, bottom) = (row as f64 - SLACK, row as f64 + 1.0 + SLACK);
    let middle = row as f64 + 0.5;
    let corner = |&(x, y): &(f32, f32)| (f64::from(x) * to_x, f64::from(y) * to_y);
    let corners = polygon.0.iter().map(corner);
    let mut crossings = Vec::new();
    for ((x0, y0), (x1, y1)) in corners.clone().zip(corners.cycle().skip(1)) {
        let at = |y: f64| if y1 == y0 { x0 } else { x0 + (x1 - x0) * ((y - y0) / (y1 - y0)).clamp(0.0, 1.0) };
        if y0.max(y1) >= top && y0.min(y1) <= bottom {
            let (a, b) = if y0 == y1 { (x0, x1) } else { (at(top), at(bottom)) };
            mark_range(a.min(b), a.max(b), marked);
        }
        if (y0 <= middle) != (y1 <= middle) {
            crossings.push((at(middle), if y0 < y1 { 1 } else { -1 }));
        }
    }
    crossings.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut winding = 0;
    for pair in crossings.windows(2) {
        if let [(from, turn), (to, _)] = pair {
            winding += turn;
            if winding != 0 {
                mark_range(*from, *to, marked);
            }
        }
    }
}

fn mark_range(from: f64, to: f64, marked: &mut [bool]) {
    let first = (from - SLACK).floor().max(0.0) as usize;
    let end = (to + SLACK).ceil().max(0.0) as usize;
    let last = end.max(first + 1).min(marked.len());
    if let Some(blocks) = marked.get_mut(first.min(last)..last) {
        blocks.fill(true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Color;
    use proptest::prelude::*;

    fn mask(points: &[(f32, f32)]) -> Mask {
        Mask::new(vec![Polygon::new(points.to_vec()).unwrap()]).unwrap()
    }

    fn rectangle(left: f32, top: f32, right: f32, bottom: f32) -> Mask {
        mask(&[(left, top), (right, top), (right, bottom), (left, bottom)])
    }

    /// Luma samples that are painted, as pairs of column and row.
    fn painted(mask: &Mask, size: Size) -> Vec<(usize, usize)> {
        let mut picture = Picture::black(size, Color::default());
        picture.planes_mut()[1].fill(7);
        mask.paint(&mut picture);
        let [y, u, _] = picture.planes();
        let width = size.width() as usize;
        for (at, &luma) in y.iter().enumerate() {
            let chroma = u[(at / width / 2) * size.chroma_width() as usize + at % width / 2];
            assert_eq!(luma == GREY, chroma == 128, "luma and chroma at {at} are masked together");
        }
        (0..y.len()).filter(|&at| y[at] == GREY).map(|at| (at % width, at / width)).collect()
    }

    #[test]
    fn a_rectangle_covers_its_samples_and_those_that_share_their_chroma() {
        let size = Size::new(16, 8).unwrap();
        // Samples 4.8 to 7.84 across: blocks 2 and 3. Rows 2.08 to 3.2: block row 1.
        let covered = painted(&rectangle(0.3, 0.26, 0.49, 0.4), size);
        let wanted: Vec<_> = (2..4).flat_map(|y| (4..8).map(move |x| (x, y))).collect();
        assert_eq!(covered, wanted);
    }

    #[test]
    fn the_whole_picture_can_be_masked_at_odd_sizes_too() {
        for (width, height) in [(16, 16), (5, 3), (1, 1), (33, 7)] {
            let size = Size::new(width, height).unwrap();
            assert_eq!(painted(&rectangle(0.0, 0.0, 1.0, 1.0), size).len(), size.pixels(), "{size}");
        }
    }

    #[test]
    fn thin_and_crossing_polygons_cover_what_they_enclose() {
        let size = Size::new(64, 64).unwrap();
        assert!(painted(&mask(&[(0.0, 0.5), (1.0, 0.5), (0.5, 0.5)]), size).len() >= 64, "a line");
        assert!(!painted(&mask(&[(1.0, 1.0), (1.0, 1.0), (1.0, 1.0)]), size).is_empty(), "a point in the corner");
        let star = mask(&[(0.5, 0.0), (0.8, 1.0), (0.0, 0.4), (1.0, 0.4), (0.2, 1.0)]);
        assert!(painted(&star, size).contains(&(32, 36)), "the middle of a star");
    }

    #[test]
    fn a_new_size_is_masked_anew() {
        let mask = rectangle(0.0, 0.0, 0.5, 1.0);
        for width in [32, 64, 32] {
            let size = Size::new(width, 16).unwrap();
            assert!(painted(&mask, size).contains(&(width as usize / 2 - 1, 15)));
        }
    }

    #[test]
    fn what_is_no_mask_is_refused_in_words() {
        assert_eq!(Polygon::new(vec![(0.0, 0.0); 2]), Err(MaskError::Points(2)));
        assert_eq!(Polygon::new(vec![(0.0, 0.0); 65]), Err(MaskError::Points(65)));
        let error = Polygon::new(vec![(0.0, 0.0), (1.0, 0.0), (0.5, 1.25)]).unwrap_err();
        assert_eq!(error.to_string(), "point 2 of the polygon is at 0.5, 1.25: both must be from 0 to 1");
        assert!(Polygon::new(vec![(0.0, 0.0), (f32::NAN, 0.0), (0.5, 1.0)]).is_err());
        let polygon = Polygon::new(vec![(0.0, 0.0); 3]).unwrap();
        assert_eq!(Mask::new(vec![polygon; 33]), Err(MaskError::Polygons(33)));
    }

    /// Whether a point is inside by the winding rule, computed another way: by the angle it sees.
    fn encloses(points: &[(f32, f32)], x: f64, y: f64) -> bool {
        let angle = |&(px, py): &(f32, f32)| (f64::from(py) - y).atan2(f64::from(px) - x);
        let turn: f64 = points
            .iter()
            .zip(points.iter().cycle().skip(1))
            .map(|(a, b)| {
                let turn = angle(b) - angle(a);
                turn - (turn / std::f64::consts::TAU).round() * std::f64::consts::TAU
            })
            .sum();
        turn.abs() > 1.0
    }

    proptest! {
        #[test]
        fn no_enclosed_point_stays_visible(
            points in prop::collection::vec((0.0..=1.0_f32, 0.0..=1.0_f32), 3..8),
            (width, height) in (2..80_u32, 2..60_u32),
            (x, y) in (0.0..1.0_f64, 0.0..1.0_f64),
        ) {
            let size = Size::new(width, height).unwrap();
            if encloses(&points, x, y) {
                let sample = ((x * f64::from(width)) as usize, (y * f64::from(height)) as usize);
                prop_assert!(painted(&mask(&points), size).contains(&sample), "{sample:?} of {size}");
            }
        }
    }

    #[cfg(feature = "h264")]
    #[test]
    fn nothing_of_a_masked_area_survives_encoding_and_the_rest_does() {
        use crate::access_unit::Kind;
        use crate::encoder::{Config, Encoder};
        use crate::h264::openh264::{Openh264Decoder, Openh264Encoder};
        use crate::testing::{Random, Scene};
        use crate::units::{Bitrate, FrameRate, MediaTime};
        use crate::{Decoder, decoder::Limits};

        let size = Size::new(320, 176).unwrap();
        let mask = mask(&[(0.2, 0.2), (0.7, 0.3), (0.5, 0.9), (0.25, 0.8)]);
        let zone = painted(&mask, size);
        assert!(zone.len() > 10_000);
        let config = Config::new(size, FrameRate::whole(30).unwrap(), Bitrate::from_kbps(1500));
        let mut encoder = Openh264Encoder::new(config.check().unwrap()).unwrap();
        let mut decoder = Openh264Decoder::new(Limits::default());
        let mut shown = Picture::black(size, Color::default());
        let mut random = Random::new(1);
        for index in 0..20 {
            let mut source = Scene::new(size, 5).picture(index);
            // Black and white at random in the zone: the most there can be to hide.
            for &(x, y) in &zone {
                source.planes_mut()[0][y * 320 + x] = if random.below(2) == 0 { 16 } else { 235 };
            }
            mask.paint(&mut source);
            let unit = encoder.encode(&source, MediaTime::from_ticks(index * 3000), Kind::Delta).unwrap().unwrap();
            assert!(decoder.decode(&unit, &mut shown).unwrap().is_picture());
            let worst = zone.iter().map(|&(x, y)| shown.planes()[0][y * 320 + x].abs_diff(GREY)).filter(|&off| off > 6);
            // Blur of the encoder comes in from the bright outside, by a few samples at the rim at most.
            let off = worst.count();
            assert!(off * 50 < zone.len(), "picture {index}: {off} of {} samples are not grey", zone.len());
            let db = shown.psnr_y(&source).unwrap();
            assert!(db > 35.0, "picture {index}: {db} dB");
        }
    }
}
