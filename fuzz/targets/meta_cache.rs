#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| meta_client::fuzzing::fuzz_cache(data));
