use super::*;
use crate::convert::Converter;
use crate::frame::{Format, Frame};
use crate::units::Uptime;
use proptest::prelude::*;

const JPEG_420: &[u8] = include_bytes!("../../../testdata/halves_420.jpg");
const JPEG_422: &[u8] = include_bytes!("../../../testdata/halves_422.jpg");
const JPEG_GREY: &[u8] = include_bytes!("../../../testdata/halves_grey.jpg");
/// With tables made for them, unlike the three above.
const JPEG_444: &[u8] = include_bytes!("../../../testdata/halves_444.jpg");
const JPEG_440: &[u8] = include_bytes!("../../../testdata/halves_440.jpg");
const JPEG_411: &[u8] = include_bytes!("../../../testdata/halves_411.jpg");
const ODD_420: &[u8] = include_bytes!("../../../testdata/halves_odd_420.jpg");
const ODD_422: &[u8] = include_bytes!("../../../testdata/halves_odd_422.jpg");

/// Without feature `turbojpeg` it is the same decoder for both.
const ORIGINS: [JpegOrigin; 2] = [JpegOrigin::Anywhere, JpegOrigin::OwnCamera];

fn size(width: u32, height: u32) -> Size {
    Size::new(width, height).unwrap()
}

fn decode_by(converter: &mut Converter, data: &[u8], at: Size) -> Result<Picture, ConvertError> {
    let planes = [Plane { data, stride: 0 }];
    let frame = Frame::new(Format::Mjpeg, at, Color::default(), Uptime::default(), &planes).unwrap();
    let mut picture = Picture::black(size(2, 2), Color::default());
    converter.convert(&frame, &mut picture)?;
    Ok(picture)
}

fn decode(origin: JpegOrigin, data: &[u8], at: Size) -> Result<Picture, ConvertError> {
    decode_by(&mut Converter::with_jpegs(origin), data, at)
}

/// Without the segments that `marker` begins.
fn without(marker: u8, jpeg: &[u8]) -> Vec<u8> {
    let mut bare = jpeg.to_vec();
    while let Some(at) = bare.windows(2).position(|two| two == [0xff, marker]) {
        let len = usize::from(u16::from_be_bytes([bare[at + 2], bare[at + 3]]));
        bare.drain(at..at + 2 + len);
    }
    assert!(bare.len() < jpeg.len());
    bare
}

/// With these bytes before its end marker.
fn with_end(jpeg: &[u8], extra: &[u8]) -> Vec<u8> {
    let (picture, end) = jpeg.split_at(jpeg.len() - 2);
    [picture, extra, end].concat()
}

#[test]
fn jpegs_of_every_camera_kind_show_their_colours_and_say_full_range() {
    let colour = [193, 37, 150];
    let even = [(JPEG_420, colour), (JPEG_422, colour), (JPEG_GREY, [182, 128, 128])];
    let rare = [(JPEG_444, colour), (JPEG_440, colour), (JPEG_411, colour)];
    let odd = [(ODD_420, colour), (ODD_422, colour)];
    let even = even.into_iter().chain(rare).map(|given| (given, size(36, 18)));
    let odd = odd.map(|given| (given, size(35, 17)));
    for ((data, right), at) in even.chain(odd) {
        for origin in ORIGINS {
            let picture = decode(origin, data, at).unwrap();
            let even = size(at.width() & !1, at.height() & !1);
            let color = Color { range: Range::Full, matrix: Matrix::Bt601 };
            assert_eq!((picture.size(), picture.color()), (even, color));
            let (width, half) = (even.width() as usize, even.chroma_width() as usize);
            let [y, u, v] = picture.planes();
            let near = |found: u8, wanted: u8| assert!(found.abs_diff(wanted) <= 2, "found {found}, wanted {wanted}");
            for row in [0, even.height() as usize / 2 - 1] {
                near(y[width * 2 * row + width - 2], right[0]);
                near(u[half * row + half - 1], right[1]);
                near(v[half * row + half - 1], right[2]);
                assert!(y[width * 2 * row + 3].abs_diff(right[0]) > 80, "left half is another colour");
            }
        }
    }
}

#[test]
fn a_jpeg_without_huffman_tables_has_the_standard_ones_whatever_came_before() {
    let bare = without(0xc4, JPEG_420);
    for origin in ORIGINS {
        let whole = decode(origin, JPEG_420, size(36, 18)).unwrap();
        let mut converter = Converter::with_jpegs(origin);
        assert_eq!(decode_by(&mut converter, &bare, size(36, 18)).as_ref(), Ok(&whole));
        assert!(decode_by(&mut converter, JPEG_444, size(36, 18)).is_ok(), "this one has tables of its own");
        assert_eq!(decode_by(&mut converter, &bare, size(36, 18)), Ok(whole));
    }
}

#[test]
fn a_jpeg_without_quantization_tables_is_damaged_whatever_came_before() {
    let bare = without(0xdb, JPEG_420);
    for origin in ORIGINS {
        let mut converter = Converter::with_jpegs(origin);
        assert!(decode_by(&mut converter, JPEG_420, size(36, 18)).is_ok());
        let damaged = Err(ConvertError::Jpeg { bytes: bare.len() });
        assert_eq!(decode_by(&mut converter, &bare, size(36, 18)), damaged);
    }
}

#[test]
fn a_jpeg_cut_short_is_damaged_and_one_of_another_size_is_refused() {
    let cut = &JPEG_420[..JPEG_420.len() - 12];
    let frame = size(640, 480);
    for origin in ORIGINS {
        assert_eq!(decode(origin, cut, size(36, 18)), Err(ConvertError::Jpeg { bytes: cut.len() }));
        let refused = Err(ConvertError::JpegSize { width: 36, height: 18, frame });
        assert_eq!(decode(origin, JPEG_420, frame), refused);
        let cropped = decode(origin, JPEG_420, size(30, 10));
        assert!(cropped.is_ok_and(|picture| picture.size() == size(30, 10)), "padding is cropped");
    }
}

