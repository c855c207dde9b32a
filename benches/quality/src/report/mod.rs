//! What was measured, as a table, as CSV and as a page.

mod csv;
pub(crate) mod list;
mod page;
mod plot;
mod table;

use crate::bd_rate::{Point, bd_rate};
use crate::compare::{Comparison, Row, Task, Which};
use crate::error::Error;
use crate::ffmpeg::Ffmpeg;
use std::path::Path;

/// All results of a run.
#[derive(Debug)]
pub(crate) struct Report {
    /// What was run on which machine: a name and a value each.
    facts: Vec<(&'static str, String)>,
    /// Name of the encoder that rates are compared with.
    anchor: String,
    comparisons: Vec<Comparison>,
    /// What was left out, and why.
    notes: Vec<String>,
}

/// A way to measure likeness.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Measure {
    Psnr,
    Ssim,
    Vmaf,
}

impl Measure {
    const ALL: [Self; 3] = [Self::Psnr, Self::Ssim, Self::Vmaf];

    fn name(self) -> &'static str {
        match self {
            Self::Psnr => "PSNR-Y",
            Self::Ssim => "SSIM",
            Self::Vmaf => "VMAF",
        }
    }

    fn unit(self) -> &'static str {
        if self == Self::Psnr { "dB" } else { "" }
    }

    fn of(self, row: &Row) -> Option<f64> {
        match self {
            Self::Psnr => Some(row.quality.psnr),
            Self::Ssim => Some(row.quality.ssim),
            Self::Vmaf => row.quality.vmaf,
        }
    }
}

/// An encoder next to the anchor, on one clip, over all rates.
#[derive(Clone, Debug, PartialEq)]
struct Versus {
    encoder: Which,
    /// Its processor time over the anchor's; `None` if they have no rate in common.
    cpu: Option<f64>,
    /// BD-rate in per cent, in the order of [`Measure::ALL`].
    bd_rates: [Option<f64>; 3],
}

impl Comparison {
    /// The encoders that have rows, in the order they were asked for.
    fn encoders(&self) -> Vec<Which> {
        let mut found = Vec::new();
        for row in &self.rows {
            if !found.contains(&row.encoder) {
                found.push(row.encoder);
            }
        }
        found
    }

    fn rows_of(&self, encoder: Which) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(move |row| row.encoder == encoder)
    }

    fn points(&self, encoder: Which, measure: Measure) -> Vec<Point> {
        let point = |row: &Row| Some(Point { rate: row.sizes.bps, quality: measure.of(row)? });
        self.rows_of(encoder).filter_map(point).collect()
    }

    /// Every encoder next to the one of this name; none if that was not measured here.
    fn versus(&self, anchor: &str) -> Vec<Versus> {
        let encoders = self.encoders();
        let Some(&anchor) = encoders.iter().find(|encoder| encoder.name() == anchor) else { return Vec::new() };
        let versus = |encoder: Which| {
            let common = self.rows_of(encoder).filter_map(|row| {
                let other = self.rows_of(anchor).find(|other| other.target == row.target)?;
                Some((row.cpu.mean, other.cpu.mean))
            });
            let (cost, anchors) = common.fold((0.0, 0.0), |sum, costs| (sum.0 + costs.0, sum.1 + costs.1));
            Versus {
                encoder,
                cpu: (anchors > 0.0).then(|| cost / anchors),
                bd_rates: Measure::ALL.map(|it| bd_rate(&self.points(anchor, it), &self.points(encoder, it))),
            }
        };
        encoders.into_iter().map(versus).collect()
    }
}

impl Report {
    /// Of what `task` gave. `anchor` is the name of the encoder that rates are compared with.
    pub(crate) fn new(
        task: &Task,
        anchor: &str,
        ffmpeg: Option<&Ffmpeg>,
        comparisons: Vec<Comparison>,
        mut notes: Vec<String>,
    ) -> Self {
        for comparison in comparisons.iter().filter(|comparison| comparison.versus(anchor).is_empty()) {
            notes.push(format!("no BD-rate on {}: {anchor}, the anchor, was not measured on it", comparison.clip));
        }
        let rounds = match task.rounds {
            1 => "one round".to_owned(),
            rounds => format!("median of {rounds} rounds"),
        };
        let gop = match task.gop {
            0 => "one, at the beginning".to_owned(),
            gop => format!("every {gop} pictures"),
        };
        let mut facts = vec![
            ("Processor", processor()),
            ("Threads", task.threads.to_string()),
            ("Cost", rounds),
            ("Keyframes", gop),
            ("ffmpeg", ffmpeg.map_or_else(|| "none".to_owned(), |ffmpeg| ffmpeg.version().to_owned())),
        ];
        facts.push(("Version", concat!("doorframe-quality ", env!("CARGO_PKG_VERSION")).to_owned()));
        Self { facts, anchor: anchor.to_owned(), comparisons, notes }
    }

