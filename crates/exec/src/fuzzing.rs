//! What must hold for any bytes. The fuzzer calls these, and so do tests over their seeds.

use std::sync::LazyLock;

use influxql::ast::Statement;
use model::{FieldType, FieldValue, Tags, Timestamp};
use plan::{Catalog, PlanContext, Schema, SelectPlan, ShardPlan, plan_select};

use crate::error::{Budget, Refusal};
use crate::finish::finish;
use crate::partial::Partial;
use crate::shard::run_shard;
use crate::source::MemorySource;

/// Most rows that one input may ask for: damaged times make long fills, and small windows many states.
const ROWS_MAX: usize = 20_000;
/// Most bytes of states that it may ask for.
const BYTES_MAX: usize = 16 << 20;

/// Reads what follows the first byte of `data` as a partial result, joins it with itself, and finishes it as an answer of
/// the query that the first byte numbers. Whatever it is: no panic, and its bytes come back the same.
///
/// # Panics
/// When a promise of this crate is broken.
pub fn fuzz_partial(data: &[u8]) {
    let Some((number, bytes)) = data.split_first() else { return };
    let Ok(partial) = Partial::decode(bytes) else { return };
    check_bytes(&partial);
    let Some(plan) = PLANS.get(usize::from(*number) % PLANS.len()) else { return };
    let parts = vec![vec![partial.clone(), partial]; plan.outputs.len()];
    let Ok(pieces) = finish(plan, parts, Box::new(Limited::new())) else { return };
    for piece in pieces {
        let Ok(piece) = piece else { break };
        assert!(!piece.series.rows.is_empty(), "a piece has rows");
    }
}

/// Reads `data` as the part of a plan that another node sends, and runs it over a few rows. What comes of it can be sent.
///
/// # Panics
/// When a promise of this crate is broken.
pub fn fuzz_shard_run(data: &[u8]) {
    let Ok(plan) = ShardPlan::decode(data) else { return };
    if let Ok(partial) = run_shard(&plan, &*ROWS, &mut Limited::new()) {
        check_bytes(&partial);
    }
}

fn check_bytes(partial: &Partial) {
    let written = partial.encode();
    let again = Partial::decode(&written).expect("what was encoded decodes");
    assert!(again.encode() == written, "a partial result comes back the same");
}

/// Stops what does not stop by itself.
struct Limited {
    rows_left: usize,
    bytes_left: usize,
}

impl Limited {
    fn new() -> Limited {
        Limited { rows_left: ROWS_MAX, bytes_left: BYTES_MAX }
    }
}

impl Budget for Limited {
    fn rows(&mut self, count: usize) -> Result<(), Refusal> {
        self.rows_left = self.rows_left.checked_sub(count).ok_or("too many rows")?;
        Ok(())
    }

    fn grow(&mut self, bytes: usize) -> Result<(), Refusal> {
        self.bytes_left = self.bytes_left.checked_sub(bytes).ok_or("too many bytes")?;
        Ok(())
    }
}

/// Queries that use every kind of state and of finishing. The first byte of an input is a place in this list: only append.
const QUERIES: &[&str] = &[
    "SELECT count(f), sum(f), mean(f), min(f), max(f), spread(f), stddev(f), median(f) FROM m",
    "SELECT sum(i), mean(i), min(i), spread(i), stddev(i), percentile(i, 30) FROM m GROUP BY host",
    "SELECT sum(f), mean(f), first(f), last(f) FROM m WHERE time >= 5 AND time < 395 GROUP BY time(37ns)",
    "SELECT sum(u), mode(u), mode(s), first(s), last(b) FROM m WHERE time >= 0 AND time < 400 GROUP BY time(90ns), host fill(previous)",
    "SELECT mean(f) FROM m WHERE i > 0 AND s != 's1' AND time >= 0 AND time < 400 GROUP BY time(50ns) fill(linear)",
    "SELECT max(f), s, host FROM m",
    "SELECT percentile(f, 60), s FROM m",
    "SELECT top(f, 5), s FROM m",
    "SELECT bottom(i, host, 2), f FROM m",
    "SELECT top(i, 2) FROM m WHERE time >= 0 AND time < 400 GROUP BY time(100ns)",
    "SELECT sample(f, 4) FROM m",
    "SELECT distinct(s) FROM m",
    "SELECT count(distinct(i)) FROM m GROUP BY host",
    "SELECT integral(f, 10ns) FROM m",
    "SELECT integral(i, 10ns) FROM m WHERE time >= 0 AND time < 400 GROUP BY time(60ns)",
    "SELECT difference(f) FROM m GROUP BY host",
    "SELECT cumulative_sum(f), moving_average(f, 3), elapsed(f, 1ns) FROM m",
    "SELECT derivative(mean(f), 10ns), difference(max(i)) FROM m WHERE time >= 50 AND time < 400 GROUP BY time(40ns), host",
    "SELECT holt_winters(mean(f), 5, 2) FROM m WHERE time >= 0 AND time < 400 GROUP BY time(40ns)",
    "SELECT * FROM m",
    "SELECT f + i, f / i, i % 7 FROM m WHERE b = true OR host = 'h1' ORDER BY time DESC LIMIT 9",
    "SELECT f FROM m WHERE f > 0 GROUP BY host ORDER BY time DESC LIMIT 2 SLIMIT 2 SOFFSET 1",
];

