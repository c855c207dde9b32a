//! The camera's connection to its hub: dialled again and again, for as long as the camera runs.

use super::CameraError;
use super::challenges::Challenges;
use super::home::CameraHome;
use super::spool::Links;
use doorframe_codec::units::Uptime;
use doorframe_transport::manifest::Challenge;
use doorframe_transport::moq::{Dial, Ended, Node, Sampler, client_endpoint, dial};
use doorframe_transport::rate::LinkSample;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What a connection is doing, for a person.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum UplinkState {
    /// Dialling for the first time.
    Connecting,
    /// Connected.
    Up,
    /// Not connected, in these words; it is tried again.
    Down(String),
    /// The hub said no, in these words; it is tried again, slowly.
    Refused(String),
}

/// A connection kept up. Stops when dropped.
#[derive(Debug)]
pub struct Uplink {
    state: watch::Receiver<UplinkState>,
    sampler: watch::Receiver<Option<(u64, Arc<Mutex<Sampler>>)>>,
    links: Links,
    challenges: Challenges,
    tasks: [JoinHandle<()>; 2],
}

/// What the camera's thread needs of it.
pub(super) struct Handle {
    sampler: watch::Receiver<Option<(u64, Arc<Mutex<Sampler>>)>>,
    challenges: Challenges,
    connection: u64,
}

pub(super) struct Sample {
    pub(super) link: LinkSample,
    pub(super) is_new_connection: bool,
}

const FIRST_RETRY: Duration = Duration::from_millis(250);
const LAST_RETRY: Duration = Duration::from_secs(4);
/// A connection that lasted this long was a good one.
const LASTING: Duration = Duration::from_secs(5);
/// A refusal ends only when somebody changes something.
const REFUSED_RETRY: Duration = Duration::from_secs(15);

impl Uplink {
    pub(super) fn start(node: Arc<Node>, to: Dial, home: Option<CameraHome>) -> Result<Self, CameraError> {
        let endpoint = client_endpoint()?;
        let challenges = Challenges::default();
        let (state, states) = watch::channel(UplinkState::Connecting);
        let (sampler, samplers) = watch::channel(None);
        let (link, links) = watch::channel(None);
        let follow = tokio::spawn(challenges.clone().follow(node.clone(), home));
        let connect = tokio::spawn(async move {
            let mut retry = FIRST_RETRY;
            for number in 1_u64.. {
                match dial(&endpoint, &node, &to).await {
                    Ok(connection) => {
                        let connected = Instant::now();
                        sampler.send_replace(Some((number, Arc::new(Mutex::new(connection.sampler())))));
                        link.send_replace(Some(number));
                        state.send_replace(UplinkState::Up);
                        let ended = connection.closed().await;
                        sampler.send_replace(None);
                        link.send_replace(None);
                        // A hub that lets us in and out at once is not to be asked four times a second.
                        if connected.elapsed() > LASTING {
                            retry = FIRST_RETRY;
                        }
                        match ended {
                            Ended::Refused(words) => {
                                state.send_replace(UplinkState::Refused(words));
                                retry = REFUSED_RETRY;
                            }
                            ended => {
                                state.send_replace(UplinkState::Down(ended.to_string()));
                            }
                        }
                    }
                    Err(error) => {
                        state.send_replace(UplinkState::Down(error.to_string()));
                    }
                }
                tokio::time::sleep(retry).await;
                retry = (retry * 2).min(LAST_RETRY.max(retry));
            }
        });
        Ok(Self { state: states, sampler: samplers, links, challenges, tasks: [follow, connect] })
    }

    pub(super) fn state(&self) -> watch::Receiver<UplinkState> {
        self.state.clone()
    }

    /// The number of the connection there is; `None` while there is none.
    pub(super) fn links(&self) -> Links {
        self.links.clone()
    }

    pub(super) fn handle(&self) -> Handle {
        Handle { sampler: self.sampler.clone(), challenges: self.challenges.clone(), connection: 0 }
    }
}

impl Drop for Uplink {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl Handle {
    /// The link now; `None` while there is none.
    pub(super) fn sample(&mut self, now: Uptime) -> Option<Sample> {
        let (number, link) = {
            let current = self.sampler.borrow();
            let (number, sampler) = current.as_ref()?;
            (*number, sampler.lock().unwrap_or_else(PoisonError::into_inner).sample(now)?)
        };
        let is_new_connection = std::mem::replace(&mut self.connection, number) != number;
        Some(Sample { link, is_new_connection })
    }

    pub(super) fn challenges(&self) -> Vec<Challenge> {
        self.challenges.next()
    }
}