    /// Writes `results.csv`, `bd-rate.csv` and `index.html` into `folder`.
    ///
    /// # Errors
    /// If one cannot be written.
    pub(crate) fn write(&self, folder: &Path) -> Result<(), Error> {
        let files =
            [("results.csv", self.results_csv()), ("bd-rate.csv", self.bd_rate_csv()), ("index.html", self.page())];
        files.into_iter().try_for_each(|(name, text)| {
            let path = folder.join(name);
            std::fs::write(&path, text).map_err(|error| Error::Write { path, error })
        })
    }
}

/// What the processor calls itself, and how many of it there are.
fn processor() -> String {
    let count = std::thread::available_parallelism().map_or(1, usize::from);
    let told = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = told.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    format!("{count} x {}", name.map_or(std::env::consts::ARCH, |(_, name)| name.trim()))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::cpu::Cpu;
    use crate::judge::Quality;
    use crate::ours::Ours;
    use crate::peers::Peer;
    use crate::sizes::Sizes;
    use doorframe_codec::units::{Bitrate, FrameRate, Size};

    pub(crate) const OURS: Which = Which::Ours(Ours::Openh264);
    pub(crate) const PEER: Which = Which::Peer(Peer::X264Veryfast);

    fn row(encoder: Which, kbps: u32, factor: f64, cpu: f64) -> Row {
        let bps = f64::from(kbps) * 1000.0 * factor;
        let quality = f64::from(kbps).log2();
        Row {
            encoder,
            target: Bitrate::from_kbps(kbps),
            cpu: Cpu { mean: cpu, p50: Some(cpu), p99: None },
            sizes: Sizes {
                bps,
                over_target: factor,
                biggest: 6.0,
                biggest_delta: Some(1.5),
                first: 6.0,
                worst_second: 1.01,
            },
            quality: Quality { psnr: 20.0 + quality, ssim: 0.8 + quality / 100.0, vmaf: None },
            lengths: vec![6000, 1000, 900, 1100],
        }
    }

    /// Ours needs a tenth fewer bits and three quarters of the time for the same quality.
    pub(crate) fn report(clip: &str) -> Report {
        let rows = [500, 1000, 2000, 4000].into_iter();
        let comparison = Comparison {
            clip: clip.to_owned(),
            size: Size::new(1280, 720).unwrap(),
            rate: FrameRate::whole(30).unwrap(),
            pictures: 4,
            rows: rows.flat_map(|kbps| [row(OURS, kbps, 0.9, 3.0), row(PEER, kbps, 1.0, 4.0)]).collect(),
            notes: Vec::new(),
        };
        let bitrates = [500, 1000, 2000, 4000].map(Bitrate::from_kbps).to_vec();
        let task = Task { encoders: vec![OURS, PEER], bitrates, gop: 0, threads: 1, rounds: 3 };
        Report::new(&task, "x264-veryfast", None, vec![comparison], vec!["x & y were left out".to_owned()])
    }

    #[test]
    fn an_encoder_is_set_against_the_anchor_by_cost_and_by_each_measure() {
        let report = report("clip");
        let versus = report.comparisons[0].versus("x264-veryfast");
        let ours = versus.iter().find(|versus| versus.encoder == OURS).unwrap();
        assert_eq!(ours.cpu, Some(0.75));
        let [psnr, ssim, vmaf] = ours.bd_rates;
        assert!((psnr.unwrap() + 10.0).abs() < 1e-9 && (ssim.unwrap() + 10.0).abs() < 1e-9, "{ours:?}");
        assert_eq!(vmaf, None);
        let anchor = versus.iter().find(|versus| versus.encoder == PEER).unwrap();
        assert_eq!((anchor.cpu, anchor.bd_rates[0]), (Some(1.0), Some(0.0)));
    }

    #[test]
    fn a_missing_anchor_is_said() {
        let Report { comparisons, .. } = report("door");
        let task = Task { encoders: Vec::new(), bitrates: Vec::new(), gop: 0, threads: 1, rounds: 1 };
        let report = Report::new(&task, "rav1e", None, comparisons, Vec::new());
        assert_eq!(report.notes, ["no BD-rate on door: rav1e, the anchor, was not measured on it"]);
    }
}
