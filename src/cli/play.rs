//! `doorframe play`.

use super::Failure;
use super::from::FromArgs;
use super::recordings::{Footage, Player, SpanArgs, say_span, show};
use super::save::Save;
use clap::Args;
use doorframe::viewer::{NoSink, Sink};
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(super) struct Play {
    #[command(flatten)]
    from: FromArgs,
    #[command(flatten)]
    span: SpanArgs,
    /// Times as fast as it was; 0 is as fast as it can be. The default is 1, or 0 with --save.
    #[arg(long, value_name = "TIMES", value_parser = parse_speed)]
    speed: Option<f64>,
    /// Save what is played: FILE.y4m (pictures), FILE.h264 or FILE.ivf (as it came).
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
}

fn parse_speed(text: &str) -> Result<f64, String> {
    let speed = text.parse::<f64>().ok().filter(|speed| (0.0..=64.0).contains(speed));
    speed.ok_or_else(|| format!("{text:?} is not a speed from 0 to 64"))
}

impl Play {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let mut opened = self.from.open().await?;
        let mut recording = self.span.find(&mut opened.archive).await?;
        say_span(&format!("Playing {}", opened.camera), &recording);
        let usual = if self.save.is_some() { 0.0 } else { 1.0 };
        let speed = Some(self.speed.unwrap_or(usual)).filter(|speed| *speed > 0.0);
        let sink: Box<dyn Sink> = match &self.save {
            Some(path) => Box::new(Save::create(path)?),
            None => Box::new(NoSink),
        };
        show(&mut recording, &mut opened.archive, Player::new(sink, speed, Footage::Ours)).await
    }
}
