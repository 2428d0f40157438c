//! The power goes at every operation: an acknowledged entry arrives at least once, or its shard is marked.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use env::Fs;
use env::simulated::{Effect, Fuse, LossModel};
use model::{NodeId, ShardId};

use super::{World, config};
use crate::planted::{Bug, found_by};
use crate::{Block, Config, HandoffError, MarkReason, Queues};

type Key = (NodeId, ShardId);

#[derive(Clone, Copy, Debug)]
enum Step {
    Append(Key, usize),
    /// Takes so many entries of a node, tells of some that they arrived, of others that they did not.
    Send(NodeId, usize),
    Refuse(NodeId),
    Tend,
    /// Lets the entries grow old.
    Age,
    Drop(ShardId),
    Restart,
}

struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

fn script(seed: u64, length: usize) -> Vec<Step> {
    let mut dice = Dice(seed);
    (0..length)
        .map(|_| {
            let node = NodeId(1 + dice.below(2));
            let shard = ShardId(1 + dice.below(2));
            match dice.below(24) {
                0..=11 => Step::Append((node, shard), [0, 10, 700, 3000][dice.below(4) as usize]),
                12..=17 => Step::Send(node, 1 + dice.below(4) as usize),
                18 => Step::Refuse(node),
                19 | 20 => Step::Tend,
                21 if dice.below(3) == 0 => Step::Age,
                22 if dice.below(3) == 0 => Step::Drop(shard),
                _ => Step::Restart,
            }
        })
        .collect()
}

/// What happened to the entries of a shard of a node, as far as anybody was told.
#[derive(Clone, Debug, Default)]
struct Shard {
    /// Acknowledged and not dropped with the shard.
    acked: BTreeSet<u64>,
    /// Handed to the log, whatever came of it.
    tried: BTreeSet<u64>,
    arrived: BTreeSet<u64>,
    /// Dropped on purpose, so that there must be a mark.
    may_miss: bool,
}

#[derive(Clone, Default)]
struct Model {
    shards: BTreeMap<Key, Shard>,
    next_id: u64,
}

fn payload(id: u64, length: usize) -> Vec<u8> {
    id.to_le_bytes().into_iter().chain((0..length).map(|index| (id as usize * 31 + index) as u8)).collect()
}

struct Run {
    world: World,
    queues: Queues,
    model: Model,
    dice: Dice,
}

/// A segment holds a few entries only, so that there are many.
fn small() -> Config {
    Config { bytes_max: 400_000, ..config() }
}

impl Run {
    fn open(world: World, model: Model, seed: u64) -> Result<Run, crate::OpenError> {
        let (queues, report) = Queues::open(&world.env(), std::path::Path::new(super::DIR), small())?;
        let run = Run { world, queues, model, dice: Dice(seed) };
        if let Some(problem) = report.problems.into_iter().next() {
            assert!(run.world.disk.is_off(), "{problem}");
        }
        Ok(run)
    }

    /// `Err` when the power went.
    fn step(&mut self, step: Step) -> Result<(), ()> {
        match step {
            Step::Append(key, length) => self.append(key, length),
            Step::Send(node, count) => {
                let mut blocks = Vec::new();
                for _ in 0..count {
                    blocks.extend(self.queues.next_block_for(node).map_err(drop)?);
                }
                while !blocks.is_empty() {
                    let index = self.dice.below(blocks.len() as u64) as usize;
                    let block = blocks.swap_remove(index);
                    if self.dice.below(3) > 0 {
                        self.arrive(&block);
                        self.queues.advance(block.token).map_err(drop)?;
                    } else {
                        self.queues.retry_later(block.token).map_err(drop)?;
                    }
                }
                Ok(())
            }
            Step::Refuse(node) => {
                let Some(block) = self.queues.next_block_for(node).map_err(drop)? else { return Ok(()) };
                self.model.shards.entry((block.token.node, block.token.shard)).or_default().may_miss = true;
                self.queues.skip(block.token).map_err(drop)
            }
            Step::Tend => self.tend(),
            Step::Age => {
                self.world.pass(Duration::from_secs(4000));
                self.model.shards.values_mut().for_each(|shard| shard.may_miss = true);
                self.tend()
            }
            Step::Drop(shard) => {
                for (key, it) in &mut self.model.shards {
                    if key.1 == shard {
                        *it = Shard { tried: std::mem::take(&mut it.tried), ..Shard::default() };
                    }
                }
                self.queues.drop_shard(shard).map_err(drop)
            }
            Step::Restart => {
                if self.dice.below(2) == 0 && !self.queues.close().is_empty() {
                    return Err(());
                }
                self.world.disk.kill();
                let (queues, report) =
                    Queues::open(&self.world.env(), std::path::Path::new(super::DIR), small()).map_err(drop)?;
                self.queues = queues;
                if report.problems.is_empty() { Ok(()) } else { Err(()) }
            }
        }
    }

