//! Grants.

use crate::writer::*;
use crate::{all, save};
use doorframe_transport::grant::{CoverError, Grant, GrantRefused, PartKind};
use doorframe_transport::identity::DeviceKey;
use doorframe_transport::keys::{Epoch, EpochKeys};
use doorframe_transport::manifest::RecordError;
use doorframe_transport::track::TrackName;
use serde_json::{Value, json};

#[test]
fn every_vector_of_grants_is_read_as_it_says() {
    all("grant", 20, write_grants, read_grant);
}

fn body_layer(error: &RecordError) -> &'static str {
    match error {
        RecordError::Field { field: "end of the epochs", .. } => "body.span",
        RecordError::Field { field: "kind of keys", .. } => "body.kind",
        RecordError::Field { field: "leaves", .. } => "body.leaves",
        RecordError::Field { field: "padding" | "padded length", .. } => "body.padding",
        _ => "body.malformed",
    }
}

fn read_grant(vector: &Value) -> String {
    let device = DeviceKey::from_seed(array(&vector["device"])).unwrap();
    let Ok(grant) = Grant::parse(&unhex(&vector["grant"])) else { return "grant.malformed".into() };
    let opened = match grant.open(&device) {
        Ok(opened) => opened,
        Err(refused) => {
            return match refused {
                GrantRefused::Forged => "grant.signature",
                GrantRefused::NotForUs => "grant.recipient",
                GrantRefused::Unopened => "grant.hpke",
                GrantRefused::Malformed(error) => body_layer(&error),
                GrantRefused::Uncertified(_) => "body.certificate",
                GrantRefused::Cover { error, .. } => match error {
                    CoverError::NoSuchNode { .. } => "cover.node",
                    CoverError::Outside { .. } => "cover.outside",
                    CoverError::Unordered { .. } => "cover.unordered",
                    CoverError::Overlapping { .. } => "cover.overlapping",
                    CoverError::NotCanonical => "cover.canonical",
                    other => panic!("{other}"),
                },
                other => panic!("{other}"),
            }
            .into();
        }
    };
    let about = &vector["about"];
    assert_eq!(hex(&opened.camera.0), vector["camera"], "{about}");
    assert_eq!(hex(&opened.granter.0), vector["granter"], "{about}");
    assert_eq!(hex(&opened.terms.id.0), vector["id"], "{about}");
    assert_eq!(json!(opened.terms.made_wall_us), vector["made"], "{about}");
    assert_eq!(json!(opened.terms.expiry.wall_us()), vector["expiry"], "{about}");
    let wanted = vector["parts"].as_array().unwrap();
    assert_eq!(opened.parts.len(), wanted.len(), "{about}");
    for (part, wanted) in opened.parts.iter().zip(wanted) {
        let kind = if part.kind() == PartKind::Cover { "cover" } else { "flat" };
        assert_eq!(kind, wanted["kind"], "{about}");
        assert_eq!(part.facts().id.to_string(), wanted["session"].as_str().unwrap(), "{about}");
        let epochs = part.epochs();
        assert_eq!(json!([epochs.first().0, epochs.end().0]), json!([wanted["first"], wanted["end"]]), "{about}");
        let track = TrackName::new(wanted["track"].as_str().unwrap()).unwrap();
        for (epoch, commitment) in wanted["commitments"].as_object().unwrap() {
            let leaf = part.leaf(Epoch(epoch.parse().unwrap())).unwrap();
            let keys = EpochKeys::derive(&leaf, part.facts().id, track);
            assert_eq!(hex(&keys.commitment.0), commitment.as_str().unwrap(), "{about}: epoch {epoch}");
        }
        for epoch in wanted["not"].as_array().unwrap() {
            let epoch = Epoch(u32::try_from(epoch.as_u64().unwrap()).unwrap());
            assert!(part.leaf(epoch).is_none(), "{about}: epoch {epoch}");
        }
    }
    "ok".into()
}

