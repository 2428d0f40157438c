//! A query that may not go on stops, below the cut and above it.

use std::cell::Cell;
use std::rc::Rc;

use exec::{Budget, ExecError, Partial, Refusal, Shards, run_select, run_shard};
use plan::ShardPlan;

use crate::database::{Cut, Database};
use crate::lines;

/// Refuses after so many rows or bytes, which all parts of a query share.
#[derive(Clone)]
struct Shared {
    rows: Rc<Cell<usize>>,
    bytes: Rc<Cell<usize>>,
}

impl Budget for Shared {
    fn rows(&mut self, count: usize) -> Result<(), Refusal> {
        self.rows.set(self.rows.get().checked_sub(count).ok_or("query interrupted")?);
        Ok(())
    }

    fn grow(&mut self, bytes: usize) -> Result<(), Refusal> {
        self.bytes.set(self.bytes.get().checked_sub(bytes).ok_or("out of memory")?);
        Ok(())
    }
}

struct Runner<'a> {
    database: &'a Database,
    budget: Shared,
}

impl Shards for Runner<'_> {
    fn run(&mut self, _: &str, _: &str, plan: &ShardPlan) -> Result<Vec<Partial>, ExecError> {
        self.database.shards().map(|shard| run_shard(plan, shard, &mut self.budget)).collect()
    }

    fn budget(&self) -> Box<dyn Budget> {
        Box::new(self.budget.clone())
    }
}

fn outcome(query: &str, rows: usize, bytes: usize) -> Result<usize, String> {
    let text: Vec<String> =
        (0..1_000).map(|n| format!("m,host=h{} v={n},s=\"text {n}\" {n}000000000", n % 10)).collect();
    let database = Database::new(&lines::parse(&text.join("\n")), Cut::WHOLE);
    let budget = Shared { rows: Rc::new(Cell::new(rows)), bytes: Rc::new(Cell::new(bytes)) };
    let plan = database.plan(query).expect("a plan").expect("an output");
    let pieces = run_select(&plan, &mut Runner { database: &database, budget }).map_err(|error| error.to_string())?;
    let mut count = 0;
    for piece in pieces {
        count += piece.map_err(|error| error.to_string())?.series.rows.len();
    }
    Ok(count)
}

const PLENTY: usize = 1 << 40;

#[test]
fn an_interrupted_query_says_why() {
    let query = "SELECT mean(v) FROM m";
    assert_eq!(outcome(query, 900, PLENTY), Err("query interrupted".to_owned()));
    assert_eq!(outcome(query, 2_000, PLENTY), Ok(1));
}

#[test]
fn rows_count_against_memory() {
    let query = "SELECT v, s FROM m";
    assert_eq!(outcome(query, PLENTY, 20_000), Err("out of memory".to_owned()));
    assert_eq!(outcome(query, PLENTY, 1 << 20), Ok(1_000));
    assert_eq!(outcome("SELECT median(v) FROM m", PLENTY, 4_000), Err("out of memory".to_owned()));
}

#[test]
fn an_endless_fill_is_stopped() {
    let query = "SELECT mean(v) FROM m WHERE time >= 0 AND time < 1000s GROUP BY time(1ns)";
    assert_eq!(outcome(query, PLENTY, 1 << 24), Err("out of memory".to_owned()));
    let limited = format!("{query} LIMIT 10");
    assert_eq!(outcome(&limited, PLENTY, 1 << 24), Ok(10));
}

#[test]
fn a_subquery_counts_too() {
    let query = "SELECT mean(x) FROM (SELECT v AS x FROM m)";
    assert_eq!(outcome(query, PLENTY, 30_000), Err("out of memory".to_owned()));
    assert_eq!(outcome(query, PLENTY, 1 << 20), Ok(1));
}
