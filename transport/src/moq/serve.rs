//! Groups on request: a track that is not live, and its reader.

#![expect(clippy::disallowed_methods, reason = "floor 2: the edge is where time passes")]

use super::CarriageError;
use super::node::{Broadcast, Node};
use bytes::Bytes;
use moq_net::{Error, StreamError, Timestamp, group, origin, track};
use std::fmt;
use std::time::Duration;

/// What a fetch may take at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FetchLimits {
    /// Until the last byte is here.
    pub time: Duration,
    /// Bytes of all objects together.
    pub bytes: usize,
    /// Delivery priority: the higher goes first.
    pub priority: u8,
}

/// How long an answer is kept for whoever asks the same just after.
const LINGER: Duration = Duration::from_secs(2);
/// How long a reader may take for an answer before its rest is given up.
const SLOWEST: Duration = Duration::from_secs(60);
/// Most bytes of one answer: what MoQ keeps of a group.
const LARGEST: usize = group::MAX_CACHE_BYTES as usize;

impl Node {
    /// Asks for one group of a track that is [served](Broadcast::serve) on request at `path`, whoever serves it, and gives its
    /// objects.
    ///
    /// Caches between here and there, this node's own included, may answer with what they heard a while ago. Who
    /// asks for something that changes leaves bits of `group` to a number of his own that the server ignores.
    ///
    /// # Errors
    /// [`CarriageError::Absent`] if whoever serves it does not have that group, [`CarriageError::TimedOut`] or
    /// [`CarriageError::Limit`] if it takes more than allowed, [`CarriageError::Over`] if it broke off.
    pub async fn fetch(
        &self,
        path: &str,
        track: &str,
        group: u64,
        limits: FetchLimits,
    ) -> Result<Vec<Bytes>, CarriageError> {
        let fetch = self.fetch_within(path, track, group, limits);
        tokio::time::timeout(limits.time, fetch).await.unwrap_or(Err(CarriageError::TimedOut(limits.time)))
    }

    async fn fetch_within(
        &self,
        path: &str,
        track: &str,
        group: u64,
        limits: FetchLimits,
    ) -> Result<Vec<Bytes>, CarriageError> {
        let broadcast = self.origin.consume().routed_broadcast(path).await.map_err(refusal)?;
        let track = broadcast.track(track).map_err(refusal)?;
        let options = group::Fetch::default().with_priority(limits.priority);
        let mut group = track.fetch_group(group, options).await.map_err(refusal)?;
        let (mut objects, mut bytes) = (Vec::new(), 0_usize);
        while let Some(mut frame) = group.next_frame().await.map_err(refusal)? {
            bytes = bytes.saturating_add(usize::try_from(frame.size).unwrap_or(usize::MAX));
            if bytes > limits.bytes {
                return Err(CarriageError::Limit(limits.bytes));
            }
            objects.push(frame.read_all().await.map_err(refusal)?);
        }
        Ok(objects)
    }

    /// Takes requests for broadcasts at `path` and at all paths below it. Peers see one announcement, of `path`.
    ///
    /// # Errors
    /// If the path is one that cannot be published.
    pub fn serve_below(&self, path: &str) -> Result<BroadcastRequests, CarriageError> {
        let bad = |_| CarriageError::Path(path.into());
        let route = origin::Route::default();
        Ok(BroadcastRequests { origin: self.origin.clone(), dynamic: self.origin.dynamic(path, route).map_err(bad)? })
    }
}

fn refusal(error: Error) -> CarriageError {
    match error {
        Error::NotFound | Error::Unroutable | Error::Stream(StreamError::NotFound) => CarriageError::Absent,
        Error::Unauthorized => CarriageError::Path("asked for".into()),
        error => {
            tracing::debug!(%error, "fetch broke off");
            CarriageError::Over
        }
    }
}

/// Requests for broadcasts below a path. The path is served until it is dropped.
pub struct BroadcastRequests {
    origin: origin::Producer,
    dynamic: origin::Dynamic,
}

impl BroadcastRequests {
    /// The next request; `None` when the node has ended.
    pub async fn next(&self) -> Option<BroadcastRequest> {
        let request = self.dynamic.requested_broadcast().await.ok()?;
        Some(BroadcastRequest { origin: self.origin.clone(), request })
    }
}

