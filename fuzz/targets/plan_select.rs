#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| plan::fuzzing::fuzz_select(data));
