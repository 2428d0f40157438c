//! The power goes, the disk refuses, the disk is full: at every operation, on a simulated disk.

use std::path::Path;
use std::sync::Arc;

use env::Env;
use env::simulated::{Effect, Fuse, LossModel, OpKind, SimClock, SimDisk};
use model::{Batch, FieldValue, ShardId, Stamp, Timestamp};
use storage::{Origin, Shard, ShardError, Store, StoreConfig, WriteError};

use crate::oracle::{Content, Oracle, content, stamp, tags};

const SHARD: ShardId = ShardId(3);

fn env(disk: &SimDisk) -> Env {
    Env::simulated(1, &SimClock::new(Timestamp(0)), disk)
}

fn config() -> StoreConfig {
    StoreConfig { compact_files: 2, wal_segment_bytes: 4 << 10, ..StoreConfig::new("/data/store") }
}

/// Rows that no other write has.
fn write(number: u64) -> (Stamp, Batch) {
    let mut batch = Batch::default();
    for row in 0..12 {
        let time = (number * 100 + row) as i64;
        let host = format!("h{}", row % 3);
        let fields = [
            (b"v".as_slice(), FieldValue::Float(time as f64 / 8.0)),
            (b"s".as_slice(), FieldValue::String(format!("write {number}").into_bytes())),
        ];
        batch.push_point(b"cpu", &tags(&[("host", &host)]), time, &fields);
    }
    (stamp(1_000 - number), batch)
}

/// What a client knows of its writes.
#[derive(Clone, Debug, Default)]
struct Client {
    acked: Vec<u64>,
    unknown: Vec<u64>,
    next: u64,
}

impl Client {
    /// Writes once. Tells whether it was acked.
    fn write(&mut self, shard: &Shard) -> Result<(), WriteError> {
        let number = self.next;
        self.next += 1;
        let (stamp, batch) = write(number);
        let result = shard.write(stamp, &batch, None, Origin::Client).map(|_| ());
        match &result {
            Ok(()) => self.acked.push(number),
            Err(_) => self.unknown.push(number),
        }
        result
    }

    /// Every acked write is there, every other wholly or not at all, and there is nothing else.
    #[track_caller]
    fn check(&self, found: &Content, story: &str) {
        let mut oracle = Oracle::default();
        for number in &self.acked {
            let (stamp, batch) = write(*number);
            oracle.write(stamp, &batch);
        }
        for number in &self.unknown {
            let (stamp, batch) = write(*number);
            let first = batch.points().next().map(|point| point.time);
            if found.values().flatten().any(|(time, _)| Some(*time) == first) {
                oracle.write(stamp, &batch);
            }
        }
        assert!(
            *found == oracle.content(),
            "{story}: {self:?} found {:?}",
            found.values().map(Vec::len).collect::<Vec<_>>()
        );
    }
}

/// Opens, writes, flushes and merges. With `go_on` errors are noted and the story continues; else it ends with them.
fn story(disk: &SimDisk, client: &mut Client, created: &mut bool, go_on: bool) -> Option<()> {
    let keep = |ok: bool| (ok || go_on).then_some(());
    let store = Store::open(env(disk), config()).ok()?;
    let made = store.create_shard(SHARD, "db", "rp").is_ok();
    *created |= made;
    keep(made)?;
    if !made {
        *created |= store.create_shard(SHARD, "db", "rp").is_ok();
    }
    let shard: Arc<Shard> = store.shard(SHARD)?;
    for round in 0..9 {
        keep(client.write(&shard).is_ok())?;
        keep(client.write(&shard).is_ok())?;
        if round % 2 == 0 {
            keep(shard.flush().is_ok())?;
        }
        if round % 3 == 2 {
            keep(shard.compact().is_ok())?;
        }
        if round == 4 {
            keep(store.create_shard(ShardId(9), "db", "other").is_ok())?;
            keep(store.drop_shard(ShardId(9)).is_ok())?;
        }
    }
    keep(store.flush_all().is_ok())?;
    keep(client.write(&shard).is_ok())?;
    store.close();
    Some(())
}

