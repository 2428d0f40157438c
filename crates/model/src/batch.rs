//! The rows of a request, as columns.
//!
//! A batch has one table for each measurement; a table has its series, its rows in the order of the request, and one
//! column for each pair of field and type. Nothing is allocated for a single point. A batch is made by the parser (or
//! by whoever makes points), cut by shard, logged, sent to replicas and copied into memory tables, always in this form.
//!
//! Two columns of one table may share a name when a request has a field under two types; whoever stores the batch
//! decides which rows are refused.

use crate::column::Column;
use crate::series_key::{self, SeriesKey, Tags};
use crate::value::FieldType;
use crate::value::FieldValue;

/// Byte strings end to end, addressed by number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyList {
    ends: Vec<u32>,
    bytes: Vec<u8>,
}

impl KeyList {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Key `index`, which must be below `len`.
    #[inline]
    pub fn get(&self, index: u32) -> &[u8] {
        let start = if index == 0 { 0 } else { self.ends[index as usize - 1] as usize };
        &self.bytes[start..self.ends[index as usize] as usize]
    }

    /// Appends a key and tells its number.
    ///
    /// # Panics
    /// Above 4 GiB of keys; a request is far smaller.
    pub fn push(&mut self, key: &[u8]) -> u32 {
        self.bytes.extend_from_slice(key);
        self.ends.push(u32::try_from(self.bytes.len()).expect("keys of a request stay below 4 GiB"));
        self.ends.len() as u32 - 1
    }

    /// The keys in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        (0..self.len() as u32).map(|index| self.get(index))
    }

    /// Forgets all keys and keeps the memory.
    pub fn clear(&mut self) {
        self.ends.clear();
        self.bytes.clear();
    }

    /// Bytes of all keys together.
    pub fn byte_count(&self) -> usize {
        self.bytes.len()
    }
}

/// One field of a table.
#[derive(Clone, Debug, PartialEq)]
pub struct FieldColumn {
    /// The field key, raw.
    pub name: Vec<u8>,
    /// As many rows as the table has.
    pub column: Column,
}

/// The rows of one measurement, in the order in which they were given.
///
/// Invariants, checked by [`Table::validate`]: all columns have as many rows as there are times and series numbers;
/// series numbers are below the number of series; series keys and pairs of field name and type are distinct.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    /// The measurement, raw.
    pub measurement: Vec<u8>,
    /// Canonical keys of the series, distinct.
    pub series: KeyList,
    /// For each row the number of its series in `series`.
    pub row_series: Vec<u32>,
    /// For each row its time, nanoseconds since the epoch.
    pub row_times: Vec<i64>,
    /// The fields.
    pub columns: Vec<FieldColumn>,
}

impl Table {
    /// No rows of `measurement` (raw).
    pub fn new(measurement: &[u8]) -> Table {
        Table { measurement: measurement.to_vec(), ..Table::default() }
    }

    /// How many rows there are.
    pub fn row_count(&self) -> usize {
        self.row_times.len()
    }

    /// The column of a field and type, made when there is none. It has as many rows as were finished so far, or fewer:
    /// pad before pushing.
    pub fn column_mut(&mut self, name: &[u8], field_type: FieldType) -> &mut Column {
        let found = self.columns.iter().position(|field| field.name == name && field.column.field_type() == field_type);
        let index = found.unwrap_or_else(|| {
            self.columns.push(FieldColumn { name: name.to_vec(), column: Column::new(field_type) });
            self.columns.len() - 1
        });
        &mut self.columns[index].column
    }

    /// Appends one row: the slow and simple way, for points that do not come from line protocol.
    pub fn push_row(&mut self, series: u32, time: i64, fields: &[(&[u8], FieldValue)]) {
        assert!((series as usize) < self.series.len(), "the series is in the table");
        let row = self.row_count();
        for (name, value) in fields {
            let column = self.column_mut(name, value.field_type());
            column.truncate(row);
            column.pad_to(row);
            column.push(value);
        }
        self.row_series.push(series);
        self.row_times.push(time);
        self.pad();
    }

    /// Gives every column as many rows as there are times.
    pub fn pad(&mut self) {
        let rows = self.row_count();
        for field in &mut self.columns {
            field.column.pad_to(rows);
        }
    }

    /// The rows with these numbers, in this order, as a table of its own, with only the series and columns they use.
    pub fn select(&self, rows: &[u32]) -> Table {
        let mut table = Table::new(&self.measurement);
        let mut numbers = vec![u32::MAX; self.series.len()];
        for row in rows {
            let series = self.row_series[*row as usize];
            let number = &mut numbers[series as usize];
            if *number == u32::MAX {
                *number = table.series.push(self.series.get(series));
            }
            table.row_series.push(*number);
            table.row_times.push(self.row_times[*row as usize]);
        }
        for field in &self.columns {
            if !rows.iter().any(|row| field.column.is_valid(*row as usize)) {
                continue;
            }
            let mut column = Column::new(field.column.field_type());
            for row in rows {
                column.push_from(&field.column, *row as usize);
            }
            table.columns.push(FieldColumn { name: field.name.clone(), column });
        }
        table
    }

    /// What a table promises; the text names the broken promise.
    pub fn validate(&self) -> Result<(), &'static str> {
        if self.row_series.len() != self.row_times.len() {
            return Err("as many series numbers as times");
        }
        if self.row_series.iter().any(|series| *series as usize >= self.series.len()) {
            return Err("series numbers are in the table");
        }
        if self.columns.iter().any(|field| field.column.len() != self.row_times.len()) {
            return Err("as many rows in each column as times");
        }
        let names = self.columns.iter().map(|field| (field.name.as_slice(), field.column.field_type()));
        if names.collect::<std::collections::BTreeSet<_>>().len() != self.columns.len() {
            return Err("one column for a field and type");
        }
        Ok(())
    }
}

