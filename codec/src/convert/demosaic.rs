//! Mosaic to picture: fills in the two colours each sample lacks, by the linear 5x5 filters of Malvar, He and Cutler
//! ("High-quality linear interpolation for demosaicing of Bayer-patterned color images", ICASSP 2004), applied to
//! samples that gamma has already coded: noise in the dark stays small and 16-bit arithmetic suffices.

use super::raw::{Checked, Develop, STEPS, Table, WHITE};
use crate::frame::{Pattern, Plane};
use crate::picture::Picture;
use fearless_simd::{Level, dispatch};

/// How samples lie in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Depth {
    Eight,
    Ten,
}

/// Turns mosaics into pictures. Keeps six rows, its white balance and its tables from frame to frame.
#[derive(Clone, Debug)]
pub(super) struct Demosaic {
    develop: Develop,
    /// Two rows of raw samples, 10 bits each.
    raw: Vec<u16>,
    /// Two rows above the pair in work, the pair, two rows below.
    rows: [Halves; 6],
    /// Sums of the rows one and two above and below.
    near: Halves,
    far: Halves,
    colors: [RowColors; 2],
}

/// A row's even and odd columns, each with one mirrored sample at both ends.
#[derive(Clone, Debug, Default)]
struct Halves([Vec<i16>; 2]);

/// A row's colours, its even columns and its odd ones: the colour that shares the row with green, green, the other.
#[derive(Clone, Debug, Default)]
struct RowColors([[Vec<i16>; 3]; 2]);

impl Demosaic {
    pub(super) fn new(settings: Checked) -> Self {
        Self {
            develop: Develop::new(settings),
            raw: Vec::new(),
            rows: Default::default(),
            near: Halves::default(),
            far: Halves::default(),
            colors: Default::default(),
        }
    }

    /// Gains of red and blue against green, as last used.
    pub(super) fn balance(&self) -> Option<(f32, f32)> {
        self.develop.balance()
    }

    /// Paints the mosaic into `picture`, whose sides are even and no longer than the mosaic's.
    pub(super) fn paint(&mut self, depth: Depth, pattern: Pattern, plane: &Plane<'_>, picture: &mut Picture) {
        let (width, height) = (picture.size().width() as usize, picture.size().height() as usize);
        self.resize(width);
        let Self { develop, raw, .. } = self;
        develop.prepare(|black| mean(depth, pattern, plane, (width, height), black, raw));
        dispatch!(Level::new(), _simd => self.paint_rows(depth, pattern, plane, picture));
    }

    fn resize(&mut self, width: usize) {
        let half = width / 2;
        self.raw.resize(width * 2, 0);
        for halves in self.rows.iter_mut().chain([&mut self.near, &mut self.far]).flat_map(|row| &mut row.0) {
            halves.resize(half + 2, 0);
        }
        self.colors.iter_mut().flat_map(|row| &mut row.0).flatten().for_each(|color| color.resize(half, 0));
    }

