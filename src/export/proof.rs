//! What a film was made from (`docs/format.md`, "Proof of an export"): everything the camera signed about it, without its objects.

use crate::archive::Piece;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use doorframe_transport::grant::EpochSpan;
use doorframe_transport::identity::{SigningKey, VerifyingKey};
use doorframe_transport::keys::Epoch;
use doorframe_transport::manifest::SessionCertificate;
use doorframe_transport::recorded::{EpochFile, Outline, SpanCheck, SpanVerdict};
use doorframe_transport::track::TrackName;
use serde::{Deserialize, Serialize};
use std::io::Read as _;
use std::path::Path;
use thiserror::Error;

/// Largest proof, in bytes: a day with sound takes some 150 MB.
const LARGEST: usize = 256 << 20;
const VERSION: u32 = 1;

/// A proof as it stands in its file, signed by the device that exported.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proof {
    /// Version of this form.
    doorframe_proof: u32,
    /// What the exporting device says.
    pub statement: Statement,
    /// Its signing key, base64url.
    signer: String,
    /// Its signature over the statement, as JSON without spaces and with its members in their order; base64.
    signature: String,
}

/// What the exporting device says, with what the camera signed in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Statement {
    /// Name of the film's file.
    pub file: String,
    /// Its SHA-256, in hex.
    pub sha256: String,
    /// Its length.
    pub bytes: u64,
    /// Identity key of the camera, base64url.
    pub camera: String,
    /// Name that the owner gave the camera: a claim.
    pub name: String,
    /// When the film begins by the camera's wall clock, µs since 1970.
    pub from_us: u64,
    /// When it ends.
    pub to_us: u64,
    /// When it was exported, by the exporting device's clock: a claim.
    pub exported_us: u64,
    /// Pictures in the film.
    pub pictures: u64,
    /// What was missing or wrong when it was exported, in words.
    pub gaps: Vec<String>,
    /// What the camera signed.
    pub parts: Vec<ProofPart>,
}

/// Epochs of one session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProofPart {
    /// Body of the session manifest, base64.
    pub body: String,
    /// The identity key's signature over it, base64.
    pub certificate: String,
    /// First epoch.
    pub first: u32,
    /// The epoch after the last.
    pub end: u32,
    /// Epochs, in rising order.
    pub epochs: Vec<ProofEpoch>,
}

/// What the camera signed of an epoch, and the hashes of its sealed objects, by which the chain can be made again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProofEpoch {
    /// Its number.
    pub epoch: u32,
    /// The signed opening, base64.
    pub opening: String,
    /// The signed closing, base64; nothing if it never came.
    pub closing: Option<String>,
    /// Its tracks.
    pub tracks: Vec<ProofTrack>,
}

/// The objects of a track of an epoch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProofTrack {
    /// Name of the track.
    pub name: String,
    /// SHA-256 of each sealed object, one after the other, base64.
    pub objects: String,
}

/// Why a proof does not hold.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ProofRefused {
    /// Not of the form.
    #[error("the proof is damaged: {0}")]
    Malformed(String),
    /// From a newer program.
    #[error("the proof is of version {0}, this program knows 1: update it")]
    Version(u32),
    /// The exporting device's signature does not hold.
    #[error("the proof was changed after it was made: the exporting device's signature does not hold")]
    Forged,
    /// A session that the camera did not certify.
    #[error("the proof names a session that camera {0} did not certify")]
    Uncertified(String),
}

/// What a proof proves.
#[derive(Clone, Debug)]
pub struct ProofChecked {
    /// Identity key of the camera, which signed every epoch.
    pub camera: VerifyingKey,
    /// Who exported.
    pub signer: VerifyingKey,
    /// What was found of each part.
    pub verdicts: Vec<SpanVerdict>,
    /// The first and the last moment that an opening claims, µs since 1970.
    pub claimed_us: (u64, u64),
}

pub(super) fn text(key: &[u8; 32]) -> String {
    URL_SAFE_NO_PAD.encode(key)
}

fn key(text: &str, what: &str) -> Result<VerifyingKey, ProofRefused> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok().and_then(|bytes| bytes.try_into().ok());
    bytes.map(VerifyingKey).ok_or_else(|| ProofRefused::Malformed(what.into()))
}

fn bytes(text: &str, what: &str) -> Result<Vec<u8>, ProofRefused> {
    STANDARD.decode(text).map_err(|_| ProofRefused::Malformed(what.into()))
}

fn array<const N: usize>(text: &str, what: &str) -> Result<[u8; N], ProofRefused> {
    bytes(text, what)?.try_into().map_err(|_| ProofRefused::Malformed(what.into()))
}

impl Proof {
    /// Signs a statement.
    pub fn sign(statement: Statement, signer: &SigningKey) -> Self {
        let signature = signer.sign_export(&said(&statement));
        Self {
            doorframe_proof: VERSION,
            statement,
            signer: text(&signer.verifying_key().0),
            signature: STANDARD.encode(signature),
        }
    }

    /// The file.
    pub fn emit(&self) -> Vec<u8> {
        // Text and numbers alone: it cannot fail.
        let mut json = serde_json::to_vec_pretty(self).unwrap_or_default();
        json.push(b'\n');
        json
    }

