//! A store of a real session with real coded pictures, as a hub would have kept it.

#![allow(dead_code, reason = "each test file uses its own part of it")]

use doorframe::codec::Picture;
use doorframe::codec::access_unit::{AccessUnit, Codec, Kind};
use doorframe::codec::av1::rav1e::Rav1eEncoder;
use doorframe::codec::encoder::{self, Encoder};
use doorframe::codec::h264::openh264::Openh264Encoder;
use doorframe::codec::units::{Bitrate, Color, FrameRate, Size, Uptime};
use doorframe::transport::identity::{DeviceKey, DevicePublicKey, SigningKey};
use doorframe::transport::keys::{Epoch, SessionId};
use doorframe::transport::recorded::{EpochFile, RecordedTrack};
use doorframe::transport::seed::Seed;
use doorframe::transport::session::{Config, EPOCH, Session};
use doorframe::transport::store::{Patience, Place, Shelf, Store};
use doorframe::transport::track::TrackName;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub(crate) const START: u64 = 1_795_000_000_000_000;
pub(crate) const SECOND: u64 = 1_000_000;
pub(crate) const FPS: u64 = 10;
pub(crate) const EPOCHS: u32 = 6;
pub(crate) const SIZE: (u32, u32) = (160, 96);

/// A folder that is gone with it.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("doorframe-recordings-{}-{name}", std::process::id()));
        let _old = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _left = std::fs::remove_dir_all(&self.0);
    }
}

pub(crate) fn identity() -> SigningKey {
    SigningKey::from_seed(&[41; 32]).unwrap()
}

pub(crate) fn owner() -> DeviceKey {
    DeviceKey::from_seed([42; 32]).unwrap()
}

pub(crate) fn signer() -> SigningKey {
    SigningKey::from_seed(&[43; 32]).unwrap()
}

/// A bright bar that moves to the right.
pub(crate) fn picture(n: u64) -> Picture {
    let size = Size::new(SIZE.0, SIZE.1).unwrap();
    let mut picture = Picture::black(size, Color::default());
    let [luma, ..] = picture.planes_mut();
    for (y, row) in luma.chunks_mut(SIZE.0 as usize).enumerate() {
        for (x, sample) in row.iter_mut().enumerate() {
            *sample = if (x as u64 + 160 - n * 3 % 160) % 160 < 24 { 220 } else { 40 + (y as u8 / 2) };
        }
    }
    picture
}

pub(crate) fn encoder(codec: Codec) -> Box<dyn Encoder> {
    let size = Size::new(SIZE.0, SIZE.1).unwrap();
    let config = encoder::Config::new(size, FrameRate::whole(FPS as u32).unwrap(), Bitrate::from_kbps(300));
    let config = config.check().unwrap();
    match codec {
        Codec::Av1 => Box::new(Rav1eEncoder::new(config).unwrap()),
        _ => Box::new(Openh264Encoder::new(config).unwrap()),
    }
}

/// A session of [`EPOCHS`] epochs for [`owner`], as a hub would have stored it.
pub(crate) async fn film(folder: &Path, codec: Codec, draw: u8, start_us: u64) -> SessionId {
    film_for(owner().public(), folder, codec, draw, start_us).await
}

/// The same, for another device.
pub(crate) async fn film_for(
    device: &DevicePublicKey,
    folder: &Path,
    codec: Codec,
    draw: u8,
    start_us: u64,
) -> SessionId {
    let store = Store::open(&Place::Folder(folder.into()), Patience::default()).await.unwrap();
    let shelf = Shelf::new("front-door").unwrap();
    let config = Config::new(vec![device.clone()]);
    let boot = Uptime::from_micros(7);
    let (mut session, manifest) =
        Session::start(config, &identity(), Seed::from_os_random([draw; 32]), boot, start_us).unwrap();
    let id = session.id();
    store.put_session(&shelf, id, manifest).await.unwrap();
    let mut coder = encoder(codec);
    let mut units: Vec<AccessUnit> = Vec::new();
    for n in 0..u64::from(EPOCHS) * 2 * FPS {
        let kind = if n % (2 * FPS) == 0 { Kind::Keyframe } else { Kind::Delta };
        let at = session.media_time(boot + Duration::from_millis(1000 / FPS * n));
        units.extend(coder.encode(&picture(n), at, kind).unwrap());
    }
    units.extend(coder.finish().unwrap());
    assert_eq!(units.len() as u64, u64::from(EPOCHS) * 2 * FPS);
    for n in 0..EPOCHS {
        let now = boot + EPOCH * n;
        let wall_us = start_us + u64::from(n) * 2 * SECOND;
        let opening = session.begin(Epoch(n), now, wall_us, Vec::new()).unwrap();
        let mut objects = Vec::new();
        for unit in units.drain(..2 * FPS as usize) {
            assert_eq!(unit.is_keyframe(), objects.is_empty());
            objects.push(session.seal(TrackName::VIDEO, &unit, Duration::from_millis(3)).unwrap());
        }
        let (epoch, closing) = session.end().unwrap();
        let tracks = vec![RecordedTrack { name: TrackName::VIDEO, objects }];
        let stored_us = wall_us + 2_100_000;
        let file = EpochFile { session: id, epoch, stored_us, opening, closing: Some(closing), tracks };
        store.put(&shelf, &file).await.unwrap();
    }
    id
}

/// Where the file of an epoch is.
pub(crate) fn stored(folder: &Path, epoch: u32) -> PathBuf {
    let wanted = format!("-{epoch:08x}");
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.to_string_lossy().ends_with(&wanted) {
                found.push(path);
            }
        }
    }
    found.pop().unwrap()
}
