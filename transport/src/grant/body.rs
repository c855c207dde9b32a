//! The plaintext of a grant: whose it is, and its parts.

use super::cover::{self, CoverError};
use super::{EpochSpan, GrantPart, MAX_PARTS, PartKind};
use crate::identity::VerifyingKey;
use crate::keys::{Depth, Epoch, Node, Place};
use crate::manifest::SessionCertificate;
use crate::parse::{Reader, RecordError};
use thiserror::Error;
use zeroize::Zeroizing;

/// Smallest plaintext, in bytes; all others are this times a power of two.
const SMALLEST: usize = 4 << 10;
/// Largest plaintext, in bytes: twelve sessions of six hours, leaf by leaf.
pub(super) const LARGEST: usize = 4 << 20;
/// Most nodes in a cover: `2 · depth − 2` of the deepest tree.
const MAX_NODES: usize = 62;

const COVER: u8 = 1;
const FLAT: u8 = 2;

/// Whether a plaintext can have this length.
pub(super) const fn is_padded(len: usize) -> bool {
    len.is_power_of_two() && len >= SMALLEST && len <= LARGEST
}

/// Why a plaintext that opened holds no grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(super) enum BadBody {
    #[error(transparent)]
    Malformed(#[from] RecordError),
    #[error("part {part}: {error}")]
    Cover { part: usize, error: CoverError },
    #[error("part {0}: certificate")]
    Uncertified(usize),
}

/// The plaintext; `None` if it would be larger than [`LARGEST`].
pub(super) fn emit(camera: &VerifyingKey, parts: &[GrantPart]) -> Option<Zeroizing<Vec<u8>>> {
    let len: usize = 1 + 32 + 1 + parts.iter().map(emitted_len).sum::<usize>();
    let padded = len.next_power_of_two().max(SMALLEST);
    if padded > LARGEST {
        return None;
    }
    // Of its full size at once: a vector that grows leaves copies of what it held behind.
    let mut out = Zeroizing::new(Vec::with_capacity(padded));
    out.push(1);
    out.extend_from_slice(&camera.0);
    out.push(parts.len() as u8);
    for part in parts {
        out.extend_from_slice(part.certificate().body());
        out.extend_from_slice(part.certificate().signature());
        out.extend_from_slice(&part.epochs().first().0.to_be_bytes());
        out.extend_from_slice(&part.epochs().end().0.to_be_bytes());
        match part.kind() {
            PartKind::Cover => {
                out.extend_from_slice(&[COVER, part.nodes().len() as u8]);
                for node in part.nodes() {
                    out.push(node.level());
                    out.extend_from_slice(&node.index().to_be_bytes());
                    out.extend_from_slice(node.secret());
                }
            }
            PartKind::Flat => {
                out.push(FLAT);
                out.extend_from_slice(&part.epochs().count().to_be_bytes());
                part.nodes().iter().for_each(|leaf| out.extend_from_slice(leaf.secret()));
            }
        }
    }
    debug_assert_eq!(out.len(), len);
    out.resize(padded, 0);
    Some(out)
}

fn emitted_len(part: &GrantPart) -> usize {
    let head = 132 + 64 + 4 + 4 + 1;
    head + match part.kind() {
        PartKind::Cover => 1 + part.nodes().len() * (1 + 4 + 32),
        PartKind::Flat => 4 + part.nodes().len() * 32,
    }
}

/// Reads a plaintext: the camera's identity key, and parts that hold what they say.
pub(super) fn parse(plaintext: &[u8]) -> Result<(VerifyingKey, Vec<GrantPart>), BadBody> {
    let bad = |field, value: u64| RecordError::Field { field, value };
    let mut reader = Reader::new(plaintext);
    match reader.u8()? {
        1 => {}
        other => return Err(RecordError::Version(other).into()),
    }
    let camera = VerifyingKey(reader.array()?);
    let count = usize::from(reader.u8()?);
    if count == 0 || count > MAX_PARTS {
        return Err(bad("parts", count as u64).into());
    }
    let mut parts = Vec::with_capacity(count);
    for part in 0..count {
        parts.push(parse_part(&mut reader, &camera, part)?);
    }
    let padding = reader.rest();
    let len = plaintext.len() - padding.len();
    if !is_padded(plaintext.len()) || len.next_power_of_two().max(SMALLEST) != plaintext.len() {
        return Err(bad("padded length", plaintext.len() as u64).into());
    }
    if let Some(byte) = padding.iter().find(|byte| **byte != 0) {
        return Err(bad("padding", u64::from(*byte)).into());
    }
    Ok((camera, parts))
}

