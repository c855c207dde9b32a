//! A camera that seals real epochs as fast as it is told to: what records it cannot tell it from one that takes two seconds for each.

#![allow(dead_code, reason = "each test file uses its own part of it")]

use bytes::Bytes;
use doorframe::codec::AccessUnit;
use doorframe::codec::access_unit::{Codec, Kind};
use doorframe::codec::units::{MediaTime, Size, TemporalLayer, Uptime};
use doorframe::recorder::{Recorder, RecorderStats};
use doorframe::transport::Session;
use doorframe::transport::events::CameraEvent;
use doorframe::transport::identity::{DeviceKey, SigningKey};
use doorframe::transport::keys::{Epoch, SessionId};
use doorframe::transport::manifest::{SessionManifest, SessionOpened};
use doorframe::transport::moq::{Broadcast, Node, TrackWriter};
use doorframe::transport::recorded::{EpochFile, RecordedTrack, SpanCheck, SpanVerdict};
use doorframe::transport::seed::Seed;
use doorframe::transport::session::{Config, EPOCH};
use doorframe::transport::store::{EpochEntry, Shelf, Store};
use doorframe::transport::track::TrackName;
use std::time::{Duration, Instant};

pub(crate) struct Fast {
    session: Session,
    manifest: Bytes,
    started: Instant,
    next: u32,
    tracks: [TrackWriter; 5],
    _broadcast: Broadcast,
}

/// Objects of an epoch of video.
pub(crate) const OBJECTS: usize = 8;

pub(crate) fn shelf() -> Shelf {
    Shelf::new("door").unwrap()
}

impl Fast {
    /// The session of camera `home/door` that `seed` draws.
    pub(crate) fn start(node: &Node, seed: u8) -> Self {
        let (session, manifest) = session(seed);
        let broadcast = node.broadcast(&format!("home/door/{}", session.id())).unwrap();
        let tracks = ["session", "manifest", "event", "video", "keep"].map(|name| broadcast.track(name, 100).unwrap());
        let mut group = tracks[0].group(0).unwrap();
        group.write(MediaTime::default(), manifest.clone()).unwrap();
        group.finish();
        broadcast.announce().unwrap();
        Self { session, manifest, started: Instant::now(), next: 0, tracks, _broadcast: broadcast }
    }

    pub(crate) fn id(&self) -> SessionId {
        self.session.id()
    }

    /// Seals and publishes the next epoch, of objects of `bytes` each. Gives its number.
    pub(crate) fn epoch(&mut self, bytes: usize) -> u32 {
        self.epoch_sent_as(bytes, |_| {}).epoch.0
    }

    /// The same, but what is published of it is changed. Gives what was sealed.
    pub(crate) fn epoch_sent_as(&mut self, bytes: usize, change: impl FnOnce(&mut [RecordedTrack])) -> EpochFile {
        let epoch = Epoch(self.next);
        self.next += 1;
        // A relay takes these for the times of the pictures: real ones, or it would take all but the newest for old.
        let at = MediaTime::from_duration(self.started.elapsed());
        let sealed = seal(&mut self.session, epoch, bytes);
        let mut tracks = sealed.tracks.clone();
        change(&mut tracks);
        let [_, manifest, event, video, _] = &self.tracks;
        let mut records = manifest.group(epoch.0.into()).unwrap();
        records.write(at, sealed.opening.clone()).unwrap();
        for (track, objects) in [event, video].into_iter().zip(tracks) {
            let mut group = track.group(epoch.0.into()).unwrap();
            objects.objects.into_iter().for_each(|object| group.write(at, object).unwrap());
            group.finish();
        }
        records.write(at, sealed.closing.clone().unwrap()).unwrap();
        records.finish();
        sealed
    }

    /// A spool of its session.
    pub(crate) fn spool(&self, node: &Node) -> Spool {
        Spool::start(node, self.id(), self.manifest.clone())
    }

    /// Names an epoch to keep, as object `n` of its track.
    pub(crate) fn keep(&self, group: &mut Option<doorframe::transport::moq::GroupWriter>, epoch: u32) {
        let group = group.get_or_insert_with(|| self.tracks[4].group(0).unwrap());
        group.write(MediaTime::default(), Bytes::copy_from_slice(&epoch.to_be_bytes())).unwrap();
    }
}

/// What a camera announces that kept epochs.
pub(crate) struct Spool {
    tracks: [TrackWriter; 2],
    started: Instant,
    next: u64,
    _broadcast: Broadcast,
}

impl Spool {
    pub(crate) fn start(node: &Node, session: SessionId, manifest: Bytes) -> Self {
        let broadcast = node.broadcast(&format!("home/spool/door/{session}")).unwrap();
        let tracks = ["session", "epoch"].map(|name| broadcast.track(name, 10).unwrap());
        let mut group = tracks[0].group(0).unwrap();
        group.write(MediaTime::default(), manifest).unwrap();
        group.finish();
        broadcast.announce().unwrap();
        Self { tracks, started: Instant::now(), next: 0, _broadcast: broadcast }
    }

    /// Sends an epoch file in pieces.
    pub(crate) fn send(&mut self, file: &Bytes) {
        self.send_as(file, file.len());
    }