    fn tend(&mut self) -> Result<(), ()> {
        if self.queues.tend().is_empty() { Ok(()) } else { Err(()) }
    }

    fn append(&mut self, key: Key, length: usize) -> Result<(), ()> {
        let id = self.model.next_id;
        self.model.next_id += 1;
        let shard = self.model.shards.entry(key).or_default();
        shard.tried.insert(id);
        match self.queues.append(key.0, key.1, &payload(id, length)) {
            Ok(()) => {
                shard.acked.insert(id);
                Ok(())
            }
            Err(HandoffError::Full) => Ok(()),
            Err(_) => Err(()),
        }
    }

    fn arrive(&mut self, block: &Block) {
        let id = u64::from_le_bytes(block.bytes[..8].try_into().expect("eight bytes"));
        assert_eq!(block.bytes, payload(id, block.bytes.len() - 8), "entry {id} is altered");
        let shard = self.model.shards.get_mut(&(block.token.node, block.token.shard)).expect("a shard we know");
        assert!(shard.tried.contains(&id), "entry {id} is for somebody else");
        shard.arrived.insert(id);
    }

    /// Delivers everything and checks that nothing is missing without a mark.
    fn check(mut self) {
        for node in self.queues.nodes() {
            while let Some(block) = self.queues.next_block_for(node).expect("reads") {
                self.arrive(&block);
                self.queues.advance(block.token).expect("noted");
            }
        }
        assert!(self.queues.tend().is_empty());
        let marks: BTreeSet<Key> = self.queues.needs_repair().iter().map(|mark| (mark.node, mark.shard)).collect();
        for (key, shard) in &self.model.shards {
            assert_eq!(self.queues.pending(key.0).entries, 0, "all was delivered");
            let missing: Vec<&u64> = shard.acked.difference(&shard.arrived).collect();
            if !missing.is_empty() {
                assert!(marks.contains(key), "entries {missing:?} for {key:?} are lost without a mark");
                assert!(shard.may_miss, "entries {missing:?} for {key:?} were dropped for no reason");
            }
        }
    }
}

fn check_all_stops(seed: u64, length: usize) -> u64 {
    let steps = script(seed, length);
    let mut states = 0;
    for after in 0.. {
        let world = World::new(seed);
        world.disk.create_dir_durable(std::path::Path::new("/data")).expect("made");
        world.disk.arm(Fuse { kinds: Fuse::CHANGES, after, effect: Effect::PowerOff });
        let (disk, clock) = (world.disk.clone(), world.clock.clone());
        let model = match Run::open(world, Model::default(), seed) {
            Ok(mut run) => {
                for step in &steps {
                    if run.step(*step).is_err() {
                        assert!(disk.is_off(), "nothing else goes wrong in {step:?}");
                        break;
                    }
                }
                run.model
            }
            Err(_) => Model::default(),
        };
        let went_off = disk.is_off();
        for loss in LossModel::ALL {
            for draw in 0..if loss == LossModel::Random { 3 } else { 1 } {
                states += 1;
                let disk = disk.fork(seed ^ after ^ draw << 32);
                disk.crash(loss);
                let world = World { disk, clock: clock.clone() };
                let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                    Run::open(world, model.clone(), seed).expect("opens").check();
                }));
                if let Err(panic) = result {
                    eprintln!("seed {seed} stop {after} {loss:?} {draw}");
                    std::panic::resume_unwind(panic);
                }
            }
        }
        if !went_off {
            return states;
        }
    }
    unreachable!("a script has an end")
}

