//! What queues take, hand out, keep and drop.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use env::simulated::{Effect, Fuse, LossModel, OpKind};
use env::{ClaimError, Env, Fs, OpenMode};
use model::{NodeId, ShardId};

use super::{DIR, NODE, SHARD, World, config, take_all, texts};
use crate::{Config, Counts, HandoffError, MarkReason, OpenError, Queues};

fn counts(queues: &Queues) -> Counts {
    let mut sum = Counts::default();
    queues.stats().iter().for_each(|stats| sum.add(&stats.counts));
    sum
}

fn marks(queues: &Queues) -> Vec<(u64, u64)> {
    queues.needs_repair().iter().map(|mark| (mark.node.0, mark.shard.0)).collect()
}

#[tokio::test(start_paused = true)]
async fn entries_come_out_in_order_and_stay_until_they_are_done() {
    let world = World::new(1);
    let queues = world.queues();
    for text in ["a", "", "c"] {
        queues.append(NODE, SHARD, text.as_bytes()).expect("queued");
    }
    queues.append(NODE, ShardId(8), b"other shard").expect("queued");
    queues.append(NodeId(3), SHARD, b"other node").expect("queued");
    let pending = queues.pending(NODE);
    assert_eq!((pending.shards, pending.entries), (2, 4));
    assert!(pending.bytes > 0 && pending.oldest == Some(world.env().now()) && pending.head < pending.tail);
    assert_eq!(queues.nodes(), [NODE, NodeId(3)]);
    assert_eq!(texts(&take_all(&queues, NodeId(3))), ["other node"]);

    let blocks = take_all(&queues, NODE);
    assert_eq!(texts(&blocks), ["a", "other shard", "", "c"], "shards take turns");
    assert!(queues.next_block(NODE, SHARD).expect("reads").is_none(), "all are on their way");
    queues.advance(blocks[2].token).expect("noted");
    queues.give_back(blocks[0].token);
    queues.retry_later(blocks[3].token).expect("noted");
    assert_eq!(queues.pending(NODE).entries, 4, "a hole does not move the head");
    assert_eq!(texts(&take_all(&queues, NODE)), ["a"], "the other one waits for its time");
    tokio::time::advance(Duration::from_secs(2)).await;
    let again = take_all(&queues, NODE);
    assert_eq!((texts(&again), again[0].attempts), (vec!["c".to_owned()], 1));
    queues.advance(again[0].token).expect("noted");
    queues.advance(again[0].token).expect("a second time is ignored");
    queues.advance(blocks[0].token).expect("noted");
    assert_eq!(queues.pending(NODE).entries, 1);
    queues.advance(blocks[1].token).expect("noted");
    assert_eq!(queues.nodes(), [NodeId(3)]);
    let counts = counts(&queues);
    assert_eq!((counts.appended, counts.delivered, counts.retried), (5, 4, 1));
    assert_eq!(counts.delivered_bytes, 13);
    assert!(marks(&queues).is_empty());
}

#[test]
fn entries_survive_a_restart_and_a_power_cut() {
    for loss in [None, Some(LossModel::LoseAll), Some(LossModel::Random)] {
        let world = World::new(2);
        let queues = world.queues();
        for index in 0..500u32 {
            queues.append(NODE, ShardId(u64::from(index % 3)), &[index as u8; 500]).expect("queued");
        }
        let blocks = take_all(&queues, NODE);
        assert_eq!(blocks.len(), 500);
        for block in &blocks[..450] {
            queues.advance(block.token).expect("noted");
        }
        match loss {
            None => {
                assert!(queues.close().is_empty());
                world.disk.kill();
            }
            Some(loss) => world.disk.crash(loss),
        }
        let (queues, report) = world.open(config());
        assert_eq!(report.queues, 3);
        let after = take_all(&queues, NODE);
        assert_eq!(report.entries, after.len() as u64);
        assert!(blocks[450..].iter().all(|it| after.iter().any(|after| after.bytes == it.bytes)));
        if loss.is_none() {
            assert_eq!(after.len(), 50, "a clean stop sends nothing twice");
        }
        assert!(marks(&queues).is_empty());
    }
}

