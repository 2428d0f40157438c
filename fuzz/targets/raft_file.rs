#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| meta_node::fuzzing::fuzz_file(data));
