//! A node: broadcasts of one's own and of one's peers, and their tracks, groups and objects.

use super::CarriageError;
use bytes::Bytes;
use doorframe_codec::units::MediaTime;
use moq_net::{Timescale, Timestamp, announce, broadcast, group, origin, track};
use std::fmt;
use std::time::Duration;
use tokio::task::JoinHandle;

/// How long a group that fell behind is kept for those who ask for it: one epoch and a half.
const KEPT: Duration = Duration::from_secs(3);

/// How far a group may fall behind the newest before its rest is given up: who is late sees the present, not the past. Not
/// zero, or the last pictures of an epoch would be lost whenever the next keyframe overtakes them.
const PATIENCE: Duration = Duration::from_millis(150);

/// Holds broadcasts. Whoever is [joined](super::dial) to it sees those it may see.
pub struct Node {
    pub(super) origin: origin::Producer,
    /// Ends when dropped, and every broadcast with it.
    driver: Driver,
}

struct Driver(JoinHandle<()>);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Node {
    /// A node without broadcasts. Call it inside a tokio runtime, which then drives it until it is dropped.
    pub fn new() -> Self {
        let (origin, driver) = origin::Producer::new(origin::Config::default());
        let driver = tokio::spawn(async move {
            let ended = moq_net::time::run(driver).await;
            tracing::debug!(%ended, "node ended");
        });
        Self { origin, driver: Driver(driver) }
    }

    /// Publishes a broadcast at `path`, seen by peers once [`Broadcast::announce`]d.
    ///
    /// # Errors
    /// If the path is one that cannot be published.
    pub fn broadcast(&self, path: &str) -> Result<Broadcast, CarriageError> {
        let broadcast = self.origin.create_broadcast(path).map_err(|_| CarriageError::Path(path.into()))?;
        Ok(Broadcast { broadcast })
    }

    /// Broadcasts below `prefix`, those there are and those to come.
    pub fn announcements(&self, prefix: &str) -> Announcements {
        Announcements { prefix: prefix.to_owned(), announced: self.origin.consume().announced() }
    }

    /// Subscribes to a track of a broadcast at `path`, whoever publishes it. Waits until somebody does.
    ///
    /// `priority`: the higher goes first when the link is short.
    ///
    /// # Errors
    /// [`CarriageError::Over`] if the broadcast ended before.
    pub async fn subscribe(&self, path: &str, track: &str, priority: u8) -> Result<TrackReader, CarriageError> {
        self.subscribe_for(path, track, priority, PATIENCE).await
    }

    /// As [`Node::subscribe`], for who wants all of it rather than the present: groups that fell behind are waited for as long as
    /// anybody keeps them.
    ///
    /// # Errors
    /// As [`Node::subscribe`].
    pub async fn record(&self, path: &str, track: &str, priority: u8) -> Result<TrackReader, CarriageError> {
        self.subscribe_for(path, track, priority, KEPT).await
    }

    async fn subscribe_for(
        &self,
        path: &str,
        track: &str,
        priority: u8,
        patience: Duration,
    ) -> Result<TrackReader, CarriageError> {
        let over = |_| CarriageError::Over;
        let broadcast = self.origin.consume().routed_broadcast(path).await.map_err(over)?;
        let track = broadcast.track(track).map_err(over)?;
        let wanted = track::Subscription::default().with_priority(priority).with_max_age(patience);
        let subscriber = track.subscribe(wanted).await.map_err(over)?;
        Ok(TrackReader { subscriber, _broadcast: broadcast })
    }

    /// Whether the node still runs.
    pub fn is_running(&self) -> bool {
        !self.driver.0.is_finished()
    }
}

impl Default for Node {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Node(..)")
    }
}

/// A broadcast of one's own. Ends when dropped.
pub struct Broadcast {
    pub(super) broadcast: broadcast::Producer,
}

impl Broadcast {
    /// Adds a track. `priority`: the higher goes first among tracks that are wanted equally.
    ///
    /// # Errors
    /// [`CarriageError::Over`] if there is such a track or the broadcast has ended.
    pub fn track(&self, name: &str, priority: u8) -> Result<TrackWriter, CarriageError> {
        let info = track::Info::default()
            .with_timescale(Timescale::new(MediaTime::HZ).unwrap_or(Timescale::MILLI))
            .with_max_age(KEPT)
            .with_priority(priority);
        let track = self.broadcast.create_track(name, info).map_err(|_| CarriageError::Over)?;
        Ok(TrackWriter { track })
    }

