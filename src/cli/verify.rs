//! `doorframe verify`.

use super::Failure;
use clap::Args;
use doorframe::verify::verify;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(super) struct Verify {
    /// A film with its proof beside it, a .proof, a bundle (.html or .dfb), or a copied store.
    file: PathBuf,
    /// The camera's link, to compare the camera with, and to open a store's sessions; - reads it from the standard input.
    #[arg(long, value_name = "LINK")]
    link: Option<String>,
}

impl Verify {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let link = self.link.as_deref().map(super::read_link).transpose()?;
        let findings = verify(&self.file, link.as_ref()).await.map_err(Failure::of)?;
        let say = |title: &str, sentences: &[String]| {
            if !sentences.is_empty() {
                println!("{title}");
                sentences.iter().for_each(|sentence| println!("  - {sentence}"));
            }
        };
        say("Proved:", &findings.proved);
        say("WRONG:", &findings.wrong);
        say("Not proved by it:", &findings.open);
        match findings.holds() {
            true => Ok(()),
            false => Err(Failure(format!("{} does not hold: see above", self.file.display()))),
        }
    }
}
