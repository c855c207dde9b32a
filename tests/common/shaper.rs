//! A link in user space: a UDP proxy with a rate, a delay, a drop-tail queue, and seeded loss.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// What the link does; the rate may change while it runs.
pub(crate) struct Shape {
    /// Bits a second from client to server; the way back is as wide as it likes.
    pub(crate) uplink_bps: AtomicU64,
    /// Each way.
    pub(crate) delay: Duration,
    /// Bytes that wait at most; what does not fit is dropped.
    pub(crate) queue: u64,
    /// Packets lost of 10,000, chosen by the seed.
    pub(crate) loss: u64,
    /// Same seed, same losses.
    pub(crate) seed: u64,
}

/// A running link. Ends when dropped.
pub(crate) struct Shaper {
    pub(crate) address: SocketAddr,
    pub(crate) shape: Arc<Shape>,
    _tasks: JoinSet<()>,
}

/// Packets on their way, in the order they leave.
struct Direction {
    packets: mpsc::UnboundedSender<(Instant, Vec<u8>, SocketAddr)>,
    free_at: Instant,
    random: u64,
}

impl Direction {
    fn new(socket: Arc<UdpSocket>, seed: u64, tasks: &mut JoinSet<()>) -> Self {
        let (packets, mut queue) = mpsc::unbounded_channel::<(Instant, Vec<u8>, SocketAddr)>();
        tasks.spawn(async move {
            while let Some((at, packet, to)) = queue.recv().await {
                tokio::time::sleep_until(at).await;
                let _gone = socket.send_to(&packet, to).await;
            }
        });
        Self { packets, free_at: Instant::now(), random: seed | 1 }
    }

    /// Xorshift64 (Marsaglia 2003): enough to choose which packets to lose.
    fn lost(&mut self, of_10_000: u64) -> bool {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % 10_000 < of_10_000
    }

    fn send(&mut self, shape: &Shape, bps: u64, packet: &[u8], to: SocketAddr) {
        let now = Instant::now();
        let start = self.free_at.max(now);
        let waiting = (start - now).as_micros() as u64 * bps / 8_000_000;
        if waiting + packet.len() as u64 > shape.queue || self.lost(shape.loss) {
            return;
        }
        self.free_at = start + Duration::from_micros(packet.len() as u64 * 8_000_000 / bps);
        let _ended = self.packets.send((self.free_at + shape.delay, packet.to_vec(), to));
    }
}

impl Shaper {
    /// A link to `server`.
    pub(crate) async fn start(server: SocketAddr, shape: Shape) -> Self {
        let shape = Arc::new(shape);
        let front = Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap());
        let address = front.local_addr().unwrap();
        let mut tasks = JoinSet::new();
        let shared = shape.clone();
        tasks.spawn(async move {
            let mut inner = JoinSet::new();
            let mut clients: HashMap<SocketAddr, (Arc<UdpSocket>, Direction)> = HashMap::new();
            let mut buffer = vec![0; 65_536];
            loop {
                let Ok((len, client)) = front.recv_from(&mut buffer).await else { continue };
                let (_, up) = match clients.entry(client) {
                    Entry::Occupied(known) => known.into_mut(),
                    Entry::Vacant(new) => {
                        let back = Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap());
                        let up = Direction::new(back.clone(), shared.seed, &mut inner);
                        let mut down = Direction::new(front.clone(), shared.seed ^ 0xffff, &mut inner);
                        let (shape, socket) = (shared.clone(), back.clone());
                        inner.spawn(async move {
                            let mut buffer = vec![0; 65_536];
                            loop {
                                let Ok((len, _)) = socket.recv_from(&mut buffer).await else { continue };
                                down.send(&shape, 1_000_000_000, &buffer[..len], client);
                            }
                        });
                        new.insert((back, up))
                    }
                };
                up.send(&shared, shared.uplink_bps.load(Ordering::Relaxed), &buffer[..len], server);
            }
        });
        Self { address, shape, _tasks: tasks }
    }

    pub(crate) fn set_uplink(&self, bps: u64) {
        self.shape.uplink_bps.store(bps, Ordering::Relaxed);
    }
}
