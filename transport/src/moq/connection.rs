//! A connection: joins this node to a hub's.

#![expect(clippy::disallowed_methods, reason = "floor 2: the edge is where the clock is read")]

use super::node::Node;
use super::observe::Observed;
use super::tls::{Trust, client_config};
use crate::rate::LinkSample;
use doorframe_codec::units::Uptime;
use std::fmt;
use std::net::SocketAddr;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;
use url::Url;
use web_transport_quinn::proto::ConnectRequest;

/// Where to connect to.
#[derive(Clone, PartialEq, Eq)]
pub struct Dial {
    /// `https://HOST:PORT/SCOPE?jwt=TOKEN`.
    pub url: Url,
    /// How the hub proves who it is.
    pub trust: Trust,
}

impl fmt::Debug for Dial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Dial({}, ..)", redacted(&self.url))
    }
}

/// Why a connection was not made. Each says whom and what to do.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum DialError {
    /// The host's name does not resolve.
    #[error("no address is known for the hub {0}: check the name in the link")]
    Name(String),
    /// Nobody answers.
    #[error("the hub at {0} does not answer: is it running, and does UDP get through?")]
    Silent(SocketAddr),
    /// Somebody else answers.
    #[error(
        "whoever answers at {0} is not the hub of the link: its certificate differs; get a new link if the hub was set up anew"
    )]
    Impostor(SocketAddr),
    /// The hub does not speak MoQ over WebTransport.
    #[error("the hub at {0} does not speak our protocol: {1}")]
    Protocol(SocketAddr, String),
    /// The link names no host, or is not https.
    #[error("{0} is not the address of a hub: it should look like https://host:4443/scope")]
    Url(String),
}

/// How a connection ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ended {
    /// The hub said no, in these words. Trying again needs another token.
    Refused(String),
    /// It broke, or one side left.
    Lost(String),
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(words) => write!(f, "the hub refused: {words}"),
            Self::Lost(reason) => write!(f, "the connection was lost: {reason}"),
        }
    }
}

/// Close code of a refusal: HTTP's "unauthorized".
pub(super) const REFUSED: u32 = 401;
/// How long a hub may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// A live connection. Ends when dropped.
pub struct Connection {
    session: moq_net::Session,
    transport: web_transport_quinn::Session,
    observed: Arc<Observed>,
}

/// Connects to a hub and joins it to `node`: what the node publishes goes there, and what is published there can be
/// subscribed to.
///
/// # Errors
/// In words for a person; see [`DialError`].
pub async fn dial(endpoint: &quinn::Endpoint, node: &Node, to: &Dial) -> Result<Connection, DialError> {
    let bad_url = || DialError::Url(redacted(&to.url));
    let host = to.url.host_str().filter(|_| to.url.scheme() == "https").ok_or_else(bad_url)?;
    // A URL has its IPv6 addresses in brackets; TLS and the resolver want them without.
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let port = to.url.port().unwrap_or(443);
    let mut addresses =
        tokio::net::lookup_host((host, port)).await.map_err(|_| DialError::Name(host.into()))?.collect::<Vec<_>>();
    let ours = endpoint.local_addr().is_ok_and(|local| local.is_ipv4());
    addresses.retain(|a| a.is_ipv4() || !ours);
    let address = *addresses.first().ok_or_else(|| DialError::Name(host.into()))?;

    let observed = Observed::new();
    let config = client_config(&to.trust, observed.clone()).map_err(|e| DialError::Protocol(address, e.to_string()))?;
    let connecting = endpoint.connect_with(config, address, host).map_err(|_| bad_url())?;
    let quic = match tokio::time::timeout(PATIENCE, connecting).await {
        Ok(Ok(quic)) => quic,
        Ok(Err(quinn::ConnectionError::TransportError(error))) if (0x100..0x200).contains(&u64::from(error.code)) => {
            tracing::debug!(%error, "TLS failed");
            return Err(DialError::Impostor(address));
        }
        Ok(Err(quinn::ConnectionError::TimedOut)) | Err(_) => return Err(DialError::Silent(address)),
        Ok(Err(error)) => return Err(DialError::Protocol(address, error.to_string())),
    };
    let request =
        ConnectRequest::new(to.url.clone()).with_protocols(moq_net::ALPNS.iter().map(|alpn| alpn.to_string()));
    // Whom we dialled and checked may open as many groups as there are.
    quic.set_max_concurrent_uni_streams(1024_u32.into());
    let transport = match tokio::time::timeout(PATIENCE, web_transport_quinn::Session::connect(quic, request)).await {
        Ok(Ok(transport)) => transport,
        Ok(Err(error)) => return Err(DialError::Protocol(address, error.to_string())),
        Err(_) => return Err(DialError::Silent(address)),
    };
    let now = std::time::Instant::now();
    let client = moq_net::Client::new().with_origin(node.origin.clone());
    let (session, driver) = client
        .connect_lite(now, transport.clone())
        .await
        .map_err(|error| DialError::Protocol(address, error.to_string()))?;
    tokio::spawn(moq_net::time::run(driver));
    Ok(Connection { session, transport, observed })
}

