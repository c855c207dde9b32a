//! The ffmpeg of this machine: where it is, what it can do, and what it says its work cost.

use crate::error::Error;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

/// An ffmpeg that runs.
#[derive(Clone, Debug)]
pub(crate) struct Ffmpeg {
    program: PathBuf,
    version: String,
    encoders: BTreeSet<String>,
    vmaf: bool,
}

impl Ffmpeg {
    /// The one that `$FFMPEG` names; else, of that in `$PATH` and that of the Python package imageio-ffmpeg, the one
    /// that has libvmaf, and if both or none have it the first. `None` if there is none.
    ///
    /// # Errors
    /// If the one that `$FFMPEG` names does not run.
    pub(crate) fn find() -> Result<Option<Self>, Error> {
        if let Some(named) = std::env::var_os("FFMPEG") {
            return Self::at(named.into()).map(Some);
        }
        let mut found: Vec<_> = Self::at("ffmpeg".into()).ok().into_iter().collect();
        found.extend(of_python().and_then(|program| Self::at(program).ok()));
        let best = found.iter().position(|ffmpeg| ffmpeg.vmaf).unwrap_or(0);
        Ok((best < found.len()).then(|| found.swap_remove(best)))
    }

    /// The one at `program`.
    ///
    /// # Errors
    /// If it does not run, or is no ffmpeg.
    fn at(program: PathBuf) -> Result<Self, Error> {
        let ask = |what: &str| output(Command::new(&program).args(["-hide_banner", what]), &program);
        let version = version(&ask("-version")?).ok_or_else(|| Error::Program {
            program: program.clone(),
            what: "is no ffmpeg: it does not tell its version".to_owned(),
        })?;
        let encoders = video_encoders(&ask("-encoders")?);
        let vmaf = ask("-filters")?.lines().any(|line| line.split_whitespace().nth(1) == Some("libvmaf"));
        Ok(Self { program, version, encoders, vmaf })
    }

    /// Its version, as it says it.
    pub(crate) fn version(&self) -> &str {
        &self.version
    }

    /// Whether it has the encoder that it calls `name`.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.encoders.contains(name)
    }

    /// Whether it can judge by VMAF.
    pub(crate) fn has_vmaf(&self) -> bool {
        self.vmaf
    }

    /// Runs it, without an input of its own and without its progress. Gives what it says on the way.
    ///
    /// # Errors
    /// If it fails; with its own last words.
    pub(crate) fn run<I: IntoIterator<Item = impl AsRef<OsStr>>>(&self, arguments: I) -> Result<String, Error> {
        let mut command = Command::new(&self.program);
        command.args(["-hide_banner", "-nostdin", "-nostats", "-y"]).args(arguments);
        output(&mut command, &self.program)
    }
}

/// What `command` writes, both ways of it.
fn output(command: &mut Command, program: &std::path::Path) -> Result<String, Error> {
    let failed = |what| Error::Program { program: program.to_owned(), what };
    let done = command.stdin(Stdio::null()).output().map_err(|error| failed(format!("cannot be run: {error}")))?;
    let text = [done.stdout, done.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    if done.status.success() { Ok(text) } else { Err(failed(format!("failed: {}", last_words(&text)))) }
}

/// The line that says most about a failure: the first that tells of an error, else the last.
fn last_words(text: &str) -> String {
    let lines = || text.lines().map(str::trim).filter(|line| !line.is_empty());
    let error = lines().find(|line| line.contains("rror") || line.contains("Unrecognized"));
    error.or_else(|| lines().next_back()).unwrap_or("it did not say why").chars().take(200).collect()
}

/// Where the Python package imageio-ffmpeg has its own, if it is installed.
fn of_python() -> Option<PathBuf> {
    const ASK: &str = "import imageio_ffmpeg; print(imageio_ffmpeg.get_ffmpeg_exe())";
    let said = Command::new("python3").args(["-c", ASK]).stdin(Stdio::null()).output().ok()?;
    let path = String::from_utf8(said.stdout).ok()?;
    (said.status.success() && !path.trim().is_empty()).then(|| path.trim().into())
}

/// From the text that `-version` gives: its second word of the first line says it.
fn version(text: &str) -> Option<String> {
    let rest = text.strip_prefix("ffmpeg version ")?;
    rest.split_whitespace().next().map(str::to_owned)
}

/// From the list that `-encoders` gives: flags and a name a line, after a line of dashes.
fn video_encoders(text: &str) -> BTreeSet<String> {
    let lines = text.lines().skip_while(|line| !line.trim().starts_with("---")).skip(1);
    let video = lines.filter_map(|line| {
        let mut words = line.split_whitespace();
        words.next().filter(|flags| flags.starts_with('V'))?;
        words.next()
    });
    video.map(str::to_owned).collect()
}

/// What `-benchmark` and `-benchmark_all` say a run cost, as processor time of the whole program.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bench {
    /// From its start to its end.
    pub(crate) all: Option<Duration>,
    /// Of each picture while it was in the encoder, in order.
    pub(crate) pictures: Vec<Duration>,
}

