//! What outlives a run: a few small secret files in one directory that only the owner may read.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use thiserror::Error;
use zeroize::Zeroizing;

/// Why a state file cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StateError {
    /// The disk said no.
    #[error("cannot use {path}: {error}")]
    Io {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// A file that is not what it was.
    #[error(
        "{path} has {len} bytes, not 32: it is damaged; restore it, or move it away to start anew (paired devices then have to be paired again)"
    )]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// Its length.
        len: usize,
    },
    /// No randomness to be had.
    #[error("the system's random generator failed")]
    Random,
}

/// 32 random bytes from the operating system.
///
/// # Errors
/// [`StateError::Random`] if it has none, which a healthy system never says.
pub fn random32() -> Result<[u8; 32], StateError> {
    random()
}

/// `N` random bytes from the operating system.
///
/// # Errors
/// As [`random32`].
pub fn random<const N: usize>() -> Result<[u8; N], StateError> {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| StateError::Random)?;
    Ok(bytes)
}

/// A directory of secrets.
#[derive(Clone, Debug)]
pub struct StateDir(PathBuf);

impl StateDir {
    /// `$XDG_STATE_HOME/doorframe`, else `~/.local/state/doorframe`.
    pub fn default_path() -> PathBuf {
        let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/state"));
        let base = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from).filter(|p| p.is_absolute()).or_else(home);
        base.unwrap_or_else(|| PathBuf::from(".")).join("doorframe")
    }

    /// Opens the directory, which is made, for its owner alone, if it is not there.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn open(path: &Path) -> Result<Self, StateError> {
        let failed = |error| StateError::Io { path: path.into(), error };
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true);
        // Only a directory of our own making is closed to others; the files in it are, wherever they are.
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(path).map_err(failed)?;
        Ok(Self(path.into()))
    }

    /// Where the file of that name is, or would be.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Holds the folder against other programs of ours that write there, until what it gives is dropped. Waits for them.
    ///
    /// # Errors
    /// If the disk says no.
    pub(crate) fn lock(&self) -> Result<fs::File, StateError> {
        let path = self.0.join("doorframe.lock");
        let failed = |error| StateError::Io { path: path.clone(), error };
        let file = fs::OpenOptions::new().create(true).truncate(false).write(true).open(&path).map_err(failed)?;
        file.lock().map_err(failed)?;
        Ok(file)
    }

    /// The secret of that name; drawn and stored the first time.
    ///
    /// # Errors
    /// If it cannot be read or written, or is not 32 bytes long.
    pub fn secret(&self, name: &str) -> Result<Zeroizing<[u8; 32]>, StateError> {
        let path = self.0.join(name);
        match fs::read(&path) {
            Ok(bytes) => {
                let bytes = Zeroizing::new(bytes);
                let secret = <[u8; 32]>::try_from(bytes.as_slice());
                secret.map(Zeroizing::new).map_err(|_| StateError::Damaged { path, len: bytes.len() })
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let secret = Zeroizing::new(random32()?);
                self.write(name, secret.as_slice())?;
                Ok(secret)
            }
            Err(error) => Err(StateError::Io { path, error }),
        }
    }

    /// The file of that name, if there is one.
    ///
    /// # Errors
    /// If it is there and cannot be read.
    pub fn read(&self, name: &str) -> Result<Option<Vec<u8>>, StateError> {
        let path = self.0.join(name);
        match fs::read(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(StateError::Io { path, error }),
        }
    }

    /// Deletes the file of that name, if there is one.
    ///
    /// # Errors
    /// If the disk says no.
    pub fn remove(&self, name: &str) -> Result<(), StateError> {
        let path = self.0.join(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(StateError::Io { path, error }),
            _ => Ok(()),
        }
    }

    /// Writes a file whole or not at all, mode 0600.
    ///
    /// # Errors
    /// If the disk says no.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<(), StateError> {
        let (path, new) = (self.0.join(name), self.0.join(format!("{name}.new")));
        let failed = |error| StateError::Io { path: path.clone(), error };
        let mut options = fs::OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&new).map_err(failed)?;
        file.write_all(bytes).and_then(|()| file.sync_all()).map_err(failed)?;
        fs::rename(&new, &path).map_err(failed)?;
        // Else a power cut may bring the old file back, and with it who was removed from a list.
        #[cfg(unix)]
        fs::File::open(&self.0).and_then(|folder| folder.sync_all()).map_err(failed)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_stays_and_a_damaged_one_is_not_replaced() {
        let dir = std::env::temp_dir().join(format!("doorframe-state-{}", std::process::id()));
        let state = StateDir::open(&dir).unwrap();
        let first = state.secret("identity").unwrap();
        assert_eq!(state.secret("identity").unwrap(), first);
        assert_ne!(state.secret("device").unwrap(), first);
        fs::write(dir.join("identity"), b"short").unwrap();
        let error = state.secret("identity").unwrap_err().to_string();
        assert!(error.contains("5 bytes"), "{error}");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(fs::metadata(dir.join("device")).unwrap().permissions().mode() & 0o777, 0o600);
        }
        fs::remove_dir_all(&dir).unwrap();
    }
}
