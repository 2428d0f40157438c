//! Whole nodes under faults.

use super::Program;

const PROGRAM: Program = Program(env!("CARGO_BIN_EXE_sim"));

#[test]
fn a_cluster_under_faults_keeps_what_it_acknowledged() {
    let (passed, text) = PROGRAM.run("0..8", "none");
    assert!(passed, "{text}");
}

#[test]
fn copies_become_equal_without_any_hints() {
    let (passed, text) = PROGRAM.run("0..4", "lost-hints");
    assert!(passed, "{text}");
}

#[test]
fn acknowledging_before_the_sync_is_found() {
    let (passed, text) = PROGRAM.run("0..1", "unsynced-acks");
    assert!(!passed && text.contains("acknowledged points are missing"), "{text}");
}

#[test]
fn copies_that_nothing_brings_together_are_found() {
    let (passed, text) = PROGRAM.run("0..2", "no-repair");
    assert!(!passed && (text.contains("differ") || text.contains("are missing")), "{text}");
}

#[test]
fn a_run_can_be_repeated() {
    PROGRAM.repeats("3..5");
}
