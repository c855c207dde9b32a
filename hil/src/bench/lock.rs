//! Who has a board. Two runs never share one.
//!
//! A lock is a file that is locked (`flock`), so that the kernel frees it with the process that had it, however that ends. In
//! it stand the holder, until when, and the board's state. A holder that hangs beyond its time loses the board: the next one
//! puts a new file in the place of the old one.

use super::file::Name;
use super::power::State;
use rustix::fs::{FlockOperation, Mode, OFlags, flock, fstat, stat};
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use thiserror::Error;

/// What stands in a lock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Holder {
    /// Who, as he calls himself.
    pub(crate) owner: String,
    /// His process.
    pub(crate) process: u32,
    /// Seconds since 1970.
    pub(crate) since: u64,
    /// Seconds since 1970.
    pub(crate) until: u64,
    /// What is known of the board. While somebody has it, nothing is.
    pub(crate) state: State,
}

/// Why somebody does not get a board.
#[derive(Debug, Error)]
pub(crate) enum LockError {
    #[error("{board} is in use by {} (process {}) for {left} more s at most", .holder.owner, .holder.process)]
    Held { board: String, holder: Holder, left: u64 },
    #[error("{board} is being taken by somebody else right now")]
    Busy { board: String },
    #[error("{board} was lost to somebody else: this run had it beyond its time")]
    Lost { board: String },
    #[error("cannot lock a board in {}: {error}", .folder.display())]
    Folder { folder: PathBuf, error: io::Error },
}

/// A board that is ours, until it is dropped.
#[derive(Debug)]
pub(crate) struct Lock {
    board: Name,
    path: PathBuf,
    file: File,
    holder: Holder,
}

/// Where locks are: one place for everybody on this machine.
pub(crate) fn folder() -> PathBuf {
    let run = Path::new("/run/lock");
    if run.is_dir() { run.join("doorframe-hil") } else { std::env::temp_dir().join("doorframe-hil") }
}

impl Lock {
    /// Takes a board for so long at most. What was known of it before is [`before`](Self::state).
    pub(crate) fn take(
        folder: &Path,
        board: &Name,
        owner: &str,
        now: SystemTime,
        most: Duration,
    ) -> Result<Self, LockError> {
        let failed = |error| LockError::Folder { folder: folder.to_owned(), error };
        fs::create_dir_all(folder).map_err(failed)?;
        let path = folder.join(format!("{}.lock", board.as_str()));
        // One at a time looks and takes.
        let guard = open(&folder.join(format!("{}.guard", board.as_str()))).map_err(failed)?;
        flock(&guard, FlockOperation::NonBlockingLockExclusive)
            .map_err(|_| LockError::Busy { board: board.as_str().to_owned() })?;
        let mut file = open(&path).map_err(failed)?;
        let before = read(&mut file);
        let now = seconds(now);
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
            // Held, and its holder is alive. Without a time it is about to be written.
            let Some(holder) = before.clone() else { return Err(LockError::Busy { board: board.as_str().to_owned() }) };
            if now < holder.until {
                let left = holder.until - now;
                return Err(LockError::Held { board: board.as_str().to_owned(), holder, left });
            }
            // His time is over: he keeps the old file, and nobody looks at it any more.
            fs::remove_file(&path).map_err(failed)?;
            file = open(&path).map_err(failed)?;
            flock(&file, FlockOperation::NonBlockingLockExclusive).map_err(|error| failed(error.into()))?;
        }
        let state = before.map_or(State::new_board(), |holder| holder.state);
        let owner: String = owner.chars().filter(|letter| !letter.is_control()).take(80).collect();
        let holder = Holder { owner, process: std::process::id(), since: now, until: now + most.as_secs(), state };
        let mut lock = Self { board: board.clone(), path, file, holder };
        lock.write(State::unknown("a run that had it did not end")).map_err(failed)?;
        Ok(lock)
    }

    /// What was known of the board before it was taken.
    pub(crate) fn state(&self) -> &State {
        &self.holder.state
    }

    /// Whether the board is still ours: to be asked before anything is done to it.
    pub(crate) fn check(&self) -> Result<(), LockError> {
        let same = fstat(&self.file)
            .ok()
            .zip(stat(&self.path).ok())
            .is_some_and(|(ours, there)| (ours.st_dev, ours.st_ino) == (there.st_dev, there.st_ino));
        if same { Ok(()) } else { Err(LockError::Lost { board: self.board.as_str().to_owned() }) }
    }

    /// Gives the board back, in this state.
    pub(crate) fn release(mut self, state: State) -> Result<(), LockError> {
        self.check()?;
        let folder = self.path.parent().unwrap_or(Path::new("/")).to_owned();
        self.write(state).map_err(|error| LockError::Folder { folder, error })
    }

    fn write(&mut self, state: State) -> io::Result<()> {
        let text = serde_json::to_string_pretty(&Holder { state, ..self.holder.clone() })?;
        self.file.set_len(0)?;
        self.file.rewind()?;
        self.file.write_all(text.as_bytes())?;
        self.file.sync_data()
    }
}

