//! What recording costs, and what finding a moment costs in a store of an hour and of a month.
//!
//! Beside the figures of criterion it prints how many cameras of 1 Mbit/s one core records, by the processor's time rather than the
//! disk's, and how long it takes to read the listing of a month.

#![allow(missing_docs, reason = "criterion's macros make undocumented functions")]
#![expect(clippy::unwrap_used, reason = "a bench may fail")]

use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use doorframe::codec::AccessUnit;
use doorframe::codec::access_unit::{Codec, Kind};
use doorframe::codec::units::{Size, TemporalLayer, Uptime};
use doorframe::transport::Session;
use doorframe::transport::identity::{DeviceKey, SigningKey};
use doorframe::transport::keys::{Epoch, SessionId};
use doorframe::transport::recorded::{EpochFile, RecordedTrack, verify};
use doorframe::transport::seed::Seed;
use doorframe::transport::session::{Config, EPOCH};
use doorframe::transport::store::{Hour, Patience, Place, Shelf, Store};
use doorframe::transport::track::TrackName;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bench-recorder").join(name);
    let _none = std::fs::remove_dir_all(&folder);
    folder
}

fn open(runtime: &Runtime, folder: &Path) -> Store {
    runtime.block_on(Store::open(&Place::Folder(folder.into()), Patience::default())).unwrap()
}

fn shelf() -> Shelf {
    Shelf::new("door").unwrap()
}

/// Two seconds of 30 frames at 1 Mbit/s: a keyframe of 50 kB and deltas.
fn epoch() -> (EpochFile, doorframe::transport::manifest::SessionFacts) {
    let device = DeviceKey::from_seed([2; 32]).unwrap();
    let config = Config::new(vec![device.public().clone()]);
    let identity = SigningKey::from_seed(&[1; 32]).unwrap();
    let seed = Seed::from_os_random([3; 32]);
    let (mut session, manifest) = Session::start(config, &identity, seed, Uptime::default(), 0).unwrap();
    let facts = doorframe::transport::manifest::SessionManifest::parse(&manifest).unwrap().facts().clone();
    let opening = session.begin(Epoch(0), Uptime::default(), 0, vec![]).unwrap();
    let objects = (0..60).map(|n| {
        let (kind, len) = if n == 0 { (Kind::Keyframe, 50_000) } else { (Kind::Delta, 3_390) };
        let unit = AccessUnit {
            codec: Codec::H264,
            kind,
            layer: TemporalLayer::BASE,
            size: Size::new(1280, 720).unwrap(),
            at: session.media_time(Uptime::default()),
            data: Bytes::from(vec![0xa5; len]),
        };
        session.seal(TrackName::VIDEO, &unit, Duration::ZERO).unwrap()
    });
    let tracks = vec![RecordedTrack { name: TrackName::VIDEO, objects: objects.collect() }];
    let (epoch, closing) = session.end().unwrap();
    (EpochFile { session: session.id(), epoch, stored_us: 0, opening, closing: Some(closing), tracks }, facts)
}

/// Processor time of this process so far.
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    // Fields 14 and 15, in ticks of 10 ms; the name before them may hold spaces.
    let after = stat.rsplit_once(')').unwrap().1;
    let ticks: u64 = after.split_whitespace().skip(11).take(2).map(|ticks| ticks.parse::<u64>().unwrap()).sum();
    Duration::from_millis(ticks * 10)
}

fn record(c: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (file, facts) = epoch();
    let place = folder("put");
    let store = open(&runtime, &place);
    let mut group = c.benchmark_group("recorder");
    group.throughput(Throughput::Bytes(file.len() as u64));
    group.bench_function("emit_250k", |b| b.iter(|| black_box(&file).emit().unwrap()));
    let whole = Bytes::from(file.emit().unwrap().concat());
    group.bench_function("parse_250k", |b| b.iter(|| EpochFile::parse(black_box(&whole)).unwrap()));
    group.bench_function("verify_250k", |b| b.iter(|| verify(black_box(&file), &facts).unwrap()));
    let mut n = 0_u64;
    let mut put = || {
        n += 1;
        let file = EpochFile { stored_us: n * 2_000_000, ..file.clone() };
        runtime.block_on(store.put(&shelf(), &file)).unwrap()
    };
    group.bench_function("emit_and_put_250k", |b| b.iter(&mut put));
    group.finish();

    let (started, before, count) = (Instant::now(), cpu(), 500);
    for _ in 0..count {
        put();
    }
    let each = (cpu() - before).as_secs_f64() / f64::from(count);
    let cameras = EPOCH.as_secs_f64() / each;
    let megabytes = file.len() as f64 * f64::from(count) / 1e6;
    println!(
        "recorder: {:.0} sealed MB/s with each epoch synced to this disk, {:.0} by the processor's time: {cameras:.0} cameras of 1 Mbit/s a core",
        megabytes / started.elapsed().as_secs_f64(),
        file.len() as f64 / 1e6 / each,
    );
    drop(store);
    let _gone = std::fs::remove_dir_all(place);
}

const FIRST: u32 = 490_000;

/// A store of `hours` full hours of small epochs. Names alone are made: an hour's are links to one file.
fn full(runtime: &Runtime, hours: u32) -> (Store, PathBuf) {
    let place = folder(&format!("{hours}h"));
    let store = open(runtime, &place);
    for hour in 0..hours {
        let start = Hour(FIRST + hour).start_us();
        let (session, opening) = (SessionId([1; 16]), Bytes::from_static(b"opening"));
        let file = EpochFile { session, epoch: Epoch(0), stored_us: start, opening, closing: None, tracks: vec![] };
        runtime.block_on(store.put(&shelf(), &file)).unwrap();
        let name = format!("{start:016x}-{session}-{:08x}", 0);
        let written = written(&place, &name);
        for n in 1..1800_u64 {
            let name = format!("{:016x}-{session}-{n:08x}", start + n * 2_000_000);
            std::fs::hard_link(&written, written.with_file_name(name)).unwrap();
        }
    }
    (store, place)
}

/// Where a store has put a file: in its newest day and hour.
fn written(place: &Path, name: &str) -> PathBuf {
    let last = |folder: PathBuf| {
        let mut inside: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        inside.sort();
        inside.pop().unwrap()
    };
    last(last(place.join("door"))).join(name)
}

fn seek(c: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut group = c.benchmark_group("seek");
    for (name, hours) in [("1h", 1), ("30d", 720)] {
        let (store, place) = full(&runtime, hours);
        let mut random = 0x2545_f491_4f6c_dd1d_u64;
        group.bench_function(BenchmarkId::new("list_hour_and_get_epoch", name), |b| {
            b.iter(|| {
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                let hour = Hour(FIRST + (random % u64::from(hours)) as u32);
                runtime.block_on(async {
                    let entries = store.hour(&shelf(), hour).await.unwrap();
                    let wanted = entries[(random >> 32) as usize % entries.len()];
                    store.epoch(&shelf(), &wanted).await.unwrap()
                })
            });
        });
        let started = Instant::now();
        let epochs = runtime.block_on(async {
            let mut epochs = 0;
            for hour in store.hours(&shelf()).await.unwrap() {
                epochs += store.hour(&shelf(), hour).await.unwrap().len();
            }
            epochs
        });
        println!(
            "seek: the whole listing of {name} ({epochs} epochs) is read in {:.2} s",
            started.elapsed().as_secs_f64()
        );
        drop(store);
        let _gone = std::fs::remove_dir_all(place);
    }
    group.finish();
}

criterion_group!(benches, record, seek);
criterion_main!(benches);
