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

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}

fn read(number: u32, endpoint: u32, room: u32, packets: u32) -> Vec<u8> {
    let mut bytes = words(&[1, number, 2, 1, endpoint, 0, room, 0, packets, 0, 0, 0]);
    for packet in 0..packets {
        bytes.extend(words(&[packet * 3072, 3072, 0, 0]));
    }
    bytes
}

fn control(number: u32, setup: [u8; 8], data: &[u8]) -> Vec<u8> {
    let is_in = u32::from(setup[0] >> 7);
    let length = u32::from(u16::from_le_bytes([setup[6], setup[7]]));
    [&words(&[1, number, 2, is_in, 0, 0, length, 0, u32::MAX, 0])[..], &setup, data].concat()
}

const COMMIT: [u8; 8] = [0x21, 1, 0, 2, 1, 0, 34, 0];

/// Kind, number, status and length of the first answer, and what follows its header.
fn first(out: &[u8]) -> ([u32; 4], &[u8]) {
    let word = |at: usize| u32::from_be_bytes(out[4 * at..4 * at + 4].try_into().unwrap());
    ([word(0), word(1), word(5), word(6)], &out[48..])
}

#[test]
fn descriptors_come_through_a_control_transfer_and_what_is_unknown_stalls() {
    let mut camera = camera(How::Bulk, "");
    let mut usbip = UsbIp::new();
    usbip.handle_bytes(ms(0), &control(1, [0x80, 6, 0, 1, 0, 0, 64, 0], &[]), &mut camera).unwrap();
    let (head, data) = first(&usbip.out);
    assert_eq!((head, data.len()), ([3, 1, 0, 18], 18));
    usbip.out.clear();
    usbip.handle_bytes(ms(0), &control(2, [0xc0, 6, 0, 1, 0, 0, 64, 0], &[]), &mut camera).unwrap();
    assert_eq!(first(&usbip.out).0, [3, 2, -32_i32 as u32, 0]);
}

#[test]
fn a_transfer_is_unlinked_before_its_answer_or_answered_before_its_unlinking() {
    let mut camera = camera(How::Bulk, "");
    let mut usbip = UsbIp::new();
    let unlink = |number, victim| words(&[2, number, 2, 0, 1, victim, 0, 0, 0, 0, 0, 0]);
    usbip.handle_bytes(ms(0), &read(1, 1, 16_384, 0), &mut camera).unwrap();
    assert_eq!(usbip.poll(ms(0), &mut camera), None);
    usbip.handle_bytes(ms(0), &unlink(2, 1), &mut camera).unwrap();
    assert_eq!(first(&usbip.out).0, [4, 2, -104_i32 as u32, 0]);
    usbip.out.clear();
    usbip.handle_bytes(ms(0), &control(3, COMMIT, &[0; 34]), &mut camera).unwrap();
    usbip.handle_bytes(ms(0), &read(4, 1, 16_384, 0), &mut camera).unwrap();
    usbip.poll(ms(0), &mut camera);
    usbip.handle_bytes(ms(0), &unlink(5, 4), &mut camera).unwrap();
    let (_, after) = first(&usbip.out);
    let (head, data) = first(after);
    assert_eq!(head, [3, 4, 0, 16_384]);
    assert_eq!(first(&data[16_384..]).0, [4, 5, 0, 0], "too late: the answer is in front");
}

#[test]
fn an_isochronous_transfer_takes_its_time_and_has_no_gaps() {
    let mut camera = camera(How::Isochronous, r#"fault = [{ when = { frame = 0 }, what = "iso-errors" }]"#);
    let mut usbip = UsbIp::new();
    usbip.handle_bytes(ms(0), &control(1, [1, 11, 4, 0, 1, 0, 0, 0], &[]), &mut camera).unwrap();
    usbip.out.clear();
    usbip.handle_bytes(ms(0), &read(2, 1, 8 * 3072, 8), &mut camera).unwrap();
    assert_eq!(usbip.poll(ms(0), &mut camera), Some(ms(1)));
    assert_eq!(usbip.poll(ms(1), &mut camera), None);
    let (head, data) = first(&usbip.out);
    assert_eq!(head, [3, 2, 0, 4 * 3072]);
    let table: Vec<_> = data[4 * 3072..].chunks(16).map(|packet| packet[8..].to_vec()).collect();
    assert_eq!(table.len(), 8);
    assert_eq!(table[0], words(&[3072, 0]));
    assert_eq!(table[1], words(&[0, -84_i32 as u32]));
}

#[test]
fn a_board_that_leaves_the_bus_ends_the_connection() {
    let mut camera = camera(How::Bulk, "");
    let mut usbip = UsbIp::new();
    usbip.poll(ms(0), &mut camera);
    assert!(!usbip.is_over());
    camera.handle_unplug();
    usbip.poll(ms(1), &mut camera);
    assert!(usbip.is_over());
}

proptest! {
    #[test]
    fn any_bytes_are_answered_alike_however_they_are_cut(
        said in proptest::collection::vec((1_u32..3, 0_u32..4, 0_u32..2, 0_u32..4, 0_u32..60, 0_u32..4, any::<[u8; 8]>()), 0..20),
        noise in proptest::collection::vec(any::<u8>(), 0..80),
        cut in any::<u8>(),
    ) {
        let mut bytes = vec![cut];
        for (kind, number, direction, endpoint, length, packets, setup) in said {
            bytes.extend(words(&[kind, number, 0, direction, endpoint, number, length, 0, packets, 0]));
            bytes.extend(setup);
            let data = if direction == 0 { length } else { 0 } + 16 * packets;
            bytes.resize(bytes.len() + if kind == 1 { data as usize } else { 0 }, 5);
        }
        bytes.extend(noise);
        crate::fuzzing::check_usbip(&bytes);
    }
}
