//! The machine's port, as hands that reach the board from outside.

use crate::checks::{Hands, News};
use crate::wire::{Answer, Ask, Lines, Word, say};
use std::fs::File;
use std::io;

/// One port, both ways.
pub(super) struct Port<'a> {
    out: &'a File,
    lines: Lines<&'a File>,
}

impl<'a> Port<'a> {
    pub(super) fn new(out: &'a File, lines: Lines<&'a File>) -> Self {
        Self { out, lines }
    }

    pub(super) fn say(&mut self, word: &Word) -> io::Result<()> {
        say(&mut self.out, word)
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
        self.say(&Word::Ask(ask.clone()))?;
        self.lines.next()?.ok_or_else(|| io::Error::new(io::ErrorKind::UnexpectedEof, "the port was closed"))
    }
}
