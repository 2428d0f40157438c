#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| credentials::fuzzing::fuzz_token(data));
