//! The native viewer: finds the camera's newest session, opens and checks what comes, decodes it, and hands pictures on.

mod home;
mod screen;
mod tracks;

use crate::link::WatchLink;
use crate::report::{References, ViewerStats};
use crate::vault::Home;
use doorframe_codec::Picture;
use doorframe_codec::access_unit::AccessUnit;
use doorframe_codec::units::{MediaTime, Size};
use doorframe_transport::events::CameraEvent;
use doorframe_transport::identity::{BadKey, DeviceKey};
use doorframe_transport::keys::{Epoch, SessionId};
use doorframe_transport::manifest::DeviceListRef;
use doorframe_transport::moq::{Node, client_endpoint, dial};
use home::Watched;
use screen::{Screen, Telling};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use thiserror::Error;
use tokio::sync::{broadcast, watch};
use tokio::task::JoinHandle;
use tracks::{Follow, Message};

/// What a viewer is doing, for a person.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ViewerState {
    /// Dialling the hub.
    Connecting,
    /// Connected; the camera has not been seen.
    Waiting,
    /// The camera is there; its first picture is under way.
    Opening(SessionId),
    /// Pictures come.
    Live {
        /// Which session.
        session: SessionId,
        /// Which epoch.
        epoch: Epoch,
        /// Size of the pictures.
        size: Size,
        /// Whether the camera has signed this viewer's challenge.
        proved_fresh: bool,
    },
    /// The camera is there, but no picture has come for some seconds.
    Stalled,
    /// Not connected, in these words; it is tried again.
    Down(String),
    /// The hub said no, in these words; it is tried again, slowly.
    Refused(String),
    /// The camera's session is not for this device, or not the paired camera's, in these words.
    Rejected(String),
    /// Something an honest camera and hub never cause.
    Alarm(String),
    /// The camera left.
    Gone,
}

impl fmt::Display for ViewerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connecting => f.write_str("connecting to the hub"),
            Self::Waiting => f.write_str("connected to the hub; the camera is not there yet"),
            Self::Opening(_) => f.write_str("the camera is there; opening its session"),
            Self::Live { size, epoch, proved_fresh, .. } => {
                let fresh = if *proved_fresh { ", proved fresh" } else { "" };
                write!(f, "live, {size}, epoch {epoch}, signatures good{fresh}")
            }
            Self::Stalled => {
                f.write_str("the picture stands still: the camera's sensor or a link does not deliver; waiting")
            }
            Self::Down(words) | Self::Rejected(words) => f.write_str(words),
            Self::Refused(words) => write!(f, "the hub refused: {words}"),
            Self::Alarm(words) => write!(f, "ALARM: {words}"),
            Self::Gone => f.write_str("the camera left; waiting for it to come back"),
        }
    }
}

/// Something that happened before the camera, signed for by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Happened {
    /// Session that it is of.
    pub session: SessionId,
    /// Epoch in which it was sealed.
    pub epoch: Epoch,
    /// What, and when by the session's clock.
    pub event: CameraEvent,
    /// When by the camera's wall clock, as its newest opening claims it, µs since 1970.
    pub wall_us: Option<u64>,
}

/// Takes what a viewer sees. Called on the thread that decodes; what it takes long for makes pictures late.
pub trait Sink: Send {
    /// An access unit, opened and checked, before it is decoded.
    fn unit(&mut self, unit: &AccessUnit) {
        let _ = unit;
    }

    /// A decoded picture of the frame captured at `at`.
    fn picture(&mut self, picture: &Picture, at: MediaTime) {
        let _ = (picture, at);
    }
}

/// A sink that keeps nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoSink;

impl Sink for NoSink {}

