//! `doorframe page`.

use super::from::{StateArgs, upkeep_and_deliver};
use super::{Failure, status};
use clap::Args;
use doorframe::link::Alias;
use doorframe::links::WatchLinks;
use doorframe::page::{Page, PageError};
use doorframe::vault::VaultError;
use std::fmt::Display;
use zeroize::Zeroizing;

#[derive(Debug, Args)]
pub(super) struct PageCommand {
    /// Names of cameras that were paired with this device, or links that cameras printed, in quotes: one page shows up to 16. - reads
    /// them from a line of the standard input, out of other users' sight. Without any: all that were paired.
    #[arg(value_name = "NAME|LINK")]
    cameras: Vec<String>,
    #[command(flatten)]
    state: StateArgs,
    #[command(flatten)]
    page: PageArgs,
}

/// How the page is served.
#[derive(Debug, Args)]
pub(super) struct PageArgs {
    /// Do not open a browser.
    #[arg(long)]
    pub(super) no_open: bool,
    /// TCP port of the page on this machine; 0 for any. Default: 8490, or any if that is taken.
    #[arg(long, value_name = "PORT")]
    page_port: Option<u16>,
}

const PORT: u16 = 8490;

impl PageArgs {
    /// Serves the page at the port wished for.
    pub(super) async fn serve(&self) -> Result<Page, Failure> {
        let page = match self.page_port {
            Some(port) => Page::serve(port).await,
            None => match Page::serve(PORT).await {
                Err(PageError::InUse(_)) => Page::serve(0).await,
                other => other,
            },
        };
        page.map_err(Failure::of)
    }

    /// Opens the link in the person's browser, unless told not to.
    pub(super) fn open(&self, link: &impl Display) {
        if !self.no_open
            && let Err(error) = open::that_detached(link.to_string())
        {
            tracing::debug!(%error, "no browser");
            println!("  (no browser could be opened here: open the link yourself)\n");
        }
    }
}

impl PageCommand {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let mut texts = self.cameras;
        if texts == ["-"] {
            let mut line = String::new();
            std::io::stdin().read_line(&mut line).map_err(Failure::of)?;
            texts = line.trim().split(char::is_whitespace).map(Into::into).collect();
        }
        let texts = watch_links(&self.state, texts).await?;
        let links = WatchLinks::join(texts.iter().map(|text| text.as_str())).map_err(Failure::of)?;
        let page = self.page.serve().await?;
        let link = links.at(page.url());
        println!("Open this link in a browser on this machine:\n\n  {link}\n");
        let what = match link.count() {
            1 => "can watch".to_owned(),
            count => format!("can watch all {count} cameras"),
        };
        println!("  Keep it secret: whoever has it {what}. Ctrl-C ends it.\n");
        self.page.open(&link);
        status::until(None).await;
        Ok(())
    }
}

/// Names as the links of those cameras, links as they are; of no names, all that were paired.
async fn watch_links(state: &StateArgs, texts: Vec<String>) -> Result<Vec<Zeroizing<String>>, Failure> {
    let is_name = |text: &String| text.parse::<Alias>().is_ok();
    if !texts.is_empty() && !texts.iter().any(is_name) {
        return Ok(texts.into_iter().map(Zeroizing::new).collect());
    }
    let mut vault = state.vault()?.ok_or_else(|| {
        Failure(
            "no camera was paired with this device: give the link that a camera printed, or pair with `doorframe pair`"
                .into(),
        )
    })?;
    // The page itself brings the cameras nothing.
    upkeep_and_deliver(&mut vault).await?;
    let of_name =
        |alias: &Alias| vault.watch_link(alias).map(|link| Zeroizing::new(link.to_string())).map_err(Failure::of);
    if texts.is_empty() {
        let all: Vec<_> = vault.cameras().map(|camera| of_name(&camera.alias)).collect::<Result<_, _>>()?;
        return if all.is_empty() { Err(Failure::of(VaultError::NoHome)) } else { Ok(all) };
    }
    let link = |text: String| match text.parse::<Alias>() {
        Ok(alias) => of_name(&alias),
        Err(_) => Ok(Zeroizing::new(text)),
    };
    texts.into_iter().map(link).collect()
}
