//! Drawings of series, as SVG that stands in a page.

use crate::baseline::{Bounds, Standing};
use crate::outcome::{Kind, Series, amount};
use maud::{Markup, html};
use std::fmt::Write;

/// Units of a drawing: it is as wide as its place, whatever that is.
const WIDTH: f64 = 720.0;
const LEFT: f64 = 52.0;
const RIGHT: f64 = WIDTH - 12.0;
const TOP: f64 = 20.0;
/// Below the drawing, for the numbers of its axis.
const FOOT: f64 = 20.0;
/// More columns than this are too narrow to see.
const COLUMNS: usize = 600;

/// The series as its kind is to be read; words where there is nothing to draw.
pub(crate) fn series(series: &Series) -> Markup {
    let values: Vec<f64> = series.values.iter().copied().filter(|value| value.is_finite()).collect();
    let unknown = series.values.len() - values.len();
    html! {
        figure {
            figcaption {
                b { (series.name) } " " span { (words(series, &values)) }
                @if unknown > 0 { span { ", " (unknown) " could not be told" } }
            }
            @match series.kind {
                Kind::Moments { lasted } if lasted.is_finite() => (moments(lasted, &values)),
                _ if values.is_empty() => {},
                Kind::Spread | Kind::Moments { .. } => (histogram(&values, &series.unit)),
                Kind::Trace => (trace(&values, &series.unit)),
            }
        }
    }
}

fn words(series: &Series, values: &[f64]) -> String {
    if let Kind::Moments { lasted } = series.kind {
        return match values.len() {
            0 => format!("none in {}", amount(lasted, "s")),
            some => format!("{some} in {}", amount(lasted, "s")),
        };
    }
    let sorted = sorted(values);
    let Some((first, last)) = sorted.first().zip(sorted.last()) else { return "no values".to_owned() };
    format!(
        "{} values: min {}, p50 {}, p95 {}, max {}",
        values.len(),
        amount(*first, ""),
        amount(quantile(&sorted, 0.5), ""),
        amount(quantile(&sorted, 0.95), ""),
        amount(*last, &series.unit)
    )
}

fn histogram(values: &[f64], unit: &str) -> Markup {
    let height = 150.0;
    let sorted = sorted(values);
    let (low, high) = range(&sorted);
    let bins = ((values.len() as f64).sqrt() * 2.0).clamp(8.0, 48.0) as usize;
    let step = (high - low) / bins as f64;
    let mut counts = vec![0_u32; bins];
    for value in values {
        let bin = (((value - low) / step).max(0.0) as usize).min(bins - 1);
        if let Some(count) = counts.get_mut(bin) {
            *count += 1;
        }
    }
    let most = f64::from(counts.iter().copied().max().unwrap_or(1).max(1));
    let across = Axis { low, high, from: LEFT, to: RIGHT };
    let up = Axis { low: 0.0, high: most, from: height - FOOT, to: TOP };
    html! {
        (open(height, "Histogram", html! {
            (rows(&up, ""))
            @for (index, count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
                @let (from, to) = (low + step * index as f64, low + step * (index + 1) as f64);
                rect.bar x=(round(across.at(from) + 0.5)) width=(round((across.at(to) - across.at(from) - 1.0).max(1.0)))
                    y=(round(up.at(f64::from(*count)))) height=(round(up.at(0.0) - up.at(f64::from(*count)))) rx="1.5" {
                    title { (count) " from " (amount(from, "")) " to " (amount(to, unit)) }
                }
            }
            @for (name, part, anchor) in [("p50", 0.5, "end"), ("p95", 0.95, "start")] {
                @let x = across.at(quantile(&sorted, part));
                line.mark x1=(round(x)) x2=(round(x)) y1=(TOP - 6.0) y2=(height - FOOT) {}
                text.name x=(round(if anchor == "end" { x - 4.0 } else { x + 4.0 })) y=(TOP - 8.0) text-anchor=(anchor) { (name) }
            }
            (columns(&across, unit, height))
        }))
    }
}

fn trace(values: &[f64], unit: &str) -> Markup {
    let height = 160.0;
    let sorted = sorted(values);
    let (low, high) = range(&sorted);
    let pad = (high - low) * 0.06;
    let up = Axis { low: low - pad, high: high + pad, from: height - FOOT, to: TOP - 8.0 };
    let across = Axis { low: 0.0, high: (values.len().max(2) - 1) as f64, from: LEFT, to: RIGHT };
    let mut path = String::new();
    let chunk = values.len().div_ceil(COLUMNS).max(1);
    for (index, part) in values.chunks(chunk).enumerate() {
        let x = round(across.at((index * chunk) as f64));
        let extremes = sorted_ends(part);
        let command = if index == 0 { 'M' } else { 'L' };
        // Writing to a string cannot fail.
        let _ = write!(path, "{command}{x} {}", round(up.at(extremes.0)));
        if extremes.0 < extremes.1 {
            let _ = write!(path, "V{}", round(up.at(extremes.1)));
        }
    }
    let middle = round(up.at(quantile(&sorted, 0.5)));
    open(
        height,
        "Trace",
        html! {
            (rows(&up, unit))
            line.mark x1=(LEFT) x2=(RIGHT) y1=(middle) y2=(middle) { title { "p50 " (amount(quantile(&sorted, 0.5), unit)) } }
            path.trace d=(path) {}
            (columns(&across, "", height))
        },
    )
}

