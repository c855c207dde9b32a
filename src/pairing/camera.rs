//! The camera's end: listens for its owner on a port of its own.

use super::{MAX_HOME, MAX_SMALL, PATIENCE, PairLink, exporter};
use crate::hub::OwnCertificate;
use crate::state::{StateError, random};
use doorframe_codec::units::Uptime;
use doorframe_transport::identity::SigningKey;
use doorframe_transport::moq::pairing_server;
use doorframe_transport::pairing::{CameraPairing, Paired, PairingRefused, PairingSecret, WINDOW};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;
use thiserror::Error;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// Why a camera cannot wait for its owner.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ListenError {
    /// No port.
    #[error("cannot listen for the owner's device on UDP {address}: {error}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// What the system said.
        error: io::Error,
    },
    /// No certificate could be made.
    #[error("cannot make a certificate: {0}")]
    Certificate(#[from] rcgen::Error),
    /// No randomness.
    #[error(transparent)]
    Random(#[from] StateError),
}

/// What happens while a camera waits for its owner.
#[derive(Debug)]
#[non_exhaustive]
pub enum PairingEvent {
    /// It is paired, and what it was given is stored.
    Paired(Box<Paired>),
    /// Somebody was refused, in the words of the error.
    Refused(PairingRefused),
    /// It was given its home, and could not store it, in these words.
    NotStored(String),
    /// It no longer listens.
    Closed,
}

/// A camera that waits for its owner. Stops when dropped.
#[derive(Debug)]
pub struct Pairing {
    link: PairLink,
    events: mpsc::Receiver<PairingEvent>,
    endpoint: quinn::Endpoint,
    task: JoinHandle<()>,
}

/// Stores what a camera was given; done before the owner's device hears of it.
type Store = Box<dyn Fn(&Paired) -> Result<(), String> + Send + Sync>;

/// Connections at once: more than one household needs.
const MOST: usize = 8;
/// Events kept for a slow reader, who slows the listener down then.
const EVENTS: usize = 16;

struct Waiting {
    machine: Mutex<CameraPairing>,
    identity: SigningKey,
    store: Store,
    started: Instant,
    events: mpsc::Sender<PairingEvent>,
}

impl Pairing {
    /// Listens on `listen`, port 0 for any, reached as `host`. For ten minutes, or until five have tried with a wrong secret; who comes
    /// after the owner is refused in words. Call it inside a tokio runtime.
    ///
    /// `store` keeps what the camera was given. Only when that has worked is the owner told that it is paired.
    ///
    /// # Errors
    /// If there is no port, certificate or randomness.
    pub fn listen(
        listen: SocketAddr,
        host: IpAddr,
        identity: SigningKey,
        store: impl Fn(&Paired) -> Result<(), String> + Send + Sync + 'static,
    ) -> Result<Self, ListenError> {
        let own = OwnCertificate::make(&host.to_string())?;
        let failed = |error| ListenError::Listen { address: listen, error };
        let endpoint = pairing_server(listen, own.certificate.clone(), own.private_key()).map_err(failed)?;
        let port = endpoint.local_addr().map_err(failed)?.port();
        let secret = random::<16>()?;
        let link = PairLink {
            at: SocketAddr::new(host, port).to_string(),
            certificate: own.hash(),
            identity: identity.verifying_key(),
            secret: PairingSecret::from_bytes(secret),
        };
        let (tell, events) = mpsc::channel(EVENTS);
        let waiting = Arc::new(Waiting {
            machine: Mutex::new(CameraPairing::new(PairingSecret::from_bytes(secret), Uptime::default())),
            identity,
            store: Box::new(store),
            started: Instant::now(),
            events: tell,
        });
        let task = tokio::spawn(serve(endpoint.clone(), waiting));
        Ok(Self { link, events, endpoint, task })
    }

    /// What the QR code says.
    pub fn link(&self) -> &PairLink {
        &self.link
    }

    /// What happens next; `None` once it no longer listens and all was told.
    pub async fn next(&mut self) -> Option<PairingEvent> {
        self.events.recv().await
    }
}

impl Drop for Pairing {
    fn drop(&mut self) {
        self.task.abort();
        self.endpoint.close(0_u32.into(), b"the camera no longer waits for its owner");
    }
}

async fn serve(endpoint: quinn::Endpoint, waiting: Arc<Waiting>) {
    let over = tokio::time::sleep(WINDOW);
    tokio::pin!(over);
    let mut tasks = tokio::task::JoinSet::new();
    loop {
        tokio::select! {
            () = &mut over => break,
            Some(_) = tasks.join_next() => {
                // The sixth is told that there were five; then nobody is listened to any more.
                let tries = waiting.machine.lock().unwrap_or_else(PoisonError::into_inner).tries_left();
                if tries == 0 && tasks.is_empty() {
                    break;
                }
            }
            incoming = endpoint.accept() => {
                let Some(incoming) = incoming else { break };
                if tasks.len() >= MOST {
                    incoming.refuse();
                    continue;
                }
                let waiting = waiting.clone();
                tasks.spawn(async move { waiting.visit(incoming).await });
            }
        }
    }
    endpoint.close(0_u32.into(), b"the camera no longer waits for its owner");
    let _unheard = waiting.events.send(PairingEvent::Closed).await;
}

impl Waiting {
    async fn visit(&self, incoming: quinn::Incoming) {
        let Ok(connecting) = incoming.accept() else { return };
        let Ok(Ok(connection)) = tokio::time::timeout(PATIENCE, connecting).await else { return };
        let Some(exporter) = exporter(&connection) else { return };
        let Some((mut send, request)) = message(&connection, MAX_SMALL).await else { return };
        let answered = {
            let mut machine = self.machine.lock().unwrap_or_else(PoisonError::into_inner);
            machine.handle_request(&request, &exporter, &self.identity, self.now())
        };
        let proved = match answered {
            Ok((answer, proved)) => {
                say(&mut send, &answer).await;
                proved
            }
            Err(refused) => return self.refuse(&connection, send, refused).await,
        };
        let Some((mut send, home)) = message(&connection, MAX_HOME).await else { return };
        let taken = {
            let mut machine = self.machine.lock().unwrap_or_else(PoisonError::into_inner);
            let taken = machine.handle_home(proved, &home, self.now());
            // Stored under the lock: two connections of one owner do not write at once.
            taken.map(|(done, paired)| (done, (self.store)(&paired), paired))
        };
        match taken {
            Ok((done, Ok(()), paired)) => {
                // Told here first, so that nobody who comes after is told of before.
                let _unheard = self.events.send(PairingEvent::Paired(Box::new(paired))).await;
                say(&mut send, &done).await;
                last_word(&connection).await;
            }
            Ok((_, Err(words), _)) => {
                connection.close(1_u32.into(), b"the camera could not store what it was given");
                let _unheard = self.events.send(PairingEvent::NotStored(words)).await;
            }
            Err(refused) => self.refuse(&connection, send, refused).await,
        }
    }

    async fn refuse(&self, connection: &quinn::Connection, mut send: quinn::SendStream, refused: PairingRefused) {
        say(&mut send, &refused.record()).await;
        let _unheard = self.events.send(PairingEvent::Refused(refused)).await;
        last_word(connection).await;
    }

    fn now(&self) -> Uptime {
        Uptime::default() + self.started.elapsed()
    }
}

/// The next message, and where to answer it; `None` if it does not come in time, or is too long.
async fn message(connection: &quinn::Connection, limit: usize) -> Option<(quinn::SendStream, Vec<u8>)> {
    let read = async {
        let (send, mut recv) = connection.accept_bi().await.ok()?;
        Some((send, recv.read_to_end(limit).await.ok()?))
    };
    tokio::time::timeout(PATIENCE, read).await.ok().flatten()
}

async fn say(send: &mut quinn::SendStream, record: &[u8]) {
    let said = async {
        send.write_all(record).await.ok()?;
        send.finish().ok()
    };
    let _unsaid = tokio::time::timeout(PATIENCE, said).await;
}

/// The other end closes when it has read; not for ever.
async fn last_word(connection: &quinn::Connection) {
    let _late = tokio::time::timeout(PATIENCE, connection.closed()).await;
}
