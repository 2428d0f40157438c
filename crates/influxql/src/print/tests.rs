use super::*;
use crate::ast::{BinaryOp, Literal, SelectStatement};
use crate::{ParamValue, Params, parse_canonical, parse_canonical_expr, parse_expr, parse_query};

#[track_caller]
fn check(expr: &Expr, want: &str) {
    assert_eq!(expr.to_string(), want);
    // Parentheses apart, it reads back.
    let again = parse_canonical_expr(want).expect("our own text");
    assert_eq!(again.to_string(), want);
}

fn binary(op: BinaryOp, lhs: Expr, rhs: Expr) -> Expr {
    Expr::binary(op, lhs, rhs)
}

fn literal(literal: Literal) -> Expr {
    Expr::Literal(literal)
}

#[test]
fn names_are_quoted_when_they_must() {
    for name in ["a", "_", "A1_b", "time", "fill", "servers", "future"] {
        assert_eq!(quote_ident(name), name);
    }
    for (name, want) in [
        ("", r#""""#),
        ("select", r#""select""#),
        ("Select", r#""Select""#),
        ("1a", r#""1a""#),
        ("a b", r#""a b""#),
        ("a.b", r#""a.b""#),
        ("é", r#""é""#),
        ("a\"b", r#""a\"b""#),
        ("a\\b", r#""a\\b""#),
        ("it's", r#""it's""#),
        ("a\nb", r#""a\nb""#),
    ] {
        assert_eq!(quote_ident(name), want);
    }
}

#[test]
fn strings_and_patterns() {
    assert_eq!(quote_string(r#"it's "a" \ b"#), r#"'it\'s "a" \\ b'"#);
    assert_eq!(quote_string("a\nb"), r"'a\nb'");
    assert_eq!(quote_regex(r"a/b\d"), r"/a\/b\d/");
    assert_eq!(quote_regex("a\nb"), r"/a\nb/");
}

#[test]
fn numbers_print_exactly_and_without_exponent() {
    for (value, want) in [
        (1.0, "1.0"),
        (-0.0, "-0.0"),
        (0.1, "0.1"),
        (1.5e3, "1500.0"),
        (1e21, "1000000000000000000000.0"),
        (1e-7, "0.0000001"),
        (123_456_789.123_456_79, "123456789.12345679"),
    ] {
        check(&Expr::number(value), want);
    }
    for value in [f64::MAX, f64::MIN_POSITIVE, f64::from_bits(1), -f64::MAX, 0.1 + 0.2] {
        let again = parse_expr(&Expr::number(value).to_string()).expect("a number");
        assert_eq!(again, Expr::number(value));
    }
}

#[test]
fn literals() {
    check(&literal(Literal::Integer(i64::MIN)), "-9223372036854775808");
    check(&literal(Literal::Unsigned(u64::MAX)), "18446744073709551615");
    check(&literal(Literal::Boolean(true)), "true");
    check(&literal(Literal::Duration(-5_400_000_000_000)), "-90m");
    check(&literal(Literal::Nil), "nil");
}

#[test]
fn times_print_as_strings_of_the_same_instant() {
    for (value, want) in [
        (0, "'1970-01-01T00:00:00Z'"),
        (1_434_059_627_000_000_000, "'2015-06-11T21:53:47Z'"),
        (1_500_000_000, "'1970-01-01T00:00:01.5Z'"),
        (-1, "'1969-12-31T23:59:59.999999999Z'"),
        (i64::MIN + 2, "'1677-09-21T00:12:43.145224194Z'"),
        (i64::MAX - 1, "'2262-04-11T23:47:16.854775806Z'"),
    ] {
        check(&literal(Literal::Time(value)), want);
    }
}

#[test]
fn trees_that_were_built_keep_their_meaning() {
    let [a, b, c] = ["a", "b", "c"].map(Expr::var);
    let sum = |lhs: &Expr, rhs: &Expr| binary(BinaryOp::Add, lhs.clone(), rhs.clone());
    check(&binary(BinaryOp::Mul, a.clone(), sum(&b, &c)), "a * (b + c)");
    check(&binary(BinaryOp::Mul, sum(&a, &b), c.clone()), "(a + b) * c");
    check(&binary(BinaryOp::Sub, a.clone(), sum(&b, &c)), "a - (b + c)");
    check(&binary(BinaryOp::Sub, sum(&a, &b), c.clone()), "a + b - c");
    let or = binary(BinaryOp::Or, b.clone(), c.clone());
    check(&Expr::and(a.clone(), or), "a AND (b OR c)");
    check(&Expr::and(a.clone(), Expr::and(b.clone(), c.clone())), "a AND b AND c");
    check(&binary(BinaryOp::Eq, a, binary(BinaryOp::Eq, b, c)), "a = (b = c)");
}

#[test]
fn names_of_functions_are_quoted_too() {
    check(&Expr::call("distinct", vec![Expr::var("v")]), "distinct(v)");
    check(&Expr::call("my f", vec![Expr::Wildcard(None)]), "\"my f\"(*)");
    check(&Expr::Distinct("a b".to_owned()), "DISTINCT \"a b\"");
}

#[test]
fn what_only_a_parameter_can_bring_in_reads_back() {
    let mut params = Params::new();
    params.insert("s", ParamValue::String("a\0b\r\n'\\".to_owned()));
    params.insert("i", ParamValue::Identifier("a\0b\r\n\"\\".to_owned()));
    params.insert("r", ParamValue::Regex("a\0b\r\n/\\\\".to_owned()));
    let statements =
        parse_query("SELECT $i FROM $i WHERE a = $s AND b =~ $r AND c = $r AND $r = d", &params).expect("it parses");
    let text = statements[0].to_string();
    assert!(!text.contains(['\0', '\r', '\n']), "{text:?}");
    assert_eq!(parse_canonical(&text), Ok(statements));
}

#[test]
fn passwords_are_not_shown() {
    for text in ["CREATE USER u WITH PASSWORD 'secret' WITH ALL PRIVILEGES", "SET PASSWORD FOR u = 'secret'"] {
        let statements = parse_query(text, &Params::new()).expect("it parses");
        for shown in [statements[0].to_string(), format!("{statements:?}")] {
            assert!(!shown.contains("secret"), "{shown}");
        }
    }
}

#[test]
fn parts_of_a_second_read_back_in_database_options() {
    let text = "CREATE DATABASE d WITH DURATION 1h0m0s PAST LIMIT 1500ms";
    let statements = parse_query(text, &Params::new()).expect("it parses");
    assert_eq!(statements[0].to_string(), text);
}

#[test]
fn an_empty_select_list_does_not_panic() {
    assert_eq!(SelectStatement::new(Vec::new(), Vec::new()).to_string(), "SELECT ");
}

#[test]
fn segments() {
    let quote = |segments: &[&str]| quote_segments(&segments.iter().map(|&text| text.to_owned()).collect::<Vec<_>>());
    assert_eq!(quote(&["a", "b", "c", "d"]), r#""a"."b"."c".d"#);
    assert_eq!(quote(&["a", "", "", "d e"]), r#""a"..."d e""#);
    assert_eq!(quote(&["", "b"]), r#""".b"#);
    assert_eq!(quote(&["a"]), "a");
}
