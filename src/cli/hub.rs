//! `doorframe hub`.

use super::{Failure, status};
use clap::Args;
use doorframe::hub::{Hub, HubConfig, HubError, HubIdentity};
use doorframe::state::StateDir;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::time::Duration;

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
        status::until(None).await;
        hub.stop().await;
        Ok(())
    }
}
