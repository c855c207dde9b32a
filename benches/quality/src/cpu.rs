//! What an encoder costs: time that a processor worked for it, all threads together.

use std::time::Duration;

/// What one run of an encoder cost, in milliseconds of processor time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Cpu {
    /// All of it, the encoder's start included, over the number of pictures.
    pub(crate) mean: f64,
    /// Of half the pictures, at most this.
    pub(crate) p50: Option<f64>,
    /// Of 99 in 100 pictures, at most this.
    pub(crate) p99: Option<f64>,
}

impl Cpu {
    /// Of a run that took `all` for so many `pictures`, and each of `times` for one of them, where that is known.
    pub(crate) fn of(all: Duration, pictures: usize, times: &[Duration]) -> Self {
        let milliseconds = |time: Duration| time.as_secs_f64() * 1000.0;
        let sorted = sorted(times.iter().copied().map(milliseconds));
        Self {
            mean: milliseconds(all) / pictures.max(1) as f64,
            p50: quantile(&sorted, 0.5),
            p99: quantile(&sorted, 0.99),
        }
    }

    /// The median of several runs, each figure by itself. `None` of no run.
    pub(crate) fn median(runs: &[Self]) -> Option<Self> {
        let median = |of: fn(&Self) -> Option<f64>| middle(&sorted(runs.iter().filter_map(of)));
        Some(Self { mean: median(|run| Some(run.mean))?, p50: median(|run| run.p50), p99: median(|run| run.p99) })
    }
}

fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<_> = values.collect();
    values.sort_by(f64::total_cmp);
    values
}

/// The least of `sorted` that this part of all is not above (nearest rank). `None` of none.
fn quantile(sorted: &[f64], part: f64) -> Option<f64> {
    let rank = (part * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.max(1) - 1).copied()
}

/// Of an even number the mean of the two in the middle.
fn middle(sorted: &[f64]) -> Option<f64> {
    let half = sorted.len() / 2;
    let upper = *sorted.get(half)?;
    if sorted.len() % 2 == 1 { Some(upper) } else { Some((sorted.get(half - 1)? + upper) / 2.0) }
}

/// Processor time that this process used so far, in all its threads.
#[cfg(unix)]
pub(crate) fn used() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// Where there is no such clock: time by the wall, which is more on a machine that has other work.
#[cfg(not(unix))]
pub(crate) fn used() -> Duration {
    static START: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
    START.get_or_init(std::time::Instant::now).elapsed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_pictures_and_the_mean_is_of_the_run() {
        let pictures: Vec<_> = (1..=200).rev().map(Duration::from_millis).collect();
        let cpu = Cpu::of(Duration::from_millis(30_000), 200, &pictures);
        assert_eq!(cpu, Cpu { mean: 150.0, p50: Some(100.0), p99: Some(198.0) });
        let cpu = Cpu::of(Duration::from_millis(7), 1, &[Duration::from_millis(5)]);
        assert_eq!(cpu, Cpu { mean: 7.0, p50: Some(5.0), p99: Some(5.0) });
        let cpu = Cpu::of(Duration::from_millis(9), 3, &[]);
        assert_eq!(cpu, Cpu { mean: 3.0, p50: None, p99: None });
    }

    #[test]
    fn one_slow_run_does_not_move_the_median() {
        let run = |mean, p99| Cpu { mean, p50: None, p99 };
        let median = Cpu::median(&[run(3.0, Some(9.0)), run(50.0, None), run(2.0, Some(5.0))]);
        assert_eq!(median, Some(run(3.0, Some(7.0))));
        assert_eq!(Cpu::median(&[]), None);
    }

    #[test]
    fn work_uses_processor_time() {
        let before = used();
        let mut sum = 0_u64;
        for n in 0..3_000_000_u64 {
            sum = std::hint::black_box(sum.wrapping_mul(31).wrapping_add(n));
        }
        assert!(used() > before, "{sum}");
    }
}
