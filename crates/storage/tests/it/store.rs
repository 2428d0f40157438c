//! Opening, refusing, writing and reading, on a real disk.

use std::sync::Arc;

use env::{ClaimError, Env};
use model::{Batch, FieldType, FieldValue, ShardId, TagFilter, TimeRange};
use storage::{OpenError, Origin, Shard, Store, StoreConfig, Written};
use tempfile::TempDir;

use crate::oracle::{Oracle, content, drain, stamp, tags};

fn open(dir: &TempDir) -> Store {
    Store::open(Env::real(), StoreConfig::new(dir.path().join("data"))).expect("a store")
}

fn shard(store: &Store) -> Arc<Shard> {
    store.create_shard(ShardId(1), "db", "rp").expect("made");
    store.shard(ShardId(1)).expect("made above")
}

fn point(batch: &mut Batch, host: &str, time: i64, field: &str, value: FieldValue) {
    batch.push_point(b"cpu", &tags(&[("host", host)]), time, &[(field.as_bytes(), value)]);
}

#[test]
fn what_was_written_is_read_and_survives_a_restart() {
    let dir = TempDir::new().expect("a directory");
    let store = open(&dir);
    let shard1 = shard(&store);
    let mut oracle = Oracle::default();
    for round in 0..5 {
        let mut batch = Batch::default();
        for row in 0..50 {
            point(
                &mut batch,
                ["a", "b", "c"][row % 3],
                row as i64 * 10,
                "idle",
                FieldValue::Float(row as f64 + round as f64),
            );
            point(&mut batch, "a", row as i64 * 7, "name", FieldValue::String(format!("{round}/{row}").into_bytes()));
        }
        // Stamps do not grow with arrival.
        let at = stamp([50, 10, 40, 20, 30][round]);
        let written = shard1.write(at, &batch, None, Origin::Client).expect("written");
        assert_eq!(written, Written { rows: 100, dropped: 0, reason: None });
        oracle.write(at, &batch);
        assert_eq!(content(&shard1), oracle.content());
    }
    drop(shard1);
    store.close();
    drop(store);
    let store = open(&dir);
    assert_eq!(store.shards()[0].db, "db");
    assert_eq!(store.clock_max(), 50);
    assert_eq!(content(&store.shard(ShardId(1)).expect("found again")), oracle.content());
}

#[test]
fn a_client_row_of_another_type_is_refused_and_a_replica_row_is_not() {
    let dir = TempDir::new().expect("a directory");
    let store = open(&dir);
    let shard = shard(&store);
    let mut first = Batch::default();
    point(&mut first, "a", 1, "v", FieldValue::Float(1.0));
    shard.write(stamp(1), &first, None, Origin::Client).expect("written");
    let mut second = Batch::default();
    point(&mut second, "a", 2, "v", FieldValue::Integer(2));
    point(&mut second, "a", 3, "w", FieldValue::Integer(3));
    let mut record = Vec::new();
    block_codec::batch::encode(&second, &mut record).expect("small");
    let written = shard.write(stamp(2), &second, Some(&record), Origin::Client).expect("written");
    assert_eq!((written.rows, written.dropped), (1, 1));
    let reason = written.reason.expect("a conflict").to_string();
    assert_eq!(
        reason,
        "field type conflict: input field \"v\" on measurement \"cpu\" is type integer, already exists as type float"
    );
    let reader = shard.read().expect("usable");
    assert_eq!(reader.fields(b"cpu").len(), 2);
    shard.write(stamp(2), &second, Some(&record), Origin::Replica).expect("written");
    let reader = shard.read().expect("usable");
    assert_eq!(reader.fields(b"cpu")[0], (b"v".to_vec(), vec![FieldType::Float, FieldType::Integer]));
    // Only what was accepted is in the log.
    let before = content(&shard);
    store.close();
    drop(store);
    let store = open(&dir);
    assert_eq!(content(&store.shard(ShardId(1)).expect("found again")), before);
}

