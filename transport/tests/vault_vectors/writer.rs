//! A second writer of the records of `docs/format.md` §1, §2 and §4, made from that text alone: it writes what the crate refuses to.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hmac;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use chacha20::ChaCha20Rng;
use chacha20::rand_core::SeedableRng;
use doorframe_transport::identity::DeviceKey;
use hpke::aead::AesGcm256;
use hpke::kdf::HkdfSha256;
use hpke::kem::XWing;
use hpke::{Deserializable, Kem, OpModeS, Serializable};

pub(crate) const HOME: [u8; 16] = [7; 16];
pub(crate) const MADE: u64 = 1_795_000_000_000_000;
pub(crate) const DEPTH: u8 = 16;

pub(crate) use crate::vectors::{array, hex, unhex};

pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    digest(&SHA256, bytes).as_ref().try_into().unwrap()
}

/// Signing key of a seed of one byte 32 times.
pub(crate) fn signing_key(seed: u8) -> [u8; 32] {
    let pair = Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap();
    pair.public_key().as_ref().try_into().unwrap()
}

pub(crate) fn signature(seed: u8, label: &str, bytes: &[u8]) -> Vec<u8> {
    let pair = Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap();
    pair.sign(&[label.as_bytes(), bytes].concat()).as_ref().to_vec()
}

pub(crate) fn sign(record: &mut Vec<u8>, seed: u8, label: &str) {
    let signature = signature(seed, label, record);
    record.extend(signature);
}

/// X-Wing key of a seed of one byte 32 times.
pub(crate) fn xwing(seed: u8) -> [u8; 1216] {
    *DeviceKey::from_seed([seed; 32]).unwrap().public().bytes()
}

/// A device: its two keys come of `seed`.
#[derive(Clone)]
pub(crate) struct Listed {
    pub(crate) role: u8,
    pub(crate) seed: u8,
    pub(crate) xwing: u8,
    pub(crate) generation: u32,
    pub(crate) expiry: u64,
    pub(crate) name: &'static str,
}

pub(crate) fn listed(role: u8, seed: u8, expiry: u64, name: &'static str) -> Listed {
    Listed { role, seed, xwing: seed, generation: 1, expiry, name }
}

pub(crate) fn device_list(home: [u8; 16], version: u32, before: [u8; 32], devices: &[Listed], signer: u8) -> Vec<u8> {
    let mut out = vec![1, 4];
    out.extend(home);
    out.extend(version.to_be_bytes());
    out.extend(before);
    out.extend(MADE.to_be_bytes());
    out.push(devices.len() as u8);
    for device in devices {
        out.push(device.role);
        out.extend(signing_key(device.seed));
        out.extend(xwing(device.xwing));
        out.extend(device.generation.to_be_bytes());
        out.extend(device.expiry.to_be_bytes());
        out.push(device.name.len() as u8);
        out.extend(device.name.bytes());
    }
    out.extend(signing_key(signer));
    sign(&mut out, signer, "doorframe/1 device list");
    out
}

pub(crate) fn rotation(home: [u8; 16], device: u8, generation: u32, xwing_seed: u8, signer: u8) -> Vec<u8> {
    let mut out = vec![1, 5];
    out.extend(home);
    out.extend(signing_key(device));
    out.extend(generation.to_be_bytes());
    out.extend(xwing(xwing_seed));
    out.extend(MADE.to_be_bytes());
    sign(&mut out, signer, "doorframe/1 rotation");
    out
}

/// Body of a session manifest (wire.md §4): its session key comes of the seed 90.
pub(crate) fn session_body(session: u8) -> Vec<u8> {
    let mut out = vec![1, 1];
    out.extend([session; 16]);
    out.extend([0x00, 0x05]);
    out.extend(2000_u16.to_be_bytes());
    out.extend([DEPTH, 1]);
    out.extend(signing_key(90));
    out.extend(MADE.to_be_bytes());
    out.extend(3_u32.to_be_bytes());
    out.extend([4; 32]);
    out.extend([0; 32]);
    assert_eq!(out.len(), 132);
    out
}

fn child(node: [u8; 32], right: u8) -> [u8; 32] {
    let message = [b"doorframe/1 node".as_slice(), &[right, 1]].concat();
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &node), &message).as_ref().try_into().unwrap()
}

/// The node at a place of the tree under the root of one byte 32 times.
pub(crate) fn node(root: u8, level: u8, index: u32) -> [u8; 32] {
    (0..level).rev().fold([root; 32], |node, bit| child(node, (index >> bit & 1) as u8))
}

