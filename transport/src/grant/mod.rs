//! Hands exactly some epochs to somebody (`docs/format.md` §4).
//!
//! A [`GrantPart`] is what makes the epochs of a span and no other: the fewest nodes of the session's key tree that cover it, or the leaves one
//! by one. A [`Grant`] is one or more of them, sealed to the recipient and signed by the device that grants. It holds no footage, and cannot be
//! taken back: what [`round`] says is handed over should be shown first.

mod body;
mod cover;
mod part;
mod record;
mod span;
#[cfg(test)]
mod tests;

pub use cover::CoverError;
pub use part::{GrantPart, PartKind, SpanRefused};
pub use record::{Grant, GrantError, GrantId, GrantOpened, GrantRefused, GrantTerms};
pub use span::{EpochSpan, Rounded, round};

pub(crate) use body::check_body;

/// Most parts in one grant.
pub const MAX_PARTS: usize = 16;
