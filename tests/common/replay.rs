//! Seeds and regressions of the fuzz targets, replayed.

use std::path::{Path, PathBuf};

/// The folder `fuzz`, which is beside or above each crate of the workspace.
fn fuzz() -> PathBuf {
    let mut folders = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().map(|folder| folder.join("fuzz/corpus"));
    folders.find(|corpus| corpus.is_dir()).and_then(|corpus| corpus.parent().map(Path::to_owned)).unwrap()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_file()).collect();
    files.sort();
    files
}

/// An empty folder fails: a replay of nothing is silently green.
pub(crate) fn replay(target: &str, check: fn(&[u8])) {
    let fuzz = fuzz();
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
