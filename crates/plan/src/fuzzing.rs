//! What must hold for any bytes. The fuzzer calls these, and so do tests over its seeds.

use crate::codec::{decode_filter, encode_filter};
use crate::shard_plan::ShardPlan;
use crate::time_text::{is_in_range, looks_like_time, parse_time};
use crate::window::Zone;

/// Decodes a shard plan, or a filter. One that decodes is encoded and comes back the same.
///
/// # Panics
/// When it does not, which is a bug.
pub fn fuzz_shard_plan(bytes: &[u8]) {
    if let Ok(filter) = decode_filter(bytes) {
        let encoded = encode_filter(&filter);
        let again = decode_filter(&encoded).expect("what was encoded decodes");
        assert_eq!(encode_filter(&again), encoded, "a filter comes back the same");
    }
    let Ok(plan) = ShardPlan::decode(bytes) else { return };
    let encoded = plan.encode();
    let again = ShardPlan::decode(&encoded).expect("what was encoded decodes");
    assert_eq!(again.encode(), encoded, "a plan comes back the same");
}

/// Parses a text and, if it is one `SELECT`, plans it over a small schema. Every shard plan in it comes back from bytes.
///
/// # Panics
/// When one does not, which is a bug.
pub fn fuzz_select(text: &[u8]) {
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

/// Reads `data` as an instant, in UTC and in a zone with summer time. One that a point can have is printed and read back.
///
/// # Panics
/// When it does not come back, which is a bug.
pub fn fuzz_time(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if !looks_like_time(text) {
        return;
    }
    let zone = Zone::get("Europe/Berlin").expect("a zone that everyone has");
    let _ = parse_time(text, Some(&zone));
    let Ok(ns) = parse_time(text, None) else { return };
    if let Some(ns) = i64::try_from(ns).ok().filter(|ns| is_in_range(i128::from(*ns))) {
        let printed = stdx::human::print_instant(ns);
        assert_eq!(parse_time(&printed, Some(&zone)).ok(), Some(i128::from(ns)), "{printed}");
    }
}

#[cfg(test)]
mod tests {
    use testkit::seeds;

    use super::*;

    /// Every fourth statement of the files of cases, by file and number.
    fn statements() -> Vec<(String, Vec<u8>)> {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cases");
        let mut seeds = Vec::new();
        for name in ["errors_functions", "plans_conditions", "plans_subqueries", "plans_types"] {
            let text = std::fs::read_to_string(format!("{folder}/{name}.txt")).expect("a file of cases");
            let lines = text.lines().filter_map(|line| line.strip_prefix("> ")).step_by(4).take(16).enumerate();
            seeds.extend(lines.map(|(index, line)| (format!("{name}_{index:02}"), line.as_bytes().to_vec())));
        }
        seeds
    }

    fn borrowed(made: &[(String, Vec<u8>)]) -> Vec<(&str, Vec<u8>)> {
        made.iter().map(|(name, bytes)| (name.as_str(), bytes.clone())).collect()
    }

    #[test]
    fn statements_keep_the_promises() {
        seeds::try_all("plan_select", seeds::MANY, &borrowed(&statements()), fuzz_select);
    }

    #[test]
    fn shard_plans_keep_the_promises() {
        let plans = crate::codec::tests::plans();
        let made: Vec<(String, Vec<u8>)> =
            plans.iter().enumerate().map(|(index, plan)| (format!("plan_{index:02}"), plan.encode())).collect();
        seeds::try_all("plan_shard", seeds::MANY, &borrowed(&made), fuzz_shard_plan);
    }

    #[test]
    fn times_keep_the_promises() {
        let texts = [
            "1970-01-02",
            "2014-03-30 02:30:00",
            "2014-10-26 02:30:00.000000001",
            "2262-04-11T23:47:16.854775806Z",
            "1677-09-21T00:12:43.145224194Z",
            "0000-01-01T00:00:00+24:59",
            "9999-12-31T23:59:59,5-24:59",
        ];
        let made: Vec<(String, Vec<u8>)> =
            texts.iter().enumerate().map(|(index, text)| (format!("text_{index}"), text.as_bytes().to_vec())).collect();
        seeds::try_all("plan_time", seeds::MANY, &borrowed(&made), fuzz_time);
    }
}
