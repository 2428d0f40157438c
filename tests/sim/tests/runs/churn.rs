//! Meta nodes that come and go.

use super::Program;

const PROGRAM: Program = Program(env!("CARGO_BIN_EXE_churn"));

#[test]
fn meta_nodes_that_come_and_go_under_faults_keep_the_promises_of_raft() {
    let (passed, text) = PROGRAM.run("2..4", "none");
    assert!(passed, "{text}");
}

#[test]
fn reads_from_any_copy_are_found() {
    let (passed, text) = PROGRAM.run("0..2", "stale-reads");
    assert!(!passed && text.contains("which was acknowledged"), "{text}");
}

#[test]
fn a_disk_that_forgets_what_it_synced_is_found() {
    let (passed, text) = PROGRAM.run("0..3", "lying-disk");
    assert!(!passed, "{text}");
}

#[test]
fn a_run_can_be_repeated() {
    PROGRAM.repeats("0..2");
}
