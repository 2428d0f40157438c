//! Entry points for fuzzing: each takes any bytes and must not panic.

use crate::shard_plan::ShardPlan;

/// Decodes a shard plan. One that decodes is encoded and comes back the same.
///
/// # Panics
/// When it does not, which is a bug.
pub fn shard_plan(bytes: &[u8]) {
    let Ok(plan) = ShardPlan::decode(bytes) else { return };
    let encoded = plan.encode();
    let again = ShardPlan::decode(&encoded).expect("what was encoded decodes");
    assert_eq!(again.encode(), encoded, "a plan comes back the same");
}

/// Parses a text and, if it is one `SELECT`, plans it over a small schema. Every shard plan in it comes back from bytes.
///
/// # Panics
/// When one does not, which is a bug.
pub fn select(text: &[u8]) {
    use influxql::ast::Statement;
    use model::{FieldType, Timestamp};

    let Ok(text) = std::str::from_utf8(text) else { return };
    let Ok(statements) = influxql::parse_query(text, &influxql::Params::new()) else { return };
    let mut schema = crate::Schema::default();
    for (name, kind) in ["v", "i", "u", "s", "b"].into_iter().zip(FieldType::ALL) {
        schema.add_field(name, kind);
    }
    schema.add_tag("h");
    let mut catalog = crate::Catalog::default();
    catalog.add("", "", b"m", &schema);
    let context = crate::PlanContext { now: Timestamp(0), local_zone: None, select_buckets_max: 0 };
    for statement in statements {
        let Statement::Select(statement) = statement else { continue };
        let Ok(plan) = crate::plan_select(&statement, &context, &catalog) else { continue };
        plan.for_each_shard_plan(&mut |below| {
            let encoded = below.encode();
            let again = ShardPlan::decode(&encoded).expect("what was encoded decodes");
            assert_eq!(again.encode(), encoded, "a plan comes back the same");
        });
    }
}
