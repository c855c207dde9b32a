//! Who may watch a home: the signed list of its devices, and what becomes of it (`docs/format.md` §1 to §3).
//!
//! A camera and every device keep a [`Lists`]: it takes list after list, each signed by an owner of the one before, and says what changed,
//! so that nobody is added or removed in silence. A camera seals its sessions to [`Lists::recipients`]; a device sets what a session
//! states against its own list and finds a ghost: a viewer that no owner has put there.
//!
//! Nothing here reads a clock: the wall clock, µs since 1970, is an argument.

mod change;
mod device;
pub(crate) mod invitation;
pub(crate) mod letter;
mod list;
mod lists;
mod recovery;
mod rotation;
#[cfg(test)]
mod sample;

pub use change::{Change, ChangeKind, changes};
pub use device::{Device, DeviceName, Expiry, HomeId, Role};
pub use invitation::{Invitation, InvitationError, InvitationRefused};
pub use letter::{LetterKey, LetterRefused, MAX_LETTER_RECORD, Way};
pub use list::{BadList, CheckedList, DeviceList, ListRefused, MAX_DEVICES};
pub use lists::{Ghost, Lists, Standing, Update};
pub use recovery::{BadWords, RecoveryKey, near_words};
pub use rotation::{Rotation, RotationRefused};
