//! A few seeds of the simulation of meta nodes; many more by hand (docs/testing.md).

use std::process::Command;

/// Runs seeds; whether all passed, and what was printed.
fn run(seeds: &str, plant: &str) -> (bool, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_churn"))
        .args(["--seeds", seeds, "--jobs", "2", "--plant", plant])
        .output()
        .expect("the simulation runs");
    (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn meta_nodes_that_come_and_go_under_faults_keep_the_promises_of_raft() {
    let (passed, text) = run("2..4", "none");
    assert!(passed, "{text}");
}

#[test]
fn reads_from_any_copy_are_found() {
    let (passed, text) = run("0..2", "stale-reads");
    assert!(!passed && text.contains("which was acknowledged"), "{text}");
}

#[test]
fn a_disk_that_forgets_what_it_synced_is_found() {
    let (passed, text) = run("0..3", "lying-disk");
    assert!(!passed, "{text}");
}

#[test]
fn a_run_can_be_repeated() {
    // Seeds run side by side, and either may end first.
    let lines = || {
        let (_, text) = run("0..2", "none");
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    let (first, second) = (lines(), lines());
    assert!(first.iter().any(|line| line.contains("trace")), "{first:?}");
    assert_eq!(first, second);
}
