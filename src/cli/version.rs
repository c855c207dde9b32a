//! `doorframe version`.

use super::Failure;
use clap::Args;
use doorframe::codec::libraries::{cpu_features, libraries};
use std::io::Write as _;

#[derive(Debug, Args)]
pub(super) struct Version {}

impl Version {
    pub(super) fn run(self) -> Result<(), Failure> {
        let mut out = std::io::stdout().lock();
        let optimised = if cfg!(debug_assertions) { ", built WITHOUT optimisation: many times slower" } else { "" };
        let mut lines = vec![format!("doorframe {}{optimised}", env!("CARGO_PKG_VERSION"))];
        let libraries = libraries();
        lines.extend(libraries.iter().map(ToString::to_string));
        let features = cpu_features();
        let features =
            if features.is_empty() { "none of those that make it fast".to_owned() } else { features.join(" ") };
        lines.push(format!("processor {}: {features}", std::env::consts::ARCH));
        lines.push(format!("keys in memory: {}", doorframe::guard::Guard::set()));
        for library in libraries.iter().filter(|library| library.slow()) {
            lines.push(format!(
                "WARNING: {} was built without its assembly and takes twice the time. Build it again with nasm.",
                library.name
            ));
        }
        for line in lines {
            writeln!(out, "{line}").map_err(Failure::of)?;
        }
        Ok(())
    }
}
