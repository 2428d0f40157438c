//! What the simulated disk keeps and what it loses.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use crate::simulated::{Effect, Fuse, LossModel, OpKind, SECTOR_BYTES, SimDisk};
use crate::{File, Fs, OpenMode};

fn path(name: &str) -> &Path {
    Path::new(name)
}

fn create(disk: &SimDisk, name: &str, bytes: &[u8]) -> Arc<dyn File> {
    let file = disk.open(path(name), OpenMode::Create).expect("created");
    file.write_at(0, bytes).expect("written");
    file
}

/// A durable file with these bytes.
fn settle(disk: &SimDisk, name: &str, bytes: &[u8]) -> Arc<dyn File> {
    let file = create(disk, name, bytes);
    file.sync().expect("synced");
    disk.sync_dir(path(name).parent().expect("a parent")).expect("synced");
    file
}

fn contents(disk: &SimDisk, name: &str) -> Option<Vec<u8>> {
    disk.read(path(name)).ok()
}

/// What a crash by chance can leave, over many seeds.
fn outcomes<T: Ord>(disk: &SimDisk, loss: LossModel, look: impl Fn(&SimDisk) -> T) -> BTreeSet<T> {
    let look_after = |seed| {
        let disk = disk.fork(seed);
        disk.crash(loss);
        look(&disk)
    };
    (0..300).map(look_after).collect()
}

#[test]
fn what_was_synced_survives_every_crash() {
    for loss in LossModel::ALL {
        let disk = SimDisk::new(7);
        disk.create_dir_durable(path("/a/b")).expect("made");
        settle(&disk, "/a/b/f", b"synced");
        create(&disk, "/a/b/g", b"not synced");
        disk.crash(loss);
        assert_eq!(contents(&disk, "/a/b/f").as_deref(), Some(&b"synced"[..]), "{loss:?}");
    }
}

#[test]
fn what_was_not_synced_is_kept_or_lost_as_the_model_says() {
    let disk = SimDisk::new(7);
    create(&disk, "/f", b"bytes");
    let kept = disk.fork(1);
    kept.crash(LossModel::KeepAll);
    assert_eq!(contents(&kept, "/f").as_deref(), Some(&b"bytes"[..]));
    let lost = disk.fork(1);
    lost.crash(LossModel::LoseAll);
    assert_eq!(contents(&lost, "/f"), None);
}

#[test]
fn a_synced_file_without_a_synced_name_is_lost() {
    let disk = SimDisk::new(7);
    create(&disk, "/f", b"bytes").sync().expect("synced");
    disk.crash(LossModel::LoseAll);
    assert_eq!(contents(&disk, "/f"), None);
}

#[test]
fn a_synced_name_without_synced_contents_is_empty() {
    let disk = SimDisk::new(7);
    create(&disk, "/f", b"bytes");
    disk.sync_dir(path("/")).expect("synced");
    disk.crash(LossModel::LoseAll);
    assert_eq!(contents(&disk, "/f").as_deref(), Some(&b""[..]));
}

#[test]
fn a_directory_is_lost_with_all_it_holds_unless_its_parent_was_synced() {
    let disk = SimDisk::new(7);
    disk.create_dir_all(path("/a/b")).expect("made");
    settle(&disk, "/a/b/f", b"bytes");
    disk.crash(LossModel::LoseAll);
    assert!(!disk.exists(path("/a")).expect("looked"));
}

#[test]
fn random_loss_takes_sectors_and_lengths_apart() {
    let disk = SimDisk::new(7);
    let file = settle(&disk, "/f", &[b'o'; 2 * SECTOR_BYTES]);
    file.write_at(0, &[b'n'; 3 * SECTOR_BYTES]).expect("written");
    let seen = outcomes(&disk, LossModel::Random, |disk| {
        let bytes = contents(disk, "/f").expect("it has a durable name");
        for sector in bytes.chunks(SECTOR_BYTES) {
            assert!(sector.iter().all(|byte| *byte == sector[0]), "a sector is old or new");
        }
        bytes.iter().step_by(SECTOR_BYTES).map(|byte| *byte as char).collect::<String>()
    });
    // A third sector is there or not; if it is, its contents may be missing all the same.
    for want in ["oo", "no", "on", "nn", "nnn", "oon", "nn\0"] {
        assert!(seen.contains(want), "{want:?} in {seen:?}");
    }
}

