//! The simulated world, driven by one seed.
//!
//! [`SimDisk`] is a file system in memory that forgets what was not synced, [`SimClock`] a wall clock that tests can
//! push around, [`SimRng`] repeatable random bits. The network is turmoil's (see `net`) and needs no part of its own
//! here. Each simulated host has a disk and a clock of its own, which outlive its crashes.

mod clock;
mod disk;
mod rng;

use std::sync::Arc;

pub use clock::SimClock;
pub use disk::{Effect, Fuse, LossModel, OpCounts, OpKind, SECTOR_BYTES, SimDisk};
pub use rng::SimRng;

use crate::{Env, Fs, World};

impl Env {
    /// A world that answers the same way for the same seed. On a runtime with a paused clock (turmoil's, or
    /// `start_paused`) it is repeatable to the last bit.
    pub fn simulated(seed: u64, clock: &SimClock, disk: &SimDisk) -> Env {
        Env {
            clock: Arc::new(clock.clone()),
            fs: Arc::new(disk.clone()),
            rng: Arc::new(SimRng::new(seed)),
            world: World::Simulated,
        }
    }

    /// The same world with another file system, such as one that wraps a [`SimDisk`] to wait or to count.
    pub fn with_fs(self, fs: Arc<dyn Fs>) -> Env {
        Env { fs, ..self }
    }
}

#[cfg(test)]
mod tests;
