//! Recordings over a real connection: a hub that serves a store, and the program's commands on it.

#![expect(clippy::unwrap_used, reason = "a test may fail")]

#[path = "common/filmed.rs"]
mod filmed;
#[path = "common/kept.rs"]
mod kept;

use doorframe::archive::{Archive, ArchiveError};
use doorframe::codec::access_unit::Codec;
use doorframe::link::WatchLink;
use filmed::{EPOCHS, FPS, Folder, START, film, stored};
use kept::{Kept, complaint, said};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_hub_keeps_is_read_over_the_network_and_a_hub_that_lets_it_go_is_named() {
    let folder = Folder::new("hub");
    film(&folder.0, Codec::H264, 1, START).await;
    let hub = Kept::start(&folder.0);
    let mut archive = Archive::connect(&hub.link()).await.unwrap();
    let hours = archive.hours().await.unwrap();
    assert_eq!(hours.iter().filter_map(|kept| kept.epochs).sum::<u32>(), EPOCHS);
    let mut recording = archive.find(START, START + 12_000_000).await.unwrap();
    let mut units = 0;
    while let Some(played) = recording.next(&mut archive).await.unwrap() {
        units += played.units.len() as u64;
    }
    assert_eq!(units, u64::from(EPOCHS) * 2 * FPS);
    assert_eq!(recording.faults().count(), 0);
    // Between being found and being asked for again.
    std::fs::remove_file(stored(&folder.0, 3)).unwrap();
    let mut recording = archive.find(START, START + 12_000_000).await.unwrap();
    while recording.next(&mut archive).await.unwrap().is_some() {}
    let faults: Vec<_> = recording.faults().map(ToString::to_string).collect();
    assert_eq!(faults, ["missing: nothing is kept between epochs 2 and 4"]);
    let other = WatchLink { camera: "garden".parse().unwrap(), ..hub.link() };
    let error = Archive::connect(&other).await.unwrap_err();
    assert!(matches!(error, ArchiveError::NotKept(_)), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_program_lists_plays_exports_hands_over_opens_and_verifies() {
    let folder = Folder::new("program");
    let store = folder.path("store");
    film(&store, Codec::H264, 1, START).await;
    let hub = Kept::start(&store);
    let link = hub.link().to_string();
    let path = |name: &str| folder.path(name).to_string_lossy().into_owned();
    let state = folder.path("state");
    let doorframe = move |arguments: &[&str]| kept::doorframe(&state, arguments);
    let (film, clip, raw) = (path("out.mp4"), path("clip.html"), path("raw.h264"));
    tokio::task::spawn_blocking(move || {
        // START is 2026-11-18T11:06:40Z.
        let (from, to) = ("2026-11-18T11:06:43", "2026-11-18T12:06:47+01:00");
        let list = said(&doorframe(&["list", "--link", &link]));
        assert!(list.contains("2026-11-18") && list.contains("UTC+00:00"), "{list}");
        let day = said(&doorframe(&["list", "--link", &link, "--day", "2026-11-18"]));
        assert!(day.contains("11:06:42 - 11:06:52"), "{day}");
        let play = said(&doorframe(&["play", "--link", &link, "--from", from, "--to", to, "--save", &raw]));
        assert!(play.contains("60 pictures shown, 0 not decoded") && play.contains("unchanged and whole"), "{play}");
        assert!(std::fs::metadata(&raw).unwrap().len() > 1000);
        let export = said(&doorframe(&["export", "--link", &link, "--from", from, "--to", to, &film]));
        let span = "2026-11-18 11:06:42 +00:00 to 2026-11-18 11:06:48 +00:00 (6.0 s, 3 epochs)";
        assert!(export.contains(span) && export.contains("60 pictures of 160x96"), "{export}");
        let again = complaint(&doorframe(&["export", "--link", &link, "--from", from, "--to", to, &film]));
        assert!(again.contains("is there already"), "{again}");
        let verified = said(&doorframe(&["verify", &film, "--link", &link]));
        assert!(verified.contains("the one of the link"), "{verified}");
        let grant = said(&doorframe(&["grant", "--link", &link, "--from", from, "--to", to, "--bundle", &clip]));
        assert!(grant.contains(span), "{grant}");
        let key = grant.lines().find_map(|line| line.split_once("#k=")).unwrap().1.trim().to_owned();
        let opened = said(&doorframe(&["open", &clip, "--key", &format!("{clip}#k={key}")]));
        assert!(opened.contains("60 pictures, 0 not decoded") && opened.contains("unchanged and whole"), "{opened}");
        said(&doorframe(&["verify", &clip]));
        let wrong = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        let refused = complaint(&doorframe(&["open", &clip, "--key", wrong]));
        assert!(refused.contains("this grant is for somebody else"), "{refused}");
        let nothing = complaint(&doorframe(&["play", "--link", &link, "--from", "10m"]));
        assert!(nothing.contains("nothing is kept of that time"), "{nothing}");
        let bad = complaint(&doorframe(&["play", "--link", &link, "--from", "tomorrow"]));
        assert!(bad.contains("is not a time: write 2026-11-24T10:00:00"), "{bad}");
        let page = std::fs::read_to_string(&clip).unwrap();
        // The page's own script comes after the bundle: what is cut has to be in that.
        let bundle = page.find("id=\"bundle\"").unwrap();
        std::fs::write(&clip, &page[..bundle + 2000]).unwrap();
        complaint(&doorframe(&["verify", &clip]));
    })
    .await
    .unwrap();
}