#[test]
fn random_loss_keeps_the_order_within_a_sector() {
    let disk = SimDisk::new(7);
    let file = settle(&disk, "/f", b"00");
    file.write_at(0, b"1").expect("written");
    file.write_at(1, b"2").expect("written");
    let seen = outcomes(&disk, LossModel::Random, |disk| contents(disk, "/f").expect("there"));
    assert_eq!(seen, BTreeSet::from([b"00".to_vec(), b"10".to_vec(), b"12".to_vec()]));
}

#[test]
fn a_lost_cut_brings_old_bytes_back() {
    let disk = SimDisk::new(7);
    let file = settle(&disk, "/f", &[b'o'; 1024]);
    file.set_len(10).expect("cut");
    file.write_at(10, b"new").expect("written");
    let seen = outcomes(&disk, LossModel::Random, |disk| contents(disk, "/f").expect("there").len());
    assert!(seen.contains(&1024) && seen.contains(&10) && seen.contains(&13), "{seen:?}");
}

#[test]
fn the_last_write_is_torn_at_a_sector() {
    let disk = SimDisk::new(7);
    let file = settle(&disk, "/f", &[b'o'; 100]);
    file.write_at(100, &[b'a'; 100]).expect("written");
    file.write_at(200, &[b'b'; 1500]).expect("written");
    let seen = outcomes(&disk, LossModel::TornLast, |disk| contents(disk, "/f").expect("there").len());
    assert_eq!(seen, BTreeSet::from([200, 512, 1024, 1536]));
}

#[test]
fn renames_are_atomic() {
    let disk = SimDisk::new(7);
    disk.create_dir_durable(path("/a")).expect("made");
    disk.create_dir_durable(path("/b")).expect("made");
    settle(&disk, "/a/f", b"new");
    settle(&disk, "/b/f", b"old");
    disk.rename(path("/a/f"), path("/b/f")).expect("renamed");
    for loss in LossModel::ALL {
        let seen = outcomes(&disk, loss, |disk| (contents(disk, "/a/f"), contents(disk, "/b/f")));
        let before = (Some(b"new".to_vec()), Some(b"old".to_vec()));
        let after = (None, Some(b"new".to_vec()));
        assert!(seen.iter().all(|it| *it == before || *it == after), "{loss:?} {seen:?}");
        assert_eq!(seen.len(), if loss == LossModel::Random { 2 } else { 1 });
    }
    for dir in ["/a", "/b"] {
        let disk = disk.fork(1);
        disk.sync_dir(path(dir)).expect("synced");
        disk.crash(LossModel::LoseAll);
        assert_eq!((contents(&disk, "/a/f"), contents(&disk, "/b/f")), (None, Some(b"new".to_vec())));
    }
}

#[test]
fn names_reach_the_disk_in_any_order_but_one_name_in_its_own() {
    let disk = SimDisk::new(7);
    create(&disk, "/f", b"").sync().expect("synced");
    create(&disk, "/g", b"").sync().expect("synced");
    disk.remove_file(path("/f")).expect("removed");
    let seen = outcomes(&disk, LossModel::Random, |disk| {
        (disk.exists(path("/f")).expect("looked"), disk.exists(path("/g")).expect("looked"))
    });
    assert_eq!(seen.len(), 4, "{seen:?}");
}

#[test]
fn a_tree_is_removed_from_the_leaves_on() {
    let disk = SimDisk::new(7);
    disk.create_dir_durable(path("/d/e")).expect("made");
    settle(&disk, "/d/f", b"1");
    settle(&disk, "/d/e/g", b"2");
    disk.remove_dir_all(path("/d")).expect("removed");
    let seen = outcomes(&disk, LossModel::Random, |disk| {
        ["/d", "/d/f", "/d/e", "/d/e/g"].map(|name| disk.exists(path(name)).expect("looked"))
    });
    assert!(seen.contains(&[true, false, true, true]) && seen.contains(&[false; 4]), "{seen:?}");
    disk.sync_dir(path("/")).expect("synced");
    disk.crash(LossModel::LoseAll);
    assert!(!disk.exists(path("/d")).expect("looked"));
}

