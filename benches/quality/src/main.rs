//! `doorframe-quality`: encodes clips with Doorframe's encoders and with those of the machine's ffmpeg, in turn, and
//! says what each costs and gives.

mod bd_rate;
mod clip;
mod compare;
mod cpu;
mod error;
mod ffmpeg;
mod judge;
mod ours;
mod peers;
mod report;
mod setting;
mod sizes;
mod ssim;
mod stream;

use clap::Parser;
use clip::Clip;
use compare::{Task, Which};
use doorframe_codec::units::Bitrate;
use error::Error;
use ffmpeg::Ffmpeg;
use report::Report;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Compares Doorframe's video encoders with those of the machine's ffmpeg: cost, rate and likeness, in one run.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Clips: y4m, H.264 Annex B, AV1 in IVF, or whatever ffmpeg reads [default: those of the repository]
    clips: Vec<PathBuf>,
    /// Bitrates to aim at, in kbit/s
    #[arg(long, value_delimiter = ',', default_value = "500,1000,2000,4000", value_name = "KBPS,..",
        value_parser = clap::value_parser!(u32).range(30..=100_000))]
    rates: Vec<u32>,
    /// Most pictures to take of a clip; all of them are held in memory
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u32).range(2..=100_000))]
    frames: u32,
    /// Encoders by name, as --list tells them [default: all]
    #[arg(long, value_delimiter = ',', value_name = "NAME,..")]
    encoders: Vec<String>,
    /// Encoder that the others' rates are compared with
    #[arg(long, default_value = "x264-veryfast", value_name = "NAME")]
    anchor: String,
    /// Pictures from one keyframe to the next; 0 for one keyframe at the beginning
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=9_999))]
    gop: u32,
    /// Threads to encode with
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=16))]
    threads: u8,
    /// How often to encode everything; the cost is the median
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=99))]
    rounds: u32,
    /// Folder for results.csv, bd-rate.csv and index.html
    #[arg(long, default_value = "quality", value_name = "FOLDER")]
    out: PathBuf,
    /// Tell which encoders there are, and how each is set
    #[arg(long)]
    list: bool,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(text) => {
            print!("{text}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("doorframe-quality: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<String, Error> {
    let ffmpeg = Ffmpeg::find()?;
    if arguments.list {
        return Ok(report::list::list(ffmpeg.as_ref()));
    }
    let (encoders, mut notes) = choose(&arguments.encoders, ffmpeg.as_ref())?;
    if which(&arguments.anchor).is_none() {
        return Err(unknown(&arguments.anchor));
    }
    let mut bitrates: Vec<_> = arguments.rates.iter().map(|&kbps| Bitrate::from_kbps(kbps)).collect();
    bitrates.sort_unstable();
    bitrates.dedup();
    let (gop, threads, rounds) = (arguments.gop, arguments.threads, arguments.rounds);
    let task = Task { encoders, bitrates, gop, threads, rounds };
    let written = |error| Error::Write { path: arguments.out.clone(), error };
    std::fs::create_dir_all(&arguments.out).map_err(written)?;
    let scratch = tempfile::tempdir().map_err(written)?;
    let mut paths = arguments.clips.clone();
    if paths.is_empty() {
        paths.extend(clips_of_the_repository().map(|(_, path)| path));
    }
    // All are looked at before the first is encoded, so that a wrong name is told at once.
    let open = |path: &Path, frames| Clip::open(path, frames, ffmpeg.as_ref(), scratch.path());
    paths.iter().try_for_each(|path| open(path, 2).map(drop))?;
    let mut comparisons = Vec::new();
    for path in &paths {
        let clip = open(path, usize::try_from(arguments.frames).unwrap_or(usize::MAX))?;
        let tell = &mut |text: &str| eprintln!("{text}");
        let mut comparison = task.run(&clip, ffmpeg.as_ref(), scratch.path(), tell)?;
        notes.append(&mut comparison.notes);
        comparisons.push(comparison);
    }
    let report = Report::new(&task, &arguments.anchor, ffmpeg.as_ref(), comparisons, notes);
    report.write(&arguments.out)?;
    Ok(report.text())
}

/// The clips that come with the sources: their names, and where they are.
fn clips_of_the_repository() -> impl Iterator<Item = (&'static str, PathBuf)> {
    const ASSETS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../assets");
    ["dog_720p30", "juggle_720p24", "car_1080p25"]
        .into_iter()
        .map(|name| (name, Path::new(ASSETS).join(name).with_extension("264")))
}

fn which(name: &str) -> Option<Which> {
    Which::all().find(|encoder| encoder.name() == name)
}

fn unknown(name: &str) -> Error {
    let known: Vec<_> = Which::all().map(Which::name).collect();
    Error::Unknown { name: name.to_owned(), known: known.join(", ") }
}

/// Those of the encoders asked for that can run here, and a note on the others.
fn choose(names: &[String], ffmpeg: Option<&Ffmpeg>) -> Result<(Vec<Which>, Vec<String>), Error> {
    let wanted: Vec<_> = if names.is_empty() {
        Which::all().collect()
    } else {
        names.iter().map(|name| which(name).ok_or_else(|| unknown(name))).collect::<Result<_, _>>()?
    };
    let (mut chosen, mut notes) = (Vec::new(), Vec::new());
    for encoder in wanted {
        match encoder {
            _ if chosen.contains(&encoder) => {}
            Which::Peer(peer) if !ffmpeg.is_some_and(|ffmpeg| ffmpeg.has(peer.encoder())) => {
                let lacks = ffmpeg.map_or("this machine has no ffmpeg", |_| "this machine's ffmpeg was built without");
                let what = ffmpeg.map_or(String::new(), |_| format!(" {}", peer.encoder()));
                notes.push(format!("{} is left out: {lacks}{what}", peer.name()));
            }
            _ => chosen.push(encoder),
        }
    }
    if ffmpeg.is_none_or(|ffmpeg| !ffmpeg.has_vmaf()) {
        notes
            .push("VMAF is left out: it needs an ffmpeg with libvmaf, such as `pip install imageio-ffmpeg`".to_owned());
    }
    if chosen.is_empty() {
        return Err(Error::Nothing { why: notes.join("; ") });
    }
    Ok((chosen, notes))
}
