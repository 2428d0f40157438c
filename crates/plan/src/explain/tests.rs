use expect_test::{Expect, expect};
use influxql::ast::Statement;
use model::{FieldType, Timestamp};

use super::*;
use crate::{Catalog, PlanContext, Schema, analyse};

fn catalog() -> Catalog {
    let mut schema = Schema::default();
    schema.add_field("v", FieldType::Float);
    schema.add_field("i", FieldType::Integer);
    schema.add_tag("h");
    let mut catalog = Catalog::default();
    catalog.add("d", "r", b"m", &schema);
    catalog.add("d", "r", b"k", &schema);
    catalog
}

fn analysis(text: &str) -> crate::Analysis {
    let statements = influxql::parse_query(text, &influxql::Params::new()).expect("a statement");
    let [Statement::Select(statement)] = statements.as_slice() else { panic!("one SELECT") };
    let mut statement = statement.clone();
    crate::rewrite::qualify(&mut statement, "d", |_| Ok::<_, crate::PlanError>("r".to_owned())).expect("names");
    let context = PlanContext { now: Timestamp(0), local_zone: None, select_buckets_max: 0 };
    analyse(&statement, &context).expect("a statement that is right")
}

/// The parts, a line each.
#[track_caller]
fn check(text: &str, want: Expect) {
    let plan = analysis(text).plan(&catalog()).expect("a plan");
    let describe = |part: &Part<'_>| {
        let measurement = String::from_utf8_lossy(&part.plan.measurement).into_owned();
        format!("{measurement} {} [{}]\n", part.expression.as_deref().unwrap_or("<nil>"), part.auxiliary)
    };
    want.assert_eq(&parts(&plan).iter().map(describe).collect::<String>());
}

#[test]
fn parts_are_calls_and_rows_of_measurements() {
    check(
        "SELECT v + i, h FROM m",
        expect![[r#"
        m <nil> [h::tag, i::integer, v::float]
    "#]],
    );
    check(
        "SELECT max(v), i, h FROM m",
        expect![[r#"
        m max(v::float) [h::tag, i::integer]
    "#]],
    );
    check(
        "SELECT mean(v), median(i) FROM m, k",
        expect![[r#"
        k mean(v::float) []
        m mean(v::float) []
        k i::integer []
        m i::integer []
    "#]],
    );
    check(
        "SELECT top(v, h, 2) FROM m",
        expect![[r#"
        m max(v::float) [h::tag]
    "#]],
    );
    check(
        "SELECT sum(x) FROM (SELECT mean(v) AS x FROM m GROUP BY h)",
        expect![[r#"
        m mean(v::float) []
    "#]],
    );
    check("SELECT nosuch FROM m", expect![""]);
}

#[test]
fn costs_are_printed_below_each_part() {
    let plan = analysis("SELECT max(v), i FROM m").plan(&catalog()).expect("a plan");
    let cost = Cost { shards: 1, series: 3, cached_values: 5, ..Cost::default() };
    let costed: Vec<_> = parts(&plan).into_iter().map(|part| (part, cost)).collect();
    let twice = [costed.clone(), costed].concat();
    expect![[r#"
        EXPRESSION: max(v::float)
        AUXILIARY FIELDS: i::integer
        NUMBER OF SHARDS: 1
        NUMBER OF SERIES: 3
        CACHED VALUES: 5
        NUMBER OF FILES: 0
        NUMBER OF BLOCKS: 0
        SIZE OF BLOCKS: 0

        EXPRESSION: max(v::float)
        AUXILIARY FIELDS: i::integer
        NUMBER OF SHARDS: 1
        NUMBER OF SERIES: 3
        CACHED VALUES: 5
        NUMBER OF FILES: 0
        NUMBER OF BLOCKS: 0
        SIZE OF BLOCKS: 0"#]]
    .assert_eq(&lines(&twice).join("\n"));
    assert_eq!(lines(&[]), [""]);
}

#[test]
fn trees_are_drawn() {
    let labels = Tree::new("labels").with(Tree::new("statement: SELECT v"));
    let tree = Tree::new("select")
        .with(Tree::new("total_time: 1µs"))
        .with(Tree::new("build_cursor").with(labels).with(Tree::new("iterator_scanner")));
    expect![[r#"
        .
        └── select
            ├── total_time: 1µs
            └── build_cursor
                ├── labels
                │   └── statement: SELECT v
                └── iterator_scanner
    "#]]
    .assert_eq(&tree.lines().join("\n"));
}

#[test]
fn the_label_of_a_statement_has_types_and_no_time() {
    let check = |text: &str, want: &str| {
        let typed = analysis(text).typed_statement(&catalog()).expect("a statement");
        assert_eq!(typed.to_string(), want);
    };
    check(
        "SELECT max(v), i * 2 AS twice FROM (SELECT * FROM m GROUP BY h) WHERE h = 'a' AND time > 0 GROUP BY *, time(1m) LIMIT 3",
        "SELECT max(v::float), i::integer * 2 AS twice FROM (SELECT i::integer, v::float FROM d.r.m GROUP BY h) \
         WHERE h::tag = 'a' GROUP BY time(1m), h LIMIT 3",
    );
}
