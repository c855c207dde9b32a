//! Bjøntegaard's mean difference in rate between two encoders.
//!
//! G. Bjøntegaard, "Calculation of average PSNR differences between RD-curves", ITU-T VCEG-M33 (2001), with the
//! interpolation that JCT-VC and JVET use instead of his cubic (JCTVC-L1100, JVET-T2010): piecewise cubic Hermite
//! (PCHIP), which never swings where the points do not. SIAM J. Numer. Anal. 17 (1980) 238, F. N. Fritsch and
//! R. E. Carlson; slopes as in `pchip` of SciPy and MATLAB.

/// One run of an encoder: what it spent and what it gave.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Point {
    /// Bits a second that came out, in any unit above zero.
    pub(crate) rate: f64,
    /// Quality on any scale that grows with it.
    pub(crate) quality: f64,
}

/// How many per cent more bits `test` needs than `anchor` for the same quality, as a mean over the qualities that both
/// reach; below zero it needs fewer.
///
/// `None` if either has fewer than two points, a rate that is not above zero, or less quality at a higher rate, or if
/// they have no quality in common. Four points each are usual; with two it is a straight line between them.
pub(crate) fn bd_rate(anchor: &[Point], test: &[Point]) -> Option<f64> {
    let (anchor, test) = (Curve::new(anchor)?, Curve::new(test)?);
    let low = anchor.low().max(test.low());
    let high = anchor.high().min(test.high());
    if low >= high {
        return None;
    }
    let log_ratio = (test.integral(low, high) - anchor.integral(low, high)) / (high - low);
    let percent = (log_ratio.exp() - 1.0) * 100.0;
    percent.is_finite().then_some(percent)
}

/// The logarithm of the rate over the quality, by PCHIP.
struct Curve {
    pieces: Vec<Piece>,
}

/// From one point to the next: value + slope·s + square·s² + cube·s³, with s from 0 to `width`.
struct Piece {
    from: f64,
    width: f64,
    value: f64,
    slope: f64,
    square: f64,
    cube: f64,
}

impl Curve {
    fn new(points: &[Point]) -> Option<Self> {
        if points.iter().any(|point| !(point.rate > 0.0 && point.rate.is_finite() && point.quality.is_finite())) {
            return None;
        }
        let mut points: Vec<_> = points.iter().map(|point| (point.quality, point.rate.ln())).collect();
        points.sort_by(|a, b| a.1.total_cmp(&b.1));
        let steps: Vec<_> = points
            .windows(2)
            .filter_map(|two| match two {
                [(x0, y0), (x1, y1)] => Some((x1 - x0, (y1 - y0) / (x1 - x0))),
                _ => None,
            })
            .collect();
        if steps.is_empty() || steps.iter().any(|&(width, _)| width <= 0.0) {
            return None;
        }
        let slopes = slopes(&steps);
        let ends = slopes.iter().zip(slopes.iter().skip(1));
        let pieces = points
            .iter()
            .zip(&steps)
            .zip(ends)
            .map(|((&(from, value), &(width, mean)), (&slope, &next))| Piece {
                from,
                width,
                value,
                slope,
                square: (3.0 * mean - 2.0 * slope - next) / width,
                cube: (slope - 2.0 * mean + next) / (width * width),
            })
            .collect();
        Some(Self { pieces })
    }

    fn low(&self) -> f64 {
        self.pieces.first().map_or(f64::NAN, |piece| piece.from)
    }

    fn high(&self) -> f64 {
        self.pieces.last().map_or(f64::NAN, |piece| piece.from + piece.width)
    }

    fn integral(&self, low: f64, high: f64) -> f64 {
        let within = |piece: &Piece, at: f64| (at - piece.from).clamp(0.0, piece.width);
        self.pieces.iter().map(|piece| piece.integral(within(piece, high)) - piece.integral(within(piece, low))).sum()
    }
}

impl Piece {
    /// From its beginning to `s`.
    fn integral(&self, s: f64) -> f64 {
        s * (self.value + s * (self.slope / 2.0 + s * (self.square / 3.0 + s * self.cube / 4.0)))
    }
}

