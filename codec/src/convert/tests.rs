use super::*;
use crate::units::Uptime;
use proptest::prelude::*;

fn size(width: u32, height: u32) -> Size {
    Size::new(width, height).unwrap()
}

fn convert(format: Format, at: Size, planes: &[Plane<'_>]) -> Result<Picture, ConvertError> {
    let frame = Frame::new(format, at, Color::default(), Uptime::default(), planes).unwrap();
    let mut picture = Picture::black(size(2, 2), Color::default());
    Converter::new().convert(&frame, &mut picture)?;
    Ok(picture)
}

#[test]
fn i420_rows_are_taken_without_their_padding() {
    let y = [1, 2, 3, 4, 99, 5, 6, 7, 8];
    let (u, v) = ([9, 10, 99], [11, 12]);
    let planes = [Plane { data: &y, stride: 5 }, Plane { data: &u, stride: 3 }, Plane { data: &v, stride: 2 }];
    let picture = convert(Format::I420, size(4, 2), &planes).unwrap();
    assert_eq!(picture.samples(), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
}

#[test]
fn nv12_chroma_is_parted() {
    let y: Vec<u8> = (0..16).collect();
    let uv = [50, 60, 51, 61, 99, 99, 52, 62, 53, 63];
    let planes = [Plane { data: &y, stride: 4 }, Plane { data: &uv, stride: 6 }];
    let picture = convert(Format::Nv12, size(4, 4), &planes).unwrap();
    let [_, u, v] = picture.planes();
    assert_eq!((u, v), (&[50, 51, 52, 53][..], &[60, 61, 62, 63][..]));
}

#[test]
fn nv21_is_nv12_with_its_chroma_turned() {
    let y: Vec<u8> = (0..16).collect();
    let vu = [60, 50, 61, 51, 62, 52, 63, 53];
    let planes = [Plane { data: &y, stride: 4 }, Plane { data: &vu, stride: 4 }];
    let picture = convert(Format::Nv21, size(4, 4), &planes).unwrap();
    assert_eq!(picture.planes(), [&y[..], &[50, 51, 52, 53], &[60, 61, 62, 63]]);
}

#[test]
fn grey_has_no_colour() {
    let y = [1, 2, 3, 99, 4, 5, 6, 99, 7, 8, 9];
    let picture = convert(Format::Grey, size(3, 3), &[Plane { data: &y, stride: 4 }]).unwrap();
    assert_eq!(picture.samples(), [1, 2, 4, 5, 128, 128]);
}

#[test]
fn an_odd_column_and_row_are_cropped() {
    let y: Vec<u8> = (0..15).collect();
    let chroma = [7; 6];
    let planes =
        [Plane { data: &y, stride: 5 }, Plane { data: &chroma, stride: 3 }, Plane { data: &chroma, stride: 3 }];
    let picture = convert(Format::I420, size(5, 3), &planes).unwrap();
    assert_eq!(picture.size(), size(4, 2));
    assert_eq!(picture.planes()[0], [0, 1, 2, 3, 5, 6, 7, 8]);
    assert_eq!(
        convert(
            Format::I420,
            size(1, 9),
            &[Plane { data: &y, stride: 1 }, Plane { data: &chroma, stride: 1 }, Plane { data: &chroma, stride: 1 }]
        ),
        Err(ConvertError::TooSmall(size(1, 9)))
    );
}

#[test]
fn packed_422_is_unpacked_whether_or_not_its_last_row_fills_its_stride() {
    // Wide enough for the vector code, with a stride, and an odd number of rows.
    for (width, height) in [(2_u32, 2_u32), (4, 3), (70, 6), (131, 5)] {
        let stride = width.div_ceil(2) as usize * 4 + 12;
        let sample = |x: u32, y: u32| (x * 3 + y * 5) as u8;
        let chroma = |x: u32, y: u32| (100 + x + y * 4) as u8;
        for format in [Format::Yuyv, Format::Uyvy] {
            let mut data = vec![0xee; stride * height as usize];
            for y in 0..height {
                for x in (0..width).step_by(2) {
                    let at = y as usize * stride + x as usize * 2;
                    let mut group = [sample(x, y), chroma(x / 2, y), sample(x + 1, y), 255 - chroma(x / 2, y)];
                    if format == Format::Uyvy {
                        group = [group[1], group[0], group[3], group[2]];
                    }
                    data[at..at + 4].copy_from_slice(&group);
                }
            }
            let short = data.len() - 12;
            for end in [data.len(), short] {
                let plane = Plane { data: &data[..end], stride };
                let picture = convert(format, size(width, height), &[plane]).unwrap();
                let shown = size(width & !1, height & !1);
                assert_eq!(picture.size(), shown);
                let [y, u, v] = picture.planes();
                for (at, &y) in y.iter().enumerate() {
                    let at = at as u32;
                    assert_eq!(y, sample(at % shown.width(), at / shown.width()), "luma {at} of {shown}");
                }
                for (at, (&u, &v)) in u.iter().zip(v).enumerate() {
                    let (x, y) = (at as u32 % shown.chroma_width(), at as u32 / shown.chroma_width() * 2);
                    let mean = |a: u8, b: u8| (u16::from(a) + u16::from(b)).div_ceil(2) as u8;
                    let (upper, lower) = (chroma(x, y), chroma(x, y + 1));
                    assert_eq!((u, v), (mean(upper, lower), mean(255 - upper, 255 - lower)), "chroma {at} of {shown}");
                }
            }
        }
    }
}

proptest! {
    #[test]
    fn any_frame_of_any_format_becomes_a_picture_of_even_sides(
        (width, height) in (2..40_u32, 2..20_u32),
        padding in 0..9_usize,
        seed in any::<u64>(),
    ) {
        let mut random = crate::testing::Random::new(seed);
        let mut formats = vec![Format::I420, Format::Nv12, Format::Nv21, Format::Yuyv, Format::Uyvy, Format::Grey];
        for pattern in PATTERNS {
            formats.extend([Format::Bayer8(pattern), Format::Bayer10(pattern)]);
        }
        for format in formats {
            let stride = width as usize * 2 + 4 + padding;
            let data: Vec<u8> = (0..stride * height as usize).map(|_| random.below(256) as u8).collect();
            let planes = vec![Plane { data: &data, stride }; format.planes()];
            let picture = convert(format, size(width, height), &planes).unwrap();
            prop_assert_eq!(picture.size(), size(width & !1, height & !1));
            prop_assert_eq!(picture.samples().len(), Picture::bytes(picture.size()));
        }
    }

    /// Every layout but mosaics and JPEG against the plainest reading of its definition, sample by sample.
    #[test]
    fn every_sample_lands_in_its_place_whatever_the_size_and_stride(
        (width, height) in (2..150_usize, 2..12_usize),
        padding in prop::array::uniform3(0..40_usize),
        seed in any::<u64>(),
    ) {
        let mut random = crate::testing::Random::new(seed);
        let (half, rows) = (width.div_ceil(2), height.div_ceil(2));
        for format in [Format::I420, Format::Nv12, Format::Nv21, Format::Yuyv, Format::Uyvy, Format::Grey] {
            let sides = match format {
                Format::I420 => vec![(width, height), (half, rows), (half, rows)],
                Format::Nv12 | Format::Nv21 => vec![(width, height), (half * 2, rows)],
                Format::Grey => vec![(width, height)],
                _ => vec![(half * 4, height)],
            };
            let given: Vec<(Vec<u8>, usize)> = sides
                .into_iter()
                .zip(padding)
                .map(|((row, rows), padding)| {
                    let stride = row + padding;
                    // The last row ends where its samples do.
                    ((0..stride * rows - padding).map(|_| random.below(256) as u8).collect(), stride)
                })
                .collect();
            let planes: Vec<_> = given.iter().map(|(data, stride)| Plane { data, stride: *stride }).collect();
            let picture = convert(format, size(width as u32, height as u32), &planes).unwrap();
            let sample = |plane: usize, x: usize, y: usize| given[plane].0[y * given[plane].1 + x];
            let mean = |plane: usize, x: usize, y: usize| {
                (u16::from(sample(plane, x, y)) + u16::from(sample(plane, x, y + 1))).div_ceil(2) as u8
            };
            let luma = |x: usize, y: usize| match format {
                Format::Yuyv => sample(0, x * 2, y),
                Format::Uyvy => sample(0, x * 2 + 1, y),
                _ => sample(0, x, y),
            };
            let chroma = |x: usize, y: usize| match format {
                Format::I420 => (sample(1, x, y), sample(2, x, y)),
                Format::Nv12 => (sample(1, x * 2, y), sample(1, x * 2 + 1, y)),
                Format::Nv21 => (sample(1, x * 2 + 1, y), sample(1, x * 2, y)),
                Format::Yuyv => (mean(0, x * 4 + 1, y * 2), mean(0, x * 4 + 3, y * 2)),
                Format::Uyvy => (mean(0, x * 4, y * 2), mean(0, x * 4 + 2, y * 2)),
                _ => (128, 128),
            };
            let (shown, chroma_shown) = (width & !1, width / 2);
            let [y, u, v] = picture.planes();
            for (at, &found) in y.iter().enumerate() {
                let wanted = luma(at % shown, at / shown);
                prop_assert_eq!(found, wanted, "luma {} of {:?} {}x{}", at, format, width, height);
            }
            for (at, (&u, &v)) in u.iter().zip(v).enumerate() {
                let wanted = chroma(at % chroma_shown, at / chroma_shown);
                prop_assert_eq!((u, v), wanted, "chroma {} of {:?} {}x{}", at, format, width, height);
            }
        }
    }

    /// Linear filters whose weights add up to one: a mosaic of one colour is that colour everywhere, edges included.
    #[test]
    fn a_flat_colour_comes_back_at_every_pixel_of_any_size(
        (width, height) in (2..40_u32, 2..20_u32),
        padding in 0..9_usize,
        rgb in prop::array::uniform3(64..=255_u8),
    ) {
        for pattern in PATTERNS {
            for ten in [false, true] {
                let picture = develop(ten, pattern, size(width, height), padding, |_, _| rgb);
                let [y, u, v] = picture.planes();
                let [wanted_y, wanted_u, wanted_v] = ycbcr(rgb);
                let off = if ten { 2.0 } else { 6.0 };
                for (plane, wanted) in [(y, wanted_y), (u, wanted_u), (v, wanted_v)] {
                    for &found in plane {
                        prop_assert!((f64::from(found) - wanted).abs() <= off, "{found}, wanted {wanted} of {rgb:?}, {pattern:?}");
                    }
                }
            }
        }
    }
}

const PATTERNS: [Pattern; 4] = [Pattern::Rggb, Pattern::Grbg, Pattern::Gbrg, Pattern::Bggr];

/// BT.709, limited range, by the standard's own formulas.
fn ycbcr([red, green, blue]: [u8; 3]) -> [f64; 3] {
    let [red, green, blue] = [red, green, blue].map(|value| f64::from(value) / 255.0);
    let luma = 0.2126 * red + 0.7152 * green + 0.0722 * blue;
    [16.0 + 219.0 * luma, 128.0 + 224.0 * (blue - luma) / 1.8556, 128.0 + 224.0 * (red - luma) / 1.5748]
}

/// What a sensor with black at 64, half as sensitive to red and two thirds to blue, gives of a gamma-coded scene,
/// developed again with the gains that undo it.
fn develop(ten: bool, pattern: Pattern, at: Size, padding: usize, scene: impl Fn(usize, usize) -> [u8; 3]) -> Picture {
    let (width, height) = (at.width() as usize, at.height() as usize);
    let [red, blue] = match pattern {
        Pattern::Rggb => [(0, 0), (1, 1)],
        Pattern::Grbg => [(1, 0), (0, 1)],
        Pattern::Gbrg => [(0, 1), (1, 0)],
        Pattern::Bggr => [(1, 1), (0, 0)],
    };
    let sample = |x: usize, y: usize| {
        let (color, sensitivity) = match (x % 2, y % 2) {
            place if place == red => (0, 0.5),
            place if place == blue => (2, 2.0 / 3.0),
            _ => (1, 1.0),
        };
        let linear = (f64::from(scene(x, y)[color]) / 255.0).powf(2.2);
        (64.0 + 959.0 * linear * sensitivity).round() as u16
    };
    let mut data = Vec::new();
    for y in 0..height {
        let start = data.len();
        let row: Vec<u16> = (0..width).map(|x| sample(x, y)).collect();
        if ten {
            for four in row.chunks(4) {
                let four: Vec<u16> = (0..4).map(|at| four.get(at).copied().unwrap_or(0x155)).collect();
                data.extend(four.iter().map(|sample| (sample >> 2) as u8));
                data.push((0..4).map(|at| ((four[at] & 3) << (2 * at)) as u8).sum());
            }
        } else {
            data.extend(row.iter().map(|sample| ((sample + 2) / 4).min(255) as u8));
        }
        data.extend(vec![0xee; padding]);
        if y == 0 {
            assert_eq!(data.len() - start, padding + if ten { width.div_ceil(4) * 5 } else { width });
        }
    }
    let stride = data.len() / height;
    let format = if ten { Format::Bayer10(pattern) } else { Format::Bayer8(pattern) };
    let white_balance = raw::WhiteBalance::Gains { red: 2.0, blue: 1.5 };
    let settings = raw::Raw { white_balance, ..raw::Raw::default() }.check().unwrap();
    let planes = [Plane { data: &data[..data.len() - padding], stride }];
    let frame = Frame::new(format, at, Color::default(), Uptime::default(), &planes).unwrap();
    let mut picture = Picture::black(size(2, 2), Color::default());
    Converter::with_raw(settings).convert(&frame, &mut picture).unwrap();
    assert_eq!(picture.color(), Color { range: Range::Limited, matrix: Matrix::Bt709 });
    picture
}

#[test]
fn colour_bars_come_back_through_every_mosaic_with_their_colours() {
    const BARS: [[u8; 3]; 8] = [
        [191, 191, 191],
        [191, 191, 0],
        [0, 191, 191],
        [0, 191, 0],
        [191, 0, 191],
        [191, 0, 0],
        [0, 0, 191],
        [64, 64, 64],
    ];
    let at = size(160, 18);
    for pattern in PATTERNS {
        for ten in [false, true] {
            let picture = develop(ten, pattern, at, 3, |x, _| BARS[x / 20]);
            let [y, u, v] = picture.planes();
            for row in 0..18 {
                for x in (0..160).filter(|x| (4..16).contains(&(x % 20))) {
                    let chroma = row / 2 * 80 + x / 2;
                    let found = [y[row * 160 + x], u[chroma], v[chroma]].map(f64::from);
                    for (found, wanted) in found.into_iter().zip(ycbcr(BARS[x / 20])) {
                        assert!((found - wanted).abs() < 4.0, "{found} at {x}, {row}: wanted {wanted}, {pattern:?}");
                    }
                }
            }
        }
    }
}

#[test]
fn a_textured_scene_survives_its_mosaic() {
    // Smooth colour, sharp luma: what a lens gives. Bilinear filling reaches 36 dB here.
    let scene = |x: usize, y: usize| {
        let (x, y) = (x as f64, y as f64);
        let texture = 40.0 * (x * 0.9 + y * 0.35).sin() + 25.0 * (y * 0.8).cos();
        [110.0 + x * 0.4, 120.0, 140.0 - x * 0.3].map(|base| (base + texture) as u8)
    };
    let at = size(96, 64);
    for pattern in PATTERNS {
        let picture = develop(true, pattern, at, 0, scene);
        let mut wanted = picture.clone();
        for (index, luma) in wanted.planes_mut()[0].iter_mut().enumerate() {
            *luma = ycbcr(scene(index % 96, index / 96))[0].round() as u8;
        }
        let db = picture.psnr_y(&wanted).unwrap();
        assert!(db > 40.0, "{db} dB, {pattern:?}");
    }
}

#[test]
fn a_grey_world_under_yellow_light_comes_back_grey() {
    let at = size(64, 32);
    for pattern in PATTERNS {
        // Raw samples: green twice as bright as blue, red in between.
        let color = |x: usize, y: usize| match (pattern, x % 2, y % 2) {
            (Pattern::Rggb, 0, 0) | (Pattern::Grbg, 1, 0) | (Pattern::Gbrg, 0, 1) | (Pattern::Bggr, 1, 1) => 75,
            (Pattern::Rggb, 1, 1) | (Pattern::Grbg, 0, 1) | (Pattern::Gbrg, 1, 0) | (Pattern::Bggr, 0, 0) => 50,
            _ => 100_usize,
        };
        let data: Vec<u8> =
            (0..64 * 32).map(|at| (16 + color(at % 64, at / 64) * (64 + at % 64) / 128) as u8).collect();
        let planes = [Plane { data: &data, stride: 64 }];
        let frame = Frame::new(Format::Bayer8(pattern), at, Color::default(), Uptime::default(), &planes).unwrap();
        let mut picture = Picture::black(size(2, 2), Color::default());
        let mut converter = Converter::new();
        assert_eq!(converter.white_balance(), None);
        converter.convert(&frame, &mut picture).unwrap();
        let (red, blue) = converter.white_balance().unwrap();
        assert!((red - 4.0 / 3.0).abs() < 0.03 && (blue - 2.0).abs() < 0.06, "{red}, {blue}");
        let [_, u, v] = picture.planes();
        assert!(u.iter().chain(v).all(|&chroma| chroma.abs_diff(128) <= 4), "{u:?} {v:?}");
    }
}
