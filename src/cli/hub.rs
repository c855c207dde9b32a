//! `doorframe hub`.

use super::{Failure, status};
use clap::{Args, ValueEnum};
use doorframe::hub::{Hub, HubConfig, HubError, HubIdentity};
use doorframe::recorder::{RecordMode, Recorder, RecorderConfig};
use doorframe::state::StateDir;
use doorframe::transport::store::{Patience, Place, Store};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::time::{Duration, Instant};

#[derive(Debug, Args)]
pub(super) struct HubCommand {
    /// UDP address to listen on.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "[::]:4443")]
    listen: SocketAddr,
    /// Name or address under which cameras and viewers reach this machine. Default: its address in the local network.
    #[arg(long, value_name = "HOST")]
    host: Option<String>,
    /// Scope: cameras of one scope are seen by the viewers of that scope.
    #[arg(long, value_name = "NAME", default_value = "home", value_parser = parse_scope)]
    scope: String,
    /// How many days the tokens in its links are good for. Links also pin its certificate, which it renews every 10 days.
    #[arg(long, value_name = "DAYS", default_value_t = 365, value_parser = clap::value_parser!(u64).range(1..=3650))]
    days: u64,
    /// Where its secret is kept.
    #[arg(long, value_name = "DIR", default_value_os_t = StateDir::default_path())]
    state: PathBuf,
    #[command(flatten)]
    record: RecordArgs,
}

/// What a hub records.
#[derive(Debug, Args)]
struct RecordArgs {
    /// Record every camera, sealed as it is, to this folder or to s3://BUCKET/PREFIX (keys and region from AWS_ACCESS_KEY_ID,
    /// AWS_SECRET_ACCESS_KEY, AWS_REGION and AWS_ENDPOINT). Without it nothing is recorded.
    #[arg(long, value_name = "DIR|s3://..")]
    record: Option<Place>,
    /// Let recordings go after this many days, unless they are protected.
    #[arg(long, value_name = "DAYS", requires = "record", value_parser = clap::value_parser!(u64).range(1..=36_500))]
    keep_days: Option<u64>,
    /// Let the oldest recordings go beyond this many bytes, unless they are protected: 500G, 2T. Without it, when the disk is full.
    #[arg(long, value_name = "BYTES", requires = "record", value_parser = parse_bytes)]
    keep_bytes: Option<u64>,
    /// What is recorded: everything, or only what cameras with --keep-events name when something happens, with what came just before.
    #[arg(long, value_name = "MODE", requires = "record", default_value = "continuous")]
    record_mode: Mode,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Mode {
    Continuous,
    Event,
}

pub(super) fn parse_bytes(text: &str) -> Result<u64, String> {
    let wrong = || format!("{text:?} is not a number of bytes like 500G: K, M, G and T are powers of 1000");
    let (number, shift) = match text.char_indices().last() {
        Some((at, unit)) if unit.is_ascii_alphabetic() => {
            let power = "KMGT".find(unit.to_ascii_uppercase()).ok_or_else(wrong)?;
            (text.get(..at).ok_or_else(wrong)?, 1000_u64.pow(power as u32 + 1))
        }
        _ => (text, 1),
    };
    let number = number.parse::<u64>().map_err(|_| wrong())?;
    number.checked_mul(shift).filter(|bytes| *bytes > 0).ok_or_else(wrong)
}

fn parse_scope(text: &str) -> Result<String, String> {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if text.is_empty() || text.len() > 64 || !text.chars().all(fits) {
        return Err(format!("{text:?} is not a scope: 1 to 64 of a-z, 0-9 and -"));
    }
    Ok(text.into())
}

/// This machine's address in the local network: the one that a packet to elsewhere would leave from. None is sent.
pub(super) fn own_address() -> String {
    let found = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).and_then(|socket| {
        // An address for documentation (RFC 5737): never anybody's.
        socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9))?;
        socket.local_addr()
    });
    found.map_or_else(|_| "127.0.0.1".into(), |address| address.ip().to_string())
}

