use super::*;
use crate::ast::{BinaryOp, Literal, Source};
use crate::visit::walk_expr;

fn parse(text: &str) -> Result<Vec<Statement>, ParseError> {
    parse_query(text, &Params::new())
}

/// The canonical text or the error of `text` with one bound parameter `x`.
fn bound(text: &str, value: ParamValue) -> String {
    let mut params = Params::new();
    params.insert("x", value);
    match parse_query(text, &params) {
        Ok(statements) => statements.iter().map(Statement::to_string).collect::<Vec<_>>().join("; "),
        Err(error) => error.to_string(),
    }
}

fn identifier(name: &str) -> ParamValue {
    ParamValue::Identifier(name.to_owned())
}

fn string(text: &str) -> ParamValue {
    ParamValue::String(text.to_owned())
}

fn regex(pattern: &str) -> ParamValue {
    ParamValue::Regex(pattern.to_owned())
}

fn duration(text: &str) -> ParamValue {
    ParamValue::Duration(text.to_owned())
}

#[test]
fn a_parameter_stands_for_an_operand() {
    let condition = |value| bound("SELECT v FROM m WHERE a = $x", value);
    assert_eq!(condition(string("it's")), r"SELECT v FROM m WHERE a = 'it\'s'");
    assert_eq!(condition(string("")), "SELECT v FROM m WHERE a = ''");
    assert_eq!(condition(ParamValue::Integer(-5)), "SELECT v FROM m WHERE a = -5");
    assert_eq!(condition(ParamValue::Integer(i64::MIN)), "SELECT v FROM m WHERE a = -9223372036854775808");
    assert_eq!(condition(ParamValue::Number(5.0)), "SELECT v FROM m WHERE a = 5.0");
    assert_eq!(condition(ParamValue::Number(-0.0)), "SELECT v FROM m WHERE a = -0.0");
    assert_eq!(condition(ParamValue::Boolean(true)), "SELECT v FROM m WHERE a = true");
    assert_eq!(condition(identifier("q r")), "SELECT v FROM m WHERE a = \"q r\"");
    assert_eq!(condition(regex("a/b")), r"SELECT v FROM m WHERE a = /a\/b/");
    assert_eq!(condition(duration("-5m")), "SELECT v FROM m WHERE a = -5m");
    assert_eq!(condition(duration("x")), "invalid duration");
}

#[test]
fn a_parameter_stands_for_a_name() {
    assert_eq!(bound("SELECT $x FROM m", identifier("a b")), "SELECT \"a b\" FROM m");
    assert_eq!(bound("SELECT $x(v) FROM m", identifier("mean")), "SELECT mean(v) FROM m");
    assert_eq!(bound("SELECT a.$x::float FROM m", identifier("b")), "SELECT \"a.b\"::float FROM m");
    assert_eq!(bound("SELECT v FROM d.$x", identifier("a")), "SELECT v FROM d.a");
    assert_eq!(bound("SELECT v FROM $x.m", identifier("a")), "SELECT v FROM a.m");
    assert_eq!(bound("DROP DATABASE $x", identifier("select")), "DROP DATABASE \"select\"");
    assert_eq!(bound("SELECT v FROM m ORDER BY $x", identifier("time")), "SELECT v FROM m ORDER BY time ASC");
    assert_eq!(bound("SELECT v FROM $x", string("a")), "found a, expected identifier at line 1, char 15");
}

#[test]
fn a_parameter_stands_for_a_regex() {
    assert_eq!(bound("SELECT $x FROM m", regex("a b")), "SELECT /a b/ FROM m");
    assert_eq!(bound("SELECT v FROM $x", regex("a")), "SELECT v FROM /a/");
    assert_eq!(bound("SELECT v FROM m WHERE a =~ $x", regex("a")), "SELECT v FROM m WHERE a =~ /a/");
    assert_eq!(bound("SELECT v FROM m GROUP BY $x", regex("a")), "SELECT v FROM m GROUP BY /a/");
    assert_eq!(bound("SELECT mean($x) FROM m", regex("a")), "SELECT mean(/a/) FROM m");
    assert_eq!(bound("SELECT v FROM m WHERE a =~ $x", string("a")), "found a, expected regex at line 1, char 28");
    let error = bound("SELECT v FROM m WHERE a =~ $x", regex("["));
    assert!(error.starts_with("error parsing regexp: ") && error.ends_with(" at line 1, char 28"), "{error}");
    // The reference reads a name here.
    assert_eq!(bound("SELECT v FROM d.$x", regex("a")), "found a, expected identifier at line 1, char 17");
}

