use super::*;
use crate::ast::{BinaryOp, Literal};
use crate::{Params, parse_expr, parse_query};

fn expr(text: &str) -> Expr {
    parse_expr(text).expect("an expression")
}

fn statement(text: &str) -> Statement {
    parse_query(text, &Params::new()).expect("a statement").remove(0)
}

#[test]
fn a_walk_sees_parents_first_and_left_before_right() {
    let expr = expr("f(a, (b + 1)) > c");
    let mut seen = Vec::new();
    walk_expr(&expr, &mut |expr| seen.push(expr.to_string()));
    assert_eq!(seen, ["f(a, (b + 1)) > c", "f(a, (b + 1))", "a", "(b + 1)", "b + 1", "b", "1", "c"]);
}

#[test]
fn find_stops_at_the_first() {
    let expr = expr("(a + 1) * 2");
    let found = find_expr(&expr, &mut |expr| matches!(expr, Expr::Literal(_)));
    assert_eq!(found, Some(&Expr::integer(1)));
    assert_eq!(find_expr(&expr, &mut |expr| matches!(expr, Expr::Call(_))), None);
}

#[test]
fn a_rewrite_gets_parts_that_are_rewritten() {
    // Folds sums of integers from the leaves up.
    let folded = rewrite_expr(expr("f(1 + 2 + v, (3 + 4))"), &mut |expr| match expr {
        Expr::Binary(binary) => match (&binary.op, &binary.lhs, &binary.rhs) {
            (BinaryOp::Add, Expr::Literal(Literal::Integer(lhs)), Expr::Literal(Literal::Integer(rhs))) => {
                Expr::integer(lhs + rhs)
            }
            _ => Expr::Binary(binary),
        },
        Expr::Paren(inner) if matches!(*inner, Expr::Literal(_)) => *inner,
        other => other,
    });
    assert_eq!(folded.to_string(), "f(3 + v, 7)");
}

#[test]
fn names_and_calls_are_collected_in_order() {
    let expr = expr("max(mean(a), b::tag) / min(a)");
    let names: Vec<&str> = var_refs(&expr).iter().map(|var_ref| var_ref.name.as_str()).collect();
    assert_eq!(names, ["a", "b", "a"]);
    let calls: Vec<&str> = calls(&expr).iter().map(|call| call.name.as_str()).collect();
    assert_eq!(calls, ["max", "mean", "min"]);
}

#[test]
fn measurements_are_found_in_subqueries() {
    let mut statement = statement("SELECT v INTO x FROM a..m, (SELECT v FROM n, (SELECT v FROM /o/))");
    for_each_measurement_mut(statement.sources_mut(), &mut |measurement| {
        measurement.database.get_or_insert_with(|| "d".to_owned());
    });
    assert_eq!(statement.to_string(), "SELECT v INTO x FROM a..m, (SELECT v FROM d..n, (SELECT v FROM d../o/))");
    let Statement::Select(select) = &mut statement else { panic!("a SELECT") };
    assert_eq!(select.measurements().len(), 3);
    let mut count = 0;
    select.for_each_measurement_mut(&mut |_| count += 1);
    assert_eq!(count, 3);
}

#[test]
fn statements_give_out_their_sources_and_conditions() {
    for text in [
        "SELECT v FROM m WHERE a = 1",
        "EXPLAIN SELECT v FROM m WHERE a = 1",
        "DELETE FROM m WHERE a = 1",
        "DROP SERIES FROM m WHERE a = 1",
        "SHOW SERIES FROM m WHERE a = 1",
        "SHOW TAG KEYS FROM m WHERE a = 1",
        "SHOW TAG VALUES FROM m WITH KEY = k WHERE a = 1",
        "SHOW SERIES CARDINALITY FROM m WHERE a = 1",
        "CREATE CONTINUOUS QUERY c ON d BEGIN SELECT v INTO x FROM m WHERE a = 1 END",
    ] {
        let mut statement = statement(text);
        assert_eq!(statement.sources().len(), 1, "{text}");
        assert_eq!(statement.sources_mut().len(), 1, "{text}");
        assert_eq!(statement.condition().map(Expr::to_string).as_deref(), Some("a = 1"), "{text}");
    }
    let mut keys = statement("SHOW FIELD KEYS FROM m");
    assert_eq!((keys.sources().len(), keys.sources_mut().len(), keys.condition()), (1, 1, None));
    let mut users = statement("SHOW USERS");
    assert_eq!((users.sources().len(), users.sources_mut().len(), users.condition()), (0, 0, None));
    assert!(statement("SHOW MEASUREMENTS WHERE a = 1").condition().is_some());
}
