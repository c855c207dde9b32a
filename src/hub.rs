//! The hub: a relay that can read nothing. It checks tokens, passes sealed objects on, and keeps the newest groups for
//! those who join.

use crate::link::HubLink;
use crate::token::{Claims, TokenKey};
use crate::wall_us;
use doorframe_transport::moq::{Dial, Node, Trust, relay, server_endpoint};
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, PKCS_ECDSA_P256_SHA256};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;
use tokio::task::JoinHandle;
use url::Url;

/// Why a hub does not start.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum HubError {
    /// Somebody else has the port.
    #[error("UDP port {} is in use: is another hub running? Choose another with --listen", .0.port())]
    InUse(SocketAddr),
    /// The system does not give the port.
    #[error("cannot listen on UDP {address}: {error}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// What the system said.
        error: io::Error,
    },
    /// No certificate could be made.
    #[error("cannot make a certificate: {0}")]
    Certificate(#[from] rcgen::Error),
}

/// Browsers take certificates by hash only if they last 14 days or less; a day of that is for clocks that differ.
const CERTIFICATE_LIFE: Duration = Duration::from_secs(13 * 86_400);
/// When a running hub makes the next one.
const RENEW: Duration = Duration::from_secs(10 * 86_400);

/// Where and as whom a hub listens.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct HubConfig {
    /// UDP address to listen on; port 0 for any.
    pub listen: SocketAddr,
    /// Name or address under which cameras and viewers reach it.
    pub host: String,
    /// Scope of its cameras.
    pub scope: String,
    /// How long the tokens in its links last.
    pub token_life: Duration,
}

impl HubConfig {
    /// Only for this machine, on any free port.
    pub fn local() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            host: "127.0.0.1".into(),
            scope: "home".into(),
            token_life: Duration::from_secs(365 * 86_400),
        }
    }
}

/// A running hub. Stops when dropped.
#[derive(Debug)]
pub struct Hub {
    endpoint: quinn::Endpoint,
    address: SocketAddr,
    hash: [u8; 32],
    tokens: Arc<TokenKey>,
    config: HubConfig,
    tasks: [JoinHandle<()>; 2],
}

/// A certificate of our own: ECDSA, 13 days from an hour ago.
struct OwnCertificate {
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
    hash: [u8; 32],
}

impl OwnCertificate {
    fn make(host: &str) -> Result<Self, rcgen::Error> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let mut params = CertificateParams::new(vec![host.to_owned(), "localhost".into()])?;
        let mut name = DistinguishedName::new();
        name.push(DnType::CommonName, "Doorframe hub");
        params.distinguished_name = name;
        let now = std::time::SystemTime::now();
        params.not_before = (now - Duration::from_secs(3600)).into();
        params.not_after = (now - Duration::from_secs(3600) + CERTIFICATE_LIFE).into();
        let certificate = params.self_signed(&key)?;
        let der = certificate.der().clone();
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &der);
        let mut hash = [0; 32];
        hash.iter_mut().zip(digest.as_ref()).for_each(|(to, from)| *to = *from);
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        Ok(Self { certificate: der, key, hash })
    }
}

impl Hub {
    /// Starts a hub. Call it inside a tokio runtime. `secret` makes its tokens: the same secret, the same tokens.
    ///
    /// # Errors
    /// If the port is taken or no certificate can be made.
    pub fn start(config: HubConfig, secret: &[u8; 32]) -> Result<Self, HubError> {
        let own = OwnCertificate::make(&config.host)?;
        let listen = config.listen;
        let endpoint = server_endpoint(listen, own.certificate, own.key).map_err(|error| match error.kind() {
            io::ErrorKind::AddrInUse => HubError::InUse(listen),
            _ => HubError::Listen { address: listen, error },
        })?;
        let address = endpoint.local_addr().map_err(|error| HubError::Listen { address: listen, error })?;
        let tokens = Arc::new(TokenKey::new(secret));
        let serve = tokio::spawn(serve(endpoint.clone(), tokens.clone()));
        let renew = tokio::spawn(renew(endpoint.clone(), config.host.clone()));
        Ok(Self { endpoint, address, hash: own.hash, tokens, config, tasks: [serve, renew] })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Everything a camera needs to publish here, and to let viewers watch.
    ///
    /// # Errors
    /// If the configured host is not one a URL can have.
    pub fn link(&self) -> Result<HubLink, url::ParseError> {
        let host = match self.config.host.parse::<std::net::Ipv6Addr>() {
            Ok(v6) => format!("[{v6}]"),
            Err(_) => self.config.host.clone(),
        };
        let mut url = Url::parse(&format!("https://{host}:{}/{}", self.address.port(), self.config.scope))?;
        let expires = wall_us() / 1_000_000 + self.config.token_life.as_secs();
        let camera = self.tokens.mint(&Claims::camera(&self.config.scope, expires));
        let watch_token = self.tokens.mint(&Claims::viewer(&self.config.scope, expires));
        url.query_pairs_mut().append_pair("jwt", &camera);
        Ok(HubLink { dial: Dial { url, trust: Trust::Pinned(self.hash) }, watch_token })
    }

    /// Tells everybody that it goes, and waits until they know.
    pub async fn stop(self) {
        self.endpoint.close(0_u32.into(), b"the hub stops");
        let _idle = tokio::time::timeout(Duration::from_secs(1), self.endpoint.wait_idle()).await;
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
        self.endpoint.close(0_u32.into(), b"the hub stops");
    }
}

/// Lets visitors in, or not.
async fn serve(endpoint: quinn::Endpoint, tokens: Arc<TokenKey>) {
    let node = Arc::new(Node::new());
    while let Some(incoming) = endpoint.accept().await {
        let (node, tokens) = (node.clone(), tokens.clone());
        tokio::spawn(async move {
            let Some(visitor) = relay::receive(incoming).await else { return };
            let token = visitor.url().query_pairs().find(|(key, _)| key == "jwt").map(|(_, token)| token.into_owned());
            match tokens.check(visitor.url().path(), token.as_deref()) {
                Ok(access) => visitor.admit(&node, &access).await,
                Err(refusal) => {
                    tracing::info!(address = %visitor.address(), %refusal, "visitor refused");
                    visitor.refuse(&refusal.to_string()).await;
                }
            }
        });
    }
}

/// Makes a new certificate before the old one ends.
async fn renew(endpoint: quinn::Endpoint, host: String) {
    loop {
        tokio::time::sleep(RENEW).await;
        match OwnCertificate::make(&host) {
            Ok(own) => match relay::renew_certificate(&endpoint, own.certificate, own.key) {
                Ok(()) => tracing::warn!("certificate renewed: links made before it no longer connect, make new ones"),
                Err(error) => tracing::error!(%error, "certificate not renewed"),
            },
            Err(error) => tracing::error!(%error, "certificate not renewed"),
        }
    }
}
