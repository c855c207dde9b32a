//! Who keeps the recordings: a hub, asked group by group (`docs/format.md`, "Serving"), or a folder.

use super::span::LATE_HOURS;
use super::{ArchiveError, HourKept};
use bytes::Bytes;
use doorframe_transport::grant::EpochSpan;
use doorframe_transport::keys::{Epoch, SessionId};
use doorframe_transport::manifest::SessionFacts;
use doorframe_transport::moq::{CarriageError, Connection, Dial, FetchLimits, Node, client_endpoint, dial};
use doorframe_transport::recorded::MAX_FILE;
use doorframe_transport::store::{EpochEntry, Hour, Patience, Place, Shelf, Store};
use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::path::Path;
use std::time::Duration;

/// Who keeps them.
pub(super) enum Source {
    Hub(Box<Hub>),
    Folder { store: Store, shelf: Shelf, entries: HashMap<(SessionId, Epoch), EpochEntry> },
}

/// A hub, and how often it was asked for what changes.
pub(super) struct Hub {
    node: Node,
    connection: Connection,
    /// `store/ALIAS`.
    root: String,
    asked: u64,
}

/// Until the hub has said what it keeps.
const ANNOUNCED: Duration = Duration::from_secs(5);
/// Until an answer is whole.
const ANSWER: Duration = Duration::from_secs(30);
/// Largest listing: an hour of a camera has some 60 kB.
const LISTING: usize = 16 << 20;
const MANIFEST: usize = 1 << 20;
/// Below what is watched live.
const PRIORITY: u8 = 60;
/// What a reader may put above the lower 32 bits of a group (`docs/format.md`, "Serving").
const ASKED: u64 = 1 << 20;

impl Source {
    pub(super) async fn connect(to: &Dial, alias: &str) -> Result<Self, ArchiveError> {
        let endpoint = client_endpoint().map_err(ArchiveError::Socket)?;
        let node = Node::new();
        let mut announced = node.announcements("store");
        let connection = dial(&endpoint, &node, to).await?;
        let wanted = async {
            while let Some(kept) = announced.next().await {
                if kept.is_live && kept.name == alias {
                    return true;
                }
            }
            false
        };
        let found = tokio::select! {
            found = tokio::time::timeout(ANNOUNCED, wanted) => found.unwrap_or(false),
            ended = connection.closed() => return Err(ArchiveError::Refused(ended.to_string())),
        };
        if !found {
            return Err(ArchiveError::NotKept(alias.into()));
        }
        // A number of our own, so that no cache answers with what another asked before.
        let asked = crate::wall_us() / 1_000_000 % ASKED;
        Ok(Self::Hub(Box::new(Hub { node, connection, root: format!("store/{alias}"), asked })))
    }

    pub(super) async fn folder(folder: &Path, camera: &str) -> Result<Self, ArchiveError> {
        let failed = |error| ArchiveError::Store { what: folder.display().to_string(), error };
        let store = Store::look_into(&Place::Folder(folder.into()), Patience::default()).map_err(failed)?;
        let shelves = store.shelves().await.map_err(failed)?;
        let Some(shelf) = shelves.iter().find(|shelf| shelf.as_str() == camera) else {
            let others: Vec<_> = shelves.iter().map(Shelf::as_str).collect();
            let others = if others.is_empty() { "nothing".into() } else { others.join(", ") };
            return Err(ArchiveError::NoShelf { folder: folder.display().to_string(), camera: camera.into(), others });
        };
        Ok(Self::Folder { shelf: shelf.clone(), store, entries: HashMap::new() })
    }

    pub(super) async fn hours(&mut self) -> Result<Vec<HourKept>, ArchiveError> {
        match self {
            Self::Hub(hub) => hub.hours().await,
            Self::Folder { store, shelf, .. } => {
                let hours = store.hours(shelf).await;
                let hours = hours.map_err(|error| ArchiveError::Store { what: "what it has".into(), error })?;
                Ok(hours.into_iter().map(|hour| HourKept { hour, epochs: None, bytes: 0 }).collect())
            }
        }
    }

    pub(super) async fn hour(&mut self, hour: Hour) -> Result<Vec<EpochEntry>, ArchiveError> {
        match self {
            Self::Hub(hub) => hub.hour(hour).await,
            Self::Folder { store, shelf, entries } => {
                let listed = store.hour(shelf, hour).await;
                let listed = listed.map_err(|error| ArchiveError::Store { what: "an hour".into(), error })?;
                for entry in &listed {
                    // Of several of one epoch, the largest.
                    let kept = entries.entry((entry.session, entry.epoch)).or_insert(*entry);
                    if entry.bytes > kept.bytes {
                        *kept = *entry;
                    }
                }
                Ok(listed)
            }
        }
    }

