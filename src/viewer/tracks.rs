//! Network side of a viewer: follows a camera's sessions and brings their records and objects to the decoder's thread.

use super::home::Watched;
use bytes::Bytes;
use doorframe_codec::units::MediaTime;
use doorframe_transport::keys::{Epoch, SessionId};
use doorframe_transport::moq::{CarriageError, GroupReader, Node, TrackReader, TrackWriter};
use doorframe_transport::track::TrackName;
use doorframe_transport::unit::MAX_OBJECT;
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::mpsc::Sender;
use tokio::task::{AbortHandle, JoinSet};

/// What the network brings. Each carries the time it came, by our wall clock in µs.
#[derive(Debug)]
pub(super) enum Message {
    /// A session's manifest.
    Session(SessionId, Bytes),
    /// Opening (0) or closing (1) of an epoch.
    Manifest(SessionId, u64, Bytes),
    /// A letter of the camera to the home's devices.
    Letter(SessionId, Bytes),
    /// A sealed object: an access unit, or what happened.
    Object(SessionId, TrackName, Epoch, Bytes, u64),
    /// A session is over.
    Gone(SessionId),
}

impl Message {
    /// Bytes it keeps.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Session(_, bytes)
            | Self::Manifest(.., bytes)
            | Self::Letter(_, bytes)
            | Self::Object(_, _, _, bytes, _) => bytes.len(),
            Self::Gone(_) => 0,
        }
    }

    /// Which session it belongs to.
    pub(super) fn session(&self) -> SessionId {
        match self {
            Self::Session(id, _)
            | Self::Manifest(id, ..)
            | Self::Letter(id, _)
            | Self::Object(id, ..)
            | Self::Gone(id) => *id,
        }
    }
}

/// Follows one camera.
pub(super) struct Follow {
    pub(super) node: Arc<Node>,
    pub(super) camera: String,
    pub(super) messages: Sender<Message>,
    /// Whether the camera's device lists are wanted.
    pub(super) of_home: bool,
}

/// Sessions read side by side at most: the camera's, the one before, and what others may put under its name.
const MOST: usize = 8;
const FIRST: u8 = 200;
const VIDEO: u8 = 100;
const LETTERS: u8 = 60;

impl Follow {
    /// Until it is aborted. All sessions under the camera's name are read; which one is watched is decided where they are
    /// opened.
    pub(super) async fn run(self) {
        let mut sessions = self.node.announcements(&self.camera);
        let mut tasks = JoinSet::new();
        let mut watched: HashMap<SessionId, AbortHandle> = HashMap::new();
        while let Some(announced) = sessions.next().await {
            let Some(id) = SessionId::from_hex(&announced.name) else { continue };
            while tasks.try_join_next().is_some() {}
            watched.retain(|_, task| !task.is_finished());
            if announced.is_live && !watched.contains_key(&id) && watched.len() < MOST {
                let path = format!("{}/{id}", self.camera);
                let task = tasks.spawn(session(self.node.clone(), path, id, self.of_home, self.messages.clone()));
                watched.insert(id, task);
            } else if !announced.is_live {
                // Its task ends with its tracks: what is under way still arrives.
                if self.messages.send(Message::Gone(id)).await.is_err() {
                    return;
                }
            }
        }
    }
}

/// Reads one session's tracks side by side.
async fn session(node: Arc<Node>, path: String, id: SessionId, of_home: bool, messages: Sender<Message>) {
    let manifest_messages = messages.clone();
    let letters = async {
        if of_home && let Ok(mut track) = node.subscribe(&path, "devices", LETTERS).await {
            while let Some(mut group) = track.group().await {
                while let Some(letter) = group.object().await {
                    messages.send(Message::Letter(id, letter)).await.ok()?;
                }
            }
        }
        Some(())
    };
    let objects = |track: TrackName| {
        let messages = messages.clone();
        move |mut group: GroupReader| {
            let messages = messages.clone();
            async move {
                let Ok(epoch) = u32::try_from(group.sequence()).map(Epoch) else { return };
                while let Some(object) = group.object().await {
                    if object.len() > MAX_OBJECT {
                        continue;
                    }
                    if messages.send(Message::Object(id, track, epoch, object, crate::wall_us())).await.is_err() {
                        return;
                    }
                }
            }
        }
    };
    let video = node.subscribe(&path, TrackName::VIDEO.as_str(), VIDEO);
    let video = groups(video, objects(TrackName::VIDEO));
    // Of these none is out of date, and a camera may have none of them.
    let event = groups(node.record(&path, TrackName::EVENT.as_str(), FIRST), objects(TrackName::EVENT));
    let bell = groups(node.record(&path, TrackName::BELL.as_str(), FIRST), objects(TrackName::BELL));
    let session = async {
        let mut track = node.subscribe(&path, "session", FIRST).await.ok()?;
        while let Some(mut group) = track.group().await {
            while let Some(record) = group.object().await {
                messages.send(Message::Session(id, record)).await.ok()?;
            }
        }
        Some(())
    };
    let manifest = groups(node.subscribe(&path, "manifest", FIRST), move |mut group| {
        let messages = manifest_messages.clone();
        async move {
            let mut position = 0;
            while let Some(record) = group.object().await {
                if messages.send(Message::Manifest(id, position, record)).await.is_err() {
                    return;
                }
                position += 1;
            }
        }
    });
    let _ended = tokio::join!(session, manifest, video, event, bell, letters);
}

/// Reads each group of a track as it begins, the tail of the one before beside it.
async fn groups<F, R>(track: impl Future<Output = Result<TrackReader, CarriageError>>, read: R)
where
    F: Future<Output = ()> + Send + 'static,
    R: Fn(GroupReader) -> F,
{
    let Ok(mut track) = track.await else { return };
    let mut readers = JoinSet::new();
    while let Some(group) = track.group().await {
        while readers.try_join_next().is_some() {}
        readers.spawn(read(group));
    }
    // The track is over, its last groups may not be.
    while readers.join_next().await.is_some() {}
}

/// Publishes what this viewer wants signed, for as long as it watches, and its home's device lists after the one that the camera states.
pub(super) async fn publish(node: Arc<Node>, id: String, challenge: [u8; 16], home: Option<Watched>) {
    let published = (|| {
        let broadcast = node.broadcast(&format!("viewer/{id}"))?;
        let track = broadcast.track("challenge", FIRST)?;
        let mut group = track.group(0)?;
        group.write(MediaTime::default(), Bytes::copy_from_slice(&challenge))?;
        group.finish();
        let devices = home.is_some().then(|| broadcast.track("devices", FIRST)).transpose()?;
        broadcast.announce()?;
        Ok::<_, CarriageError>((broadcast, track, devices))
    })();
    match published {
        Ok((_broadcast, _track, devices)) => {
            if let Some((home, devices)) = home.zip(devices)
                && let Err(error) = publish_devices(&home, &devices).await
            {
                tracing::warn!(%error, "device lists not published");
            }
            std::future::pending().await
        }
        Err(error) => tracing::warn!(%error, "challenge not published"),
    }
}

/// A group for each list that the camera says it has, as long as ours are newer.
async fn publish_devices(home: &Watched, track: &TrackWriter) -> Result<(), CarriageError> {
    let mut stated = home.stated();
    for sequence in 0.. {
        let list = *stated.borrow_and_update();
        let records = list.map(|list| home.since(list.version)).unwrap_or_default();
        let mut group = track.group(sequence)?;
        for record in records {
            group.write(MediaTime::default(), record)?;
        }
        group.finish();
        if stated.changed().await.is_err() {
            break;
        }
    }
    Ok(())
}
