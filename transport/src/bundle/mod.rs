//! A clip that is handed over whole: sealed epochs, what proves whose they are, and a grant of exactly these (`docs/format.md`, "Bundle").
//!
//! Without keys, [`Bundle::check`] tells whether the camera signed all of it and whether something is missing. With the grant's key,
//! [`Bundle::open`] gives what opens its epochs and no other of the session.

mod record;

pub use record::{Bundle, BundleChecked, BundleError, BundleOpenRefused, BundlePart, BundleRefused, MAX_BUNDLE};

pub(crate) use record::emit_unsigned;