#[test]
fn acknowledged_entries_arrive_after_a_crash_at_any_operation() {
    let states: u64 = (1..=6).map(|seed| check_all_stops(seed, 30)).sum();
    assert!(states > 2_000, "{states} states");
}

#[test]
fn entries_survive_a_life_of_crashes() {
    for seed in 500..560 {
        let mut dice = Dice(seed);
        let mut world = World::new(seed);
        let mut model = Model::default();
        for life in 0..10 {
            world.disk.arm(Fuse { kinds: Fuse::CHANGES, after: dice.below(120), effect: Effect::PowerOff });
            let (disk, clock) = (world.disk.clone(), world.clock.clone());
            if let Ok(mut run) = Run::open(world, model.clone(), seed ^ life) {
                for step in script(seed * 100 + life, 40) {
                    if run.step(step).is_err() {
                        break;
                    }
                }
                model = run.model;
            }
            disk.crash(LossModel::ALL[dice.below(4) as usize]);
            world = World { disk, clock };
        }
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            Run::open(world, model, seed).expect("opens").check();
        }));
        if let Err(panic) = result {
            eprintln!("seed {seed}");
            std::panic::resume_unwind(panic);
        }
    }
}

/// Runs a script on a disk whose operation number `after` fails, for good or once. What fails is tried again after a
/// restart. Returns whether the script got that far.
fn run_with_error(steps: &[Step], seed: u64, after: u64, effect: Effect) -> bool {
    let mut world = World::new(seed);
    world.disk.create_dir_durable(std::path::Path::new("/data")).expect("made");
    let (disk, clock) = (world.disk.clone(), world.clock.clone());
    disk.arm(Fuse { kinds: Fuse::ANY, after, effect });
    let mut model = Model::default();
    let mut dice = Dice(seed ^ after);
    let mut steps = steps.iter();
    loop {
        // Problems of single queues are part of the deal while the disk fails.
        let opened = Queues::open(&world.env(), std::path::Path::new(super::DIR), small());
        let Ok((queues, _)) = opened else {
            disk.disarm();
            continue;
        };
        let mut run = Run { world, queues, model, dice: Dice(dice.below(1000)) };
        let failed = steps.by_ref().find(|step| run.step(**step).is_err());
        // An append that failed may have been for an owner that others acknowledged: it was marked.
        for mark in run.queues.needs_repair() {
            run.model.shards.entry((mark.node, mark.shard)).or_default().may_miss |= mark.has(MarkReason::Failed);
        }
        model = run.model;
        world = World { disk: disk.clone(), clock: clock.clone() };
        let Some(failed) = failed else { break };
        disk.disarm();
        // Marks that could not be stored are stored by and by; after a restart there is nobody left to do it.
        if !matches!(failed, Step::Restart) {
            let problems = run.queues.tend();
            assert!(problems.is_empty(), "{problems:?}");
        }
        disk.kill();
    }
    disk.disarm();
    let is_reached = disk.counts().all() > after;
    disk.crash(if after.is_multiple_of(2) { LossModel::LoseAll } else { LossModel::Random });
    Run::open(world, model, seed).expect("opens").check();
    is_reached
}

#[test]
fn acknowledged_entries_arrive_when_any_operation_fails() {
    for seed in 40..42 {
        let steps = script(seed, 25);
        for effect in [Effect::FailOnce, Effect::FailForever] {
            for after in 0.. {
                let result = std::panic::catch_unwind(|| run_with_error(&steps, seed, after, effect));
                match result {
                    Ok(true) => {}
                    Ok(false) => break,
                    Err(panic) => {
                        eprintln!("seed {seed} {effect:?} at {after}");
                        std::panic::resume_unwind(panic);
                    }
                }
            }
        }
    }
}

#[test]
fn planted_bugs_are_found() {
    let check = || {
        for seed in 1..=8 {
            check_all_stops(seed, 30);
        }
    };
    for bug in [Bug::ForgetOnRestart, Bug::AckBeforeSync, Bug::DoneWhenTaken, Bug::HeadPastGap, Bug::DropWithoutMark] {
        let found = found_by(bug, check).unwrap_or_else(|| panic!("{bug:?} was not found"));
        assert!(found.contains("are lost without a mark") || found.contains("for no reason"), "{bug:?}: {found}");
    }
}
