//! Latency from glass to glass: from a light in front of the camera to a photodiode in front of the screen.
//!
//! The controller times both edges by its own clock, so neither USB nor this machine is in the figure.

use crate::message::{Edge, Flips, Level, MAX_FLIPS, Micros, Source, Threshold};
use std::time::Duration;
use thiserror::Error;

/// Fewer flips say too little about the 95th percentile.
pub const MIN_FLIPS: u16 = 100;
/// Longest 95th percentile of a rig that looks at its own light.
pub const MAX_OWN_DELAY: Duration = Duration::from_millis(1);
/// Light must be this much of itself, in percent, above dark.
const MIN_CONTRAST: u32 = 25;

/// Why there is no latency.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum GlassError {
    /// The photodiode hardly sees the light.
    #[error(
        "the photodiode sees {bright} with the light on and {dark} with it off, which is {percent} % contrast and not {MIN_CONTRAST} %: \
             bring it nearer to the picture of the light, and shade it from other light"
    )]
    Contrast {
        /// Light off.
        dark: u16,
        /// Light on.
        bright: u16,
        /// By how much.
        percent: u32,
    },
    /// Too many flips were not seen.
    #[error(
        "the photodiode saw {seen} of {flips} flips, {MIN_FLIPS} are needed: is the picture live, and does the camera's \
             exposure stay as it is?"
    )]
    TooFew {
        /// Of these.
        flips: usize,
        /// So many were seen.
        seen: usize,
    },
    /// It saw what was no flip.
    #[error(
        "the photodiode saw {stray} changes that were none of the {flips} flips: shade it from other light, and turn the screen \
             to full brightness, as many dim by flickering"
    )]
    Stray {
        /// Of these.
        flips: usize,
        /// So many were not.
        stray: usize,
    },
    /// What was asked for cannot be measured.
    #[error("{flips} flips at {} us a frame cannot be swept: {MIN_FLIPS} to {MAX_FLIPS} flips and 1 to 1000 ms a frame can", frame.as_micros())]
    Sweep {
        /// How many.
        flips: u16,
        /// A frame's time.
        frame: Duration,
    },
}

/// Checks that light can be told from dark.
///
/// # Errors
/// If it can not; the sentence says what to do.
pub fn contrast(dark: u16, bright: u16) -> Result<Threshold, GlassError> {
    let above = u32::from(bright.saturating_sub(dark));
    let percent = above * 100 / u32::from(bright).max(1);
    if percent < MIN_CONTRAST {
        return Err(GlassError::Contrast { dark, bright, percent });
    }
    // Both are between dark and bright, so they fit.
    let part = |tenths| dark.saturating_add(u16::try_from(above * tenths / 10).unwrap_or(u16::MAX));
    Ok(Threshold { dark: part(4), bright: part(6) })
}

/// A series whose flips come at every phase of the camera's frame alike, as a camera that looks every 33 ms sees a light 0 to
/// 33 ms late.
///
/// # Errors
/// If there are too few or too many, or the frame is none.
pub fn sweep(flips: u16, frame: Duration, longest: Duration) -> Result<Flips, GlassError> {
    let refused = GlassError::Sweep { flips, frame };
    if !(MIN_FLIPS..=MAX_FLIPS).contains(&flips) || !(1..=1000).contains(&frame.as_millis()) {
        return Err(refused);
    }
    let frames = longest.as_micros().div_ceil(frame.as_micros()).max(1);
    let gap = frames * frame.as_micros() + frame.as_micros() / u128::from(flips);
    u32::try_from(gap).map(|gap_us| Flips { count: flips, gap_us }).map_err(|_| refused)
}

/// What was measured.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Glass {
    /// From each flip that was seen to when it was, in the order of the flips.
    pub latencies: Vec<Duration>,
    /// Flips that were not seen before the next one.
    pub missed: usize,
    /// Changes at the photodiode that were no flip.
    pub stray: usize,
}

impl Glass {
    /// Puts edges of light and photodiode together. Edges may come in any order.
    pub fn of(edges: &[Edge]) -> Self {
        let mut edges = edges.to_vec();
        edges.sort_by_key(|edge| edge.at);
        let mut glass = Self::default();
        let mut open: Option<(Level, Micros)> = None;
        for edge in edges {
            match (edge.of, open) {
                (Source::Led, before) => {
                    glass.missed += usize::from(before.is_some());
                    open = Some((edge.to, edge.at));
                }
                (Source::Photodiode, Some((to, at))) if to == edge.to => {
                    glass.latencies.push(Duration::from_micros(edge.at.since(at)));
                    open = None;
                }
                (Source::Photodiode, _) => glass.stray += 1,
            }
        }
        glass.missed += usize::from(open.is_some());
        glass
    }

