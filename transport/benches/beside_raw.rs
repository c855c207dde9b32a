//! Objects of 1, 10 and 100 kB, beside their limit: the raw AEAD of aws-lc-rs in place, in the same run and in turn.
//!
//! Both write the plaintext where it is sealed, as it has to come from somewhere; ours also allocates each object and writes its header, which is
//! authenticated. The last line of each size says how fast ours is of the raw AEAD's speed: the goal is 95 % from 10 kB on.

#![allow(missing_docs, reason = "criterion's macros make undocumented functions")]
#![expect(clippy::unwrap_used, reason = "a bench may fail")]
#![allow(clippy::disallowed_methods, reason = "a bench reads the clock")]

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use doorframe_transport::keys::{Depth, Epoch, EpochKeys, Node, SessionId};
use doorframe_transport::seal::{Opener, Sealer, Suite};
use doorframe_transport::track::TrackName;
use std::hint::black_box;
use std::time::{Duration, Instant};

const SIZES: [(&str, usize); 3] = [("1k", 1_000), ("10k", 10_000), ("100k", 100_000)];

fn keys() -> EpochKeys {
    let root = Node::root([1; 32], Depth::SESSION);
    EpochKeys::derive(&root.leaf(Epoch(77)).unwrap(), SessionId([2; 16]), TrackName::VIDEO)
}

fn raw() -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &[3; 32]).unwrap())
}

fn nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; 12])
}

/// Speed of `ours` by that of `raw`, in percent: medians of rounds in turn, so that whatever else the machine does falls on both.
fn ratio(mut ours: impl FnMut(), mut raw: impl FnMut(), bytes: usize) -> f64 {
    let count = 2_000_000 / bytes + 1;
    let round = |work: &mut dyn FnMut()| {
        let started = Instant::now();
        (0..count).for_each(|_| work());
        started.elapsed()
    };
    let (mut of_ours, mut of_raw): (Vec<Duration>, Vec<Duration>) =
        (0..201).map(|_| (round(&mut ours), round(&mut raw))).unzip();
    of_ours.sort();
    of_raw.sort();
    of_raw[100].as_secs_f64() / of_ours[100].as_secs_f64() * 100.0
}

fn seal_and_open(c: &mut Criterion) {
    for (name, len) in SIZES {
        let (raw, plaintext) = (raw(), vec![0xa5; len]);
        let mut buffer = plaintext.clone();
        let mut sealer = Sealer::new(Suite::Aes256Gcm, keys());
        let mut group = c.benchmark_group("object");
        group.throughput(Throughput::Bytes(len as u64));
        group
            .bench_function(BenchmarkId::new("seal", name), |b| b.iter(|| sealer.seal(black_box(&plaintext)).unwrap()));
        group.bench_function(BenchmarkId::new("raw_seal", name), |b| {
            b.iter(|| {
                buffer.clear();
                buffer.extend_from_slice(black_box(&plaintext));
                raw.seal_in_place_separate_tag(nonce(), Aad::empty(), &mut buffer).unwrap()
            });
        });
        let (opener, mut opened) = (Opener::new(Suite::Aes256Gcm, &keys()), Vec::new());
        let object = Sealer::new(Suite::Aes256Gcm, keys()).seal(&plaintext).unwrap();
        group.bench_function(BenchmarkId::new("open", name), |b| {
            b.iter(|| opener.open(black_box(&object), &mut opened).unwrap());
        });
        group.finish();

        let mut sealer = Sealer::new(Suite::Aes256Gcm, keys());
        let seal = ratio(
            || drop(black_box(sealer.seal(black_box(&plaintext)).unwrap())),
            || {
                buffer.clear();
                buffer.extend_from_slice(black_box(&plaintext));
                drop(black_box(raw.seal_in_place_separate_tag(nonce(), Aad::empty(), &mut buffer).unwrap()));
            },
            len,
        );
        // In place an object can be opened once: from one buffer to another, as often as it takes.
        let (mut sealed, mut out) = (plaintext.clone(), plaintext.clone());
        let tag = raw.seal_in_place_separate_tag(nonce(), Aad::empty(), &mut sealed).unwrap();
        let open = ratio(
            || {
                black_box(opener.open(black_box(&object), &mut opened).unwrap());
            },
            || raw.open_separate_gather(nonce(), Aad::empty(), black_box(&sealed), tag.as_ref(), &mut out).unwrap(),
            len,
        );
        println!("beside raw AES-256-GCM, {name}: seal {seal:.1} % of its speed, open {open:.1} %");
    }
}

criterion_group!(benches, seal_and_open);
criterion_main!(benches);
