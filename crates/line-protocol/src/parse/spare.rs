//! Memory of batches that are done with, for the next ones: fresh memory costs more than what is written to it.

use model::{Batch, Column, ColumnData, FieldType, StringColumn, Table};

/// Most bytes of recycled batches that a parser keeps.
pub const SPARE_BYTES_MAX: usize = 16 << 20;

/// Empty buffers with room in them.
#[derive(Debug, Default)]
pub(super) struct Spare {
    tables: Vec<Kept<Table>>,
    floats: Vec<Kept<Vec<f64>>>,
    integers: Vec<Kept<Vec<i64>>>,
    booleans: Vec<Kept<Vec<bool>>>,
    strings: Vec<Kept<StringColumn>>,
    bytes: usize,
}

/// A buffer, and the bytes that it was counted for.
#[derive(Debug)]
struct Kept<T> {
    buffer: T,
    bytes: usize,
}

impl Spare {
    pub(super) fn memory_bytes(&self) -> usize {
        self.bytes
    }

    /// Takes `batch` apart and keeps what there is room for.
    pub(super) fn put(&mut self, batch: Batch) {
        batch.tables.into_iter().for_each(|table| self.put_table(table));
    }

    /// The same for one table.
    pub(super) fn put_table(&mut self, mut table: Table) {
        for field in table.columns.drain(..) {
            self.put_column(field.column);
        }
        let keys = table.series.byte_count() + 4 * table.series.len();
        let bytes = size_of::<Table>() + keys + 4 * table.row_series.capacity() + 8 * table.row_times.capacity();
        table.series.clear();
        table.row_series.clear();
        table.row_times.clear();
        keep(&mut self.tables, &mut self.bytes, table, bytes);
    }

    fn put_column(&mut self, column: Column) {
        let total = &mut self.bytes;
        match column.into_parts().0 {
            ColumnData::Float(mut values) => {
                values.clear();
                let bytes = values.capacity() * 8;
                keep(&mut self.floats, total, values, bytes);
            }
            ColumnData::Integer(mut values) => {
                values.clear();
                let bytes = values.capacity() * 8;
                keep(&mut self.integers, total, values, bytes);
            }
            ColumnData::Boolean(mut values) => {
                values.clear();
                let bytes = values.capacity();
                keep(&mut self.booleans, total, values, bytes);
            }
            ColumnData::String(mut values) => {
                // A buffer that grew by doubling has at most twice the room of what is in it.
                let bytes = 2 * (values.bytes().len() + 4 * values.len());
                values.truncate(0);
                keep(&mut self.strings, total, values, bytes);
            }
            // The parser makes none of these.
            ColumnData::Unsigned(_) => {}
        }
    }

    /// An empty table of `measurement` (raw).
    pub(super) fn table(&mut self, measurement: &[u8]) -> Table {
        let Some(mut table) = take(&mut self.tables, &mut self.bytes) else { return Table::new(measurement) };
        table.measurement.clear();
        table.measurement.extend_from_slice(measurement);
        table
    }

    /// An empty column with room for `rows`, strings excepted.
    pub(super) fn column(&mut self, field_type: FieldType, rows: usize) -> Column {
        let total = &mut self.bytes;
        let data = match field_type {
            FieldType::Float => {
                let mut values: Vec<f64> = take(&mut self.floats, total).unwrap_or_default();
                values.reserve(rows);
                ColumnData::Float(values)
            }
            FieldType::Integer => {
                let mut values: Vec<i64> = take(&mut self.integers, total).unwrap_or_default();
                values.reserve(rows);
                ColumnData::Integer(values)
            }
            FieldType::Boolean => {
                let mut values: Vec<bool> = take(&mut self.booleans, total).unwrap_or_default();
                values.reserve(rows);
                ColumnData::Boolean(values)
            }
            FieldType::String => ColumnData::String(take(&mut self.strings, total).unwrap_or_default()),
            FieldType::Unsigned => ColumnData::new(field_type),
        };
        Column::from_parts(data, None).expect("a column without gaps has no lengths to compare")
    }
}

fn keep<T>(list: &mut Vec<Kept<T>>, total: &mut usize, buffer: T, bytes: usize) {
    if bytes <= SPARE_BYTES_MAX.saturating_sub(*total) {
        *total += bytes;
        list.push(Kept { buffer, bytes });
    }
}

fn take<T>(list: &mut Vec<Kept<T>>, total: &mut usize) -> Option<T> {
    let kept = list.pop()?;
    *total -= kept.bytes;
    Some(kept.buffer)
}

#[cfg(test)]
mod tests {
    use model::{FieldValue, Tags};

    use super::*;

    fn batch(rows: i64) -> Batch {
        let mut batch = Batch::default();
        let table = batch.table_mut(b"m");
        table.series.push(b"m");
        for row in 0..rows {
            let fields: [(&[u8], FieldValue); 3] = [
                (b"f", FieldValue::Float(1.0)),
                (b"i", FieldValue::Integer(row)),
                (b"s", FieldValue::String(b"text".to_vec())),
            ];
            table.push_row(0, row, &fields);
        }
        batch.push_point(b"n", &Tags::default(), 1, &[(b"b", FieldValue::Boolean(true))]);
        batch
    }

    #[test]
    fn buffers_come_back_empty() {
        let mut spare = Spare::default();
        spare.put(batch(100));
        assert!(spare.memory_bytes() > 100 * 24);
        for _ in 0..3 {
            assert_eq!(spare.table(b"other"), Table::new(b"other"));
            for field_type in FieldType::ALL {
                assert_eq!(spare.column(field_type, 0), Column::new(field_type));
            }
        }
        assert_eq!(spare.memory_bytes(), 0);
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut spare = Spare::default();
        for _ in 0..20 {
            spare.put(batch(100_000));
            assert!(spare.memory_bytes() <= SPARE_BYTES_MAX);
        }
        assert!(spare.memory_bytes() > SPARE_BYTES_MAX / 2);
    }
}
