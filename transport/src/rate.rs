//! Target bitrate.
