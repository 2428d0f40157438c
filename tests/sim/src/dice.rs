//! What a seed decides, roll by roll.

use std::time::Duration;

use env::rng::Rng as _;
use env::simulated::SimRng;

/// Repeatable rolls. Every part of a run has dice of its own, so that a change of one does not change the others.
#[derive(Debug)]
pub struct Dice(SimRng);

impl Dice {
    /// The dice of one part of the run with this seed.
    pub fn new(seed: u64, part: u64) -> Dice {
        // Rolled once, so that neighbouring seeds and parts have nothing in common.
        let mixed = Dice(SimRng::new(seed)).bits();
        Dice(SimRng::new(Dice(SimRng::new(mixed ^ part)).bits()))
    }

    /// Sixty-four random bits.
    pub fn bits(&mut self) -> u64 {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        u64::from_le_bytes(bytes)
    }

    /// A number in `0..bound`; 0 when `bound` is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.bits()) * u128::from(bound)) >> 64) as u64
    }

    /// An index in `0..bound`.
    pub fn index(&mut self, bound: usize) -> usize {
        self.below(bound as u64) as usize
    }

    /// True in `percent` of 100 cases.
    pub fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// One of them.
    pub fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.index(of.len())]
    }

    /// A time between the two, in milliseconds.
    pub fn millis(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_millis(from + self.below(to.saturating_sub(from)))
    }
}
