//! A relay on loopback that lets everybody in, under `home`.

#![allow(dead_code, reason = "each test file uses its own part of it")]

use doorframe_transport::moq::{Connection, Dial, Node, Trust, client_endpoint, dial, relay, server_endpoint};
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256};
use std::sync::Arc;
use std::time::Duration;

pub(crate) struct Relay {
    pub(crate) node: Arc<Node>,
    pub(crate) to: Dial,
    endpoint: quinn::Endpoint,
}

impl Relay {
    pub(crate) fn start() -> Self {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let certificate = CertificateParams::new(vec!["localhost".into()]).unwrap().self_signed(&key).unwrap();
        let der = certificate.der().clone();
        let mut hash = [0; 32];
        hash.copy_from_slice(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &der).as_ref());
        let private = rustls::pki_types::PrivatePkcs8KeyDer::from(key.serialize_der());
        let endpoint = server_endpoint(([127, 0, 0, 1], 0).into(), der, private.into()).unwrap();
        let url = format!("https://127.0.0.1:{}/home", endpoint.local_addr().unwrap().port());
        let node = Arc::new(Node::new());
        let (door, shared) = (endpoint.clone(), node.clone());
        tokio::spawn(async move {
            while let Some(incoming) = door.accept().await {
                let node = shared.clone();
                tokio::spawn(async move {
                    let access = relay::Access {
                        scope: "home".into(),
                        publish: vec![String::new()],
                        subscribe: vec![String::new()],
                        expires_in: Duration::from_secs(600),
                    };
                    if let Some(visitor) = relay::receive(incoming).await {
                        visitor.admit(&node, &access).await;
                    }
                });
            }
        });
        Self { node, to: Dial { url: url.parse().unwrap(), trust: Trust::Pinned(hash) }, endpoint }
    }

    /// A client of its own.
    pub(crate) async fn join(&self) -> (Node, Connection) {
        let node = Node::new();
        let connection = dial(&client_endpoint().unwrap(), &node, &self.to).await.unwrap();
        (node, connection)
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.endpoint.close(0_u32.into(), b"over");
    }
}
