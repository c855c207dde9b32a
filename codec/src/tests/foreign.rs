//! Others show what we encode exactly as we do: ffmpeg's own H.264 decoder, and dav1d or libaom in it for AV1.

use super::*;
use crate::clip::ivf;
use crate::testing::{Scene, bars};
use std::io::Write as _;
use std::process::{Command, Stdio};

/// Whether `program` is there; CI has to have it.
fn has(program: &str) -> bool {
    let found = Command::new(program).arg("-version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    let found = found.is_ok_and(|status| status.success());
    assert!(found || std::env::var_os("CI").is_none(), "CI has to install ffmpeg");
    if !found {
        println!("SKIPPED: no {program} on this machine; install the package ffmpeg to run this test");
    }
    found
}

/// What `program` says of `input`.
fn ask(program: &str, arguments: &[&str], input: Vec<u8>) -> Vec<u8> {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut pipe = child.stdin.take().unwrap();
    // A program that ends early is found out by what it says.
    let writer = std::thread::spawn(move || pipe.write_all(&input).is_ok());
    let output = child.wait_with_output().unwrap();
    let _written = writer.join().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && errors.is_empty(), "{program} {arguments:?}: {errors}");
    output.stdout
}

/// The units as a file of their codec.
fn file(units: &[AccessUnit]) -> (Vec<u8>, &'static str) {
    let first = &units[0];
    if first.codec == crate::access_unit::Codec::H264 {
        return (units.iter().flat_map(|unit| unit.data.to_vec()).collect(), "h264");
    }
    let header = ivf::Header { size: first.size, rate: FrameRate::whole(30).unwrap() };
    let mut file = header.emit(units.len() as u32).to_vec();
    for (at, unit) in (0..).zip(units) {
        file.extend(ivf::emit_frame_header(at, unit.data.len() as u32));
        file.extend_from_slice(&unit.data);
    }
    (file, "ivf")
}

/// Every picture as ffmpeg decodes it: samples alone, one picture after the other.
fn theirs(units: &[AccessUnit]) -> Vec<u8> {
    let (file, format) = file(units);
    let arguments = ["-v", "error", "-f", format, "-i", "-", "-fps_mode", "passthrough", "-f", "rawvideo", "-"];
    ask("ffmpeg", &arguments, file)
}

fn assert_same(units: &[AccessUnit], what: &str) {
    let ours = decode(units);
    let theirs = theirs(units);
    let bytes = Picture::bytes(units[0].size);
    assert_eq!(theirs.len(), bytes * ours.len(), "{what}: ffmpeg shows as many pictures");
    for (index, (ours, theirs)) in ours.iter().zip(theirs.chunks_exact(bytes)).enumerate() {
        assert!(ours.samples() == theirs, "{what}: picture {index} is not the same in ffmpeg");
    }
}

fn scene(at: Size, seed: u64, count: u64) -> Vec<Picture> {
    let scene = Scene::new(at, seed).with_noise(9);
    (0..count).map(|index| scene.picture(index)).collect()
}

#[test]
fn ffmpeg_shows_our_h264_bit_by_bit_as_we_do() {
    if !has("ffmpeg") {
        return;
    }
    // A size that is cropped, several slices, layers, a keyframe on demand, and bits that do not suffice.
    for (width, height, threads, layers, kbps) in [(320, 176, 1, 1, 800), (200, 150, 2, 1, 300), (322, 182, 3, 3, 60)] {
        let at = size(width, height);
        let mut config = config(at, kbps);
        (config.threads, config.temporal_layers) = (threads, layers);
        let units = encode(h264(config), &scene(at, 3, 40), &[25]);
        assert_same(&units, &format!("{at}, {threads} threads, {layers} layers"));
    }
}

#[test]
fn ffmpeg_shows_our_av1_bit_by_bit_as_we_do() {
    if !has("ffmpeg") {
        return;
    }
    for (width, height, threads) in [(160, 96, 1), (202, 150, 2)] {
        let at = size(width, height);
        let mut config = config(at, 400);
        config.threads = threads;
        let units = encode(av1(config), &scene(at, 4, 12), &[7]);
        assert_same(&units, &format!("{at}, {threads} threads"));
    }
}

#[test]
fn ffmpeg_reads_the_colours_that_we_say() {
    if !has("ffprobe") {
        return;
    }
    let at = size(160, 64);
    for color in COLORS {
        let range = if color.range == Range::Full { "pc" } else { "tv" };
        let matrix = if color.matrix == Matrix::Bt601 { "smpte170m" } else { "bt709" };
        for encoder in [h264(config(at, 300)), av1(config(at, 300))] {
            let what = encoder.name();
            let (file, format) = file(&encode(encoder, &[bars(at, color)], &[]));
            let entries = "stream=color_range,color_space,color_transfer,color_primaries";
            let arguments = ["-v", "error", "-f", format, "-i", "-", "-show_entries", entries, "-of", "csv=p=0"];
            let said = String::from_utf8(ask("ffprobe", &arguments, file)).unwrap();
            assert_eq!(said.trim(), format!("{range},{matrix},{matrix},{matrix}"), "{what}");
        }
    }
}
