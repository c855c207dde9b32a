//! Every fuzz seed and every crash ever found, replayed on stable: what a fuzzer once broke stays mended.

#![expect(clippy::unwrap_used, reason = "a test may fail")]

#[path = "common/replay.rs"]
mod replay;

use doorframe::codec::fuzzing::{
    check_access_unit, check_clip, check_convert, check_h264_decode, check_ingest, check_mjpeg, check_overlay,
    check_zones,
};
use doorframe::transport::fuzzing::{
    check_bundle, check_device_list, check_epoch_file, check_events, check_grant, check_journal, check_letter,
    check_manifest, check_object, check_pairing,
};
use replay::replay;

#[test]
fn sealed_objects() {
    replay("sealed_object", check_object);
}

#[test]
fn manifests() {
    replay("manifest", check_manifest);
}

#[test]
fn epoch_files() {
    replay("epoch_file", check_epoch_file);
}

#[test]
fn events() {
    replay("events", check_events);
}

#[test]
fn bundles() {
    replay("bundle", check_bundle);
}

#[test]
fn access_units() {
    replay("access_unit", check_access_unit);
}

#[test]
fn h264_decoding() {
    replay("h264_decode", check_h264_decode);
}

#[test]
fn clips() {
    replay("clip", check_clip);
}

#[test]
fn mjpeg_frames() {
    replay("mjpeg", check_mjpeg);
}

#[test]
fn coded_video_from_outside() {
    replay("ingest", check_ingest);
}

#[test]
fn sensor_frames() {
    replay("convert", check_convert);
}

#[test]
fn zone_files() {
    replay("zones", check_zones);
}

#[test]
fn clocks() {
    replay("overlay", check_overlay);
}

#[test]
fn letters() {
    replay("letter", check_letter);
}

#[test]
fn device_lists() {
    replay("device_list", check_device_list);
}

#[test]
fn grants() {
    replay("grant", check_grant);
}

#[test]
fn journals() {
    replay("journal", check_journal);
}

#[test]
fn pairings() {
    replay("pairing", check_pairing);
}
