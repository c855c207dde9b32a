//! A program with all it needs to run elsewhere, on the same kind of machine.

use object::Endianness;
use object::elf::FileHeader64;
use object::read::elf::{FileHeader as _, ProgramHeader as _};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A program's file without what only a debugger reads: all that no segment of it loads.
///
/// A file that is no 64-bit ELF program stays as it is.
pub(crate) fn slim(file: &mut Vec<u8>) {
    let Some(end) = end_of_segments(file) else { return };
    // Where the section headers are and how many: `e_shoff`, `e_shnum`, `e_shstrndx` of the ELF header.
    for field in [0x28..0x30, 0x3c..0x40] {
        if let Some(bytes) = file.get_mut(field) {
            bytes.fill(0);
        }
    }
    file.truncate(end);
}

fn end_of_segments(file: &[u8]) -> Option<usize> {
    let header = FileHeader64::<Endianness>::parse(file).ok()?;
    let endian = header.endian().ok()?;
    let segments = header.program_headers(endian, file).ok()?;
    let ends = segments.iter().filter_map(|segment| {
        let (start, length) = segment.file_range(endian);
        usize::try_from(start.checked_add(length)?).ok()
    });
    ends.max().filter(|&end| end <= file.len())
}

/// The shared libraries of `program` and their loader: the paths by which it looks for them.
///
/// # Errors
/// If it cannot be asked.
pub(crate) fn libraries(program: &Path) -> io::Result<Vec<PathBuf>> {
    // The loader lists what it would load, instead of starting the program (ld.so(8)); it is how `ldd` works.
    let listed = Command::new(program).env("LD_TRACE_LOADED_OBJECTS", "1").output()?;
    Ok(parse(&String::from_utf8_lossy(&listed.stdout)))
}

fn parse(listed: &str) -> Vec<PathBuf> {
    let path = |line: &str| {
        let place = line.split_once("=>").map_or(line, |(_, place)| place);
        let place = place.rsplit_once(" (").map_or(place, |(place, _)| place).trim();
        place.starts_with('/').then(|| PathBuf::from(place))
    };
    listed.lines().filter_map(path).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_and_loader_are_read_from_the_loaders_list() {
        let listed = "\tlinux-vdso.so.1 (0x00007ffd2)\n\tlibm.so.6 => /lib/x86/libm.so.6 (0x00007f3)\n\
                      \tlibgone.so => not found\n\t/lib64/ld-linux-x86-64.so.2 (0x00007f3c)\n";
        assert_eq!(parse(listed), ["/lib/x86/libm.so.6", "/lib64/ld-linux-x86-64.so.2"].map(PathBuf::from));
    }

    #[test]
    fn a_slim_program_is_smaller_and_runs() {
        let own = std::env::current_exe().unwrap();
        let mut file = std::fs::read(&own).unwrap();
        let whole = file.len();
        slim(&mut file);
        assert!(file.len() < whole);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("slim");
        std::fs::write(&path, &file).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&path, mode).unwrap();
        let listed = Command::new(&path).arg("--list").output().unwrap();
        assert!(String::from_utf8_lossy(&listed.stdout).contains("a_slim_program_is_smaller_and_runs"));
        assert!(!libraries(&path).unwrap().is_empty());
    }

    #[test]
    fn what_is_no_program_stays_as_it_is() {
        for bytes in [b"".to_vec(), b"\x7fELF".to_vec(), b"#!/bin/sh".to_vec()] {
            let mut same = bytes.clone();
            slim(&mut same);
            assert_eq!(same, bytes);
        }
    }
}
