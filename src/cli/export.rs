//! `doorframe export`.

use super::Failure;
use super::from::{Hand, PlaceArgs};
use super::list::size;
use super::recordings::{SpanArgs, in_words, say_gaps, say_span};
use clap::Args;
use doorframe::archive::{Archive, Recording};
use doorframe::export::{export, proof_path};
use doorframe::link::Alias;
use doorframe::transport::journal::Deed;
use std::path::Path;

#[derive(Debug, Args)]
#[command(override_usage = "doorframe export [OPTIONS] --from <TIME> <NAME|--link <LINK>> <FILE>")]
pub(super) struct Export {
    /// Name of a camera that was paired with this device, unless there is a link; and the film to write, FILE.mp4. Its proof is written beside
    /// it, as FILE.mp4.proof.
    // In one: of two places clap takes the last for a word that has options behind it.
    #[arg(value_names = ["NAME", "FILE"], required = true, num_args = 1..)]
    names: Vec<String>,
    #[command(flatten)]
    place: PlaceArgs,
    #[command(flatten)]
    span: SpanArgs,
    /// Write over a film that is there.
    #[arg(long)]
    force: bool,
}

impl Export {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let (name, film) = match self.names.as_slice() {
            [film] => (None, Path::new(film)),
            [name, film] => (Some(name.parse::<Alias>().map_err(Failure::of)?), Path::new(film)),
            _ => return Err(Failure("one camera and one film, please".into())),
        };
        check_name(film)?;
        if !self.force {
            check_free(film)?;
        }
        let mut opened = self.place.open(name.as_ref()).await?;
        let recording = self.span.find(&mut opened.archive).await?;
        say_span(&format!("Exporting {}", opened.camera), &recording);
        let hand = self.place.hand(&opened)?;
        write(&mut opened.archive, recording, film, &opened.camera, hand).await
    }
}

/// Refuses what is no film's name.
pub(super) fn check_name(film: &Path) -> Result<(), Failure> {
    match film.extension() {
        Some(extension) if extension == "mp4" => Ok(()),
        _ => Err(Failure(format!("{}: the name must end in .mp4", film.display()))),
    }
}

/// Refuses a name that is taken.
pub(super) fn check_free(film: &Path) -> Result<(), Failure> {
    let taken = [film.to_path_buf(), proof_path(film)].into_iter().find(|path| path.exists());
    match taken {
        Some(path) => Err(Failure(format!("{} is there already: name another, or say --force", path.display()))),
        None => Ok(()),
    }
}

/// Writes the film, its proof, and first of all the journal's entry.
pub(super) async fn write(
    archive: &mut Archive,
    recording: Recording,
    film: &Path,
    camera: &Alias,
    mut hand: Hand,
) -> Result<(), Failure> {
    hand.note(Deed::Exported, &format!("{}; to {}", in_words(camera, archive, &recording), film.display()))?;
    let done = export(archive, recording, film, &camera.to_string(), hand.signer()).await;
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
