//! Memory of all shards of a store together.

use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes of memory tables, about. Never more than a moment behind.
#[derive(Debug, Default)]
pub(crate) struct Usage {
    memory_bytes: AtomicU64,
}

impl Usage {
    pub(crate) fn memory_bytes(&self) -> u64 {
        self.memory_bytes.load(Ordering::Relaxed)
    }

    /// A shard that had `before` bytes now has `after`.
    pub(crate) fn change(&self, before: u64, after: u64) {
        // Wrapping addition of a difference: the sum over all shards stays exact.
        self.memory_bytes.fetch_add(after.wrapping_sub(before), Ordering::Relaxed);
    }
}
