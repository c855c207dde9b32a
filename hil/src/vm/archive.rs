//! The archive a kernel unpacks as its first file system: cpio in the `newc` form.

use std::collections::BTreeSet;

/// An archive under construction. Folders above a file are made with it.
#[derive(Debug, Default)]
pub(crate) struct Archive {
    bytes: Vec<u8>,
    folders: BTreeSet<String>,
    /// Each entry is a file of its own.
    entries: u32,
}

const FOLDER: u32 = 0o040_755;
const PROGRAM: u32 = 0o100_755;
const TERMINAL: u32 = 0o020_600;

impl Archive {
    /// Adds an empty folder at `path`, written without a slash in front.
    pub(crate) fn folder(&mut self, path: &str) {
        if let Some((above, _)) = path.rsplit_once('/') {
            self.folder(above);
        }
        if !path.is_empty() && self.folders.insert(path.to_owned()) {
            self.entry(path, FOLDER, [0, 0], &[]);
        }
    }

    /// Adds a file that may be run.
    pub(crate) fn file(&mut self, path: &str, bytes: &[u8]) {
        if let Some((above, _)) = path.rsplit_once('/') {
            self.folder(above);
        }
        self.entry(path, PROGRAM, [0, 0], bytes);
    }

    /// Adds `/dev/console`, which the kernel opens for the first process before anything is mounted.
    pub(crate) fn console(&mut self) {
        self.folder("dev");
        self.entry("dev/console", TERMINAL, [5, 1], &[]);
    }

    /// The whole archive.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.entry("TRAILER!!!", 0, [0, 0], &[]);
        self.bytes
    }

    /// `Documentation/driver-api/early-userspace/buffer-format.rst` of Linux.
    fn entry(&mut self, path: &str, mode: u32, [major, minor]: [u32; 2], bytes: &[u8]) {
        self.entries += 1;
        self.bytes.extend_from_slice(b"070701");
        let (size, name) = (bytes.len() as u32, path.len() as u32 + 1);
        for field in [self.entries, mode, 0, 0, 1, 0, size, 0, 0, major, minor, name, 0] {
            self.bytes.extend_from_slice(format!("{field:08x}").as_bytes());
        }
        self.bytes.extend_from_slice(path.as_bytes());
        self.bytes.push(0);
        self.align();
        self.bytes.extend_from_slice(bytes);
        self.align();
    }

    fn align(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_comes_after_the_folders_it_lies_in_and_each_once() {
        let mut archive = Archive::default();
        archive.file("lib/deep/one", b"12345");
        archive.file("lib/deep/two", b"");
        let bytes = archive.finish();
        assert!(bytes.len().is_multiple_of(4));
        let text = String::from_utf8_lossy(&bytes);
        let at = |what: &str| text.match_indices(what).map(|(at, _)| at).collect::<Vec<_>>();
        let names = ["lib\0", "lib/deep\0", "lib/deep/one\0", "lib/deep/two\0", "TRAILER!!!\0"].map(at);
        assert!(names.iter().all(|found| found.len() == 1), "{names:?}");
        assert!(names.is_sorted(), "{names:?}");
    }

    #[test]
    fn an_entry_is_as_the_kernel_documents_it() {
        let mut archive = Archive::default();
        archive.file("init", b"abc");
        let bytes = archive.finish();
        let header = b"07070100000001000081ed00000000000000000000000100000000\
            000000030000000000000000000000000000000000000005\
            00000000init\0\0abc\0";
        assert_eq!(bytes[..header.len()], header[..]);
    }
}
