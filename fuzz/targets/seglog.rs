#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| seglog::fuzzing::fuzz_segment(data));
