//! How many values a second the part below the cut takes in, for rows that need no decoding.
//!
//! `cargo bench -p exec --bench scan [-- words of a name]`. One series, a point a second, batches of 8,192 rows. What handing out the batches alone costs is
//! measured first and taken off.

use std::sync::Arc;
use std::time::Instant;

use exec::source::{Direction, FieldRequest, RowBatch, RowCursor, Source, SourceError, SourceSeries};
use exec::{Unlimited, run_shard};
use model::{Column, ColumnData, FieldType, FieldValue, TagFilter, Tags, TimeRange, Timestamp};
use plan::{ColumnKind, Expr, Function, Operator, PartialCall, ShardPlan, Window, Work};
use stdx::Bitmap;

const ROWS_A_BATCH: usize = 8_192;
const BATCHES: usize = 24;
const SECOND: i64 = 1_000_000_000;

struct Fixed {
    column: Column,
}

struct Batches<'a> {
    column: &'a Column,
    next: usize,
}

impl Source for Fixed {
    fn series(&self, _: &[u8], _: &TagFilter) -> Result<Vec<SourceSeries>, SourceError> {
        let key: Arc<[u8]> = b"m".as_slice().into();
        Ok(vec![SourceSeries { handle: 0, key, tags: Arc::new(Tags::default()) }])
    }

    fn rows<'a>(
        &'a self,
        _: u64,
        _: &[FieldRequest],
        _: TimeRange,
        _: Direction,
    ) -> Result<Box<dyn RowCursor + 'a>, SourceError> {
        Ok(Box::new(Batches { column: &self.column, next: 0 }))
    }
}

impl RowCursor for Batches<'_> {
    fn next(&mut self) -> Result<Option<RowBatch>, SourceError> {
        if self.next == BATCHES {
            return Ok(None);
        }
        let first = (self.next * ROWS_A_BATCH) as i64;
        self.next += 1;
        let times = (first..first + ROWS_A_BATCH as i64).map(|second| second * SECOND).collect();
        Ok(Some(RowBatch { times, columns: vec![self.column.clone()] }))
    }
}

fn floats(gaps: bool) -> Column {
    let values = (0..ROWS_A_BATCH).map(|n| ((n * 7_919) % 10_007) as f64 / 100.0).collect();
    let mut bits = Bitmap::filled(ROWS_A_BATCH, true);
    if gaps {
        (0..ROWS_A_BATCH).filter(|n| n % 10 == 3).for_each(|n| bits.set(n, false));
    }
    Column::from_parts(ColumnData::Float(values), Some(bits)).expect("a bit for each row")
}

fn integers() -> Column {
    let values = (0..ROWS_A_BATCH).map(|n| ((n * 7_919) % 10_007) as i64).collect();
    Column::from_parts(ColumnData::Integer(values), None).expect("no gaps")
}

fn plan(function: Function, field_type: FieldType, window_s: i64, condition: bool) -> ShardPlan {
    let name = b"v".to_vec();
    let columns = vec![plan::Column { name, kind: ColumnKind::Field(field_type) }];
    let above = || {
        let limit = Expr::literal(FieldValue::Float(50.0));
        Expr::binary(Operator::Gt, Expr::input(0, field_type), limit).expect("types fit")
    };
    let range = TimeRange::new(Timestamp(0), Timestamp(i64::MAX)).expect("some time");
    ShardPlan {
        measurement: b"m".to_vec(),
        range,
        direction: Direction::Ascending,
        columns,
        series: TagFilter::All,
        condition: condition.then(above),
        group_by: Vec::new(),
        window: Window::new(window_s * SECOND, 0, None),
        work: Work::Calls(vec![PartialCall { function, column: 0, auxiliary: Vec::new(), range }]),
    }
}

/// Nanoseconds a row, the best of many short runs: other programs take turns with this one.
fn nanoseconds(mut run: impl FnMut()) -> f64 {
    let mut best = f64::INFINITY;
    for _ in 0..200 {
        let start = Instant::now();
        run();
        best = best.min(start.elapsed().as_secs_f64());
    }
    best * 1e9 / (ROWS_A_BATCH * BATCHES) as f64
}

fn report(name: &str, column: Column, plan: &ShardPlan) {
    if std::env::args().nth(1).is_some_and(|only| !only.starts_with('-') && !name.contains(&only)) {
        return;
    }
    let source = Fixed { column };
    let hand_out = nanoseconds(|| {
        let mut cursor = source.rows(0, &[], plan.range, plan.direction).expect("rows");
        while let Some(batch) = cursor.next().expect("rows") {
            std::hint::black_box(batch);
        }
    });
    let whole = nanoseconds(|| {
        std::hint::black_box(run_shard(plan, &source, &mut Unlimited).expect("an answer"));
    });
    let own = (whole - hand_out).max(0.001);
    eprintln!("{name:40} {:8.0} M values/s ({own:.2} ns a row, {hand_out:.2} more to hand it out)", 1e3 / own);
}

fn main() {
    let float = FieldType::Float;
    let integer = FieldType::Integer;
    report("count, 1 h", floats(false), &plan(Function::Count, float, 3_600, false));
    report("sum of doubles, 1 h", floats(false), &plan(Function::Sum, float, 3_600, false));
    report("sum of doubles, 1 min", floats(false), &plan(Function::Sum, float, 60, false));
    report("sum of doubles, 10 s", floats(false), &plan(Function::Sum, float, 10, false));
    report("mean of doubles, 1 s", floats(false), &plan(Function::Mean, float, 1, false));
    report("sum of doubles with gaps, 1 h", floats(true), &plan(Function::Sum, float, 3_600, false));
    report("sum of doubles above 50, 1 h", floats(false), &plan(Function::Sum, float, 3_600, true));
    report("max of doubles, 1 h", floats(false), &plan(Function::Max, float, 3_600, false));
    report("max of doubles, 1 min", floats(false), &plan(Function::Max, float, 60, false));
    report("mean of integers, 1 h", integers(), &plan(Function::Mean, integer, 3_600, false));
    report("min of integers, 1 h", integers(), &plan(Function::Min, integer, 3_600, false));
    report("spread of integers, 1 min", integers(), &plan(Function::Spread, integer, 60, false));
    report("last of doubles, 1 min", floats(false), &plan(Function::Last, float, 60, false));
    report("stddev of doubles, 1 h", floats(false), &plan(Function::Stddev, float, 3_600, false));
    report("median of doubles, 1 h", floats(false), &plan(Function::Median, float, 3_600, false));
}
