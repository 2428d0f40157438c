#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| model::fuzzing::fuzz_series_key(data));
