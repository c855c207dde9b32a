//! The program itself, on a clip made here, with our own encoder alone: as on a machine without ffmpeg.

#![expect(clippy::unwrap_used, reason = "a test may fail")]

use doorframe_codec::clip::y4m;
use doorframe_codec::testing::Scene;
use doorframe_codec::units::{Color, FrameRate, Size};
use std::path::Path;
use std::process::{Command, Output};

/// The program with these arguments, where no ffmpeg can be found.
fn quality(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_doorframe-quality"))
        .args(arguments)
        .current_dir(folder)
        .env("PATH", folder)
        .env_remove("FFMPEG")
        .output()
        .unwrap()
}

fn write_clip(path: &Path, width: u32, height: u32) {
    let size = Size::new(width, height).unwrap();
    let scene = Scene::new(size, 11);
    let header = y4m::Header { size, rate: FrameRate::whole(30).unwrap(), color: Color::default() };
    let mut file = header.emit();
    for n in 0..10 {
        file.extend(y4m::FRAME_HEADER);
        file.extend(scene.picture(n).samples());
    }
    std::fs::write(path, file).unwrap();
}

/// What it says when it refuses.
fn refusal(output: &Output) -> String {
    assert!(!output.status.success());
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn our_encoder_alone_gives_a_table_a_file_of_values_and_a_page() {
    let folder = tempfile::tempdir().unwrap();
    write_clip(&folder.path().join("scene.y4m"), 96, 64);
    let arguments = ["scene.y4m", "--rates", "400,100", "--encoders", "openh264", "--rounds", "1", "--out", "found"];
    let output = quality(folder.path(), &arguments);
    let (said, told) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{told}");
    assert!(said.contains("scene: 96x64 at 30 fps, 10 pictures"), "{said}");
    assert!(said.contains("note: VMAF is left out"), "{said}");
    assert!(said.contains("note: no BD-rate on scene: x264-veryfast, the anchor, was not measured on it"), "{said}");

    let read = |name: &str| std::fs::read_to_string(folder.path().join("found").join(name)).unwrap();
    let csv = read("results.csv");
    let lines: Vec<Vec<&str>> = csv.lines().map(|line| line.split(',').collect()).collect();
    let value = |line: usize, column: &str| -> f64 {
        let at = lines[0].iter().position(|name| *name == column).unwrap();
        lines[line][at].parse().unwrap()
    };
    assert_eq!(lines.len(), 3, "{csv}");
    assert_eq!([value(1, "target_kbps"), value(2, "target_kbps")], [100.0, 400.0], "rates in order");
    for line in [1, 2] {
        assert_eq!(lines[line][..3], ["scene", "openh264", "10"]);
        assert!(value(line, "cpu_mean_ms") > 0.0 && value(line, "cpu_p99_ms") >= value(line, "cpu_p50_ms"), "{csv}");
        assert!((0.2..5.0).contains(&value(line, "achieved_over_target")), "{csv}");
        assert!((20.0..60.0).contains(&value(line, "psnr_y_db")), "{csv}");
        let biggest = value(line, "biggest_over_mean");
        assert!(biggest > 1.0 && value(line, "first_over_mean") <= biggest, "{csv}");
    }
    for measure in ["psnr_y_db", "ssim", "achieved_kbps"] {
        assert!(value(1, measure) < value(2, measure), "{measure} grows with the rate: {csv}");
    }
    assert_eq!(read("bd-rate.csv").lines().count(), 1);
    let page = read("index.html");
    assert!(page.starts_with("<!doctype html>") && page.trim_end().ends_with("</html>"));
    assert!(page.contains("aria-label=\"PSNR-Y\"") && page.contains("aria-label=\"openh264 at 400 kbit/s\""));
}

#[test]
fn what_cannot_be_done_is_told_in_one_sentence() {
    let folder = tempfile::tempdir().unwrap();
    write_clip(&folder.path().join("odd.y4m"), 95, 64);
    write_clip(&folder.path().join("even.y4m"), 96, 64);
    let of = |arguments: &[&str]| refusal(&quality(folder.path(), arguments));
    let missing = of(&["none.y4m"]);
    assert!(missing.starts_with("doorframe-quality: clip none.y4m cannot be read: "), "{missing}");
    assert_eq!(
        of(&["odd.y4m"]),
        "doorframe-quality: odd.y4m is 95x64: the encoders take even sides from 16 to 8192 only\n"
    );
    let unknown = of(&["even.y4m", "--encoders", "openh264,x266"]);
    assert!(
        unknown.starts_with("doorframe-quality: there is no encoder \"x266\": choose from openh264, "),
        "{unknown}"
    );
    let peers = of(&["even.y4m", "--encoders", "x264-veryfast"]);
    assert!(peers.contains("x264-veryfast is left out: this machine has no ffmpeg"), "{peers}");
    let rate = of(&["even.y4m", "--rates", "7"]);
    assert!(rate.contains("30..=100000"), "{rate}");
    for text in [missing, unknown, peers] {
        assert_eq!(text.lines().count(), 1, "{text}");
    }
}

#[test]
fn the_list_names_every_encoder_and_what_the_missing_ones_need() {
    let folder = tempfile::tempdir().unwrap();
    let output = quality(folder.path(), &["--list"]);
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success());
    assert!(said.starts_with("no ffmpeg: looked at $FFMPEG, in $PATH, and for the Python package imageio-ffmpeg\n"));
    assert!(said.contains("  openh264             openh264 2."), "{said}");
    assert!(said.contains("  x264-veryfast-psnr   not here: needs an ffmpeg with libx264\n"), "{said}");
}
