#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| doorframe_transport::fuzzing::check_letter(bytes));
