//! Target bitrate: the encoder follows the link (pure; fed with samples of a connection).
//!
//! A connection's own estimate, congestion window over round trip, is only an upper cap: it is far too high while the
//! application sends less than the link could carry, and right within seconds once the link is full (`docs/time.md`). Our own
//! evidence is the round trip above its floor, which is the queue we have built: down at once when it grows, up slowly
//! while it stays flat and nothing is lost. This is the delay-based half of what WebRTC's congestion control does
//! (Carlucci et al., MMSys 2016), with the gradient taken over our own sending rate.

use doorframe_codec::units::{Bitrate, FrameRate, Uptime};
use std::collections::VecDeque;
use std::time::Duration;

/// What a connection tells about itself at one moment. Counters only ever go up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkSample {
    /// When it was taken.
    pub at: Uptime,
    /// Shortest round trip of the packets acknowledged since the last sample, not smoothed.
    pub rtt: Duration,
    /// Congestion window, in bytes.
    pub cwnd: u64,
    /// Bytes acknowledged so far.
    pub acked_bytes: u64,
    /// Packets put on the wire so far.
    pub sent_packets: u64,
    /// Packets declared lost so far.
    pub lost_packets: u64,
}

/// Bounds and start of the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateConfig {
    /// Never below: a picture that nobody can make out helps nobody.
    pub least: Bitrate,
    /// Never above: what the owner set.
    pub most: Bitrate,
    /// Where to start.
    pub start: Bitrate,
}

impl RateConfig {
    /// From a tenth of `most` (at least 100 kbit/s) up to `most`, starting there: the first second of a good link is good.
    pub fn up_to(most: Bitrate) -> Self {
        let least = Bitrate::from_bps((most.bps() / 10).max(100_000).min(most.bps()));
        Self { least, most, start: most }
    }
}

/// What to do with the next frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// Encode it.
    Send,
    /// Leave it out: what is queued already is older than a picture should get.
    Skip,
}

/// Queue, as delay, at which the link counts as full.
const FULL: Duration = Duration::from_millis(40);
/// Queue under which we may go up.
const CLEAR: Duration = Duration::from_millis(20);
/// Queue at which frames are left out.
const TOO_LATE: Duration = Duration::from_millis(160);
/// Share of a full link's measured rate to use, so that its queue drains.
const HEADROOM: f64 = 0.85;
/// Step down when a queue stays in spite of that: then the measure was too high.
const STEP_DOWN: f64 = 0.8;
/// Growth a second while the link is clear.
const GROWTH: f64 = 0.45;
/// Time after going down before going up again.
const HOLD: Duration = Duration::from_millis(600);
/// How long a queue has to stay to be more than the burst of a keyframe.
const STANDING: Duration = Duration::from_millis(700);
/// How long a link has to be full for its rate to be believed.
const MEASURED: Duration = Duration::from_millis(90);
/// Over how long the floor of the round trip is kept.
const FLOOR_WINDOW: Duration = Duration::from_secs(30);
/// Over how long sending rate, gradient and loss are taken.
const WINDOW: Duration = Duration::from_millis(250);
/// How long a keyframe may fill the link. A delta that waits behind it for so long is not seen to be late.
const KEYFRAME_TIME: Duration = Duration::from_millis(50);
/// Least time over which what a burst shows of a link is taken; shorter ones are the bunching of acknowledgements.
const BURST: Duration = Duration::from_millis(20);
/// Over how long what a burst has shown loses half of its weight: a path may have become slower unnoticed.
const FORGETTING: Duration = Duration::from_secs(10);

/// Follows one connection.
#[derive(Debug)]
pub struct RateControl {
    config: RateConfig,
    target: f64,
    /// Samples of the last [`WINDOW`], oldest first.
    window: VecDeque<LinkSample>,
    /// Rising minima of the round trip, oldest first: its front is the floor.
    floor: VecDeque<(Uptime, Duration)>,
    /// What the link was measured to carry since it is full; `None` while it is not.
    link: Option<f64>,
    /// The newest sample without a queue.
    idle: Option<LinkSample>,
    /// Since when there has been a queue without a break.
    queued_since: Option<Uptime>,
    decreased: Option<Uptime>,
    grown: Option<Uptime>,
    queue: Duration,
    /// Bits a second that the link was seen to carry in a burst; no more than that is known of a link that is not full.
    carried: f64,
}

