//! Rows in memory as a [`Source`]: the answer of a subquery, and the data of tests.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::{Column, FieldValue, SeriesKey, TagFilter, Tags, TimeRange};
use plan::Schema;

use super::{Direction, FieldRequest, RowBatch, RowCursor, Source, SourceError, SourceSeries};
use crate::columns;

/// Most rows in a batch.
const BATCH_ROWS_MAX: usize = 4_096;

/// Series in memory.
#[derive(Debug, Default)]
pub struct MemorySource {
    series: Vec<MemorySeries>,
    /// Positions in `series`, by measurement and then key.
    by_measurement: BTreeMap<Vec<u8>, BTreeMap<Arc<[u8]>, usize>>,
}

/// One series: rows in order of time, and its fields as columns over all of them.
#[derive(Debug)]
struct MemorySeries {
    tags: Arc<Tags>,
    times: Vec<i64>,
    fields: BTreeMap<Vec<u8>, Column>,
    /// What is not yet merged into the columns, in order of arrival.
    pending: Vec<PendingPoint>,
}

/// The time and the fields of a point.
type PendingPoint = (i64, Vec<(Vec<u8>, FieldValue)>);

impl MemorySource {
    /// No series.
    pub fn new() -> MemorySource {
        MemorySource::default()
    }

    /// Adds one point. A point of a series and time that are there adds its fields to them, the newer value winning.
    /// [`MemorySource::settle`] must follow before reading.
    ///
    /// # Panics
    /// When `settle` finds a field with two types in one series.
    pub fn insert(&mut self, measurement: &[u8], tags: &Tags, time: i64, fields: Vec<(Vec<u8>, FieldValue)>) {
        let position = self.position(measurement, tags);
        self.series[position].pending.push((time, fields));
    }

    /// Makes inserted points readable.
    pub fn settle(&mut self) {
        self.series.iter_mut().for_each(MemorySeries::settle);
    }

    /// Adds a series as a whole. `times` are ascending and may repeat; every column has as many rows. `key` orders the
    /// series among those of the measurement.
    pub fn insert_series(
        &mut self,
        measurement: &[u8],
        key: Arc<[u8]>,
        tags: Arc<Tags>,
        times: Vec<i64>,
        fields: BTreeMap<Vec<u8>, Column>,
    ) {
        debug_assert!(fields.values().all(|column| column.len() == times.len()));
        let position = self.series.len();
        self.series.push(MemorySeries { tags, times, fields, pending: Vec::new() });
        self.by_measurement.entry(measurement.to_vec()).or_default().insert(key, position);
    }

    /// The measurements, sorted.
    pub fn measurements(&self) -> impl Iterator<Item = &[u8]> {
        self.by_measurement.keys().map(Vec::as_slice)
    }

    /// The fields and tags of a measurement.
    pub fn schema(&self, measurement: &[u8]) -> Schema {
        let mut schema = Schema::default();
        for position in self.by_measurement.get(measurement).into_iter().flat_map(BTreeMap::values) {
            let series = &self.series[*position];
            series.tags.iter().for_each(|(key, _)| schema.add_tag(key));
            series.fields.iter().for_each(|(name, column)| schema.add_field(name.clone(), column.field_type()));
        }
        schema
    }

    fn position(&mut self, measurement: &[u8], tags: &Tags) -> usize {
        let key: Arc<[u8]> = SeriesKey::new(measurement, tags).as_bytes().into();
        if !self.by_measurement.contains_key(measurement) {
            self.by_measurement.insert(measurement.to_vec(), BTreeMap::new());
        }
        let keys = self.by_measurement.get_mut(measurement).expect("was there or was just added");
        if let Some(position) = keys.get(&key) {
            return *position;
        }
        let position = self.series.len();
        keys.insert(key, position);
        self.series.push(MemorySeries {
            tags: Arc::new(tags.clone()),
            times: Vec::new(),
            fields: BTreeMap::new(),
            pending: Vec::new(),
        });
        position
    }
}

impl MemorySeries {
    fn settle(&mut self) {
        if self.pending.is_empty() {
            return;
        }
        let mut rows: BTreeMap<i64, BTreeMap<Vec<u8>, FieldValue>> = BTreeMap::new();
        for (index, time) in self.times.iter().enumerate() {
            let old = self.fields.iter().filter_map(|(name, column)| Some((name.clone(), column.get(index)?)));
            rows.entry(*time).or_default().extend(old);
        }
        for (time, fields) in std::mem::take(&mut self.pending) {
            rows.entry(time).or_default().extend(fields);
        }
        self.times = rows.keys().copied().collect();
        self.fields.clear();
        for (index, fields) in rows.into_values().enumerate() {
            for (name, value) in fields {
                let column = self.fields.entry(name).or_insert_with(|| Column::new(value.field_type()));
                column.pad_to(index);
                column.push(&value);
            }
        }
        self.fields.values_mut().for_each(|column| column.pad_to(self.times.len()));
    }
}

impl Source for MemorySource {
    fn series(&self, measurement: &[u8], filter: &TagFilter) -> Result<Vec<SourceSeries>, SourceError> {
        let keys = self.by_measurement.get(measurement).into_iter().flatten();
        let wanted = keys.filter(|(_, position)| filter.accepts(&self.series[**position].tags));
        Ok(wanted
            .map(|(key, position)| SourceSeries {
                handle: *position as u64,
                key: Arc::clone(key),
                tags: Arc::clone(&self.series[*position].tags),
            })
            .collect())
    }