#[test]
fn the_later_row_of_one_request_wins() {
    let dir = TempDir::new().expect("a directory");
    let store = open(&dir);
    let shard = shard(&store);
    let mut batch = Batch::default();
    point(&mut batch, "a", 1, "v", FieldValue::Integer(1));
    point(&mut batch, "a", 1, "w", FieldValue::Integer(5));
    point(&mut batch, "a", 1, "v", FieldValue::Integer(2));
    shard.write(stamp(1), &batch, None, Origin::Client).expect("written");
    let reader = shard.read().expect("usable");
    let handle = reader.series(b"cpu", &TagFilter::All)[0].handle;
    let fields = [("v", FieldType::Integer), ("w", FieldType::Integer), ("none", FieldType::Float)];
    let (times, rows) = drain(reader.rows(handle, &fields, TimeRange::ALL, false));
    assert_eq!(times, [1]);
    assert_eq!(rows, [[Some(FieldValue::Integer(2)), Some(FieldValue::Integer(5)), None]]);
}

#[test]
fn a_reader_sees_one_instant() {
    let dir = TempDir::new().expect("a directory");
    let store = open(&dir);
    let shard = shard(&store);
    let mut batch = Batch::default();
    point(&mut batch, "a", 1, "v", FieldValue::Integer(1));
    shard.write(stamp(1), &batch, None, Origin::Client).expect("written");
    let reader = shard.read().expect("usable");
    let mut batch = Batch::default();
    point(&mut batch, "a", 2, "v", FieldValue::Integer(1));
    point(&mut batch, "b", 2, "v", FieldValue::Integer(1));
    shard.write(stamp(2), &batch, None, Origin::Client).expect("written");
    assert_eq!(reader.series(b"cpu", &TagFilter::All).len(), 1);
    assert_eq!(reader.tag_values(b"cpu", b"host", &TagFilter::All), [b"a"]);
    let (times, _) = drain(reader.rows(0, &[("v", FieldType::Integer)], TimeRange::ALL, false));
    assert_eq!(times, [1]);
    let reader = shard.read().expect("usable");
    assert_eq!(reader.series_cardinality(b"cpu", &TagFilter::All), 2);
    assert_eq!(reader.tag_keys(b"cpu"), [b"host"]);
    assert_eq!(reader.measurements(), [b"cpu"]);
}

#[test]
fn shards_are_made_once_and_dropped_whole() {
    let dir = TempDir::new().expect("a directory");
    let store = open(&dir);
    store.create_shard(ShardId(1), "../x", "r p").expect("made");
    store.create_shard(ShardId(1), "../x", "r p").expect("again");
    assert!(store.create_shard(ShardId(1), "db", "rp").is_err());
    assert!(!dir.path().join("x").exists());
    let kept = store.shard(ShardId(1)).expect("there");
    store.drop_shard(ShardId(1)).expect("dropped");
    store.drop_shard(ShardId(1)).expect("again");
    assert_eq!(kept.read().expect_err("dropped").to_string(), "shard 1 is pending deletion");
    store.close();
    drop(store);
    assert!(open(&dir).shards().is_empty());
}

#[test]
fn directories_that_are_not_ours_are_refused_untouched() {
    let dir = TempDir::new().expect("a directory");
    let data = dir.path().join("data");
    std::fs::create_dir(&data).expect("made");
    std::fs::write(data.join("meta.db"), b"x").expect("written");
    let refused = Store::open(Env::real(), StoreConfig::new(&data)).expect_err("foreign");
    assert!(matches!(refused, OpenError::Dir(ClaimError::Foreign { .. })), "{refused}");
    assert_eq!(std::fs::read_dir(&data).expect("listed").count(), 1);

    let store = open_at(&dir, "own").expect("a store");
    assert!(matches!(open_at(&dir, "own"), Err(OpenError::Dir(ClaimError::Locked { .. }))));
    store.close();
    let mark = dir.path().join("own").join("mainstem-store");
    let mut bytes = std::fs::read(&mark).expect("the mark");
    bytes[8] = 2;
    std::fs::write(&mark, &bytes).expect("written");
    assert!(matches!(open_at(&dir, "own"), Err(OpenError::Dir(ClaimError::Newer { found: 2, known: 1, .. }))));
}

