//! Command line.

mod camera;
mod demo;
mod devices;
mod export;
mod from;
mod grant;
mod granted;
mod grants;
mod hub;
mod join;
mod list;
mod open;
mod page;
mod pair;
mod play;
mod protect;
mod recordings;
mod recover;
mod save;
mod status;
mod verify;
mod version;
mod watch;

use clap::builder::TypedValueParser;
use clap::error::ErrorKind;
use clap::{Args, Parser, Subcommand};
use doorframe::camera::{CameraConfig, CameraError, Denoise, FrontConfig, Watch};
use doorframe::codec::denoise::Strength;
use doorframe::codec::mask::{Mask, Polygon};
use doorframe::codec::motion::{self, Sensitivity};
use doorframe::codec::overlay::{Clock, Corner, UtcOffset};
use doorframe::codec::units::{Bitrate, FrameRate, Size};
use doorframe::codec::zones::Zones;
use doorframe::encoder::EncoderChoice;
use doorframe::link::{Alias, LinkError};
#[cfg(target_os = "linux")]
use doorframe::sensor::Decoding;
use doorframe::sensor::{Source, SourceError, Wanted};
use doorframe::transport::identity::SigningKey;
use std::ffi::OsStr;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;

/// Live video from your own door that only you can open.
#[derive(Debug, Parser)]
#[command(version, about, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Camera, hub and page in one program: your own camera live in a browser.
    Demo(demo::Demo),
    /// Relay sealed video between cameras and viewers. It can read nothing.
    Hub(hub::HubCommand),
    /// Encode, seal and publish a camera through a hub.
    Camera(camera::CameraCommand),
    /// Pair with a camera that shows its QR code: from then on your devices may watch it, and nobody else.
    Pair(pair::PairCommand),
    /// Make this device one of a home's, by the invitation of an owner.
    Join(join::JoinCommand),
    /// Make this device an owner by the recovery key: 24 words on paper, where all owners' devices were lost.
    Recover(recover::RecoverCommand),
    /// Who may watch: show the home's devices, add and remove them.
    Devices(devices::DevicesCommand),
    /// Watch in this terminal: statistics, and the video saved to a file.
    Watch(watch::Watch),
    /// Watch in a browser: serves the page on this machine and opens it.
    Page(page::PageCommand),
    /// List what a hub has recorded.
    List(list::List),
    /// Play recordings in this terminal, or save them as they were coded.
    Play(play::Play),
    /// Write recordings to an MP4, and beside it what proves where it is from.
    Export(export::Export),
    /// Hand exactly some recordings to somebody, as one file and its key.
    Grant(grant::Grant),
    /// List all that this device ever handed out.
    Grants(grants::Grants),
    /// Open a file that was handed over.
    Open(open::Open),
    /// Say what a film, a file that was handed over, or a copied store proves.
    Verify(verify::Verify),
    /// Keep a span of recordings from being let go for its age or for room.
    Protect(protect::Protect),
    /// Say what this program is made of, and how fast it can be here.
    Version(version::Version),
}

impl Command {
    /// Whether keys that open or sign something are in this program's memory.
    fn holds_keys(&self) -> bool {
        !matches!(self, Self::Hub(_) | Self::Protect(_) | Self::Version(_))
    }
}