static PLANS: LazyLock<Vec<SelectPlan>> = LazyLock::new(|| QUERIES.iter().map(|text| plan_of(text)).collect());

/// A few rows of three series, with gaps.
static ROWS: LazyLock<MemorySource> = LazyLock::new(|| {
    let mut rows = MemorySource::new();
    for row in 0..40i64 {
        let tags = Tags::new(vec![(b"host".to_vec(), format!("h{}", row % 3).into_bytes())]);
        let mut fields = vec![
            (b"f".to_vec(), FieldValue::Float(row as f64 / 4.0 - 3.0)),
            (b"i".to_vec(), FieldValue::Integer(row * row - 100)),
            (b"u".to_vec(), FieldValue::Unsigned(row as u64)),
            (b"s".to_vec(), FieldValue::String(format!("s{}", row % 4).into_bytes())),
            (b"b".to_vec(), FieldValue::Boolean(row % 2 == 0)),
        ];
        fields.remove(row as usize % 5);
        rows.insert(b"m", &tags, row * 9, fields);
    }
    rows.settle();
    rows
});

/// The plan of a query over the measurement `m`.
fn plan_of(text: &str) -> SelectPlan {
    let mut schema = Schema::default();
    for (name, kind) in ["f", "i", "u", "s", "b"].into_iter().zip(FieldType::ALL) {
        schema.add_field(name, kind);
    }
    schema.add_tag("host");
    let mut catalog = Catalog::default();
    catalog.add("", "", b"m", &schema);
    let context = PlanContext { now: Timestamp(1_000), local_zone: None, select_buckets_max: 0 };
    let statements = influxql::parse_query(text, &influxql::Params::new()).expect("a query of this file");
    let [Statement::Select(statement)] = statements.as_slice() else { unreachable!("a query of this file") };
    plan_select(statement, &context, &catalog).expect("a query of this file")
}

#[cfg(test)]
mod tests {
    use plan::Input;
    use testkit::seeds;

    use super::*;
    use crate::error::Unlimited;

    /// The part of each query that runs where the shards are, and its answer from the rows of this file.
    fn answers() -> Vec<(ShardPlan, Partial)> {
        let below = |plan: &SelectPlan| match plan.outputs.first().and_then(|output| output.inputs.first()) {
            Some(Input::Shards { plan, .. }) => plan.clone(),
            _ => unreachable!("the queries of this file read shards"),
        };
        PLANS
            .iter()
            .map(|plan| {
                let plan = below(plan);
                let partial = run_shard(&plan, &*ROWS, &mut Unlimited).expect("rows in memory");
                (plan, partial)
            })
            .collect()
    }

    fn named(bytes: impl Iterator<Item = Vec<u8>>) -> Vec<(String, Vec<u8>)> {
        bytes.enumerate().map(|(number, bytes)| (format!("query_{number:02}"), bytes)).collect()
    }

    fn borrowed(made: &[(String, Vec<u8>)]) -> Vec<(&str, Vec<u8>)> {
        made.iter().map(|(name, bytes)| (name.as_str(), bytes.clone())).collect()
    }

    #[test]
    fn partial_results_keep_the_promises() {
        let seed = |(number, (_, partial)): (usize, (ShardPlan, Partial))| {
            [&[number as u8], partial.encode().as_slice()].concat()
        };
        let made = named(answers().into_iter().enumerate().map(seed));
        seeds::try_all("partial", seeds::MANY, &borrowed(&made), fuzz_partial);
    }

    #[test]
    fn shard_plans_keep_the_promises() {
        let made = named(answers().iter().map(|(plan, _)| plan.encode()));
        seeds::try_all("shard_run", seeds::MANY, &borrowed(&made), fuzz_shard_run);
    }
}
