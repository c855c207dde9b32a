//! Carriage: Media over QUIC (`moq-net` over `web-transport-quinn`), and the only module that knows it.
//!
//! What the rest of the program sees is five nouns of ours: a [`Node`] holds broadcasts, local ones and those of peers; a
//! [`Broadcast`] has tracks, a [`TrackWriter`] writes groups of objects, a [`TrackReader`] reads them; a [`Connection`] joins two nodes. What is
//! not live is asked for group by group ([`Node::fetch`]) and made when it is ([`Requests`]). The hub's relay is nothing but a node that many connections are joined to ([`relay`]).
//!
//! This module is floor 2: it reads the clock and owns sockets, which floors 0 and 1 may not.

mod connection;
mod node;
mod observe;
pub mod relay;
mod serve;
mod tls;

pub use connection::{Connection, Dial, DialError, Ended, Sampler, dial};
pub use node::{Announced, Announcements, Broadcast, GroupReader, GroupWriter, Node, TrackReader, TrackWriter};
pub use serve::{BroadcastRequest, BroadcastRequests, FetchLimits, GroupRequest, Requests};
pub use tls::{Trust, client_endpoint, pairing_client, pairing_server, server_endpoint};

/// Why an operation on a broadcast failed. The reason is the network's or the peer's, never worth a panic.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CarriageError {
    /// A path outside of what this node may use.
    #[error("path {0} is not allowed")]
    Path(String),
    /// The broadcast, track or group is over.
    #[error("it is over")]
    Over,
    /// An object larger than any peer would take.
    #[error("object of {0} bytes is too large to send")]
    TooLarge(usize),
    /// Whoever serves it does not have it.
    #[error("it is not there")]
    Absent,
    /// It did not come in time.
    #[error("no answer within {} ms", .0.as_millis())]
    TimedOut(std::time::Duration),
    /// More came than the reader allows.
    #[error("the answer is larger than {0} bytes")]
    Limit(usize),
}
