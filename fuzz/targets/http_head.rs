#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| http_api::fuzzing::fuzz_head(data));
