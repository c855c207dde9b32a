//! Where a store is, and how it is opened.

use super::StoreError;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::local::LocalFileSystem;
use object_store::path::Path as ObjectPath;
use object_store::prefix::PrefixStore;
use object_store::{BackoffConfig, ClientOptions, ObjectStore, RetryConfig};
use std::fmt;
use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

/// Where a store is: a folder, or `s3://BUCKET/PREFIX`.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Place {
    /// A folder of this machine.
    Folder(PathBuf),
    /// A bucket of S3, or of what speaks as S3 does. Keys and region come from the environment, as `AWS_ACCESS_KEY_ID`,
    /// `AWS_SECRET_ACCESS_KEY`, `AWS_REGION`, `AWS_ENDPOINT`.
    S3 {
        /// The bucket.
        bucket: String,
        /// What all names begin with; may be empty.
        prefix: String,
        /// Settings beside those of the environment, by its names in lower case.
        settings: Vec<(String, String)>,
    },
}

/// How long one request of S3 is tried before it counts as failed. A folder answers at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// Time for one try.
    pub request: Duration,
    /// Times it is tried again.
    pub retries: usize,
    /// Longest wait between two tries.
    pub backoff: Duration,
}

impl Default for Patience {
    /// Some ten seconds.
    fn default() -> Self {
        Self { request: Duration::from_secs(20), retries: 3, backoff: Duration::from_secs(4) }
    }
}

impl FromStr for Place {
    type Err = StoreError;

    fn from_str(text: &str) -> Result<Self, StoreError> {
        let bad = || StoreError::Place(text.into());
        match text.split_once("://") {
            Some(("s3", rest)) => {
                let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
                let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.';
                if !(3..=63).contains(&bucket.len()) || !bucket.chars().all(fits) {
                    return Err(bad());
                }
                let prefix = ObjectPath::parse(prefix.trim_matches('/')).map_err(|_| bad())?;
                Ok(Self::S3 { bucket: bucket.into(), prefix: prefix.to_string(), settings: Vec::new() })
            }
            None if !text.is_empty() => Ok(Self::Folder(text.into())),
            _ => Err(bad()),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(folder) => fmt::Display::fmt(&folder.display(), f),
            Self::S3 { bucket, prefix, .. } if prefix.is_empty() => write!(f, "s3://{bucket}"),
            Self::S3 { bucket, prefix, .. } => write!(f, "s3://{bucket}/{prefix}"),
        }
    }
}

impl fmt::Debug for Place {
    /// Settings may be secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Place({self})")
    }
}

const LOCK: &str = "doorframe.lock";

/// A store that is opened, the lock it is held by, and how many leftovers were swept.
pub(super) type Opened = (Arc<dyn ObjectStore>, Option<File>, u64);

impl Place {
    /// To read, and to write what disturbs nobody.
    pub(super) fn reach(&self, patience: Patience) -> Result<Arc<dyn ObjectStore>, StoreError> {
        match self {
            Self::Folder(folder) => {
                let store = LocalFileSystem::new_with_prefix(folder)?;
                Ok(Arc::new(store.with_fsync(true).with_automatic_cleanup(true)))
            }
            Self::S3 { bucket, prefix, settings } => {
                let store = s3(bucket, settings, patience)?;
                if prefix.is_empty() {
                    return Ok(Arc::new(store));
                }
                Ok(Arc::new(PrefixStore::new(store, prefix.as_str())))
            }
        }
    }

    /// To write, alone.
    pub(super) async fn open(&self, patience: Patience) -> Result<Opened, StoreError> {
        let Self::Folder(folder) = self else {
            let objects = self.reach(patience)?;
            // Whether it is there and lets us in is said now, not in the night.
            return match objects.list_with_delimiter(None).await {
                Ok(_) => Ok((objects, None, 0)),
                Err(error) if error.to_string().contains("NoSuchBucket") => {
                    Err(StoreError::Settings(format!("there is no bucket for {self}: make it first")))
                }
                Err(error) => Err(error.into()),
            };
        };
        let folder = folder.clone();
        let prepared = tokio::task::spawn_blocking(move || prepare(&folder)).await;
        let (lock, swept) = prepared.map_err(|error| StoreError::Unavailable(error.to_string()))??;
        Ok((self.reach(patience)?, Some(lock), swept))
    }
}

