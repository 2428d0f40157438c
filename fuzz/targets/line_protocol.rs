#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| line_protocol::fuzzing::fuzz_parse(data));
