//! Cells tell copies apart, and repair makes them equal.

use std::sync::Arc;

use env::Env;
use model::{Batch, FieldValue, ShardId, Stamp};
use storage::{CellShape, Origin, Shard, Store, StoreConfig};
use tempfile::TempDir;

use crate::model_test::{Dice, batch};
use crate::oracle::{content, stamp, tags};

const SHAPE: CellShape = CellShape { bucket_count: 3, window_ns: 500 };

fn open(dir: &TempDir, name: &str) -> (Store, Arc<Shard>) {
    let config = StoreConfig { compact_files: 2, ..StoreConfig::new(dir.path().join(name)) };
    let store = Store::open(Env::real(), config).expect("a store");
    store.create_shard(ShardId(1), "db", "rp").expect("made");
    let shard = store.shard(ShardId(1)).expect("made above");
    (store, shard)
}

/// Writes to `to` what differs in `from`. Tells how many cells differed.
fn repair(from: &Shard, to: &Shard) -> usize {
    let theirs = to.digest(SHAPE).expect("digest");
    let missing: Vec<_> =
        from.digest(SHAPE).expect("digest").into_iter().filter(|cell| !theirs.contains(cell)).collect();
    for cell in &missing {
        for (stamp, batch) in from.export_cell(SHAPE, cell.bucket, cell.window_start).expect("exported") {
            batch.validate().expect("a whole batch");
            to.write(stamp, &batch, None, Origin::Replica).expect("written");
        }
    }
    missing.len()
}

#[test]
fn order_and_place_of_rows_do_not_matter() {
    let dir = TempDir::new().expect("a directory");
    let ((_a, a), (_b, b)) = (open(&dir, "a"), open(&dir, "b"));
    let mut dice = Dice::new(5);
    let writes: Vec<(Stamp, Batch)> =
        (0..30).map(|n| (stamp(dice.below(1 << 30) << 8 | n), batch(&mut dice, 60))).collect();
    for (number, (stamp, batch)) in writes.iter().enumerate() {
        a.write(*stamp, batch, None, Origin::Replica).expect("written");
        if number % 10 == 9 {
            a.flush().expect("flushed");
        }
    }
    for (stamp, batch) in writes.iter().rev() {
        b.write(*stamp, batch, None, Origin::Replica).expect("written");
    }
    let cells = a.digest(SHAPE).expect("digest");
    assert!(cells.len() > 10);
    assert_eq!(cells, b.digest(SHAPE).expect("digest"));
    a.flush().expect("flushed");
    a.compact().expect("compacted");
    assert_eq!(cells, a.digest(SHAPE).expect("digest"));
    let other = CellShape { bucket_count: 1, window_ns: 1_000_000 };
    assert_eq!(a.digest(other).expect("digest").len(), 1);
}

#[test]
fn remembered_cells_equal_those_made_anew() {
    let dir = TempDir::new().expect("a directory");
    let (_store, shard) = open(&dir, "a");
    let mut dice = Dice::new(11);
    for step in 0..40 {
        let stamp = stamp(dice.below(1 << 30) << 8 | step);
        shard.write(stamp, &batch(&mut dice, 30), None, Origin::Replica).expect("written");
        match dice.below(6) {
            0 => drop(shard.flush().expect("flushed")),
            1 => drop(shard.compact().expect("compacted")),
            _ => {}
        }
        let remembered = shard.digest(SHAPE).expect("digest");
        // Another shape in between makes the next one start from nothing.
        if dice.below(3) == 0 {
            shard.digest(CellShape { bucket_count: 1, ..SHAPE }).expect("digest");
            assert_eq!(shard.digest(SHAPE).expect("digest"), remembered, "step {step}");
        }
    }
}

#[test]
fn repair_makes_copies_equal_and_is_safe_to_repeat() {
    let dir = TempDir::new().expect("a directory");
    let ((_a, a), (_b, b)) = (open(&dir, "a"), open(&dir, "b"));
    let mut dice = Dice::new(23);
    for number in 0..60 {
        let (stamp, batch) = (stamp(dice.below(1 << 30) << 8 | number), batch(&mut dice, 40));
        let lucky = dice.below(4);
        if lucky != 0 {
            a.write(stamp, &batch, None, Origin::Replica).expect("written");
        }
        if lucky != 1 {
            b.write(stamp, &batch, None, Origin::Replica).expect("written");
        }
        if number % 15 == 0 {
            a.flush().expect("flushed");
        }
    }
    assert_ne!(content(&a), content(&b));
    assert!(repair(&a, &b) > 0);
    assert!(repair(&b, &a) > 0);
    assert_eq!(content(&a), content(&b));
    assert_eq!(a.digest(SHAPE).expect("digest"), b.digest(SHAPE).expect("digest"));
    assert_eq!(repair(&a, &b), 0);
    let before = content(&a);
    for cell in a.digest(SHAPE).expect("digest") {
        for (stamp, batch) in a.export_cell(SHAPE, cell.bucket, cell.window_start).expect("exported") {
            b.write(stamp, &batch, None, Origin::Replica).expect("written");
        }
    }
    assert_eq!(content(&b), before);
}

#[test]
fn one_value_changes_one_cell() {
    let dir = TempDir::new().expect("a directory");
    let (_store, shard) = open(&dir, "a");
    let write = |clock, time, value| {
        let mut batch = Batch::default();
        batch.push_point(b"m", &tags(&[]), time, &[(b"v", FieldValue::Float(value))]);
        shard.write(stamp(clock), &batch, None, Origin::Client).expect("written");
        shard.digest(SHAPE).expect("digest")
    };
    write(1, 10, 0.0);
    let before = write(1, 600, 1.0);
    assert_eq!(before.len(), 2);
    assert_eq!(write(2, 10, 0.0), before, "the same value under a later stamp is the same content");
    let after = write(3, 10, -0.0);
    assert_eq!(after[1], before[1]);
    assert_ne!(after[0].hash, before[0].hash);
    assert_eq!(write(2, 10, 7.0), after, "an older stamp changes nothing");
}

#[test]
fn the_mark_is_kept() {
    let dir = TempDir::new().expect("a directory");
    let (store, shard) = open(&dir, "a");
    assert_eq!(shard.mark().expect("none yet"), None);
    shard.set_mark(b"incarnation 7").expect("stored");
    shard.set_mark(b"incarnation 8").expect("stored");
    let path = shard.dir().join("mark");
    store.close();
    drop((store, shard));
    let (_store, shard) = open(&dir, "a");
    assert_eq!(shard.mark().expect("there"), Some(b"incarnation 8".to_vec()));
    assert!(shard.set_mark(&vec![0; storage::MARK_BYTES_MAX + 1]).is_err());
    let mut bytes = std::fs::read(&path).expect("read");
    bytes[14] ^= 1;
    std::fs::write(&path, bytes).expect("written");
    assert_eq!(shard.mark().expect_err("damaged").kind(), std::io::ErrorKind::InvalidData);
}
