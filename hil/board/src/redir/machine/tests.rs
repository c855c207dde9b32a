use super::*;
use crate::camera::Camera;
use crate::config::{BoardConfig, Transfer as How};
use proptest::prelude::*;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn camera(how: How, faults: &str) -> Camera {
    let mut config = BoardConfig::new(how);
    config.faults = faults.parse().unwrap();
    Camera::new(config).unwrap()
}

fn greeting() -> Vec<u8> {
    let mut bytes = [0_u32, 68, 0].iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<_>>();
    bytes.extend([0; 64]);
    bytes.extend(CAPABILITIES.to_le_bytes());
    bytes
}

/// A peer that has heard of the device.
fn connected(camera: &mut Camera) -> Redir {
    let mut redir = Redir::new();
    assert_eq!(redir.poll(ms(0), camera), None, "nothing is said before the peer greets");
    redir.handle_bytes(ms(0), &greeting(), camera).unwrap();
    redir.poll(ms(0), camera);
    // The greeting has a shorter header.
    let sent = redir.output().split_off(80);
    assert_eq!(kinds(&sent), [kind::INTERFACES, kind::ENDPOINTS, kind::DEVICE_CONNECT]);
    redir.output().clear();
    redir
}

fn messages(mut bytes: &[u8]) -> Vec<(u32, u64, Vec<u8>)> {
    let mut found = Vec::new();
    while let Some((header, rest)) = Header::parse(bytes, true).unwrap() {
        let (body, rest) = rest.split_at(header.length as usize);
        found.push((header.kind, header.id, body.to_vec()));
        bytes = rest;
    }
    assert!(bytes.is_empty());
    found
}

fn kinds(bytes: &[u8]) -> Vec<u32> {
    messages(bytes).into_iter().map(|(kind, ..)| kind).collect()
}

fn say(
    redir: &mut Redir,
    camera: &mut Camera,
    now: Duration,
    kind: u32,
    id: u64,
    body: &[u8],
) -> Vec<(u32, u64, Vec<u8>)> {
    let mut bytes = Vec::new();
    Header::emit(&mut bytes, kind, id, &[body]);
    redir.handle_bytes(now, &bytes, camera).unwrap();
    redir.poll(now, camera);
    messages(&std::mem::take(redir.output()))
}

/// Sets the first mode, which starts a bulk stream.
fn commit(redir: &mut Redir, camera: &mut Camera, now: Duration) {
    let mut body = vec![0, 1, 0x21, 0, 0, 2, 1, 0, 34, 0];
    body.extend([0; 34]);
    let answer = say(redir, camera, now, kind::CONTROL, 5, &body);
    assert_eq!((answer[0].0, answer[0].1, answer[0].2[3]), (kind::CONTROL, 5, 0));
}

#[test]
fn descriptors_come_through_a_control_request_and_what_is_unknown_stalls() {
    let mut camera = camera(How::Bulk, "");
    let mut redir = connected(&mut camera);
    let answer = say(&mut redir, &mut camera, ms(0), kind::CONTROL, 3, &[0x80, 6, 0x80, 0, 0, 1, 0, 0, 64, 0]);
    assert_eq!(answer[0].2[..10], [0x80, 6, 0x80, 0, 0, 1, 0, 0, 18, 0]);
    assert_eq!(answer[0].2[10..12], [18, 1]);
    let answer = say(&mut redir, &mut camera, ms(0), kind::CONTROL, 4, &[0x80, 6, 0xc0, 0, 0, 1, 0, 0, 64, 0]);
    assert_eq!(answer[0].2, [0x80, 6, 0xc0, 4, 0, 1, 0, 0, 0, 0]);
}

#[test]
fn bulk_transfers_wait_for_a_frame_and_are_cancelled_on_request() {
    let mut camera = camera(How::Bulk, "");
    let mut redir = connected(&mut camera);
    let read = [0x81, 0, 0, 0x40, 0, 0, 0, 0, 0, 0];
    assert_eq!(say(&mut redir, &mut camera, ms(0), kind::BULK, 1, &read), []);
    assert_eq!(say(&mut redir, &mut camera, ms(0), kind::BULK, 2, &read), []);
    let cancelled = say(&mut redir, &mut camera, ms(0), 21, 1, &[]);
    assert_eq!(cancelled, [(kind::BULK, 1, vec![0x81, 1, 0, 0, 0, 0, 0, 0, 0, 0])]);
    let mut body = vec![0, 1, 0x21, 0, 0, 2, 1, 0, 34, 0];
    body.extend([0; 34]);
    let answers = say(&mut redir, &mut camera, ms(0), kind::CONTROL, 5, &body);
    assert_eq!((answers[1].0, answers[1].1, answers[1].2.len()), (kind::BULK, 2, 10 + 0x4000));
}

