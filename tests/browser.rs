//! The page in a real browser: headless Chromium opens the link, and pictures come.

#![expect(clippy::unwrap_used, reason = "a test may fail")]

#[path = "common/chromium.rs"]
mod chromium;
mod common;

use base64::Engine as _;
use chromium::Chromium;
use common::{PATIENCE, config, hub, watch_link};
use doorframe::camera::Camera;
use doorframe::page::Page;
use doorframe::sensor::Clock;
use std::path::Path;
use std::time::Instant;

/// Leaves a picture for a person to look at, in the folder that `DOORFRAME_SCREENSHOTS` names.
fn keep(name: &str, png: &str) {
    let png = base64::engine::general_purpose::STANDARD.decode(png).unwrap();
    assert!(png.starts_with(b"\x89PNG") && png.len() > 5_000, "{name} is no picture: {} bytes", png.len());
    if let Some(folder) = std::env::var_os("DOORFRAME_SCREENSHOTS") {
        std::fs::write(Path::new(&folder).join(name), png).unwrap();
    }
}

/// Chromium, or a clear word that there is none.
fn chromium() -> Option<std::path::PathBuf> {
    let found = chromium::find();
    if found.is_none() {
        assert!(std::env::var_os("CI").is_none(), "CI has to install Chromium");
        println!("SKIPPED: no Chromium on this machine; install the package chromium to run this test");
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_browser_shows_the_camera_and_finds_it_again() {
    let Some(program) = chromium() else { return };
    let hub = hub();
    let link = hub.link().unwrap();
    let page = Page::serve(0).await.unwrap();
    let mut watch = watch_link(&link);
    watch.page = Some(page.url().clone());
    let camera =
        Camera::start(config("clip:assets/door_720p30.264"), link.clone(), Clock::new(Instant::now())).unwrap();
    let url = watch.to_string();

    let (statistics, after) = tokio::task::spawn_blocking(move || {
        let mut browser = Chromium::open(&program, &url, 1280, 800, true);
        let seen = browser.wait("three epochs of pictures", PATIENCE, |s| s["framesDrawn"].as_u64() > Some(120));
        keep("desktop-dark.png", &browser.screenshot());
        // The camera goes and comes back, as after a power cut: a new session under the same name.
        tokio::runtime::Handle::current().block_on(async {
            tokio::task::spawn_blocking(move || camera.stop()).await.unwrap().unwrap();
        });
        let before = browser.wait("word that the camera is gone", PATIENCE, |s| s["state"] != "live");
        keep("desktop-gone.png", &browser.screenshot());
        let clock = Clock::new(Instant::now());
        let _again = Camera::start(config("clip:assets/door_720p30.264"), link, clock).unwrap();
        let drawn = before["framesDrawn"].as_u64().unwrap();
        let after = browser.wait("pictures again", PATIENCE, |s| s["framesDrawn"].as_u64() > Some(drawn + 30));
        (seen, after)
    })
    .await
    .unwrap();
    println!("{statistics}");
    assert_eq!(statistics["state"], "live", "{statistics}");
    assert!(statistics["latencyMs"]["p50"].as_f64().unwrap() > 0.0, "{statistics}");
    assert_eq!(statistics["alarms"], 0, "{statistics}");
    assert_ne!(after["session"], statistics["session"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_browser_says_what_is_wrong() {
    let Some(program) = chromium() else { return };
    let hub = hub();
    let link = hub.link().unwrap();
    let page = Page::serve(0).await.unwrap();
    let camera = common::camera(link.clone());
    let mut good = watch_link(&link);
    good.page = Some(page.url().clone());
    let (mut refused, mut stranger) = (good.clone(), good.clone());
    refused.token = "e30.e30.e30".into();
    *stranger.device = [99; 32];
    let said = tokio::task::spawn_blocking(move || {
        [("refused", refused), ("stranger", stranger)].map(|(name, link)| {
            let mut browser = Chromium::open(&program, &link.to_string(), 390, 844, false);
            let wrong = |s: &serde_json::Value| {
                let state = s["state"].as_str().unwrap_or_default();
                !matches!(state, "" | "connecting" | "opening" | "waiting" | "starting")
            };
            let statistics = browser.wait(name, PATIENCE, wrong);
            keep(&format!("phone-{name}.png"), &browser.screenshot());
            assert_eq!(statistics["framesDrawn"], 0, "{statistics}");
            statistics["message"].as_str().unwrap_or_default().to_owned()
        })
    })
    .await
    .unwrap();
    println!("{said:?}");
    assert!(said[0].contains("this token is not from this hub"), "{said:?}");
    assert!(said[1].contains("device"), "{said:?}");
    drop(camera);
}
