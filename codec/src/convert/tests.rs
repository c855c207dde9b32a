use super::*;
use crate::units::Uptime;
use proptest::prelude::*;

const JPEG_420: &[u8] = include_bytes!("../../testdata/halves_420.jpg");
const JPEG_422: &[u8] = include_bytes!("../../testdata/halves_422.jpg");
const JPEG_GREY: &[u8] = include_bytes!("../../testdata/halves_grey.jpg");

fn size(width: u32, height: u32) -> Size {
    Size::new(width, height).unwrap()
}

fn convert(format: Format, at: Size, planes: &[Plane<'_>]) -> Result<Picture, ConvertError> {
    let frame = Frame::new(format, at, Color::default(), Uptime::default(), planes).unwrap();
    let mut picture = Picture::black(size(2, 2), Color::default());
    Converter::new().convert(&frame, &mut picture)?;
    Ok(picture)
}

fn jpeg(data: &[u8], at: Size) -> Result<Picture, ConvertError> {
    convert(Format::Mjpeg, at, &[Plane { data, stride: 0 }])
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
fn yuyv_is_unpacked_whether_or_not_its_last_row_fills_its_stride() {
    // Wide enough for the vector code, with a stride, and an odd number of rows.
    for (width, height) in [(2_u32, 2_u32), (4, 3), (70, 6), (131, 5)] {
        let stride = width.div_ceil(2) as usize * 4 + 12;
        let sample = |x: u32, y: u32| (x * 3 + y * 5) as u8;
        let chroma = |x: u32, y: u32| (100 + x + y * 4) as u8;
        let mut data = vec![0xee; stride * height as usize];
        for y in 0..height {
            for x in (0..width).step_by(2) {
                let at = y as usize * stride + x as usize * 2;
                data[at..at + 4].copy_from_slice(&[
                    sample(x, y),
                    chroma(x / 2, y),
                    sample(x + 1, y),
                    255 - chroma(x / 2, y),
                ]);
            }
        }
        let short = data.len() - 12;
        for end in [data.len(), short] {
            let plane = Plane { data: &data[..end], stride };
            let picture = convert(Format::Yuyv, size(width, height), &[plane]).unwrap();
            let shown = size(width & !1, height & !1);
            assert_eq!(picture.size(), shown);
            let [y, u, v] = picture.planes();
            for (at, &y) in y.iter().enumerate() {
                let at = at as u32;
                assert_eq!(y, sample(at % shown.width(), at / shown.width()), "luma {at} of {shown}");
            }
            for (at, (&u, &v)) in u.iter().zip(v).enumerate() {
                let (x, y) = (at as u32 % shown.chroma_width(), at as u32 / shown.chroma_width() * 2);
                let mean = (u16::from(chroma(x, y)) + u16::from(chroma(x, y + 1))).div_ceil(2) as i32;
                assert!((i32::from(u) - mean).abs() <= 1, "u {at} of {shown}: {u}, wanted {mean}");
                assert!((i32::from(v) - (255 - mean)).abs() <= 1, "v {at} of {shown}: {v}, wanted {}", 255 - mean);
            }
        }
    }
}

#[test]
fn jpegs_of_every_camera_kind_show_their_colours_and_say_full_range() {
    for (data, right) in [(JPEG_420, [193, 37, 150]), (JPEG_422, [193, 37, 150]), (JPEG_GREY, [182, 128, 128])] {
        let picture = jpeg(data, size(36, 18)).unwrap();
        assert_eq!(picture.color(), Color { range: Range::Full, matrix: Matrix::Bt601 });
        let [y, u, v] = picture.planes();
        let near = |found: u8, wanted: u8| assert!(found.abs_diff(wanted) <= 2, "found {found}, wanted {wanted}");
        near(y[36 * 5 + 30], right[0]);
        near(u[18 * 2 + 15], right[1]);
        near(v[18 * 2 + 15], right[2]);
        assert!(y[36 * 5 + 3].abs_diff(right[0]) > 80, "left half is another colour");
    }
}

#[test]
fn a_jpeg_without_huffman_tables_has_the_standard_ones() {
    let whole = jpeg(JPEG_420, size(36, 18)).unwrap();
    let mut bare = JPEG_420.to_vec();
    while let Some(at) = bare.windows(2).position(|two| two == [0xff, 0xc4]) {
        let len = usize::from(u16::from_be_bytes([bare[at + 2], bare[at + 3]]));
        bare.drain(at..at + 2 + len);
    }
    assert!(bare.len() < JPEG_420.len());
    assert_eq!(jpeg(&bare, size(36, 18)), Ok(whole));
}

#[test]
fn a_jpeg_cut_short_is_damaged_and_one_of_another_size_is_refused() {
    let cut = &JPEG_420[..JPEG_420.len() - 12];
    assert_eq!(jpeg(cut, size(36, 18)), Err(ConvertError::Jpeg { bytes: cut.len() }));
    let frame = size(640, 480);
    assert_eq!(jpeg(JPEG_420, frame), Err(ConvertError::JpegSize { width: 36, height: 18, frame }));
    assert!(jpeg(JPEG_420, size(30, 10)).is_ok_and(|picture| picture.size() == size(30, 10)), "padding is cropped");
}

#[test]
fn bytes_after_a_jpeg_are_the_drivers_affair() {
    let padded = [JPEG_420, &[0; 100]].concat();
    assert_eq!(jpeg(&padded, size(36, 18)), jpeg(JPEG_420, size(36, 18)));
}

proptest! {
    #[test]
    fn damaged_jpegs_never_panic(
        which in 0..3_usize,
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
    ) {
        let mut data = [JPEG_420, JPEG_422, JPEG_GREY][which].to_vec();
        for (at, value) in flips {
            let at = at.index(data.len());
            data[at] = value;
        }
        let _ = jpeg(&data, size(36, 18));
    }
}
