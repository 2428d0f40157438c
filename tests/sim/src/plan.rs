//! What a seed decides about a run as a whole.

use std::fmt;
use std::time::Duration;

use crate::dice::Dice;

/// A bug that is put in on purpose, to see whether the checker finds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Plant {
    /// None: the run must pass.
    #[default]
    None,
    /// Data files and logs are never synced, so writes are acknowledged before they are durable. Must be found.
    UnsyncedAcks,
    /// Hints are gone after every restart and copies are not compared. Must be found.
    NoRepair,
    /// Hints are gone after every restart, copies are compared. No bug: hints are an optimisation. Must pass.
    LostHints,
}

impl Plant {
    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Plant::None => "none",
            Plant::UnsyncedAcks => "unsynced-acks",
            Plant::NoRepair => "no-repair",
            Plant::LostHints => "lost-hints",
        }
    }

    /// Whether hints are wiped while a node is down.
    pub fn wipes_hints(self) -> bool {
        matches!(self, Plant::NoRepair | Plant::LostHints)
    }

    /// Whether nodes compare their copies.
    pub fn compares_copies(self) -> bool {
        self != Plant::NoRepair
    }
}

/// Which faults a run has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// The power of one node goes at some moment between two ticks.
    pub crash: bool,
    /// The power goes in the middle of changes of the disk.
    pub fuse: bool,
    /// The power of all nodes goes at once.
    pub crash_all: bool,
    /// What is sent between two nodes is lost.
    pub partition: bool,
    /// What is sent between two nodes is delayed until the link works again.
    pub hold: bool,
    /// Wall clocks jump.
    pub clock: bool,
}

/// A run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Decides everything.
    pub seed: u64,
    /// What is broken on purpose.
    pub plant: Plant,
    /// The faults that happen.
    pub faults: Faults,
    /// How long clients write and faults happen.
    pub duration: Duration,
    /// Clients that write numbered points.
    pub writers: u64,
    /// Shard groups that the points fall into.
    pub groups: u64,
    /// Slowest message, unless a fault delays it more.
    pub latency_max: Duration,
    /// How often nodes compare all copies.
    pub compare_interval: Duration,
    /// Unflushed bytes of a shard that trigger a flush.
    pub flush_bytes: u64,
}

impl Plan {
    /// What `seed` decides.
    pub fn new(seed: u64, plant: Plant) -> Plan {
        let mut dice = Dice::new(seed, 1);
        let mut faults = Faults {
            crash: dice.chance(50),
            fuse: dice.chance(50),
            crash_all: dice.chance(50),
            partition: dice.chance(50),
            hold: dice.chance(50),
            clock: dice.chance(50),
        };
        match plant {
            Plant::UnsyncedAcks => faults.crash_all = true,
            Plant::NoRepair | Plant::LostHints => (faults.crash, faults.crash_all) = (true, true),
            Plant::None => {}
        }
        Plan {
            seed,
            plant,
            faults,
            duration: dice.millis(8_000, 16_000),
            writers: 2 + dice.below(2),
            groups: 1 + dice.below(4),
            latency_max: dice.millis(1, 30),
            compare_interval: dice.pick(&[Duration::from_secs(5), Duration::from_secs(20), Duration::from_secs(45)]),
            flush_bytes: dice.pick(&[4 << 10, 64 << 10, 25 << 20]),
        }
    }

    /// The command that repeats this run.
    pub fn command(&self) -> String {
        let plant = match self.plant {
            Plant::None => String::new(),
            plant => format!(" --plant {}", plant.name()),
        };
        format!("cargo run -p sim -- --seed {}{plant}", self.seed)
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = [
            ("crash", self.faults.crash),
            ("fuse", self.faults.fuse),
            ("crash-all", self.faults.crash_all),
            ("partition", self.faults.partition),
            ("hold", self.faults.hold),
            ("clock", self.faults.clock),
        ];
        let faults: Vec<&str> = named.iter().filter(|(_, on)| *on).map(|(name, _)| *name).collect();
        let faults = if faults.is_empty() { "none".to_owned() } else { faults.join("+") };
        write!(
            f,
            "{} writers, {} groups, {} ms, latency <= {} ms, flush at {} bytes, compare every {} s, faults: {faults}",
            self.writers,
            self.groups,
            self.duration.as_millis(),
            self.latency_max.as_millis(),
            self.flush_bytes,
            self.compare_interval.as_secs(),
        )
    }
}
