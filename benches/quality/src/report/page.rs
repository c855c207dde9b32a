//! The page: one file, with its plots and its style inside, that needs nothing from anywhere.

use super::plot::{self, Bars, Curve, escape};
use super::table::number;
use super::{Measure, Report};
use crate::compare::{Comparison, Which};
use std::fmt::Write as _;

const STYLE: &str = include_str!("page.css");

impl Report {
    /// All of it.
    pub(super) fn page(&self) -> String {
        let mut page = format!(
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Doorframe: quality and speed</title>\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><style>{STYLE}</style></head><body>\
             <h1>Quality and speed</h1><p class=\"lead\">Doorframe’s encoders next to those of this machine: the same \
             pictures, one in and one out without delay, at a constant bitrate, in turn.</p><dl class=\"facts\">"
        );
        for (name, value) in &self.facts {
            let _ = write!(page, "<div><dt>{}</dt><dd>{}</dd></div>", escape(name), escape(value));
        }
        page += "</dl>";
        for clip in &self.comparisons {
            page += &self.section(clip);
        }
        if !self.notes.is_empty() {
            page += "<section><h2>Notes</h2><ul>";
            for note in &self.notes {
                let _ = write!(page, "<li>{}</li>", escape(note));
            }
            page += "</ul></section>";
        }
        page + HOW_TO_READ + "</body></html>\n"
    }

    fn section(&self, clip: &Comparison) -> String {
        let encoders = clip.encoders();
        let mut html = format!(
            "<section><h2>{}</h2><p class=\"sub\">{} at {}, {} pictures</p>",
            escape(&clip.clip),
            clip.size,
            clip.rate,
            clip.pictures
        );
        html += "<ul class=\"legend\">";
        for &encoder in &encoders {
            let swatch = r#"<svg viewBox="0 0 26 10"><polyline points="1,5 25,5"/></svg>"#;
            let _ = write!(html, r#"<li class="{}">{swatch}{}</li>"#, class(encoder), encoder.name());
        }
        html += "</ul>";
        html += "<div class=\"plots\">";
        let mut ticks: Vec<_> = clip.rows.iter().map(|row| f64::from(row.target.bps()) / 1000.0).collect();
        ticks.sort_by(f64::total_cmp);
        ticks.dedup();
        for measure in Measure::ALL {
            let curve = |&encoder: &Which| Curve {
                name: encoder.name().to_owned(),
                class: class(encoder),
                points: clip.points(encoder, measure).iter().map(|it| (it.rate / 1000.0, it.quality)).collect(),
            };
            // Ours last, so that they lie on top.
            let curves: Vec<_> = encoders.iter().rev().map(curve).collect();
            html += &plot::curves(measure.name(), measure.unit(), &ticks, &curves);
        }
        html += "</div><div class=\"cost\">";
        html += &self.against(clip);
        html += "<div>";
        let bar = |row: &super::Row| {
            let p99 = row.cpu.p99.map_or(String::new(), |p99| format!(", p99 {p99:.1}"));
            (row.cpu.mean, format!("at {} kbit/s{p99}", row.target.bps() / 1000))
        };
        let groups: Vec<_> = encoders
            .iter()
            .map(|&encoder| Bars {
                name: encoder.name().to_owned(),
                class: class(encoder),
                bars: clip.rows_of(encoder).map(bar).collect(),
            })
            .collect();
        html += &plot::bars("CPU, ms a picture", &groups);
        html += "</div></div>";
        html += &timelines(clip);
        html += &rows(clip);
        html + "</section>"
    }

    /// Every encoder next to the anchor.
    fn against(&self, clip: &Comparison) -> String {
        let versus = clip.versus(&self.anchor);
        if versus.is_empty() {
            return String::new();
        }
        let mut html = format!(
            "<table class=\"versus\"><caption>Bits for the same quality, against {} (BD-rate; below zero is better)</caption>\
             <thead><tr><th>encoder</th><th>CPU time</th>",
            escape(&self.anchor)
        );
        for measure in Measure::ALL {
            let _ = write!(html, "<th>by {}</th>", measure.name());
        }
        html += "</tr></thead><tbody>";
        for it in versus.iter().filter(|it| it.encoder.name() != self.anchor) {
            let cpu = it.cpu.map_or("–".to_owned(), |cpu| format!("{cpu:.2} ×"));
            let _ = write!(html, "<tr class=\"{}\"><th>{}</th><td>{cpu}</td>", class(it.encoder), it.encoder.name());
            for rate in it.bd_rates {
                let _ = match rate {
                    Some(rate) => {
                        let tone = if rate < 0.0 { "good" } else { "bad" };
                        write!(html, "<td class=\"{tone}\">{} %</td>", format!("{rate:+.1}").replace('-', "−"))
                    }
                    None => write!(html, "<td>–</td>"),
                };
            }
            html += "</tr>";
        }
        html + "</tbody></table>"
    }
}

/// Sizes of the units of our own encoders.
fn timelines(clip: &Comparison) -> String {
    let fps = f64::from(clip.rate.as_f32());
    let ours = clip.rows.iter().filter(|row| row.encoder.is_ours());
    let timeline = |row: &super::Row| {
        let title = format!("{} at {} kbit/s", row.encoder.name(), row.target.bps() / 1000);
        plot::timeline(&title, &class(row.encoder), &row.lengths, fps)
    };
    let plots: String = ours.map(timeline).collect();
    if plots.is_empty() {
        return plots;
    }
    format!("<h3>Sizes of the units of ours, in mean units</h3><div class=\"timelines\">{plots}</div>")
}

fn rows(clip: &Comparison) -> String {
    let mut html = "<details><summary>All figures</summary><div class=\"wide\"><table><thead><tr>".to_owned();
    for name in [
        "encoder",
        "target",
        "kbit/s",
        "achieved",
        "CPU ms",
        "p50",
        "p99",
        "biggest",
        "biggest delta",
        "first",
        "worst second",
        "PSNR-Y",
        "SSIM",
        "VMAF",
    ] {
        let _ = write!(html, "<th>{name}</th>");
    }
    html += "</tr></thead><tbody>";
    for row in &clip.rows {
        let (sizes, cpu, quality) = (&row.sizes, &row.cpu, &row.quality);
        let cells = [
            (row.target.bps() / 1000).to_string(),
            format!("{:.0}", sizes.bps / 1000.0),
            format!("{:.3}", sizes.over_target),
            format!("{:.2}", cpu.mean),
            number(cpu.p50, 2),
            number(cpu.p99, 2),
            format!("{:.2}", sizes.biggest),
            number(sizes.biggest_delta, 2),
            format!("{:.2}", sizes.first),
            format!("{:.2}", sizes.worst_second),
            format!("{:.2}", quality.psnr),
            format!("{:.4}", quality.ssim),
            number(quality.vmaf, 1),
        ];
        let _ = write!(html, "<tr class=\"{}\"><th>{}</th>", class(row.encoder), row.encoder.name());
        for cell in cells {
            let _ = write!(html, "<td>{cell}</td>");
        }
        html += "</tr>";
    }
    html + "</tbody></table></div></details>"
}

/// Its class in the style sheet; a colour each, dashes for a second setting of the same encoder.
fn class(encoder: Which) -> String {
    format!("enc {} {}", if encoder.is_ours() { "ours" } else { "peer" }, encoder.name())
}

const HOW_TO_READ: &str = "<section><h2>How to read this</h2><ul>\
    <li><b>CPU</b>: processor time of all threads, the encoder’s start included, over the number of pictures. Of ffmpeg’s \
    encoders: what ffmpeg took, less what it takes to read the same clip without encoding.</li>\
    <li><b>biggest, biggest delta, first, worst second</b>: the largest unit, the largest that is no keyframe and the \
    first, each over the mean unit; and the bits of the worst second over the target.</li>\
    <li><b>PSNR-Y, SSIM</b>: of the luma, a mean over all pictures. <b>VMAF</b>: of every third picture.</li>\
    <li><b>BD-rate</b> after Bjøntegaard, with piecewise cubic Hermite interpolation, over the rates achieved and the \
    qualities that both reach.</li></ul></section>";

#[cfg(test)]
mod tests {
    use super::super::tests::{OURS, PEER, report};
    use super::*;

