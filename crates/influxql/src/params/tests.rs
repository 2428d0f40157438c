use super::*;

#[track_caller]
fn check(value: &str, want: ParamValue) {
    let params = Params::from_json(&format!("{{\"x\": {value}}}")).expect("a document");
    assert_eq!(params.get("x"), Some(&want), "{value}");
}

#[track_caller]
fn check_unusable(value: &str, want: &str) {
    check(value, ParamValue::Unusable(want.to_owned()));
}

#[track_caller]
fn check_error(document: &str, want: &str) {
    assert_eq!(Params::from_json(document).map_err(|error| error.to_string()), Err(want.to_owned()));
}

#[test]
fn plain_values() {
    check(r#""a\u0041""#, ParamValue::String("aA".to_owned()));
    check("5", ParamValue::Integer(5));
    check("-9223372036854775808", ParamValue::Integer(i64::MIN));
    check("5.0", ParamValue::Number(5.0));
    check("1.5e3", ParamValue::Number(1500.0));
    check("true", ParamValue::Boolean(true));
    check("false", ParamValue::Boolean(false));
}

#[test]
fn typed_values() {
    check(r#"{"ident": "a b"}"#, ParamValue::Identifier("a b".to_owned()));
    check(r#"{"identifier": "a"}"#, ParamValue::Identifier("a".to_owned()));
    check(r#"{"regex": "a/b"}"#, ParamValue::Regex("a/b".to_owned()));
    check(r#"{"string": "a"}"#, ParamValue::String("a".to_owned()));
    check(r#"{"float": 5}"#, ParamValue::Number(5.0));
    check(r#"{"number": 5.5}"#, ParamValue::Number(5.5));
    check(r#"{"int": 5}"#, ParamValue::Integer(5));
    check(r#"{"integer": -5}"#, ParamValue::Integer(-5));
    check(r#"{"duration": "1h"}"#, ParamValue::Duration("1h".to_owned()));
    check(r#"{"duration": 60000000000}"#, ParamValue::Duration("1m".to_owned()));
}

#[test]
fn unusable_values_say_why() {
    check_unusable("null", "unable to bind parameter with type <nil>");
    check_unusable("[1]", "unable to bind parameter with type []interface {}");
    check_unusable("{}", "bound object parameter value must have exactly one entry");
    check_unusable(r#"{"int": 1, "float": 2}"#, "bound object parameter value must have exactly one entry");
    check_unusable(r#"{"Int": 1}"#, "unknown bind object type: Int");
    check_unusable(r#"{"ident": 1}"#, "identifier must be a string value");
    check_unusable(r#"{"regex": 1}"#, "regex literal must be a string value");
    check_unusable(r#"{"string": 1}"#, "string literal must be a string value");
    check_unusable(r#"{"float": "1"}"#, "number literal must be a float value");
    check_unusable(r#"{"int": 1.5}"#, "integer literal must be an integer value");
    check_unusable(r#"{"duration": 1.5}"#, "duration literal must be a string or integer value");
    check_unusable(
        r#"{"int": 99999999999999999999}"#,
        "strconv.ParseInt: parsing \"99999999999999999999\": value out of range",
    );
}

#[test]
fn bare_numbers_out_of_range_refuse_the_document() {
    check_error(r#"{"x": 1e5}"#, "error parsing json value: strconv.ParseInt: parsing \"1e5\": invalid syntax");
    check_error(
        r#"{"x": 9223372036854775808}"#,
        "error parsing json value: strconv.ParseInt: parsing \"9223372036854775808\": value out of range",
    );
    check_error(
        r#"{"x": 1.5e400}"#,
        "error parsing json value: strconv.ParseFloat: parsing \"1.5e400\": value out of range",
    );
}

#[test]
fn the_document_is_an_object_or_null() {
    assert_eq!(Params::from_json("null"), Ok(Params::new()));
    assert_eq!(Params::from_json("{}"), Ok(Params::new()));
    check_error(r#"{"x": 5"#, "error parsing query parameters: unexpected EOF");
    check_error("", "error parsing query parameters: EOF");
    for document in ["[5]", "5", "\"\""] {
        let error = Params::from_json(document).expect_err("not an object").to_string();
        assert!(error.starts_with("error parsing query parameters: "), "{error}");
        assert!(!error.contains(" line "), "{error}");
    }
}

#[test]
fn what_follows_the_document_is_ignored() {
    assert_eq!(Params::from_json(r#"{"x": 5} y"#), Params::from_json(r#"{"x": 5}"#));
}

#[test]
fn the_last_of_two_equal_names_counts() {
    let params = Params::from_json(r#"{"x": 5, "x": 6}"#).expect("a document");
    assert_eq!(params.get("x"), Some(&ParamValue::Integer(6)));
}

#[test]
fn patterns_keep_their_meaning_between_slashes() {
    assert_eq!(writable_pattern("a/b"), "a/b");
    assert_eq!(writable_pattern("a\nb\r\0"), r"a\nb\r\x00");
    // A line feed that is escaped already, and one behind a backslash that is.
    assert_eq!(writable_pattern("a\\\nb"), r"a\nb");
    assert_eq!(writable_pattern("a\\\\\nb"), r"a\\\nb");
    // A backslash at the end.
    assert_eq!(writable_pattern(r"a\\"), r"a\x5c");
    assert_eq!(writable_pattern(r"a\\\\"), r"a\\\x5c");
    assert_eq!(writable_pattern(r"\Qa\\"), r"\Qa\\");
}
