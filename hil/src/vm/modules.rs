//! Kernel modules: which files a module needs before it, in the order to load them.

use super::unpack::{self, UnpackError};
use object::elf::FileHeader64;
use object::read::elf::{FileHeader as _, SectionHeader as _};
use object::{Endianness, SectionIndex};
use std::collections::{HashMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// A module, unpacked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Module {
    /// As `lsmod` writes it.
    pub(crate) name: String,
    /// ELF.
    pub(crate) bytes: Vec<u8>,
}

/// Why modules cannot be had.
#[derive(Debug, Error)]
pub(crate) enum ModuleError {
    /// The kernel is built without it.
    #[error("the kernel has no module {0}")]
    Missing(String),
    /// It cannot be read.
    #[error("cannot read {}: {error}", path.display())]
    Read {
        /// Which file or folder.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// It cannot be unpacked.
    #[error("cannot use the module {}: {error}", path.display())]
    Unpack {
        /// Which file.
        path: PathBuf,
        /// Why.
        error: UnpackError,
    },
}

/// `wanted` and what they need, out of a kernel's `lib/modules/VERSION`, in the order to load them. What is built into the kernel is left out.
///
/// # Errors
/// If one is missing or damaged.
pub(crate) fn closure(folder: &Path, wanted: &[&str]) -> Result<Vec<Module>, ModuleError> {
    let mut files = HashMap::new();
    find(folder, &mut files)?;
    let path = folder.join("modules.builtin");
    let built_in = std::fs::read_to_string(&path).map_err(|error| ModuleError::Read { path, error })?;
    let built_in: HashSet<_> = built_in.lines().filter_map(|line| name(line.as_ref())).collect();
    let mut order = Order { files, built_in, seen: HashSet::new(), modules: Vec::new() };
    for module in wanted {
        order.visit(&normal(module))?;
    }
    Ok(order.modules)
}

struct Order {
    files: HashMap<String, PathBuf>,
    built_in: HashSet<String>,
    seen: HashSet<String>,
    modules: Vec<Module>,
}

impl Order {
    fn visit(&mut self, name: &str) -> Result<(), ModuleError> {
        if self.built_in.contains(name) || !self.seen.insert(name.to_owned()) {
            return Ok(());
        }
        let path = self.files.get(name).cloned().ok_or_else(|| ModuleError::Missing(name.to_owned()))?;
        let packed = match std::fs::read(&path) {
            Ok(packed) => packed,
            Err(error) => return Err(ModuleError::Read { path, error }),
        };
        let bytes = unpack::elf(&packed).map_err(|error| ModuleError::Unpack { path, error })?;
        for needed in needs(&bytes) {
            self.visit(&needed)?;
        }
        self.modules.push(Module { name: name.to_owned(), bytes });
        Ok(())
    }
}

/// Every module file below `folder`, by name.
fn find(folder: &Path, files: &mut HashMap<String, PathBuf>) -> Result<(), ModuleError> {
    let failed = |error| ModuleError::Read { path: folder.to_owned(), error };
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let kind = entry.file_type().map_err(failed)?;
        if kind.is_dir() {
            find(&entry.path(), files)?;
        } else if let Some(name) = name(&entry.path()) {
            files.insert(name, entry.path());
        }
    }
    Ok(())
}

/// The name of the module in a file `NAME.ko`, `NAME.ko.xz` or `NAME.ko.zst`.
fn name(path: &Path) -> Option<String> {
    let (name, rest) = path.file_name()?.to_str()?.split_once(".ko")?;
    matches!(rest, "" | ".xz" | ".zst").then(|| normal(name))
}

/// A module is `snd_usb_audio` to the kernel, whatever its file says.
fn normal(name: &str) -> String {
    name.replace('-', "_")
}

/// What a module says it needs, in its section `.modinfo`: `depends=A,B`.
fn needs(module: &[u8]) -> Vec<String> {
    let Some(info) = modinfo(module) else { return Vec::new() };
    let fields = info.split(|&byte| byte == 0).filter_map(|field| std::str::from_utf8(field).ok());
    let lists = fields.filter_map(|field| field.strip_prefix("depends="));
    lists.flat_map(|list| list.split(',')).filter(|name| !name.is_empty()).map(normal).collect()
}

fn modinfo(module: &[u8]) -> Option<&[u8]> {
    let header = FileHeader64::<Endianness>::parse(module).ok()?;
    let endian = header.endian().ok()?;
    let sections = header.sections(endian, module).ok()?;
    let (_, section): (SectionIndex, _) = sections.section_by_name(endian, b".modinfo")?;
    section.data(endian, module).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_known_by_the_kernels_name_for_it() {
        let name = |path: &str| name(Path::new(path));
        assert_eq!(name("kernel/drivers/usb/class/cdc-acm.ko").as_deref(), Some("cdc_acm"));
        assert_eq!(name("kernel/drivers/usb/class/cdc-acm.ko.xz").as_deref(), Some("cdc_acm"));
        assert_eq!(name("modules.order"), None);
        assert_eq!(name("cdc-acm.kox"), None);
    }

    #[test]
    fn a_module_that_is_built_in_is_not_loaded_and_one_that_is_nowhere_is_named() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("modules.builtin"), "kernel/drivers/virtio/virtio-pci.ko\n").unwrap();
        assert_eq!(closure(folder.path(), &["virtio_pci"]).unwrap(), []);
        let error = closure(folder.path(), &["uvcvideo"]).unwrap_err();
        assert_eq!(error.to_string(), "the kernel has no module uvcvideo");
    }

    #[test]
    fn what_is_no_module_needs_nothing() {
        for bytes in [&b""[..], b"\x7fELF", b"depends=a,b"] {
            assert!(needs(bytes).is_empty());
        }
    }
}
