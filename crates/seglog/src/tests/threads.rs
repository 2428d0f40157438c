//! Many threads, one log; and time that passes.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Barrier};
use std::time::Duration;

use env::simulated::{Effect, Fuse, LossModel, OpKind, SimClock, SimDisk};
use env::{DirEntry, DirLock, Env, File, Fs, OpenMode};
use parking_lot::{Condvar, Mutex};

use super::model::{DIR, config, open, world};
use crate::{AppendError, Config, Entry, Log, Position};

fn open_in(env: &Env, config: Config) -> Log {
    Log::open(env, Path::new(DIR), config, &mut |_, _| ControlFlow::Continue(())).expect("opens").0
}

/// A disk whose syncs of files wait at a gate.
#[derive(Debug)]
struct GatedFs {
    disk: SimDisk,
    gate: Arc<Gate>,
}

#[derive(Debug, Default)]
struct Gate {
    is_closed: Mutex<bool>,
    opened: Condvar,
    waiting: AtomicU64,
    passed: AtomicU64,
}

impl Gate {
    fn pass(&self) {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let mut is_closed = self.is_closed.lock();
        while *is_closed {
            self.opened.wait(&mut is_closed);
        }
        self.passed.fetch_add(1, Ordering::SeqCst);
    }

    fn set(&self, is_closed: bool) {
        *self.is_closed.lock() = is_closed;
        self.opened.notify_all();
    }
}

impl Fs for GatedFs {
    fn create_dir_all(&self, dir: &Path) -> std::io::Result<()> {
        self.disk.create_dir_all(dir)
    }
    fn list(&self, dir: &Path) -> std::io::Result<Vec<DirEntry>> {
        self.disk.list(dir)
    }
    fn open(&self, path: &Path, mode: OpenMode) -> std::io::Result<Arc<dyn File>> {
        Ok(Arc::new(GatedFile { file: self.disk.open(path, mode)?, gate: Arc::clone(&self.gate) }))
    }
    fn rename(&self, from: &Path, to: &Path) -> std::io::Result<()> {
        self.disk.rename(from, to)
    }
    fn remove_file(&self, path: &Path) -> std::io::Result<()> {
        self.disk.remove_file(path)
    }
    fn remove_dir_all(&self, path: &Path) -> std::io::Result<()> {
        self.disk.remove_dir_all(path)
    }
    fn exists(&self, path: &Path) -> std::io::Result<bool> {
        self.disk.exists(path)
    }
    fn sync_dir(&self, dir: &Path) -> std::io::Result<()> {
        self.disk.sync_dir(dir)
    }
    fn lock(&self, dir: &Path, name: &str) -> std::io::Result<Box<dyn DirLock>> {
        self.disk.lock(dir, name)
    }
    fn free_bytes(&self, path: &Path) -> std::io::Result<u64> {
        self.disk.free_bytes(path)
    }
}

#[derive(Debug)]
struct GatedFile {
    file: Arc<dyn File>,
    gate: Arc<Gate>,
}

impl File for GatedFile {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> std::io::Result<usize> {
        self.file.read_at(offset, buf)
    }
    fn write_at(&self, offset: u64, bytes: &[u8]) -> std::io::Result<()> {
        self.file.write_at(offset, bytes)
    }
    fn sync(&self) -> std::io::Result<()> {
        self.gate.pass();
        self.file.sync()
    }
    fn set_len(&self, len: u64) -> std::io::Result<()> {
        self.file.set_len(len)
    }
    fn len(&self) -> std::io::Result<u64> {
        self.file.len()
    }
}

fn wait_until(mut is_true: impl FnMut() -> bool) {
    while !is_true() {
        std::thread::yield_now();
    }
}

