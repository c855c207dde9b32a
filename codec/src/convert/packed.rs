//! Rows of planar, semi-planar and packed layouts, as plain loops that the compiler turns into vector code for the
//! best instruction set found at run time.

use crate::frame::Plane;
use fearless_simd::{Level, dispatch};

/// Which of a packed group's bytes are luma.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// Y0 U Y1 V.
    Yuyv,
    /// U Y0 V Y1.
    Uyvy,
}

/// Copies the first `row` bytes of each row, as many rows as `to` has.
pub(super) fn copy_rows(from: &Plane<'_>, row: usize, to: &mut [u8]) {
    if from.stride == row
        && let Some(whole) = from.data.get(..to.len())
    {
        return to.copy_from_slice(whole);
    }
    for (to, from) in to.chunks_exact_mut(row).zip(from.data.chunks(from.stride.max(row))) {
        if let Some(from) = from.get(..row) {
            to.copy_from_slice(from);
        }
    }
}

/// Parts interleaved chroma, `pairs` of each row: the first of each pair to `first`.
pub(super) fn split_rows(from: &Plane<'_>, pairs: usize, first: &mut [u8], second: &mut [u8]) {
    dispatch!(Level::new(), _simd => {
        let rows = from.data.chunks(from.stride.max(pairs * 2));
        for ((first, second), from) in first.chunks_exact_mut(pairs).zip(second.chunks_exact_mut(pairs)).zip(rows) {
            split(from, first, second);
        }
    });
}

/// Parts packed 4:2:2 into planes of `width` luma samples a row; each chroma sample is the mean of two rows', rounded
/// up. `chroma` holds one row of mixed chroma in between.
pub(super) fn unpack(order: Order, from: &Plane<'_>, width: usize, chroma: &mut Vec<u8>, planes: [&mut [u8]; 3]) {
    chroma.resize(width, 0);
    dispatch!(Level::new(), _simd => match order {
        Order::Yuyv => unpack_as::<0>(from, width, chroma, planes),
        Order::Uyvy => unpack_as::<1>(from, width, chroma, planes),
    });
}

#[inline(always)]
fn unpack_as<const LUMA: usize>(from: &Plane<'_>, width: usize, mixed: &mut [u8], [y, u, v]: [&mut [u8]; 3]) {
    let mut rows = from.data.chunks(from.stride.max(width * 2));
    let chroma = u.chunks_exact_mut(width / 2).zip(v.chunks_exact_mut(width / 2));
    for (luma, (u, v)) in y.chunks_exact_mut(width * 2).zip(chroma) {
        let (Some(upper), Some(lower)) = (rows.next(), rows.next()) else { return };
        let (luma_upper, luma_lower) = luma.split_at_mut(width);
        let (upper, lower) = (upper.as_chunks().0, lower.as_chunks().0);
        part::<LUMA>(upper, lower, luma_upper, luma_lower, mixed);
        split(mixed, u, v);
    }
}

/// Parts two rows' luma from their mixed chroma. The slices are arguments each: only of those does the compiler know
/// that they lie apart.
#[inline(always)]
fn part<const LUMA: usize>(
    upper: &[[u8; 2]],
    lower: &[[u8; 2]],
    luma_upper: &mut [u8],
    luma_lower: &mut [u8],
    mixed: &mut [u8],
) {
    let to = luma_upper.iter_mut().zip(luma_lower).zip(mixed);
    for ((upper, lower), ((to_upper, to_lower), mixed)) in upper.iter().zip(lower).zip(to) {
        *to_upper = upper[LUMA];
        *to_lower = lower[LUMA];
        *mixed = mean(upper[1 - LUMA], lower[1 - LUMA]);
    }
}

#[inline(always)]
fn split(from: &[u8], first: &mut [u8], second: &mut [u8]) {
    for ((first, second), &[a, b]) in first.iter_mut().zip(second).zip(from.as_chunks().0) {
        *first = a;
        *second = b;
    }
}

/// Brings a plane of chroma to half of both sides of its luma, `width` samples a row. `ratio` is how many samples of luma
/// there are for one of it, across and down: 1, of which two are averaged and rounded up, 2, or 4, each of which is used
/// twice.
pub(super) fn halve(from: &Plane<'_>, ratio: (usize, usize), width: usize, to: &mut [u8]) {
    dispatch!(Level::new(), _simd => match ratio {
        (2, 2) => copy_rows(from, width, to),
        (1, down) => halve_as(from, down, width, to, one_of_two),
        (2, down) => halve_as(from, down, width, to, one_of_one),
        (_, down) => halve_as(from, down, width, to, two_of_one),
    });
}

#[inline(always)]
fn halve_as(from: &Plane<'_>, down: usize, width: usize, to: &mut [u8], across: impl Fn(&[u8], &[u8], &mut [u8])) {
    let row = |index: usize| from.data.get(index * from.stride..).map(|rest| rest.get(..from.stride).unwrap_or(rest));
    for (index, to) in to.chunks_exact_mut(width).enumerate() {
        // The first and the last of the rows that it stands for.
        let (upper, lower) = (index * 2 / down, (index * 2 + 1) / down);
        // An odd number of rows has no partner for the last.
        let Some(upper) = row(upper) else { return };
        across(upper, row(lower).unwrap_or(upper), to);
    }
}

#[inline(always)]
fn one_of_two(upper: &[u8], lower: &[u8], to: &mut [u8]) {
    for ((to, &[a, b]), &[c, d]) in to.iter_mut().zip(upper.as_chunks().0).zip(lower.as_chunks().0) {
        *to = ((u16::from(a) + u16::from(b) + u16::from(c) + u16::from(d) + 2) / 4) as u8;
    }
}

#[inline(always)]
fn one_of_one(upper: &[u8], lower: &[u8], to: &mut [u8]) {
    for ((to, &a), &b) in to.iter_mut().zip(upper).zip(lower) {
        *to = mean(a, b);
    }
}

#[inline(always)]
fn two_of_one(upper: &[u8], lower: &[u8], to: &mut [u8]) {
    for ((to, &a), &b) in to.chunks_mut(2).zip(upper).zip(lower) {
        to.fill(mean(a, b));
    }
}

#[inline(always)]
fn mean(a: u8, b: u8) -> u8 {
    ((u16::from(a) + u16::from(b) + 1) >> 1) as u8
}
