//! The encoders that ffmpeg brings, each without delay and at a constant bitrate, as a live camera would run it.

use crate::cpu::Cpu;
use crate::error::Error;
use crate::ffmpeg::{Bench, Ffmpeg};
use crate::ours::Encoded;
use crate::setting::Setting;
use crate::stream;
use bytes::Bytes;
use doorframe_codec::access_unit::Codec;
use std::path::Path;
use std::time::Duration;

/// An encoder of ffmpeg with its settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Peer {
    /// x264, preset superfast, its defaults.
    X264Superfast,
    /// x264, preset veryfast, its defaults.
    X264Veryfast,
    /// x264, preset superfast, without what costs PSNR, and with room for four seconds.
    X264SuperfastPsnr,
    /// x264, preset veryfast, without what costs PSNR, and with room for four seconds.
    X264VeryfastPsnr,
    /// libaom in real time, speed 10.
    Libaom,
    /// SVT-AV1 in real time, preset 12.
    SvtAv1,
}

impl Peer {
    /// All that are known.
    pub(crate) const ALL: &[Self] = &[
        Self::X264Superfast,
        Self::X264Veryfast,
        Self::X264SuperfastPsnr,
        Self::X264VeryfastPsnr,
        Self::Libaom,
        Self::SvtAv1,
    ];

    /// Its name in a list of encoders; never changes meaning.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::X264Superfast => "x264-superfast",
            Self::X264Veryfast => "x264-veryfast",
            Self::X264SuperfastPsnr => "x264-superfast-psnr",
            Self::X264VeryfastPsnr => "x264-veryfast-psnr",
            Self::Libaom => "libaom-rt10",
            Self::SvtAv1 => "svtav1-rtc12",
        }
    }

    /// What ffmpeg calls it.
    pub(crate) fn encoder(self) -> &'static str {
        match self {
            Self::X264Superfast | Self::X264Veryfast | Self::X264SuperfastPsnr | Self::X264VeryfastPsnr => "libx264",
            Self::Libaom => "libaom-av1",
            Self::SvtAv1 => "libsvtav1",
        }
    }

    fn codec(self) -> Codec {
        if self.encoder() == "libx264" { Codec::H264 } else { Codec::Av1 }
    }

    /// What it is told, beside its input and output.
    pub(crate) fn flags(self, setting: &Setting) -> Vec<String> {
        let Setting { bitrate, gop, threads, .. } = *setting;
        let bps = bitrate.bps();
        let text = match self {
            Self::X264Superfast => x264("superfast", "zerolatency", bps, 1, gop),
            Self::X264Veryfast => x264("veryfast", "zerolatency", bps, 1, gop),
            Self::X264SuperfastPsnr => x264("superfast", "psnr,zerolatency", bps, 4, gop),
            Self::X264VeryfastPsnr => x264("veryfast", "psnr,zerolatency", bps, 4, gop),
            Self::Libaom => {
                let parameters = "cpu-used=10:deltaq-mode=0:max-intra-rate=300:enable-global-motion=0\
                    :enable-warped-motion=0:enable-obmc=0:enable-ref-frame-mvs=0:enable-palette=0:mode-cost-upd-freq=3\
                    :mv-cost-upd-freq=3:coeff-cost-upd-freq=3";
                let gop = if gop == 0 { 99_999 } else { gop };
                format!(
                    "-usage realtime -cpu-used 8 -lag-in-frames 0 -aq-mode 3 -row-mt {} -minrate {bps} -maxrate {bps} \
                     -bufsize {bps} -g {gop} -keyint_min {gop} -aom-params {parameters}",
                    u8::from(threads > 1)
                )
            }
            Self::SvtAv1 => {
                let gop = if gop == 0 { "-1".to_owned() } else { gop.to_string() };
                format!("-preset 12 -g {gop} -svtav1-params rtc=1:pred-struct=1:rc=2:lookahead=0:scd=0:lp={threads}")
            }
        };
        // SVT-AV1 has its own word for threads.
        let threads = if self == Self::SvtAv1 { String::new() } else { format!(" -threads {threads}") };
        let all = format!("-c:v {} -b:v {bps}{threads} {text}", self.encoder());
        all.split_whitespace().map(str::to_owned).collect()
    }

    /// Encodes a clip by way of a file in the folder `scratch`.
    ///
    /// # Errors
    /// If ffmpeg fails or does not know a setting, or its stream has another number of units than pictures.
    pub(crate) fn encode(
        self,
        ffmpeg: &Ffmpeg,
        clip: &Input<'_>,
        setting: &Setting,
        scratch: &Path,
    ) -> Result<Encoded, Error> {
        let (format, to) = match self.codec() {
            Codec::H264 => ("h264", scratch.join("peer.264")),
            _ => ("ivf", scratch.join("peer.ivf")),
        };
        let flags = self.flags(setting);
        let target = to.display().to_string();
        let said =
            ffmpeg.run(measured(clip.y4m).iter().chain(&flags).map(String::as_str).chain(["-f", format, &target]))?;
        let failed = |what: String| Error::Peer { peer: self.name(), what };
        // ffmpeg goes on without a parameter that the library does not know.
        if let Some(line) = said.lines().find(|line| line.contains("Error parsing option")) {
            return Err(failed(format!("is too old here: {}", line.trim())));
        }
        let file = Bytes::from(std::fs::read(&to).map_err(|error| Error::Read { path: to.clone(), error })?);
        let units = match self.codec() {
            Codec::H264 => stream::h264_units(&file),
            _ => stream::ivf_units(&file).map_err(|error| Error::Clip { path: to, error })?.1,
        };
        if units.len() != clip.pictures {
            return Err(failed(format!("made {} units of {} pictures", units.len(), clip.pictures)));
        }
        let bench = Bench::parse(&said, clip.pictures);
        let all = bench.all.ok_or_else(|| failed("did not tell its processor time".to_owned()))?;
        Ok(Encoded { units, cpu: Cpu::of(all.saturating_sub(clip.unloaded), clip.pictures, &bench.pictures) })
    }
}