impl RateControl {
    /// Keyframes are never smaller than this, in mean units: what a link that is almost full can still take.
    pub const LEAST_KEYFRAME: u8 = 6;
    /// Keyframes are never larger than this, in mean units: more gains little and takes longer to code.
    pub const MOST_KEYFRAME: u8 = 12;

    /// Starts at [`RateConfig::start`].
    pub fn new(config: RateConfig) -> Self {
        Self {
            target: f64::from(config.start.bps()),
            config,
            window: VecDeque::new(),
            floor: VecDeque::new(),
            link: None,
            idle: None,
            queued_since: None,
            decreased: None,
            grown: None,
            queue: Duration::ZERO,
            carried: 0.0,
        }
    }

    /// A new connection under the same camera: what was learnt about the old path is forgotten, the target stays.
    pub fn reset(&mut self) {
        *self = Self { target: self.target, ..Self::new(self.config) };
    }

    /// Takes a sample; about every 30 ms, and at least every 250 ms.
    pub fn handle_sample(&mut self, sample: LinkSample) {
        let restarted = self.window.back().is_some_and(|last| {
            sample.acked_bytes < last.acked_bytes || sample.lost_packets < last.lost_packets || sample.at < last.at
        });
        if restarted {
            self.reset();
        }
        self.handle_burst(sample);
        self.window.push_back(sample);
        while self.window.len() > 2 && self.window.front().is_some_and(|s| sample.at.since(s.at) > WINDOW) {
            self.window.pop_front();
        }
        self.update_floor(sample);
        let floor = self.floor.front().map_or(sample.rtt, |(_, rtt)| *rtt);
        self.queue = sample.rtt.saturating_sub(floor);
        let Some(oldest) = self.window.front().copied().filter(|s| s.at < sample.at) else { return };

        let packets = sample.sent_packets.saturating_sub(oldest.sent_packets);
        let lost = sample.lost_packets - oldest.lost_packets;
        let lossy = lost >= 3 && lost * 20 > packets;
        let now = sample.at;
        let rested = |since: Option<Uptime>, time| since.is_none_or(|at| now.since(at) >= time);

        if self.queue > FULL {
            // Only while it is full does what arrives tell what the link carries.
            let from = self.idle.filter(|idle| idle.at > oldest.at).unwrap_or(oldest);
            let seconds = now.since(from.at).as_secs_f64();
            if seconds >= MEASURED.as_secs_f64() {
                let rate = (sample.acked_bytes - from.acked_bytes) as f64 * 8.0 / seconds;
                let link = self.link.map_or(rate, |link| link + (rate - link) * 0.3);
                self.link = Some(link);
                self.carried = self.carried.min(link);
                if self.target > link * HEADROOM {
                    self.target = link * HEADROOM;
                    self.decreased = Some(now);
                }
            }
            let standing = self.queued_since.get_or_insert(now);
            if now.since(*standing) >= STANDING && rested(self.decreased, STANDING) {
                self.target *= STEP_DOWN;
                self.decreased = Some(now);
            }
        } else {
            self.link = None;
            self.queued_since = None;
            if self.queue < CLEAR {
                self.idle = Some(sample);
            }
        }
        if lossy && rested(self.decreased, WINDOW) {
            self.target *= STEP_DOWN;
            self.decreased = Some(now);
        }
        if self.queue < CLEAR && rested(self.decreased, HOLD) {
            let since = self.grown.replace(now).map_or(0.0, |at| now.since(at).as_secs_f64());
            self.target *= (1.0 + GROWTH).powf(since.min(0.5));
        } else {
            self.grown = None;
        }
        let cap = if sample.rtt.is_zero() { f64::MAX } else { sample.cwnd as f64 * 8.0 / sample.rtt.as_secs_f64() };
        self.target = self.target.min(cap * 0.9);
        self.target = self.target.clamp(f64::from(self.config.least.bps()), f64::from(self.config.most.bps()));
    }

