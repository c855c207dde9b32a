//! Plots as inline SVG: curves, bars and the sizes of a stream's units. Colours are classes of the page's style sheet.

use std::fmt::Write as _;

/// A curve of an encoder.
#[derive(Clone, Debug)]
pub(super) struct Curve {
    /// Its name.
    pub(super) name: String,
    /// Its class: colour, width and dashes.
    pub(super) class: String,
    /// x and y of each point, x growing and above zero.
    pub(super) points: Vec<(f64, f64)>,
}

/// A row of bars of an encoder.
#[derive(Clone, Debug)]
pub(super) struct Bars {
    /// Its name.
    pub(super) name: String,
    /// Its class.
    pub(super) class: String,
    /// The length of each bar, and what is written behind it.
    pub(super) bars: Vec<(f64, String)>,
}

/// Curves over a logarithmic x axis with lines at `ticks`.
pub(super) fn curves(title: &str, unit: &str, ticks: &[f64], curves: &[Curve]) -> String {
    const WIDTH: f64 = 380.0;
    const HEIGHT: f64 = 290.0;
    const LEFT: f64 = 46.0;
    const RIGHT: f64 = WIDTH - 10.0;
    const TOP: f64 = 30.0;
    const BOTTOM: f64 = HEIGHT - 34.0;
    let points = || curves.iter().flat_map(|curve| &curve.points);
    let Some(((x0, x1), (y0, y1))) =
        range(points().map(|point| point.0.ln()).chain(ticks.iter().map(|tick| tick.ln())))
            .zip(range(points().map(|point| point.1)))
    else {
        return String::new();
    };
    let room = ((x1 - x0) * 0.04).max(1e-9);
    let (x0, x1) = (x0 - room, x1 + room);
    let (y0, y1, step) = nice(y0, y1, 6);
    let x = |value: f64| LEFT + (value.ln() - x0) / (x1 - x0) * (RIGHT - LEFT);
    let y = |value: f64| BOTTOM - (value - y0) / (y1 - y0) * (BOTTOM - TOP);
    let mut svg = open(WIDTH, HEIGHT, title);
    let _ = write!(svg, r#"<text class="title" x="{LEFT}" y="16">{}</text>"#, escape(title));
    if !unit.is_empty() {
        let _ = write!(svg, r#"<text class="axis end" x="{RIGHT}" y="16">{}</text>"#, escape(unit));
    }
    let places = if step >= 1.0 { 0 } else { (-step.log10()).ceil() as usize };
    let mut level = y0;
    while level <= y1 + step / 2.0 {
        let at = y(level);
        let _ = write!(svg, r#"<line class="grid" x1="{LEFT}" y1="{at:.1}" x2="{RIGHT}" y2="{at:.1}"/>"#);
        let (left, below) = (LEFT - 6.0, at + 3.5);
        let _ = write!(svg, r#"<text class="axis end" x="{left}" y="{below:.1}">{level:.places$}</text>"#);
        level += step;
    }
    for &tick in ticks {
        let (at, below) = (x(tick), BOTTOM + 15.0);
        let _ = write!(svg, r#"<line class="grid" x1="{at:.1}" y1="{TOP}" x2="{at:.1}" y2="{BOTTOM}"/>"#);
        let _ = write!(svg, r#"<text class="axis middle" x="{at:.1}" y="{below}">{tick:.0}</text>"#);
    }
    let (middle, lowest) = ((LEFT + RIGHT) / 2.0, HEIGHT - 4.0);
    let _ = write!(svg, r#"<text class="axis middle" x="{middle}" y="{lowest}">kbit/s</text>"#);
    for curve in curves {
        let (name, class) = (escape(&curve.name), escape(&curve.class));
        let path: Vec<_> = curve.points.iter().map(|&(px, py)| format!("{:.1},{:.1}", x(px), y(py))).collect();
        let _ = write!(svg, r#"<g class="{class}"><title>{name}</title><polyline points="{}"/>"#, path.join(" "));
        for &(px, py) in &curve.points {
            let tip = format!("{name}: {py:.0$} {1} at {px:.0} kbit/s", places + 1, escape(unit));
            let _ = write!(svg, r#"<circle cx="{:.1}" cy="{:.1}" r="3"><title>{tip}</title></circle>"#, x(px), y(py));
        }
        svg += "</g>";
    }
    svg + "</svg>"
}

/// Bars from the left, in groups with a name each.
pub(super) fn bars(title: &str, groups: &[Bars]) -> String {
    const WIDTH: f64 = 700.0;
    const LEFT: f64 = 140.0;
    const RIGHT: f64 = WIDTH - 190.0;
    const TOP: f64 = 26.0;
    const BAR: f64 = 12.0;
    const GAP: f64 = 10.0;
    let lengths = groups.iter().flat_map(|group| &group.bars).map(|bar| bar.0);
    let Some((_, most)) = range(lengths) else { return String::new() };
    let height = TOP + groups.iter().map(|group| group.bars.len() as f64 * BAR + GAP).sum::<f64>();
    let mut svg = open(WIDTH, height, title);
    let _ = write!(svg, r#"<text class="title" x="0" y="14">{}</text>"#, escape(title));
    let mut top = TOP;
    for group in groups {
        let (name, class) = (escape(&group.name), escape(&group.class));
        let (right, middle) = (LEFT - 10.0, top + group.bars.len() as f64 * BAR / 2.0 + 3.0);
        let _ = write!(svg, r#"<text class="label end" x="{right}" y="{middle:.1}">{name}</text><g class="{class}">"#);
        for (length, text) in &group.bars {
            let width = (length / most.max(1e-9) * (RIGHT - LEFT)).max(1.0);
            let (bar, end, below) = (BAR - 2.0, LEFT + width + 6.0, top + BAR - 3.5);
            let _ = write!(
                svg,
                r#"<rect x="{LEFT}" y="{top:.1}" width="{width:.1}" height="{bar}" rx="2"><title>{name}: {length:.2} {0}</title></rect><text class="value" x="{end:.1}" y="{below:.1}">{length:.1} <tspan class="faint">{0}</tspan></text>"#,
                escape(text)
            );
            top += BAR;
        }
        svg += "</g>";
        top += GAP;
    }
    svg + "</svg>"
}

/// A bar for each unit, in means, up to `MOST` of them; a larger one is cut off and labelled.
pub(super) fn timeline(title: &str, class: &str, lengths: &[usize], fps: f64) -> String {
    const WIDTH: f64 = 575.0;
    const HEIGHT: f64 = 130.0;
    const LEFT: f64 = 30.0;
    const TOP: f64 = 24.0;
    const BOTTOM: f64 = HEIGHT - 18.0;
    const MOST: f64 = 4.0;
    let sum: usize = lengths.iter().sum();
    if sum == 0 {
        return String::new();
    }
    let mean = sum as f64 / lengths.len() as f64;
    let step = (WIDTH - LEFT) / lengths.len() as f64;
    let mut svg = open(WIDTH, HEIGHT, title);
    let _ = write!(svg, r#"<text class="title" x="{LEFT}" y="13">{}</text>"#, escape(title));
    let y = |means: f64| BOTTOM - means / MOST * (BOTTOM - TOP);
    for level in [0.0, 1.0, 2.0, 4.0] {
        let at = y(level);
        let _ = write!(svg, r#"<line class="grid" x1="{LEFT}" y1="{at:.1}" x2="{WIDTH}" y2="{at:.1}"/>"#);
        let _ = write!(svg, r#"<text class="axis end" x="{}" y="{:.1}">{level}</text>"#, LEFT - 5.0, at + 3.5);
    }
    let _ = write!(svg, r#"<g class="{}">"#, escape(class));
    for (n, &length) in lengths.iter().enumerate() {
        let means = length as f64 / mean;
        let (left, top) = (LEFT + n as f64 * step, y(means.min(MOST)));
        let (width, tall) = ((step - 0.4).max(0.6), BOTTOM - top);
        let _ = write!(
            svg,
            r#"<rect x="{left:.2}" y="{top:.1}" width="{width:.2}" height="{tall:.1}"><title>picture {n}: {length} bytes</title></rect>"#
        );
        if means > MOST {
            let _ = write!(
                svg,
                r#"<text class="value" x="{:.1}" y="{:.1}">{means:.1}</text>"#,
                left + step + 2.0,
                TOP + 8.0
            );
        }
    }
    svg += "</g>";
    let seconds = lengths.len() as f64 / fps;
    let every = [1.0, 2.0, 5.0, 10.0, 30.0, 60.0].into_iter().find(|every| seconds / every <= 12.0).unwrap_or(600.0);
    let mut second = 0.0;
    while second <= seconds {
        let at = LEFT + second * fps * step;
        let _ = write!(svg, r#"<text class="axis" x="{at:.1}" y="{:.1}">{second:.0} s</text>"#, HEIGHT - 4.0);
        second += every;
    }
    svg + "</svg>"
}

fn open(width: f64, height: f64, title: &str) -> String {
    format!(r#"<svg viewBox="0 0 {width} {height:.0}" role="img" aria-label="{}">"#, escape(title))
}

/// Least and most of the finite values; `None` of none.
fn range(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    values.filter(|value| value.is_finite()).fold(None, |range, value| {
        let (least, most) = range.unwrap_or((value, value));
        Some((least.min(value), most.max(value)))
    })
}

/// A range of whole steps around this one, of at most so many steps of 1, 2 or 5 times a power of ten.
fn nice(low: f64, high: f64, steps: u32) -> (f64, f64, f64) {
    let wide = (high - low).max(low.abs().max(1e-6) * 1e-3);
    let rough = wide / f64::from(steps);
    let power = 10_f64.powf(rough.log10().floor());
    let step =
        [1.0, 2.0, 5.0].into_iter().map(|factor| factor * power).find(|&step| step >= rough).unwrap_or(10.0 * power);
    let (low, high) = ((low / step).floor() * step, (high / step).ceil() * step);
    (low, if high > low { high } else { low + step }, step)
}

/// Text as it may stand in HTML and SVG, in attributes too.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped += "&amp;",
            '<' => escaped += "&lt;",
            '>' => escaped += "&gt;",
            '"' => escaped += "&quot;",
            '\'' => escaped += "&#39;",
            letter => escaped.push(letter),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn text_cannot_become_markup() {
        assert_eq!(escape("<b a='1' c=\"2\">&amp;"), "&lt;b a=&#39;1&#39; c=&quot;2&quot;&gt;&amp;amp;");
        let curve = Curve { name: "<x>".to_owned(), class: "\"".to_owned(), points: vec![(1.0, 2.0)] };
        let svg = curves("<t>", "<u>", &[1.0], &[curve]);
        assert!(!["<t>", "<u>", "<x>", "\"\"\""].iter().any(|bad| svg.contains(bad)), "{svg}");
    }

    #[test]
    fn a_curve_rises_to_the_right_and_upwards() {
        let curve = Curve { name: "a".to_owned(), class: "c".to_owned(), points: vec![(500.0, 30.0), (1000.0, 36.0)] };
        let svg = curves("PSNR", "dB", &[500.0, 1000.0], &[curve]);
        let path = svg.split_once("points=\"").and_then(|(_, rest)| rest.split_once('"')).unwrap().0;
        let points: Vec<Vec<f64>> =
            path.split(' ').map(|point| point.split(',').map(|value| value.parse().unwrap()).collect()).collect();
        assert!(points[0][0] < points[1][0] && points[0][1] > points[1][1], "{points:?}");
    }

    #[test]
    fn a_bar_is_as_long_as_its_value() {
        let groups = [Bars {
            name: "a".to_owned(),
            class: "c".to_owned(),
            bars: [2.0, 4.0].map(|it| (it, "<".to_owned())).to_vec(),
        }];
        let svg = bars("CPU", &groups);
        assert!(svg.contains("&lt;") && !svg.contains("><<"), "{svg}");
        let widths: Vec<f64> = svg
            .split("<rect ")
            .skip(1)
            .filter_map(|rect| rect.split_once("width=\"")?.1.split_once('"')?.0.parse().ok())
            .collect();
        assert!((widths[1] / widths[0] - 2.0).abs() < 0.01, "{widths:?}");
    }

    #[test]
    fn a_keyframe_off_the_scale_is_cut_and_labelled() {
        let svg = timeline("sizes", "c", &[9000, 500, 500, 1000, 1500], 30.0);
        assert_eq!(svg.matches("<rect ").count(), 5);
        assert_eq!(svg.matches("class=\"value\"").count(), 0, "{svg}");
        let svg = timeline("sizes", "c", &[9000, 100, 100, 100, 100, 100], 30.0);
        assert!(svg.contains(">5.7</text>"), "{svg}");
    }

    #[test]
    fn nothing_to_plot_is_no_plot() {
        assert_eq!(curves("t", "", &[], &[]), "");
        assert_eq!(bars("t", &[]), "");
        assert_eq!(timeline("t", "c", &[], 30.0), "");
        assert_eq!(timeline("t", "c", &[0, 0], 30.0), "");
    }

    proptest! {
        #[test]
        fn an_axis_holds_all_values_in_few_steps(low in -1e6..1e6_f64, wide in 0.0..1e6_f64) {
            let high = low + wide;
            let (from, to, step) = nice(low, high, 6);
            prop_assert!(from <= low + step * 1e-6 && to >= high - step * 1e-6 && from < to, "{from} {to} {step}");
            prop_assert!((to - from) / step < 9.0, "{from} {to} {step}");
        }
    }
}
