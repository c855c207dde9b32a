//! Known-answer files (`vectors/README.md`): this reader and the page's must find the same in each.
//!
//! `DOORFRAME_WRITE_VECTORS=1` writes the files of this side anew.

#![expect(clippy::unwrap_used, reason = "a test may fail")]

#[path = "common/vectors.rs"]
mod vectors;

use bytes::Bytes;
use doorframe_codec::AccessUnit;
use doorframe_codec::access_unit::{Codec, Kind};
use doorframe_codec::units::{Size, TemporalLayer, Uptime};
use doorframe_transport::identity::{DeviceKey, SigningKey, VerifyingKey};
use doorframe_transport::keys::{Epoch, SessionId};
use doorframe_transport::manifest::SessionRefused;
use doorframe_transport::seed::Seed;
use doorframe_transport::session::{Config, EPOCH, Session};
use doorframe_transport::track::TrackName;
use doorframe_transport::unit;
use doorframe_transport::viewer::{Alarm, Event, Viewer};
use serde_json::{Value, json};
use std::time::Duration;
use vectors::{array, hex, unhex};

/// Name of the first layer that refuses, as the files call it; coarser where this reader does not tell them apart.
fn read(vector: &Value) -> Vec<&'static str> {
    let challenge = if vector["challenge"].is_null() { [0xee; 16] } else { array(&vector["challenge"]) };
    let device = DeviceKey::from_seed(array(&vector["device"])).unwrap();
    let mut viewer = Viewer::new(device, VerifyingKey(array(&vector["identity"])), challenge);
    let named = SessionId(array(&vector["session"]));
    let track = TrackName::new(vector["track"].as_str().unwrap()).unwrap();
    match viewer.handle_session(&unhex(&vector["manifest"])) {
        Ok(facts) if facts.id != named => return vec!["session.id"],
        Ok(_) => {}
        Err(SessionRefused::Malformed(_)) => return vec!["session.malformed", "session.suite"],
        Err(SessionRefused::Forged) => return vec!["session.signature", "session.id"],
        Err(SessionRefused::NotForUs) => return vec!["session.recipient", "session.id"],
        Err(SessionRefused::Unopened) => return vec!["session.hpke"],
        Err(SessionRefused::OtherCamera(_)) => return vec!["session.identity"],
        Err(SessionRefused::Uncertified) => return vec!["session.certificate"],
        Err(other) => panic!("{other}"),
    }
    let mut found = Vec::new();
    for epoch in vector["epochs"].as_array().unwrap() {
        let number = Epoch(u32::try_from(epoch["epoch"].as_u64().unwrap()).unwrap());
        let mut before = viewer.drops();
        viewer.handle_opening(&unhex(&epoch["opening"]), epoch["now"].as_u64().unwrap());
        let drops = viewer.drops();
        if drops.malformed > before.malformed {
            found.extend(["opening.malformed"]);
        } else if drops.forged > before.forged {
            found.extend(["opening.signature", "opening.session"]);
        } else if drops.uncommitted > before.uncommitted {
            found.extend(["opening.commitment"]);
        } else if drops.replayed > before.replayed {
            found.extend(["opening.twice", "opening.epoch"]);
        }
        let stale = drops.stale > before.stale;
        match epoch["fresh"].as_str() {
            Some("stale") => assert!(stale, "{}", vector["about"]),
            Some("proved") => assert!(viewer.is_proved_fresh(), "{}", vector["about"]),
            Some("claimed") => assert!(!stale && !viewer.is_proved_fresh(), "{}", vector["about"]),
            _ => {}
        }
        for object in epoch["objects"].as_array().unwrap() {
            before = viewer.drops();
            viewer.handle_object(track, number, unhex(&object["sealed"]).into());
            let drops = viewer.drops();
            let mut opened = None;
            while let Some(event) = viewer.poll_event() {
                match event {
                    Event::Unit { unit, .. } => opened = Some(unit),
                    Event::Alarm(Alarm::Changed(_)) => {
                        found.extend(["closing.chain", "closing.excess", "closing.opening"])
                    }
                    Event::Alarm(Alarm::Cut(_)) => found.push("opening.chain"),
                    Event::Closed { lost, .. } if lost > 0 => found.push("incomplete"),
                    _ => {}
                }
            }
            if drops.malformed > before.malformed {
                found.extend(["object.malformed", "object.plaintext"]);
            } else if drops.wrong_epoch > before.wrong_epoch {
                found.push("object.kid");
            } else if drops.replayed > before.replayed {
                found.push("object.replay");
            } else if drops.unopened > before.unopened {
                found.extend(["object.tag", "object.malformed"]);
            }
            match (&object["plaintext"], opened) {
                (Value::Null, None) => {}
                (plaintext, Some(opened)) if !plaintext.is_null() => {
                    let mut emitted = Vec::new();
                    unit::emit(&opened.unit, opened.encoded_after, &mut emitted);
                    assert!(unhex(plaintext).starts_with(&emitted), "{}", vector["about"]);
                }
                // An opening that was refused lets nothing of its epoch open.
                (_, None) if !found.is_empty() || stale => {}
                (plaintext, opened) => panic!("{}: {plaintext} but {opened:?}", vector["about"]),
            }
        }
        if !epoch["closing"].is_null() {
            before = viewer.drops();
            viewer.handle_closing(&unhex(&epoch["closing"]));
            let drops = viewer.drops();
            if drops.malformed > before.malformed {
                found.push("closing.malformed");
            } else if drops.forged > before.forged {
                found.extend(["closing.signature", "closing.session"]);
            } else if drops.replayed > before.replayed {
                found.extend(["closing.epoch", "closing.twice"]);
            }
        }
        viewer.end_epoch(number);
        while let Some(event) = viewer.poll_event() {
            match event {
                Event::Alarm(Alarm::Changed(_)) => {
                    found.extend([
                        "closing.chain",
                        "closing.excess",
                        "closing.opening",
                        "closing.track",
                        "closing.twice",
                    ]);
                }
                Event::Alarm(Alarm::Cut(_)) => found.push("opening.chain"),
                Event::Alarm(Alarm::Twice(_)) => found.extend(["opening.twice", "closing.twice"]),
                Event::Closed { lost, .. } if lost > 0 => found.push("incomplete"),
                _ => {}
            }
        }
    }
    if found.is_empty() { vec!["ok"] } else { found }
}