    /// What a burst shows of the link: the largest bursts are the keyframes.
    fn handle_burst(&mut self, sample: LinkSample) {
        let Some(last) = self.window.back() else { return };
        let time = sample.at.since(last.at);
        if time >= BURST {
            let seconds = time.as_secs_f64();
            let bits = (sample.acked_bytes - last.acked_bytes) as f64 * 8.0;
            self.carried *= 0.5_f64.powf(seconds / FORGETTING.as_secs_f64());
            self.carried = self.carried.max(bits / seconds);
        }
    }

    fn update_floor(&mut self, sample: LinkSample) {
        while self.floor.back().is_some_and(|(_, rtt)| *rtt >= sample.rtt) {
            self.floor.pop_back();
        }
        self.floor.push_back((sample.at, sample.rtt));
        while self.floor.len() > 1 && self.floor.front().is_some_and(|(at, _)| sample.at.since(*at) > FLOOR_WINDOW) {
            self.floor.pop_front();
        }
    }

    /// What the encoder should aim for now.
    pub fn target(&self) -> Bitrate {
        Bitrate::from_bps(self.target as u32)
    }

    /// Largest keyframe worth sending now, in mean units of the target at `rate` pictures a second: what the link was
    /// seen to carry in a twentieth of a second, [`LEAST_KEYFRAME`](Self::LEAST_KEYFRAME) to
    /// [`MOST_KEYFRAME`](Self::MOST_KEYFRAME).
    ///
    /// A link that is not full shows only what is sent over it, so that this grows from keyframe to keyframe.
    pub fn keyframe_units(&self, rate: FrameRate) -> u8 {
        let budget = self.target / f64::from(rate.as_f32());
        let units = self.carried * KEYFRAME_TIME.as_secs_f64() / budget.max(1.0);
        units.clamp(Self::LEAST_KEYFRAME.into(), Self::MOST_KEYFRAME.into()) as u8
    }

    /// Queue on the path, as delay: round trip above its floor.
    pub fn queue(&self) -> Duration {
        self.queue
    }

