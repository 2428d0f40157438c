//! Bugs that the tests plant, to see whether they would find them.
//!
//! Outside of tests every question is answered with a constant no and costs nothing.

/// A mistake that could have been made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bug {
    /// Begin with empty queues after a restart.
    ForgetOnRestart,
    /// Acknowledge before the entry is durable.
    AckBeforeSync,
    /// Count an entry as done when it is handed out.
    DoneWhenTaken,
    /// Move the head past an entry because a later one is done.
    HeadPastGap,
    /// Drop old entries without a mark.
    DropWithoutMark,
    /// Take the older slot of the head file.
    OlderHead,
    /// Let an entry that fails hold up the others.
    PoisonBlocks,
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
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::Bug;

    thread_local! {
        static PLANTED: Cell<Option<Bug>> = const { Cell::new(None) };
    }

    /// Whether this thread's code has the bug.
    pub(crate) fn is(bug: Bug) -> bool {
        PLANTED.get() == Some(bug)
    }

    /// Runs a check with a bug planted and returns what it said when it failed. `None` means that it found nothing.
    pub(crate) fn found_by(bug: Bug, check: impl FnOnce()) -> Option<String> {
        PLANTED.set(Some(bug));
        let result = catch_unwind(AssertUnwindSafe(check));
        PLANTED.set(None);
        result.err().map(|panic| match panic.downcast::<String>() {
            Ok(message) => *message,
            Err(panic) => panic.downcast::<&str>().map_or_else(|_| String::new(), |message| (*message).to_owned()),
        })
    }
}
