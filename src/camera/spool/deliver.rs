//! The network's side: hears what the hub has stored, and sends it what it does not have, the oldest first, behind what is live.

use super::held::{EpochId, Offer, Source};
use super::{Confirms, Disk, Links, Shared};
use bytes::Bytes;
use doorframe_codec::units::MediaTime;
use doorframe_transport::keys::{Epoch, SessionId};
use doorframe_transport::manifest::SessionManifest;
use doorframe_transport::moq::{Broadcast, CarriageError, Node, TrackWriter};
use doorframe_transport::recorded::EpochFile;
use doorframe_transport::store::{EpochEntry, Shelf, StoreError};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

/// Sends to whatever hub the node is joined to.
#[derive(Clone)]
pub(super) struct Deliver {
    pub(super) shared: Arc<Shared>,
    pub(super) node: Arc<Node>,
    pub(super) links: Links,
    pub(super) shelf: Shelf,
    pub(super) store: Disk,
}

/// Behind everything that is live.
const PRIORITY: u8 = 10;
/// The hub's word is short.
const ACKS: u8 = 150;
/// How long a hub may take to store an epoch before another has its turn.
const CONFIRM: Duration = Duration::from_secs(20);
/// How long what it has stored before may take to be told: until then nothing is sent again.
const SETTLE: Duration = Duration::from_millis(500);
/// A hub that has said nothing for so long confirms nothing.
const SILENT: Duration = Duration::from_secs(10);
/// How often is looked for what is due without a word of it.
const LOOK: Duration = Duration::from_millis(500);
const AGAIN: Duration = Duration::from_millis(200);
/// Most parts of an epoch: a group takes 8192.
const MOST_PARTS: usize = 4096;

/// Where a session's epochs are sent.
struct Outlet {
    session: SessionId,
    epochs: TrackWriter,
    /// Group of the next.
    next: u64,
    /// The broadcast and its session track end with it.
    _broadcast: (Broadcast, TrackWriter),
}

/// Why an epoch was not sent.
enum NotSent {
    Damaged,
    /// The disk or the network fails.
    Later(String),
}

impl From<CarriageError> for NotSent {
    fn from(error: CarriageError) -> Self {
        Self::Later(error.to_string())
    }
}

impl Deliver {
    /// Until it is aborted.
    pub(super) async fn run(self) {
        tokio::join!(self.clone().follow(), self.hear_all(), self.clone().deliver());
    }

    /// Follows the connection.
    async fn follow(mut self) {
        loop {
            let link = *self.links.borrow_and_update();
            self.shared.held().handle_link(link);
            self.shared.figures().confirms = Confirms::Unknown;
            self.shared.spare.lock().unwrap_or_else(PoisonError::into_inner).restart();
            self.shared.to_write.notify_one();
            self.shared.to_send.notify_one();
            self.shared.tell();
            let changed = async {
                // Who told of connections has ended.
                if self.links.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            };
            tokio::pin!(changed);
            if link.is_some() && tokio::time::timeout(SILENT, &mut changed).await.is_err() {
                self.shared.miss_confirms();
                self.shared.tell();
            } else if link.is_some() {
                continue;
            }
            changed.await;
        }
    }

    async fn hear_all(&self) {
        loop {
            self.hear().await;
            self.shared.forget_confirms();
            self.shared.held().handle_new_hub();
            self.shared.to_send.notify_one();
            tokio::time::sleep(AGAIN).await;
        }
    }

    /// Hears what is stored until the track ends.
    async fn hear(&self) {
        let Ok(mut acks) = self.node.record(&format!("stored/{}", self.shelf), "ack", ACKS).await else { return };
        let settled = async {
            tokio::time::sleep(SETTLE).await;
            self.shared.figures().confirms = Confirms::Yes;
            tracing::debug!("the hub says what it has stored");
            self.shared.to_send.notify_one();
            self.shared.tell();
            std::future::pending::<()>().await;
        };
        let read = async {
            while let Some(mut group) = acks.group().await {
                while let Some(object) = group.object().await {
                    let Some(id) = confirmation(&object) else { continue };
                    self.shared.held().handle_confirmed(id);
                    // A connection that was replaced may have carried this track on.
                    self.shared.figures().confirms = Confirms::Yes;
                    self.shared.to_write.notify_one();
                    self.shared.to_send.notify_one();
                }
            }
        };
        tokio::select! {
            () = settled => {}
            () = read => {}
        }
    }

    async fn deliver(self) {
        let mut outlet = None;
        loop {
            let offer = if self.shared.figures().confirms == Confirms::Yes {
                self.shared.held().poll_offer(self.shared.clock.now())
            } else {
                None
            };
            let Some(offer) = offer else {
                // What is over is not announced any more.
                outlet = outlet.filter(|outlet: &Outlet| self.shared.held().has_session(outlet.session));
                let _looked = tokio::time::timeout(LOOK, self.shared.to_send.notified()).await;
                continue;
            };
            let id = offer.id;
            tracing::debug!(session = %id.session, epoch = %id.epoch, "sent again");
            let mut links = self.links.clone();
            let link = *links.borrow_and_update();
            let sent = tokio::select! {
                sent = self.offer(offer, &mut outlet) => sent,
                _ = links.wait_for(|now| *now != link) => {
                    self.shared.held().handle_offer_lost();
                    continue;
                }
            };
            match sent {
                Ok(()) => {}
                Err(NotSent::Damaged) => {
                    tracing::warn!(epoch = %id.epoch, "a file of the spool is damaged");
                    self.shared.held().handle_damaged(id);
                    self.shared.to_write.notify_one();
                }
                Err(NotSent::Later(error)) => {
                    tracing::debug!(%error, "not sent");
                    self.shared.held().handle_unconfirmed(self.shared.clock.now());
                }
            }
        }
    }

