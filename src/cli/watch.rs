//! `doorframe watch`.

use super::from::StateArgs;
use super::save::Save;
use super::{Failure, ReportArgs, status};
use clap::Args;
use doorframe::link::{Alias, WatchLink};
use doorframe::report::Report;
use doorframe::state::random32;
use doorframe::vault::{Vault, VaultError};
use doorframe::viewer::{NoSink, Own, Sink, Viewer};
use jiff::tz::TimeZone;
use std::path::{Path, PathBuf};
use std::time::Instant;

#[derive(Debug, Args)]
pub(super) struct Watch {
    /// Name of a camera that was paired; or the link that a camera printed, in quotes; - reads that from the standard input, out of
    /// other users' sight.
    link: String,
    #[command(flatten)]
    state: StateArgs,
    /// Save what is watched: FILE.y4m (pictures), FILE.h264 or FILE.ivf (as it came).
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
    #[command(flatten)]
    report: ReportArgs,
}

impl Watch {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let (link, own) = match self.paired()? {
            Some((link, own)) => (link, Some(own)),
            None => (super::read_link::<WatchLink>(&self.link)?, None),
        };
        let sink: Box<dyn Sink> = match &self.save {
            Some(path) => Box::new(Save::create(path)?),
            None => Box::new(NoSink),
        };
        let started = Instant::now();
        let challenge = random32().map_err(Failure::of)?;
        let viewer = match own {
            Some(own) => Viewer::of_home(&link, own, challenge, sink, None),
            None => Viewer::start(&link, challenge, sink, None),
        };
        let viewer = viewer.map_err(Failure::of)?;
        println!("Watching {}, identity {}.\n", link.camera, link.identity.fingerprint());
        follow(&viewer, &self.report).await;
        let state = viewer.state().borrow().clone();
        let report = Report::new(None, &viewer.stop().await.map_err(Failure::of)?, started.elapsed());
        println!("\n  {}", status::table(&report));
        if let Some(path) = &self.report.report {
            write(path, &report)?;
        }
        status::verdict(&report, &state)
    }
}

impl Watch {
    /// What is needed to watch a camera that was paired; `None` if that is not one's name.
    fn paired(&self) -> Result<Option<(WatchLink, Own)>, Failure> {
        let Ok(alias) = self.link.parse::<Alias>() else { return Ok(None) };
        let Some(mut vault) = self.state.vault()? else { return Ok(None) };
        if vault.camera(&alias).is_none() {
            return Ok(None);
        }
        super::from::upkeep(&mut vault)?;
        let link = vault.watch_link(&alias).map_err(Failure::of)?;
        let home = vault.home().ok_or_else(|| Failure::of(VaultError::NoHome))?.clone();
        let (reread, keeper) = (self.state.open()?, self.state.open()?);
        let again = move || Vault::home_in(&reread).ok().flatten();
        let keep = move |record: &[u8]| {
            let mut vault = Vault::open(&keeper).ok()?;
            vault.handle_record(record).ok()?;
            vault.home().cloned()
        };
        let retired = vault.devices().into_iter().skip(1).collect();
        Ok(Some((link, Own { home, retired, again: Box::new(again), keep: Box::new(keep) })))
    }
}

/// Shows what a viewer does until the time is up or Ctrl-C.
pub(super) async fn follow(viewer: &Viewer, limits: &ReportArgs) {
    let mut states = viewer.state();
    let (mut happened, zone) = (viewer.happened(), TimeZone::system());
    let (mut line, mut rates) = (status::StatusLine::new(), status::Rates::new());
    let mut tick = tokio::time::interval(status::TICK);
    let end = status::until(limits.seconds());
    tokio::pin!(end);
    let mut before = states.borrow_and_update().clone();
    loop {
        tokio::select! {
            () = &mut end => return,
            Ok(()) = states.changed() => {
                let now = states.borrow_and_update().clone();
                if status::is_news(&before, &now) {
                    line.say(&status::viewer_state(&now));
                }
                before = now;
            }
            // Of events that came faster than they were read, the newest are enough here.
            Ok(happened) = happened.recv() => line.say(&status::happened(&happened, &zone)),
            _ = tick.tick() => line.show(&status::viewer_line(&mut rates, &viewer.stats())),
        }
    }
}

/// Writes a report.
pub(super) fn write(path: &Path, report: &Report) -> Result<(), Failure> {
    let json = serde_json::to_string_pretty(report).map_err(Failure::of)?;
    std::fs::write(path, json + "\n").map_err(|error| Failure(format!("cannot write {}: {error}", path.display())))
}
