//! The only door to clock, disk, network, randomness and tasks.
//!
//! An [`Env`] is handed down from the program to whoever needs the outside world. In production it is real; under
//! simulation the same code runs on a virtual clock, a network made by turmoil and a disk that forgets what was not
//! synced, all driven by one seed.
//!
//! Invariants
//! - No other crate touches the real clock, files, sockets, threads or random numbers; a check fails where one does.
//! - Simulated, nothing runs on another thread: [`Env::blocking`] and the pools run inline.
//!
//! Timers are `tokio::time`, which follows the virtual clock by itself.

pub mod claim;
pub mod clock;
pub mod fs;
pub mod net;
mod planted;
pub mod rng;
pub mod task;

mod real;
#[cfg(feature = "simulated")]
pub mod simulated;

use std::sync::Arc;
use std::time::Duration;

use model::Timestamp;

pub use claim::{Claim, ClaimError};
pub use fs::{DirEntry, DirLock, File, Fs, OpenMode};
pub use net::{Listener, Stream};
pub use task::TaskHandle;

/// Handle to the outside world. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Env {
    clock: Arc<dyn clock::Clock>,
    fs: Arc<dyn Fs>,
    rng: Arc<dyn rng::Rng>,
    world: World,
}

/// Which world the handle belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum World {
    Real,
    #[cfg(feature = "simulated")]
    Simulated,
}

impl Env {
    /// The real world.
    pub fn real() -> Env {
        Env {
            clock: Arc::new(real::RealClock::start()),
            fs: Arc::new(real::RealFs),
            rng: Arc::new(real::RealRng),
            world: World::Real,
        }
    }

    /// The wall clock. It may jump, forwards and backwards.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Time since some fixed instant; never goes backwards.
    pub fn monotonic(&self) -> Duration {
        self.clock.monotonic()
    }

    /// The memory that this process may use: that of the machine, or less where a control group says so. Simulated, 4 GiB.
    pub fn memory_bytes(&self) -> u64 {
        if self.is_simulated() { 4 << 30 } else { real::memory_bytes() }
    }

    /// Lets this process have as many descriptors, for files and connections, as it may: the soft limit becomes the hard
    /// one. Tells the limit before and after; simulated, there is none.
    ///
    /// # Errors
    /// Those of the operating system; then the limit is what it was.
    pub fn raise_descriptors(&self) -> std::io::Result<(u64, u64)> {
        if self.is_simulated() { Ok((u64::MAX, u64::MAX)) } else { real::raise_descriptors() }
    }

    /// The file system.
    pub fn fs(&self) -> &Arc<dyn Fs> {
        &self.fs
    }

    /// Sixty-four random bits, good enough for secrets in the real world and repeatable under simulation.
    pub fn random_u64(&self) -> u64 {
        let mut bytes = [0; 8];
        self.rng.fill(&mut bytes);
        u64::from_le_bytes(bytes)
    }

    /// Fills `bytes` as [`Env::random_u64`] would.
    pub fn random_fill(&self, bytes: &mut [u8]) {
        self.rng.fill(bytes);
    }

    /// Whether this world is simulated.
    pub fn is_simulated(&self) -> bool {
        self.world != World::Real
    }
}
