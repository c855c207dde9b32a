//! What happens before a camera goes into its session, and to who subscribed here.

use super::live::Live;
use super::{CameraError, MotionEvent, Run};

impl Run {
    /// Passes a motion event on: sealed with its epoch, and to who subscribed here, if anybody did.
    pub(super) fn handle_motion(&mut self, live: Option<&mut Live>, event: Option<MotionEvent>) {
        let Some(event) = event else { return };
        self.moves = matches!(event, MotionEvent::Began { .. });
        self.with_stats(|stats| stats.motion_events += u64::from(self.moves));
        let _unheard = self.events.send(event);
        let Some(live) = live else { return };
        let before = live.events_left_out();
        live.handle_motion(&event);
        self.with_stats(|stats| stats.events_left_out += live.events_left_out() - before);
    }

    /// Tells of the presses that nobody has been told of. Without an open epoch they wait.
    pub(super) fn answer_bell(&self, live: &mut Live) -> Result<(), CameraError> {
        while live.session.current().is_some()
            && let Some(at) = self.bell.take()
        {
            let before = live.events_left_out();
            live.ring(at)?;
            self.with_stats(|stats| {
                stats.doorbells += 1;
                stats.events_left_out += live.events_left_out() - before;
            });
        }
        Ok(())
    }
}
