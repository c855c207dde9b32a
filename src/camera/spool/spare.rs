//! How fast epochs of before may be sent beside what is live. Pure.

use doorframe_codec::units::{Bitrate, Uptime};
use std::collections::VecDeque;
use std::time::Duration;

/// What a link has beside live video.
///
/// Live goes first three times over: its streams have a higher priority, what waits here is sent only while the rate control sees no queue, and
/// only one epoch is under way at a time. Priority alone would not do: it orders what is not sent yet, and a full congestion window is a
/// queue in the network that live pictures wait in too. The rate starts at a quarter of what live is allowed, grows while there is
/// no queue, and halves with each that stays, below the one at which the encoder would be told to go down. A single late answer is no
/// queue: QUIC may hold an acknowledgement back for 25 ms, and a packet by itself shows just that.
#[derive(Debug)]
pub(super) struct Spare {
    rate: f64,
    target: f64,
    /// What was told of the queue, at least of the last [`STAYS`] and at least three times.
    queue: VecDeque<(Uptime, Duration)>,
    cut: Option<Uptime>,
    sent: Option<Uptime>,
    ready: Uptime,
}

/// Queue, as delay, at which nothing is sent: the rate control raises live video's bitrate below it.
const CLEAR: Duration = Duration::from_millis(20);
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
/// How often is looked whether a queue is gone.
const LOOK: Duration = Duration::from_millis(10);

impl Spare {
    pub(super) fn new() -> Self {
        Self { rate: 0.0, target: 500_000.0, queue: VecDeque::new(), cut: None, sent: None, ready: Uptime::default() }
    }

    /// What the rate control says: the queue on the path as delay, and what live video aims for.
    pub(super) fn handle_link(&mut self, queue: Duration, target: Bitrate, now: Uptime) {
        self.target = f64::from(target.bps());
        self.queue.push_back((now, queue));
        while self.queue.len() > 3 && self.queue.front().is_some_and(|(at, _)| now.since(*at) > STAYS) {
            self.queue.pop_front();
        }
        if self.is_queued() && self.cut.is_none_or(|cut| now.since(cut) >= CUT_EVERY) {
            self.rate /= 2.0;
            self.cut = Some(now);
        }
        self.rate = self.rate.clamp(LEAST, MOST);
    }

    fn is_queued(&self) -> bool {
        self.queue.len() >= 3 && self.queue.iter().all(|(_, queue)| *queue >= CLEAR)
    }

    /// Another connection: what the last one carried says nothing.
    pub(super) fn restart(&mut self) {
        *self = Self::new();
    }

    /// Largest part worth sending at once, in bytes.
    pub(super) fn part(&self) -> usize {
        ((self.rate * PART.as_secs_f64() / 8.0) as usize).clamp(1024, 256 << 10)
    }

    /// How long to wait before `bytes` may be sent; with `None` they may now, and count as sent.
    pub(super) fn poll(&mut self, bytes: usize, now: Uptime) -> Option<Duration> {
        let is_fresh = self.queue.back().is_some_and(|(told, _)| now.since(*told) < FRESH);
        if is_fresh && self.is_queued() {
            self.sent = None;
            return Some(LOOK);
        }
        if now < self.ready {
            return Some(self.ready.since(now).max(Duration::from_millis(1)));
        }
        self.rate = self.rate.max(if self.cut.is_none() { self.target / 4.0 } else { LEAST });
        if let Some(sent) = self.sent.replace(now) {
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
        assert!(sent > 1e6 && sent < 5e6, "{sent} bits of 5 million");
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
    fn nothing_is_sent_into_a_queue() {
        let (mut spare, now) = (Spare::new(), Uptime::from_micros(5_000_000));
        let tell = |spare: &mut Spare, queue| spare.handle_link(queue, Bitrate::from_kbps(1000), now);
        [Duration::ZERO, CLEAR, CLEAR].into_iter().for_each(|queue| tell(&mut spare, queue));
        assert_eq!(spare.poll(1000, now), None, "one answer that is late is no queue");
        tell(&mut spare, CLEAR);
        (0..3).for_each(|_| spare.handle_link(CLEAR, Bitrate::from_kbps(1000), now + STAYS + STEP));
        let now = now + STAYS + STEP;
        assert!(spare.poll(1000, now + Duration::from_millis(900)).is_some());
        assert_eq!(spare.poll(1000, now + FRESH), None, "a camera without pictures does not look");
    }
}
