//! Stories in `tests/cases`: data, then queries and their answers.
//!
//! A file begins with lines of line protocol up to the first empty line. A query is a line that begins with `> `, its answer
//! the lines up to the next empty line; lines that begin with `#` are for people. `UPDATE_EXPECT=1` writes the answers anew.
//! The answers of `recorded.txt` are those of InfluxDB 1.6.7; where `differs.txt` says so it answers otherwise.

use std::fmt::Write;
use std::path::PathBuf;

use crate::database::{Cut, Database};
use crate::lines;

const SECOND: i64 = 1_000_000_000;

#[track_caller]
fn check(name: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/cases").join(name);
    let text = std::fs::read_to_string(&path).expect("a file of cases");
    let (data, rest) = text.split_once("\n\n").expect("data, then queries");
    let data: Vec<&str> = data.lines().filter(|line| !line.starts_with('#')).collect();
    let points = lines::parse(&data.join("\n"));
    let cuts = [Cut::WHOLE, Cut { group_ns: 25 * SECOND, shards: 2 }];
    let databases = cuts.map(|cut| Database::new(&points, cut).at(600 * SECOND));
    let mut written = String::new();
    for block in rest.split("\n\n").map(str::trim_end).filter(|block| !block.is_empty()) {
        let query = block.lines().find_map(|line| line.strip_prefix("> "));
        let comments: String =
            block.lines().filter(|line| line.starts_with('#')).fold(String::new(), |mut text, line| {
                text.push_str(line);
                text.push('\n');
                text
            });
        let Some(query) = query else {
            writeln!(written, "\n{}", comments.trim_end()).expect("memory");
            continue;
        };
        let answers: Vec<String> = databases.iter().map(|database| database.show(query)).collect();
        assert_eq!(answers[0], answers[1], "cut into shards: {query}");
        write!(written, "\n{comments}> {query}\n{}", answers[0]).expect("memory");
    }
    let head = text.split_once("\n\n").map_or("", |parts| parts.0);
    let written = format!("{head}\n{written}");
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(&path, written).expect("the file can be written");
    } else {
        let different = text.lines().zip(written.lines()).position(|(want, got)| want != got);
        let at = different.unwrap_or_else(|| text.lines().count().min(written.lines().count()));
        let near = |text: &str| text.lines().skip(at.saturating_sub(6)).take(12).collect::<Vec<_>>().join("\n");
        assert!(text == written, "{name}, line {}:\nwant\n{}\ngot\n{}", at + 1, near(&text), near(&written));
    }
}

#[test]
fn recorded() {
    check("recorded.txt");
}

#[test]
fn differs() {
    check("differs.txt");
}
