//! When a write was accepted, so that every replica keeps the same winner.

/// The stamp of a request: a hybrid logical clock and the coordinator that read it. One per request. For one series,
/// field and time the value with the larger stamp wins, on every owner, in whatever order the writes arrive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stamp {
    /// Hybrid clock: nanoseconds since the Unix epoch, pushed above every clock value seen before.
    pub clock: u64,
    /// The node that coordinated the request; breaks ties.
    pub coordinator: u64,
}

impl Stamp {
    /// Below every stamp that a request gets.
    pub const ZERO: Stamp = Stamp { clock: 0, coordinator: 0 };

    /// The next stamp of `coordinator`, given its wall clock and the largest clock value it has seen.
    pub fn next(wall_ns: i64, seen: u64, coordinator: u64) -> Stamp {
        Stamp { clock: u64::try_from(wall_ns).unwrap_or(0).max(seen.saturating_add(1)), coordinator }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_grow_when_the_clock_stands_or_jumps_back() {
        let first = Stamp::next(1_000, 0, 1);
        let second = Stamp::next(1_000, first.clock, 1);
        let third = Stamp::next(5, second.clock, 1);
        assert!(first < second && second < third);
    }
}
