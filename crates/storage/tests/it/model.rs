//! Random writes with random stamps, flushes, compactions and restarts against maps.

use std::sync::Arc;
use std::time::Duration;

use env::Env;
use model::{Batch, FieldValue, ShardId, Stamp};
use storage::{Origin, Shard, Store, StoreConfig};
use tempfile::TempDir;

use crate::oracle::{Oracle, content, tags};

/// A small generator, so that a seed is a story.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Dice {
        Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % limit
    }
}

fn value(dice: &mut Dice, kind: u64) -> FieldValue {
    match kind {
        0 => FieldValue::Float(dice.below(1000) as f64 / 10.0),
        1 => FieldValue::Integer(dice.below(1000) as i64 - 500),
        2 => FieldValue::Unsigned(dice.below(9)),
        3 => FieldValue::String(format!("s{}", dice.below(20)).into_bytes()),
        _ => FieldValue::Boolean(dice.below(2) == 1),
    }
}

/// Some rows; instants and fields repeat on purpose.
pub(crate) fn batch(dice: &mut Dice, rows_max: u64) -> Batch {
    let mut batch = Batch::default();
    let start = dice.below(4_000) as i64;
    for row in 0..1 + dice.below(rows_max) as i64 {
        let measurement: &[u8] = if dice.below(5) == 0 { b"disk, 1" } else { b"cpu" };
        let host = format!("h{}", dice.below(4));
        let time = if dice.below(3) == 0 { dice.below(4_000) as i64 } else { start + row };
        let mut fields = Vec::new();
        for field in 0..4u64 {
            if dice.below(2) == 0 {
                let kind = if dice.below(30) == 0 { dice.below(5) } else { field };
                fields.push((format!("f{field}"), value(dice, kind)));
            }
        }
        if fields.is_empty() {
            fields.push(("f0".to_owned(), value(dice, 0)));
        }
        let fields: Vec<(&[u8], FieldValue)> = fields.iter().map(|(name, v)| (name.as_bytes(), v.clone())).collect();
        batch.push_point(measurement, &tags(&[("host", &host)]), time, &fields);
    }
    batch
}

fn config(dir: &TempDir) -> StoreConfig {
    StoreConfig {
        compact_files: 2,
        flush_bytes: 20_000,
        flush_idle: Duration::from_secs(3600),
        wal_segment_bytes: 16 << 10,
        cache_bytes: 4 << 10,
        ..StoreConfig::new(dir.path().join("data"))
    }
}

fn open(dir: &TempDir) -> (Store, Arc<Shard>) {
    let store = Store::open(Env::real(), config(dir)).expect("a store");
    store.create_shard(ShardId(7), "db", "rp").expect("made");
    let shard = store.shard(ShardId(7)).expect("made above");
    (store, shard)
}

fn run(seed: u64, steps: u64) {
    let dir = TempDir::new().expect("a directory");
    let mut dice = Dice::new(seed);
    let mut oracle = Oracle::default();
    let (mut store, mut shard) = open(&dir);
    let mut kept: Vec<(Stamp, Batch)> = Vec::new();
    for step in 0..steps {
        match dice.below(20) {
            0..12 => {
                let stamp = Stamp { clock: dice.below(1 << 20) << 10 | step, coordinator: dice.below(3) };
                let batch = batch(&mut dice, 200);
                shard.write(stamp, &batch, None, Origin::Replica).expect("written");
                oracle.write(stamp, &batch);
                kept.push((stamp, batch));
            }
            12 if !kept.is_empty() => {
                // The same again, as hints and repair do.
                let (stamp, batch) = &kept[dice.below(kept.len() as u64) as usize];
                shard.write(*stamp, batch, None, Origin::Replica).expect("written");
            }
            13 | 14 => {
                shard.flush().expect("flushed");
            }
            15 => {
                shard.compact().expect("compacted");
            }
            16 => {
                let done = store.maintain();
                assert!(done.errors.is_empty(), "{done:?}");
            }
            17 => {
                store.close();
                drop((store, shard));
                (store, shard) = open(&dir);
            }
            _ => assert_eq!(content(&shard), oracle.content(), "seed {seed}, step {step}"),
        }
    }
    assert_eq!(content(&shard), oracle.content(), "seed {seed}, at the end");
    store.flush_all().expect("flushed");
    assert_eq!(content(&shard), oracle.content(), "seed {seed}, flushed");
    store.close();
    drop((store, shard));
    let (_store, shard) = open(&dir);
    assert_eq!(content(&shard), oracle.content(), "seed {seed}, opened again");
}

#[test]
fn random_stories_end_as_the_maps_say() {
    for seed in 1..=4 {
        run(seed, 80);
    }
}
