#![no_main]

libfuzzer_sys::fuzz_target!(|plaintext: &[u8]| doorframe_transport::fuzzing::check_events(plaintext));