/// The curve's slope at each point, from the width and mean slope of each step between two points.
fn slopes(steps: &[(f64, f64)]) -> Vec<f64> {
    let between = |&(h0, d0): &(f64, f64), &(h1, d1): &(f64, f64)| {
        if d0 * d1 <= 0.0 {
            return 0.0;
        }
        let (w0, w1) = (2.0 * h1 + h0, h1 + 2.0 * h0);
        (w0 + w1) / (w0 / d0 + w1 / d1)
    };
    let end = |near: Option<&(f64, f64)>, next: Option<&(f64, f64)>| match (near, next) {
        (Some(&(h0, d0)), Some(&(h1, d1))) => {
            let slope = ((2.0 * h0 + h1) * d0 - h0 * d1) / (h0 + h1);
            if slope * d0 <= 0.0 {
                0.0
            } else if d0 * d1 < 0.0 && slope.abs() > (3.0 * d0).abs() {
                3.0 * d0
            } else {
                slope
            }
        }
        (Some(&(_, d0)), None) => d0,
        (None, _) => 0.0,
    };
    let first = end(steps.first(), steps.get(1));
    let last = end(steps.last(), steps.iter().rev().nth(1));
    let inner = steps.iter().zip(steps.iter().skip(1)).map(|(before, after)| between(before, after));
    std::iter::once(first).chain(inner).chain(std::iter::once(last)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn points(rates: &[f64], qualities: &[f64]) -> Vec<Point> {
        rates.iter().zip(qualities).map(|(&rate, &quality)| Point { rate, quality }).collect()
    }

    #[test]
    fn the_worked_example_of_a_reference_implementation_comes_out() {
        // Four presets of x265: the example in the manual of FAU-LMS/bjontegaard, whose PCHIP agrees with the sheet of
        // JVET-T2010 to ten places. Version 1.3.0 says -4.417485350589045.
        let anchor = points(&[9487.76, 4593.60, 2486.44, 1358.24], &[40.037, 38.615, 36.845, 34.851]);
        let test = points(&[9787.80, 4469.00, 2451.52, 1356.24], &[40.121, 38.651, 36.970, 34.987]);
        let found = bd_rate(&anchor, &test).unwrap();
        assert!((found + 4.417_485_350_589).abs() < 1e-9, "{found}");
    }

    #[test]
    fn the_common_example_with_a_partial_overlap_comes_out() {
        // The points of many Bjøntegaard scripts; FAU-LMS/bjontegaard 1.3.0 says 31.379878202397627.
        let anchor = points(&[686.76, 309.58, 157.11, 85.95], &[40.28, 37.18, 34.24, 31.42]);
        let test = points(&[893.34, 407.8, 204.93, 112.75], &[40.39, 37.21, 34.17, 31.24]);
        let found = bd_rate(&anchor, &test).unwrap();
        assert!((found - 31.379_878_202_398).abs() < 1e-9, "{found}");
    }

    #[test]
    fn two_and_three_points_do() {
        // FAU-LMS/bjontegaard 1.3.0 says the same.
        let three =
            (points(&[500., 1000., 2000.], &[30., 33., 35.5]), points(&[480., 1010., 1900.], &[31., 33.4, 36.5]));
        assert!((bd_rate(&three.0, &three.1).unwrap() + 13.263_953_488_278).abs() < 1e-9);
        let two = (points(&[500., 1000.], &[30., 33.]), points(&[480., 1010.], &[31., 33.4]));
        assert!((bd_rate(&two.0, &two.1).unwrap() + 17.547_981_360_637).abs() < 1e-9);
    }

    #[test]
    fn what_cannot_be_compared_has_no_figure() {
        let good = points(&[500., 1000., 2000.], &[30., 33., 36.]);
        for bad in [
            points(&[500.], &[30.]),
            points(&[500., 1000., 2000.], &[30., 36., 33.]),
            points(&[500., 1000., 2000.], &[40., 43., 46.]),
            points(&[0., 1000., 2000.], &[30., 33., 36.]),
            points(&[500., 1000., 2000.], &[30., f64::NAN, 36.]),
        ] {
            assert_eq!(bd_rate(&good, &bad), None, "{bad:?}");
            assert_eq!(bd_rate(&bad, &good), None, "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn the_same_curve_at_another_rate_is_that_rate_away(
            steps in prop::collection::vec((0.05..2.0_f64, 0.01..5.0_f64), 2..8),
            factor in 0.2..5.0_f64,
        ) {
            let (mut rate, mut quality) = (100.0, 20.0);
            let anchor: Vec<_> = steps.iter().map(|&(more, better)| {
                (rate, quality) = (rate * (1.0 + more), quality + better);
                Point { rate, quality }
            }).collect();
            let test: Vec<_> = anchor.iter().map(|point| Point { rate: point.rate * factor, ..*point }).collect();
            let found = bd_rate(&anchor, &test).unwrap();
            prop_assert!((found - (factor - 1.0) * 100.0).abs() < 1e-6, "{found} for {factor}");
        }
    }
}
