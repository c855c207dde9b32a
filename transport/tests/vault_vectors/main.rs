//! Known-answer files of the key tree and sealing, device lists, recovery keys, grants and events (`vectors/README.md`).
//!
//! `DOORFRAME_WRITE_VECTORS=1` writes them anew, by a writer that knows nothing of the crate (`writer.rs`).

#![expect(clippy::unwrap_used, reason = "a test may fail")]

mod devices;
mod events;
mod grants;
mod recovery;
mod seal;
#[path = "../common/vectors.rs"]
mod vectors;
mod writer;

use serde_json::Value;
pub(crate) use vectors::save;

/// Reads every file of a folder; `read` gives the name of the check that refused, or "ok".
pub(crate) fn all(kind: &str, least: usize, write: fn(), read: fn(&Value) -> String) {
    vectors::all(kind, least, write, |vector| vec![read(vector)]);
}
