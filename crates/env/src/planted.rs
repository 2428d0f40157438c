//! Bugs that the tests of a crate plant, to see whether they would find them.

/// Makes the enum `Bug` of a crate's planted bugs, `is`, which code asks, and `found_by`, which tests call.
///
/// Outside of the crate's tests every question is answered with a constant no and costs nothing.
#[macro_export]
macro_rules! planted_bugs {
    ($($(#[$what:meta])* $bug:ident,)+) => {
        /// A mistake that could have been made.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Bug {
            $($(#[$what])* $bug,)+
        }

        #[cfg(not(test))]
        pub(crate) const fn is(_: Bug) -> bool {
            false
        }

        #[cfg(test)]
        ::std::thread_local! {
            static PLANTED: ::std::cell::Cell<Option<Bug>> = const { ::std::cell::Cell::new(None) };
        }

        /// Whether this thread's code has the bug.
        #[cfg(test)]
        pub(crate) fn is(bug: Bug) -> bool {
            PLANTED.get() == Some(bug)
        }

        /// Runs a check with a bug planted and returns what it said when it failed. `None` means that it found nothing.
        #[cfg(test)]
        pub(crate) fn found_by(bug: Bug, check: impl FnOnce()) -> Option<String> {
            PLANTED.set(Some(bug));
            let result = ::std::panic::catch_unwind(::std::panic::AssertUnwindSafe(check));
            PLANTED.set(None);
            result.err().map(|panic| match panic.downcast::<String>() {
                Ok(message) => *message,
                Err(panic) => panic.downcast::<&str>().map_or_else(|_| String::new(), |message| (*message).to_owned()),
            })
        }
    };
}