/// Who has a board, and what is known of it; `None` where nobody has had it.
pub(crate) fn look(folder: &Path, board: &Name) -> Option<(Holder, Standing)> {
    let mut file = File::open(folder.join(format!("{}.lock", board.as_str()))).ok()?;
    let held = flock(&file, FlockOperation::NonBlockingLockShared).is_err();
    Some((read(&mut file)?, if held { Standing::Held } else { Standing::Free }))
}

/// Whether somebody has a board.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    Held,
    Free,
}

fn open(path: &Path) -> io::Result<File> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(rustix::fs::open(path, flags, Mode::from_raw_mode(0o664))?.into())
}

fn read(file: &mut File) -> Option<Holder> {
    let mut text = String::new();
    file.rewind().ok()?;
    Read::take(&*file, 4096).read_to_string(&mut text).ok()?;
    serde_json::from_str(&text).ok()
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn name() -> Name {
        "porch".to_owned().try_into().unwrap()
    }

    fn take(folder: &Path, owner: &str, at: u64) -> Result<Lock, LockError> {
        Lock::take(folder, &name(), owner, UNIX_EPOCH + Duration::from_secs(at), HOUR)
    }

    #[test]
    fn two_runs_never_share_a_board_and_the_holder_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let mine = take(folder.path(), "ada@lab", 1000).unwrap();
        let error = take(folder.path(), "bob", 1600).unwrap_err().to_string();
        let process = std::process::id();
        assert_eq!(error, format!("porch is in use by ada@lab (process {process}) for 3000 more s at most"));
        let (holder, standing) = look(folder.path(), &name()).unwrap();
        assert_eq!((holder.owner.as_str(), standing), ("ada@lab", Standing::Held));
        mine.release(State::Ready).unwrap();
        assert_eq!(*take(folder.path(), "bob", 1700).unwrap().state(), State::Ready);
    }

    #[test]
    fn a_run_that_crashed_leaves_no_lock_and_a_board_that_is_unknown() {
        let folder = tempfile::tempdir().unwrap();
        drop(take(folder.path(), "ada", 1000).unwrap());
        let next = take(folder.path(), "bob", 1001).unwrap();
        assert_eq!(*next.state(), State::unknown("a run that had it did not end"));
    }

    #[test]
    fn a_run_that_hangs_loses_its_board_and_cannot_give_it_back() {
        let folder = tempfile::tempdir().unwrap();
        let hangs = take(folder.path(), "ada", 1000).unwrap();
        let next = take(folder.path(), "bob", 1000 + 3600).unwrap();
        assert!(matches!(hangs.check(), Err(LockError::Lost { .. })));
        assert!(hangs.release(State::Ready).is_err());
        next.check().unwrap();
        assert!(matches!(next.state(), State::Unknown { .. }));
        assert!(matches!(take(folder.path(), "cid", 4700), Err(LockError::Held { .. })));
    }

    #[test]
    fn a_lock_that_is_damaged_is_no_obstacle() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("porch.lock"), "{\"owner\": ").unwrap();
        assert!(matches!(take(folder.path(), "ada", 1).unwrap().state(), State::Unknown { .. }));
    }
}
