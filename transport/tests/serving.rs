//! Groups on request, over real QUIC on loopback: a server, a relay and a reader.

#![expect(clippy::unwrap_used, reason = "a test may fail")]

#[path = "common/relay.rs"]
mod relay;

use bytes::Bytes;
use doorframe_transport::moq::{Broadcast, CarriageError, FetchLimits, Node, Requests};
use relay::Relay;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Long, since machines are shared.
const PATIENCE: FetchLimits = FetchLimits { time: Duration::from_secs(60), bytes: 40 << 20, priority: 50 };

fn answer(group: u64) -> Vec<Bytes> {
    (0..3_u64).map(|n| Bytes::from(vec![(group + n) as u8; 70_000 + n as usize])).collect()
}

/// Answers every group but those divisible by ten; counts what it was asked.
fn serve(requests: Requests) -> Arc<AtomicUsize> {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    tokio::spawn(async move {
        while let Some(request) = requests.next().await {
            count.fetch_add(1, Ordering::Relaxed);
            match request.group() {
                group if group % 10 == 0 => request.refuse(),
                group => request.reply(answer(group)).unwrap(),
            }
        }
    });
    asked
}

fn served(node: &Node, path: &str) -> (Broadcast, Arc<AtomicUsize>) {
    let broadcast = node.broadcast(path).unwrap();
    let requests = broadcast.serve("epoch", 50).unwrap();
    broadcast.announce().unwrap();
    (broadcast, serve(requests))
}

#[tokio::test]
async fn what_is_asked_for_comes_through_a_relay_in_any_order() {
    let relay = Relay::start();
    let (server, _up) = relay.join().await;
    let (_broadcast, asked) = served(&server, "store/door");
    let (reader, _down) = relay.join().await;
    let high = 7 << 32 | 492_123;
    for group in [500_001, 3, 77, high] {
        assert_eq!(reader.fetch("store/door", "epoch", group, PATIENCE).await.unwrap(), answer(group), "{group}");
    }
    assert_eq!(asked.load(Ordering::Relaxed), 4);
    // The relay, or the reader's own node, remembers.
    assert_eq!(reader.fetch("store/door", "epoch", 77, PATIENCE).await.unwrap(), answer(77));
    assert_eq!(asked.load(Ordering::Relaxed), 4);
}

#[tokio::test]
async fn a_hub_serves_from_its_own_node() {
    let relay = Relay::start();
    let (_broadcast, _) = served(&relay.node, "home/store/door");
    let (reader, _down) = relay.join().await;
    assert_eq!(reader.fetch("store/door", "epoch", 5, PATIENCE).await.unwrap(), answer(5));
    let reader = Arc::new(reader);
    let mut fetches = tokio::task::JoinSet::new();
    for group in 11..19 {
        let reader = reader.clone();
        fetches.spawn(async move { (group, reader.fetch("store/door", "epoch", group, PATIENCE).await.unwrap()) });
    }
    while let Some(fetched) = fetches.join_next().await {
        let (group, objects) = fetched.unwrap();
        assert_eq!(objects, answer(group));
    }
}

#[tokio::test]
async fn what_is_not_there_is_said_at_once_and_asked_again() {
    let relay = Relay::start();
    let (server, _up) = relay.join().await;
    let (_broadcast, asked) = served(&server, "store/door");
    let (reader, _down) = relay.join().await;
    for count in 1..=2 {
        let refused = reader.fetch("store/door", "epoch", 40, PATIENCE).await;
        assert_eq!(refused, Err(CarriageError::Absent));
        assert_eq!(asked.load(Ordering::Relaxed), count, "a refusal is not remembered");
    }
    assert_eq!(reader.fetch("store/door", "epoch", 41, PATIENCE).await.unwrap(), answer(41));
}

#[tokio::test]
async fn who_serves_nothing_or_never_answers_is_not_waited_for_beyond_the_limit() {
    let relay = Relay::start();
    let (reader, _down) = relay.join().await;
    let soon = FetchLimits { time: Duration::from_millis(200), ..PATIENCE };
    let late = CarriageError::TimedOut(soon.time);
    assert_eq!(reader.fetch("store/nobody", "epoch", 1, soon).await, Err(late.clone()));
    assert_eq!(late.to_string(), "no answer within 200 ms");

    let broadcast = relay.node.broadcast("home/store/slow").unwrap();
    let requests = broadcast.serve("epoch", 50).unwrap();
    broadcast.announce().unwrap();
    assert_eq!(reader.fetch("store/slow", "epoch", 1, soon).await, Err(late));
    // Who had given up does not stand in the way of the next.
    let _asked = serve(requests);
    assert_eq!(reader.fetch("store/slow", "epoch", 1, PATIENCE).await.unwrap(), answer(1));
}

#[tokio::test]
async fn more_than_the_reader_allows_is_not_taken_and_more_than_a_group_carries_not_sent() {
    let relay = Relay::start();
    let (_broadcast, _) = served(&relay.node, "home/store/door");
    let (reader, _down) = relay.join().await;
    let short = FetchLimits { bytes: 100_000, ..PATIENCE };
    assert_eq!(reader.fetch("store/door", "epoch", 1, short).await, Err(CarriageError::Limit(100_000)));

    let broadcast = relay.node.broadcast("home/store/large").unwrap();
    let requests = broadcast.serve("epoch", 50).unwrap();
    broadcast.announce().unwrap();
    let mebibyte = Bytes::from(vec![1; 1 << 20]);
    let replies = tokio::spawn(async move {
        let whole = requests.next().await.unwrap().reply(vec![mebibyte.clone(); 31]);
        let large = requests.next().await.unwrap().reply(vec![mebibyte; 33]);
        (whole, large, requests)
    });
    let objects = reader.fetch("store/large", "epoch", 1, PATIENCE).await.unwrap();
    assert_eq!(objects.iter().map(Bytes::len).sum::<usize>(), 31 << 20);
    assert_eq!(reader.fetch("store/large", "epoch", 2, PATIENCE).await, Err(CarriageError::Absent));
    let (whole, large, _still_there) = replies.await.unwrap();
    assert_eq!((whole, large), (Ok(()), Err(CarriageError::TooLarge(33 << 20))));
}

#[tokio::test]
async fn broadcasts_below_a_path_are_made_when_they_are_asked_for() {
    let relay = Relay::start();
    let below = relay.node.serve_below("home/store/door").unwrap();
    tokio::spawn(async move {
        let mut kept = Vec::new();
        while let Some(request) = below.next().await {
            if request.path() == "home/store/door/none" {
                request.refuse();
            } else {
                let (broadcast, [session, epoch]) = request.accept(["session", "epoch"], 50).unwrap();
                kept.push((broadcast, serve(session), serve(epoch)));
            }
        }
    });
    let (reader, _down) = relay.join().await;
    let mut announced = reader.announcements("store");
    assert_eq!(announced.next().await.unwrap().name, "door", "one announcement for all of them");
    for path in ["store/door", "store/door/aa", "store/door/bb"] {
        assert_eq!(reader.fetch(path, "session", 1, PATIENCE).await.unwrap(), answer(1), "{path}");
        assert_eq!(reader.fetch(path, "epoch", 9, PATIENCE).await.unwrap(), answer(9), "{path}");
    }
    let soon = FetchLimits { time: Duration::from_secs(5), ..PATIENCE };
    assert!(reader.fetch("store/door/none", "epoch", 9, soon).await.is_err());
}
