//! Files of a bench, in TOML. A mistake is named with its file, its line, and what would do.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::fs;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Longest file that is read, in bytes.
const MOST: u64 = 64 << 10;

/// What is wrong with a file.
#[derive(Debug, Error)]
pub(crate) enum FileError {
    #[error("cannot read {path}: {error}")]
    Read { path: PathBuf, error: io::Error },
    #[error("{path} is larger than {MOST} bytes: a board or a rig takes a page")]
    Large { path: PathBuf },
    #[error("{path}, line {line}: {what}")]
    Wrong { path: PathBuf, line: usize, what: String },
}

/// A file's text, to say where in it something is wrong.
#[derive(Debug)]
pub(crate) struct File {
    path: PathBuf,
    text: String,
}

impl File {
    pub(crate) fn read(path: &Path) -> Result<Self, FileError> {
        let failed = |error| FileError::Read { path: path.to_owned(), error };
        if fs::metadata(path).map_err(failed)?.len() > MOST {
            return Err(FileError::Large { path: path.to_owned() });
        }
        Ok(Self { path: path.to_owned(), text: fs::read_to_string(path).map_err(failed)? })
    }

    pub(crate) fn parse<T: DeserializeOwned>(&self) -> Result<T, FileError> {
        toml::from_str(&self.text).map_err(|error| {
            let what = error.message().trim().replace('\n', ", ");
            self.wrong(error.span().unwrap_or_default(), what)
        })
    }

    /// What is wrong at a place.
    pub(crate) fn wrong(&self, at: Range<usize>, what: impl Into<String>) -> FileError {
        let before = self.text.bytes().take(at.start).filter(|byte| *byte == b'\n').count();
        FileError::Wrong { path: self.path.clone(), line: before + 1, what: what.into() }
    }

    /// What the file is of: its name without `.toml`, in small letters, digits and dashes.
    pub(crate) fn name(&self) -> Result<Name, FileError> {
        let stem = self.path.file_stem().unwrap_or_default().to_string_lossy();
        Name::try_from(stem.into_owned()).map_err(|what| self.wrong(0..0, format!("the file's own name: {what}")))
    }
}

/// Name of a board or a rig: it is part of file names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Name(String);

impl Name {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::str::FromStr for Name {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        name.to_owned().try_into()
    }
}

impl TryFrom<String> for Name {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        let fine = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-';
        if name.is_empty() || name.len() > 40 || !name.chars().all(fine) {
            return Err(format!("'{name}' is no name: 1 to 40 of a-z, 0-9 and - are"));
        }
        Ok(Self(name))
    }
}