/// The rows of a request.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    /// One for each measurement, measurements distinct.
    pub tables: Vec<Table>,
}

impl Batch {
    /// How many rows there are in all tables.
    pub fn row_count(&self) -> usize {
        self.tables.iter().map(Table::row_count).sum()
    }

    /// How many field values there are in all tables.
    pub fn value_count(&self) -> usize {
        let columns = self.tables.iter().flat_map(|table| &table.columns);
        columns.map(|field| field.column.valid_count()).sum()
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.row_count() == 0
    }

    /// The table of `measurement` (raw), made when there is none.
    pub fn table_mut(&mut self, measurement: &[u8]) -> &mut Table {
        let found = self.tables.iter().position(|table| table.measurement == measurement);
        let index = found.unwrap_or_else(|| {
            self.tables.push(Table::new(measurement));
            self.tables.len() - 1
        });
        &mut self.tables[index]
    }

    /// Appends one point: the slow and simple way.
    pub fn push_point(&mut self, measurement: &[u8], tags: &Tags, time: i64, fields: &[(&[u8], FieldValue)]) {
        let key = SeriesKey::new(measurement, tags);
        let table = self.table_mut(measurement);
        let found = table.series.iter().position(|known| known == key.as_bytes());
        let series = match found {
            Some(index) => index as u32,
            None => table.series.push(key.as_bytes()),
        };
        table.push_row(series, time, fields);
    }

    /// One point after the other: for tests and for text.
    pub fn points(&self) -> impl Iterator<Item = Point<'_>> {
        self.tables.iter().flat_map(|table| {
            (0..table.row_count()).map(move |row| {
                let fields = table.columns.iter();
                let fields = fields.filter_map(|field| Some((field.name.as_slice(), field.column.get(row)?)));
                Point {
                    series_key: table.series.get(table.row_series[row]),
                    time: table.row_times[row],
                    fields: fields.collect(),
                }
            })
        })
    }

    /// What a batch promises; the text names the broken promise.
    pub fn validate(&self) -> Result<(), &'static str> {
        let names: std::collections::BTreeSet<_> = self.tables.iter().map(|table| &table.measurement).collect();
        if names.len() != self.tables.len() {
            return Err("one table for a measurement");
        }
        self.tables.iter().try_for_each(Table::validate)
    }
}

/// One row of a batch, taken apart.
#[derive(Clone, Debug, PartialEq)]
pub struct Point<'a> {
    /// Canonical.
    pub series_key: &'a [u8],
    /// Nanoseconds since the epoch.
    pub time: i64,
    /// Field keys (raw) and values, in the order of the columns; a field under two types comes twice.
    pub fields: Vec<(&'a [u8], FieldValue)>,
}

/// The measurement (raw) and tags of a series of a table.
pub fn series_parts(table: &Table, series: u32) -> (Vec<u8>, Tags) {
    series_key::split_key(table.series.get(series))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(host: &str) -> Tags {
        Tags::new(vec![(b"host".to_vec(), host.as_bytes().to_vec())])
    }

    fn sample() -> Batch {
        let mut batch = Batch::default();
        batch.push_point(b"cpu", &tags("a"), 10, &[(b"idle", FieldValue::Float(1.0))]);
        batch.push_point(b"cpu", &tags("b"), 11, &[(b"user", FieldValue::Integer(7))]);
        batch.push_point(b"mem", &tags("a"), 12, &[(b"free", FieldValue::Integer(9))]);
        batch.push_point(b"cpu", &tags("a"), 13, &[(b"idle", FieldValue::Float(2.0))]);
        batch
    }

    #[test]
    fn points_fall_into_tables_and_columns() {
        let batch = sample();
        assert_eq!(batch.validate(), Ok(()));
        assert_eq!((batch.tables.len(), batch.row_count(), batch.value_count()), (2, 4, 4));
        let cpu = &batch.tables[0];
        assert_eq!(cpu.row_series, [0, 1, 0]);
        assert_eq!(cpu.series.iter().collect::<Vec<_>>(), [b"cpu,host=a".as_slice(), b"cpu,host=b"]);
        assert_eq!(series_parts(cpu, 1), (b"cpu".to_vec(), tags("b")));
    }

    #[test]
    fn selected_rows_bring_only_what_they_use() {
        let cpu = sample().tables.remove(0);
        let idle = cpu.select(&[2, 0]);
        assert_eq!(idle.validate(), Ok(()));
        assert_eq!(idle.row_times, [13, 10]);
        assert_eq!((idle.series.len(), idle.columns.len()), (1, 1));
    }

    #[test]
    fn the_last_value_of_a_field_in_a_row_stays() {
        let mut batch = Batch::default();
        let fields: [(&[u8], FieldValue); 2] = [(b"v", FieldValue::Float(1.0)), (b"v", FieldValue::Float(2.0))];
        batch.push_point(b"m", &Tags::default(), 1, &fields);
        assert_eq!(batch.tables[0].columns[0].column.get(0), Some(FieldValue::Float(2.0)));
    }

    #[test]
    fn broken_promises_are_named() {
        let mut table = sample().tables.remove(0);
        table.row_series[0] = 9;
        assert_eq!(table.validate(), Err("series numbers are in the table"));
    }
}
