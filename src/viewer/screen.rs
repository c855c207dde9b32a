//! Decoder side of a viewer: one thread that opens, checks, decodes and counts.

use super::home::Watched;
use super::tracks::Message;
use super::{Happened, Sink, ViewerState};
use crate::report::{References, ViewerStats};
use crate::wall_us;
use bytes::Bytes;
use doorframe_codec::access_unit::Codec;
use doorframe_codec::av1::rav1d::Rav1dDecoder;
use doorframe_codec::decoder::Limits;
use doorframe_codec::h264::openh264::Openh264Decoder;
use doorframe_codec::units::{Color, Size};
use doorframe_codec::{Decoder, Picture};
use doorframe_transport::devices::Standing;
use doorframe_transport::keys::{Epoch, SessionId};
use doorframe_transport::manifest::SessionManifest;
use doorframe_transport::track::TrackName;
use doorframe_transport::unit::MediaUnit;
use doorframe_transport::viewer::{Alarm, Event};
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{broadcast, mpsc, watch};

pub(super) struct Screen {
    machine: doorframe_transport::Viewer,
    home: Option<Watched>,
    session: Option<SessionId>,
    decoder: Option<(Codec, Box<dyn Decoder>)>,
    picture: Picture,
    /// Epoch and position that decode next; anything else needs a keyframe.
    next: Option<(Epoch, u64)>,
    sink: Box<dyn Sink>,
    references: Option<Arc<References>>,
    stats: Arc<Mutex<ViewerStats>>,
    state: Arc<watch::Sender<ViewerState>>,
    happened: broadcast::Sender<Happened>,
    started: Instant,
    /// What overtook its session's manifest, which is read beside it.
    pending: VecDeque<Message>,
    /// Manifests of the sessions that are announced.
    candidates: HashMap<SessionId, Bytes>,
    /// Whether the session watched has ended.
    gone: bool,
    /// What was alarming in this session. It stays until another begins.
    alarm: Option<String>,
    /// Openings in a row that state a list which we have not.
    ahead: u32,
    /// First epoch shown in this session: until the next, what waited at the hub is shown as fast as it decodes.
    first_epoch: Option<Epoch>,
    /// Epoch of the first unit that came in this session.
    joined: Option<Epoch>,
}

/// Where a screen says what it does.
pub(super) struct Telling {
    pub(super) stats: Arc<Mutex<ViewerStats>>,
    pub(super) state: Arc<watch::Sender<ViewerState>>,
    pub(super) happened: broadcast::Sender<Happened>,
}

/// Messages kept while their session's manifest is under way: more than a group of two seconds.
const PENDING: usize = 256;
/// And their bytes.
const PENDING_BYTES: usize = 16 << 20;
/// Sessions announced at once under one name, at most.
const CANDIDATES: usize = 8;
/// Openings, one every two seconds, after which the camera's letters would have come.
const AHEAD: u32 = 4;
/// An object that took less than this on its way did not wait for us at the hub.
const PROMPT: Duration = Duration::from_millis(50);

impl Screen {
    pub(super) fn new(
        machine: doorframe_transport::Viewer,
        home: Option<Watched>,
        sink: Box<dyn Sink>,
        references: Option<Arc<References>>,
        Telling { stats, state, happened }: Telling,
        started: Instant,
    ) -> Self {
        // Replaced by the first picture; 16x16 is as good as any.
        let size = const {
            match Size::new(16, 16) {
                Some(size) => size,
                None => unreachable!(),
            }
        };
        Self {
            machine,
            home,
            session: None,
            decoder: None,
            picture: Picture::black(size, Color::default()),
            next: None,
            sink,
            references,
            stats,
            state,
            happened,
            started,
            pending: VecDeque::new(),
            candidates: HashMap::new(),
            gone: false,
            alarm: None,
            ahead: 0,
            first_epoch: None,
            joined: None,
        }
    }

    /// Until the network side is gone.
    pub(super) fn run(mut self, mut inbox: mpsc::Receiver<Message>) {
        while let Some(message) = inbox.blocking_recv() {
            self.handle(message);
        }
        self.machine.end();
        self.events(wall_us());
    }

