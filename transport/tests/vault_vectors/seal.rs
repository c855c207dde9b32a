//! From a session's root to a sealed object: the key tree, an epoch's keys, SFrame.

use crate::writer::{array, hex, node, unhex};
use crate::{all, save};
use aws_lc_rs::aead::{AES_256_GCM, Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::hmac::{HMAC_SHA256, HMAC_SHA512, Key, sign};
use doorframe_transport::keys::{Depth, Epoch, EpochKeys, Node, SessionId};
use doorframe_transport::seal::{OpenError, Opener, Suite};
use doorframe_transport::track::TrackName;
use serde_json::{Value, json};

#[test]
fn every_vector_of_seal_is_read_as_it_says() {
    all("seal", 16, write_seal, read_seal);
}

fn read_seal(vector: &Value) -> String {
    let number = |name: &str| u32::try_from(vector[name].as_u64().unwrap()).unwrap();
    let depth = Depth::new(u8::try_from(number("depth")).unwrap()).unwrap();
    let root = Node::root(array(&vector["root"]), depth);
    let Some(leaf) = root.leaf(Epoch(number("epoch"))) else { return "no such epoch".into() };
    let track = TrackName::new(vector["track"].as_str().unwrap()).unwrap();
    let keys = EpochKeys::derive(&leaf, SessionId(array(&vector["session"])), track);
    if keys.commitment.0.as_slice() != unhex(&vector["commitment"]) {
        return "uncommitted".into();
    }
    let suite = Suite::from_id(u16::try_from(number("suite")).unwrap()).unwrap();
    let mut plaintext = Vec::new();
    match Opener::new(suite, &keys).open(&unhex(&vector["object"]), &mut plaintext) {
        Ok(position) => {
            assert_eq!(
                (json!(position), json!(hex(&plaintext))),
                (vector["position"].clone(), vector["plaintext"].clone())
            );
            "ok".into()
        }
        Err(OpenError::Malformed) => "malformed".into(),
        Err(OpenError::Epoch { .. }) => "other epoch".into(),
        Err(_) => "unopened".into(),
    }
}

/// An object before it is sealed.
#[derive(Clone)]
struct Sealed {
    root: u8,
    depth: u8,
    session: u8,
    epoch: u32,
    track: &'static str,
    suite: u16,
    position: u64,
    plaintext: Vec<u8>,
    /// KID in the header, where it is not the epoch.
    kid: u64,
}

fn hmac256(key: &[u8], message: &[u8]) -> Vec<u8> {
    sign(&Key::new(HMAC_SHA256, key), message).as_ref().to_vec()
}

fn hmac512(key: &[u8], message: &[u8]) -> Vec<u8> {
    sign(&Key::new(HMAC_SHA512, key), message).as_ref().to_vec()
}

/// RFC 9605 §4.3: three bits, or a length and the shortest big-endian number.
fn field(value: u64) -> (u8, Vec<u8>) {
    if value < 8 {
        return (value as u8, Vec::new());
    }
    let bytes = value.to_be_bytes();
    let skip = bytes.iter().take_while(|byte| **byte == 0).count();
    (0x08 | (7 - skip) as u8, bytes[skip..].to_vec())
}

impl Sealed {
    fn node(&self) -> Vec<u8> {
        // The writer's own tree has depth 16; another depth is walked here.
        if self.depth == 16 {
            return node(self.root, 16, self.epoch).to_vec();
        }
        (0..self.depth).rev().fold(vec![self.root; 32], |node, bit| {
            hmac256(&node, &[b"doorframe/1 node".as_slice(), &[(self.epoch >> bit & 1) as u8, 1]].concat())
        })
    }

    /// Base key and commitment.
    fn keys(&self) -> (Vec<u8>, Vec<u8>) {
        let (leaf, track) = (self.node(), self.track.as_bytes());
        let info = [b"doorframe/1 epoch".as_slice(), &[self.session; 16], &self.epoch.to_be_bytes(), track].concat();
        let first = hmac256(&leaf, &[info.as_slice(), &[1]].concat());
        let second = hmac256(&leaf, &[first.as_slice(), &info, &[2]].concat());
        (first, second)
    }

    fn object(&self) -> Vec<u8> {
        let secret = hmac512(&[], &self.keys().0);
        let expand = |label: &str| {
            let info = [label.as_bytes(), &self.kid.to_be_bytes(), &self.suite.to_be_bytes(), &[1]].concat();
            hmac512(&secret, &info)
        };
        let (key, salt) = (expand("SFrame 1.0 Secret key "), expand("SFrame 1.0 Secret salt "));
        let ((k, kid), (c, ctr)) = (field(self.kid), field(self.position));
        let mut object = [vec![k << 4 | c], kid, ctr].concat();
        let mut nonce: [u8; 12] = salt[..12].try_into().unwrap();
        nonce[4..].iter_mut().zip(self.position.to_be_bytes()).for_each(|(n, c)| *n ^= c);
        let algorithm = if self.suite == 5 { &AES_256_GCM } else { &CHACHA20_POLY1305 };
        let key = LessSafeKey::new(UnboundKey::new(algorithm, &key[..32]).unwrap());
        let mut sealed = self.plaintext.clone();
        let aad = Aad::from(object.clone());
        key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad, &mut sealed).unwrap();
        object.extend(sealed);
        object
    }

    fn save(&self, name: &str, about: &str, expect: &str, object: &[u8], commitment: &[u8]) {
        let mut vector = json!({
            "about": about, "root": hex(&[self.root; 32]), "depth": self.depth, "session": hex(&[self.session; 16]),
            "epoch": self.epoch, "track": self.track, "suite": self.suite, "commitment": hex(commitment),
            "object": hex(object), "expect": expect,
        });
        if expect == "ok" {
            (vector["position"], vector["plaintext"]) = (json!(self.position), json!(hex(&self.plaintext)));
        }
        save("seal", name, &vector);
    }
}

