//! Known-answer files of recorded epochs (`vectors/README.md`): every reader must find the same in each.
//!
//! `DOORFRAME_WRITE_VECTORS=1` writes them anew.

#![expect(clippy::unwrap_used, reason = "a test may fail")]

#[path = "common/vectors.rs"]
mod vectors;

use bytes::Bytes;
use doorframe_codec::AccessUnit;
use doorframe_codec::access_unit::{Codec, Kind};
use doorframe_codec::units::{Size, TemporalLayer, Uptime};
use doorframe_transport::identity::{DeviceKey, SigningKey, VerifyingKey};
use doorframe_transport::keys::{Epoch, SessionId};
use doorframe_transport::manifest::SessionManifest;
use doorframe_transport::recorded::{EpochFile, Fault, RecordedTrack, SpanCheck, open};
use doorframe_transport::seed::Seed;
use doorframe_transport::session::{Config, EPOCH, Session};
use doorframe_transport::track::TrackName;
use doorframe_transport::unit;
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;
use vectors::{array, hex, unhex};

fn name(fault: &Fault) -> &'static str {
    match fault {
        Fault::Missing { .. } => "missing",
        Fault::Cut(_) => "cut",
        Fault::Swapped { .. } => "swapped",
        Fault::Replayed { .. } => "replayed",
        Fault::Incomplete { .. } => "incomplete",
        Fault::Damaged { .. } => "damaged",
        other => panic!("{other}"),
    }
}

/// The first fault; `ok` if there is none.
fn read(vector: &Value) -> &'static str {
    let device = DeviceKey::from_seed(array(&vector["device"])).unwrap();
    let manifest = SessionManifest::parse(&unhex(&vector["manifest"])).unwrap();
    let session = manifest.open(&device, &VerifyingKey(array(&vector["identity"]))).unwrap();
    let span = vector["first"].as_u64().unwrap()..vector["end"].as_u64().unwrap();
    let mut check = SpanCheck::new(session.facts.clone(), span);
    for kept in vector["kept"].as_array().unwrap() {
        let epoch = Epoch(u32::try_from(kept["epoch"].as_u64().unwrap()).unwrap());
        let held = check.handle(epoch, &Bytes::from(unhex(&kept["file"])));
        if let Some(plaintexts) = kept["plaintexts"].as_array() {
            let (file, _) = held.unwrap();
            let opened = open(&file, &session.facts, &session.root.leaf(epoch).unwrap()).unwrap();
            assert_eq!(opened.drops.total(), 0, "{}", vector["about"]);
            let emitted = opened.units.iter().map(|recorded| {
                let mut plaintext = Vec::new();
                unit::emit(&recorded.unit.unit, recorded.unit.encoded_after, &mut plaintext);
                json!(hex(&plaintext))
            });
            assert_eq!(&emitted.collect::<Vec<_>>(), plaintexts, "{}", vector["about"]);
        } else {
            assert!(held.is_none(), "{}: a file without plaintexts is to be refused", vector["about"]);
        }
    }
    check.end().faults.first().map_or("ok", name)
}

#[test]
fn every_recorded_span_is_read_as_it_says() {
    vectors::all("epoch", 10, write, |vector| vec![read(vector)]);
}

/// Three epochs of one camera run; `draw` chooses which.
fn record(draw: u8) -> (Bytes, SessionId, Vec<(EpochFile, Vec<Value>)>) {
    const WALL: u64 = 1_795_000_000_000_000;
    let start = Uptime::from_micros(1);
    let identity = SigningKey::from_seed(&[41; 32]).unwrap();
    let device = DeviceKey::from_seed([42; 32]).unwrap();
    let mut config = Config::new(vec![device.public().clone()]);
    config.tracks = vec![TrackName::EVENT, TrackName::VIDEO];
    let (mut session, manifest) =
        Session::start(config, &identity, Seed::from_os_random([draw; 32]), start, WALL).unwrap();
    let epochs = (0..3_u32).map(|n| {
        let now = start + EPOCH * n;
        let opening = session.begin(Epoch(n), now, WALL + u64::from(n) * 2_000_000, vec![]).unwrap();
        let mut plaintexts = Vec::new();
        let video = (0..3_u64).map(|i| {
            let unit = AccessUnit {
                codec: Codec::H264,
                kind: if i == 0 { Kind::Keyframe } else { Kind::Delta },
                layer: TemporalLayer::BASE,
                size: Size::new(640, 360).unwrap(),
                at: session.media_time(now + Duration::from_millis(33 * i)),
                data: Bytes::from(format!("unit {i} of epoch {n}")),
            };
            let mut plaintext = Vec::new();
            unit::emit(&unit, Duration::from_millis(3), &mut plaintext);
            plaintexts.push(json!(hex(&plaintext)));
            session.seal(TrackName::VIDEO, &unit, Duration::from_millis(3)).unwrap()
        });
        let video = video.collect();
        let (epoch, closing) = session.end().unwrap();
        let tracks = vec![
            RecordedTrack { name: TrackName::EVENT, objects: vec![] },
            RecordedTrack { name: TrackName::VIDEO, objects: video },
        ];
        let stored_us = WALL + u64::from(n + 1) * 2_000_000;
        let (session, closing) = (session.id(), Some(closing));
        (EpochFile { session, epoch, stored_us, opening, closing, tracks }, plaintexts)
    });
    let epochs = epochs.collect();
    (manifest, session.id(), epochs)
}

