//! Results as comma-separated values (RFC 4180), for other programs.

use super::Report;
use std::fmt::Display;

impl Report {
    /// A line an encoder, clip and rate.
    pub(super) fn results_csv(&self) -> String {
        const HEADER: &str = "clip,encoder,pictures,target_kbps,achieved_kbps,achieved_over_target,cpu_mean_ms,cpu_p50_ms,\
            cpu_p99_ms,biggest_over_mean,biggest_delta_over_mean,first_over_mean,worst_second_over_target,psnr_y_db,ssim,\
            vmaf";
        let rows = self.comparisons.iter().flat_map(|clip| clip.rows.iter().map(move |row| (clip, row)));
        let line = |(clip, row): (&super::Comparison, &super::Row)| {
            let (sizes, cpu, quality) = (&row.sizes, &row.cpu, &row.quality);
            [
                field(&clip.clip),
                field(row.encoder.name()),
                clip.pictures.to_string(),
                (row.target.bps() / 1000).to_string(),
                format!("{:.1}", sizes.bps / 1000.0),
                format!("{:.4}", sizes.over_target),
                format!("{:.3}", cpu.mean),
                number(cpu.p50, 3),
                number(cpu.p99, 3),
                format!("{:.3}", sizes.biggest),
                number(sizes.biggest_delta, 3),
                format!("{:.3}", sizes.first),
                format!("{:.4}", sizes.worst_second),
                format!("{:.3}", quality.psnr),
                format!("{:.5}", quality.ssim),
                number(quality.vmaf, 3),
            ]
            .join(",")
        };
        lines(HEADER, rows.map(line))
    }

    /// A line an encoder and clip.
    pub(super) fn bd_rate_csv(&self) -> String {
        const HEADER: &str =
            "clip,encoder,anchor,cpu_over_anchor,bd_rate_psnr_y_percent,bd_rate_ssim_percent,bd_rate_vmaf_percent";
        let rows =
            self.comparisons.iter().flat_map(|clip| clip.versus(&self.anchor).into_iter().map(move |it| (clip, it)));
        let line = |(clip, versus): (&super::Comparison, super::Versus)| {
            let names = [field(&clip.clip), field(versus.encoder.name()), field(&self.anchor)];
            let figures = versus.bd_rates.map(|rate| number(rate, 2));
            [&names[..], &[number(versus.cpu, 3)], &figures].concat().join(",")
        };
        lines(HEADER, rows.map(line))
    }
}

fn lines(header: &str, rows: impl Iterator<Item = String>) -> String {
    std::iter::once(header.to_owned()).chain(rows).map(|line| line + "\r\n").collect()
}

/// Empty where there is none.
fn number(value: Option<f64>, places: usize) -> String {
    value.map_or(String::new(), |value| format!("{value:.places$}"))
}

/// In quotes where a reader would else see more than one field.
fn field(text: impl Display) -> String {
    let text = text.to_string();
    if text.contains([',', '"', '\r', '\n']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

#[cfg(test)]
mod tests {
    use super::super::tests::report;
    use super::*;

    #[test]
    fn a_field_is_quoted_only_where_it_must_be() {
        assert_eq!(field("door 1"), "door 1");
        assert_eq!(field("a,b"), "\"a,b\"");
        assert_eq!(field("say \"hi\""), "\"say \"\"hi\"\"\"");
        assert_eq!(field("two\nlines"), "\"two\nlines\"");
    }

    #[test]
    fn each_row_has_a_value_for_each_column() {
        let csv = report("a,b").results_csv();
        let lines: Vec<_> = csv.split("\r\n").collect();
        assert_eq!(lines.len(), 1 + 8 + 1);
        assert_eq!(
            lines[1],
            "\"a,b\",openh264,4,500,450.0,0.9000,3.000,3.000,,6.000,1.500,6.000,1.0100,28.966,0.88966,"
        );
        let columns = lines[0].split(',').count();
        assert!(lines[1..9].iter().all(|line| line.replace("\"a,b\"", "ab").split(',').count() == columns));
    }

    #[test]
    fn rates_are_set_against_the_anchor_by_name() {
        let csv = report("clip").bd_rate_csv();
        let lines: Vec<_> = csv.split("\r\n").collect();
        assert_eq!(lines[1], "clip,openh264,x264-veryfast,0.750,-10.00,-10.00,");
        assert_eq!(lines[2], "clip,x264-veryfast,x264-veryfast,1.000,0.00,0.00,");
    }
}
