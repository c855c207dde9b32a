//! All encoders on all clips at all rates, in turn.

use crate::clip::Clip;
use crate::cpu::Cpu;
use crate::error::Error;
use crate::ffmpeg::Ffmpeg;
use crate::judge::Quality;
use crate::ours::{Encoded, Ours};
use crate::peers::{Input, Peer, unloaded};
use crate::setting::Setting;
use crate::sizes::Sizes;
use doorframe_codec::AccessUnit;
use doorframe_codec::units::{Bitrate, FrameRate, Size};
use std::path::Path;

/// One of all encoders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    /// Of Doorframe's codec.
    Ours(Ours),
    /// Of ffmpeg.
    Peer(Peer),
}

impl Which {
    /// All that are known, ours first.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        let peers = Peer::ALL.iter().copied().map(Self::Peer);
        Ours::ALL.iter().copied().map(Self::Ours).chain(peers)
    }

    /// Its name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ours(ours) => ours.name(),
            Self::Peer(peer) => peer.name(),
        }
    }

    /// Whether it is one of ours.
    pub(crate) fn is_ours(self) -> bool {
        matches!(self, Self::Ours(_))
    }
}

/// What all encoders get.
#[derive(Clone, Debug)]
pub(crate) struct Task {
    /// Who encodes.
    pub(crate) encoders: Vec<Which>,
    /// Targets.
    pub(crate) bitrates: Vec<Bitrate>,
    /// Pictures between keyframes; 0 for one keyframe.
    pub(crate) gop: u32,
    /// Threads to encode with.
    pub(crate) threads: u8,
    /// How often all is encoded, each time one encoder after the other; the cost is the median.
    pub(crate) rounds: u32,
}

/// One encoder on one clip at one rate.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    /// Who encoded.
    pub(crate) encoder: Which,
    /// Bits a second that were asked for.
    pub(crate) target: Bitrate,
    /// Processor time.
    pub(crate) cpu: Cpu,
    /// Sizes of its units.
    pub(crate) sizes: Sizes,
    /// Likeness of its pictures.
    pub(crate) quality: Quality,
    /// Bytes of each unit.
    pub(crate) lengths: Vec<usize>,
}

/// All that was measured on one clip.
#[derive(Clone, Debug)]
pub(crate) struct Comparison {
    /// The clip's name.
    pub(crate) clip: String,
    /// Its size.
    pub(crate) size: Size,
    /// Its rate.
    pub(crate) rate: FrameRate,
    /// Its pictures.
    pub(crate) pictures: usize,
    /// By rate, then by encoder.
    pub(crate) rows: Vec<Row>,
    /// What an encoder of another make could not do.
    pub(crate) notes: Vec<String>,
}

/// What became of one row so far.
struct Run {
    encoder: Which,
    target: Bitrate,
    units: Vec<AccessUnit>,
    costs: Vec<Cpu>,
    failed: bool,
}

impl Task {
    /// Runs it on one clip; `tell` is told how far it is. Files are written to the folder `scratch` alone.
    ///
    /// # Errors
    /// If one of ours fails, or a file cannot be written. A peer that fails is left out, with a note.
    pub(crate) fn run(
        &self,
        clip: &Clip,
        ffmpeg: Option<&Ffmpeg>,
        scratch: &Path,
        tell: &mut dyn FnMut(&str),
    ) -> Result<Comparison, Error> {
        let no_picture = || Error::NoPicture { path: clip.name.clone().into(), why: "it is empty".to_owned() };
        let size = clip.size().ok_or_else(no_picture)?;
        let y4m = scratch.join("source.y4m");
        if ffmpeg.is_some() {
            clip.write(&y4m)?;
        }
        let mut notes = Vec::new();
        let mut runs: Vec<_> = self
            .bitrates
            .iter()
            .flat_map(|&target| self.encoders.iter().map(move |&encoder| (target, encoder)))
            .map(|(target, encoder)| Run { encoder, target, units: Vec::new(), costs: Vec::new(), failed: false })
            .collect();
        for round in 1..=self.rounds {
            tell(&format!("{}: round {round} of {}", clip.name, self.rounds));
            let unloaded = match ffmpeg {
                Some(ffmpeg) if self.encoders.iter().any(|encoder| !encoder.is_ours()) => unloaded(ffmpeg, &y4m)?,
                _ => std::time::Duration::ZERO,
            };
            let input = Input { y4m: &y4m, pictures: clip.pictures.len(), unloaded };
            for run in runs.iter_mut().filter(|run| !run.failed) {
                let setting = Setting { rate: clip.rate, bitrate: run.target, gop: self.gop, threads: self.threads };
                match encode(run.encoder, clip, &input, &setting, ffmpeg, scratch) {
                    Ok(encoded) => {
                        run.costs.push(encoded.cpu);
                        run.units = encoded.units;
                    }
                    Err(error) if run.encoder.is_ours() => return Err(error),
                    Err(error) => {
                        run.failed = true;
                        notes.push(format!("{} at {} on {}: {error}", run.encoder.name(), run.target, clip.name));
                    }
                }
            }
        }
        tell(&format!("{}: judging {} streams", clip.name, runs.len()));
        let vmaf = ffmpeg.filter(|ffmpeg| ffmpeg.has_vmaf()).map(|ffmpeg| (ffmpeg, y4m.as_path()));
        let mut rows = Vec::with_capacity(runs.len());
        for run in runs.iter().filter(|run| !run.failed) {
            let name = run.encoder.name();
            let figures = Sizes::of(&run.units, clip.rate, run.target).zip(Cpu::median(&run.costs));
            let judged = Quality::of(&run.units, name, clip, vmaf, scratch);
            match (figures, judged) {
                (Some((sizes, cpu)), Ok(quality)) => {
                    let lengths = run.units.iter().map(|unit| unit.data.len()).collect();
                    rows.push(Row { encoder: run.encoder, target: run.target, cpu, sizes, quality, lengths });
                }
                (_, Err(error)) if run.encoder.is_ours() => return Err(error),
                (_, Err(error)) => notes.push(format!("{name} at {} on {}: {error}", run.target, clip.name)),
                (None, _) => notes.push(format!("{name} at {} on {}: made no bytes", run.target, clip.name)),
            }
        }
        Ok(Comparison { clip: clip.name.clone(), size, rate: clip.rate, pictures: clip.pictures.len(), rows, notes })
    }
}

fn encode(
    encoder: Which,
    clip: &Clip,
    input: &Input<'_>,
    setting: &Setting,
    ffmpeg: Option<&Ffmpeg>,
    scratch: &Path,
) -> Result<Encoded, Error> {
    match (encoder, ffmpeg) {
        (Which::Ours(ours), _) => ours.encode(&clip.name, &clip.pictures, setting),
        (Which::Peer(peer), Some(ffmpeg)) => peer.encode(ffmpeg, input, setting, scratch),
        (Which::Peer(peer), None) => Err(Error::Peer { peer: peer.name(), what: "needs ffmpeg".to_owned() }),
    }
}
