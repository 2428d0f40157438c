//! What happened to the entries of a queue, counted since the process started.

use std::sync::atomic::{AtomicU64, Ordering};

use model::{NodeId, ShardId, Timestamp};

macro_rules! counts {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Counts of one queue. They outlive the queue's files.
        #[derive(Debug, Default)]
        pub(crate) struct Counters {
            $(pub(crate) $name: AtomicU64,)*
        }

        /// Counts of one queue at some moment.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct Counts {
            $($(#[$doc])* pub $name: u64,)*
        }

        impl Counters {
            pub(crate) fn get(&self) -> Counts {
                Counts { $($name: self.$name.load(Ordering::Relaxed),)* }
            }
        }

        impl Counts {
            /// Adds those of another queue.
            pub fn add(&mut self, other: &Counts) {
                $(self.$name += other.$name;)*
            }
        }
    };
}

counts! {
    /// Entries that were queued.
    appended,
    /// Their bytes.
    appended_bytes,
    /// Entries the peer took.
    delivered,
    /// Their bytes.
    delivered_bytes,
    /// Tries that failed and are repeated.
    retried,
    /// Entries dropped because the peer will never take them.
    refused,
    /// Entries dropped because they failed again and again while others arrived.
    hopeless,
    /// Entries dropped because they waited too long.
    expired,
    /// Entries lost to damage on disk.
    damaged,
    /// Writes refused because the queues of the node, or the disk, were full.
    full,
    /// Writes refused because too many were under way.
    blocked,
    /// Writes and marks that failed because the disk did.
    failed,
}

impl Counters {
    pub(crate) fn count(counter: &AtomicU64, by: u64) {
        counter.fetch_add(by, Ordering::Relaxed);
    }
}

/// A queue, for metrics and diagnostics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueStats {
    /// For whom.
    pub node: NodeId,
    /// Of which shard.
    pub shard: ShardId,
    /// What happened.
    pub counts: Counts,
    /// Entries that wait.
    pub entries: u64,
    /// Bytes on disk.
    pub bytes: u64,
    /// When the oldest one was queued; earlier rather than later where it is not known.
    pub oldest: Option<Timestamp>,
}