#[test]
fn a_full_node_refuses_and_marks_and_takes_again_when_drained() {
    let world = World::new(3);
    let config = Config { bytes_max: 200_000, ..config() };
    let (queues, _) = world.open(config.clone());
    let mut queued = 0;
    let error = loop {
        match queues.append(NODE, ShardId(queued % 2), &[1; 1000]) {
            Ok(()) => queued += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, HandoffError::Full));
    assert_eq!(error.to_string(), "queue is full");
    assert!((180..=200).contains(&queued), "{queued}");
    assert!(queues.pending(NODE).bytes <= 200_000);
    queues.append(NodeId(9), SHARD, &[1; 1000]).expect("the limit is for each node");
    assert_eq!(marks(&queues), [(2, queued % 2)]);
    assert!(queues.needs_repair()[0].has(MarkReason::Full));
    world.disk.crash(LossModel::LoseAll);
    let (queues, _) = world.open(config);
    assert_eq!(marks(&queues), [(2, queued % 2)], "the mark is durable");
    assert!(matches!(queues.append(NODE, SHARD, &[1; 1000]), Err(HandoffError::Full)), "so is the fill");
    for block in take_all(&queues, NODE) {
        queues.advance(block.token).expect("noted");
    }
    queues.append(NODE, SHARD, &[1; 1000]).expect("there is room again at once");
}

#[test]
fn too_long_and_disabled_are_refused_without_a_mark() {
    let world = World::new(4);
    let (queues, _) = world.open(Config { enabled: false, ..config() });
    let error = queues.append(NODE, SHARD, b"x").expect_err("disabled");
    assert_eq!(error.to_string(), "hinted handoff disabled");
    assert!(!world.disk.exists(Path::new(DIR)).expect("looked"));
    let queues = world.queues();
    assert!(matches!(queues.append(NODE, SHARD, &[0; 100_001]), Err(HandoffError::TooLong { bytes: 100_001, .. })));
    queues.append(NODE, SHARD, &[0; 100_000]).expect("the limit itself is allowed");
    assert!(marks(&queues).is_empty());
}

#[test]
fn too_many_appends_at_once_are_refused() {
    let world = World::new(5);
    let (queues, _) = world.open(Config { writes_pending_max: 1, ..config() });
    queues.append(NODE, SHARD, b"x").expect("one at a time is fine");
    // Two threads that each keep one append under way meet sooner or later.
    let blocked = std::sync::atomic::AtomicBool::new(false);
    let queues = Arc::new(queues);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !blocked.load(std::sync::atomic::Ordering::Relaxed) {
                    match queues.append(NODE, SHARD, &[0; 10]) {
                        Ok(()) => {}
                        Err(HandoffError::Blocked) => blocked.store(true, std::sync::atomic::Ordering::Relaxed),
                        // The threads filled it without meeting; begin again.
                        Err(HandoffError::Full) => queues.drop_shard(SHARD).expect("dropped"),
                        Err(error) => panic!("{error}"),
                    }
                }
            });
        }
    });
    assert!(queues.needs_repair().iter().any(|mark| mark.has(MarkReason::Blocked)));
    assert!(counts(&queues).blocked > 0);
    assert_eq!(HandoffError::Blocked.to_string(), "queue is blocked");
}

#[test]
fn old_entries_are_dropped_with_a_mark() {
    let world = World::new(6);
    let queues = world.queues();
    queues.append(NODE, SHARD, b"old").expect("queued");
    queues.append(NODE, SHARD, b"old, on its way").expect("queued");
    let blocks = take_all(&queues, NODE);
    queues.give_back(blocks[0].token);
    world.pass(Duration::from_secs(3601));
    queues.append(NODE, SHARD, b"young").expect("queued");
    assert!(queues.tend().is_empty());
    assert_eq!((counts(&queues).expired, queues.pending(NODE).entries), (1, 2));
    assert!(queues.needs_repair()[0].has(MarkReason::Expired));
    queues.advance(blocks[1].token).expect("it arrived after all");
    world.disk.crash(LossModel::LoseAll);
    let queues = world.queues();
    assert_eq!(marks(&queues), [(2, 7)], "the mark is durable before the entry goes");
    queues.tend();
    assert_eq!(texts(&take_all(&queues, NODE)), ["young"]);
    // A clock that was put back makes nothing old.
    world.pass(Duration::ZERO);
    world.clock.jump(-3_600_000_000_000_000);
    queues.tend();
    assert_eq!(queues.pending(NODE).entries, 1);
}

