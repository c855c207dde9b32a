//! Recordings in a real browser: back in time, another moment, picture by picture, and live again.

#![expect(clippy::unwrap_used, reason = "a test may fail")]

#[path = "common/chromium.rs"]
#[allow(dead_code, reason = "each test file uses its own part of it")]
mod chromium;
mod common;

use chromium::{Chromium, keep};
use common::{PATIENCE, config, hub, watch_link};
use doorframe::camera::Camera;
use doorframe::hub::Hub;
use doorframe::link::WatchLink;
use doorframe::page::Page;
use doorframe::recorder::{Recorder, RecorderConfig};
use doorframe::sensor::Clock;
use doorframe::transport::identity::DeviceKey;
use doorframe::transport::store::{Patience, Place, Store};
use doorframe::wall_us;
use serde_json::Value;
use std::path::Path;
use std::time::Instant;
use zeroize::Zeroizing;

/// A key on the bar, or on the page.
fn press(browser: &mut Chromium, on: &str, key: &str) {
    let event = format!("new KeyboardEvent('keydown', {{ key: '{key}', bubbles: true }})");
    browser.evaluate(&format!("document.getElementById('{on}').dispatchEvent({event})"));
}

/// A hub that records to a folder of that name, empty at first.
async fn recorded(name: &str) -> (Hub, Recorder) {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _none = std::fs::remove_dir_all(&folder);
    let hub = hub();
    let store = Store::open(&Place::Folder(folder), Patience::default()).await.unwrap();
    let recorder = Recorder::start(&hub, store, RecorderConfig::default()).unwrap();
    (hub, recorder)
}