#[test]
fn every_vector_is_read_as_it_says() {
    vectors::all("session", 10, write, |vector| {
        let found = read(vector);
        // A suite that browsers lack, and we have.
        let is_known = vector["expect"] == "session.suite" && found == ["ok"];
        if is_known { vec!["session.suite"] } else { found }
    });
}

/// What this side writes: the same camera run each time, and what was done to it.
fn write() {
    const WALL: u64 = 1_795_000_000_000_000;
    let identity = SigningKey::from_seed(&[31; 32]).unwrap();
    let device = DeviceKey::from_seed([32; 32]).unwrap();
    let start = Uptime::from_micros(1);
    let config = Config::new(vec![DeviceKey::from_seed([33; 32]).unwrap().public().clone(), device.public().clone()]);
    let (mut session, manifest) =
        Session::start(config, &identity, Seed::from_os_random([34; 32]), start, WALL).unwrap();
    let epochs: Vec<Value> = (0..2_u32)
        .map(|n| {
            let now = start + EPOCH * n;
            let wall = WALL + u64::from(n) * 2_000_000;
            let opening = session.begin(Epoch(n), now, wall, vec![[35; 16]]).unwrap();
            let objects: Vec<Value> = (0..10_u64)
                .map(|i| {
                    let unit = AccessUnit {
                        codec: Codec::H264,
                        kind: if i == 0 { Kind::Keyframe } else { Kind::Delta },
                        layer: TemporalLayer::BASE,
                        size: Size::new(640, 360).unwrap(),
                        at: session.media_time(now + Duration::from_millis(33 * i)),
                        data: Bytes::from(format!("unit {i} of epoch {n}")),
                    };
                    let sealed = session.seal(TrackName::VIDEO, &unit, Duration::from_millis(3)).unwrap();
                    let mut plaintext = Vec::new();
                    unit::emit(&unit, Duration::from_millis(3), &mut plaintext);
                    json!({ "sealed": hex(&sealed), "plaintext": hex(&plaintext) })
                })
                .collect();
            let (_, closing) = session.end().unwrap();
            json!({ "epoch": n, "now": wall, "opening": hex(&opening), "fresh": "proved", "objects": objects, "closing": hex(&closing) })
        })
        .collect();
    let whole = json!({
        "about": "two epochs of a camera, as the Rust crates seal them", "identity": hex(&identity.verifying_key().0),
        "device": hex(&[32; 32]), "session": session.id().to_string(), "track": "video", "challenge": hex(&[35; 16]),
        "manifest": hex(&manifest), "epochs": epochs, "expect": "ok",
    });
    let save = |name: &str, about: &str, expect: &str, change: &dyn Fn(&mut Value)| {
        let mut vector = whole.clone();
        change(&mut vector);
        vector["about"] = json!(about);
        vector["expect"] = json!(expect);
        vectors::save("session", &format!("rust-{name}"), &vector);
    };
    let flip = |value: &mut Value, at: usize| {
        let mut bytes = unhex(value);
        bytes[at] ^= 1;
        *value = json!(hex(&bytes));
    };
    // What is refused before any opening is looked at says nothing of freshness.
    let refused = |v: &mut Value| {
        for epoch in v["epochs"].as_array_mut().unwrap() {
            epoch.as_object_mut().unwrap().remove("fresh");
        }
    };
    save("whole", "two epochs of a camera, as the Rust crates seal them", "ok", &|_| {});
    save("stranger", "sealed to other devices", "session.recipient", &|v| {
        refused(v);
        v["device"] = json!(hex(&[77; 32]));
    });
    save("other-camera", "another identity was pinned", "session.identity", &|v| {
        refused(v);
        v["identity"] = json!(hex(&[78; 32]));
    });
    save("manifest-flipped", "a bit of the manifest is flipped", "session.signature", &|v| {
        refused(v);
        flip(&mut v["manifest"], 60);
    });
    save("opening-flipped", "a bit of an opening is flipped", "opening.signature", &|v| {
        flip(&mut v["epochs"][1]["opening"], 30);
        refused(v);
        v["epochs"][1]["objects"] = json!([]);
        v["epochs"][1].as_object_mut().unwrap().remove("closing");
    });
    save("object-flipped", "a bit of an object is flipped", "object.tag", &|v| {
        flip(&mut v["epochs"][0]["objects"][3]["sealed"], 20);
        v["epochs"][0]["objects"][3]["plaintext"] = Value::Null;
    });
    save("object-replayed", "an object comes twice", "object.replay", &|v| {
        let mut again = v["epochs"][0]["objects"][2].clone();
        again["plaintext"] = Value::Null;
        v["epochs"][0]["objects"].as_array_mut().unwrap().push(again);
    });
    save("tail-lost", "the last object never comes", "incomplete", &|v| {
        v["epochs"][0]["objects"].as_array_mut().unwrap().pop();
    });
    save("closing-flipped", "a bit of a closing is flipped", "closing.signature", &|v| {
        flip(&mut v["epochs"][1]["closing"], 40);
    });
    save("stale", "seen eleven seconds after it was made", "ok", &|v| {
        // Whose challenge was signed knows better than his clock.
        v.as_object_mut().unwrap().remove("challenge");
        for n in 0..2 {
            v["epochs"][n]["now"] = json!(WALL + 2_000_000 * n as u64 + 11_000_000);
            v["epochs"][n]["fresh"] = json!("stale");
        }
    });
}