/// What a camera takes from the command line.
#[derive(Debug, Args)]
struct CameraArgs {
    /// Where pictures come from: v4l2:/dev/video0, v4l2, rtsp://USER:PASSWORD@HOST/PATH (a camera on the network that gives
    /// H.264), clip:FILE (H.264, IVF AV1, y4m, MJPEG) or pattern. Default: the first camera of this machine, else a built-in
    /// clip.
    #[arg(long, value_name = "SOURCE", value_parser = SourceParser)]
    source: Option<Source>,
    /// Who codes the pictures: auto, openh264, m2m or m2m:/dev/videoN (an encoder of this machine), or as-is, which seals what the source has coded itself, undecoded.
    #[arg(long, value_name = "ENCODER", default_value_t)]
    encoder: EncoderChoice,
    /// Name of the camera at the hub.
    #[arg(long, value_name = "NAME", default_value = "front-door")]
    name: Alias,
    /// Most kbit/s; the link may make it less.
    #[arg(long, value_name = "KBIT/S", default_value_t = 1500, value_parser = clap::value_parser!(u32).range(30..=100_000))]
    bitrate: u32,
    /// Size and rate to ask the camera for.
    #[arg(long, value_name = "WxH@FPS", default_value = "1280x720@30", value_parser = parse_wanted)]
    size: Wanted,
    /// Threads to encode with; the default is 2, or 1 on a machine with one core.
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..=16))]
    threads: Option<u8>,
    /// A zone that never leaves the camera, as corners from 0,0 (top left) to 1,1: "0,0 0.4,0 0.4,0.5". May be given several times.
    #[arg(long, value_name = "POLYGON")]
    mask: Vec<Polygon>,
    /// A zone in which motion counts, likewise. Without any it is the whole picture.
    #[arg(long, value_name = "POLYGON")]
    motion_zone: Vec<Polygon>,
    /// More zones, from a file with a line each: watch POLYGON, or mask POLYGON.
    #[arg(long, value_name = "FILE")]
    zones: Option<PathBuf>,
    /// How little is taken for motion: 1 to 100. The default is 50.
    #[arg(long, value_name = "PERCENT", value_parser = parse_sensitivity)]
    sensitivity: Option<Sensitivity>,
    /// Take the sensor's noise out before it costs bits: on, off, or auto, which is on in the dark. Some 2 ms of delay at 1280x720.
    #[arg(long, value_name = "WHEN", default_value = "auto", value_parser = parse_denoise)]
    denoise: Denoise,
    /// Burn a clock into the picture, in UTC or with an offset: --clock, --clock=+05:30.
    #[arg(long, value_name = "OFFSET", num_args = 0..=1, require_equals = true, default_missing_value = "UTC")]
    clock: Option<UtcOffset>,
    /// Where the clock stands: top-left, top-right, bottom-left or bottom-right.
    #[arg(long, value_name = "CORNER", default_value = "top-left", requires = "clock")]
    clock_corner: Corner,
}

/// Reads a source. Unlike clap by itself, it does not cite what is none: there may be a password in it.
#[derive(Clone)]
struct SourceParser;

impl TypedValueParser for SourceParser {
    type Value = Source;

    fn parse_ref(&self, command: &clap::Command, _: Option<&clap::Arg>, text: &OsStr) -> Result<Source, clap::Error> {
        let source = text.to_str().ok_or_else(|| "this is no text".to_owned());
        let source = source.and_then(|text| text.parse().map_err(|error: SourceError| error.to_string()));
        source
            .map_err(|why| clap::Error::raw(ErrorKind::ValueValidation, format!("--source: {why}\n")).with_cmd(command))
    }
}

fn parse_sensitivity(text: &str) -> Result<Sensitivity, String> {
    let sensitivity = text.parse().ok().and_then(Sensitivity::new);
    sensitivity.ok_or_else(|| format!("{text:?} is not a sensitivity from 1 to 100"))
}

fn parse_denoise(text: &str) -> Result<Denoise, String> {
    match text {
        "auto" => Ok(Denoise::Auto),
        "off" => Ok(Denoise::Off),
        "on" => Ok(Denoise::On(Strength::NORMAL)),
        _ => Err(format!("{text:?} is not on, off or auto")),
    }
}

fn parse_wanted(text: &str) -> Result<Wanted, String> {
    let wrong = || format!("{text:?} is not a size and rate like 1280x720@30");
    let (size, rate) = text.split_once('@').unwrap_or((text, "30"));
    let (width, height) = size.split_once('x').ok_or_else(wrong)?;
    let size = Size::new(width.parse().map_err(|_| wrong())?, height.parse().map_err(|_| wrong())?);
    let rate = FrameRate::whole(rate.parse().map_err(|_| wrong())?);
    Ok(Wanted { size: size.ok_or_else(wrong)?, rate: rate.ok_or_else(wrong)? })
}

impl CameraArgs {
    fn config(
        self,
        identity: SigningKey,
        devices: Vec<doorframe::transport::identity::DevicePublicKey>,
        device_secret: [u8; 32],
    ) -> Result<CameraConfig, Failure> {
        let front = self.front()?;
        let source = self.source.unwrap_or_else(Source::default_for_this_machine);
        let mut config = CameraConfig::new(source, identity, devices, device_secret);
        config.alias = self.name;
        config.encoder = self.encoder;
        config.bitrate = Bitrate::from_kbps(self.bitrate);
        config.wanted = self.size;
        #[cfg(target_os = "linux")]
        if doorframe::codec::sandbox::SUPPORTED {
            // `main` knows the part.
            config.decoding = Decoding::Apart(doorframe::codec::sandbox::Program::this());
        }
        if let Some(threads) = self.threads {
            config.threads = threads;
        }
        config.front = front;
        Ok(config)
    }