    #[inline(always)]
    fn paint_rows(&mut self, depth: Depth, pattern: Pattern, plane: &Plane<'_>, picture: &mut Picture) {
        let (width, height) = (picture.size().width() as usize, picture.size().height() as usize);
        let half = width / 2;
        let (red_row, red_column) = match pattern {
            Pattern::Rggb => (0, 0),
            Pattern::Grbg => (0, 1),
            Pattern::Gbrg => (1, 0),
            Pattern::Bggr => (1, 1),
        };
        let Self { develop, raw, rows, near, far, colors } = self;
        let tables = develop.tables(pattern);
        let (raw, _) = raw.split_at_mut(width);
        let mut fetch = |row: isize, to: &mut Halves| {
            let row = mirror(row, height);
            read_row(depth, plane, row, raw);
            to.fill(raw, tables[row & 1]);
        };
        for (row, to) in (-2..).zip(rows.iter_mut()) {
            fetch(row, to);
        }
        let [y, u, v] = picture.planes_mut();
        let chroma = u.chunks_exact_mut(half).zip(v.chunks_exact_mut(half));
        for ((pair, luma), (u, v)) in (0..).zip(y.chunks_exact_mut(width * 2)).zip(chroma) {
            if pair > 0 {
                rows.rotate_left(2);
                let [.., a, b] = &mut *rows;
                fetch(pair * 2 + 2, a);
                fetch(pair * 2 + 3, b);
            }
            for (parity, (colors, window)) in colors.iter_mut().zip(rows.windows(5)).enumerate() {
                let [far_up, up, own, down, far_down] = window else { continue };
                near.sum(up, down);
                far.sum(far_up, far_down);
                let column = if parity == red_row { red_column } else { 1 - red_column };
                colors.interpolate(column, own, near, far);
            }
            for (parity, (luma, colors)) in luma.chunks_exact_mut(width).zip(&*colors).enumerate() {
                write_luma(colors.rgb(parity == red_row), luma);
            }
            let [upper, lower] = &*colors;
            write_chroma([upper.rgb(red_row == 0), lower.rgb(red_row == 1)], u, v);
        }
    }
}

/// Which row stands for one beyond the edge: the mirrored one, which has the same colours.
fn mirror(row: isize, height: usize) -> usize {
    let parity = row.rem_euclid(2) as usize;
    let inside = row.unsigned_abs();
    let mirrored = if inside < height { inside } else { (2 * height).saturating_sub(inside + 2) };
    if mirrored % 2 == parity && mirrored < height { mirrored } else { parity }
}

/// Raw samples of a row, 10 bits each; what the plane lacks stays as it was.
#[inline(always)]
fn read_row(depth: Depth, plane: &Plane<'_>, row: usize, to: &mut [u16]) {
    let data = plane.data.get(row.saturating_mul(plane.stride)..).unwrap_or_default();
    match depth {
        Depth::Eight => {
            for (to, &sample) in to.iter_mut().zip(data) {
                *to = u16::from(sample) << 2 | u16::from(sample) >> 6;
            }
        }
        Depth::Ten => {
            let groups = data.as_chunks().0;
            let (whole, rest) = to.as_chunks_mut::<4>();
            for (to, group) in whole.iter_mut().zip(groups) {
                *to = four(group);
            }
            if let Some(group) = groups.get(whole.len()) {
                rest.iter_mut().zip(four(group)).for_each(|(to, sample)| *to = sample);
            }
        }
    }
}

/// The samples of a RAW10 group.
#[inline(always)]
fn four(&[a, b, c, d, low]: &[u8; 5]) -> [u16; 4] {
    let sample = |high: u8, shift: u8| u16::from(high) << 2 | u16::from(low >> shift & 3);
    [sample(a, 0), sample(b, 2), sample(c, 4), sample(d, 6)]
}

/// Means of red, green and blue above black, over a part of the rows and without what is saturated; `None` in the dark.
fn mean(
    depth: Depth,
    pattern: Pattern,
    plane: &Plane<'_>,
    (width, height): (usize, usize),
    black: u16,
    raw: &mut [u16],
) -> Option<[f32; 3]> {
    const SATURATED: u16 = 1000;
    let (upper, lower) = raw.split_at_mut(width);
    let (mut sums, mut seen, mut used) = ([0_u64; 4], 0_u32, 0_u32);
    let step = (height / 64).max(1) * 2;
    for row in (0..height).step_by(step) {
        read_row(depth, plane, row, upper);
        read_row(depth, plane, row + 1, lower);
        for (&[a, b], &[c, d]) in upper.as_chunks().0.iter().zip(lower.as_chunks().0) {
            seen += 1;
            let quad = [a, b, c, d];
            if quad.iter().all(|&sample| sample < SATURATED) {
                used += 1;
                for (sum, sample) in sums.iter_mut().zip(quad) {
                    *sum += u64::from(sample);
                }
            }
        }
    }
    if used == 0 || used < seen / 16 {
        return None;
    }
    let [a, b, c, d] = sums.map(|sum| sum as f32 / used as f32 - f32::from(black));
    let [red, green, blue] = match pattern {
        Pattern::Rggb => [a, b + c, d],
        Pattern::Grbg => [b, a + d, c],
        Pattern::Gbrg => [c, a + d, b],
        Pattern::Bggr => [d, b + c, a],
    };
    (green > 4.0).then_some([red, green / 2.0, blue])
}

