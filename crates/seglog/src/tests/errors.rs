//! The disk refuses: once, for good, or because it is full.

use std::io;
use std::ops::ControlFlow;
use std::path::Path;

use env::Fs;
use env::simulated::{Effect, Fuse, LossModel, OpKind, SimDisk};

use super::model::{DIR, Run, Step, config, open, script, world};
use crate::planted::{Bug, found_by};
use crate::{AppendError, Config, Log, OpenError, Position};

/// Runs a script on a disk whose operation number `after` fails. Whatever fails is tried once more without opening the
/// log again, and then after opening it again. Returns whether the fuse blew.
fn run_with_error(steps: &[Step], seed: u64, after: u64, effect: Effect) -> bool {
    let disk = SimDisk::new(seed);
    disk.create_dir_durable(Path::new("/data")).expect("made");
    disk.arm(Fuse { kinds: Fuse::ANY, after, effect });
    let mut is_blown = false;
    let mut run = match Run::start(disk.clone()) {
        Ok(run) => run,
        Err(OpenError::Io { .. }) => {
            is_blown = true;
            disk.disarm();
            Run::start(disk.clone()).expect("the log opens without the error")
        }
        Err(error) => panic!("{error}"),
    };
    for step in steps {
        if let Err(error) = run.step(*step) {
            is_blown = true;
            let is_failed = run.log.is_failed();
            assert!(matches!(error, AppendError::Io { .. }), "the first one to meet the error tells it: {error}");
            if matches!(step, Step::Append(_) | Step::Sync) {
                assert!(is_failed || planting(), "after {step:?}");
                let _ = run.sync();
                assert!(run.append(5).is_err() || planting(), "a failed log takes nothing");
            }
            disk.disarm();
            disk.kill();
            run = Run::open_with(disk.clone(), run.model).expect("the log opens without the error");
        }
    }
    disk.disarm();
    disk.crash(if after.is_multiple_of(2) { LossModel::LoseAll } else { LossModel::Random });
    Run::open_with(disk, run.model).expect("the log opens").check_goes_on();
    is_blown
}

fn planting() -> bool {
    crate::planted::is(Bug::SyncAgain)
}

fn check_all_errors(seeds: std::ops::Range<u64>) -> u64 {
    let mut runs = 0;
    for seed in seeds {
        for effect in [Effect::FailOnce, Effect::FailForever] {
            for after in 0.. {
                runs += 1;
                let result = std::panic::catch_unwind(|| run_with_error(&script(seed, 40), seed, after, effect));
                match result {
                    Ok(true) => {}
                    // Errors where they do not matter (giving back space) show nowhere; the end of the script does.
                    Ok(false) if after > 400 => break,
                    Ok(false) => {}
                    Err(panic) => {
                        eprintln!("seed {seed} {effect:?} at {after}");
                        std::panic::resume_unwind(panic);
                    }
                }
            }
        }
    }
    runs
}

#[test]
fn promises_hold_when_any_operation_fails() {
    assert!(check_all_errors(200..203) > 2000);
}

#[test]
fn planted_bugs_are_found() {
    for bug in [Bug::SyncAgain, Bug::TrustCache] {
        let found = found_by(bug, || _ = check_all_errors(200..203));
        let found = found.unwrap_or_else(|| panic!("{bug:?} was not found"));
        let says = found.contains("is lost") || found.contains("a crash damages nothing");
        assert!(says, "{bug:?} was found as: {found}");
    }
}

#[test]
fn a_disk_full_at_any_byte_is_an_answer() {
    for bytes_max in (0..1500).chain((1500..16_000).step_by(37)) {
        let disk = SimDisk::new(bytes_max);
        disk.set_bytes_max(Some(bytes_max));
        let mut run = Run::start(disk.clone()).unwrap_or_else(|error| {
            assert!(bytes_max < 44, "{error}");
            disk.set_bytes_max(None);
            Run::start(disk.clone()).expect("opens when there is room")
        });
        let mut was_full = false;
        for index in 0..14 {
            let result = run.append(200 + index * 100);
            if let Err(error) = result {
                assert!(matches!(error, AppendError::Full), "{error}");
                assert!(!run.log.is_failed());
                was_full = true;
                run.sync().expect("what was written before can be synced");
                if index % 3 == 1 {
                    run.step(Step::CloseIdle).expect("closes");
                }
                if index % 3 == 2 {
                    run.step(Step::Purge(1000)).expect("purges");
                }
                disk.set_bytes_max(None);
                run.append(200).expect("goes on when there is room");
            }
        }
        assert!(was_full || !(44..=10_000).contains(&bytes_max));
        run.sync().expect("syncs");
        disk.set_bytes_max(None);
        disk.crash(LossModel::LoseAll);
        Run::open_with(disk, run.model).expect("opens").check_goes_on();
    }
}

