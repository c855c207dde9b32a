//! TLS 1.3 and QUIC settings, the same for camera, viewer and hub.

use super::observe::{Observed, Watch};
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, RootCertStore, SignatureScheme};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

/// How a hub proves that it is the one meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// By a certificate of this SHA-256 (of its DER): what a watch link carries.
    Pinned([u8; 32]),
    /// By a certificate that this machine's own roots vouch for.
    Roots,
}

/// X25519MLKEM768 first: what is recorded today shall not be read by tomorrow's quantum computer. X25519 follows for
/// browsers that do not know it. The provider's own list has the hybrid last.
fn provider() -> Arc<CryptoProvider> {
    let mut provider = aws_lc_rs::default_provider();
    provider.kx_groups = vec![aws_lc_rs::kx_group::X25519MLKEM768, aws_lc_rs::kx_group::X25519];
    Arc::new(provider)
}

/// What both ends want of QUIC.
fn transport() -> quinn::TransportConfig {
    let mut transport = quinn::TransportConfig::default();
    // Cubic, quinn's default: its BBR blacked out for seconds in measurements on a cut link.
    transport.keep_alive_interval(Some(Duration::from_secs(3)));
    if let Ok(idle) = Duration::from_secs(10).try_into() {
        transport.max_idle_timeout(Some(idle));
    }
    // Little before somebody has shown a token; `relay` gives more to those it admits. One group a stream keeps far below.
    transport.max_concurrent_uni_streams(8_u32.into());
    transport.receive_window((16_u32 << 20).into());
    transport
}

fn socket(address: SocketAddr) -> io::Result<UdpSocket> {
    UdpSocket::bind(address)
}

/// A client's endpoint on a port of the system's choice, for both IP families where the machine has both.
///
/// # Errors
/// If no UDP socket can be had.
pub fn client_endpoint() -> io::Result<quinn::Endpoint> {
    let any = SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0));
    let socket = socket(any).or_else(|_| socket((Ipv4Addr::UNSPECIFIED, 0).into()))?;
    let runtime = quinn::default_runtime().ok_or_else(|| io::Error::other("no tokio runtime"))?;
    quinn::Endpoint::new(quinn::EndpointConfig::default(), None, socket, runtime)
}

/// A hub's endpoint.
///
/// # Errors
/// If the port is taken or the certificate does not match its key.
pub fn server_endpoint(
    address: SocketAddr,
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
) -> io::Result<quinn::Endpoint> {
    let socket = socket(address)?;
    let runtime = quinn::default_runtime().ok_or_else(|| io::Error::other("no tokio runtime"))?;
    let config = server_config(certificate, key).map_err(io::Error::other)?;
    quinn::Endpoint::new(quinn::EndpointConfig::default(), Some(config), socket, runtime)
}

/// What both ends of a pairing say that they speak (`docs/format.md` §6).
const PAIRING: &[u8] = b"doorframe-pair/1";

/// A camera's endpoint for a pairing: a port of its own, without MoQ.
///
/// # Errors
/// If the port is taken or the certificate does not match its key.
pub fn pairing_server(
    address: SocketAddr,
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
) -> io::Result<quinn::Endpoint> {
    let socket = socket(address)?;
    let runtime = quinn::default_runtime().ok_or_else(|| io::Error::other("no tokio runtime"))?;
    let mut config = server_config_for(PAIRING, certificate, key).map_err(io::Error::other)?;
    let mut transport = transport();
    // Two streams are all that a pairing takes.
    transport.max_concurrent_uni_streams(0_u32.into());
    transport.max_concurrent_bidi_streams(2_u32.into());
    transport.receive_window((1_u32 << 20).into());
    config.transport_config(Arc::new(transport));
    quinn::Endpoint::new(quinn::EndpointConfig::default(), Some(config), socket, runtime)
}

/// How an owner's device connects to a camera whose certificate has the SHA-256 `hash`.
///
/// # Errors
/// If TLS cannot be set up, which no healthy program sees.
pub fn pairing_client(hash: [u8; 32]) -> Result<quinn::ClientConfig, rustls::Error> {
    client_config_for(PAIRING, &Trust::Pinned(hash), transport())
}

/// What a server says of itself; also to renew its certificate while it runs (`quinn::Endpoint::set_server_config`).
pub(super) fn server_config(
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
) -> Result<quinn::ServerConfig, rustls::Error> {
    server_config_for(web_transport_quinn::ALPN.as_bytes(), certificate, key)
}

fn server_config_for(
    alpn: &[u8],
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
) -> Result<quinn::ServerConfig, rustls::Error> {
    let mut tls = rustls::ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)?;
    tls.alpn_protocols = vec![alpn.to_vec()];
    let tls = QuicServerConfig::try_from(tls).map_err(|_| rustls::Error::General("no initial cipher suite".into()))?;
    let mut config = quinn::ServerConfig::with_crypto(Arc::new(tls));
    config.transport_config(Arc::new(transport()));
    Ok(config)
}

pub(super) fn client_config(trust: &Trust, observed: Arc<Observed>) -> Result<quinn::ClientConfig, rustls::Error> {
    let mut transport = transport();
    transport.congestion_controller_factory(Arc::new(Watch(observed)));
    client_config_for(web_transport_quinn::ALPN.as_bytes(), trust, transport)
}

fn client_config_for(
    alpn: &[u8],
    trust: &Trust,
    transport: quinn::TransportConfig,
) -> Result<quinn::ClientConfig, rustls::Error> {
    let provider = provider();
    let builder = rustls::ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&rustls::version::TLS13])?;
    let mut tls = match trust {
        Trust::Pinned(hash) => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Pin { hash: *hash, provider }))
            .with_no_client_auth(),
        Trust::Roots => {
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            builder.with_root_certificates(roots).with_no_client_auth()
        }
    };
    tls.alpn_protocols = vec![alpn.to_vec()];
    let tls = QuicClientConfig::try_from(tls).map_err(|_| rustls::Error::General("no initial cipher suite".into()))?;
    let mut config = quinn::ClientConfig::new(Arc::new(tls));
    config.transport_config(Arc::new(transport));
    Ok(config)
}

/// Accepts one certificate, known by its hash: as browsers do with `serverCertificateHashes`.
#[derive(Debug)]
struct Pin {
    hash: [u8; 32],
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pin {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if crate::identity::hash(&[end_entity]) == self.hash {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(rustls::Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure))
        }
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("only TLS 1.3 is spoken here".into()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