fn bytes(file: &EpochFile) -> Vec<u8> {
    file.emit().unwrap().concat()
}

fn write() {
    let (manifest, session, epochs) = record(43);
    let (_, _, foreign) = record(44);
    let whole = json!({
        "identity": hex(&SigningKey::from_seed(&[41; 32]).unwrap().verifying_key().0),
        "device": hex(&[42; 32]), "session": session.to_string(), "manifest": hex(&manifest), "first": 0, "end": 3,
        "kept": epochs.iter().map(|(file, plaintexts)| {
            json!({ "epoch": file.epoch.0, "file": hex(&bytes(file)), "plaintexts": plaintexts })
        }).collect::<Vec<_>>(),
    });
    let save = |name: &str, about: &str, expect: &str, change: &dyn Fn(&mut Vec<Value>)| {
        let mut vector = whole.clone();
        change(vector["kept"].as_array_mut().unwrap());
        vector["about"] = json!(about);
        vector["expect"] = json!(expect);
        vectors::save("epoch", &format!("rust-{name}"), &vector);
    };
    // What is kept as epoch 1, the store's hash mended.
    let instead = |change: &dyn Fn(&mut EpochFile)| {
        let mut file = epochs[1].0.clone();
        change(&mut file);
        move |kept: &mut Vec<Value>| kept[1] = json!({ "epoch": 1, "file": hex(&bytes(&file)) })
    };
    // The same, where what is left opens.
    let shorter = |change: &dyn Fn(&mut EpochFile), units: usize| {
        let mut file = epochs[1].0.clone();
        change(&mut file);
        let plaintexts = epochs[1].1[..units].to_vec();
        move |kept: &mut Vec<Value>| {
            kept[1] = json!({ "epoch": 1, "file": hex(&bytes(&file)), "plaintexts": plaintexts.clone() });
        }
    };
    save("whole", "three epochs as they were recorded", "ok", &|_| {});
    save("dropped", "the epoch between is not there", "missing", &|kept| drop(kept.remove(1)));
    save("tail-dropped", "the last epoch is not there", "missing", &|kept| drop(kept.pop()));
    save(
        "objects-cut",
        "the last object is not there",
        "incomplete",
        &shorter(&|f| f.tracks[1].objects.truncate(2), 2),
    );
    save("no-closing", "the closing is not there", "incomplete", &shorter(&|f| f.closing = None, 3));
    save("reordered", "two objects have changed places", "swapped", &instead(&|f| f.tracks[1].objects.swap(0, 1)));
    save(
        "object-added",
        "an object is there twice",
        "swapped",
        &instead(&|f| {
            let again = f.tracks[1].objects[2].clone();
            f.tracks[1].objects.push(again);
        }),
    );
    save(
        "object-flipped",
        "a bit of an object is flipped",
        "swapped",
        &instead(&|f| {
            let mut object = f.tracks[1].objects[1].to_vec();
            object[9] ^= 1;
            f.tracks[1].objects[1] = object.into();
        }),
    );
    save(
        "track-added",
        "a track that was never announced",
        "swapped",
        &instead(&|f| {
            f.tracks.push(RecordedTrack { name: TrackName::AUDIO, objects: vec![] });
        }),
    );
    save("other-camera", "another session's epoch", "swapped", &instead(&|f| *f = foreign[1].0.clone()));
    save(
        "other-camera-renamed",
        "the same under this session's name",
        "swapped",
        &instead(&|f| {
            *f = EpochFile { session, ..foreign[1].0.clone() };
        }),
    );
    save(
        "closing-of-another",
        "the closing of the epoch before",
        "swapped",
        &instead(&|f| {
            f.closing = epochs[0].0.closing.clone();
        }),
    );
    save("replayed", "an earlier epoch in this one's place", "replayed", &instead(&|f| *f = epochs[0].0.clone()));
    save(
        "replayed-renamed",
        "the same under this epoch's number",
        "replayed",
        &instead(&|f| {
            *f = EpochFile { epoch: Epoch(1), ..epochs[0].0.clone() };
        }),
    );
    save("truncated", "the file ends early", "damaged", &|kept| {
        let mut file = unhex(&kept[1]["file"]);
        file.truncate(file.len() - 40);
        kept[1] = json!({ "epoch": 1, "file": hex(&file) });
    });
    save("bit-rot", "a bit of the file is flipped and its hash is not", "damaged", &|kept| {
        let mut file = unhex(&kept[1]["file"]);
        let at = file.len() / 2;
        file[at] ^= 1;
        kept[1] = json!({ "epoch": 1, "file": hex(&file) });
    });
    // Seeds of the fuzz target, without the hash that it adds itself.
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/epoch_file");
    let seed = |name: &str, file: &[u8]| std::fs::write(seeds.join(name), file).unwrap();
    let file = &epochs[1].0;
    let whole = bytes(file);
    seed("whole_with_hash.bin", &whole);
    seed("whole.bin", &whole[..whole.len() - 32]);
    seed("cut.bin", &whole[..whole.len() / 2]);
    let bare = bytes(&EpochFile { closing: None, tracks: vec![], ..file.clone() });
    seed("no_closing_no_tracks.bin", &bare[..bare.len() - 32]);
}
