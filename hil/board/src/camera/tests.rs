use super::*;
use crate::block_code;
use crate::config::{Format, Mode};
use crate::fault::FaultPlan;

const ROOM: usize = 16 * 1024;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn set(value: u16, index: u16) -> Setup {
    Setup { kind: 0x21, request: 1, value, index, length: 34 }
}

/// A camera of one mode that a stream was started on at 0 ms.
fn streaming(format: Format, faults: &str) -> Camera {
    let mut config = BoardConfig::new(Transfer::Bulk);
    config.modes = vec![Mode::new(format, 320, 240, &[25])];
    config.faults = faults.parse::<FaultPlan>().unwrap();
    let mut camera = Camera::new(config).unwrap();
    start(&mut camera, ms(0));
    camera
}

fn start(camera: &mut Camera, now: Duration) {
    let block = camera.offer.emit(camera.probed);
    assert_eq!(camera.handle_control(now, set(0x0200, 1), &block), Control::Done(vec![]));
}

/// Payload data of one frame, headers taken off; `None` where none is due.
fn frame(camera: &mut Camera, now: Duration) -> Option<(Vec<u8>, Vec<u8>)> {
    let (mut headers, mut data) = (Vec::new(), Vec::new());
    let mut payload = Vec::new();
    loop {
        let In::Data(piece) = camera.poll_in(now, FRAMES, ROOM) else { return None };
        let ends = piece.len() < ROOM;
        payload.extend(piece);
        if !ends && payload.len() < BULK_PAYLOAD as usize {
            continue;
        }
        headers.extend_from_slice(&payload[..2]);
        data.extend_from_slice(&payload[12..]);
        if payload[1] & 2 != 0 {
            return Some((headers, data));
        }
        payload.clear();
    }
}

#[test]
fn frames_come_at_their_rate_and_carry_their_numbers() {
    let mut camera = streaming(Format::Yuyv, "");
    for number in 0..5 {
        let due = ms(40 * u64::from(number));
        if number > 0 {
            assert_eq!(camera.poll_in(due - ms(1), FRAMES, ROOM), In::Pending(Some(due)));
        }
        let (headers, data) = frame(&mut camera, due).unwrap();
        assert_eq!(block_code::read_yuyv(&data, 640, (320, 240)), Some(number));
        assert_eq!(data.len(), 320 * 240 * 2);
        assert_eq!(headers[1] & 1, (number as u8 + 1) % 2, "each frame has another id than the one before");
    }
    assert_eq!(camera.delivered.frames_sent, 5);
    assert_eq!(camera.delivered.bytes, 5 * 320 * 240 * 2);
}

#[test]
fn what_the_host_had_no_time_for_is_skipped_and_missing() {
    let mut camera = streaming(Format::Nv12, "");
    frame(&mut camera, ms(0)).unwrap();
    let (_, data) = frame(&mut camera, ms(1000)).unwrap();
    assert_eq!(block_code::read(&data, 320, (320, 240)), Some(25));
    assert_eq!((camera.delivered.frames_made, camera.delivered.frames_skipped), (2, 24));
}

#[test]
fn a_payload_that_ends_with_a_full_transfer_is_ended_by_an_empty_one() {
    let mut config = BoardConfig::new(Transfer::Bulk);
    config.modes = vec![Mode::new(Format::H264, 320, 240, &[25])];
    config.frames = Frames::Coded(Format::H264, vec![vec![9; ROOM - 12], vec![8; BULK_PAYLOAD as usize - 12]].into());
    let mut camera = Camera::new(config).unwrap();
    start(&mut camera, ms(0));
    let mut length = |now| match camera.poll_in(now, FRAMES, ROOM) {
        In::Data(data) => Some(data.len()),
        _ => None,
    };
    assert_eq!([length(ms(0)), length(ms(0)), length(ms(0))], [Some(ROOM), Some(0), None]);
    // A payload of the greatest length needs no mark.
    assert_eq!([(); 5].map(|()| length(ms(40))), [Some(ROOM), Some(ROOM), Some(ROOM), Some(ROOM), None]);
}

