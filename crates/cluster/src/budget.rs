//! What queries may use: memory, of each and of all together, and whether they may go on.
//!
//! A [`Query`] is the account of one query, or of what this node does for a query of another. The parts of the query
//! that run side by side book on it through budgets of their own. What is booked stays booked until the query is over:
//! its parts hand on what they made. Dropping the [`Query`] stops the parts that still run at their next question.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use telemetry::{Counter, Gauge, Metrics};

/// The memory that the queries of this node have together.
#[derive(Debug)]
pub struct QueryMemory {
    all_max: u64,
    one_max: u64,
    used: AtomicU64,
    gauge: Gauge,
    refused: Counter,
}

impl QueryMemory {
    /// At most `all_max` bytes for all queries, and half of them for each.
    pub fn new(all_max: u64, metrics: &Metrics) -> Arc<QueryMemory> {
        Arc::new(QueryMemory {
            all_max,
            one_max: all_max / 2,
            used: AtomicU64::new(0),
            gauge: metrics.gauge("query_memory_bytes", "Memory that running queries have booked"),
            refused: metrics.counter("queries_out_of_memory", "Queries that were stopped because they needed too much"),
        })
    }

    /// The account of a query that begins.
    pub fn begin(self: &Arc<Self>) -> Query {
        let memory = Arc::clone(self);
        Query(Arc::new(Account { memory, bytes: AtomicU64::new(0), is_over: AtomicBool::new(false) }))
    }

    /// Books so many bytes. `false` when there are not so many.
    fn take(&self, bytes: u64) -> bool {
        let enough = |used: u64| used.checked_add(bytes).filter(|used| *used <= self.all_max);
        let taken = self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, enough).is_ok();
        if taken {
            self.gauge.inc_by(bytes.cast_signed());
        }
        taken
    }
}

/// The account of a query. Dropping it stops what still runs for the query.
#[derive(Debug)]
pub struct Query(Arc<Account>);

impl Query {
    /// What a part of the query may use.
    pub fn budget(&self) -> QueryBudget {
        QueryBudget(Arc::clone(&self.0))
    }
}

impl Drop for Query {
    fn drop(&mut self) {
        self.0.is_over.store(true, Ordering::Relaxed);
    }
}

#[derive(Debug)]
struct Account {
    memory: Arc<QueryMemory>,
    bytes: AtomicU64,
    is_over: AtomicBool,
}

impl Drop for Account {
    fn drop(&mut self) {
        let bytes = *self.bytes.get_mut();
        self.memory.used.fetch_sub(bytes, Ordering::Relaxed);
        self.memory.gauge.dec_by(bytes.cast_signed());
    }
}

/// What one part of a query may use.
#[derive(Debug)]
pub struct QueryBudget(Arc<Account>);

impl QueryBudget {
    fn check(&self) -> Result<(), exec::Refusal> {
        if self.0.is_over.load(Ordering::Relaxed) { Err("query aborted".into()) } else { Ok(()) }
    }
}

impl exec::Budget for QueryBudget {
    fn rows(&mut self, _: usize) -> Result<(), exec::Refusal> {
        self.check()
    }

    fn grow(&mut self, bytes: usize) -> Result<(), exec::Refusal> {
        self.check()?;
        let (account, bytes) = (&*self.0, bytes as u64);
        let memory = &account.memory;
        let booked = account.bytes.load(Ordering::Relaxed);
        let refusal = if booked.saturating_add(bytes) > memory.one_max {
            format!("query needs more than {} bytes of memory; narrow its time range", memory.one_max)
        } else if !memory.take(bytes) {
            format!("queries use the {} bytes of memory that they have together; try again later", memory.all_max)
        } else {
            account.bytes.fetch_add(bytes, Ordering::Relaxed);
            return Ok(());
        };
        memory.refused.inc();
        Err(refusal.into())
    }
}

#[cfg(test)]
mod tests {
    use exec::Budget;

    use super::*;

    fn refusal(budget: &mut QueryBudget, bytes: usize) -> String {
        budget.grow(bytes).err().map(|refusal| refusal.to_string()).unwrap_or_default()
    }

    #[test]
    fn a_query_has_half_of_the_memory_and_all_have_the_whole() {
        let metrics = Metrics::new();
        let memory = QueryMemory::new(1_000, &metrics);
        let (first, second, third) = (memory.begin(), memory.begin(), memory.begin());
        // The parts of a query share its account.
        assert_eq!(refusal(&mut first.budget(), 300), "");
        assert!(refusal(&mut first.budget(), 201).contains("needs more than 500 bytes"));
        assert_eq!(refusal(&mut first.budget(), 200), "");
        assert_eq!(refusal(&mut second.budget(), 500), "");
        assert!(refusal(&mut third.budget(), 1).contains("try again later"));
        assert_eq!(memory.gauge.get(), 1_000);
        // What a part still uses is free only when that part has ended, too.
        let left = first.budget();
        drop(first);
        assert!(refusal(&mut third.budget(), 1).contains("try again later"));
        drop(left);
        assert_eq!(refusal(&mut third.budget(), 500), "");
        drop((second, third));
        assert_eq!(memory.gauge.get(), 0);
        assert_eq!(memory.refused.get(), 3);
    }

    #[test]
    fn parts_of_a_query_that_is_over_stop() {
        let query = QueryMemory::new(1_000, &Metrics::new()).begin();
        let mut part = query.budget();
        part.rows(1).expect("it runs");
        drop(query);
        assert_eq!(part.rows(1).expect_err("over").to_string(), "query aborted");
        assert_eq!(refusal(&mut part, 1), "query aborted");
    }
}
