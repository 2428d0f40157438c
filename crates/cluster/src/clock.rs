//! The hybrid clock of this node: the source of write stamps.
//!
//! It follows the wall clock and never goes below a value it has seen: in a stamp on disk, in a message, in an answer.
//! So a request that was acknowledged before another was sent has the smaller stamp, as long as clocks rode on messages
//! in between, even where wall clocks disagree.

use std::sync::atomic::{AtomicU64, Ordering};

use env::Env;
use model::{NodeId, Stamp};

/// The clock. Shared by reference.
#[derive(Debug)]
pub struct HybridClock {
    env: Env,
    seen: AtomicU64,
}

impl HybridClock {
    /// A clock that starts above `seen`, the largest value on this node's disk.
    pub fn new(env: Env, seen: u64) -> HybridClock {
        HybridClock { env, seen: AtomicU64::new(seen) }
    }

    /// A stamp above every one given or seen before.
    pub fn stamp(&self, coordinator: NodeId) -> Stamp {
        let wall = self.env.now().0;
        let next = |seen| Some(Stamp::next(wall, seen, coordinator.0).clock);
        let before = self.seen.fetch_update(Ordering::AcqRel, Ordering::Acquire, next).unwrap_or_else(|seen| seen);
        Stamp::next(wall, before, coordinator.0)
    }

    /// Takes note of a clock that another node sent.
    pub fn observe(&self, clock: u64) {
        self.seen.fetch_max(clock, Ordering::AcqRel);
    }

    /// What rides on messages.
    pub fn now(&self) -> u64 {
        self.seen.load(Ordering::Acquire).max(u64::try_from(self.env.now().0).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_grow_and_pass_what_was_seen() {
        let clock = HybridClock::new(Env::real(), 0);
        let first = clock.stamp(NodeId(1));
        let second = clock.stamp(NodeId(1));
        assert!(first < second);
        let ahead = second.clock + 3_600_000_000_000;
        clock.observe(ahead);
        assert!(clock.stamp(NodeId(1)).clock > ahead && clock.now() > ahead);
    }
}