    /// Whether the next frame is worth encoding; `backlog` is how long the bytes not yet on the wire will take.
    pub fn pace(&self, backlog: Duration) -> Pace {
        if self.queue + backlog > TOO_LATE { Pace::Skip } else { Pace::Send }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A link with a drop-tail queue as a fluid: virtual time, one step a frame.
    struct Link {
        now: Uptime,
        queue_bits: f64,
        arrived_bits: f64,
        sent: u64,
        lost: u64,
        frame: u64,
    }

    const STEP: Duration = Duration::from_micros(33_333);
    const BASE: f64 = 0.040;
    const QUEUE: f64 = 120_000.0 * 8.0;

    impl Link {
        fn new() -> Self {
            Self { now: Uptime::default(), queue_bits: 0.0, arrived_bits: 0.0, sent: 0, lost: 0, frame: 0 }
        }

        fn step(&mut self, control: &mut RateControl, capacity: f64) {
            self.now = self.now + STEP;
            // Every sixtieth frame is a keyframe, eight times as large as the mean; the others make up for it.
            self.frame += 1;
            let share = if self.frame.is_multiple_of(60) { 8.0 } else { 52.0 / 59.0 };
            let bits = f64::from(control.target().bps()) * STEP.as_secs_f64() * share;
            if control.pace(Duration::ZERO) == Pace::Send {
                self.sent += (bits / 8.0) as u64;
                self.queue_bits += bits;
            }
            let arrived = self.queue_bits.min(capacity * STEP.as_secs_f64());
            self.queue_bits -= arrived;
            self.arrived_bits += arrived;
            if self.queue_bits > QUEUE {
                self.lost += ((self.queue_bits - QUEUE) / 9600.0) as u64 + 1;
                self.queue_bits = QUEUE;
            }
            control.handle_sample(LinkSample {
                at: self.now,
                rtt: Duration::from_secs_f64(BASE + self.queue_bits / capacity),
                cwnd: 1 << 20,
                acked_bytes: (self.arrived_bits / 8.0) as u64,
                sent_packets: self.sent / 1200,
                lost_packets: self.lost,
            });
        }

        fn run(&mut self, control: &mut RateControl, capacity: f64, seconds: f64) -> f64 {
            let mut worst: f64 = 0.0;
            for _ in 0..(seconds / STEP.as_secs_f64()) as u32 {
                self.step(control, capacity);
                worst = worst.max(self.queue_bits / capacity);
            }
            worst
        }
    }

    #[test]
    fn a_good_link_keeps_full_rate() {
        let mut control = RateControl::new(RateConfig::up_to(Bitrate::from_kbps(2500)));
        let mut link = Link::new();
        link.run(&mut control, 10e6, 20.0);
        assert_eq!(control.target(), Bitrate::from_kbps(2500));
    }

    #[test]
    fn a_cut_link_is_followed_down_and_up() {
        let mut control = RateControl::new(RateConfig::up_to(Bitrate::from_kbps(2500)));
        let mut link = Link::new();
        link.run(&mut control, 10e6, 5.0);
        let worst = link.run(&mut control, 1.5e6, 15.0);
        assert!(worst < 0.45, "queue of {worst} s");
        let kept = control.target().bps();
        // A moment of a sawtooth: up to a little over the link before the queue shows it.
        assert!((700_000..1_900_000).contains(&kept), "{kept} bit/s of 1.5 Mbit/s");
        link.run(&mut control, 10e6, 5.0);
        assert_eq!(control.target(), Bitrate::from_kbps(2500));
    }

    #[test]
    fn keyframes_are_as_large_as_the_link_carries_unnoticed() {
        let rate = FrameRate::whole(30).unwrap();
        let sized = |capacity: f64| {
            let mut control = RateControl::new(RateConfig::up_to(Bitrate::from_kbps(1000)));
            let before = control.keyframe_units(rate);
            let mut link = Link::new();
            link.run(&mut control, capacity, 20.0);
            (before, control.keyframe_units(rate))
        };
        assert_eq!(sized(20e6), (6, 12));
        assert_eq!(sized(1.5e6), (6, 6));
        let mut control = RateControl::new(RateConfig::up_to(Bitrate::from_kbps(1000)));
        let mut link = Link::new();
        link.run(&mut control, 20e6, 20.0);
        // The first keyframe that fills the link tells what it carries now.
        link.run(&mut control, 1.2e6, 4.0);
        assert_eq!(control.keyframe_units(rate), 6);
    }

    #[test]
    fn a_link_below_the_least_is_not_starved_for_ever() {
        let mut control = RateControl::new(RateConfig::up_to(Bitrate::from_kbps(2000)));
        let mut link = Link::new();
        link.run(&mut control, 5e6, 2.0);
        link.run(&mut control, 0.1e6, 20.0);
        assert_eq!(control.target(), Bitrate::from_kbps(200));
        link.run(&mut control, 5e6, 12.0);
        assert_eq!(control.target(), Bitrate::from_kbps(2000));
    }

    #[test]
    fn a_connection_that_starts_over_is_not_a_loss() {
        let mut control = RateControl::new(RateConfig::up_to(Bitrate::from_kbps(2000)));
        let sample = |at, sent, lost| LinkSample {
            at: Uptime::from_micros(at),
            rtt: Duration::from_millis(10),
            cwnd: 1 << 20,
            acked_bytes: sent,
            sent_packets: sent / 1000,
            lost_packets: lost,
        };
        control.handle_sample(sample(1_000_000, 1_000_000, 50));
        control.handle_sample(sample(1_030_000, 1_010_000, 50));
        control.handle_sample(sample(1_060_000, 0, 0));
        control.handle_sample(sample(1_090_000, 1_000, 0));
        assert_eq!(control.target(), Bitrate::from_kbps(2000));
    }
}