fn moments(lasted: f64, seconds: &[f64]) -> Markup {
    let height = 58.0;
    let high = sorted(seconds).last().copied().unwrap_or_default().max(lasted).max(0.001);
    let across = Axis { low: 0.0, high, from: LEFT, to: RIGHT };
    open(
        height,
        "Time line",
        html! {
            rect.lane x=(LEFT) width=(RIGHT - LEFT) y="8" height="26" rx="4" {}
            @for second in seconds.iter().take(COLUMNS * 4) {
                @let x = round(across.at(*second));
                line.moment x1=(x) x2=(x) y1="8" y2="34" { title { (amount(*second, "s")) } }
            }
            (columns(&across, "s", height))
        },
    )
}

/// Where a figure is between its bounds.
pub(crate) fn bounds(bounds: Bounds, value: f64, standing: Standing) -> Markup {
    if ![bounds.low, bounds.high, value].iter().all(|value| value.is_finite()) {
        return html! {};
    }
    let (low, high) = range(&sorted(&[bounds.low, bounds.high, value]));
    let across = Axis { low, high, from: 8.0, to: 152.0 };
    let [from, middle, to, at] = [bounds.low, bounds.mean, bounds.high, value].map(|value| round(across.at(value)));
    html! {
        svg.bounds viewBox="0 0 160 18" width="160" height="18" role="img" aria-label="Between its bounds" {
            line.grid x1="4" x2="156" y1="9" y2="9" {}
            rect.band x=(from) width=(round((to - from).max(1.0))) y="4" height="10" rx="3" {}
            line.mark x1=(middle) x2=(middle) y1="3" y2="15" {}
            circle.value.worse[standing.is_worse()] cx=(at) cy="9" r="4" {}
        }
    }
}

/// Where a value lies in the drawing.
struct Axis {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
}

impl Axis {
    fn at(&self, value: f64) -> f64 {
        // Halves, as the whole may be more than a number holds.
        let part = (value / 2.0 - self.low / 2.0) / (self.high / 2.0 - self.low / 2.0);
        self.from + part.clamp(0.0, 1.0) * (self.to - self.from)
    }

    /// Round numbers along it, at most `most`.
    fn ticks(&self, most: f64) -> Vec<f64> {
        let raw = (self.high - self.low) / most;
        let power = 10_f64.powf(raw.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|times| times * power).find(|step| *step >= raw);
        let Some(step) = step.filter(|step| step.is_finite() && *step > 0.0) else { return Vec::new() };
        let first = (self.low / step).ceil();
        (0..=most as u32 + 1).map(|index| (first + f64::from(index)) * step).filter(|tick| *tick <= self.high).collect()
    }
}

fn open(height: f64, what: &str, inside: Markup) -> Markup {
    html! { svg.plot viewBox={ "0 0 " (WIDTH) " " (height) } role="img" aria-label=(what) { (inside) } }
}

fn rows(up: &Axis, unit: &str) -> Markup {
    html! {
        // Without a unit it is a count, and has no halves.
        @for tick in up.ticks(4.0).into_iter().filter(|tick| !unit.is_empty() || tick.fract() == 0.0) {
            @let y = round(up.at(tick));
            line.grid x1=(LEFT) x2=(RIGHT) y1=(y) y2=(y) {}
            text x=(LEFT - 6.0) y=(y + 3.5) text-anchor="end" { (amount(tick, "")) }
        }
        text.name x=(LEFT - 6.0) y="9" text-anchor="end" { (unit) }
    }
}

fn columns(across: &Axis, unit: &str, height: f64) -> Markup {
    html! {
        // The last place is the unit's.
        @for tick in across.ticks(8.0).into_iter().filter(|tick| unit.is_empty() || across.at(*tick) < RIGHT - 24.0) {
            text x=(round(across.at(tick))) y=(height - 5.0) text-anchor="middle" { (amount(tick, "")) }
        }
        text.name x=(RIGHT + 10.0) y=(height - 5.0) text-anchor="end" { (unit) }
    }
}

fn sorted(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}

fn sorted_ends(values: &[f64]) -> (f64, f64) {
    values.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(*value), high.max(*value)))
}

/// From the smallest to the largest of sorted values, never empty.
fn range(sorted: &[f64]) -> (f64, f64) {
    let (low, high) = (sorted.first().copied().unwrap_or_default(), sorted.last().copied().unwrap_or_default());
    let least = (low.abs().max(high.abs()) * 1e-6).max(1e-6);
    if high - low < least { (low - least.max(0.5), high + least.max(0.5)) } else { (low, high) }
}

/// The value below which that part of sorted values lies, between two of them if need be.
pub(crate) fn quantile(sorted: &[f64], part: f64) -> f64 {
    let at = part * (sorted.len().max(1) - 1) as f64;
    let value = |index: f64| sorted.get(index as usize).copied().unwrap_or(f64::NAN);
    let (low, high) = (value(at.floor()), value(at.ceil()));
    low + (high - low) * at.fract()
}

/// A tenth of a drawing's unit is more than is seen.
fn round(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_has_round_numbers() {
        let axis = Axis { low: 31.2, high: 36.9, from: 0.0, to: 1.0 };
        assert_eq!(axis.ticks(4.0), [32.0, 34.0, 36.0]);
        assert_eq!(Axis { low: 0.0, high: 1.0, ..axis }.ticks(5.0).len(), 6);
    }

    #[test]
    fn a_quantile_lies_between_two_values() {
        assert_eq!(quantile(&[1.0, 2.0, 3.0, 4.0], 0.5), 2.5);
        assert_eq!(quantile(&[7.0], 0.95), 7.0);
    }
}
