//! `doorframe recover`.

use super::Failure;
use super::devices::{News, Visit, find, parse_name, visit};
use clap::{Args, ValueEnum};
use doorframe::link::HubLink;
use doorframe::recovery::{FetchError, cameras_of, lists_of};
use doorframe::state::StateDir;
use doorframe::transport::devices::{BadWords, DeviceName, RecoveryKey, Role, near_words};
use doorframe::vault::{Before, Home, PairedCamera, Recovering, Vault, check_words};
use doorframe::wall_us;
use std::io::{BufRead, IsTerminal as _};
use std::path::PathBuf;
use zeroize::Zeroizing;

/// Reads the 24 words from the standard input, never from the command line: type them, with the lines that were kept with them, or give
/// a file: doorframe recover < FILE.
#[derive(Debug, Args)]
pub(super) struct RecoverCommand {
    /// Where a camera of the home is, in quotes: a line that was kept with the words (doorframe://home#..), or a link to watch by. Several
    /// for several cameras. On a device that is on the list none is needed.
    #[arg(long, value_name = "LINK")]
    link: Vec<String>,
    /// The link that the hub prints now, in quotes, where its address, certificate or tokens are no longer those of the lines: a hub renews a
    /// certificate of its own every 10 days.
    #[arg(long, value_name = "LINK")]
    hub: Option<String>,
    /// Take this device off the list, by its name or fingerprint: the one that was lost. Several for several.
    #[arg(long, value_name = "NAME")]
    remove: Vec<String>,
    /// What this device is called on the list.
    #[arg(long, value_name = "NAME", default_value = "new device", value_parser = parse_name)]
    name: DeviceName,
    /// Take the recovery key off the list: the words are good for nothing more then.
    #[arg(long)]
    spend: bool,
    /// Open what was filmed since the words were drawn here too: this device keeps the key of the words for it.
    #[arg(long, value_enum, num_args = 0..=1, require_equals = true, default_value = "yes", default_missing_value = "yes")]
    keep_old_recordings: Keep,
    /// Where this device's keys are kept.
    #[arg(long, value_name = "DIR", default_value_os_t = StateDir::default_path())]
    state: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Keep {
    Yes,
    No,
}

/// What was typed: the words, and lines that say where cameras are.
#[derive(Default)]
struct Typed {
    words: Zeroizing<String>,
    count: usize,
    links: Vec<String>,
}

/// Of words and links together; nothing longer is read.
const MOST_TYPED: usize = 64 << 10;
const WORDS: usize = 24;

impl RecoverCommand {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let wall = wall_us();
        let mut cameras = cameras(&self.link)?;
        // Not by clap, which would cite what is none: there is a token in it.
        let hub: Option<HubLink> = self.hub.as_ref().map(|link| link.parse()).transpose().map_err(Failure::of)?;
        let stdin = std::io::stdin();
        let end = if stdin.is_terminal() { End::LastWord } else { End::Input };
        if end == End::LastWord {
            println!("Type the 24 words, in as many lines as you like:\n");
        }
        let typed = read(stdin.lock(), end)?;
        let words = recovery_key(&typed.words)?;
        cameras.extend(self::cameras(&typed.links)?);

        let state = StateDir::open(&self.state).map_err(Failure::of)?;
        let mut vault = Vault::open(&state).map_err(Failure::of)?;
        if let Some(home) = vault.home() {
            check_words(home, &words, wall).map_err(Failure::of)?;
            if cameras.is_empty() {
                cameras = vault.cameras().cloned().collect();
            }
        }
        if let Some(hub) = &hub {
            cameras = cameras.into_iter().map(|camera| PairedCamera::new(camera.alias, camera.identity, hub)).collect();
        }
        let home = fetch(&cameras, &words).await?;
        self.check_removed(&home)?;
        if let Some(hub) = &hub {
            vault.keep_hub(hub).map_err(Failure::of)?;
        }
        let spent = words.signing_key().map_err(Failure::of)?.verifying_key();
        let before = if self.keep_old_recordings == Keep::Yes { Before::Opens } else { Before::Stays };
        let with = Recovering { words: &words, home, cameras: &cameras, name: self.name.clone(), before };
        let changes = vault.recover(with, wall, |devices| {
            for lost in &self.remove {
                let at = find(devices, lost)?;
                devices.remove(at);
            }
            devices.retain(|device| !self.spend || device.signer != spent);
            Ok(())
        });
        let changes = changes.map_err(Failure::of)?;
        let home = vault.home().ok_or_else(|| Failure("the home was not kept".into()))?.clone();
        println!("This device is an owner of the home now, by device list {}.", home.lists().newest().version());
        changes.iter().for_each(|change| println!("  {change}"));
        for camera in vault.cameras() {
            // In a session that the words open: this device's key is not in it yet.
            let words = vec![words.device_key().map_err(Failure::of)?];
            if visit(&vault, camera, &home, words, News::List).await? == Visit::Silent {
                let alias = &camera.alias;
                match self.keep_old_recordings {
                    Keep::Yes => {
                        println!("  camera {alias} was not reached; it is given the list when this device watches it")
                    }
                    Keep::No => println!(
                        "  camera {alias} was not reached, and this device does not open what it seals now: another one of the home has to give it the list"
                    ),
                }
            }
        }
        self.say_what_is_left(&vault, &home);
        Ok(())
    }

    /// Whoever recovers cannot look at the list first: what is on it is named.
    fn check_removed(&self, home: &Home) -> Result<(), Failure> {
        let devices = home.devices();
        let Some(wrong) = self.remove.iter().find(|lost| find(&devices, lost).is_err()) else { return Ok(()) };
        let names: Vec<_> = devices
            .iter()
            .map(|device| format!("{} ({}, {})", device.name, device.role, device.signer.fingerprint()))
            .collect();
        Err(Failure(format!("--remove {wrong:?} means no device, or several. On the list are: {}", names.join("; "))))
    }

