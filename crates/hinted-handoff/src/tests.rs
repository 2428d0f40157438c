//! The queues, on a simulated disk.

mod crash;
mod draining;
mod queues;

use std::path::Path;
use std::time::Duration;

use env::Env;
use env::simulated::{SimClock, SimDisk};
use model::{NodeId, ShardId};

use crate::{Block, Config, OpenReport, Queues};

const DIR: &str = "/data/hh";
const NODE: NodeId = NodeId(2);
const SHARD: ShardId = ShardId(7);

fn config() -> Config {
    Config {
        enabled: true,
        bytes_max: 1 << 20,
        entry_age_max: Duration::from_secs(3600),
        entry_bytes_max: 100_000,
        writes_pending_max: 1024,
        retry_concurrency: 4,
        retry_bytes_per_second: 0,
        retry_interval: Duration::from_secs(1),
        retry_interval_max: Duration::from_secs(10),
        purge_interval: Duration::from_secs(60),
    }
}

/// A disk, a clock and the queues on it.
struct World {
    disk: SimDisk,
    clock: SimClock,
}

impl World {
    fn new(seed: u64) -> World {
        World { disk: SimDisk::new(seed), clock: SimClock::default() }
    }

    fn env(&self) -> Env {
        Env::simulated(1, &self.clock, &self.disk)
    }

    fn open(&self, config: Config) -> (Queues, OpenReport) {
        Queues::open(&self.env(), Path::new(DIR), config).expect("opens")
    }

    fn queues(&self) -> Queues {
        let (queues, report) = self.open(config());
        assert!(report.problems.is_empty(), "{:?}", report.problems);
        queues
    }

    /// All files but the two that say whose the directory is.
    fn files_of_queues(&self) -> Vec<String> {
        let paths = self.disk.files().into_keys().map(|path| path.display().to_string());
        paths.filter(|path| !["/data/hh/lock", "/data/hh/mainstem-handoff"].contains(&path.as_str())).collect()
    }

    fn pass(&self, time: Duration) {
        self.clock.jump(i64::try_from(time.as_nanos()).expect("less than a century"));
    }
}

/// Takes everything that can be taken now.
fn take_all(queues: &Queues, node: NodeId) -> Vec<Block> {
    std::iter::from_fn(|| queues.next_block_for(node).expect("reads")).collect()
}

fn texts(blocks: &[Block]) -> Vec<String> {
    blocks.iter().map(|block| String::from_utf8_lossy(&block.bytes).into_owned()).collect()
}
