//! Random bits.

use std::fmt::Debug;

/// A source of random bits.
pub trait Rng: Send + Sync + Debug {
    /// Fills `bytes`. The operating system's generator in the real world.
    fn fill(&self, bytes: &mut [u8]);
}
