//! Debian's kernel, made ready to boot, and kept.

use super::modules::{self, Module, ModuleError};
use super::unpack::{self, UnpackError};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use thiserror::Error;

/// A kernel and the modules that the checks need.
#[derive(Debug)]
pub(crate) struct Kernel {
    /// Debian's package.
    pub(crate) package: String,
    /// The ELF image.
    pub(crate) image: PathBuf,
    /// In the order to load them.
    pub(crate) modules: Vec<Module>,
}

/// Why there is no kernel.
#[derive(Debug, Error)]
pub(crate) enum KernelError {
    /// No list of packages, and nothing kept from before.
    #[error("cannot find Debian's kernel package ({0}): on Debian, run `sudo apt-get update` first")]
    NoPackage(String),
    /// A program of Debian's failed.
    #[error("{what} failed: {why}")]
    Tool {
        /// The command.
        what: String,
        /// What it said.
        why: String,
    },
    /// The package is not laid out as it was.
    #[error("the package {package} has no {what}")]
    Layout {
        /// Which package.
        package: String,
        /// What was looked for.
        what: &'static str,
    },
    /// The image is not one that can be booted.
    #[error("cannot use the kernel of {package}: {error}")]
    Image {
        /// Which package.
        package: String,
        /// Why.
        error: UnpackError,
    },
    /// A module is missing or damaged.
    #[error("cannot use the kernel of {package}: {error}")]
    Module {
        /// Which package.
        package: String,
        /// Why.
        error: ModuleError,
    },
    /// The folder that keeps it cannot be used.
    #[error("cannot keep the kernel in {}: {error}", path.display())]
    Cache {
        /// Which folder or file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
}

/// What the machine loads: a USB 3 controller, cameras, serial ports, keys, and the port for results.
const MODULES: [&str; 6] = ["virtio_pci", "virtio_console", "xhci_pci", "uvcvideo", "cdc_acm", "evdev"];
/// Counts up when what is kept of a package changes.
const KEPT: u32 = 1;

impl Kernel {
    /// The kernel of this Debian out of the folder `cache`, and into it if it is not there: 71 MB from Debian, 70 MB kept.
    ///
    /// # Errors
    /// What is missing, and the command that brings it.
    pub(crate) fn ready(cache: &Path) -> Result<Self, KernelError> {
        let package = match package() {
            Ok(package) => package,
            // Without lists, the newest that is here.
            Err(why) => newest(cache).ok_or(KernelError::NoPackage(why))?,
        };
        let kept = cache.join(format!("{package}.{KEPT}"));
        if !kept.join("vmlinux").is_file() {
            make(cache, &package, &kept)?;
        }
        let modules = read_modules(&kept.join("modules")).map_err(|error| in_cache(&kept, error))?;
        Ok(Self { package, image: kept.join("vmlinux"), modules })
    }
}

fn in_cache(path: &Path, error: io::Error) -> KernelError {
    KernelError::Cache { path: path.to_owned(), error }
}

/// What `linux-image-amd64` stands for today: it changes with each security update.
fn package() -> Result<String, String> {
    let told =
        run(Command::new("apt-cache").args(["depends", "linux-image-amd64"])).map_err(|error| error.to_string())?;
    let package = told.lines().find_map(|line| line.trim().strip_prefix("Depends: linux-image-"));
    package.map(|rest| format!("linux-image-{rest}")).ok_or_else(|| "apt-cache knows no linux-image-amd64".to_owned())
}

/// The package kept last.
fn newest(cache: &Path) -> Option<String> {
    let ending = format!(".{KEPT}");
    let kept = fs::read_dir(cache).ok()?.flatten().filter_map(|entry| {
        let package = entry.file_name().to_str()?.strip_suffix(&ending)?.to_owned();
        Some((entry.metadata().ok()?.modified().ok()?, package))
    });
    kept.max().map(|(_, package)| package)
}

fn make(cache: &Path, package: &str, kept: &Path) -> Result<(), KernelError> {
    let io = |error| in_cache(cache, error);
    fs::create_dir_all(cache).map_err(io)?;
    let part = tempfile::Builder::new().prefix(".part-").tempdir_in(cache).map_err(io)?;
    run(Command::new("apt-get").args(["-qq", "download", package]).current_dir(part.path()))?;
    let file = first(part.path(), |name| name.ends_with(".deb"))
        .ok_or_else(|| KernelError::Layout { package: package.to_owned(), what: "file to download" })?;
    let root = part.path().join("root");
    run(Command::new("dpkg-deb").arg("--extract").arg(&file).arg(&root))?;

    let lacks = |what| KernelError::Layout { package: package.to_owned(), what };
    let image =
        first(&root.join("boot"), |name| name.starts_with("vmlinuz-")).ok_or_else(|| lacks("boot/vmlinuz-*"))?;
    let folders = ["lib/modules", "usr/lib/modules"].map(|folder| first(&root.join(folder), |_| true));
    let folder = folders.into_iter().flatten().next().ok_or_else(|| lacks("lib/modules/*"))?;
    let image = fs::read(image).map_err(io)?;
    let image = unpack::vmlinux(&image).map_err(|error| KernelError::Image { package: package.to_owned(), error })?;
    let modules = modules::closure(&folder, &MODULES)
        .map_err(|error| KernelError::Module { package: package.to_owned(), error })?;

    let whole = part.path().join("whole");
    fs::create_dir_all(whole.join("modules")).map_err(io)?;
    for (number, module) in modules.iter().enumerate() {
        fs::write(whole.join(format!("modules/{number:02}-{}.ko", module.name)), &module.bytes).map_err(io)?;
    }
    fs::write(whole.join("vmlinux"), image).map_err(io)?;
    // Another run may have been faster: its kernel is the same.
    match fs::rename(&whole, kept) {
        Err(error) if !kept.join("vmlinux").is_file() => Err(io(error)),
        _ => Ok(()),
    }
}

/// Modules by the number in front of their name.
fn read_modules(folder: &Path) -> io::Result<Vec<Module>> {
    let mut names: Vec<_> = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>()?;
    names.sort();
    let read = |path: PathBuf| {
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        let name = name.split_once('-').map_or(&*name, |(_, name)| name).to_owned();
        Ok(Module { name, bytes: fs::read(&path)? })
    };
    names.into_iter().map(read).collect()
}

/// The first entry of a folder whose name is as wished.
fn first(folder: &Path, wished: impl Fn(&str) -> bool) -> Option<PathBuf> {
    let entries = fs::read_dir(folder).ok()?;
    let mut found: Vec<_> = entries
        .flatten()
        .filter(|entry| entry.file_name().to_str().is_some_and(&wished))
        .map(|entry| entry.path())
        .collect();
    found.sort();
    found.into_iter().next()
}

/// What a program printed.
fn run(command: &mut Command) -> Result<String, KernelError> {
    let what = || {
        let arguments = command.get_args().map(|argument| argument.to_string_lossy());
        let words: Vec<_> = std::iter::once(command.get_program().to_string_lossy()).chain(arguments).collect();
        format!("`{}`", words.join(" "))
    };
    let what = what();
    let output = match command.output() {
        Ok(output) => output,
        Err(error) => return Err(KernelError::Tool { what, why: error.to_string() }),
    };
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let why = said.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it says nothing").to_owned();
    Err(KernelError::Tool { what, why })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_fails_is_named_with_its_last_words() {
        let said = |command: &mut Command| run(command).unwrap_err().to_string();
        let failed = said(Command::new("ls").arg("/no/such/place"));
        assert!(failed.starts_with("`ls /no/such/place` failed: ls: "), "{failed}");
        assert!(said(&mut Command::new("no-such-program")).starts_with("`no-such-program` failed: No such file"));
    }

    #[test]
    fn what_was_kept_last_serves_where_debian_cannot_be_asked() {
        let cache = tempfile::tempdir().unwrap();
        assert_eq!(newest(cache.path()), None);
        for name in [&format!("linux-image-6.1.{KEPT}"), ".part-9", "linux-image-6.1.0"] {
            fs::create_dir(cache.path().join(name)).unwrap();
        }
        assert_eq!(newest(cache.path()).as_deref(), Some("linux-image-6.1"));
    }

    #[test]
    fn modules_are_loaded_in_the_order_of_their_numbers() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["10-uvcvideo.ko", "02-usbcore.ko", "00-usb_common.ko"] {
            fs::write(folder.path().join(name), name).unwrap();
        }
        let names: Vec<_> = read_modules(folder.path()).unwrap().into_iter().map(|module| module.name).collect();
        assert_eq!(names, ["usb_common", "usbcore", "uvcvideo"]);
    }
}
