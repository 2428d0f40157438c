//! What the parts of wide queries cost: many series, many windows, many rows.
//!
//! `cargo bench -p exec --bench wide`

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use exec::source::{Direction, MemorySource};
use exec::{Partial, Unlimited, finish, run_shard};
use model::{Column, ColumnData, FieldType, SeriesKey, TagFilter, Tags, TimeRange, Timestamp};
use plan::{
    Absent, ColumnKind, Expr, Fill, FinishPlan, Function, Input, OutputColumn, OutputPlan, PartialCall, RowTime,
    SelectPlan, ShardPlan, Stream, Window, Work,
};

const SERIES: usize = 200;
const FIELDS: usize = 10;
const ROWS: usize = 1_080;
const SECOND: i64 = 1_000_000_000;

fn source() -> MemorySource {
    let mut source = MemorySource::new();
    for series in 0..SERIES {
        let tags = Tags::new(vec![(b"host".to_vec(), format!("host_{series:04}").into_bytes())]);
        let times: Vec<i64> = (0..ROWS as i64).map(|n| n * 10 * SECOND).collect();
        let mut fields = BTreeMap::new();
        for field in 0..FIELDS {
            let values = (0..ROWS).map(|n| ((n * 31 + series * 7 + field) % 100) as f64).collect();
            let column = Column::from_parts(ColumnData::Float(values), None).expect("no gaps");
            fields.insert(format!("f{field}").into_bytes(), column);
        }
        let key: Arc<[u8]> = SeriesKey::new(b"cpu", &tags).as_bytes().into();
        source.insert_series(b"cpu", key, Arc::new(tags), times, fields);
    }
    source
}

fn range() -> TimeRange {
    TimeRange::new(Timestamp(0), Timestamp(ROWS as i64 * 10 * SECOND)).expect("some time")
}

fn select(work: Work, window_s: Option<i64>, grouped: bool) -> SelectPlan {
    let window = window_s.and_then(|seconds| Window::new(seconds * SECOND, 0, None));
    let stream = |call: usize| Stream {
        call,
        time: RowTime::Window,
        fill: Fill::Null,
        range: range(),
        transforms: Vec::new(),
        call_type: FieldType::Float,
        value_type: FieldType::Float,
    };
    let streams = if let Work::Calls(calls) = &work { (0..calls.len()).map(stream).collect() } else { Vec::new() };
    let column = |index: usize| OutputColumn { name: format!("c{index}"), expr: Expr::input(index, FieldType::Float) };
    let field = |index: usize| plan::Column {
        name: format!("f{index}").into_bytes(),
        kind: ColumnKind::Field(FieldType::Float),
    };
    let shard = ShardPlan {
        measurement: b"cpu".to_vec(),
        range: range(),
        direction: Direction::Ascending,
        columns: (0..FIELDS).map(field).collect(),
        series: TagFilter::All,
        condition: None,
        group_by: if grouped { vec![b"host".to_vec()] } else { Vec::new() },
        window: window.clone(),
        work,
    };
    let finish = FinishPlan {
        time_column: "time".to_owned(),
        columns: (0..FIELDS).map(column).collect(),
        streams,
        absent: Absent::Null,
        window,
        group_by: if grouped { vec!["host".to_owned()] } else { Vec::new() },
        direction: Direction::Ascending,
        limit: None,
        offset: 0,
        slimit: None,
        soffset: 0,
        zone: None,
    };
    let input = Input::Shards { database: String::new(), retention_policy: String::new(), plan: shard };
    let outputs = vec![OutputPlan { name: "cpu".to_owned(), inputs: vec![input] }];
    SelectPlan { outputs, finish, subqueries: Vec::new(), target: None }
}

fn best<T>(mut run: impl FnMut() -> T) -> (f64, T) {
    let (mut best, mut last) = (f64::INFINITY, None);
    for _ in 0..20 {
        let start = Instant::now();
        let value = run();
        best = best.min(start.elapsed().as_secs_f64() * 1e3);
        last = Some(value);
    }
    (best, last.expect("ran"))
}

fn report(name: &str, source: &MemorySource, plan: &SelectPlan) {
    let Input::Shards { plan: shard, .. } = &plan.outputs[0].inputs[0] else { unreachable!("a plan of shards") };
    let (run, partial) = best(|| run_shard(shard, source, &mut Unlimited).expect("rows"));
    let (encode, bytes) = best(|| partial.encode());
    let (decode, _) = best(|| Partial::decode(&bytes).expect("bytes"));
    let (finished, rows) = best(|| {
        let parts = vec![vec![partial.clone()]];
        let pieces = finish(plan, parts, Box::new(Unlimited)).expect("an answer");
        pieces.map(|piece| piece.expect("an answer").series.rows.len()).sum::<usize>()
    });
    let (cloned, _) = best(|| partial.clone());
    eprintln!(
        "{name:34} {rows:7} rows: shard {run:6.2} ms, encode {encode:6.2} ({:5.1} MB), decode {decode:6.2}, finish {:6.2}",
        bytes.len() as f64 / 1e6,
        finished - cloned
    );
}

fn main() {
    let source = source();
    let call =
        |function: Function, column: usize| PartialCall { function, column, auxiliary: Vec::new(), range: range() };
    let means = || Work::Calls((0..FIELDS).map(|field| call(Function::Mean, field)).collect());
    eprintln!(
        "{SERIES} series of {ROWS} rows and {FIELDS} fields, {:.1} M values",
        (SERIES * ROWS * FIELDS) as f64 / 1e6
    );
    report("mean by hour and host", &source, &select(means(), Some(3_600), true));
    report("mean by minute and host", &source, &select(means(), Some(60), true));
    report("mean by minute", &source, &select(means(), Some(60), false));
    let medians = Work::Calls((0..FIELDS).map(|field| call(Function::Median, field)).collect());
    report("median by hour and host", &source, &select(medians, Some(3_600), true));
    let rows = || Work::Rows { columns: (0..FIELDS).collect(), limit: None };
    report("rows by host", &source, &select(rows(), None, true));
    report("rows", &source, &select(rows(), None, false));
}
