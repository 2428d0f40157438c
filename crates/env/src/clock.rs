//! What time it is.

use std::fmt::Debug;
use std::time::Duration;

use model::Timestamp;

/// A source of time.
pub trait Clock: Send + Sync + Debug {
    /// The wall clock. It may jump, forwards and backwards.
    fn now(&self) -> Timestamp;

    /// Time since some fixed instant; never goes backwards.
    fn monotonic(&self) -> Duration;
}