#[test]
fn a_parameter_stands_for_a_clause_argument() {
    assert_eq!(bound("SELECT v FROM m LIMIT $x", ParamValue::Integer(5)), "SELECT v FROM m LIMIT 5");
    assert_eq!(bound("SELECT v FROM m LIMIT $x", ParamValue::Integer(-5)), "LIMIT must be >= 0 at line 1, char 23");
    assert_eq!(bound("SELECT v FROM m SOFFSET $x", ParamValue::Integer(-5)), "SOFFSET must be >= 0 at line 1, char 25");
    assert_eq!(
        bound("SELECT v FROM m LIMIT $x", ParamValue::Number(5.0)),
        "found 5, expected integer at line 1, char 23"
    );
    assert_eq!(bound("SELECT v FROM m GROUP BY time($x)", duration("90m")), "SELECT v FROM m GROUP BY time(90m)");
    assert_eq!(bound("SELECT v FROM m fill($x)", identifier("none")), "SELECT v FROM m fill(none)");
    assert_eq!(bound("SELECT v FROM m tz($x)", string("UTC")), "SELECT v FROM m TZ('UTC')");
    assert_eq!(bound("CREATE DATABASE d WITH DURATION $x", duration("1h")), "CREATE DATABASE d WITH DURATION 1h0m0s");
    assert_eq!(bound("SHOW STATS FOR $x", string("")), "SHOW STATS");
    assert_eq!(
        bound("DROP SHARD $x", ParamValue::Integer(-5)),
        "strconv.ParseUint: parsing \"-5\": invalid syntax at line 1, char 12"
    );
    assert_eq!(
        bound("CREATE DATABASE d WITH REPLICATION $x", ParamValue::Integer(-3)),
        "invalid value -3: must be 1 <= n <= 2147483647 at line 1, char 36"
    );
}

#[test]
fn a_sign_applies_to_the_value() {
    let negated = |value| bound("SELECT v FROM m WHERE a = -$x", value);
    assert_eq!(negated(ParamValue::Integer(5)), "SELECT v FROM m WHERE a = -5");
    assert_eq!(negated(ParamValue::Integer(-5)), "SELECT v FROM m WHERE a = 5");
    assert_eq!(negated(ParamValue::Integer(i64::MIN)), "SELECT v FROM m WHERE a = 9223372036854775808");
    assert_eq!(negated(identifier("q")), "SELECT v FROM m WHERE a = -1 * q");
    assert_eq!(negated(string("5")), "found 5, expected identifier, number, duration, ( at line 1, char 28");
}

