//! Shards of one node: log, memory table, data files.
//!
//! In reading order: `store` (all shards of a node), `shard` (one of them: opening, writing, flushing), `schema` (which
//! rows are refused), `index` (series and fields), `memory` (rows not yet in a file), `wal` (the log's records),
//! `file` (pages on disk), `manifest` (which files count), `plan` (what to flush and merge), `read` and `cursor` (the
//! answers), `digest` (what copies compare), `renumber` (a shard gets another number).
//!
//! Calls block. Whoever is on an async thread goes through `Env::blocking`; under simulation they run inline.
//!
//! Invariants
//! - What was acked is in the log or in a data file that the manifest lists, synced.
//! - For one series, time and field the value with the largest stamp is the one that is read, whatever the order of
//!   arrival and wherever the rows lie.
//! - Every stored byte is under a checksum that is verified when it is read.

mod column;
mod config;
mod cursor;
mod digest;
mod error;
mod file;
pub mod fuzzing;
mod index;
mod manifest;
mod memory;
mod path;
mod plan;
mod read;
mod renumber;
mod schema;
mod shard;
mod stamps;
mod store;
mod usage;
mod wal;

pub use config::StoreConfig;
pub use cursor::{BATCH_ROWS, PageSummary, RowBatch, RowCursor};
pub use digest::{Cell, CellShape};
pub use error::{FieldTypeConflict, MaintenanceError, OpenError, ReadError, ShardError, Unavailable, WriteError};
pub use file::{FieldSummary, Number, NumberSummary};
pub use plan::{ShardMemory, pick_compaction, pick_flush};
pub use read::{SeriesEntry, ShardReader};
pub use renumber::{put_in_place, set_aside};
pub use shard::{MARK_BYTES_MAX, Origin, Pending, Shard, ShardInfo, Written};
pub use store::{Maintained, Store, check};
