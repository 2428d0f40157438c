//! Lines of the log that must not become many.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Lets one event through in each interval.
#[derive(Debug)]
pub(crate) struct Paced {
    interval: Duration,
    /// Nanoseconds of the monotonic clock from which on the next one is due.
    next: AtomicU64,
    unsaid: AtomicU64,
}

impl Paced {
    pub(crate) const fn new(interval: Duration) -> Paced {
        Paced { interval, next: AtomicU64::new(0), unsaid: AtomicU64::new(0) }
    }

    /// How many were kept back before this one, if it is due.
    pub(crate) fn is_due(&self, now: Duration) -> Option<u64> {
        let nanoseconds = |duration: Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        let (now, next) = (nanoseconds(now), self.next.load(Ordering::Relaxed));
        let later = now.saturating_add(nanoseconds(self.interval));
        // Of several at once one is the first.
        if now < next || self.next.compare_exchange(next, later, Ordering::Relaxed, Ordering::Relaxed).is_err() {
            self.unsaid.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        Some(self.unsaid.swap(0, Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_an_interval_says_how_many_it_stands_for() {
        let paced = Paced::new(Duration::from_secs(1));
        let at = |ms| paced.is_due(Duration::from_millis(ms));
        assert_eq!(
            [at(0), at(1), at(999), at(1_000), at(1_001), at(5_000)],
            [Some(0), None, None, Some(2), None, Some(1)]
        );
    }
}