fn number(statistics: &Value, field: &str) -> f64 {
    statistics["tape"][field].as_f64().unwrap_or(f64::NAN)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_browser_goes_back_in_time_and_to_live_again() {
    let Some(program) = chromium::find_or_skip() else { return };
    let (hub, recorder) = recorded("timeline").await;
    let link = hub.link().unwrap();
    let page = Page::serve(0).await.unwrap();
    let mut watch = watch_link(&link);
    watch.page = Some(page.url().clone());
    let camera = Camera::start(config("clip:assets/door_720p30.264"), link, Clock::new(Instant::now())).unwrap();
    let (url, bell) = (watch.to_string(), camera.bell());

    tokio::task::spawn_blocking(move || {
        let mut browser = Chromium::open(&program, &url, 1280, 800, true);
        // Ten seconds of recordings, by what the page itself is told.
        let recorded = |s: &Value| Some(s["tape"]["span"][1].as_f64()? - s["tape"]["span"][0].as_f64()?);
        let long = |s: &Value| recorded(s).is_some_and(|ms| ms > 10_000.0) && s["state"] == "live";
        let live = browser.wait("ten seconds of recordings, and live pictures", PATIENCE, long);
        assert_eq!(live["tape"]["mode"], "idle", "{live}");
        browser.evaluate("document.getElementById('zoom-minutes').click()");
        bell.ring();
        let rang = browser.wait("word that somebody rang", PATIENCE, |s| s["happened"]["kind"] == "doorbell");
        let age = wall_us() as f64 / 1_000.0 - rang["happened"]["at"].as_f64().unwrap();
        assert!(age.abs() < 10_000.0, "rang {age} ms ago: {rang}");

        let mut figures = Vec::new();
        for seek in 0..3 {
            let before = number(&browser.statistics(), "framesDrawn");
            (0..2).for_each(|_| press(&mut browser, "bar", "ArrowLeft"));
            let drawn = |s: &Value| s["state"] == "recorded" && number(s, "framesDrawn") > before;
            let past = browser.wait("a picture of the past", PATIENCE, drawn);
            let age = wall_us() as f64 / 1_000.0 - number(&past, "filmed");
            figures.push((number(&past, "seekMs").round(), age.round()));
            assert!(age > 3_000.0, "seek {seek}: filmed {age} ms ago: {past}");
            assert_eq!(past["alarms"], 0, "{past}");
        }
        println!("(ms from a key to its picture, ms ago that it was filmed): {figures:?}");
        keep("tape-playing.png", &browser.screenshot());

        // It plays, a pause holds it, and a picture more is one picture.
        let at = number(&browser.statistics(), "filmed");
        browser.wait("playing", PATIENCE, |s| number(s, "filmed") > at + 300.0);
        press(&mut browser, "bar", " ");
        let paused = browser.wait("a pause", PATIENCE, |s| s["tape"]["mode"] == "paused");
        let (drawn, filmed) = (number(&paused, "framesDrawn"), number(&paused, "filmed"));
        press(&mut browser, "bar", ".");
        let next = browser.wait("the next picture", PATIENCE, |s| number(s, "framesDrawn") > drawn);
        let step = number(&next, "filmed") - filmed;
        assert!(step > 5.0 && step < 500.0, "a step of {step} ms: {next}");
        assert_eq!((next["state"].as_str(), next["alarms"].as_u64()), (Some("recorded"), Some(0)), "{next}");
        assert_eq!(browser.evaluate("getComputedStyle(document.getElementById('live')).display"), "none");

        let count = next["framesDrawn"].as_u64();
        press(&mut browser, "bar", "l");
        let back = browser.wait("live again", PATIENCE, |s| s["state"] == "live" && s["framesDrawn"].as_u64() > count);
        assert_eq!(back["tape"]["mode"], "idle", "{back}");
        // The bar asks for events every five seconds.
        let marks = "document.querySelectorAll('#bar-marks [data-kind=doorbell]').length";
        let started = Instant::now();
        while browser.evaluate(marks) != 1 {
            assert!(started.elapsed() < PATIENCE, "no mark where somebody rang: {}", browser.statistics());
            std::thread::sleep(std::time::Duration::from_millis(200));
        }
        keep("tape-live-again.png", &browser.screenshot());
    })
    .await
    .unwrap();
    let last = recorder.stop().await;
    assert_eq!((last.lost, last.failures), (0, 0), "{last:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_browser_opens_live_and_recorded_what_was_sealed_before_its_device_changed_its_key() {
    let Some(program) = chromium::find_or_skip() else { return };
    let (hub, recorder) = recorded("timeline-rotated").await;
    let link = hub.link().unwrap();
    let page = Page::serve(0).await.unwrap();
    let newest = DeviceKey::from_seed([44; 32]).unwrap();
    let old = WatchLink { page: Some(page.url().clone()), ..watch_link(&link) };
    let rotated = WatchLink { device: Zeroizing::new([44; 32]), retired: vec![old.device.clone()], ..old.clone() };
    let before = config("clip:assets/door_720p30.264");
    let mut after = config("clip:assets/door_720p30.264");
    after.devices = vec![newest.public().clone()];
    after.boot = 1;
    // It has not heard of the newest key yet.
    let camera = Camera::start(before, link.clone(), Clock::new(Instant::now())).unwrap();

    tokio::task::spawn_blocking(move || {
        let mut browser = Chromium::open(&program, &rotated.to_string(), 1260, 800, true);
        let recorded = |s: &Value| Some(s["tape"]["span"][1].as_f64()? - s["tape"]["span"][0].as_f64()?);
        let long = |s: &Value| recorded(s).is_some_and(|ms| ms > 12_000.0) && s["state"] == "live";
        let first = browser.wait("live pictures by the key from before", PATIENCE, long);
        camera.stop().unwrap();
        let changed = wall_us() as f64 / 1_000.0;
        let _camera = Camera::start(after, link, Clock::new(Instant::now())).unwrap();
        let next = |s: &Value| s["state"] == "live" && s["session"] != first["session"];
        let live = browser.wait("live pictures by the newest key", PATIENCE, next);
        assert_eq!(live["alarms"], 0, "{live}");
        browser.evaluate("document.getElementById('zoom-minutes').click()");
        let started = Instant::now();
        let past = loop {
            let seen = browser.statistics();
            if seen["state"] == "recorded" && number(&seen, "filmed") < changed {
                break seen;
            }
            assert!(started.elapsed() < PATIENCE, "no picture from before the key was changed: {seen}");
            // Between the two sessions there is nothing, and a step that ends too near to now is live again.
            let mode = seen["tape"]["mode"].as_str();
            if matches!(mode, Some("idle" | "gap")) || number(&seen, "at") > changed {
                press(&mut browser, "bar", "ArrowLeft");
            }
            std::thread::sleep(std::time::Duration::from_millis(300));
        };
        assert_eq!(past["alarms"], 0, "{past}");
        drop(browser);

        // A link from before opens the past alone, and the page says what to do.
        let mut stale = Chromium::open(&program, &old.to_string(), 1240, 800, true);
        let told = stale.wait("word that the key is an old one", PATIENCE, |s| s["state"] == "wrong-device");
        assert!(told["message"].as_str().is_some_and(|words| words.contains("run “doorframe page” again")), "{told}");
    })
    .await
    .unwrap();
    recorder.stop().await;
}
