//! `doorframe page`.

use super::{Failure, status};
use clap::Args;
use doorframe::links::WatchLinks;
use doorframe::page::{Page, PageError};
use std::fmt::Display;

#[derive(Debug, Args)]
pub(super) struct PageCommand {
    /// The link that the camera printed, in quotes, and those of other cameras: one page shows up to 16. - reads them from a line of the
    /// standard input, out of other users' sight.
    #[arg(required = true, value_name = "LINK")]
    links: Vec<String>,
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
        let mut texts = self.links;
        if texts == ["-"] {
            let mut line = String::new();
            std::io::stdin().read_line(&mut line).map_err(Failure::of)?;
            texts = line.trim().split(char::is_whitespace).map(Into::into).collect();
        }
        let links = WatchLinks::join(texts.iter().map(String::as_str)).map_err(Failure::of)?;
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
