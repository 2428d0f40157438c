//! Shards get other numbers, and the power goes at every operation of that.

use std::collections::BTreeMap;
use std::path::Path;

use env::Env;
use env::simulated::{Effect, Fuse, LossModel, SimClock, SimDisk};
use model::{Batch, FieldValue, ShardId, Timestamp};
use storage::{Origin, Store, StoreConfig, put_in_place, set_aside};

use crate::oracle::{Content, content, stamp, tags};

const DIR: &str = "/data/store";
/// What the caller keeps: whether the first step is over.
const NOTE: &str = "/data/note";

fn env(disk: &SimDisk) -> Env {
    Env::simulated(1, &SimClock::new(Timestamp(0)), disk)
}

/// Old and new numbers meet, in one policy and across.
fn numbers() -> BTreeMap<ShardId, ShardId> {
    [(1, 3), (2, 1), (3, 4), (5, 2)].map(|(old, new)| (ShardId(old), ShardId(new))).into()
}

/// Five shards of three policies, each with rows in files and in its log; the fourth is to go.
fn store(disk: &SimDisk) -> BTreeMap<ShardId, Content> {
    let store = Store::open(env(disk), StoreConfig::new(DIR)).expect("opened");
    let mut contents = BTreeMap::new();
    for (id, rp) in [(1, "a"), (2, "a"), (3, "a"), (4, "b/c"), (5, "c")] {
        store.create_shard(ShardId(id), "db", rp).expect("made");
        let shard = store.shard(ShardId(id)).expect("made");
        for round in 0..3 {
            let mut batch = Batch::default();
            let fields = [(b"v".as_slice(), FieldValue::Integer(id as i64))];
            batch.push_point(b"m", &tags(&[("shard", &id.to_string())]), round, &fields);
            shard.write(stamp(9 + round as u64), &batch, None, Origin::Client).expect("written");
            if round == 1 {
                shard.flush().expect("flushed");
            }
        }
        shard.set_mark(b"mark").expect("kept");
        contents.insert(ShardId(id), content(&shard));
    }
    store.close();
    contents
}

/// All of it, as far as it comes.
fn renumber(disk: &SimDisk) -> Option<()> {
    let env = env(disk);
    if !env.fs().exists(Path::new(NOTE)).ok()? {
        set_aside(&env, Path::new(DIR), &numbers()).ok()?;
        env.fs().replace(Path::new(NOTE), b"aside").ok()?;
    }
    put_in_place(&env, Path::new(DIR)).ok()
}

#[track_caller]
fn check(disk: &SimDisk, before: &BTreeMap<ShardId, Content>, story: &str) {
    let store = Store::open(env(disk), StoreConfig::new(DIR)).unwrap_or_else(|error| panic!("{story}: {error}"));
    let found: Vec<_> = store.shards().iter().map(|info| (info.id, info.rp.clone(), info.damage.clone())).collect();
    let wanted = [(1, "a"), (2, "c"), (3, "a"), (4, "a")].map(|(id, rp)| (ShardId(id), rp.to_owned(), None));
    assert_eq!(found, wanted, "{story}");
    for (old, new) in numbers() {
        let shard = store.shard(new).expect("listed");
        assert_eq!(content(&shard), before[&old], "{story}: {old} is {new}");
        assert_eq!(shard.mark().expect("whole"), Some(b"mark".to_vec()), "{story}");
        // It goes on under its number.
        let mut batch = Batch::default();
        batch.push_point(b"m", &tags(&[]), 77, &[(b"v".as_slice(), FieldValue::Integer(1))]);
        shard.write(stamp(99), &batch, None, Origin::Client).expect("written");
        shard.flush().expect("flushed");
        shard.compact().expect("merged");
    }
    store.close();
}

#[test]
fn shards_get_other_numbers_with_all_they_hold() {
    let disk = SimDisk::new(1);
    let before = store(&disk);
    renumber(&disk).expect("nothing fails");
    disk.crash(LossModel::LoseAll);
    renumber(&disk).expect("again there is nothing to do");
    check(&disk, &before, "without a crash");
}

#[test]
fn a_power_cut_at_any_operation_of_it_leaves_what_the_next_try_ends() {
    let disk = SimDisk::new(1);
    store(&disk);
    let changes = disk.counts().changes();
    renumber(&disk).expect("nothing fails");
    let changes = disk.counts().changes() - changes;
    assert!(changes > 30, "{changes}");
    for loss in LossModel::ALL {
        for after in 0..changes {
            let disk = SimDisk::new(after + 1);
            let before = store(&disk);
            disk.arm(Fuse { kinds: Fuse::CHANGES, after, effect: Effect::PowerOff });
            assert_eq!(renumber(&disk), None, "{loss:?}, the power went at {after}");
            disk.crash(loss);
            // And once more on the way back.
            disk.arm(Fuse { kinds: Fuse::CHANGES, after: changes / 3, effect: Effect::PowerOff });
            let _ = renumber(&disk);
            disk.crash(loss);
            let story = format!("{loss:?}, the power went at {after}");
            renumber(&disk).unwrap_or_else(|| panic!("{story}"));
            disk.crash(LossModel::LoseAll);
            check(&disk, &before, &story);
        }
    }
}

#[test]
fn a_damaged_shard_is_as_damaged_under_its_new_number() {
    let disk = SimDisk::new(1);
    store(&disk);
    disk.flip(Path::new("/data/store/db/a/2/manifest"), 9, 3).expect("there");
    renumber(&disk).expect("the others are fine");
    let store = Store::open(env(&disk), StoreConfig::new(DIR)).expect("opened");
    let damaged: Vec<_> = store.shards().into_iter().filter(|info| info.damage.is_some()).map(|info| info.id).collect();
    assert_eq!(damaged, [ShardId(1)]);
    assert_eq!(store.shards().len(), 4);
}

#[test]
fn a_node_without_a_store_has_nothing_to_renumber() {
    let disk = SimDisk::new(1);
    set_aside(&env(&disk), Path::new(DIR), &numbers()).expect("nothing");
    put_in_place(&env(&disk), Path::new(DIR)).expect("nothing");
    assert!(!env(&disk).fs().exists(Path::new(DIR)).expect("looked at"));
}