/// Opens what is left, compares, writes on, and does it again.
#[track_caller]
fn check_after(disk: &SimDisk, client: &Client, created: bool, story: &str) {
    let mut client = client.clone();
    for _ in 0..2 {
        let store = Store::open(env(disk), config()).unwrap_or_else(|error| panic!("{story}: {error}"));
        for info in store.shards() {
            assert_eq!(info.damage, None, "{story}");
        }
        assert!(!created || store.shard(SHARD).is_some(), "{story}: the shard is gone");
        store.create_shard(SHARD, "db", "rp").unwrap_or_else(|error| panic!("{story}: {error}"));
        let shard = store.shard(SHARD).expect("made above");
        client.check(&content(&shard), story);
        client.write(&shard).unwrap_or_else(|error| panic!("{story}: {error}"));
        shard.flush().unwrap_or_else(|error| panic!("{story}: {error}"));
        client.write(&shard).unwrap_or_else(|error| panic!("{story}: {error}"));
        client.check(&content(&shard), story);
        drop((store, shard));
        disk.crash(LossModel::LoseAll);
    }
}

/// How many operations of these kinds the story has.
fn count(kinds: &[OpKind]) -> u64 {
    let disk = SimDisk::new(1);
    story(&disk, &mut Client::default(), &mut false, false).expect("nothing fails");
    let counts = disk.counts();
    kinds
        .iter()
        .map(|kind| match kind {
            OpKind::Read => counts.reads,
            OpKind::Write => counts.writes,
            OpKind::Sync => counts.syncs,
            OpKind::Name => counts.names,
        })
        .sum()
}

#[test]
fn a_power_cut_at_any_operation_loses_nothing_acked() {
    let changes = count(Fuse::CHANGES);
    assert!(changes > 120, "{changes} operations");
    for after in 0..changes {
        for (seed, loss) in (1..).zip(LossModel::ALL) {
            // The gentle ones find less; they take turns.
            if matches!(loss, LossModel::KeepAll | LossModel::TornLast) && (after + seed) % 4 != 0 {
                continue;
            }
            let disk = SimDisk::new(after * 7 + seed);
            disk.arm(Fuse { kinds: Fuse::CHANGES, after, effect: Effect::PowerOff });
            let (mut client, mut created) = (Client::default(), false);
            let end = story(&disk, &mut client, &mut created, false);
            assert!(end.is_none() || after + 8 > changes, "the power went at operation {after}");
            disk.crash(loss);
            check_after(&disk, &client, created, &format!("power off at {after}, {loss:?}"));
        }
    }
}

#[test]
fn a_power_cut_while_a_flush_gives_back_segments_loses_nothing_acked() {
    let log = Path::new("/data/store/db/rp/3/log");
    let mut after = 0;
    let mut is_over = false;
    while !is_over {
        for loss in [LossModel::LoseAll, LossModel::KeepAll, LossModel::Random] {
            let disk = SimDisk::new(after);
            let store = Store::open(env(&disk), config()).expect("a store");
            store.create_shard(SHARD, "db", "rp").expect("made");
            let shard = store.shard(SHARD).expect("made above");
            let mut client = Client::default();
            (0..60).for_each(|_| client.write(&shard).expect("written"));
            // What is in memory stands in several files of the log.
            assert!(env(&disk).fs().list(log).expect("listed").len() > 2);
            disk.arm(Fuse { kinds: Fuse::CHANGES, after, effect: Effect::PowerOff });
            is_over = shard.flush().is_ok() && !disk.is_off();
            drop((store, shard));
            disk.crash(loss);
            check_after(&disk, &client, true, &format!("power off at operation {after} of a flush, {loss:?}"));
        }
        after += 1;
    }
    assert!(after > 8, "{after} operations");
}

#[test]
fn a_power_cut_while_recovering_loses_nothing_acked() {
    for first in (5..count(Fuse::CHANGES)).step_by(9) {
        for second in 0..8 {
            let disk = SimDisk::new(first);
            disk.arm(Fuse { kinds: Fuse::CHANGES, after: first, effect: Effect::PowerOff });
            let (mut client, mut created) = (Client::default(), false);
            story(&disk, &mut client, &mut created, false);
            disk.crash(LossModel::Random);
            disk.arm(Fuse { kinds: Fuse::CHANGES, after: second, effect: Effect::PowerOff });
            if let Ok(store) = Store::open(env(&disk), config())
                && let Some(shard) = store.shard(SHARD)
            {
                let _ = shard.read();
            }
            disk.crash(LossModel::Random);
            check_after(&disk, &client, created, &format!("power off at {first}, then at {second}"));
        }
    }
}