#[test]
fn each_fault_changes_the_frame_it_names_and_no_other() {
    for (fault, header, length) in
        [(r#""error-bit""#, (None, 0x40), 1), (r#""short-frame""#, (None, 0), 2), (r#""bad-header""#, (Some(()), 0), 1)]
    {
        let mut camera = streaming(Format::Nv12, &format!("fault = [{{ when = {{ frame = 1 }}, what = {fault} }}]"));
        for number in 0..3 {
            let (headers, data) = frame(&mut camera, ms(40 * number)).unwrap();
            let spoilt = number == 1;
            assert_eq!(headers[0] != 12, spoilt && header.0.is_some(), "{fault}, frame {number}");
            assert_eq!(headers[1] & 0x40, if spoilt { header.1 } else { 0 }, "{fault}, frame {number}");
            assert_eq!(data.len(), 320 * 240 * 3 / 2 / if spoilt { length } else { 1 }, "{fault}, frame {number}");
        }
        let fired = &camera.delivered.fired;
        assert_eq!(fired.len(), 1);
        assert_eq!((fired[0].frame, fired[0].at_ms, fired[0].delivered), (1, 40, true), "{fault}");
    }
}

#[test]
fn a_freeze_and_a_slow_start_shift_all_that_follows() {
    let mut camera = streaming(
        Format::Nv12,
        r#"fault = [
            { when = { event = "stream-start" }, what = { slow-start = { ms = 500 } } },
            { when = { frame = 1 }, what = { freeze = { ms = 2000 } } },
        ]"#,
    );
    assert_eq!(camera.poll_in(ms(0), FRAMES, ROOM), In::Pending(Some(ms(500))));
    frame(&mut camera, ms(500)).unwrap();
    assert_eq!(camera.poll_in(ms(540), FRAMES, ROOM), In::Pending(Some(ms(2540))));
    assert!(camera.delivered.fired.iter().all(|fired| fired.delivered), "a host sees at once that nothing comes");
    frame(&mut camera, ms(2540)).unwrap();
    frame(&mut camera, ms(2580)).unwrap();
    assert_eq!(camera.delivered.frames_skipped, 0);
}

#[test]
fn a_missing_end_of_frame_is_told_by_the_id_of_the_next_frame() {
    let mut camera = streaming(Format::Mjpeg, r#"fault = [{ when = { frame = 0 }, what = "missing-eof" }]"#);
    let In::Data(first) = camera.poll_in(ms(0), FRAMES, ROOM) else { panic!("a frame is due") };
    assert_eq!(first[1] & 3, 1);
    while camera.poll_in(ms(0), FRAMES, ROOM) != In::Pending(Some(ms(40))) {}
    let In::Data(second) = camera.poll_in(ms(40), FRAMES, ROOM) else { panic!("a frame is due") };
    assert_eq!(second[1] & 1, 0);
}

#[test]
fn a_clock_jumps_and_the_frames_do_not() {
    let mut camera =
        streaming(Format::Nv12, r#"fault = [{ when = { frame = 1 }, what = { clock-jump = { ms = 10000 } } }]"#);
    let mut stamps = Vec::new();
    for now in [ms(0), ms(40), ms(80)] {
        let In::Data(data) = camera.poll_in(now, FRAMES, ROOM) else { panic!("a frame is due") };
        stamps.push(u32::from_le_bytes([data[2], data[3], data[4], data[5]]));
        while let In::Data(_) = camera.poll_in(now, FRAMES, ROOM) {}
    }
    assert_eq!(stamps, [0, 48_000 * 10_040, 48_000 * 10_080]);
}

#[test]
fn a_stall_lasts_until_the_host_clears_it_and_the_next_stream_runs() {
    let mut camera = streaming(Format::Nv12, r#"fault = [{ when = { frame = 1 }, what = "stall" }]"#);
    frame(&mut camera, ms(0)).unwrap();
    let mut half = 0;
    while let In::Data(data) = camera.poll_in(ms(40), FRAMES, ROOM) {
        half += data.len();
    }
    assert_eq!(half, 12 + 320 * 240 * 3 / 4, "in the middle of the frame");
    assert_eq!(camera.poll_in(ms(80), FRAMES, ROOM), In::Stall);
    let clear = Setup { kind: 2, request: 1, value: 0, index: FRAMES.into(), length: 0 };
    camera.handle_control(ms(90), clear, &[]);
    assert_eq!(camera.poll_in(ms(100), FRAMES, ROOM), In::Pending(None));
    start(&mut camera, ms(200));
    let (_, data) = frame(&mut camera, ms(200)).unwrap();
    assert_eq!(block_code::read(&data, 320, (320, 240)), Some(2));
}

#[test]
fn a_brown_out_ends_by_itself_and_numbers_go_on() {
    let mut camera =
        streaming(Format::Nv12, r#"fault = [{ when = { ms = 40 }, what = { brown-out = { ms = 300 } } }]"#);
    frame(&mut camera, ms(0)).unwrap();
    while let In::Data(_) = camera.poll_in(ms(40), FRAMES, ROOM) {}
    assert_eq!(camera.poll_plug(ms(41)), Plug::Out(Some(ms(340))));
    assert!(camera.delivered.fired[0].delivered);
    assert_eq!(camera.poll_plug(ms(340)), Plug::In);
    assert_eq!(camera.poll_in(ms(340), FRAMES, ROOM), In::Pending(None), "nothing streams before it is asked to");
    start(&mut camera, ms(350));
    let (_, data) = frame(&mut camera, ms(350)).unwrap();
    assert_eq!(block_code::read(&data, 320, (320, 240)), Some(2));
}

#[test]
fn an_unplugged_board_stays_away_until_it_is_plugged_in() {
    let mut camera = streaming(Format::Nv12, r#"fault = [{ when = { event = "press" }, what = "unplug" }]"#);
    camera.handle_press(ms(5));
    assert_eq!(camera.poll_plug(ms(1_000_000)), Plug::Out(None));
    camera.handle_plug();
    assert_eq!(camera.poll_plug(ms(1_000_001)), Plug::In);
    assert_eq!(camera.delivered.fired[0].what, "unplug at the first press");
}

#[test]
fn a_press_is_two_status_packets() {
    let mut camera = streaming(Format::Nv12, "");
    camera.handle_press(ms(5));
    assert_eq!(camera.poll_in(ms(5), STATUS, 16), In::Data(vec![2, 1, 0, 1]));
    assert_eq!(camera.poll_in(ms(5), STATUS, 16), In::Data(vec![2, 1, 0, 0]));
    assert_eq!(camera.poll_in(ms(5), STATUS, 16), In::Pending(None));
}

#[test]
fn the_lamp_is_seen_after_the_latency_of_the_board() {
    let mut camera = streaming(Format::Nv12, "");
    camera.latency = ms(100);
    camera.handle_light(ms(10), Light::On);
    let mut seen = Vec::new();
    for now in [0, 40, 80, 120, 160].map(ms) {
        let (_, data) = frame(&mut camera, now).unwrap();
        seen.push(Light::read(&data, 320, (320, 240)).unwrap());
    }
    assert_eq!(seen, [Light::Off, Light::Off, Light::Off, Light::On, Light::On]);
}

#[test]
fn isochronous_packets_carry_the_same_frame_and_the_lost_ones_are_said() {
    let mut config = BoardConfig::new(Transfer::Isochronous);
    config.modes = vec![Mode::new(Format::Nv12, 320, 240, &[25])];
    config.faults = r#"fault = [{ when = { frame = 1 }, what = "iso-errors" }]"#.parse().unwrap();
    let mut camera = Camera::new(config).unwrap();
    let choose = Setup { kind: 1, request: 11, value: 4, index: 1, length: 0 };
    assert_eq!(camera.poll_iso(ms(0), FRAMES, 3072), Iso::Data(vec![]));
    camera.handle_control(ms(0), choose, &[]);
    let mut data = Vec::new();
    while let Iso::Data(packet) = camera.poll_iso(ms(0), FRAMES, 3072) {
        if packet.is_empty() {
            break;
        }
        data.extend_from_slice(&packet[12..]);
    }
    assert_eq!(block_code::read(&data, 320, (320, 240)), Some(0));
    let packets: Vec<_> = std::iter::repeat_with(|| camera.poll_iso(ms(40), FRAMES, 3072)).take(38).collect();
    assert_eq!(packets.iter().filter(|packet| **packet == Iso::Error).count(), 19);
}

#[test]
fn what_the_camera_does_not_know_stalls() {
    let mut camera = streaming(Format::Nv12, "");
    let ask = |kind, request, value, index| Setup { kind, request, value, index, length: 64 };
    for request in
        [ask(0xa1, 0x81, 0x0300, 1), ask(0x21, 1, 0x0200, 0x0200), ask(0xc0, 1, 0, 0), ask(0xa1, 0x99, 0x0100, 1)]
    {
        assert_eq!(camera.handle_control(ms(0), request, &[0; 3]), Control::Stall, "{request:?}");
    }
}
