//! The program as a process: exit codes, and what stands on which stream.

use std::process::{Command, Stdio};

/// Standard output, standard error and the exit code.
fn run(words: &[&str]) -> (String, String, Option<i32>) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_influxd-ctl"));
    let output = command.args(words).stdin(Stdio::null()).output().expect("the program runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    (text(output.stdout), text(output.stderr), output.status.code())
}

#[test]
fn help_stands_on_standard_output() {
    let (out, err, code) = run(&[]);
    assert!(out.starts_with("Usage: influxd-ctl [options] <command>"), "{out}");
    assert_eq!((err.as_str(), code), ("", Some(0)));
    assert_eq!(run(&["help"]).0, out);
}

#[test]
fn failures_stand_on_standard_error() {
    let want = "unknown command \"nope\"\nRun 'influxd-ctl help' for usage\n";
    assert_eq!(run(&["nope"]), (String::new(), want.to_owned(), Some(1)));
    let (out, err, code) = run(&["show-shards", "-h"]);
    assert!(out.is_empty() && err.starts_with("Usage: influxd-ctl [options] show-shards "), "{out}{err}");
    assert_eq!(code, Some(0));
}

/// Nothing listens on port 1 of this host, whose name the program finds by itself.
#[test]
fn nobody_to_join_ends_with_a_failure() {
    let (out, err, code) = run(&["join", "127.40.70.1:1"]);
    assert_eq!((out.as_str(), code), ("Joining meta node at 127.40.70.1:1\n", Some(1)));
    assert!(err.starts_with("\nUnable to connect to 127.40.70.1:1\n\n  operation timed out with error: "), "{err}");
}