    fn front(&self) -> Result<FrontConfig, Failure> {
        let mut zones = self.zones.as_deref().map_or(Ok(Zones::default()), read_zones)?;
        zones.mask.extend_from_slice(&self.mask);
        zones.watch.extend_from_slice(&self.motion_zone);
        let is_asked = !zones.watch.is_empty() || self.sensitivity.is_some();
        let mut motion = motion::Config::default();
        motion.zones = zones.watch;
        motion.sensitivity = self.sensitivity.unwrap_or(motion.sensitivity);
        let motion = motion.check().map_err(Failure::of)?;
        let mut front = FrontConfig::default();
        front.mask = Some(Mask::new(zones.mask).map_err(Failure::of)?);
        front.motion = if is_asked { Watch::On(motion) } else { Watch::Auto(motion) };
        front.denoise = self.denoise;
        front.clock = self.clock.map(|offset| Clock { corner: self.clock_corner, offset });
        Ok(front)
    }
}

fn read_zones(path: &Path) -> Result<Zones, Failure> {
    let failed =
        |error: &dyn std::fmt::Display| Failure(format!("cannot use the zones in {}: {error}", path.display()));
    let file = std::fs::File::open(path).map_err(|error| failed(&error))?;
    let mut bytes = Vec::new();
    file.take(Zones::MAX_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(|error| failed(&error))?;
    Zones::parse(&bytes).map_err(|error| failed(&error))
}

/// How a run ends and what it leaves.
#[derive(Debug, Args)]
struct ReportArgs {
    /// End after this many seconds.
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    seconds: Option<u64>,
    /// Write what was measured to this file, as JSON.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
}

impl ReportArgs {
    fn seconds(&self) -> Option<Duration> {
        self.seconds.map(Duration::from_secs)
    }
}

/// Why the program ends without having done its work: one sentence for a person.
#[derive(Debug)]
struct Failure(String);

impl Failure {
    /// From an error that is a sentence already.
    fn of(error: impl std::error::Error) -> Self {
        Self(error.to_string())
    }
}

impl From<CameraError> for Failure {
    fn from(error: CameraError) -> Self {
        Self::of(error)
    }
}

/// A link from the command line or, for `-`, from the standard input. An error says what is wrong with it, never what is in it.
fn read_link<L: FromStr<Err = LinkError>>(text: &str) -> Result<L, Failure> {
    if text != "-" {
        return text.parse().map_err(Failure::of);
    }
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).map_err(Failure::of)?;
    line.parse().map_err(Failure::of)
}

pub(crate) fn run() -> ExitCode {
    // Quiet by default: what a person has to know is printed, not logged.
    let filter = tracing_subscriber::EnvFilter::try_from_env("DOORFRAME_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("error,doorframe=warn,doorframe_transport=warn"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let cli = Cli::parse();
    if cli.command.holds_keys() {
        let guard = doorframe::guard::Guard::set();
        tracing::info!(%guard, "keys in memory");
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    let result = runtime.block_on(async {
        match cli.command {
            Command::Demo(demo) => demo.run().await,
            Command::Hub(hub) => hub.run().await,
            Command::Camera(camera) => camera.run().await,
            Command::Pair(pair) => pair.run().await,
            Command::Join(join) => join.run().await,
            Command::Recover(recover) => recover.run().await,
            Command::Devices(devices) => devices.run().await,
            Command::Watch(watch) => watch.run().await,
            Command::Page(page) => page.run().await,
            Command::List(list) => list.run().await,
            Command::Play(play) => play.run().await,
            Command::Export(export) => export.run().await,
            Command::Grant(grant) => grant.run().await,
            Command::Grants(grants) => grants.run(),
            Command::Open(open) => open.run().await,
            Command::Verify(verify) => verify.run().await,
            Command::Protect(protect) => protect.run().await,
            Command::Version(version) => version.run(),
        }
    });
    // A thread that hangs in a driver must not keep the program from ending.
    runtime.shutdown_timeout(Duration::from_millis(300));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure(words)) => {
            eprintln!("error: {words}");
            ExitCode::FAILURE
        }
    }
}