/// Why a viewer does not start.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ViewerError {
    /// The link's device key is none.
    #[error("the link's device key is damaged: {0}")]
    Device(#[from] BadKey),
    /// No socket, or no thread.
    #[error("cannot start watching: {0}")]
    System(#[from] std::io::Error),
    /// Our bug.
    #[error("the viewer's decoder failed: please report what it printed")]
    Panicked,
}

/// A running viewer. Stops when dropped.
#[derive(Debug)]
pub struct Viewer {
    stats: Arc<Mutex<ViewerStats>>,
    state: watch::Receiver<ViewerState>,
    happened: broadcast::Receiver<Happened>,
    tasks: Vec<JoinHandle<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
    home: Option<Watched>,
}

/// Gives a home's lists as they are now; `None` if they cannot be read.
pub type Again = Box<dyn Fn() -> Option<Home> + Send + Sync>;
/// Keeps a signed list or rotation, if it is right, and gives the lists after it; `None` if it was not kept.
pub type Keep = Box<dyn Fn(&[u8]) -> Option<Home> + Send + Sync>;

/// What a device of a home brings to a viewer beside its link.
pub struct Own {
    /// Its home's device lists. The camera's are set against them, and it is given those that it does not have.
    pub home: Home,
    /// Keys of the device before the one in the link, the newest first.
    pub retired: Vec<DeviceKey>,
    /// Reads the lists again, where the camera states what they do not have: another program may have changed them.
    pub again: Again,
    /// Keeps a list or a rotation that the camera handed over, if it is right, and gives the lists after it.
    pub keep: Keep,
}

/// Events kept for a slow reader.
const EVENTS: usize = 64;
/// Messages between network and decoder at most: some seconds of video.
const QUEUE: usize = 256;
const FIRST_RETRY: Duration = Duration::from_millis(250);
const LAST_RETRY: Duration = Duration::from_secs(4);
/// A connection that lasted this long was a good one.
const LASTING: Duration = Duration::from_secs(5);
const REFUSED_RETRY: Duration = Duration::from_secs(15);

impl Viewer {
    /// Starts to watch. Call it inside a tokio runtime. `challenge` is 32 random bytes; `references`, where the camera runs in the same
    /// program, lets pictures be compared with their source.
    ///
    /// # Errors
    /// If the link's key is damaged, or the system gives no socket or thread.
    pub fn start(
        link: &WatchLink,
        challenge: [u8; 32],
        sink: Box<dyn Sink>,
        references: Option<Arc<References>>,
    ) -> Result<Self, ViewerError> {
        Self::start_with(link, None, challenge, sink, references)
    }

    /// As [`Viewer::start`], for a device of a home: also says when the camera's device list is not the home's.
    ///
    /// # Errors
    /// As [`Viewer::start`].
    pub fn of_home(
        link: &WatchLink,
        own: Own,
        challenge: [u8; 32],
        sink: Box<dyn Sink>,
        references: Option<Arc<References>>,
    ) -> Result<Self, ViewerError> {
        Self::start_with(link, Some(own), challenge, sink, references)
    }

    fn start_with(
        link: &WatchLink,
        own: Option<Own>,
        challenge: [u8; 32],
        sink: Box<dyn Sink>,
        references: Option<Arc<References>>,
    ) -> Result<Self, ViewerError> {
        let started = Instant::now();
        let device = DeviceKey::from_seed(*link.device)?;
        let (id, signed) = challenge.split_at(16);
        let (mut viewer_id, mut signed_challenge) = ([0; 16], [0; 16]);
        viewer_id.copy_from_slice(id);
        signed_challenge.copy_from_slice(signed);
        let machine = doorframe_transport::Viewer::new(device, link.identity, signed_challenge);
        let (machine, home) = match own {
            Some(Own { home, retired, again, keep }) => {
                (machine.with_retired(retired), Some(Watched::new(home, again, keep)))
            }
            None => (machine.with_retired(link.devices()?.into_iter().skip(1).collect()), None),
        };

        let endpoint = client_endpoint()?;
        let node = Arc::new(Node::new());
        let (state, states) = watch::channel(ViewerState::Connecting);
        let state = Arc::new(state);
        let stats = Arc::new(Mutex::new(ViewerStats::default()));
        let (tell, happened) = broadcast::channel(EVENTS);
        let (messages, inbox) = tokio::sync::mpsc::channel::<Message>(QUEUE);
        let telling = Telling { stats: stats.clone(), state: state.clone(), happened: tell };
        let screen = Screen::new(machine, home.clone(), sink, references, telling, started);
        let thread = std::thread::Builder::new().name("viewer".into()).spawn(move || screen.run(inbox))?;

        let of_home = home.is_some();
        let follow = Follow { node: node.clone(), camera: link.camera.to_string(), messages, of_home };
        let mut tasks = vec![tokio::spawn(follow.run())];
        tasks.push(tokio::spawn(tracks::publish(
            node.clone(),
            SessionId(viewer_id).to_string(),
            signed_challenge,
            home.clone(),
        )));
        tasks.push(tokio::spawn(watch_for_stalls(stats.clone(), state.clone())));
        let to = link.dial();
        tasks.push(tokio::spawn(async move {
            let mut retry = FIRST_RETRY;
            loop {
                match dial(&endpoint, &node, &to).await {
                    Ok(connection) => {
                        let connected = Instant::now();
                        state.send_if_modified(|state| {
                            let fresh = matches!(
                                state,
                                ViewerState::Connecting | ViewerState::Down(_) | ViewerState::Refused(_)
                            );
                            if fresh {
                                *state = ViewerState::Waiting;
                            }
                            fresh
                        });
                        let ended = connection.closed().await;
                        // A hub that lets us in and out at once is not to be asked four times a second.
                        if connected.elapsed() > LASTING {
                            retry = FIRST_RETRY;
                        }
                        match ended {
                            doorframe_transport::moq::Ended::Refused(words) => {
                                retry = REFUSED_RETRY;
                                state.send_replace(ViewerState::Refused(words));
                            }
                            ended => {
                                state.send_replace(ViewerState::Down(ended.to_string()));
                            }
                        }
                    }
                    Err(error) => {
                        state.send_replace(ViewerState::Down(error.to_string()));
                    }
                }
                tokio::time::sleep(retry).await;
                retry = (retry * 2).min(LAST_RETRY.max(retry));
            }
        }));
        Ok(Self { stats, state: states, happened, tasks, thread: Some(thread), home })
    }

    /// What it is doing.
    pub fn state(&self) -> watch::Receiver<ViewerState> {
        self.state.clone()
    }

    /// What happens before the camera from now on. Who reads too slowly loses the oldest of 64 events, and is told how many
    /// ([`broadcast::error::RecvError::Lagged`]). Closed when the viewer has ended.
    pub fn happened(&self) -> broadcast::Receiver<Happened> {
        self.happened.resubscribe()
    }

    /// The device list that the camera states; `None` until a session of its was opened. Closed for a viewer without a home.
    pub fn stated_list(&self) -> watch::Receiver<Option<DeviceListRef>> {
        self.home.as_ref().map_or_else(|| watch::channel(None).1, Watched::stated)
    }

    /// Counts and times so far.
    pub fn stats(&self) -> ViewerStats {
        self.stats.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Stops, waits until the last picture is out of the sink, and gives the final counts.
    ///
    /// # Errors
    /// [`ViewerError::Panicked`] if its thread had failed, which is a bug of ours.
    pub async fn stop(mut self) -> Result<ViewerStats, ViewerError> {
        self.tasks.iter().for_each(JoinHandle::abort);
        for task in std::mem::take(&mut self.tasks) {
            let _aborted = task.await;
        }
        if let Some(thread) = self.thread.take() {
            let joined = tokio::task::spawn_blocking(move || thread.join()).await;
            if !matches!(joined, Ok(Ok(()))) {
                return Err(ViewerError::Panicked);
            }
        }
        Ok(self.stats())
    }
}

/// How long a live picture may stand still before that is said.
const STALL: Duration = Duration::from_secs(4);

/// Says when a picture that is called live has not changed for a while. The next picture takes it back.
async fn watch_for_stalls(stats: Arc<Mutex<ViewerStats>>, state: Arc<watch::Sender<ViewerState>>) {
    let mut last = (0, Instant::now());
    loop {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let shown = stats.lock().unwrap_or_else(PoisonError::into_inner).frames_shown;
        if shown != last.0 {
            last = (shown, Instant::now());
        } else if last.1.elapsed() > STALL {
            state.send_if_modified(|state| {
                let is_live = matches!(state, ViewerState::Live { .. });
                if is_live {
                    *state = ViewerState::Stalled;
                }
                is_live
            });
        }
    }
}

impl Drop for Viewer {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}
