//! Watches a connection's acknowledgements: when each packet arrived is known to the congestion controller alone.

use quinn::congestion::{Controller, ControllerFactory, ControllerMetrics, CubicConfig};
use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// What was seen of one connection. Counters only ever go up.
#[derive(Debug)]
pub(super) struct Observed {
    acked: AtomicU64,
    /// Shortest round trip of a packet since the last look, µs; `u64::MAX`: none was acknowledged.
    rtt: AtomicU64,
}

impl Observed {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self { acked: AtomicU64::new(0), rtt: AtomicU64::new(u64::MAX) })
    }

    /// Bytes of packets that were acknowledged.
    pub(super) fn acked(&self) -> u64 {
        self.acked.load(Ordering::Relaxed)
    }

    /// Shortest round trip since the last look, µs; not smoothed, so that it falls as soon as a queue is gone.
    pub(super) fn take_rtt_us(&self) -> Option<u64> {
        let rtt = self.rtt.swap(u64::MAX, Ordering::Relaxed);
        (rtt != u64::MAX).then_some(rtt)
    }
}

/// Makes Cubic controllers (RFC 9438) that are watched.
pub(super) struct Watch(pub(super) Arc<Observed>);

impl ControllerFactory for Watch {
    fn build(self: Arc<Self>, now: Instant, mtu: u16) -> Box<dyn Controller> {
        let inner = Arc::new(CubicConfig::default()).build(now, mtu);
        Box::new(Watched { inner, observed: self.0.clone() })
    }
}

struct Watched {
    inner: Box<dyn Controller>,
    observed: Arc<Observed>,
}

impl Controller for Watched {
    fn on_sent(&mut self, now: Instant, bytes: u64, last_packet_number: u64) {
        self.inner.on_sent(now, bytes, last_packet_number);
    }

    fn on_ack(&mut self, now: Instant, sent: Instant, bytes: u64, app_limited: bool, rtt: &quinn_proto::RttEstimator) {
        self.observed.acked.fetch_add(bytes, Ordering::Relaxed);
        let took = u64::try_from(now.saturating_duration_since(sent).as_micros()).unwrap_or(u64::MAX);
        self.observed.rtt.fetch_min(took, Ordering::Relaxed);
        self.inner.on_ack(now, sent, bytes, app_limited, rtt);
    }

    fn on_end_acks(&mut self, now: Instant, in_flight: u64, app_limited: bool, largest_packet_num_acked: Option<u64>) {
        self.inner.on_end_acks(now, in_flight, app_limited, largest_packet_num_acked);
    }

    fn on_congestion_event(&mut self, now: Instant, sent: Instant, is_persistent_congestion: bool, lost_bytes: u64) {
        self.inner.on_congestion_event(now, sent, is_persistent_congestion, lost_bytes);
    }

    fn on_mtu_update(&mut self, new_mtu: u16) {
        self.inner.on_mtu_update(new_mtu);
    }

    fn window(&self) -> u64 {
        self.inner.window()
    }

    fn metrics(&self) -> ControllerMetrics {
        self.inner.metrics()
    }

    fn clone_box(&self) -> Box<dyn Controller> {
        Box::new(Self { inner: self.inner.clone_box(), observed: self.observed.clone() })
    }

    fn initial_window(&self) -> u64 {
        self.inner.initial_window()
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self.inner.into_any()
    }
}