    /// Lets peers see it. Call it when its first objects are in place.
    ///
    /// # Errors
    /// [`CarriageError::Over`] if the node has ended.
    pub fn announce(&self) -> Result<(), CarriageError> {
        self.broadcast.announce(origin::Route::default()).map_err(|_| CarriageError::Over)
    }
}

impl fmt::Debug for Broadcast {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Broadcast(..)")
    }
}

/// A track of one's own.
pub struct TrackWriter {
    pub(super) track: track::Producer,
}

impl TrackWriter {
    /// Starts group `sequence`. Groups before it may still be written to.
    ///
    /// # Errors
    /// [`CarriageError::Over`] if there was such a group or the track has ended.
    pub fn group(&self, sequence: u64) -> Result<GroupWriter, CarriageError> {
        let group = self.track.create_group(group::Info { sequence }).map_err(|_| CarriageError::Over)?;
        Ok(GroupWriter { group })
    }

    /// Whether anybody is subscribed to it.
    pub fn is_used(&self) -> bool {
        self.track.is_used()
    }
}

impl fmt::Debug for TrackWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TrackWriter({})", self.track.name())
    }
}

/// A group being written.
pub struct GroupWriter {
    group: group::Producer,
}

impl GroupWriter {
    /// Appends an object, at once on its way. `at` serves relays to tell stale groups; readers use the sealed time.
    ///
    /// # Errors
    /// If the object is too large or the group has ended.
    pub fn write(&mut self, at: MediaTime, object: Bytes) -> Result<(), CarriageError> {
        let len = object.len();
        let at = Timestamp::from_scale(at.ticks(), MediaTime::HZ).map_err(|_| CarriageError::Over)?;
        self.group.write_frame(at, object).map_err(|error| match error {
            moq_net::Error::FrameTooLarge => CarriageError::TooLarge(len),
            _ => CarriageError::Over,
        })
    }

    /// Ends the group: readers see that nothing follows.
    pub fn finish(self) {
        // An error means that it has ended already.
        let _ended = self.group.finish();
    }
}

impl fmt::Debug for GroupWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GroupWriter(..)")
    }
}

/// A broadcast came or went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announced {
    /// Its path, below the prefix asked for.
    pub name: String,
    /// Whether it is there now.
    pub is_live: bool,
}

/// Broadcasts as they come and go.
pub struct Announcements {
    prefix: String,
    announced: announce::Consumer,
}

impl Announcements {
    /// The next change; `None` when the node has ended.
    pub async fn next(&mut self) -> Option<Announced> {
        loop {
            let update = self.announced.next().await?;
            let Some(name) = update.prefix.as_str().strip_prefix(self.prefix.as_str()) else { continue };
            let name = name.trim_start_matches('/');
            if !name.is_empty() {
                return Some(Announced { name: name.to_owned(), is_live: update.kind.is_active() });
            }
        }
    }
}

impl fmt::Debug for Announcements {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Announcements({})", self.prefix)
    }
}

/// A track that somebody publishes.
pub struct TrackReader {
    subscriber: track::Subscriber,
    /// The subscription ends with it.
    _broadcast: broadcast::Consumer,
}

impl TrackReader {
    /// The next group as it begins, not waiting for one that is behind; `None` when the track has ended.
    pub async fn group(&mut self) -> Option<GroupReader> {
        match self.subscriber.recv_group().await {
            Ok(Some(group)) => Some(GroupReader { sequence: group.sequence, group }),
            Ok(None) => None,
            Err(error) => {
                tracing::debug!(%error, "track ended");
                None
            }
        }
    }
}

impl fmt::Debug for TrackReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TrackReader({})", self.subscriber.name())
    }
}

/// A group that somebody publishes.
pub struct GroupReader {
    sequence: u64,
    group: group::Consumer,
}

impl GroupReader {
    /// Its number in the track.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Position of the next object in the group, from 0.
    pub fn position(&self) -> u64 {
        self.group.index()
    }

    /// The next object; `None` when the group is over, or its rest was given up because newer ones came.
    pub async fn object(&mut self) -> Option<Bytes> {
        match self.group.read_frame().await {
            Ok(frame) => frame.map(|frame| frame.payload),
            Err(error) => {
                tracing::debug!(%error, group = self.sequence, "group given up");
                None
            }
        }
    }
}

impl fmt::Debug for GroupReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GroupReader({})", self.sequence)
    }
}
