//! A camera on a network: a real RTSP server on loopback, and what may be at its place.

#![cfg(feature = "rtsp")]
#![expect(clippy::unwrap_used, reason = "a test may fail")]

mod common;
#[path = "common/rtsp.rs"]
mod rtsp;

use common::{PATIENCE, config, hub, state, stats, viewer, watch_link};
use doorframe::camera::{Camera, CameraState};
use doorframe::codec::decoder::Limits;
use doorframe::codec::h264::openh264::Openh264Decoder;
use doorframe::codec::ingest::{Framing, Ingest};
use doorframe::codec::units::{Color, MediaTime};
use doorframe::codec::{Decoder, Picture};
use doorframe::sensor::rtsp::RtspError;
use doorframe::sensor::{BUILT_IN, Clock, Coded, CodedSensor, SensorError, Wanted, open_coded};
use doorframe::viewer::ViewerState;
use rtsp::Server;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The time of one answer, and some for a machine that is busy.
const ANSWER: Duration = Duration::from_secs(5 + 3);

fn open(url: &str, clock: Clock) -> Result<Box<dyn CodedSensor>, SensorError> {
    open_coded(&url.parse().unwrap(), Wanted::HD, clock)
}

fn clock() -> Clock {
    Clock::new(Instant::now())
}

/// Why there is no picture: in words, and whether it is for good.
fn refusal(url: &str) -> (String, bool) {
    let started = Instant::now();
    let error = open(url, clock()).err().expect("an error");
    assert!(started.elapsed() < ANSWER, "{error} after {:?}", started.elapsed());
    (error.to_string(), error.is_final())
}

fn take(sensor: &mut dyn CodedSensor, units: usize) -> Vec<Coded> {
    (0..units).map(|_| sensor.next().unwrap()).collect()
}

#[test]
fn pictures_of_a_camera_on_a_network_are_the_ones_it_sent_at_its_rate() {
    let Some(clip) = rtsp::clip() else { return };
    let server = Server::start(clip);
    let mut sensor = open(&server.url("/door"), clock()).unwrap();
    assert_eq!(sensor.name(), format!("{}, H.264 1280x720 at 29.97 fps", server.url("/door")));
    let units = take(&mut *sensor, 90);
    assert!(units[0].unit.is_keyframe() && units[1..].iter().all(|coded| !coded.unit.is_keyframe()));
    assert_eq!((sensor.losses().missing, sensor.losses().damaged, sensor.losses().skipped), (0, 0, 0));
    assert!(!sensor.want_keyframe(), "RTSP knows no way to ask");

    let mut ingest = Ingest::new(Framing::AnnexB);
    ingest.handle_buffer(BUILT_IN, MediaTime::default()).unwrap();
    let sent: Vec<_> = std::iter::from_fn(|| ingest.poll_unit()).map(|unit| unit.data).take(90).collect();
    assert!(units.iter().map(|coded| &coded.unit.data).eq(&sent), "the clip's units, in order");

    let mut decoder = Openh264Decoder::new(Limits::default());
    let mut picture = Picture::black(sensor.size(), Color::default());
    for coded in &units {
        assert!(decoder.decode(&coded.unit, &mut picture).unwrap().is_picture());
    }

    let steps: Vec<_> = units.windows(2).map(|pair| pair[1].captured.since(pair[0].captured)).collect();
    assert!(steps.iter().all(|step| *step >= Duration::from_millis(1)), "times grow: {steps:?}");
    // The first ones may have been sent faster than that, to catch up.
    let settled = units[89].captured.since(units[30].captured);
    assert!((1800..=2150).contains(&settled.as_millis()), "59 pictures of 29.97 a second took {settled:?}: {steps:?}");
}

#[test]
fn a_server_that_goes_away_may_come_back() {
    let Some(clip) = rtsp::clip() else { return };
    let server = Server::start(clip);
    let (url, port, clock) = (server.url("/door"), server.port, clock());
    let mut sensor = open(&url, clock).unwrap();
    let last = take(&mut *sensor, 5).pop().unwrap();
    drop(server);
    let error = std::iter::from_fn(|| Some(sensor.next())).find_map(Result::err).unwrap();
    assert_eq!((error.to_string(), error.is_final()), (format!("{url} ended the connection"), false));
    let (words, is_final) = refusal(&url);
    assert!(words.starts_with(&format!("{url} cannot be reached (Connection refused")) && !is_final, "{words}");

    let _server = Server::with(clip, port, &[]);
    let first = take(&mut *open(&url, clock).unwrap(), 5).remove(0);
    assert!(first.unit.is_keyframe() && first.captured > last.captured);
}

