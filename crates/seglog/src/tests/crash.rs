//! The power goes at every operation; afterwards every promise holds.

use env::simulated::{Effect, Fuse, LossModel, SimDisk};

use super::model::{Dice, Model, Run, Step, script};
use crate::planted::{Bug, found_by};

/// Runs a script until the power goes at change number `after` or the script ends. Returns what was promised by then,
/// and whether the power went.
fn run_until(disk: &SimDisk, steps: &[Step], after: u64, seed: u64) -> (Model, bool) {
    disk.arm(Fuse { kinds: Fuse::CHANGES, after, effect: Effect::PowerOff });
    let model = Model::reserving([2048, 0, 1 << 20][seed as usize % 3]);
    let Ok(mut run) = Run::open_with(disk.clone(), model.clone()) else { return (model, true) };
    for step in steps {
        if run.step(*step).is_err() {
            assert!(disk.is_off(), "nothing else goes wrong");
            break;
        }
    }
    (run.model, disk.is_off())
}

/// Every stop of a script under every loss model; `each` random losses per stop. Returns how many states were checked.
fn check_all_stops(steps: &[Step], seed: u64, each: u64) -> u64 {
    let mut states = 0;
    for after in 0.. {
        let disk = SimDisk::new(seed);
        let (model, went_off) = run_until(&disk, steps, after, seed);
        for loss in LossModel::ALL {
            for draw in 0..if loss == LossModel::Random { each } else { 1 } {
                states += 1;
                let disk = disk.fork(seed ^ draw << 32 ^ after);
                disk.crash(loss);
                check_recovery(
                    &disk,
                    &model,
                    seed ^ draw ^ after,
                    &format!("seed {seed} stop {after} {loss:?} {draw}"),
                );
            }
        }
        if !went_off {
            return states;
        }
    }
    unreachable!("a script has an end")
}

/// The log opens, also when the power goes again while it does, and holds what was promised.
fn check_recovery(disk: &SimDisk, model: &Model, seed: u64, what: &str) {
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let mut dice = Dice(seed);
        let again = disk.fork(seed);
        again.arm(Fuse { kinds: Fuse::CHANGES, after: dice.below(8), effect: Effect::PowerOff });
        if let Ok(run) = Run::open_with(again.clone(), model.clone()) {
            // What a first opening showed, a second one shows too.
            again.crash(LossModel::ALL[dice.below(4) as usize]);
            Run::open_with(again, run.model).expect("the log opens").check_goes_on();
        } else {
            again.crash(LossModel::ALL[dice.below(4) as usize]);
            Run::open_with(again, model.clone()).expect("the log opens").check_goes_on();
        }
        Run::open_with(disk.fork(seed), model.clone()).expect("the log opens").check_goes_on();
    }));
    if let Err(panic) = result {
        eprintln!("{what}");
        std::panic::resume_unwind(panic);
    }
}

#[test]
fn promises_hold_after_a_crash_at_any_operation() {
    let states: u64 = (1..=8).map(|seed| check_all_stops(&script(seed, 40), seed, 6)).sum();
    assert!(states > 5_000, "{states} states");
}

#[test]
fn the_log_survives_a_life_of_crashes() {
    for seed in 100..250 {
        let mut dice = Dice(seed);
        let disk = SimDisk::new(seed);
        let mut model = Model::default();
        for life in 0..12 {
            disk.arm(Fuse { kinds: Fuse::CHANGES, after: dice.below(40), effect: Effect::PowerOff });
            if let Ok(mut run) = Run::open_with(disk.clone(), model.clone()) {
                for step in script(seed * 100 + life, 30) {
                    if run.step(step).is_err() {
                        break;
                    }
                }
                model = run.model;
            }
            if dice.below(4) == 0 {
                disk.kill();
                disk.disarm();
            }
            if disk.is_off() || dice.below(2) == 0 {
                disk.crash(LossModel::ALL[dice.below(4) as usize]);
            }
        }
        disk.crash(LossModel::LoseAll);
        Run::open_with(disk, model).expect("the log opens").check_goes_on();
    }
}

/// The checks find the mistakes that are easily made.
#[test]
fn planted_bugs_are_found() {
    let crash_check = || {
        for seed in 1..=6 {
            check_all_stops(&script(seed, 30), seed, 4);
        }
    };
    for (bug, says) in [
        (Bug::SyncNothing, "is lost"),
        (Bug::SyncNoNames, "is lost"),
        (Bug::BeginWithoutSync, "a crash damages nothing"),
        (Bug::UsePositionsTwice, "is used twice"),
        (Bug::CallLossDamage, "a crash damages nothing"),
    ] {
        let found = found_by(bug, crash_check).unwrap_or_else(|| panic!("{bug:?} was not found"));
        assert!(found.contains(says), "{bug:?} was found as: {found}");
    }
}
