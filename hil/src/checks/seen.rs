//! Frames as they came, and what is missing among them.

use doorframe::sensor::{Clock, Losses, Sensor, SensorError, read_counter};
use doorframe_codec::Picture;
use doorframe_codec::convert::Converter;
use doorframe_codec::units::{Color, Uptime};
use doorframe_hil_report::Figure;
use std::time::Duration;

/// What a sensor gave, in order.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// When each frame was captured, by the kernel.
    pub(crate) captured: Vec<Uptime>,
    /// Its number by the block code in its picture, if there is one.
    pub(crate) numbers: Vec<Option<u32>>,
    /// What was lost meanwhile, as the sensor knows it.
    pub(crate) losses: Losses,
    /// Why it ended, if not as it was wished.
    pub(crate) end: Option<SensorError>,
}

/// Frames that are missing, by who lost them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Missing {
    /// Between the first and the last that came, by their numbers.
    pub(crate) in_all: u64,
    /// By the gaps in the kernel's count.
    pub(crate) kernel: u64,
    /// That the kernel gave damaged, and the sensor threw away.
    pub(crate) damaged: u64,
    /// That the sensor passed over, because we were late.
    pub(crate) skipped: u64,
    /// The rest: the kernel has never heard of them.
    pub(crate) device: u64,
}

impl Seen {
    /// Takes frames until `enough` says so.
    pub(crate) fn watch(sensor: &mut dyn Sensor, clock: Clock, mut enough: impl FnMut(&Self, Uptime) -> bool) -> Self {
        let mut seen = Self::default();
        let (mut converter, mut picture) = (Converter::new(), Picture::black(sensor.size(), Color::default()));
        let before = sensor.losses();
        while !enough(&seen, clock.now()) {
            match sensor.next() {
                Ok(frame) => {
                    let converted = converter.convert(&frame, &mut picture).is_ok();
                    seen.captured.push(frame.captured());
                    seen.numbers.push(if converted { read_counter(&picture) } else { None });
                }
                Err(error) => {
                    seen.end = Some(error);
                    break;
                }
            }
        }
        seen.losses = between(before, sensor.losses());
        seen
    }

    /// Takes so many frames.
    pub(crate) fn frames(sensor: &mut dyn Sensor, clock: Clock, frames: usize) -> Self {
        Self::watch(sensor, clock, |seen, _| seen.captured.len() >= frames)
    }

    /// From the first frame to the last.
    pub(crate) fn lasted(&self) -> Duration {
        match (self.captured.first(), self.captured.last()) {
            (Some(first), Some(last)) => last.since(*first),
            _ => Duration::ZERO,
        }
    }

    /// From frame to frame, in ms.
    pub(crate) fn intervals(&self) -> Vec<f64> {
        let pairs = self.captured.windows(2);
        pairs.filter_map(|pair| Some(pair.last()?.since(*pair.first()?).as_secs_f64() * 1e3)).collect()
    }

    /// Whether all frames carry a number.
    pub(crate) fn is_numbered(&self) -> bool {
        !self.numbers.is_empty() && self.numbers.iter().all(Option::is_some)
    }

    /// Frames a second that the camera makes: by their numbers if they have them, else as they came.
    pub(crate) fn rate(&self) -> f64 {
        let ends = (self.numbers.first().copied().flatten(), self.numbers.last().copied().flatten());
        let steps = match ends {
            (Some(first), Some(last)) if last > first => f64::from(last - first),
            _ => self.captured.len().saturating_sub(1) as f64,
        };
        steps / self.lasted().as_secs_f64().max(f64::MIN_POSITIVE)
    }

    /// Numbers between the first and the last that did not come.
    pub(crate) fn gaps(&self) -> Vec<u32> {
        let came: Vec<u32> = self.numbers.iter().flatten().copied().collect();
        let pairs = came.windows(2).filter_map(|pair| Some((*pair.first()?, *pair.last()?)));
        pairs.flat_map(|(before, after)| before.saturating_add(1)..after).take(10_000).collect()
    }

