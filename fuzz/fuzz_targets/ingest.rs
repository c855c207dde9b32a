#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| doorframe_codec::fuzzing::check_ingest(bytes));