#[test]
fn an_entry_is_not_dropped_if_the_mark_cannot_be_stored() {
    let world = World::new(7);
    let queues = world.queues();
    queues.append(NODE, SHARD, b"old").expect("queued");
    queues.append(NODE, SHARD, b"refused").expect("queued");
    let blocks = take_all(&queues, NODE);
    queues.give_back(blocks[0].token);
    world.pass(Duration::from_secs(3601));
    world.disk.arm(Fuse { kinds: Fuse::CHANGES, after: 0, effect: Effect::FailForever });
    assert!(!queues.tend().is_empty());
    assert!(queues.skip(blocks[1].token).is_err());
    assert_eq!(queues.pending(NODE).entries, 2);
    world.disk.disarm();
    assert!(queues.tend().is_empty());
    assert_eq!(queues.pending(NODE).entries, 0);
    assert_eq!(counts(&queues).expired, 2);
    world.disk.crash(LossModel::LoseAll);
    assert!(world.queues().needs_repair()[0].has(MarkReason::Refused), "what was known is stored in the end");
}

#[test]
fn refused_entries_are_skipped_with_a_mark() {
    let world = World::new(8);
    let queues = world.queues();
    queues.append(NODE, SHARD, b"poison").expect("queued");
    queues.append(NODE, SHARD, b"fine").expect("queued");
    let blocks = take_all(&queues, NODE);
    queues.skip(blocks[0].token).expect("noted");
    queues.advance(blocks[1].token).expect("noted");
    assert_eq!(queues.pending(NODE).entries, 0);
    assert_eq!((counts(&queues).refused, counts(&queues).delivered), (1, 1));
    let mark = queues.needs_repair()[0];
    assert!(mark.has(MarkReason::Refused));
    assert!(queues.clear_repair(&mark).expect("cleared"));
    world.disk.crash(LossModel::LoseAll);
    assert!(marks(&world.queues()).is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_entry_that_never_arrives_is_given_up_while_others_do() {
    let world = World::new(9);
    let queues = world.queues();
    queues.append(NODE, SHARD, b"poison").expect("queued");
    for round in 0..20 {
        queues.append(NODE, SHARD, format!("fine {round}").as_bytes()).expect("queued");
        for block in take_all(&queues, NODE) {
            if &block.bytes[..] == b"poison" {
                queues.retry_later(block.token).expect("noted");
            } else {
                queues.advance(block.token).expect("noted");
            }
        }
        tokio::time::advance(Duration::from_secs(20)).await;
    }
    assert_eq!(queues.pending(NODE).entries, 0);
    let counts = counts(&queues);
    assert_eq!((counts.hopeless, counts.delivered, counts.retried), (1, 20, 8));
    assert!(queues.needs_repair()[0].has(MarkReason::Hopeless));

    // While the peer is down nothing is hopeless.
    queues.append(NODE, SHARD, b"patient").expect("queued");
    for _ in 0..50 {
        take_all(&queues, NODE).iter().for_each(|block| queues.retry_later(block.token).expect("noted"));
        tokio::time::advance(Duration::from_secs(20)).await;
    }
    assert_eq!(texts(&take_all(&queues, NODE)), ["patient"]);
}

#[test]
fn damage_is_counted_and_marked_and_hides_nothing_else() {
    let world = World::new(10);
    let queues = world.queues();
    for index in 0..9u8 {
        queues.append(NODE, SHARD, &[index; 1000]).expect("queued");
    }
    assert!(queues.close().is_empty());
    world.disk.kill();
    let log = world.disk.files().into_keys().find(|path| path.extension().is_some()).expect("a segment");
    world.disk.flip(&log, 3500, 1).expect("flipped");
    let (queues, report) = world.open(config());
    assert_eq!(report.entries, 9);
    let blocks = take_all(&queues, NODE);
    assert_eq!(blocks.iter().map(|block| block.bytes[0]).collect::<Vec<_>>(), [0, 1, 2, 4, 5, 6, 7, 8]);
    assert!(queues.needs_repair()[0].has(MarkReason::Damaged));
    blocks.iter().for_each(|block| queues.advance(block.token).expect("noted"));
    assert_eq!((queues.pending(NODE).entries, counts(&queues).damaged), (0, 1));
}

#[test]
fn lost_segments_are_noticed_by_the_numbers_of_the_entries() {
    let world = World::new(11);
    let queues = world.queues();
    for index in 0..300u32 {
        queues.append(NODE, SHARD, &[index as u8; 2000]).expect("queued");
    }
    assert!(queues.close().is_empty());
    world.disk.kill();
    let logs: Vec<_> = world.disk.files().into_keys().filter(|path| path.extension().is_some()).collect();
    assert!(logs.len() > 3);
    world.disk.remove_file(&logs[1]).expect("removed");
    let queues = world.queues();
    let blocks = take_all(&queues, NODE);
    let lost = 300 - blocks.len() as u64;
    assert!(lost > 10 && queues.needs_repair()[0].has(MarkReason::Damaged));
    assert_eq!(counts(&queues).damaged, lost);
    blocks.iter().for_each(|block| queues.advance(block.token).expect("noted"));
    assert_eq!(queues.pending(NODE).entries, 0);
}

#[test]
fn empty_queues_are_removed_and_come_back() {
    let world = World::new(12);
    let queues = world.queues();
    queues.append(NODE, SHARD, b"one").expect("queued");
    let block = take_all(&queues, NODE).remove(0);
    assert!(queues.tend().is_empty() && queues.tend().is_empty());
    assert_eq!(queues.pending(NODE).entries, 1, "an entry on its way keeps its queue");
    queues.advance(block.token).expect("noted");
    assert!(queues.tend().is_empty());
    assert_eq!(world.files_of_queues(), [""; 0]);
    assert_eq!(counts(&queues).delivered, 1, "the counts stay");
    queues.append(NODE, SHARD, b"two").expect("queued");
    queues.advance(block.token).expect("a token of the old queue says nothing of the new one");
    queues.give_back(block.token);
    world.disk.crash(LossModel::LoseAll);
    assert_eq!(texts(&take_all(&world.queues(), NODE)), ["two"]);
}

#[test]
fn idle_queues_hold_no_files() {
    let world = World::new(13);
    let queues = world.queues();
    queues.append(NODE, SHARD, &[5; 100]).expect("queued");
    let reserved = world.disk.used_bytes();
    queues.tend();
    assert_eq!(world.disk.used_bytes(), reserved, "it was busy");
    queues.tend();
    assert!(world.disk.used_bytes() < reserved);
    queues.append(NODE, SHARD, b"more").expect("opens again");
    assert_eq!(take_all(&queues, NODE).len(), 2);
}

#[test]
fn nodes_and_shards_can_be_dropped() {
    let world = World::new(14);
    let queues = world.queues();
    for node in [2, 3] {
        for shard in [7, 8] {
            queues.append(NodeId(node), ShardId(shard), b"x").expect("queued");
        }
    }
    let block = queues.next_block(NODE, SHARD).expect("reads").expect("an entry");
    queues.skip(queues.next_block(NODE, ShardId(8)).expect("reads").expect("an entry").token).expect("noted");
    assert_eq!(marks(&queues), [(2, 8)]);
    queues.drop_shard(ShardId(8)).expect("dropped");
    assert_eq!(marks(&queues), []);
    assert_eq!((queues.pending(NODE).entries, queues.pending(NodeId(3)).entries), (1, 1));
    queues.drop_node(NODE).expect("dropped");
    queues.drop_node(NodeId(77)).expect("nothing to drop");
    queues.advance(block.token).expect("ignored");
    assert_eq!(queues.nodes(), [NodeId(3)]);
    world.disk.crash(LossModel::LoseAll);
    let (queues, report) = world.open(config());
    assert_eq!((report.queues, report.entries), (1, 1));
    assert_eq!(queues.nodes(), [NodeId(3)]);
    queues.append(NODE, SHARD, b"new").expect("a node may come back");
    assert_eq!(texts(&take_all(&queues, NODE)), ["new"]);
}

#[test]
fn a_failed_disk_is_marked_and_the_queue_works_again_after_it() {
    for kind in [OpKind::Write, OpKind::Sync] {
        let world = World::new(15);
        let queues = world.queues();
        queues.append(NODE, SHARD, b"before").expect("queued");
        world.disk.arm(Fuse {
            kinds: if kind == OpKind::Write { &[OpKind::Write] } else { &[OpKind::Sync] },
            after: 0,
            effect: Effect::FailOnce,
        });
        let error = queues.append(NODE, SHARD, b"unknown").expect_err("the disk fails");
        assert!(matches!(error, HandoffError::Append { node: NODE, shard: SHARD, .. }), "{error}");
        assert!(queues.needs_repair()[0].has(MarkReason::Failed));
        queues.append(NODE, SHARD, b"after").expect("the queue is opened anew");
        world.disk.crash(LossModel::LoseAll);
        let queues = world.queues();
        let texts = texts(&take_all(&queues, NODE));
        assert!(texts == ["before", "after"] || texts == ["before", "unknown", "after"], "{texts:?}");
        assert_eq!(counts(&queues).damaged, 0);
    }
}

#[test]
fn a_full_disk_is_an_answer() {
    let world = World::new(16);
    let queues = world.queues();
    queues.append(NODE, SHARD, b"before").expect("queued");
    world.disk.set_bytes_max(Some(world.disk.used_bytes() + 300_000));
    let error = (0..1000).find_map(|_| queues.append(NODE, SHARD, &[1; 1000]).err()).expect("it gets full");
    assert!(matches!(error, HandoffError::DiskFull));
    assert_eq!(error.to_string(), "no space left for hinted handoff");
    let used = world.disk.used_bytes();
    for block in take_all(&queues, NODE) {
        queues.advance(block.token).expect("draining needs no room");
    }
    assert!(world.disk.used_bytes() < used / 2, "and makes some");
    queues.append(NODE, SHARD, &[1; 1000]).expect("there is room again");
    world.disk.set_bytes_max(None);
    assert!(queues.tend().is_empty());
    queues.append(NODE, SHARD, b"after").expect("there is room");
    assert!(queues.needs_repair()[0].has(MarkReason::Full));
}

#[test]
fn a_queue_that_cannot_be_opened_does_not_stop_the_others() {
    let world = World::new(17);
    let queues = world.queues();
    queues.append(NODE, SHARD, b"fine").expect("queued");
    queues.append(NODE, ShardId(8), b"bad").expect("queued");
    world.disk.kill();
    let log = world.disk.files().into_keys().find(|path| path.starts_with("/data/hh/2/8")).expect("a segment");
    let file = world.disk.open(&log, OpenMode::ReadWrite).expect("opens");
    let length = file.len().expect("known") as usize;
    file.write_at(0, &vec![b'?'; length]).expect("overwritten");
    let (queues, report) = world.open(config());
    assert_eq!((report.problems.len(), report.entries), (1, 1));
    assert!(matches!(report.problems[0], HandoffError::Open { shard: ShardId(8), .. }));
    assert_eq!(marks(&queues), [(2, 8)]);
    assert_eq!(texts(&take_all(&queues, NODE)), ["fine"]);
    assert!(matches!(queues.append(NODE, ShardId(8), b"x"), Err(HandoffError::Open { .. })));
    assert_eq!(world.disk.read(&log).expect("there")[0], b'?', "left as it was");
}

#[test]
fn other_names_are_left_alone_and_leftovers_are_removed() {
    let world = World::new(18);
    world.queues().close();
    for dir in ["/data/hh/2/7.removed-1", "/data/hh/3.removed-2/1", "/data/hh/abc", "/data/hh/2/07"] {
        world.disk.create_dir_all(Path::new(dir)).expect("made");
    }
    for file in ["/data/hh/2/5.repair.new", "/data/hh/2/note", "/data/hh/3.removed-2/1/x"] {
        world.disk.open(Path::new(file), OpenMode::Create).expect("created");
    }
    let (_, report) = world.open(config());
    assert_eq!((report.queues, report.problems.len()), (0, 0));
    assert_eq!(world.files_of_queues(), ["/data/hh/2/note"]);
    let names: Vec<String> =
        world.disk.list(Path::new(DIR)).expect("listed").into_iter().map(|entry| entry.name).collect();
    assert_eq!(names, ["2", "abc", "lock", "mainstem-handoff"]);
}

#[test]
fn one_process_has_the_directory_at_a_time() {
    let world = World::new(19);
    let queues = world.queues();
    let second = Queues::open(&world.env(), Path::new(DIR), config()).expect_err("it is in use");
    assert!(matches!(second, OpenError::Dir(ClaimError::Locked { .. })), "{second}");
    queues.append(NODE, SHARD, b"still mine").expect("queued");
    queues.close();
    assert_eq!(texts(&take_all(&world.queues(), NODE)), ["still mine"]);
}

#[test]
fn a_directory_of_another_program_is_refused_untouched() {
    // Others number nodes, shards and segments, too.
    for foreign in ["5/3/1", "5/note", "meta.db", "5/head/head", "5/3/lost/x"] {
        let world = World::new(20);
        let path = Path::new(DIR).join(foreign);
        world.disk.create_dir_all(path.parent().expect("below the directory")).expect("made");
        world.disk.open(&path, OpenMode::Create).expect("created");
        let (before, changes) = (world.disk.files(), world.disk.counts().changes());
        let refused = Queues::open(&world.env(), Path::new(DIR), config()).expect_err("not ours");
        assert!(matches!(refused, OpenError::Dir(ClaimError::Foreign { .. })), "{refused}");
        assert_eq!((world.disk.files(), world.disk.counts().changes()), (before, changes), "{foreign}");
    }
}

#[test]
fn queues_from_before_the_directory_was_marked_are_taken() {
    let world = World::new(21);
    let queues = world.queues();
    queues.append(NODE, SHARD, b"kept").expect("queued");
    queues.append(NodeId(3), SHARD, &[0; 100_001]).expect_err("too long");
    queues.close();
    for file in ["lock", "mainstem-handoff"] {
        world.disk.remove_file(&Path::new(DIR).join(file)).expect("removed");
    }
    world.disk.create_dir_all(Path::new("/data/hh/lost+found")).expect("made");
    assert_eq!(texts(&take_all(&world.queues(), NODE)), ["kept"]);
}

#[test]
fn a_queue_of_a_later_release_is_refused_untouched() {
    let world = World::new(22);
    let queues = world.queues();
    queues.append(NODE, SHARD, b"kept").expect("queued");
    queues.close();
    let is_log = |path: &std::path::PathBuf| path.extension().is_some_and(|end| end == "log");
    let path = world.disk.files().into_keys().find(is_log).expect("a segment");
    let mut bytes = world.disk.read(&path).expect("read");
    bytes[8] = 2;
    let sum = crc32fast::hash(&bytes[..12]);
    bytes[12..16].copy_from_slice(&sum.to_le_bytes());
    world.disk.replace(&path, &bytes).expect("written");
    let changes = world.disk.counts().changes();
    let refused = Queues::open(&world.env(), Path::new(DIR), config()).expect_err("later");
    assert!(matches!(&refused, OpenError::OtherFormat { version: 2, path: named, .. } if *named == path), "{refused}");
    assert_eq!(world.disk.counts().changes(), changes);
}

#[test]
fn threads_append_and_drain_at_once() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let open = || Queues::open(&Env::real(), dir.path(), Config { bytes_max: 100 << 20, ..config() }).expect("opens").0;
    let queues = open();
    let done = std::sync::atomic::AtomicUsize::new(0);
    let mut seen = std::thread::scope(|scope| {
        for writer in 0..3u8 {
            let (queues, done) = (&queues, &done);
            scope.spawn(move || {
                for index in 0..100u8 {
                    queues.append(NODE, ShardId(u64::from(index % 2)), &[writer, index]).expect("queued");
                }
                done.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            });
        }
        let drains: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    let mut seen = Vec::new();
                    loop {
                        let is_last_look = done.load(std::sync::atomic::Ordering::SeqCst) == 3;
                        match queues.next_block_for(NODE).expect("reads") {
                            Some(block) => {
                                seen.push((block.bytes[0], block.bytes[1]));
                                queues.advance(block.token).expect("noted");
                                if seen.len() % 40 == 0 {
                                    assert!(queues.tend().is_empty());
                                }
                            }
                            None if is_last_look => return seen,
                            None => std::thread::yield_now(),
                        }
                    }
                })
            })
            .collect();
        drains.into_iter().flat_map(|drain| drain.join().expect("drains")).collect::<Vec<_>>()
    });
    seen.sort_unstable();
    let want: Vec<(u8, u8)> = (0..3).flat_map(|writer| (0..100).map(move |index| (writer, index))).collect();
    assert_eq!(seen, want, "each once");
    assert!(queues.close().is_empty());
    drop(queues);
    assert_eq!(take_all(&open(), NODE).len(), 0);
}
