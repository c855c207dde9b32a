//! What a person sees while checks run.

use crate::outcome::{Outcome, Verdict};
use crate::text::plain;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::time::Duration;

/// A bar on the terminal, if there is one, and a line for each check that ended.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// For a run of so many checks. Draws on standard error; where that is no terminal only the lines are written.
    pub fn new(checks: usize) -> Self {
        let bar = ProgressBar::with_draw_target(u64::try_from(checks).ok(), ProgressDrawTarget::stderr());
        // A template that is wrong falls back to the bar's own.
        if let Ok(style) = ProgressStyle::with_template("{bar:24} {pos}/{len} {msg} {elapsed}") {
            bar.set_style(style.progress_chars("█▌░"));
        }
        bar.enable_steady_tick(Duration::from_millis(250));
        Self { bar }
    }

    /// A check begins.
    pub fn begin(&self, check: &str) {
        self.bar.set_message(plain(check));
    }

    /// A check ended.
    pub fn end(&self, outcome: &Outcome) {
        self.bar.suspend(|| eprintln!("{}", line(outcome)));
        self.bar.inc(1);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// One check that ended, in one line.
pub fn line(outcome: &Outcome) -> String {
    let mut line = format!("{:<8} {}", outcome.verdict.word(), plain(&outcome.check));
    if !matches!(outcome.verdict, Verdict::NotRun { .. }) {
        line = format!("{line} ({:.1} s)", outcome.took.as_secs_f64());
    }
    outcome.verdict.why().map_or(line.clone(), |why| format!("{line}: {}", plain(why)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_that_ended_is_one_line() {
        let failed = Outcome::failed("frame-rate", Duration::from_millis(3040), "12 fps\n\u{1b}[31mnot 30");
        assert_eq!(line(&failed), "failed   frame-rate (3.0 s): 12 fps \u{fffd}[31mnot 30");
        assert_eq!(line(&Outcome::not_run("glass", "no rig")), "not run  glass: no rig");
    }
}