fn write_seal() {
    let first = Sealed {
        root: 3,
        depth: 16,
        session: 1,
        epoch: 0,
        track: "video",
        suite: 5,
        position: 0,
        plaintext: b"picture".to_vec(),
        kid: 0,
    };
    let at = |epoch: u32| Sealed { epoch, kid: epoch.into(), ..first.clone() };
    let good = [
        ("first", "the first object of the first epoch", first.clone()),
        ("inline", "the largest numbers that fit into the first byte", Sealed { position: 7, ..at(7) }),
        ("one-byte", "the smallest numbers that do not", Sealed { position: 8, ..at(8) }),
        ("two-bytes", "numbers of two bytes", Sealed { position: 300, ..at(10_799) }),
        ("last-epoch", "the last leaf of the tree", at(65_535)),
        ("audio", "another track has another key", Sealed { track: "audio", ..at(5) }),
        ("longest-name", "a track's name of 16 characters", Sealed { track: "sixteen.letters.", ..at(5) }),
        ("depth-1", "the smallest tree", Sealed { depth: 1, ..at(1) }),
        ("nothing", "a plaintext of no bytes", Sealed { plaintext: Vec::new(), ..at(6) }),
        ("chacha20", "ChaCha20-Poly1305, which browsers cannot open", Sealed { suite: 0xf001, ..at(9) }),
    ];
    for (name, about, sealed) in good {
        sealed.save(name, about, "ok", &sealed.object(), &sealed.keys().1);
    }
    let (third, keys) = (at(3), at(3).keys().1);
    let object = third.object();
    let changed = |at: usize| {
        let mut object = object.clone();
        object[at] ^= 1;
        object
    };
    let other = |sealed: &Sealed| sealed.object();
    let bad = [
        ("tag", "a bit of the tag has changed", "unopened", changed(object.len() - 1)),
        ("ciphertext", "a bit of the ciphertext has changed", "unopened", changed(1)),
        ("position", "the position was changed: it is authenticated", "unopened", changed(0)),
        ("other-track", "an object of another track", "unopened", other(&Sealed { track: "audio", ..at(3) })),
        ("other-session", "an object of another session", "unopened", other(&Sealed { session: 2, ..at(3) })),
        ("other-epoch", "an object of another epoch", "other epoch", at(4).object()),
        (
            "kid-lies",
            "an object of another epoch that says it is of this one",
            "unopened",
            other(&Sealed { kid: 3, ..at(4) }),
        ),
        ("cut", "shorter than its tag", "malformed", object[..16].to_vec()),
        ("empty", "no bytes at all", "malformed", Vec::new()),
        ("long-form", "a number that is not in its shortest form", "malformed", [&[0x80, 3], &object[1..]].concat()),
    ];
    for (name, about, expect, object) in bad {
        third.save(name, about, expect, &object, &keys);
    }
    third.save("commitment", "the opening committed to another key", "uncommitted", &object, &at(4).keys().1);
    let beyond = Sealed { depth: 2, ..at(4) };
    beyond.save("beyond", "an epoch that a tree of this depth does not have", "no such epoch", &object, &keys);
}
