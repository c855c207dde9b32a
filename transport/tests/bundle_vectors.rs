//! Known-answer files of bundles (`vectors/README.md`): every reader must find the same in each.
//!
//! `DOORFRAME_WRITE_VECTORS=1` writes them anew, and the seeds of the fuzz target with them.

#![expect(clippy::unwrap_used, reason = "a test may fail")]

#[path = "common/vectors.rs"]
mod vectors;

use bytes::Bytes;
use doorframe_codec::AccessUnit;
use doorframe_codec::access_unit::{Codec, Kind};
use doorframe_codec::units::{Size, TemporalLayer, Uptime};
use doorframe_transport::bundle::{Bundle, BundleOpenRefused, BundlePart, BundleRefused};
use doorframe_transport::devices::Expiry;
use doorframe_transport::grant::{EpochSpan, Grant, GrantId, GrantPart, GrantRefused, GrantTerms};
use doorframe_transport::identity::{DeviceKey, SigningKey};
use doorframe_transport::keys::Epoch;
use doorframe_transport::manifest::{SessionManifest, SessionOpened};
use doorframe_transport::recorded::{EpochFile, RecordedTrack};
use doorframe_transport::seed::Seed;
use doorframe_transport::session::{Config, EPOCH, Session};
use doorframe_transport::track::TrackName;
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;
use vectors::{hex, unhex};

const WALL: u64 = 1_795_000_000_000_000;

/// What a reader finds first.
fn read(vector: &Value) -> &'static str {
    let bundle = match Bundle::parse(&unhex(&vector["bundle"]).into()) {
        Ok(bundle) => bundle,
        Err(BundleRefused::Malformed(_)) => return "malformed",
        Err(BundleRefused::Forged | BundleRefused::OtherMaker) => return "forged",
        Err(BundleRefused::Uncertified(_)) => return "uncertified",
        Err(other) => panic!("{other}"),
    };
    let key = DeviceKey::from_seed(unhex(&vector["key"]).try_into().unwrap()).unwrap();
    let (granted, keys) = match bundle.open(&key) {
        Ok(opened) => opened,
        Err(BundleOpenRefused::Grant(GrantRefused::NotForUs)) => return "other key",
        Err(BundleOpenRefused::Grant(GrantRefused::Forged)) => return "forged",
        Err(_) => return "grant",
    };
    if !bundle.check().is_complete() {
        return "faults";
    }
    let mut units = Vec::new();
    for (part, key) in bundle.parts().iter().zip(keys) {
        for (epoch, _) in &part.files {
            let opened = part.open(*epoch, &granted.parts[key]).unwrap().unwrap();
            assert_eq!(opened.drops.total(), 0);
            units.extend(opened.units.iter().map(|unit| json!(hex(&unit.unit.unit.data))));
        }
    }
    assert_eq!(Value::Array(units), vector["units"]);
    "ok"
}

#[test]
fn every_bundle_is_read_as_it_says() {
    vectors::all("bundle", 18, write, |vector| vec![read(vector)]);
}

fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed(&[seed; 32]).unwrap()
}

fn device(seed: u8) -> DeviceKey {
    DeviceKey::from_seed([seed; 32]).unwrap()
}

/// Four epochs of one camera run.
fn record(draw: u8, identity: u8) -> (SessionOpened, Vec<(Epoch, EpochFile)>) {
    let start = Uptime::from_micros(1);
    let config = Config::new(vec![device(42).public().clone()]);
    let (mut session, manifest) =
        Session::start(config, &key(identity), Seed::from_os_random([draw; 32]), start, WALL).unwrap();
    let epochs = (0..4_u32).map(|n| {
        let now = start + EPOCH * n;
        let opening = session.begin(Epoch(n), now, WALL + u64::from(n) * 2_000_000, vec![]).unwrap();
        let objects = (0..3_u64).map(|i| {
            let unit = AccessUnit {
                codec: Codec::H264,
                kind: if i == 0 { Kind::Keyframe } else { Kind::Delta },
                layer: TemporalLayer::BASE,
                size: Size::new(640, 360).unwrap(),
                at: session.media_time(now + Duration::from_millis(33 * i)),
                data: Bytes::from(format!("unit {i} of epoch {n}")),
            };
            session.seal(TrackName::VIDEO, &unit, Duration::from_millis(3)).unwrap()
        });
        let tracks = vec![RecordedTrack { name: TrackName::VIDEO, objects: objects.collect() }];
        let (epoch, closing) = session.end().unwrap();
        let stored_us = WALL + u64::from(n + 1) * 2_000_000;
        (epoch, EpochFile { session: session.id(), epoch, stored_us, opening, closing: Some(closing), tracks })
    });
    let epochs = epochs.collect();
    let opened = SessionManifest::parse(&manifest).unwrap().open(&device(42), &key(identity).verifying_key()).unwrap();
    (opened, epochs)
}

fn part(session: &SessionOpened, files: &[(Epoch, EpochFile)], first: u32, end: u32) -> BundlePart {
    let epochs = EpochSpan::new(Epoch(first), Epoch(end)).unwrap();
    let files = files.iter().filter(|(epoch, _)| epochs.contains(*epoch));
    let files = files.map(|(epoch, file)| (*epoch, Bytes::from(file.emit().unwrap().concat()))).collect();
    BundlePart { certificate: session.certificate.clone(), epochs, files }
}

