//! The boards of a bench, for a person: which can be used, and why others cannot.

use super::attached::{DEVICES, NotUsable, attached};
use super::board::{Board, Power};
use super::folder::Folder;
use super::lock::{self, Standing};
use super::power::State;
use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

/// Everything that is attached by USB, then every board that has a file.
pub(crate) fn list(bench: &Folder) -> String {
    let attached = attached(Path::new(DEVICES));
    let mut text = String::new();
    for one in attached.iter().filter(|one| !one.video.is_empty() || one.port.is_some()) {
        let nodes = one.video.iter().chain(&one.port).map(|node| node.display().to_string());
        // Writing to a string cannot fail.
        let _ = writeln!(text, "USB {}  {}", one.words(), nodes.collect::<Vec<_>>().join(", "));
    }
    for board in bench.boards() {
        let _ = match board {
            Err(error) => writeln!(text, "not usable: {error}"),
            Ok(board) => {
                let usable = match board.video(&attached) {
                    Ok(node) => node.display().to_string(),
                    Err(error @ NotUsable::Virtual) => error.to_string(),
                    Err(error) => format!("not usable: {error}"),
                };
                let lines = describe(&board, &usable, &lock::folder());
                let rig = board.rig.as_ref().map(|name| match bench.rig(name) {
                    Err(error) => format!("  rig {}: not usable: {error}\n", name.as_str()),
                    Ok(rig) => match rig.open(&attached, Duration::ZERO) {
                        Err(error) => format!("  rig {}: not usable: {error}\n", rig.name.as_str()),
                        Ok(_) => format!("  rig {}: answers\n", rig.name.as_str()),
                    },
                });
                write!(text, "{lines}{}", rig.unwrap_or_default())
            }
        };
    }
    text
}

fn describe(board: &Board, usable: &str, locks: &Path) -> String {
    let modes: Vec<_> = board.modes.iter().map(ToString::to_string).collect();
    let mut text = format!("{}  {}  {usable}\n  {}\n", board.name.as_str(), board.place, modes.join(", "));
    let mut add = |words: String| {
        let _ = writeln!(text, "  {words}");
    };
    if !board.can.is_empty() {
        let can: Vec<_> = board.can.iter().map(|ability| format!("{ability:?}").to_lowercase()).collect();
        add(format!("has: {}", can.join(", ")));
    }
    match &board.power {
        Some(Power::Port { hub, port }) => add(format!("power: port {port} of hub {hub}")),
        Some(Power::Rig) => add("power: by its rig".to_owned()),
        None => {}
    }
    if let Some((holder, standing)) = lock::look(locks, &board.name) {
        match (standing, holder.state) {
            (Standing::Held, _) => add(format!("in use by {} (process {})", holder.owner, holder.process)),
            (Standing::Free, State::Unknown { why }) => add(format!("state unknown: {why}; a power cycle leads on")),
            (Standing::Free, State::Ready) => {}
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::lock::Lock;
    use std::time::SystemTime;

    #[test]
    fn a_board_is_shown_with_who_has_it_or_what_became_of_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("porch.toml");
        std::fs::write(&path, "usb-path = \"1-1.4\"\nmodes = [\"MJPG 1280x720@30\"]\ncan = [\"button\"]\npower = { hub = \"1-1\", port = 4 }\n").unwrap();
        let board = Board::read(&path).unwrap();
        let shown = |state: &str| {
            format!(
                "porch  USB path 1-1.4  /dev/video0\n  MJPG 1280x720 at 30 fps\n  has: button\n  power: port 4 of hub 1-1\n{state}"
            )
        };
        assert_eq!(describe(&board, "/dev/video0", folder.path()), shown(""));
        let hour = Duration::from_secs(3600);
        let lock = Lock::take(folder.path(), &board.name, "ada@lab", SystemTime::now(), hour).unwrap();
        let words = format!("  in use by ada@lab (process {})\n", std::process::id());
        assert_eq!(describe(&board, "/dev/video0", folder.path()), shown(&words));
        drop(lock);
        let words = "  state unknown: a run that had it did not end; a power cycle leads on\n";
        assert_eq!(describe(&board, "/dev/video0", folder.path()), shown(words));
    }
}