impl HubCommand {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let state = StateDir::open(&self.state).map_err(Failure::of)?;
        let mut config = HubConfig::local();
        config.listen = self.listen;
        config.host = match self.host {
            Some(host) => host,
            None if self.listen.ip().is_loopback() => self.listen.ip().to_string(),
            None => own_address(),
        };
        config.scope = self.scope;
        config.token_life = Duration::from_secs(self.days * 86_400);
        let identity = HubIdentity::load(&state, &config.host).map_err(Failure::of)?;
        let v6 = self.listen.ip() == Ipv6Addr::UNSPECIFIED;
        let hub = match Hub::start(config.clone(), &identity) {
            // Machines without IPv6 still have a hub.
            Err(HubError::Listen { .. }) if v6 => {
                config.listen = (Ipv4Addr::UNSPECIFIED, self.listen.port()).into();
                Hub::start(config, &identity).map_err(Failure::of)?
            }
            other => other.map_err(Failure::of)?,
        };
        let link = hub.link().map_err(|error| Failure(format!("the host name cannot be used in a link: {error}")))?;
        println!("The hub listens on UDP {}. It relays what it cannot read.\n", hub.address());
        println!("  Start a camera with:\n\n    doorframe camera '{link}'\n");
        println!("  Keep this link secret: whoever has it can publish here. Ctrl-C ends the hub.");
        match self.record.start(&hub).await? {
            Some(recorder) => show(recorder).await,
            None => status::until(None).await,
        }
        hub.stop().await;
        Ok(())
    }
}

impl RecordArgs {
    async fn start(&self, hub: &Hub) -> Result<Option<Recorder>, Failure> {
        let Some(place) = &self.record else { return Ok(None) };
        let failed = |error: &dyn std::fmt::Display| Failure(format!("cannot record to {place}: {error}"));
        let store = Store::open(place, Patience::default()).await.map_err(|error| failed(&error))?;
        let mut config = RecorderConfig::default();
        config.keep_for = self.keep_days.map(|days| Duration::from_secs(days * 86_400));
        config.keep_bytes = self.keep_bytes;
        config.mode = match self.record_mode {
            Mode::Continuous => RecordMode::Continuous,
            Mode::Event => RecordMode::Event,
        };
        println!("\n  Recordings go to {place}, sealed: only the owners' devices can open them.\n");
        if store.swept() > 0 {
            println!("  {} files that were half written at the last end are swept away.\n", store.swept());
        }
        Recorder::start(hub, store, config).map(Some).map_err(|error| failed(&error))
    }
}

/// How often losses are said at most.
const LOSS_EVERY: Duration = Duration::from_secs(5);

/// Shows what the recorder does until Ctrl-C, and ends it in order.
async fn show(recorder: Recorder) {
    let mut states = recorder.state();
    let (mut line, mut rates) = (status::StatusLine::new(), status::Rates::new());
    let mut tick = tokio::time::interval(status::TICK);
    let mut told = (Instant::now(), recorder.stats());
    let end = status::until(None);
    tokio::pin!(end);
    loop {
        tokio::select! {
            () = &mut end => break,
            Ok(()) = states.changed() => line.say(&format!("recorder {}", *states.borrow_and_update())),
            _ = tick.tick() => {
                let stats = recorder.stats();
                if told.0.elapsed() > LOSS_EVERY
                    && let Some(words) = status::recorder_loss(&told.1, &stats)
                {
                    line.say(&words);
                    told = (Instant::now(), stats);
                }
                line.show(&status::recorder_line(&mut rates, &stats));
            }
        }
    }
    drop(line);
    let last = recorder.stop().await;
    println!("  recorder ended; {}", status::recorder_end(&last));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_read_as_people_write_them() {
        assert_eq!(parse_bytes("500G"), Ok(500_000_000_000));
        assert_eq!((parse_bytes("2t"), parse_bytes("1024")), (Ok(2_000_000_000_000), Ok(1024)));
        for bad in ["", "0", "G", "5 G", "-1", "5X", "99999999T", "1.5G", "ä"] {
            assert!(parse_bytes(bad).is_err(), "{bad:?}");
        }
    }
}
