#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| hinted_handoff::fuzzing::fuzz_files(data));