    /// Epochs of a session from a span that may be there: of a hub each can be asked for by its number, a folder says which it has.
    pub(super) async fn within(
        &mut self,
        facts: &SessionFacts,
        span: EpochSpan,
    ) -> Result<BTreeSet<Epoch>, ArchiveError> {
        if matches!(self, Self::Hub(_)) {
            return Ok((span.first().0..span.end().0).map(Epoch).collect());
        }
        let length = u64::try_from(facts.epoch_length.as_micros()).unwrap_or(u64::MAX);
        let at = |epoch: Epoch| facts.started_wall_us.saturating_add(u64::from(epoch.0).saturating_mul(length));
        let (first, last) = (Hour::of(at(span.first())).0, Hour::of(at(span.end())).0);
        let hours = self.hours().await?;
        let near = |hour: Hour| hour.0.saturating_add(1) >= first && hour.0 <= last.saturating_add(LATE_HOURS);
        // Elsewhere only if it is not there: the camera's clock may have been wrong.
        for is_near in [true, false] {
            let mut found = BTreeSet::new();
            for kept in hours.iter().filter(|kept| near(kept.hour) == is_near) {
                let entries = self.hour(kept.hour).await?;
                let ours = entries.iter().filter(|entry| entry.session == facts.id && span.contains(entry.epoch));
                found.extend(ours.map(|entry| entry.epoch));
            }
            if !found.is_empty() {
                return Ok(found);
            }
        }
        Ok(BTreeSet::new())
    }

    pub(super) async fn session(&mut self, id: SessionId) -> Result<Bytes, ArchiveError> {
        let what = format!("session {id}");
        match self {
            Self::Hub(hub) => {
                let path = format!("{}/{id}", hub.root);
                let mut objects = hub.fetch(&path, "session", 0, MANIFEST, what.clone()).await?.into_iter();
                match (objects.next(), objects.next()) {
                    (Some(record), None) => Ok(record),
                    _ => Err(ArchiveError::Answer(what)),
                }
            }
            Self::Folder { store, shelf, .. } => {
                store.session(shelf, id).await.map_err(|error| ArchiveError::Store { what, error })
            }
        }
    }

    pub(super) async fn epoch(&mut self, session: SessionId, epoch: Epoch) -> Result<Bytes, ArchiveError> {
        let what = format!("epoch {epoch} of session {session}");
        match self {
            Self::Hub(hub) => {
                let path = format!("{}/{session}", hub.root);
                let objects = hub.fetch(&path, "epoch", u64::from(epoch.0), MAX_FILE, what).await?;
                Ok(joined(objects))
            }
            Self::Folder { store, shelf, entries } => match entries.get(&(session, epoch)) {
                Some(entry) => store.epoch(shelf, entry).await.map_err(|error| ArchiveError::Store { what, error }),
                None => Err(ArchiveError::Store { what, error: doorframe_transport::store::StoreError::Absent }),
            },
        }
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hub(hub) => write!(f, "Source({})", hub.root),
            Self::Folder { store, .. } => write!(f, "Source({})", store.place()),
        }
    }
}

impl Hub {
    async fn hours(&mut self) -> Result<Vec<HourKept>, ArchiveError> {
        let what = "what it keeps";
        let group = self.own(0);
        let root = self.root.clone();
        let bytes = joined(self.fetch(&root, "days", group, LISTING, what.into()).await?);
        let (hours, rest) = bytes.as_chunks::<16>();
        if !rest.is_empty() {
            return Err(ArchiveError::Answer(what.into()));
        }
        let hour = |entry: &[u8; 16]| {
            let [a, b, c, d, e, f, g, h, bytes @ ..] = *entry;
            HourKept {
                hour: Hour(u32::from_be_bytes([a, b, c, d])),
                epochs: Some(u32::from_be_bytes([e, f, g, h])),
                bytes: u64::from_be_bytes(bytes),
            }
        };
        Ok(hours.iter().map(hour).collect())
    }

    async fn hour(&mut self, hour: Hour) -> Result<Vec<EpochEntry>, ArchiveError> {
        let what = "an hour";
        let group = self.own(hour.0);
        let root = self.root.clone();
        let bytes = joined(self.fetch(&root, "hour", group, LISTING, what.into()).await?);
        let (entries, rest) = bytes.as_chunks::<32>();
        if !rest.is_empty() {
            return Err(ArchiveError::Answer(what.into()));
        }
        let entry = |entry: &[u8; 32]| {
            let (session, rest) = entry.split_first_chunk::<16>()?;
            let (epoch, rest) = rest.split_first_chunk::<4>()?;
            let (stored, rest) = rest.split_first_chunk::<8>()?;
            let bytes = rest.first_chunk::<4>()?;
            Some(EpochEntry {
                session: SessionId(*session),
                epoch: Epoch(u32::from_be_bytes(*epoch)),
                stored_us: u64::from_be_bytes(*stored),
                bytes: u32::from_be_bytes(*bytes).into(),
            })
        };
        Ok(entries.iter().filter_map(entry).collect())
    }

    /// A group that nobody asked for before.
    fn own(&mut self, group: u32) -> u64 {
        self.asked = (self.asked + 1) % ASKED;
        self.asked << 32 | u64::from(group)
    }

    async fn fetch(
        &self,
        path: &str,
        track: &str,
        group: u64,
        bytes: usize,
        what: String,
    ) -> Result<Vec<Bytes>, ArchiveError> {
        let limits = FetchLimits { time: ANSWER, bytes, priority: PRIORITY };
        tokio::select! {
            answer = self.node.fetch(path, track, group, limits) => {
                answer.map_err(|error: CarriageError| ArchiveError::Carriage { what, error })
            }
            ended = self.connection.closed() => Err(ArchiveError::Refused(ended.to_string())),
        }
    }
}

fn joined(objects: Vec<Bytes>) -> Bytes {
    match <[Bytes; 1]>::try_from(objects) {
        Ok([whole]) => whole,
        Err(objects) => objects.concat().into(),
    }
}
