//! H.264 by Cisco's openh264, compiled from source.
//!
//! The encoder speaks to the library through `openh264-sys2`, because the safe crate cannot set what matters here:
//! the entropy coder, the slices, and the bitrate while it runs. The decoder is started and ended by the safe crate.

mod complexity;
mod decoder;
mod encoder;
mod library;
mod qp;
mod reference;

pub use decoder::Openh264Decoder;
pub use encoder::Openh264Encoder;

pub(crate) use decoder::version;

#[cfg(test)]
mod tests;