    fn handle(&mut self, message: Message) {
        match message {
            Message::Session(id, record) => {
                if self.candidates.len() < CANDIDATES {
                    self.candidates.insert(id, record.clone());
                }
                self.handle_session(id, &record);
                for waiting in std::mem::take(&mut self.pending) {
                    if waiting.session() == id && self.session == Some(id) {
                        self.handle(waiting);
                    }
                }
            }
            Message::Gone(id) => {
                self.candidates.remove(&id);
                if self.session == Some(id) {
                    self.gone = true;
                    self.state.send_replace(ViewerState::Gone);
                    // Another may have been there all the time, passed over for this one.
                    for (id, record) in self.candidates.clone() {
                        self.handle_session(id, &record);
                    }
                }
            }
            message if self.session != Some(message.session()) => {
                self.pending.push_back(message);
                while self.pending.len() > PENDING
                    || self.pending.iter().map(Message::bytes).sum::<usize>() > PENDING_BYTES
                {
                    self.pending.pop_front();
                }
            }
            Message::Manifest(_, 0, record) => {
                self.check_opening(&record);
                self.machine.handle_opening(&record, wall_us());
            }
            Message::Manifest(_, _, record) => self.machine.handle_closing(&record),
            Message::Letter(id, letter) => self.handle_letter(id, &letter),
            Message::Object(_, track, epoch, object, received) => {
                self.with_stats(|stats| stats.bytes += object.len() as u64);
                self.machine.handle_object(track, epoch, object);
                return self.events(received);
            }
        }
        self.events(wall_us());
    }

    fn handle_session(&mut self, id: SessionId, record: &[u8]) {
        if self.session == Some(id) {
            return;
        }
        // While one session is watched, only a later one that proves to be the camera's takes its place: anybody who may
        // publish can announce something under the camera's name.
        let watched = self.machine.session().filter(|_| self.session.is_some() && !self.gone);
        if let Some(watched) = watched {
            let started = SessionManifest::parse(record).map(|manifest| manifest.facts().started_wall_us);
            if started.is_ok_and(|started| started < watched.started_wall_us) {
                return;
            }
        }
        let is_watching = watched.is_some();
        self.machine.end();
        self.events(wall_us());
        let state = match self.machine.handle_session(record) {
            Ok(facts) if facts.id == id => {
                self.session = Some(id);
                self.decoder = None;
                self.next = None;
                self.first_epoch = None;
                self.joined = None;
                self.gone = false;
                self.alarm = None;
                self.ahead = 0;
                ViewerState::Opening(id)
            }
            Ok(_) => {
                self.session = None;
                self.gone = false;
                ViewerState::Rejected("the session's manifest belongs to another session".into())
            }
            Err(_) if is_watching => return,
            Err(refused) => ViewerState::Rejected(refused.to_string()),
        };
        let is_ours = matches!(state, ViewerState::Opening(_));
        self.state.send_replace(state);
        let Some(home) = self.home.clone().filter(|_| is_ours) else { return };
        if let Some((facts, letters)) = self.machine.session().zip(self.machine.letters()) {
            home.handle_stated(facts.devices, letters);
        }
        if let Err(ghost) = home.check_session(record) {
            self.raise(ghost.to_string());
        }
    }

    /// A list that this device did not have. What the session states is set against it again.
    fn handle_letter(&mut self, id: SessionId, letter: &[u8]) {
        let Some(home) = self.home.clone() else { return };
        let words = match home.handle_letter(letter) {
            Ok(false) => None,
            Ok(true) => {
                self.candidates.get(&id).and_then(|record| home.check_session(record).err()).map(|e| e.to_string())
            }
            Err(refused) => Some(format!("the camera hands over a device list that is not the home's: {refused}")),
        };
        if let Some(words) = words.filter(|_| self.alarm.is_none()) {
            self.raise(words);
        }
    }

    /// Sets the device list that an opening states against ours, where the session's key signed it.
    fn check_opening(&mut self, record: &[u8]) {
        let (Some(home), Some(facts)) = (&self.home, self.machine.session()) else { return };
        let Ok(opening) = facts.opening(record) else { return };
        let compared = home.compare(opening.devices);
        self.ahead = if compared == Ok(Standing::Ahead) { self.ahead + 1 } else { 0 };
        let words = match compared {
            Err(ghost) => ghost.to_string(),
            // Its letters had the time to come.
            Ok(Standing::Ahead) if self.ahead >= AHEAD => format!(
                "the camera states device list {}, which no owner has shown this device: somebody may be on it whom no owner put there. If all is well, an owner's `doorframe devices invite` brings it",
                opening.devices.version
            ),
            Ok(_) => return,
        };
        if self.alarm.is_none() {
            self.raise(words);
        }
    }

    /// An alarm that stays for this session.
    fn raise(&mut self, words: String) {
        self.with_stats(|stats| stats.alarms += 1);
        self.state.send_replace(ViewerState::Alarm(words.clone()));
        self.alarm = Some(words);
    }

