//! Placeholder crate root; see the modules.
