//! A database of shards in memory, and queries to it.

use std::collections::BTreeMap;
use std::fmt::Write;

use exec::source::MemorySource;
use exec::{Budget, ExecError, Finish, Partial, Shards, Unlimited, run_select, run_shard_in_pieces};
use influxql::ast::{Measurement, SelectStatement, Source, Statement};
use influxql::params::Params;
use model::result::{Series, Value};
use model::{SeriesKey, Timestamp};
use plan::{Catalog, PlanContext, SelectPlan, ShardPlan, plan_select};

use crate::lines::Point;

/// How points are spread over shards: by time and, within a time, by series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cut {
    /// Length of a shard group in nanoseconds.
    pub(crate) group_ns: i64,
    /// Shards of a group.
    pub(crate) shards: u64,
}

impl Cut {
    /// Everything in one shard.
    pub(crate) const WHOLE: Cut = Cut { group_ns: i64::MAX, shards: 1 };
}

/// A database with one retention policy.
pub(crate) struct Database {
    /// By the number of the shard group, then that of the shard.
    shards: BTreeMap<(i64, u64), MemorySource>,
    catalog: Catalog,
    now: Timestamp,
    /// Size of the pieces in which shards send their partial results.
    piece_bytes: usize,
}

impl Database {
    pub(crate) fn new(points: &[Point], cut: Cut) -> Database {
        let mut shards: BTreeMap<(i64, u64), MemorySource> = BTreeMap::new();
        for point in points {
            let key = SeriesKey::new(&point.measurement, &point.tags);
            let place = (point.time.div_euclid(cut.group_ns), stdx::fnv::fnv1a64(key.as_bytes()) % cut.shards);
            let shard = shards.entry(place).or_default();
            shard.insert(&point.measurement, &point.tags, point.time, point.fields.clone());
        }
        let mut catalog = Catalog::default();
        for shard in shards.values_mut() {
            shard.settle();
            for measurement in shard.measurements() {
                catalog.add("db", "rp", measurement, &shard.schema(measurement));
            }
        }
        let pieces = if cut == Cut::WHOLE { usize::MAX } else { 600 };
        Database { shards, catalog, now: Timestamp(1_800_000_000_000_000_000), piece_bytes: pieces }
    }

    pub(crate) fn at(mut self, now: i64) -> Database {
        self.now = Timestamp(now);
        self
    }

    pub(crate) fn shard_count(&self) -> usize {
        self.shards.len()
    }

    /// The plan of a query; `None` when its answer is empty whatever the rows are.
    pub(crate) fn plan(&self, text: &str) -> Result<Option<SelectPlan>, String> {
        let statements = influxql::parse::parse_query(text, &Params::new()).map_err(|error| error.to_string())?;
        let [Statement::Select(select)] = statements.as_slice() else { panic!("one SELECT: {text}") };
        let mut select = select.clone();
        qualify(&mut select);
        let context = PlanContext { now: self.now, local_zone: None, select_buckets_max: 0 };
        let plan = plan_select(&select, &context, &self.catalog).map_err(|error| error.to_string())?;
        Ok(Some(plan).filter(|plan| !plan.outputs.is_empty()))
    }

    /// The whole answer of a query, or its error.
    pub(crate) fn query(&self, text: &str) -> Result<Vec<Series>, String> {
        let Some(plan) = self.plan(text)? else { return Ok(Vec::new()) };
        let pieces = run_select(&plan, &mut Runner { database: self }).map_err(|error| error.to_string())?;
        collected(pieces)
    }

    pub(crate) fn shards(&self) -> impl Iterator<Item = &MemorySource> {
        self.shards.values()
    }

    /// The partial results of all shards, through their bytes.
    pub(crate) fn partials(
        &self,
        database: &str,
        retention_policy: &str,
        plan: &ShardPlan,
    ) -> Result<Vec<Partial>, ExecError> {
        assert_eq!((database, retention_policy), ("db", "rp"));
        let mut partials = Vec::new();
        // Any order will do; this one is not that of time.
        for shard in self.shards.values().rev() {
            let mut send = |partial: Partial| {
                let bytes = partial.encode();
                let partial = Partial::decode(&bytes)?;
                assert_eq!(partial.encode(), bytes, "bytes come back");
                partials.push(partial);
                Ok(())
            };
            run_shard_in_pieces(plan, shard, &mut Unlimited, self.piece_bytes, &mut send)?;
        }
        Ok(partials)
    }

    /// The answer as text: a line for each series and an indented one for each row.
    pub(crate) fn show(&self, text: &str) -> String {
        match self.query(text) {
            Err(error) => format!("error: {error}\n"),
            Ok(answer) => show(&answer),
        }
    }
}

/// The series of an answer that comes in pieces.
pub(crate) fn collected(pieces: Finish<'_>) -> Result<Vec<Series>, String> {
    let mut answer: Vec<Series> = Vec::new();
    let mut continues = false;
    for piece in pieces {
        let mut piece = piece.map_err(|error| error.to_string())?;
        assert!(!piece.series.rows.is_empty(), "a piece has rows");
        if continues {
            let last = answer.last_mut().expect("a series goes on");
            assert_eq!((&last.name, &last.tags), (&piece.series.name, &piece.series.tags));
            last.rows.append(&mut piece.series.rows);
        } else {
            answer.push(piece.series);
        }
        continues = piece.continues;
    }
    assert!(!continues, "the last piece is the last");
    Ok(answer)
}

pub(crate) fn show(answer: &[Series]) -> String {
    if answer.is_empty() {
        return "(empty)\n".to_owned();
    }
    let mut out = String::new();
    for series in answer {
        let tags: Vec<String> = series.tags.iter().map(|(key, value)| format!("{key}={value}")).collect();
        writeln!(out, "{} [{}] {}", series.name, tags.join(","), series.columns.join(" ")).expect("memory");
        for row in series.rows.iter() {
            let cells: Vec<String> = row.iter().map(show_value).collect();
            writeln!(out, "  {}", cells.join(" ")).expect("memory");
        }
    }
    out
}

fn show_value(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::Float(value) => format!("{value:?}"),
        Value::Integer(value) => value.to_string(),
        Value::Unsigned(value) => format!("{value}u"),
        Value::String(value) => format!("{value:?}"),
        Value::Boolean(value) => value.to_string(),
        Value::Time { ns, offset: 0 } => ns.to_string(),
        Value::Time { ns, offset } => format!("{ns}{offset:+}"),
        Value::List(values) => format!("{values:?}"),
    }
}

/// Puts the database and retention policy into every measurement, as the coordinator does.
fn qualify(select: &mut SelectStatement) {
    for source in &mut select.sources {
        match source {
            Source::Measurement(Measurement { database, retention_policy, .. }) => {
                *database = Some("db".to_owned());
                *retention_policy = Some("rp".to_owned());
            }
            Source::Subquery(inner) => qualify(inner),
        }
    }
}

struct Runner<'a> {
    database: &'a Database,
}

impl Shards for Runner<'_> {
    fn run(&mut self, database: &str, retention_policy: &str, plan: &ShardPlan) -> Result<Vec<Partial>, ExecError> {
        self.database.partials(database, retention_policy, plan)
    }

    fn budget(&self) -> Box<dyn Budget> {
        Box::new(Unlimited)
    }
}
