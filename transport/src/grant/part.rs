//! What makes the epochs of one span of one session.

use super::EpochSpan;
use super::body::LARGEST;
use crate::keys::{Epoch, Leaf, Node};
use crate::manifest::{SessionCertificate, SessionFacts, SessionOpened};
use thiserror::Error;

/// How the keys of a part are written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PartKind {
    /// The fewest nodes of the tree: small, whatever the span.
    Cover,
    /// Each epoch's leaf: the fallback, 32 bytes an epoch.
    Flat,
}

/// Why a session has no part for a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SpanRefused {
    /// It goes beyond the session's tree.
    #[error("epochs {span} of a session that has {leaves}")]
    Beyond {
        /// The span.
        span: EpochSpan,
        /// Epochs that the session's tree has.
        leaves: u64,
    },
    /// Leaf by leaf, no grant has room for it.
    #[error("{0} epochs leaf by leaf, a grant has room for 131072: take their cover")]
    Long(u32),
}

/// Keys of exactly the epochs of one span, and the certificate by which their holder can tell whose they are. Zeroized when dropped, never printed.
#[derive(Debug)]
pub struct GrantPart {
    certificate: SessionCertificate,
    epochs: EpochSpan,
    kind: PartKind,
    /// Left to right, side by side; all of them leaves if it is flat.
    nodes: Vec<Node>,
}

impl GrantPart {
    /// The fewest nodes that make `epochs`.
    ///
    /// # Errors
    /// [`SpanRefused`] if the session's tree does not have them all.
    pub fn cover(session: &SessionOpened, epochs: EpochSpan) -> Result<Self, SpanRefused> {
        Self::make(session, epochs, PartKind::Cover)
    }

    /// The leaf of each of `epochs`.
    ///
    /// # Errors
    /// [`SpanRefused`] if the session's tree does not have them all, or no grant has room for them.
    pub fn flat(session: &SessionOpened, epochs: EpochSpan) -> Result<Self, SpanRefused> {
        Self::make(session, epochs, PartKind::Flat)
    }

    fn make(session: &SessionOpened, epochs: EpochSpan, kind: PartKind) -> Result<Self, SpanRefused> {
        let (first, end) = (u64::from(epochs.first().0), u64::from(epochs.end().0));
        let leaves = session.facts.depth.leaves();
        if end > leaves {
            return Err(SpanRefused::Beyond { span: epochs, leaves });
        }
        if kind == PartKind::Flat && epochs.count() as usize > LARGEST / 32 {
            return Err(SpanRefused::Long(epochs.count()));
        }
        let mut nodes = session.root.cover(first, end);
        if kind == PartKind::Flat {
            let mut leaves = Vec::with_capacity(epochs.count() as usize);
            nodes.iter().for_each(|node| node.leaves_into(&mut leaves));
            nodes = leaves;
        }
        Ok(Self { certificate: session.certificate.clone(), epochs, kind, nodes })
    }

    /// `nodes` have been found to be what `kind` and `epochs` say.
    pub(super) fn checked(
        certificate: SessionCertificate,
        epochs: EpochSpan,
        kind: PartKind,
        nodes: Vec<Node>,
    ) -> Self {
        Self { certificate, epochs, kind, nodes }
    }

    /// The leaf of `epoch`; `None` if it was not granted.
    pub fn leaf(&self, epoch: Epoch) -> Option<Leaf> {
        let at = self.nodes.partition_point(|node| node.epochs().1 <= u64::from(epoch.0));
        self.nodes.get(at)?.leaf(epoch)
    }

    /// Which epochs.
    pub fn epochs(&self) -> EpochSpan {
        self.epochs
    }

    /// How its keys are written down.
    pub fn kind(&self) -> PartKind {
        self.kind
    }

    /// What the camera says of the session, which its identity certified.
    pub fn facts(&self) -> &SessionFacts {
        self.certificate.facts()
    }

    /// By which others can tell that the session is the camera's.
    pub fn certificate(&self) -> &SessionCertificate {
        &self.certificate
    }

    pub(super) fn nodes(&self) -> &[Node] {
        &self.nodes
    }
}