#[test]
fn a_server_that_falls_silent_is_noticed() {
    let Some(clip) = rtsp::clip() else { return };
    let server = Server::start(clip);
    let mut sensor = open(&server.url("/door"), clock()).unwrap();
    take(&mut *sensor, 5);
    server.signal("STOP");
    let started = Instant::now();
    let error = std::iter::from_fn(|| Some(sensor.next())).find_map(Result::err).unwrap();
    assert_eq!(error.to_string(), format!("{} sent no picture for 5 s", server.url("/door")));
    assert!(!error.is_final() && started.elapsed() < ANSWER, "{:?}", started.elapsed());
    drop(sensor);
    assert!(started.elapsed() < ANSWER + Duration::from_secs(1), "its last word is not waited for");
}

#[test]
fn what_a_person_has_to_put_right_is_said_in_words_and_without_the_password() {
    let Some(clip) = rtsp::clip() else { return };
    let server = Server::start(clip);
    let locked = Server::with(clip, 0, &["gate", "hun@ter2"]);
    let as_user = |login: &str| locked.url("/door").replace("rtsp://", &format!("rtsp://{login}@"));
    for (url, words) in [
        (server.url("/nowhere"), "/nowhere has no video at this path (404): look up the right one in its manual"),
        (server.url("/jpeg"), "/jpeg gives video jpeg, and no H.264: set its video coding to H.264"),
        (locked.url("/door"), "/door asks for a user name and a password: write rtsp://USER:PASSWORD@HOST/PATH"),
        (as_user("gate:hunter3"), "/door refuses this user name or password: check both"),
        (as_user("guest:hunter3"), "/door refuses this user name or password: check both"),
    ] {
        let (said, is_final) = refusal(&url);
        assert!(said.contains(words) && is_final, "{said}");
        assert!(!said.contains("hunter3") && !said.contains("guest"), "{said}");
    }
    let sensor = open(&as_user("gate:hun%40ter2"), clock()).unwrap();
    assert!(sensor.name().starts_with(&locked.url("/door")), "{}", sensor.name());
}

#[test]
fn what_was_lost_is_counted_and_nothing_is_shown_up_to_the_next_keyframe() {
    let Some(clip) = rtsp::clip() else { return };
    let server = Server::start(clip);
    let relay = rtsp::lossy(server.port, &[120, 121]);
    let mut sensor = open(&format!("rtsp://127.0.0.1:{relay}/door"), clock()).unwrap();
    let mut units = 1;
    sensor.next().unwrap();
    let after = loop {
        let coded = sensor.next().unwrap();
        if sensor.losses().missing > 0 {
            break coded;
        }
        units += 1;
    };
    let losses = sensor.losses();
    assert!(after.unit.is_keyframe(), "{losses:?}");
    assert_eq!(losses.missing, 2);
    // The clip's second keyframe is its 151st picture; at most two were lost themselves.
    let gone = 150 - units - losses.skipped;
    assert!(losses.skipped > 0 && (1..=2).contains(&gone), "{units} and then {losses:?}");
}

/// An answer of `lines` to the request that is read first.
fn answer(client: &mut TcpStream, lines: &str) -> std::io::Result<()> {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        client.read_exact(&mut byte)?;
        request.push(byte[0]);
    }
    let request = String::from_utf8_lossy(&request).into_owned();
    let cseq = request.lines().find(|line| line.starts_with("CSeq")).unwrap_or_default();
    client.write_all(format!("RTSP/1.0 200 OK\r\n{cseq}\r\n{lines}").as_bytes())
}

#[test]
fn what_is_no_rtsp_server_is_told_within_the_time_of_an_answer() {
    let nothing = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    // Says so to whatever it is asked, and then nothing until the other one goes.
    let says = |words: &'static [u8]| {
        rtsp::listen(move |mut client| {
            std::thread::spawn(move || {
                let asked = client.read(&mut [0; 4000]).and_then(|_| client.write_all(words));
                asked.and_then(|()| client.read_to_end(&mut Vec::new()))
            });
        })
    };
    const GARBLED: &str = "answers what is no RTSP (DESCRIBE): is this its RTSP port? The usual one is 554";
    const SILENT: &str = "did not answer within 5 s (DESCRIBE): is it on, and is this its RTSP port?";
    let cases = [
        (nothing, "cannot be reached (Connection refused (os error 111)): is it on, and on this network?"),
        (rtsp::listen(drop), "ended the connection"),
        (says(b""), SILENT),
        (says(b"HTTP/1.1 400 Bad Request\r\n\r\n"), GARBLED),
        (says(b"SSH-2.0-OpenSSH_9.2p1\r\n"), GARBLED),
        // A line that does not end may still become an answer.
        (says(&[b'Z'; 1 << 20]), SILENT),
        (says(b"$\x00\xff\xff"), SILENT),
        (says(b"RTSP/1.0 200 OK\r\nCSeq: 1\r\nContent-Length: 99999999999999999999\r\n\r\n"), GARBLED),
        (says(b"RTSP/1.0 200 OK\r\nCSeq: 1\r\nContent-Length: 4294967295\r\n\r\n"), SILENT),
        (says(b"RTSP/1.0 200 OK\r\nCSeq: 1\r\n\r\n"), GARBLED),
        (says(b"RTSP/1.0 503 hunter2\r\nCSeq: 1\r\n\r\n"), "answers with status 503 (DESCRIBE)"),
    ];
    let threads = cases.map(|(port, words)| {
        std::thread::spawn(move || {
            let (said, is_final) = refusal(&format!("rtsp://gate:hunter2@127.0.0.1:{port}/door"));
            assert_eq!(said, format!("rtsp://127.0.0.1:{port}/door {words}"));
            assert!(!is_final, "{said}");
        })
    });
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

