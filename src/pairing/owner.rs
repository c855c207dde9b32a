//! The owner's end: connects to the camera that a QR code names.

use super::{MAX_SMALL, PATIENCE, PairLink, exporter};
use doorframe_transport::devices::CheckedList;
use doorframe_transport::moq::{client_endpoint, pairing_client};
use doorframe_transport::pairing::{CameraRefused, HubLink, NewOwner, OwnerPairing};
use std::io;
use thiserror::Error;

/// Why a device does not pair with the camera that its QR code names.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PairError {
    /// No socket, or no TLS.
    #[error("cannot connect to anything: {0}")]
    System(io::Error),
    /// Nobody of that name.
    #[error("no machine is called {0}: are you in the same network as the camera?")]
    Name(String),
    /// Nobody answers there.
    #[error(
        "no answer from the camera at {0}: it waits for 10 minutes, and only in its own network; press its button and scan again"
    )]
    Silent(String),
    /// Somebody else answers there.
    #[error("what answers at {0} is not the camera of the QR code: its certificate differs")]
    Impostor(String),
    /// The connection broke in between.
    #[error("the connection to the camera broke: {0}; scan again, it knows this device")]
    Lost(String),
    /// The camera says no, or is another.
    #[error(transparent)]
    Refused(#[from] CameraRefused),
    /// The device list could not be made or kept, in these words.
    #[error("{0}")]
    List(String),
}

/// Pairs with the camera of `link`. `list` is asked for the home's first device list once the camera has proved who it is, and has to keep
/// it. Call it inside a tokio runtime.
///
/// # Errors
/// In words for a person.
pub async fn pair(
    link: PairLink,
    owner: &NewOwner,
    hub: &HubLink,
    list: impl FnOnce() -> Result<CheckedList, String>,
) -> Result<(), PairError> {
    let endpoint = client_endpoint().map_err(PairError::System)?;
    let config = pairing_client(link.certificate).map_err(|error| PairError::System(io::Error::other(error)))?;
    let at = link.at;
    let found = tokio::net::lookup_host(&at).await.map(|mut addresses| addresses.next());
    let address = found.ok().flatten().ok_or_else(|| PairError::Name(at.clone()))?;
    let connecting = endpoint.connect_with(config, address, "camera").map_err(|_| PairError::Name(at.clone()))?;
    let connection = match tokio::time::timeout(PATIENCE, connecting).await {
        Ok(Ok(connection)) => connection,
        Ok(Err(quinn::ConnectionError::TransportError(error))) if (0x100..0x200).contains(&u64::from(error.code)) => {
            return Err(PairError::Impostor(at));
        }
        _ => return Err(PairError::Silent(at)),
    };
    let exporter = exporter(&connection).ok_or_else(|| PairError::Lost("no keys to prove by".into()))?;
    let (request, asked) = OwnerPairing::new(link.secret, link.identity).request(owner, exporter);
    let met = asked.handle_answer(&ask(&connection, &request).await?)?;
    let (home, told) = met.home(&list().map_err(PairError::List)?, hub);
    let done = told.handle_done(&ask(&connection, &home).await?);
    connection.close(0_u32.into(), b"paired");
    endpoint.wait_idle().await;
    Ok(done?)
}

/// One message, and the one that answers it.
async fn ask(connection: &quinn::Connection, record: &[u8]) -> Result<Vec<u8>, PairError> {
    // What the camera said when it closed is worth more than that it did.
    let lost = |error: &dyn std::fmt::Display| {
        PairError::Lost(connection.close_reason().map_or_else(|| error.to_string(), |reason| reason.to_string()))
    };
    let asked = async {
        let (mut send, mut recv) = connection.open_bi().await.map_err(|error| lost(&error))?;
        // Who refuses may do so before it has read everything.
        let _sent = send.write_all(record).await;
        let _sent = send.finish();
        recv.read_to_end(MAX_SMALL).await.map_err(|error| lost(&error))
    };
    tokio::time::timeout(PATIENCE, asked).await.map_err(|_| lost(&"no answer within 10 s"))?
}
