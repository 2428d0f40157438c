//! What a fuzzer runs. Public, so that a fuzz target is one line.

use crate::ast::Statement;
use crate::duration::{format_duration, format_duration_go, parse_duration};
use crate::params::Params;
use crate::parse::{parse_canonical, parse_query};
use crate::sanitize::redact_passwords;

/// Parses `data` as a query, printing and reading back what comes out.
///
/// # Panics
/// If the printed text does not read back to equal statements, or does not print the same again.
pub fn fuzz_parse(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    redact_passwords(text);
    let Ok(statements) = parse_query(text, &Params::new()) else { return };
    for statement in statements {
        check_round_trip(&statement);
    }
}

/// Reads `data` as the JSON document of bound parameters.
pub fn fuzz_params(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        // Either outcome is fine; reading must only come back.
        let _ = Params::from_json(text);
    }
}

/// Reads `data` as a duration, and reads back what is printed for it.
///
/// # Panics
/// If that is another duration.
pub fn fuzz_duration(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(duration_ns) = parse_duration(text) else { return };
    format_duration_go(duration_ns);
    assert_eq!(parse_duration(&format_duration(duration_ns)), Ok(duration_ns));
}

/// Prints `statement`, which must come from the parser, and reads it back.
///
/// # Panics
/// If it is another statement then.
pub fn check_round_trip(statement: &Statement) {
    let text = statement.to_string();
    if matches!(statement, Statement::CreateUser(_) | Statement::SetPassword(_)) {
        return;
    }
    match parse_canonical(&text).as_deref() {
        Ok([again]) => {
            assert_eq!(again, statement, "read back from {text}");
            assert_eq!(again.to_string(), text, "printed again");
        }
        other => panic!("{text} reads back as {other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use testkit::seeds;

    use super::*;

    /// Every eighth statement of the files of cases: some that parse and some that do not.
    fn statements() -> Vec<(String, Vec<u8>)> {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cases");
        let mut seeds = Vec::new();
        for name in ["clauses", "continuous_queries", "define", "lexical", "own", "remove", "select", "show", "users"] {
            let text = std::fs::read_to_string(format!("{folder}/{name}.txt")).expect("a file of cases");
            let lines = text.lines().filter_map(|line| line.strip_prefix("> ")).step_by(8).take(12).enumerate();
            seeds.extend(lines.map(|(index, line)| (format!("{name}_{index:02}"), line.as_bytes().to_vec())));
        }
        seeds
    }

    #[test]
    fn statements_keep_the_promises() {
        let made = statements();
        let made: Vec<(&str, Vec<u8>)> = made.iter().map(|(name, text)| (name.as_str(), text.clone())).collect();
        seeds::try_all("influxql", seeds::MANY, &made, fuzz_parse);
    }

    #[test]
    fn parameters_keep_the_promises() {
        let made = [
            ("duration", br#"{"d": {"duration": "1h30m"}, "n": {"duration": 60}}"#.to_vec()),
            ("identifier", br#"{"m": {"identifier": "cpu load"}, "r": {"regex": "^a.*"}}"#.to_vec()),
            ("numbers", br#"{"i": 1, "f": 1.5e3, "u": 18446744073709551615, "n": -0.0}"#.to_vec()),
            ("odd", br#"{"list": [1, "a"], "none": null, "deep": {"string": {"string": 1}}}"#.to_vec()),
            ("texts", br#"{"s": "a\"b\u00e9", "b": true, "t": {"string": "x"}, "i": {"integer": "5"}}"#.to_vec()),
        ];
        seeds::try_all("influxql_params", seeds::MANY, &made, fuzz_params);
    }

    #[test]
    fn durations_keep_the_promises() {
        let texts = ["1h30m", "-5m", "106751d23h47m16s854ms", "9223372036854775807ns", "1w2d3h4m5s6ms7u8ns", "3\u{b5}"];
        let made: Vec<(String, Vec<u8>)> =
            texts.iter().enumerate().map(|(index, text)| (format!("text_{index}"), text.as_bytes().to_vec())).collect();
        let made: Vec<(&str, Vec<u8>)> = made.iter().map(|(name, text)| (name.as_str(), text.clone())).collect();
        seeds::try_all("influxql_duration", seeds::MANY, &made, fuzz_duration);
    }
}
