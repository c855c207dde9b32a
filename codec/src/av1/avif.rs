//! Stills: a picture as an AVIF file (AV1 Image File Format 1.1), for snapshots and thumbnails of events.
//!
//! rav1e encodes the picture as a single key frame, or with feature `aom` libaom, in a third of the time and with a tenth fewer
//! bytes at the same quality; `avif-serialize` puts the boxes around it. The colour of the picture is in both: in the sequence header, and in the
//! `colr` box that some viewers read instead.
//!
//! Two 720p pictures, an entrance and a garden full of leaves, in time of all threads on a Xeon with AVX-512; a second thread
//! adds 2 % to it:
//!
//! | | entrance | | | garden | | |
//! |---|---|---|---|---|---|---|
//! | rav1e, [`Quality::SNAPSHOT`] | 106 ms | 103 kB | 41.0 dB | 180 ms | 233 kB | 38.3 dB |
//! | libaom | 31 ms | 97 kB | 41.5 dB | 56 ms | 223 kB | 38.8 dB |
//! | rav1e, [`Quality::THUMBNAIL`] | 75 ms | 41 kB | 35.0 dB | 119 ms | 88 kB | 31.6 dB |
//! | libaom | 19 ms | 40 kB | 35.5 dB | 29 ms | 82 kB | 32.0 dB |

#[cfg(feature = "aom")]
use crate::av1::aom::still as encode;
#[cfg(not(feature = "aom"))]
use crate::av1::rav1e::still as encode;
use crate::encoder::EncodeError;
use crate::picture::Picture;
use crate::units::{Matrix, Range, Size};
use avif_serialize::Aviffy;
use avif_serialize::constants::{ColorPrimaries, MatrixCoefficients, TransferCharacteristics};
use bytes::Bytes;
use thiserror::Error;

/// How much a still shall look like its picture, 1 to 100.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Quality(u8);

impl Quality {
    /// For a snapshot that somebody will look at closely.
    pub const SNAPSHOT: Self = Self(75);
    /// For a thumbnail in a list.
    pub const THUMBNAIL: Self = Self(50);

    /// Returns `None` outside of 1 to 100.
    pub const fn new(quality: u8) -> Option<Self> {
        if quality == 0 || quality > 100 { None } else { Some(Self(quality)) }
    }

    /// 1 to 100.
    pub const fn get(self) -> u8 {
        self.0
    }

    /// AV1's `base_q_idx`: 0 is the finest, 255 the coarsest; not 0, which would be without loss.
    ///
    /// The curve gives 160 at 50 and 100 at 75.
    fn quantizer(self) -> u8 {
        let coarse = 1.0 - f32::from(self.0) / 100.0;
        ((255.0 * coarse.powf(0.68)).round() as u8).max(1)
    }
}

/// Why a picture could not be made a still.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum StillError {
    /// The encoder failed.
    #[error("no still of {size}: {error}")]
    Encode {
        /// Size of the picture.
        size: Size,
        /// What it says.
        error: EncodeError,
    },
    /// The boxes could not be written.
    #[error("the boxes of a still of {size} could not be written ({kind})")]
    Boxes {
        /// Size of the picture.
        size: Size,
        /// What the writer says.
        kind: std::io::ErrorKind,
    },
}