/// What a camera says of itself.
const SDP: &str =
    "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n";

#[test]
fn whatever_comes_instead_of_pictures_ends_in_an_error() {
    // As RTSP has it up to PLAY, then packets of what a generator gives, most of them like RTP.
    let seeds = AtomicU64::new(1);
    let port = rtsp::listen(move |mut client| {
        let mut random = seeds.fetch_add(1, Ordering::Relaxed);
        let mut draw = move || {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (random >> 33) as u8
        };
        let described = format!("Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{SDP}", SDP.len());
        let _ended = answer(&mut client, &described)
            .and_then(|()| answer(&mut client, "Session: 1\r\nTransport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n\r\n"))
            .and_then(|()| answer(&mut client, "Session: 1\r\n\r\n"))
            .and_then(|()| {
                (0..2000_u16).try_for_each(|number| {
                    let len = usize::from(draw()) / 2;
                    let mut packet = vec![0x80, 96 | draw() & 0x80, 0, 0, 0, 0, 0, draw() & 3, 0, 0, 0, 1];
                    packet[2..4].copy_from_slice(&number.wrapping_add(u16::from(draw() == 0)).to_be_bytes());
                    packet.extend([[0x65, 0x41, 0x67, 0x68, 24, 28, 6, draw()][usize::from(draw() & 7)]]);
                    packet.extend((0..len).map(|_| draw()));
                    if draw() == 1 {
                        packet.truncate(usize::from(draw() & 15));
                    }
                    let mut message = vec![b'$', draw() & 1 & draw(), 0, 0];
                    message[2..].copy_from_slice(&u16::try_from(packet.len()).unwrap().to_be_bytes());
                    client.write_all(&[message, packet].concat())
                })
            });
    });
    for seed in 1..=24 {
        let started = Instant::now();
        let opened = open(&format!("rtsp://127.0.0.1:{port}/door"), clock());
        let error = opened.and_then(|mut sensor| (0..5000).try_for_each(|_| sensor.next().map(drop))).unwrap_err();
        let SensorError::Rtsp { error: RtspError::Damaged | RtspError::Ended, .. } = error else {
            panic!("seed {seed}: {error}")
        };
        assert!(started.elapsed() < ANSWER, "seed {seed}: {:?}", started.elapsed());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_camera_on_a_network_is_seen_by_its_owner_and_found_again() {
    let Some(clip) = rtsp::clip() else { return };
    let server = Server::with(clip, 0, &["gate", "hunter2"]);
    let (shown, port) = (server.url("/door"), server.port);
    let hub = hub();
    let link = hub.link().unwrap();
    let source = shown.replace("rtsp://", "rtsp://gate:hunter2@");
    let camera = Camera::start(config(&source), link.clone(), clock()).unwrap();
    let viewer = viewer(&watch_link(&link));
    let seen = stats(&viewer, "pictures over a keyframe", |s| s.keyframes >= 2 && s.frames_shown > 160).await;
    assert_eq!((seen.lost, seen.dropped, seen.alarms, seen.undecoded), (0, 0, 0, 0), "{seen:?}");
    let mut states = camera.state();
    let running = states.borrow().clone();
    let CameraState::Running { sensor, encoder, .. } = &running else { panic!("{running:?}") };
    assert!(sensor.starts_with(&shown) && encoder == "the source's own encoder", "{running:?}");

    drop(server);
    let waits = |state: &CameraState| matches!(state, CameraState::Waiting(_));
    let waiting = tokio::time::timeout(PATIENCE, states.wait_for(waits)).await.unwrap().unwrap().clone();
    assert!(format!("{waiting:?}").contains(&shown) && !format!("{waiting:?}").contains("hunter2"), "{waiting:?}");
    let _server = Server::with(clip, port, &["gate", "hunter2"]);
    let before = viewer.stats().frames_shown;
    stats(&viewer, "pictures again", |s| s.frames_shown > before + 30).await;
    state(&viewer, "live pictures", |state| matches!(state, ViewerState::Live { .. })).await;
    tokio::task::spawn_blocking(move || camera.stop()).await.unwrap().unwrap();
}
