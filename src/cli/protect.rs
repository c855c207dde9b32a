//! `doorframe protect`.

use super::Failure;
use clap::Args;
use doorframe::link::Alias;
use doorframe::transport::store::{Patience, Place, Shelf, Store};
use doorframe::{wall_us, when};
use jiff::tz::TimeZone;
use std::ops::RangeInclusive;

#[derive(Debug, Args)]
pub(super) struct Protect {
    /// Where the hub records to: its --record. The hub may run meanwhile.
    store: Place,
    /// Name of the camera.
    camera: Alias,
    /// First moment, in UTC: "2026-11-24 18:30:00". Without any, what is protected is listed.
    #[arg(long, value_name = "TIME", requires = "to", value_parser = parse_time)]
    from: Option<u64>,
    /// Last moment, likewise.
    #[arg(long, value_name = "TIME", requires = "from", value_parser = parse_time)]
    to: Option<u64>,
    /// Let it go again, as it was protected.
    #[arg(long, requires = "from")]
    end: bool,
}

/// µs since 1970.
fn parse_time(text: &str) -> Result<u64, String> {
    when::parse(text, wall_us(), &TimeZone::UTC)
        .map_err(|_| format!("{text:?} is not a moment like 2026-11-24 18:30:00, in UTC"))
}

fn words(span: &RangeInclusive<u64>) -> String {
    format!("{} to {}", when::utc(*span.start()), when::utc(*span.end()))
}

impl Protect {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let failed = |error: &dyn std::fmt::Display| Failure(format!("cannot use {}: {error}", self.store));
        let store = Store::look_into(&self.store, Patience::default()).map_err(|error| failed(&error))?;
        let name = self.camera.to_string();
        let shelf = Shelf::new(&name).ok_or_else(|| Failure(format!("{name} is not the name of a camera")))?;
        let Some(span) = self.from.zip(self.to).map(|(from, to)| from..=to) else {
            let protected = store.protected(&shelf).await.map_err(|error| failed(&error))?;
            println!("  {} spans of {shelf} are protected.", protected.spans().len());
            protected.spans().iter().for_each(|span| println!("  {}", words(span)));
            return Ok(());
        };
        if span.is_empty() {
            return Err(Failure("--from is after --to: nothing would be protected".into()));
        }
        if self.end {
            store.unprotect(&shelf, &span).await.map_err(|error| failed(&error))?;
            println!("  {shelf} from {} is no longer protected.", words(&span));
        } else {
            store.protect(&shelf, &span).await.map_err(|error| failed(&error))?;
            println!("  {shelf} from {} is protected: neither age nor a full disk lets it go.", words(&span));
        }
        Ok(())
    }
}
