//! `doorframe export`.

use super::Failure;
use super::list::size;
use super::recordings::{FromArgs, SpanArgs, say_gaps, say_span};
use clap::Args;
use doorframe::bundle::signer_of;
use doorframe::export::{export, proof_path};
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(super) struct Export {
    #[command(flatten)]
    from: FromArgs,
    #[command(flatten)]
    span: SpanArgs,
    /// The film to write: FILE.mp4. Its proof is written beside it, as FILE.mp4.proof.
    #[arg(value_name = "FILE")]
    film: PathBuf,
    /// Write over a film that is there.
    #[arg(long)]
    force: bool,
}

impl Export {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let film = &self.film;
        if film.extension().is_none_or(|extension| extension != "mp4") {
            return Err(Failure(format!("{}: the name must end in .mp4", film.display())));
        }
        for path in [film.clone(), proof_path(film)] {
            if path.exists() && !self.force {
                return Err(Failure(format!("{} is there already: name another, or say --force", path.display())));
            }
        }
        let (link, mut archive) = self.from.open().await?;
        let recording = self.span.find(&mut archive).await?;
        say_span(&format!("Exporting {}", link.camera), &recording);
        let signer = signer_of(&link).map_err(Failure::of)?;
        let done = export(&mut archive, recording, film, &link.camera.to_string(), &signer).await;
        let done = done.map_err(Failure::of)?;
        let bytes = std::fs::metadata(film).map_or(0, |about| about.len());
        println!(
            "\n  {}: {} pictures of {}, {:.1} s, {}, in the clear: whoever gets it can watch it",
            film.display(),
            done.film.pictures,
            done.film.size,
            done.film.duration.as_secs_f64(),
            size(bytes)
        );
        println!(
            "  {}: what the camera signed about it; check it with: doorframe verify {}",
            done.proof.display(),
            film.display()
        );
        if !done.gaps.is_empty() {
            println!("\n  The recordings are not complete, and the proof says so:");
            say_gaps(&done.gaps);
        }
        Ok(())
    }
}
