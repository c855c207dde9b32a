//! A Linux image and its modules, out of the forms they are shipped in.

use lzma_rust2::XzReader;
use ruzstd::decoding::StreamingDecoder;
use std::io::{self, Read};
use thiserror::Error;

/// Why an image or a module cannot be used.
#[derive(Debug, Error)]
pub(crate) enum UnpackError {
    /// Shorter than its own header says, or no image at all.
    #[error("it is no Linux image for x86 (bzImage)")]
    NotAnImage,
    /// Packed by something else.
    #[error("it is packed by neither xz nor zstd: it begins with {0:02x?}")]
    Packing(Vec<u8>),
    /// The packed bytes are damaged, or far larger than a kernel.
    #[error("it cannot be unpacked: {0}")]
    Damaged(#[from] io::Error),
    /// What was packed is no ELF file.
    #[error("what is inside is no ELF file")]
    NotElf,
}

const XZ: &[u8] = b"\xfd7zXZ\0";
const ZSTD: &[u8] = b"\x28\xb5\x2f\xfd";
const ELF: &[u8] = b"\x7fELF";
/// More than any distribution's kernel or module has, in bytes.
const MOST: u64 = 512 << 20;

/// The ELF kernel inside a bzImage, which a PC with a PVH boot starts without unpacking it itself (six seconds under
/// emulation). Layout: `Documentation/arch/x86/boot.rst` of Linux, protocol 2.08.
///
/// # Errors
/// If it is none, or packed in a way that is not known.
pub(crate) fn vmlinux(image: &[u8]) -> Result<Vec<u8>, UnpackError> {
    let word = |at: usize| {
        let bytes = image.get(at..)?.first_chunk::<4>()?;
        usize::try_from(u32::from_le_bytes(*bytes)).ok()
    };
    let payload = || {
        image.get(0x202..)?.starts_with(b"HdrS").then_some(())?;
        // Zero means four, for history's sake.
        let sectors = match usize::from(*image.get(0x1f1)?) {
            0 => 4,
            sectors => sectors,
        };
        let start = ((sectors + 1) * 512).checked_add(word(0x248)?)?;
        // The last four bytes are the unpacked size.
        image.get(start..start.checked_add(word(0x24c)?)?.checked_sub(4)?)
    };
    // The magic of the header is at 0x202.
    elf(payload().ok_or(UnpackError::NotAnImage)?)
}

/// An ELF file that may be packed by xz or zstd, as modules are on some releases.
///
/// # Errors
/// If it is damaged, or packed by something else.
pub(crate) fn elf(packed: &[u8]) -> Result<Vec<u8>, UnpackError> {
    let mut plain = Vec::new();
    if packed.starts_with(ELF) {
        plain.extend_from_slice(packed);
    } else if packed.starts_with(XZ) {
        XzReader::new(packed, false).take(MOST).read_to_end(&mut plain)?;
    } else if packed.starts_with(ZSTD) {
        let decoder = StreamingDecoder::new(packed).map_err(io::Error::other)?;
        decoder.take(MOST).read_to_end(&mut plain)?;
    } else {
        return Err(UnpackError::Packing(packed.iter().take(6).copied().collect()));
    }
    if plain.starts_with(ELF) { Ok(plain) } else { Err(UnpackError::NotElf) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `\x7fELF and more` by `xz --check=crc32`.
    const PACKED: &[u8] = &[
        0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00, 0x00, 0x01, 0x69, 0x22, 0xde, 0x36, 0x02, 0x00, 0x21, 0x01, 0x16, 0x00,
        0x00, 0x00, 0x74, 0x2f, 0xe5, 0xa3, 0x01, 0x00, 0x0c, 0x7f, 0x45, 0x4c, 0x46, 0x20, 0x61, 0x6e, 0x64, 0x20,
        0x6d, 0x6f, 0x72, 0x65, 0x00, 0x00, 0x00, 0x00, 0x0a, 0x89, 0x4d, 0xc8, 0x00, 0x01, 0x21, 0x0d, 0x75, 0xdc,
        0xa8, 0xd2, 0x90, 0x42, 0x99, 0x0d, 0x01, 0x00, 0x00, 0x00, 0x00, 0x01, 0x59, 0x5a,
    ];

    fn image(payload: &[u8]) -> Vec<u8> {
        let mut image = vec![0; 1024];
        image[0x1f1] = 1;
        image[0x202..0x206].copy_from_slice(b"HdrS");
        image[0x24c..0x250].copy_from_slice(&(payload.len() as u32 + 4).to_le_bytes());
        image.extend_from_slice(payload);
        image.extend_from_slice(&[0; 4]);
        image
    }

    #[test]
    fn a_kernel_is_taken_out_of_its_image_packed_or_not() {
        assert_eq!(vmlinux(&image(b"\x7fELF as it is")).unwrap(), b"\x7fELF as it is");
        assert_eq!(vmlinux(&image(PACKED)).unwrap(), b"\x7fELF and more");
    }

    #[test]
    fn what_is_cut_or_something_else_is_refused_in_words() {
        let whole = image(PACKED);
        // The size at its end is not looked at.
        for cut in 0..whole.len() - 4 {
            assert!(vmlinux(&whole[..cut]).is_err(), "{cut} bytes of {}", whole.len());
        }
        assert!(matches!(vmlinux(&image(b"\x1f\x8b gzip")), Err(UnpackError::Packing(_))));
        assert!(matches!(elf(&PACKED[..PACKED.len() / 2]), Err(UnpackError::Damaged(_))));
    }
}
