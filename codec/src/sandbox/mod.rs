//! A decoder in a process of its own, for footage that others made.
//!
//! Decoders are large, and openh264's is C++: whoever chooses the bytes may find the one that takes it over. Here it sits
//! in a process that can do nothing but decode. [`Sandboxed`] is that process seen from outside, a [`Decoder`] like the
//! ones inside; [`serve`] is the process itself, which a program must call first thing when [`is_asked`] says so:
//!
//! ```no_run
//! use doorframe_codec::sandbox;
//! use std::process::ExitCode;
//!
//! fn main() -> ExitCode {
//!     if sandbox::is_asked() {
//!         return sandbox::serve();
//!     }
//!     // What the program is for, with `Sandboxed::new(Program::this(), ..)` somewhere.
//!     ExitCode::SUCCESS
//! }
//! ```
//!
//! | against | by |
//! |---|---|
//! | files, network, other processes | seccomp: some 30 system calls are left, none of which opens or sends; any other ends the process |
//! | the same once more | landlock with no rule, where the kernel has it (Linux 5.13; TCP from 6.7, abstract sockets and signals from 6.12) |
//! | machine code of its own | seccomp: no memory becomes executable |
//! | memory | `RLIMIT_AS` |
//! | time | the parent waits so long for each unit, then ends it |
//! | a lying answer | 32 bytes, checked before memory is taken; samples come in memory whose size is sealed |
//! | what the program knows | it is started anew with an empty environment and three descriptors: a socket, the shared memory, nothing |
//!
//! It costs two copies of a picture and two changes of process: measured in turn with the same decoder inside, best of 60
//! for each unit, three runs of both codecs on a busy machine of two cores, 0.4 ms a picture at 720p (0 to 2.8) and 1 ms
//! at 1080p (0 to 2.2); to start one, 2.5 ms. `cargo bench --bench sandbox` measures it on yours.
//!
//! After a fall the next keyframe starts another process. What is shown can still be anything: a picture that was made up
//! by whoever made the footage is a picture.

mod area;
mod child;
mod jail;
mod parent;
mod wire;

pub use child::{ARGUMENT, is_asked, serve};
pub use jail::{Landlock, Protections, SUPPORTED};
pub use parent::{Config, Program, SandboxError, Sandboxed};

#[cfg(feature = "testing")]
#[doc(hidden)]
pub use child::HOOK;

use crate::access_unit::Codec;
use crate::decoder::{Decoder, Limits, OnDamage};
use crate::units::Size;

/// Takes every right away that landlock can take, for the test that it does; `None` if that failed.
#[cfg(feature = "testing")]
#[doc(hidden)]
pub fn land() -> Option<Landlock> {
    jail::land().ok()
}

/// In which order pictures are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Footage {
    /// Live: each unit's picture comes at once.
    Live,
    /// A file: its pictures may come in another order than their units, the last ones by [`Decoder::flush`].
    Clip,
}

/// Which decoder is wanted inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Wanted {
    codec: Codec,
    footage: Footage,
    on_damage: OnDamage,
    threads: u8,
    limits: Limits,
}

impl Wanted {
    /// The decoder, if this build has it.
    fn decoder(self) -> Option<Box<dyn Decoder>> {
        match self.codec {
            #[cfg(feature = "h264")]
            Codec::H264 => {
                use crate::h264::openh264::Openh264Decoder;
                let decoder = match self.footage {
                    Footage::Live => Openh264Decoder::new(self.limits),
                    Footage::Clip => Openh264Decoder::for_clips(self.limits),
                };
                Some(Box::new(decoder.on_damage(self.on_damage)))
            }
            #[cfg(feature = "av1")]
            Codec::Av1 => Some(Box::new(crate::av1::rav1d::Rav1dDecoder::with_threads(self.limits, self.threads))),
            #[allow(unreachable_patterns, reason = "a build may have all decoders")]
            _ => None,
        }
    }

    /// Bytes that parent and child share: a unit, then a picture.
    fn area(&self) -> usize {
        // A row and a column more of chroma than half, where the sides are odd.
        let picture = self.limits.pixels.saturating_add(self.limits.pixels / 2).saturating_add(MAX_EDGE);
        self.limits.unit_bytes.saturating_add(picture)
    }
}

/// What odd sides add to the samples of a picture, at most.
const MAX_EDGE: usize = Size::MAX_SIDE as usize + 1;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::Picture;

    #[test]
    fn the_largest_picture_of_any_shape_fits_the_shared_memory() {
        for (width, height) in [(8191, 8191), (8192, 1), (1, 8191), (1, 1), (1921, 1081)] {
            let size = Size::new(width, height).unwrap();
            let limits = Limits { pixels: size.pixels(), unit_bytes: 10 };
            let (codec, footage, on_damage) = (Codec::H264, Footage::Live, OnDamage::Wait);
            let wanted = Wanted { codec, footage, on_damage, threads: 2, limits };
            assert!(wanted.area() >= 10 + Picture::bytes(size), "{size}");
        }
    }
}
