use influxql::ast::Statement;
use model::{FieldType, Timestamp};
use proptest::prelude::*;

use super::*;
use crate::{Catalog, PlanContext, Schema, plan_select};

/// One of everything that a plan can hold.
const STATEMENTS: &[&str] = &[
    "SELECT v, h FROM m WHERE h = 'a' OR (v + 1 > 2.5 AND s !~ /x/) ORDER BY time DESC LIMIT 5",
    "SELECT top(v, h, 3), i FROM m WHERE time > 5 AND abs(i) / 2 = 3 GROUP BY r",
    "SELECT percentile(v, 95.5), integral(v, 1m), sample(s, 2), mode(b) FROM m WHERE u = i GROUP BY h, r",
    "SELECT mean(v), count(distinct(s)) FROM m WHERE time > 0 AND time < 1d GROUP BY time(1h, 10m) tz('Europe/Berlin')",
    "SELECT derivative(last(i)), last(i) FROM m WHERE h != r AND time > 0 AND time < 1h GROUP BY time(1m)",
    "SELECT elapsed(s) FROM m WHERE h =~ /^a/ AND r !~ /b$/ AND h = '' AND b = true AND NOTHING = 'x'",
];

pub(crate) fn plans() -> Vec<ShardPlan> {
    let mut schema = Schema::default();
    for (name, kind) in ["v", "i", "u", "s", "b"].into_iter().zip(FieldType::ALL) {
        schema.add_field(name, kind);
    }
    schema.add_tag("h");
    schema.add_tag("r");
    let mut catalog = Catalog::default();
    catalog.add("", "", b"m", &schema);
    let context = PlanContext { now: Timestamp(0), local_zone: None, select_buckets_max: 0 };
    let mut plans = Vec::new();
    for text in STATEMENTS {
        let statements = influxql::parse_query(text, &influxql::Params::new()).expect("a statement");
        let [Statement::Select(statement)] = statements.as_slice() else { panic!("one SELECT") };
        let plan = plan_select(statement, &context, &catalog).expect("a plan");
        plan.for_each_shard_plan(&mut |below| plans.push(below.clone()));
    }
    plans
}

#[test]
fn plans_come_back() {
    let plans = plans();
    assert!(plans.len() >= 5, "some statements can have no rows");
    for plan in plans {
        let again = ShardPlan::decode(&plan.encode()).expect("a plan");
        assert_eq!(again.to_string(), plan.to_string());
        assert_eq!(again.condition, plan.condition);
        assert_eq!(again.work, plan.work);
    }
}

#[test]
fn a_plan_cut_short_or_too_long_is_refused() {
    for plan in plans() {
        let bytes = plan.encode();
        for end in 0..bytes.len() {
            assert!(ShardPlan::decode(&bytes[..end]).is_err(), "{end} of {}", bytes.len());
        }
        let longer = [bytes.as_slice(), &[0]].concat();
        assert_eq!(ShardPlan::decode(&longer).err(), Some(DecodeError::Malformed("bytes after the end")));
    }
}

#[test]
fn a_newer_version_is_told_from_damage() {
    let error = ShardPlan::decode(&[2, 0]).expect_err("a newer version");
    assert_eq!(error.to_string(), "shard plan has version 2, newest known is 1");
    assert_eq!(ShardPlan::decode(&[]).err(), Some(DecodeError::Malformed("empty")));
}

#[test]
fn any_changed_byte_gives_a_plan_or_an_error() {
    for plan in plans() {
        let bytes = plan.encode();
        for index in 0..bytes.len() {
            for change in [1, 2, 4, 0x10, 0x80, 0xff] {
                let mut changed = bytes.clone();
                changed[index] ^= change;
                crate::fuzzing::fuzz_shard_plan(&changed);
            }
        }
    }
}

#[test]
fn deep_expressions_are_refused_not_followed() {
    let mut bytes = vec![VERSION, 1, b'm', 0, 2, 0, 1, 1, b'v', 1, 0, 1];
    // An endless chain of casts.
    bytes.extend(std::iter::repeat_n([4, 1], 100_000).flatten());
    assert_eq!(ShardPlan::decode(&bytes).err(), Some(DecodeError::Malformed("expression is too deep")));
    let mut bytes = vec![VERSION, 1, b'm', 0, 2, 0, 1, 1, b'v', 1];
    bytes.extend(std::iter::repeat_n([3, 1], 100_000).flatten());
    assert_eq!(ShardPlan::decode(&bytes).err(), Some(DecodeError::Malformed("filter is too deep")));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_bytes_give_a_plan_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        crate::fuzzing::fuzz_shard_plan(&bytes);
        crate::fuzzing::fuzz_shard_plan(&[&[VERSION, 1, b'm', 0, 2, 0], bytes.as_slice()].concat());
    }
}
