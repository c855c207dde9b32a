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
        *mixed = ((u16::from(upper[1 - LUMA]) + u16::from(lower[1 - LUMA]) + 1) >> 1) as u8;
    }
}

#[inline(always)]
fn split(from: &[u8], first: &mut [u8], second: &mut [u8]) {
    for ((first, second), &[a, b]) in first.iter_mut().zip(second).zip(from.as_chunks().0) {
        *first = a;
        *second = b;
    }
}

/// Interleaved Y, Cb, Cr at full resolution to planes: luma as it is, chroma as the mean of two by two.
pub(super) fn subsample(from: &[u8], stride: usize, width: usize, [y, u, v]: [&mut [u8]; 3]) {
    let luma = y.chunks_exact_mut(width * 2);
    let chroma = u.chunks_exact_mut(width / 2).zip(v.chunks_exact_mut(width / 2));
    for ((luma, (u, v)), rows) in luma.zip(chroma).zip(from.chunks_exact(stride * 2)) {
        let (upper, lower) = rows.split_at(stride);
        let (luma_upper, luma_lower) = luma.split_at_mut(width);
        let sources = upper.as_chunks().0.iter().zip(lower.as_chunks().0);
        let lumas = luma_upper.as_chunks_mut().0.iter_mut().zip(luma_lower.as_chunks_mut().0);
        let mean =
            |a: u8, b: u8, c: u8, d: u8| ((u16::from(a) + u16::from(b) + u16::from(c) + u16::from(d) + 2) / 4) as u8;
        for (((a, b), (to_a, to_b)), (u, v)) in sources.zip(lumas).zip(u.iter_mut().zip(v)) {
            let (&[y0, u0, v0, y1, u1, v1], &[y2, u2, v2, y3, u3, v3]) = (a, b);
            *to_a = [y0, y1];
            *to_b = [y2, y3];
            *u = mean(u0, u1, u2, u3);
            *v = mean(v0, v1, v2, v3);
        }
    }
}
