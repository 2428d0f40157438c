//! Bugs that the tests plant, to see whether they would find them.
//!
//! Outside of tests every question is answered with a constant no and costs nothing.

/// A mistake that could have been made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bug {
    /// Report records durable that are not.
    SyncNothing,
    /// Forget that a new file's name needs a sync of its own.
    SyncNoNames,
    /// Begin a segment while the one before is not durable.
    BeginWithoutSync,
    /// Believe a second sync after a failed one.
    SyncAgain,
    /// Believe, when opening, that what can be read is on the disk.
    TrustCache,
    /// Append where a lost record stood.
    UsePositionsTwice,
    /// Report what a crash left as damage of durable records.
    CallLossDamage,
    /// Take damage for the end of the segment.
    StopAtDamage,
    /// Leave the place out of the checksum.
    ForgetPlace,
}

#[cfg(test)]
pub(crate) use switch::{found_by, is};

#[cfg(not(test))]
pub(crate) const fn is(_: Bug) -> bool {
    false
}

#[cfg(test)]
mod switch {
    use std::cell::Cell;

    use super::Bug;

    thread_local! {
        static PLANTED: Cell<Option<Bug>> = const { Cell::new(None) };
    }

    /// Whether this thread's code has the bug.
    pub(crate) fn is(bug: Bug) -> bool {
        PLANTED.get() == Some(bug)
    }

    /// Runs a check with a bug planted and returns what it said when it failed. `None` means that it found nothing.
    pub(crate) fn found_by(bug: Bug, check: impl FnOnce() + std::panic::UnwindSafe) -> Option<String> {
        PLANTED.set(Some(bug));
        let result = std::panic::catch_unwind(check);
        PLANTED.set(None);
        result.err().map(|panic| match panic.downcast::<String>() {
            Ok(message) => *message,
            Err(panic) => panic.downcast::<&str>().map_or_else(|_| String::new(), |message| (*message).to_owned()),
        })
    }
}