/// A log behind a gate that has been closed, with its first record appended and a thread syncing it at the gate.
fn with_leader_at_gate(then: impl FnOnce(&SimDisk, &Gate, &Log, &std::thread::Scope<'_, '_>)) {
    let disk = SimDisk::new(1);
    let gate = Arc::new(Gate::default());
    let env = world(&disk).with_fs(Arc::new(GatedFs { disk: disk.clone(), gate: Arc::clone(&gate) }));
    let log = open_in(&env, Config { segment_bytes_max: 1 << 20, ..config() });
    gate.passed.store(0, Ordering::SeqCst);
    gate.waiting.store(0, Ordering::SeqCst);
    gate.set(true);
    let first = log.append(b"first").expect("appended");
    std::thread::scope(|scope| {
        let leader = log.clone();
        scope.spawn(move || _ = leader.sync(first));
        wait_until(|| gate.waiting.load(Ordering::SeqCst) == 1);
        then(&disk, &gate, &log, scope);
        gate.set(false);
    });
}

#[test]
fn one_sync_serves_all_who_wait() {
    const FOLLOWERS: u64 = 8;
    with_leader_at_gate(|_, gate, log, _| {
        let appended = Barrier::new(FOLLOWERS as usize + 1);
        std::thread::scope(|scope| {
            for index in 0..FOLLOWERS {
                let (log, appended) = (log.clone(), &appended);
                scope.spawn(move || {
                    // Appending does not wait for the sync.
                    let position = log.append(&index.to_le_bytes()).expect("appended");
                    appended.wait();
                    log.sync(position).expect("durable");
                    assert!(log.durable() > position);
                });
            }
            appended.wait();
            gate.set(false);
        });
        assert_eq!(gate.passed.load(Ordering::SeqCst), 2, "one for the first, one for all the others");
    });
}

#[test]
fn a_failed_sync_fails_all_who_wait() {
    with_leader_at_gate(|disk, gate, log, _| {
        disk.arm(Fuse { kinds: &[OpKind::Sync], after: 0, effect: Effect::FailOnce });
        let appended = Barrier::new(5);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                let (log, appended) = (log.clone(), &appended);
                scope.spawn(move || {
                    let position = log.append(b"follower").expect("appended");
                    appended.wait();
                    assert!(matches!(log.sync(position), Err(AppendError::Failed)));
                });
            }
            appended.wait();
            gate.set(false);
        });
        assert!(log.is_failed());
        assert_eq!(gate.passed.load(Ordering::SeqCst), 1, "it is not tried again");
    });
}

#[test]
fn threads_append_sync_read_and_purge_at_once() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let env = Env::real();
    let config = Config { segment_bytes_max: 20_000, ..config() };
    let open = |records: &mut Vec<Vec<u8>>| {
        let replay = &mut |_: Position, record: &[u8]| {
            records.push(record.to_vec());
            ControlFlow::Continue(())
        };
        Log::open(&env, dir.path(), config.clone(), replay).expect("opens").0
    };
    let log = open(&mut Vec::new());
    let is_done = AtomicBool::new(false);
    let read = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..4u8)
            .map(|writer| {
                let log = log.clone();
                scope.spawn(move || {
                    for index in 0..150u32 {
                        let body = vec![writer; 10 + index as usize * 3];
                        let position = log.append_parts(&[&[writer], &index.to_le_bytes(), &body]).expect("appended");
                        log.sync(position).expect("durable");
                    }
                })
            })
            .collect();
        let (reading, is_done) = (log.clone(), &is_done);
        let reader = scope.spawn(move || {
            let mut reader = reading.reader(Position::START);
            let mut counts = [0u32; 4];
            loop {
                let is_last_look = is_done.load(Ordering::SeqCst);
                let entry = reader.read_next().expect("reads");
                match entry {
                    Some(Entry::Record { payload, next, .. }) => {
                        let writer = payload[0] as usize;
                        assert_eq!(payload[1..5], counts[writer].to_le_bytes(), "each writer's records come in order");
                        counts[writer] += 1;
                        if counts[writer] % 50 == 49 {
                            // What was read is done with.
                            reading.purge_before(next).expect("purged");
                        }
                    }
                    Some(Entry::Damaged { start, end }) => panic!("damage from {start} to {end}"),
                    None if is_last_look => return counts,
                    None => std::thread::yield_now(),
                }
            }
        });
        writers.into_iter().for_each(|writer| writer.join().expect("writes"));
        is_done.store(true, Ordering::SeqCst);
        reader.join().expect("reads")
    });
    assert_eq!(read, [150; 4]);
    assert_eq!(log.durable(), log.end());
    drop(log);
    let mut records = Vec::new();
    open(&mut records);
    assert!(!records.is_empty() && records.len() < 600, "some were purged");
}