#[test]
fn an_error_at_any_operation_loses_nothing_acked() {
    for kind in [OpKind::Write, OpKind::Sync, OpKind::Name, OpKind::Read] {
        let kinds: &'static [OpKind] = match kind {
            OpKind::Write => &[OpKind::Write],
            OpKind::Sync => &[OpKind::Sync],
            OpKind::Name => &[OpKind::Name],
            OpKind::Read => &[OpKind::Read],
        };
        for after in 0..count(kinds) {
            let disk = SimDisk::new(after + 1);
            disk.arm(Fuse { kinds, after, effect: Effect::FailOnce });
            let (mut client, mut created) = (Client::default(), false);
            let end = story(&disk, &mut client, &mut created, true);
            disk.disarm();
            let name = format!("{kind:?} {after} failed");
            // Only the very first steps have nothing to go on with.
            assert!(end.is_some() || client.next == 0, "{name}");
            assert!(client.unknown.len() <= 2, "{name}: writes go on after one error, {client:?}");
            disk.crash(LossModel::LoseAll);
            check_after(&disk, &client, created, &name);
        }
    }
}

#[test]
fn a_dead_disk_fails_writes_and_loses_nothing_acked() {
    for after in (10..count(Fuse::CHANGES)).step_by(11) {
        let disk = SimDisk::new(after);
        disk.arm(Fuse { kinds: Fuse::CHANGES, after, effect: Effect::FailForever });
        let (mut client, mut created) = (Client::default(), false);
        story(&disk, &mut client, &mut created, true);
        disk.disarm();
        disk.crash(LossModel::Random);
        check_after(&disk, &client, created, &format!("dead from operation {after}"));
    }
}

#[test]
fn a_full_disk_refuses_a_new_shard_as_it_refuses_writes() {
    let disk = SimDisk::new(1);
    let store = Store::open(env(&disk), config()).expect("a store");
    disk.set_bytes_max(Some(0));
    let error = store.create_shard(SHARD, "db", "rp").expect_err("no space");
    assert!(matches!(error, ShardError::DiskFull), "{error}");
    assert_eq!(error.to_string(), WriteError::DiskFull.to_string());
    assert!(store.is_disk_full());
    disk.set_bytes_max(None);
    store.create_shard(SHARD, "db", "rp").expect("there is space again");
    Client::default().write(&store.shard(SHARD).expect("made above")).expect("written");
}

#[test]
fn a_full_disk_refuses_and_recovers() {
    for room in [10_000, 14_000, 20_000, 31_000] {
        let disk = SimDisk::new(room);
        let store = Store::open(env(&disk), config()).expect("a store");
        store.create_shard(SHARD, "db", "rp").expect("made");
        let shard = store.shard(SHARD).expect("made above");
        let mut client = Client::default();
        client.write(&shard).expect("written");
        disk.set_bytes_max(Some(room));
        let mut refused = 0;
        while refused < 5 {
            match client.write(&shard) {
                Ok(()) => {}
                Err(WriteError::DiskFull) => refused += 1,
                Err(other) => panic!("{other}"),
            }
            if client.next % 20 == 7 {
                let _ = shard.flush();
            }
            assert!(client.next < 1_000, "the disk fills up");
        }
        assert!(store.is_disk_full());
        let _ = shard.flush();
        let _ = shard.compact();
        // Reading goes on.
        client.check(&content(&shard), "full");
        disk.set_bytes_max(None);
        assert!(!store.is_disk_full(), "it is worth another try, although nobody tried");
        disk.set_bytes_max(Some(room));
        while store.is_disk_full() {
            // Flushing may have made room for a few.
            if client.write(&shard).is_err() {
                disk.set_bytes_max(None);
            }
        }
        client.write(&shard).expect("there is space again");
        assert!(!store.is_disk_full());
        shard.flush().expect("there is space again");
        client.write(&shard).expect("written");
        client.check(&content(&shard), "with space again");
        drop((store, shard));
        disk.crash(LossModel::LoseAll);
        check_after(&disk, &client, true, "after a full disk");
    }
}
