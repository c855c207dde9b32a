//! Viewers' challenges: each wants to see its 16 bytes signed, and so knows that what it sees is new.

use super::home::CameraHome;
use doorframe_transport::manifest::{Challenge, Opening};
use doorframe_transport::moq::Node;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::task::{AbortHandle, JoinSet};

/// Challenges of viewers that are there now.
#[derive(Clone, Debug, Default)]
pub(super) struct Challenges(Arc<Mutex<Kept>>);

#[derive(Debug, Default)]
struct Kept {
    by_viewer: HashMap<String, Challenge>,
    turn: usize,
}

/// Most viewers whose challenges are followed at once: a hub could make up any number.
const MOST: usize = 256;

impl Challenges {
    /// Those for the next opening. With more viewers than an opening takes, they take turns.
    pub(super) fn next(&self) -> Vec<Challenge> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let all: Vec<Challenge> = kept.by_viewer.values().copied().collect();
        let turn = kept.turn;
        kept.turn = kept.turn.wrapping_add(Opening::MAX_CHALLENGES);
        let start = if all.is_empty() { 0 } else { turn % all.len() };
        all.iter().cycle().skip(start).take(all.len().min(Opening::MAX_CHALLENGES)).copied().collect()
    }

    /// Follows viewers as they come and go. Where the camera has a home, also what they publish of its device lists.
    pub(super) async fn follow(self, node: Arc<Node>, home: Option<CameraHome>) {
        let mut viewers = node.announcements("viewer");
        let mut tasks = JoinSet::new();
        let mut handles: HashMap<String, AbortHandle> = HashMap::new();
        while let Some(viewer) = viewers.next().await {
            if let Some(task) = handles.remove(&viewer.name) {
                task.abort();
                self.0.lock().unwrap_or_else(PoisonError::into_inner).by_viewer.remove(&viewer.name);
            }
            while tasks.try_join_next().is_some() {}
            if viewer.is_live && handles.len() < MOST {
                let challenge = self.clone().read(node.clone(), viewer.name.clone());
                let devices = home.clone().map(|home| home.read(node.clone(), viewer.name.clone()));
                let task = tasks.spawn(async move {
                    match devices {
                        Some(devices) => drop(tokio::join!(challenge, devices)),
                        None => challenge.await,
                    }
                });
                handles.insert(viewer.name, task);
            }
        }
    }

    async fn read(self, node: Arc<Node>, viewer: String) {
        let Ok(mut track) = node.subscribe(&format!("viewer/{viewer}"), "challenge", 0).await else { return };
        // One group with one object of 16 bytes: whatever else is sent is not read.
        let Some(mut group) = track.group().await else { return };
        if let Some(object) = group.object().await
            && let Ok(challenge) = Challenge::try_from(object.as_ref())
        {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).by_viewer.insert(viewer, challenge);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn with_too_many_viewers_each_gets_its_turn() {
        let challenges = Challenges::default();
        for n in 0..20 {
            challenges.0.lock().unwrap().by_viewer.insert(n.to_string(), [n; 16]);
        }
        let mut answered: Vec<_> = (0..2).flat_map(|_| challenges.next()).collect();
        assert_eq!(answered.len(), 32);
        answered.sort_unstable();
        answered.dedup();
        assert_eq!(answered.len(), 20);
        assert!(Challenges::default().next().is_empty());
    }
}
