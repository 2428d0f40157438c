//! A few seeds, each in a process of its own, as part of every test run; many more by hand (docs/testing.md).

use std::process::Command;

/// Runs seeds; whether all passed, and what was printed.
fn run(seeds: &str, plant: &str) -> (bool, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_sim"))
        .args(["--seeds", seeds, "--jobs", "2", "--plant", plant])
        .output()
        .expect("the simulation runs");
    (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn a_cluster_under_faults_keeps_what_it_acknowledged() {
    let (passed, text) = run("0..8", "none");
    assert!(passed, "{text}");
}

#[test]
fn copies_become_equal_without_any_hints() {
    let (passed, text) = run("0..4", "lost-hints");
    assert!(passed, "{text}");
}

#[test]
fn acknowledging_before_the_sync_is_found() {
    let (passed, text) = run("0..1", "unsynced-acks");
    assert!(!passed && text.contains("acknowledged points are missing"), "{text}");
}

#[test]
fn copies_that_nothing_brings_together_are_found() {
    let (passed, text) = run("0..2", "no-repair");
    assert!(!passed && (text.contains("differ") || text.contains("are missing")), "{text}");
}

#[test]
fn a_run_can_be_repeated() {
    // Seeds run side by side, and either may end first.
    let lines = || {
        let (_, text) = run("3..5", "none");
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    let (first, second) = (lines(), lines());
    assert!(first.iter().any(|line| line.contains("trace")), "{first:?}");
    assert_eq!(first, second);
}