/// A clip as ffmpeg gets it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Input<'a> {
    /// Its file.
    pub(crate) y4m: &'a Path,
    /// Its number of pictures.
    pub(crate) pictures: usize,
    /// What ffmpeg costs that does everything but encode.
    pub(crate) unloaded: Duration,
}

/// Settings of x264, with room for so many seconds.
fn x264(preset: &str, tune: &str, bps: u32, seconds: u32, gop: u32) -> String {
    let keyint = if gop == 0 { "infinite".to_owned() } else { format!("{gop}:min-keyint={gop}") };
    let buffer = u64::from(bps) * u64::from(seconds);
    format!("-preset {preset} -tune {tune} -maxrate {bps} -bufsize {buffer} -x264-params keyint={keyint}:scenecut=0")
}

/// What ffmpeg costs that reads the clip and does not encode it.
///
/// # Errors
/// If it fails, or does not tell.
pub(crate) fn unloaded(ffmpeg: &Ffmpeg, y4m: &Path) -> Result<Duration, Error> {
    let said = ffmpeg.run(measured(y4m).iter().map(String::as_str).chain(["-f", "null", "-"]))?;
    Bench::parse(&said, 0).all.ok_or(Error::Peer { peer: "ffmpeg", what: "did not tell its processor time".to_owned() })
}

/// The part of the command that is the same with and without an encoder. Turned around twice, all pictures are read
/// before the first is encoded: else newer versions, which read in a thread of its own, would count reading as encoding.
fn measured(y4m: &Path) -> [String; 9] {
    let y4m = y4m.display().to_string();
    ["-benchmark", "-benchmark_all", "-threads", "1", "-i", &y4m, "-an", "-vf", "reverse,reverse"].map(str::to_owned)
}