#[tokio::test(start_paused = true)]
async fn with_a_delay_a_power_cut_loses_that_much_and_no_more() {
    let disk = SimDisk::new(1);
    let env = Env::simulated(1, &SimClock::default(), &disk);
    let delay = Duration::from_millis(500);
    let log = open_in(&env, Config { sync_delay: Some(delay), ..config() });
    let pass = |ms| tokio::time::advance(Duration::from_millis(ms));
    let append = |bytes: &[u8]| {
        let position = log.append(bytes).expect("appended");
        log.sync(position).expect("accepted");
    };
    let survivors = || {
        let disk = disk.fork(1);
        disk.crash(LossModel::LoseAll);
        open(&disk).expect("opens").2.len()
    };
    append(b"1");
    assert_eq!(survivors(), 0);
    pass(400).await;
    append(b"2");
    log.sync_overdue().expect("nothing is overdue");
    assert_eq!(survivors(), 0);
    pass(100).await;
    append(b"3");
    assert_eq!(survivors(), 3, "the first became too old and took the others along");
    append(b"4");
    pass(500).await;
    assert_eq!(survivors(), 3);
    log.sync_overdue().expect("synced");
    assert_eq!(survivors(), 4, "a silent log becomes durable too");
    let syncs = disk.counts().syncs;
    pass(5000).await;
    log.sync_overdue().expect("nothing to do");
    assert_eq!(disk.counts().syncs, syncs);
    append(b"5");
    log.sync_all().expect("synced");
    assert_eq!(survivors(), 5);
    append(b"6");
    disk.kill();
    assert_eq!(open(&disk).expect("opens").2.len(), 6, "the end of the process loses nothing");
}

#[test]
fn replay_begins_where_it_is_told_to() {
    let disk = SimDisk::new(1);
    let log = open_in(&world(&disk), config());
    let positions: Vec<Position> = (0..6).map(|_| log.append(&[0; 1500]).expect("appended")).collect();
    log.close_idle().expect("closed");
    disk.kill();
    for (index, from) in positions.iter().enumerate() {
        let mut seen = Vec::new();
        let reads = disk.counts().reads;
        let config = Config { replay_from: *from, ..config() };
        let replay = &mut |position: Position, _: &[u8]| {
            seen.push(position);
            ControlFlow::Continue(())
        };
        let (log, recovery) = Log::open(&world(&disk), Path::new(DIR), config, replay).expect("opens");
        assert_eq!(seen, positions[index..]);
        assert_eq!(recovery.records as usize, seen.len());
        assert_eq!(log.segment_count(), 3, "all are there all the same");
        assert!(disk.counts().reads - reads <= 24 - from.segment * 3, "earlier segments are not read");
    }
    let config = Config { replay_from: Position::END, ..config() };
    let log = open_in(&world(&disk), config);
    assert!(log.append(b"on").expect("appended") > positions[5]);
}