#[test]
fn a_board_that_leaves_and_returns_does_so_on_the_same_connection() {
    let mut camera = camera(How::Bulk, r#"fault = [{ when = { frame = 0 }, what = { brown-out = { ms = 300 } } }]"#);
    let mut redir = connected(&mut camera);
    commit(&mut redir, &mut camera, ms(10));
    let mut said = Vec::new();
    for id in 0..200 {
        said.extend(say(&mut redir, &mut camera, ms(10), kind::BULK, id, &[0x81, 0, 0, 0x40, 0, 0, 0, 0, 0, 0]));
    }
    assert_eq!(said.last().unwrap().0, kind::DEVICE_DISCONNECT);
    assert_eq!(say(&mut redir, &mut camera, ms(20), 7, 1, &[]), [], "what was for the old device is dropped");
    assert_eq!(redir.poll(ms(20), &mut camera), Some(ms(310)));
    redir.poll(ms(310), &mut camera);
    assert_eq!(kinds(&redir.out), [kind::INTERFACES, kind::ENDPOINTS, kind::DEVICE_CONNECT]);
    assert!(camera.delivered().fired[0].delivered);
}

#[test]
fn an_isochronous_stream_has_a_packet_each_125_microseconds_in_the_setting_chosen() {
    let mut camera = camera(How::Isochronous, "");
    let mut redir = connected(&mut camera);
    let answer = say(&mut redir, &mut camera, ms(0), 9, 1, &[1, 4]);
    assert_eq!(answer.last().unwrap(), &(kind::ALTERNATE, 1, vec![0, 1, 4]));
    let answer = say(&mut redir, &mut camera, ms(0), 12, 2, &[0x81, 32, 4]);
    assert_eq!(answer[0], (kind::ISO_STREAM, 2, vec![0, 0x81]));
    assert_eq!(redir.poll(ms(1), &mut camera), Some(Duration::from_micros(1125 + 875)));
    let packets = messages(&std::mem::take(&mut redir.out));
    assert_eq!(packets.len(), 8);
    assert!(packets.iter().all(|(_, _, body)| body.len() == 4 + 3072));
    let refused = say(&mut redir, &mut camera, ms(1), 12, 3, &[0x83, 32, 4]);
    assert_eq!(refused[0].2, [4, 0x83], "the button's endpoint is not isochronous");
}

#[test]
fn a_press_is_sent_to_a_peer_that_listens() {
    let mut camera = camera(How::Bulk, "");
    let mut redir = connected(&mut camera);
    say(&mut redir, &mut camera, ms(0), 15, 1, &[0x83]);
    camera.handle_press(ms(1));
    redir.poll(ms(1), &mut camera);
    let sent: Vec<_> = messages(&redir.out).into_iter().map(|(_, _, body)| body).collect();
    assert_eq!(sent, [[0x83, 0, 4, 0, 2, 1, 0, 1], [0x83, 0, 4, 0, 2, 1, 0, 0]]);
}

#[test]
fn a_peer_that_does_not_greet_or_lacks_what_is_needed_is_told_so() {
    let mut camera = camera(How::Bulk, "");
    let mut refused = |bytes: &[u8]| Redir::new().handle_bytes(ms(0), bytes, &mut camera).unwrap_err().to_string();
    assert_eq!(refused(&[3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]), "sent message 3 before it greeted");
    let mut poor = greeting();
    poor[76..].fill(0);
    assert_eq!(refused(&poor), "lacks one of the capabilities 1, 4, 5 and 6: it has 0x0");
}

proptest! {
    #[test]
    fn any_bytes_are_answered_alike_however_they_are_cut(
        said in proptest::collection::vec((0_u32..30, 0_u64..3, proptest::collection::vec(any::<u8>(), 0..50)), 0..20),
        cut in 1_usize..64,
        kind in prop_oneof![Just(0_u32), Just(100), Just(75)],
    ) {
        let mut bytes = vec![cut as u8];
        for (index, (small, id, body)) in said.iter().enumerate() {
            Header::emit(&mut bytes, if index % 2 == 0 { *small } else { (*small % 5) + kind }, *id, &[body]);
        }
        crate::fuzzing::check_redir(&bytes);
    }
}
