//! A store as ten lines of maps, and the comparison of a shard with it.

use std::collections::BTreeMap;

use model::{Batch, FieldType, FieldValue, Stamp, TagFilter, Tags, TimeRange};
use storage::{RowCursor, Shard};

/// Series key, time, field name and type to the winning stamp and value.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Oracle(BTreeMap<Place, (Stamp, FieldValue)>);

/// Series key, time, field name and type.
type Place = (Vec<u8>, i64, Vec<u8>, FieldType);

/// Series key, field name and type to times and values.
pub(crate) type Content = BTreeMap<(Vec<u8>, Vec<u8>, FieldType), Vec<(i64, Exact)>>;

/// A value that equals itself, bit for bit.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Exact {
    Bits(u64),
    Text(Vec<u8>),
}

pub(crate) fn exact(value: &FieldValue) -> Exact {
    match value {
        FieldValue::Float(value) => Exact::Bits(value.to_bits()),
        FieldValue::Integer(value) => Exact::Bits(*value as u64),
        FieldValue::Unsigned(value) => Exact::Bits(*value),
        FieldValue::Boolean(value) => Exact::Bits(u64::from(*value)),
        FieldValue::String(value) => Exact::Text(value.clone()),
    }
}

impl Oracle {
    pub(crate) fn write(&mut self, stamp: Stamp, batch: &Batch) {
        for point in batch.points() {
            for (name, value) in point.fields {
                let key = (point.series_key.to_vec(), point.time, name.to_vec(), value.field_type());
                match self.0.get(&key) {
                    Some((newer, _)) if *newer > stamp => {}
                    _ => {
                        self.0.insert(key, (stamp, value));
                    }
                }
            }
        }
    }

    pub(crate) fn content(&self) -> Content {
        let mut content = Content::new();
        for ((series, time, field, kind), (_, value)) in &self.0 {
            content.entry((series.clone(), field.clone(), *kind)).or_default().push((*time, exact(value)));
        }
        content
    }
}

pub(crate) fn tags(pairs: &[(&str, &str)]) -> Tags {
    Tags::new(pairs.iter().map(|(key, value)| (key.as_bytes().to_vec(), value.as_bytes().to_vec())).collect())
}

pub(crate) fn stamp(clock: u64) -> Stamp {
    Stamp { clock, coordinator: 1 }
}

pub(crate) fn drain(mut cursor: RowCursor) -> (Vec<i64>, Vec<Vec<Option<FieldValue>>>) {
    let mut times = Vec::new();
    let mut rows = Vec::new();
    while let Some(batch) = cursor.next().expect("readable") {
        assert!(!batch.times.is_empty(), "batches have rows");
        for row in 0..batch.times.len() {
            rows.push(batch.columns.iter().map(|column| column.get(row)).collect());
        }
        times.extend(batch.times);
    }
    (times, rows)
}

/// All that a shard answers, read with all fields of a series at once, up and down.
pub(crate) fn content(shard: &Shard) -> Content {
    let reader = shard.read().expect("a usable shard");
    let mut content = Content::new();
    for measurement in reader.measurements() {
        let fields: Vec<(Vec<u8>, FieldType)> = reader
            .fields(&measurement)
            .into_iter()
            .flat_map(|(name, types)| types.into_iter().map(move |kind| (name.clone(), kind)))
            .collect();
        for series in reader.series(&measurement, &TagFilter::All) {
            let (times, rows) = drain(reader.rows(series.handle, &fields, TimeRange::ALL, false));
            assert!(times.windows(2).all(|pair| pair[0] < pair[1]), "times are distinct and ascend");
            let (mut times_down, mut rows_down) = drain(reader.rows(series.handle, &fields, TimeRange::ALL, true));
            times_down.reverse();
            rows_down.reverse();
            assert_eq!(times, times_down);
            assert_eq!(format!("{rows:?}"), format!("{rows_down:?}"), "both directions agree");
            for (time, row) in times.iter().zip(rows) {
                assert!(row.iter().any(Option::is_some), "rows have a value");
                for ((name, kind), value) in fields.iter().zip(row) {
                    let Some(value) = value else { continue };
                    let key = (series.key.to_vec(), name.clone(), *kind);
                    content.entry(key).or_default().push((*time, exact(&value)));
                }
            }
        }
    }
    content
}
