//! Rate control: which quantizer a picture gets, one for the whole of it.
//!
//! The library's own control was left for this one because it cannot size a keyframe (the first takes 7 to 18 mean
//! units, as the clip will), answers a new bitrate with the old one's habits, and with two slices lets a delta grow to
//! 5 or 8 mean units. Here a keyframe takes what it was told to, the debt it leaves is paid back by the pictures after
//! it, and a delta gets the quantizer that fits what its [complexity](super::complexity) foretells.
//!
//! One quantizer for a picture has a price: each finer one is coded all over what does not move, at 2 to 6 times what the
//! picture would take else. So the finest since the keyframe is remembered. Above it the quantizer moves freely and costs
//! what moves; a finer one comes when there is credit for it and room in the second it falls in. The library's control
//! within a picture would spread it over several, but is off as soon as a picture has two slices (`WelsRcPictureInitGom`).
//!
//! What was tried and gained nothing: coding still blocks once at their final quantizer instead of a step finer with
//! each picture (bits for bits the same), and a richer picture every fourth to sixteenth (0.1 dB for twice the peak).
//! More debt for finer pictures gained 4 % of the bits on one clip, lost 1 % on another, and filled a second to 1.2 times the
//! bitrate; holding each second to 1.04 at any price made the quantizer jump by ten.

use super::complexity::Complexity;
use std::collections::VecDeque;

/// Finest quantizer (QP of H.264): nobody sees a finer one.
const FINEST: i32 = 12;
/// Coarsest quantizer.
const COARSEST: i32 = 51;
/// Quantizer of the very first trial.
const FIRST: i32 = 34;
/// Trials that the first keyframe of a stream may take; later ones go by the one before.
const TRIALS: u8 = 3;
/// A trial that fills this much of what a keyframe may take is good enough.
const FULL: f64 = 0.85;

/// Pictures over which debt is paid back, and credit spent.
const HORIZON: f64 = 10.0;
/// Most credit kept, in pictures. What a full second held back is spent later.
const CREDIT: f64 = 10.0;
/// Most a picture gets while there is credit, in budgets.
const MOST: f64 = 1.15;
/// Least a picture gets while debt is paid back, in budgets, after a keyframe of six units. Larger ones take more.
const LEAST: f64 = 0.86;
/// Least that a picture gets, in budgets, whatever the keyframes.
const LEAST_OF_ALL: f64 = 0.4;
/// A delta foretold to be larger than this, in budgets, is made as coarse as it takes at once.
const PEAK: f64 = 1.5;
/// A quantizer is kept while the one that would fit is no further away: each finer one is coded all over the picture.
const KEPT: f64 = 0.7;
/// Steps that the quantizer may become finer than it ever was since the keyframe, from one picture to the next, and coarser,
/// unless there is a peak.
const FINER: i32 = 1;
const COARSER: i32 = 3;
/// Steps back to the finest there was, from one picture to the next.
const BACK: i32 = 3;
/// A budget that changes by more than this share is a step, after which the quantizer is looked for anew: so many pictures
/// long it may become finer by so much at once.
const STEP: f64 = 0.2;
const SETTLING: u8 = 8;
const FINER_SETTLING: i32 = 3;
/// Noise and the error of the picture before are coded as well: added to the motion seen.
const FLOOR: f64 = 0.6;

/// Debt, in budgets, that a picture may leave whose quantizer is the finest since the keyframe.
const DEBT: f64 = 4.0;
/// Most that a second may hold, in budgets, wherever it begins.
const FULLEST: f64 = 1.08;
/// Least that a picture gets all the same, in budgets, when a second is full.
const STARVED: f64 = 0.7;
/// How many times what was foretold such a picture takes: where to start, and the range it is learnt in.
const REFINED: f64 = 2.0;
const REFINED_RANGE: (f64, f64) = (1.0, 6.0);

/// Bits that a step of one unit would take for a complexity of one.
type Worth = f64;

/// Keeps the rate: knows what was spent and foretells what a picture takes. One for each stream.
#[derive(Debug)]
pub(super) struct QpControl {
    /// Bits of a picture.
    budget: f64,
    /// Bits spent above the budget.
    debt: f64,
    /// Largest keyframe, in budgets.
    keyframe_units: f64,
    layers: Layers,
    key: Option<Worth>,
    deltas: [Option<Worth>; Layers::MOST],
    /// Quantizer of the picture before, without its layer's offset.
    last: i32,
    /// Pictures since the keyframe.
    since: usize,
    /// Pictures from the keyframe before to that one; `None` if there was none before.
    interval: Option<usize>,
    /// Pictures left in which a step of the budget is settled.
    settling: u8,
    /// Pictures of a second.
    second: usize,
    /// Bits of the last second's pictures but one, oldest first.
    recent: VecDeque<f64>,
    /// See [`REFINED`].
    refined: f64,
    /// Finest quantizer since the keyframe: what does not move has it.
    best: i32,
}

