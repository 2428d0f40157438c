//! Odd lines and what InfluxDB 1.6.7 answered to each, from `cases/*.txt`; `cases/README.md` has the form of the files.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use line_protocol::{ParseOutcome, Parser, write};
use model::{Batch, FieldValue, Precision, series_key};

/// What lines without a time get; the files say `now`.
const NOW: i64 = 1_600_000_000_000_000_000;

/// One block of a file.
#[derive(Debug, Default)]
struct Case {
    line: usize,
    body: Vec<u8>,
    precision: Precision,
    reference: Answer,
    /// Where we differ on purpose.
    ours: Option<Answer>,
}

#[derive(Debug, Default, PartialEq)]
struct Answer {
    status: String,
    points: Vec<String>,
}

fn decode(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        if *first == b'%' {
            let hex = std::str::from_utf8(&tail[..2]).expect("two digits");
            bytes.push(u8::from_str_radix(hex, 16).expect("two digits"));
            rest = &tail[2..];
        } else {
            bytes.push(*first);
        }
    }
    bytes
}

fn text(encoded: &str) -> String {
    String::from_utf8(decode(encoded)).expect("answers are text")
}

fn read_cases(file: &str) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    for (index, line) in file.lines().enumerate() {
        let Some((mark, rest)) = line.split_once(' ') else { continue };
        if mark == ">" {
            cases.push(Case { line: index + 1, body: decode(rest), ..Case::default() });
            continue;
        }
        let Some(case) = cases.last_mut() else { continue };
        match mark {
            "precision" => case.precision = Precision::parse(rest).expect("a precision"),
            "<" => case.reference.status = text(rest),
            "=" => case.reference.points.push(text(rest)),
            "<<" => case.ours.get_or_insert_default().status = text(rest),
            "==" => case.ours.get_or_insert_default().points.push(text(rest)),
            "!" => {}
            _ => panic!("line {} of the case file: {line}", index + 1),
        }
    }
    cases
}

/// What the caller of the parser answers when its store takes everything.
fn status(outcome: &ParseOutcome, batch: &Batch) -> String {
    match (&outcome.dropped_reason, batch.is_empty()) {
        (Some(reason), _) => format!("400 partial write: {reason} dropped={}", outcome.dropped_count),
        (None, _) if outcome.errors.is_empty() => "204".to_owned(),
        (None, true) => format!("400 {}", outcome.errors),
        (None, false) => format!("400 partial write: {} dropped=0", outcome.errors),
    }
}

/// What a query sees: points of one series and time are one, later values win.
fn points(batch: &Batch) -> Vec<String> {
    let mut merged: BTreeMap<(Vec<u8>, i64), BTreeMap<Vec<u8>, FieldValue>> = BTreeMap::new();
    for point in batch.points() {
        let fields = merged.entry((point.series_key.to_vec(), point.time)).or_default();
        fields.extend(point.fields.into_iter().map(|(name, value)| (name.to_vec(), value)));
    }
    let mut lines = Vec::new();
    for ((key, time), fields) in merged {
        let (measurement, tags) = series_key::split_key(&key);
        let fields: Vec<(&[u8], FieldValue)> =
            fields.iter().map(|(name, value)| (name.as_slice(), value.clone())).collect();
        let mut one = Batch::default();
        one.push_point(&measurement, &tags, time, &fields);
        let mut line = Vec::new();
        write::batch(&one, &mut line);
        let line = String::from_utf8(line).expect("cases are text");
        let line = line.strip_suffix('\n').expect("one line");
        lines.push(line.replace(&format!(" {NOW}"), " now"));
    }
    lines.sort();
    lines
}

fn check_file(file: &str) {
    let cases = read_cases(file);
    let mut wrong = String::new();
    // One parser for all, so that what it remembers is tested too; and a fresh one for each.
    let mut kept = Parser::new(7);
    for case in &cases {
        let want = case.ours.as_ref().unwrap_or(&case.reference);
        let mut fresh = Parser::new(1);
        for parser in [&mut kept, &mut fresh] {
            let mut batch = Batch::default();
            let outcome = parser.parse(&case.body, case.precision, NOW, &mut batch);
            assert_eq!(batch.validate(), Ok(()));
            let got = Answer { status: status(&outcome, &batch), points: points(&batch) };
            if got != *want {
                let body = String::from_utf8_lossy(&case.body);
                let _ = writeln!(wrong, "line {}: {body:?}\n   want {want:?}\n   got  {got:?}", case.line);
                break;
            }
        }
    }
    assert!(wrong.is_empty(), "of {} cases:\n{wrong}", cases.len());
}

#[test]
fn values() {
    check_file(include_str!("cases/values.txt"));
}

#[test]
fn keys() {
    check_file(include_str!("cases/keys.txt"));
}

#[test]
fn lines() {
    check_file(include_str!("cases/lines.txt"));
}
