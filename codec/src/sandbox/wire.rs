//! What parent and child say to each other: messages of 32 bytes, both of the same machine and the same build. The
//! parent does not trust a word of the child's.

use super::{Footage, Landlock, Protections, Wanted};
use crate::access_unit::Codec;
use crate::decoder::{DecodeError, Limits, OnDamage, Shown};
use crate::units::{Color, Matrix, Range, Size};

/// Bytes of every message.
pub(super) const MESSAGE: usize = 32;

/// Of this format: another one is not understood.
const VERSION: u8 = 1;

/// What the parent asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Request {
    /// The first: become this decoder, with so many bytes of address space.
    Become(Wanted, u64),
    /// Decode as many bytes as this, which lie at the start of the shared memory.
    Decode(usize),
    Flush,
    Reset,
}

/// What the child answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    /// It is locked in and waits for units.
    Ready(Protections),
    Nothing,
    /// A picture lies in the shared memory, after the room for a unit.
    Shown(Shown, Size, Color),
    Refused(DecodeError),
}

/// The form that all messages have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Form {
    tag: u8,
    small: [u8; 6],
    large: [u64; 3],
}

impl Form {
    fn emit(self) -> [u8; MESSAGE] {
        let mut bytes = [0; MESSAGE];
        let head = [VERSION, self.tag].into_iter().chain(self.small);
        let tail = self.large.into_iter().flat_map(u64::to_le_bytes);
        for (to, from) in bytes.iter_mut().zip(head.chain(tail)) {
            *to = from;
        }
        bytes
    }

    fn parse(bytes: &[u8; MESSAGE]) -> Option<Self> {
        let (&[version, tag, small @ ..], rest) = bytes.split_first_chunk::<8>()?;
        let (x, rest) = rest.split_first_chunk::<8>()?;
        let (y, z) = rest.split_first_chunk::<8>()?;
        let large = [*x, *y, z.try_into().ok()?].map(u64::from_le_bytes);
        (version == VERSION).then_some(Self { tag, small, large })
    }
}

impl Request {
    pub(super) fn emit(&self) -> [u8; MESSAGE] {
        let mut form = Form::default();
        match *self {
            Self::Become(wanted, memory) => {
                form.tag = 1;
                let codec = u8::from(wanted.codec == Codec::Av1);
                let clip = u8::from(wanted.footage == Footage::Clip);
                let conceals = u8::from(wanted.on_damage == OnDamage::Conceal);
                form.small = [codec, clip, conceals, wanted.threads, 0, 0];
                form.large = [wanted.limits.pixels as u64, wanted.limits.unit_bytes as u64, memory];
            }
            Self::Decode(bytes) => {
                form.tag = 2;
                form.large = [bytes as u64, 0, 0];
            }
            Self::Flush => form.tag = 3,
            Self::Reset => form.tag = 4,
        }
        form.emit()
    }

    pub(super) fn parse(bytes: &[u8; MESSAGE]) -> Option<Self> {
        let form = Form::parse(bytes)?;
        let whole = |number: u64| usize::try_from(number).ok();
        let request = match (form.tag, form.small, form.large) {
            (1, [codec, clip, conceals, threads, ..], [pixels, unit_bytes, memory]) => {
                let codec = if codec == 1 { Codec::Av1 } else { Codec::H264 };
                let footage = if clip == 1 { Footage::Clip } else { Footage::Live };
                let on_damage = if conceals == 1 { OnDamage::Conceal } else { OnDamage::Wait };
                let limits = Limits { pixels: whole(pixels)?, unit_bytes: whole(unit_bytes)? };
                Self::Become(Wanted { codec, footage, on_damage, threads, limits }, memory)
            }
            (2, _, [bytes, ..]) => Self::Decode(whole(bytes)?),
            (3, ..) => Self::Flush,
            (4, ..) => Self::Reset,
            _ => return None,
        };
        (request.emit() == *bytes).then_some(request)
    }
}

impl Reply {
    pub(super) fn emit(&self) -> [u8; MESSAGE] {
        let mut form = Form::default();
        match *self {
            Self::Ready(Protections { landlock }) => {
                form.tag = 16;
                form.small = [landlock as u8, 0, 0, 0, 0, 0];
            }
            Self::Nothing | Self::Shown(Shown::Nothing, ..) => form.tag = 17,
            Self::Shown(shown, size, color) => {
                form.tag = if shown == Shown::Picture { 18 } else { 19 };
                form.small =
                    [u8::from(color.range == Range::Full), u8::from(color.matrix == Matrix::Bt601), 0, 0, 0, 0];
                form.large = [size.width().into(), size.height().into(), 0];
            }
            Self::Refused(error) => {
                form.tag = 20;
                let (code, large) = match error {
                    DecodeError::UnitTooLarge(bytes) => (1, [bytes as u64, 0, 0]),
                    DecodeError::PictureTooLarge(size) => (2, [size.width().into(), size.height().into(), 0]),
                    DecodeError::NeedsKeyframe => (3, [0; 3]),
                    DecodeError::Damaged(status) => (4, [status.cast_unsigned(), 0, 0]),
                    DecodeError::ParameterSets(count) => (5, [count as u64, 0, 0]),
                    // No other is the answer of a decoder in the child, to a unit of its own codec.
                    _ => (6, [0; 3]),
                };
                form.small = [code, 0, 0, 0, 0, 0];
                form.large = large;
            }
        }
        form.emit()
    }