#[test]
fn an_idle_log_holds_no_file_and_no_reserve() {
    let disk = SimDisk::new(1);
    let log = open_in(&world(&disk), config());
    let first = log.append(b"record").expect("appended");
    assert!(disk.used_bytes() > log.bytes());
    assert!(log.close_idle().expect("closed"));
    assert_eq!(disk.used_bytes(), log.bytes());
    assert_eq!(log.durable(), log.end());
    let counts = disk.counts();
    assert!(!log.close_idle().expect("closed"));
    log.sync_all().expect("nothing to do");
    assert_eq!(disk.counts(), counts);
    let second = log.append(b"again").expect("opens the file again");
    assert_eq!(second.segment, first.segment);
    log.sync(second).expect("durable");
    disk.crash(LossModel::LoseAll);
    let (log, recovery, records) = open(&disk).expect("opens");
    assert_eq!((records.len(), recovery.is_clean), (2, false));
    drop(log);
    let (log, recovery, _) = open(&disk).expect("opens");
    assert!(recovery.is_clean, "an unclean end is repaired once");
    log.append(b"third").expect("appended");
    log.close_idle().expect("closed");
    disk.kill();
    let counts = disk.counts();
    let (_, recovery, records) = open(&disk).expect("opens");
    assert_eq!((records.len(), recovery.is_clean), (3, true));
    assert_eq!(disk.counts().changes(), counts.changes(), "after a clean close opening changes nothing");
}

#[test]
fn long_records_get_a_segment_of_their_own() {
    let disk = SimDisk::new(1);
    let log = open_in(&world(&disk), config());
    let lengths = [100, 50_000, 100, 4096, 4032, 4032, 0];
    for (index, length) in lengths.into_iter().enumerate() {
        log.append(&vec![index as u8; length]).expect("appended");
    }
    log.sync_all().expect("synced");
    disk.crash(LossModel::LoseAll);
    let (_, _, records) = open(&disk).expect("opens");
    let seen: Vec<(u64, usize)> = records.iter().map(|(at, bytes)| (at.segment, bytes.len())).collect();
    assert_eq!(seen, [(1, 100), (2, 50_000), (3, 100), (4, 4096), (5, 4032), (6, 4032), (7, 0)]);
}

#[test]
fn a_reader_sees_what_is_appended_and_passes_over_what_is_purged() {
    let disk = SimDisk::new(1);
    let log = open_in(&world(&disk), config());
    let mut reader = log.reader(Position::START);
    assert_eq!(reader.read_next().expect("reads"), None);
    let mut positions = Vec::new();
    for index in 0..12u8 {
        positions.push(log.append(&[index; 1500]).expect("appended"));
        match reader.read_next().expect("reads") {
            Some(Entry::Record { position, payload, .. }) => {
                assert_eq!((position, payload), (positions[usize::from(index)], &[index; 1500][..]));
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(reader.read_next().expect("reads"), None);
    }
    let mut late = log.reader(positions[3]);
    log.purge_before(positions[8]).expect("purged");
    match late.read_next().expect("reads") {
        Some(Entry::Record { position, .. }) => assert_eq!(position, positions[8]),
        other => panic!("{other:?}"),
    }
    log.purge_before(Position::END).expect("purged");
    assert_eq!(late.read_next().expect("reads"), None);
    assert_eq!((log.segment_count(), log.end().offset), (1, 44));
    assert_eq!(log.purge_before(Position::END).expect("nothing to do"), 0);
    log.append(b"more").expect("appended");
    assert!(matches!(late.read_next().expect("reads"), Some(Entry::Record { payload: b"more", .. })));
    // A file that is gone without a purge is an error, not an end.
    let mut reader = log.reader(Position::START);
    for file in disk.files().into_keys() {
        disk.remove_file(&file).expect("removed");
    }
    assert!(reader.read_next().is_err());
}

#[test]
fn positions_come_back_from_bytes() {
    for position in [Position::START, Position::END, Position { segment: 7, offset: 1 << 33 }] {
        assert_eq!(Position::from_bytes(position.to_bytes()), position);
    }
    assert_eq!(Position { segment: 7, offset: 44 }.to_string(), "7:44");
}
