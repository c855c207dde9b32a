//! What all commands on recordings share: of when they are, and how they are shown.

use super::{Failure, status};
use clap::Args;
use doorframe::archive::{Archive, Recording};
use doorframe::codec::access_unit::{AccessUnit, Codec};
use doorframe::codec::av1::rav1d::Rav1dDecoder;
use doorframe::codec::decoder::Limits;
use doorframe::codec::h264::openh264::Openh264Decoder;
#[cfg(target_os = "linux")]
use doorframe::codec::sandbox::{self, Sandboxed};
use doorframe::codec::units::{Color, Size};
use doorframe::codec::{Decoder, Picture};
use doorframe::link::Alias;
use doorframe::viewer::Sink;
use doorframe::{wall_us, when};
use jiff::tz::TimeZone;
use std::time::{Duration, Instant};

/// Of when.
#[derive(Debug, Args)]
pub(super) struct SpanArgs {
    /// From when: 2026-11-24T10:00:00 (this machine's time), with Z or +01:00 behind it, or 10m for ten minutes ago.
    #[arg(long, value_name = "TIME")]
    from: String,
    /// Until when, likewise.
    #[arg(long, value_name = "TIME", default_value = "now")]
    to: String,
}

impl SpanArgs {
    /// Finds it, and says which whole epochs it is.
    pub(super) async fn find(&self, archive: &mut Archive) -> Result<Recording, Failure> {
        let (now, zone) = (wall_us(), TimeZone::system());
        let from = when::parse(&self.from, now, &zone).map_err(Failure::of)?;
        let to = when::parse(&self.to, now, &zone).map_err(Failure::of)?;
        if from >= to {
            return Err(Failure(format!(
                "--from {} is not before --to {}",
                when::local(from, &zone),
                when::local(to, &zone)
            )));
        }
        archive.find(from, to).await.map_err(Failure::of)
    }
}

/// Says what whole epochs hold of the time that was asked for.
pub(super) fn say_span(words: &str, recording: &Recording) {
    let zone = TimeZone::system();
    let (from, to) = recording.span_us();
    println!(
        "{words}, rounded to whole epochs: {} to {} ({:.1} s, {} epochs), by the camera's clock.",
        when::local(from, &zone),
        when::local(to, &zone),
        to.saturating_sub(from) as f64 / 1e6,
        recording.len()
    );
    if recording.pieces().len() > 1 {
        for piece in recording.pieces() {
            let rounded = piece.rounded;
            println!("  {} to {}", when::local(rounded.from_wall_us, &zone), when::local(rounded.to_wall_us, &zone));
        }
    }
}

/// What is handed out, for the journal: of which camera, and of when.
pub(super) fn in_words(camera: &Alias, archive: &Archive, recording: &Recording) -> String {
    let (from, to) = recording.span_us();
    format!(
        "camera {camera} ({}), {} to {}, {} epochs",
        archive.camera().fingerprint(),
        when::utc(from),
        when::utc(to),
        recording.len()
    )
}

/// Names what is missing or wrong.
pub(super) fn say_gaps<'a>(gaps: impl IntoIterator<Item = &'a String>) {
    gaps.into_iter().for_each(|gap| println!("  {gap}"));
}

/// Who made what is decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Footage {
    /// The owner's camera, by its pinned identity.
    Ours,
    /// Somebody: it is decoded in a process that can do nothing else, where there is one.
    Others,
}

/// `None` if the process does not start: then nothing is decoded.
fn decoder(codec: Codec, footage: Footage) -> Option<Box<dyn Decoder>> {
    #[cfg(target_os = "linux")]
    if footage == Footage::Others && sandbox::SUPPORTED {
        // `main` knows the part.
        let apart = Sandboxed::new(sandbox::Program::this(), sandbox::Config::new(codec));
        return apart
            .inspect_err(|error| tracing::error!(%error, "what others made is not decoded"))
            .ok()
            .map(|decoder| Box::new(decoder) as Box<dyn Decoder>);
    }
    #[cfg(not(target_os = "linux"))]
    let _ = footage;
    Some(match codec {
        Codec::Av1 => Box::new(Rav1dDecoder::new(Limits::default())),
        _ => Box::new(Openh264Decoder::new(Limits::default())),
    })
}

/// Decodes units, hands pictures on, and counts.
pub(super) struct Player {
    sink: Box<dyn Sink>,
    decoder: Option<(Codec, Box<dyn Decoder>)>,
    picture: Picture,
    footage: Footage,
    pub(super) shown: u64,
    pub(super) undecoded: u64,
    pub(super) bytes: u64,
    /// Times real time; `None`: as fast as it can be.
    speed: Option<f64>,
    began: Option<(Instant, u64)>,
}

/// Longest wait between two pictures: a gap is passed over.
const GAP: Duration = Duration::from_secs(3);

impl Player {
    pub(super) fn new(sink: Box<dyn Sink>, speed: Option<f64>, footage: Footage) -> Self {
        // Replaced by the first picture.
        let size = const {
            match Size::new(16, 16) {
                Some(size) => size,
                None => unreachable!(),
            }
        };
        Self {
            sink,
            decoder: None,
            footage,
            picture: Picture::black(size, Color::default()),
            shown: 0,
            undecoded: 0,
            bytes: 0,
            speed,
            began: None,
        }
    }

    /// Shows one unit, when it is its time.
    pub(super) async fn show(&mut self, unit: &AccessUnit, wall_us: u64) {
        if let Some(speed) = self.speed {
            let (began, first) = *self.began.get_or_insert((Instant::now(), wall_us));
            let due = Duration::from_secs_f64(wall_us.saturating_sub(first) as f64 / 1e6 / speed);
            let wait = due.saturating_sub(began.elapsed());
            if wait > GAP {
                self.began = Some((Instant::now(), wall_us));
            } else {
                tokio::time::sleep(wait).await;
            }
        }
        self.bytes += unit.data.len() as u64;
        self.sink.unit(unit);
        let decoder = match &mut self.decoder {
            Some((codec, decoder)) if *codec == unit.codec => decoder,
            other => match decoder(unit.codec, self.footage) {
                Some(decoder) => &mut other.insert((unit.codec, decoder)).1,
                None => return self.undecoded += 1,
            },
        };
        match decoder.decode(unit, &mut self.picture) {
            Ok(shown) if shown.is_picture() => {
                self.shown += 1;
                self.sink.picture(&self.picture, unit.at);
            }
            Ok(_) => {}
            Err(error) => {
                tracing::debug!(%error, "not decoded");
                self.undecoded += 1;
            }
        }
    }
}

/// Shows all of a recording, until it ends or Ctrl-C, and says what is wrong with it.
pub(super) async fn show(recording: &mut Recording, archive: &mut Archive, mut player: Player) -> Result<(), Failure> {
    let (mut line, mut rates, zone) = (status::StatusLine::new(), status::Rates::new(), TimeZone::system());
    let end = status::until(None);
    tokio::pin!(end);
    let mut unopened = 0;
    let played = async {
        while let Some(played) = recording.next(archive).await.map_err(Failure::of)? {
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
