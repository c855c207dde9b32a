//! How fast epochs of before may be sent beside what is live. Pure.

use doorframe_codec::units::{Bitrate, Uptime};
use std::collections::VecDeque;
use std::time::Duration;

/// What a link has beside live video.
///
/// Live goes first three times over: its streams have a higher priority, what waits here is not sent into a queue that the rate control sees, and
/// only one epoch is under way at a time. Priority alone would not do: it orders what is not sent yet, and a full congestion window is a
/// queue in the network that live pictures wait in too. The rate starts at a quarter of what live is allowed and grows while there is
/// no queue. It falls to that quarter in one in which live video's bitrate would not rise, and halves, and nothing is sent, from just below the one on at
/// which that would fall. One late answer is no queue, and neither, for so little, are many below that: QUIC may hold an
/// acknowledgement back for 25 ms, and does so where each picture is a packet by itself.
#[derive(Debug)]
pub(super) struct Spare {
    rate: f64,
    target: f64,
    /// What was told of the queue, at least of the last [`STAYS`] and at least three times.
    queue: VecDeque<(Uptime, Duration)>,
    cut: Option<Uptime>,
    /// The last part, if there was no queue then.
    sent: Option<Uptime>,
    /// The last part.
    last: Option<Uptime>,
    ready: Uptime,
}

/// Queue, as delay, from which on the rate falls: the rate control raises live video's bitrate below it.
const CLEAR: Duration = Duration::from_millis(20);
/// Queue from which on nothing is sent: at 40 ms live video's bitrate falls.
const FULL: Duration = Duration::from_millis(35);
/// Even then, one part after so long: where nothing else is sent, nothing else shows that the queue is gone.
const PROBE: Duration = Duration::from_secs(1);
/// How long a queue has to stay to be one.
const STAYS: Duration = Duration::from_millis(150);
/// One burst of live video is one reason to slow down, not several.
const CUT_EVERY: Duration = Duration::from_millis(500);
/// Growth a second while it is sent and there is no queue.
const GROWTH: f64 = 1.45;
/// A camera that takes no pictures at the moment does not look at its link.
const FRESH: Duration = Duration::from_secs(1);
/// Bits a second, at least and at most.
const LEAST: f64 = 64_000.0;
const MOST: f64 = 100_000_000.0;
/// How long one part takes: no more queue than that is made.
const PART: Duration = Duration::from_millis(15);
/// Three packets: of two that come together the second is acknowledged at once.
const LEAST_PART: usize = 3072;
/// How often is looked whether a queue is gone.
const LOOK: Duration = Duration::from_millis(10);

impl Spare {
    pub(super) fn new() -> Self {
        Self {
            rate: 0.0,
            target: 500_000.0,
            queue: VecDeque::new(),
            cut: None,
            sent: None,
            last: None,
            ready: Uptime::default(),
        }
    }

    /// What the rate control says: the queue on the path as delay, and what live video aims for.
    pub(super) fn handle_link(&mut self, queue: Duration, target: Bitrate, now: Uptime) {
        self.target = f64::from(target.bps());
        self.queue.push_back((now, queue));
        while self.queue.len() > 3 && self.queue.front().is_some_and(|(at, _)| now.since(*at) > STAYS) {
            self.queue.pop_front();
        }
        let queue = self.standing();
        if queue >= CLEAR && self.cut.is_none_or(|cut| now.since(cut) >= CUT_EVERY) {
            if queue >= FULL {
                self.rate *= 0.5;
                self.cut = Some(now);
            } else if self.rate > self.quarter() {
                self.rate = (self.rate * 0.8).max(self.quarter());
                self.cut = Some(now);
            }
        }
        self.rate = self.rate.clamp(LEAST, MOST);
    }

    /// The share of live video's bitrate that is little.
    fn quarter(&self) -> f64 {
        self.target / 4.0
    }

    /// The queue that stayed.
    fn standing(&self) -> Duration {
        let least = self.queue.iter().map(|(_, queue)| *queue).min();
        least.filter(|_| self.queue.len() >= 3).unwrap_or_default()
    }

    /// Another connection: what the last one carried says nothing.
    pub(super) fn restart(&mut self) {
        *self = Self::new();
    }