impl fmt::Debug for BroadcastRequests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BroadcastRequests(..)")
    }
}

/// Somebody wants a broadcast. Refused if dropped.
pub struct BroadcastRequest {
    origin: origin::Producer,
    request: origin::Request,
}

impl BroadcastRequest {
    /// Its path, from the node's root on.
    pub fn path(&self) -> &str {
        self.request.path().as_str()
    }

    /// Lets `tracks` be asked of it. The broadcast is there for as long as it is kept.
    ///
    /// # Errors
    /// [`CarriageError::Over`] if the node has ended.
    pub fn accept<const N: usize>(
        self,
        tracks: [&str; N],
        priority: u8,
    ) -> Result<(Broadcast, [Requests; N]), CarriageError> {
        let broadcast = self.origin.create_broadcast(self.path()).map_err(|_| CarriageError::Over)?;
        let broadcast = Broadcast { broadcast };
        let mut requests = Vec::with_capacity(N);
        for track in tracks {
            requests.push(broadcast.serve(track, priority)?);
        }
        let requests = requests.try_into().map_err(|_| CarriageError::Over)?;
        self.request.accept(&broadcast.broadcast);
        Ok((broadcast, requests))
    }

    /// There is no such broadcast.
    pub fn refuse(self) {
        self.request.reject(Error::NotFound);
    }
}

impl fmt::Debug for BroadcastRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BroadcastRequest({})", self.path())
    }
}

impl Broadcast {
    /// Adds a track whose groups are made when somebody asks for them.
    ///
    /// # Errors
    /// [`CarriageError::Over`] if there is such a track or the broadcast has ended.
    pub fn serve(&self, name: &str, priority: u8) -> Result<Requests, CarriageError> {
        let track = self.track(name, priority)?.track;
        Ok(Requests { dynamic: track.dynamic(), _track: track })
    }
}

/// Requests for groups of a track. Served until it is dropped.
pub struct Requests {
    dynamic: track::Dynamic,
    /// The track ends with it.
    _track: track::Producer,
}

impl Requests {
    /// The next request; `None` when the track has ended. Several who ask for one group at a time are one request.
    pub async fn next(&self) -> Option<GroupRequest> {
        let request = self.dynamic.requested_group().await.ok()?;
        Some(GroupRequest { request })
    }
}

impl fmt::Debug for Requests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Requests({})", self.dynamic.name())
    }
}

/// Somebody wants a group. Refused if dropped.
pub struct GroupRequest {
    request: group::Request,
}

impl GroupRequest {
    /// Its number.
    pub fn group(&self) -> u64 {
        self.request.sequence()
    }

    /// Answers with all of it, and keeps it until it is read, or for a minute.
    ///
    /// # Errors
    /// [`CarriageError::TooLarge`] if a group cannot carry it; it is refused then. [`CarriageError::Over`] if nobody waits any more.
    pub fn reply(self, objects: Vec<Bytes>) -> Result<(), CarriageError> {
        let over = |_| CarriageError::Over;
        let bytes: usize = objects.iter().map(Bytes::len).sum();
        if bytes > LARGEST || objects.len() > group::MAX_GROUP_FRAMES {
            self.refuse();
            return Err(CarriageError::TooLarge(bytes));
        }
        let start = usize::try_from(self.request.frame_start()).unwrap_or(usize::MAX);
        let mut group = self.request.accept(None).map_err(over)?;
        for object in objects.into_iter().skip(start) {
            group.write_frame(Timestamp::ZERO, object).map_err(over)?;
        }
        group.finish().map_err(over)?;
        // What has been read is let go, or a hub would hold all that was asked of it in the last half minute.
        tokio::spawn(async move {
            tokio::time::sleep(LINGER).await;
            let _gone = tokio::time::timeout(SLOWEST, group.unused()).await;
            let _ended = group.abort(Error::Old);
        });
        Ok(())
    }

    /// There is no such group.
    pub fn refuse(self) {
        self.request.reject(Error::NotFound);
    }
}

impl fmt::Debug for GroupRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GroupRequest({})", self.group())
    }
}