#[test]
fn a_value_is_not_scanned_again() {
    assert_eq!(
        bound("SELECT v FROM m WHERE a = $x", string("b' OR 'c' = 'c")),
        r"SELECT v FROM m WHERE a = 'b\' OR \'c\' = \'c'"
    );
    assert_eq!(bound("SELECT $x FROM m", identifier("a\" FROM b; --")), r#"SELECT "a\" FROM b; --" FROM m"#);
}

#[test]
fn parameters_without_a_usable_value() {
    let error = |text| bound(text, ParamValue::Unusable("identifier must be a string value".to_owned()));
    assert_eq!(error("SELECT v FROM m WHERE a = $x"), "identifier must be a string value");
    assert_eq!(error("SELECT v FROM m $x"), "found identifier must be a string value, expected ; at line 1, char 17");
    assert_eq!(error("SELECT v FROM m WHERE a = $y"), "missing parameter: y");
    assert_eq!(error("SELECT v FROM m WHERE a = $\"y z\""), "missing parameter: y z");
    assert_eq!(error("SELECT v FROM m WHERE a = $"), "empty bound parameter");
    // Unless the query does not use it.
    assert_eq!(error("SELECT v FROM m"), "SELECT v FROM m");
}

#[test]
fn a_chain_of_conditions_is_balanced() {
    let text = |count: usize| {
        let terms: Vec<String> = (0..count).map(|index| format!("a = {index}")).collect();
        terms.join(" OR ")
    };
    // Three terms are as they would be from left to right.
    let a = |index: i64| Expr::binary(BinaryOp::Eq, Expr::var("a"), Expr::integer(index));
    let or = |lhs, rhs| Expr::binary(BinaryOp::Or, lhs, rhs);
    assert_eq!(parse_expr(&text(3)), Ok(or(or(a(0), a(1)), a(2))));
    assert_eq!(parse_expr(&text(4)), Ok(or(or(a(0), a(1)), or(a(2), a(3)))));

    let expr = parse_expr(&text(10_000)).expect("a long condition");
    assert_eq!(height(&expr), 2 + 14);
    assert_eq!(expr.to_string(), text(10_000));
}

fn height(expr: &Expr) -> usize {
    1 + expr.children().map(height).max().unwrap_or(0)
}

#[test]
fn and_binds_tighter_than_or() {
    let expr = parse_expr("a AND b OR c AND d").expect("a condition");
    let and = |lhs, rhs| Expr::and(Expr::var(lhs), Expr::var(rhs));
    assert_eq!(expr, Expr::binary(BinaryOp::Or, and("a", "b"), and("c", "d")));
}

#[test]
fn arithmetic_is_read_from_left_to_right() {
    let sub = |lhs, rhs| Expr::binary(BinaryOp::Sub, lhs, rhs);
    assert_eq!(parse_expr("a - b - c"), Ok(sub(sub(Expr::var("a"), Expr::var("b")), Expr::var("c"))));
    let expr = parse_expr("a + b * c > d % 2").expect("a condition");
    let Expr::Binary(comparison) = &expr else { panic!("{expr:?}") };
    assert_eq!(comparison.op, BinaryOp::Gt);
    assert_eq!(comparison.lhs, Expr::binary(BinaryOp::Add, Expr::var("a"), parse_expr("b * c").expect("a product")));
}

#[test]
fn signs_fold_into_literals_only() {
    assert_eq!(parse_expr("-5"), Ok(Expr::integer(-5)));
    assert_eq!(parse_expr("-9223372036854775808"), Ok(Expr::integer(i64::MIN)));
    assert_eq!(parse_expr("-1h"), Ok(Expr::Literal(Literal::Duration(-3_600_000_000_000))));
    assert_eq!(parse_expr("18446744073709551615"), Ok(Expr::Literal(Literal::Unsigned(u64::MAX))));
    assert_eq!(parse_expr("-v"), Ok(Expr::binary(BinaryOp::Mul, Expr::integer(-1), Expr::var("v"))));
}

#[test]
fn a_text_of_more_than_the_limit_is_refused() {
    let mut text = "SELECT v FROM m".to_owned();
    text.push_str(&" ".repeat(QUERY_BYTES_MAX - text.len()));
    assert!(parse(&text).is_ok());
    text.push(' ');
    assert_eq!(
        parse(&text).map_err(|error| error.to_string()),
        Err("query is too long: 1048577 bytes, at most 1048576".to_owned())
    );
}

/// `inner` inside `depth` times `open` and `close`.
fn nest(open: &str, inner: &str, close: &str, depth: usize) -> String {
    format!("{}{inner}{}", open.repeat(depth), close.repeat(depth))
}

const TOO_DEEP: &str = "query is nested too deeply: at most 100 levels";

#[test]
fn nesting_is_limited() {
    for (open, inner, close) in [
        ("(", "v", ")"),
        ("f(", "v", ")"),
        ("-(", "v", ")"),
        ("1 + (", "v", ")"),
        ("f(1, ", "v", ")"),
        ("f(/x/, ", "v", ")"),
    ] {
        let text = |depth| format!("SELECT {} FROM m", nest(open, inner, close, depth));
        assert!(parse(&text(NESTING_MAX)).is_ok(), "{open}");
        for depth in [NESTING_MAX + 1, 1_000, 100_000] {
            let error = parse(&text(depth)).map_err(|error| error.to_string());
            assert_eq!(error, Err(TOO_DEEP.to_owned()), "{depth} times {open}");
        }
    }
}

#[test]
fn nesting_of_subqueries_counts_with_that_of_expressions() {
    let text = |depth| nest("SELECT v FROM (", "SELECT v FROM m", ")", depth);
    let statements = parse(&text(NESTING_MAX)).expect("just not too deep");
    assert_eq!(statements[0].to_string(), text(NESTING_MAX));
    for depth in [NESTING_MAX + 1, 10_000] {
        assert_eq!(parse(&text(depth)).map_err(|error| error.to_string()), Err(TOO_DEEP.to_owned()));
    }
    let inner = nest("SELECT v FROM (", "SELECT (v) FROM m", ")", NESTING_MAX);
    assert_eq!(parse(&inner).map_err(|error| error.to_string()), Err(TOO_DEEP.to_owned()));
}

#[test]
fn the_height_of_a_tree_is_limited() {
    let chain = |terms: usize| vec!["a"; terms].join(" + ");
    let expr = parse_expr(&chain(EXPR_HEIGHT_MAX)).expect("just not too high");
    assert_eq!(height(&expr), EXPR_HEIGHT_MAX);
    for text in [chain(EXPR_HEIGHT_MAX + 1), chain(100_000), format!("({})", chain(EXPR_HEIGHT_MAX))] {
        assert_eq!(
            parse_expr(&text).map_err(|error| error.to_string()),
            Err("expression has too many levels: at most 500".to_owned())
        );
    }
}

/// The deepest trees of every kind, each parsed, printed, walked, copied, compared and dropped on a small stack.
#[test]
fn the_deepest_trees_fit_a_small_stack() {
    const STACK_BYTES: usize = 1 << 20;
    let work = || {
        let chain = vec!["a"; EXPR_HEIGHT_MAX - NESTING_MAX].join(" + ");
        let texts = [
            format!("SELECT {} FROM m", nest("(", &chain, ")", NESTING_MAX)),
            format!("SELECT {} FROM m", nest("f(", &chain, ")", NESTING_MAX)),
            format!("SELECT v FROM m WHERE {} = 1", nest("f(1, ", "v", ")", NESTING_MAX)),
            nest("SELECT v FROM (", &format!("SELECT {chain} FROM m"), ")", NESTING_MAX),
        ];
        for text in texts {
            let statements = parse(&text).expect("just not too deep");
            crate::fuzzing::check_round_trip(&statements[0]);
            assert_eq!(statements[0].clone(), statements[0]);
            assert!(!format!("{statements:?}").is_empty());
            let Statement::Select(select) = &statements[0] else { panic!("{text}") };
            let mut count = 0;
            walk_expr(&select.fields[0].expr, &mut |_| count += 1);
            assert!(count > 0);
        }
    };
    std::thread::Builder::new()
        .stack_size(STACK_BYTES)
        .spawn(work)
        .expect("a thread")
        .join()
        .expect("no overflow, no panic");
}

#[test]
fn canonical_texts_may_be_long_and_hold_any_character() {
    let text = format!("SELECT v FROM m WHERE a = '{}\\r\\0'", "x".repeat(QUERY_BYTES_MAX));
    let select = parse_canonical_select(&text).expect("our own text");
    assert_eq!(select.to_string(), text);
    assert!(parse("SELECT v FROM m WHERE a = '\\r'").is_err());
    assert!(parse("SELECT v FROM m WHERE a = /x/").is_err());
    assert!(parse_canonical("SELECT v FROM m WHERE a = /x/").is_ok());
    assert!(parse_canonical_select("SELECT v FROM m; SELECT v FROM m").is_err());
    assert!(parse_canonical_expr("a = '\\r' AND b").is_ok());
    assert!(parse_expr("a = 1 b").is_err());
}

#[test]
fn texts_after_a_nul_are_not_read() {
    assert_eq!(parse("SELECT v FROM m; \0 garbage").map(|statements| statements.len()), Ok(1));
}

#[test]
fn an_error_knows_its_place() {
    let error = parse("SELECT v\nFROM 5").expect_err("not a measurement");
    assert_eq!(error.pos(), Some(Pos { line: 1, column: 5 }));
    assert_eq!(error.to_string(), "found 5, expected identifier at line 2, char 6");
    assert_eq!(parse("SELECT 1x FROM m").expect_err("not a duration").pos(), None);
}

#[test]
fn empty_segments_are_absent_names() {
    let statements = parse("SELECT v FROM a..m, \"\".r.m, \"\".\"\".m").expect("three sources");
    let Statement::Select(select) = &statements[0] else { panic!("{statements:?}") };
    let names = |source: &Source| match source {
        Source::Measurement(measurement) => (measurement.database.clone(), measurement.retention_policy.clone()),
        Source::Subquery(_) => panic!("{source:?}"),
    };
    let found: Vec<_> = select.sources.iter().map(names).collect();
    assert_eq!(found, [(Some("a".to_owned()), None), (None, Some("r".to_owned())), (None, None)]);
}
