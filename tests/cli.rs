//! The program as a person meets it: what goes wrong is one clear sentence, and what goes right is a report.

#![expect(clippy::unwrap_used, reason = "a test may fail")]

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A file in a folder of this test run.
fn file(name: &str, bytes: &[u8]) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("cli");
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

fn doorframe(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_doorframe")).args(arguments).output().unwrap()
}

/// The sentence a failed run ends with.
fn failure(arguments: &[&str]) -> String {
    let output = doorframe(arguments);
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success(), "{arguments:?} succeeded");
    assert!(!errors.contains("panicked"), "{errors}");
    let said: Vec<&str> = errors.lines().filter(|line| line.starts_with("error: ")).collect();
    assert_eq!(said.len(), 1, "{arguments:?} says {errors:?}");
    said[0].to_owned()
}

#[test]
fn a_bad_source_is_named() {
    let empty = file("empty.264", b"");
    let junk = file("junk.bin", &[0x5a; 4000]);
    let cut = file("cut.264", &doorframe::sensor::BUILT_IN[..2000]);
    for (source, words) in [
        (format!("clip:{}", empty.display()), "empty.264 is empty"),
        (format!("clip:{}", junk.display()), "junk.bin is not a clip"),
        (format!("clip:{}", cut.display()), "no picture of the clip"),
        ("clip:nowhere.264".into(), "cannot read the clip nowhere.264"),
        ("v4l2:/dev/video99".into(), "no camera at /dev/video99"),
        ("rtsp://gate:secret@127.0.0.1:1/door".into(), "error: rtsp://127.0.0.1:1/door cannot be reached"),
    ] {
        let said = failure(&["demo", "--no-open", "--seconds", "5", "--source", &source]);
        assert!(said.contains(words), "{source}: {said}");
        assert!(!said.contains("secret"), "a password is not told: {said}");
    }
}

#[test]
fn bad_arguments_are_named() {
    for (arguments, words) in [
        (vec!["demo", "--source", "webcam"], "webcam"),
        (vec!["demo", "--source", "rtsps://gate:secret@host/door"], "written rtsp://USER:PASSWORD@HOST/PATH"),
        (vec!["demo", "--source", "rtsp://gate:secret@host:door/"], "written rtsp://USER:PASSWORD@HOST/PATH"),
        (vec!["demo", "--size", "12x"], "is not a size and rate like 1280x720@30"),
        (vec!["demo", "--mask", "0,0 1,1"], "needs 3 to 64"),
        (vec!["demo", "--mask", "here"], "is not a corner like 0.25,1"),
        (vec!["demo", "--motion-zone", "0,0 1,0 1,2"], "both must be from 0 to 1"),
        (vec!["demo", "--zones", "no/such/file"], "cannot use the zones in no/such/file"),
        (vec!["demo", "--sensitivity", "101"], "is not a sensitivity from 1 to 100"),
        (vec!["demo", "--denoise", "much"], "is not on, off or auto"),
        (vec!["demo", "--clock=noon"], "is not an offset from UTC like +05:30"),
        (vec!["demo", "--clock", "--clock-corner", "middle"], "is not a corner: top-left"),
        (vec!["demo", "--name", "Front Door"], "is not a camera name"),
        (vec!["watch", "secret-hello"], "is not a link"),
        (vec!["camera", "https://127.0.0.1:4443/home"], "the link has no watch token"),
        (vec!["page", "http://127.0.0.1/#v=1"], "the link has no hub"),
        (vec!["page", "http://127.0.0.1/#v=1;;;;;;;;;;;;;;;;"], "17 cameras, one page shows 1 to 16"),
        (vec!["watch", "http://127.0.0.1/#v=1;camera=secret"], "the link is of 2 cameras, and this command takes one"),
    ] {
        let said = failure(&arguments);
        assert!(said.contains(words), "{arguments:?}: {said}");
        assert!(!said.contains("secret"), "what is in a link or a source is not told: {said}");
    }
}

