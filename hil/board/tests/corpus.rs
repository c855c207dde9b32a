//! Every fuzz seed and every crash ever found, replayed on stable: what a fuzzer once broke stays mended.

#![expect(clippy::unwrap_used, reason = "a test may fail")]

use doorframe_virtual_board::fuzzing::{check_block_code, check_fault_plan, check_redir, check_usbip};
use std::path::{Path, PathBuf};

fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_file()).collect();
    files.sort();
    files
}

/// An empty folder fails: a replay of nothing is silently green.
fn replay(target: &str, check: fn(&[u8])) {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz");
    let seeds = files(&fuzz.join("corpus").join(target));
    assert!(!seeds.is_empty(), "no seeds for {target}");
    let mut failed = Vec::new();
    for path in seeds.into_iter().chain(files(&fuzz.join("regressions").join(target))) {
        let bytes = std::fs::read(&path).unwrap();
        if std::panic::catch_unwind(|| check(&bytes)).is_err() {
            failed.push(path);
        }
    }
    assert!(failed.is_empty(), "{failed:?}");
}

#[test]
fn usbredir_peers() {
    replay("usbredir", check_redir);
}

#[test]
fn usbip_peers() {
    replay("usbip", check_usbip);
}

#[test]
fn fault_plans() {
    replay("fault_plan", check_fault_plan);
}

#[test]
fn numbers_in_pictures() {
    replay("block_code", check_block_code);
}
