#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ldap::fuzzing::fuzz_ldap(data));