fn s3(
    bucket: &str,
    settings: &[(String, String)],
    patience: Patience,
) -> Result<object_store::aws::AmazonS3, StoreError> {
    let bad = |error: object_store::Error| StoreError::Settings(error.to_string());
    let backoff = BackoffConfig {
        init_backoff: Duration::from_millis(100).min(patience.backoff),
        max_backoff: patience.backoff,
        base: 2.0,
    };
    let tries = u32::try_from(patience.retries).unwrap_or(u32::MAX).saturating_add(1);
    let retry = RetryConfig {
        backoff,
        max_retries: patience.retries,
        retry_timeout: (patience.request + patience.backoff).saturating_mul(tries),
    };
    let client = ClientOptions::new().with_timeout(patience.request).with_connect_timeout(patience.request);
    // Plain HTTP only where the environment allows it.
    let mut builder = AmazonS3Builder::from_env()
        .with_client_options(client.with_allow_http(false))
        .with_bucket_name(bucket)
        .with_retry(retry);
    for key in std::env::var("AWS_ALLOW_HTTP").iter() {
        builder = builder.with_allow_http(key == "true" || key == "1");
    }
    for (key, value) in settings {
        builder = builder.with_config(AmazonS3ConfigKey::from_str(key).map_err(bad)?, value);
    }
    builder.build().map_err(bad)
}

/// Makes the folder, locks it, and sweeps it.
fn prepare(folder: &Path) -> Result<(File, u64), StoreError> {
    let failed = |error| match io::Error::kind(&error) {
        io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => {
            StoreError::ReadOnly(format!("{}: {error}", folder.display()))
        }
        _ => StoreError::Folder { folder: folder.display().to_string(), error },
    };
    std::fs::create_dir_all(folder).map_err(failed)?;
    let path = folder.join(LOCK);
    OpenOptions::new().write(true).create(true).truncate(false).open(&path).map_err(failed)?;
    // Held for reading: a file open for writing keeps a disk from being made read-only.
    let lock = File::open(&path).map_err(failed)?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(StoreError::InUse(folder.display().to_string())),
        Err(TryLockError::Error(error)) => return Err(failed(error)),
    }
    Ok((lock, sweep(folder)))
}

/// Removes files that were being written when a program ended: `NAME#NUMBER`, as `LocalFileSystem` calls them.
fn sweep(folder: &Path) -> u64 {
    let is_leftover =
        |name: &str| name.split_once('#').is_some_and(|(_, n)| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()));
    let files = walkdir::WalkDir::new(folder).min_depth(1).into_iter().flatten();
    let files = files.filter(|file| file.file_type().is_file());
    let leftovers = files.filter(|file| file.file_name().to_str().is_some_and(is_leftover));
    leftovers.filter(|file| std::fs::remove_file(file.path()).is_ok()).count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_told_apart_and_say_what_would_do() {
        let s3: Place = "s3://door-recordings/home/cameras/".parse().unwrap();
        assert_eq!(s3.to_string(), "s3://door-recordings/home/cameras");
        assert_eq!("s3://bucket".parse::<Place>().unwrap().to_string(), "s3://bucket");
        assert_eq!("rec/x".parse::<Place>().unwrap(), Place::Folder("rec/x".into()));
        for bad in ["", "s3://", "s3://A/b", "s3://ok-bucket/a//b", "ftp://x/y", "https://bucket"] {
            let error = bad.parse::<Place>().unwrap_err().to_string();
            assert!(error.ends_with("name a folder, or s3://BUCKET/PREFIX"), "{bad}: {error}");
        }
    }
}
