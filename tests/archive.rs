//! Recordings over a real connection: a hub that serves a store, and the program's commands on it.

#![expect(clippy::unwrap_used, reason = "a test may fail")]

#[path = "common/filmed.rs"]
mod filmed;

use bytes::{BufMut as _, Bytes, BytesMut};
use doorframe::archive::{Archive, ArchiveError};
use doorframe::codec::access_unit::Codec;
use doorframe::link::{Alias, WatchLink};
use doorframe::transport::keys::{Epoch, SessionId};
use doorframe::transport::moq::{Dial, GroupRequest, Node, Requests, Trust, relay, server_endpoint};
use doorframe::transport::store::{Hour, Patience, Place, Shelf, Store};
use filmed::{EPOCHS, FPS, Folder, START, film, identity, stored};
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256};
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::Duration;
use zeroize::Zeroizing;

/// A hub that gives what is in a folder, as `docs/format.md`, "Serving", says.
struct Kept {
    to: Dial,
    endpoint: quinn::Endpoint,
}

#[derive(Clone, Copy)]
enum Kind {
    Days,
    Hour,
    Session(SessionId),
    Epoch(SessionId),
}

impl Kept {
    fn start(folder: &Path) -> Self {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let certificate = CertificateParams::new(vec!["localhost".into()]).unwrap().self_signed(&key).unwrap();
        let der = certificate.der().clone();
        let mut hash = [0; 32];
        hash.copy_from_slice(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &der).as_ref());
        let private = rustls::pki_types::PrivatePkcs8KeyDer::from(key.serialize_der());
        let endpoint = server_endpoint(([127, 0, 0, 1], 0).into(), der, private.into()).unwrap();
        let url = format!("https://127.0.0.1:{}/home", endpoint.local_addr().unwrap().port());
        let node = Arc::new(Node::new());
        let (door, shared) = (endpoint.clone(), node.clone());
        tokio::spawn(async move {
            while let Some(incoming) = door.accept().await {
                let node = shared.clone();
                tokio::spawn(async move {
                    let access = relay::Access {
                        scope: "home".into(),
                        publish: vec![String::new()],
                        subscribe: vec![String::new()],
                        expires_in: Duration::from_secs(600),
                    };
                    if let Some(visitor) = relay::receive(incoming).await {
                        visitor.admit(&node, &access).await;
                    }
                });
            }
        });
        let store = Arc::new(Store::look_into(&Place::Folder(folder.into()), Patience::default()).unwrap());
        tokio::spawn(serve(node, store));
        Self { to: Dial { url: url.parse().unwrap(), trust: Trust::Pinned(hash) }, endpoint }
    }

    fn link(&self) -> WatchLink {
        WatchLink {
            page: None,
            hub: self.to.url.clone(),
            trust: self.to.trust.clone(),
            token: "t.o.k".into(),
            camera: Alias::front_door(),
            identity: identity().verifying_key(),
            device: Zeroizing::new([42; 32]),
        }
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.endpoint.close(0_u32.into(), b"over");
    }
}

async fn serve(node: Arc<Node>, store: Arc<Store>) {
    const PATH: &str = "home/store/front-door";
    let requests = node.serve_below(PATH).unwrap();
    let mut kept = Vec::new();
    while let Some(request) = requests.next().await {
        let name = request.path().strip_prefix(PATH).unwrap().trim_start_matches('/').to_owned();
        let (names, kinds) = match SessionId::from_hex(&name) {
            Some(id) => (["session", "epoch"], [Kind::Session(id), Kind::Epoch(id)]),
            None => (["days", "hour"], [Kind::Days, Kind::Hour]),
        };
        let (broadcast, tracks) = request.accept(names, 50).unwrap();
        kept.push(broadcast);
        for (kind, track) in kinds.into_iter().zip(tracks) {
            tokio::spawn(answer(store.clone(), kind, track));
        }
    }
}

async fn answer(store: Arc<Store>, kind: Kind, requests: Requests) {
    while let Some(request) = requests.next().await {
        match objects(&store, kind, &request).await {
            Some(objects) => request.reply(objects).unwrap(),
            None => request.refuse(),
        }
    }
}

async fn objects(store: &Store, kind: Kind, request: &GroupRequest) -> Option<Vec<Bytes>> {
    let shelf = Shelf::new("front-door").unwrap();
    let number = (request.group() & u64::from(u32::MAX)) as u32;
    let mut out = BytesMut::new();
    match kind {
        Kind::Days => {
            for hour in store.hours(&shelf).await.unwrap() {
                let entries = store.hour(&shelf, hour).await.unwrap();
                out.put_u32(hour.0);
                out.put_u32(entries.len() as u32);
                out.put_u64(entries.iter().map(|entry| entry.bytes).sum());
            }
        }
        Kind::Hour => {
            for entry in store.hour(&shelf, Hour(number)).await.unwrap() {
                out.put_slice(&entry.session.0);
                out.put_u32(entry.epoch.0);
                out.put_u64(entry.stored_us);
                out.put_u32(entry.bytes as u32);
            }
        }
        Kind::Session(id) => return store.session(&shelf, id).await.ok().map(|manifest| vec![manifest]),
        Kind::Epoch(id) => {
            for hour in store.hours(&shelf).await.unwrap() {
                let entries = store.hour(&shelf, hour).await.unwrap();
                let found = entries.iter().find(|entry| entry.session == id && entry.epoch == Epoch(number));
                if let Some(entry) = found {
                    let file = store.epoch(&shelf, entry).await.ok()?;
                    // In pieces, as a hub gives it.
                    return Some(file.chunks(1000).map(Bytes::copy_from_slice).collect());
                }
            }
            return None;
        }
    }
    Some(vec![out.freeze()])
}

fn doorframe(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_doorframe")).args(arguments).env("TZ", "UTC").output().unwrap()
}

/// What a run printed, if it ended well.
fn said(output: &Output) -> String {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}\n{err}");
    out.into_owned()
}

/// What a run complained of, if it did not.
fn complaint(output: &Output) -> String {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(!output.status.success(), "{out}\n{err}");
    format!("{out}{err}")
}

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
