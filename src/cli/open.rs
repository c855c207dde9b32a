//! `doorframe open`.

use super::Failure;
use super::granted::GrantedArgs;
use super::recordings::{Footage, Player};
use super::save::Save;
use clap::Args;
use doorframe::bundle::{self, BundleKey};
use doorframe::transport::track::TrackName;
use doorframe::viewer::{NoSink, Sink};
use doorframe::when;
use jiff::tz::TimeZone;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(super) struct Open {
    /// What was handed over: CLIP.html or CLIP.dfb, with its key; or CLIP.grant, for this device.
    file: PathBuf,
    /// The bundle's key, or the link that ends in it; - reads it from the standard input, out of other users' sight.
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// Save what is in it: FILE.y4m (pictures), FILE.h264 or FILE.ivf (as it came).
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
    /// Show it at the speed at which it was filmed.
    #[arg(long)]
    play: bool,
    #[command(flatten)]
    granted: GrantedArgs,
}

impl Open {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let failed = |error| Failure(format!("cannot read {}: {error}", self.file.display()));
        let bytes = std::fs::read(&self.file).map_err(failed)?;
        let speed = self.play.then_some(1.0);
        if let [1, 6, ..] = bytes.as_slice() {
            return self.granted.run(&self.file, &bytes, self.save.as_deref(), speed).await;
        }
        let Some(mut text) = self.key.clone() else {
            return Err(Failure("a bundle needs its key: give it with --key".into()));
        };
        if text == "-" {
            text.clear();
            std::io::stdin().read_line(&mut text).map_err(Failure::of)?;
        }
        let key: BundleKey = text.parse().map_err(Failure::of)?;
        let bundle = bundle::parse(bytes.into()).map_err(Failure::of)?;
        let device = key.device().map_err(Failure::of)?;
        let (granted, keys) = bundle.open(&device).map_err(Failure::of)?;
        let zone = TimeZone::system();
        println!("Of camera {}, handed over by {}.", bundle.camera().fingerprint(), bundle.maker().fingerprint());
        let sink: Box<dyn Sink> = match &self.save {
            Some(path) => Box::new(Save::create(path)?),
            None => Box::new(NoSink),
        };
        let mut player = Player::new(sink, speed, Footage::Others);
        let mut wrong: Vec<String> =
            bundle.check().parts.iter().flat_map(|part| &part.faults).map(ToString::to_string).collect();
        let mut span: Option<(u64, u64)> = None;
        for (part, key) in bundle.parts().iter().zip(keys) {
            let Some(granted) = granted.parts.get(key) else {
                wrong.push("a part is there without its key".into());
                continue;
            };
            for (epoch, _) in &part.files {
                match part.open(*epoch, granted) {
                    Some(Ok(opened)) => {
                        let opening = opened.verdict.opening;
                        if opened.drops.total() > 0 {
                            wrong.push(format!("epoch {epoch}: {} objects do not open", opened.drops.total()));
                        }
                        for unit in opened.units.iter().filter(|unit| unit.track == TrackName::VIDEO) {
                            let unit = &unit.unit.unit;
                            let since = unit.at.as_duration().saturating_sub(opening.at.as_duration());
                            let wall = opening.wall_us.saturating_add(u64::try_from(since.as_micros()).unwrap_or(0));
                            span = Some((span.map_or(wall, |(from, _)| from), wall));
                            player.show(unit, wall).await;
                        }
                    }
                    // Named by the check already.
                    None => {}
                    Some(Err(error)) => wrong.push(format!("epoch {epoch}: {error}")),
                }
            }
        }
        if let Some((from, to)) = span {
            println!("  {} to {}, by the camera's clock", when::local(from, &zone), when::local(to, &zone));
        }
        println!("  {} pictures, {} not decoded", player.shown, player.undecoded);
        wrong.iter().for_each(|wrong| println!("  {wrong}"));
        if player.shown == 0 {
            return Err(Failure("there is no picture in it that can be decoded".into()));
        }
        if !wrong.is_empty() {
            return Err(Failure("what is in it is not all that the camera sealed: see above".into()));
        }
        println!("  all of it was signed by the camera, unchanged and whole");
        Ok(())
    }
}
