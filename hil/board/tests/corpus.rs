//! Every fuzz seed and every crash ever found, replayed on stable: what a fuzzer once broke stays mended.

#![expect(clippy::unwrap_used, reason = "a test may fail")]

#[path = "../../../tests/common/replay.rs"]
mod replay;

use doorframe_virtual_board::fuzzing::{check_block_code, check_fault_plan, check_redir, check_usbip};
use replay::replay;

#[test]
fn usbredir_peers() {
    replay("usbredir", check_redir);
}

#[test]
fn usbip_peers() {
    replay("usbip", check_usbip);
}

#[test]
fn fault_plans() {
    replay("fault_plan", check_fault_plan);
}

#[test]
fn numbers_in_pictures() {
    replay("block_code", check_block_code);
}