#[test]
fn a_bad_file_of_zones_is_named_with_its_line() {
    let zones = file("bad.zones", b"# nothing\nwatch 0,0 1,0 1,1\nhide 0,0 1,0 1,1\n");
    let said = failure(&["demo", "--zones", zones.to_str().unwrap()]);
    assert!(said.ends_with("bad.zones: line 3 begins with \"hide\": it needs watch or mask"), "{said}");
}

#[test]
fn a_clock_without_room_ends_the_camera_in_words() {
    let said = failure(&[
        "demo",
        "--no-open",
        "--page-port",
        "0",
        "--seconds",
        "5",
        "--source",
        "pattern:128x96@30",
        "--clock",
    ]);
    assert_eq!(said, "error: cannot show the clock: picture of 128x96 has no room for a clock of 192x24");
}

#[test]
fn the_version_says_what_is_inside_and_warns_of_a_slow_build() {
    let output = doorframe(&["version"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8(output.stdout).unwrap();
    let short = String::from_utf8(doorframe(&["--version"]).stdout).unwrap();
    assert_eq!(short.trim_end(), concat!("doorframe ", env!("CARGO_PKG_VERSION")));
    assert!(said.starts_with(short.trim_end()), "{said}");
    for library in doorframe::codec::libraries::libraries() {
        let line = said.lines().find(|line| line.starts_with(library.name)).unwrap_or_default();
        assert!(line.contains(&library.version), "{library} in {said}");
        assert_eq!(line.contains("WITHOUT assembly"), library.slow(), "{line}");
        assert_eq!(said.contains(&format!("WARNING: {} was built without its assembly", library.name)), library.slow());
    }
    for name in ["openh264 2.", "rav1e 0.", "rav1d ", "zune-jpeg 0."] {
        assert!(said.lines().any(|line| line.starts_with(name)), "no {name} in {said}");
    }
    assert!(said.lines().any(|line| line.starts_with(&format!("processor {}: ", std::env::consts::ARCH))), "{said}");
}

#[test]
fn a_file_that_cannot_be_saved_is_named_before_anything_starts() {
    let link = "doorframe://watch#v=1&hub=https://127.0.0.1:1/home&token=t&camera=c&identity=AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE&device=AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE";
    assert!(failure(&["watch", link, "--save", "out.mp4"]).contains("must end in .y4m"));
    assert!(failure(&["watch", link, "--save", "no/such/folder/out.y4m"]).contains("cannot write"));
    let said = failure(&["watch", link, "--seconds", "1"]);
    assert!(said.starts_with("error: no picture came: "), "{said}");
}

#[test]
fn a_demo_measures_itself() {
    let report = file("report.json", b"");
    let output = doorframe(&[
        "demo",
        "--no-open",
        "--page-port",
        "0",
        "--source",
        "pattern:320x240@30",
        "--denoise",
        "on",
        "--clock=+05:30",
        "--seconds",
        "6",
        "--report",
        report.to_str().unwrap(),
    ]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let report: Value = serde_json::from_slice(&std::fs::read(report).unwrap()).unwrap();
    assert!(report["frames_shown"].as_u64() > Some(60), "{report}");
    assert_eq!((&report["lost"], &report["dropped"], &report["alarms"]), (&0.into(), &0.into(), &0.into()), "{report}");
    // The ball that the pattern has moves all the time.
    assert!(report["motion_events"].as_u64() > Some(0), "{report}");
    for step in ["motion", "denoise", "clock", "encode", "seal", "network", "decode", "capture_to_picture"] {
        assert!(report["latency_ms"][step]["p50"].as_f64() > Some(0.0), "{step}: {report}");
    }
    assert_eq!(report["latency_ms"]["mask"], Value::Null, "nothing was masked: {report}");
    assert!(report["psnr_y_db"].as_f64() > Some(30.0), "{report}");
}

#[test]
fn a_clip_is_sealed_as_it_is_with_what_a_camera_does_by_itself() {
    let report = file("as-is.json", b"");
    let output = doorframe(&[
        "demo",
        "--no-open",
        "--page-port",
        "0",
        "--source",
        "clip",
        "--encoder",
        "as-is",
        "--seconds",
        "4",
        "--report",
        report.to_str().unwrap(),
    ]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let report: Value = serde_json::from_slice(&std::fs::read(report).unwrap()).unwrap();
    assert!(report["frames_shown"].as_u64() > Some(30), "{report}");
    assert_eq!(report["latency_ms"]["motion"], Value::Null, "nothing is decoded: {report}");
    // What was asked for is not left out in silence.
    let said = failure(&[
        "demo",
        "--no-open",
        "--page-port",
        "0",
        "--encoder",
        "as-is",
        "--source",
        "clip",
        "--sensitivity",
        "50",
    ]);
    assert!(
        said.starts_with("error: motion detection needs frames, and clip gives video that is coded already"),
        "{said}"
    );
}

/// The numbers of processes whose parent is `parent`, and what the kernel says of each.
#[cfg(target_os = "linux")]
fn children(parent: u32) -> Vec<(u32, String)> {
    let numbers = std::fs::read_dir("/proc").unwrap().flatten();
    let numbers = numbers.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let status = |number| Some((number, std::fs::read_to_string(format!("/proc/{number}/status")).ok()?));
    let is_child = |status: &str| status.lines().any(|line| line == format!("PPid:\t{parent}"));
    numbers.filter_map(status).filter(|(_, status)| is_child(status)).collect()
}

#[test]
#[cfg(target_os = "linux")]
fn a_clip_from_a_file_is_decoded_by_a_process_that_is_locked_in() {
    let clip = file("door.264", doorframe::sensor::BUILT_IN);
    let report = file("clip.json", b"");
    let mut demo = Command::new(env!("CARGO_BIN_EXE_doorframe"))
        .args(["demo", "--no-open", "--page-port", "0", "--seconds", "6", "--source"])
        .arg(format!("clip:{}", clip.display()))
        .arg("--report")
        .arg(&report)
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let mut seen = None;
    while demo.try_wait().unwrap().is_none() {
        for (number, status) in children(demo.id()) {
            let arguments = std::fs::read(format!("/proc/{number}/cmdline")).unwrap_or_default();
            // 2 is a filter; before it is set, the process has not seen a byte of the clip.
            if arguments.ends_with(b"\0decode-child\0") && status.contains("\nSeccomp:\t2\n") {
                let surroundings = std::fs::read(format!("/proc/{number}/environ")).unwrap_or_default();
                assert_eq!(surroundings, b"", "it knows nothing of where it runs");
                seen = Some(number);
            }
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    assert!(demo.wait().unwrap().success());
    let child = seen.expect("no process decodes the clip");
    let after = std::fs::read_to_string(format!("/proc/{child}/cmdline")).unwrap_or_default();
    assert!(!after.contains("decode-child"), "process {child} is left over");
    let report: Value = serde_json::from_slice(&std::fs::read(report).unwrap()).unwrap();
    assert!(report["frames_shown"].as_u64() > Some(30), "{report}");
}

#[test]
#[cfg(target_os = "linux")]
fn the_part_of_a_decoder_is_none_for_a_person() {
    let output = Command::new(env!("CARGO_BIN_EXE_doorframe"))
        .arg("decode-child")
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap();
    assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{output:?}");
}

#[test]
fn what_is_masked_never_leaves_the_camera() {
    use doorframe::codec::clip::y4m;
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("cli-mask");
    let state = folder.join("state");
    // The watch link is printed only once for a state folder.
    let _none = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    let mut hub = Command::new(env!("CARGO_BIN_EXE_doorframe"))
        .args(["hub", "--listen", "127.0.0.1:0", "--state"])
        .arg(&state)
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let link = link(hub.stdout.take().unwrap(), "https://");
    let mut camera = Command::new(env!("CARGO_BIN_EXE_doorframe"))
        .args(["camera", &link, "--source", "pattern:320x240@30", "--mask", "0,0.5 1,0.5 1,1 0,1", "--state"])
        .arg(&state)
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let watch = link_of(camera.stdout.take().unwrap());
    let saved = folder.join("saved.y4m");
    let watched = doorframe(&["watch", &watch, "--seconds", "5", "--save", saved.to_str().unwrap()]);
    let _ended = (hub.kill(), camera.kill(), hub.wait(), camera.wait());
    assert!(watched.status.success(), "{}", String::from_utf8_lossy(&watched.stderr));
    let bytes = std::fs::read(saved).unwrap();
    let (header, start) = y4m::Header::parse(&bytes).unwrap();
    let frames: Vec<&[u8]> = y4m::frames(&bytes, &header, start).collect();
    assert!(frames.len() > 20, "{} pictures", frames.len());
    for frame in frames {
        // Luma of the lower half, away from the rim that the deblocking filter touches.
        let masked = &frame[320 * 136..320 * 240];
        let (least, most) = masked.iter().fold((255, 0), |(l, m), y| (l.min(*y), m.max(*y)));
        assert!(most - least <= 8, "luma {least} to {most} inside the mask");
        let seen = &frame[..320 * 100];
        let (least, most) = seen.iter().fold((255, 0), |(l, m), y| (l.min(*y), m.max(*y)));
        assert!(most - least > 60, "the rest is still to be seen");
    }
}

fn link_of(output: impl std::io::Read + Send + 'static) -> String {
    link(output, "doorframe://")
}

/// The first quoted link that a program prints. What it prints later is read and let go, or its pipe would fill.
fn link(output: impl std::io::Read + Send + 'static, start: &str) -> String {
    use std::io::BufRead as _;
    let mut lines = std::io::BufReader::new(output).lines();
    let line = lines.find_map(|line| line.ok().filter(|line| line.contains(start))).unwrap();
    std::thread::spawn(move || lines.for_each(drop));
    line[line.find(start).unwrap()..].trim_end_matches('\'').to_owned()
}

/// Makes the newest of a device's X-Wing keys some days older than it is.
fn make_older(keys: &Path, days: u64) {
    let mut bytes = std::fs::read(keys).unwrap();
    let content = bytes.len() - 32;
    // Of the last entry, `u32 number ‖ u64 made ‖ u64 retired ‖ seed`.
    let made = content - 32 - 8 - 8;
    let then = u64::from_be_bytes(bytes[made..made + 8].try_into().unwrap()) - days * 86_400_000_000;
    bytes[made..made + 8].copy_from_slice(&then.to_be_bytes());
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &bytes[..content]);
    bytes[content..].copy_from_slice(hash.as_ref());
    std::fs::write(keys, bytes).unwrap();
}

/// Runs the program with `typed` on its standard input.
fn doorframe_with(arguments: &[&str], typed: &str) -> Output {
    use std::io::Write as _;
    let piped = std::process::Stdio::piped;
    let mut child = Command::new(env!("CARGO_BIN_EXE_doorframe"))
        .args(arguments)
        .stdin(piped())
        .stdout(piped())
        .stderr(piped())
        .spawn()
        .unwrap();
    // A program that has seen enough has ended.
    let _written = child.stdin.take().unwrap().write_all(typed.as_bytes());
    child.wait_with_output().unwrap()
}

/// The words and the lines that were printed when a recovery key was drawn.
fn paper(printed: &str) -> (String, Vec<String>) {
    let indented = || printed.lines().filter_map(|line| line.strip_prefix("    "));
    let is_word = |word: &str| word.len() > 2 && word.bytes().all(|b| b.is_ascii_lowercase());
    let of_words = indented().filter(|line| line.split_whitespace().count() == 6);
    let words: Vec<&str> = of_words.flat_map(str::split_whitespace).filter(|word| is_word(word)).collect();
    let lines = indented().filter(|line| line.starts_with("doorframe://home#"));
    (words.join(" "), lines.map(str::to_owned).collect())
}

/// Ends a program with the test, also one that fails.
struct Running(std::process::Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ended = (self.0.kill(), self.0.wait());
    }
}

fn start(arguments: &[&str]) -> (Running, std::process::ChildStdout) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_doorframe"))
        .args(arguments)
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let output = child.stdout.take().unwrap();
    (Running(child), output)
}

#[test]
fn a_home_from_its_first_pairing_to_a_device_that_was_removed() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("cli-home");
    let _none = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    let path = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    let said = |arguments: &[&str]| {
        let output = doorframe(arguments);
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{arguments:?}: {errors}");
        String::from_utf8(output.stdout).unwrap()
    };
    let (hub, camera, laptop, phone) = (path("hub"), path("camera"), path("laptop"), path("phone"));
    let (code, invitation) = (path("pair.html"), path("phone.join"));
    let (_hub, output) = start(&["hub", "--listen", "127.0.0.1:0", "--state", &hub]);
    let hub = link(output, "https://");
    let (_camera, output) = start(&[
        "camera",
        "--state",
        &camera,
        "--pair",
        "--pair-listen",
        "127.0.0.1:0",
        "--pair-page",
        &code,
        "--source",
        "pattern:320x240@30",
    ]);
    let scanned = link(output, "doorframe://pair");
    let page = std::fs::read_to_string(&code).unwrap();
    assert!(page.contains("<svg") && page.contains(&scanned.replace('&', "&amp;")));

    let paired = said(&["pair", &scanned, "--hub", &hub, "--state", &laptop, "--name", "Laptop"]);
    assert!(paired.contains("Paired with front-door"), "{paired}");
    let watch = |state: &str| doorframe(&["watch", "front-door", "--state", state, "--seconds", "4"]);
    assert!(watch(&laptop).status.success());
    assert!(!Path::new(&code).exists(), "a code that was used is no longer shown");

    let (_page, output) = start(&["page", "--state", &laptop, "--no-open", "--page-port", "0"]);
    let shown = link(output, "http://127.0.0.1");
    assert!(shown.contains("camera=front-door") && shown.contains("device="), "all cameras, as there is one");
    let nothing = failure(&["page", "--state", &path("nobody")]);
    assert!(nothing.contains("no camera was paired"), "{nothing}");

    let card = said(&["devices", "--state", &phone, "card"]);
    let added = said(&["devices", "--state", &laptop, "add", card.trim(), "--name", "Phone", "--out", &invitation]);
    assert!(added.contains("was added as member") && added.contains("by device list 2 now"), "{added}");
    let joined = said(&["join", &invitation, "--state", &phone]);
    assert!(joined.contains("device list 2") && joined.contains("doorframe watch front-door"), "{joined}");
    assert!(watch(&phone).status.success());
    let strangers = failure(&["join", &invitation, "--state", &path("stranger")]);
    assert!(strangers.contains("for another device"), "{strangers}");

    let removed = said(&["devices", "--state", &laptop, "remove", "Phone"]);
    assert!(removed.contains("was removed") && removed.contains("by device list 3 now"), "{removed}");
    let shut_out = watch(&phone);
    assert!(!shut_out.status.success());
    let told = String::from_utf8_lossy(&shut_out.stdout);
    assert!(told.contains("not on the camera's device list"), "{told}");
    let listed = said(&["devices", "--state", &laptop]);
    assert!(listed.contains("device list 3") && listed.contains("Laptop") && !listed.contains("Phone"), "{listed}");
}

#[test]
fn a_laptop_that_was_lost_is_replaced_by_the_words_on_paper() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("cli-recover");
    let _none = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    let path = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    let of = |output: Output, what: &[&str]| {
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{what:?}: {errors}");
        String::from_utf8(output.stdout).unwrap()
    };
    let said = |arguments: &[&str]| of(doorframe(arguments), arguments);
    let refused = |arguments: &[&str], typed: &str| {
        let output = doorframe_with(arguments, typed);
        assert!(!output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let (hub, camera, laptop, new) = (path("hub"), path("camera"), path("laptop"), path("new"));
    let (_hub, output) = start(&["hub", "--listen", "127.0.0.1:0", "--state", &hub, "--record", &path("recordings")]);
    let hub = link(output, "https://");
    let source = ["--pair", "--pair-listen", "127.0.0.1:0", "--source", "pattern:320x240@30"];
    let (_camera, output) = start(&[["camera", "--state", &camera].as_slice(), &source].concat());
    let scanned = link(output, "doorframe://pair");
    said(&["pair", &scanned, "--hub", &hub, "--state", &laptop, "--name", "Laptop"]);
    let drawn = said(&["devices", "--state", &laptop, "recovery", "--expires", "30d"]);
    assert!(drawn.contains("becomes an owner") && drawn.contains("by device list 2 now"), "{drawn}");
    let (words, lines) = paper(&drawn);
    assert_eq!((words.split(' ').count(), lines.len()), (24, 1), "{drawn}");
    assert!(!lines[0].contains("device="), "nothing that opens a picture: {lines:?}");
    assert!(said(&["devices", "--state", &laptop, "links"]).contains(&lines[0]));
    // Something is recorded that is sealed to the words, and the laptop is gone.
    let watch = |state: &str| doorframe(&["watch", "front-door", "--state", state, "--seconds", "5"]);
    assert!(watch(&laptop).status.success());

    let lost = std::time::Instant::now();
    let recover = ["recover", "--state", &new, "--name", "Phone", "--link", &lines[0], "--remove", "Laptop"];
    let slip = words.split_once(' ').unwrap().1;
    let error = refused(&recover, &format!("doorfrme {slip}"));
    assert!(error.starts_with("error: word 1 is not one of the 2048"), "{error}");
    assert!(refused(&recover[..5], &words).contains("where is a camera of the home?"));
    let others = "all hour make first leader extend hole alien behind guard gospel lava path output census museum junior \
                  mass reopen famous sing advance salt reform";
    let error = refused(&recover, others);
    assert!(error.contains("seals nothing to these words"), "{error}");
    let wrong = ["recover", "--state", &new, "--link", &lines[0], "--remove", "Labtop"];
    let error = refused(&wrong, &words);
    assert!(error.contains("On the list are: Laptop (owner, "), "{error}");
    // The certificate that the line names is of some weeks ago; what the hub prints now helps.
    let cert = lines[0].split_once("cert=").unwrap().1.split('&').next().unwrap();
    let stale = lines[0].replace(cert, &"0".repeat(64));
    let recover = ["recover", "--state", &new, "--name", "Phone", "--link", &stale, "--remove", "Laptop"];
    let error = refused(&recover, &words);
    assert!(error.contains("give the link that it prints now with --hub"), "{error}");
    let recover = [recover.as_slice(), &["--hub", &hub]].concat();
    let typed = format!("{}\n", words.to_uppercase().replacen(' ', "\n\t ", 5));
    let recovered = of(doorframe_with(&recover, &typed), &recover);
    for words in ["an owner of the home now, by device list 3", "Laptop", "was removed", "seals by device list 3 now"] {
        assert!(recovered.contains(words), "no {words:?} in {recovered}");
    }
    assert!(watch(&new).status.success());
    assert!(!watch(&laptop).status.success(), "the lost one opens nothing any more");
    let listed = said(&["devices", "--state", &new]);
    assert!(listed.contains("device list 3") && listed.contains("Phone") && listed.contains("recovery"), "{listed}");
    assert!(!listed.contains("Laptop"), "{listed}");
    let grants = said(&["grants", "--state", &new, "--all"]);
    assert!(grants.contains("signed by the recovery key"), "{grants}");

    // What was recorded before this device was on the list plays.
    let saved = path("old.h264");
    let before = format!("{}s", lost.elapsed().as_secs() + 1);
    let play = ["play", "front-door", "--state", &new, "--from", "10m", "--to", &before, "--save", &saved];
    let played = said(&play);
    assert!(std::fs::metadata(&saved).unwrap().len() > 10_000, "{played}");

    // A week later reading recordings changes the key as watching does, and the page's link has those before it.
    make_older(&folder.join("new").join("device-keys"), 8);
    let rotated = said(&["list", "front-door", "--state", &new]);
    assert!(rotated.contains("a new key, generation 2") && rotated.contains("by device list 3 now"), "{rotated}");
    assert!(said(&play).contains("Playing front-door"));
    let (_page, output) = start(&["page", "--state", &new, "--no-open", "--page-port", "0"]);
    let shown = link(output, "http://127.0.0.1");
    let retired = shown.split_once("retired=").unwrap().1;
    assert_eq!(retired.split('.').count(), 2, "its first, and that of the words");
    assert!(watch(&new).status.success());

    let again = refused(&["recover", "--state", &new], &words);
    assert!(again.contains("an owner of its home already"), "{again}");
}