fn write_grants() {
    const CAMERA: u8 = 50;
    const ROOT: u8 = 60;
    const TO: u8 = 70;
    let outer = |to| Outer { id: [80; 16], to, made: MADE, expiry: MADE + 86_400_000_000, granter: 1 };
    let write = |name: &str, about: &str, expect: &str, record: &[u8], parts: Value| {
        let vector = json!({
            "about": about, "device": hex(&[TO; 32]), "grant": hex(record), "camera": hex(&signing_key(CAMERA)),
            "granter": hex(&signing_key(1)), "id": hex(&[80; 16]), "made": MADE, "expiry": MADE + 86_400_000_000,
            "parts": parts, "expect": expect,
        });
        save("grant", name, &vector);
    };
    let wanted = |kind: &str, session: u8, (first, end): (u32, u32)| {
        let some: Vec<u32> =
            if end - first < 8 { (first..end).collect() } else { vec![first, first + (end - first) / 2, end - 1] };
        let commitments: serde_json::Map<_, _> = some
            .into_iter()
            .map(|epoch| (epoch.to_string(), json!(hex(&commitment(ROOT, session, epoch, "video")))))
            .collect();
        let not: Vec<u32> = first.checked_sub(1).into_iter().chain([end, u32::MAX]).collect();
        json!({
            "session": hex(&[session; 16]), "first": first, "end": end, "kind": kind, "track": "video",
            "commitments": commitments, "not": not,
        })
    };
    let covered = |session, span: (u32, u32)| cover_part(CAMERA, session, ROOT, span, &cover(span.0, span.1));
    let good = |name: &str, about: &str, parts: &[Vec<u8>], wanted: Value| {
        write(name, about, "ok", &grant(&outer(TO), &plaintext(CAMERA, parts)), wanted);
    };
    for (name, about, span) in [
        ("one-epoch", "a single epoch", (5, 6)),
        ("minute", "thirty epochs", (1001, 1031)),
        ("six-hours", "a whole session, 10,800 epochs", (0, 10_800)),
        ("widest", "all but the first and the last epoch: the most nodes that a cover can have", (1, 65_535)),
        ("root", "the whole tree, which is its root", (0, 65_536)),
    ] {
        good(name, about, &[covered(1, span)], json!([wanted("cover", 1, span)]));
    }
    let flat = |leaves| flat_part(CAMERA, 1, ROOT, (3, 9), leaves);
    good("flat", "six epochs, leaf by leaf", &[flat(6)], json!([wanted("flat", 1, (3, 9))]));
    let parts = [covered(1, (10_790, 10_800)), flat_part(CAMERA, 2, ROOT, (0, 7), 7)];
    let both = json!([wanted("cover", 1, (10_790, 10_800)), wanted("flat", 2, (0, 7))]);
    good("two-sessions", "the end of a session and the beginning of the next", &parts, both);
    let long = flat_part(CAMERA, 1, ROOT, (100, 240), 140);
    good("two-pages", "more than 4 KiB of leaves", &[long], json!([wanted("flat", 1, (100, 240))]));

    // Refused outside.
    let span = (3, 9);
    let record = grant(&outer(TO), &plaintext(CAMERA, &[covered(1, span)]));
    let refuse = |name: &str, about: &str, expect: &str, record: &[u8]| write(name, about, expect, record, json!([]));
    let resigned = |mut record: Vec<u8>| {
        record.truncate(record.len() - 64);
        sign(&mut record, 1, "doorframe/1 grant");
        record
    };
    refuse("cut", "the last byte is missing", "grant.malformed", &record[..record.len() - 1]);
    refuse("longer", "a byte too many", "grant.malformed", &[record.as_slice(), &[0]].concat());
    let odd = grant(&outer(TO), &[0; 3 * 4096]);
    refuse("odd-length", "12 KiB of plaintext, which is no 4096 · 2^k", "grant.malformed", &odd);
    refuse("flipped", "a bit of the ciphertext is flipped", "grant.signature", &flipped(&record, 2000));
    refuse(
        "other-granter",
        "another signing key than the one that signed",
        "grant.signature",
        &flipped(&record, record.len() - 65),
    );
    refuse(
        "somebody-else",
        "sealed to somebody else",
        "grant.recipient",
        &grant(&outer(71), &plaintext(CAMERA, &[covered(1, span)])),
    );
    let other_expiry = resigned(flipped(&record, 41));
    refuse(
        "longer-offer",
        "another expiry, signed anew: what is before the ciphertext is bound to it",
        "grant.hpke",
        &other_expiry,
    );
    refuse(
        "ciphertext-flipped",
        "a bit of the ciphertext, signed anew",
        "grant.hpke",
        &resigned(flipped(&record, 2000)),
    );

    // Refused inside: sealed and signed as it should be.
    let inside = |name: &str, about: &str, expect: &str, plaintext: &[u8]| {
        refuse(name, about, expect, &grant(&outer(TO), plaintext))
    };
    let nodes = |name: &str, about: &str, expect: &str, places: &[(u8, u32)]| {
        inside(name, about, expect, &plaintext(CAMERA, &[cover_part(CAMERA, 1, ROOT, span, places)]));
    };
    // The cover of [3, 9): 16.3, 14.1, 16.8.
    assert_eq!(cover(3, 9), [(16, 3), (14, 1), (16, 8)]);
    nodes("unordered", "nodes out of order", "cover.unordered", &[(16, 3), (16, 8), (14, 1)]);
    nodes(
        "overlapping",
        "a leaf that the node before makes too",
        "cover.overlapping",
        &[(16, 3), (14, 1), (16, 7), (16, 8)],
    );
    nodes("same-twice", "a node twice", "cover.overlapping", &[(16, 3), (16, 3), (14, 1), (16, 8)]);
    nodes("outside", "an epoch more than the span says", "cover.outside", &[(16, 3), (14, 1), (16, 8), (16, 9)]);
    nodes("parent", "a parent that makes more than the span says", "cover.outside", &[(15, 1), (14, 1), (16, 8)]);
    nodes("whole-root", "the root of the session", "cover.outside", &[(0, 0)]);
    nodes(
        "children",
        "two children in the place of their parent",
        "cover.canonical",
        &[(16, 3), (15, 2), (15, 3), (16, 8)],
    );
    nodes("gap", "an epoch that no node makes", "cover.canonical", &[(16, 3), (14, 1)]);
    nodes("no-nodes", "no node at all", "cover.canonical", &[]);
    let mut below = cover_part(CAMERA, 1, ROOT, span, &[(16, 3), (14, 1), (16, 8)]);
    let level = below.len() - 37;
    below[level] = 17;
    inside("below-leaves", "a node below the leaves", "cover.node", &plaintext(CAMERA, &[below]));
    let part = covered(1, span);
    let changed = |at: usize, to: u8| {
        let mut part = part.clone();
        part[at] = to;
        plaintext(CAMERA, &[part])
    };
    inside(
        "certificate",
        "another camera certified the session",
        "body.certificate",
        &plaintext(CAMERA, &[cover_part(51, 1, ROOT, span, &cover(3, 9))]),
    );
    inside("certificate-body", "the body is another than the certified one", "body.certificate", &changed(2, 9));
    inside(
        "other-camera",
        "says to be of another camera than the one that certified",
        "body.certificate",
        &plaintext(51, std::slice::from_ref(&part)),
    );
    inside("body-type", "a body that is no session manifest's", "body.malformed", &changed(1, 2));
    inside("span-empty", "ends where it begins", "body.span", &changed(132 + 64 + 7, 3));
    inside("span-beyond", "ends beyond the tree", "body.span", &changed(132 + 64 + 4, 1));
    inside("kind-unknown", "a kind of keys that there is not", "body.kind", &changed(132 + 64 + 8, 3));
    inside("flat-fewer", "fewer leaves than the span", "body.leaves", &plaintext(CAMERA, &[flat(5)]));
    inside("flat-more", "more leaves than the span", "body.leaves", &plaintext(CAMERA, &[flat(7)]));
    inside("no-parts", "nothing granted", "body.malformed", &plaintext(CAMERA, &[]));
    inside("parts-missing", "two parts announced, one there", "body.malformed", &{
        let mut changed = plaintext(CAMERA, std::slice::from_ref(&part));
        changed[33] = 2;
        changed
    });
    let mut padding = plaintext(CAMERA, std::slice::from_ref(&part));
    padding[4095] = 1;
    inside("padding", "padding that is not zero", "body.padding", &padding);
    padding[4095] = 0;
    padding.resize(8192, 0);
    inside("padded-twice", "padded to more than it must be", "body.padding", &padding);
}