    /// Largest part worth sending at once, in bytes.
    pub(super) fn part(&self) -> usize {
        ((self.rate * PART.as_secs_f64() / 8.0) as usize).clamp(LEAST_PART, 256 << 10)
    }

    /// How long to wait before `bytes` may be sent; with `None` they may now, and count as sent.
    pub(super) fn poll(&mut self, bytes: usize, now: Uptime) -> Option<Duration> {
        let is_fresh = self.queue.back().is_some_and(|(told, _)| now.since(*told) < FRESH);
        let queue = if is_fresh { self.standing() } else { Duration::ZERO };
        let may_grow = queue < CLEAR || (queue < FULL && self.rate < self.quarter());
        if !may_grow {
            self.sent = None;
        }
        if queue >= FULL && self.last.is_some_and(|last| now.since(last) < PROBE) {
            return Some(LOOK);
        }
        if now < self.ready {
            return Some(self.ready.since(now).max(Duration::from_millis(1)));
        }
        self.rate = self.rate.max(if self.cut.is_none() { self.quarter() } else { LEAST });
        self.last = Some(now);
        if may_grow && let Some(sent) = self.sent.replace(now) {
            self.rate *= GROWTH.powf(now.since(sent).as_secs_f64().min(0.5));
        }
        self.rate = self.rate.min(MOST);
        self.ready = now + Duration::from_secs_f64(bytes as f64 * 8.0 / self.rate);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEP: Duration = Duration::from_millis(5);

    /// Bits sent in ten seconds over a link of so many bits a second, of which live video takes `live`; and the longest queue.
    fn send(link: f64, live: f64) -> (f64, Duration) {
        let (mut spare, mut now) = (Spare::new(), Uptime::default());
        let (mut queued, mut sent, mut worst) = (0.0_f64, 0.0, 0.0_f64);
        for n in 0..2000 {
            now = now + STEP;
            queued = (queued + (live - link) * STEP.as_secs_f64()).max(0.0);
            if n % 6 == 0 {
                spare.handle_link(Duration::from_secs_f64(queued / link), Bitrate::from_bps(live as u32), now);
            }
            let part = spare.part();
            while spare.poll(part, now).is_none() {
                sent += part as f64 * 8.0;
                queued += part as f64 * 8.0;
            }
            worst = worst.max(queued / link);
        }
        (sent, Duration::from_secs_f64(worst))
    }

    #[test]
    fn a_link_with_room_is_used_and_one_without_is_left_to_live_video() {
        let (sent, worst) = send(10e6, 1.5e6);
        assert!(sent > 20e6, "{sent} bits of some 85 million that would have fitted");
        assert!(worst < Duration::from_millis(60), "a queue of {worst:?}");
        let (sent, worst) = send(2e6, 1.5e6);
        assert!(sent > 1e6, "{sent} bits of 5 million");
        assert!(worst < Duration::from_millis(60), "a queue of {worst:?}");
    }

    #[test]
    fn acknowledgements_that_are_held_back_are_no_queue() {
        let (mut spare, mut now) = (Spare::new(), Uptime::default());
        let mut sent = 0;
        for n in 0..1000_u32 {
            now = now + STEP;
            let late = if n % 2 == 0 { Duration::from_millis(26) } else { Duration::ZERO };
            spare.handle_link(late, Bitrate::from_kbps(300), now);
            while spare.poll(spare.part(), now).is_none() {
                sent += spare.part();
            }
        }
        assert!(sent * 8 > 800_000, "{} bits in five seconds", sent * 8);
    }

    #[test]
    fn nothing_is_sent_into_a_queue_but_what_shows_whether_it_is_there() {
        let (mut spare, mut now) = (Spare::new(), Uptime::from_micros(5_000_000));
        assert_eq!(spare.poll(3000, now), None);
        let mut sent = 0;
        for _ in 0..2000 {
            now = now + STEP;
            spare.handle_link(FULL, Bitrate::from_kbps(1000), now);
            sent += u32::from(spare.poll(3000, now).is_none());
        }
        assert!((8..=11).contains(&sent), "{sent} parts in ten seconds");
        assert_eq!(spare.poll(3000, now + FRESH), None, "a camera without pictures does not look");
    }
}
