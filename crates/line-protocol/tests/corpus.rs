//! The seeds of the fuzzer keep every promise.

use line_protocol::fuzzing::fuzz_parse;
use testkit::seeds;

#[test]
fn every_seed_keeps_the_promises() {
    seeds::try_all("line_protocol", seeds::MANY, &[], fuzz_parse);
}
