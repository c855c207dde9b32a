//! What a file proves, in words: a proof of an export, a bundle, or a copied store.

use crate::archive::{Archive, ArchiveError};
use crate::bundle::{self, BundleFileError};
use crate::export::{Proof, ProofRefused, proof_path, sha256_of_file};
use crate::link::WatchLink;
use doorframe_transport::bundle::MAX_BUNDLE;
use doorframe_transport::identity::{BadKey, VerifyingKey};
use doorframe_transport::keys::{Epoch, SessionId};
use doorframe_transport::manifest::{SessionFacts, SessionManifest};
use doorframe_transport::recorded::{SpanCheck, SpanVerdict};
use doorframe_transport::store::{EpochEntry, Patience, Place, Shelf, Store, StoreError};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Why nothing can be said of a file.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// It cannot be read.
    #[error("cannot read {path}: {error}")]
    Io {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// A film without its proof.
    #[error("{0} has no proof beside it: a film alone proves nothing; ask for the .proof file, or for a bundle")]
    NoProof(PathBuf),
    /// Nothing of ours.
    #[error("{0} is neither a proof, nor a bundle, nor a store")]
    Unknown(PathBuf),
    /// A proof that does not hold.
    #[error(transparent)]
    Proof(#[from] ProofRefused),
    /// A bundle that is none.
    #[error(transparent)]
    Bundle(#[from] BundleFileError),
    /// A store that is not read.
    #[error("the store does not give what it has: {0}")]
    Store(#[from] StoreError),
    /// The same.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// The link's key is none.
    #[error("the link's device key is damaged: {0}")]
    Key(#[from] BadKey),
}

/// What was found. Each entry is a sentence.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// What is proved, and by whom.
    pub proved: Vec<String>,
    /// What is wrong.
    pub wrong: Vec<String>,
    /// What none of it proves.
    pub open: Vec<String>,
}

impl Findings {
    /// Whether all holds.
    pub fn holds(&self) -> bool {
        self.wrong.is_empty() && !self.proved.is_empty()
    }

    fn span(&mut self, whose: &str, verdict: &SpanVerdict) {
        if let Some((first, last)) = verdict.reached {
            self.proved.push(format!(
                "{whose}: {} epochs from {first} to {last} with {} sealed objects, unchanged and in order, signed by the camera",
                verdict.epochs, verdict.objects
            ));
        }
        self.wrong.extend(verdict.faults.iter().map(|fault| format!("{whose}: {fault}")));
        if verdict.epochs == 0 && verdict.faults.is_empty() {
            self.wrong.push(format!("{whose}: there is no epoch in it"));
        }
    }
}

/// Looks at `path`. With a link, cameras are compared with the one that it pins, and a store's sessions are opened.
///
/// # Errors
/// If nothing can be said of it.
pub async fn verify(path: &Path, link: Option<&WatchLink>) -> Result<Findings, VerifyError> {
    let failed = |error| VerifyError::Io { path: path.into(), error };
    let about = std::fs::metadata(path).map_err(failed)?;
    if about.is_dir() {
        return store(path, link).await;
    }
    // A page is longer than its bundle, by a third and a bit.
    if about.len() > MAX_BUNDLE as u64 * 3 / 2 {
        return film(path, link);
    }
    let bytes = std::fs::read(path).map_err(failed)?;
    match bytes.as_slice() {
        [b'{', ..] => proof(path, &bytes, link),
        [1, 7, ..] | [b'<', ..] => bundled(bytes, link),
        _ => film(path, link),
    }
}

fn film(path: &Path, link: Option<&WatchLink>) -> Result<Findings, VerifyError> {
    let beside = proof_path(path);
    match std::fs::read(&beside) {
        Ok(bytes) => proof(&beside, &bytes, link),
        Err(_) if path.extension().is_some_and(|extension| extension == "mp4") => {
            Err(VerifyError::NoProof(path.into()))
        }
        Err(_) => Err(VerifyError::Unknown(path.into())),
    }
}

fn compare(findings: &mut Findings, camera: VerifyingKey, link: Option<&WatchLink>) {
    match link {
        Some(link) if link.identity == camera => {
            findings.proved.push(format!("the camera is {}, the one of the link", camera.fingerprint()));
        }
        Some(link) => findings.wrong.push(format!(
            "the camera is {}, but the link's is {}",
            camera.fingerprint(),
            link.identity.fingerprint()
        )),
        None => findings.open.push(format!(
            "that {} is the camera you think of: compare this fingerprint with what its owner tells you, or give --link",
            camera.fingerprint()
        )),
    }
}

fn proof(path: &Path, bytes: &[u8], link: Option<&WatchLink>) -> Result<Findings, VerifyError> {
    let proof = Proof::parse(bytes)?;
    let checked = proof.check()?;
    let said = &proof.statement;
    let mut findings = Findings::default();
    compare(&mut findings, checked.camera, link);
    for (n, verdict) in checked.verdicts.iter().enumerate() {
        findings.span(&format!("span {}", n + 1), verdict);
    }
    if checked.verdicts.is_empty() {
        findings.wrong.push("there is no epoch in it".into());
    }
    if let (from, to) = checked.claimed_us
        && from <= to
    {
        findings.proved.push(format!(
            "by the camera's wall clock its epochs began from {} to {}",
            crate::when::utc(from),
            crate::when::utc(to)
        ));
    }
    // The name beside the proof counts: a name in it could point anywhere.
    let film = path.with_extension("");
    match sha256_of_file(&film) {
        Ok((sha256, length)) if sha256 == said.sha256 && length == said.bytes => {
            findings.proved.push(format!(
                "{} is, byte for byte, the film that device {} exported",
                film.display(),
                checked.signer.fingerprint()
            ));
        }
        Ok(_) => {
            findings.wrong.push(format!("{} was changed after it was exported: its hash differs", film.display()));
        }
        Err(error) => findings.wrong.push(format!("the film {} cannot be read: {error}", film.display())),
    }
    findings.open.push(format!(
        "that the film's pictures are those of the sealed objects: that is the word of device {}, which exported; a bundle proves it",
        checked.signer.fingerprint()
    ));
    findings.open.push("that the camera's clock was right, or what was in front of its lens".into());
    Ok(findings)
}

fn bundled(bytes: Vec<u8>, link: Option<&WatchLink>) -> Result<Findings, VerifyError> {
    let bundle = bundle::parse(bytes.into())?;
    let mut findings = Findings::default();
    compare(&mut findings, bundle.camera(), link);
    for (n, verdict) in bundle.check().parts.iter().enumerate() {
        findings.span(&format!("span {}", n + 1), verdict);
    }
    findings.proved.push(format!(
        "the bundle is as device {} made it, at {} by its clock",
        bundle.maker().fingerprint(),
        crate::when::utc(bundle.made_wall_us())
    ));
    findings.open.push(format!("that device {} may hand this over: its owner knows", bundle.maker().fingerprint()));
    findings.open.push("that the camera's clock was right, or what was in front of its lens".into());
    Ok(findings)
}

/// Epochs of a session by number, the largest of several.
type Kept = BTreeMap<Epoch, EpochEntry>;

async fn store(folder: &Path, link: Option<&WatchLink>) -> Result<Findings, VerifyError> {
    let store = Store::look_into(&Place::Folder(folder.into()), Patience::default())?;
    let mut findings = Findings::default();
    let mut shelves = store.shelves().await?;
    if let Some(link) = link {
        shelves.retain(|shelf| shelf.as_str() == link.camera.to_string());
    }
    if shelves.is_empty() {
        return Err(VerifyError::Unknown(folder.into()));
    }
    for shelf in shelves {
        let mut sessions: BTreeMap<[u8; 16], Kept> = BTreeMap::new();
        for hour in store.hours(&shelf).await? {
            for entry in store.hour(&shelf, hour).await? {
                let kept = sessions.entry(entry.session.0).or_default().entry(entry.epoch).or_insert(entry);
                if entry.bytes > kept.bytes {
                    *kept = entry;
                }
            }
        }
        let mut archive = match link {
            Some(link) => {
                let keys = link.devices()?;
                Some(Archive::open_folder(folder, shelf.as_str(), link.identity, keys).await?)
            }
            None => None,
        };
        for (id, kept) in sessions {
            let id = SessionId(id);
            let whose = format!("{shelf}, session {id}");
            match facts(&store, &shelf, id, archive.as_mut()).await {
                Ok(facts) => findings.span(&whose, &check(&store, &shelf, facts, &kept).await?),
                Err(words) => findings.wrong.push(format!("{whose}: {words}")),
            }
        }
    }
    match link {
        Some(link) => findings.proved.push(format!("its sessions are camera {}'s", link.identity.fingerprint())),
        None => findings.open.push(
            "whose camera it was: only who has a key to the recordings can tell, by --link; without one a store of somebody else's camera looks the same"
                .into(),
        ),
    }
    findings
        .open
        .push("what was before the first and after the last epoch of each session, or was let go for its age".into());
    Ok(findings)
}

async fn facts(
    store: &Store,
    shelf: &Shelf,
    id: SessionId,
    archive: Option<&mut Archive>,
) -> Result<SessionFacts, String> {
    if let Some(archive) = archive {
        return archive.session(id).await.map(|opened| opened.facts().clone()).map_err(|error| error.to_string());
    }
    let record = store.session(shelf, id).await.map_err(|error| format!("its manifest: {error}"))?;
    let manifest = SessionManifest::parse(&record).map_err(|error| format!("its manifest is damaged: {error}"))?;
    match manifest.facts() {
        facts if facts.id == id => Ok(facts.clone()),
        facts => Err(format!("its manifest is that of session {}", facts.id)),
    }
}

async fn check(store: &Store, shelf: &Shelf, facts: SessionFacts, kept: &Kept) -> Result<SpanVerdict, VerifyError> {
    let first = kept.first_key_value().map_or(0, |(epoch, _)| u64::from(epoch.0));
    let end = kept.last_key_value().map_or(0, |(epoch, _)| u64::from(epoch.0) + 1);
    let mut check = SpanCheck::new(facts, first..end);
    for (epoch, entry) in kept {
        match store.epoch(shelf, entry).await {
            Ok(file) => {
                check.handle(*epoch, &file);
            }
            // Let go meanwhile: the chain names it.
            Err(StoreError::Absent) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(check.end())
}
