#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| cluster::fuzzing::fuzz_hint(data));
