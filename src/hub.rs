//! The hub: a relay that can read nothing. It checks tokens, passes sealed objects on, and keeps the newest groups for
//! those who join.

use crate::link::HubLink;
use crate::state::{StateDir, StateError, random32};
use crate::token::{Claims, TokenKey};
use crate::wall_us;
use doorframe_transport::moq::{Dial, Node, Trust, relay, server_endpoint};
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, PKCS_ECDSA_P256_SHA256};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use thiserror::Error;
use tokio::task::JoinHandle;
use url::Url;
use zeroize::Zeroizing;

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
    /// Its secrets cannot be read, written or drawn.
    #[error(transparent)]
    State(#[from] StateError),
}

/// Browsers take certificates by hash only if they last 14 days or less; a day of that is for clocks that differ.
const CERTIFICATE_LIFE: Duration = Duration::from_secs(13 * 86_400);
/// Visitors at once, admitted or not.
const MOST_VISITORS: usize = 4096;
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
    /// How long the tokens in its links last. Its certificate, which links pin, is renewed every ten days.
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
    node: Arc<Node>,
    config: HubConfig,
    tasks: [JoinHandle<()>; 2],
}

/// What makes a hub the same hub after a restart: the secret of its tokens and its certificate, which links pin.
pub struct HubIdentity {
    tokens: Zeroizing<[u8; 32]>,
    own: OwnCertificate,
}

impl HubIdentity {
    /// A hub that was never there before, reached as `host`.
    ///
    /// # Errors
    /// If no randomness can be had, or `host` cannot be in a certificate.
    pub fn fresh(host: &str) -> Result<Self, HubError> {
        Ok(Self { tokens: Zeroizing::new(random32()?), own: OwnCertificate::make(host)? })
    }

    /// The hub kept in `state`; made and kept the first time, and its certificate anew when little of its life is left.
    ///
    /// # Errors
    /// If the state cannot be read or written.
    pub fn load(state: &StateDir, host: &str) -> Result<Self, HubError> {
        let tokens = state.secret("hub-tokens")?;
        let kept = state.read("hub-certificate")?.and_then(|bytes| OwnCertificate::parse(&bytes));
        if let Some(own) = kept.filter(|own| own.age() < RENEW) {
            return Ok(Self { tokens, own });
        }
        let own = OwnCertificate::make(host)?;
        state.write("hub-certificate", &own.emit())?;
        Ok(Self { tokens, own })
    }
}

impl std::fmt::Debug for HubIdentity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HubIdentity(..)")
    }
}

/// A certificate of our own: ECDSA, 13 days from an hour before it was made.
pub(crate) struct OwnCertificate {
    made_s: u64,
    pub(crate) certificate: CertificateDer<'static>,
    key: Zeroizing<Vec<u8>>,
}

impl OwnCertificate {
    pub(crate) fn make(host: &str) -> Result<Self, rcgen::Error> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let mut params = CertificateParams::new(vec![host.to_owned(), "localhost".into()])?;
        let mut name = DistinguishedName::new();
        name.push(DnType::CommonName, "Doorframe hub");
        params.distinguished_name = name;
        let now = SystemTime::now();
        params.not_before = (now - Duration::from_secs(3600)).into();
        params.not_after = (now - Duration::from_secs(3600) + CERTIFICATE_LIFE).into();
        let certificate = params.self_signed(&key)?.der().clone();
        Ok(Self { made_s: wall_us() / 1_000_000, certificate, key: Zeroizing::new(key.serialize_der()) })
    }

    /// Time since it was made; long for one from the future, which a clock that was wrong has made.
    fn age(&self) -> Duration {
        let now = wall_us() / 1_000_000;
        now.checked_sub(self.made_s).map_or(Duration::MAX, Duration::from_secs)
    }

    pub(crate) fn hash(&self) -> [u8; 32] {
        let mut hash = [0; 32];
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &self.certificate);
        hash.iter_mut().zip(digest.as_ref()).for_each(|(to, from)| *to = *from);
        hash
    }

    pub(crate) fn private_key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.key.to_vec()))
    }

    /// `u64 made ‖ u32 length ‖ certificate ‖ key`, for our own disk alone.
    fn emit(&self) -> Zeroizing<Vec<u8>> {
        let mut bytes = Zeroizing::new(self.made_s.to_be_bytes().to_vec());
        bytes.extend_from_slice(&(self.certificate.len() as u32).to_be_bytes());
        bytes.extend_from_slice(&self.certificate);
        bytes.extend_from_slice(&self.key);
        bytes
    }

    /// `None` for a damaged file: then a new one is made.
    fn parse(bytes: &[u8]) -> Option<Self> {
        let (made, rest) = bytes.split_first_chunk::<8>()?;
        let (len, rest) = rest.split_first_chunk::<4>()?;
        let (certificate, key) = rest.split_at_checked(u32::from_be_bytes(*len) as usize)?;
        Some(Self {
            made_s: u64::from_be_bytes(*made),
            certificate: certificate.to_vec().into(),
            key: Zeroizing::new(key.to_vec()),
        })
    }
}

impl Hub {
    /// Starts a hub. Call it inside a tokio runtime.
    ///
    /// # Errors
    /// If the port is taken or the certificate is not usable.
    pub fn start(config: HubConfig, identity: &HubIdentity) -> Result<Self, HubError> {
        let own = &identity.own;
        let listen = config.listen;
        let endpoint =
            server_endpoint(listen, own.certificate.clone(), own.private_key()).map_err(|error| {
                match error.kind() {
                    io::ErrorKind::AddrInUse => HubError::InUse(listen),
                    _ => HubError::Listen { address: listen, error },
                }
            })?;
        let address = endpoint.local_addr().map_err(|error| HubError::Listen { address: listen, error })?;
        let tokens = Arc::new(TokenKey::new(&identity.tokens));
        let node = Arc::new(Node::new());
        let serve = tokio::spawn(serve(endpoint.clone(), node.clone(), tokens.clone()));
        let renew = tokio::spawn(renew(endpoint.clone(), config.host.clone(), RENEW.saturating_sub(own.age())));
        Ok(Self { endpoint, address, hash: own.hash(), tokens, node, config, tasks: [serve, renew] })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What its visitors are joined to: who is here, such as a recorder, needs no token.
    pub fn node(&self) -> Arc<Node> {
        self.node.clone()
    }

    /// What all paths of its cameras and viewers begin with on its node.
    pub fn scope(&self) -> &str {
        &self.config.scope
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
async fn serve(endpoint: quinn::Endpoint, node: Arc<Node>, tokens: Arc<TokenKey>) {
    while let Some(incoming) = endpoint.accept().await {
        if endpoint.open_connections() > MOST_VISITORS {
            incoming.refuse();
            continue;
        }
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
async fn renew(endpoint: quinn::Endpoint, host: String, mut after: Duration) {
    loop {
        tokio::time::sleep(std::mem::replace(&mut after, RENEW)).await;
        match OwnCertificate::make(&host) {
            Ok(own) => match relay::renew_certificate(&endpoint, own.certificate.clone(), own.private_key()) {
                Ok(()) => tracing::warn!("certificate renewed: links made before it no longer connect, make new ones"),
                Err(error) => tracing::error!(%error, "certificate not renewed"),
            },
            Err(error) => tracing::error!(%error, "certificate not renewed"),
        }
    }
}
