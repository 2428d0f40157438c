//! The seeds of the fuzzer keep every promise.

use std::fs;

use line_protocol::fuzzing::fuzz_parse;

#[test]
fn every_seed_keeps_the_promises() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus/line_protocol");
    let mut count = 0;
    for entry in fs::read_dir(folder).expect("the seeds are in the repository") {
        let body = fs::read(entry.expect("a readable folder").path()).expect("a readable seed");
        fuzz_parse(&body);
        // Also with its end cut off, where readers like to look too far.
        for cut in 1..body.len().min(40) {
            fuzz_parse(&body[..body.len() - cut]);
        }
        count += 1;
    }
    assert!(count >= 60, "{count} seeds");
}
