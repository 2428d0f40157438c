//! The deepest statements that the parser lets through: a plan or an error, never an overflow of the stack.

use influxql::ast::{Measurement, Statement};
use model::{FieldType, Timestamp};
use plan::{Catalog, PlanContext, PlanError, Schema, SelectPlan, plan_select};

fn plan(text: &str) -> Option<Result<SelectPlan, PlanError>> {
    let mut schema = Schema::default();
    schema.add_field("v", FieldType::Float);
    schema.add_tag("h");
    let mut catalog = Catalog::default();
    catalog.add("d", "r", b"m", &schema);
    let statements = influxql::parse_query(text, &influxql::Params::new()).ok()?;
    let [Statement::Select(statement)] = statements.as_slice() else { panic!("one SELECT") };
    let mut statement = statement.clone();
    influxql::visit::for_each_measurement_mut(&mut statement.sources, &mut |measurement: &mut Measurement| {
        measurement.database = Some("d".to_owned());
        measurement.retention_policy = Some("r".to_owned());
    });
    let context = PlanContext { now: Timestamp(0), local_zone: None, select_buckets_max: 0 };
    Some(plan_select(&statement, &context, &catalog))
}

/// The result for the most repetitions that parse.
fn deepest(text: impl Fn(usize) -> String) -> Result<SelectPlan, PlanError> {
    let most = (1..=600).rev().find_map(|count| plan(&text(count)));
    most.expect("one repetition parses")
}

fn nested(open: &str, inner: &str, close: &str, count: usize) -> String {
    format!("{}{inner}{}", open.repeat(count), close.repeat(count))
}

#[test]
fn deep_expressions_are_planned() {
    let plan = deepest(|count| format!("SELECT {} FROM m", nested("1 + (v * ", "v", ")", count)));
    assert!(plan.is_ok());
    let plan = deepest(|count| format!("SELECT {} FROM m", nested("abs(", "v", ")", count)));
    assert!(plan.is_ok());
    let plan = deepest(|count| format!("SELECT v{} FROM m", " + v".repeat(count)));
    assert!(plan.is_ok());
}

#[test]
fn deep_conditions_are_planned_or_refused() {
    for condition in ["h = 'a' OR (v > 1 AND (", "v = 1 AND (h = 'b' OR (", "(v = 1) = ("] {
        let close = ")".repeat(condition.matches('(').count() - condition.matches(')').count());
        let plan = deepest(|count| format!("SELECT v FROM m WHERE {}", nested(condition, "v < 3", &close, count)));
        if let Err(error) = plan {
            assert_eq!(error.to_string(), "expression is nested too deeply");
        }
    }
}

#[test]
fn long_conditions_are_not_deep() {
    let terms: Vec<String> = (0..5_000).map(|index| format!("h = 'host-{index}' OR v = {index}")).collect();
    let plan = plan(&format!("SELECT v FROM m WHERE {}", terms.join(" OR "))).expect("a statement").expect("a plan");
    plan.for_each_shard_plan(&mut |below| {
        assert!(below.condition.as_ref().is_some_and(|condition| condition.height() < 60));
        assert!(plan::ShardPlan::decode(&below.encode()).is_ok());
    });
}

#[test]
fn deep_subqueries_are_planned() {
    let plan = deepest(|count| format!("SELECT v FROM {}", nested("(SELECT v FROM ", "m", ")", count)));
    assert!(plan.is_ok());
}

#[test]
fn wide_measurements_are_planned_quickly() {
    let mut schema = Schema::default();
    (0..5_000).for_each(|index| schema.add_field(format!("field_{index}"), FieldType::Float));
    let mut catalog = Catalog::default();
    catalog.add("d", "r", b"m", &schema);
    let text = "SELECT * FROM (SELECT mean(*), max(*) FROM d.r.m)";
    let statement = influxql::parse_canonical_select(text).expect("a statement");
    let context = PlanContext { now: Timestamp(0), local_zone: None, select_buckets_max: 0 };
    let plan = plan_select(&statement, &context, &catalog).expect("a plan");
    assert_eq!(plan.finish.columns.len(), 10_000);
}
