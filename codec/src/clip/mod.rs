//! Footage in files: what kind it is, and its pictures or access units one after the other.
//!
//! Nothing here reads or writes a file: bytes come in, slices of them go out. What is damaged in the middle is passed
//! over where the format lets a reader find its way again.

pub mod annexb;
pub mod ivf;
pub mod mjpeg;
pub mod y4m;

use crate::h264;
use crate::h264::nal::NalKind;
use thiserror::Error;

/// A kind of file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// H.264 byte stream: [`annexb`].
    AnnexB,
    /// AV1 in IVF: [`ivf`].
    Ivf,
    /// Pictures as they are: [`y4m`].
    Y4m,
    /// JPEGs one after the other: [`mjpeg`].
    Mjpeg,
}

/// Why a clip was refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ClipError {
    /// No bytes.
    #[error("file is empty")]
    Empty,
    /// None of the formats here.
    #[error("not a clip this program knows: wants Annex B H.264, IVF AV1, y4m or MJPEG")]
    Unknown,
    /// An IVF file of another codec.
    #[error("IVF file holds {0:?}: wants AV01")]
    IvfCodec(String),
    /// A header that ends too early.
    #[error("header of the file ends too early")]
    Short,
    /// A header with a value that is out of range.
    #[error("header of the file says {field} {value}: wants {wanted}")]
    Header {
        /// Which field.
        field: &'static str,
        /// What it says.
        value: String,
        /// What would do.
        wanted: &'static str,
    },
}

/// NAL units that a byte stream is searched for one that means something.
const MAX_SEARCHED: usize = 64;

/// Which kind of file begins with `bytes`; give the first few hundred kilobytes, or all.
///
/// # Errors
/// [`ClipError::Empty`] or [`ClipError::Unknown`].
pub fn sniff(bytes: &[u8]) -> Result<Kind, ClipError> {
    if bytes.is_empty() {
        return Err(ClipError::Empty);
    }
    if bytes.starts_with(y4m::MAGIC) {
        return Ok(Kind::Y4m);
    }
    if bytes.starts_with(ivf::MAGIC) {
        return Ok(Kind::Ivf);
    }
    if mjpeg::scan(bytes).is_some() {
        return Ok(Kind::Mjpeg);
    }
    let starts = bytes.starts_with(&[0, 0, 1]) || bytes.starts_with(&[0, 0, 0, 1]);
    let has_parameters = || {
        let mut found = h264::nal::nals(bytes).take(MAX_SEARCHED).filter(|nal| nal.kind() == NalKind::Sps);
        found.any(|nal| h264::params::Sps::parse(nal.payload()).is_ok())
    };
    if starts && has_parameters() { Ok(Kind::AnnexB) } else { Err(ClipError::Unknown) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn each_kind_is_known_by_its_beginning() {
        let h264: &[u8] = include_bytes!("../../testdata/bframes.h264");
        let jpeg: &[u8] = include_bytes!("../../testdata/halves_420.jpg");
        assert_eq!(sniff(h264), Ok(Kind::AnnexB));
        assert_eq!(sniff(jpeg), Ok(Kind::Mjpeg));
        assert_eq!(sniff(b"YUV4MPEG2 W2 H2\nFRAME\n"), Ok(Kind::Y4m));
        assert_eq!(sniff(b"DKIF\0\0 \0AV01"), Ok(Kind::Ivf));
    }

    #[test]
    fn what_is_no_clip_is_refused_in_words() {
        assert_eq!(sniff(b"").unwrap_err().to_string(), "file is empty");
        for bytes in [&b"hello"[..], &[0, 0, 1], &[0, 0, 0, 1, 0x67, 0xff], b"\0\0\0 ftypisom"] {
            assert_eq!(
                sniff(bytes).unwrap_err().to_string(),
                "not a clip this program knows: wants Annex B H.264, IVF AV1, y4m or MJPEG"
            );
        }
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_odd_to_be_read(bytes in prop::collection::vec(any::<u8>(), 0..200), kind in 0..4_usize) {
            let magic: [&[u8]; 4] = [b"DKIF\0\0 \0AV01", b"YUV4MPEG2 W2 H2 ", &[0xff, 0xd8, 0xff], &[0, 0, 1, 0x67]];
            crate::fuzzing::check_clip(&[magic[kind], &bytes].concat());
            crate::fuzzing::check_clip(&bytes);
            crate::fuzzing::check_access_unit(&bytes);
        }
    }
}