/// What was decided for a picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Choice {
    /// What to tell the library, which takes the layer's offset off.
    pub(super) told: i32,
    /// What the picture is coded with.
    qp: i32,
    complexity: f64,
    layer: usize,
    /// Bits foretold by what moves alone, if the quantizer is the finest since the keyframe.
    refining: Option<f64>,
}

impl QpControl {
    /// A control for `budget` bits a picture, `second` pictures a second, keyframes of up to so many budgets and 1 to 3
    /// temporal layers.
    pub(super) fn new(budget: f64, second: usize, keyframe_units: u8, layers: u8) -> Self {
        Self {
            budget,
            debt: 0.0,
            keyframe_units: keyframe_units.into(),
            layers: Layers(layers.into()),
            key: None,
            deltas: [None; Layers::MOST],
            last: FIRST,
            since: 0,
            interval: None,
            settling: 0,
            second,
            recent: VecDeque::new(),
            refined: REFINED,
            best: FIRST,
        }
    }

    /// Another budget, from the next picture on. What is owed stays owed, in bits that now weigh differently.
    pub(super) fn set_budget(&mut self, budget: f64, second: usize) {
        // A debt of seconds, left by a bitrate that was many times as high, would leave nothing to see, and its credit, spent
        // at another, would be what the link no longer carries.
        self.debt = self.debt.clamp(-budget, self.keyframe_units * budget);
        if (budget / self.budget - 1.0).abs() > STEP {
            self.settling = SETTLING;
            // What was spent at the old bitrate says nothing of how full a second of the new one is.
            self.recent.clear();
        }
        self.budget = budget;
        self.second = second;
    }

    /// Another size for keyframes, from the next one on.
    pub(super) fn set_keyframe_units(&mut self, units: u8) {
        self.keyframe_units = units.into();
    }

    /// Trials that the next keyframe may take.
    pub(super) fn trials(&self) -> u8 {
        if self.key.is_some() { 1 } else { TRIALS }
    }

    /// The quantizer for a keyframe.
    pub(super) fn keyframe(&self, seen: Complexity) -> Choice {
        let complexity = seen.texture + FLOOR;
        let fit = |worth| fitting(worth * complexity, self.keyframe_units * self.budget).ceil() as i32;
        self.choice(self.key.map_or(FIRST, fit), complexity, 0)
    }

    /// Learns from a keyframe's trial. Whether it is good enough to be sent.
    pub(super) fn tried(&mut self, choice: Choice, bits: f64) -> bool {
        self.key = Some(bits * step(choice.qp) / choice.complexity);
        let most = self.keyframe_units * self.budget;
        let again = fitting(bits * step(choice.qp), most).ceil() as i32;
        (FULL * most..=most).contains(&bits) || again.clamp(FINEST, COARSEST) == choice.qp
    }

    /// The quantizer for a delta.
    pub(super) fn delta(&self, seen: Complexity) -> Choice {
        let complexity = seen.motion + FLOOR;
        let layer = self.layers.of(self.since);
        let Some(worths) = self.worths() else {
            return self.choice(self.last - self.layers.offset(layer), complexity, layer);
        };
        // A round of pictures, one or more of each layer, at a quantizer of zero.
        let round: f64 = self.layers.round().map(|layer| worths[layer] * self.layers.weight(layer)).sum();
        let mean = round * complexity / self.layers.len() as f64;
        let fit = fitting(mean, self.budget * self.share());
        let kept = (fit - f64::from(self.last)).abs() < KEPT;
        let near = if kept { self.last } else { fit.round() as i32 };
        let back = if self.settling > 0 { 2 * BACK } else { BACK };
        let room = self.room();
        let peak = fitting(mean, self.budget * PEAK).ceil() as i32;
        let full = fitting(mean, self.budget * room.min(PEAK)).ceil() as i32;
        let qp = near.max(full).clamp(self.last - back, self.last + COARSER).max(peak);
        let mut refining = None;
        let qp = if qp >= self.best {
            qp
        } else {
            // What does not move has nothing finer yet, and is coded anew all over the picture: that has to be saved for.
            let finer = qp.max(self.best - if self.settling > 0 { FINER_SETTLING } else { FINER });
            let foretold = mean / step(finer);
            let cost = foretold * self.refined;
            let is_saved =
                cost < self.share() * self.budget || self.debt + cost < DEBT * self.budget && cost < self.budget * room;
            if is_saved || self.settling > 0 {
                refining = Some(foretold);
                finer
            } else {
                self.best
            }
        };
        Choice { refining, ..self.choice(qp - self.layers.offset(layer), complexity, layer) }
    }

