//! What the end-to-end tests share: a hub, a camera with the test pattern, and a link to watch it by.

#![allow(dead_code, reason = "each test file uses its own part of it")]

pub(crate) mod shaper;

use doorframe::camera::{Camera, CameraConfig};
use doorframe::hub::{Hub, HubConfig, HubIdentity};
use doorframe::link::{HubLink, WatchLink};
use doorframe::report::ViewerStats;
use doorframe::sensor::Clock;
use doorframe::transport::identity::{DeviceKey, SigningKey};
use doorframe::viewer::{NoSink, Viewer, ViewerState};
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// Longest a test waits for anything; long, since machines are shared.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn hub() -> Hub {
    let config = HubConfig::local();
    let identity = HubIdentity::fresh(&config.host).unwrap();
    Hub::start(config, &identity).unwrap()
}

pub(crate) fn identity() -> SigningKey {
    SigningKey::from_seed(&[21; 32]).unwrap()
}

pub(crate) fn device() -> DeviceKey {
    DeviceKey::from_seed([22; 32]).unwrap()
}

/// A small test pattern as a camera.
pub(crate) fn config(source: &str) -> CameraConfig {
    let source = source.parse().unwrap();
    CameraConfig::new(source, identity(), vec![device().public().clone()], [23; 32])
}

pub(crate) fn camera(link: HubLink) -> Camera {
    Camera::start(config("pattern:320x240@30"), link, Clock::new(Instant::now())).unwrap()
}

pub(crate) fn watch_link(link: &HubLink) -> WatchLink {
    WatchLink {
        page: None,
        hub: link.hub(),
        trust: link.dial.trust.clone(),
        token: link.watch_token.clone(),
        camera: doorframe::link::Alias::front_door(),
        identity: identity().verifying_key(),
        device: Zeroizing::new([22; 32]),
        retired: Vec::new(),
    }
}

pub(crate) fn viewer(link: &WatchLink) -> Viewer {
    Viewer::start(link, [24; 32], Box::new(NoSink), None).unwrap()
}

/// Waits until the viewer's state is as wished, and gives it.
pub(crate) async fn state(viewer: &Viewer, what: &str, wished: impl FnMut(&ViewerState) -> bool) -> ViewerState {
    let mut states = viewer.state();
    let waited = tokio::time::timeout(PATIENCE, states.wait_for(wished)).await;
    match waited {
        Ok(state) => state.unwrap().clone(),
        Err(_) => panic!("no {what} within {PATIENCE:?}; state is {:?}, {:?}", viewer.state().borrow(), viewer.stats()),
    }
}

/// Waits until the viewer's counts are as wished, and gives them.
pub(crate) async fn stats(viewer: &Viewer, what: &str, wished: impl Fn(&ViewerStats) -> bool) -> ViewerStats {
    let started = Instant::now();
    loop {
        let stats = viewer.stats();
        if wished(&stats) {
            return stats;
        }
        assert!(
            started.elapsed() < PATIENCE,
            "no {what} within {PATIENCE:?}: {stats:?}, {:?}",
            viewer.state().borrow()
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
