//! A decoder in a process of its own: shows the same, and can do nothing else.
//!
//! Its own `main`, because the process that decodes is this very program, and must be nothing else from its first step on.

#![expect(clippy::unwrap_used, reason = "a test may fail")]
#![expect(clippy::disallowed_methods, reason = "processes end when they end")]

use doorframe_codec::access_unit::{AccessUnit, Codec, Kind};
use doorframe_codec::av1::rav1d::Rav1dDecoder;
use doorframe_codec::av1::rav1e::Rav1eEncoder;
use doorframe_codec::decoder::{DecodeError, Decoder, Fall, Limits, OnDamage, Shown};
use doorframe_codec::encoder::Config;
use doorframe_codec::h264::openh264::{Openh264Decoder, Openh264Encoder};
use doorframe_codec::sandbox::{self, Footage, HOOK, Landlock, Program, SandboxError, Sandboxed};
use doorframe_codec::testing::{Random, Scene};
use doorframe_codec::units::{Bitrate, Color, FrameRate, MediaTime, Size, TemporalLayer};
use doorframe_codec::{Encoder, Picture};
use std::panic::catch_unwind;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

/// Each test by its name, which is the fact it proves.
macro_rules! tests {
    ($($name:ident),* $(,)?) => { &[$((stringify!($name), $name as fn())),*] };
}

const TESTS: &[(&str, fn())] = tests![
    h264_in_the_sandbox_is_bit_identical,
    av1_in_the_sandbox_is_bit_identical,
    a_clip_with_b_frames_comes_out_in_order_and_is_flushed,
    damage_is_told_as_it_is_told_inside,
    limits_hold,
    what_a_child_may_not_do_ends_it,
    a_child_that_wants_too_much_memory_falls,
    a_child_that_takes_too_long_is_ended,
    a_child_that_lies_is_ended,
    a_child_that_is_killed_is_replaced_at_the_next_keyframe,
    a_child_outlives_the_thread_that_made_it_and_not_its_decoder,
    a_child_ends_with_its_parent_even_in_the_middle_of_a_unit,
    damaged_units_never_hang,
    landlock_alone_refuses_files_and_connections,
    what_cannot_be_started_is_told,
];

