//! What all shards of a store share.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::config::StoreConfig;
use crate::file::ChunkCache;

/// Handed to every shard.
#[derive(Clone, Debug)]
pub(crate) struct Shared {
    pub(crate) config: Arc<StoreConfig>,
    pub(crate) usage: Arc<Usage>,
    pub(crate) cache: Arc<ChunkCache>,
}

impl Shared {
    pub(crate) fn new(config: StoreConfig) -> Shared {
        let cache = Arc::new(ChunkCache::new(config.cache_bytes));
        Shared { config: Arc::new(config), usage: Arc::default(), cache }
    }
}

/// More free space than when a write was refused, by this many bytes, is worth another try.
const ROOM_BYTES: u64 = 1 << 20;
/// No write was refused since the last that was taken.
const NOT_REFUSED: u64 = u64::MAX;

/// What the shards use of memory, about, never more than a moment behind; and whether the disk takes their writes.
#[derive(Debug)]
pub(crate) struct Usage {
    memory_bytes: AtomicU64,
    /// Free bytes of the disk when it refused the last write for being full, or [`NOT_REFUSED`].
    free_when_refused: AtomicU64,
}

impl Default for Usage {
    fn default() -> Usage {
        Usage { memory_bytes: AtomicU64::new(0), free_when_refused: AtomicU64::new(NOT_REFUSED) }
    }
}

impl Usage {
    pub(crate) fn memory_bytes(&self) -> u64 {
        self.memory_bytes.load(Ordering::Relaxed)
    }

    /// The disk was full for a write.
    pub(crate) fn note_refused(&self, free_bytes: u64) {
        self.free_when_refused.store(free_bytes.min(NOT_REFUSED - ROOM_BYTES), Ordering::Relaxed);
    }

    /// The disk took a write.
    pub(crate) fn note_taken(&self) {
        if self.free_when_refused.load(Ordering::Relaxed) != NOT_REFUSED {
            self.free_when_refused.store(NOT_REFUSED, Ordering::Relaxed);
        }
    }

    /// Whether the disk refused the last write for being full, and has hardly more space now.
    pub(crate) fn is_disk_full(&self, free_bytes: impl FnOnce() -> u64) -> bool {
        let refused = self.free_when_refused.load(Ordering::Relaxed);
        refused != NOT_REFUSED && free_bytes() < refused + ROOM_BYTES
    }

    /// A shard that had `before` bytes now has `after`.
    pub(crate) fn change(&self, before: u64, after: u64) {
        // Wrapping addition of a difference: the sum over all shards stays exact.
        self.memory_bytes.fetch_add(after.wrapping_sub(before), Ordering::Relaxed);
    }
}
