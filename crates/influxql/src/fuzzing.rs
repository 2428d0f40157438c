//! What a fuzzer runs. Public, so that a fuzz target is one line.

use crate::ast::Statement;
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