#[test]
fn a_disk_that_stays_full_lets_old_segments_go() {
    let disk = SimDisk::new(1);
    let mut run = Run::start(disk.clone()).expect("opens");
    for _ in 0..8 {
        run.append(2000).expect("appended");
    }
    run.sync().expect("synced");
    disk.set_bytes_max(Some(disk.used_bytes()));
    while run.append(700).is_ok() {}
    let before = disk.used_bytes();
    let freed = run.log.purge_before(Position::END).expect("purges as much as it can");
    assert!(freed > 8000 && disk.used_bytes() < before);
    run.append(700).expect("there is room again");
}

#[test]
fn after_a_failed_write_earlier_records_can_still_be_synced() {
    let disk = SimDisk::new(1);
    let mut run = Run::start(disk.clone()).expect("opens");
    let first = run.append(100).expect("appended");
    disk.arm(Fuse { kinds: &[OpKind::Write], after: 0, effect: Effect::FailOnce });
    assert!(matches!(run.append(100), Err(AppendError::Io { action: "write", segment: 1, .. })));
    assert!(matches!(run.append(100), Err(AppendError::Failed)));
    run.log.sync(first).expect("it was written whole");
    assert!(matches!(run.log.purge_before(Position::END), Ok(0)), "the last segment stays");
    assert!(run.log.close_idle().expect("closes"), "the handle goes");
}

#[test]
fn after_a_failed_sync_nothing_is_promised() {
    let disk = SimDisk::new(1);
    let mut run = Run::start(disk.clone()).expect("opens");
    let first = run.append(100).expect("appended");
    run.sync().expect("synced");
    let second = run.append(100).expect("appended");
    disk.arm(Fuse { kinds: &[OpKind::Sync], after: 0, effect: Effect::FailOnce });
    let error = run.log.sync(second).expect_err("the disk fails");
    assert_eq!(error.to_string(), "sync log segment 1");
    assert!(matches!(run.log.sync(second), Err(AppendError::Failed)), "not tried again");
    assert!(run.log.sync(first).is_ok(), "what was durable stays so");
    assert!(matches!(run.log.sync_all(), Err(AppendError::Failed)));
    assert!(matches!(run.append(100), Err(AppendError::Failed)));
    assert!(run.log.close_idle().is_err());
}

#[test]
fn a_record_that_is_too_long_is_refused() {
    let config = Config { record_bytes_max: 100, ..config() };
    let (log, _) = Log::open(&world(&SimDisk::new(1)), Path::new(DIR), config, &mut |_, _| ControlFlow::Continue(()))
        .expect("opens");
    assert!(matches!(log.append(&[0; 101]), Err(AppendError::TooLong { bytes: 101, bytes_max: 100 })));
    log.append(&[0; 100]).expect("the limit itself is allowed");
}

#[test]
fn replay_can_be_stopped_and_nothing_is_changed() {
    let disk = SimDisk::new(1);
    let mut run = Run::start(disk.clone()).expect("opens");
    run.append(10).expect("appended");
    disk.kill();
    let before = disk.counts().changes();
    let error = Log::open(&world(&disk), Path::new(DIR), config(), &mut |_, _| ControlFlow::Break(()));
    assert!(matches!(error, Err(OpenError::Stopped)));
    assert_eq!(disk.counts().changes(), before);
}

#[test]
fn a_read_error_at_opening_is_no_damage() {
    let disk = SimDisk::new(1);
    let mut run = Run::start(disk.clone()).expect("opens");
    run.append(10).expect("appended");
    disk.kill();
    for after in 0..6 {
        disk.arm(Fuse { kinds: &[OpKind::Read], after, effect: Effect::FailOnce });
        match open(&disk) {
            Err(OpenError::Io { source, .. }) => assert_eq!(source.kind(), io::ErrorKind::Other),
            other => panic!("read {after}: {other:?}"),
        }
    }
    disk.disarm();
    Run::open_with(disk, run.model).expect("opens");
}
