//! A recorded time as an ordinary film: MP4, and beside it a proof of what it was made from.

mod mp4;
mod proof;

pub use mp4::{Mp4Done, Mp4Error, Mp4Writer};
pub use proof::{Proof, ProofChecked, ProofEpoch, ProofPart, ProofRefused, ProofTrack, Statement, sha256_of_file};

use crate::archive::{Archive, ArchiveError, Recording};
use crate::wall_us;
use doorframe_codec::units::MediaTime;
use doorframe_transport::identity::SigningKey;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Why nothing was exported.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ExportError {
    /// The recordings are not read.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// The film cannot be made.
    #[error(transparent)]
    Mp4(#[from] Mp4Error),
    /// A file cannot be written.
    #[error("cannot write {path}: {error}")]
    Io {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// Nothing in it can be shown.
    #[error("no picture of that time can be decoded")]
    NoPictures,
}

/// What was exported.
#[derive(Debug)]
pub struct Exported {
    /// The film.
    pub film: Mp4Done,
    /// Where its proof is.
    pub proof: PathBuf,
    /// What is wrong with the recordings, in words; empty if they are complete.
    pub gaps: Vec<String>,
}

/// Where the proof of a film is: `NAME.proof`.
pub fn proof_path(film: &Path) -> PathBuf {
    let mut name = film.as_os_str().to_owned();
    name.push(".proof");
    name.into()
}

/// Shortest step of time between two sessions: what one picture takes, in ticks.
const STEP: u64 = MediaTime::HZ / 30;

/// Writes `recording` to `film`, and its proof beside it, signed by `signer`. `name` is the camera's.
///
/// The film begins and ends with whole epochs, so with a keyframe.
///
/// # Errors
/// If the recordings are not read, the codec changes within them, or a file cannot be written. A film that was begun is removed then.
pub async fn export(
    archive: &mut Archive,
    mut recording: Recording,
    film: &Path,
    name: &str,
    signer: &SigningKey,
) -> Result<Exported, ExportError> {
    let written = write(archive, &mut recording, film).await;
    let (done, parts) = match written {
        Ok(written) => written,
        Err(error) => {
            // What is half a film is none.
            let _left = std::fs::remove_file(film);
            return Err(error);
        }
    };
    let failed = |path: &Path, error| ExportError::Io { path: path.into(), error };
    let (sha256, bytes) = sha256_of_file(film).map_err(|error| failed(film, error))?;
    let gaps: Vec<String> = recording.faults().map(ToString::to_string).collect();
    let (from_us, to_us) = recording.span_us();
    let statement = Statement {
        file: film.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned()),
        sha256,
        bytes,
        camera: proof::text(&archive.camera().0),
        name: name.into(),
        from_us,
        to_us,
        exported_us: wall_us(),
        pictures: done.pictures,
        gaps: gaps.clone(),
        parts,
    };
    let path = proof_path(film);
    let json = Proof::sign(statement, signer).emit();
    std::fs::write(&path, json).map_err(|error| failed(&path, error))?;
    Ok(Exported { film: done, proof: path, gaps })
}

async fn write(
    archive: &mut Archive,
    recording: &mut Recording,
    film: &Path,
) -> Result<(Mp4Done, Vec<ProofPart>), ExportError> {
    let mut parts: Vec<ProofPart> = recording.pieces().iter().map(ProofPart::of).collect();
    let (mut writer, mut before): (Option<Mp4Writer>, Option<(usize, u64, u64)>) = (None, None);
    let mut ticks = 0_u64;
    let epochs = recording.len();
    while let Some(played) = recording.next(archive).await? {
        if let Some(part) = parts.get_mut(played.piece) {
            part.epochs.push(ProofEpoch::of(&played.parsed));
        }
        for unit in &played.units {
            let at = unit.unit.at.ticks();
            if let Some((piece, media, wall)) = before {
                ticks += match at.checked_sub(media) {
                    Some(since) if piece == played.piece => since,
                    // Another session has another clock; between two, only the wall clock tells.
                    _ => (unit.wall_us.saturating_sub(wall) * 9 / 100).max(STEP),
                };
            }
            before = Some((played.piece, at, unit.wall_us));
            let writer = match &mut writer {
                Some(writer) => writer,
                none => {
                    // As many as in the first epoch, and some more.
                    let pictures = epochs * (played.units.len() + played.units.len() / 4 + 4);
                    none.insert(Mp4Writer::create(film, pictures, unit.wall_us)?)
                }
            };
            writer.push(&unit.unit, ticks)?;
        }
    }
    let done = writer.ok_or(ExportError::NoPictures)?.finish()?;
    parts.retain(|part| !part.epochs.is_empty());
    Ok((done, parts))
}