impl Bench {
    /// From what ffmpeg said. It tells of two calls a picture: one that takes the picture and gives its unit, and one
    /// that finds that there is no further unit.
    pub(crate) fn parse(text: &str, pictures: usize) -> Self {
        let lines = || text.lines().filter_map(|line| line.split_once("bench:")).map(|(_, said)| said.trim());
        let all = lines().find_map(|said| {
            let field = |name: &str| {
                let value = said.split_whitespace().find_map(|word| word.strip_prefix(name))?;
                Duration::try_from_secs_f64(value.strip_suffix('s')?.parse().ok()?).ok()
            };
            field("utime=")?.checked_add(field("stime=")?)
        });
        let calls: Vec<_> = lines().filter_map(call).collect();
        let pairs = calls.chunks_exact(2).map(|two| two.iter().sum());
        // Any other number of calls is that of an encoder that holds pictures back: then none of them is one picture's.
        let whole = (pictures * 2..=pictures * 2 + 2).contains(&calls.len());
        Self { all, pictures: if whole { pairs.take(pictures).collect() } else { Vec::new() } }
    }
}

/// `1037 user  1037 sys  2090 real encode_video 0.0`, in microseconds: user and system time.
fn call(said: &str) -> Option<Duration> {
    let mut words = said.split_whitespace();
    let user: u64 = words.next()?.parse().ok()?;
    words.next().filter(|&word| word == "user")?;
    let system: u64 = words.next()?.parse().ok()?;
    words.find(|&word| word == "encode_video")?;
    Some(Duration::from_micros(user.checked_add(system)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENCODERS: &str = "Encoders:
 V..... = Video
 A..... = Audio
 ------
 V....D libx264              libx264 H.264 / AVC / MPEG-4 AVC / MPEG-4 part 10 (codec h264)
 VF...D mjpeg                MJPEG (Motion JPEG)
 A....D aac                  AAC (Advanced Audio Coding)
 S..... ass                  ASS (Advanced SubStation Alpha) subtitle

";

    #[test]
    fn the_list_of_encoders_is_read_without_its_legend() {
        let found: Vec<_> = video_encoders(ENCODERS).into_iter().collect();
        assert_eq!(found, ["libx264", "mjpeg"]);
        assert!(video_encoders("").is_empty());
        assert!(video_encoders("ffmpeg: command not found\n").is_empty());
    }

    #[test]
    fn a_version_is_read_and_another_program_is_none() {
        let debian = "ffmpeg version 5.1.9-0+deb12u1 Copyright (c) 2000-2026 the FFmpeg developers\nbuilt with gcc";
        assert_eq!(version(debian).as_deref(), Some("5.1.9-0+deb12u1"));
        assert_eq!(version("GNU bash, version 5.2"), None);
    }

    #[test]
    fn what_a_run_cost_is_read_by_picture_and_as_a_whole() {
        let text =
            "frame=    1 fps=0.0 speed=3e+04x    bench:       10 user        0 sys       11 real decode_video 0.0 
bench:    10995 user        5 sys    15005 real encode_video 0.0 
bench:       45 user        0 sys       76 real encode_video 0.0 
bench:     2364 user     3226 sys     5654 real encode_video 0.0 
bench:       34 user       14 sys     2473 real encode_video 0.0 
bench:        2 user        1 sys        3 real flush_video 0.0 
bench: utime=0.513s stime=0.072s rtime=0.887s
bench: maxrss=94416KiB
";
        let bench = Bench::parse(text, 2);
        assert_eq!(bench.all, Some(Duration::from_millis(585)));
        assert_eq!(bench.pictures, [11_045, 5_638].map(Duration::from_micros));
        assert!(Bench::parse(text, 7).pictures.is_empty(), "calls of held back pictures tell nothing");
        assert_eq!(Bench::parse("no such line", 2), Bench::default());
    }

    #[test]
    fn a_failure_is_told_in_one_line() {
        let text = "Input #0\n[libaom] Error setting option cpu-used to value 10.\nbench: maxrss=1KiB\n";
        assert_eq!(last_words(text), "[libaom] Error setting option cpu-used to value 10.");
        assert_eq!(last_words("a\nb\n\n"), "b");
        assert_eq!(last_words(""), "it did not say why");
    }

    #[test]
    fn what_is_no_ffmpeg_is_refused_in_words() {
        let missing = Ffmpeg::at("/no/such/ffmpeg".into()).unwrap_err().to_string();
        assert!(missing.starts_with("/no/such/ffmpeg cannot be run: "), "{missing}");
    }
}
