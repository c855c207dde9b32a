//! A camera whose source has coded its pictures: seal → publish, without a look at them.

use super::live::Live;
use super::run::{Run, is_news};
use super::{CameraError, CameraState};
use crate::sensor::CodedSensor;
use doorframe_codec::units::{TemporalLayer, Uptime};
use doorframe_transport::rate::Pace;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Epochs that one may be outlasted by, waiting for a keyframe: then its key is destroyed all the same, and what comes
/// before the next keyframe is lost. With its own two seconds that makes six, of the ten that a viewer's clock allows
/// between the opening of an epoch and the time he joins.
const MOST_OVERRUN: u32 = 2;
/// A source without a keyframe for so long is of no use.
const PATIENCE: Duration = Duration::from_secs(30);

/// What keeps a unit from being sealed.
#[derive(Default)]
struct Gate {
    /// Whether the units before the next keyframe are of no use to anybody.
    waits: bool,
    /// When the last keyframe came, or the first unit.
    since: Option<Uptime>,
    /// Whether the source was asked for a keyframe that has not come yet.
    asked: bool,
}

impl Gate {
    fn ask(&mut self, sensor: &mut dyn CodedSensor) {
        if !std::mem::replace(&mut self.asked, true) && !sensor.want_keyframe() {
            tracing::debug!("the source cannot be asked for a keyframe");
        }
    }
}

impl Run {
    /// Units of one opened source until it fails or we are stopped.
    ///
    /// An epoch has to begin with a keyframe, and here it is the source that decides when there is one: an epoch goes
    /// on until the first keyframe after its end.
    pub(super) fn units(
        &mut self,
        mut sensor: Box<dyn CodedSensor>,
        live: &mut Option<Live>,
        seen: &mut bool,
    ) -> Result<(), CameraError> {
        let mut gate = Gate { waits: true, ..Gate::default() };
        let mut told = None;
        let (rate, mut size) = (sensor.rate(), None);
        while !self.stop.load(Ordering::Relaxed) {
            let coded = sensor.next()?;
            let (mut unit, captured) = (coded.unit, coded.captured);
            *seen = true;
            if size.replace(unit.size) != Some(unit.size) {
                let (sensor, encoder) = (sensor.name().to_owned(), "the source's own encoder".to_owned());
                self.state.send_replace(CameraState::Running { sensor, size: unit.size, rate, encoder });
            }
            self.sample_link();
            let target = self.rate.target();
            if told.is_none_or(|told| is_news(told, target)) {
                sensor.set_bitrate(target);
                told = Some(target);
            }
            let losses = sensor.losses();
            self.with_stats(|stats| {
                stats.frames_captured += 1;
                stats.frames_damaged = losses.damaged;
                stats.skipped_by_sensor = losses.skipped;
                stats.target_bps = target.bps();
            });

            let session = live.as_ref().map(|live| live.session.id());
            let live = self.live_at(live, captured)?;
            gate.waits |= session != Some(live.session.id()) || live.is_spent(captured);
            let first = *gate.since.get_or_insert(captured);
            let mut is_over = live.epoch_over(captured);
            if is_over && live.overrun(captured) > MOST_OVERRUN {
                live.end()?;
                gate.waits = true;
            }
            if unit.is_keyframe() && !live.is_spent(captured) {
                if is_over {
                    live.begin(captured, self.clock.now(), self.uplink.challenges())?;
                    is_over = false;
                }
                gate = Gate { since: Some(captured), ..Gate::default() };
            } else if captured.since(first) > PATIENCE {
                let (from, after) = (sensor.name().to_owned(), captured.since(first));
                return Err(CameraError::NoKeyframe { from, after });
            }
            self.answer_bell(live)?;
            if is_over || gate.waits {
                gate.ask(&mut *sensor);
            }
            if gate.waits {
                self.with_stats(|stats| stats.frames_waiting += 1);
                continue;
            }
            if !unit.is_keyframe() && self.rate.pace(Duration::ZERO) == Pace::Skip {
                // What nothing refers to can go by itself; without anything else, all is lost up to the next keyframe.
                gate.waits = unit.layer == TemporalLayer::BASE;
                self.with_stats(|stats| stats.frames_skipped += 1);
                continue;
            }
            unit.at = live.session.media_time(captured);
            self.with_stats(|stats| stats.convert.record(self.clock.now().since(captured)));
            self.publish(live, &unit, captured)?;
        }
        Ok(())
    }
}
