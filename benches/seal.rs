//! Keys and sealing, beside their limits: the raw AEAD and a copy of the same bytes.

#![allow(missing_docs, reason = "criterion's macros make undocumented functions")]
#![expect(clippy::unwrap_used, reason = "a bench may fail")]

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use doorframe::transport::keys::{Depth, Epoch, EpochKeys, Frontier, Node, SessionId};
use doorframe::transport::seal::{Opener, Sealer, Suite};
use doorframe::transport::track::TrackName;
use std::hint::black_box;

fn keys() -> EpochKeys {
    let root = Node::root([1; 32], Depth::SESSION);
    EpochKeys::derive(&root.leaf(Epoch(77)).unwrap(), SessionId([2; 16]), TrackName::VIDEO)
}

/// A delta and a keyframe of 720p at 1.5 Mbit/s.
const SIZES: [(&str, usize); 2] = [("delta_5k", 5_000), ("key_50k", 50_000)];

fn seal_and_open(c: &mut Criterion) {
    let raw = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &[3; 32]).unwrap());
    for (name, len) in SIZES {
        let plaintext = vec![0xa5; len];
        let mut group = c.benchmark_group("seal");
        group.throughput(Throughput::Bytes(len as u64));
        let mut sealer = Sealer::new(Suite::Aes256Gcm, keys());
        group
            .bench_function(BenchmarkId::new("ours", name), |b| b.iter(|| sealer.seal(black_box(&plaintext)).unwrap()));
        let mut buffer = plaintext.clone();
        group.bench_function(BenchmarkId::new("raw_aead", name), |b| {
            b.iter(|| {
                let nonce = Nonce::assume_unique_for_key([0; 12]);
                raw.seal_in_place_separate_tag(nonce, Aad::empty(), black_box(&mut buffer)).unwrap()
            });
        });
        group.bench_function(BenchmarkId::new("memcpy", name), |b| b.iter(|| black_box(plaintext.clone())));
        group.finish();

        let object = Sealer::new(Suite::Aes256Gcm, keys()).seal(&plaintext).unwrap();
        let opener = Opener::new(Suite::Aes256Gcm, &keys());
        let mut opened = Vec::new();
        let mut group = c.benchmark_group("open");
        group.throughput(Throughput::Bytes(len as u64));
        group.bench_function(BenchmarkId::new("ours", name), |b| {
            b.iter(|| opener.open(black_box(&object), &mut opened).unwrap());
        });
        group.finish();
    }
}

fn tree(c: &mut Criterion) {
    let root = Node::root([1; 32], Depth::SESSION);
    c.bench_function("leaf_from_root_depth_16", |b| b.iter(|| root.leaf(black_box(Epoch(54_321))).unwrap()));
    c.bench_function("epoch_keys", |b| b.iter(keys));
    c.bench_function("frontier_take_1000_epochs", |b| {
        b.iter(|| {
            let mut frontier = Frontier::new(Node::root([1; 32], Depth::SESSION), Depth::SESSION);
            (0..1000).for_each(|n| drop(frontier.take(Epoch(n)).unwrap()));
        });
    });
}

criterion_group!(benches, seal_and_open, tree);
criterion_main!(benches);
