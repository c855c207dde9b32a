//! What can be wrong with a vault.

use super::recover::RecoveryRefused;
use crate::link::Alias;
use crate::state::{StateDir, StateError};
use doorframe_transport::devices::{InvitationError, InvitationRefused, ListRefused, RotationRefused};
use doorframe_transport::identity::BadKey;
use doorframe_transport::journal::JournalRefused;
use std::fmt;
use std::path::PathBuf;
use thiserror::Error;

/// Why the owner's state folder cannot be used, in words for a person.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum VaultError {
    /// The disk, or randomness.
    #[error(transparent)]
    State(#[from] StateError),
    /// A file is not what was written.
    #[error("{path} is damaged ({why}): it was left as it is; restore it from a copy, or move it away to start anew")]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The journal was changed or damaged.
    #[error(
        "{path} does not hold ({why}): somebody or the disk has changed it; restore it from a copy, or move it away to start anew"
    )]
    Journal {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: JournalRefused,
    },
    /// A journal entry that says nothing.
    #[error("an entry of the journal needs words")]
    NoDetails,
    /// Nothing was paired.
    #[error("this device belongs to no home yet: pair a camera with `doorframe pair`")]
    NoHome,
    /// This device may not do that.
    #[error("only owners can pair cameras and invite devices, and this device is none: use another one")]
    NotOwner,
    /// It is part of a home already.
    #[error("this device belongs to another home: join that one with another state folder (--state)")]
    OtherHome,
    /// An invitation that is not for this device, or forged.
    #[error(transparent)]
    Invitation(#[from] InvitationRefused),
    /// An invitation that cannot be made.
    #[error(transparent)]
    Inviting(#[from] InvitationError),
    /// An invitation whose cameras cannot be read.
    #[error("the invitation's cameras cannot be read ({0}): is one of the programs older than the other?")]
    Invited(String),
    /// No camera of that name.
    #[error("no camera named {0} was paired with this device: `doorframe devices` shows those that were")]
    NoCamera(Alias),
    /// No device of that name or fingerprint.
    #[error("no device on the list is called {0:?}: give its name or fingerprint as `doorframe devices` shows it")]
    NoDevice(String),
    /// A device list that cannot be.
    #[error(transparent)]
    List(#[from] ListRefused),
    /// A rotation that cannot be.
    #[error(transparent)]
    Rotation(#[from] RotationRefused),
    /// Words that do not make this device an owner.
    #[error(transparent)]
    Recovery(#[from] RecoveryRefused),
    /// A key that the library refuses.
    #[error(transparent)]
    Key(#[from] BadKey),
}

impl VaultError {
    pub(super) fn damaged(state: &StateDir, name: &str, why: impl fmt::Display) -> Self {
        Self::Damaged { path: state.path(name), why: why.to_string() }
    }
}

impl From<super::home::RecordRefused> for VaultError {
    fn from(refused: super::home::RecordRefused) -> Self {
        match refused {
            super::home::RecordRefused::List(refused) => refused.into(),
            super::home::RecordRefused::Rotation(refused) => refused.into(),
        }
    }
}
