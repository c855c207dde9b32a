//! The record: parsed to its last byte, its epochs shared and not copied.

use crate::grant::{EpochSpan, Grant, GrantOpened, GrantPart, GrantRefused, MAX_PARTS};
use crate::identity::{DeviceKey, SigningKey, VerifyingKey, hash};
use crate::keys::Epoch;
use crate::manifest::SessionCertificate;
use crate::parse::{Reader, RecordError};
use crate::recorded::{EpochFile, EpochOpened, EpochRefused, MAX_FILE, SpanCheck, SpanVerdict, open};
use bytes::{BufMut as _, Bytes, BytesMut};
use thiserror::Error;

/// Largest bundle, in bytes.
pub const MAX_BUNDLE: usize = 512 << 20;

const TYPE: u8 = 7;
const LABEL: &[u8] = b"doorframe/1 bundle";
/// Largest grant, in bytes: 4 MiB of keys and what is around them.
const MAX_GRANT: usize = (4 << 20) + 4096;

/// The epochs of one span of one session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BundlePart {
    /// What proves that the session is the camera's.
    pub certificate: SessionCertificate,
    /// Which epochs were granted.
    pub epochs: EpochSpan,
    /// Epoch files, in rising order, under the epoch that each is said to be.
    pub files: Vec<(Epoch, Bytes)>,
}

/// A bundle. Whoever made it signed it, and its sessions are the camera's; the epochs in it are not checked yet.
#[derive(Clone, Debug)]
pub struct Bundle {
    camera: VerifyingKey,
    made_wall_us: u64,
    maker: VerifyingKey,
    grant: Grant,
    parts: Vec<BundlePart>,
}

/// Why a bundle cannot be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BundleError {
    /// Nothing to hand over, or too much.
    #[error("{0} spans, a bundle has 1 to 16")]
    Parts(usize),
    /// Parts of two cameras.
    #[error("spans of two cameras: make a bundle of each")]
    TwoCameras,
    /// Another device made the grant.
    #[error("the grant is of another device")]
    OtherMaker,
    /// Too large.
    #[error("it would take {0} bytes, 512 MiB at most: hand over a shorter time")]
    TooLarge(usize),
}

/// Why bytes are not taken for a bundle. Said to a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BundleRefused {
    /// Larger than any.
    #[error("bundle of {0} bytes, 512 MiB at most")]
    TooLarge(usize),
    /// Cut short, too long, or a field is out of its range.
    #[error("bundle is damaged: {0}")]
    Malformed(#[from] RecordError),
    /// Its maker's signature does not hold.
    #[error("bundle was changed after it was made: its signature does not hold")]
    Forged,
    /// The grant in it was made by somebody else.
    #[error("the keys in the bundle were granted by another device than the one that made it")]
    OtherMaker,
    /// The camera did not certify a session.
    #[error("span {0} is of a session that this camera did not certify")]
    Uncertified(usize),
}

/// Why a bundle does not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BundleOpenRefused {
    /// The grant in it does not open.
    #[error(transparent)]
    Grant(#[from] GrantRefused),
    /// The grant is of another camera.
    #[error("the grant is of another camera than the bundle")]
    OtherCamera,
    /// The grant lacks a span.
    #[error("the grant has no keys for span {0} of the bundle")]
    Ungranted(usize),
}

/// What was found of a bundle without keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BundleChecked {
    /// Of each part.
    pub parts: Vec<SpanVerdict>,
}

impl BundleChecked {
    /// Whether every epoch of every span is there, whole and signed.
    pub fn is_complete(&self) -> bool {
        !self.parts.is_empty() && self.parts.iter().all(SpanVerdict::is_complete)
    }
}

impl BundlePart {
    /// Opens the epoch kept under `epoch` with what was granted of it; `None` if there is none, it does not parse, or was not granted.
    ///
    /// # Errors
    /// The first check that fails, as [`open`].
    pub fn open(&self, epoch: Epoch, keys: &GrantPart) -> Option<Result<EpochOpened, EpochRefused>> {
        let (_, file) = self.files.iter().find(|(kept, _)| *kept == epoch)?;
        let file = EpochFile::parse(file).ok()?;
        let leaf = keys.leaf(epoch)?;
        Some(open(&file, self.certificate.facts(), &leaf))
    }
}

