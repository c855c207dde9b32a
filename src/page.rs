//! The owner's page, served by his own program to his own machine. The keys are in the link's fragment, which never
//! comes here.

use axum::Router;
use axum::http::StatusCode;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::response::IntoResponse;
use axum::routing::get;
use std::io;
use std::net::SocketAddr;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use url::Url;

/// Why the page is not served.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PageError {
    /// Somebody else has the port.
    #[error("TCP port {} is in use: choose another with --page-port, or 0 for any", .0.port())]
    InUse(SocketAddr),
    /// The system does not give the port.
    #[error("cannot serve the page on {address}: {error}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// What the system said.
        error: io::Error,
    },
}

const INDEX: &str = include_str!("../viewer/dist/index.html");
const SCRIPT: &str = include_str!("../viewer/dist/viewer.js");
const LICENSES: &str = include_str!("../viewer/dist/LICENSES.txt");
const STYLE: &str = include_str!("../viewer/dist/viewer.css");
/// Nothing but our own files runs, and connections go to hubs alone.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src https:; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// A page being served. Stops when dropped.
#[derive(Debug)]
pub struct Page {
    url: Url,
    server: JoinHandle<()>,
}

impl Page {
    /// Serves the page on this machine's loopback at `port`; 0 for any. A page elsewhere would not be a secure context,
    /// and browsers then have no WebTransport.
    ///
    /// # Errors
    /// If the port is taken.
    pub async fn serve(port: u16) -> Result<Self, PageError> {
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let failed = |error: io::Error| match error.kind() {
            io::ErrorKind::AddrInUse => PageError::InUse(address),
            _ => PageError::Listen { address, error },
        };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let port = listener.local_addr().map_err(failed)?.port();
        let url = Url::parse(&format!("http://127.0.0.1:{port}/")).map_err(|error| failed(io::Error::other(error)))?;
        let app = Router::new()
            .route("/", get(|| file("text/html; charset=utf-8", INDEX)))
            .route("/viewer.js", get(|| file("text/javascript; charset=utf-8", SCRIPT)))
            .route("/viewer.css", get(|| file("text/css; charset=utf-8", STYLE)))
            .route("/LICENSES.txt", get(|| file("text/plain; charset=utf-8", LICENSES)))
            .route("/favicon.ico", get(|| async { StatusCode::NO_CONTENT }));
        let server = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, app).await {
                tracing::error!(%error, "page is no longer served");
            }
        });
        Ok(Self { url, server })
    }

    /// Where it is.
    pub fn url(&self) -> &Url {
        &self.url
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn file(kind: &'static str, body: &'static str) -> impl IntoResponse {
    let headers: [(HeaderName, &str); 5] = [
        (CONTENT_TYPE, kind),
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
        (CACHE_CONTROL, "no-cache"),
    ];
    (headers, body)
}