#[test]
fn handles_and_locks_die_with_the_host() {
    for kill in [true, false] {
        let disk = SimDisk::new(7);
        let file = settle(&disk, "/f", b"bytes");
        let lock = disk.lock(path("/"), "lock").expect("free");
        if kill {
            disk.kill();
        } else {
            disk.crash(LossModel::KeepAll);
        }
        assert!(file.read_at(0, &mut [0]).is_err() && file.write_at(0, b"x").is_err() && file.sync().is_err());
        let _second = disk.lock(path("/"), "lock").expect("free again");
        drop(lock);
        assert!(disk.lock(path("/"), "lock").is_err(), "the dead lock's end does not free the living one");
    }
}

#[test]
fn the_end_of_a_process_forgets_nothing() {
    let disk = SimDisk::new(7);
    create(&disk, "/f", b"bytes");
    disk.kill();
    assert_eq!(contents(&disk, "/f").as_deref(), Some(&b"bytes"[..]));
    disk.crash(LossModel::LoseAll);
    assert_eq!(contents(&disk, "/f"), None);
}

#[test]
fn a_fuse_fails_the_nth_operation_of_its_kinds() {
    let disk = SimDisk::new(7);
    let file = settle(&disk, "/f", b"bytes");
    disk.arm(Fuse { kinds: &[OpKind::Sync], after: 1, effect: Effect::FailOnce });
    assert!(file.sync().is_ok() && file.write_at(0, b"x").is_ok());
    assert!(disk.sync_dir(path("/")).is_err());
    assert!(file.sync().is_ok());
    disk.arm(Fuse { kinds: Fuse::CHANGES, after: 0, effect: Effect::FailForever });
    assert!(file.sync().is_err() && file.write_at(0, b"x").is_err() && file.set_len(0).is_err());
    assert!(disk.remove_file(path("/f")).is_err() && contents(&disk, "/f").is_some());
    disk.disarm();
    assert!(disk.remove_file(path("/f")).is_ok());
    disk.arm(Fuse { kinds: &[OpKind::Read], after: 0, effect: Effect::FailOnce });
    assert!(disk.list(path("/")).is_err() && disk.list(path("/")).is_ok());
}

#[test]
fn without_power_nothing_works_until_the_crash() {
    let disk = SimDisk::new(7);
    let file = settle(&disk, "/f", b"old");
    disk.arm(Fuse { kinds: Fuse::CHANGES, after: 0, effect: Effect::PowerOff });
    assert!(file.write_at(0, b"new").is_err());
    assert!(disk.is_off());
    assert!(file.sync().is_err() && file.read_at(0, &mut [0]).is_err() && disk.list(path("/")).is_err());
    // The write was under way: it may have arrived.
    let seen = outcomes(&disk, LossModel::Random, |disk| contents(disk, "/f").expect("there"));
    assert_eq!(seen, BTreeSet::from([b"new".to_vec(), b"old".to_vec()]));
    disk.crash(LossModel::LoseAll);
    assert_eq!(contents(&disk, "/f").as_deref(), Some(&b"old"[..]));
}