impl Bundle {
    /// The bundle of `parts`, opened by `grant`, signed by who granted. The caller has read the clock.
    ///
    /// # Errors
    /// If there are no parts or more than 16, they are of two cameras, or it is too large.
    pub fn emit(
        parts: &[BundlePart],
        grant: &Grant,
        made_wall_us: u64,
        maker: &SigningKey,
    ) -> Result<Bytes, BundleError> {
        let Some(first) = parts.first().filter(|_| parts.len() <= MAX_PARTS) else {
            return Err(BundleError::Parts(parts.len()));
        };
        let camera = first.certificate.camera();
        if parts.iter().any(|part| part.certificate.camera() != camera) {
            return Err(BundleError::TwoCameras);
        }
        if grant.granter() != maker.verifying_key() {
            return Err(BundleError::OtherMaker);
        }
        let files = parts.iter().flat_map(|part| &part.files).map(|(_, file)| file.len() + 8).sum::<usize>();
        if files > MAX_BUNDLE - MAX_GRANT - MAX_PARTS * 256 {
            return Err(BundleError::TooLarge(files));
        }
        let mut out = emit_unsigned(&camera, made_wall_us, grant, parts);
        out.put_slice(&maker.verifying_key().0);
        let signature = maker.sign(LABEL, &hash(&[&out]));
        out.put_slice(&signature);
        Ok(out.freeze())
    }

    /// Reads a bundle. Its parts share `bytes`' memory.
    ///
    /// # Errors
    /// The first check that fails: form, the maker's signature and that it granted, and each session's certificate.
    pub fn parse(bytes: &Bytes) -> Result<Self, BundleRefused> {
        if bytes.len() > MAX_BUNDLE {
            return Err(BundleRefused::TooLarge(bytes.len()));
        }
        let mut reader = Reader::new(bytes);
        reader.head(TYPE)?;
        let camera = VerifyingKey(reader.array()?);
        let made_wall_us = reader.u64()?;
        let grant = Grant::parse(part(&mut reader, "grant", MAX_GRANT)?)?;
        let count = usize::from(reader.u8()?);
        if count == 0 || count > MAX_PARTS {
            return Err(RecordError::Field { field: "spans", value: count as u64 }.into());
        }
        let mut read = Vec::with_capacity(count);
        for _ in 0..count {
            read.push(parse_part(&mut reader, bytes)?);
        }
        let maker = VerifyingKey(reader.array()?);
        let signature: [u8; 64] = reader.array()?;
        reader.end()?;
        let signed = bytes.get(..bytes.len().saturating_sub(64)).unwrap_or_default();
        if !maker.verifies(LABEL, &hash(&[signed]), &signature) {
            return Err(BundleRefused::Forged);
        }
        if grant.granter() != maker {
            return Err(BundleRefused::OtherMaker);
        }
        let mut parts = Vec::with_capacity(count);
        for (n, Raw { body, signature, epochs, files }) in read.into_iter().enumerate() {
            let certificate = SessionCertificate::verify(&body, &signature, &camera)?;
            let certificate = certificate.ok_or(BundleRefused::Uncertified(n))?;
            let leaves = certificate.facts().depth.leaves();
            if u64::from(epochs.end().0) > leaves {
                return Err(RecordError::Field { field: "end of the epochs", value: epochs.end().0.into() }.into());
            }
            parts.push(BundlePart { certificate, epochs, files });
        }
        Ok(Self { camera, made_wall_us, maker, grant, parts })
    }

    /// Identity key of the camera, which certified every session in it.
    pub fn camera(&self) -> VerifyingKey {
        self.camera
    }

    /// Signing key of the device that made it. Whether to believe that is for the reader to know.
    pub fn maker(&self) -> VerifyingKey {
        self.maker
    }

    /// When it was made, by the maker's clock, µs since 1970: a claim.
    pub fn made_wall_us(&self) -> u64 {
        self.made_wall_us
    }

    /// The keys in it, sealed.
    pub fn grant(&self) -> &Grant {
        &self.grant
    }

    /// Its spans.
    pub fn parts(&self) -> &[BundlePart] {
        &self.parts
    }

