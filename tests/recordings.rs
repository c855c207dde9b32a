//! What an owner and a neighbour do with recordings, over a store of a real session with real coded pictures.

#![expect(clippy::unwrap_used, reason = "a test may fail")]

#[path = "common/chromium.rs"]
mod chromium;
#[path = "common/filmed.rs"]
mod filmed;

use base64::Engine as _;
use bytes::Bytes;
use doorframe::archive::{Archive, ArchiveError};
use doorframe::bundle::{self, BundleKey};
use doorframe::codec::access_unit::Codec;
use doorframe::export::{Exported, export, proof_path};
use doorframe::transport::bundle::{Bundle, BundleOpenRefused, BundlePart, BundleRefused};
use doorframe::transport::grant::GrantRefused;
use doorframe::transport::identity::{DeviceKey, SigningKey};
use doorframe::transport::keys::Epoch;
use doorframe::transport::recorded::EpochFile;
use doorframe::verify::{Findings, verify};
use filmed::{EPOCHS, FPS, Folder, SECOND, SIZE, START, film, identity, owner, signer, stored};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

async fn archive(folder: &Path) -> Archive {
    Archive::open_folder(folder, "front-door", identity().verifying_key(), vec![owner()]).await.unwrap()
}

/// What ffprobe says of a film: pictures that decode, width, and seconds.
fn probe(film: &Path) -> Option<(u64, u64, f64)> {
    let entries = "stream=nb_read_frames,width:format=duration";
    let probe = Command::new("ffprobe")
        .args(["-v", "error", "-count_frames", "-of", "json", "-show_entries", entries])
        .arg(film)
        .output();
    let Ok(output) = probe else {
        assert!(std::env::var_os("CI").is_none(), "CI has to install ffmpeg");
        println!("SKIPPED: no ffprobe on this machine");
        return None;
    };
    assert!(output.status.success() && output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    let said: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let stream = &said["streams"][0];
    let number = |value: &serde_json::Value| value.as_str().unwrap().parse::<f64>().unwrap();
    let frames = number(&stream["nb_read_frames"]) as u64;
    Some((frames, stream["width"].as_u64().unwrap(), number(&said["format"]["duration"])))
}

async fn exported(folder: &Folder, codec: Codec, from: u64, to: u64) -> (PathBuf, Exported) {
    let store = folder.path("store");
    film(&store, codec, 1, START).await;
    let mut archive = archive(&store).await;
    let recording = archive.find(START + from, START + to).await.unwrap();
    let film = folder.path("out.mp4");
    let done = export(&mut archive, recording, &film, "front-door", &signer()).await.unwrap();
    (film, done)
}

#[tokio::test]
async fn a_time_is_rounded_to_whole_epochs_and_its_units_have_their_wall_times() {
    let folder = Folder::new("find");
    let id = film(&folder.0, Codec::H264, 1, START).await;
    let mut archive = archive(&folder.0).await;
    let mut recording = archive.find(START + 3 * SECOND, START + 5 * SECOND).await.unwrap();
    assert_eq!(recording.span_us(), (START + 2 * SECOND, START + 6 * SECOND));
    let mut times = Vec::new();
    while let Some(played) = recording.next(&mut archive).await.unwrap() {
        assert_eq!(played.parsed.session, id);
        assert!(played.units[0].unit.is_keyframe());
        times.extend(played.units.iter().map(|unit| unit.wall_us));
    }
    let wanted: Vec<_> = (0..4 * FPS).map(|n| START + 2 * SECOND + n * SECOND / FPS).collect();
    assert!(times.iter().zip(&wanted).all(|(time, wanted)| time.abs_diff(*wanted) < 50), "{times:?}");
    assert_eq!(times.len(), wanted.len());
    assert!(recording.verdicts().iter().all(|verdict| verdict.is_complete()));
    let nothing = archive.find(START + 3600 * SECOND, START + 3700 * SECOND).await;
    assert!(matches!(nothing, Err(ArchiveError::Nothing)), "{nothing:?}");
    assert!(matches!(archive.find(START, START).await, Err(ArchiveError::Span)));
}

#[tokio::test]
async fn a_stranger_is_told_that_the_recordings_are_not_for_him() {
    let folder = Folder::new("stranger");
    film(&folder.0, Codec::H264, 1, START).await;
    let stranger = DeviceKey::from_seed([99; 32]).unwrap();
    let identity = identity().verifying_key();
    let mut archive = Archive::open_folder(&folder.0, "front-door", identity, vec![stranger]).await.unwrap();
    let error = archive.find(START, START + SECOND).await.unwrap_err();
    assert!(error.to_string().contains("not on the camera's device list"), "{error}");
    let other = Archive::open_folder(&folder.0, "garden", identity, vec![owner()]).await.unwrap_err();
    assert!(other.to_string().ends_with("has no recordings of garden; it has: front-door"), "{other}");
}

#[tokio::test]
async fn an_export_of_h264_plays_everywhere_and_its_proof_holds() {
    let folder = Folder::new("h264");
    let (film, done) = exported(&folder, Codec::H264, 3 * SECOND, 7 * SECOND).await;
    assert!(done.gaps.is_empty() && done.film.starts_fast, "{done:?}");
    assert_eq!((done.film.pictures, done.film.duration), (6 * FPS, Duration::from_secs(6)));
    if let Some((frames, width, seconds)) = probe(&film) {
        assert_eq!((frames, width), (6 * FPS, u64::from(SIZE.0)));
        assert!((seconds - 6.0).abs() < 0.01, "{seconds}");
    }
    plays_in_chromium(&folder, &film, "h264");
    let findings = verify(&film, None).await.unwrap();
    assert!(findings.holds(), "{findings:?}");
    assert!(findings.proved[0].contains("3 epochs from 1 to 3 with 60 sealed objects"), "{findings:?}");
    assert!(findings.open.iter().any(|open| open.contains("the word of device")), "{findings:?}");
}

#[tokio::test]
async fn an_export_of_av1_plays_everywhere() {
    let folder = Folder::new("av1");
    let (film, done) = exported(&folder, Codec::Av1, 0, 3 * SECOND).await;
    assert_eq!(done.film.codec, Codec::Av1);
    if let Some((frames, width, seconds)) = probe(&film) {
        assert_eq!((frames, width), (4 * FPS, u64::from(SIZE.0)));
        assert!((seconds - 4.0).abs() < 0.01, "{seconds}");
    }
    plays_in_chromium(&folder, &film, "av1");
}

fn plays_in_chromium(folder: &Folder, film: &Path, name: &str) {
    let Some(program) = chromium::find_or_skip() else { return };
    let page = folder.path(&format!("{name}.html"));
    let html = format!(
        "<!doctype html><video muted autoplay src=\"{}\"></video><script>const v = document.querySelector('video'); \
         setInterval(() => {{ window.doorframe = {{ at: v.currentTime, width: v.videoWidth, long: v.duration, \
         error: v.error && v.error.message }}; }}, 50);</script>",
        film.file_name().unwrap().to_str().unwrap()
    );
    std::fs::write(&page, html).unwrap();
    // Its profile is named after the size.
    let width = if name == "av1" { 641 } else { 643 };
    let mut browser = chromium::Chromium::open(&program, &format!("file://{}", page.display()), width, 480, false);
    let said = browser.wait("film that plays", Duration::from_secs(60), |said| {
        assert!(said["error"].is_null(), "{said}");
        said["at"].as_f64() > Some(0.3)
    });
    assert_eq!(said["width"].as_u64(), Some(u64::from(SIZE.0)), "{said}");
}

#[tokio::test]
async fn what_was_changed_in_a_film_or_its_proof_is_found() {
    let folder = Folder::new("proof");
    let (film, _) = exported(&folder, Codec::H264, 0, 12 * SECOND).await;
    let proof = proof_path(&film);
    let (whole_film, whole) = (std::fs::read(&film).unwrap(), std::fs::read_to_string(&proof).unwrap());
    assert!(verify(&proof, None).await.unwrap().holds());
    let mut changed = whole_film.clone();
    *changed.last_mut().unwrap() ^= 1;
    std::fs::write(&film, &changed).unwrap();
    let findings = verify(&film, None).await.unwrap();
    assert!(!findings.holds() && findings.wrong[0].contains("was changed after it was exported"), "{findings:?}");
    std::fs::write(&film, &whole_film).unwrap();
    // Whoever changes a word has to sign anew; whoever signs anew has to have what the camera signed.
    std::fs::write(&proof, whole.replace("front-door", "other-door")).unwrap();
    assert!(verify(&film, None).await.unwrap_err().to_string().contains("was changed after it was made"));
    let mut parsed: doorframe::export::Proof = serde_json::from_str(&whole).unwrap();
    parsed.statement.parts[0].epochs.remove(2);
    let resigned = doorframe::export::Proof::sign(parsed.statement.clone(), &signer());
    std::fs::write(&proof, resigned.emit()).unwrap();
    let findings = verify(&film, None).await.unwrap();
    assert_eq!(findings.wrong, ["span 1: missing: nothing is kept between epochs 1 and 3"]);
    let objects = &mut parsed.statement.parts[0].epochs[0].tracks[0].objects;
    let standard = base64::engine::general_purpose::STANDARD;
    let mut hashes = standard.decode(&*objects).unwrap();
    hashes[40] ^= 1;
    *objects = standard.encode(hashes);
    std::fs::write(&proof, doorframe::export::Proof::sign(parsed.statement, &signer()).emit()).unwrap();
    let findings = verify(&film, None).await.unwrap();
    assert!(findings.wrong[0].contains("track video is not what the camera signed"), "{findings:?}");
}

#[tokio::test]
async fn an_epoch_that_is_gone_or_damaged_is_named_in_export_and_store() {
    let folder = Folder::new("gaps");
    let store = folder.path("store");
    film(&store, Codec::H264, 1, START).await;
    assert!(verify(&store, None).await.unwrap().holds());
    std::fs::remove_file(stored(&store, 2)).unwrap();
    let damaged = stored(&store, 4);
    let mut bytes = std::fs::read(&damaged).unwrap();
    bytes[600] ^= 1;
    std::fs::write(&damaged, bytes).unwrap();
    let mut archive = archive(&store).await;
    let recording = archive.find(START, START + 12 * SECOND).await.unwrap();
    let film = folder.path("out.mp4");
    let done = export(&mut archive, recording, &film, "front-door", &signer()).await.unwrap();
    let named = |words: &[String]| {
        assert!(words.iter().any(|gap| gap.contains("between epochs 1 and 3")), "{words:?}");
        assert!(words.iter().any(|gap| gap.contains("damaged: epoch 4")), "{words:?}");
    };
    named(&done.gaps);
    let of_store = verify(&store, None).await.unwrap();
    assert!(!of_store.holds());
    named(&of_store.wrong);
    assert!(!verify(&film, None).await.unwrap().holds());
    // The film has the true times all the same.
    if let Some((frames, _, seconds)) = probe(&film) {
        assert_eq!(frames, 4 * 2 * FPS);
        assert!((seconds - 12.0).abs() < 0.01, "{seconds}");
    }
}

/// Names a stored epoch anew, as a store that lies about when it came.
fn restore(file: &Path, stored_us: u64) {
    let (_, rest) = file.file_name().unwrap().to_str().unwrap().split_once('-').unwrap();
    std::fs::rename(file, file.with_file_name(format!("{stored_us:016x}-{rest}"))).unwrap();
}

#[tokio::test]
async fn a_store_that_exchanges_the_order_shows_the_same() {
    let folder = Folder::new("order");
    film(&folder.0, Codec::H264, 1, START).await;
    for n in 0..EPOCHS {
        restore(&stored(&folder.0, n), START + u64::from(EPOCHS - n) * SECOND);
    }
    let mut archive = archive(&folder.0).await;
    let mut recording = archive.find(START, START + 12 * SECOND).await.unwrap();
    let mut times = Vec::new();
    while let Some(played) = recording.next(&mut archive).await.unwrap() {
        times.extend(played.units.iter().map(|unit| unit.wall_us));
    }
    assert!(times.is_sorted() && times.len() as u64 == u64::from(EPOCHS) * 2 * FPS, "{times:?}");
    assert_eq!(recording.faults().count(), 0);
}

#[tokio::test]
async fn yesterdays_recordings_under_todays_names_are_not_shown_as_todays() {
    const DAY: u64 = 24 * 3600 * SECOND;
    let folder = Folder::new("yesterday");
    let (store, old) = (folder.path("store"), folder.path("old"));
    let today = film(&store, Codec::H264, 1, START).await;
    let yesterday = film(&old, Codec::H264, 2, START - DAY).await;
    std::fs::copy(
        old.join(format!("front-door/sessions/{yesterday}")),
        store.join(format!("front-door/sessions/{yesterday}")),
    )
    .unwrap();
    // Today's third epoch is gone, and all of yesterday's stand where today's are.
    let hour = stored(&store, 2).parent().unwrap().to_owned();
    std::fs::remove_file(stored(&store, 2)).unwrap();
    for n in 0..EPOCHS {
        let name = format!("{:016x}-{yesterday}-{n:08x}", START + u64::from(n + 1) * 2 * SECOND);
        std::fs::copy(stored(&old, n), hour.join(name)).unwrap();
    }
    let mut archive = archive(&store).await;
    let listed: Vec<_> = archive.hours().await.unwrap();
    assert_eq!(listed.len(), 1);
    let mut recording = archive.find(START, START + 12 * SECOND).await.unwrap();
    while let Some(played) = recording.next(&mut archive).await.unwrap() {
        assert_eq!(played.parsed.session, today);
    }
    let faults: Vec<_> = recording.faults().map(ToString::to_string).collect();
    assert_eq!(faults, ["missing: nothing is kept between epochs 1 and 3"]);
    // What is missing is not made up by another manifest under its name either.
    std::fs::copy(
        old.join(format!("front-door/sessions/{yesterday}")),
        store.join(format!("front-door/sessions/{today}")),
    )
    .unwrap();
    let error = self::archive(&store).await.find(START, START + SECOND).await.unwrap_err();
    assert!(matches!(error, ArchiveError::Answer(_)), "{error}");
}

/// A bundle of the time from `from` to `to` seconds, and its key.
async fn handed(store: &Path, from: u64, to: u64) -> (Bytes, BundleKey) {
    let mut archive = archive(store).await;
    let recording = archive.find(START + from * SECOND, START + to * SECOND).await.unwrap();
    let key = BundleKey::fresh().unwrap();
    let (bytes, gaps) = bundle::bundle(&mut archive, recording, &key, &signer()).await.unwrap();
    assert!(gaps.is_empty());
    (bytes, key)
}

#[tokio::test]
async fn a_neighbour_opens_exactly_the_epochs_that_he_was_handed() {
    let folder = Folder::new("neighbour");
    film(&folder.0, Codec::H264, 1, START).await;
    let (bytes, key) = handed(&folder.0, 3, 7).await;
    let page = bundle::page(&bytes).unwrap();
    for file in [bytes.clone(), Bytes::from(page)] {
        let bundle = bundle::parse(file).unwrap();
        assert!(bundle.check().is_complete());
        let (granted, keys) = bundle.open(&key.device().unwrap()).unwrap();
        let [part] = bundle.parts() else { panic!() };
        let keys = &granted.parts[keys[0]];
        // Every epoch of the session, taken from the store: three open, the others have no key.
        let opens = |n: u32| {
            let kept = EpochFile::parse(&std::fs::read(stored(&folder.0, n)).unwrap().into()).unwrap();
            let leaf = keys.leaf(Epoch(n))?;
            let opened = doorframe::transport::recorded::open(&kept, part.certificate.facts(), &leaf).unwrap();
            Some(opened.units.len() as u64)
        };
        let wanted: Vec<_> = (0..EPOCHS).map(|n| (1..4).contains(&n).then_some(2 * FPS)).collect();
        assert_eq!((0..EPOCHS).map(opens).collect::<Vec<_>>(), wanted);
        assert!((0..1 << 16).filter(|n| keys.leaf(Epoch(*n)).is_some()).eq(1..4));
    }
    let bundle = Bundle::parse(&bytes).unwrap();
    let stranger = BundleKey::fresh().unwrap().device().unwrap();
    assert_eq!(bundle.open(&stranger).unwrap_err(), BundleOpenRefused::Grant(GrantRefused::NotForUs));
    assert_eq!(bundle.open(&owner()).unwrap_err(), BundleOpenRefused::Grant(GrantRefused::NotForUs));
}

/// The parts of a bundle changed, and signed anew by who made it.
fn changed(bundle: &Bundle, change: impl FnOnce(&mut Vec<BundlePart>)) -> Bundle {
    let mut parts = bundle.parts().to_vec();
    change(&mut parts);
    Bundle::parse(&Bundle::emit(&parts, bundle.grant(), START, &signer()).unwrap()).unwrap()
}

fn faults(bundle: &Bundle) -> Vec<String> {
    bundle.check().parts.iter().flat_map(|part| &part.faults).map(ToString::to_string).collect()
}

#[tokio::test]
async fn every_lie_in_a_bundle_is_named() {
    let folder = Folder::new("lies");
    let store = folder.path("store");
    film(&store, Codec::H264, 1, START).await;
    let (bytes, key) = handed(&store, 0, 12).await;
    let bundle = Bundle::parse(&bytes).unwrap();
    for at in [0, 10, 100, 5_000, bytes.len() / 2, bytes.len() - 80, bytes.len() - 1] {
        let mut flipped = bytes.to_vec();
        flipped[at] ^= 1;
        assert!(Bundle::parse(&flipped.into()).is_err(), "byte {at}");
        assert!(Bundle::parse(&bytes.slice(..at)).is_err(), "{at} bytes");
    }
    // The maker himself, who signs anew.
    let missing = changed(&bundle, |parts| drop(parts[0].files.remove(2)));
    assert_eq!(faults(&missing), ["missing: nothing is kept between epochs 1 and 3"]);
    let cut = changed(&bundle, |parts| drop(parts[0].files.pop()));
    assert_eq!(faults(&cut), ["missing: nothing is kept after epoch 4, or the camera made nothing"]);
    let swapped = changed(&bundle, |parts| {
        let other = parts[0].files[1].1.clone();
        parts[0].files[3].1 = other;
    });
    assert!(faults(&swapped)[0].starts_with("replayed: epoch 1 is kept as epoch 3"), "{:?}", faults(&swapped));
    let without = |change: fn(&mut Vec<Bytes>)| {
        changed(&bundle, |parts| {
            let mut file = EpochFile::parse(&parts[0].files[1].1).unwrap();
            change(&mut file.tracks[0].objects);
            parts[0].files[1].1 = file.emit().unwrap().concat().into();
        })
    };
    let removed = faults(&without(|objects| drop(objects.remove(3))));
    assert!(removed.iter().any(|fault| fault == "incomplete: epoch 1 lacks 1 of video"), "{removed:?}");
    assert!(faults(&without(|objects| objects.swap(2, 3)))[0].contains("track video is not what the camera signed"));
    // Another camera, another device, another's grant.
    let other_folder = folder.path("other");
    film(&other_folder, Codec::H264, 2, START).await;
    let (other, _) = handed(&other_folder, 0, 12).await;
    let other = Bundle::parse(&other).unwrap();
    let exchanged = changed(&bundle, |parts| parts[0].files.clone_from(&other.parts()[0].files));
    assert!(faults(&exchanged)[0].starts_with("swapped: epoch 0"), "{:?}", faults(&exchanged));
    let ungranted = changed(&bundle, |parts| *parts = other.parts().to_vec());
    assert_eq!(ungranted.open(&key.device().unwrap()).unwrap_err(), BundleOpenRefused::Ungranted(0));
    let thief = SigningKey::from_seed(&[66; 32]).unwrap();
    assert!(Bundle::emit(bundle.parts(), bundle.grant(), START, &thief).is_err());
    // The identity in front of it, exchanged: no certificate is that camera's.
    let mut stolen = bytes.to_vec();
    stolen[2..34].copy_from_slice(&thief.verifying_key().0);
    assert!(matches!(Bundle::parse(&stolen.into()), Err(BundleRefused::Forged)));
}

#[tokio::test]
async fn a_bundle_is_verified_without_its_key() {
    let folder = Folder::new("verify");
    let store = folder.path("store");
    film(&store, Codec::H264, 1, START).await;
    let (bytes, _) = handed(&store, 2, 4).await;
    for (name, bytes) in [("clip.dfb", bytes.to_vec()), ("clip.html", bundle::page(&bytes).unwrap().into_bytes())] {
        let path = folder.path(name);
        std::fs::write(&path, &bytes).unwrap();
        let findings: Findings = verify(&path, None).await.unwrap();
        assert!(findings.holds(), "{findings:?}");
        assert!(findings.proved[0].contains("1 epochs from 1 to 1"), "{findings:?}");
    }
    let nothing = folder.path("nothing.txt");
    std::fs::write(&nothing, "hello").unwrap();
    assert!(verify(&nothing, None).await.is_err());
    std::fs::write(folder.path("alone.mp4"), "hello").unwrap();
    assert!(verify(&folder.path("alone.mp4"), None).await.unwrap_err().to_string().contains("no proof beside it"));
}

#[tokio::test]
async fn a_browser_shows_a_clip_from_a_file_with_its_key_and_says_what_is_wrong_without() {
    let Some(program) = chromium::find_or_skip() else { return };
    let folder = Folder::new("page");
    let store = folder.path("store");
    film(&store, Codec::H264, 1, START).await;
    let (bytes, key) = handed(&store, 2, 6).await;
    let page = folder.path("clip.html");
    std::fs::write(&page, bundle::page(&bytes).unwrap()).unwrap();
    let url = format!("file://{}", page.display());
    let patience = Duration::from_secs(60);
    let open = |url: &str, width| chromium::Chromium::open(&program, url, width, 700, false);

    let mut browser = open(&format!("{url}#k={}", key.reveal()), 901);
    let said = browser.wait("clip to its end", patience, |said| said["playing"] == false && said["shown"] == 39);
    assert!(said["drawn"].as_u64() > Some(15), "{said}");
    assert_eq!((said["width"].as_u64(), said["units"].as_u64()), (Some(u64::from(SIZE.0)), Some(4 * FPS)), "{said}");
    assert_eq!(said["words"], "All of it was signed by the camera, unchanged and whole.");
    // A place in the middle is sought, and drawn from the keyframe before it.
    browser.evaluate("const s = document.getElementById('seek'); s.value = '25'; s.dispatchEvent(new Event('input'))");
    browser.wait("the place that was sought", patience, |said| said["shown"] == 25);
    let shot = browser.screenshot();
    if let Some(folder) = std::env::var_os("DOORFRAME_SCREENSHOTS") {
        let png = base64::engine::general_purpose::STANDARD.decode(shot).unwrap();
        std::fs::write(Path::new(&folder).join("clip.png"), png).unwrap();
    }
    drop(browser);

    let words = |url: &str, width, wished: &str| {
        let mut browser = open(url, width);
        browser.wait(wished, patience, |said| said["words"].as_str().is_some_and(|words| words.starts_with(wished)));
        assert_eq!(browser.evaluate("document.getElementById('player').hidden"), true);
    };
    words(&url, 902, "This clip is sealed. Enter the key");
    words(&format!("{url}#k={}", BundleKey::fresh().unwrap().reveal()), 903, "This key is not the key of this clip.");
    words(&format!("{url}#k=short"), 904, "This is not the key of a clip: it has 43 characters");
    let mut cut = bytes.to_vec();
    cut[9000] ^= 1;
    std::fs::write(&page, bundle::page(&cut).unwrap()).unwrap();
    words(&format!("{url}#k={}", key.reveal()), 905, "This clip was changed after it was made");
}
