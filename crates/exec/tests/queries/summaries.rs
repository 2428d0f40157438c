//! What is known of a batch stands for its rows: answers are the same whether batches are read or passed over.

use std::cell::Cell;
use std::collections::VecDeque;

use exec::source::{
    BatchSummary, Direction, FieldRequest, FieldSummary, RowBatch, RowCursor, Source, SourceError, SourceSeries,
    SummarySum,
};
use exec::{Budget, ExecError, Partial, Shards, Unlimited, run_select, run_shard};
use model::{Column, ColumnData, FieldType, FieldValue, TagFilter, TimeRange};
use plan::ShardPlan;
use proptest::prelude::*;

use crate::cuts::{QUERIES, points};
use crate::database::{Cut, Database, collected, show};

/// A source that cuts batches to a few rows and knows their summaries.
struct Summarised<'a> {
    inner: &'a dyn Source,
    skipped: &'a Cell<usize>,
}

struct Cursor<'a> {
    batches: VecDeque<RowBatch>,
    skipped: &'a Cell<usize>,
}

impl Source for Summarised<'_> {
    fn series(&self, measurement: &[u8], filter: &TagFilter) -> Result<Vec<SourceSeries>, SourceError> {
        self.inner.series(measurement, filter)
    }

    fn rows<'a>(
        &'a self,
        handle: u64,
        fields: &[FieldRequest],
        range: TimeRange,
        direction: Direction,
    ) -> Result<Box<dyn RowCursor + 'a>, SourceError> {
        let mut cursor = self.inner.rows(handle, fields, range, direction)?;
        let mut batches = VecDeque::new();
        while let Some(batch) = cursor.next()? {
            for start in (0..batch.times.len()).step_by(5) {
                let rows = start..batch.times.len().min(start + 5);
                let cut = |column: &Column| {
                    let mut out = Column::new(column.field_type());
                    rows.clone().for_each(|row| out.push_from(column, row));
                    out
                };
                batches.push_back(RowBatch {
                    times: batch.times[rows.clone()].to_vec(),
                    columns: batch.columns.iter().map(cut).collect(),
                });
            }
        }
        Ok(Box::new(Cursor { batches, skipped: self.skipped }))
    }
}

impl RowCursor for Cursor<'_> {
    fn next(&mut self) -> Result<Option<RowBatch>, SourceError> {
        Ok(self.batches.pop_front())
    }

    fn peek(&mut self) -> Result<Option<BatchSummary>, SourceError> {
        Ok(self.batches.front().map(summary))
    }

    fn skip(&mut self) -> Result<(), SourceError> {
        self.skipped.set(self.skipped.get() + 1);
        self.batches.pop_front();
        Ok(())
    }
}

fn summary(batch: &RowBatch) -> BatchSummary {
    BatchSummary {
        time_first: *batch.times.iter().min().expect("rows"),
        time_last: *batch.times.iter().max().expect("rows"),
        fields: batch.columns.iter().map(|column| Some(field_summary(&batch.times, column))).collect(),
    }
}

fn field_summary(times: &[i64], column: &Column) -> FieldSummary {
    let values: Vec<(FieldValue, i64)> =
        (0..column.len()).filter_map(|row| Some((column.get(row)?, times[row]))).collect();
    let sum = match column.data() {
        ColumnData::Float(_) => Some(SummarySum::Float(
            values.iter().map(|value| if let FieldValue::Float(value) = value.0 { value } else { 0.0 }).sum(),
            0.0,
        )),
        ColumnData::Integer(_) => Some(SummarySum::Integer(
            values.iter().map(|value| if let FieldValue::Integer(value) = value.0 { value } else { 0 }).sum(),
        )),
        ColumnData::Unsigned(_) => Some(SummarySum::Unsigned(
            values.iter().map(|value| if let FieldValue::Unsigned(value) = value.0 { value } else { 0 }).sum(),
        )),
        _ => None,
    };
    let ordered = !matches!(column.field_type(), FieldType::String);
    let extreme = |larger: bool| {
        let mut found: Option<&(FieldValue, i64)> = None;
        for value in &values {
            let better =
                found.is_none_or(|known| if larger { less(&known.0, &value.0) } else { less(&value.0, &known.0) });
            if better {
                found = Some(value);
            }
        }
        found.filter(|_| ordered).cloned()
    };
    FieldSummary {
        field_type: column.field_type(),
        count: values.len() as u64,
        // One value at most, so that a plain sum is exact.
        sum: sum.filter(|_| values.len() <= 1 || column.field_type() != FieldType::Float),
        min: extreme(false),
        max: extreme(true),
        first: values.first().cloned(),
        last: values.last().cloned(),
    }
}

fn less(a: &FieldValue, b: &FieldValue) -> bool {
    match (a, b) {
        (FieldValue::Float(a), FieldValue::Float(b)) => a < b,
        (FieldValue::Integer(a), FieldValue::Integer(b)) => a < b,
        (FieldValue::Unsigned(a), FieldValue::Unsigned(b)) => a < b,
        (FieldValue::Boolean(a), FieldValue::Boolean(b)) => !a & b,
        _ => false,
    }
}

struct Runner<'a> {
    database: &'a Database,
    skipped: &'a Cell<usize>,
}

impl Shards for Runner<'_> {
    fn run(&mut self, _: &str, _: &str, plan: &ShardPlan) -> Result<Vec<Partial>, ExecError> {
        let run = |shard| run_shard(plan, &Summarised { inner: shard, skipped: self.skipped }, &mut Unlimited);
        self.database.shards().map(|shard| run(shard)).collect()
    }

    fn budget(&self) -> Box<dyn Budget> {
        Box::new(Unlimited)
    }
}

fn answer(database: &Database, query: &str, skipped: &Cell<usize>) -> String {
    match database.plan(query).expect("a plan") {
        None => "(empty)\n".to_owned(),
        Some(plan) => {
            let pieces = run_select(&plan, &mut Runner { database, skipped }).expect("an answer");
            show(&collected(pieces).expect("an answer"))
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn summaries_stand_for_rows(points in points()) {
        let database = Database::new(&points, Cut { group_ns: 200, shards: 1 });
        for query in QUERIES {
            prop_assert_eq!(answer(&database, query, &Cell::new(0)), database.show(query), "{}", query);
        }
    }
}

#[test]
fn batches_inside_one_window_are_passed_over() {
    let text: Vec<String> = (0..100).map(|n| format!("m i={n}i {n}")).collect();
    let database = Database::new(&crate::lines::parse(&text.join("\n")), Cut::WHOLE);
    let skipped = |query| {
        let skipped = Cell::new(0);
        answer(&database, query, &skipped);
        skipped.get()
    };
    assert_eq!(skipped("SELECT count(i), sum(i), mean(i), min(i), max(i), spread(i), first(i), last(i) FROM m"), 20);
    assert_eq!(skipped("SELECT max(i) FROM m"), 20);
    assert_eq!(skipped("SELECT sum(i) FROM m WHERE time >= 0 AND time < 100 GROUP BY time(10ns)"), 20);
    // Every third window begins inside a batch.
    assert_eq!(skipped("SELECT sum(i) FROM m WHERE time >= 0 AND time < 100 GROUP BY time(12ns)"), 13);
    for read in ["SELECT sum(i) FROM m WHERE i > 3", "SELECT stddev(i) FROM m", "SELECT max(i), i FROM m"] {
        assert_eq!(skipped(read), 0, "{read}");
    }
}
