//! The memory table of a shard: rows that are in the log and not yet in a data file.
//!
//! For each measurement there is one open buffer, to which the rows of a request are copied column by column, and some
//! immutable runs sorted by (series, time). A buffer becomes a run when it is full and when somebody reads; small runs
//! are joined like the digits of a binary counter, so a row is copied a logarithmic number of times at most.
//!
//! Invariants
//! - Rows of one series and time stand in the order of their stamps, those of one request in the order of the request;
//!   the last one with a value of a field has the one that counts.
//! - A run never changes.
//!
//! Not here: locking. The owner of the table has it.

mod open;
mod run;
mod source;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use model::{FieldType, Stamp, Table};

use open::OpenBuffer;
pub(crate) use run::Run;
pub(crate) use source::RunSource;

/// A buffer with this many rows becomes a run.
pub(crate) const RUN_ROWS: usize = 65_536;

/// What a shard has in memory.
#[derive(Debug, Default)]
pub(crate) struct MemoryTable {
    tables: Vec<MeasurementTable>,
    row_count: usize,
    byte_count: usize,
    /// All runs, as long as nothing was appended since.
    snapshot: Option<Arc<Runs>>,
}

#[derive(Debug, Default)]
struct MeasurementTable {
    open: OpenBuffer,
    runs: Vec<Arc<Run>>,
}

/// The runs of every measurement, by its number.
pub(crate) type Runs = Vec<Vec<Arc<Run>>>;

impl MemoryTable {
    /// How many rows there are.
    pub(crate) fn row_count(&self) -> usize {
        self.row_count
    }

    /// About how many bytes they take.
    pub(crate) fn byte_count(&self) -> usize {
        self.byte_count
    }

    /// Copies the rows of a table. `series` and `fields` translate its numbers to those of the index.
    pub(crate) fn append(&mut self, measurement: u32, stamp: Stamp, table: &Table, series: &[u32], fields: &[u32]) {
        self.snapshot = None;
        let entry = self.table_mut(measurement as usize);
        let before = entry.open.byte_count();
        entry.open.append(stamp, table, series, fields);
        let added = entry.open.byte_count() - before;
        let is_full = entry.open.row_count() >= RUN_ROWS;
        if is_full {
            let run = Arc::new(entry.open.seal());
            entry.runs.push(run);
        }
        self.byte_count += added;
        self.row_count += table.row_count();
        if is_full {
            self.recount();
        }
    }

    /// Closes every open buffer and gives all runs: the whole table as it is now.
    pub(crate) fn runs(&mut self) -> Arc<Runs> {
        if let Some(runs) = &self.snapshot {
            return runs.clone();
        }
        for table in &mut self.tables {
            if table.open.row_count() > 0 {
                let run = Arc::new(table.open.seal());
                table.runs.push(run);
                join_small(&mut table.runs);
            }
        }
        self.recount();
        let runs: Arc<Runs> = Arc::new(self.tables.iter().map(|table| table.runs.clone()).collect());
        self.snapshot = Some(runs.clone());
        runs
    }

    /// Takes everything out.
    pub(crate) fn take(&mut self) -> Arc<Runs> {
        let runs = self.runs();
        *self = MemoryTable::default();
        runs
    }

    /// Puts runs back that were taken out, before what came since.
    pub(crate) fn restore(&mut self, runs: &Runs) {
        self.snapshot = None;
        for (measurement, older) in runs.iter().enumerate() {
            let entry = self.table_mut(measurement);
            entry.runs.splice(0..0, older.iter().cloned());
            self.row_count += older.iter().map(|run| run.row_count()).sum::<usize>();
        }
        self.recount();
    }

    fn table_mut(&mut self, measurement: usize) -> &mut MeasurementTable {
        if self.tables.len() <= measurement {
            self.tables.resize_with(measurement + 1, MeasurementTable::default);
        }
        &mut self.tables[measurement]
    }

    fn recount(&mut self) {
        let runs = self.tables.iter().flat_map(|table| &table.runs).map(|run| run.byte_count()).sum::<usize>();
        self.byte_count = runs + self.tables.iter().map(|table| table.open.byte_count()).sum::<usize>();
    }
}

/// Joins the last runs while the one before is not larger and both fit in one.
fn join_small(runs: &mut Vec<Arc<Run>>) {
    while let [.., before, last] = runs.as_slice() {
        if before.row_count() > 2 * last.row_count() || before.row_count() + last.row_count() > RUN_ROWS {
            return;
        }
        let joined = Arc::new(Run::join(before, last));
        runs.truncate(runs.len() - 2);
        runs.push(joined);
    }
}

/// A field of a run: its number in the measurement, and its type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FieldSlot {
    pub(crate) id: u32,
    pub(crate) field_type: FieldType,
}
