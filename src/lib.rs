//! Live video from your own door that only you can open.

pub mod sensor;
