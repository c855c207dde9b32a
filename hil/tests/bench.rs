//! The commands of a bench, with a rig made of software on a real terminal.

#![cfg(target_os = "linux")]

use doorframe_hil_report::{Figure, Outcome, Report};
use doorframe_rig::host::Port;
use doorframe_rig::message::Micros;
use doorframe_rig::simulated::{Sight, Simulated, World};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant, SystemTime};

/// A rig whose photodiode looks at `sight`, on a terminal that lives as long as the test.
fn rig(sight: Sight) -> PathBuf {
    let end = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
    grantpt(&end).and_then(|()| unlockpt(&end)).expect("a terminal of ours");
    let path = ptsname(&end, Vec::new()).expect("its name").into_string().expect("a path");
    // Held open, so that the line is not gone between two programs.
    let held = fs::OpenOptions::new().read(true).write(true).open(&path).expect("its other end");
    std::thread::spawn(move || {
        let (start, mut bench) = (Instant::now(), Simulated::new(World::new(sight)));
        let _held = held;
        loop {
            // It times edges by its own clock: how late this thread is, is not in them.
            bench.advance(Micros(start.elapsed().as_micros() as u64));
            let wait = Timespec { tv_sec: 0, tv_nsec: 1_000_000 };
            let ready = poll(&mut [PollFd::new(&end, PollFlags::IN)], Some(&wait)).unwrap_or(0);
            let mut bytes = [0; 256];
            if ready > 0
                && let Ok(count) = rustix::io::read(&end, &mut bytes)
            {
                bench.send(&bytes[..count]).expect("it takes bytes");
            }
            while let Ok(count @ 1..) = bench.recv(Port::now(&bench), &mut bytes) {
                rustix::io::write(&end, &bytes[..count]).expect("the line is there");
            }
        }
    });
    path.into()
}

fn run(bench: &Path, arguments: &[&str]) -> (i32, String) {
    let program =
        Command::new(env!("CARGO_BIN_EXE_doorframe-hil")).args(arguments).env("DOORFRAME_HIL_BENCH", bench).output();
    let Output { status, stdout, stderr } = program.expect("it runs");
    let text = String::from_utf8_lossy(&stdout).into_owned() + &String::from_utf8_lossy(&stderr);
    (status.code().unwrap_or(-1), text)
}

fn bench() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for name in ["boards", "rigs"] {
        fs::create_dir(folder.path().join(name)).expect("a folder in it");
    }
    folder
}

#[test]
fn glass_to_glass_is_measured_by_a_rig_on_a_terminal() {
    let bench = bench();
    let path = rig(Sight::Screen { delay_us: 9_000, frame_us: 4_166 });
    fs::write(bench.path().join("rigs/desk.toml"), format!("port = \"{}\"\n", path.display())).unwrap();
    let out = bench.path().join("found");
    let glass = ["glass", "--rig", "desk", "--board", "porch", "--flips", "100", "--fps", "240", "--longest", "16"];
    let (code, text) = run(bench.path(), &[&glass[..], &["--out", &out.display().to_string()]].concat());
    assert_eq!(code, 0, "{text}");
    let report: Report = serde_json::from_str(&fs::read_to_string(out.join("report.json")).unwrap()).unwrap();
    let figure = |name| report.outcomes[0].figures.iter().find(|figure| figure.name == name).unwrap().value;
    for (name, wanted) in [("min", 9.0), ("p50", 9.0 + 4.166 / 2.0), ("p95", 9.0 + 4.166 * 0.95)] {
        assert!((figure(name) - wanted).abs() < 0.2, "{name} is {}, not {wanted}\n{text}", figure(name));
    }
    assert!(fs::read_to_string(out.join("report.html")).unwrap().contains("<svg"));
    let (code, text) = run(bench.path(), &[&glass[..], &["--own"]].concat());
    assert_eq!(code, 1);
    assert!(text.contains("p95 is 12.9") && text.contains("not at most 1 ms"), "{text}");
}

#[test]
fn what_is_wrong_with_a_bench_is_said_in_one_sentence() {
    let bench = bench();
    fs::write(bench.path().join("boards/porch.toml"), "usbpath = \"1-1\"\nmodes = [\"MJPG 1280x720@30\"]\n").unwrap();
    fs::write(bench.path().join("boards/yard.toml"), "serial = \"none such\"\nmodes = [\"MJPG 1280x720@30\"]\n")
        .unwrap();
    let (code, text) = run(bench.path(), &["list"]);
    assert_eq!(code, 0);
    assert!(text.contains("boards/porch.toml, line 1: unknown field `usbpath`, expected one of `usb-path`"), "{text}");
    assert!(text.contains("yard  USB serial number none such  not usable: it is not attached"), "{text}");
    let (code, text) = run(bench.path(), &["check", "--board", "porch"]);
    assert_eq!((code, text.lines().count()), (1, 1), "{text}");
    let (code, text) = run(bench.path(), &["glass", "--rig", "desk", "--board", "porch"]);
    assert!(code == 1 && text.contains("cannot read") && text.contains("rigs/desk.toml"), "{text}");
    fs::write(bench.path().join("rigs/desk.toml"), "port = \"/dev/null\"\n").unwrap();
    let (code, text) = run(bench.path(), &["glass", "--rig", "desk", "--board", "porch"]);
    assert!(code == 1 && text.contains("cannot open the rig's port /dev/null"), "{text}");
}

#[test]
fn runs_become_a_baseline_and_two_are_compared() {
    let bench = bench();
    let write = |name: &str, rate: f64| {
        let outcome =
            Outcome::passed("frame-rate", Duration::ZERO).with(Figure::new("rate", rate, "fps").at_least(25.0));
        let mut report = Report::new("porch", "test", SystemTime::UNIX_EPOCH);
        report.outcomes.push(outcome);
        let path = bench.path().join(name);
        fs::write(&path, serde_json::to_string(&report).unwrap()).unwrap();
        path.display().to_string()
    };
    let [a, b, c, bad] = [("a", 30.0), ("b", 29.9), ("c", 30.1), ("bad", 20.0)].map(|(name, rate)| write(name, rate));
    assert_eq!(run(bench.path(), &["baseline", "accept", &a, &b, &c]).0, 0);
    assert!(bench.path().join("baselines/porch.json").exists());
    let (code, text) = run(bench.path(), &["baseline", "accept", &a, &bad]);
    assert!(code == 1 && text.contains("run 2 did not pass"), "{text}");
    let (code, text) = run(bench.path(), &["compare", &a, &bad]);
    assert!(code == 1 && text.contains("-10 fps (-33.3 %), worse"), "{text}");
    assert_eq!(run(bench.path(), &["compare", &a, &b]).0, 0);
    let (code, text) = run(bench.path(), &["compare", &a, "none"]);
    assert!(code == 1 && text.contains("cannot read none"), "{text}");
}
