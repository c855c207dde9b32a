//! What opens epochs of a session.

use doorframe_transport::grant::{EpochSpan, GrantPart, SpanRefused};
use doorframe_transport::keys::{Epoch, Leaf};
use doorframe_transport::manifest::{SessionCertificate, SessionFacts, SessionOpened};

/// All of a session, or what somebody was granted of it.
#[derive(Debug)]
#[non_exhaustive]
pub enum SessionKeys {
    /// Its root, sealed to this device.
    Whole(Box<SessionOpened>),
    /// The keys of some epochs, and no other.
    Granted(Box<GrantPart>),
}

impl SessionKeys {
    /// What the camera says of the session.
    pub fn facts(&self) -> &SessionFacts {
        match self {
            Self::Whole(session) => &session.facts,
            Self::Granted(part) => part.facts(),
        }
    }

    /// By which others can tell that the session is the camera's.
    pub fn certificate(&self) -> &SessionCertificate {
        match self {
            Self::Whole(session) => &session.certificate,
            Self::Granted(part) => part.certificate(),
        }
    }

    /// What opens an epoch; `None` if the session does not have it, or it was not granted.
    pub fn leaf(&self, epoch: Epoch) -> Option<Leaf> {
        match self {
            Self::Whole(session) => session.root.leaf(epoch),
            Self::Granted(part) => part.leaf(epoch),
        }
    }

    /// The keys of `epochs`, to be granted; `None` if they were granted themselves: who has some hands on the whole file that he got.
    ///
    /// # Errors
    /// [`SpanRefused`] if the session does not have them all.
    pub fn cover(&self, epochs: EpochSpan) -> Result<Option<GrantPart>, SpanRefused> {
        match self {
            Self::Whole(session) => GrantPart::cover(session, epochs).map(Some),
            Self::Granted(_) => Ok(None),
        }
    }
}