    fn with_stats(&self, change: impl FnOnce(&mut ViewerStats)) {
        change(&mut self.stats.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn events(&mut self, received: u64) {
        while let Some(event) = self.machine.poll_event() {
            match event {
                Event::Unit { track: TrackName::VIDEO, epoch, position, unit } => {
                    self.show(epoch, position, &unit, received);
                }
                Event::Happened { epoch, event } => {
                    let wall_us = self.machine.wall_us(event.at);
                    if let Some(session) = self.session {
                        let _unheard = self.happened.send(Happened { session, epoch, event, wall_us });
                    }
                }
                // What was over before we came was not lost on the way to us; nor what was of the epoch in which we came, of which one
                // track may be there before another.
                Event::Closed { epoch, lost, .. } if self.joined.is_some_and(|joined| epoch > joined) => {
                    self.with_stats(|stats| stats.lost += lost);
                }
                Event::Alarm(alarm) => {
                    let before = self.alarm.take();
                    self.raise(alarm.to_string());
                    // A clock may be put right; what was forged stays forged.
                    if matches!(alarm, Alarm::Stale(_)) {
                        self.alarm = before;
                    }
                }
                Event::Missing { .. } | Event::Unclosed(_) if self.joined.is_some() => {
                    self.with_stats(|stats| stats.epochs_unproved += 1);
                }
                _ => {}
            }
        }
        let drops = self.machine.drops();
        self.with_stats(|stats| (stats.dropped, stats.untrue) = (drops.total(), drops.untrue()));
    }

    fn show(&mut self, epoch: Epoch, position: u64, media: &MediaUnit, received: u64) {
        let opened = wall_us();
        let unit = &media.unit;
        self.joined.get_or_insert(epoch);
        if self.next.is_some_and(|next| (epoch, position) < next) {
            // The tail of an epoch that the next keyframe has overtaken.
            return self.with_stats(|stats| stats.undecoded += 1);
        }
        let follows = self.next == Some((epoch, position));
        if !unit.is_keyframe() && !follows {
            return self.with_stats(|stats| stats.undecoded += 1);
        }
        self.next = Some((epoch, position + 1));
        self.sink.unit(unit);
        let decoder = match &mut self.decoder {
            Some((codec, decoder)) if *codec == unit.codec => decoder,
            other => {
                let decoder: Box<dyn Decoder> = match unit.codec {
                    Codec::Av1 => Box::new(Rav1dDecoder::new(Limits::default())),
                    _ => Box::new(Openh264Decoder::new(Limits::default())),
                };
                &mut other.insert((unit.codec, decoder)).1
            }
        };
        let shown = match decoder.decode(unit, &mut self.picture) {
            Ok(shown) => shown,
            Err(error) => {
                tracing::debug!(%error, %epoch, position, "not decoded");
                self.next = Some((epoch, u64::MAX));
                return self.with_stats(|stats| stats.undecoded += 1);
            }
        };
        let decoded = wall_us();
        if !shown.is_picture() {
            return;
        }
        self.sink.picture(&self.picture, unit.at);
        let captured = self.machine.wall_us(unit.at);
        let psnr = self.references.as_ref().and_then(|r| r.psnr_y(unit.at, &self.picture));
        let between = |from: u64, to: u64| Duration::from_micros(to.saturating_sub(from));
        let first = self.started.elapsed();
        let sealed = captured.map(|c| c.saturating_add(u64::try_from(media.encoded_after.as_micros()).unwrap_or(0)));
        // What waited at the hub before we came says nothing about the way.
        let prompt = sealed.is_some_and(|sealed| between(sealed, received) < PROMPT);
        if *self.first_epoch.get_or_insert(epoch) != epoch || prompt {
            self.first_epoch = Some(Epoch(u32::MAX));
        }
        let caught_up = self.first_epoch == Some(Epoch(u32::MAX));
        self.with_stats(|stats| {
            stats.frames_shown += 1;
            stats.keyframes += u64::from(unit.is_keyframe());
            stats.first_picture.get_or_insert(first);
            stats.open.record(between(received, opened));
            stats.decode.record(between(opened, decoded));
            if let (Some(captured), Some(sealed)) = (captured, sealed)
                && caught_up
            {
                stats.network.record(between(sealed, received));
                stats.capture_to_picture.record(between(captured, decoded));
            }
            if let Some(db) = psnr {
                stats.psnr.0 += db;
                stats.psnr.1 += 1;
            }
        });
        let (session, size) = (self.session, self.picture.size());
        let proved_fresh = self.machine.is_proved_fresh();
        if let Some(session) = session
            && self.alarm.is_none()
        {
            self.state.send_if_modified(|state| {
                let live = ViewerState::Live { session, epoch, size, proved_fresh };
                let changed = *state != live;
                if changed {
                    *state = live;
                }
                changed
            });
        }
    }
}