fn grant(session: &SessionOpened, first: u32, end: u32, granter: u8) -> Grant {
    let epochs = EpochSpan::new(Epoch(first), Epoch(end)).unwrap();
    let terms = GrantTerms { id: GrantId([7; 16]), made_wall_us: WALL, expiry: Expiry::NEVER };
    let parts = [GrantPart::cover(session, epochs).unwrap()];
    Grant::emit(&parts, device(45).public(), &key(granter), terms, Seed::from_os_random([46; 32])).unwrap()
}

/// Signs what the maker changed.
fn resign(bundle: &mut [u8], maker: u8) {
    let (signed, signature) = bundle.split_last_chunk_mut::<64>().unwrap();
    let key = aws_lc_rs::signature::Ed25519KeyPair::from_seed_unchecked(&[maker; 32]).unwrap();
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, signed);
    let message = [b"doorframe/1 bundle".as_slice(), hash.as_ref()].concat();
    signature.copy_from_slice(key.sign(&message).as_ref());
}

fn write() {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/bundle");
    std::fs::create_dir_all(&seeds).unwrap();
    let (session, files) = record(43, 41);
    let (other, other_files) = record(44, 41);
    let (foreign, foreign_files) = record(47, 48);
    let whole = part(&session, &files, 1, 4);
    let granted = grant(&session, 1, 4, 44);
    let made = |parts: &[BundlePart], grant: &Grant| Bundle::emit(parts, grant, WALL + 60_000_000, &key(44)).unwrap();
    let good = made(std::slice::from_ref(&whole), &granted);
    let units: Vec<_> =
        (1..4).flat_map(|n| (0..3).map(move |i| hex(format!("unit {i} of epoch {n}").as_bytes()))).collect();
    let save = |name: &str, about: &str, expect: &str, bundle: &[u8], seed: u8| {
        let mut vector = json!({ "about": about, "bundle": hex(bundle), "key": hex(&[seed; 32]), "expect": expect });
        if expect == "ok" {
            vector["units"] = json!(units);
        }
        vectors::save("bundle", name, &vector);
    };
    save("whole", "three epochs of four, handed over", "ok", &good, 45);
    save("other-key", "with the key of another bundle", "other key", &good, 49);
    save("cut", "a byte is missing at the end", "malformed", &good[..good.len() - 1], 45);
    save("longer", "a byte is too many", "malformed", &[&good[..], &[0]].concat(), 45);
    let flipped = |at: usize| {
        let mut flipped = good.to_vec();
        flipped[at] ^= 1;
        flipped
    };
    save("camera-exchanged", "another identity key in front", "forged", &flipped(10), 45);
    save("object-flipped", "a bit of a sealed object is flipped", "forged", &flipped(good.len() - 400), 45);
    let changed = |change: &dyn Fn(&mut BundlePart)| {
        let mut part = whole.clone();
        change(&mut part);
        made(&[part], &granted)
    };
    save("epoch-missing", "the maker left an epoch out", "faults", &changed(&|part| drop(part.files.remove(1))), 45);
    save("tail-missing", "the maker left the last epoch out", "faults", &changed(&|part| drop(part.files.pop())), 45);
    save(
        "epoch-twice",
        "the maker put an epoch in twice, for another",
        "malformed",
        &changed(&|part| part.files[1] = part.files[0].clone()),
        45,
    );
    save(
        "epochs-exchanged",
        "the maker exchanged two epochs",
        "malformed",
        &changed(&|part| part.files.swap(0, 1)),
        45,
    );
    // The body of the session manifest, 132 bytes, says when the session began.
    let body = good.windows(132).position(|at| at == whole.certificate.body()).unwrap();
    let mut forged = good.to_vec();
    forged[body + 60] ^= 1;
    resign(&mut forged, 44);
    save("manifest-forged", "the maker changed when the session began, and signed", "uncertified", &forged, 45);
    let within = |change: &dyn Fn(&mut Vec<Bytes>)| {
        changed(&|part| {
            let mut file = EpochFile::parse(&part.files[1].1).unwrap();
            change(&mut file.tracks[0].objects);
            part.files[1].1 = file.emit().unwrap().concat().into();
        })
    };
    save("object-missing", "the maker left an object out", "faults", &within(&|all| drop(all.pop())), 45);
    save("reordered", "the maker exchanged two objects", "faults", &within(&|all| all.swap(1, 2)), 45);
    save(
        "replayed",
        "one epoch stands under the number of another",
        "faults",
        &changed(&|part| part.files[2].1 = part.files[0].1.clone()),
        45,
    );
    let swapped = part(&other, &other_files, 1, 4);
    save(
        "swapped",
        "epochs of another session of the camera",
        "faults",
        &changed(&|part| part.files.clone_from(&swapped.files)),
        45,
    );
    save(
        "ungranted",
        "a span that the grant does not have",
        "grant",
        &made(std::slice::from_ref(&swapped), &granted),
        45,
    );
    let wider = part(&session, &files, 0, 4);
    save("wider", "an epoch more than was granted", "grant", &made(&[wider], &granted), 45);
    let foreign = part(&foreign, &foreign_files, 1, 4);
    save("other-camera", "a span of another camera, with our grant", "grant", &made(&[foreign], &granted), 45);
    std::fs::write(seeds.join("whole.bin"), &good).unwrap();
    std::fs::write(seeds.join("cut.bin"), &good[..good.len() / 2]).unwrap();
    std::fs::write(seeds.join("replayed.bin"), changed(&|part| part.files[2].1 = part.files[0].1.clone())).unwrap();
}
