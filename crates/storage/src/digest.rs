//! What copies of a shard compare: a number for each cell of series and time, over what readers see.
//!
//! A cell is a bucket of series (by the hash of their keys) and a window of time. Its hash is the sum of one hash for
//! each value, so that neither the order of writes nor the place of a row matters; stamps are left out, because copies
//! may hold the same values under different ones. Cells that differ are exported with their stamps and written on the
//! other side, which is safe to repeat.
//!
//! Cells are remembered. Rows arrive in runs and files that never change, so a cell has to be made again only if a run
//! or file that was not seen before has rows in it; one that holds what was seen already (a flush, a merge) is not new.
//!
//! Invariant: equal content gives equal cells on every node and release: the hashes are XXH3 over keys, names, times
//! and bits, never over numbers that a node gives out.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use model::{Batch, Column, ColumnData, FieldType, Stamp, TagFilter, TimeRange, Timestamp};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use crate::cursor::{Block, Keep, Merge};
use crate::error::ReadError;
use crate::read::ShardReader;

/// How a shard is cut into cells. Copies that compare use the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CellShape {
    /// Buckets of series; at least 1.
    pub bucket_count: u32,
    /// Length of a window, nanoseconds; at least 1. Windows start at multiples of it.
    pub window_ns: i64,
}

/// A cell that has rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cell {
    /// Below the bucket count.
    pub bucket: u32,
    /// The first instant of the window.
    pub window_start: i64,
    /// Rows, merged.
    pub rows: u64,
    /// Equal for equal content.
    pub hash: u64,
}

impl CellShape {
    /// The bucket of a series.
    pub fn bucket(self, key: &[u8]) -> u32 {
        (xxh3_64(key) % u64::from(self.bucket_count.max(1))) as u32
    }

    /// The start of the window that holds an instant.
    pub fn window_start(self, time: i64) -> i64 {
        let window = self.window_ns.max(1);
        // The first window may start before the smallest number.
        time.div_euclid(window).checked_mul(window).unwrap_or(i64::MIN)
    }

    /// The instants of a window; `None` when no point can have one of them.
    fn range(self, window_start: i64) -> Option<TimeRange> {
        let end = self.window_end(window_start);
        TimeRange::new(Timestamp(window_start), Timestamp(end))?.intersect(TimeRange::ALL)
    }

    fn window_end(self, window_start: i64) -> i64 {
        let window = self.window_ns.max(1);
        let index = i128::from(window_start).div_euclid(i128::from(window));
        i64::try_from((index + 1) * i128::from(window)).unwrap_or(i64::MAX)
    }
}

/// Rows and hash by bucket and window.
type Sums = BTreeMap<(u32, i64), (u64, u64)>;

/// Cells by bucket and window.
type Places = BTreeSet<(u32, i64)>;

/// What was found out before.
#[derive(Debug, Default)]
pub(crate) struct DigestCache {
    shape: Option<CellShape>,
    cells: Sums,
    /// Identities of the runs and files that the cells cover.
    seen: HashSet<u64>,
}

/// A run or file that took the place of others with the same content.
#[derive(Clone, Debug)]
pub(crate) struct Replaced {
    pub(crate) inputs: Vec<u64>,
    pub(crate) output: u64,
}

impl DigestCache {
    /// The cells of what `reader` sees. `replaced` tells, in order, what happened since the last call.
    pub(crate) fn cells(
        &mut self,
        reader: &ShardReader,
        shape: CellShape,
        replaced: &[Replaced],
    ) -> Result<Vec<Cell>, ReadError> {
        if self.shape != Some(shape) {
            *self = DigestCache { shape: Some(shape), ..DigestCache::default() };
        }
        for replaced in replaced {
            if replaced.inputs.iter().all(|input| self.seen.contains(input)) {
                self.seen.insert(replaced.output);
            }
        }
        let mut dirty = Places::new();
        let mut present = HashSet::new();
        reader.for_each_part(|identity, extents| {
            present.insert(identity);
            if !self.seen.contains(&identity) {
                extents.visit(&mut |key, first, last| add_windows(&mut dirty, shape, key, first, last));
            }
        });
        let fresh = compute(reader, shape, &dirty)?;
        for place in &dirty {
            match fresh.get(place) {
                Some(cell) => self.cells.insert(*place, *cell),
                None => self.cells.remove(place),
            };
        }
        self.seen = present;
        let cells = self.cells.iter();
        Ok(cells
            .map(|((bucket, window_start), (rows, hash))| Cell {
                bucket: *bucket,
                window_start: *window_start,
                rows: *rows,
                hash: *hash,
            })
            .collect())
    }
}

