//! The machine's port, as hands that reach the board from outside.

use crate::checks::{Hands, News};
use crate::wire::{Answer, Ask, Lines, Word, say};
use doorframe_rig::host::{Rig, RigError};
use doorframe_rig::message::Command;
use doorframe_rig::serial::Serial;
use std::fs::File;
use std::io;
use std::path::Path;
use std::time::Duration;

/// One port, both ways, and the rig that is attached.
pub(super) struct Port<'a> {
    out: &'a File,
    lines: Lines<&'a File>,
    rig: Option<Rig<Serial>>,
}

/// Where the kernel puts the first rig.
const RIG: &str = "/dev/ttyACM0";
/// How long the button is held, in ms.
const HOLD_MS: u16 = 200;

impl<'a> Port<'a> {
    pub(super) fn new(out: &'a File, lines: Lines<&'a File>) -> Self {
        Self { out, lines, rig: None }
    }

    pub(super) fn say(&mut self, word: &Word) -> io::Result<()> {
        say(&mut self.out, word)
    }
}

impl Port<'_> {
    /// Has the rig do something.
    fn tell_rig(&mut self, command: Command) -> Result<(), RigError> {
        let rig = match &mut self.rig {
            Some(rig) => rig,
            none => none.insert(Rig::open(Serial::open(Path::new(RIG))?, Duration::ZERO)?),
        };
        rig.tell(command).map(drop)
    }
}

impl Hands for Port<'_> {
    fn tell(&mut self, news: News<'_>) -> io::Result<()> {
        self.say(&match news {
            News::Begins(check) => {
                // Among the kernel's own words, on the console that is kept when something fails.
                let _unsaid = std::fs::write("/dev/kmsg", format!("doorframe-hil: {check}"));
                Word::Begins(check.to_owned())
            }
            News::Found(outcome) => Word::Found(Box::new(outcome)),
        })
    }

    fn ask(&mut self, ask: &Ask) -> io::Result<Answer> {
        let command = match ask {
            Ask::Press => Some(Command::Press { hold_ms: HOLD_MS }),
            Ask::Light(lamp) => Some(Command::Led((*lamp).into())),
            Ask::Board(_) | Ask::Unplug | Ask::Count => None,
        };
        if let Some(command) = command {
            let told = self.tell_rig(command);
            return Ok(told.map_or_else(|error| Answer::Failed(error.to_string()), |()| Answer::Done));
        }
        self.say(&Word::Ask(ask.clone()))?;
        self.lines.next()?.ok_or_else(|| io::Error::new(io::ErrorKind::UnexpectedEof, "the port was closed"))
    }
}
