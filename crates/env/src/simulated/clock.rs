//! A wall clock that can be wrong.

use std::sync::Arc;
use std::time::Duration;

use model::Timestamp;
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::clock::Clock;

/// A wall clock that runs along the virtual time of the simulation and can be made to jump and to drift. Clones show
/// the same time. Timers (`tokio::time`) follow the virtual time itself, as timers of an operating system follow its
/// monotonic clock.
#[derive(Clone, Debug)]
pub struct SimClock(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    /// Where time is counted from outside of turmoil.
    anchor: Instant,
    /// What the wall clock showed when its rate was last set, and the virtual time then.
    wall: i64,
    wall_at: Duration,
    drift_ppm: i64,
    /// The latest virtual time that was seen; it never goes back.
    latest: Duration,
}

impl SimClock {
    /// A clock that shows `start` now.
    pub fn new(start: Timestamp) -> SimClock {
        let mut state = State {
            anchor: Instant::now(),
            wall: start.0,
            wall_at: Duration::ZERO,
            drift_ppm: 0,
            latest: Duration::ZERO,
        };
        state.wall_at = state.elapsed();
        SimClock(Arc::new(Mutex::new(state)))
    }

    /// Puts the wall clock forward by so many nanoseconds, or back.
    pub fn jump(&self, nanoseconds: i64) {
        let mut state = self.0.lock();
        state.settle();
        state.wall = state.wall.saturating_add(nanoseconds);
    }

    /// Puts the wall clock to `time`.
    pub fn set(&self, time: Timestamp) {
        let mut state = self.0.lock();
        state.settle();
        state.wall = time.0;
    }

    /// Lets the wall clock gain so many microseconds in each second from now on, or lose them.
    pub fn set_drift_ppm(&self, drift_ppm: i64) {
        let mut state = self.0.lock();
        state.settle();
        state.drift_ppm = drift_ppm;
    }
}

impl Default for SimClock {
    /// A clock that shows an instant in 2026.
    fn default() -> SimClock {
        SimClock::new(Timestamp(1_780_000_000_000_000_000))
    }
}

impl State {
    fn elapsed(&mut self) -> Duration {
        // Turmoil gives every host a runtime of its own; its count is common to all.
        let elapsed = turmoil::sim_elapsed().unwrap_or_else(|| self.anchor.elapsed());
        self.latest = self.latest.max(elapsed);
        self.latest
    }

    fn wall(&mut self) -> i64 {
        let passed = i64::try_from((self.elapsed() - self.wall_at).as_nanos()).unwrap_or(i64::MAX);
        let gained = i128::from(passed) * i128::from(self.drift_ppm) / 1_000_000;
        self.wall.saturating_add(passed).saturating_add(i64::try_from(gained).unwrap_or(i64::MAX))
    }

    /// Starts counting from now on.
    fn settle(&mut self) {
        self.wall = self.wall();
        self.wall_at = self.latest;
    }
}

impl Clock for SimClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.lock().wall())
    }

    fn monotonic(&self) -> Duration {
        self.0.lock().elapsed()
    }
}
