//! A snapshot of a shard as something that plans can be run over.
//!
//! A shard keeps a field under the type of its first value, and other shards may keep it under another. A query computes
//! with one of them: numbers that are kept otherwise are read under their own type here and converted by `exec`, all else
//! reads as null. One shard has a field under two types only where two of its owners took the first values at once; then
//! both are read and joined.

use exec::source::{BatchSummary, FieldRequest, FieldSummary, RowBatch, SourceError, SourceSeries, SummarySum};
use influxql::ast::Direction;
use model::{Column, FieldType, FieldValue, TagFilter, TimeRange};
use plan::expr::cast_constant;
use storage::{Number, ReadError, ShardReader};

/// What one measurement of a shard holds.
#[derive(Debug)]
pub struct ShardSource {
    reader: ShardReader,
    /// The fields, sorted by name, and the types they are kept under.
    fields: Vec<(Vec<u8>, Vec<FieldType>)>,
}

impl ShardSource {
    /// A source of the series of `measurement`.
    pub fn new(reader: ShardReader, measurement: &[u8]) -> ShardSource {
        let fields = reader.fields(measurement);
        ShardSource { reader, fields }
    }

    /// The types to read a field under, the one that was asked for in front. At least one.
    fn types_of(&self, request: &FieldRequest) -> Vec<FieldType> {
        let found = self.fields.binary_search_by(|(name, _)| name.as_slice().cmp(&request.name));
        let kept = found.map(|at| self.fields[at].1.as_slice()).unwrap_or_default();
        types_to_read(request.field_type, kept)
    }
}

fn types_to_read(wanted: FieldType, kept: &[FieldType]) -> Vec<FieldType> {
    let own = kept.contains(&wanted).then_some(wanted);
    let numbers = kept.iter().copied().filter(|kind| *kind != wanted && kind.is_numeric() && wanted.is_numeric());
    let types: Vec<FieldType> = own.into_iter().chain(numbers).collect();
    if types.is_empty() { vec![wanted] } else { types }
}

impl exec::Source for ShardSource {
    fn series(&self, measurement: &[u8], filter: &TagFilter) -> Result<Vec<SourceSeries>, SourceError> {
        let found = self.reader.series(measurement, filter).into_iter();
        Ok(found.map(|series| SourceSeries { handle: series.handle, key: series.key, tags: series.tags }).collect())
    }

    fn rows<'a>(
        &'a self,
        handle: u64,
        fields: &[FieldRequest],
        range: TimeRange,
        direction: Direction,
    ) -> Result<Box<dyn exec::source::RowCursor + 'a>, SourceError> {
        let types: Vec<Vec<FieldType>> = fields.iter().map(|field| self.types_of(field)).collect();
        let requests =
            fields.iter().zip(&types).flat_map(|(field, types)| types.iter().map(|kind| (&field.name, *kind)));
        let requests: Vec<_> = requests.collect();
        let rows = self.reader.rows(handle, &requests, range, direction == Direction::Descending);
        Ok(Box::new(Cursor { rows, types }))
    }
}

struct Cursor {
    rows: storage::RowCursor,
    /// For each column that was asked for the types of those columns of the shard that make it.
    types: Vec<Vec<FieldType>>,
}

impl exec::source::RowCursor for Cursor {
    fn next(&mut self) -> Result<Option<RowBatch>, SourceError> {
        let Some(rows) = self.rows.next().map_err(unreadable)? else { return Ok(None) };
        let mut columns = rows.columns.into_iter();
        let columns = self.types.iter().map(|types| joined(columns.by_ref().take(types.len()).collect()));
        Ok(Some(RowBatch { columns: columns.collect(), times: rows.times }))
    }

    fn peek(&mut self) -> Result<Option<BatchSummary>, SourceError> {
        // What is known of columns that are joined says nothing about the whole.
        if self.types.iter().any(|types| types.len() != 1) {
            return Ok(None);
        }
        let Some(known) = self.rows.peek().map_err(unreadable)? else { return Ok(None) };
        let fields = known.fields.iter().zip(self.types.iter().flatten());
        let fields = fields.map(|(field, field_type)| Some(summary(field, *field_type)));
        Ok(Some(BatchSummary { time_first: known.time_first, time_last: known.time_last, fields: fields.collect() }))
    }

    fn skip(&mut self) -> Result<(), SourceError> {
        self.rows.skip().map_err(unreadable)
    }
}

fn unreadable(error: ReadError) -> SourceError {
    SourceError::Read(Box::new(error))
}

/// What a page says of a field of this type.
fn summary(known: &storage::FieldSummary, field_type: FieldType) -> FieldSummary {
    let value = |(number, time)| {
        let value = match number {
            Number::Float(value) => FieldValue::Float(value),
            Number::Integer(value) => FieldValue::Integer(value),
            Number::Unsigned(value) => FieldValue::Unsigned(value),
        };
        (value, time)
    };
    let numbers = known.numbers;
    let sum = numbers.map(|numbers| match numbers.sum {
        Number::Float(sum) => SummarySum::Float(sum, numbers.sum_rest),
        Number::Integer(sum) => SummarySum::Integer(sum),
        Number::Unsigned(sum) => SummarySum::Unsigned(sum),
    });
    FieldSummary {
        field_type,
        count: u64::from(known.count),
        sum,
        min: numbers.map(|numbers| value(numbers.min)),
        max: numbers.map(|numbers| value(numbers.max)),
        first: numbers.map(|numbers| value(numbers.first)),
        last: numbers.map(|numbers| value(numbers.last)),
    }
}

