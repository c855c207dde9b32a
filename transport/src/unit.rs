//! Plaintext of a media object: an access unit with what belongs to it (`docs/wire.md` §7).

use crate::parse::{Reader, RecordError};
use bytes::Bytes;
use doorframe_codec::AccessUnit;
use doorframe_codec::access_unit::{Codec, Kind};
use doorframe_codec::units::{MediaTime, Size, TemporalLayer};
use std::time::Duration;

/// Bytes before the access unit.
pub const HEADER: usize = 22;
/// Largest media object, in bytes: what a reader takes from a peer.
pub const MAX_OBJECT: usize = 8 << 20;

/// An access unit as a viewer gets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaUnit {
    /// The access unit; its time is the capture on the session's clock.
    pub unit: AccessUnit,
    /// Time from capture to sealing, as the camera measured it.
    pub encoded_after: Duration,
}

/// Writes the plaintext of `unit` to `out`, whose old contents go.
pub fn emit(unit: &AccessUnit, encoded_after: Duration, out: &mut Vec<u8>) {
    out.clear();
    append(unit, encoded_after, out);
}

/// Writes the plaintext of `unit`, of [`HEADER`] and its data's length, behind what `out` has.
pub fn append(unit: &AccessUnit, encoded_after: Duration, out: &mut Vec<u8>) {
    out.reserve(HEADER + unit.data.len());
    out.push(match unit.codec {
        Codec::Av1 => 2,
        _ => 1,
    });
    out.push(u8::from(unit.is_keyframe()) | unit.layer.id() << 1);
    // Sides are at most 8192 by type.
    out.extend_from_slice(&(unit.size.width() as u16).to_be_bytes());
    out.extend_from_slice(&(unit.size.height() as u16).to_be_bytes());
    out.extend_from_slice(&unit.at.ticks().to_be_bytes());
    out.extend_from_slice(&u32::try_from(encoded_after.as_micros()).unwrap_or(u32::MAX).to_be_bytes());
    out.extend_from_slice(&u32::try_from(unit.data.len()).unwrap_or(u32::MAX).to_be_bytes());
    out.extend_from_slice(&unit.data);
}

/// Reads a plaintext back. Padding after the access unit is let go, if it is zeros: nothing can hide in it.
///
/// # Errors
/// If it ends early or a field is out of its range.
pub fn parse(plaintext: &[u8]) -> Result<MediaUnit, RecordError> {
    let mut reader = Reader::new(plaintext);
    let codec = match reader.u8()? {
        1 => Codec::H264,
        2 => Codec::Av1,
        other => return Err(RecordError::Field { field: "codec", value: other.into() }),
    };
    let flags = reader.u8()?;
    if flags & !0b111 != 0 {
        return Err(RecordError::Field { field: "flags", value: flags.into() });
    }
    let kind = if flags & 1 == 1 { Kind::Keyframe } else { Kind::Delta };
    let layer = TemporalLayer::new(flags >> 1).ok_or(RecordError::Field { field: "layer", value: flags.into() })?;
    let (width, height) = (u32::from(reader.u16()?), u32::from(reader.u16()?));
    let size = Size::new(width, height).ok_or(RecordError::Field { field: "width", value: width.into() })?;
    let at = MediaTime::from_ticks(reader.u64()?);
    let encoded_after = Duration::from_micros(reader.u32()?.into());
    let len = reader.u32()?;
    let data = reader.slice(usize::try_from(len).unwrap_or(usize::MAX))?;
    if reader.rest().iter().any(|byte| *byte != 0) {
        return Err(RecordError::Field { field: "padding", value: 1 });
    }
    Ok(MediaUnit {
        unit: AccessUnit { codec, kind, layer, size, at, data: Bytes::copy_from_slice(data) },
        encoded_after,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit() -> AccessUnit {
        AccessUnit {
            codec: Codec::H264,
            kind: Kind::Keyframe,
            layer: TemporalLayer::new(2).unwrap(),
            size: Size::new(1280, 720).unwrap(),
            at: MediaTime::from_ticks(123_456_789),
            data: Bytes::from_static(b"\0\0\0\x01\x65door"),
        }
    }

    #[test]
    fn a_unit_comes_back_and_its_padding_does_not() {
        let mut plaintext = Vec::new();
        emit(&unit(), Duration::from_micros(2900), &mut plaintext);
        plaintext.extend_from_slice(&[0; 100]);
        let back = parse(&plaintext).unwrap();
        assert_eq!(back.unit, unit());
        assert_eq!(back.encoded_after, Duration::from_micros(2900));
        plaintext.push(1);
        assert!(parse(&plaintext).is_err(), "padding is zeros");
    }

    #[test]
    fn every_truncation_and_every_unknown_flag_is_refused() {
        let mut plaintext = Vec::new();
        emit(&unit(), Duration::ZERO, &mut plaintext);
        assert_eq!(plaintext.len(), HEADER + unit().data.len());
        for len in 0..plaintext.len() {
            assert!(parse(&plaintext[..len]).is_err(), "{len} bytes");
        }
        plaintext[1] |= 0x10;
        assert!(parse(&plaintext).is_err());
    }
}
