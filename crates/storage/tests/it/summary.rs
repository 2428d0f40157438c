//! Summaries of pages say the same as their rows.

use std::sync::Arc;

use env::Env;
use model::{Batch, FieldType, FieldValue, ShardId, TagFilter, TimeRange, Timestamp};
use storage::{Number, Origin, RowCursor, Shard, Store, StoreConfig};
use tempfile::TempDir;

use crate::model_test::Dice;
use crate::oracle::{stamp, tags};

const FIELDS: [(&str, FieldType); 3] = [("i", FieldType::Integer), ("f", FieldType::Float), ("s", FieldType::String)];

fn open(dir: &TempDir) -> (Store, Arc<Shard>) {
    let store = Store::open(Env::real(), StoreConfig::new(dir.path().join("data"))).expect("a store");
    store.create_shard(ShardId(1), "db", "rp").expect("made");
    let shard = store.shard(ShardId(1)).expect("made above");
    (store, shard)
}

fn write(shard: &Shard, clock: u64, times: impl Iterator<Item = i64>) {
    let mut batch = Batch::default();
    for time in times {
        let mut fields = vec![(b"i".as_slice(), FieldValue::Integer(time * 7919 % 1000 - 500))];
        if time % 3 != 0 {
            fields.push((b"f", FieldValue::Float((time % 100) as f64 / 4.0)));
        }
        fields.push((b"s", FieldValue::String(b"x".to_vec())));
        batch.push_point(b"m", &tags(&[]), time, &fields);
    }
    shard.write(stamp(clock), &batch, None, Origin::Client).expect("written");
}

/// Of the integers and the floats: count, sum, smallest, largest, earliest, latest, with times.
#[derive(Debug, Default, PartialEq)]
struct Totals {
    rows: [Option<Field>; 2],
    strings: u64,
}

#[derive(Clone, Debug, PartialEq)]
struct Field {
    count: u64,
    sum: f64,
    min: (f64, i64),
    max: (f64, i64),
    first: (f64, i64),
    last: (f64, i64),
}

impl Totals {
    fn add(&mut self, field: usize, other: Field) {
        let Some(mine) = &mut self.rows[field] else {
            self.rows[field] = Some(other);
            return;
        };
        mine.count += other.count;
        mine.sum += other.sum;
        // The smallest, then its earliest time.
        if other.min < mine.min {
            mine.min = other.min;
        }
        if (other.max.0, -other.max.1) > (mine.max.0, -mine.max.1) {
            mine.max = other.max;
        }
        if other.first.1 < mine.first.1 {
            mine.first = other.first;
        }
        if other.last.1 > mine.last.1 {
            mine.last = other.last;
        }
    }
}

fn number(number: Number) -> f64 {
    match number {
        Number::Float(value) => value,
        Number::Integer(value) => value as f64,
        Number::Unsigned(value) => value as f64,
    }
}

/// Totals, and how many batches were not read.
fn totals(mut cursor: RowCursor, dice: Option<&mut Dice>) -> (Totals, usize) {
    let (mut totals, mut skipped) = (Totals::default(), 0);
    let mut dice = dice;
    loop {
        if let Some(dice) = &mut dice {
            let summary = cursor.peek().expect("readable");
            if let Some(summary) = summary
                && dice.below(4) != 0
            {
                for (field, summary) in summary.fields.iter().take(2).enumerate() {
                    let Some(numbers) = summary.numbers else { continue };
                    let pair = |(value, time): (Number, i64)| (number(value), time);
                    let field_totals = Field {
                        count: u64::from(summary.count),
                        sum: number(numbers.sum) + numbers.sum_rest,
                        min: pair(numbers.min),
                        max: pair(numbers.max),
                        first: pair(numbers.first),
                        last: pair(numbers.last),
                    };
                    totals.add(field, field_totals);
                }
                totals.strings += u64::from(summary.fields[2].count);
                assert_eq!(summary.fields[2].numbers, None);
                cursor.skip().expect("readable");
                skipped += 1;
                continue;
            }
        }
        let Some(batch) = cursor.next().expect("readable") else { return (totals, skipped) };
        for (row, time) in batch.times.iter().enumerate() {
            for field in 0..2 {
                let value = match batch.columns[field].get(row) {
                    Some(FieldValue::Integer(value)) => value as f64,
                    Some(FieldValue::Float(value)) => value,
                    _ => continue,
                };
                let at = (value, *time);
                totals.add(field, Field { count: 1, sum: value, min: at, max: at, first: at, last: at });
            }
            totals.strings += u64::from(batch.columns[2].is_valid(row));
        }
    }
}

#[test]
fn summaries_agree_with_rows_wherever_rows_lie() {
    let dir = TempDir::new().expect("a directory");
    let (_store, shard) = open(&dir);
    let mut dice = Dice::new(3);
    let mut most_skipped = 0;
    let check = |dice: &mut Dice| {
        let reader = shard.read().expect("usable");
        let handle = reader.series(b"m", &TagFilter::All)[0].handle;
        let mut most = 0;
        for (start, end) in [(i64::MIN, i64::MAX), (100, 9_000), (2_047, 2_049), (5_000, 5_001)] {
            let range = TimeRange::new(Timestamp(start), Timestamp(end)).expect("not empty");
            for descending in [false, true] {
                let plain = totals(reader.rows(handle, &FIELDS, range, descending), None).0;
                for _ in 0..3 {
                    let (summed, skipped) = totals(reader.rows(handle, &FIELDS, range, descending), Some(dice));
                    assert_eq!(summed, plain, "{start}..{end}");
                    most = most.max(skipped);
                }
            }
        }
        most
    };
    write(&shard, 1, 0..6_000);
    assert_eq!(check(&mut dice), 0, "memory has no pages");
    shard.flush().expect("flushed");
    most_skipped = most_skipped.max(check(&mut dice));
    write(&shard, 2, 6_000..12_000);
    most_skipped = most_skipped.max(check(&mut dice));
    shard.flush().expect("flushed");
    // Over some pages of both files, in a file and in memory.
    write(&shard, 3, (3_000..8_000).step_by(500));
    check(&mut dice);
    shard.flush().expect("flushed");
    write(&shard, 4, (0..2_000).step_by(3));
    check(&mut dice);
    assert!(most_skipped >= 5, "{most_skipped} pages were skipped");
}