/// A URL without its token, for messages and logs.
fn redacted(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.set_fragment(None);
    url.into()
}

impl Connection {
    /// Waits for its end.
    pub async fn closed(&self) -> Ended {
        use web_transport_quinn::{SessionError, WebTransportError};
        // The driver may notice first, but only the transport knows the hub's words.
        self.session.closed().await;
        let reason = tokio::time::timeout(Duration::from_millis(500), self.transport.closed()).await;
        match reason {
            Ok(SessionError::WebTransportError(WebTransportError::Closed(REFUSED, words))) => Ended::Refused(words),
            Ok(SessionError::ConnectionError(quinn::ConnectionError::TimedOut)) => {
                Ended::Lost("nothing was heard for 10 s".into())
            }
            Ok(SessionError::ConnectionError(quinn::ConnectionError::Reset)) => {
                Ended::Lost("the hub was started anew".into())
            }
            Ok(SessionError::ConnectionError(quinn::ConnectionError::ApplicationClosed(_))) => {
                Ended::Lost("the hub left".into())
            }
            Ok(SessionError::WebTransportError(WebTransportError::Closed(_, words))) if !words.is_empty() => {
                Ended::Lost(words)
            }
            Ok(other) => Ended::Lost(other.to_string()),
            Err(_) => Ended::Lost("the hub left".into()),
        }
    }

    /// Tells what the link looks like, to steer an encoder by, from any thread.
    pub fn sampler(&self) -> Sampler {
        Sampler {
            quic: self.transport.deref().clone(),
            observed: self.observed.clone(),
            rtt: None,
            answered: 0,
            waiting: None,
        }
    }

    /// Closes it in order: the hub need not wait for a time-out.
    pub async fn close(self) {
        self.transport.close(0, b"bye");
        let _closed = tokio::time::timeout(Duration::from_millis(500), self.transport.closed()).await;
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Connection({})", self.transport.remote_address())
    }
}

/// Samples a connection from any thread.
pub struct Sampler {
    quic: quinn::Connection,
    observed: Arc<Observed>,
    /// Newest round trip.
    rtt: Option<Duration>,
    /// Stream frames sent when it was seen.
    answered: u64,
    /// Since when stream frames are under way without an answer.
    waiting: Option<Uptime>,
}

impl Sampler {
    /// What the link looks like now; `None` once it is closed, or before anything was acknowledged.
    pub fn sample(&mut self, at: Uptime) -> Option<LinkSample> {
        if self.quic.close_reason().is_some() {
            return None;
        }
        let stats = self.quic.stats();
        let (acked_bytes, streamed) = (self.observed.acked(), stats.frame_tx.stream);
        if let Some(rtt) = self.observed.take_rtt_us() {
            self.rtt = Some(Duration::from_micros(rtt));
            self.answered = streamed;
            self.waiting = None;
        }
        let rtt = self.rtt?;
        // While media is under way and nothing comes back, it takes at least as long as we have been waiting. Without media
        // (nobody watches) there is nothing to wait for.
        if streamed > self.answered {
            self.waiting.get_or_insert(at);
        }
        let waited = self.waiting.map_or(Duration::ZERO, |since| at.since(since));
        let path = stats.path;
        Some(LinkSample {
            at,
            rtt: rtt.max(waited),
            cwnd: path.cwnd,
            acked_bytes,
            sent_packets: path.sent_packets,
            lost_packets: path.lost_packets,
        })
    }
}

impl fmt::Debug for Sampler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sampler(..)")
    }
}