    /// When a frame came after others that did not, in seconds after the first.
    pub(crate) fn drops(&self) -> Vec<f64> {
        let Some(start) = self.captured.first() else { return Vec::new() };
        let numbers = self.numbers.windows(2).zip(self.captured.iter().skip(1));
        let after_gap = numbers.filter_map(|(pair, at)| {
            let (before, after) = ((*pair.first()?)?, (*pair.last()?)?);
            (after > before.saturating_add(1)).then(|| at.since(*start).as_secs_f64())
        });
        after_gap.collect()
    }

    /// What is missing, by who lost it. A camera without numbers is believed to have lost only what others know of.
    pub(crate) fn missing(&self) -> Missing {
        let Losses { skipped, damaged, missing: kernel, .. } = self.losses;
        let known = skipped + damaged + kernel;
        let in_all = if self.is_numbered() { self.gaps().len() as u64 } else { known };
        Missing { in_all, kernel, damaged, skipped, device: in_all.saturating_sub(known) }
    }

    /// Frames that others lost: all that are missing, but for those that we passed over.
    pub(crate) fn lost(&self) -> u64 {
        let missing = self.missing();
        missing.in_all.saturating_sub(missing.skipped)
    }

    /// The same as figures; `most` is how many the kernel and the device may lose.
    pub(crate) fn missing_figures(&self, most: f64) -> Vec<Figure> {
        let missing = self.missing();
        let figure = |name: &str, value: u64| Figure::new(name, value as f64, "frames");
        vec![
            figure("lost before the kernel", missing.device).at_most(most),
            figure("lost in the kernel", missing.kernel).at_most(most),
            figure("damaged", missing.damaged).at_most(most),
            figure("passed over by us", missing.skipped),
        ]
    }
}

/// What came to `before` until `after`.
fn between(before: Losses, mut after: Losses) -> Losses {
    after.skipped -= before.skipped;
    after.damaged -= before.damaged;
    after.missing -= before.missing;
    after.mistimed -= before.mistimed;
    after.restarts -= before.restarts;
    after
}

/// A value that so many percent of all are not above; 0 of none.
pub(crate) fn percentile(values: &[f64], percent: usize) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len().saturating_sub(1) * percent / 100).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(numbers: &[u32]) -> Seen {
        let captured = numbers.iter().map(|&number| Uptime::from_micros(1_000_000 + 40_000 * u64::from(number)));
        Seen {
            captured: captured.collect(),
            numbers: numbers.iter().map(|&number| Some(number)).collect(),
            ..Seen::default()
        }
    }

    #[test]
    fn what_is_missing_is_set_down_to_who_lost_it() {
        let mut seen = seen(&[10, 11, 13, 17, 18]);
        assert_eq!(seen.gaps(), [12, 14, 15, 16]);
        assert_eq!(seen.drops().len(), 2);
        seen.losses.skipped = 1;
        seen.losses.missing = 2;
        let missing = Missing { in_all: 4, kernel: 2, damaged: 0, skipped: 1, device: 1 };
        assert_eq!(seen.missing(), missing);
    }

    #[test]
    fn a_camera_keeps_its_rate_whatever_we_missed() {
        let seen = seen(&[0, 5, 25, 50]);
        assert!((seen.rate() - 25.0).abs() < 0.01, "{}", seen.rate());
        let unnumbered = Seen { numbers: vec![None; 4], ..seen };
        assert!((unnumbered.rate() - 1.5).abs() < 0.01, "{}", unnumbered.rate());
        assert_eq!(unnumbered.missing(), Missing::default());
    }

    #[test]
    fn percentiles_of_few_and_of_none() {
        assert_eq!(
            (percentile(&[], 50), percentile(&[3.0, 1.0, 2.0], 50), percentile(&[3.0, 1.0], 100)),
            (0.0, 2.0, 3.0)
        );
    }
}
