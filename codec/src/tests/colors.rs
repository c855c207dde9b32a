//! A colour before the sensor is the same colour on the screen.

use super::*;
use crate::Frame;
use crate::convert::Converter;
use crate::frame::{Format, Plane};
use crate::testing::{BARS, bars, rgb};
use crate::units::Uptime;

/// The bars as a sensor of this format gives them, converted.
fn converted(format: Format, color: Color) -> Picture {
    let at = size(160, 64);
    let source = bars(at, color);
    let [y, u, v] = source.planes();
    // Rows of chroma serve twice where the format has one for each row of luma.
    let pairs = |first: &[u8], second: &[u8]| -> Vec<u8> {
        first.iter().zip(second).flat_map(|(&first, &second)| [first, second]).collect()
    };
    let packed = |luma_first: bool| -> Vec<u8> {
        let group = |at: usize| {
            let (row, column) = (at / 80, at % 80);
            let (chroma, luma) = (row / 2 * 80 + column, row * 160 + column * 2);
            let [a, b, c, d] = [y[luma], u[chroma], y[luma + 1], v[chroma]];
            if luma_first { [a, b, c, d] } else { [b, a, d, c] }
        };
        (0..80 * 64).flat_map(group).collect()
    };
    let planes: Vec<(Vec<u8>, usize)> = match format {
        Format::I420 => vec![(y.to_vec(), 160), (u.to_vec(), 80), (v.to_vec(), 80)],
        Format::Nv12 => vec![(y.to_vec(), 160), (pairs(u, v), 160)],
        Format::Nv21 => vec![(y.to_vec(), 160), (pairs(v, u), 160)],
        other => vec![(packed(other == Format::Yuyv), 320)],
    };
    let planes: Vec<_> = planes.iter().map(|(data, stride)| Plane { data, stride: *stride }).collect();
    let frame = Frame::new(format, at, color, Uptime::default(), &planes).unwrap();
    let mut picture = Picture::black(size(2, 2), Color::default());
    Converter::new().convert(&frame, &mut picture).unwrap();
    picture
}

fn assert_bars(picture: &Picture, most: f64, what: &str) {
    for (bar, wanted) in BARS.into_iter().enumerate() {
        for y in [9, 30, 51] {
            // The middle of a bar 20 wide: its edges are blurred by half as many chroma samples.
            for x in bar * 20 + 7..bar * 20 + 13 {
                for (found, wanted) in rgb(picture, x, y).into_iter().zip(wanted) {
                    let off = (found - wanted).abs() * 255.0;
                    assert!(off <= most, "{what}: bar {bar} is {off:.1} steps off at {x}, {y}");
                }
            }
        }
    }
}

#[test]
fn colour_bars_come_back_with_their_colours_through_every_format_and_codec() {
    for color in COLORS {
        for format in [Format::I420, Format::Nv12, Format::Nv21, Format::Yuyv, Format::Uyvy] {
            let picture = converted(format, color);
            let what = format!("{format:?}, {color:?}");
            // Samples are whole steps: a step of chroma is up to 2.2 of blue.
            assert_bars(&picture, 2.5, &what);
            let pictures = vec![picture; 3];
            for encoder in [h264(config(size(160, 64), 800)), av1(config(size(160, 64), 800))] {
                let what = format!("{what}, {}", encoder.name());
                for shown in decode(&encode(encoder, &pictures, &[])) {
                    assert_eq!(shown.color(), color, "{what}");
                    assert_bars(&shown, 8.0, &what);
                }
            }
        }
    }
}

#[test]
fn a_picture_that_says_the_wrong_colour_is_told_from_the_right_one() {
    // What the test above can see: the smallest mistake there is, between the two matrices or the two ranges.
    for (drawn, said) in [(COLORS[0], COLORS[2]), (COLORS[0], COLORS[1]), (COLORS[3], COLORS[2])] {
        let mut wrong = bars(size(160, 64), drawn);
        wrong.reshape(size(160, 64), said);
        let off = |bar: usize| {
            let off = rgb(&wrong, bar * 20 + 10, 30).into_iter().zip(BARS[bar]);
            off.map(|(found, wanted)| (found - wanted).abs() * 255.0).fold(0.0, f64::max)
        };
        assert!((0..8).map(off).fold(0.0, f64::max) > 12.0, "{drawn:?} shown as {said:?}");
    }
}
