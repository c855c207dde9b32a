//! The hub's relay: one node, and a door where each visitor's token is looked at.

#![expect(clippy::disallowed_methods, reason = "floor 2: the edge is where the clock is read")]

use super::connection::REFUSED;
use super::node::Node;
use moq_net::{Pattern, Patterns};
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;
use url::Url;
use web_transport_quinn::proto::ConnectResponse;

/// Somebody who wants in.
pub struct Visitor {
    request: web_transport_quinn::Request,
}

/// What a visitor may do, all paths below one scope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// The scope: what the visitor takes for the root of all paths.
    pub scope: String,
    /// Prefixes it may publish below; an empty prefix is everything.
    pub publish: Vec<String>,
    /// Prefixes it may subscribe below.
    pub subscribe: Vec<String>,
    /// How long it may stay.
    pub expires_in: Duration,
}

/// Streams that somebody who was let in may have open.
const ADMITTED_STREAMS: u32 = 1024;
/// How long a visitor may take from its first packet to its request.
const PATIENCE: Duration = Duration::from_secs(10);

/// Waits for a visitor's handshake and request; `None` if it never makes one.
pub async fn receive(incoming: quinn::Incoming) -> Option<Visitor> {
    let address = incoming.remote_address();
    let handshake = async {
        let quic = incoming.await.map_err(|error| error.to_string())?;
        web_transport_quinn::Request::accept(quic).await.map_err(|error| error.to_string())
    };
    match tokio::time::timeout(PATIENCE, handshake).await {
        Ok(Ok(request)) => Some(Visitor { request }),
        Ok(Err(error)) => {
            tracing::debug!(%address, error, "visitor left during the handshake");
            None
        }
        Err(_) => None,
    }
}

impl Visitor {
    /// What it asked for: its path is the scope, its query has the token.
    pub fn url(&self) -> &Url {
        &self.request.url
    }

    /// Where it comes from.
    pub fn address(&self) -> SocketAddr {
        self.request.conn().remote_address()
    }

    fn response(&self) -> ConnectResponse {
        // The newest version that both speak, as the visitor ordered them.
        let common = self.request.protocols.iter().find(|p| moq_net::ALPNS.contains(&p.as_str()));
        match common {
            Some(protocol) => ConnectResponse::OK.with_protocol(protocol.clone()),
            None => ConnectResponse::OK,
        }
    }

    /// Says no, in words that a browser's page can read too: the session is accepted and closed at once, since a page never
    /// learns the status of a request that was turned down.
    pub async fn refuse(self, words: &str) {
        let response = self.response();
        if let Ok(session) = self.request.respond(response).await {
            session.close(REFUSED, words.as_bytes());
            let _closed = tokio::time::timeout(Duration::from_secs(2), session.closed()).await;
        }
    }

    /// Lets it in and serves it until it leaves.
    pub async fn admit(self, node: &Node, access: &Access) {
        let address = self.address();
        let response = self.response();
        let session = match self.request.respond(response).await {
            Ok(session) => session,
            Err(error) => {
                tracing::debug!(%address, %error, "visitor left before it was let in");
                return;
            }
        };
        session.set_max_concurrent_uni_streams(ADMITTED_STREAMS.into());
        let mut server = moq_net::Server::new();
        if let Some(patterns) = patterns(&access.subscribe)
            && let Ok(view) = node.origin.scope(access.scope.as_str(), &patterns)
        {
            server = server.with_publisher(&view);
        }
        if let Some(patterns) = patterns(&access.publish)
            && let Ok(view) = node.origin.scope(access.scope.as_str(), &patterns)
        {
            server = server.with_subscriber(view);
        }
        match server.accept_lite(std::time::Instant::now(), session.clone()).await {
            Ok((handle, driver)) => {
                match tokio::time::timeout(access.expires_in, moq_net::time::run(driver)).await {
                    Ok(ended) => tracing::debug!(%address, %ended, "visitor left"),
                    Err(_) => {
                        session.close(REFUSED, b"this token has expired: get a new link from whoever runs the hub")
                    }
                }
                drop(handle);
            }
            Err(error) => {
                tracing::debug!(%address, %error, "visitor speaks no common version");
                session.close(400, b"no common version of MoQ");
            }
        }
    }
}

fn patterns(prefixes: &[String]) -> Option<Patterns> {
    let mut patterns = Patterns::new();
    for prefix in prefixes {
        patterns.insert(if prefix.is_empty() { Pattern::all() } else { Pattern::subtree(prefix).ok()? });
    }
    (!prefixes.is_empty()).then_some(patterns)
}

impl fmt::Debug for Visitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Visitor({})", self.address())
    }
}

/// Gives a running hub another certificate; connections that are open stay.
///
/// # Errors
/// If the certificate does not match its key.
pub fn renew_certificate(
    endpoint: &quinn::Endpoint,
    certificate: rustls::pki_types::CertificateDer<'static>,
    key: rustls::pki_types::PrivateKeyDer<'static>,
) -> Result<(), rustls::Error> {
    endpoint.set_server_config(Some(super::tls::server_config(certificate, key)?));
    Ok(())
}
