//! `doorframe play`.

use super::recordings::{Footage, FromArgs, Player, SpanArgs, say_gaps, say_span};
use super::save::Save;
use super::{Failure, status};
use clap::Args;
use doorframe::viewer::{NoSink, Sink};
use doorframe::when;
use jiff::tz::TimeZone;
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
        let (link, mut archive) = self.from.open().await?;
        let mut recording = self.span.find(&mut archive).await?;
        say_span(&format!("Playing {}", link.camera), &recording);
        let usual = if self.save.is_some() { 0.0 } else { 1.0 };
        let speed = Some(self.speed.unwrap_or(usual)).filter(|speed| *speed > 0.0);
        let sink: Box<dyn Sink> = match &self.save {
            Some(path) => Box::new(Save::create(path)?),
            None => Box::new(NoSink),
        };
        let mut player = Player::new(sink, speed, Footage::Ours);
        let (mut line, mut rates, zone) = (status::StatusLine::new(), status::Rates::new(), TimeZone::system());
        let end = status::until(None);
        tokio::pin!(end);
        let mut unopened = 0;
        let played = async {
            while let Some(played) = recording.next(&mut archive).await.map_err(Failure::of)? {
                unopened += played.unopened;
                played.events.iter().for_each(|event| line.say(&status::recorded_event(event, &zone)));
                for unit in &played.units {
                    player.show(&unit.unit, unit.wall_us).await;
                }
                let (fps, kbps) = rates.look(player.shown, player.bytes);
                let at = played.units.last().map_or(played.opening.wall_us, |unit| unit.wall_us);
                line.show(&format!("{}  {fps:4.1} fps  {kbps:5.0} kbit/s", when::local(at, &zone)));
            }
            Ok::<(), Failure>(())
        };
        tokio::select! {
            result = played => result?,
            () = &mut end => {}
        }
        drop(line);
        println!("\n  {} pictures shown, {} not decoded, {unopened} not opened", player.shown, player.undecoded);
        let faults: Vec<String> = recording.faults().map(ToString::to_string).collect();
        say_gaps(&faults);
        match (player.shown, faults.is_empty()) {
            (0, _) => Err(Failure("no picture of that time could be decoded".into())),
            (_, true) => {
                println!("  all of it was signed by the camera, unchanged and whole");
                Ok(())
            }
            (_, false) => Err(Failure("what was played is not all that the camera sealed: see above".into())),
        }
    }
}