    /// Reads a file. Nothing is checked.
    ///
    /// # Errors
    /// If it is not of the form, or larger than 256 MiB.
    pub fn parse(json: &[u8]) -> Result<Self, ProofRefused> {
        if json.len() > LARGEST {
            return Err(ProofRefused::Malformed(format!("{} bytes", json.len())));
        }
        let proof: Self = serde_json::from_slice(json).map_err(|error| ProofRefused::Malformed(error.to_string()))?;
        if proof.doorframe_proof != VERSION {
            return Err(ProofRefused::Version(proof.doorframe_proof));
        }
        Ok(proof)
    }

    /// Checks all that can be checked without the film and without keys: the exporting device's signature, each session's certificate, and the
    /// signatures and chains of every epoch. What is missing is in the verdicts.
    ///
    /// # Errors
    /// The first of these that does not hold.
    pub fn check(&self) -> Result<ProofChecked, ProofRefused> {
        let signer = key(&self.signer, "signer")?;
        let signature = array(&self.signature, "signature")?;
        if !signer.verifies_export(&said(&self.statement), &signature) {
            return Err(ProofRefused::Forged);
        }
        let camera = key(&self.statement.camera, "camera")?;
        let mut checked = ProofChecked { camera, signer, verdicts: Vec::new(), claimed_us: (u64::MAX, 0) };
        for part in &self.statement.parts {
            checked.verdicts.push(part.check(&camera, &mut checked.claimed_us)?);
        }
        Ok(checked)
    }
}

fn said(statement: &Statement) -> Vec<u8> {
    serde_json::to_vec(statement).unwrap_or_default()
}

impl ProofPart {
    /// A part without epochs.
    pub(super) fn of(piece: &Piece) -> Self {
        let certificate = piece.session.certificate();
        Self {
            body: STANDARD.encode(certificate.body()),
            certificate: STANDARD.encode(certificate.signature()),
            first: piece.rounded.epochs.first().0,
            end: piece.rounded.epochs.end().0,
            epochs: Vec::new(),
        }
    }

    fn check(&self, camera: &VerifyingKey, claimed_us: &mut (u64, u64)) -> Result<SpanVerdict, ProofRefused> {
        let (body, signature) = (array(&self.body, "body")?, array(&self.certificate, "certificate")?);
        let certificate = SessionCertificate::verify(&body, &signature, camera)
            .map_err(|error| ProofRefused::Malformed(error.to_string()))?
            .ok_or_else(|| ProofRefused::Uncertified(camera.fingerprint()))?;
        let epochs = EpochSpan::new(Epoch(self.first), Epoch(self.end));
        let epochs = epochs.ok_or_else(|| ProofRefused::Malformed("span".into()))?;
        let facts = certificate.facts().clone();
        let id = facts.id;
        let mut check = SpanCheck::new(facts, u64::from(epochs.first().0)..u64::from(epochs.end().0));
        for epoch in &self.epochs {
            let closing = epoch.closing.as_deref().map(|closing| bytes(closing, "closing")).transpose()?;
            let mut tracks = Vec::with_capacity(epoch.tracks.len());
            for track in &epoch.tracks {
                let name = TrackName::new(&track.name).ok_or_else(|| ProofRefused::Malformed("track".into()))?;
                let hashes = bytes(&track.objects, "objects")?;
                let (hashes, rest) = hashes.as_chunks::<32>();
                if !rest.is_empty() {
                    return Err(ProofRefused::Malformed("objects".into()));
                }
                tracks.push((name, hashes.to_vec()));
            }
            let outline = Outline {
                session: id,
                epoch: Epoch(epoch.epoch),
                opening: bytes(&epoch.opening, "opening")?.into(),
                closing: closing.map(Into::into),
                tracks,
            };
            if let Some(verdict) = check.handle_outline(outline.epoch, &outline) {
                let wall = verdict.opening.wall_us;
                *claimed_us = (claimed_us.0.min(wall), claimed_us.1.max(wall));
            }
        }
        Ok(check.end())
    }
}

impl ProofEpoch {
    /// What remains of an epoch without its objects.
    pub(super) fn of(file: &EpochFile) -> Self {
        let outline = Outline::of(file);
        let track = |(name, hashes): &(TrackName, Vec<[u8; 32]>)| ProofTrack {
            name: name.as_str().into(),
            objects: STANDARD.encode(hashes.as_flattened()),
        };
        Self {
            epoch: outline.epoch.0,
            opening: STANDARD.encode(&outline.opening),
            closing: outline.closing.as_ref().map(|closing| STANDARD.encode(closing)),
            tracks: outline.tracks.iter().map(track).collect(),
        }
    }
}

/// SHA-256 of a file, in hex, and its length.
///
/// # Errors
/// If it cannot be read.
pub fn sha256_of_file(path: &Path) -> std::io::Result<(String, u64)> {
    let mut file = std::fs::File::open(path)?;
    let mut context = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
    let (mut buffer, mut total) = (vec![0; 1 << 16], 0);
    loop {
        let read = file.read(&mut buffer)?;
        let Some(bytes) = buffer.get(..read).filter(|bytes| !bytes.is_empty()) else { break };
        context.update(bytes);
        total += read as u64;
    }
    let hex = context.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok((hex, total))
}