#[test]
fn what_a_later_release_wrote_in_a_shard_is_refused_at_once() {
    // Where the version stands is told by a checksum, too: one that does not fit is damage of this shard alone.
    let manifest = |bytes: &mut Vec<u8>, sum_fits: bool| {
        bytes[8] = 2;
        let end = bytes.len() - 4;
        let sum = crc32fast::hash(&bytes[..end]);
        bytes[end..].copy_from_slice(&(sum ^ u32::from(!sum_fits)).to_le_bytes());
    };
    let log = |bytes: &mut Vec<u8>, sum_fits: bool| {
        bytes[8] = 2;
        let sum = crc32fast::hash(&bytes[..12]);
        bytes[12..16].copy_from_slice(&(sum ^ u32::from(!sum_fits)).to_le_bytes());
    };
    let data = |bytes: &mut Vec<u8>, sum_fits: bool| {
        bytes[8] = 2;
        let mut placed = bytes[16..24].to_vec();
        placed.extend_from_slice(&0u64.to_le_bytes());
        placed.extend_from_slice(&bytes[..44]);
        let sum = crc32fast::hash(&placed);
        bytes[44..48].copy_from_slice(&(sum ^ u32::from(!sum_fits)).to_le_bytes());
    };
    type Change<'a> = &'a dyn Fn(&mut Vec<u8>, bool);
    let cases: [(&str, Change<'_>); 3] = [("manifest", &manifest), (".log", &log), (".data", &data)];
    for (end, make_later) in cases {
        for sum_fits in [true, false] {
            let dir = TempDir::new().expect("a directory");
            let store = open(&dir);
            let shard = shard(&store);
            let mut batch = Batch::default();
            point(&mut batch, "a", 1, "v", FieldValue::Integer(1));
            shard.write(stamp(1), &batch, None, Origin::Client).expect("written");
            store.flush_all().expect("flushed");
            let shard_dir = shard.dir().to_owned();
            store.close();
            let found = [shard_dir.clone(), shard_dir.join("log")].iter().find_map(|dir| {
                let mut entries = std::fs::read_dir(dir).expect("listed").map(|entry| entry.expect("read").path());
                entries.find(|path| path.to_string_lossy().ends_with(end))
            });
            let path = found.expect("there is one");
            let mut bytes = std::fs::read(&path).expect("read");
            make_later(&mut bytes, sum_fits);
            std::fs::write(&path, &bytes).expect("written");
            let data_dir = dir.path().join("data");
            let opened = Store::open(Env::real(), StoreConfig::new(&data_dir));
            assert_eq!(storage::check(&Env::real(), &data_dir).is_err(), sum_fits, "{end}");
            match opened {
                Err(OpenError::NewerFile { path: named, found: 2, known: 1 }) if sum_fits => assert_eq!(named, path),
                Ok(_) if !sum_fits => {}
                other => panic!("{end}: {other:?}"),
            }
        }
    }
}

fn open_at(dir: &TempDir, name: &str) -> Result<Store, OpenError> {
    Store::open(Env::real(), StoreConfig::new(dir.path().join(name)))
}

#[test]
fn a_damaged_shard_is_listed_and_the_others_work() {
    let dir = TempDir::new().expect("a directory");
    let store = open(&dir);
    for id in 1..=2 {
        store.create_shard(ShardId(id), "db", "rp").expect("made");
        let mut batch = Batch::default();
        point(&mut batch, "a", 1, "v", FieldValue::Integer(1));
        store.shard(ShardId(id)).expect("made").write(stamp(1), &batch, None, Origin::Client).expect("written");
    }
    let manifest = store.shard(ShardId(1)).expect("made").dir().join("manifest");
    store.close();
    drop(store);
    let mut bytes = std::fs::read(&manifest).expect("a manifest");
    bytes[20] ^= 1;
    std::fs::write(&manifest, &bytes).expect("written");
    let store = open(&dir);
    let infos = store.shards();
    assert!(infos[0].damage.as_ref().is_some_and(|reason| reason.contains("manifest is damaged")), "{infos:?}");
    assert_eq!((infos[0].db.as_str(), infos[0].rp.as_str()), ("db", "rp"));
    assert!(store.shard(ShardId(1)).expect("listed").read().is_err());
    assert_eq!(content(&store.shard(ShardId(2)).expect("whole")).len(), 1);
}

#[test]
fn full_memory_is_flushed_by_the_writer_or_refused() {
    let dir = TempDir::new().expect("a directory");
    let config = StoreConfig { memory_bytes_max: 20_000, ..StoreConfig::new(dir.path().join("data")) };
    let store = Store::open(Env::real(), config).expect("a store");
    let first = shard(&store);
    store.create_shard(ShardId(2), "db", "rp").expect("made");
    let second = store.shard(ShardId(2)).expect("made above");
    let write = |shard: &Shard, clock: u64| {
        let mut batch = Batch::default();
        (0..100).for_each(|row| point(&mut batch, "a", clock as i64 * 1_000 + row, "v", FieldValue::Integer(row)));
        shard.write(stamp(clock), &batch, None, Origin::Client)
    };
    for clock in 0..50 {
        write(&first, clock).expect("the writer makes room");
        assert!(store.memory_bytes() < 30_000);
    }
    // This one has nothing to flush, so it cannot make room.
    while store.memory_bytes() <= 20_000 {
        write(&first, 99).expect("written");
    }
    let refused = write(&second, 1).expect_err("memory is full").to_string();
    assert!(refused.starts_with("cache-max-memory-size exceeded: ("), "{refused}");
    assert!(refused.ends_with("/20000)"), "{refused}");
    store.flush_all().expect("flushed");
    assert_eq!(store.memory_bytes(), 0);
    write(&second, 1).expect("there is room");
    assert!(content(&first).values().map(Vec::len).sum::<usize>() >= 5_000);
}

#[test]
fn maintenance_flushes_merges_and_keeps_the_log_short() {
    let dir = TempDir::new().expect("a directory");
    let config =
        StoreConfig { flush_bytes: 1, wal_segment_bytes: 4 << 10, ..StoreConfig::new(dir.path().join("data")) };
    let store = Store::open(Env::real(), config).expect("a store");
    let shard = shard(&store);
    let mut merged = 0;
    for clock in 0..20 {
        let mut batch = Batch::default();
        (0..50).for_each(|row| point(&mut batch, "a", clock as i64 * 50 + row, "v", FieldValue::Integer(row)));
        shard.write(stamp(clock), &batch, None, Origin::Client).expect("written");
        let done = store.maintain();
        assert!(done.errors.is_empty(), "{done:?}");
        assert_eq!(done.flushed, 1);
        merged += done.compacted;
    }
    assert!(merged >= 5);
    let names: Vec<String> = std::fs::read_dir(shard.dir())
        .expect("listed")
        .map(|entry| entry.expect("listed").file_name().to_string_lossy().into_owned())
        .collect();
    assert!(names.iter().filter(|name| name.ends_with(".data")).count() < 4, "{names:?}");
    let log: u64 = std::fs::read_dir(shard.dir().join("log"))
        .expect("listed")
        .map(|entry| entry.expect("listed").metadata().expect("there").len())
        .sum();
    assert!(log < 10_000, "{log} bytes of log");
    assert_eq!(content(&shard).values().map(Vec::len).sum::<usize>(), 1_000);
}
