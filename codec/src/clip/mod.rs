//! Footage in files.

pub mod annexb;
pub mod mjpeg;
