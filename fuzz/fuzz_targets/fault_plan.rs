#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| doorframe_virtual_board::fuzzing::check_fault_plan(bytes));