    /// Takes note of a keyframe that is sent.
    pub(super) fn spent_keyframe(&mut self, choice: Choice, bits: f64) {
        self.key = Some(bits * step(choice.qp) / choice.complexity);
        self.last = choice.qp;
        self.best = choice.qp;
        self.interval = (self.since > 0).then_some(self.since);
        self.since = 1;
        self.spend(bits);
    }

    /// Takes note of a delta that is sent.
    pub(super) fn spent_delta(&mut self, choice: Choice, bits: f64) {
        let worth = bits.max(1.0) * step(choice.qp) / choice.complexity;
        if let Some(foretold) = choice.refining {
            let (least, most) = REFINED_RANGE;
            self.refined = (self.refined * (bits / foretold.max(1.0)).clamp(least, most)).sqrt();
        } else if let Some(past) = self.deltas.get_mut(choice.layer) {
            // Halfway, in what a ratio is to a logarithm.
            *past = Some(past.map_or(worth, |past| (past * worth).sqrt()));
        }
        self.last = choice.qp + self.layers.offset(choice.layer);
        self.best = self.best.min(self.last);
        self.since += 1;
        self.settling = self.settling.saturating_sub(1);
        self.spend(bits);
    }

    fn spend(&mut self, bits: f64) {
        self.recent.push_back(bits);
        while self.recent.len() >= self.second.max(1) {
            self.recent.pop_front();
        }
        self.debt = (self.debt + bits - self.budget).max(-CREDIT * self.budget);
    }

    /// Budgets left in the second that ends with the next picture.
    fn room(&self) -> f64 {
        if self.recent.len() + 1 < self.second {
            // The first second has the keyframe in it, whose debt is paid back over more than that.
            return PEAK;
        }
        let spent = self.recent.iter().sum::<f64>() / self.budget;
        // A larger keyframe than usual may fill its second.
        let larger = (self.keyframe_units - 6.0).max(0.0);
        (FULLEST * self.second as f64 + larger - spent).max(STARVED)
    }

    /// Budgets that the next delta gets.
    fn share(&self) -> f64 {
        // Twice as fast as six units would need, for the larger keyframe is paid back no later.
        let least = (LEAST - (self.keyframe_units - 6.0).max(0.0) * 0.02).max(LEAST_OF_ALL);
        // Where keyframes come soon after one another, the deltas between have to pay for each.
        let paying = self.interval.map_or(least, |pictures| {
            let pictures = pictures as f64;
            0.97 * (pictures - self.keyframe_units) / (pictures - 1.0).max(1.0)
        });
        let least = least.min(paying).max(LEAST_OF_ALL);
        (1.0 - self.debt / (HORIZON * self.budget)).clamp(least, MOST)
    }

    /// What deltas of each layer were worth; a layer not seen yet is taken for the base. `None` before the first delta.
    fn worths(&self) -> Option<[Worth; Layers::MOST]> {
        let known = self.deltas.iter().flatten().next()?;
        Some(self.deltas.map(|worth| worth.unwrap_or(*known)))
    }

    fn choice(&self, qp: i32, complexity: f64, layer: usize) -> Choice {
        let qp = qp.clamp(FINEST, COARSEST);
        Choice { told: qp + self.layers.offset(layer), qp, complexity, layer, refining: None }
    }
}

/// Quantizer step of a QP: it doubles every six (ITU-T H.264 §8.5.9).
fn step(qp: i32) -> f64 {
    (f64::from(qp) / 6.0).exp2()
}

/// The QP, with its fraction, at which `worth` takes `bits`.
fn fitting(worth: f64, bits: f64) -> f64 {
    6.0 * (worth.max(1.0) / bits.max(1.0)).log2()
}

/// Temporal layers as the library lays them out: dyadic, the base finest.
#[derive(Clone, Copy, Debug)]
struct Layers(usize);

impl Layers {
    const MOST: usize = 3;

    /// Pictures from one of the base layer to the next.
    fn len(self) -> usize {
        1 << (self.0 - 1).min(Self::MOST - 1)
    }

    /// Layer of the picture so many after the keyframe.
    fn of(self, since: usize) -> usize {
        let place = since % self.len();
        if place == 0 { 0 } else { self.0 - 1 - place.trailing_zeros() as usize }
    }