/// HKDF-Expand of 96 bytes, block by block (RFC 5869 §2.3); the second block is the commitment.
pub(crate) fn commitment(root: u8, session: u8, epoch: u32, track: &str) -> [u8; 32] {
    let leaf = hmac::Key::new(hmac::HMAC_SHA256, &node(root, DEPTH, epoch));
    let info = [b"doorframe/1 epoch".as_slice(), &[session; 16], &epoch.to_be_bytes(), track.as_bytes()].concat();
    let first = hmac::sign(&leaf, &[info.as_slice(), &[1]].concat());
    hmac::sign(&leaf, &[first.as_ref(), &info, &[2]].concat()).as_ref().try_into().unwrap()
}

/// The largest aligned power of two of leaves that begins here and does not go beyond `end`, and on after it.
pub(crate) fn cover(first: u32, end: u32) -> Vec<(u8, u32)> {
    let (mut next, mut places) = (first, Vec::new());
    while next < end {
        let mut below = 0;
        while below < DEPTH && next % (2 << below) == 0 && next + (2 << below) <= end {
            below += 1;
        }
        places.push((DEPTH - below, next >> below));
        next += 1 << below;
    }
    places
}

/// One part of a grant, certified by the identity whose seed `camera` is, all nodes from the root `root`.
pub(crate) fn cover_part(camera: u8, session: u8, root: u8, span: (u32, u32), places: &[(u8, u32)]) -> Vec<u8> {
    let mut out = part_head(camera, session, span);
    out.extend([1, places.len() as u8]);
    for (level, index) in places {
        out.push(*level);
        out.extend(index.to_be_bytes());
        out.extend(node(root, *level, *index));
    }
    out
}

pub(crate) fn flat_part(camera: u8, session: u8, root: u8, span: (u32, u32), leaves: u32) -> Vec<u8> {
    let mut out = part_head(camera, session, span);
    out.push(2);
    out.extend(leaves.to_be_bytes());
    (span.0..span.0 + leaves).for_each(|epoch| out.extend(node(root, DEPTH, epoch)));
    out
}

fn part_head(camera: u8, session: u8, (first, end): (u32, u32)) -> Vec<u8> {
    let mut out = session_body(session);
    sign(&mut out, camera, "doorframe/1 session certificate");
    out.extend(first.to_be_bytes());
    out.extend(end.to_be_bytes());
    out
}

/// What is sealed, with its padding.
pub(crate) fn plaintext(camera: u8, parts: &[Vec<u8>]) -> Vec<u8> {
    let mut out = vec![1];
    out.extend(signing_key(camera));
    out.push(parts.len() as u8);
    parts.iter().for_each(|part| out.extend(part));
    let mut padded = 4096;
    while padded < out.len() {
        padded *= 2;
    }
    out.resize(padded, 0);
    out
}

/// A grant to the X-Wing key of the seed `to`, by the signing key of the seed `granter`.
pub(crate) struct Outer {
    pub(crate) id: [u8; 16],
    pub(crate) to: u8,
    pub(crate) made: u64,
    pub(crate) expiry: u64,
    pub(crate) granter: u8,
}

pub(crate) fn grant(outer: &Outer, plaintext: &[u8]) -> Vec<u8> {
    let Outer { id, to, made, expiry, granter } = outer;
    let name = sha256(&[b"doorframe/1 grant recipient".as_slice(), id, &xwing(*to)].concat());
    let mut out = vec![1, 6];
    out.extend(id);
    out.extend(&name[..8]);
    out.extend(made.to_be_bytes());
    out.extend(expiry.to_be_bytes());
    let (enc, ciphertext) = hpke::single_shot_seal_with_rng::<AesGcm256, HkdfSha256, XWing>(
        &OpModeS::Base,
        &<XWing as Kem>::PublicKey::from_bytes(&xwing(*to)).unwrap(),
        &[b"doorframe/1 grant".as_slice(), id].concat(),
        plaintext,
        &out,
        &mut ChaCha20Rng::from_seed([91; 32]),
    )
    .unwrap();
    out.extend(enc.to_bytes());
    out.extend((ciphertext.len() as u32).to_be_bytes());
    out.extend(ciphertext);
    out.extend(signing_key(*granter));
    sign(&mut out, *granter, "doorframe/1 grant");
    out
}

/// The same record with a bit flipped, and signed anew where `granter` says who does.
pub(crate) fn flipped(record: &[u8], at: usize) -> Vec<u8> {
    let mut record = record.to_vec();
    record[at] ^= 1;
    record
}