    /// `None` for what no child in its right mind says: an unknown form, a picture above the limits.
    pub(super) fn parse(bytes: &[u8; MESSAGE], limits: Limits) -> Option<Self> {
        let form = Form::parse(bytes)?;
        let [first, second, ..] = form.small;
        let [x, y, _] = form.large;
        let size = || Size::new(u32::try_from(x).ok()?, u32::try_from(y).ok()?);
        let whole = || usize::try_from(x).ok();
        let reply = match (form.tag, first) {
            (16, landlock) => Self::Ready(Protections { landlock: Landlock::from_number(landlock)? }),
            (17, _) => Self::Nothing,
            (tag @ (18 | 19), full) => {
                let range = if full == 1 { Range::Full } else { Range::Limited };
                let matrix = if second == 1 { Matrix::Bt601 } else { Matrix::Bt709 };
                let shown = if tag == 18 { Shown::Picture } else { Shown::Concealed };
                Self::Shown(shown, size().filter(|size| size.pixels() <= limits.pixels)?, Color { range, matrix })
            }
            (20, 1) => Self::Refused(DecodeError::UnitTooLarge(whole()?)),
            (20, 2) => Self::Refused(DecodeError::PictureTooLarge(size()?)),
            (20, 3) => Self::Refused(DecodeError::NeedsKeyframe),
            (20, 4) => Self::Refused(DecodeError::Damaged(x.cast_signed())),
            (20, 5) => Self::Refused(DecodeError::ParameterSets(whole()?)),
            (20, 6) => Self::Refused(DecodeError::Layout),
            _ => return None,
        };
        // One form for one meaning: nothing else hides in a message.
        (reply.emit() == *bytes).then_some(reply)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LIMITS: Limits = Limits { pixels: 640 * 360, unit_bytes: 1000 };

    fn check(bytes: &[u8; MESSAGE]) -> Option<Reply> {
        let reply = Reply::parse(bytes, LIMITS);
        if let Some(reply) = reply {
            assert_eq!(reply.emit(), *bytes);
        }
        if let Some(Reply::Shown(_, size, _)) = reply {
            assert!(size.pixels() <= LIMITS.pixels);
        }
        reply
    }

    proptest! {
        #[test]
        fn whatever_a_child_says_is_parsed_within_the_limits_or_not_at_all(bytes: [u8; MESSAGE]) {
            check(&bytes);
        }

        #[test]
        fn a_reply_with_one_field_changed_means_what_it_says(
            tag in 15_u8..22, code in 0_u8..8, second in 0_u8..3, x in 0_u64..10_000, y in 0_u64..10_000, z in 0_u64..2,
        ) {
            check(&Form { tag, small: [code, second, 0, 0, 0, 0], large: [x, y, z] }.emit());
        }

        #[test]
        fn a_picture_comes_back_as_it_was_said(width in 1_u32..640, height in 1_u32..360, guessed: bool, full: bool) {
            let size = Size::new(width, height).unwrap();
            let range = if full { Range::Full } else { Range::Limited };
            let shown = if guessed { Shown::Concealed } else { Shown::Picture };
            let reply = Reply::Shown(shown, size, Color { range, matrix: Matrix::Bt601 });
            prop_assert_eq!(check(&reply.emit()), Some(reply));
        }

        #[test]
        fn a_refusal_comes_back_as_it_was_said(status: i64, count: usize) {
            for error in [
                DecodeError::Damaged(status),
                DecodeError::UnitTooLarge(count),
                DecodeError::ParameterSets(count),
                DecodeError::NeedsKeyframe,
                DecodeError::Layout,
                DecodeError::PictureTooLarge(Size::new(8192, 8192).unwrap()),
            ] {
                prop_assert_eq!(check(&Reply::Refused(error).emit()), Some(Reply::Refused(error)));
            }
        }

        #[test]
        fn a_request_comes_back_as_it_was_said(pixels: usize, unit_bytes: usize, memory: u64, threads: u8, kind in 0..8) {
            let codec = if kind & 1 == 0 { Codec::H264 } else { Codec::Av1 };
            let footage = if kind & 2 == 0 { Footage::Live } else { Footage::Clip };
            let on_damage = if kind & 4 == 0 { OnDamage::Wait } else { OnDamage::Conceal };
            let limits = Limits { pixels, unit_bytes };
            let wanted = Wanted { codec, footage, on_damage, threads, limits };
            for request in [Request::Become(wanted, memory), Request::Decode(pixels), Request::Flush, Request::Reset] {
                prop_assert_eq!(Request::parse(&request.emit()), Some(request));
            }
        }
    }

    #[test]
    fn a_picture_over_the_limits_is_a_lie() {
        for (width, height, fits) in [(640, 360, true), (641, 360, false), (8192, 8192, false), (0, 360, false)] {
            let form = Form { tag: 18, small: [0; 6], large: [width, height, 0] };
            assert_eq!(check(&form.emit()).is_some(), fits, "{width}x{height}");
        }
        let wide = Form { tag: 18, small: [0; 6], large: [(1 << 32) + 640, 360, 0] };
        assert_eq!(check(&wide.emit()), None);
    }
}