    /// Layers of the pictures of a round.
    fn round(self) -> impl Iterator<Item = usize> {
        (0..self.len()).map(move |place| self.of(place))
    }

    /// What the library takes off the quantizer it is told (`RcCalculateCascadingQp`).
    fn offset(self, layer: usize) -> i32 {
        let stages = self.0 as i32 - 1;
        match (stages, layer) {
            (0, _) => 0,
            (_, 0) => 3 + stages - 1,
            (_, layer) => stages - layer as i32,
        }
    }

    /// Bits of a layer's picture over those it would take without its offset.
    fn weight(self, layer: usize) -> f64 {
        step(self.offset(layer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(texture: f64, motion: f64) -> Complexity {
        Complexity { texture, motion }
    }

    /// A source that takes `worth` bits for a complexity of one at a quantizer of zero.
    fn run(control: &mut QpControl, worth: impl Fn(usize) -> f64, pictures: usize) -> Vec<f64> {
        let key = loop {
            let choice = control.keyframe(seen(10.0, 10.0));
            let bits = 4.0 * worth(0) * choice.complexity / step(choice.qp);
            if control.tried(choice, bits) {
                control.spent_keyframe(choice, bits);
                break bits;
            }
        };
        let delta = |index| {
            let choice = control.delta(seen(10.0, 1.0));
            let bits = worth(index) * choice.complexity / step(choice.qp);
            control.spent_delta(choice, bits);
            bits
        };
        std::iter::once(key).chain((1..pictures).map(delta)).collect()
    }

    #[test]
    fn the_library_s_layers_are_foretold() {
        assert_eq!((0..5).map(|since| Layers(1).of(since)).collect::<Vec<_>>(), [0; 5]);
        assert_eq!((0..5).map(|since| Layers(2).of(since)).collect::<Vec<_>>(), [0, 1, 0, 1, 0]);
        assert_eq!((0..6).map(|since| Layers(3).of(since)).collect::<Vec<_>>(), [0, 2, 1, 2, 0, 2]);
        assert_eq!([0, 1, 2].map(|layer| Layers(3).offset(layer)), [4, 1, 0]);
        assert_eq!([0, 1].map(|layer| Layers(2).offset(layer)), [3, 0]);
    }

    #[test]
    fn a_steady_source_is_coded_at_its_rate_after_a_keyframe_of_the_size_asked_for() {
        for (units, layers) in [(4, 1), (6, 1), (6, 2), (10, 3)] {
            let mut control = QpControl::new(30_000.0, 30, units, layers);
            let bits = run(&mut control, |_| 2e5, 300);
            let key = bits[0] / 30_000.0;
            assert!((0.7..=1.0).contains(&(key / f64::from(units))), "{units} units: {key}");
            let mean = bits.iter().sum::<f64>() / 300.0 / 30_000.0;
            assert!((0.97..1.03).contains(&mean), "{units} units, {layers} layers: {mean}");
        }
    }

    #[test]
    fn a_new_budget_is_kept_from_the_next_pictures_on() {
        let mut control = QpControl::new(30_000.0, 30, 6, 1);
        run(&mut control, |_| 2e5, 60);
        control.set_budget(10_000.0, 30);
        let mut late = 0.0;
        for index in 0..40 {
            let choice = control.delta(seen(10.0, 1.0));
            let bits = 2e5 * choice.complexity / step(choice.qp);
            control.spent_delta(choice, bits);
            if index >= 8 {
                late += bits / 32.0;
            }
        }
        assert!((0.8..1.1).contains(&(late / 10_000.0)), "{late}");
    }

    #[test]
    fn what_suddenly_moves_is_coarser_at_once() {
        let mut control = QpControl::new(30_000.0, 30, 6, 1);
        run(&mut control, |_| 2e5, 60);
        let choice = control.delta(seen(10.0, 40.0));
        let bits = 2e5 * choice.complexity / step(choice.qp);
        assert!(bits < 1.6 * 30_000.0, "{bits}");
    }

    #[test]
    fn extremes_stay_within_the_quantizers() {
        let mut control = QpControl::new(1.0, 30, 3, 3);
        run(&mut control, |_| 1e12, 20);
        assert_eq!(control.delta(seen(255.0, 255.0)).qp, COARSEST);
        let mut control = QpControl::new(1e9, 30, 30, 1);
        run(&mut control, |_| 1e-3, 60);
        assert_eq!(control.delta(seen(0.0, 0.0)).qp, FINEST);
    }
}
