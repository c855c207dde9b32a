//! What must hold for any bytes at all, one function a fuzz target. Each panics if it does not.

use crate::camera::Camera;
use crate::config::{BoardConfig, Transfer};
use crate::fault::FaultPlan;
use crate::redir::Redir;
use crate::serve::{Link, MAX_WAITING};
use crate::usbip::UsbIp;
use std::time::Duration;

/// Most that one message or one poll adds to what waits for the peer.
const SLACK: usize = 8 * 1024 * 1024;

/// Whatever a usbredir peer says after the greeting, a board answers it without a panic, within bounds, and alike
/// however the bytes are cut. The first byte says where.
pub fn check_redir(bytes: &[u8]) {
    let Some((&cut, bytes)) = bytes.split_first() else { return };
    let greeting = || {
        let mut bytes: Vec<u8> = [0_u32, 68, 0].iter().flat_map(|word| word.to_le_bytes()).collect();
        bytes.resize(76, 0);
        bytes.extend((1_u32 << 1 | 1 << 4 | 1 << 5 | 1 << 6).to_le_bytes());
        bytes
    };
    let answers = |piece: usize| {
        let (mut redir, mut camera) = (Redir::new(), camera(cut));
        assert_eq!(redir.handle_bytes(Duration::ZERO, &greeting(), &mut camera), Ok(()), "a greeting");
        redir.poll(Duration::ZERO, &mut camera);
        feed(redir, camera, bytes, piece)
    };
    assert_eq!(answers(bytes.len().max(1)), answers(usize::from(cut).max(1)), "cut elsewhere");
    // Without a greeting.
    feed(Redir::new(), camera(cut), bytes, bytes.len().max(1));
}

/// Whatever a USB/IP peer says, a board answers it without a panic, within bounds, and alike however the bytes are
/// cut. The first byte says where.
pub fn check_usbip(bytes: &[u8]) {
    let Some((&cut, bytes)) = bytes.split_first() else { return };
    let answers = |piece: usize| feed(UsbIp::new(), camera(cut), bytes, piece);
    assert_eq!(answers(bytes.len().max(1)), answers(usize::from(cut).max(1)), "cut elsewhere");
}

/// Whatever parses as a fault plan is the same plan when it is written and read again.
pub fn check_fault_plan(text: &[u8]) {
    let Ok(text) = std::str::from_utf8(text) else { return };
    if let Ok(plan) = text.parse::<FaultPlan>() {
        assert_eq!(plan.check(), Ok(()));
        // TOML has no integers past i64.
        if i64::try_from(plan.seed).is_ok() {
            assert_eq!(plan.to_toml().parse(), Ok(plan.clone()), "{plan}");
        }
    }
}

/// A number is read from any luma at all, or it is not.
pub fn check_block_code(bytes: &[u8]) {
    let Some((&[width, height, stride], luma)) = bytes.split_first_chunk() else { return };
    let (size, stride) = ((usize::from(width) * 8, usize::from(height) * 8), usize::from(stride) * 16);
    let _ = crate::block_code::read(luma, stride, size);
    let _ = crate::block_code::read_yuyv(luma, stride, size);
    let _ = crate::Light::read(luma, stride, size);
}

fn camera(choice: u8) -> Camera {
    let transfer = if choice.is_multiple_of(2) { Transfer::Bulk } else { Transfer::Isochronous };
    Camera::new(BoardConfig::new(transfer)).unwrap_or_else(|error| panic!("{error}"))
}

/// All that is answered, to the first refusal.
fn feed(mut link: impl Link, mut camera: Camera, bytes: &[u8], piece: usize) -> Vec<u8> {
    let now = Duration::ZERO;
    let mut out = Vec::new();
    let mut refused = false;
    for piece in bytes.chunks(piece) {
        refused = refused || link.handle_bytes(now, piece, &mut camera).is_err();
        assert!(link.output().len() <= MAX_WAITING + SLACK + 64 * bytes.len(), "answers are bounded");
        out.append(link.output());
    }
    if !refused {
        link.poll(now, &mut camera);
        assert!(link.output().len() <= MAX_WAITING + SLACK, "what is polled is bounded");
    }
    out
}