#[test]
fn bytes_after_a_jpeg_are_the_drivers_affair_and_those_before_its_end_the_cameras() {
    let after = [JPEG_420, &[0; 100]].concat();
    let before = with_end(JPEG_420, &[0x55; 9]);
    for origin in ORIGINS {
        let whole = decode(origin, JPEG_420, size(36, 18)).unwrap();
        for padded in [&after, &before] {
            assert_eq!(decode(origin, padded, size(36, 18)).as_ref(), Ok(&whole));
        }
    }
}

#[test]
fn a_jpeg_in_rgb_or_of_four_colours_is_refused() {
    // The segment by which Adobe's programs say that there is no transform.
    let adobe = [0xff, 0xee, 0, 14, b'A', b'd', b'o', b'b', b'e', 0, 100, 0, 0, 0, 0, 0];
    let rgb = [&JPEG_444[..2], &adobe, &without(0xe0, JPEG_444)[2..]].concat();
    for origin in ORIGINS {
        assert_eq!(decode(origin, &rgb, size(36, 18)), Err(ConvertError::JpegColor));
    }
}

proptest! {
    #[test]
    fn damaged_jpegs_never_panic(
        which in 0..4_usize,
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
    ) {
        let mut data = [JPEG_420, JPEG_422, JPEG_GREY, ODD_420][which].to_vec();
        for (at, value) in flips {
            let at = at.index(data.len());
            data[at] = value;
        }
        for origin in ORIGINS {
            let mut converter = Converter::with_jpegs(origin);
            let first = decode_by(&mut converter, &data, size(36, 18));
            prop_assert_eq!(decode_by(&mut converter, &data, size(36, 18)), first);
        }
    }
}

#[cfg(feature = "turbojpeg")]
mod with_both {
    use super::*;
    use crate::testing::Scene;
    use turbo::Turbo;
    use turbojpeg::{Compressor, Subsamp, YuvImage};

    /// A busy picture of this size as a JPEG.
    fn jpeg(at: (usize, usize), subsampling: Subsamp, change: impl Fn(&mut Compressor)) -> Vec<u8> {
        let len = turbojpeg::yuv_pixels_len(at.0, 1, at.1, subsampling).unwrap();
        let scene = Scene::new(size(320, 240), 5).with_noise(12).picture(3);
        let pixels: Vec<u8> = scene.samples().iter().copied().cycle().take(len).collect();
        let mut compressor = Compressor::new().unwrap();
        compressor.set_quality(85).unwrap();
        change(&mut compressor);
        let image = YuvImage { pixels: &pixels[..], width: at.0, align: 1, height: at.1, subsamp: subsampling };
        compressor.compress_yuv_to_vec(image).unwrap()
    }

    fn for_c(jpeg: &[u8]) -> bool {
        Turbo::open(jpeg, ConvertError::Jpeg { bytes: jpeg.len() }).is_some()
    }

    fn furthest(a: &Picture, b: &Picture) -> u8 {
        assert_eq!(a.samples().len(), b.samples().len());
        a.samples().iter().zip(b.samples()).map(|(a, b)| a.abs_diff(*b)).max().unwrap_or(0)
    }

    #[test]
    fn both_decoders_show_the_same_to_a_step() {
        let layouts =
            [Subsamp::Sub2x2, Subsamp::Sub2x1, Subsamp::None, Subsamp::Gray, Subsamp::Sub1x2, Subsamp::Sub4x1];
        for (width, height) in [(320, 240), (319, 239), (33, 17), (7, 5), (2, 2)] {
            for layout in layouts {
                for optimized in [false, true] {
                    let data = jpeg((width, height), layout, |to| to.set_optimize(optimized).unwrap());
                    let at = size(width as u32, height as u32);
                    let [rust, c] = ORIGINS.map(|origin| decode(origin, &data, at).unwrap());
                    let steps = furthest(&rust, &c);
                    assert!(steps <= 1, "{at}, {layout:?}: {steps} steps");
                }
            }
        }
    }

    #[test]
    fn what_no_camera_gives_goes_to_the_other_decoder() {
        let at = (64, 48);
        let plain = jpeg(at, Subsamp::Sub2x2, |_| {});
        assert!(mjpeg::scan(&plain).unwrap().plain && for_c(&plain));
        let progressive = jpeg(at, Subsamp::Sub2x2, |to| to.set_progressive(true).unwrap());
        assert!(!mjpeg::scan(&progressive).unwrap().plain && !for_c(&progressive));
        let arithmetic = jpeg(at, Subsamp::Sub2x2, |to| to.set_arithmetic(true).unwrap());
        assert!(!mjpeg::scan(&arithmetic).unwrap().plain && !for_c(&arithmetic));
        let [rust, own] = ORIGINS.map(|origin| decode(origin, &progressive, size(64, 48)).unwrap());
        assert_eq!(rust, own);
        let refused = Err(ConvertError::Jpeg { bytes: arithmetic.len() });
        assert_eq!(decode(JpegOrigin::OwnCamera, &arithmetic, size(64, 48)), refused);
    }

    #[test]
    fn a_picture_that_ends_too_early_is_damaged() {
        let whole = jpeg((320, 240), Subsamp::Sub2x1, |_| {});
        let cut = [&whole[..whole.len() / 2], &[0xff, 0xd9]].concat();
        let damaged = Err(ConvertError::Jpeg { bytes: cut.len() });
        assert_eq!(decode(JpegOrigin::OwnCamera, &cut, size(320, 240)), damaged);
    }
}
