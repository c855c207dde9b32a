//! The publish path: an access unit sealed, published, relayed by a hub and received, over real QUIC on loopback.

#![allow(missing_docs, reason = "criterion's macros make undocumented functions")]
#![expect(clippy::unwrap_used, reason = "a bench may fail")]

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use doorframe::codec::AccessUnit;
use doorframe::codec::access_unit::{Codec, Kind};
use doorframe::codec::units::{MediaTime, Size, TemporalLayer, Uptime};
use doorframe::hub::{Hub, HubConfig, HubIdentity};
use doorframe::transport::Session;
use doorframe::transport::identity::{DeviceKey, SigningKey};
use doorframe::transport::keys::Epoch;
use doorframe::transport::moq::{Dial, Node, client_endpoint, dial};
use doorframe::transport::seed::Seed;
use doorframe::transport::session::Config;
use doorframe::transport::track::TrackName;
use doorframe::transport::viewer::Viewer;
use std::time::Duration;

/// One unit of 5 kB from hand to hand: what is added around encoder and decoder.
fn publish(c: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let _inside = runtime.enter();
    let config = HubConfig::local();
    let hub = Hub::start(config.clone(), &HubIdentity::fresh(&config.host).unwrap()).unwrap();
    let link = hub.link().unwrap();
    let identity = SigningKey::from_seed(&[1; 32]).unwrap();
    let device = DeviceKey::from_seed([2; 32]).unwrap();
    let session = Config::new(vec![device.public().clone()]);
    let (mut session, manifest) =
        Session::start(session, &identity, Seed::from_os_random([3; 32]), Uptime::default(), 0).unwrap();
    let mut viewer = Viewer::new(device, identity.verifying_key(), [4; 16]);
    viewer.handle_session(&manifest).unwrap();
    viewer.handle_opening(&session.begin(Epoch(0), Uptime::default(), 0, vec![]).unwrap(), 0);

    let (camera, owner) = (Node::new(), Node::new());
    let mut watch = link.dial.url.clone();
    watch.query_pairs_mut().clear().append_pair("jwt", &link.watch_token);
    let to_watch = Dial { url: watch, trust: link.dial.trust.clone() };
    let endpoint = client_endpoint().unwrap();
    let connections = runtime.block_on(async {
        (dial(&endpoint, &camera, &link.dial).await.unwrap(), dial(&endpoint, &owner, &to_watch).await.unwrap())
    });
    let broadcast = camera.broadcast("bench/session").unwrap();
    let video = broadcast.track("video", 1).unwrap();
    let mut group = video.group(0).unwrap();
    broadcast.announce().unwrap();
    let mut reader = runtime.block_on(owner.subscribe("bench/session", "video", 1)).unwrap();
    let mut received = runtime.block_on(reader.group()).unwrap();

    let unit = AccessUnit {
        codec: Codec::H264,
        kind: Kind::Delta,
        layer: TemporalLayer::BASE,
        size: Size::new(1280, 720).unwrap(),
        at: MediaTime::default(),
        data: Bytes::from(vec![0xa5; 5_000]),
    };
    // A relay keeps a group for those who join; a group of a bench would never end, so start one anew now and then.
    let (mut position, mut number) = (0_u64, 0_u64);
    let mut bench = c.benchmark_group("publish_path");
    bench.throughput(Throughput::Bytes(5_000)).measurement_time(Duration::from_secs(8));
    bench.bench_function("seal_publish_relay_receive_open_5k", |b| {
        b.iter(|| {
            if position == 500 {
                (position, number) = (0, number + 1);
                group = video.group(number).unwrap();
                let epoch = Epoch(u32::try_from(number).unwrap());
                session.end();
                viewer.handle_opening(&session.begin(epoch, Uptime::default(), 0, vec![]).unwrap(), 0);
            }
            position += 1;
            let object = session.seal(TrackName::VIDEO, &unit, Duration::ZERO).unwrap();
            group.write(MediaTime::default(), object).unwrap();
            if position == 1 && number > 0 {
                received = runtime.block_on(reader.group()).unwrap();
            }
            let object = runtime.block_on(received.object()).unwrap();
            viewer.handle_object(TrackName::VIDEO, Epoch(number as u32), object);
            while viewer.poll_event().is_some() {}
        });
    });
    bench.finish();
    drop(connections);
}

criterion_group!(benches, publish);
criterion_main!(benches);
