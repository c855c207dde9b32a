//! Sensor frame to access unit, and access unit to picture.
//!
//! The way of a frame: a [`Frame`] comes from a sensor in whatever layout the sensor has, is converted to an
//! I420 [`Picture`], its private zones are painted over by a [`mask`](mask::Mask) before anything remembers them, it is
//! watched for [`motion`], loses its noise to a [`denoiser`](denoise::Denoiser), gets its [clock](overlay::Clock), and an
//! [`Encoder`] turns it into one [`AccessUnit`]. A [`Decoder`] goes the other way. Nothing here knows a network, a clock
//! or a key.
//!
//! | floor | modules |
//! |---|---|
//! | 0, vocabulary and parsers | [`units`], [`frame`], [`picture`], [`access_unit`], [`encoder`], [`decoder`], [`mask`], [`zones`], [`clip`], [`bits`], [`h264::nal`], [`h264::params`], [`av1::obu`], [`ingest`] |
//! | 1, what a fixed camera can do | [`denoise`], [`motion`], [`overlay`] |
//! | 2, C libraries and assembly | `convert`, `h264::openh264`, `av1::rav1e`, `av1::rav1d` and `av1::avif`, `av1::aom` (one feature each), [`libraries`]; `sandbox`, which runs a decoder in a process of its own |

pub mod access_unit;
pub mod av1;
pub mod bits;
pub mod clip;
#[cfg(feature = "convert")]
pub mod convert;
pub mod decoder;
pub mod denoise;
pub mod encoder;
pub mod frame;
#[doc(hidden)]
pub mod fuzzing;
pub mod h264;
pub mod ingest;
pub mod libraries;
pub mod mask;
pub mod motion;
pub mod overlay;
pub mod picture;
#[cfg(all(feature = "sandbox", target_os = "linux"))]
pub mod sandbox;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod units;
pub mod zones;

pub use access_unit::AccessUnit;
pub use decoder::Decoder;
pub use encoder::Encoder;
pub use frame::Frame;
pub use picture::Picture;

#[cfg(test)]
#[cfg(all(feature = "h264", feature = "av1", feature = "convert"))]
mod tests;
