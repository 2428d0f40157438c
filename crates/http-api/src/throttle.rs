//! How many writes may be under way, and how many bytes they may hold.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError};
use tokio::time::timeout;

use crate::config::ADMISSION_TIMEOUT;

/// Bytes of a permit of [`Bytes`]: a semaphore counts to 2^29 only where a `usize` has 32 bits, and requests are
/// rarely small.
const UNIT_BYTES: usize = 1 << 10;

/// Why a write did not get its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Throttled {
    /// Too many wait already.
    #[error("request throttled, queue full")]
    QueueFull,
    /// It waited too long.
    #[error("request throttled, exceeds timeout")]
    TimedOut,
}

/// Turns for writes.
#[derive(Debug)]
pub(crate) struct Turns {
    running: Option<Arc<Semaphore>>,
    /// Those that run and those that wait.
    admitted: Option<Arc<Semaphore>>,
    patience: Duration,
}

/// A write that has its turn; gives it back when dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    _running: Option<OwnedSemaphorePermit>,
    _admitted: Option<OwnedSemaphorePermit>,
}

impl Turns {
    /// `running_max` at a time (0: any number), besides `waiting_max` that wait (0: any number) for at most `patience`
    /// (zero: for ever).
    pub(crate) fn new(running_max: usize, waiting_max: usize, patience: Duration) -> Turns {
        let semaphore = |count: usize| (count > 0).then(|| Arc::new(Semaphore::new(count.min(Semaphore::MAX_PERMITS))));
        let admitted = if waiting_max == 0 { 0 } else { running_max.saturating_add(waiting_max) };
        Turns {
            running: semaphore(running_max),
            admitted: if running_max == 0 { None } else { semaphore(admitted) },
            patience,
        }
    }

    /// Waits for a turn.
    pub(crate) async fn wait(&self) -> Result<Turn, Throttled> {
        let Some(running) = &self.running else { return Ok(Turn { _running: None, _admitted: None }) };
        let admitted = match &self.admitted {
            None => None,
            Some(admitted) => match Arc::clone(admitted).try_acquire_owned() {
                Ok(permit) => Some(permit),
                Err(_) => return Err(Throttled::QueueFull),
            },
        };
        let turn = Arc::clone(running).acquire_owned();
        let running = if self.patience.is_zero() {
            turn.await
        } else {
            timeout(self.patience, turn).await.map_err(|_| Throttled::TimedOut)?
        };
        let running = running.expect("the semaphore is never closed");
        Ok(Turn { _running: Some(running), _admitted: admitted })
    }
}

/// Room for bytes of requests.
#[derive(Debug)]
pub(crate) struct Room {
    units: Arc<Semaphore>,
    unit_count: usize,
}

/// Room that a request has taken; gives it back when dropped.
#[derive(Debug)]
pub(crate) struct Reservation {
    units: Arc<Semaphore>,
    permit: OwnedSemaphorePermit,
    used: usize,
}

impl Room {
    /// Room for `bytes_max`.
    pub(crate) fn new(bytes_max: usize) -> Room {
        let unit_count = (bytes_max / UNIT_BYTES).clamp(1, u32::MAX as usize >> 3);
        Room { units: Arc::new(Semaphore::new(unit_count)), unit_count }
    }

    /// Takes room for a request of about `bytes`, and more with [`Reservation::grow`]. Waits for others a little while;
    /// `None` when there is still none.
    pub(crate) async fn reserve(&self, bytes: usize) -> Option<Reservation> {
        let units = units_of(bytes).min(self.unit_count) as u32;
        let permit = timeout(ADMISSION_TIMEOUT, Arc::clone(&self.units).acquire_many_owned(units)).await.ok()?;
        let permit = permit.expect("the semaphore is never closed");
        Some(Reservation { units: Arc::clone(&self.units), permit, used: 0 })
    }
}

impl Reservation {
    /// Uses `bytes` more. Never waits: whether there was room.
    pub(crate) fn grow(&mut self, bytes: usize) -> bool {
        let used = self.used.saturating_add(bytes);
        let missing = units_of(used).saturating_sub(self.permit.num_permits());
        if missing > 0 {
            let Ok(missing) = u32::try_from(missing) else { return false };
            match Arc::clone(&self.units).try_acquire_many_owned(missing) {
                Ok(more) => self.permit.merge(more),
                Err(TryAcquireError::NoPermits | TryAcquireError::Closed) => return false,
            }
        }
        self.used = used;
        true
    }
}

fn units_of(bytes: usize) -> usize {
    bytes.div_ceil(UNIT_BYTES)
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(30);

    #[tokio::test(start_paused = true)]
    async fn writes_wait_for_their_turn_and_give_up() {
        let turns = Turns::new(2, 0, PATIENCE);
        let first = turns.wait().await.expect("a turn");
        let _second = turns.wait().await.expect("a turn");
        let started = tokio::time::Instant::now();
        assert_eq!(turns.wait().await.err(), Some(Throttled::TimedOut));
        assert_eq!(started.elapsed(), PATIENCE);
        drop(first);
        assert!(turns.wait().now_or_never().is_some_and(|turn| turn.is_ok()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_queue_refuses_at_once() {
        let turns = Turns::new(1, 1, Duration::ZERO);
        let first = turns.wait().await.expect("a turn");
        let mut second = Box::pin(turns.wait());
        assert!((&mut second).now_or_never().is_none());
        assert_eq!(turns.wait().now_or_never().map(Result::err), Some(Some(Throttled::QueueFull)));
        drop(first);
        assert!(second.await.is_ok());
    }

    #[tokio::test]
    async fn without_a_limit_nobody_waits() {
        let turns = Turns::new(0, 1, PATIENCE);
        let mut held = Vec::new();
        for _ in 0..100 {
            held.push(turns.wait().now_or_never().expect("at once").expect("a turn"));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn room_is_taken_and_given_back() {
        let room = Room::new(10 * UNIT_BYTES);
        let mut large = room.reserve(6 * UNIT_BYTES).await.expect("room");
        let started = tokio::time::Instant::now();
        assert!(room.reserve(5 * UNIT_BYTES).await.is_none());
        assert_eq!(started.elapsed(), ADMISSION_TIMEOUT);

        assert!(large.grow(6 * UNIT_BYTES), "it was reserved");
        assert!(large.grow(4 * UNIT_BYTES), "there was more");
        assert!(!large.grow(1), "but no more than that");
        drop(large);
        // What can never fit takes all there is and fails when it grows.
        let mut huge = room.reserve(100 * UNIT_BYTES).await.expect("room");
        assert!(huge.grow(10 * UNIT_BYTES));
        assert!(!huge.grow(1));
    }
}
