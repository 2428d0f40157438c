//! What a log must hold: a script of calls, a list of what they promised, and the comparison.

use std::ops::ControlFlow;
use std::path::Path;

use env::Env;
use env::simulated::{SimClock, SimDisk};

use crate::{AppendError, Config, Log, OpenError, Position, Recovery};

pub(super) const DIR: &str = "/data/wal";

/// One call.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    /// A record of so many bytes.
    Append(usize),
    Sync,
    /// Purge before the record that so many thousandths of all come before; 1,000 for everything.
    Purge(u64),
    CloseIdle,
    /// The process ends and starts again.
    Restart,
}

/// A small generator of its own, so that scripts do not change with the disk's dice.
#[derive(Clone, Debug)]
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// A script that visits every kind of step.
pub(super) fn script(seed: u64, length: usize) -> Vec<Step> {
    let mut dice = Dice(seed);
    (0..length)
        .map(|_| match dice.below(20) {
            0..=8 => Step::Append([0, 1, 60, 500, 700, 1500, 6000][dice.below(7) as usize]),
            9..=14 => Step::Sync,
            15 | 16 => Step::Purge([300, 600, 900, 1000][dice.below(4) as usize]),
            17 | 18 => Step::CloseIdle,
            _ => Step::Restart,
        })
        .collect()
}

pub(super) fn config() -> Config {
    Config {
        segment_bytes_max: 4096,
        record_bytes_max: 1 << 20,
        reserve_bytes_max: 2048,
        sync_delay: None,
        replay_from: Position::START,
    }
}

pub(super) fn world(disk: &SimDisk) -> Env {
    Env::simulated(5, &SimClock::default(), disk)
}

/// The bytes of record `id`. Long ones have the marker byte all over.
pub(super) fn payload(id: u64, length: usize) -> Vec<u8> {
    let mut dice = Dice(id);
    let body = (0..length).map(|_| [0, 0xE7, 1, dice.below(256) as u8][dice.below(4) as usize]);
    id.to_le_bytes().into_iter().chain(body).collect()
}

/// A record that was handed to the log.
#[derive(Clone, Debug)]
struct Record {
    bytes: Vec<u8>,
    /// `None` when the append failed: it may be there all the same.
    position: Option<Position>,
    is_durable: bool,
    /// A purge that covers it was at least tried.
    is_purged: bool,
    /// It was not there after a crash, so it may never come back.
    is_lost: bool,
}

/// Everything a log was told and promised.
#[derive(Clone, Debug, Default)]
pub(super) struct Model {
    records: Vec<Record>,
    /// The greatest position that was ever given out.
    last: Position,
    /// How the log is opened: how much it reserves.
    reserve_bytes_max: u64,
}

/// A log that is open, and what it must hold.
pub(super) struct Run {
    pub(super) disk: SimDisk,
    pub(super) log: Log,
    pub(super) model: Model,
}

/// A log, what opening it found, and what it replayed.
pub(super) type Opened = (Log, Recovery, Vec<(Position, Vec<u8>)>);

/// Opens the log of a disk.
pub(super) fn open(disk: &SimDisk) -> Result<Opened, OpenError> {
    open_as(disk, config())
}

fn open_as(disk: &SimDisk, config: Config) -> Result<Opened, OpenError> {
    let mut records = Vec::new();
    let (log, recovery) = Log::open(&world(disk), Path::new(DIR), config, &mut |position, record| {
        records.push((position, record.to_vec()));
        ControlFlow::Continue(())
    })?;
    Ok((log, recovery, records))
}

impl Run {
    pub(super) fn start(disk: SimDisk) -> Result<Run, OpenError> {
        Run::open_with(disk, Model::reserving(2048))
    }

    /// Opens the log and compares.
    pub(super) fn open_with(disk: SimDisk, mut model: Model) -> Result<Run, OpenError> {
        let config = Config { reserve_bytes_max: model.reserve_bytes_max, ..config() };
        let (log, recovery, records) = open_as(&disk, config)?;
        assert!(!recovery.has_losses(), "a crash damages nothing: {:?}", recovery.fenced);
        assert_eq!(recovery.records, records.len() as u64);
        model.compare(&records);
        Ok(Run { disk, log, model })
    }

