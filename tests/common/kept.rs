//! A hub that gives what is in a folder, and the program to ask it with.

#![allow(dead_code, reason = "each test file uses its own part of it")]

#[path = "../../transport/tests/common/relay.rs"]
mod relay;

use crate::filmed::identity;
use bytes::{BufMut as _, Bytes, BytesMut};
use doorframe::link::{Alias, WatchLink};
use doorframe::transport::keys::{Epoch, SessionId};
use doorframe::transport::moq::{Dial, GroupRequest, Node, Requests};
use doorframe::transport::store::{Hour, Patience, Place, Shelf, Store};
use relay::Relay;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;
use zeroize::Zeroizing;

/// A hub that gives what is in a folder, as `docs/format.md`, "Serving", says.
pub(crate) struct Kept(Relay);

#[derive(Clone, Copy)]
enum Kind {
    Days,
    Hour,
    Session(SessionId),
    Epoch(SessionId),
}

impl Kept {
    pub(crate) fn start(folder: &Path) -> Self {
        let relay = Relay::start();
        let store = Arc::new(Store::look_into(&Place::Folder(folder.into()), Patience::default()).unwrap());
        tokio::spawn(serve(relay.node.clone(), store));
        Self(relay)
    }

    /// Where it is.
    pub(crate) fn dial(&self) -> Dial {
        self.0.to.clone()
    }

    pub(crate) fn link(&self) -> WatchLink {
        WatchLink {
            page: None,
            hub: self.0.to.url.clone(),
            trust: self.0.to.trust.clone(),
            token: "t.o.k".into(),
            camera: Alias::front_door(),
            identity: identity().verifying_key(),
            device: Zeroizing::new([42; 32]),
            retired: Vec::new(),
        }
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

/// Runs the program, whose state folder is `state` unless it is told another.
pub(crate) fn doorframe(state: &Path, arguments: &[&str]) -> Output {
    let mut program = Command::new(env!("CARGO_BIN_EXE_doorframe"));
    program.args(arguments).env("TZ", "UTC").env("XDG_STATE_HOME", state).output().unwrap()
}

/// What a run printed, if it ended well.
pub(crate) fn said(output: &Output) -> String {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}\n{err}");
    out.into_owned()
}

/// What a run complained of, if it did not.
pub(crate) fn complaint(output: &Output) -> String {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(!output.status.success(), "{out}\n{err}");
    format!("{out}{err}")
}