impl Halves {
    /// Develops a row of raw samples and mirrors its ends.
    #[inline(always)]
    fn fill(&mut self, raw: &[u16], [even_table, odd_table]: [&Table; 2]) {
        let [even, odd] = &mut self.0;
        let develop = |table: &Table, sample: u16| table[usize::from(sample) & (STEPS - 1)];
        let inner = even.iter_mut().skip(1).zip(odd.iter_mut().skip(1));
        for ((even, odd), &[a, b]) in inner.zip(raw.as_chunks().0) {
            *even = develop(even_table, a);
            *odd = develop(odd_table, b);
        }
        // Column -2 mirrors 2, -1 mirrors 1; past the end likewise. The neighbour stands in where there is no such
        // column.
        let n = raw.len() / 2;
        let at = |half: &[i16], index: usize| half.get(index).copied().unwrap_or_default();
        let ends = [at(even, 2.min(n)), at(even, n), at(odd, 1), at(odd, n.saturating_sub(1).max(1))];
        if let ([first, .., last], [odd_first, .., odd_last]) = (&mut even[..], &mut odd[..]) {
            [*first, *last, *odd_first, *odd_last] = ends;
        }
    }

    #[inline(always)]
    fn sum(&mut self, a: &Self, b: &Self) {
        for ((to, a), b) in self.0.iter_mut().zip(&a.0).zip(&b.0) {
            for ((to, a), b) in to.iter_mut().zip(a).zip(b) {
                *to = a + b;
            }
        }
    }
}

impl RowColors {
    /// Fills in the colours of `own`, where the colour that shares the row with green is at columns of the parity
    /// `column`.
    #[inline(always)]
    fn interpolate(&mut self, column: usize, own: &Halves, near: &Halves, far: &Halves) {
        for (parity, to) in self.0.iter_mut().enumerate() {
            let taps = Taps::new(parity, to[0].len(), own, near, far);
            if parity == column { taps.at_color(to) } else { taps.at_green(to) }
        }
    }

    /// Red, green and blue of the even and of the odd columns.
    #[inline(always)]
    fn rgb(&self, red_row: bool) -> [[&[i16]; 3]; 2] {
        self.0.each_ref().map(|[x, green, z]| if red_row { [&x[..], green, z] } else { [&z[..], green, x] })
    }
}

