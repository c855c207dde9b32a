//! Devices on real sockets, with their threads, against peers that say what QEMU says.

#![expect(clippy::unwrap_used, reason = "a test may fail")]

use doorframe_virtual_board::{
    Board, BoardConfig, Ended, Rig, ServeError, Transfer, serve_usbip, serve_usbredir, serve_vhci,
};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

/// QEMU's greeting, with every capability that it has.
fn greeting() -> Vec<u8> {
    let mut bytes: Vec<u8> = [0_u32, 68, 0].iter().flat_map(|word| word.to_le_bytes()).collect();
    bytes.extend([0; 64]);
    bytes.extend(0xfe_u32.to_le_bytes());
    bytes
}

fn message(kind: u32, id: u64, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).unwrap();
    [&kind.to_le_bytes()[..], &length.to_le_bytes(), &id.to_le_bytes(), body].concat()
}

/// The next message of `kind`, passing over others.
fn wait_for(peer: &mut UnixStream, kind: u32) -> Vec<u8> {
    loop {
        let mut head = [0; 16];
        peer.read_exact(&mut head).unwrap();
        let mut body = vec![0; u32::from_le_bytes(head[4..8].try_into().unwrap()) as usize];
        peer.read_exact(&mut body).unwrap();
        if head[..4] == kind.to_le_bytes() {
            return body;
        }
    }
}

/// A peer that greeted and was greeted.
fn peer(socket: UnixStream) -> UnixStream {
    let mut peer = socket;
    peer.write_all(&greeting()).unwrap();
    peer.read_exact(&mut [0; 80]).unwrap();
    peer
}

fn board() -> Board {
    Board::new(BoardConfig::new(Transfer::Bulk)).unwrap()
}

#[test]
fn a_board_is_unplugged_and_plugged_in_while_it_is_served() {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let board = board();
    let serving = serve_usbredir(&board, ours).unwrap();
    let mut peer = peer(theirs);
    assert_eq!(wait_for(&mut peer, 1)[4..8], [0x50, 0x1d, 0x56, 0x61], "vendor and product");
    for _ in 0..20 {
        board.unplug();
        wait_for(&mut peer, 2);
        board.plug();
        wait_for(&mut peer, 1);
    }
    drop(peer);
    assert_eq!(serving.wait().unwrap(), Ended::Peer);
}

#[test]
fn a_frame_comes_through_a_real_socket_and_is_counted() {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let board = board();
    let serving = serve_usbredir(&board, ours).unwrap();
    let mut peer = peer(theirs);
    wait_for(&mut peer, 1);
    let commit = [&[0, 1, 0x21, 0, 0, 2, 1, 0, 34, 0][..], &[0, 0, 1, 1], &[0; 30]].concat();
    peer.write_all(&message(100, 1, &commit)).unwrap();
    let mut bytes = 0;
    while bytes < 640 * 480 * 2 {
        peer.write_all(&message(101, 2, &[0x81, 0, 0, 0, 0, 0, 0, 0, 1, 0])).unwrap();
        bytes += wait_for(&mut peer, 101).len() - 10 - 12;
    }
    assert_eq!(bytes, 640 * 480 * 2);
    assert_eq!(board.delivered().frames_sent, 1);
    serving.stop();
    assert_eq!(peer.read_to_end(&mut Vec::new()).unwrap_or_default(), 0, "stopping closes the socket");
}

#[test]
fn a_serial_line_goes_through_both_ways() {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let (rig, mut end) = Rig::new("RIG-1").unwrap();
    let _serving = serve_usbredir(&rig, ours).unwrap();
    let mut peer = peer(theirs);
    wait_for(&mut peer, 1);
    peer.write_all(&message(101, 1, &[0x01, 0, 4, 0, 0, 0, 0, 0, 0, 0, b'p', b'i', b'n', b'g'])).unwrap();
    let mut heard = [0; 4];
    end.read_exact(&mut heard).unwrap();
    assert_eq!(&heard, b"ping");
    peer.write_all(&message(101, 2, &[0x81, 0, 64, 0, 0, 0, 0, 0, 0, 0])).unwrap();
    end.write_all(b"pong").unwrap();
    // The answer to what was sent, and then what was asked for.
    assert_eq!(wait_for(&mut peer, 101).len(), 10);
    assert_eq!(&wait_for(&mut peer, 101)[10..], b"pong");
}

#[test]
fn a_device_has_one_plug_and_is_served_again_when_that_is_free() {
    let board = board();
    let (ours, _theirs) = UnixStream::pair().unwrap();
    let first = serve_usbredir(&board, ours).unwrap();
    let (other, _theirs) = UnixStream::pair().unwrap();
    assert!(matches!(serve_usbip(&board, other.into()), Err(ServeError::Served)));
    first.stop();
    let (again, theirs) = UnixStream::pair().unwrap();
    let serving = serve_usbip(&board, again.into()).unwrap();
    assert!(serving.is_running());
    board.unplug();
    assert_eq!(serving.wait().unwrap(), Ended::Unplugged);
    drop(theirs);
}

#[test]
fn a_peer_that_breaks_the_protocol_is_told_of_in_words() {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let serving = serve_usbredir(&board(), ours).unwrap();
    let mut peer = peer(theirs);
    peer.write_all(&message(777, 1, &[])).unwrap();
    let error = serving.wait().unwrap_err().to_string();
    assert_eq!(error, "the USB host sent message 777, which is none");
}

#[test]
fn a_machine_without_vhci_is_told_what_to_do() {
    let board = board();
    // Past any port, so that no machine takes it.
    let error = serve_vhci(&board, 255).unwrap_err().to_string();
    assert!(error.ends_with("is vhci_hcd loaded, is port 255 free, and is this root?"), "{error}");
    let (ours, _theirs) = UnixStream::pair().unwrap();
    assert!(serve_usbredir(&board, ours).is_ok(), "the plug is free again");
}
