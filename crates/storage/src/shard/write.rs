//! Writing: check types, append to the log, copy to memory, wait for the sync.
//!
//! The record is encoded and known series are looked up before the lock is taken; under the lock the log and the memory
//! table get the same rows in the same order, so that a flush knows which records it covers. Nobody waits for a sync
//! under the lock.

use std::sync::Arc;

use block_codec::batch;
use model::{Batch, Stamp, Table};
use seglog::Log;

use super::core::{Core, Writer};
use crate::error::{FieldTypeConflict, Unavailable, WriteError};
use crate::index::UNKNOWN;
use crate::schema;
use crate::wal;

/// Who sends a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A client, by way of any coordinator: rows against the type of a field are refused.
    Client,
    /// Hints, repair and copies: nothing is refused, and a field may come to have two types.
    Replica,
}

/// What became of a batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Rows that were stored.
    pub rows: usize,
    /// Rows that were refused.
    pub dropped: usize,
    /// Why the first of them was.
    pub reason: Option<FieldTypeConflict>,
}

/// A batch on its way to the disk.
#[derive(Debug)]
#[must_use = "a write is durable only after `wait`"]
pub struct Pending {
    written: Written,
    /// What to wait for; `None` when no row was stored.
    sync: Option<(Arc<Core>, Log, wal::Position)>,
}

impl Pending {
    /// Waits until the batch is durable.
    pub fn wait(self) -> Result<Written, WriteError> {
        if let Some((core, log, position)) = self.sync {
            log.sync(position).map_err(|error| core.log_refused(error))?;
        }
        Ok(self.written)
    }
}

impl Core {
    pub(crate) fn write_start(
        self: &Arc<Self>,
        stamp: Stamp,
        batch: &Batch,
        record: Option<&[u8]>,
        origin: Origin,
    ) -> Result<Pending, WriteError> {
        debug_assert_eq!(batch.validate(), Ok(()));
        if batch.is_empty() {
            return Ok(Pending { written: Written::default(), sync: None });
        }
        // A writer that finds memory full makes room itself, if nobody does so already.
        let max = self.config.memory_bytes_max;
        if self.usage.memory_bytes() > max && !self.flush_if_free() {
            return Err(WriteError::MemoryFull { used: self.usage.memory_bytes(), max });
        }
        let encoded;
        let record = match record {
            Some(record) => record,
            None => {
                encoded = encode(batch)?;
                &encoded
            }
        };
        let header = wal::header(stamp);
        let mut resolved = self.resolve(batch);
        let mut writer = self.writer.lock();
        self.check_usable()?;
        let log = writer.log.clone().ok_or(Unavailable::Closed)?;
        let accepted = match origin {
            Origin::Client => self.accepted(batch),
            Origin::Replica => None,
        };
        let mut written = Written { rows: batch.row_count(), ..Written::default() };
        let (position, batch) = match &accepted {
            None => (log.append_parts(&[&header, record]), batch),
            Some((rest, reason)) => {
                written.rows = rest.row_count();
                written.dropped = batch.row_count() - rest.row_count();
                written.reason = Some(reason.clone());
                if rest.is_empty() {
                    return Ok(Pending { written, sync: None });
                }
                resolved = self.resolve(rest);
                (log.append_parts(&[&header, &encode(rest)?]), rest)
            }
        };
        let position = position.map_err(|error| self.log_refused(error))?;
        self.usage.note_taken();
        self.apply(&mut writer, stamp, batch, resolved);
        drop(writer);
        Ok(Pending { written, sync: Some((self.clone(), log, position)) })
    }

    /// Puts a logged batch into index and memory.
    pub(crate) fn apply(&self, writer: &mut Writer, stamp: Stamp, batch: &Batch, mut resolved: Vec<Resolved>) {
        for (table, resolved) in batch.tables.iter().zip(&mut resolved) {
            if table.row_count() == 0 {
                continue;
            }
            if !resolved.complete {
                self.add_new(table, resolved);
            }
            writer.memory.append(resolved.measurement, stamp, table, &resolved.series, &resolved.fields);
        }
        writer.clock_max = writer.clock_max.max(stamp.clock);
        writer.written_at = self.env.monotonic();
        self.count_memory(writer);
    }

    /// What the index knows of the names in a batch, one for each table.
    pub(crate) fn resolve(&self, batch: &Batch) -> Vec<Resolved> {
        let index = self.index.read();
        let tables = batch.tables.iter();
        tables
            .map(|table| {
                let mut resolved = Resolved::default();
                let Some(id) = index.measurement_id(&table.measurement) else { return resolved };
                resolved.measurement = id;
                resolved.complete = index.resolve(table, &mut resolved.series);
                let entry = index.measurement(id);
                for field in &table.columns {
                    let known = entry.field(&field.name, field.column.field_type());
                    resolved.complete &= known.is_some();
                    resolved.fields.push(known.unwrap_or(UNKNOWN));
                }
                resolved
            })
            .collect()
    }

    /// Adds to the index what it lacks of a table.
    fn add_new(&self, table: &Table, resolved: &mut Resolved) {
        let mut index = self.index.write();
        let measurement = index.add_measurement(&table.measurement);
        resolved.measurement = measurement;
        resolved.series.resize(table.series.len(), UNKNOWN);
        for (id, key) in resolved.series.iter_mut().zip(table.series.iter()) {
            if *id == UNKNOWN {
                *id = index.add_series(measurement, key);
            }
        }
        let columns = table.columns.iter();
        resolved.fields =
            columns.map(|field| index.add_field(measurement, &field.name, field.column.field_type())).collect();
        resolved.complete = true;
    }

    /// The rows of a batch that fit the types of the shard and why the others do not; `None` when all fit.
    fn accepted(&self, batch: &Batch) -> Option<(Batch, FieldTypeConflict)> {
        let index = self.index.read();
        let checked: Vec<_> = batch
            .tables
            .iter()
            .map(|table| {
                let known = index.measurement_id(&table.measurement).map(|id| index.measurement(id));
                schema::check(known, table)
            })
            .collect();
        let reason = checked.iter().flatten().next()?.reason.clone();
        let tables = batch.tables.iter().zip(checked).map(|(table, refused)| match refused {
            None => table.clone(),
            Some(refused) => table.select(&refused.kept),
        });
        Some((Batch { tables: tables.filter(|table| table.row_count() > 0).collect() }, reason))
    }
}

/// Numbers of the index for the names of a table.
#[derive(Debug, Default)]
pub(crate) struct Resolved {
    measurement: u32,
    series: Vec<u32>,
    fields: Vec<u32>,
    /// Whether nothing is [`UNKNOWN`].
    complete: bool,
}

fn encode(batch: &Batch) -> Result<Vec<u8>, WriteError> {
    let mut out = Vec::new();
    batch::encode(batch, &mut out)?;
    Ok(out)
}
