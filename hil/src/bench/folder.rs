//! A bench's folder: `boards/`, `rigs/` and `baselines/`, a file for each.

use super::board::Board;
use super::file::{FileError, Name};
use super::rig::RigFile;
use doorframe_hil_report::{Baseline, Report};
use std::error::Error;
use std::fs;
use std::path::PathBuf;

/// Where the files of a bench are.
#[derive(Clone, Debug)]
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    /// Every board's file, read or not, in the order of their names. Examples are none.
    pub(crate) fn boards(&self) -> Vec<Result<Board, FileError>> {
        let entries = fs::read_dir(self.0.join("boards")).into_iter().flatten().flatten();
        let mut paths: Vec<_> = entries.map(|entry| entry.path()).collect();
        paths.retain(|path| {
            path.extension().is_some_and(|ext| ext == "toml") && path.file_stem().is_some_and(|stem| stem != "example")
        });
        paths.sort();
        paths.iter().map(|path| Board::read(path)).collect()
    }

    pub(crate) fn board(&self, name: &Name) -> Result<Board, FileError> {
        Board::read(&self.0.join("boards").join(format!("{}.toml", name.as_str())))
    }

    pub(crate) fn rig(&self, name: &Name) -> Result<RigFile, FileError> {
        RigFile::read(&self.0.join("rigs").join(format!("{}.toml", name.as_str())))
    }

    /// A board's baseline, if it has one.
    pub(crate) fn baseline(&self, board: &str) -> Result<Option<Baseline>, Box<dyn Error>> {
        let path = self.baseline_path(board);
        match fs::read_to_string(&path) {
            Ok(text) => Ok(Some(serde_json::from_str(&text).map_err(|error| {
                format!(
                    "{} is no baseline ({error}): make it anew with `doorframe-hil baseline accept`",
                    path.display()
                )
            })?)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(format!("cannot read {}: {error}", path.display()).into()),
        }
    }

    /// Makes runs a board's baseline, and says where it is.
    pub(crate) fn accept(&self, runs: &[Report]) -> Result<PathBuf, Box<dyn Error>> {
        let baseline = Baseline::accept(runs)?;
        let path = self.baseline_path(&baseline.board);
        let folder = self.0.join("baselines");
        let failed = |error| format!("cannot write {}: {error}", path.display());
        fs::create_dir_all(&folder).map_err(failed)?;
        let text = serde_json::to_string_pretty(&baseline)? + "\n";
        let mut file = tempfile::NamedTempFile::new_in(&folder).map_err(failed)?;
        std::io::Write::write_all(&mut file, text.as_bytes()).map_err(failed)?;
        file.persist(&path).map_err(|error| failed(error.error))?;
        Ok(path)
    }

    /// A report's board may be called anything: what is no letter or digit is a dash.
    fn baseline_path(&self, board: &str) -> PathBuf {
        let fine = |letter: char| if letter.is_ascii_alphanumeric() { letter.to_ascii_lowercase() } else { '-' };
        let name: String = board.chars().map(fine).take(60).collect();
        let words: Vec<_> = name.split('-').filter(|word| !word.is_empty()).collect();
        self.0.join("baselines").join(format!("{}.json", words.join("-")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use doorframe_hil_report::{Figure, Outcome};
    use std::path::Path;
    use std::time::{Duration, SystemTime};

    #[test]
    fn the_examples_are_right() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
        for board in ["virtual", "example"] {
            Board::read(&folder.join(format!("boards/{board}.toml"))).unwrap();
        }
        RigFile::read(&folder.join("rigs/example.toml")).unwrap();
        let boards = Folder(folder.to_owned()).boards();
        assert_eq!(boards.iter().map(|board| board.as_ref().unwrap().name.as_str()).collect::<Vec<_>>(), ["virtual"]);
    }

    #[test]
    fn a_baseline_is_kept_for_each_board() {
        let bench = tempfile::tempdir().unwrap();
        let folder = Folder(bench.path().to_owned());
        let mut run = Report::new("porch", "test", SystemTime::UNIX_EPOCH);
        run.outcomes
            .push(Outcome::passed("rate", Duration::ZERO).with(Figure::new("mean", 30.0, "fps").at_least(29.0)));
        let path = folder.accept(&[run.clone(), run.clone(), run]).unwrap();
        assert!(path.ends_with("baselines/porch.json"));
        assert_eq!(folder.baseline("porch").unwrap().unwrap().checks["rate"]["mean"].values, [30.0; 3]);
        assert!(folder.baseline("garden").unwrap().is_none() && folder.baseline("../../etc").unwrap().is_none());
        assert!(folder.baseline_path("Virtual board, bulk").ends_with("baselines/virtual-board-bulk.json"));
        fs::write(&path, "{").unwrap();
        assert!(
            folder
                .baseline("porch")
                .unwrap_err()
                .to_string()
                .contains("make it anew with `doorframe-hil baseline accept`")
        );
    }
}