/// What the filters look at, for all columns of one parity.
struct Taps<'a> {
    here: &'a [i16],
    /// One column to the left and to the right.
    near_row: [&'a [i16]; 2],
    /// Two columns to the left and to the right.
    far_row: [&'a [i16]; 2],
    /// One row above plus one below; two rows above plus two below.
    near_column: &'a [i16],
    far_column: &'a [i16],
    /// The diagonals, to the left and to the right.
    diagonal: [&'a [i16]; 2],
}

impl<'a> Taps<'a> {
    #[inline(always)]
    fn new(parity: usize, n: usize, own: &'a Halves, near: &'a Halves, far: &'a Halves) -> Self {
        // All rows have two samples more than `n`: what is asked for is there.
        let part = |half: &'a [i16], from: usize| half.get(from..from + n).unwrap_or_default();
        let (same, other) = (parity & 1, (parity & 1) ^ 1);
        Self {
            here: part(&own.0[same], 1),
            near_row: [part(&own.0[other], parity), part(&own.0[other], parity + 1)],
            far_row: [part(&own.0[same], 0), part(&own.0[same], 2)],
            near_column: part(&near.0[same], 1),
            far_column: part(&far.0[same], 1),
            diagonal: [part(&near.0[other], parity), part(&near.0[other], parity + 1)],
        }
    }

    /// Each column's sample, sum of the row's near ones, of its far ones, of the column's near, of its far, of the
    /// diagonals.
    #[inline(always)]
    fn sums(&self) -> impl Iterator<Item = [i16; 6]> {
        let add = |(a, b): (&i16, &i16)| a + b;
        let row = |[left, right]: [&'a [i16]; 2]| left.iter().zip(right).map(add);
        self.here
            .iter()
            .zip(row(self.near_row))
            .zip(row(self.far_row))
            .zip(self.near_column)
            .zip(self.far_column)
            .zip(row(self.diagonal))
            .map(|(((((&here, near_row), far_row), &near_column), &far_column), diagonal)| {
                [here, near_row, far_row, near_column, far_column, diagonal]
            })
    }

    /// Where the sample is red or blue: green, and the other of them. The filters' sums stay below 28560 at white.
    #[inline(always)]
    fn at_color(&self, [x, green, z]: &mut [Vec<i16>; 3]) {
        for (((x, green), z), sums) in x.iter_mut().zip(green).zip(z).zip(self.sums()) {
            let [here, near_row, far_row, near_column, far_column, diagonal] = sums;
            let far = far_row + far_column;
            *x = here;
            *green = clamp((4 * here + 2 * (near_row + near_column) - far + 4) >> 3);
            *z = clamp((12 * here + 4 * diagonal - 3 * far + 8) >> 4);
        }
    }

    /// Where the sample is green: the colour beside it, and the one above it.
    #[inline(always)]
    fn at_green(&self, [x, green, z]: &mut [Vec<i16>; 3]) {
        for (((x, green), z), sums) in x.iter_mut().zip(green).zip(z).zip(self.sums()) {
            let [here, near_row, far_row, near_column, far_column, diagonal] = sums;
            *green = here;
            *x = clamp((10 * here + 8 * near_row - 2 * (diagonal + far_row) + far_column + 8) >> 4);
            *z = clamp((10 * here + 8 * near_column - 2 * (diagonal + far_column) + far_row + 8) >> 4);
        }
    }
}

#[inline(always)]
fn clamp(sample: i16) -> i16 {
    sample.clamp(0, WHITE)
}

/// Limited-range BT.709 luma of a row (ITU-R BT.709-6 §3.2, §3.4), in steps of 1/32768.
#[inline(always)]
fn write_luma([even, odd]: [[&[i16]; 3]; 2], to: &mut [u8]) {
    let luma = |red: i16, green: i16, blue: i16| {
        let sum = 1496 * i32::from(red) + 5032 * i32::from(green) + 508 * i32::from(blue);
        ((sum + (16 << 15) + (1 << 14)) >> 15) as u8
    };
    let [even, odd] = [even, odd].map(|[red, green, blue]| {
        red.iter().zip(green).zip(blue).map(move |((&red, &green), &blue)| luma(red, green, blue))
    });
    for ((to, even), odd) in to.as_chunks_mut().0.iter_mut().zip(even).zip(odd) {
        *to = [even, odd];
    }
}

/// Chroma of two rows, of the mean of each two by two, in steps of 1/262144.
#[inline(always)]
fn write_chroma([[a, b], [c, d]]: [[[&[i16]; 3]; 2]; 2], to_u: &mut [u8], to_v: &mut [u8]) {
    let quads = |color: usize| {
        let four = a[color].iter().zip(b[color]).zip(c[color]).zip(d[color]);
        four.map(|(((a, b), c), d)| i32::from(a + b + c + d))
    };
    let step = |sum: i32| ((sum + (128 << 18) + (1 << 17)) >> 18) as u8;
    for ((((u, v), red), green), blue) in to_u.iter_mut().zip(to_v).zip(quads(0)).zip(quads(1)).zip(quads(2)) {
        *u = step(-1649 * red - 5547 * green + 7196 * blue);
        *v = step(7196 * red - 6536 * green - 660 * blue);
    }
}
