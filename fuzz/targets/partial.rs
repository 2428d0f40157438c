#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| exec::fuzzing::fuzz_partial(data));
