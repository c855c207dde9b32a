//! Keys of spans, beside their limits: as many raw HMACs as a leaf is deep, and the bare HPKE of as many bytes as a grant has.

#![allow(missing_docs, reason = "criterion's macros make undocumented functions")]
#![expect(clippy::unwrap_used, reason = "a bench may fail")]

use aws_lc_rs::hmac;
use chacha20::ChaCha20Rng;
use chacha20::rand_core::SeedableRng;
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use doorframe_codec::units::Uptime;
use doorframe_transport::devices::Expiry;
use doorframe_transport::grant::{EpochSpan, Grant, GrantId, GrantPart, GrantTerms};
use doorframe_transport::identity::{DeviceKey, SigningKey};
use doorframe_transport::keys::{Depth, Epoch, Node};
use doorframe_transport::manifest::{SessionManifest, SessionOpened};
use doorframe_transport::seed::Seed;
use doorframe_transport::session::{Config, Session};
use hpke::aead::AesGcm256;
use hpke::kdf::HkdfSha256;
use hpke::kem::XWing;
use hpke::{Deserializable, Kem, OpModeR, OpModeS, Serializable};
use std::hint::black_box;

/// A minute anywhere, and all of the longest session.
const SPANS: [(&str, u32, u32); 2] = [("1_min", 1001, 1031), ("6_h", 0, 10_800)];

const TERMS: GrantTerms = GrantTerms { id: GrantId([1; 16]), made_wall_us: 1, expiry: Expiry::NEVER };

fn opened(device: &DeviceKey) -> SessionOpened {
    let camera = SigningKey::from_seed(&[1; 32]).unwrap();
    let config = Config::new(vec![device.public().clone()]);
    let (_, record) = Session::start(config, &camera, Seed::from_os_random([2; 32]), Uptime::default(), 1).unwrap();
    SessionManifest::parse(&record).unwrap().open(device, &camera.verifying_key()).unwrap()
}

fn leaf(c: &mut Criterion) {
    let mut group = c.benchmark_group("leaf");
    let root = Node::root([1; 32], Depth::SESSION);
    group.bench_function("from_root_depth_16", |b| b.iter(|| root.leaf(black_box(Epoch(54_321))).unwrap()));
    group.bench_function("raw_hmac_16_times", |b| {
        b.iter(|| {
            let mut node = [1; 32];
            for bit in 0..16 {
                let key = hmac::Key::new(hmac::HMAC_SHA256, black_box(&node));
                let message = [b"doorframe/1 node".as_slice(), &[bit & 1, 1]].concat();
                node = hmac::sign(&key, &message).as_ref().try_into().unwrap();
            }
            node
        });
    });
    let session = opened(&DeviceKey::from_seed([3; 32]).unwrap());
    for (name, first, end) in SPANS {
        let part = GrantPart::cover(&session, EpochSpan::new(Epoch(first), Epoch(end)).unwrap()).unwrap();
        let middle = Epoch(first + (end - first) / 2);
        group
            .bench_function(BenchmarkId::new("from_cover", name), |b| b.iter(|| part.leaf(black_box(middle)).unwrap()));
    }
    group.finish();
}

fn create_and_open(c: &mut Criterion) {
    let (recipient, granter) = (DeviceKey::from_seed([4; 32]).unwrap(), SigningKey::from_seed(&[5; 32]).unwrap());
    let session = opened(&DeviceKey::from_seed([3; 32]).unwrap());
    let seed = || Seed::from_os_random([6; 32]);
    type Make = fn(&SessionOpened, EpochSpan) -> GrantPart;
    let kinds: [(&str, Make); 2] = [
        ("cover", |session, epochs| GrantPart::cover(session, epochs).unwrap()),
        ("flat", |session, epochs| GrantPart::flat(session, epochs).unwrap()),
    ];
    for (kind, make) in kinds {
        for (span, first, end) in SPANS {
            let epochs = EpochSpan::new(Epoch(first), Epoch(end)).unwrap();
            let create =
                || Grant::emit(&[make(&session, epochs)], recipient.public(), &granter, TERMS, seed()).unwrap();
            c.bench_function(&format!("grant_create/{kind}_{span}"), |b| b.iter(create));
            let record = create().record().to_vec();
            c.bench_function(&format!("grant_open/{kind}_{span}"), |b| {
                b.iter(|| Grant::parse(black_box(&record)).unwrap().open(&recipient).unwrap());
            });
        }
    }
}

/// What no grant of 4 KiB can be faster than.
fn bare_hpke(c: &mut Criterion) {
    let key = <XWing as Kem>::PrivateKey::from_bytes(&[4; 32]).unwrap();
    let public = XWing::sk_to_pk(&key);
    let plaintext = vec![0xa5; 4096];
    let seal = || {
        let mut rng = ChaCha20Rng::from_seed([6; 32]);
        hpke::single_shot_seal_with_rng::<AesGcm256, HkdfSha256, XWing>(
            &OpModeS::Base,
            &public,
            b"info",
            black_box(&plaintext),
            b"aad",
            &mut rng,
        )
        .unwrap()
    };
    c.bench_function("bare_hpke_4k/seal", |b| b.iter(seal));
    let (enc, ciphertext) = seal();
    let enc = <XWing as Kem>::EncappedKey::from_bytes(&enc.to_bytes()).unwrap();
    c.bench_function("bare_hpke_4k/open", |b| {
        b.iter(|| {
            hpke::single_shot_open::<AesGcm256, HkdfSha256, XWing>(
                &OpModeR::Base,
                &key,
                &enc,
                b"info",
                black_box(&ciphertext),
                b"aad",
            )
            .unwrap()
        });
    });
}

criterion_group!(benches, leaf, create_and_open, bare_hpke);
criterion_main!(benches);
