//! The whole list of checks on a board made of software, on a real Linux kernel with its own drivers.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test may fail")]

use doorframe_hil_report::{Report, Verdict};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// One machine at a time: each keeps a processor busy.
static ONE: Mutex<()> = Mutex::new(());

/// The command that runs a machine, if that is wanted and can be; else a clear word that it is not.
///
/// A machine in software takes minutes and two quiet cores to judge frame rates by: it runs where it is asked for.
fn machine() -> Option<(Command, MutexGuard<'static, ()>)> {
    if std::env::var_os("DOORFRAME_HIL_VM").is_none() {
        // Past what the test runner holds back: nobody shall take this for a pass.
        let _said = writeln!(
            std::io::stderr(),
            "NOT RUN: DOORFRAME_HIL_VM=1 boots a kernel in QEMU and checks the virtual board on it, in some minutes"
        );
        return None;
    }
    let missing: Vec<_> =
        ["qemu-system-x86_64", "apt-get", "dpkg-deb"].into_iter().filter(|name| !is_there(name)).collect();
    assert!(missing.is_empty(), "on Debian, install the package qemu-system-x86: there is no {}", missing.join(", "));
    let mut command = Command::new(env!("CARGO_BIN_EXE_doorframe-hil"));
    command.arg("vm");
    Some((command, ONE.lock().unwrap_or_else(PoisonError::into_inner)))
}

fn is_there(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// A folder of this test run, empty.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("vm").join(name);
    let _none = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn every_check_passes_on_the_virtual_board() {
    let Some((mut machine, _alone)) = machine() else { return };
    let out = folder("whole");
    let output = machine.args(["--bulk", "--seconds", "3", "--out"]).arg(&out).output().unwrap();
    let said = said(&output);
    assert!(output.status.success(), "{said}");
    let report: Report = serde_json::from_slice(&std::fs::read(out.join("report.json")).unwrap()).unwrap();
    let not_run: Vec<_> = report
        .outcomes
        .iter()
        .filter(|outcome| !matches!(outcome.verdict, Verdict::Passed))
        .map(|outcome| format!("{}: {}", outcome.check, outcome.verdict))
        .collect();
    assert_eq!(not_run, ["fault-iso-errors: not run: it needs a board that sends isochronously"], "{said}");
    assert!(out.join("junit.xml").is_file() && out.join("report.html").is_file());
    for outcome in &report.outcomes {
        assert_eq!(outcome.plan.is_some(), outcome.check.starts_with("fault-"), "{}: its plan is told", outcome.check);
    }
}

#[test]
fn a_board_that_is_broken_fails_its_checks_and_leaves_what_the_bus_carried() {
    let Some((mut machine, _alone)) = machine() else { return };
    let out = folder("broken");
    let plan = out.join("plan.toml");
    std::fs::write(&plan, "seed = 7\nfault = [{ when = { per-thousand = 300 }, what = \"error-bit\" }]\n").unwrap();
    let output = machine.args(["--check", "frame-rate", "--seconds", "2", "--plan"]).arg(&plan);
    let output = output.arg("--out").arg(&out).output().unwrap();
    let said = said(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    let report: Report = serde_json::from_slice(&std::fs::read(out.join("report.json")).unwrap()).unwrap();
    let Verdict::Failed { why } = &report.outcomes[0].verdict else { panic!("{said}") };
    assert!(why.contains("lost in the kernel"), "{why}");
    assert_eq!(report.outcomes[0].attachments, ["console.log", "camera.pcap", "rig.pcap"].map(PathBuf::from));
    let console = std::fs::read_to_string(out.join("console.log")).unwrap();
    assert!(console.contains("Found UVC 1.10 device Virtual Camera Board"), "{console}");
    // The magic of a capture file.
    let capture = std::fs::read(out.join("camera.pcap")).unwrap();
    assert!(capture.starts_with(&0xa1b2_c3d4_u32.to_le_bytes()) && capture.len() > 10_000, "{} bytes", capture.len());
}

#[test]
fn nothing_is_left_behind_by_a_run_that_is_interrupted() {
    let Some((mut machine, _alone)) = machine() else { return };
    let temporary = folder("interrupted");
    let started = Instant::now();
    let mut run = machine
        .args(["--check", "frame-rate", "--seconds", "600"])
        .env("TMPDIR", &temporary)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let sockets = || std::fs::read_dir(&temporary).unwrap().flatten().map(|entry| entry.path().join("camera"));
    let child = loop {
        let children = format!("/proc/{0}/task/{0}/children", run.id());
        let child = std::fs::read_to_string(children).unwrap_or_default().trim().to_owned();
        if !child.is_empty() && sockets().any(|socket| socket.exists()) {
            break child;
        }
        assert!(started.elapsed() < Duration::from_secs(120) && run.try_wait().unwrap().is_none(), "it did not start");
        std::thread::sleep(Duration::from_millis(50));
    };
    let killed = Command::new("kill").args(["-INT", &run.id().to_string()]).status().unwrap();
    assert!(killed.success());
    assert_eq!(run.wait().unwrap().code(), Some(1));
    assert!(!Path::new("/proc").join(&child).exists(), "QEMU is still there");
    assert_eq!(std::fs::read_dir(&temporary).unwrap().count(), 0, "its folder is still there");
}
