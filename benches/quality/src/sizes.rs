//! What a stream's sizes say about the link it needs.

use doorframe_codec::AccessUnit;
use doorframe_codec::units::{Bitrate, FrameRate};

/// Sizes of a stream's units, next to what was asked for. Ratios are 1 where all is even.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Sizes {
    /// Bits a second that came out.
    pub(crate) bps: f64,
    /// The same over the target.
    pub(crate) over_target: f64,
    /// Largest unit over the mean one.
    pub(crate) biggest: f64,
    /// Largest unit that is no keyframe over the mean one; `None` if there is none.
    pub(crate) biggest_delta: Option<f64>,
    /// First unit over the mean one.
    pub(crate) first: f64,
    /// Bits of the worst second, wherever it begins, over the target; of the whole stream if that is shorter.
    pub(crate) worst_second: f64,
}

impl Sizes {
    /// `None` for a stream without a byte.
    pub(crate) fn of(units: &[AccessUnit], rate: FrameRate, target: Bitrate) -> Option<Self> {
        let lengths: Vec<_> = units.iter().map(|unit| unit.data.len()).collect();
        let sum: usize = lengths.iter().sum();
        if sum == 0 {
            return None;
        }
        let fps = f64::from(rate.num()) / f64::from(rate.den());
        let target = f64::from(target.bps());
        let mean = sum as f64 / lengths.len() as f64;
        let over_mean = |length: usize| length as f64 / mean;
        let deltas = units.iter().filter(|unit| !unit.is_keyframe()).map(|unit| unit.data.len());
        let second = (fps.round() as usize).clamp(1, lengths.len());
        let worst = lengths.windows(second).map(|window| window.iter().sum::<usize>()).max().unwrap_or(sum);
        let bps = mean * 8.0 * fps;
        Some(Self {
            bps,
            over_target: bps / target,
            biggest: over_mean(lengths.iter().copied().max().unwrap_or(0)),
            biggest_delta: deltas.max().map(over_mean),
            first: over_mean(lengths.first().copied().unwrap_or(0)),
            worst_second: worst as f64 * 8.0 * fps / second as f64 / target,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use doorframe_codec::access_unit::{Codec, Kind};
    use doorframe_codec::units::{MediaTime, Size, TemporalLayer};

    /// Units of these lengths; the first is a keyframe, and those of `keyframes` are.
    fn units(lengths: &[usize], keyframes: &[usize]) -> Vec<AccessUnit> {
        let unit = |(n, &length): (usize, &usize)| AccessUnit {
            codec: Codec::H264,
            kind: if n == 0 || keyframes.contains(&n) { Kind::Keyframe } else { Kind::Delta },
            layer: TemporalLayer::BASE,
            size: Size::new(16, 16).unwrap(),
            at: MediaTime::default(),
            data: Bytes::from(vec![0; length]),
        };
        lengths.iter().enumerate().map(unit).collect()
    }

    fn close(found: f64, wanted: f64) -> bool {
        (found - wanted).abs() < 1e-9
    }

    #[test]
    fn rates_and_peaks_are_those_of_the_lengths() {
        // 10 units a second, a mean of 1000 bytes: 80 kbit/s, where 100 were asked for.
        let units = units(&[4000, 500, 500, 2000, 500, 500, 500, 500, 500, 500], &[3]);
        let sizes = Sizes::of(&units, FrameRate::whole(10).unwrap(), Bitrate::from_kbps(100)).unwrap();
        assert!(close(sizes.bps, 80_000.0) && close(sizes.over_target, 0.8), "{sizes:?}");
        assert!(close(sizes.biggest, 4.0) && close(sizes.first, 4.0), "{sizes:?}");
        assert!(close(sizes.biggest_delta.unwrap(), 0.5), "{sizes:?}");
        assert!(close(sizes.worst_second, 0.8), "{sizes:?}");
    }

    #[test]
    fn the_worst_second_is_found_wherever_it_begins() {
        // 3 units a second; the worst three in a row are 700 + 900 + 800 bytes: 19.2 kbit in a second of 12.
        let units = units(&[100, 100, 700, 900, 800, 100, 100], &[]);
        let sizes = Sizes::of(&units, FrameRate::whole(3).unwrap(), Bitrate::from_kbps(12)).unwrap();
        assert!(close(sizes.worst_second, 1.6), "{sizes:?}");
    }

    #[test]
    fn a_clip_shorter_than_a_second_is_judged_as_a_whole() {
        let units = units(&[1000, 1000], &[]);
        let sizes = Sizes::of(&units, FrameRate::whole(30).unwrap(), Bitrate::from_kbps(240)).unwrap();
        assert!(close(sizes.worst_second, 1.0), "{sizes:?}");
    }

    #[test]
    fn keyframes_alone_have_no_largest_delta_and_nothing_has_no_sizes() {
        let rate = FrameRate::whole(10).unwrap();
        let sizes = Sizes::of(&units(&[10, 10], &[1]), rate, Bitrate::from_kbps(100)).unwrap();
        assert_eq!(sizes.biggest_delta, None);
        assert_eq!(Sizes::of(&[], rate, Bitrate::from_kbps(100)), None);
        assert_eq!(Sizes::of(&units(&[0, 0], &[]), rate, Bitrate::from_kbps(100)), None);
    }
}
