//! Queries with the answers to them: `cases/*.txt`.
//!
//! Each case is
//! - `#` lines: why it is there, or why we differ,
//! - `>` lines: the query; several are joined by line feeds,
//! - a `~` line, where we differ: the answer of InfluxDB 1.6.7, or of its first statement,
//! - our answer: `=` and the canonical text of each statement, or `!` and the error.
//!
//! Without a `~` line the answer is that of InfluxDB 1.6.7, except in `own.txt`, which has what that does not know.
//! `UPDATE_EXPECT=1` rewrites our answers.

use std::fmt::Write;
use std::path::Path;

use expect_test::expect_file;
use influxql::{Params, fuzzing, parse_query};

/// The file with our answers in place of those in it.
fn answer(text: &str) -> String {
    let mut out = String::new();
    let mut query: Vec<&str> = Vec::new();
    let mut reference: Option<&str> = None;
    for line in text.lines().chain([""]) {
        match line.as_bytes() {
            [b'>', rest @ ..] => {
                query.push(if rest.is_empty() { "" } else { &line[2..] });
                out.push_str(line);
                out.push('\n');
            }
            [b'~', ..] => {
                reference = Some(line);
                out.push_str(line);
                out.push('\n');
            }
            [b'=' | b'!', ..] => {}
            _ => {
                if !query.is_empty() {
                    answer_case(&query.join("\n"), reference, &mut out);
                    query.clear();
                    reference = None;
                }
                out.push_str(line);
                out.push('\n');
            }
        }
    }
    // The line added above ends the last case; it is not part of the file.
    out.pop();
    out
}

fn answer_case(query: &str, reference: Option<&str>, out: &mut String) {
    let mut ours = String::new();
    match parse_query(query, &Params::new()) {
        Ok(statements) => {
            for statement in &statements {
                writeln!(ours, "= {statement}").expect("writing to a string");
                fuzzing::check_round_trip(statement);
            }
            if statements.is_empty() {
                ours.push_str("=\n");
            }
        }
        Err(error) => writeln!(ours, "! {error}").expect("writing to a string"),
    }
    if let Some(reference) = reference {
        let first = ours.lines().next();
        assert_ne!(reference.strip_prefix("~ "), first, "{query}: the reference says the same");
    }
    out.push_str(&ours);
}

#[track_caller]
fn check(name: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases").join(name);
    let text = std::fs::read_to_string(&path).expect("the case file is readable");
    expect_file![path].assert_eq(&answer(&text));
}

#[test]
fn lexical() {
    check("lexical.txt");
}

#[test]
fn select() {
    check("select.txt");
}

#[test]
fn clauses() {
    check("clauses.txt");
}

#[test]
fn show() {
    check("show.txt");
}

#[test]
fn remove() {
    check("remove.txt");
}

#[test]
fn define() {
    check("define.txt");
}

#[test]
fn continuous_queries() {
    check("continuous_queries.txt");
}

#[test]
fn users() {
    check("users.txt");
}

#[test]
fn own() {
    check("own.txt");
}