fn main() -> ExitCode {
    if sandbox::is_asked() {
        return sandbox::serve();
    }
    let wanted = std::env::args().skip(1).find(|argument| !argument.starts_with("--")).unwrap_or_default();
    match wanted.as_str() {
        "only-landlock" => return only_landlock(),
        "spin-and-die" => return spin_and_die(),
        _ => {}
    }
    let chosen: Vec<_> = TESTS.iter().filter(|(name, _)| name.contains(&wanted)).collect();
    let passed = chosen.iter().filter(|(name, test)| passes(name, *test)).count();
    println!("\n{passed} of {} tests passed", chosen.len());
    if passed == chosen.len() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn passes(name: &str, test: fn()) -> bool {
    let began = Instant::now();
    let passed = catch_unwind(test).is_ok();
    println!("test {name} ... {} ({} ms)", if passed { "ok" } else { "FAILED" }, began.elapsed().as_millis());
    passed
}

fn size() -> Size {
    Size::new(320, 176).unwrap()
}

fn config() -> Config {
    let mut config = Config::new(size(), FrameRate::whole(30).unwrap(), Bitrate::from_kbps(600));
    config.threads = 2;
    config
}

/// `count` units of H.264 in two slices each; the last is a keyframe, like the first.
fn h264(count: u64) -> Vec<AccessUnit> {
    let scene = Scene::new(size(), 1);
    let mut encoder = Openh264Encoder::new(config().check().unwrap()).unwrap();
    let unit = |index| {
        let want = if index + 1 == count { Kind::Keyframe } else { Kind::Delta };
        encoder.encode(&scene.picture(index), MediaTime::from_ticks(index * 3000), want).unwrap().unwrap()
    };
    (0..count).map(unit).collect()
}

fn av1(count: u64) -> Vec<AccessUnit> {
    let scene = Scene::new(size(), 2);
    let mut encoder = Rav1eEncoder::new(config().check().unwrap()).unwrap();
    let mut units = Vec::new();
    for index in 0..count {
        let at = MediaTime::from_ticks(index * 3000);
        units.extend(encoder.encode(&scene.picture(index), at, Kind::Delta).unwrap());
    }
    units.extend(Box::new(encoder).finish().unwrap());
    units
}

fn blank() -> Picture {
    Picture::black(Size::new(2, 2).unwrap(), Color::default())
}

fn sandboxed_with(codec: Codec, change: impl FnOnce(&mut sandbox::Config)) -> Sandboxed {
    let mut config = sandbox::Config::new(codec);
    change(&mut config);
    Sandboxed::new(Program::this(), config).unwrap()
}

fn sandboxed(codec: Codec) -> Sandboxed {
    sandboxed_with(codec, |_| ())
}

/// What each unit shows, or why not, with the picture.
fn all(decoder: &mut dyn Decoder, units: &[AccessUnit]) -> Vec<(Result<Shown, DecodeError>, Option<Picture>)> {
    let mut picture = blank();
    let mut all: Vec<_> = Vec::new();
    for unit in units {
        let shown = decoder.decode(unit, &mut picture);
        all.push((shown, shown.is_ok_and(Shown::is_picture).then(|| picture.clone())));
    }
    while decoder.flush(&mut picture).unwrap().is_picture() {
        all.push((Ok(Shown::Picture), Some(picture.clone())));
    }
    all
}

/// A unit that has the child misbehave.
fn hook(how: &str) -> AccessUnit {
    let (codec, kind, layer, at) = (Codec::H264, Kind::Delta, TemporalLayer::BASE, MediaTime::default());
    AccessUnit { codec, kind, layer, size: size(), at, data: [HOOK, how.as_bytes()].concat().into() }
}

fn h264_in_the_sandbox_is_bit_identical() {
    let units = h264(10);
    let mut sandboxed = sandboxed(Codec::H264);
    let name = sandboxed.name();
    assert!(name.starts_with("openh264 ") && name.contains(" in a process of its own (seccomp"), "{name}");
    let inside = all(&mut Openh264Decoder::new(Limits::default()), &units);
    assert_eq!(inside.iter().filter(|(shown, _)| *shown == Ok(Shown::Picture)).count(), 10);
    assert!(all(&mut sandboxed, &units) == inside);
}

fn av1_in_the_sandbox_is_bit_identical() {
    let units = av1(10);
    for threads in [2, 4] {
        let inside = all(&mut Rav1dDecoder::with_threads(Limits::default(), threads), &units);
        assert_eq!(inside.iter().filter(|(shown, _)| *shown == Ok(Shown::Picture)).count(), 10);
        assert!(all(&mut sandboxed_with(Codec::Av1, |config| config.threads = threads), &units) == inside);
    }
}

fn a_clip_with_b_frames_comes_out_in_order_and_is_flushed() {
    let clip = bytes::Bytes::from_static(include_bytes!("../testdata/bframes.h264"));
    let unit = |data| AccessUnit { data, ..hook("") };
    let units: Vec<_> = doorframe_codec::clip::annexb::access_units(&clip).map(unit).collect();
    let inside = all(&mut Openh264Decoder::for_clips(Limits::default()), &units);
    assert_eq!(inside.iter().filter(|(_, picture)| picture.is_some()).count(), 6);
    let mut sandboxed = sandboxed_with(Codec::H264, |config| config.footage = Footage::Clip);
    for _ in 0..2 {
        assert!(all(&mut sandboxed, &units) == inside);
        sandboxed.reset();
    }
}

fn damage_is_told_as_it_is_told_inside() {
    let mut units = h264(8);
    let half = units[2].data.len() / 2;
    units[2].data.truncate(half);
    units.remove(4);
    for on_damage in [OnDamage::Wait, OnDamage::Conceal] {
        let inside = all(&mut Openh264Decoder::new(Limits::default()).on_damage(on_damage), &units);
        let concealed = inside.iter().any(|(shown, _)| *shown == Ok(Shown::Concealed));
        assert_eq!(concealed, on_damage == OnDamage::Conceal);
        assert_eq!(inside.last().unwrap().0, Ok(Shown::Picture), "the keyframe heals");
        assert!(all(&mut sandboxed_with(Codec::H264, |config| config.on_damage = on_damage), &units) == inside);
    }
}

fn limits_hold() {
    let unit = h264(1).remove(0);
    let mut picture = blank();
    let mut decoder = sandboxed_with(Codec::H264, |config| config.limits.pixels = size().pixels() - 1);
    assert_eq!(decoder.decode(&unit, &mut picture), Err(DecodeError::PictureTooLarge(size())));
    let mut decoder = sandboxed_with(Codec::H264, |config| config.limits.unit_bytes = 100);
    assert_eq!(decoder.decode(&unit, &mut picture), Err(DecodeError::UnitTooLarge(unit.data.len())));
    let other = AccessUnit { codec: Codec::Av1, ..unit };
    assert!(matches!(decoder.decode(&other, &mut picture), Err(DecodeError::Codec { .. })));
}

/// What a decoder that worked says when its child misbehaves; it must be gone then, and another work.
fn over(how: &str, change: impl FnOnce(&mut sandbox::Config)) -> DecodeError {
    let units = h264(2);
    let mut decoder = sandboxed_with(Codec::H264, change);
    let mut picture = blank();
    assert_eq!(decoder.decode(&units[0], &mut picture), Ok(Shown::Picture));
    let first = decoder.process().unwrap();
    let error = decoder.decode(&hook(how), &mut picture).unwrap_err();
    assert_eq!(decoder.process(), None, "{how}: the process is let go");
    assert!(!is_alive(first), "{how}: and gone");
    assert_eq!(decoder.decode(&hook("nothing"), &mut picture), Err(DecodeError::NeedsKeyframe));
    assert_eq!(decoder.decode(&units[1], &mut picture), Ok(Shown::Picture), "{how}: a keyframe starts another");
    error
}

fn is_alive(process: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    // Its state comes after its name; a zombie is alive no more.
    status.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

fn what_a_child_may_not_do_ends_it() {
    const SIGSYS: i32 = 31;
    for how in ["open", "connect", "send", "start", "thread", "execute"] {
        let error = over(how, |_| ());
        assert_eq!(error, DecodeError::Fell(Fall::Signal(SIGSYS)), "{how}");
        assert_eq!(error.to_string(), "decoder's process fell: signal 31, a system call that it may not make");
    }
    assert_eq!(over("panic", |_| ()), DecodeError::Fell(Fall::Exit(101)));
}

fn a_child_that_wants_too_much_memory_falls() {
    const SIGABRT: i32 = 6;
    for memory in [sandbox::Config::LEAST_MEMORY, 512 << 20] {
        let error = over("hoard", |config| config.memory = memory);
        assert_eq!(error, DecodeError::Fell(Fall::Signal(SIGABRT)), "allocation fails, and Rust aborts");
    }
}

fn a_child_that_takes_too_long_is_ended() {
    let time = Duration::from_millis(400);
    for how in ["spin", "drip"] {
        let began = Instant::now();
        assert_eq!(over(how, |config| config.time = time), DecodeError::TimedOut(time), "{how}");
        assert!(began.elapsed() >= time, "{how}");
    }
}

fn a_child_that_lies_is_ended() {
    for how in ["lie", "huge"] {
        assert_eq!(over(how, |_| ()), DecodeError::Lied, "{how}");
    }
}

fn a_child_that_is_killed_is_replaced_at_the_next_keyframe() {
    let units = h264(4);
    let mut decoder = sandboxed(Codec::H264);
    let mut picture = blank();
    assert_eq!(decoder.decode(&units[0], &mut picture), Ok(Shown::Picture));
    let process = decoder.process().unwrap();
    assert!(Command::new("kill").args(["-9", &process.to_string()]).status().unwrap().success());
    assert_eq!(decoder.decode(&units[1], &mut picture), Err(DecodeError::Fell(Fall::Signal(9))));
    assert_eq!(decoder.decode(&units[2], &mut picture), Err(DecodeError::NeedsKeyframe));
    assert_eq!(decoder.decode(&units[3], &mut picture), Ok(Shown::Picture));
    assert_ne!(decoder.process().unwrap(), process);
}

fn a_child_outlives_the_thread_that_made_it_and_not_its_decoder() {
    let unit = h264(1).remove(0);
    let mut decoder = std::thread::spawn(|| sandboxed(Codec::H264)).join().unwrap();
    std::thread::sleep(Duration::from_millis(50));
    let process = decoder.process().unwrap();
    assert_eq!(decoder.decode(&unit, &mut blank()), Ok(Shown::Picture));
    assert_eq!(decoder.process(), Some(process), "the same process");
    drop(decoder);
    assert!(!is_alive(process));
}

/// Another run of this program, that dies while its child spins and has printed the child's number.
fn spin_and_die() -> ExitCode {
    let mut decoder = sandboxed_with(Codec::H264, |config| config.time = Duration::from_secs(60));
    println!("{}", decoder.process().unwrap());
    assert_eq!(decoder.decode(&h264(1)[0], &mut blank()), Ok(Shown::Picture));
    std::thread::spawn(|| {
        std::thread::sleep(Duration::from_millis(200));
        std::process::abort();
    });
    panic!("{:?}", decoder.decode(&hook("spin"), &mut blank()));
}

fn a_child_ends_with_its_parent_even_in_the_middle_of_a_unit() {
    let output = Command::new(std::env::current_exe().unwrap()).arg("spin-and-die").output().unwrap();
    assert_eq!(output.status.code(), None, "it died by its own hand: {output:?}");
    let child: u32 = String::from_utf8(output.stdout).unwrap().trim().parse().unwrap();
    let began = Instant::now();
    while is_alive(child) {
        assert!(began.elapsed() < Duration::from_secs(5), "process {child} still runs");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn damaged_units_never_hang() {
    let mut random = Random::new(11);
    for (codec, good) in [(Codec::H264, h264(4)), (Codec::Av1, av1(4))] {
        let mut decoder = sandboxed(codec);
        let (mut picture, mut refused) = (blank(), 0);
        for _ in 0..60 {
            for unit in &good {
                let mut data = unit.data.to_vec();
                for _ in 0..=random.below(6) {
                    let at = random.below(data.len() as u32) as usize;
                    data[at] = random.below(256) as u8;
                }
                data.truncate(data.len() - random.below(data.len() as u32 / 8) as usize);
                let shown = decoder.decode(&AccessUnit { data: data.into(), ..unit.clone() }, &mut picture);
                assert!(!matches!(shown, Err(DecodeError::TimedOut(_) | DecodeError::Lied)), "{shown:?} with seed 11");
                refused += u32::from(shown.is_err());
            }
        }
        assert!(refused > 60, "{codec:?}: {refused} of 240 units were refused");
        assert_eq!(decoder.decode(&good[0], &mut picture), Ok(Shown::Picture), "a keyframe heals");
    }
}

/// Another run of this program: what landlock does where seccomp is not asked first.
fn only_landlock() -> ExitCode {
    use std::io::ErrorKind::PermissionDenied;
    use std::net::{TcpListener, TcpStream};

    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    assert!(TcpStream::connect(address).is_ok() && std::fs::File::open("/etc/passwd").is_ok());
    let landlock = sandbox::land().unwrap();
    println!("{landlock:?}");
    if landlock != Landlock::None {
        assert_eq!(std::fs::File::open("/etc/passwd").unwrap_err().kind(), PermissionDenied);
        assert_eq!(std::fs::read_dir("/").unwrap_err().kind(), PermissionDenied);
        assert!(Command::new("/bin/true").status().is_err());
    }
    if landlock == Landlock::Full {
        assert_eq!(TcpStream::connect(address).unwrap_err().kind(), PermissionDenied);
        assert_eq!(TcpListener::bind("127.0.0.1:0").unwrap_err().kind(), PermissionDenied);
    }
    ExitCode::SUCCESS
}

fn landlock_alone_refuses_files_and_connections() {
    let output = Command::new(std::env::current_exe().unwrap()).arg("only-landlock").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said = sandboxed(Codec::H264).protections().unwrap().landlock;
    assert_eq!(String::from_utf8(output.stdout).unwrap().trim(), format!("{said:?}"), "the decoder says what holds");
}

fn what_cannot_be_started_is_told() {
    let config = sandbox::Config::new(Codec::H264);
    let start = |path: &str| {
        let program = Program { path: path.into(), arguments: Vec::new() };
        Sandboxed::new(program, config).err().unwrap().to_string()
    };
    assert_eq!(start("/nowhere/doorframe"), "decoder's process does not start: entity not found");
    assert_eq!(start("/bin/true"), "decoder's process fell: exit status 0");
    let mut few = config;
    few.memory = 1 << 20;
    let error = Sandboxed::new(Program::this(), few).err().unwrap();
    assert_eq!(error, SandboxError::Memory(1 << 20));
    assert_eq!(error.to_string(), "1048576 bytes of memory are too few for a decoder's process, 134217728 will do");
}