    /// The same, said to be of `length` bytes.
    pub(crate) fn send_as(&mut self, file: &Bytes, length: usize) {
        let mut group = self.tracks[1].group(self.next).unwrap();
        self.next += 1;
        let at = MediaTime::from_duration(self.started.elapsed());
        group.write(at, Bytes::copy_from_slice(&(length as u32).to_be_bytes())).unwrap();
        file.chunks(1000).for_each(|part| group.write(at, Bytes::copy_from_slice(part)).unwrap());
        group.finish();
    }
}

fn device() -> DeviceKey {
    DeviceKey::from_seed([22; 32]).unwrap()
}

fn identity() -> SigningKey {
    SigningKey::from_seed(&[21; 32]).unwrap()
}

fn session(seed: u8) -> (Session, Bytes) {
    let mut config = Config::new(vec![device().public().clone()]);
    config.tracks = vec![TrackName::EVENT, TrackName::VIDEO];
    Session::start(config, &identity(), Seed::from_os_random([seed; 32]), Uptime::default(), 0).unwrap()
}

/// What the owner's device makes of a manifest.
pub(crate) fn open(manifest: &[u8]) -> SessionOpened {
    SessionManifest::parse(manifest).unwrap().open(&device(), &identity().verifying_key()).unwrap()
}

fn seal(session: &mut Session, epoch: Epoch, bytes: usize) -> EpochFile {
    let opening = session.begin(epoch, Uptime::default() + EPOCH * epoch.0, 0, vec![]).unwrap();
    let objects = {
        let objects = (0..OBJECTS).map(|n| {
            let unit = AccessUnit {
                codec: Codec::H264,
                kind: if n == 0 { Kind::Keyframe } else { Kind::Delta },
                layer: TemporalLayer::BASE,
                size: Size::new(64, 48).unwrap(),
                at: session.media_time(Uptime::default() + EPOCH * epoch.0),
                data: Bytes::from(vec![n as u8; bytes]),
            };
            session.seal(TrackName::VIDEO, &unit, Duration::ZERO).unwrap()
        });
        objects.collect()
    };
    let rang = CameraEvent::doorbell(session.media_time(Uptime::default() + EPOCH * epoch.0));
    let events = vec![session.seal_events(&[rang]).unwrap()];
    let tracks = vec![
        RecordedTrack { name: TrackName::EVENT, objects: events },
        RecordedTrack { name: TrackName::VIDEO, objects },
    ];
    let (_, closing) = session.end().unwrap();
    EpochFile { session: session.id(), epoch, stored_us: 0, opening, closing: Some(closing), tracks }
}

/// Puts a session of `count` epochs into a store as if it had been recorded: the first at `stored_us`, each two seconds later.
pub(crate) async fn recorded(store: &Store, seed: u8, count: u32, bytes: usize, stored_us: u64) -> Vec<EpochEntry> {
    let (mut session, manifest) = session(seed);
    store.put_session(&shelf(), session.id(), manifest).await.unwrap();
    let mut entries = Vec::new();
    for n in 0..count {
        let file = seal(&mut session, Epoch(n), bytes);
        let file = EpochFile { stored_us: stored_us + u64::from(n) * 2_000_000, ..file };
        entries.push(store.put(&shelf(), &file).await.unwrap());
    }
    entries
}

/// Everything on the shelf, in the order in which it was stored.
pub(crate) async fn listed(store: &Store) -> Vec<EpochEntry> {
    let mut entries = Vec::new();
    for hour in store.hours(&shelf()).await.unwrap() {
        entries.extend(store.hour(&shelf(), hour).await.unwrap());
    }
    entries
}

/// Checks what is kept of a session, from its first kept epoch to its last; each epoch that holds must open.
pub(crate) async fn check(store: &Store, entries: &[EpochEntry], session: SessionId) -> SpanVerdict {
    let opened = open(&store.session(&shelf(), session).await.unwrap());
    let mut ours: Vec<_> = entries.iter().filter(|entry| entry.session == session).collect();
    ours.sort_by_key(|entry| entry.epoch);
    let (first, last) = (ours.first().unwrap().epoch, ours.last().unwrap().epoch);
    let mut check = SpanCheck::new(opened.facts.clone(), first.0.into()..u64::from(last.0) + 1);
    for entry in ours {
        let bytes = store.epoch(&shelf(), entry).await.unwrap();
        if let Some((file, _)) = check.handle(entry.epoch, &bytes) {
            let leaf = opened.root.leaf(entry.epoch).unwrap();
            let opened = doorframe::transport::recorded::open(&file, &opened.facts, &leaf).unwrap();
            assert_eq!((opened.drops.total(), opened.events.len()), (0, 1));
        }
    }
    check.end()
}

/// Longest a test waits for anything; long, since machines are shared.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until what the recorder counts is as wished, and gives it.
pub(crate) async fn until(recorder: &Recorder, what: &str, wished: impl Fn(&RecorderStats) -> bool) -> RecorderStats {
    let started = Instant::now();
    loop {
        let stats = recorder.stats();
        if wished(&stats) {
            return stats;
        }
        let state = recorder.state().borrow().clone();
        assert!(started.elapsed() < PATIENCE, "no {what} within {PATIENCE:?}: {stats:?}, {state}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
