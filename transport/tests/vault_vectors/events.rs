//! Events.

use crate::writer::{hex, unhex};
use crate::{all, save};
use doorframe_transport::events::{parse, parse_bell};
use serde_json::{Value, json};

#[test]
fn every_vector_of_events_is_read_as_it_says() {
    all("event", 10, write_events, read_events);
}

fn read_events(vector: &Value) -> String {
    let plaintext = unhex(&vector["plaintext"]);
    assert_eq!(parse_bell(&plaintext).is_ok(), vector["bell"].as_bool().unwrap(), "{vector}");
    let Ok(events) = parse(&plaintext) else { return "refused".into() };
    let found = events.iter().map(|event| {
        let (kind, at) = (event.kind as u8, event.at.ticks());
        json!({ "kind": kind, "at": at, "area": event.area.per_mille(), "score": event.score })
    });
    assert_eq!(json!(found.collect::<Vec<_>>()), vector["events"]);
    "ok".into()
}

/// Kind, media time, area, score.
type Entry = (u8, u64, u16, u16);

fn entries(entries: &[Entry]) -> Vec<u8> {
    entries
        .iter()
        .flat_map(|(kind, at, area, score)| {
            [&[*kind][..], &at.to_be_bytes(), &area.to_be_bytes(), &score.to_be_bytes()].concat()
        })
        .collect()
}

fn filled(mut plaintext: Vec<u8>, len: usize) -> Vec<u8> {
    plaintext.resize(len, 0);
    plaintext
}

fn write_events() {
    let motion: [Entry; 2] = [(1, 90_000, 137, 42), (2, 450_000, 1000, 65_535)];
    let ring: Entry = (3, 99_000, 0, 0);
    let good: [(&str, &str, &[Entry]); 5] = [
        ("nothing", "nothing happened", &[]),
        ("motion", "something began to move and came to rest", &motion),
        ("doorbell", "somebody rang", &[ring]),
        ("both", "somebody rang while something moved", &[motion[0], ring, motion[1]]),
        ("eight", "as many as there can be", &[motion[1]; 8]),
    ];
    for (name, about, events) in good {
        let told = events
            .iter()
            .map(|(kind, at, area, score)| json!({ "kind": kind, "at": at, "area": area, "score": score }));
        let vector = json!({
            "about": about, "plaintext": hex(&filled(entries(events), 256)), "events": told.collect::<Vec<_>>(),
            "bell": events == [ring], "expect": "ok",
        });
        save("event", name, &vector);
    }
    let hidden = |at: usize| {
        let mut plaintext = filled(entries(&[ring]), 256);
        plaintext[at] = 1;
        plaintext
    };
    let bad = [
        ("nine", "more than there can be", filled(entries(&[motion[0]; 9]), 256)),
        ("kind", "of a kind that there is not", filled(entries(&[(4, 1, 1, 1)]), 256)),
        ("area", "more than all of the area moves", filled(entries(&[(1, 1, 1001, 10)]), 256)),
        ("doorbell-moves", "a doorbell with an area", filled(entries(&[(3, 1, 1, 0)]), 256)),
        ("doorbell-score", "a doorbell with a score", filled(entries(&[(3, 1, 0, 1)]), 256)),
        ("hole", "zeros before an event", filled([vec![0; 13], entries(&[ring])].concat(), 256)),
        ("hidden", "a byte after the events", hidden(14)),
        ("hidden-last", "the last byte is not zero", hidden(255)),
        ("short", "a byte is missing", filled(entries(&[ring]), 255)),
        ("long", "a byte too many", filled(entries(&[ring]), 257)),
        ("empty", "no bytes at all", Vec::new()),
    ];
    for (name, about, plaintext) in bad {
        let vector = json!({ "about": about, "plaintext": hex(&plaintext), "bell": false, "expect": "refused" });
        save("event", name, &vector);
    }
}