    /// Checks every epoch without keys: signatures, chains, order, and whether something is missing.
    pub fn check(&self) -> BundleChecked {
        let check = |part: &BundlePart| {
            let span = u64::from(part.epochs.first().0)..u64::from(part.epochs.end().0);
            let mut check = SpanCheck::new(part.certificate.facts().clone(), span);
            for (epoch, file) in &part.files {
                check.handle(*epoch, file);
            }
            check.end()
        };
        BundleChecked { parts: self.parts.iter().map(check).collect() }
    }

    /// Opens the grant. Gives, beside it, the keys of each part, in the order of the parts.
    ///
    /// # Errors
    /// If the grant is not for `device`, of another camera, or lacks one of the spans.
    pub fn open(&self, device: &DeviceKey) -> Result<(GrantOpened, Vec<usize>), BundleOpenRefused> {
        let opened = self.grant.open(device)?;
        if opened.camera != self.camera {
            return Err(BundleOpenRefused::OtherCamera);
        }
        let mut keys = Vec::with_capacity(self.parts.len());
        for (n, part) in self.parts.iter().enumerate() {
            let fits = |granted: &GrantPart| {
                granted.certificate().body() == part.certificate.body()
                    && granted.epochs().first() <= part.epochs.first()
                    && part.epochs.end() <= granted.epochs().end()
            };
            keys.push(opened.parts.iter().position(fits).ok_or(BundleOpenRefused::Ungranted(n))?);
        }
        Ok((opened, keys))
    }
}

struct Raw {
    body: [u8; 132],
    signature: [u8; 64],
    epochs: EpochSpan,
    files: Vec<(Epoch, Bytes)>,
}

fn parse_part(reader: &mut Reader<'_>, bytes: &Bytes) -> Result<Raw, RecordError> {
    let bad = |field, value: u32| RecordError::Field { field, value: value.into() };
    let (body, signature) = (reader.array()?, reader.array()?);
    let (first, end) = (reader.u32()?, reader.u32()?);
    let epochs = EpochSpan::new(Epoch(first), Epoch(end)).ok_or(bad("end of the epochs", end))?;
    let count = reader.u32()?;
    if count == 0 || count > epochs.count() {
        return Err(bad("epoch files", count));
    }
    let mut files: Vec<(Epoch, Bytes)> = Vec::new();
    for _ in 0..count {
        let epoch = Epoch(reader.u32()?);
        if !epochs.contains(epoch) || files.last().is_some_and(|(before, _)| *before >= epoch) {
            return Err(bad("epoch", epoch.0));
        }
        files.push((epoch, bytes.slice_ref(part(reader, "epoch file", MAX_FILE)?)));
    }
    Ok(Raw { body, signature, epochs, files })
}

/// `u32 length ‖ bytes`, at most `most` of them.
fn part<'a>(reader: &mut Reader<'a>, field: &'static str, most: usize) -> Result<&'a [u8], RecordError> {
    let len = reader.u32()?;
    match usize::try_from(len) {
        Ok(fits) if fits <= most => reader.slice(fits),
        _ => Err(RecordError::Field { field, value: len.into() }),
    }
}

/// All before the maker's key.
pub(crate) fn emit_unsigned(camera: &VerifyingKey, made_wall_us: u64, grant: &Grant, parts: &[BundlePart]) -> BytesMut {
    let files: usize = parts.iter().flat_map(|part| &part.files).map(|(_, file)| file.len() + 8).sum();
    let mut out = BytesMut::with_capacity(files + grant.record().len() + parts.len() * 256 + 256);
    out.put_slice(&[1, TYPE]);
    out.put_slice(&camera.0);
    out.put_u64(made_wall_us);
    // Lengths are within limits that fit.
    out.put_u32(grant.record().len() as u32);
    out.put_slice(grant.record());
    out.put_u8(parts.len() as u8);
    for part in parts {
        out.put_slice(part.certificate.body());
        out.put_slice(part.certificate.signature());
        out.put_u32(part.epochs.first().0);
        out.put_u32(part.epochs.end().0);
        out.put_u32(part.files.len() as u32);
        for (epoch, file) in &part.files {
            out.put_u32(epoch.0);
            out.put_u32(file.len() as u32);
            out.put_slice(file);
        }
    }
    out
}