/// Where a part has rows of a series: key, first and last instant.
pub(crate) type Visit<'a> = dyn FnMut(&[u8], i64, i64) + 'a;

/// A run or file that can tell where it has rows.
pub(crate) trait Extents {
    fn visit(&self, visit: &mut Visit<'_>);
}

fn add_windows(dirty: &mut Places, shape: CellShape, key: &[u8], first: i64, last: i64) {
    let bucket = shape.bucket(key);
    let mut window = shape.window_start(first);
    loop {
        dirty.insert((bucket, window));
        let next = shape.window_end(window);
        if next > last || next == i64::MAX {
            return;
        }
        window = next;
    }
}

/// Rows and hash of each of `places` that has rows.
fn compute(reader: &ShardReader, shape: CellShape, places: &Places) -> Result<Sums, ReadError> {
    let mut cells = Sums::new();
    if places.is_empty() {
        return Ok(cells);
    }
    for measurement in reader.measurements() {
        let fields = typed_fields(reader, &measurement);
        for series in reader.series(&measurement, &TagFilter::All) {
            let bucket = shape.bucket(&series.key);
            let seeds = field_seeds(&series.key, &fields);
            for range in ranges(shape, places, bucket) {
                let mut cursor = reader.rows(series.handle, &fields, range, false);
                while let Some(batch) = cursor.next()? {
                    let mut hashes = vec![0u64; batch.times.len()];
                    for (column, seed) in batch.columns.iter().zip(&seeds) {
                        add_hashes(column, *seed, &batch.times, &mut hashes);
                    }
                    for (time, hash) in batch.times.iter().zip(hashes) {
                        let cell = cells.entry((bucket, shape.window_start(*time))).or_default();
                        cell.0 += 1;
                        cell.1 = cell.1.wrapping_add(hash);
                    }
                }
            }
        }
    }
    Ok(cells)
}

/// The windows of a bucket among `places`, neighbours joined.
fn ranges(shape: CellShape, places: &Places, bucket: u32) -> Vec<TimeRange> {
    let mut ranges: Vec<TimeRange> = Vec::new();
    for (_, window) in places.range((bucket, i64::MIN)..=(bucket, i64::MAX)) {
        let Some(range) = shape.range(*window) else { continue };
        let joined = ranges.last().filter(|last| last.end() == range.start()).map(|last| last.start());
        match joined.and_then(|start| TimeRange::new(start, range.end())) {
            Some(joined) => *ranges.last_mut().expect("there is a last one") = joined,
            None => ranges.push(range),
        }
    }
    ranges
}

fn typed_fields(reader: &ShardReader, measurement: &[u8]) -> Vec<(Vec<u8>, FieldType)> {
    let fields = reader.fields(measurement).into_iter();
    fields.flat_map(|(name, types)| types.into_iter().map(move |kind| (name.clone(), kind))).collect()
}

/// One for each field of a series: where the hashes of its values start from.
fn field_seeds(key: &[u8], fields: &[(Vec<u8>, FieldType)]) -> Vec<u64> {
    let series = xxh3_64_with_seed(key, 1);
    fields.iter().map(|(name, kind)| xxh3_64_with_seed(name, series ^ *kind as u64)).collect()
}

/// Adds the hash of each value to that of its row.
fn add_hashes(column: &Column, seed: u64, times: &[i64], hashes: &mut [u64]) {
    let mut add = |row: usize, bits: u64| {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&times[row].to_le_bytes());
        bytes[8..].copy_from_slice(&bits.to_le_bytes());
        hashes[row] = hashes[row].wrapping_add(xxh3_64_with_seed(&bytes, seed));
    };
    let rows = (0..times.len()).filter(|row| column.is_valid(*row));
    match column.data() {
        ColumnData::Float(values) => rows.for_each(|row| add(row, values[row].to_bits())),
        ColumnData::Integer(values) => rows.for_each(|row| add(row, values[row] as u64)),
        ColumnData::Unsigned(values) => rows.for_each(|row| add(row, values[row])),
        ColumnData::Boolean(values) => rows.for_each(|row| add(row, u64::from(values[row]))),
        ColumnData::String(values) => rows.for_each(|row| add(row, xxh3_64(values.get(row)))),
    }
}

