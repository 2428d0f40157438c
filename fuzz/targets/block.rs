#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| block_codec::fuzzing::fuzz_block(data));
