//! Results for a person at a terminal.

use super::{Measure, Report};
use std::fmt::Write as _;

impl Report {
    /// Two tables a clip: every row, and every encoder next to the anchor.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        for clip in &self.comparisons {
            let _ = writeln!(text, "{}: {} at {}, {} pictures", clip.clip, clip.size, clip.rate, clip.pictures);
            let header = ["encoder", "target", "kbit/s", "CPU ms", "p50", "p99", "biggest", "delta", "first", "second"];
            let header = header.into_iter().chain(Measure::ALL.map(Measure::name)).map(str::to_owned).collect();
            let rows = clip.rows.iter().map(|row| {
                let (sizes, cpu, quality) = (&row.sizes, &row.cpu, &row.quality);
                vec![
                    row.encoder.name().to_owned(),
                    (row.target.bps() / 1000).to_string(),
                    format!("{:.0}", sizes.bps / 1000.0),
                    format!("{:.2}", cpu.mean),
                    number(cpu.p50, 2),
                    number(cpu.p99, 2),
                    format!("{:.1}x", sizes.biggest),
                    sizes.biggest_delta.map_or("-".to_owned(), |delta| format!("{delta:.1}x")),
                    format!("{:.1}x", sizes.first),
                    format!("{:.2}", sizes.worst_second),
                    format!("{:.2}", quality.psnr),
                    format!("{:.4}", quality.ssim),
                    number(quality.vmaf, 1),
                ]
            });
            text += &columns(std::iter::once(header).chain(rows).collect());
            let versus = clip.versus(&self.anchor);
            if !versus.is_empty() {
                let _ = writeln!(text, "\n  BD-rate against {}, in % more bits; its CPU time is 1", self.anchor);
                let header = ["encoder", "CPU"].into_iter().chain(Measure::ALL.map(Measure::name));
                let rows = versus.iter().map(|it| {
                    let rates = it.bd_rates.map(|rate| rate.map_or("-".to_owned(), |rate| format!("{rate:+.1}")));
                    [it.encoder.name().to_owned(), number(it.cpu, 2)].into_iter().chain(rates).collect()
                });
                text += &columns(std::iter::once(header.map(str::to_owned).collect()).chain(rows).collect());
            }
            text.push('\n');
        }
        for note in &self.notes {
            let _ = writeln!(text, "note: {note}");
        }
        text
    }
}

pub(super) fn number(value: Option<f64>, places: usize) -> String {
    value.map_or("-".to_owned(), |value| format!("{value:.places$}"))
}

/// Cells in columns, the first flush left and the others flush right.
pub(super) fn columns(rows: Vec<Vec<String>>) -> String {
    let count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<_> = (0..count).map(|column| width(column).unwrap_or(0)).collect();
    let mut text = String::new();
    for row in &rows {
        for (n, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let _ = if n == 0 { write!(text, "  {cell:<width$}") } else { write!(text, "  {cell:>width$}") };
        }
        text.truncate(text.trim_end_matches(' ').len());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::tests::report;
    use super::*;

    #[test]
    fn columns_stand_below_each_other() {
        let row = |cells: [&str; 3]| cells.map(str::to_owned).to_vec();
        let text = columns(vec![row(["name", "ms", ""]), row(["a", "12.5", "x"])]);
        assert_eq!(text, "  name    ms\n  a     12.5  x\n");
    }

    #[test]
    fn the_table_tells_every_row_and_every_note() {
        let text = report("door").text();
        assert!(text.starts_with("door: 1280x720 at 30 fps, 4 pictures\n"), "{text}");
        assert_eq!(text.lines().filter(|line| line.starts_with("  openh264")).count(), 4 + 1, "{text}");
        assert!(text.contains("  openh264       0.75   -10.0  -10.0     -\n"), "{text}");
        assert!(text.ends_with("note: x & y were left out\n"), "{text}");
    }
}