#[test]
fn after_a_failed_sync_a_good_one_may_prove_nothing() {
    let lost_in_spite = (0..50).any(|seed| {
        let disk = SimDisk::new(seed);
        let file = settle(&disk, "/f", b"old");
        file.write_at(0, b"new").expect("written");
        disk.arm(Fuse { kinds: &[OpKind::Sync], after: 0, effect: Effect::FailOnce });
        assert!(file.sync().is_err() && file.sync().is_ok());
        assert_eq!(contents(&disk, "/f").as_deref(), Some(&b"new"[..]));
        disk.crash(LossModel::KeepAll);
        contents(&disk, "/f").as_deref() == Some(b"old")
    });
    assert!(lost_in_spite);
    let disk = SimDisk::new(7);
    let file = settle(&disk, "/f", b"old");
    disk.arm(Fuse { kinds: &[OpKind::Sync], after: 0, effect: Effect::FailForever });
    file.write_at(0, b"new").expect("written");
    assert!(file.sync().is_err());
    disk.disarm();
    // Writing the same bytes once more is what helps.
    file.write_at(0, b"new").expect("written");
    file.sync().expect("synced");
    disk.crash(LossModel::LoseAll);
    assert_eq!(contents(&disk, "/f").as_deref(), Some(&b"new"[..]));
}

#[test]
fn a_full_disk_takes_what_fits() {
    let disk = SimDisk::new(7);
    let file = create(&disk, "/f", b"123");
    disk.set_bytes_max(Some(5));
    assert_eq!(disk.free_bytes(path("/")).expect("known"), 2);
    let error = file.write_at(3, b"4567").expect_err("no room");
    assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
    assert_eq!(contents(&disk, "/f").as_deref(), Some(&b"12345"[..]));
    assert!(file.write_at(0, b"abcde").is_ok(), "overwriting needs no room");
    assert!(file.allocate(6).is_err() && file.len().expect("known") == 5);
    disk.remove_file(path("/f")).expect("removed");
    assert_eq!(disk.used_bytes(), 0);
    create(&disk, "/g", b"12345");
    disk.set_bytes_max(None);
    create(&disk, "/h", b"12345");
}

#[test]
fn rot_is_seen_at_once_and_after_a_crash() {
    let disk = SimDisk::new(7);
    settle(&disk, "/f", b"\0\0\0");
    disk.flip(path("/f"), 1, 3).expect("flipped");
    disk.poke(path("/f"), 2, b"xyz").expect("poked");
    assert_eq!(contents(&disk, "/f").as_deref(), Some(&b"\0\x08x"[..]));
    disk.crash(LossModel::LoseAll);
    assert_eq!(disk.files()[path("/f")], b"\0\x08x");
}

#[test]
fn operations_are_counted() {
    let disk = SimDisk::new(7);
    settle(&disk, "/f", b"bytes");
    disk.rename(path("/f"), path("/g")).expect("renamed");
    let counts = disk.counts();
    assert_eq!((counts.writes, counts.syncs, counts.names), (1, 2, 2));
    assert_eq!(counts.changes(), 5);
    assert!(counts.all() >= counts.changes());
}

#[test]
fn a_lying_disk_loses_what_it_confirmed() {
    let disk = SimDisk::new(7);
    disk.ignore_file_syncs(true);
    settle(&disk, "/f", b"bytes");
    disk.ignore_file_syncs(false);
    disk.ignore_dir_syncs(true);
    settle(&disk, "/g", b"bytes");
    disk.crash(LossModel::LoseAll);
    assert_eq!((contents(&disk, "/f").as_deref(), contents(&disk, "/g")), (Some(&b""[..]), None));
}

#[test]
fn errors_can_come_at_a_rate() {
    let disk = SimDisk::new(7);
    let file = create(&disk, "/f", b"");
    disk.set_error_rate(OpKind::Write, 300);
    let failed = (0..1000).filter(|_| file.write_at(0, b"x").is_err()).count();
    assert!((200..400).contains(&failed), "{failed}");
    disk.set_error_rate(OpKind::Write, 0);
    assert!((0..100).all(|_| file.write_at(0, b"x").is_ok()));
}

#[test]
fn the_same_seed_gives_the_same_fate() {
    let fate = |seed| {
        let disk = SimDisk::new(seed);
        for name in ["/a", "/b", "/c", "/d"] {
            create(&disk, name, &[1; 3000]);
        }
        disk.crash(LossModel::Random);
        disk.files()
    };
    assert_eq!(fate(5), fate(5));
    assert!((0..20).any(|seed| fate(seed) != fate(5)));
}