    /// Sends an epoch and waits for the hub's word.
    async fn offer(&self, offer: Offer, outlet: &mut Option<Outlet>) -> Result<(), NotSent> {
        let Offer { id, source } = offer;
        let mut bytes = match source {
            Source::Memory(file) => Bytes::from(file.emit().map_err(|_| NotSent::Damaged)?.concat()),
            Source::Disk(entry) => self.read(&entry).await?,
        };
        let outlet = match outlet {
            Some(open) if open.session == id.session => open,
            other => other.insert(self.open(id.session).await?),
        };
        let mut group = outlet.epochs.group(outlet.next)?;
        outlet.next += 1;
        let (least, length) = (bytes.len() / MOST_PARTS + 1, u32::try_from(bytes.len()).unwrap_or(u32::MAX));
        group.write(self.at(), Bytes::copy_from_slice(&length.to_be_bytes()))?;
        while !bytes.is_empty() {
            let (part, wait) = {
                let mut spare = self.shared.spare.lock().unwrap_or_else(PoisonError::into_inner);
                let part = spare.part().max(least).min(bytes.len());
                (part, spare.poll(part, self.shared.clock.now()))
            };
            match wait {
                Some(wait) => tokio::time::sleep(wait).await,
                None => group.write(self.at(), bytes.split_to(part))?,
            }
            if !self.shared.held().is_offered(id) {
                // It was confirmed meanwhile, or let go.
                break;
            }
        }
        group.finish();
        let confirmed = async {
            while self.shared.held().is_offered(id) {
                self.shared.to_send.notified().await;
            }
        };
        if tokio::time::timeout(CONFIRM, confirmed).await.is_err() {
            return Err(NotSent::Later("not confirmed in time".into()));
        }
        self.shared.tell();
        Ok(())
    }

    /// A relay takes these for times of pictures, and what is not new for late.
    fn at(&self) -> MediaTime {
        MediaTime::from_duration(Duration::from_micros(self.shared.clock.now().as_micros()))
    }

    async fn read(&self, entry: &EpochEntry) -> Result<Bytes, NotSent> {
        let Some(store) = self.store.borrow().clone() else { return Err(NotSent::Later("no disk".into())) };
        let bytes = match store.epoch(&self.shelf, entry).await {
            Ok(bytes) => bytes,
            Err(StoreError::Absent | StoreError::TooLarge(_)) => return Err(NotSent::Damaged),
            Err(error) => return Err(NotSent::Later(error.to_string())),
        };
        let is_it = |file: &EpochFile| (file.session, file.epoch) == (entry.session, entry.epoch);
        match EpochFile::parse(&bytes) {
            Ok(file) if is_it(&file) => Ok(bytes),
            _ => Err(NotSent::Damaged),
        }
    }

    /// `spool/ALIAS/SESSION`, with the manifest in place.
    async fn open(&self, session: SessionId) -> Result<Outlet, NotSent> {
        let manifest = self.shared.sessions().get(&session).cloned();
        let manifest = match manifest {
            Some(manifest) => manifest,
            None => {
                let Some(store) = self.store.borrow().clone() else { return Err(NotSent::Later("no disk".into())) };
                match store.session(&self.shelf, session).await {
                    Ok(manifest) if SessionManifest::is_of(&manifest, session) => manifest,
                    Ok(_) => return Err(NotSent::Damaged),
                    // Nobody could open what is left of it.
                    Err(StoreError::Absent | StoreError::TooLarge(_)) => return Err(NotSent::Damaged),
                    Err(error) => return Err(NotSent::Later(error.to_string())),
                }
            }
        };
        let broadcast = self.node.broadcast(&format!("spool/{}/{session}", self.shelf))?;
        let track = broadcast.track("session", PRIORITY)?;
        let mut group = track.group(0)?;
        group.write(self.at(), manifest)?;
        group.finish();
        let epochs = broadcast.track("epoch", PRIORITY)?;
        broadcast.announce()?;
        Ok(Outlet { session, epochs, next: 0, _broadcast: (broadcast, track) })
    }
}

/// `[16] session ‖ u32 epoch`.
fn confirmation(object: &[u8]) -> Option<EpochId> {
    let (session, epoch) = object.split_first_chunk::<16>()?;
    let epoch = <[u8; 4]>::try_from(epoch).ok()?;
    Some(EpochId { session: SessionId(*session), epoch: Epoch(u32::from_be_bytes(epoch)) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_confirmation_of_another_length_is_none() {
        let ack = [&[7; 16][..], &9_u32.to_be_bytes()].concat();
        assert_eq!(confirmation(&ack), Some(EpochId { session: SessionId([7; 16]), epoch: Epoch(9) }));
        (0..20).for_each(|len| assert_eq!(confirmation(&ack[..len]), None, "{len}"));
        assert_eq!(confirmation(&[&ack[..], &[0]].concat()), None);
    }
}