/// The columns as one of the type of the first: in every row the value of the first that has one.
fn joined(mut columns: Vec<Column>) -> Column {
    if columns.len() == 1 {
        return columns.remove(0);
    }
    let mut out = Column::new(columns[0].field_type());
    for row in 0..columns[0].len() {
        match columns.iter().find_map(|column| column.get(row)) {
            Some(value) => out.push(&cast_constant(&value, out.field_type()).unwrap_or(value)),
            None => out.pad_to(row + 1),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use FieldType::{Boolean, Float, Integer, String};
    use env::Env;
    use exec::Source;
    use model::{Batch, ShardId, Stamp, Tags};
    use storage::{Origin, Shard, Store, StoreConfig};
    use tempfile::TempDir;

    use super::*;

    #[test]
    fn numbers_are_read_under_the_type_they_are_kept_under() {
        assert_eq!(types_to_read(Float, &[Float]), [Float]);
        assert_eq!(types_to_read(Float, &[Integer]), [Integer]);
        assert_eq!(types_to_read(Integer, &[Float, Integer]), [Integer, Float]);
        // Nothing else converts: a column without values is read.
        assert_eq!(types_to_read(Float, &[String, Boolean]), [Float]);
        assert_eq!(types_to_read(String, &[Integer]), [String]);
        assert_eq!(types_to_read(Float, &[]), [Float]);
    }

    fn source(write: impl Fn(&Shard)) -> (TempDir, ShardSource) {
        let dir = TempDir::new().expect("a directory");
        let store = Store::open(Env::real(), StoreConfig::new(dir.path().join("data"))).expect("a store");
        store.create_shard(ShardId(1), "db", "rp").expect("made");
        let shard = store.shard(ShardId(1)).expect("made above");
        write(&shard);
        store.flush_all().expect("flushed");
        let source = ShardSource::new(shard.read().expect("usable"), b"m");
        (dir, source)
    }

    fn write(shard: &Shard, clock: u64, field: &str, values: &[FieldValue]) {
        let mut batch = Batch::default();
        for (time, value) in (0..).zip(values) {
            batch.push_point(b"m", &Tags::default(), time, &[(field.as_bytes(), value.clone())]);
        }
        shard.write(Stamp { clock, coordinator: 1 }, &batch, None, Origin::Replica).expect("written");
    }

    fn peek(source: &ShardSource, name: &[u8], field_type: FieldType) -> Option<FieldSummary> {
        let request = FieldRequest { name: name.to_vec(), field_type };
        let mut rows = source.rows(0, &[request], TimeRange::ALL, Direction::Ascending).expect("readable");
        let known = rows.peek().expect("readable")?;
        assert_eq!((known.time_first, known.time_last), (0, 2));
        rows.skip().expect("described");
        assert!(rows.next().expect("readable").is_none(), "it was the only batch");
        known.fields[0].clone()
    }

    #[test]
    fn what_pages_know_is_passed_on() {
        let floats = [0.5, -1.0, 3.0].map(FieldValue::Float);
        let (_dir, floats) = source(|shard| write(shard, 1, "f", &floats));
        let value = |value, time| Some((FieldValue::Float(value), time));
        let want = FieldSummary {
            field_type: Float,
            count: 3,
            sum: Some(SummarySum::Float(2.5, 0.0)),
            min: value(-1.0, 1),
            max: value(3.0, 2),
            first: value(0.5, 0),
            last: value(3.0, 2),
        };
        assert_eq!(peek(&floats, b"f", Float), Some(want));
        let (_dir, integers) = source(|shard| write(shard, 1, "f", &[4, 5, 7].map(FieldValue::Integer)));
        // Under its own type, which is not the one that was asked for.
        let known = peek(&integers, b"f", Float).expect("a whole page");
        assert_eq!((known.field_type, known.sum), (Integer, Some(SummarySum::Integer(16))));
        let (_dir, strings) =
            source(|shard| write(shard, 1, "f", &["a", "b", "c"].map(|text| FieldValue::String(text.into()))));
        let known = peek(&strings, b"f", String).expect("a whole page");
        assert_eq!((known.count, known.sum, known.last), (3, None, None));
    }

    #[test]
    fn nothing_is_known_of_a_field_of_two_types() {
        let (_dir, source) = source(|shard| {
            write(shard, 1, "f", &[1, 2, 3].map(FieldValue::Integer));
            write(shard, 2, "f", &[0.5, -1.0, 3.0].map(FieldValue::Float));
        });
        assert_eq!(source.fields[0].1.len(), 2, "both are kept");
        assert_eq!(peek(&source, b"f", Float), None);
    }

    #[test]
    fn values_of_two_types_are_joined() {
        let (mut floats, mut integers) = (Column::new(Float), Column::new(Integer));
        floats.push_float(1.5);
        floats.pad_to(3);
        integers.push_integer(7);
        integers.push_integer(8);
        integers.pad_to(3);
        let whole = joined(vec![floats.clone(), integers.clone()]);
        let values: Vec<_> = (0..3).map(|row| whole.get(row)).collect();
        assert_eq!(values, [Some(FieldValue::Float(1.5)), Some(FieldValue::Float(8.0)), None]);
        let whole = joined(vec![integers, floats]);
        assert_eq!(whole.get(0), Some(FieldValue::Integer(7)));
        assert_eq!(whole.len(), 3);
    }
}
