//! What makes the epochs of one span of one session.

use super::EpochSpan;
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

/// The span goes beyond the session's tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("epochs {span} of a session that has {leaves}")]
pub struct SpanBeyond {
    /// The span.
    pub span: EpochSpan,
    /// Epochs that the session's tree has.
    pub leaves: u64,
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
    /// [`SpanBeyond`] if the session's tree does not have them all.
    pub fn cover(session: &SessionOpened, epochs: EpochSpan) -> Result<Self, SpanBeyond> {
        Self::make(session, epochs, PartKind::Cover)
    }

    /// The leaf of each of `epochs`.
    ///
    /// # Errors
    /// [`SpanBeyond`] if the session's tree does not have them all.
    pub fn flat(session: &SessionOpened, epochs: EpochSpan) -> Result<Self, SpanBeyond> {
        Self::make(session, epochs, PartKind::Flat)
    }

    fn make(session: &SessionOpened, epochs: EpochSpan, kind: PartKind) -> Result<Self, SpanBeyond> {
        let (first, end) = (u64::from(epochs.first().0), u64::from(epochs.end().0));
        let leaves = session.facts.depth.leaves();
        if end > leaves {
            return Err(SpanBeyond { span: epochs, leaves });
        }
        let mut nodes = session.root.cover(first, end);
        if kind == PartKind::Flat {
            nodes = nodes.into_iter().flat_map(Node::into_leaves).collect();
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