    #[test]
    fn a_name_from_outside_cannot_become_markup() {
        let page = report("<script>alert(1)</script>").page();
        assert!(!page.contains("<script"), "a clip's name is text");
        assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;"));
        assert!(page.contains("x &amp; y were left out"));
    }

    #[test]
    fn the_page_has_a_plot_of_each_kind_and_asks_for_nothing_from_outside() {
        let page = report("door").page();
        for title in ["PSNR-Y", "SSIM", "CPU, ms a picture", "openh264 at 500 kbit/s"] {
            assert!(page.contains(&format!("aria-label=\"{title}")), "{title}");
        }
        assert!(!page.contains("aria-label=\"VMAF"), "there is no VMAF to show");
        assert!(page.contains("<td class=\"good\">−10.0 %</td>"));
        assert!(!["http", "src=", "@import", "url("].iter().any(|outside| page.contains(outside)));
    }

    #[test]
    fn every_tag_that_is_opened_is_closed() {
        let page = report("door").page();
        for tag in
            ["section", "div", "table", "tr", "td", "th", "ul", "li", "svg", "g", "text", "title", "dl", "details"]
        {
            let opened = page.matches(&format!("<{tag}>")).count() + page.matches(&format!("<{tag} ")).count();
            assert_eq!(opened, page.matches(&format!("</{tag}>")).count(), "{tag}");
        }
    }

    #[test]
    fn every_encoder_has_a_colour() {
        for encoder in Which::all() {
            assert!(STYLE.contains(&format!(".{}", encoder.name())), "{}", encoder.name());
        }
        assert_ne!(class(OURS), class(PEER));
    }
}