    fn rows<'a>(
        &'a self,
        handle: u64,
        fields: &[FieldRequest],
        range: TimeRange,
        direction: Direction,
    ) -> Result<Box<dyn RowCursor + 'a>, SourceError> {
        let index = usize::try_from(handle).ok().filter(|index| *index < self.series.len());
        let Some(index) = index else {
            return Err(SourceError::Damaged(format!("no series {handle} in memory")));
        };
        let series = &self.series[index];
        let start = series.times.partition_point(|time| *time < range.start().0);
        let end = series.times.partition_point(|time| *time < range.end().0);
        let columns = fields.iter().map(|field| series.fields.get(&field.name).ok_or(field.field_type)).collect();
        Ok(Box::new(MemoryCursor { times: &series.times, columns, start, end, direction }))
    }
}

struct MemoryCursor<'a> {
    times: &'a [i64],
    /// The column, or the type of one that is not there.
    columns: Vec<Result<&'a Column, model::FieldType>>,
    start: usize,
    end: usize,
    direction: Direction,
}

impl RowCursor for MemoryCursor<'_> {
    fn next(&mut self) -> Result<Option<RowBatch>, SourceError> {
        if self.start >= self.end {
            return Ok(None);
        }
        let count = (self.end - self.start).min(BATCH_ROWS_MAX);
        let range = match self.direction {
            Direction::Ascending => self.start..self.start + count,
            Direction::Descending => self.end - count..self.end,
        };
        match self.direction {
            Direction::Ascending => self.start += count,
            Direction::Descending => self.end -= count,
        }
        let mut times = self.times[range.clone()].to_vec();
        let cut = |column: &Result<&Column, model::FieldType>| match column {
            Ok(column) => columns::slice(column, range.clone()),
            Err(field_type) => columns::nulls(*field_type, count),
        };
        let mut columns: Vec<Column> = self.columns.iter().map(cut).collect();
        if self.direction == Direction::Descending {
            times.reverse();
            columns = columns.iter().map(columns::reverse).collect();
        }
        Ok(Some(RowBatch { times, columns }))
    }
}

#[cfg(test)]
mod tests {
    use model::{FieldType, Timestamp};

    use super::*;

    fn tags(pairs: &[(&str, &str)]) -> Tags {
        Tags::new(pairs.iter().map(|(key, value)| (key.as_bytes().to_vec(), value.as_bytes().to_vec())).collect())
    }

    fn float(name: &str, value: f64) -> (Vec<u8>, FieldValue) {
        (name.as_bytes().to_vec(), FieldValue::Float(value))
    }

    fn request(name: &str) -> FieldRequest {
        FieldRequest { name: name.as_bytes().to_vec(), field_type: FieldType::Float }
    }

    fn read(source: &MemorySource, handle: u64, direction: Direction) -> Vec<(i64, Option<FieldValue>)> {
        let range = TimeRange::new(Timestamp(1), Timestamp(9_000)).expect("some time");
        let mut cursor = source.rows(handle, &[request("v")], range, direction).expect("a cursor");
        let mut rows = Vec::new();
        while let Some(batch) = cursor.next().expect("rows") {
            let values = (0..batch.times.len()).map(|index| (batch.times[index], batch.columns[0].get(index)));
            rows.extend(values);
        }
        rows
    }

    #[test]
    fn points_of_one_time_are_one_row_and_rows_are_sorted() {
        let mut source = MemorySource::new();
        let host = tags(&[("host", "a")]);
        source.insert(b"m", &host, 5, vec![float("v", 1.0)]);
        source.insert(b"m", &host, 3, vec![float("w", 2.0)]);
        source.settle();
        source.insert(b"m", &host, 5, vec![float("v", 3.0), float("w", 4.0)]);
        source.insert(b"m", &host, 0, vec![float("v", 9.0)]);
        source.settle();
        let series = source.series(b"m", &TagFilter::All).expect("series");
        assert_eq!((series.len(), series[0].key.as_ref()), (1, b"m,host=a".as_slice()));
        let rows = read(&source, series[0].handle, Direction::Ascending);
        assert_eq!(rows, [(3, None), (5, Some(FieldValue::Float(3.0)))]);
        assert!(source.series(b"other", &TagFilter::All).expect("none").is_empty());
        assert_eq!(source.schema(b"m").tags().collect::<Vec<_>>(), [b"host"]);
    }

    #[test]
    fn descending_rows_are_the_ascending_ones_backwards() {
        let mut source = MemorySource::new();
        for time in 0..10_000 {
            source.insert(b"m", &tags(&[]), time, vec![float(if time % 3 == 0 { "v" } else { "w" }, time as f64)]);
        }
        source.settle();
        let mut rows = read(&source, 0, Direction::Descending);
        rows.reverse();
        assert_eq!(rows, read(&source, 0, Direction::Ascending));
        assert_eq!(rows.len(), 8_999);
    }

    #[test]
    fn an_unknown_handle_is_an_error() {
        assert!(MemorySource::new().rows(7, &[], TimeRange::ALL, Direction::Ascending).is_err());
    }
}