/// Makes `picture` an AVIF file, on as many threads as given, 1 to 16.
///
/// The picture may have any size, an odd one too.
///
/// # Errors
/// If a library fails.
pub fn still(picture: &Picture, quality: Quality, threads: u8) -> Result<Bytes, StillError> {
    let (size, color) = (picture.size(), picture.color());
    let coded = encode(picture, quality.quantizer(), threads.clamp(1, 16))
        .map_err(|error| StillError::Encode { size, error })?;
    // A file needs no temporal delimiter, and should have none (AV1 Image File Format §2.1): always these two bytes.
    let item = coded.strip_prefix(&[0x12, 0]).unwrap_or(&coded);
    let (primaries, transfer, matrix) = match color.matrix {
        Matrix::Bt601 => (ColorPrimaries::Bt601, TransferCharacteristics::Bt601, MatrixCoefficients::Bt601),
        Matrix::Bt709 => (ColorPrimaries::Bt709, TransferCharacteristics::Bt709, MatrixCoefficients::Bt709),
    };
    let mut file = Vec::with_capacity(item.len() + 512);
    Aviffy::new()
        .set_width(size.width())
        .set_height(size.height())
        .set_bit_depth(8)
        .set_seq_profile(0)
        .set_chroma_subsampling((true, true))
        .set_color_primaries(primaries)
        .set_transfer_characteristics(transfer)
        .set_matrix_coefficients(matrix)
        .set_full_color_range(color.range == Range::Full)
        .write_slice(&mut file, item, None)
        .map_err(|error| StillError::Boxes { size, kind: error.kind() })?;
    Ok(file.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access_unit::{AccessUnit, Codec, Kind};
    use crate::av1::facts;
    use crate::av1::obu::{ObuKind, obus};
    use crate::av1::rav1d::Rav1dDecoder;
    use crate::decoder::{Decoder, Limits, Shown};
    use crate::testing::Scene;
    use crate::units::{Color, MediaTime, TemporalLayer};

    fn quality(quality: u8) -> Quality {
        Quality::new(quality).unwrap()
    }

    /// The boxes at the top of a file: kind and content.
    fn boxes(mut file: &[u8]) -> Vec<([u8; 4], &[u8])> {
        let mut found = Vec::new();
        while let Some((head, _)) = file.split_first_chunk::<8>() {
            let [a, b, c, d, kind @ ..] = *head;
            let (whole, rest) = file.split_at(u32::from_be_bytes([a, b, c, d]) as usize);
            found.push((kind, &whole[8..]));
            file = rest;
        }
        assert!(file.is_empty());
        found
    }

    /// What follows the four letters `kind`, wherever they are: enough for the small boxes inside `meta`.
    fn inner<'a>(file: &'a [u8], kind: &[u8; 4]) -> &'a [u8] {
        let at = file.windows(4).position(|letters| letters == kind).expect("no such box");
        &file[at + 4..]
    }

    /// The coded picture in a file.
    fn item(file: &[u8]) -> &[u8] {
        let boxes = boxes(file);
        let kinds: Vec<_> = boxes.iter().map(|(kind, _)| kind).collect();
        assert_eq!(kinds, [b"ftyp", b"meta", b"mdat"]);
        assert!(boxes[0].1.starts_with(b"avif"));
        boxes[2].1
    }

    fn decode(file: &[u8], size: Size) -> Picture {
        let data = Bytes::copy_from_slice(item(file));
        let (codec, kind, layer, at) = (Codec::Av1, Kind::Keyframe, TemporalLayer::BASE, MediaTime::default());
        let mut picture = Picture::black(size, Color::default());
        let unit = AccessUnit { codec, kind, layer, size, at, data };
        assert_eq!(Rav1dDecoder::new(Limits::default()).decode(&unit, &mut picture), Ok(Shown::Picture));
        picture
    }

    #[test]
    fn a_still_looks_like_its_picture_in_the_same_colours() {
        let size = Size::new(320, 176).unwrap();
        for range in [Range::Limited, Range::Full] {
            for (matrix, points) in [(Matrix::Bt601, 6), (Matrix::Bt709, 1)] {
                let color = Color { range, matrix };
                let source = Scene::new(size, 1).with_color(color).picture(3);
                let file = still(&source, Quality::SNAPSHOT, 1).unwrap();
                let picture = decode(&file, size);
                let db = picture.psnr_y(&source).unwrap();
                assert!(db > 36.0, "{db} dB");
                assert_eq!((picture.size(), picture.color()), (size, color));
                let full = u8::from(range == Range::Full) << 7;
                assert!(
                    inner(&file, b"colr").starts_with(&[b'n', b'c', b'l', b'x', 0, points, 0, points, 0, points, full])
                );
                // Version 1; profile 0; 8 bits, in colour, chroma halved both ways.
                let [version, profile, layout, ..] = *inner(&file, b"av1C") else { panic!("av1C is short") };
                assert_eq!((version, profile >> 5, layout >> 2), (0x81, 0, 0b00011));
            }
        }
    }

    #[test]
    fn a_file_holds_one_still_without_a_delimiter() {
        let size = Size::new(64, 48).unwrap();
        let file = still(&Scene::new(size, 2).picture(0), Quality::THUMBNAIL, 1).unwrap();
        let kinds: Vec<_> = obus(item(&file)).map(|obu| obu.unwrap().kind).collect();
        assert_eq!(kinds, [ObuKind::Sequence, ObuKind::Frame]);
        let sequence = facts(item(&file)).sequence.unwrap();
        assert!(sequence.still && sequence.reduced && sequence.is_8_bit_420());
        assert_eq!((sequence.size, sequence.profile), (size, 0));
    }

    #[test]
    fn a_better_quality_is_nearer_to_the_picture_and_larger() {
        let size = Size::new(160, 96).unwrap();
        let source = Scene::new(size, 3).picture(0);
        let made: Vec<_> = [1, 25, 50, 75, 100]
            .into_iter()
            .map(|step| {
                let file = still(&source, quality(step), 1).unwrap();
                (file.len(), decode(&file, size).psnr_y(&source).unwrap())
            })
            .collect();
        for pair in made.windows(2) {
            assert!(pair[0].0 < pair[1].0 && pair[0].1 < pair[1].1, "{made:?}");
        }
        assert!((Quality::new(0), Quality::new(101)) == (None, None));
    }

    #[test]
    fn threads_and_odd_sizes_make_no_difference_to_what_is_seen() {
        for (width, height) in [(1, 1), (5, 3), (321, 175), (640, 360)] {
            let size = Size::new(width, height).unwrap();
            let source = Scene::new(size, 4).picture(1);
            for threads in [0, 1, 4, 255] {
                let file = still(&source, quality(90), threads).unwrap();
                let db = decode(&file, size).psnr_y(&source).unwrap();
                assert!(db > 36.0, "{size}, {threads} threads: {db} dB");
            }
        }
    }
}
