#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| influxql::fuzzing::fuzz_duration(data));
