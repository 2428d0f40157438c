//! A snapshot of a shard as something that plans can be run over.
//!
//! A shard keeps a field under the type of its first value, and other shards may keep it under another. A query computes
//! with one of them: numbers that are kept otherwise are read under their own type here and converted by `exec`, all else
//! reads as null. One shard has a field under two types only where two of its owners took the first values at once; then
//! both are read and joined.

use exec::source::{FieldRequest, RowBatch, SourceError, SourceSeries};
use influxql::ast::Direction;
use model::{Column, FieldType, TagFilter, TimeRange};
use plan::expr::cast_constant;
use storage::ShardReader;

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
        let (mut requests, mut counts) = (Vec::with_capacity(fields.len()), Vec::with_capacity(fields.len()));
        for field in fields {
            let types = self.types_of(field);
            counts.push(types.len());
            requests.extend(types.into_iter().map(|kind| (field.name.as_slice(), kind)));
        }
        let rows = self.reader.rows(handle, &requests, range, direction == Direction::Descending);
        Ok(Box::new(Cursor { rows, counts }))
    }
}

struct Cursor {
    rows: storage::RowCursor,
    /// How many columns of the shard make one of those that were asked for.
    counts: Vec<usize>,
}

impl exec::source::RowCursor for Cursor {
    fn next(&mut self) -> Result<Option<RowBatch>, SourceError> {
        let rows = self.rows.next().map_err(|error| SourceError::Read(Box::new(error)))?;
        let Some(rows) = rows else { return Ok(None) };
        let mut columns = rows.columns.into_iter();
        let columns = self.counts.iter().map(|count| joined(columns.by_ref().take(*count).collect()));
        Ok(Some(RowBatch { columns: columns.collect(), times: rows.times }))
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
    use model::FieldValue;

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
