//! Why a store does not do what it should.

use crate::recorded::EpochFileError;
use std::io;
use thiserror::Error;

/// Why something is not kept, or not given. Says where, and what would do.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StoreError {
    /// No room.
    #[error("no room is left")]
    Full,
    /// May not be written to.
    #[error("it may not be written to: {0}")]
    ReadOnly(String),
    /// Not reached, or it failed; it may come back.
    #[error("it does not answer as it should: {0}")]
    Unavailable(String),
    /// Access is refused.
    #[error("it refuses access: {0}")]
    Denied(String),
    /// There is no such thing in it.
    #[error("it is not there")]
    Absent,
    /// Larger than anything of ours.
    #[error("what is kept has {0} bytes, which none of ours has")]
    TooLarge(u64),
    /// Another program writes there.
    #[error("another program records to {0}: end it, or choose another place")]
    InUse(String),
    /// The folder cannot be made or opened.
    #[error("cannot use the folder {folder}: {error}")]
    Folder {
        /// Which.
        folder: String,
        /// What the system says.
        error: io::Error,
    },
    /// No place.
    #[error("{0} is no place to record to: name a folder, or s3://BUCKET/PREFIX")]
    Place(String),
    /// The settings of S3 do not do.
    #[error("cannot use S3: {0}")]
    Settings(String),
    /// It is no epoch that could be kept.
    #[error(transparent)]
    File(#[from] EpochFileError),
}

impl StoreError {
    /// Whether the same may work later, or once there is room.
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Full | Self::ReadOnly(_) | Self::Unavailable(_) | Self::Denied(_))
    }
}

impl From<object_store::Error> for StoreError {
    fn from(error: object_store::Error) -> Self {
        use object_store::Error;
        // The cause that says most is the last one: what the system or the server answered.
        let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&error);
        let mut words = error.to_string();
        while let Some(inner) = cause {
            if let Some(io) = inner.downcast_ref::<io::Error>() {
                match io.kind() {
                    io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => return Self::Full,
                    io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => {
                        return Self::ReadOnly(io.to_string());
                    }
                    io::ErrorKind::NotFound if matches!(error, Error::NotFound { .. }) => return Self::Absent,
                    _ => {}
                }
            }
            words = inner.to_string();
            cause = inner.source();
        }
        match error {
            Error::NotFound { .. } => Self::Absent,
            Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => Self::Denied(words),
            // Of some requests the library tells the status in words alone.
            _ if words.contains(": 403 ") || words.contains(": 401 ") => Self::Denied(words),
            _ => Self::Unavailable(words),
        }
    }
}
