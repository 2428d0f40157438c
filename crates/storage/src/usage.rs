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
