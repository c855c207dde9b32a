//! `doorframe grants`.

use super::Failure;
use super::from::StateArgs;
use clap::Args;
use doorframe::transport::journal::{Deed, Head};
use doorframe::vault::Vault;
use doorframe::when;
use jiff::tz::TimeZone;

#[derive(Debug, Args)]
#[command(after_help = super::grant::FOR_GOOD)]
pub(super) struct Grants {
    /// Look whether entries are missing, were changed or cut off, and end with an error if so.
    #[arg(long)]
    check: bool,
    /// The newest entry as an earlier --check printed it: NUMBER:HASH. Kept elsewhere, it shows that nothing was cut off since.
    #[arg(long, value_name = "HEAD", requires = "check", value_parser = parse_head)]
    head: Option<Head>,
    /// Show the changes of the device list as well.
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    state: StateArgs,
}

impl Grants {
    pub(super) fn run(&self) -> Result<(), Failure> {
        let survey = Vault::survey(&self.state.open()?, self.head).map_err(Failure::of)?;
        let Some(survey) = survey else {
            println!("Nothing was ever handed out by this device: it has no keys.");
            return Ok(());
        };
        let zone = TimeZone::system();
        let shown = survey.entries.iter().filter(|entry| self.all || entry.deed != Deed::ListChanged);
        let mut count = 0;
        for entry in shown {
            count += 1;
            println!(
                "  {:>5}  {}  {:<9}  {}",
                entry.number,
                when::local(entry.wall_us, &zone),
                word(entry.deed),
                entry.details
            );
        }
        if count == 0 {
            println!("  nothing was handed out by this device");
        }
        if self.check {
            let Head { number, hash } = survey.head;
            let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
            println!(
                "\n  {} entries, signed by this device. The newest, to be noted elsewhere: {number}:{hash}",
                survey.entries.len()
            );
        }
        if survey.faults.is_empty() {
            return Ok(());
        }
        println!("\nThe journal is not as this device wrote it:");
        survey.faults.iter().for_each(|fault| println!("  - {fault}"));
        Err(Failure("the list above is not all that was handed out, or not as it was: see above".into()))
    }
}

fn word(deed: Deed) -> &'static str {
    match deed {
        Deed::Granted => "granted",
        Deed::Exported => "exported",
        Deed::Bundled => "bundle",
        Deed::ListChanged => "devices",
        Deed::Answered => "answered",
        _ => "other",
    }
}

fn parse_head(text: &str) -> Result<Head, String> {
    let wrong = || format!("{text:?} is no head: copy it as --check printed it, NUMBER:HASH");
    let (number, hex) = text.split_once(':').ok_or_else(wrong)?;
    let number = number.parse().map_err(|_| wrong())?;
    let mut hash = [0; 32];
    if hex.len() != 64 || !hex.is_ascii() {
        return Err(wrong());
    }
    for (at, byte) in hash.iter_mut().enumerate() {
        let digits = hex.get(2 * at..2 * at + 2).ok_or_else(wrong)?;
        *byte = u8::from_str_radix(digits, 16).map_err(|_| wrong())?;
    }
    Ok(Head { number, hash })
}
