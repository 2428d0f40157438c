//! Decisions: who may append, when to try again, what is too old, what is hopeless. Facts in, answer out.

use std::time::Duration;

use model::Timestamp;

use crate::HandoffError;

/// Most bytes on their way to one node, unless a single entry has more.
pub(crate) const IN_FLIGHT_BYTES_MAX: usize = 16 << 20;

/// How often an entry must have failed, and how many of its queue must have arrived meanwhile, before it is given up.
pub(crate) const HOPELESS_ATTEMPTS: u32 = 8;

/// Whether an append may begin. `writes_pending` counts the one that asks.
pub(crate) fn admit(
    writes_pending: usize,
    writes_pending_max: usize,
    stored_bytes: u64,
    new_bytes: u64,
    bytes_max: u64,
) -> Result<(), HandoffError> {
    if writes_pending_max > 0 && writes_pending > writes_pending_max {
        return Err(HandoffError::Blocked);
    }
    if stored_bytes.saturating_add(new_bytes) > bytes_max {
        return Err(HandoffError::Full);
    }
    Ok(())
}

/// How long to wait after `failures` in a row: `first`, then twice as long each time, at most `longest`.
pub(crate) fn retry_delay(failures: u32, first: Duration, longest: Duration) -> Duration {
    match failures.checked_sub(1) {
        None => Duration::ZERO,
        Some(doublings) => first.saturating_mul(2u32.saturating_pow(doublings)).min(longest),
    }
}

/// Whether an entry has waited too long. One from the future, because the clock was put back, has not.
pub(crate) fn is_expired(queued_at: Timestamp, now: Timestamp, age_max: Duration) -> bool {
    let age = i128::from(now.0) - i128::from(queued_at.0);
    age > i128::try_from(age_max.as_nanos()).unwrap_or(i128::MAX)
}

/// Whether an entry is given up: it fails again and again while others of its queue arrive. If none arrive, the peer
/// is down and nothing is hopeless.
pub(crate) fn is_hopeless(attempts: u32, delivered_since: u64) -> bool {
    attempts >= HOPELESS_ATTEMPTS && delivered_since >= u64::from(HOPELESS_ATTEMPTS)
}

/// How many entries may be on their way: while nothing gets through, one, to find out when that changes.
pub(crate) fn width(failures: u32, retry_concurrency: usize) -> usize {
    if failures == 0 { retry_concurrency.max(1) } else { 1 }
}

/// How big the segments of a queue are: small enough that a queue that is being emptied gives room back in time.
pub(crate) fn segment_bytes(bytes_max: u64) -> u64 {
    (bytes_max / 8).clamp(64 << 10, 10 << 20)
}

/// Waits that grow with failures and end with a success.
#[derive(Clone, Debug)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    failures: u32,
}

impl Backoff {
    /// No failure yet.
    pub fn new(first: Duration, longest: Duration) -> Backoff {
        Backoff { first, longest, failures: 0 }
    }

    /// Failures since the last success.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// One more failure; returns how long to wait.
    pub fn failed(&mut self) -> Duration {
        self.failures = self.failures.saturating_add(1);
        retry_delay(self.failures, self.first, self.longest)
    }

    /// It got through.
    pub fn succeeded(&mut self) {
        self.failures = 0;
    }
}

/// So many bytes a second, on average; one entry may always go at once after a pause.
#[derive(Clone, Debug)]
pub struct RateLimit {
    bytes_per_second: u64,
    /// When all that was let through is paid for.
    paid_at: Duration,
}

impl RateLimit {
    /// 0 for no limit.
    pub fn new(bytes_per_second: u64) -> RateLimit {
        RateLimit { bytes_per_second, paid_at: Duration::ZERO }
    }

    /// How long to wait, at `now` of a monotonic clock, before sending so many bytes. Counts them as sent.
    pub fn take(&mut self, now: Duration, bytes: u64) -> Duration {
        if self.bytes_per_second == 0 {
            return Duration::ZERO;
        }
        let start = self.paid_at.max(now);
        let cost = u128::from(bytes) * 1_000_000_000 / u128::from(self.bytes_per_second);
        self.paid_at = start.saturating_add(Duration::from_nanos(u64::try_from(cost).unwrap_or(u64::MAX)));
        start - now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn full_and_blocked_queues_refuse() {
        assert!(admit(1, 1, 90, 10, 100).is_ok());
        assert!(matches!(admit(1, 1, 91, 10, 100), Err(HandoffError::Full)));
        assert!(matches!(admit(2, 1, 0, 10, 100), Err(HandoffError::Blocked)));
        assert!(admit(999, 0, 0, 10, 100).is_ok(), "0 is no limit");
        assert!(matches!(admit(1, 1, u64::MAX, 10, 100), Err(HandoffError::Full)));
    }

    #[test]
    fn waits_double_up_to_the_longest() {
        let waits: Vec<u64> = (0..7).map(|it| retry_delay(it, SECOND, 10 * SECOND).as_secs()).collect();
        assert_eq!(waits, [0, 1, 2, 4, 8, 10, 10]);
        assert_eq!(retry_delay(u32::MAX, SECOND, 10 * SECOND), 10 * SECOND);
        let mut backoff = Backoff::new(SECOND, 3 * SECOND);
        assert_eq!([backoff.failed(), backoff.failed(), backoff.failed()], [SECOND, 2 * SECOND, 3 * SECOND]);
        assert_eq!(backoff.failures(), 3);
        backoff.succeeded();
        assert_eq!(backoff.failed(), SECOND);
    }

    #[test]
    fn age_is_time_in_the_queue() {
        let at = |seconds: i64| Timestamp(seconds * 1_000_000_000);
        assert!(!is_expired(at(100), at(110), 10 * SECOND));
        assert!(is_expired(at(100), at(111), 10 * SECOND));
        assert!(!is_expired(at(100), at(-100), 10 * SECOND));
        assert!(is_expired(Timestamp(i64::MIN), Timestamp(i64::MAX), 10 * SECOND));
        assert!(!is_expired(Timestamp(i64::MIN), Timestamp(i64::MAX), Duration::MAX));
    }

    #[test]
    fn only_what_fails_while_others_arrive_is_hopeless() {
        assert!(!is_hopeless(1000, 0) && !is_hopeless(7, 1000) && is_hopeless(8, 8));
    }

    #[test]
    fn a_peer_that_does_not_answer_is_not_hammered() {
        assert_eq!([width(0, 20), width(1, 20), width(0, 0)], [20, 1, 1]);
    }

    #[test]
    fn segments_are_a_fraction_of_the_limit() {
        assert_eq!([segment_bytes(10 << 30), segment_bytes(8 << 20), segment_bytes(0)], [10 << 20, 1 << 20, 64 << 10]);
    }

    #[test]
    fn bytes_flow_at_the_rate() {
        let mut limit = RateLimit::new(1000);
        let waits: Vec<u128> = [(0, 500), (0, 500), (0, 100), (10_000, 100), (10_000, 100)]
            .into_iter()
            .map(|(now, bytes)| limit.take(Duration::from_millis(now), bytes).as_millis())
            .collect();
        assert_eq!(waits, [0, 500, 1000, 0, 100]);
        assert_eq!(RateLimit::new(0).take(SECOND, u64::MAX), Duration::ZERO);
        let mut slow = RateLimit::new(1);
        slow.take(SECOND, u64::MAX);
        assert!(slow.take(SECOND, u64::MAX) > SECOND);
    }
}