    /// Only if it is worth something.
    ///
    /// # Errors
    /// If flips were missed or seen where there were none.
    pub fn check(self) -> Result<Self, GlassError> {
        let seen = self.latencies.len();
        let flips = seen + self.missed;
        if seen < usize::from(MIN_FLIPS) {
            return Err(GlassError::TooFew { flips, seen });
        }
        if self.stray * 20 > flips {
            return Err(GlassError::Stray { flips, stray: self.stray });
        }
        Ok(self)
    }

    /// The latency that so many percent of the flips are not above; zero if there are none.
    pub fn quantile(&self, percent: usize) -> Duration {
        let mut sorted = self.latencies.clone();
        sorted.sort_unstable();
        let at = (sorted.len().saturating_sub(1)) * percent.min(100) / 100;
        sorted.get(at).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn edges(latencies: &[u64]) -> Vec<Edge> {
        let mut level = Level::Off;
        let flip = |(index, latency): (usize, &u64)| {
            level = level.flipped();
            let at = Micros(index as u64 * 500_000);
            [Edge { of: Source::Led, to: level, at }, Edge { of: Source::Photodiode, to: level, at: at.plus(*latency) }]
        };
        latencies.iter().enumerate().flat_map(flip).collect()
    }

    proptest! {
        #[test]
        fn every_flip_is_found_whatever_the_order(latencies in proptest::collection::vec(0_u64..499_999, 100..200), turn: usize) {
            let mut edges = edges(&latencies);
            let turn = turn % edges.len();
            edges.rotate_left(turn);
            // Of two at one moment the light's comes first.
            edges.sort_by_key(|edge| (edge.at, edge.of == Source::Photodiode));
            let glass = Glass::of(&edges).check().unwrap();
            let found: Vec<_> = glass.latencies.iter().map(|latency| latency.as_micros() as u64).collect();
            prop_assert_eq!(found, latencies);
            prop_assert_eq!((glass.missed, glass.stray), (0, 0));
        }

        #[test]
        fn a_sweep_comes_at_every_phase_alike(frame_us in 1_000_u64..100_000, flips in MIN_FLIPS..=MAX_FLIPS) {
            let series = sweep(flips, Duration::from_micros(frame_us), Duration::from_millis(300)).unwrap();
            let mut phases: Vec<u64> = (0..u64::from(flips)).map(|flip| flip * u64::from(series.gap_us) % frame_us).collect();
            phases.sort_unstable();
            let gaps = phases.windows(2).map(|two| two[1] - two[0]).chain([frame_us - phases[phases.len() - 1]]);
            // A step of whole microseconds, and what its rounding leaves at the end.
            let step = frame_us / u64::from(flips);
            prop_assert!(gaps.max().unwrap() <= step + u64::from(flips));
        }
    }

    #[test]
    fn flips_that_were_not_seen_are_counted_and_not_guessed() {
        let mut edges = edges(&[90_000; 102]);
        edges.remove(21);
        let glass = Glass::of(&edges);
        assert_eq!((glass.latencies.len(), glass.missed, glass.stray), (101, 1, 0));
        assert!(glass.clone().check().is_ok());
        edges.truncate(100);
        assert!(matches!(Glass::of(&edges).check(), Err(GlassError::TooFew { flips: 51, seen: 49 })));
    }

    #[test]
    fn a_flickering_screen_is_refused() {
        let mut edges = edges(&[90_000; 100]);
        let flicker = |index: u64| {
            let at = Micros(200_000 + index * 500_000);
            [Level::Off, Level::On].map(|to| Edge { of: Source::Photodiode, to, at })
        };
        edges.extend((0..10).flat_map(flicker));
        let error = Glass::of(&edges).check().unwrap_err();
        assert!(matches!(error, GlassError::Stray { stray: 20, .. }), "{error}");
    }

    #[test]
    fn light_that_is_hardly_seen_is_refused_in_words() {
        assert_eq!(contrast(10_000, 30_000), Ok(Threshold { dark: 18_000, bright: 22_000 }));
        let words = contrast(20_000, 21_000).unwrap_err().to_string();
        assert!(words.contains("4 % contrast and not 25 %") && words.contains("bring it nearer"), "{words}");
        assert!(contrast(30_000, 10_000).is_err() && contrast(0, 0).is_err());
    }
}