    /// Does one step; `Err` when the disk refused, so that the log must be opened again.
    pub(super) fn step(&mut self, step: Step) -> Result<(), AppendError> {
        match step {
            Step::Append(length) => self.append(length).map(|_| ()),
            Step::Sync => self.sync(),
            Step::Purge(per_mille) => {
                let index = self.model.records.len() as u64 * per_mille / 1000;
                let position = match self.model.records.get(index as usize) {
                    Some(record) => record.position.unwrap_or(Position::START),
                    None => Position::END,
                };
                let is_all = position > self.log.end();
                for record in &mut self.model.records {
                    record.is_purged |= is_all || record.position.is_none_or(|it| it.segment < position.segment);
                }
                self.log.purge_before(position).map(|_| ())
            }
            Step::CloseIdle => self.log.close_idle().map(|_| self.model.all_durable()),
            Step::Restart => {
                self.disk.kill();
                match Run::open_with(self.disk.clone(), self.model.clone()) {
                    Ok(run) => *self = run,
                    Err(OpenError::Io { source, .. }) => {
                        return Err(AppendError::Io { action: "open", segment: 0, source });
                    }
                    Err(error) => panic!("{error}"),
                }
                Ok(())
            }
        }
    }

    pub(super) fn append(&mut self, length: usize) -> Result<Position, AppendError> {
        let bytes = payload(self.model.records.len() as u64, length);
        let result = self.log.append_parts(&[&bytes[..3], &bytes[3..]]);
        let position = result.as_ref().ok().copied();
        self.model.records.push(Record { bytes, position, is_durable: false, is_purged: false, is_lost: false });
        if let Some(position) = position {
            assert!(position > self.model.last, "{position} is used twice or out of order");
            self.model.last = position;
        }
        // The disk was full, and the log says that nothing was written.
        if matches!(result, Err(AppendError::Full)) {
            self.model.records.last_mut().expect("pushed").is_lost = true;
        }
        result
    }

    pub(super) fn sync(&mut self) -> Result<(), AppendError> {
        let Some(position) = self.model.records.iter().rev().find_map(|record| record.position) else {
            return Ok(());
        };
        self.log.sync(position)?;
        self.model.all_durable();
        Ok(())
    }

    /// Appends and syncs, restarts without power, and compares: the log is as good as new.
    pub(super) fn check_goes_on(mut self) {
        for length in [10, 3000] {
            self.append(length).expect("the log takes records again");
        }
        self.sync().expect("the log syncs again");
        self.disk.crash(env::simulated::LossModel::LoseAll);
        Run::open_with(self.disk, self.model).expect("the log opens again");
    }
}

impl Model {
    /// Of a log that does not exist yet and reserves so much.
    pub(super) fn reserving(reserve_bytes_max: u64) -> Model {
        Model { reserve_bytes_max, ..Model::default() }
    }

    fn all_durable(&mut self) {
        for record in self.records.iter_mut().filter(|record| record.position.is_some() && !record.is_lost) {
            record.is_durable = true;
        }
    }

    /// Checks what was replayed against what was promised. What is there now is durable, what is not is gone for good.
    fn compare(&mut self, replayed: &[(Position, Vec<u8>)]) {
        let mut there = vec![false; self.records.len()];
        let mut last = None;
        for (position, bytes) in replayed {
            let id = bytes.get(..8).map(|id| u64::from_le_bytes(id.try_into().expect("eight bytes")));
            let index = id.map_or(usize::MAX, |id| id as usize);
            let Some(record) = self.records.get_mut(index) else { panic!("a record that nobody wrote at {position}") };
            assert!(record.bytes == *bytes, "record {index} is altered");
            assert!(last < Some((*position, index)), "record {index} is out of order");
            assert!(!record.is_lost, "record {index} was gone and is back");
            assert!(record.position.is_none_or(|it| it == *position), "record {index} has moved to {position}");
            last = Some((*position, index));
            there[index] = true;
            record.position = Some(*position);
            self.last = self.last.max(*position);
        }
        for (index, (record, is_there)) in self.records.iter_mut().zip(there).enumerate() {
            if record.is_durable && !record.is_purged {
                assert!(is_there, "durable record {index} at {:?} is lost", record.position);
            }
            // A purge that was not durable may be undone.
            record.is_lost |= !is_there && !record.is_purged;
            record.is_durable |= is_there;
        }
    }
}