fn parse_part(reader: &mut Reader<'_>, camera: &VerifyingKey, part: usize) -> Result<GrantPart, BadBody> {
    let bad = |field, value: u64| RecordError::Field { field, value };
    let (body, signature) = (reader.array()?, reader.array()?);
    let certificate = SessionCertificate::verify(&body, &signature, camera)?.ok_or(BadBody::Uncertified(part))?;
    let depth = certificate.facts().depth;
    let (first, end) = (reader.u32()?, reader.u32()?);
    let epochs = EpochSpan::new(Epoch(first), Epoch(end)).ok_or(bad("end of the epochs", end.into()))?;
    if u64::from(end) > depth.leaves() {
        return Err(bad("end of the epochs", end.into()).into());
    }
    let (kind, nodes) = match reader.u8()? {
        COVER => (PartKind::Cover, parse_cover(reader, depth, epochs, part)?),
        FLAT => (PartKind::Flat, parse_flat(reader, depth, epochs)?),
        other => return Err(bad("kind of keys", other.into()).into()),
    };
    Ok(GrantPart::checked(certificate, epochs, kind, nodes))
}

fn parse_cover(reader: &mut Reader<'_>, depth: Depth, epochs: EpochSpan, part: usize) -> Result<Vec<Node>, BadBody> {
    let count = usize::from(reader.u8()?);
    if count > MAX_NODES {
        return Err(RecordError::Field { field: "nodes", value: count as u64 }.into());
    }
    let mut places: Vec<Place> = Vec::with_capacity(count);
    let mut nodes = Vec::with_capacity(count);
    for _ in 0..count {
        let place = (reader.u8()?, reader.u32()?);
        let secret = Zeroizing::new(reader.array()?);
        places.push(place);
        nodes.extend(Node::at(depth, place, *secret));
    }
    cover::check(depth, epochs, &places).map_err(|error| BadBody::Cover { part, error })?;
    Ok(nodes)
}

fn parse_flat(reader: &mut Reader<'_>, depth: Depth, epochs: EpochSpan) -> Result<Vec<Node>, BadBody> {
    let count = reader.u32()?;
    if count != epochs.count() {
        return Err(RecordError::Field { field: "leaves", value: count.into() }.into());
    }
    // All there before memory is taken.
    let secrets = reader.slice(usize::try_from(count).unwrap_or(usize::MAX).saturating_mul(32))?;
    let mut nodes = Vec::with_capacity(secrets.len() / 32);
    for (epoch, secret) in (epochs.first().0..epochs.end().0).zip(secrets.chunks_exact(32)) {
        let mut copy = Zeroizing::new([0; 32]);
        copy.iter_mut().zip(secret).for_each(|(to, from)| *to = *from);
        nodes.extend(Node::at(depth, (depth.levels(), epoch), *copy));
    }
    Ok(nodes)
}

/// Whatever parses comes out of `emit` unchanged, and makes exactly the epochs that it says.
pub(crate) fn check_body(plaintext: &[u8]) {
    let Ok((camera, parts)) = parse(plaintext) else { return };
    assert_eq!(emit(&camera, &parts).as_ref().map(|out| out.as_slice()), Some(plaintext));
    for part in &parts {
        let (first, end) = (part.epochs().first(), part.epochs().end());
        assert!(part.leaf(first).is_some_and(|leaf| leaf.epoch() == first));
        assert!(part.leaf(Epoch(end.0 - 1)).is_some());
        assert!(part.leaf(end).is_none());
        assert!(first.0.checked_sub(1).is_none_or(|before| part.leaf(Epoch(before)).is_none()));
    }
}