    fn say_what_is_left(&self, vault: &Vault, home: &Home) {
        println!("\n  Watch:\n");
        vault.cameras().for_each(|camera| println!("    doorframe watch {}", camera.alias));
        if self.keep_old_recordings == Keep::Yes {
            println!("\n  What was filmed since the words were drawn opens here too (doorframe list, play, export).");
        } else {
            println!("\n  What was filmed before this does not open here, as you said.");
        }
        let us = vault.signer().verifying_key();
        let others = home.lists().newest().devices().iter().filter(|device| device.signer != us);
        let others: Vec<_> =
            others.filter(|device| device.role != Role::Recovery).map(|device| device.name.as_str()).collect();
        if !others.is_empty() {
            println!("  Still on the list: {}. What was lost: doorframe devices remove NAME", others.join(", "));
        }
        if self.spend {
            println!("  The words are good for nothing more. New ones: doorframe devices recovery --expires never");
        } else {
            println!("  The words stay good. If others may have seen them, take them off and draw new ones.");
        }
        println!("  Cameras that are not named above: pair them again, or `doorframe join` an invitation.");
    }
}

/// When all that was typed has been read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// After the 24th word.
    LastWord,
    /// Where the input ends.
    Input,
}

fn read(mut from: impl BufRead, end: End) -> Result<Typed, Failure> {
    // Of its full size at once: one that grows leaves copies of what it held behind.
    let mut typed = Typed { words: Zeroizing::new(String::with_capacity(MOST_TYPED)), ..Typed::default() };
    let mut line = Zeroizing::new(String::with_capacity(MOST_TYPED));
    let mut bytes = 0;
    loop {
        line.clear();
        let len =
            from.read_line(&mut line).map_err(|_| Failure("what was typed cannot be read: is it text?".into()))?;
        bytes += len;
        if bytes > MOST_TYPED {
            return Err(Failure("this is too long for 24 words and the lines kept with them".into()));
        }
        if line.contains("://") {
            typed.links.push(line.trim().to_owned());
        } else {
            typed.count += line.split_whitespace().count();
            typed.words.push_str(&line);
        }
        if len == 0 || (end == End::LastWord && typed.count >= WORDS) {
            return Ok(typed);
        }
    }
}

/// The key of the words; of one that is none, those that it may be are named.
fn recovery_key(words: &str) -> Result<RecoveryKey, Failure> {
    RecoveryKey::from_words(words).map_err(|bad| {
        let near = match bad {
            BadWords::Unknown(number) => words.split_whitespace().nth(number - 1).map(near_words).unwrap_or_default(),
            _ => Vec::new(),
        };
        let meant = if near.is_empty() { String::new() } else { format!("; near it is {}", near.join(", ")) };
        Failure(format!("{bad}{meant}"))
    })
}

/// The cameras that these texts name, each once.
fn cameras(links: &[String]) -> Result<Vec<PairedCamera>, Failure> {
    let mut all: Vec<PairedCamera> = Vec::new();
    for link in links {
        for camera in cameras_of(link).map_err(Failure::of)? {
            if !all.iter().any(|known| known.alias == camera.alias && known.hub == camera.hub) {
                all.push(camera);
            }
        }
    }
    Ok(all)
}

/// The lists of the first camera that hands them over.
async fn fetch(cameras: &[PairedCamera], words: &RecoveryKey) -> Result<Home, Failure> {
    let mut failure = Failure(
        "where is a camera of the home? Give a line that was kept with the words (doorframe://home#..) or a link to watch by, with --link"
            .into(),
    );
    for camera in cameras {
        match lists_of(camera, words).await {
            Ok(home) => return Ok(home),
            Err(error @ FetchError::Ghost(..)) => return Err(Failure::of(error)),
            Err(error @ FetchError::Hub(..)) => {
                failure = Failure(format!(
                    "{error}. A hub renews a certificate of its own every 10 days: give the link that it prints now with --hub"
                ));
            }
            Err(error) => failure = Failure::of(error),
        }
    }
    Err(failure)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PHRASE: &str = "all hour make first leader extend hole alien behind guard gospel lava\n path OUTPUT census museum \
                          junior mass\treopen famous sing advance salt reform";

    #[test]
    fn words_and_lines_kept_with_them_are_told_apart() {
        let file = format!("doorframe://home#v=1&a=b\r\n\n{PHRASE}\nhttps://x/#v=1\n");
        let typed = read(file.as_bytes(), End::Input).unwrap();
        assert_eq!((typed.count, typed.links.len()), (24, 2));
        assert_eq!(typed.links[0], "doorframe://home#v=1&a=b");
        assert!(recovery_key(&typed.words).is_ok());
        let typed = read(format!("{PHRASE}\nmore").as_bytes(), End::LastWord).unwrap();
        assert_eq!(typed.count, 24, "nobody has to end the input");
        assert!(read("word ".repeat(20_000).as_bytes(), End::Input).is_err());
    }

    #[test]
    fn a_wrong_word_is_named_by_its_place_and_with_those_near_it() {
        let Err(Failure(said)) = recovery_key(&PHRASE.replace("leader", "leder")) else { panic!() };
        assert!(said.starts_with("word 5 ") && said.ends_with("near it is elder, leader"), "{said}");
        let Err(Failure(said)) = recovery_key("all hour") else { panic!() };
        assert_eq!(said, "2 words, a recovery key has 24");
    }
}