/// The rows of a cell as the requests wrote them, as far as they are still read: a batch for each stamp, ascending.
pub(crate) fn export(
    reader: &ShardReader,
    shape: CellShape,
    bucket: u32,
    window_start: i64,
) -> Result<Vec<(Stamp, Batch)>, ReadError> {
    let mut batches: BTreeMap<Stamp, Batch> = BTreeMap::new();
    let Some(range) = shape.range(window_start) else { return Ok(Vec::new()) };
    for measurement in reader.measurements() {
        let fields = typed_fields(reader, &measurement);
        let types: Vec<FieldType> = fields.iter().map(|(_, kind)| *kind).collect();
        for series in reader.series(&measurement, &TagFilter::All) {
            if shape.bucket(&series.key) != bucket {
                continue;
            }
            let sources = reader.stamped_sources(series.handle, &fields, range);
            let mut merge = Merge::new(sources, types.clone(), false, Keep::Stamps);
            while let Some(block) = merge.next_block()? {
                add_block(&mut batches, &measurement, &series.key, &fields, &block);
            }
        }
    }
    Ok(batches.into_iter().collect())
}

/// Appends the rows of a block to the batches of their stamps.
fn add_block(
    batches: &mut BTreeMap<Stamp, Batch>,
    measurement: &[u8],
    key: &[u8],
    fields: &[(Vec<u8>, FieldType)],
    block: &Block,
) {
    for row in 0..block.times.len() {
        let table = batches.entry(block.stamps.get(row)).or_default().table_mut(measurement);
        let known = table.series.len().checked_sub(1).filter(|last| table.series.get(*last as u32) == key);
        let series = match known {
            Some(last) => last as u32,
            None => table.series.push(key),
        };
        let before = table.row_count();
        table.row_series.push(series);
        table.row_times.push(block.times[row]);
        for ((name, kind), column) in fields.iter().zip(&block.columns) {
            let Some(column) = column.as_ref().filter(|column| column.is_valid(row)) else { continue };
            let to = table.column_mut(name, *kind);
            to.pad_to(before);
            to.push_from(column, row);
        }
        table.pad();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_cover_all_time() {
        for window_ns in [1, 10, 3_600_000_000_000, i64::MAX] {
            let shape = CellShape { bucket_count: 4, window_ns };
            for time in [i64::MIN + 2, -11, -10, -1, 0, 9, 10, i64::MAX - 1] {
                let start = shape.window_start(time);
                let range = shape.range(start).expect("points have such times");
                assert!(range.contains(Timestamp(time)), "{time} in {range:?} with {window_ns}");
            }
        }
    }

    #[test]
    fn a_long_extent_touches_all_its_windows() {
        let shape = CellShape { bucket_count: 1, window_ns: 10 };
        let mut dirty = Places::new();
        add_windows(&mut dirty, shape, b"m", -5, 25);
        assert_eq!(dirty.into_iter().map(|(_, window)| window).collect::<Vec<_>>(), [-10, 0, 10, 20]);
        let places = [(0, 0), (0, 10), (0, 30), (1, 10)].into();
        let starts: Vec<_> = ranges(shape, &places, 0).iter().map(|r| (r.start().0, r.end().0)).collect();
        assert_eq!(starts, [(0, 20), (30, 40)]);
    }

    #[test]
    fn hashes_are_the_same_for_ever() {
        let mut column = Column::new(FieldType::Integer);
        column.push_integer(7);
        let mut hashes = [0];
        let seed = field_seeds(b"cpu,host=a", &[(b"v".to_vec(), FieldType::Integer)])[0];
        add_hashes(&column, seed, &[10], &mut hashes);
        assert_eq!(hashes, [HASH_OF_ONE_VALUE]);
        assert_eq!(CellShape { bucket_count: 64, window_ns: 1 }.bucket(b"cpu,host=a"), 63);
    }

    const HASH_OF_ONE_VALUE: u64 = 13_205_046_071_111_465_728;
}
