//! The folders of known-answer files (`vectors/README.md`).

#![allow(dead_code, reason = "each test file uses its own part of it")]

use serde_json::Value;
use std::fmt::Debug;
use std::path::{Path, PathBuf};

pub(crate) fn folder(kind: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../vectors").join(kind)
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

pub(crate) fn unhex(value: &Value) -> Vec<u8> {
    let text = value.as_str().unwrap();
    (0..text.len() / 2).map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap()).collect()
}

pub(crate) fn array<const N: usize>(value: &Value) -> [u8; N] {
    unhex(value).try_into().unwrap()
}

pub(crate) fn save(kind: &str, name: &str, vector: &Value) {
    let text = serde_json::to_string_pretty(vector).unwrap() + "\n";
    std::fs::write(folder(kind).join(format!("{name}.json")), text).unwrap();
}

/// Reads every file of a folder, which `write` makes anew where that is wanted. `read` gives the name of the check that refused, or "ok"; several
/// where this reader does not tell them apart.
pub(crate) fn all<S: AsRef<str> + Debug>(kind: &str, least: usize, write: fn(), read: impl Fn(&Value) -> Vec<S>) {
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
        if !found.iter().any(|found| found.as_ref() == expect) {
            wrong.push(format!("{}: expected {expect}, found {found:?}", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
