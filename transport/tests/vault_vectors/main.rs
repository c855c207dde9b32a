//! Known-answer files of device lists, recovery keys, grants and events (`vectors/README.md`).
//!
//! `DOORFRAME_WRITE_VECTORS=1` writes them anew, by a writer that knows nothing of the crate (`writer.rs`).

#![expect(clippy::unwrap_used, reason = "a test may fail")]

mod devices;
mod events;
mod grants;
mod recovery;
mod writer;

use serde_json::Value;
use std::path::{Path, PathBuf};

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../vectors").join(name)
}

pub(crate) fn save(kind: &str, name: &str, vector: &Value) {
    let text = serde_json::to_string_pretty(vector).unwrap() + "\n";
    std::fs::write(folder(kind).join(format!("{name}.json")), text).unwrap();
}

/// Reads every file of a folder; `read` gives the name of the check that refused, or "ok".
pub(crate) fn all(kind: &str, least: usize, write: fn(), read: fn(&Value) -> String) {
    if std::env::var_os("DOORFRAME_WRITE_VECTORS").is_some() {
        write();
    }
    let mut files: Vec<_> = std::fs::read_dir(folder(kind)).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= least, "only {} vectors of {kind}", files.len());
    let mut wrong = Vec::new();
    for path in files {
        let vector: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let (expect, found) = (vector["expect"].as_str().unwrap(), read(&vector));
        if expect != found {
            wrong.push(format!("{}: expected {expect}, found {found}", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
